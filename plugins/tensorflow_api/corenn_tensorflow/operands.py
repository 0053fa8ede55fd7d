"""What functions and layers share: operands as tensors, what is known of shapes, several ops as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from corenn.dtypes import DType, as_dtype
from corenn.graph.building import shape as shape_of
from corenn.graph.deferred import complete, static_value
from corenn.graph.graph import building
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import asarray, full
from corenn.ops.elementwise import cast
from corenn.tensor import Tensor
from corenn_tensorflow.mode import graph_for

Extents = tuple[int | None, ...]


def tensor(x: Any, dtype: Any = None, *beside: Any) -> Tensor:
    """``x`` as a tensor of the graph that a call with ``x`` and ``beside`` adds to, or a tensor with a value.

    ``dtype`` is what plain numbers and arrays become; tensors are cast to it only if it is given.
    """
    kind: DType | None = None if dtype is None else as_dtype(dtype)
    graph = graph_for(x, beside)
    if graph is not None:
        return graph.convert(x, kind)
    found = x if isinstance(x, Tensor) else asarray(x, dtype=kind)
    return found if kind is None or found.dtype is kind else cast(found, dtype=kind)


def like(x: Any, other: Tensor) -> Tensor:
    """``x`` as a tensor of the dtype and the graph of ``other``."""
    return tensor(x, other.dtype, other)


def extents(x: Tensor) -> Extents | None:
    """The shape as far as it is known; ``None`` where not even the rank is."""
    return x.extents if isinstance(x, GraphTensor) else x.spec.shape


def rank(x: Tensor) -> int | None:
    """The number of axes, where it is known."""
    found = extents(x)
    return None if found is None else len(found)


def dynamic_shape(x: Tensor) -> Any:
    """The shape as a tuple of ints if it is wholly known, else as a tensor known when the graph runs."""
    found = extents(x)
    if found is not None and None not in found:
        return found
    return shape_of(x)


def filled_like(x: Tensor, value: float, dtype: Any = None) -> Tensor:
    """A tensor of the shape of ``x``, which need not be known yet, full of ``value``."""
    return full(dynamic_shape(x), value, x.dtype if dtype is None else as_dtype(dtype))


def known(value: Any) -> Any:
    """A number (or array) that is known now: ``value`` itself, or that of a constant tensor; else ``None``."""
    to_graph = getattr(value, "__corenn_element__", None)
    if to_graph is not None:
        return None
    if isinstance(value, GraphTensor):
        array = value.operation.attrs.get("value") if value.operation.type == "Const" else None
        if array is not None:
            return array.item() if array.ndim == 0 else array
        found = static_value(value)
        return found if complete(found) else None
    if isinstance(value, Tensor):
        return value.item() if value.ndim == 0 else value.numpy()
    return value


def axes_of(value: Any) -> Any:
    """An ``axis`` argument: an int, a tuple of ints, ``None``, or a tensor known when the graph runs."""
    if value is None or isinstance(value, (int, np.integer)):
        return None if value is None else int(value)
    found = known(value)
    if found is None:
        return value
    if isinstance(found, (int, np.integer)):
        return int(found)
    return tuple(int(v) for v in found)


def composite(type_name: str, name: str | None, function: Callable[..., Any], *operands: Any) -> Any:
    """``function(*operands)``, written in ops, as one operation of a graph: for what needs known shapes.

    A single result is returned as it is, several as a tuple.
    """
    graph = graph_for(operands)
    if graph is None:
        return function(*[asarray(o) for o in operands])
    with graph.as_default():
        results = graph.call(function, *operands, type_name=type_name, name=name)
    return results[0] if len(results) == 1 else results


def in_graph() -> bool:
    """Whether a graph is being built here."""
    return building() is not None


def ints(value: Any) -> tuple[int, ...]:
    """Ints of a list, tuple, array, shape, or constant tensor."""
    listed = getattr(value, "as_list", None)
    found = listed() if listed is not None else known(value)
    return tuple(int(v) for v in (found if isinstance(found, (Sequence, np.ndarray)) else [found]))


__all__ = [
    "Extents", "axes_of", "composite", "dynamic_shape", "extents", "filled_like", "in_graph", "ints", "known", "like",
    "rank", "shape_of", "tensor",
]  # fmt: skip
