"""Graphs, operations and tensors of a graph as TensorFlow shows them, and turning values into tensors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np

import corenn as _ops
from corenn import dtypes, tree
from corenn.device import Device, current_device
from corenn.errors import GraphError, ShapeError
from corenn.graph import building as core_building
from corenn.graph.graph import Graph
from corenn.graph.names import type_of
from corenn.graph.operations import Operation as CoreOperation
from corenn.graph.tensors import GraphTensor
from corenn.graph.text import is_text
from corenn.ops.table import Op
from corenn.tensor import Tensor as EagerTensor
from corenn_tensorflow import errors, mode
from corenn_tensorflow.converting import (
    as_dtype,
    convert_to_tensor,
    eager_constant,
    is_tensor_like,
    matching,
    static_shape,
    text_array,
)
from corenn_tensorflow.errors import OperatorNotAllowedInGraphError
from corenn_tensorflow.shapes import Dimension, TensorShape, dimension_value, extents_of

_FIRST = "Use Eager execution or decorate this function with @tf.function."


class GraphKeys:
    """Names of collections."""

    GLOBAL_VARIABLES = "variables"
    VARIABLES = "variables"
    LOCAL_VARIABLES = "local_variables"
    METRIC_VARIABLES = "metric_variables"
    MODEL_VARIABLES = "model_variables"
    TRAINABLE_VARIABLES = "trainable_variables"
    TRAINABLE_RESOURCE_VARIABLES = "trainable_resource_variables"
    SUMMARIES = "summaries"
    QUEUE_RUNNERS = "queue_runners"
    TABLE_INITIALIZERS = "table_initializer"
    ASSET_FILEPATHS = "asset_filepaths"
    MOVING_AVERAGE_VARIABLES = "moving_average_variables"
    REGULARIZATION_LOSSES = "regularization_losses"
    CONCATENATED_VARIABLES = "concatenated_variables"
    SAVERS = "savers"
    WEIGHTS = "weights"
    BIASES = "biases"
    ACTIVATIONS = "activations"
    UPDATE_OPS = "update_ops"
    LOSSES = "losses"
    SAVEABLE_OBJECTS = "saveable_objects"
    RESOURCES = "resources"
    LOCAL_RESOURCES = "local_resources"
    INIT_OP = "init_op"
    LOCAL_INIT_OP = "local_init_op"
    READY_OP = "ready_op"
    READY_FOR_LOCAL_INIT_OP = "ready_for_local_init_op"
    SUMMARY_OP = "summary_op"
    GLOBAL_STEP = "global_step"
    EVAL_STEP = "eval_step"
    TRAIN_OP = "train_op"
    COND_CONTEXT = "cond_context"
    WHILE_CONTEXT = "while_context"


class Operation(CoreOperation):
    """A node of a graph."""

    __slots__ = ("__dict__",)

    @property
    def node_def(self) -> Any:
        """Name, type, inputs and device, as a graph's definition lists them."""
        named = [i.name.removesuffix(":0") for i in self.inputs] + [f"^{c.name}" for c in self.control_inputs]
        return SimpleNamespace(name=self.name, op=self.type, input=named, device=self.device, attr=dict(self.attrs))

    @property
    def op_def(self) -> Any:
        """What is known of the type: its name."""
        return SimpleNamespace(name=self.type)

    def values(self) -> tuple[GraphTensor, ...]:  # type: ignore[override]  # a method in TensorFlow
        """The outputs."""
        return self.outputs

    @property
    def traceback(self) -> list[str]:
        """The line of the program that made it."""
        return [self.where] if self.where else []

    def __repr__(self) -> str:
        return f"<tf.Operation {self.name!r} type={self.type}>"

    def __str__(self) -> str:
        lines = [f'name: "{self.name}"', f'op: "{self.type}"', *(f'input: "{i}"' for i in self.node_def.input)]
        return "\n".join(lines) + "\n"


class PlaceName(str):
    """A device's name in TensorFlow's spelling; to corenn, the current device, where a graph's tensor will be."""

    __slots__ = ()

    def __corenn_device__(self) -> Device:
        return current_device()


