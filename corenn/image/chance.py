"""Changes of images by chance, every image of a batch by numbers of its own.

The numbers come from a key, a seed or a generator, as for the draws of ``corenn.random``: the same one gives the same
change on every backend, and none takes the next of the default generator.  Image ``i`` of a batch gets the ``i``-th row
of numbers, so that the first images of a longer batch are changed as they would be alone.
"""

from __future__ import annotations

from typing import Any

from corenn.dtypes import int32
from corenn.errors import AttributeValueError, ShapeError
from corenn.image._common import HEIGHT, WIDTH, batchwise, extents, images
from corenn.image.arranging import Size, pair
from corenn.image.colours import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from corenn.image.moving import rotate, translate, zoom
from corenn.ops.arranging import flip
from corenn.ops.creation import tensor
from corenn.ops.elementwise import add, cast, floor, multiply, where
from corenn.ops.logic import less
from corenn.ops.random import Generator, _source
from corenn.ops.random_rows import random_rows
from corenn.ops.shaping import reshape
from corenn.ops.table import TensorLike
from corenn.ops.warping import crop_at
from corenn.tensor import Tensor


def rows(x: Tensor, key: Tensor, low: Any, high: Any) -> Tensor:
    """Uniform numbers in [low, high) for each image of a batch: [n], or of lists of bounds [n, len(low)]."""
    several = isinstance(low, (tuple, list))
    drawn = random_rows(x, key, width=len(low) if several else 1)
    if several:
        place = drawn.spec.device
        spread = tensor([b - a for a, b in zip(low, high, strict=True)], drawn.dtype, device=place)
        return add(multiply(drawn, spread), tensor(low, drawn.dtype, device=place))
    return add(multiply(drawn[:, 0], float(high - low)), float(low))


