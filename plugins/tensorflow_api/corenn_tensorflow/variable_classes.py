"""Variables in both generations: of a graph, with a value in every session, and eager ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import corenn
from corenn.device import current_device
from corenn.errors import ShapeError
from corenn.graph import state
from corenn.graph.concrete import FunctionGraph
from corenn.graph.operations import Operation, needed
from corenn.graph.replay import ReplayRun, replay
from corenn.graph.state import GraphVariable
from corenn.graph.subgraph import ParameterKind
from corenn.graph.tensors import GraphTensor
from corenn.ops.dispatch import _interpreter
from corenn.variable import Variable as CoreVariable
from corenn_tensorflow import mode
from corenn_tensorflow.framework import Tensor, as_dtype, convert_to_tensor
from corenn_tensorflow.shapes import TensorShape
from corenn_tensorflow.writing import writable


class RefVariable(Tensor, GraphVariable):
    """A variable of a graph: a tensor that sessions hold the value of."""

    __slots__ = ()

    #: A regularisation loss or other thing that layers note on a variable lives in ``__dict__``.

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: Any) -> Any:
        return self is other if mode.generation() == 1 else Tensor.__eq__(self, other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<tf.Variable {self.name!r} shape={self.get_shape()} dtype={self.dtype.name}_ref>"

    __str__ = __repr__

    def __iter__(self) -> Any:
        raise TypeError("'Variable' object is not iterable.")

    # ---- reading

    def __getitem__(self, key: Any) -> Any:
        from corenn_tensorflow.variable_slices import indexed

        return indexed(self, key)

    def eval(self, session: Any = None, feed_dict: Any = None) -> Any:
        """Its value in a session (the default one, if none is given)."""
        if isinstance(session, dict):  # a tensor's order of arguments
            session, feed_dict = feed_dict, session
        return self.graph.session_for(f"{self.name}.eval()", session).run(self, feed_dict)

    def initialized_value(self) -> GraphTensor:
        """The value if there is one, else the initial value."""
        return GraphVariable.initialized_value(self)

    def sparse_read(self, indices: Any, name: str | None = None) -> Any:
        """Some rows."""
        return mode.one("GatherV2", name or "GatherV2", corenn.gather, self, indices)

    @property
    def handle(self) -> RefVariable:
        """Itself: there is no separate resource."""
        return self

    @property
    def _shared_name(self) -> str:
        return self.operation.name

    # ---- writing

    def _new_value(self, value: Any) -> Any:
        return value if isinstance(value, GraphTensor) else convert_to_tensor(value, self.dtype, name="value")

    def assign(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True,
        validate_shape: bool = True,
    ) -> Any:  # fmt: skip
        """An operation that sets the value; its result is the new value."""
        return self._assigned(value, "Assign", name, validate_shape)

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """An operation that adds ``delta``."""
        return self._assigned(delta, "AssignAdd", name)

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """An operation that subtracts ``delta``."""
        return self._assigned(delta, "AssignSub", name)

    def _assigned(self, value: Any, kind: str, name: str | None, validate_shape: bool = True) -> Any:
        graph = mode.graph_for(value, self)
        assert graph is not None  # a graph variable has one
        with graph.as_default():
            given = self._new_value(value)
            return state.assign(graph, self, given, kind, validate_shape=validate_shape, name=name)

    def count_up_to(self, limit: int) -> Any:
        """The value, which is then incremented; OutOfRangeError once it has reached ``limit``."""
        from corenn_tensorflow.variable_functions import count_up_to

        return count_up_to(self, limit)

    def _scattered(self, kind: str, indices: Any, updates: Any, name: str | None) -> Any:
        graph = mode.graph_for(self)
        assert graph is not None
        with graph.as_default():
            now = self.read_value()
            given = updates if isinstance(updates, GraphTensor) else convert_to_tensor(updates, self.dtype)
            rows = graph.convert(indices)
            with graph.name_scope(name or f"Scatter{kind.capitalize()}"):
                (made,) = graph.call(SCATTER[kind], now, rows, given, type_name=f"Scatter{kind.capitalize()}",
                                     results=[(self.extents, self.dtype)])  # fmt: skip
                return state.assign(graph, self, made)

    def _slices(self, kind: str, delta: Any, name: str | None) -> Any:
        return self._scattered(kind, delta.indices, delta.values, name)

    def scatter_update(self, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Any:
        """Set rows to those of an ``IndexedSlices``."""
        return self._slices("update", sparse_delta, name)

    def scatter_add(self, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Any:
        """Add an ``IndexedSlices`` to rows."""
        return self._slices("add", sparse_delta, name)

    def scatter_sub(self, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Any:
        """Subtract an ``IndexedSlices`` from rows."""
        return self._slices("sub", sparse_delta, name)

    def scatter_mul(self, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Any:
        """Multiply rows by an ``IndexedSlices``."""
        return self._slices("mul", sparse_delta, name)

    def scatter_div(self, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Any:
        """Divide rows by an ``IndexedSlices``."""
        return self._slices("div", sparse_delta, name)

    def to_proto(self, export_scope: str | None = None) -> Any:
        """Name and initializer, as collections of variables are written."""
        from types import SimpleNamespace

        return SimpleNamespace(variable_name=self.name, initializer_name=self.initializer.name,
                               snapshot_name=self._read.name)  # fmt: skip

    def _refuse_in_place(self, other: Any) -> Any:
        raise RuntimeError(
            "Variable += value not supported. Use variable.assign_add(value) to modify the variable value and "
            "variable = variable + value to get a new Tensor object."
        )


@writable("scatter_update")
def _set_rows(now: Any, indices: Any, updates: Any) -> Any:
    return corenn.scatter_set(now, *_spread(now, indices, updates), axis=0)


def _spread(now: Any, indices: Any, updates: Any) -> tuple[Any, Any]:
    """The rows' numbers as a vector (``indices`` may have any shape), and an update for each."""
    flat = corenn.reshape(indices, shape=(-1,))
    wide = corenn.broadcast_to(updates, shape=(*indices.spec.static, *now.spec.static[1:]))
    return flat, corenn.reshape(wide, shape=(flat.spec.static[0], *now.spec.static[1:]))