class Tensor(GraphTensor):
    """A value that a graph will compute."""

    __slots__ = ("__dict__",)

    @property
    def shape(self) -> TensorShape:
        """What is known of the shape."""
        return TensorShape.of(self.extents)

    def get_shape(self) -> TensorShape:
        """What is known of the shape."""
        return TensorShape.of(self.extents)

    def set_shape(self, shape: Any) -> None:
        """State what is known of the shape beside what was inferred; ValueError if that contradicts it."""
        merged = self.get_shape().merge_with(shape)
        super().set_shape(merged.extents)

    @property
    def value_index(self) -> int:
        """Which of its operation's results it is."""
        return self.index

    @property
    def device(self) -> str:
        """The device noted where it was made; the session decides."""
        return PlaceName(self.operation.device)

    def consumers(self) -> list[CoreOperation]:
        """The operations that take it."""
        return super().consumers()

    def ref(self) -> TensorReference:
        """Something that can be a key of a dict in both generations."""
        return TensorReference(self)

    experimental_ref = ref

    # ---- what Python may not ask

    def __bool__(self) -> bool:
        if mode.generation() == 1:
            raise OperatorNotAllowedInGraphError(
                "", "Using a `tf.Tensor` as a Python `bool` is not allowed. Use `if t is not None:` instead of `if t:` "
                "to test if a tensor is defined, and use TensorFlow ops such as tf.cond to execute subgraphs "
                "conditioned on the value of a tensor.",
            )  # fmt: skip
        raise OperatorNotAllowedInGraphError(
            "", f"Using a symbolic `tf.Tensor` as a Python `bool` is not allowed in Graph execution. {_FIRST}",
            hint="tf.cond(p, lambda: a, lambda: b)",
        )  # fmt: skip

    def __iter__(self) -> Iterator[Any]:
        extents = self.extents
        if mode.generation() == 2 and extents is not None:
            if not extents:
                raise TypeError("Cannot iterate over a scalar tensor.")
            if extents[0] is not None:
                return iter([self[i] for i in range(extents[0])])
        raise OperatorNotAllowedInGraphError(
            "", "Tensor objects are only iterable when eager execution is enabled. To iterate over this tensor use "
            "tf.map_fn.", hint="tf.unstack(x) where the first extent is known",
        )  # fmt: skip

    def __len__(self) -> int:
        raise TypeError(
            f"len is not well defined for a symbolic Tensor. ({self.name}) Please call `x.shape` rather than `len(x)` "
            "for shape information."
        )

    def __int__(self) -> NoReturn:
        raise TypeError("int() argument must be a string, a bytes-like object or a real number, not 'Tensor'")

    def __float__(self) -> NoReturn:
        raise TypeError("float() argument must be a string or a real number, not 'Tensor'")

    def __complex__(self) -> NoReturn:
        raise TypeError("complex() first argument must be a string or a number, not 'Tensor'")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise NotImplementedError(
            f"Cannot convert a symbolic tf.Tensor ({self.name}) to a numpy array. This error may indicate that you're "
            "trying to pass a Tensor to a NumPy call, which is not supported."
        )

    def numpy(self) -> NoReturn:
        """AttributeError: it has no value until a session runs it."""
        raise AttributeError("'Tensor' object has no attribute 'numpy': run it in a session, or call .eval()")

    # ---- comparison

    def __eq__(self, other: Any) -> Any:
        if mode.generation() == 1:
            return self is other
        return self is other if _no_operand(other) else _binary("Equal", "equal", _ops.equal, self, other)

    def __ne__(self, other: Any) -> Any:
        if mode.generation() == 1:
            return self is not other
        return (
            self is not other if _no_operand(other) else _binary("NotEqual", "not_equal", _ops.not_equal, self, other)
        )

    __hash__ = object.__hash__

    def __contains__(self, value: Any) -> NoReturn:
        self.__iter__()
        raise OperatorNotAllowedInGraphError("", "`in` needs the values of a tensor", hint="tf.reduce_any(x == value)")

    def __getitem__(self, key: Any) -> Any:
        return mode.one("StridedSlice", "strided_slice", GraphTensor.__getitem__, self, _plain_key(key))

    # ---- text

    def __repr__(self) -> str:
        return f"<tf.Tensor {self.name!r} shape={self.get_shape()} dtype={self.dtype.name}>"

    def __str__(self) -> str:
        shape = "" if self.extents is None else f", shape={self.get_shape()}"
        return f'Tensor("{self.name}"{shape}, dtype={self.dtype.name})'

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class TensorReference:
    """A hashable stand-in for a tensor: two are equal where the tensors are one object."""

    def __init__(self, referent: Any) -> None:
        self._referent = referent

    def deref(self) -> Any:
        """The tensor."""
        return self._referent

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorReference) and self._referent is other._referent

    def __hash__(self) -> int:
        return id(self._referent)

    def __repr__(self) -> str:
        return f"<Reference wrapping {self._referent!r}>"


