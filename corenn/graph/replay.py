"""Running a graph operation by operation: what sessions do where a program cannot be made, and for debugging."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.device import Device
from corenn.errors import GraphError
from corenn.graph.operations import Known, Operation, Run
from corenn.graph.past import Past
from corenn.graph.subgraph import SubGraph, blame
from corenn.graph.tensors import GraphTensor
from corenn.ops.dispatch import _interpreter
from corenn.spec import Spec
from corenn.tensor import Tensor

Observer = Callable[[Operation, list[Tensor], list[Tensor]], None]


class ReplayRun(Past):
    """The run that operations see when they run eagerly (see ``corenn.graph.operations.Run``)."""

    def __init__(
        self,
        device: Device,
        read: Callable[[Any], Tensor | None],
        key: Callable[[Operation], Any],
        observer: Observer | None,
    ) -> None:
        super().__init__()
        self.device = device
        self._read, self._key, self.observer = read, key, observer

    def read(self, cell: Any) -> Tensor:
        """The value: of the last write in this run, or the session's."""
        found = self.values.get(id(cell))
        if found is None:
            found = self._read(cell)
            if found is None:
                from corenn.graph.state import UninitializedError

                raise UninitializedError(cell)
        return found

    def write(self, cell: Any, value: Tensor) -> None:
        """Replace the value, in this run; the session keeps it when the run has succeeded."""
        self.values[id(cell)] = value
        self.written[id(cell)] = cell

    def initialized(self, cell: Any) -> bool:
        """Whether it has a value."""
        return id(cell) in self.values or self._read(cell) is not None

    def key(self, operation: Operation) -> Tensor:
        """The next key."""
        made: Tensor = self.draws.next(
            operation, lambda: Tensor(self._key(operation), Spec((3,), dtypes.uint64, self.device))
        )
        return made

    def value_of(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """The value on the host."""
        return raw(tensor, self.device)

    def constant(self, array: np.ndarray[Any, Any]) -> Tensor:
        """The array on the device."""
        return placed(array, self.device)

    def place(self, tensor: Tensor) -> Tensor:
        """The tensor, moved if need be."""
        return tensor if tensor.device is self.device else tensor.to(self.device)

    def call_host(
        self, operation: Operation, function: Callable[..., list[Any]], inputs: Sequence[Tensor],
        results: Sequence[Known],
    ) -> list[Tensor]:  # fmt: skip
        """Call it; what has effects inside a branch or loop only the first time."""

        def call() -> list[Tensor]:
            return [placed(a, self.device) for a in function(*[raw(t, self.device) for t in inputs])]

        once = operation.kind.effects and isinstance(operation.graph, SubGraph)
        found: list[Tensor] = self.draws.next(operation, call) if once else call()
        return found

    def branch(self, predicate: Tensor, branches: Sequence[Callable[[Run], list[Tensor]]]) -> list[Tensor]:
        """Run the chosen one."""
        return branches[0 if bool(self.value_of(predicate)) else 1](self)

    def loop(
        self, state: Sequence[Tensor], condition: Callable[[list[Tensor], Run], Tensor],
        body: Callable[[list[Tensor], Run], list[Tensor]], most: int | None,
    ) -> list[Tensor]:  # fmt: skip
        """Loop."""
        current, count = list(state), 0
        while (most is None or count < most) and bool(self.value_of(condition(current, self))):
            current = body(current, self)
            count += 1
        return current


def placed(array: np.ndarray[Any, Any], device: Device) -> Tensor:
    """An array as a tensor on a device; text stays on the host."""
    if array.dtype == object:
        return Tensor(array, Spec(array.shape, dtypes.string, device))
    return Tensor(
        device.backend.from_host(array, device.index), Spec(array.shape, dtypes.as_dtype(array.dtype), device)
    )


def raw(tensor: Tensor, device: Device) -> np.ndarray[Any, Any]:
    """A tensor's value on the host."""
    if tensor.dtype is dtypes.string:
        return tensor.data  # type: ignore[no-any-return]
    found: np.ndarray[Any, Any] = device.backend.to_host(tensor.data)
    return found


def replay(
    operations: Sequence[Operation], fetches: Sequence[GraphTensor], feeds: Mapping[GraphTensor, Tensor], run: ReplayRun
) -> list[Tensor]:
    """Run operations in order; the values of ``fetches``."""
    known: dict[int, Tensor] = {id(t): v for t, v in feeds.items()}
    token = _interpreter.set(None)
    try:
        with run.device:
            for operation in operations:
                if operation.outputs and all(id(o) in known for o in operation.outputs):
                    continue
                inputs = [known[id(i)] for i in operation.kind.operands(operation)]
                try:
                    results = list(operation.kind.run(operation, inputs, run))
                except Exception as error:
                    if not isinstance(error, GraphError):
                        blame(error, operation, inputs)
                    raise
                for output, result in zip(operation.outputs, results, strict=True):
                    known.setdefault(id(output), result)
                if run.observer is not None:
                    run.observer(operation, inputs, results)
    finally:
        _interpreter.reset(token)
    return [known[id(f)] for f in fetches]


class NotFiniteError(GraphError):
    """An operation gave the first NaN or infinity of a run; ``operation`` is that operation."""

    def __init__(self, operation: Operation, output: GraphTensor, value: np.ndarray[Any, Any]) -> None:
        bad = int(np.count_nonzero(~np.isfinite(value)))
        super().__init__(
            operation.name, f"{output.name} has {bad} of {value.size} elements that are not finite",
            {"type": operation.type, "inputs": ", ".join(i.name for i in operation.inputs)}, site=operation.where,
        )  # fmt: skip
        self.operation = operation


def check_finite(operation: Operation, inputs: list[Tensor], results: list[Tensor]) -> None:
    """An observer that raises NotFiniteError at the first operation to give a NaN or infinity of finite inputs."""
    for output, result in zip(operation.outputs, results, strict=True):
        if result.dtype.is_inexact:
            value = np.asarray(result.numpy(), np.complex128 if result.dtype.kind == "c" else np.float64)
            if not np.isfinite(value).all():
                raise NotFiniteError(operation, output, value)


__all__ = ["NotFiniteError", "Observer", "ReplayRun", "check_finite", "placed", "raw", "replay"]