@writable("scatter_add")
def _add_rows(now: Any, indices: Any, updates: Any) -> Any:
    return corenn.scatter_add(now, *_spread(now, indices, updates), axis=0)


@writable("scatter_sub")
def _sub_rows(now: Any, indices: Any, updates: Any) -> Any:
    flat, rows = _spread(now, indices, updates)
    return corenn.scatter_add(now, flat, -rows, axis=0)


def _extreme(now: Any, indices: Any, updates: Any, reduce: Callable[..., Any], combine: Callable[..., Any]) -> Any:
    flat, given = _spread(now, indices, updates)
    count = now.spec.static[0]
    named = corenn.segment_sum(corenn.ones_like(flat, "int32"), flat, num_segments=count) > 0
    found = reduce(given, flat, num_segments=count)
    shape = (count, *([1] * (now.ndim - 1)))
    return corenn.where(corenn.reshape(named, shape=shape), combine(now, found), now)


@writable("scatter_min")
def _least_rows(now: Any, indices: Any, updates: Any) -> Any:
    return _extreme(now, indices, updates, corenn.segment_min, corenn.minimum)


@writable("scatter_max")
def _greatest_rows(now: Any, indices: Any, updates: Any) -> Any:
    return _extreme(now, indices, updates, corenn.segment_max, corenn.maximum)


@writable("scatter_mul")
def _product_rows(now: Any, indices: Any, updates: Any) -> Any:
    flat, rows = _spread(now, indices, updates)
    return now * corenn.segment_prod(rows, flat, num_segments=now.spec.static[0])


