"""What a run is asked for, and what it is fed: nested fetches to flat ones and back, feeds to arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.errors import DTypeError, ShapeError, UsageError
from corenn.graph.graph import Graph
from corenn.graph.operations import Operation
from corenn.graph.partial import compatible
from corenn.graph.state import GraphVariable
from corenn.graph.tensors import GraphTensor

Rebuild = Callable[[Mapping[int, Any]], Any]


class Fetches:
    """A nested structure of fetches: its distinct ``tensors`` and ``operations``, and how to put results back."""

    __slots__ = ("kept", "key", "operations", "rebuild", "tensors")

    def __init__(self, graph: Graph, structure: Any) -> None:
        self.tensors: list[GraphTensor] = []
        self.operations: list[Operation] = []
        self.kept = structure  # so that ids in keys stay those of these objects
        self.rebuild = self._flatten(graph, structure)
        self.key = (*map(id, self.tensors), None, *map(id, self.operations))

    def _flatten(self, graph: Graph, structure: Any) -> Rebuild:
        if isinstance(structure, (list, tuple)):
            parts = [self._flatten(graph, s) for s in structure]
            if hasattr(structure, "_fields"):
                return lambda values: type(structure)(*[p(values) for p in parts])
            kind: Any = list if isinstance(structure, list) else tuple
            return lambda values: kind([p(values) for p in parts])
        if isinstance(structure, Mapping):
            named = {key: self._flatten(graph, s) for key, s in structure.items()}
            as_dict: Any = type(structure) if not hasattr(structure, "default_factory") else dict
            return lambda values: as_dict((key, p(values)) for key, p in named.items())
        element = _element(graph, structure)
        if isinstance(element, Operation):
            if element not in self.operations:
                self.operations.append(element)
            return lambda values: None
        place = next((i for i, t in enumerate(self.tensors) if t is element), None)
        if place is None:
            place = len(self.tensors)
            self.tensors.append(element)
        return lambda values: values[place]


def _element(graph: Graph, given: Any) -> GraphTensor | Operation:
    if given is None or not (isinstance(given, (str, GraphTensor, Operation)) or hasattr(given, "__corenn_element__")):
        raise TypeError(
            f"Fetch argument {given!r} has invalid type {type(given)}, must be a string or Tensor. "
            f"(Can not convert a {type(given).__name__} into a Tensor or Operation.)"
        )
    try:
        return graph.as_element(given)
    except (KeyError, ValueError) as error:
        text = error.args[0] if error.args else str(error)
        raise ValueError(f"Fetch argument {given!r} cannot be interpreted as a Tensor. ({text})") from None


def feed_keys(graph: Graph, key: Any) -> list[GraphTensor]:
    """The graph tensors that a key of a feed_dict names: one, or several for a nested key."""
    if isinstance(key, (GraphVariable, GraphTensor)) and key.graph is graph:
        return [key]
    if isinstance(key, tuple):
        return [found for k in key for found in feed_keys(graph, k)]
    try:
        element = graph.get_tensor_by_name(key) if isinstance(key, str) else graph.as_element(key)
    except (KeyError, ValueError, TypeError) as error:
        text = error.args[0] if error.args else str(error)
        raise TypeError(f"Cannot interpret feed_dict key as Tensor: {text}") from None
    if not isinstance(element, GraphTensor):
        raise TypeError(f"Cannot interpret feed_dict key as Tensor: {element!r} is an operation.")
    return [element]


def feed_values(key: Any, value: Any) -> list[Any]:
    """The values for ``feed_keys``: as many."""
    if not isinstance(key, tuple):
        return [value]
    if not isinstance(value, (list, tuple)) or len(value) != len(key):
        raise UsageError("feed_dict", "a nested key needs a value of the same structure")
    return [found for k, v in zip(key, value, strict=True) for found in feed_values(k, v)]


def feed_array(tensor: GraphTensor, value: Any) -> np.ndarray[Any, Any]:
    """A fed value as an array of the tensor's dtype, checked against what is known of its shape."""
    dtype = tensor.dtype
    if isinstance(value, GraphTensor):
        raise TypeError(
            "The value of a feed cannot be a tf.Tensor object. Acceptable feed values include Python scalars, strings, "
            f"lists, numpy ndarrays, or TensorHandles. For reference, the tensor object was {value!r} which was passed "
            f"to the feed with key {tensor!r}."
        )
    if dtype is dtypes.string:
        array = np.array(value, dtype=object)
    elif isinstance(value, np.ndarray) and value.dtype == dtype.numpy:
        array = value
    else:
        array = _converted(tensor, value)
    if not compatible(tensor.extents, array.shape):
        known = ", ".join("?" if n is None else str(n) for n in tensor.extents or ())
        known += "," if len(tensor.extents or ()) == 1 else ""
        what = f"Cannot feed value of shape {array.shape} for Tensor {tensor.name!r}, which has shape '({known})'"
        raise ShapeError("feed_dict", what, site=tensor.operation.where)
    return array


def _converted(tensor: GraphTensor, value: Any) -> np.ndarray[Any, Any]:
    dtype = tensor.dtype
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise ShapeError("feed_dict", f"the value for {tensor.name!r} is no array: {error}") from None
    if given.dtype.kind in "OUS":
        raise DTypeError("feed_dict", f"cannot feed {type(value).__name__} of {given.dtype} to {tensor.name!r}",
                         {"placeholder": dtype})  # fmt: skip
    array = given.astype(dtype.numpy)
    if dtype.kind in "iub" and given.dtype.kind in "fc" and given.size and not np.array_equal(array, given):
        what = f"feeding {given.dtype} to {tensor.name!r} would lose fractions"
        hint = f"value.astype({dtype.name!r}), or a float32 placeholder"
        raise DTypeError("feed_dict", what, {"placeholder": dtype}, hint=hint)
    return array


__all__ = ["Fetches", "feed_array", "feed_keys", "feed_values"]
