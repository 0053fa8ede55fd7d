"""Variable scopes: naming and sharing variables by ``get_variable``, as in TensorFlow 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from corenn.dtypes import DType, as_dtype
from corenn.graph.building import as_extents
from corenn.graph.graph import Graph, get_default_graph
from corenn.graph.state import GraphVariable, variable
from corenn.graph.subgraph import SubGraph


class _AutoReuse:
    """Reuse a variable that exists, make one that does not."""

    def __repr__(self) -> str:
        return "AUTO_REUSE"


AUTO_REUSE = _AutoReuse()


class VariableScope:
    """Where ``get_variable`` looks and makes: a name, whether to reuse, and defaults.

    ``reuse``: ``False`` (a variable must be new), ``True`` (it must exist) or ``AUTO_REUSE``.
    """

    def __init__(self, name: str = "", reuse: Any = False, original_name_scope: str = "", **defaults: Any) -> None:
        self.name, self.reuse, self.original_name_scope = name, reuse, original_name_scope
        self.initializer = defaults.pop("initializer", None)
        self.regularizer = defaults.pop("regularizer", None)
        self.dtype: DType = as_dtype(defaults.pop("dtype", None) or "float32")
        self.constraint = defaults.pop("constraint", None)
        self.custom_getter = defaults.pop("custom_getter", None)
        self.caching_device = self.partitioner = None
        self.use_resource = defaults.pop("use_resource", False)

    def reuse_variables(self) -> None:
        """Reuse variables from here on."""
        self.reuse = True

    def set_initializer(self, initializer: Any) -> None:
        """The initializer of variables made without one."""
        self.initializer = initializer

    def set_regularizer(self, regularizer: Any) -> None:
        """The regularizer of variables made without one."""
        self.regularizer = regularizer

    def global_variables(self) -> list[GraphVariable]:
        """The global variables in this scope."""
        return get_default_graph().get_collection("variables", self.name)

    def trainable_variables(self) -> list[GraphVariable]:
        """The trainable variables in this scope."""
        return get_default_graph().get_collection("trainable_variables", self.name)

    def __repr__(self) -> str:
        return f"VariableScope({self.name!r}, reuse={self.reuse})"


class _Store:
    """What a graph knows of variables by name: the present scope, the variables, how often a scope was entered."""

    def __init__(self) -> None:
        self.scope = VariableScope()
        self.variables: dict[str, GraphVariable] = {}
        self.counts: dict[str, int] = {}


def store_of(graph: Graph) -> _Store:
    """The store of a graph (of the outermost one, for branches and loops)."""
    found = graph.variable_scopes.get("store")
    if found is None:
        found = graph.variable_scopes["store"] = _Store()
    return found


def get_variable_scope() -> VariableScope:
    """The present scope of the default graph."""
    return store_of(get_default_graph()).scope


@contextmanager
def variable_scope(
    name_or_scope: Any, default_name: str | None = None, values: Any = None, initializer: Any = None,
    regularizer: Any = None, caching_device: Any = None, partitioner: Any = None, custom_getter: Any = None,
    reuse: Any = None, dtype: object = None, use_resource: Any = None, constraint: Any = None,
    auxiliary_name_scope: bool = True,
) -> Iterator[VariableScope]:  # fmt: skip
    """Prefix names of variables made by ``get_variable`` in the block, and say whether they are shared.

    ``name_or_scope``: a name (inside the present scope), or a scope, which is entered again by its full name; ``None``
    takes ``default_name``, made unique.  ``reuse``: ``None`` inherits; ``True``, ``False`` (inherits a ``True``), or
    ``AUTO_REUSE``.  Operations made in the block are named in a name scope of the same name.  Raises TypeError where
    neither name is given.
    """
    graph = get_default_graph()
    store = store_of(graph)
    outer = store.scope
    if isinstance(name_or_scope, VariableScope):
        full, local = name_or_scope.name, name_or_scope.name.rpartition("/")[2]
        inherited = name_or_scope
        kept = name_or_scope.reuse if reuse is None else reuse
    else:
        name = name_or_scope
        if name is None:
            if default_name is None:
                raise TypeError("If default_name is None then name_or_scope is required")
            name = _unique_scope(store, outer.name, default_name)
        full = f"{outer.name}/{name}" if outer.name else str(name)
        local, inherited = str(name), outer
        kept = reuse if reuse else outer.reuse
    if full:
        store.counts[full] = store.counts.get(full, 0) + 1
    inner = VariableScope(
        full, kept, initializer=initializer if initializer is not None else inherited.initializer,
        regularizer=regularizer if regularizer is not None else inherited.regularizer,
        dtype=dtype if dtype is not None else inherited.dtype,
        constraint=constraint if constraint is not None else inherited.constraint,
        custom_getter=_both(inherited.custom_getter, custom_getter),
    )  # fmt: skip
    store.scope = inner
    counts = dict(store.counts)
    try:
        if auxiliary_name_scope and local:
            with graph.name_scope(local) as scope:
                inner.original_name_scope = scope
                yield inner
        else:
            inner.original_name_scope = graph.scope
            yield inner
    finally:
        store.scope = outer
        if isinstance(name_or_scope, VariableScope):
            store.counts = counts
        else:  # who enters the scope again finds automatic names as they were: they reach the same variables
            store.counts = {k: v for k, v in store.counts.items() if not k.startswith(f"{full}/")}


def _unique_scope(store: _Store, prefix: str, name: str) -> str:
    full = f"{prefix}/{name}" if prefix else name
    if not store.counts.get(full):
        return name
    number = 1
    while store.counts.get(f"{full}_{number}"):
        number += 1
    return f"{name}_{number}"


def _both(outer: Any, inner: Any) -> Any:
    if outer is None or inner is None:
        return inner if outer is None else outer
    return lambda getter, *args, **options: inner(lambda *a, **o: outer(getter, *a, **o), *args, **options)


def get_variable(name: str, shape: Any = None, dtype: object = None, initializer: Any = None, **options: Any) -> Any:
    """The variable ``name`` of the present scope: a new one, or the one made before, as the scope's ``reuse`` says.

    ``initializer``: a function or object called with ``(shape, dtype=...)``, an array, or a name of
    ``corenn.initializers``; by default Glorot's uniform for floats and zeros for others.  ``regularizer``: its value is
    added to the collection "regularization_losses".  Further options: ``trainable``, ``collections``, ``constraint``,
    ``validate_shape``.  Raises ValueError where sharing and the scope disagree.
    """
    graph = get_default_graph()
    scope = store_of(graph).scope
    if scope.custom_getter is not None:
        return scope.custom_getter(
            _get, _full(scope, name), shape=shape, dtype=dtype, initializer=initializer, **options
        )
    return _get(_full(scope, name), shape=shape, dtype=dtype, initializer=initializer, **options)


def _full(scope: VariableScope, name: str) -> str:
    return f"{scope.name}/{name}" if scope.name else name


def _get(
    name: str, shape: Any = None, dtype: object = None, initializer: Any = None, regularizer: Any = None,
    reuse: Any = None, trainable: bool | None = None, collections: Any = None, validate_shape: bool = True,
    constraint: Any = None, cls: type[GraphVariable] = GraphVariable, **unused: Any,
) -> GraphVariable:  # fmt: skip
    graph = get_default_graph()
    store = store_of(graph)
    scope = store.scope
    reuse = scope.reuse if reuse is None else reuse
    wanted = as_dtype(dtype) if dtype is not None else scope.dtype
    found = store.variables.get(name)
    if found is not None:
        return _shared(found, name, shape, dtype, reuse)
    if reuse is True:
        raise ValueError(
            f"Variable {name} does not exist, or was not created with tf.get_variable(). Did you mean to set "
            "reuse=tf.AUTO_REUSE in VarScope?"
        )
    initializer = initializer if initializer is not None else scope.initializer
    extents = as_extents("get_variable", getattr(shape, "as_list", lambda: shape)())
    initial = _initial(name, extents, wanted, initializer)
    home: Any = graph
    while isinstance(home, SubGraph):
        home = home.outer
    with home.as_default():
        made = variable(
            home, initial, trainable=trainable is None or trainable, dtype=wanted if extents is not None else dtype,
            collections=collections, validate_shape=validate_shape, full_name=name, cls=cls,
            constraint=constraint if constraint is not None else scope.constraint,
        )  # fmt: skip
        store.variables[name] = made
        regularizer = regularizer if regularizer is not None else scope.regularizer
        if regularizer is not None:
            with home.name_scope(f"{name}/Regularizer/"):
                loss = regularizer(made)
            if loss is not None:
                home.add_to_collection("regularization_losses", loss)
    return made


def _shared(found: GraphVariable, name: str, shape: Any, dtype: object, reuse: Any) -> GraphVariable:
    if not reuse:
        made = found.operation.where
        raise ValueError(
            f"Variable {name} already exists, disallowed. Did you mean to set reuse=True or reuse=tf.AUTO_REUSE in "
            f"VarScope? Originally defined at:\n\n  {made}\n"
        )
    given = as_extents("get_variable", getattr(shape, "as_list", lambda: shape)())
    have = found.extents
    if (
        given is not None
        and have is not None
        and (len(given) != len(have) or any(None not in (a, b) and a != b for a, b in zip(given, have, strict=True)))
    ):
        raise ValueError(f"Trying to share variable {name}, but specified shape {given} and found shape {have}.")
    if dtype is not None and as_dtype(dtype) is not found.dtype:
        raise ValueError(
            f"Trying to share variable {name}, but specified dtype {as_dtype(dtype).name} and found dtype "
            f"{found.dtype.name}."
        )
    return found


def _initial(name: str, extents: Any, dtype: DType, initializer: Any) -> Any:
    """The initial value, or a function that makes it."""
    if initializer is None:
        initializer = "glorot_uniform" if dtype.is_inexact else "zeros"
    if isinstance(initializer, (str, dict)):
        from corenn.initializers import get as get_initializer  # a room above

        initializer = get_initializer(initializer)
    if isinstance(initializer, type):
        initializer = initializer()
    if not callable(initializer):
        if extents is not None:
            raise ValueError("If initializer is a constant, do not specify shape.")
        return initializer
    if extents is None or None in extents:
        raise ValueError(
            f"Shape of a new variable ({name}) must be fully defined, but instead was "
            f"{'<unknown>' if extents is None else extents}."
        )
    return _called(initializer, extents, dtype)


def _called(initializer: Any, extents: tuple[int, ...], dtype: DType) -> Callable[[], Any]:
    return lambda: initializer(extents, dtype=dtype)


__all__ = ["AUTO_REUSE", "VariableScope", "get_variable", "get_variable_scope", "store_of", "variable_scope"]
