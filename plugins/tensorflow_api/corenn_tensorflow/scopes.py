"""Name scopes and variable scopes: ``tf.name_scope``, ``tf.variable_scope``, ``tf.get_variable``."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from corenn.graph import scopes as core
from corenn.graph.graph import Graph
from corenn.graph.scopes import AUTO_REUSE, VariableScope
from corenn_tensorflow import mode
from corenn_tensorflow.framework import GraphKeys, as_dtype
from corenn_tensorflow.shapes import extents_of
from corenn_tensorflow.variable_classes import RefVariable, _scopes, make_variable


class name_scope:
    """Prefix the names of operations (and, eagerly, of variables) made in the block; gives the prefix."""

    def __init__(self, name: str | None = None, default_name: str | None = None, values: Any = None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name for name_scope must be a string, but got {name!r} of type {type(name).__name__}.")
        self._name = name if name is not None else default_name
        self._values = values
        self._entered: list[Any] = []

    @property
    def name(self) -> str | None:
        """The name it was made with."""
        return self._name

    def __enter__(self) -> str:
        graph = mode.graph_for(self._values)
        if graph is None:
            _scopes.append((self._name or "").rstrip("/"))
            self._entered.append(None)
            return f"{self._name}/" if self._name else ""
        inner = contextlib.ExitStack()
        inner.enter_context(graph.as_default())
        prefix = inner.enter_context(graph.name_scope(self._name))
        self._entered.append(inner)
        return prefix

    def __exit__(self, *error: Any) -> None:
        inner = self._entered.pop()
        if inner is None:
            _scopes.pop()
        else:
            inner.__exit__(*error)


def op_scope(values: Any, name: str | None, default_name: str | None = None) -> name_scope:
    """The old order of arguments of ``name_scope``."""
    return name_scope(name, default_name, values)


# ---------------------------------------------------------------- variable scopes

_eager_scope = VariableScope()


def get_variable_scope() -> VariableScope:
    """The present scope of the default graph."""
    if mode.executing_eagerly():
        return _eager_scope
    return core.store_of(mode.default_graph()).scope


@contextlib.contextmanager
def variable_scope(
    name_or_scope: Any, default_name: str | None = None, values: Any = None, initializer: Any = None,
    regularizer: Any = None, caching_device: Any = None, partitioner: Any = None, custom_getter: Any = None,
    reuse: Any = None, dtype: Any = None, use_resource: Any = None, constraint: Any = None,
    auxiliary_name_scope: bool = True,
) -> Iterator[VariableScope]:  # fmt: skip
    """Prefix names of variables made by ``get_variable`` in the block, and say whether they are shared."""
    if name_or_scope is None and default_name is None:
        raise TypeError("If default_name is None then name_or_scope is required")
    if mode.executing_eagerly():
        name = name_or_scope.name if isinstance(name_or_scope, VariableScope) else name_or_scope or default_name
        _scopes.append(str(name))
        try:
            yield VariableScope(name, reuse or False)
        finally:
            _scopes.pop()
        return
    graph = mode.default_graph()
    with graph.as_default(), core.variable_scope(
        name_or_scope, default_name, values, initializer=initializer, regularizer=regularizer,
        custom_getter=custom_getter, reuse=reuse, dtype=None if dtype is None else as_dtype(dtype),
        constraint=constraint, auxiliary_name_scope=auxiliary_name_scope,
    ) as scope:  # fmt: skip
        yield scope


def variable_op_scope(
    values: Any, name_or_scope: Any, default_name: str | None = None, initializer: Any = None, regularizer: Any = None,
    caching_device: Any = None, partitioner: Any = None, custom_getter: Any = None, reuse: Any = None,
    dtype: Any = None, **options: Any,
) -> Any:  # fmt: skip
    """The old order of arguments of ``variable_scope``."""
    return variable_scope(
        name_or_scope, default_name, values, initializer, regularizer, custom_getter=custom_getter, reuse=reuse,
        dtype=dtype, **options,
    )  # fmt: skip


def _accepts(function: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters


def _initial(initializer: Any, extents: Any) -> Any:
    """An initializer as corenn's scopes call it; a value as a tensor's value."""
    if isinstance(initializer, type):
        initializer = initializer()
    if not callable(initializer) or isinstance(initializer, str):
        return initializer
    parameters_known = _accepts(initializer, "partition_info")
    function = initializer

    def call(shape: Any, dtype: Any = None) -> Any:
        given: dict[str, Any] = {"dtype": dtype} if _takes_dtype(function) else {}
        if parameters_known:
            given["partition_info"] = None
        return function(list(shape), **given) if _takes_shape(function) else function()

    if extents is None and not _takes_shape(function):
        from corenn_tensorflow.framework import convert_to_tensor

        return convert_to_tensor(function())
    return call


def _takes_dtype(function: Callable[..., Any]) -> bool:
    if _accepts(function, "dtype"):
        return True
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.kind is p.VAR_KEYWORD for p in parameters)


def _takes_shape(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)


def get_variable(
    name: str, shape: Any = None, dtype: Any = None, initializer: Any = None, regularizer: Any = None,
    trainable: bool | None = None, collections: Any = None, caching_device: Any = None, partitioner: Any = None,
    validate_shape: bool = True, use_resource: Any = None, custom_getter: Any = None, constraint: Any = None,
    synchronization: Any = None, aggregation: Any = None,
) -> Any:  # fmt: skip
    """The variable ``name`` of the present scope: a new one, or the one made before, as the scope's ``reuse`` says."""
    extents = extents_of(shape) if shape is not None else None
    wanted = None if dtype is None else as_dtype(dtype)
    scope = get_variable_scope()
    if initializer is None and scope.initializer is None:
        initializer = _default(wanted or scope.dtype)
    elif initializer is None and not mode.executing_eagerly():
        initializer = scope.initializer
    initial = _initial(initializer, extents)
    if mode.executing_eagerly():
        value = initial
        if callable(initial):
            if extents is None:
                raise ValueError(f"Shape of a new variable ({name}) must be fully defined, but instead was <unknown>.")
            value = initial(extents, wanted or as_dtype("float32"))
        return make_variable(value, trainable is None or trainable, name=name, dtype=wanted, constraint=constraint)
    graph = mode.default_graph()
    options: dict[str, Any] = {
        "regularizer": regularizer, "trainable": trainable, "collections": collections,
        "validate_shape": validate_shape, "constraint": constraint, "cls": RefVariable,
    }  # fmt: skip
    if _constant_dtype(initial) is not None and wanted is None:
        wanted = _constant_dtype(initial)
    with graph.as_default():
        if custom_getter is not None:

            def getter(name: str, **given: Any) -> Any:
                return core.get_variable(name, **given)

            return custom_getter(getter, name, shape=extents, dtype=wanted, initializer=initial, **options)
        return core.get_variable(name, extents, wanted, initial, **options)


