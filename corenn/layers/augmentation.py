"""Layers of images: resizing and cutting, and random changes, which happen in training only.

Inputs are batches [b, h, w, c] (a single image [h, w, c] is taken, too) of any real dtype; they are computed in the
layer's precision.  Every image of a batch is changed by numbers of its own.  They come from the default generator, or,
with ``seed``, from a generator of the layer, which gives the next numbers at every call: the same seed gives the same
changes, step by step, on every backend.  Both generators' states are part of a model's checkpoint.

Names, arguments and meanings are those of Keras' preprocessing layers.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from corenn.errors import AttributeValueError
from corenn.image import chance
from corenn.image._common import HEIGHT, WIDTH, batchwise, extents
from corenn.image.arranging import aspect_crop, center_crop
from corenn.image.colours import adjust_brightness, adjust_contrast
from corenn.image.moving import matrices_of, scaling, turning
from corenn.layers.base import Layer, register
from corenn.ops import random
from corenn.ops.elementwise import clip, multiply
from corenn.ops.resize import resize
from corenn.ops.warping import FILL_MODES, INTERPOLATIONS, transform
from corenn.tensor import Tensor

RESIZING = ("nearest", "bilinear", "bicubic", "lanczos3", "area")


def _bounds(layer: Layer, name: str, factor: Any, least: float = -math.inf) -> tuple[float, float]:
    """The bounds that ``factor`` stands for: a number for both ways, or a pair."""
    single = isinstance(factor, (int, float))
    pair = (-factor, factor) if single else tuple(factor)
    if len(pair) != 2 or not least <= pair[0] <= pair[1] < math.inf:
        low = "" if least == -math.inf else f" from {least:g}"
        what = f"{name} is a number that is not negative, or a pair (lower, upper){low}: {factor!r}"
        raise AttributeValueError(layer.name, what)
    return float(pair[0]), float(pair[1])


def _as_listed(value: Any) -> Any:
    """A number as it is, a pair as a list, as files have it."""
    return value if isinstance(value, (int, float, type(None))) else list(value)


def _choose(layer: Layer, name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise AttributeValueError(layer.name, f"there is no {name} {value!r}", hint=f"known: {', '.join(known)}")
    return value


def _extent(layer: Layer, name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise AttributeValueError(layer.name, f"{name} counts pixels, at least 1: {value!r}")
    return value


# ---------------------------------------------------------------- sizes


@register()
class Resizing(Layer):
    """Images of height ``height`` and width ``width``, by ``corenn.image.resize``.

    ``interpolation``: its ``method``; ``antialias`` smooths where images shrink.  ``crop_to_aspect_ratio``: only the
    largest middle part with the ratio of the new sides is taken, so that nothing is stretched.
    """

    def __init__(
        self, height: int, width: int, interpolation: str = "bilinear", crop_to_aspect_ratio: bool = False,
        antialias: bool = False, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(**base)
        self.height, self.width = _extent(self, "height", height), _extent(self, "width", width)
        self.interpolation = _choose(self, "interpolation", interpolation, RESIZING)
        self.crop_to_aspect_ratio, self.antialias = bool(crop_to_aspect_ratio), bool(antialias)
        if self.antialias and interpolation not in ("bilinear", "bicubic", "lanczos3"):
            raise AttributeValueError(self.name, f"{interpolation!r} takes no antialias")

    def call(self, x: Tensor) -> Tensor:
        """Resize."""
        return batchwise(self.name, x.cast(self.compute_dtype), self._resized)

    def _resized(self, x: Tensor) -> Tensor:
        size = (self.height, self.width)
        part = aspect_crop(x, size) if self.crop_to_aspect_ratio else x
        return resize(part, size=size, method=self.interpolation, antialias=self.antialias)


class _Cut(Layer):
    """Base: images of a height and width, cut out of larger ones."""

    def __init__(self, height: int, width: int, **base: Any) -> None:
        super().__init__(**base)
        self.height, self.width = _extent(self, "height", height), _extent(self, "width", width)

    def _is_smaller(self, x: Tensor) -> bool:
        height, width = extents(self.name, x)
        return height < self.height or width < self.width

    def _squeezed(self, x: Tensor) -> Tensor:
        """The largest middle part with the ratio of the sides, resized."""
        size = (self.height, self.width)
        return resize(aspect_crop(x, size), size=size, method="bilinear")


@register()
class CenterCrop(_Cut):
    """The middle of images, ``height`` by ``width``; smaller images are resized to it, the ratio of sides kept."""

    def call(self, x: Tensor) -> Tensor:
        """Cut."""
        return batchwise(self.name, x.cast(self.compute_dtype), self._cut)

    def _cut(self, x: Tensor) -> Tensor:
        return self._squeezed(x) if self._is_smaller(x) else center_crop(x, size=(self.height, self.width))


@register()
class RandomCrop(_Cut):
    """In training a part of each image, ``height`` by ``width``, from anywhere.

    Otherwise, and for smaller images, the largest middle part with that ratio of sides, resized (as Keras has it).
    """

    def __init__(self, height: int, width: int, seed: int | None = None, **base: Any) -> None:
        super().__init__(height, width, **base)
        self.seed = seed
        self.generator = None if seed is None else random.Generator(seed)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Cut, in training at random."""

        def cut(given: Tensor) -> Tensor:
            if not training or self._is_smaller(given):
                return self._squeezed(given)
            return chance.random_crop(given, size=(self.height, self.width), generator=self.generator)

        return batchwise(self.name, x.cast(self.compute_dtype), cut)


