"""Values of pixels: colours as red, green and blue, and as hue, saturation and value; images of mean 0 and variance 1.

Source of the colours: A. R. Smith, Color gamut transform pairs, 1978.
"""

from __future__ import annotations

import colorsys
import math
from typing import Any

import numpy as np

from corenn.dtypes import FLOATING, REAL, bfloat16, float16, float32
from corenn.errors import DTypeError, ShapeError
from corenn.ops.creation import zeros_like
from corenn.ops.elementwise import abs as absolute
from corenn.ops.elementwise import add, cast, clip, divide, maximum, multiply, square, subtract, where
from corenn.ops.logic import equal, greater, less
from corenn.ops.reduction import max as largest
from corenn.ops.reduction import mean
from corenn.ops.reduction import min as least
from corenn.ops.sampling import Arg, boolean, error, integer, literal, real, sample
from corenn.ops.shaping import stack, unstack
from corenn.ops.table import Call, TensorLike, op
from corenn.ops.transcendental import sqrt
from corenn.spec import Spec
from corenn.tensor import Tensor


def _colours(call: Call, x: Spec) -> Spec:
    if not x.ndim or x.shape[-1] not in (3, None):
        hint = "corenn.image.grayscale_to_rgb(x)" if x.ndim and x.shape[-1] == 1 else None
        raise call.shape_error("takes three colour channels in the last axis", hint, x="")
    return x.at(None)


@op(infer=_colours, dtypes=FLOATING, namespace="image")
def rgb_to_hsv(x: TensorLike, /) -> Tensor:
    """Hue, saturation and value of colours in [0, 1] (last axis: red, green, blue), in the last axis, in [0, 1].

    Value is the largest of the three, saturation the part of it by which the smallest is smaller, hue 0 for red, 1/3
    for green, 2/3 for blue; what is undefined (hue of grey, saturation of black) is 0, with no gradient.
    Source: ``tf.image.rgb_to_hsv``; Python's ``colorsys``.
    """


@op(infer=_colours, dtypes=FLOATING, namespace="image")
def hsv_to_rgb(x: TensorLike, /) -> Tensor:
    """Red, green and blue of colours given as hue, saturation and value in the last axis; all in [0, 1].

    Source: ``tf.image.hsv_to_rgb``; Python's ``colorsys``.
    """


def _widened(x: Tensor) -> Tensor:
    """Half precision is computed in float32: a hue is a quotient of differences."""
    return cast(x, dtype=float32) if x.dtype in (float16, bfloat16) else x


@rgb_to_hsv.decompose
def _(x: Tensor) -> Tensor:
    wide = _widened(x)
    red, green, blue = unstack(wide, axis=-1)
    value, low = largest(wide, axis=-1), least(wide, axis=-1)
    spread = subtract(value, low)
    coloured, bright = greater(spread, 0.0), greater(value, 0.0)
    sixth = multiply(where(coloured, spread, 1.0), 6.0)
    from_red = divide(subtract(green, blue), sixth)
    from_red = where(less(from_red, 0.0), add(from_red, 1.0), from_red)
    from_green = add(divide(subtract(blue, red), sixth), 1 / 3)
    from_blue = add(divide(subtract(red, green), sixth), 2 / 3)
    hue = where(equal(red, value), from_red, where(equal(green, value), from_green, from_blue))
    nothing = zeros_like(value)
    saturation = where(bright, divide(spread, where(bright, value, 1.0)), nothing)
    return cast(stack(where(coloured, hue, nothing), saturation, value, axis=-1), dtype=x.dtype)


@hsv_to_rgb.decompose
def _(x: Tensor) -> Tensor:
    hue, saturation, value = unstack(_widened(x), axis=-1)
    around = multiply(hue, 6.0)
    pure = (
        subtract(absolute(subtract(around, 3.0)), 1.0),
        subtract(2.0, absolute(subtract(around, 2.0))),
        subtract(2.0, absolute(subtract(around, 4.0))),
    )
    channels = [multiply(add(multiply(subtract(clip(c, min=0.0, max=1.0), 1.0), saturation), 1.0), value) for c in pure]
    return cast(stack(*channels, axis=-1), dtype=x.dtype)