def _no_operand(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _plain_key(key: Any) -> Any:
    """An index with ``Dimension``s as ints and lists as they are."""
    if isinstance(key, tuple):
        return tuple(_plain_key(k) for k in key)
    if isinstance(key, slice):
        return slice(*[_plain_key(b) for b in (key.start, key.stop, key.step)])
    return dimension_value(key) if isinstance(key, Dimension) else key


def _binary(type_name: str, name: str, function: Callable[..., Any], x: Any, y: Any) -> Any:
    if type_name == "Add" and (is_text(x) or is_text(y)):
        from corenn_tensorflow.functions.text import string_join

        return string_join([x, y], name=name)
    graph = mode.graph_for((x, y))
    if graph is None:
        return function(*matching(type_name, x, y))
    with graph.as_default():
        scope = graph.unique_name(name, mark=False)
        operands = matching(type_name, x, y, names=(f"{scope}/x/", f"{scope}/y/"))
        graph.calling(name, type_name)
        try:
            return function(*operands)
        finally:
            graph.calling()


def _true_divide(x: Any, y: Any) -> Any:
    """Division; integers become floating first, of 64 bits where they have 32 or more."""
    dtype = x.dtype
    if dtype.is_integer:
        wanted = dtypes.float32 if dtype.itemsize <= 2 else dtypes.float64
        x, y = _ops.cast(x, dtype=wanted), _ops.cast(y, dtype=wanted)
    return _ops.divide(x, y)


def _and(x: Any, y: Any) -> Any:
    return _ops.bitwise_and(x, y)


#: Python's operator, the type and name of the operation it makes, and the op.
OPERATORS: dict[str, tuple[str, str, Callable[..., Any]]] = {
    "add": ("Add", "add", _ops.add), "sub": ("Sub", "sub", _ops.subtract), "mul": ("Mul", "mul", _ops.multiply),
    "truediv": ("RealDiv", "truediv", _true_divide), "floordiv": ("FloorDiv", "floordiv", _ops.floor_divide),
    "mod": ("FloorMod", "mod", _ops.remainder), "pow": ("Pow", "pow", _ops.power),
    "matmul": ("MatMul", "matmul", _ops.matmul), "and": ("LogicalAnd", "and", _and),
    "or": ("LogicalOr", "or", _ops.bitwise_or), "xor": ("LogicalXor", "xor", _ops.bitwise_xor),
    "lt": ("Less", "Less", _ops.less), "le": ("LessEqual", "LessEqual", _ops.less_equal),
    "gt": ("Greater", "Greater", _ops.greater), "ge": ("GreaterEqual", "GreaterEqual", _ops.greater_equal),
}  # fmt: skip
_COMPARISONS = ("lt", "le", "gt", "ge")


def _operator(entry: tuple[str, str, Callable[..., Any]], reflected: bool) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if hasattr(other, "__corenn_takes_operators__"):  # sparse tensors
            return NotImplemented
        return _binary(*entry, other, self) if reflected else _binary(*entry, self, other)

    return method


for _name, _entry in OPERATORS.items():
    setattr(Tensor, f"__{_name}__", _operator(_entry, False))
    if _name not in _COMPARISONS:
        setattr(Tensor, f"__r{_name}__", _operator(_entry, True))
for _name, _call in {
    "neg": ("Neg", "Neg", _ops.negative), "abs": ("Abs", "Abs", _ops.abs),
    "invert": ("LogicalNot", "LogicalNot", _ops.bitwise_invert),
}.items():  # fmt: skip
    setattr(Tensor, f"__{_name}__", lambda self, _call=_call: mode.one(*_call, self))


class TFGraph(Graph):
    """A graph."""

    tensor_class = Tensor
    operation_class = Operation

    @property
    def version(self) -> int:
        """The number of operations, which grows with each."""
        return len(self._operations)

    @property
    def building_function(self) -> bool:
        """Whether this is the graph of a function: no."""
        return False

    def __call__(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Add an operation; shapes that do not fit raise ValueError with TensorFlow's text."""
        chosen = self._chosen
        try:
            return super().__call__(op, args, attrs)
        except ShapeError as error:
            shapes = [_known_shape(a) for a in args]
            type_name = (chosen and chosen[1]) or type_of(op.name)
            name = self.unique_name((chosen and chosen[0]) or type_name, mark=False)
            raise errors.of_shapes(error, type_name, name, shapes) from None

    def capture(self, tensor: GraphTensor) -> GraphTensor:
        """A tensor of a graph around this one; of any other graph it is a ValueError."""
        try:
            return super().capture(tensor)
        except GraphError as error:
            raise errors.OtherGraphError(
                "", f"{tensor} must be from the same graph as what it is used with: it belongs to another graph",
                error.operands, hint=error.hint, site=error.site,
            ) from None  # fmt: skip

    def unique_name(self, name: str, mark: bool = True, mark_as_used: bool | None = None) -> str:
        """``name`` in the present scope, made unique; it is taken from then on (if ``mark_as_used``)."""
        return super().unique_name(name, mark if mark_as_used is None else mark_as_used)

    def get_name_scope(self) -> str:
        """The present name scope, without a ``/`` at its end."""
        return self.scope.rstrip("/")

    def add_to_collections(self, names: Any, value: Any) -> None:
        """Append ``value`` to several collections."""
        for name in (names,) if isinstance(names, str) else names:
            self.add_to_collection(name, value)

    def get_all_collection_keys(self) -> list[str]:
        """The names of the collections that hold something."""
        return [name for name, held in self.collections.items() if held]

    def as_graph_element(self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True) -> Any:
        """The tensor or operation that ``obj`` is or names."""
        found = self.as_element(obj)
        kind = "Tensor" if isinstance(found, GraphTensor) else "Operation"
        if (kind == "Tensor" and not allow_tensor) or (kind == "Operation" and not allow_operation):
            raise ValueError(
                f"The name {obj!r} refers to {'a' if kind == 'Tensor' else 'an'} {kind}, not what is asked"
            )
        return found

    def is_feedable(self, tensor: Any) -> bool:
        """True: every tensor may be fed."""
        return True

    def is_fetchable(self, tensor_or_op: Any) -> bool:
        """True: everything may be fetched."""
        return True

    def as_graph_def(self, from_version: int | None = None, add_shapes: bool = False) -> Any:
        """The operations as a list of nodes, ``.node``: name, ``op``, ``input``, ``device`` and ``attr`` of each."""
        from corenn_tensorflow.graph_util import GraphDef

        return GraphDef([o.node_def for o in self._operations[from_version or 0 :]], self)

    @contextlib.contextmanager
    def colocate_with(self, op: Any, ignore_existing: bool = False) -> Iterator[None]:
        """Nothing: the session decides where operations run."""
        yield

    @contextlib.contextmanager
    def container(self, container_name: str) -> Iterator[str]:
        """Nothing: each session has variables of its own."""
        yield container_name

    def __repr__(self) -> str:
        return f"<tf.Graph with {len(self._operations)} operations>"


def _known_shape(value: Any) -> Any:
    if isinstance(value, GraphTensor):
        return value.extents
    if isinstance(value, EagerTensor):
        return value.spec.shape
    return None if value is None else np.shape(value)


# ---------------------------------------------------------------- the default graph


def get_default_graph() -> Graph:
    """The graph operations are added to here."""
    return mode.default_graph()


def add_to_collection(name: str, value: Any) -> None:
    """Append to a collection of the default graph."""
    mode.default_graph().add_to_collection(name, value)


def add_to_collections(names: Any, value: Any) -> None:
    """Append to several collections of the default graph."""
    for name in (names,) if isinstance(names, str) else names:
        mode.default_graph().add_to_collection(name, value)


def get_collection(key: str, scope: str | None = None) -> list[Any]:
    """What a collection of the default graph holds; with ``scope``, only names that this expression matches."""
    return mode.default_graph().get_collection(key, scope)


def get_collection_ref(key: str) -> list[Any]:
    """The collection itself; changes to the list change it."""
    return mode.default_graph().get_collection_ref(key)


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a tensor, a variable or a sparse tensor."""
    return isinstance(x, EagerTensor) or hasattr(x, "__corenn_structure__")


def is_symbolic(*values: Any) -> bool:
    """Whether a graph tensor is among the leaves."""
    return any(isinstance(leaf, GraphTensor) for leaf in tree.leaves(list(values)))


as_extents = core_building.as_extents

__all__ = [
    "OPERATORS", "Dimension", "Graph", "GraphKeys", "Operation", "TFGraph", "Tensor", "TensorReference",
    "TensorShape", "add_to_collection", "add_to_collections", "as_dtype", "convert_to_tensor", "dimension_value",
    "eager_constant", "extents_of", "get_collection", "get_collection_ref", "get_default_graph", "is_symbolic",
    "is_tensor", "is_tensor_like", "matching", "static_shape", "text_array",
]  # fmt: skip

import corenn_tensorflow.adopting  # noqa: E402, F401  # made of the names above; who uses them needs the manners
