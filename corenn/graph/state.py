"""Variables of a graph: a description in the graph, a value in each session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from corenn import dtypes, tree
from corenn.dtypes import as_dtype
from corenn.errors import DTypeError, GraphError, ShapeError
from corenn.graph.kinds import NoOpKind
from corenn.graph.operations import Kind, Operation, Run
from corenn.graph.partial import compatible
from corenn.graph.tensors import GraphTensor
from corenn.ops.elementwise import add as add_op
from corenn.ops.elementwise import subtract as subtract_op
from corenn.spec import Shape
from corenn.tensor import Tensor
from corenn.variable import Variable

if TYPE_CHECKING:
    from corenn.graph.graph import Graph

GLOBAL, LOCAL, TRAINABLE = "variables", "local_variables", "trainable_variables"


class UninitializedError(GraphError):
    """A variable was read in a session that has not initialised it; ``variable`` is the variable."""

    def __init__(self, variable: Any, operation: Operation | None = None) -> None:
        name = variable.operation.name if isinstance(variable, GraphTensor) else variable.name
        super().__init__(
            "run", f"Attempting to use uninitialized value {name}", hint="session.run(global_variables_initializer())",
            site=operation.where if operation is not None else None,
        )  # fmt: skip
        self.variable = variable


class VariableKind(Kind):
    """A variable: its output stands for the storage; ``cell`` is the ``GraphVariable``."""

    type = "VariableV2"
    cell: GraphVariable

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The present value."""
        return (run.read(self.cell),)


class ReadKind(Kind):
    """The value of a variable at this place in the order of operations."""

    type = "Identity"
    reads = True

    def __init__(self, cell: Any) -> None:
        self.cell = cell

    def operands(self, operation: Operation) -> tuple[GraphTensor, ...]:
        """None: the storage is read, not passed; an input only says where gradients go."""
        return ()

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The present value."""
        return (run.read(self.cell),)


class EagerReadKind(ReadKind):
    """The value of an eager variable that the graph uses."""

    type = "ReadVariable"

    def config(self, operation: Operation) -> None:
        """The variable lives outside the graph."""


class AssignKind(Kind):
    """Replace a variable's value by the second input, or by a function of both; the result is the new value."""

    effects = writes = True

    def __init__(self, cell: Any, type_name: str, combine: Callable[[Tensor, Tensor], Tensor] | None = None) -> None:
        self.cell, self.type, self.combine = cell, type_name, combine

    def operands(self, operation: Operation) -> tuple[GraphTensor, ...]:
        """The value; the storage is written, not read."""
        return operation.inputs[-1:]

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """Write."""
        value = inputs[-1] if self.combine is None else self.combine(run.read(self.cell), inputs[-1])
        known = self.cell.extents if isinstance(self.cell, GraphTensor) else self.cell.shape
        if not compatible(known, value.shape) and operation.attrs.get("validate_shape", True):
            raise ShapeError(
                operation.name, f"the value has another shape than {_name_of(self.cell)!r}",
                {"variable": known, "value": value.shape}, site=operation.where,
            )  # fmt: skip
        run.write(self.cell, value)
        return (value,)


def _name_of(cell: Any) -> str:
    found: str = cell.operation.name if isinstance(cell, GraphTensor) else cell.name
    return found


class InitializedValueKind(Kind):
    """A variable's value where it has one, else the input."""

    type = "InitializedValue"

    def __init__(self, cell: GraphVariable) -> None:
        self.cell = cell

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The value, or the input."""
        return (run.read(self.cell),) if run.initialized(self.cell) else inputs


class IsInitializedKind(Kind):
    """Whether a variable has a value in the session: a bool."""

    type = "IsVariableInitialized"

    def __init__(self, cell: GraphVariable) -> None:
        self.cell = cell

    def operands(self, operation: Operation) -> tuple[GraphTensor, ...]:
        """None."""
        return ()

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The answer."""
        return (run.constant(np.array(run.initialized(self.cell))),)