# ---------------------------------------------------------------- changes by chance


class _Chance(Layer):
    """Base: changes in training; otherwise gives images as they are, in the layer's precision."""

    def __init__(self, seed: int | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.seed = seed
        self.generator = None if seed is None else random.Generator(seed)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Change, in training."""
        x = x.cast(self.compute_dtype)
        if not training:
            return x
        key = random._source(self.name, None, self.generator, None)
        return batchwise(self.name, x, lambda given: self.changed(given, key))

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """Images [n, h, w, c], each changed by its own row of the draw that ``key`` names."""
        raise NotImplementedError(f"{type(self).__name__} does not define changed()")


@register()
class RandomFlip(_Chance):
    """In training images mirrored one time in two.

    ``mode``: "horizontal" (left and right exchanged), "vertical" (up and down), or "horizontal_and_vertical": each by
    itself.
    """

    _axes: ClassVar[dict[str, tuple[int, ...]]] = {
        "horizontal": (WIDTH,), "vertical": (HEIGHT,), "horizontal_and_vertical": (WIDTH, HEIGHT),
    }  # fmt: skip

    def __init__(self, mode: str = "horizontal_and_vertical", seed: int | None = None, **base: Any) -> None:
        super().__init__(seed, **base)
        self.mode = _choose(self, "mode", mode, tuple(self._axes))

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """Mirror some."""
        return chance.flipped(x, key, self._axes[self.mode])


class _Moved(_Chance):
    """Base: images under a random map of the plane."""

    def __init__(self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float, **base: Any) -> None:
        super().__init__(seed, **base)
        self.fill_mode = _choose(self, "fill_mode", fill_mode, FILL_MODES)
        self.interpolation = _choose(self, "interpolation", interpolation, INTERPOLATIONS)
        self.fill_value = float(fill_value)

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """Move."""
        matrices = matrices_of(self.maps(x, key, *extents(self.name, x)), x)
        return transform(
            x, matrices, interpolation=self.interpolation, fill_mode=self.fill_mode, fill_value=self.fill_value
        )

    def maps(self, x: Tensor, key: Tensor, height: int, width: int) -> list[Any]:
        """The six numbers of the map of each image (numbers, or tensors [n])."""
        raise NotImplementedError(f"{type(self).__name__} does not define maps()")


@register()
class RandomRotation(_Moved):
    """In training images turned around their middle.

    ``factor``: the most either way, as a part of a whole turn, or (lower, upper); positive turns against the clock.
    ``fill_mode``, ``interpolation``, ``fill_value``: as in ``corenn.image.transform``.
    """

    def __init__(
        self, factor: Any, fill_mode: str = "reflect", interpolation: str = "bilinear", seed: int | None = None,
        fill_value: float = 0.0, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, **base)
        self.factor, self._bounds = _as_listed(factor), _bounds(self, "factor", factor)

    def maps(self, x: Tensor, key: Tensor, height: int, width: int) -> list[Any]:
        """A turn."""
        low, high = (2 * math.pi * bound for bound in self._bounds)
        return turning(chance.rows(x, key, low, high), height, width)


@register()
class RandomTranslation(_Moved):
    """In training images moved by up to ``height_factor`` of their height and ``width_factor`` of their width.

    Numbers for both ways, or pairs (lower, upper); positive is down and to the right.  The rest as ``RandomRotation``.
    """

    def __init__(
        self, height_factor: Any, width_factor: Any, fill_mode: str = "reflect", interpolation: str = "bilinear",
        seed: int | None = None, fill_value: float = 0.0, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, **base)
        self.height_factor, self.width_factor = _as_listed(height_factor), _as_listed(width_factor)
        self._tall = _bounds(self, "height_factor", height_factor)
        self._wide = _bounds(self, "width_factor", width_factor)

    def maps(self, x: Tensor, key: Tensor, height: int, width: int) -> list[Any]:
        """A shift."""
        drawn = chance.rows(x, key, (self._tall[0], self._wide[0]), (self._tall[1], self._wide[1]))
        down, right = multiply(drawn[:, 0], -float(height)), multiply(drawn[:, 1], -float(width))
        return [1.0, 0.0, right, 0.0, 1.0, down]


@register()
class RandomZoom(_Moved):
    """In training what images show made smaller (factors above 0) or larger (below 0), around their middle.

    ``height_factor``: 0.2 for -20 % to +20 %, or (lower, upper) with ``lower > -1``; ``width_factor`` likewise, by
    default the same number as for the height, so that shapes stay.  The rest as ``RandomRotation``.
    """

    def __init__(
        self, height_factor: Any, width_factor: Any = None, fill_mode: str = "reflect",
        interpolation: str = "bilinear", seed: int | None = None, fill_value: float = 0.0, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, **base)
        self.height_factor, self.width_factor = _as_listed(height_factor), _as_listed(width_factor)
        self._tall = _bounds(self, "height_factor", height_factor, -1.0)
        self._wide = None if width_factor is None else _bounds(self, "width_factor", width_factor, -1.0)

    def maps(self, x: Tensor, key: Tensor, height: int, width: int) -> list[Any]:
        """A change of scale."""
        wide = self._wide or self._tall
        drawn = chance.rows(x, key, (1 + self._tall[0], 1 + wide[0]), (1 + self._tall[1], 1 + wide[1]))
        return scaling(drawn[:, 0], drawn[:, 0 if self._wide is None else 1], height, width)


class _Valued(_Chance):
    """Base: changes of values, with or without a range that they are limited to."""

    def __init__(self, factor: Any, value_range: Any, seed: int | None, **base: Any) -> None:
        super().__init__(seed, **base)
        self.factor = _as_listed(factor)
        self.value_range = None if value_range is None else [float(v) for v in value_range]
        if self.value_range is not None and (len(self.value_range) != 2 or self.value_range[0] >= self.value_range[1]):
            raise AttributeValueError(self.name, f"value_range is None, or (lowest, highest): {value_range!r}")

    def limited(self, x: Tensor) -> Tensor:
        """Within the range."""
        return x if self.value_range is None else clip(x, min=self.value_range[0], max=self.value_range[1])


@register()
class RandomBrightness(_Valued):
    """In training a number added to all pixels of an image.

    ``factor``: the most either way, as a part of the range of values, at most 1; or (lower, upper).  ``value_range``:
    (lowest, highest) of the images, which results are limited to: (0, 255) as Keras takes for granted, or (0, 1); with
    ``None`` the range counts as 1 and nothing is limited.
    """

    def __init__(self, factor: Any, value_range: Any = None, seed: int | None = None, **base: Any) -> None:
        super().__init__(factor, value_range, seed, **base)
        self._bounds = _bounds(self, "factor", factor, -1.0)
        if self._bounds[1] > 1:
            raise AttributeValueError(self.name, f"factor is a part of the range of values, at most 1: {factor!r}")

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """Add."""
        low, high = self.value_range or (0.0, 1.0)
        delta = chance.rows(x, key, *(bound * (high - low) for bound in self._bounds))
        return self.limited(adjust_brightness(x, delta))


@register()
class RandomContrast(_Valued):
    """In training the distances of pixels from the mean of their channel and image, times a number.

    ``factor``: ``f`` for a number in [1 - f, 1 + f), or (lower, upper) for [1 - lower, 1 + upper); ``lower`` at most 1.
    ``value_range``: (lowest, highest), which results are limited to; with ``None`` nothing is.
    """

    def __init__(self, factor: Any, value_range: Any = None, seed: int | None = None, **base: Any) -> None:
        super().__init__(factor, value_range, seed, **base)
        pair = (factor, factor) if isinstance(factor, (int, float)) else tuple(factor)
        if len(pair) != 2 or not 0 <= pair[0] <= 1 or not 0 <= pair[1] < math.inf:
            what = f"factor is a number in [0, 1], or a pair (lower in [0, 1], upper): {factor!r}"
            raise AttributeValueError(self.name, what)
        self._bounds = float(pair[0]), float(pair[1])

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """Stretch."""
        factor = chance.rows(x, key, 1 - self._bounds[0], 1 + self._bounds[1])
        return self.limited(adjust_contrast(x, factor))


__all__ = [
    "CenterCrop", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation",
    "RandomTranslation", "RandomZoom", "Resizing",
]  # fmt: skip
