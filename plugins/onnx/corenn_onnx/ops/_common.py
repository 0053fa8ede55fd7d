"""What several families of ONNX ops share."""

from __future__ import annotations

from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.dtypes import DType
from corenn.tensor import Tensor
from corenn_onnx.values import OF_ONNX, onnx_name

NARROW = (dtypes.float16, dtypes.bfloat16)


def scalar(value: Any, like: Tensor) -> Tensor:
    """A 0-d tensor of the dtype of another."""
    return corenn.tensor(np.asarray(value, dtype=like.dtype.numpy))


def extents(x: Tensor, node: Any) -> tuple[int, ...]:
    """The shape of a tensor, all of which must be known."""
    shape = x.shape
    if shape is None or None in shape:
        raise node.unsupported("the shape of its operand must be known", "trace the model for concrete shapes")
    return tuple(shape)


def positive(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    return int(axis) % rank if rank else 0


def of_onnx(number: int, node: Any) -> DType:
    """The corenn dtype of an ONNX element type; UnsupportedOnnxError where there is none."""
    try:
        return OF_ONNX[number]
    except KeyError:
        raise node.unsupported(f"corenn has no elements of {onnx_name(number)}") from None


def axes_of(axes: Any, rank: int) -> tuple[int, ...] | None:
    """Axes as a tuple of non-negative ints; ``None`` stays."""
    return None if axes is None else tuple(int(a) % rank if rank else 0 for a in np.ravel(axes))


def shape_of(x: Tensor) -> Any:
    """The shape: a tuple where it is known, else a tensor of the graph being built."""
    shape = x.shape
    return corenn.shape(x) if shape is None or None in shape else tuple(shape)
