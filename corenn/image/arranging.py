"""Cutting, filling up and mirroring images: every pixel keeps its value, and every dtype is taken."""

from __future__ import annotations

import math
from typing import Any

from corenn.errors import AttributeValueError, ShapeError
from corenn.image._common import HEIGHT, WIDTH, extents, images
from corenn.ops.arranging import flip
from corenn.ops.arranging import pad as pad_axes
from corenn.ops.elementwise import identity
from corenn.ops.shaping import concatenate, swapaxes
from corenn.ops.table import TensorLike
from corenn.tensor import Tensor

Size = int | tuple[int, int]


def pair(where: str, name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """An int, or two, as two ints of at least ``least``; AttributeValueError for others."""
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2 or not all(isinstance(n, int) and not isinstance(n, bool) and n >= least for n in both):
        what = f"{name} must be an int of at least {least}, or two: height and width"
        raise AttributeValueError(where, what, {name: repr(value)})
    return both[0], both[1]


def _cut(where: str, x: Tensor, corner: tuple[int, int], size: tuple[int, int]) -> Tensor:
    for first, count, extent in zip(corner, size, extents(where, x), strict=True):
        if first < 0 or first + count > extent:
            what = f"the part of size {size} at {corner} does not lie inside the image"
            raise ShapeError(where, what, {"x": x.spec}, hint="corenn.image.resize_with_crop_or_pad fills up")
    (top, left), (height, width) = corner, size
    return x[..., top : top + height, left : left + width, :]


def crop(x: TensorLike, *, offset: Size = 0, size: Size) -> Tensor:
    """The part of height and width ``size`` whose first pixel is at ``offset`` (row, column).

    ``x``: [h, w, c] or [n, h, w, c].  ShapeError when it does not lie inside the image.
    Source: ``tf.image.crop_to_bounding_box``.
    """
    return _cut("crop", images("crop", x), pair("crop", "offset", offset, 0), pair("crop", "size", size))


def center_crop(x: TensorLike, *, size: Size) -> Tensor:
    """The middle of the images [h, w, c] or [n, h, w, c], of height and width ``size``; ShapeError for smaller images.

    The first row is ``(h - size) // 2``, as in Keras' ``CenterCrop``.
    """
    given, wanted = images("center_crop", x), pair("center_crop", "size", size)
    corner = [(extent - n) // 2 for extent, n in zip(extents("center_crop", given), wanted, strict=True)]
    return _cut("center_crop", given, (corner[0], corner[1]), wanted)


def central_crop(x: TensorLike, fraction: float) -> Tensor:
    """The middle ``fraction`` of height and width of the images [h, w, c] or [n, h, w, c].

    ``int((h - h * fraction) / 2)`` rows are cut off above and as many below, columns likewise.
    AttributeValueError unless ``0 < fraction <= 1``.  Source: ``tf.image.central_crop``.
    """
    if not 0 < fraction <= 1:
        raise AttributeValueError("central_crop", "fraction must lie in (0, 1]", {"fraction": fraction})
    given = images("central_crop", x)
    height, width = extents("central_crop", given)
    top, left = (int((n - n * fraction) / 2) for n in (height, width))
    return _cut("central_crop", given, (top, left), (height - 2 * top, width - 2 * left))


def pad(x: TensorLike, padding: Any, *, mode: str = "constant", value: float = 0) -> Tensor:
    """Images [h, w, c] or [n, h, w, c] with rows and columns put around them.

    ``padding``: an int, ``(rows, columns)`` on both sides, or ``((top, bottom), (left, right))``.  ``mode``:
    "constant" (``value``), "edge", "reflect" or "symmetric", as in ``corenn.pad``.
    """
    given = images("pad", x)
    sides = tuple(padding) if isinstance(padding, (tuple, list)) else (padding, padding)
    if len(sides) != 2:
        raise AttributeValueError("pad", "padding is an int, (rows, columns), or two pairs", {"padding": repr(padding)})
    around = tuple(pair("pad", "padding", side, 0) for side in sides)
    return pad_axes(given, widths=(*[(0, 0)] * (given.ndim - 3), *around, (0, 0)), mode=mode, value=value)


def resize_with_crop_or_pad(x: TensorLike, *, size: Size) -> Tensor:
    """Images [h, w, c] or [n, h, w, c] cut to their middle, or with zeros around them, to be of height and width
    ``size``; nothing is interpolated.

    Source: ``tf.image.resize_with_crop_or_pad``: of an odd number of rows the one more is taken, or put, below.
    """
    where = "resize_with_crop_or_pad"
    given, wanted = images(where, x), pair(where, "size", size)
    have = extents(where, given)
    kept = [min(n, m) for n, m in zip(have, wanted, strict=True)]
    corner = [(n - k) // 2 for n, k in zip(have, kept, strict=True)]
    middle = _cut(where, given, (corner[0], corner[1]), (kept[0], kept[1]))
    before = [(m - k) // 2 for m, k in zip(wanted, kept, strict=True)]
    around = tuple((b, m - k - b) for b, m, k in zip(before, wanted, kept, strict=True))
    return pad(middle, around) if any(map(any, around)) else middle


def flip_left_right(x: TensorLike) -> Tensor:
    """Images [h, w, c] or [n, h, w, c] mirrored: columns in reverse order."""
    return flip(images("flip_left_right", x), axis=WIDTH)


def flip_up_down(x: TensorLike) -> Tensor:
    """Images [h, w, c] or [n, h, w, c] upside down: rows in reverse order."""
    return flip(images("flip_up_down", x), axis=HEIGHT)


def rotate90(x: TensorLike, k: int = 1) -> Tensor:
    """Images [h, w, c] or [n, h, w, c] turned against the clock by ``k`` right angles (of any sign).

    Source: ``tf.image.rot90``, ``numpy.rot90``.
    """
    if not isinstance(k, int):
        raise AttributeValueError("rotate90", "k counts right angles", {"k": repr(k)}, hint="rotate(x, k * math.pi/2)")
    given, turns = images("rotate90", x), k % 4
    if turns == 0:
        return identity(given)
    if turns == 2:
        return flip(given, axis=(HEIGHT, WIDTH))
    turned = swapaxes(given, HEIGHT, WIDTH)
    return flip(turned, axis=HEIGHT if turns == 1 else WIDTH)


def grayscale_to_rgb(x: TensorLike) -> Tensor:
    """Images of one channel [..., h, w, 1] as images of three equal ones; ShapeError for other numbers of channels."""
    given = images("grayscale_to_rgb", x)
    if given.shape[-1] not in (1, None):
        raise ShapeError("grayscale_to_rgb", "takes images of one channel", {"x": given.spec})
    return concatenate(given, given, given, axis=-1)


def aspect_crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The largest middle part of images with the ratio of height and width that ``size`` has."""
    height, width = extents("aspect_crop", x)
    h = min(height, max(1, math.floor(width * size[0] / size[1])))
    w = min(width, max(1, math.floor(height * size[1] / size[0])))
    return center_crop(x, size=(h, w))