def _standardize(call: Call, x: Spec) -> Spec:
    if x.ndim not in (3, 4):
        raise call.shape_error("takes images [..., height, width, channels] of 3 or 4 axes", x=f"has {x.ndim} axes")
    return Spec(x.shape, x.dtype if x.dtype.is_floating else float32)


@op(infer=_standardize, dtypes=REAL, namespace="_")
def standardize_images(x: TensorLike, /) -> Tensor:
    """Each image [h, w, c] or [n, h, w, c] to mean 0 and variance 1: see ``corenn.image.standardize``."""


@standardize_images.decompose
def _(x: Tensor) -> Tensor:
    dtype = x.dtype if x.dtype.is_floating else float32
    wide = cast(_widened(x), dtype=float32) if not x.dtype.is_floating else _widened(x)
    axes = tuple(range(x.ndim - 3, x.ndim))
    centred = subtract(wide, mean(wide, axis=axes, keepdims=True))
    # Below the least deviation the root is never used, and would have no gradient at 0.
    least_variance = 1.0 / max(1, math.prod(x.spec.static[-3:]))
    deviation = sqrt(maximum(mean(square(centred), axis=axes, keepdims=True), least_variance))
    return cast(divide(centred, deviation), dtype=dtype)


# ---------------------------------------------------------------- samples and references


def _apart(shape: tuple[int, ...]) -> Arg:
    """Colours whose channels are well apart, so that gradients exist, of every order of the channels."""

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        levels = np.array([0.15, 0.5, 0.85]) + generator.uniform(-0.1, 0.1, shape)
        return np.asarray(generator.permuted(levels, axis=-1))

    return Arg(shape, draw)


def _hues(shape: tuple[int, ...]) -> Arg:
    """Hue, saturation and value, hues away from the sixths."""

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        drawn = generator.uniform(0.05, 0.95, shape)
        drawn[..., 0] = (generator.integers(0, 6, shape[:-1]) + generator.uniform(0.1, 0.9, shape[:-1])) / 6
        return drawn

    return Arg(shape, draw)


_CORNERS = literal([[r, g, b] for r in (0.0, 0.5, 1.0) for g in (0.0, 0.5, 1.0) for b in (0.0, 0.5, 1.0)])
_REFUSED = (
    error(ShapeError, "three colour channels", real(shape=(2, 2, 4))),
    error(ShapeError, "grayscale_to_rgb", real(shape=(2, 2, 1))),
    error(DTypeError, "takes floating", integer(shape=(2, 3))),
)
rgb_to_hsv.samples(_apart((2, 3, 2, 3)), _apart((3,)), sample(_CORNERS, grad=False), real(shape=(0, 2, 3)))
rgb_to_hsv.error_samples(*_REFUSED)
hsv_to_rgb.samples(_hues((2, 3, 2, 3)), _hues((3,)), sample(_CORNERS, grad=False), real(shape=(0, 2, 3)))
hsv_to_rgb.error_samples(*_REFUSED)


def _each(convert: Any, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    rows = [convert(*map(float, colour)) for colour in x.reshape(-1, 3)]
    return np.array(rows, np.float64).reshape(x.shape)


rgb_to_hsv.reference(lambda x: _each(colorsys.rgb_to_hsv, x))
hsv_to_rgb.reference(lambda x: _each(colorsys.hsv_to_rgb, x))


standardize_images.samples(
    real(shape=(2, 3, 4, 2)), real(0.4, 0.5, shape=(3, 2, 1)), real(shape=(0, 3, 4, 2)),
    sample(literal(np.full((1, 2, 2, 3), 0.25)), grad=False, name="plain"), sample(integer(shape=(2, 3, 3, 1))),
)  # fmt: skip
standardize_images.error_samples(
    error(ShapeError, "3 or 4 axes", real(shape=(3, 4))),
    error(DTypeError, "takes", boolean(shape=(2, 2, 1))),
)


@standardize_images.reference
def _(x: Any) -> Any:
    axes, count = (-3, -2, -1), max(1, math.prod(x.shape[-3:]))
    spread = np.maximum(x.std(axis=axes, keepdims=True), count**-0.5) if x.size else 1.0
    return (x - x.mean(axis=axes, keepdims=True)) / spread if x.size else x
