"""Variables of models: making them, finding them by scope, assigning them from checkpoints."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from corenn_tensorflow.contrib.framework.arg_scope import add_arg_scope
from corenn_tensorflow.framework import GraphKeys
from corenn_tensorflow.mode import default_graph
from corenn_tensorflow.scopes import VariableScope, get_variable

_log = logging.getLogger("tensorflow")


def get_variables(
    scope: Any = None, suffix: str | None = None, collection: str = GraphKeys.GLOBAL_VARIABLES
) -> list[Any]:
    """Variables of a collection, of a scope (a name or a scope) and with names that end in ``suffix``."""
    if isinstance(scope, VariableScope):
        scope = scope.name
    if suffix is not None:
        scope = f"{scope or ''}.*{suffix if ':' in suffix else suffix + ':'}"
    return default_graph().get_collection(collection, scope)


def get_model_variables(scope: Any = None, suffix: str | None = None) -> list[Any]:
    """The variables of models."""
    return get_variables(scope, suffix, GraphKeys.MODEL_VARIABLES)


def get_trainable_variables(scope: Any = None, suffix: str | None = None) -> list[Any]:
    """The variables that optimizers update."""
    return get_variables(scope, suffix, GraphKeys.TRAINABLE_VARIABLES)


def get_local_variables(scope: Any = None, suffix: str | None = None) -> list[Any]:
    """The variables that are not saved."""
    return get_variables(scope, suffix, GraphKeys.LOCAL_VARIABLES)


def get_variables_to_restore(include: Any = None, exclude: Any = None) -> list[Any]:
    """The variables of the scopes to include (default: all) without those of the scopes to exclude."""
    if include is None:
        found = get_variables()
    else:
        found = [v for scope in include for v in get_variables(scope)]
    if exclude is not None:
        left_out = {id(v) for scope in exclude for v in get_variables(scope)}
        found = [v for v in found if id(v) not in left_out]
    return found


def get_variables_by_suffix(suffix: str, scope: Any = None) -> list[Any]:
    """The variables whose names end in ``suffix``."""
    return get_variables(scope, suffix)


def get_variables_by_name(given_name: str, scope: Any = None) -> list[Any]:
    """The variables called ``given_name``, within their scopes."""
    pattern = f"(^|.*/){re.escape(given_name)}:\\d+$"
    return [v for v in get_variables(scope) if re.match(pattern, v.name)]


def get_unique_variable(var_op_name: str) -> Any:
    """The variable of that full name; ValueError if there is none."""
    found = [v for v in get_variables() if v.op.name == var_op_name]
    if len(found) != 1:
        raise ValueError(f"Variable {var_op_name} does not uniquely identify a variable")
    return found[0]


@add_arg_scope
def variable(
    name: str, shape: Any = None, dtype: Any = None, initializer: Any = None, regularizer: Any = None,
    trainable: bool = True, collections: Any = None, caching_device: Any = None, device: Any = None,
    partitioner: Any = None, custom_getter: Any = None, use_resource: Any = None, **other: Any,
) -> Any:  # fmt: skip
    """``tf.get_variable``, in the scope's defaults."""
    listed = list(collections if collections is not None else [GraphKeys.GLOBAL_VARIABLES])
    return get_variable(
        name, shape=shape, dtype=dtype or "float32", initializer=initializer, regularizer=regularizer,
        trainable=trainable, collections=list(dict.fromkeys(listed)), custom_getter=custom_getter,
    )  # fmt: skip


@add_arg_scope
def model_variable(name: str, shape: Any = None, dtype: Any = "float32", *args: Any, **options: Any) -> Any:
    """A variable in the collection of model variables, too."""
    listed = list(options.pop("collections", None) or [])
    listed += [GraphKeys.GLOBAL_VARIABLES, GraphKeys.MODEL_VARIABLES]
    return variable(name, shape, dtype, *args, collections=listed, **options)