class GraphVariable(GraphTensor):
    """A variable of a graph; every session that initialises it has a value of its own.

    It can be used wherever a graph tensor can, and then means its value, of its ``shape`` and ``dtype``.
    ``initializer`` is the operation that sets the initial value; ``trainable`` says whether optimizers update it by
    default.  Runs raise UninitializedError where it is read before it has a value; ``assign``, ``assign_add`` and
    ``assign_sub`` raise DTypeError for a tensor of another dtype, ShapeError for one that does not fit its shape.
    """

    __slots__ = ("_read", "constraint", "initial_value", "initializer", "trainable")

    initializer: Operation
    initial_value: GraphTensor
    trainable: bool
    constraint: Any
    _read: GraphTensor

    @property
    def storage(self) -> Variable | None:
        """An eager variable that holds the value in place of the sessions, which then share it; ``None`` without one.

        A subclass may have one: so a layer's weights are the same in graphs and outside.
        """
        return None

    def __corenn_graph_tensor__(self, graph: Graph) -> GraphTensor:
        """What an op of ``graph`` takes in its place: the value at the start of a run, or after what it waits for."""
        if graph is self.graph:
            return self._read_in(graph) if graph.controlled else self._read
        return self._read_in(graph) if id(self) in graph.written else graph.capture(self)

    def _here(self) -> Graph:
        """Where operations on it go: the branch, loop or function being built, if inside the variable's graph."""
        from corenn.graph.graph import building

        here = building()
        return here if here is not None and here.inside(self.graph) else self.graph

    def _read_in(self, graph: Graph) -> GraphTensor:
        with graph.name_scope(self.operation.name + "/"):
            inputs = [self if graph is self.graph else graph.capture(self)]
            return graph.add(ReadKind(self), inputs, [(self.extents, self.dtype)], name="read").outputs[0]

    def __corenn_element__(self) -> GraphTensor:
        """What fetching it means: the value at the start of the run."""
        return self._read

    def value(self) -> GraphTensor:
        """The value at the start of a run."""
        return self._read

    def read_value(self) -> GraphTensor:
        """The value after the operations that the present control dependencies name."""
        return self._read_in(self._here())

    def initialized_value(self) -> GraphTensor:
        """The value if there is one, else the initial value: for initial values that depend on another variable."""
        known = (self.extents, self.dtype)
        return self.graph.add(InitializedValueKind(self), [self.initial_value], [known], controls=[]).outputs[0]

    def is_initialized(self) -> GraphTensor:
        """Whether the session has initialised it."""
        return self.graph.add(IsInitializedKind(self), [self], [((), dtypes.bool_)]).outputs[0]

    def assign(self, value: Any, *, validate_shape: bool = True, name: str | None = None) -> GraphTensor:
        """An operation that sets the value; its result is the new value."""
        return assign(self._here(), self, value, validate_shape=validate_shape, name=name)

    def assign_add(self, delta: Any, *, name: str | None = None) -> GraphTensor:
        """An operation that adds ``delta``."""
        return assign(self._here(), self, delta, "AssignAdd", name=name)

    def assign_sub(self, delta: Any, *, name: str | None = None) -> GraphTensor:
        """An operation that subtracts ``delta``."""
        return assign(self._here(), self, delta, "AssignSub", name=name)

    def load(self, value: Any, session: Any = None) -> None:
        """Set the value in ``session`` (by default the innermost ``with session:``) from Python.

        Raises ValueError where there is no session or it runs another graph, ShapeError for a value that does not fit.
        """
        self.graph.session_for(f"{self.name}.load()", session).load(self, value)

    def __repr__(self) -> str:
        extents = self.extents
        shape = "?" if extents is None else list(extents)
        return f"<variable {self.name!r} {self.dtype.name}{str(shape).replace('None', '?')}>"


_COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor] | None] = {
    "Assign": None, "AssignAdd": add_op, "AssignSub": subtract_op,
}  # fmt: skip


def assign(
    graph: Graph, cell: Any, value: Any, type_name: str = "Assign", *, validate_shape: bool = True,
    name: str | None = None, controls: Sequence[Operation] | None = None,
) -> GraphTensor:  # fmt: skip
    """Add an operation that writes ``value`` (or its sum or difference with the present value) to a variable."""
    known = cell.extents if isinstance(cell, GraphTensor) else cell.shape
    given = graph.convert(value, None if isinstance(value, Tensor) else cell.dtype, name="value")
    if given.dtype is not cell.dtype:
        raise DTypeError(
            f"assign to {_name_of(cell)!r}", "the value has another dtype",
            {"variable": cell.dtype, "value": given.dtype}, hint=f"corenn.cast(value, dtype={cell.dtype.name!r})",
        )  # fmt: skip
    combine = _COMBINE[type_name]
    shape = given.extents
    if validate_shape and known is not None and shape is not None and not _fits(known, shape, combine is not None):
        raise ShapeError(
            f"assign to {_name_of(cell)!r}", f"Shapes {_text(known)} and {_text(shape)} are not compatible",
            {"variable": known, "value": shape},
        )  # fmt: skip
    inputs = [cell, given] if isinstance(cell, GraphTensor) and cell.graph is graph else [given]
    attrs = {} if validate_shape else {"validate_shape": False}
    result = (known if validate_shape else None, cell.dtype)
    kind = AssignKind(cell, type_name, combine)
    home = cell.graph if isinstance(cell, GraphTensor) else None
    here: Any = graph
    while here is not None and here is not home:  # from here on it is read in this graph and those around, not captured
        here.written[id(cell)] = cell
        here = getattr(here, "outer", None)
    return graph.add(kind, inputs, [result], attrs, name=name, controls=controls).outputs[0]


