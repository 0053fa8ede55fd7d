"""``Operation``: a node of a graph, and ``Kind``: what nodes of one type do when they run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from corenn.dtypes import DType
from corenn.graph.tensors import GraphTensor
from corenn.ops.table import Op
from corenn.spec import Shape
from corenn.tensor import Tensor

if TYPE_CHECKING:
    from corenn.graph.graph import Graph

Known = tuple[Shape | None, DType]  #: what is known of a result while the graph is built


class Run(Protocol):
    """What a run of a graph offers its operations beside their operands: the state, random keys, values on the host."""

    def read(self, cell: Any) -> Tensor:
        """The present value of a variable."""

    def write(self, cell: Any, value: Tensor) -> None:
        """Replace the value of a variable from here on."""

    def initialized(self, cell: Any) -> bool:
        """Whether a variable has a value."""

    def key(self, operation: Operation) -> Tensor:
        """The next key of a random operation, uint64[3]."""

    def start(self, operation: Operation) -> None:
        """Note that an operation with branches or loops begins to run (see ``corenn.graph.past``)."""

    def again(self, operation: Operation) -> AbstractContextManager[None]:
        """In the block an operation that has run runs as it did, and without effects."""

    def assume(self, tensors: Iterable[GraphTensor], values: Iterable[Tensor]) -> None:
        """Inside ``again``: variables whose values are ``tensors`` read as ``values``."""

    def value_of(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """The value on the host, for what must be known to choose what to compute (a shape, an axis)."""

    def call_host(
        self, operation: Operation, function: Callable[..., list[Any]], inputs: Sequence[Tensor],
        results: Sequence[Known],
    ) -> list[Tensor]:  # fmt: skip
        """Call Python on the values: ``function(*arrays)`` returns a list of arrays; ``operation`` says if it may be
        left out, or called again.
        """

    def constant(self, array: np.ndarray[Any, Any]) -> Tensor:
        """An array as a tensor on the run's device."""

    def place(self, tensor: Tensor) -> Tensor:
        """An eager tensor on the run's device."""

    def branch(self, predicate: Tensor, branches: Sequence[Callable[[Run], list[Tensor]]]) -> list[Tensor]:
        """The results of the first function if ``predicate`` holds, else of the second."""

    def loop(
        self, state: Sequence[Tensor], condition: Callable[[list[Tensor], Run], Tensor],
        body: Callable[[list[Tensor], Run], list[Tensor]], most: int | None,
    ) -> list[Tensor]:  # fmt: skip
        """``state = body(state)`` while ``condition(state)`` holds, ``most`` times at most; the last state."""


