"""Helpers of layers: choices that may be known now, collections, shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corenn_tensorflow.layer_base import smart_cond
from corenn_tensorflow.mode import default_graph
from corenn_tensorflow.operands import known


def constant_value(value_or_tensor_or_var: Any, dtype: Any = None) -> Any:
    """The value, if it is known now, else ``None``."""
    return known(value_or_tensor_or_var)


def static_cond(pred: bool, fn1: Callable[[], Any], fn2: Callable[[], Any]) -> Any:
    """``fn1()`` or ``fn2()``."""
    return fn1() if pred else fn2()


def collect_named_outputs(collections: Any, alias: str, outputs: Any) -> Any:
    """The outputs, put into the collections under a name."""
    if collections:
        outputs.aliases = [*getattr(outputs, "aliases", []), alias]
        for name in [collections] if isinstance(collections, str) else collections:
            default_graph().add_to_collection(name, outputs)
    return outputs


def convert_collection_to_dict(collection: str, clear_collection: bool = False) -> dict[str, Any]:
    """The tensors of a collection by their names (those given by ``collect_named_outputs``)."""
    found = {}
    for value in default_graph().get_collection(collection):
        for alias in getattr(value, "aliases", None) or [value.op.name]:
            found[alias] = value
    if clear_collection:
        default_graph().clear_collection(collection)
    return found


def get_variable_collections(variables_collections: Any, name: str) -> Any:
    """The collections for the variable ``name``, of a list for all or of a dict by name."""
    if isinstance(variables_collections, dict):
        return variables_collections.get(name)
    return variables_collections


def gather_tensors_aliases(tensors: Any) -> list[str]:
    """The names of tensors."""
    return [alias for t in tensors for alias in getattr(t, "aliases", None) or [t.op.name]]


def channel_dimension(shape: Any, data_format: str, min_rank: int = 1) -> int:
    """The extent of the channel axis."""
    listed = shape.as_list()
    found = listed[1] if data_format.startswith("NC") else listed[-1]
    if found is None:
        raise ValueError(f"The channel dimension of the shape {listed} must be known")
    return int(found)


def last_dimension(shape: Any, min_rank: int = 1) -> int:
    """The extent of the last axis."""
    return channel_dimension(shape, "NHWC", min_rank)


def two_element_tuple(int_or_tuple: Any) -> tuple[int, int]:
    """Two ints, of one or two."""
    if isinstance(int_or_tuple, (list, tuple)):
        if len(int_or_tuple) != 2:
            raise ValueError(f"Must be a list with 2 elements: {int_or_tuple}")
        return int(int_or_tuple[0]), int(int_or_tuple[1])
    return int(int_or_tuple), int(int_or_tuple)


def n_positive_integers(n: int, value: Any) -> tuple[int, ...]:
    """``n`` positive ints, of one or ``n``."""
    listed = tuple(int(v) for v in value) if isinstance(value, (list, tuple)) else (int(value),) * n
    if len(listed) != n or any(v < 1 for v in listed):
        raise ValueError(f"Must be {n} positive integers: {value}")
    return listed


__all__ = [
    "channel_dimension", "collect_named_outputs", "constant_value", "convert_collection_to_dict",
    "gather_tensors_aliases", "get_variable_collections", "last_dimension", "n_positive_integers", "smart_cond",
    "static_cond", "two_element_tuple",
]  # fmt: skip
