"""What the functions on images share: which operands are images, and numbers that each image has of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from corenn.dtypes import DType, float32, int8, int16, uint8, uint16
from corenn.errors import DTypeError, ShapeError
from corenn.ops.creation import asarray
from corenn.ops.elementwise import cast, clip, multiply
from corenn.ops.shaping import expand_dims, operand, reshape
from corenn.ops.table import TensorLike
from corenn.tensor import Tensor

#: Integer dtypes whose whole range stands for [0, 1]; float32 holds every one of their values.
STORED = (uint8, int8, uint16, int16)

HEIGHT, WIDTH, CHANNELS = -3, -2, -1  # axes, from the last


def images(where: str, x: TensorLike) -> Tensor:
    """``x`` as a tensor of images [h, w, c] or [n, h, w, c]; ShapeError for another number of axes."""
    given = operand(x)
    if given.ndim not in (3, 4):
        hint = "a channel axis can be added: x[..., None]" if given.ndim == 2 else None
        what = "takes an image [height, width, channels] or a batch [batch, height, width, channels]"
        raise ShapeError(where, what, {"x": given.spec}, hint=hint)
    return given


def extents(where: str, x: Tensor) -> tuple[int, int]:
    """Height and width; ShapeError while a graph does not know them."""
    height, width = x.shape[HEIGHT], x.shape[WIDTH]
    if height is None or width is None:
        raise ShapeError(where, "needs the height and width of the images, which the graph does not know yet",
                         {"x": x.spec})  # fmt: skip
    return height, width


def batchwise(where: str, x: TensorLike, change: Callable[[Tensor], Tensor]) -> Tensor:
    """``change`` applied to images as a batch; a single image is a batch of one."""
    given = images(where, x)
    return change(given) if given.ndim == 4 else change(expand_dims(given, axis=0))[0]


def numbers(where: str, name: str, value: Any, x: Tensor, each: int = 1) -> Any:
    """A number for all images as it is, numbers for each image as floating [n] (or [n, each]).

    ``value``: a number; or a tensor, array or list: [n], of one number, or where ``each`` is 2 also [n, 2].
    """
    if isinstance(value, (int, float)) or (isinstance(value, np.ndarray | np.generic) and not np.ndim(value)):
        return float(value)
    given = asarray(value) if not isinstance(value, Tensor) else value
    kind = x.dtype if x.dtype.is_floating else float32
    given = given if given.dtype.is_floating and given.dtype.itemsize >= kind.itemsize else cast(given, dtype=kind)
    batch = x.shape[0] if x.ndim == 4 else 1
    fits = given.ndim in ((0, 1) if each == 1 else (0, 1, 2)) and (given.ndim < 2 or given.shape[1] == each)
    if not fits or (given.ndim and None not in (batch, given.shape[0]) and given.shape[0] not in (1, batch)):
        what = f"{name} is a number, or has one for each image"
        raise ShapeError(where, what, {"x": x.spec, name: given.spec}, hint="[n] for images [n, h, w, c]")
    return reshape(given, shape=(1,)) if given.ndim == 0 else given


def beside(value: Any, x: Tensor) -> Any:
    """A number, or the numbers [n] of each image, to be combined with the pixels of ``x``."""
    if not isinstance(value, Tensor):
        return value
    return reshape(cast(value, dtype=x.dtype), shape=(-1, *[1] * (x.ndim - 1)))


def limits(dtype: DType) -> tuple[int, int]:
    """The least and the largest value of an integer dtype."""
    info = np.iinfo(dtype.numpy)
    return int(info.min), int(info.max)


def in_unit_range(where: str, x: Tensor) -> Tensor:
    """Images with the range of an integer dtype scaled to that of floats: the largest value becomes 1."""
    if x.dtype.is_floating:
        return x
    if x.dtype not in STORED:
        hint = "corenn.cast(x, 'uint8'), or floats in [0, 1]"
        raise DTypeError(where, f"images are floating or small integers, not {x.dtype}", {"x": x.spec}, hint=hint)
    return multiply(cast(x, dtype=float32), 1.0 / limits(x.dtype)[1])


def stored_as(x: Tensor, dtype: DType) -> Tensor:
    """Floats in the units of [0, 1] as ``dtype``; integers are limited to their range, halves going up."""
    if dtype.is_floating:
        return cast(x, dtype=dtype)
    low, high = limits(dtype)
    # A value v / high times (high + 1/2) lies just above v, so that truncation gives v back (TensorFlow's rule).
    wide = cast(x, dtype=float32) if x.dtype.itemsize < 4 else x
    return cast(clip(multiply(wide, high + 0.5), min=low, max=high), dtype=dtype)


def in_floats(where: str, x: TensorLike, change: Callable[[Tensor], Tensor]) -> Tensor:
    """``change`` applied to images as floats, in the dtype they had; integers are limited to their range.

    Half precision is changed as float32 and rounded once.
    """
    given = images(where, x)
    scaled = in_unit_range(where, given)
    wide = cast(scaled, dtype=float32) if scaled.dtype.itemsize < 4 else scaled
    return stored_as(change(wide), given.dtype)
