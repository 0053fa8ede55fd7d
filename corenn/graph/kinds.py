"""Operations that are not ops of the table: constants, placeholders, keys, shapes, and Python called by a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from corenn import dtypes, tree
from corenn.errors import GraphError, ShapeError
from corenn.graph.operations import Kind, Known, Operation, Run
from corenn.graph.partial import compatible
from corenn.tensor import Tensor


class ConstKind(Kind):
    """A constant; attribute ``value`` is a NumPy array."""

    type = "Const"

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The array on the run's device."""
        return (run.constant(operation.attrs["value"]),)


class EagerTensorKind(Kind):
    """An eager tensor that the graph uses."""

    type = "Const"

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The tensor, on the run's device."""
        return (run.place(self.tensor),)

    def config(self, operation: Operation) -> dict[str, Any]:
        """The value."""
        return {"value": self.tensor.numpy()}


class PlaceholderKind(Kind):
    """A value that every run must be fed."""

    type = "Placeholder"

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """GraphError: it was not fed."""
        out = operation.outputs[0]
        words = {"float32": "float", "float64": "double"}
        message = (
            f"You must feed a value for placeholder tensor '{operation.name}' with dtype "
            f"{words.get(out.dtype.name, out.dtype.name)}"
        )
        if out.extents:
            message += f" and shape [{','.join('?' if n is None else str(n) for n in out.extents)}]"
        raise UnfedError(message, operation)


class UnfedError(GraphError):
    """A placeholder was needed and not fed; ``operation`` is the placeholder."""

    def __init__(self, message: str, operation: Operation) -> None:
        super().__init__("run", message, hint=f"session.run(..., feed_dict={{{operation.name}: value}})",
                         site=operation.where)  # fmt: skip
        self.operation = operation


class DefaultPlaceholderKind(Kind):
    """A value that runs may be fed; otherwise it is the input's."""

    type = "PlaceholderWithDefault"

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The input."""
        return inputs


class NoOpKind(Kind):
    """Nothing: it waits for its control inputs."""

    type = "NoOp"
    effects = True

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """Nothing."""
        return ()


class ShapeKind(Kind):
    """The shape of the input as a vector of integers; attribute ``dtype``."""

    type = "Shape"

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The extents."""
        return (run.constant(np.array(inputs[0].spec.static, operation.attrs["dtype"].numpy)),)


class RandomKeyKind(Kind):
    """The next key of a random operation; attributes ``graph_seed``, ``seed`` and ``last`` choose the stream."""

    type = "RandomKey"
    effects = True

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The key."""
        return (run.key(operation),)


class GeneratorKeyKind(RandomKeyKind):
    """The next key of a generator that lives outside the graph."""

    def __init__(self, generator: Any) -> None:
        self.generator = generator

    def config(self, operation: Operation) -> None:
        """It cannot be written down."""


class CompositeKind(Kind):
    """A function of tensors, written in ops, that runs when all shapes are known."""

    def __init__(self, function: Callable[..., Any], type_name: str, effects: bool = False) -> None:
        self.function, self.type, self.effects = function, type_name, effects

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """Call the function."""
        return tree.leaves(self.function(*inputs))

    def config(self, operation: Operation) -> None:
        """Python functions are not written down."""


class HostCallKind(Kind):
    """A Python function of arrays; ``pure`` says that it may be dropped when nothing needs its results.

    Results are cast to the dtypes stated.  A run raises GraphError for another number of them, ShapeError for one whose
    shape contradicts what is known of the output's.
    """

    type = "PyFunc"

    def __init__(self, function: Callable[..., Any], pure: bool = False, type_name: str = "PyFunc") -> None:
        self.function, self.effects, self.type = function, not pure, type_name

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """Call the function on the values of the inputs."""
        results = [(o.extents, o.dtype) for o in operation.outputs]
        return run.call_host(operation, self.checked(operation, results), inputs, results)

    def checked(self, operation: Operation, results: Sequence[Known]) -> Callable[..., list[Any]]:
        """The function, giving arrays of what ``results`` say, or an error."""

        def call(*arrays: Any) -> list[Any]:
            found = self.function(*arrays)
            many = list(found) if isinstance(found, (list, tuple)) else [found] if results else []
            if len(many) != len(results):
                raise GraphError(
                    operation.name, f"the Python function returned {len(many)} values, not {len(results)}",
                    site=operation.where,
                )  # fmt: skip
            values = [host_value(v, dtype) for v, (_, dtype) in zip(many, results, strict=True)]
            for i, (array, (extents, _)) in enumerate(zip(values, results, strict=True)):
                if not compatible(extents, array.shape):
                    raise ShapeError(
                        operation.name, f"result {i} of the Python function has another shape than was stated",
                        {"stated": extents, "returned": array.shape},
                        hint="None stands for an extent that may vary", site=operation.where,
                    )  # fmt: skip
            return values

        return call

    def config(self, operation: Operation) -> None:
        """Python functions are not written down."""


class HostNumberKind(HostCallKind):
    """A function of nothing that gives a Python number: one 0-d result, with nothing to check."""

    def __init__(self, function: Callable[[], float]) -> None:
        super().__init__(function, type_name="HostValue")

    def checked(self, operation: Operation, results: Sequence[Known]) -> Callable[..., list[Any]]:
        """The number as an array."""
        function, dtype = self.function, results[0][1].numpy
        return lambda: [np.asarray(function(), dtype)]


class HostEffectKind(HostCallKind):
    """A function of nothing that gives nothing, called for its effect."""

    def __init__(self, function: Callable[[], None]) -> None:
        super().__init__(function, type_name="HostEffect")

    def checked(self, operation: Operation, results: Sequence[Known]) -> Callable[..., list[Any]]:
        """The function, and no results."""
        function = self.function

        def call() -> list[Any]:
            function()
            return []

        return call


def host_value(value: Any, dtype: dtypes.DType) -> np.ndarray[Any, Any]:
    """What Python gave as an array of ``dtype``; strings as objects."""
    if dtype is dtypes.string:
        return np.array(value, dtype=object)
    return np.asarray(value, dtype.numpy)


@dataclass(frozen=True, slots=True)
class Bound:
    """In the pattern of a ``SliceKind``, the place of a value among the inputs after the first."""

    place: int


class SliceKind(Kind):
    """Basic indexing whose bounds are values: ``pattern`` is the index with a ``Bound`` where a further input goes."""

    type = "StridedSlice"

    def __init__(self, pattern: tuple[Any, ...]) -> None:
        self.pattern = pattern

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """Index the first input."""
        return (inputs[0][self.key([int(run.value_of(t)) for t in inputs[1:]])],)

    def key(self, numbers: Sequence[int]) -> tuple[Any, ...]:
        """The index, with these numbers for the bounds."""
        return tuple(_bounded(item, numbers) for item in self.pattern)

    def config(self, operation: Operation) -> dict[str, Any]:
        """The pattern."""
        return {"pattern": self.pattern}


def _bounded(item: Any, numbers: Sequence[int]) -> Any:
    if isinstance(item, slice):
        return slice(*[_bounded(b, numbers) for b in (item.start, item.stop, item.step)])
    return numbers[item.place] if isinstance(item, Bound) else item


__all__ = [
    "Bound", "CompositeKind", "ConstKind", "DefaultPlaceholderKind", "EagerTensorKind", "GeneratorKeyKind",
    "HostCallKind",
    "HostEffectKind",
    "HostNumberKind", "NoOpKind", "PlaceholderKind", "RandomKeyKind", "ShapeKind", "SliceKind", "UnfedError",
    "host_value",
]  # fmt: skip