def flipped(x: Tensor, key: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Images [n, h, w, c], each reversed along each of ``axes`` one time in two."""
    drawn = random_rows(x, key, width=len(axes))
    for i, axis in enumerate(axes):
        chosen = reshape(less(drawn[:, i], 0.5), shape=(-1, 1, 1, 1))
        x = where(chosen, flip(x, axis=axis), x)
    return x


def random_flip_left_right(
    x: TensorLike, *, seed: int | None = None, generator: Generator | None = None, key: Tensor | None = None
) -> Tensor:
    """Images [h, w, c] or [n, h, w, c] of any dtype, each mirrored one time in two."""
    where_ = "random_flip_left_right"
    source = _source(where_, seed, generator, key)
    return batchwise(where_, x, lambda given: flipped(given, source, (WIDTH,)))


def random_flip_up_down(
    x: TensorLike, *, seed: int | None = None, generator: Generator | None = None, key: Tensor | None = None
) -> Tensor:
    """Images [h, w, c] or [n, h, w, c] of any dtype, each turned upside down one time in two."""
    where_ = "random_flip_up_down"
    source = _source(where_, seed, generator, key)
    return batchwise(where_, x, lambda given: flipped(given, source, (HEIGHT,)))


def random_crop(
    x: TensorLike, *, size: Size, seed: int | None = None, generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """From each of the images [h, w, c] or [n, h, w, c] of any dtype a part of height and width ``size``.

    Every place is equally likely.  ShapeError for smaller images.
    """
    wanted = pair("random_crop", "size", size)
    have = extents("random_crop", images("random_crop", x))
    if any(n < m for n, m in zip(have, wanted, strict=True)):
        raise ShapeError("random_crop", f"the images are smaller than {wanted}", {"x": images("random_crop", x).spec},
                         hint="corenn.image.pad, or resize_with_crop_or_pad")  # fmt: skip
    source = _source("random_crop", seed, generator, key)

    def change(given: Tensor) -> Tensor:
        room = [n - m + 1 for n, m in zip(have, wanted, strict=True)]
        corners = cast(floor(rows(given, source, [0, 0], room)), dtype=int32)
        return crop_at(given, corners, size=wanted)  # which keeps a number rounded up to the bound inside

    return batchwise("random_crop", x, change)


def random_rotate(
    x: TensorLike, max_angle: float, *, interpolation: str = "bilinear", fill_mode: str = "constant",
    fill_value: float = 0.0, seed: int | None = None, generator: Generator | None = None, key: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Images [h, w, c] or [n, h, w, c], each turned by an angle of at most ``max_angle`` radians either way.

    See ``rotate`` for the rest.
    """
    source, most = _source("random_rotate", seed, generator, key), _most("random_rotate", "max_angle", max_angle)
    how: dict[str, Any] = {"interpolation": interpolation, "fill_mode": fill_mode, "fill_value": fill_value}
    return batchwise("random_rotate", x, lambda given: rotate(given, rows(given, source, -most, most), **how))


def random_translate(
    x: TensorLike, max_offset: Any, *, interpolation: str = "bilinear", fill_mode: str = "constant",
    fill_value: float = 0.0, seed: int | None = None, generator: Generator | None = None, key: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Images [h, w, c] or [n, h, w, c], each moved by at most ``max_offset`` pixels: a number, or (rows, columns).

    See ``translate`` for the rest.
    """
    both = tuple(max_offset) if isinstance(max_offset, (tuple, list)) else (max_offset, max_offset)
    most = [_most("random_translate", "max_offset", m) for m in both]
    if len(most) != 2:
        raise AttributeValueError("random_translate", "max_offset is a number, or (rows, columns)",
                                  {"max_offset": repr(max_offset)})  # fmt: skip
    source = _source("random_translate", seed, generator, key)
    how: dict[str, Any] = {"interpolation": interpolation, "fill_mode": fill_mode, "fill_value": fill_value}
    least = [-m for m in most]
    return batchwise("random_translate", x, lambda given: translate(given, rows(given, source, least, most), **how))


def random_zoom(
    x: TensorLike, lower: float, upper: float, *, interpolation: str = "bilinear", fill_mode: str = "constant",
    fill_value: float = 0.0, seed: int | None = None, generator: Generator | None = None, key: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """What images [h, w, c] or [n, h, w, c] show, each between ``lower`` and ``upper`` times as large.

    ``0 < lower <= upper``, else AttributeValueError.  See ``zoom`` for the rest.
    """
    if not 0 < lower <= upper:
        raise AttributeValueError("random_zoom", "0 < lower <= upper must hold", {"lower": lower, "upper": upper})
    source = _source("random_zoom", seed, generator, key)
    how: dict[str, Any] = {"interpolation": interpolation, "fill_mode": fill_mode, "fill_value": fill_value}
    return batchwise("random_zoom", x, lambda given: zoom(given, rows(given, source, lower, upper), **how))


def random_brightness(
    x: TensorLike, max_delta: float, *, seed: int | None = None, generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``adjust_brightness`` of images [h, w, c] or [n, h, w, c], each by a number in [-max_delta, max_delta)."""
    source = _source("random_brightness", seed, generator, key)
    most = _most("random_brightness", "max_delta", max_delta)
    return batchwise("random_brightness", x, lambda g: adjust_brightness(g, rows(g, source, -most, most)))


def random_contrast(
    x: TensorLike, lower: float, upper: float, *, seed: int | None = None, generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``adjust_contrast`` of images [h, w, c] or [n, h, w, c], each by a factor in [lower, upper)."""
    source, bounds = _source("random_contrast", seed, generator, key), _bounds("random_contrast", lower, upper)
    return batchwise("random_contrast", x, lambda given: adjust_contrast(given, rows(given, source, *bounds)))


def random_hue(
    x: TensorLike, max_delta: float, *, seed: int | None = None, generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``adjust_hue`` of images [h, w, 3] or [n, h, w, 3], each by a number in [-max_delta, max_delta), at most 0.5."""
    source, most = _source("random_hue", seed, generator, key), _most("random_hue", "max_delta", max_delta)
    if most > 0.5:
        raise AttributeValueError("random_hue", "max_delta is at most half a turn, 0.5", {"max_delta": max_delta})
    return batchwise("random_hue", x, lambda given: adjust_hue(given, rows(given, source, -most, most)))


def random_saturation(
    x: TensorLike, lower: float, upper: float, *, seed: int | None = None, generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``adjust_saturation`` of images [h, w, 3] or [n, h, w, 3], each by a factor in [lower, upper)."""
    source, bounds = _source("random_saturation", seed, generator, key), _bounds("random_saturation", lower, upper)
    return batchwise("random_saturation", x, lambda given: adjust_saturation(given, rows(given, source, *bounds)))


def _most(where: str, name: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise AttributeValueError(where, f"{name} must be a number that is not negative", {name: repr(value)})
    return float(value)


def _bounds(where: str, lower: float, upper: float) -> tuple[float, float]:
    if not 0 <= lower <= upper:
        raise AttributeValueError(where, "0 <= lower <= upper must hold", {"lower": lower, "upper": upper})
    return lower, upper