@writable("scatter_div")
def _quotient_rows(now: Any, indices: Any, updates: Any) -> Any:
    flat, rows = _spread(now, indices, updates)
    return now / corenn.segment_prod(rows, flat, num_segments=now.spec.static[0])


#: ``function(present value, indices, updates)`` for each kind of scatter: the new value.
SCATTER: dict[str, Callable[..., Any]] = {
    "update": _set_rows, "add": _add_rows, "sub": _sub_rows, "mul": _product_rows, "div": _quotient_rows,
    "min": _least_rows, "max": _greatest_rows,
}  # fmt: skip


class EagerVariable(CoreVariable):
    """A variable of eager execution; its name ends in ``:0`` as TensorFlow's do."""

    def __init__(
        self, value: Any, *, name: str, trainable: bool, dtype: Any, constraint: Any, shape: Any = None
    ) -> None:
        super().__init__(value, name=name, trainable=trainable, dtype=dtype, constraint=constraint)
        self.shape_invariant = shape

    def assign(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> EagerVariable:
        """Replace the value by one of the same shape (numbers and arrays are converted)."""
        given = convert_to_tensor(value, self.dtype)
        if given.spec.shape != self.spec.shape:
            if self.shape_invariant is not None and TensorShape(self.shape_invariant).is_compatible_with(
                given.spec.shape
            ):
                self.data, self.spec, self.node = given.data, given.spec, None
                return self
            raise ShapeError("", f"Cannot assign value to variable '{self.name}': Shape mismatch."
                             f"The variable shape {TensorShape.of(self.spec.shape)}, and the assigned value shape "
                             f"{TensorShape.of(given.spec.shape)} are incompatible.")  # fmt: skip
        super().assign(given)
        return self

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> EagerVariable:
        """Add ``delta``."""
        return self.assign(self.value() + convert_to_tensor(delta, self.dtype))

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> EagerVariable:
        """Subtract ``delta``."""
        return self.assign(self.value() - convert_to_tensor(delta, self.dtype))

    def count_up_to(self, limit: int) -> Any:
        """The value, which is then incremented; OutOfRangeError once it has reached ``limit``."""
        from corenn_tensorflow.variable_functions import count_up_to

        return count_up_to(self, limit)

    def _refuse_in_place(self, other: Any) -> Any:
        raise RuntimeError(
            "Variable += value not supported. Use `variable.assign_add(value)` to modify the variable value, or "
            "`variable = variable + value` to get a new Tensor object."
        )

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ifloordiv__ = __imod__ = __ipow__ = __imatmul__ = _refuse_in_place


class _VariableType(type):
    """Makes ``tf.Variable(...)`` the kind of variable that the mode asks for, and both kinds its instances."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, (GraphVariable, CoreVariable)) or type.__instancecheck__(cls, instance)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        return (_first if mode.generation() == 1 else _second)(*args, **options)


class Variable(metaclass=_VariableType):
    """``tf.Variable(initial_value, ...)``: a variable of the default graph, or an eager one."""

    class SaveSliceInfo:
        """Where a variable lies in one that is saved in parts; nothing here is partitioned."""


def _first(
    initial_value: Any = None, trainable: bool | None = None, collections: Iterable[str] | None = None,
    validate_shape: bool = True, caching_device: Any = None, name: str | None = None, variable_def: Any = None,
    dtype: Any = None, expected_shape: Any = None, import_scope: str | None = None, constraint: Any = None,
    use_resource: Any = None, synchronization: Any = None, aggregation: Any = None, shape: Any = None,
) -> Any:  # fmt: skip
    return make_variable(initial_value, trainable is None or trainable, collections, validate_shape, name, dtype,
                         constraint, shape)  # fmt: skip


def _second(
    initial_value: Any = None, trainable: bool | None = None, validate_shape: bool = True, caching_device: Any = None,
    name: str | None = None, variable_def: Any = None, dtype: Any = None, import_scope: str | None = None,
    constraint: Any = None, synchronization: Any = None, aggregation: Any = None, shape: Any = None,
    experimental_enable_variable_lifting: bool = True,
) -> Any:  # fmt: skip
    return make_variable(initial_value, trainable is None or trainable, None, validate_shape, name, dtype, constraint,
                         shape)  # fmt: skip


def make_variable(
    initial_value: Any, trainable: bool = True, collections: Iterable[str] | None = None, validate_shape: bool = True,
    name: str | None = None, dtype: Any = None, constraint: Any = None, shape: Any = None, full_name: str | None = None,
) -> Any:  # fmt: skip
    """A variable of the default graph, or an eager one, of ``initial_value`` (a value, tensor, or function)."""
    if initial_value is None:
        raise ValueError("initial_value must be specified.")
    wanted = None if dtype is None else as_dtype(dtype)
    if mode.executing_eagerly():
        value = (
            initial_value()
            if callable(initial_value) and not isinstance(initial_value, CoreVariable)
            else initial_value
        )
        own = getattr(value, "__corenn_tensorflow_tensor__", None)
        given = convert_to_tensor(own() if own is not None else value, wanted)
        label = full_name or _eager_scope() + (name or "Variable")
        return EagerVariable(given, name=f"{label}:0", trainable=trainable, dtype=wanted or given.dtype,
                             constraint=constraint, shape=shape)  # fmt: skip
    graph = mode.default_graph()
    home: Any = graph
    while hasattr(home, "outer"):  # a variable made in a branch, loop or function lives in the graph around it
        home = home.outer
    if isinstance(home, FunctionGraph):
        return _beside_function(home, initial_value, trainable, name, wanted, constraint, shape, full_name)
    value = initial_value

    def initial() -> Any:
        return convert_to_tensor(initial_value(), wanted) if callable(initial_value) else initial_value

    with home.as_default():
        if callable(initial_value) and not isinstance(initial_value, GraphTensor):
            value = initial
        elif not isinstance(value, GraphTensor):
            value = _numbers(value)
        return state.variable(
            home, value, name=name, trainable=trainable, dtype=wanted, collections=collections,
            validate_shape=validate_shape, constraint=constraint, full_name=full_name, cls=RefVariable,
        )  # fmt: skip


def _beside_function(
    graph: FunctionGraph, initial_value: Any, trainable: bool, name: str | None, dtype: Any, constraint: Any,
    shape: Any, full_name: str | None,
) -> Any:  # fmt: skip
    """A variable made while a function is traced lives outside the trace: its initial value is computed now."""
    token = _interpreter.set(None)
    try:
        if isinstance(initial_value, GraphTensor):
            initial_value = _computed(graph, initial_value)
        return make_variable(initial_value, trainable, None, True, name, dtype, constraint, shape, full_name)
    finally:
        _interpreter.reset(token)


def _computed(graph: FunctionGraph, tensor: GraphTensor) -> Any:
    """The value of a tensor of a trace that depends on no argument."""
    operations = needed([graph.convert(tensor).operation])
    if any(isinstance(o.kind, ParameterKind) for o in operations):
        raise ValueError(f"the initial value {tensor!r} of a variable made in a tf.function depends on its arguments")

    def key(operation: Operation) -> Any:
        kind: Any = operation.kind
        return kind.generator.next_key_on(current_device())

    run = ReplayRun(current_device(), lambda cell: corenn.Tensor(cell.data, cell.spec), key, None)
    return replay(operations, [tensor], {}, run)[0]


def _numbers(value: Any) -> Any:
    if isinstance(value, TensorShape):
        return value.as_list()
    return value


_scopes: list[str] = []


def _eager_scope() -> str:
    return "".join(f"{s}/" for s in _scopes)


__all__ = ["SCATTER", "EagerVariable", "RefVariable", "Variable", "make_variable"]
