"""What pipelines are made from: arrays, tensors of a graph, what users' functions return, numbers and names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes, tree
from corenn.data.sources import Generator
from corenn.tensor import Tensor
from corenn_tensorflow.data.elements import Leaf, dtype_of, graph_leaves, host, structured, tensors
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.keras import world
from corenn_tensorflow.shapes import TensorShape


class AsTheyAre(Generator):
    """The elements of a pipeline for the core's loop: text, which the core's own data sets refuse, among them."""

    def convert(self, value: Any, template: Any) -> Any:
        """Unchanged: the pipeline knows what it gives."""
        return value


class Source:
    """Arrays that may be tensors of a graph, whose values each iterator's initialisation brings."""

    def __init__(self, structure: Any) -> None:
        self.structure = structure
        self.symbols = graph_leaves(structure)
        self.values: list[Any] | None = None if self.symbols else []

    def arrays(self) -> Any:
        """The arrays on the host."""
        if self.values is None:
            from corenn_tensorflow.keras.session import get_session

            self.values = [host(v) for v in get_session().run(self.symbols)]
        left = iter(self.values)
        return tree.tree_map(lambda leaf: next(left) if any(leaf is s for s in self.symbols) else leaf, self.structure)


def integer(value: Any) -> int:
    """A number of Python, also from a tensor of a graph."""
    if graph_leaves(value):
        from corenn_tensorflow.keras.session import get_session

        value = get_session().run(value)
    return int(np.asarray(host(value)))


def text_of(value: Any) -> str:
    """A string of Python."""
    found = host(value) if isinstance(value, Tensor) else value
    found = found.reshape(()).item() if isinstance(found, np.ndarray) else found
    return found.decode() if isinstance(found, bytes) else str(found)


def holds_text(value: Any) -> bool:
    """Whether any item is a string."""
    return any(isinstance(v, (str, bytes)) for v in value)


def arrays_of(structure: Any) -> Any:
    """Arrays on the host in the places of everything but graph tensors and sparse tensors."""
    if isinstance(structure, dict):
        return {k: arrays_of(v) for k, v in structure.items()}
    if isinstance(structure, tuple):
        made = [arrays_of(v) for v in structure]
        return type(structure)(*made) if hasattr(structure, "_fields") else tuple(made)
    if graph_leaves(structure):
        return convert_to_tensor(structure)
    if hasattr(structure, "to_dict") and hasattr(structure, "columns"):  # a frame
        return np.asarray(structure)
    found = host(structure)
    return found


def leaf_of(array: Any) -> Leaf:
    """Extents and dtype of an array or a tensor."""
    if graph_leaves(array):
        return Leaf((array.extents, array.dtype))
    if isinstance(array, np.ndarray):
        dtype = dtypes.string if array.dtype == object else dtypes.as_dtype(array.dtype)
        return Leaf((array.shape, dtype))
    return Leaf((None, getattr(array, "dtype", dtypes.float32)))


def called(function: Callable[..., Any], element: Any) -> Any:
    """``function`` of the tensors of an element; a tuple is spread over its arguments."""
    made = tensors(element)
    if isinstance(made, tuple) and not hasattr(made, "_fields"):
        return function(*made)
    return function(made)


def applied(function: Callable[..., Any], element: Any) -> Any:
    """What ``function`` makes of an element, as an element."""
    with world.eagerly():
        return structured(called(function, element))


def typed(value: Any, types: Any, flat: list[Any] | None) -> Any:
    """A yielded value as an element of the stated dtypes."""
    if flat is None:
        return structured(value)
    if not isinstance(types, (tuple, list, dict)):
        return _cast(value, flat[0])
    if isinstance(types, dict):
        return {k: typed(value[k], t, tree.leaves(t)) for k, t in types.items()}
    return tuple(typed(v, t, tree.leaves(t)) for v, t in zip(value, types, strict=True))


def _cast(value: Any, dtype: Any) -> Any:
    wanted = dtype_of(dtype)
    if wanted is dtypes.string:
        return host(convert_to_tensor(value))
    return np.asarray(host(value)).astype(wanted.numpy)


def extents_of(shape: Any) -> Any:
    """A tuple of numbers and ``None``, or ``None``."""
    if shape is None:
        return None
    if isinstance(shape, TensorShape):
        return shape.extents
    return tuple(None if n is None or getattr(n, "value", n) is None else int(n) for n in shape)