def _constant_dtype(initial: Any) -> Any:
    """The dtype of an initial value that is no function."""
    if callable(initial) and not hasattr(initial, "dtype"):
        return None
    if isinstance(initial, str):
        return None
    from corenn.graph.graph import constant_array
    from corenn.tensor import Tensor

    return initial.dtype if isinstance(initial, Tensor) else as_dtype(constant_array(initial, None).dtype)


def _default(dtype: Any) -> Any:
    from corenn_tensorflow import initializers

    return initializers.glorot_uniform() if dtype.is_inexact else initializers.zeros()


def get_local_variable(name: str, shape: Any = None, dtype: Any = None, initializer: Any = None, **options: Any) -> Any:
    """``get_variable`` for a variable that is local: neither trained nor saved."""
    listed = list(options.pop("collections", None) or [])
    options["trainable"] = False
    return get_variable(name, shape, dtype, initializer, collections=[*listed, GraphKeys.LOCAL_VARIABLES], **options)


def no_regularizer(_: Any) -> None:
    """No regularisation, even where the scope has some."""


def _partitioner(doc: str) -> Callable[..., Any]:
    def make(*args: Any, **options: Any) -> Callable[..., Any]:
        return lambda shape, dtype=None, **other: [1] * len(shape)

    make.__doc__ = doc
    return make


fixed_size_partitioner = _partitioner("A partitioner; variables are kept whole, which gives the same results.")
variable_axis_size_partitioner = _partitioner("A partitioner; variables are kept whole, which gives the same results.")
min_max_variable_partitioner = _partitioner("A partitioner; variables are kept whole, which gives the same results.")


@contextlib.contextmanager
def device(device_name_or_function: Any) -> Iterator[None]:
    """Note a device on the operations made in the block; where they run is the session's choice."""
    graph: Graph | None = None if mode.executing_eagerly() else mode.default_graph()
    if graph is None:
        yield
        return
    with graph.as_default(), graph.device(device_name_or_function):
        yield


@contextlib.contextmanager
def colocate_with(op: Any, ignore_existing: bool = False) -> Iterator[None]:
    """Nothing: where operations run is the session's choice."""
    yield


@contextlib.contextmanager
def init_scope() -> Iterator[None]:
    """Operations made in the block belong to the outermost graph (or run at once, where that is the mode)."""
    from corenn.ops.dispatch import _interpreter

    here: Any = mode.graph_for()
    if here is None:
        yield
        return
    home = here
    while hasattr(home, "outer"):
        home = home.outer
    token = _interpreter.set(home if home is not here or not mode._state.eager else None)
    try:
        with home.control_dependencies(None):
            yield
    finally:
        _interpreter.reset(token)


__all__ = [
    "AUTO_REUSE", "VariableScope", "colocate_with", "device", "fixed_size_partitioner", "get_local_variable",
    "get_variable", "get_variable_scope", "init_scope", "min_max_variable_partitioner", "name_scope", "no_regularizer",
    "op_scope", "variable_axis_size_partitioner", "variable_op_scope", "variable_scope",
]  # fmt: skip
