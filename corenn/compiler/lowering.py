"""From a graph to a program: what a run needs, specialised to the shapes it is given."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.autodiff.tape import recording_tapes
from corenn.compiler.program import Block, HostCall, If, Instruction, Key, Program, Symbol, UnknownValueError, While
from corenn.compiler.tracing import Trace, _trace, recording, recording_device, tensor_of
from corenn.device import Device
from corenn.errors import GraphError
from corenn.graph.operations import Known, Operation, Run
from corenn.graph.past import Past
from corenn.graph.subgraph import SubGraph, blame
from corenn.graph.tensors import GraphTensor
from corenn.spec import Spec
from corenn.tensor import Tensor

#: Loops whose number of iterations is known are written out up to this many.
_UNROLLED = 512


class TraceRun(Past):
    """The run that operations see while a program is traced (see ``corenn.graph.operations.Run``)."""

    def __init__(self, device: Device, specs: Callable[[Any], Spec | None]) -> None:
        super().__init__()
        self.target, self.device = device, recording_device(device)
        self._specs = specs
        self.state: dict[int, tuple[Any, Symbol]] = {}
        self._loops = 0  # instructions around what is being traced that run it more than once
        #: Whether which variables have a value at all made a difference.
        self.asked_initialized = False

    # ---- state

    def read(self, cell: Any) -> Tensor:
        """The value: that of the last write, or a state input."""
        found = self.values.get(id(cell))
        if found is None:
            state = self.state.get(id(cell))  # read before, in a branch that is left
            if state is None:
                spec = self._specs(cell)
                if spec is None:
                    from corenn.graph.state import UninitializedError

                    raise UninitializedError(cell)
                state = self.state[id(cell)] = (cell, Symbol(spec.at(self.target)))
            found = self.values[id(cell)] = tensor_of(state[1], self.device)
        return found

    def write(self, cell: Any, value: Tensor) -> None:
        """Replace the value."""
        self.values[id(cell)] = value
        self.written[id(cell)] = cell

    def initialized(self, cell: Any) -> bool:
        """Whether it has a value, now."""
        self.asked_initialized = True
        return id(cell) in self.values or self._specs(cell) is not None

    # ---- the host

    def key(self, operation: Operation) -> Tensor:
        """A key, drawn when the program runs."""
        again = isinstance(operation.graph, SubGraph) and not self._loops  # a gradient may ask for it again
        symbol = Symbol(Spec((3,), dtypes.uint64, self.target))
        self._append(Key(operation, symbol, operation, self.draws.place(operation) if again else None))
        return tensor_of(symbol, self.device)

    def value_of(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """The value of a constant."""
        return self.device.backend.to_host(tensor.data)

    def constant(self, array: np.ndarray[Any, Any]) -> Tensor:
        """A constant."""
        if array.dtype == object:
            return tensor_of(Symbol(Spec(array.shape, dtypes.string, self.target), array), self.device)
        return Tensor(
            self.device.backend.from_host(array, 0), Spec(array.shape, dtypes.as_dtype(array.dtype), self.device)
        )

    def place(self, tensor: Tensor) -> Tensor:
        """A constant: the tensor's array, moved if need be."""
        moved = tensor if tensor.device is self.target else tensor.to(self.target)
        return tensor_of(Symbol(moved.spec, moved.data), self.device)

    def call_host(
        self, operation: Operation, function: Callable[..., list[Any]], inputs: Sequence[Tensor],
        results: Sequence[Known],
    ) -> list[Tensor]:  # fmt: skip
        """Record a call of Python."""
        if self.rerunning and operation.kind.effects:
            raise UnknownValueError("py_function", "it has effects inside a branch or loop that is differentiated")
        if any(shape is None or None in shape for shape, _ in results):
            raise UnknownValueError("py_function", "the shapes of its results are not stated")
        found = [Symbol(Spec(shape or (), dtype, self.target)) for shape, dtype in results]
        self._append(HostCall(function, [t.data for t in inputs], found, self._where, not operation.kind.effects))
        return [tensor_of(s, self.device) for s in found]

    # ---- control flow

    def branch(self, predicate: Tensor, branches: Sequence[Callable[[Run], list[Tensor]]]) -> list[Tensor]:
        """The chosen branch if that is known; else an ``If``, whose outputs include what the branches write."""
        if predicate.data.constant:
            return branches[0 if bool(self.value_of(predicate)) else 1](self)
        _refuse_tapes("cond")
        before, outer = dict(self.values), dict(self.written)
        traced = []
        for function in branches:
            self.values, self.written = dict(before), {}
            trace, results = self._nested(functools.partial(function, self))
            traced.append((trace, results, self.values, self.written))
        cells = {key: cell for *_, written in traced for key, cell in written.items()}
        self.values = before
        ends = []
        for _, results, values, _ in traced:
            written = [values[key] if key in values else self.read(cell) for key, cell in cells.items()]
            ends.append([*results, *written])
        for a, b in zip(*ends, strict=True):
            if a.spec is not b.spec:
                raise UnknownValueError("cond", "the branches give different shapes", {"true": a.spec, "false": b.spec})
        outputs = [Symbol(t.spec.at(self.target)) for t in ends[0]]
        blocks = [
            Block(trace.instructions, [t.data for t in end]) for (trace, *_), end in zip(traced, ends, strict=True)
        ]
        self._append(If(predicate.data, blocks[0], blocks[1], outputs, self._where))
        tensors = [tensor_of(s, self.device) for s in outputs]
        count = len(traced[0][1])
        self.written = outer
        for (key, cell), value in zip(cells.items(), tensors[count:], strict=True):
            self.values[key], self.written[key] = value, cell
        return tensors[:count]

    def loop(
        self, state: Sequence[Tensor], condition: Callable[[list[Tensor], Run], Tensor],
        body: Callable[[list[Tensor], Run], list[Tensor]], most: int | None,
    ) -> list[Tensor]:  # fmt: skip
        """The iterations written out if their number is known; else a ``While`` over state of fixed shapes."""
        current, count = list(state), 0
        while most is None or count < most:
            mark = len(self._here.instructions)
            holds = condition(current, self)
            if not holds.data.constant:
                if any(isinstance(i, Key) for i in self._here.instructions[mark:]):
                    raise UnknownValueError("while_loop", "its condition draws random numbers")
                del self._here.instructions[mark:]
                break
            if not bool(self.value_of(holds)):
                return current
            if count == _UNROLLED:
                raise UnknownValueError("while_loop", f"it runs more than {_UNROLLED} times")
            current = body(current, self)
            count += 1
        else:
            return current
        return self._while(current, condition, body, None if most is None else most - count)

    def _while(
        self, state: list[Tensor], condition: Callable[[list[Tensor], Run], Tensor],
        body: Callable[[list[Tensor], Run], list[Tensor]], most: int | None,
    ) -> list[Tensor]:  # fmt: skip
        _refuse_tapes("while_loop")
        parameters = [Symbol(t.spec.at(self.target)) for t in state]
        inside = [tensor_of(p, self.device) for p in parameters]
        before = dict(self.written)
        self.written = {}
        self._loops += 1
        test, holds = self._nested(lambda: [condition(inside, self)])
        step, after = self._nested(lambda: body(inside, self))
        self._loops -= 1
        if self.written:
            raise UnknownValueError("while_loop", "its body writes variables")
        self.written = before
        for a, b in zip(state, after, strict=True):
            if a.spec is not b.spec:
                raise UnknownValueError(
                    "while_loop", "a loop variable changes its shape", {"from": a.spec, "to": b.spec}
                )
        outputs = [Symbol(p.spec) for p in parameters]
        self._append(
            While(
                [t.data for t in state], parameters, Block(test.instructions, [holds[0].data]),
                Block(step.instructions, [t.data for t in after]), most, outputs, self._where,
            )
        )  # fmt: skip
        return [tensor_of(s, self.device) for s in outputs]

    def _nested(self, function: Callable[[], list[Tensor]]) -> tuple[Trace, list[Tensor]]:
        trace = Trace(self._where)
        token = _trace.set(trace)
        try:
            return trace, function()
        finally:
            _trace.reset(token)

    # ---- the trace

    @property
    def _here(self) -> Trace:
        found = _trace.get()
        assert found is not None  # operations run inside ``lower``
        return found

    @property
    def _where(self) -> Any:
        return self._here.where

    def _append(self, instruction: Instruction) -> None:
        self._here.instructions.append(instruction)