def local_variable(initial_value: Any, validate_shape: bool = True, name: str | None = None, **options: Any) -> Any:
    """A variable that is not saved."""
    from corenn_tensorflow.variables import make_variable

    return make_variable(initial_value, False, [GraphKeys.LOCAL_VARIABLES], validate_shape, name)


def add_model_variable(var: Any) -> None:
    """Put a variable into the collection of model variables."""
    graph = default_graph()
    if not any(var is v for v in graph.get_collection_ref(GraphKeys.MODEL_VARIABLES)):
        graph.add_to_collection(GraphKeys.MODEL_VARIABLES, var)


def assign_from_values(var_names_to_values: dict[str, Any]) -> tuple[Any, dict[Any, Any]]:
    """An operation that assigns arrays to variables, and what to feed it."""
    from corenn.graph.building import placeholder
    from corenn.graph.state import group

    graph, feeds, operations = default_graph(), {}, []
    with graph.as_default(), graph.name_scope("assign_from_values"):
        for name, value in var_names_to_values.items():
            found = get_unique_variable(name)
            given = placeholder(found.dtype, found.extents)
            operations.append(found.assign(given))
            feeds[given] = value
        return group(graph, *operations), feeds


def assign_from_values_fn(var_names_to_values: dict[str, Any]) -> Callable[[Any], Any]:
    """A function of a session that assigns arrays to variables."""
    operation, feeds = assign_from_values(var_names_to_values)
    return lambda session: session.run(operation, feeds)


def _named(var_list: Any) -> dict[str, list[Any]]:
    if isinstance(var_list, dict):
        return {name: list(v) if isinstance(v, (list, tuple)) else [v] for name, v in var_list.items()}
    found: dict[str, list[Any]] = {}
    for v in var_list:
        found.setdefault(v.op.name, []).append(v)
    return found


def assign_from_checkpoint(
    model_path: str, var_list: Any, ignore_missing_vars: bool = False
) -> tuple[Any, dict[Any, Any]]:
    """An operation that assigns what a checkpoint holds to variables, and what to feed it."""
    from corenn_tensorflow.train import load_checkpoint

    reader, values = load_checkpoint(model_path), {}
    for name, variables in _named(var_list).items():
        if not reader.has_tensor(name):
            if not ignore_missing_vars:
                raise ValueError(f"Checkpoint is missing variable [{name}]")
            _log.warning("Variable %s missing in checkpoint %s", name, model_path)
            continue
        for v in variables:
            values[v.op.name] = reader.get_tensor(name)
    return assign_from_values(values)


def assign_from_checkpoint_fn(
    model_path: str, var_list: Any, ignore_missing_vars: bool = False, reshape_variables: bool = False
) -> Callable[[Any], Any]:
    """A function of a session that restores variables from a checkpoint."""
    if not var_list:
        raise ValueError("var_list cannot be empty")
    operation, feeds = assign_from_checkpoint(model_path, var_list, ignore_missing_vars)
    return lambda session: session.run(operation, feeds)


def filter_variables(
    var_list: Any, include_patterns: Any = None, exclude_patterns: Any = None, reg_search: bool = True
) -> list[Any]:
    """The variables whose names match one of the patterns to include, and none of those to exclude."""
    match = re.search if reg_search else re.match
    found = list(var_list)
    if include_patterns:
        found = [v for v in found if any(match(p, v.op.name) for p in include_patterns)]
    if exclude_patterns:
        found = [v for v in found if not any(match(p, v.op.name) for p in exclude_patterns)]
    return found


__all__ = [
    "add_model_variable", "assign_from_checkpoint", "assign_from_checkpoint_fn", "assign_from_values",
    "assign_from_values_fn", "filter_variables", "get_local_variables", "get_model_variables",
    "get_trainable_variables", "get_unique_variable", "get_variables", "get_variables_by_name",
    "get_variables_by_suffix", "get_variables_to_restore", "local_variable", "model_variable", "variable",
]  # fmt: skip
