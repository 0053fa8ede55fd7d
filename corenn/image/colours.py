"""Brightness, contrast, colours and dtypes of images.

Floating images are taken to lie in [0, 1], but nothing limits them to it.  Images of uint8, int8, uint16 and int16 are
scaled by the largest value of their dtype, changed as float32, and stored again limited to their range; so one set
of numbers (``delta``, ``factor``) means the same for all, as in ``tf.image``.

A number of a change is one number, or a tensor [n] with one for each image of a batch; gradients reach both.
"""

from __future__ import annotations

from typing import Any

from corenn.dtypes import as_dtype
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.image._common import (
    CHANNELS,
    HEIGHT,
    STORED,
    WIDTH,
    beside,
    images,
    in_floats,
    in_unit_range,
    limits,
    numbers,
    stored_as,
)
from corenn.ops.colours import hsv_to_rgb, rgb_to_hsv, standardize_images
from corenn.ops.creation import DTypeLike, tensor
from corenn.ops.elementwise import add, cast, clip, floor_divide, multiply, power, remainder, subtract
from corenn.ops.reduction import mean
from corenn.ops.reduction import sum as total
from corenn.ops.shaping import stack, unstack
from corenn.ops.table import TensorLike
from corenn.tensor import Tensor

#: Red, green and blue in grey: ITU-R BT.601, in the digits that TensorFlow has.
LUMA = (0.2989, 0.587, 0.114)


def convert_dtype(x: TensorLike, dtype: DTypeLike) -> Tensor:
    """Images in another dtype: the largest value of an integer dtype stands for 1.0.

    Floats become integers limited to their range; of an integer dtype to a smaller one values are divided, to a larger
    one multiplied, by a power of two.  DTypeError for other than floating dtypes, uint8, int8, uint16 and int16.
    Source: ``tf.image.convert_image_dtype(saturate=True)``.
    """
    given, wanted = images("convert_dtype", x), as_dtype(dtype)
    if not wanted.is_floating and wanted not in STORED:
        what = f"images are floating or small integers, not {wanted}"
        raise DTypeError("convert_dtype", what, {"dtype": wanted}, hint="uint8 holds most images")
    if given.dtype is wanted:
        return given
    if given.dtype in STORED and wanted in STORED:
        return _between_integers(given, wanted)
    scaled = in_unit_range("convert_dtype", given)
    return stored_as(scaled, wanted)