class Kind(ABC):
    """What operations of one type do: a small object beside the operation, which has the inputs and attributes."""

    #: The type's name, as graphs list it and as automatic operation names begin.
    type: str

    #: Whether running it has effects, so that it may not be dropped, moved or run twice.
    effects: bool = False

    #: Whether its result is the value of the variable ``cell``, and nothing else is done.
    reads: bool = False

    #: Whether running it writes variables.
    writes: bool = False

    @abstractmethod
    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The results, one for each output of the operation."""

    def operands(self, operation: Operation) -> tuple[GraphTensor, ...]:
        """The inputs whose values running it needs."""
        return operation.inputs

    def config(self, operation: Operation) -> dict[str, Any] | None:
        """Attributes that, with the type, make the operation again elsewhere; ``None`` if it cannot be written down."""
        return dict(operation.attrs)


@dataclass(frozen=True, slots=True)
class Deferred:
    """In an attribute, the place of a value known only when the graph runs: input ``position`` of the operation.

    ``known`` is what is known of it before: an int or ``None`` for a number, a tuple of those for several;
    ``Ellipsis`` if not even how many there are.
    """

    position: int
    known: Any = None


class Operation:
    """A node of a graph: ``type``, ``name``, ``inputs`` and ``outputs`` (graph tensors), ``attrs``.

    ``control_inputs`` are operations that must run before it; ``where`` is the line of the user's program that made
    it (``"file:line"``), ``kind`` what it does, ``number`` its place in the order of creation.
    """

    __slots__ = (
        "__weakref__", "attrs", "control_inputs", "device", "graph", "inputs", "kind", "name", "number", "outputs",
        "where",
    )  # fmt: skip

    def __init__(
        self, graph: Graph, kind: Kind, name: str, inputs: Sequence[GraphTensor], results: Sequence[Known],
        attrs: Mapping[str, Any], control_inputs: Sequence[Operation], where: str | None, device: str,
    ) -> None:  # fmt: skip
        self.graph, self.kind, self.name, self.where, self.device = graph, kind, name, where, device
        self.inputs, self.attrs = tuple(inputs), dict(attrs)
        self.control_inputs = tuple(control_inputs)
        self.number = -1
        self.outputs = tuple(graph.tensor_class(self, i, shape, dtype) for i, (shape, dtype) in enumerate(results))

    @property
    def type(self) -> str:
        """The type's name, such as ``"MatMul"``."""
        found: str = self.attrs.get("_type") or self.kind.type
        return found

    @property
    def op(self) -> Operation:
        """Itself, so that an operation can be given where a tensor's operation is meant."""
        return self

    @property
    def values(self) -> tuple[GraphTensor, ...]:
        """The outputs."""
        return self.outputs

    def run(self, feed_dict: Any = None, session: Any = None) -> None:
        """Run it in ``session``, by default the innermost ``with session:``."""
        self.graph.session_for(f"{self.name}.run()", session).run(self, feed_dict)

    def get_attr(self, name: str) -> Any:
        """The attribute ``name``; ValueError if there is none."""
        if name not in self.attrs:
            raise ValueError(f"operation {self.name!r} has no attribute {name!r}; it has {sorted(self.attrs)}")
        return self.attrs[name]

    def __repr__(self) -> str:
        return f"<operation {self.name!r} type={self.type}>"


def needed(wanted: Iterable[Operation], given: Collection[int] = (), *, controls: bool = True) -> list[Operation]:
    """The operations that ``wanted`` need, themselves included, in the order they were made.

    ``given``: identities of tensors whose values need not be computed.  ``controls``: what they wait for, too.
    """
    found: set[Operation] = set()
    waiting = list(wanted)
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found.add(operation)
            waiting += [i.operation for i in operation.kind.operands(operation) if id(i) not in given]
            if controls:
                waiting += operation.control_inputs
    return sorted(found, key=lambda o: o.number)


class TableKind(Kind):
    """Ops of the op table.  ``operation.attrs`` are the op's, except those that begin with an underscore.

    ``_absent`` lists the places of optional operands that were not given; inputs beyond the operands are the values of
    ``Deferred`` attributes.
    """

    def __init__(self, op: Op, type_name: str) -> None:
        self.op, self.type = op, type_name

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """Call the op."""
        args, attrs = self.arguments(operation, inputs, run)
        out = self.op.public(*args, **attrs)
        return (out,) if self.op.results is None else tuple(out)

    def arguments(
        self, operation: Operation, inputs: Sequence[Tensor], run: Run
    ) -> tuple[list[Tensor | None], dict[str, Any]]:
        """Operands in the op's places, and attributes with their deferred values put in."""
        given = operation.attrs
        count = given.get("_operands", len(inputs))
        args: list[Tensor | None] = list(inputs[:count])
        for place in given.get("_absent", ()):
            args.insert(place, None)
        attrs = {name: value for name, value in given.items() if name[0] != "_"}
        if count < len(inputs):
            attrs = {name: resolved(value, inputs, run) for name, value in attrs.items()}
        return args, attrs

    def config(self, operation: Operation) -> dict[str, Any]:
        """The attributes; the op is named apart."""
        return {"op": self.op.name, **operation.attrs}


def resolved(value: Any, inputs: Sequence[Tensor], run: Run) -> Any:
    """An attribute with the values of its ``Deferred`` places, as plain Python numbers (or tuples of them)."""
    if isinstance(value, Deferred):
        found = run.value_of(inputs[value.position]).tolist()
        return _tuples(found)
    if isinstance(value, (list, tuple)):
        return tuple(resolved(v, inputs, run) for v in value)
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


__all__ = ["Deferred", "Kind", "Known", "Operation", "Run", "TableKind", "needed", "resolved"]
