"""Shapes as Keras's layers are given them, and as they tell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from corenn.graph.tensors import GraphTensor
from corenn.spec import Spec
from corenn_tensorflow.shapes import TensorShape


class InputSpec:
    """What a layer expects of an input: rank, shape, dtype, extents of axes.  Kept, and checked by nobody."""

    def __init__(
        self, dtype: Any = None, shape: Any = None, ndim: int | None = None, max_ndim: int | None = None,
        min_ndim: int | None = None, axes: Mapping[int, int] | None = None,
    ) -> None:  # fmt: skip
        self.dtype, self.shape, self.max_ndim, self.min_ndim = dtype, shape, max_ndim, min_ndim
        self.ndim = len(shape) if shape is not None else ndim
        self.axes = dict(axes or {})


def shape_of(value: Any) -> Any:
    """The shape of a tensor or spec as ``TensorShape``; lists and dicts of them for structures."""
    if isinstance(value, (list, tuple)):
        return [shape_of(v) for v in value]
    if isinstance(value, dict):
        return {k: shape_of(v) for k, v in value.items()}
    if value is None:
        return None
    spec = value if isinstance(value, Spec) else value.spec
    return TensorShape.of(tuple(None if n is None else int(n) for n in spec.shape))


def plain_shape(shape: Any) -> tuple[int | None, ...]:
    """A shape as a tuple of ints and ``None``."""
    listed = shape.as_list() if hasattr(shape, "as_list") else shape
    if isinstance(listed, (int, np.integer)):
        listed = (listed,)
    return tuple(None if n is None or getattr(n, "value", n) is None else int(n) for n in listed)


def first_shape(config: dict[str, Any]) -> tuple[int | None, ...] | None:
    """``batch_input_shape`` from the arguments of a first layer, which are taken out of ``config``."""
    batch = config.pop("batch_size", None)
    shape = config.pop("input_shape", None)
    whole = config.pop("batch_input_shape", None)
    width, length = config.pop("input_dim", None), config.pop("input_length", None)
    if whole is not None:
        return plain_shape(whole)
    if shape is None and width is not None:
        shape = (width,) if length is None else (length, width)
    return None if shape is None else (batch, *plain_shape(shape))


def plain_shapes(value: Any) -> Any:
    """The shapes of tensors or specs as tuples of ints and ``None``, ``None`` for an unknown rank; lists of them."""
    if isinstance(value, (list, tuple)) and not isinstance(value, (TensorShape, Spec)):
        return [plain_shapes(v) for v in value]
    extents = value.extents if isinstance(value, GraphTensor) else value.shape
    if isinstance(value, Spec):
        extents = (None, *extents[1:])
    return None if extents is None else tuple(None if n is None else int(n) for n in extents)


__all__ = ["InputSpec", "first_shape", "plain_shape", "plain_shapes", "shape_of"]
