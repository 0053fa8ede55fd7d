"""Lists of variables, their initialisation, and assignments as functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.graph import state
from corenn.graph.kinds import HostCallKind
from corenn.graph.state import GraphVariable
from corenn.variable import Variable as CoreVariable
from corenn_tensorflow import mode
from corenn_tensorflow.framework import GraphKeys, convert_to_tensor
from corenn_tensorflow.variable_classes import SCATTER
from corenn_tensorflow.writing import writable


def global_variables(scope: str | None = None) -> list[Any]:
    """The variables that are saved and initialised by default."""
    return mode.default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES, scope)


def local_variables(scope: str | None = None) -> list[Any]:
    """The variables that are not saved: counters of metrics and the like."""
    return mode.default_graph().get_collection(GraphKeys.LOCAL_VARIABLES, scope)


def model_variables(scope: str | None = None) -> list[Any]:
    """The variables of models."""
    return mode.default_graph().get_collection(GraphKeys.MODEL_VARIABLES, scope)


def moving_average_variables(scope: str | None = None) -> list[Any]:
    """The variables whose averages are kept."""
    return mode.default_graph().get_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, scope)


def trainable_variables(scope: str | None = None) -> list[Any]:
    """The variables that optimizers update by default."""
    return mode.default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES, scope)


def all_variables() -> list[Any]:
    """The old name of ``global_variables``."""
    return global_variables()


def variables_initializer(var_list: Any, name: str = "init") -> Any:
    """An operation that initialises the variables."""
    listed = list(var_list)
    if mode.executing_eagerly():
        return None
    return state.variables_initializer(mode.default_graph(), listed, name)


def global_variables_initializer() -> Any:
    """An operation that initialises all global variables made so far."""
    return variables_initializer(global_variables()) if not mode.executing_eagerly() else None


def local_variables_initializer() -> Any:
    """An operation that initialises all local variables made so far."""
    return variables_initializer(local_variables()) if not mode.executing_eagerly() else None


initialize_variables = variables_initializer
initialize_all_variables = global_variables_initializer
initialize_local_variables = local_variables_initializer


def is_variable_initialized(variable: Any) -> Any:
    """Whether a variable has a value in the session that runs this."""
    if isinstance(variable, CoreVariable):
        return corenn.tensor(True)
    return mode.one("IsVariableInitialized", None, GraphVariable.is_initialized, variable)


@writable("variable_functions.report_uninitialized_variables")
def _report_uninitialized_variables_missing(*found: Any, labels: Any) -> list[Any]:
    return [labels[~np.array(found, bool)]] if len(labels) else [labels]


def report_uninitialized_variables(var_list: Any = None, name: str = "report_uninitialized_variables") -> Any:
    """The names of variables that have no value, as strings; by default of all global and local ones."""
    listed = list(global_variables() + local_variables() if var_list is None else var_list)
    graph = mode.default_graph()
    with graph.as_default(), graph.name_scope(name):
        flags = [v.is_initialized() for v in listed]
        labels = np.array([v.operation.name.encode() for v in listed], object)
        operation = graph.add(
            HostCallKind(functools.partial(_report_uninitialized_variables_missing, labels=labels), True),
            flags,
            [((None,), dtypes.string)],
        )
        return operation.outputs[0]


def assert_variables_initialized(var_list: Any = None) -> Any:
    """An operation that reads the variables, and so fails where one has no value."""
    listed = list(global_variables() + local_variables() if var_list is None else var_list)
    return state.group(mode.default_graph(), *[v.value() for v in listed])


# ---------------------------------------------------------------- assignments as functions


def assign(
    ref: Any, value: Any, validate_shape: bool | None = None, use_locking: bool | None = None, name: str | None = None
) -> Any:
    """Set a variable; in a graph, an operation whose result is the new value."""
    if isinstance(ref, CoreVariable):
        return ref.assign(value)
    return ref.assign(value, name=name, validate_shape=validate_shape is None or validate_shape)


def assign_add(ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None) -> Any:
    """Add to a variable."""
    return ref.assign_add(value) if isinstance(ref, CoreVariable) else ref.assign_add(value, name=name)


def assign_sub(ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None) -> Any:
    """Subtract from a variable."""
    return ref.assign_sub(value) if isinstance(ref, CoreVariable) else ref.assign_sub(value, name=name)


def _scatter(kind: str) -> Callable[..., Any]:
    def scatter(ref: Any, indices: Any, updates: Any, use_locking: bool = True, name: str | None = None) -> Any:
        if isinstance(ref, CoreVariable):
            rows, given = convert_to_tensor(indices), convert_to_tensor(updates, ref.dtype)
            return ref.assign(SCATTER[kind](ref.value(), rows, given))
        return ref._scattered(kind, indices, updates, name)

    scatter.__name__ = f"scatter_{kind}"
    scatter.__doc__ = f"Change rows of a variable ({kind}); the result is the whole new value."
    return scatter


scatter_update, scatter_add, scatter_sub = _scatter("update"), _scatter("add"), _scatter("sub")
scatter_mul, scatter_div = _scatter("mul"), _scatter("div")
scatter_min, scatter_max = _scatter("min"), _scatter("max")


@writable("scatter_nd")
def _scattered_nd(now: Any, places: Any, given: Any, *, kind: str) -> Any:
    index = tuple(places[..., i] for i in range(places.spec.static[-1]))
    if kind == "update":
        return corenn.index_update(now, given, index=index)
    return corenn.index_add(now, given if kind == "add" else -given, index=index)


def _scatter_nd(kind: str) -> Callable[..., Any]:
    changed = functools.partial(_scattered_nd, kind=kind)

    def scatter(ref: Any, indices: Any, updates: Any, use_locking: bool = True, name: str | None = None) -> Any:
        if isinstance(ref, CoreVariable):
            return ref.assign(changed(ref.value(), convert_to_tensor(indices), convert_to_tensor(updates, ref.dtype)))
        graph = mode.graph_for(ref)
        with graph.as_default(), graph.name_scope(name or f"ScatterNd{kind.capitalize()}"):
            given = [ref.read_value(), convert_to_tensor(indices), convert_to_tensor(updates, ref.dtype)]
            known = [(ref.extents, ref.dtype)]
            (made,) = graph.call(changed, *given, type_name=f"ScatterNd{kind.capitalize()}", results=known)
            return state.assign(graph, ref, made)

    scatter.__name__ = f"scatter_nd_{kind}"
    scatter.__doc__ = f"Change elements or slices of a variable ({kind}); the result is the whole new value."
    return scatter


scatter_nd_update, scatter_nd_add, scatter_nd_sub = _scatter_nd("update"), _scatter_nd("add"), _scatter_nd("sub")


@writable("count_up_to")
def _below(value: Any, *, limit: int) -> Any:
    from corenn_tensorflow.errors import OutOfRangeError

    if int(value) >= limit:
        raise OutOfRangeError(None, None, f"Reached limit of {limit}")
    return value


def count_up_to(ref: Any, limit: int, name: str | None = None) -> Any:
    """The value of a variable, which is then incremented; OutOfRangeError once it has reached ``limit``."""
    check = functools.partial(_below, limit=int(limit))
    if isinstance(ref, CoreVariable):
        found = ref.value()
        check(found)
        ref.assign_add(1)
        return found
    graph = mode.graph_for(ref)
    with graph.as_default():
        before = graph.add(
            HostCallKind(check), [ref.read_value()], [((), ref.dtype)], name=name or "CountUpTo"
        ).outputs[0]
        with graph.control_dependencies([state.assign(graph, ref, corenn.add(before, 1))]):
            return corenn.identity(before)


__all__ = [
    "all_variables", "assert_variables_initialized", "assign", "assign_add", "assign_sub", "count_up_to",
    "global_variables", "global_variables_initializer", "initialize_all_variables", "initialize_local_variables",
    "initialize_variables", "is_variable_initialized", "local_variables", "local_variables_initializer",
    "model_variables", "moving_average_variables", "report_uninitialized_variables", "scatter_add", "scatter_div",
    "scatter_max", "scatter_min", "scatter_mul", "scatter_nd_add", "scatter_nd_sub", "scatter_nd_update",
    "scatter_sub", "scatter_update", "trainable_variables", "variables_initializer",
]  # fmt: skip