def _between_integers(x: Tensor, wanted: Any) -> Tensor:
    have, want = limits(x.dtype)[1] + 1, limits(wanted)[1] + 1
    wide = cast(x, dtype="int32")
    scaled = floor_divide(wide, have // want) if have > want else multiply(wide, want // have)
    low, high = limits(wanted)
    return cast(clip(scaled, min=low, max=high), dtype=wanted)


def adjust_brightness(x: TensorLike, delta: Any) -> Tensor:
    """``x + delta``, for images [h, w, c] or [n, h, w, c].

    ``delta`` is in units of the whole range of the dtype (1 turns black into white), a number or [n].
    Source: ``tf.image.adjust_brightness``.
    """
    change = numbers("adjust_brightness", "delta", delta, images("adjust_brightness", x))
    return in_floats("adjust_brightness", x, lambda f: add(f, beside(change, f)))


def adjust_contrast(x: TensorLike, factor: Any) -> Tensor:
    """``(x - mean) * factor + mean``, the mean being that of each channel of each image [h, w, c] or [n, h, w, c].

    ``factor``: a number or [n].  Source: ``tf.image.adjust_contrast``.
    """
    change = numbers("adjust_contrast", "factor", factor, images("adjust_contrast", x))

    def adjusted(f: Tensor) -> Tensor:
        middle = mean(f, axis=(f.ndim + HEIGHT, f.ndim + WIDTH), keepdims=True)
        return add(multiply(subtract(f, middle), beside(change, f)), middle)

    return in_floats("adjust_contrast", x, adjusted)


def adjust_gamma(x: TensorLike, gamma: Any = 1.0, gain: Any = 1.0) -> Tensor:
    """``gain * x ** gamma``, for images [h, w, c] or [n, h, w, c] whose values are not negative.

    ``gamma``, ``gain``: numbers or [n]; AttributeValueError for a negative number ``gamma``.
    Source: ``tf.image.adjust_gamma``.
    """
    given = images("adjust_gamma", x)
    if isinstance(gamma, (int, float)) and gamma < 0:
        raise AttributeValueError("adjust_gamma", "gamma must not be negative", {"gamma": gamma})
    exponent, scale = (
        numbers("adjust_gamma", name, value, given) for name, value in (("gamma", gamma), ("gain", gain))
    )
    return in_floats("adjust_gamma", x, lambda f: multiply(power(f, beside(exponent, f)), beside(scale, f)))


def adjust_hue(x: TensorLike, delta: Any) -> Tensor:
    """Colours [..., h, w, 3] with their hue turned by ``delta`` of the colour circle, in [-1, 1]; a number or [n].

    1/3 turns red to green.  AttributeValueError for a number outside [-1, 1].  Source: ``tf.image.adjust_hue``.
    """
    if isinstance(delta, (int, float)) and not -1 <= delta <= 1:
        raise AttributeValueError("adjust_hue", "delta is a part of a turn, in [-1, 1]", {"delta": delta})
    change = numbers("adjust_hue", "delta", delta, _coloured("adjust_hue", x))

    def adjusted(f: Tensor) -> Tensor:
        hue, saturation, value = unstack(rgb_to_hsv(f), axis=-1)
        turned = remainder(add(hue, beside(change, hue)), 1.0)
        return hsv_to_rgb(stack(turned, saturation, value, axis=-1))

    return in_floats("adjust_hue", x, adjusted)


def adjust_saturation(x: TensorLike, factor: Any) -> Tensor:
    """Colours [..., h, w, 3] with their saturation times ``factor`` (a number or [n]), limited to [0, 1].

    0 makes them grey.  Source: ``tf.image.adjust_saturation``.
    """
    change = numbers("adjust_saturation", "factor", factor, _coloured("adjust_saturation", x))

    def adjusted(f: Tensor) -> Tensor:
        hue, saturation, value = unstack(rgb_to_hsv(f), axis=-1)
        scaled = clip(multiply(saturation, beside(change, saturation)), min=0.0, max=1.0)
        return hsv_to_rgb(stack(hue, scaled, value, axis=-1))

    return in_floats("adjust_saturation", x, adjusted)


def rgb_to_grayscale(x: TensorLike) -> Tensor:
    """Colours [..., h, w, 3] in one channel of grey: ``0.2989 red + 0.587 green + 0.114 blue``; the dtype stays.

    Source: ``tf.image.rgb_to_grayscale``.
    """
    _coloured("rgb_to_grayscale", x)

    def grey(f: Tensor) -> Tensor:
        weights = tensor(LUMA, f.dtype, device=f.spec.device)
        return total(multiply(f, weights), axis=f.ndim + CHANNELS, keepdims=True)

    return in_floats("rgb_to_grayscale", x, grey)


def standardize(x: TensorLike) -> Tensor:
    """Each image [h, w, c] or [n, h, w, c] to mean 0 and variance 1 over all its pixels and channels.

    ``(x - mean) / max(deviation, 1 / sqrt(h * w * c))``, so an image of one colour becomes 0.  The dtype stays where it
    is floating, integers become float32.  Source: ``tf.image.per_image_standardization``.
    """
    return standardize_images(images("standardize", x))


def _coloured(where: str, x: TensorLike) -> Tensor:
    given = images(where, x)
    if given.shape[-1] not in (3, None):
        hint = "corenn.image.grayscale_to_rgb(x)" if given.shape[-1] == 1 else None
        raise ShapeError(where, "takes images of three colour channels", {"x": given.spec}, hint=hint)
    return given