def _refuse_tapes(what: str) -> None:
    """A tape cannot look into instructions: differentiating needs the decision, or the number of iterations."""
    if recording_tapes():
        raise UnknownValueError(what, "its gradient depends on values that are only known when the program runs")


def lower(
    operations: Sequence[Operation], fetches: Sequence[GraphTensor], feeds: Mapping[GraphTensor, Spec],
    cells: Collection[Any], device: Device, specs: Callable[[Any], Spec | None],
    values: Mapping[GraphTensor, np.ndarray[Any, Any]] | None = None,
) -> tuple[Program, bool]:  # fmt: skip
    """The program of ``operations`` (in the order they run) for ``fetches``, and whether it holds only as long as no
    further variable is initialised.

    ``feeds``: specs of the fed tensors, the program's inputs in this order; ``cells``: those of them that are
    variables, which read as what is fed.  ``specs``: the spec of a variable's value, ``None`` where it has none.
    ``values``: feeds that are constants of this program.  Raises UnknownValueError when shapes or decisions depend on
    values.
    """
    run = TraceRun(device, specs)
    inputs = [Symbol(spec.at(device)) for spec in feeds.values()]
    known: dict[int, Tensor] = {}
    for tensor, symbol in zip(feeds, inputs, strict=True):
        fixed = None if values is None else values.get(tensor)
        known[id(tensor)] = tensor_of(symbol, run.device) if fixed is None else run.constant(fixed)
    for cell in cells:
        run.values[id(cell)] = known[id(cell)]
    trace = Trace()
    with recording(trace, run.device):
        for operation in operations:
            trace.where = operation
            if operation.outputs and all(id(o) in known for o in operation.outputs):
                continue
            operands = [known[id(i)] for i in operation.kind.operands(operation)]
            try:
                results = operation.kind.run(operation, operands, run)
            except GraphError:
                raise
            except Exception as error:
                blame(error, operation, operands)
                raise
            for output, result in zip(operation.outputs, results, strict=True):
                known.setdefault(id(output), result)
        found = [known[id(f)] for f in fetches]
    writes = [(cell, run.values[key].data) for key, cell in run.written.items()]
    block = Block(trace.instructions, [*[t.data for t in found], *[s for _, s in writes]])
    program = Program(device, inputs, list(run.state.values()), block, [t.data for t in found], writes)
    return program, run.asked_initialized


__all__ = ["TraceRun", "lower"]