def _fits(known: Shape, shape: Shape, spread: bool) -> bool:
    """Whether a value of ``shape`` may have the variable's shape (or, ``spread``, be broadcast to it)."""
    if len(shape) > len(known) or (len(shape) < len(known) and not spread):
        return False
    pairs = zip(reversed(known), reversed(shape), strict=False)
    return all(a is None or b is None or a == b or (spread and b == 1) for a, b in pairs)


def _text(shape: Sequence[int | None]) -> str:
    return f"({', '.join('?' if n is None else str(n) for n in shape)}{',' if len(shape) == 1 else ''})"


def variable(
    graph: Graph, initial_value: Any, *, name: str | None = None, trainable: bool = True, dtype: object = None,
    collections: Iterable[str] | None = None, validate_shape: bool = True, constraint: Any = None,
    full_name: str | None = None, cls: type[GraphVariable] = GraphVariable,
) -> GraphVariable:  # fmt: skip
    """Add a variable to ``graph``.

    ``initial_value``: a number, array, graph tensor, or a function returning one of those (called in a scope of the
    variable's name).  ``collections``: where to list it (default: the global variables); ``trainable`` variables are
    listed among the trainable ones, too.  ``full_name``: a name taken as it is, without the present scope.
    Shape and dtype are the initial value's; ``dtype`` casts it, ``validate_shape=False`` leaves the shape open.  Raises
    ShapeError for an initial value of unknown rank otherwise, DTypeError for no element type, GraphError for a name
    that operations cannot have and for an initial value of another graph.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    with (
        graph.control_dependencies(None),
        graph.name_scope((full_name + "/") if full_name else name or "Variable") as scope,
    ):
        if callable(initial_value):
            with graph.name_scope("Initializer"), graph.as_default():
                given = initial_value()
            if not (isinstance(given, GraphTensor) and given.graph is graph):
                given = graph.convert(given, wanted, name="initial_value")
        else:
            given = graph.convert(initial_value, wanted, name="initial_value")
        if wanted is not None and given.dtype is not wanted:
            given = graph.convert(given, wanted)
        if given.extents is None and validate_shape:
            raise ShapeError(
                "Variable", f"initial_value must have a shape specified: {given!r}",
                hint="validate_shape=False allows a variable whose shape is known when it is initialised",
            )  # fmt: skip
        kind = VariableKind()
        known = (given.extents if validate_shape else None, given.dtype)
        operation = graph.add(kind, [], [known], name=scope, controls=[])
        made = cls(operation, 0, *known)
        operation.outputs = (made,)
        kind.cell = made
        made.trainable, made.initial_value, made.constraint = trainable, given, constraint
        made.initializer = assign(
            graph, made, given, validate_shape=validate_shape, name="Assign", controls=[]
        ).operation
        made._read = graph.add(ReadKind(made), [made], [known], name="read", controls=[]).outputs[0]
    listed = list(collections if collections is not None else (GLOBAL,))
    if trainable and TRAINABLE not in listed:
        listed.append(TRAINABLE)
    for collection in listed:
        graph.add_to_collection(collection, made)
    return made


def read_eager(graph: Graph, cell: Variable, source: GraphTensor | None = None) -> GraphTensor:
    """The value of an eager variable at this place in the order of a graph's operations.

    ``source``: in a branch or loop, the value from outside, where gradients go.
    """
    return graph.add(
        EagerReadKind(cell), [] if source is None else [source], [(cell.shape, cell.dtype)], name=_graph_name(cell.name)
    ).outputs[0]


def _graph_name(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "_.-/" else "_" for c in name).strip("/") or "variable"
    return kept if kept[0].isalnum() else f"v{kept}"


def group(graph: Graph, *operations: Any, name: str | None = None) -> Operation:
    """An operation that does nothing, after all of ``operations`` (operations, tensors, or nested lists of them)."""
    before = [graph.as_element(o) for o in tree.leaves(list(operations)) if o is not None]
    waited = [getattr(b, "operation", b) for b in before]
    with graph.control_dependencies(waited):
        return graph.add(NoOpKind(), [], [], name=name or "group_deps")


def variables_initializer(graph: Graph, variables: Iterable[GraphVariable], name: str = "init") -> Operation:
    """An operation that initialises the variables."""
    return group(graph, *[v.initializer for v in variables], name=name)


__all__ = [
    "GLOBAL", "LOCAL", "TRAINABLE", "AssignKind", "EagerReadKind", "GraphVariable", "InitializedValueKind",
    "IsInitializedKind", "ReadKind", "UninitializedError", "VariableKind", "assign", "group", "read_eager", "variable",
    "variables_initializer",
]  # fmt: skip
