"""``Graph``: named operations, made by calling ops while the graph is the default one.

A graph is an interpreter of op calls (see ``corenn.ops.dispatch``): inside ``with graph.as_default()`` an op adds an
operation and gives ``GraphTensor``s instead of running.  Names, scopes, collections and control dependencies are kept
as in TensorFlow 1, so that graphs look familiar and checkpoints fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, cast

import numpy as np

from corenn import dtypes
from corenn.dtypes import DType
from corenn.errors import GraphError, UsageError, user_site
from corenn.graph.deferred import defer
from corenn.graph.kinds import (
    CompositeKind,
    ConstKind,
    EagerTensorKind,
    GeneratorKeyKind,
    HostEffectKind,
    HostNumberKind,
    RandomKeyKind,
)
from corenn.graph.names import Names, check, type_of
from corenn.graph.operations import Kind, Known, Operation, TableKind
from corenn.graph.partial import infer_call, infer_partial
from corenn.graph.tensors import GraphTensor
from corenn.ops.binding import bind_attributes, bind_operands, convert_operands, promote_operands
from corenn.ops.dispatch import _interpreter, current
from corenn.ops.table import Op
from corenn.tensor import Tensor, host_array
from corenn.variable import Variable


class Graph:
    """Operations by name, the scopes they are made in, and collections of what is in it.

    ``with graph.as_default():`` makes ops add to it.  ``seed`` makes its random operations repeat in every session.
    Adding raises GraphError after ``finalize()``, for names that operations cannot have, and for tensors of another
    graph; what is known of shapes and dtypes is checked then, with the errors that the ops raise when they run.
    Looking up raises KeyError for what is not there and ValueError for what is another graph's.
    """

    #: What its operations' results are: subclasses (the TensorFlow facade) may give them further methods.
    tensor_class: ClassVar[type[GraphTensor]] = GraphTensor
    operation_class: ClassVar[type[Operation]] = Operation

    def __init__(self) -> None:
        self.seed: int | None = None
        self.finalized = False
        self.collections: dict[str, list[Any]] = {}
        self._operations: list[Operation] = []
        self._by_name: dict[str, Operation] = {}
        self._names = Names()
        self._scope = ""
        self._controls: list[Operation] = []
        self._device = ""
        self._chosen: tuple[str | None, str | None] | None = None
        self._table_kinds: dict[str, TableKind] = {}
        self._rules: dict[str, str] = {}  # of gradient_override_map
        self.inner_draws = 0  # random operations in branches, loops and functions
        #: Eager variables that are read, by identity, and the tensors of their values.
        self.reads: dict[int, tuple[Variable, list[GraphTensor]]] = {}
        #: Variables of elsewhere that operations of this graph write, by identity.
        self.written: dict[int, Any] = {}
        #: What scopes of variables keep here (see ``corenn.graph.scopes``).
        self.variable_scopes: dict[str, Any] = {}

    # ---- being the default

    @contextmanager
    def as_default(self) -> Iterator[Graph]:
        """Make ops called in the block add operations to this graph."""
        token = _interpreter.set(self)
        try:
            yield self
        finally:
            _interpreter.reset(token)

    def __call__(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Add an operation for one call of a table op; its results as graph tensors."""
        if any(isinstance(a, Tensor) and a.dtype is dtypes.string for a in args):
            from corenn.graph import text  # reads kinds, which are made of graphs

            if op.name in text.MOVES:
                return text.moved(self, op, args, attrs)
        chosen, self._chosen = self._chosen, None
        name, type_name = chosen or (None, None)
        given, extra = defer(attrs)
        bound = bind_attributes(op, given)
        operands = bind_operands(op, args)
        unique = self.unique_name(name or type_name or type_of(op.name), mark=False)
        with self._inside(unique):
            tensors = self._operands(op, operands)
        present = [t for t in tensors if t is not None]
        known = [None if t is None else (t.extents, t.dtype) for t in tensors]
        placed = {k: _placed(v, len(present)) for k, v in bound.items()} if extra else bound
        results = infer_partial(op, known, placed)
        absent = tuple(i for i, t in enumerate(tensors) if t is None)
        hidden: dict[str, Any] = {}
        if absent:
            hidden["_absent"] = absent
        if extra:
            hidden["_operands"] = len(present)
        if type_name:
            hidden["_type"] = type_name
        kind = self._table_kinds.get(op.name)
        if kind is None:
            kind = self._table_kinds[op.name] = TableKind(op, type_of(op.name))
        operation = self.add(kind, [*present, *map(self.convert, extra)], results, {**placed, **hidden}, name=name)
        return operation.outputs if op.results is not None else operation.outputs[0]

    def _operands(self, op: Op, operands: Sequence[Any]) -> list[GraphTensor | None]:
        """The operands of a table op as tensors of this graph, of promoted dtypes."""
        names = op.operand_names(len(operands))
        own = tuple(self.convert(v) if isinstance(v, Tensor) else v for v in operands)

        def make(position: int, value: Any, dtype: DType | None) -> GraphTensor:
            return self.constant(value, dtype, name=names[position].replace("[", "_").replace("]", ""))

        tensors = convert_operands(op, own, make)
        if op.family.promote:
            tensors = promote_operands(op, tensors)
        return tensors  # type: ignore[return-value]  # all were converted

    # ---- adding operations

    def add(
        self, kind: Kind, inputs: Sequence[GraphTensor], results: Sequence[Known], attrs: dict[str, Any] | None = None,
        *, name: str | None = None, where: str | None = None, controls: Sequence[Operation] | None = None,
    ) -> Operation:  # fmt: skip
        """Add an operation of ``kind``.  ``name`` defaults to the type's, and is made unique in the present scope.

        A name that ends in ``/`` is taken as it is, without the scope.  Raises GraphError when the graph is final.
        """
        if self.finalized:
            raise GraphError(
                "", "Graph is finalized and cannot be modified.", hint="build everything before finalize()"
            )
        attrs = attrs or {}
        wanted = name or attrs.get("_type") or kind.type
        if wanted.endswith("/"):
            unique = wanted[:-1]
            self._names.take(unique)
        else:
            unique = self.unique_name(check(wanted, scoped=bool(self._scope)))
        if unique in self._by_name:
            raise GraphError("name", f"there is an operation {unique!r} already")
        known = {i.operation for i in inputs}
        waiting = self._controls if controls is None else controls
        operation = self.operation_class(
            self, kind, unique, inputs, results, attrs, [c for c in waiting if c not in known],
            where if where is not None else user_site(), self._device,
        )  # fmt: skip
        if self._rules and operation.type in self._rules:
            operation.attrs["_gradient_op_type"] = self._rules[operation.type]
        operation.number = len(self._operations)
        self._operations.append(operation)
        self._by_name[unique] = operation
        return operation

    def convert(self, value: Any, dtype: DType | None = None, name: str | None = None) -> GraphTensor:
        """``value`` as a tensor of this graph: constants for numbers and arrays, captures for eager tensors."""
        to_graph = getattr(value, "__corenn_graph_tensor__", None)
        if to_graph is not None:  # variables of graphs
            value = to_graph(self)
        if isinstance(value, GraphTensor):
            found = value if value.graph is self else self.capture(value)
        elif isinstance(value, Variable):
            found = self.capture_variable(value)
        elif isinstance(value, Tensor):
            found = self.capture_tensor(value, name)
        elif isinstance(value, (list, tuple)) and _holds_tensor(value):
            from corenn.ops.shaping import stack

            with self.as_default():
                found = cast("GraphTensor", stack([self.convert(v, dtype) for v in value]))
        else:
            found = self.constant(value, dtype, name)
        if dtype is not None and found.dtype is not dtype:
            from corenn.ops.elementwise import cast as cast_op

            return cast("GraphTensor", cast_op(found, dtype=dtype))
        return found

    def constant(self, value: Any, dtype: DType | None = None, name: str | None = None) -> GraphTensor:
        """A constant operation; ``value``: a number, nested lists, an array, strings, or an eager tensor."""
        array = value.numpy() if isinstance(value, Tensor) else constant_array(value, dtype)
        known = dtypes.string if array.dtype == object else dtypes.as_dtype(array.dtype)
        array.flags.writeable = False
        return self.add(ConstKind(), [], [(array.shape, known)], {"value": array}, name=name, controls=[]).outputs[0]

    def capture(self, tensor: GraphTensor) -> GraphTensor:
        """A tensor of another graph for use in this one: only graphs inside that one can."""
        made = tensor.operation.where
        raise GraphError(
            tensor.name, "it belongs to another graph",
            {"made": f"at {made}" if made else "elsewhere"},
            hint="build both parts inside one `with graph.as_default():`",
        )  # fmt: skip

    def capture_tensor(self, tensor: Tensor, name: str | None = None) -> GraphTensor:
        """An eager tensor for use in this graph, which keeps it."""
        known = (tensor.spec.shape, tensor.spec.dtype)
        return self.add(EagerTensorKind(tensor), [], [known], name=name, controls=[]).outputs[0]

    def capture_variable(self, variable: Variable) -> GraphTensor:
        """The value, when the graph runs, of an eager variable."""
        from corenn.graph.state import read_eager

        made = read_eager(self, variable)
        self.reads.setdefault(id(variable), (variable, []))[1].append(made)
        return made

    def assign_variable(self, variable: Variable, value: Any) -> None:
        """Add an operation that writes an eager variable: what ``variable.assign`` means while the graph is built."""
        from corenn.graph.state import assign

        assign(self, variable, value)

    def tape_gradient(self, targets: Any, sources: Any, seeds: Any, zeros: bool) -> Any:
        """What a tape that was opened while the graph is built gives: gradients as operations of the graph."""
        from corenn.graph.gradients import gradients_for_tape

        return gradients_for_tape(self, targets, sources, seeds, zeros)

    def call(
        self, function: Callable[..., Any], *inputs: Any, type_name: str, name: str | None = None,
        results: Sequence[Known] | None = None, effects: bool = False,
    ) -> tuple[GraphTensor, ...]:  # fmt: skip
        """Add one operation that runs ``function(*tensors)``, Python written in ops, once all shapes are known.

        For what needs shapes to choose its ops.  ``function`` returns a tensor or a tuple of them; ``results`` says
        what is known of those (default: found by trying).
        """
        tensors = [self.convert(v) for v in inputs]
        found = results if results is not None else infer_call(function, [(t.extents, t.dtype) for t in tensors])
        return self.add(CompositeKind(function, type_name, effects), tensors, found, name=name).outputs

    def host_value(self, function: Callable[[], float], dtype: DType) -> GraphTensor:
        """A 0-d tensor that every run asks ``function`` for, where it stands in the order of operations."""
        return self.add(HostNumberKind(function), [], [((), dtype)], controls=[]).outputs[0]

    def host_effect(self, function: Callable[[], None]) -> Operation:
        """Call ``function`` in every run, where this stands in the order of operations."""
        return self.add(HostEffectKind(function), [], [], controls=[])

    def random_key(self, seed: int | None = None, generator: Any = None) -> GraphTensor:
        """A key of a stream of its own, uint64[3]: each run of a session takes the next."""
        if generator is not None:
            return self.add(GeneratorKeyKind(generator), [], [((3,), dtypes.uint64)]).outputs[0]
        attrs = {"graph_seed": self.seed, "seed": seed, "last": self._place_of_draw()}
        return self.add(RandomKeyKind(), [], [((3,), dtypes.uint64)], attrs).outputs[0]

    def _place_of_draw(self) -> int:
        """What tells a random operation's stream from those of all others in the graph."""
        return len(self._operations)

    # ---- names and scopes

    def unique_name(self, name: str, mark: bool = True) -> str:
        """``name`` in the present scope, made unique; it is taken from then on (if ``mark``)."""
        return self._names.unique(self._scope + name, mark)

    @property
    def scope(self) -> str:
        """The present name scope: ``""``, or a name that ends in ``/``."""
        return self._scope

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """Prefix the names of operations made in the block; yields the whole prefix, ending in ``/``.

        The scope's name is made unique; one that ends in ``/`` is entered again as it is; ``None`` or ``""`` leaves
        all scopes.
        """
        if not name:
            inner = ""
        elif name.endswith("/"):
            inner = name
        else:
            inner = self.unique_name(check(name, scoped=bool(self._scope))) + "/"
        with self._inside(inner[:-1] if inner else None):
            yield inner

    @contextmanager
    def _inside(self, prefix: str | None) -> Iterator[None]:
        before, self._scope = self._scope, f"{prefix}/" if prefix else ""
        try:
            yield
        finally:
            self._scope = before

    def calling(self, name: str | None = None, type_name: str | None = None) -> Graph:
        """Set name and type of the next operation a table op adds: ``with`` is not needed, the call takes them."""
        self._chosen = None if name is None and type_name is None else (name, type_name)
        return self

    @contextmanager
    def control_dependencies(self, before: Iterable[Any] | None) -> Iterator[None]:
        """Operations made in the block run after those in ``before`` (operations or tensors; ``None`` clears all)."""
        outer = self._controls
        if before is None:
            self._controls = []
        else:
            made = [getattr(b, "operation", b) for b in before]
            for operation in made:
                if not isinstance(operation, Operation):
                    raise UsageError("control_dependencies", f"{type(operation).__name__} is no operation or tensor")
            self._controls = [*outer, *[m for m in made if m not in outer]]
        try:
            yield
        finally:
            self._controls = outer

    def inside(self, home: Graph) -> bool:
        """Whether this graph is ``home`` or runs as a part of it, so that it can use its tensors."""
        return self is home

    @property
    def controlled(self) -> bool:
        """Whether operations made now wait for others."""
        return bool(self._controls)

    @contextmanager
    def device(self, name: Any) -> Iterator[None]:
        """Note a device on the operations made in the block: where they run is the session's choice."""
        before, self._device = self._device, name if isinstance(name, str) else ""
        try:
            yield
        finally:
            self._device = before

    # ---- looking things up

    @contextmanager
    def gradient_override_map(self, rules: Mapping[str, str]) -> Iterator[None]:
        """Operations made in the block, whose type is in ``rules``, have the gradient registered under its value.

        ``corenn.graph.register_gradient`` names a gradient.  Raises UsageError for what is no dict of strings.
        """
        if not isinstance(rules, Mapping) or not all(isinstance(x, str) for pair in rules.items() for x in pair):
            raise UsageError("gradient_override_map", f"takes a dict of strings by strings, not {rules!r}")
        before, self._rules = self._rules, {**self._rules, **rules}
        try:
            yield
        finally:
            self._rules = before

    def get_operations(self) -> list[Operation]:
        """All operations, in the order they were made."""
        return list(self._operations)

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation called ``name``; KeyError if there is none."""
        found = self._by_name.get(name)
        if found is None:
            raise KeyError(f"The name {name!r} refers to an Operation not in the graph.")
        return found

    def get_tensor_by_name(self, name: str) -> GraphTensor:
        """The tensor called ``"operation:index"``; KeyError if there is none, ValueError for another spelling."""
        operation, colon, index = name.rpartition(":")
        if not colon or not index.isdecimal():
            raise ValueError(
                f'The name {name!r} looks like an operation\'s; tensors are called "<op_name>:<output_index>".'
            )
        if operation not in self._by_name:
            raise KeyError(
                f"The name {name!r} refers to a Tensor which does not exist. The operation, {operation!r}, does not "
                "exist in the graph."
            )
        outputs = self._by_name[operation].outputs
        if int(index) >= len(outputs):
            raise KeyError(
                f"The name {name!r} refers to a Tensor which does not exist. The operation, {operation!r}, exists but "
                f"only has {len(outputs)} outputs."
            )
        return outputs[int(index)]

    def as_element(self, given: Any) -> GraphTensor | Operation:
        """The tensor or operation that ``given`` is or names, checked to be of this graph (ValueError otherwise)."""
        if isinstance(given, str):
            return self.get_tensor_by_name(given) if ":" in given else self.get_operation_by_name(given)
        to_graph = getattr(given, "__corenn_element__", None)
        element = given if to_graph is None else to_graph()
        if not isinstance(element, (GraphTensor, Operation)):
            raise TypeError(f"{type(given).__name__} is neither a tensor nor an operation of a graph")
        if element.graph is not self:
            kind = "Tensor" if isinstance(element, GraphTensor) else "Operation"
            raise ValueError(f"{kind} {element!r} is not an element of this graph.")
        return element

    # ---- collections

    def add_to_collection(self, name: str, value: Any) -> None:
        """Append ``value`` to the collection ``name``."""
        self.collections.setdefault(name, []).append(value)

    def get_collection(self, name: str, scope: str | None = None) -> list[Any]:
        """A copy of the collection; with ``scope``, only what has a name that the regular expression matches.

        Raises ``re.error`` for a ``scope`` that is none; ``corenn.graph.get_collection`` says what is wrong with it.
        """
        found = list(self.collections.get(name, ()))
        if scope is None:
            return found
        return [v for v in found if hasattr(v, "name") and re.match(scope, v.name)]

    def get_collection_ref(self, name: str) -> list[Any]:
        """The collection itself; changes to the list change it."""
        return self.collections.setdefault(name, [])

    def clear_collection(self, name: str) -> None:
        """Empty the collection."""
        self.collections.pop(name, None)

    def finalize(self) -> None:
        """Refuse further operations from here on."""
        self.finalized = True

    def session_for(self, where: str, session: Any = None) -> Any:
        """``session``, or the innermost ``with session:`` block's; ValueError if there is none or it is another's."""
        from corenn.graph.session import session_for

        return session_for(self, where, session)

    def __repr__(self) -> str:
        return f"<corenn.graph.Graph with {len(self._operations)} operations>"


def constant_array(value: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    """A constant's value as an array of its own; strings as an array of objects."""
    if isinstance(value, (str, bytes)) or dtype is dtypes.string:
        return np.array(value, dtype=object)
    if isinstance(value, (bool, int, float, complex)):
        return np.array(value, (dtype or dtypes.default_dtype(value)).numpy)
    found = np.asarray(value) if not isinstance(value, (list, tuple)) else None
    if found is not None and found.dtype == object and all(isinstance(v, (str, bytes)) for v in found.reshape(-1)):
        return found.copy()
    if found is None or found.dtype.kind in "USO":
        strings = np.array(value)
        if strings.dtype.kind in "US":
            return strings.astype(object)
    return np.array(host_array(value, dtype))


def _holds_tensor(value: Any) -> bool:
    return any(isinstance(v, Tensor) or (isinstance(v, (list, tuple)) and _holds_tensor(v)) for v in value)


def _placed(value: Any, first: int) -> Any:
    """An attribute whose ``Deferred`` places count from ``first``."""
    from corenn.graph.operations import Deferred

    if isinstance(value, Deferred):
        return Deferred(value.position + first, value.known)
    return tuple(_placed(v, first) for v in value) if isinstance(value, tuple) else value


_default = Graph()


def get_default_graph() -> Graph:
    """The graph of the innermost ``with graph.as_default():``, else the process's own; never raises."""
    here = current()
    return here if isinstance(here, Graph) else _default


def reset_default_graph() -> None:
    """Put a new, empty graph in the place of the process's own."""
    global _default
    _default = type(_default)()


def building() -> Graph | None:
    """The graph that ops add to here and now, or ``None`` where they run."""
    here = current()
    return here if isinstance(here, Graph) else None


__all__ = ["Graph", "building", "constant_array", "get_default_graph", "reset_default_graph"]
