"""Layers that cut and change images: ``Resizing``, ``CenterCrop``, and random changes in training.

Images [batch, height, width, channels], or one image without the batch.  What moves pixels does it by the matrices of
``corenn.image.transform``, one for each image.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn.ops import random
from corenn.ops.arranging import flip
from corenn.ops.creation import arange, full
from corenn.ops.elementwise import (
    add,
    cast,
    clip,
    floor,
    identity,
    minimum,
    multiply,
    subtract,
    where,
)
from corenn.ops.gathering import gather
from corenn.ops.logic import less
from corenn.ops.reduction import mean
from corenn.ops.shaping import expand_dims, reshape, stack
from corenn.ops.transcendental import cos, sin
from corenn.ops.warping import FILL_MODES, INTERPOLATIONS, transform
from corenn.tensor import Tensor
from corenn_tensorflow.keras.layers.adapting import BuiltIn


def bounds(where_: str, factor: Any, least: float | None = None) -> tuple[float, float]:
    """The lower and the upper bound that a factor, or a pair, stands for; ValueError for others."""
    low, high = (-factor, factor) if np.ndim(factor) == 0 else (factor[0], factor[1])
    if high < low or (np.ndim(factor) == 0 and factor < 0) or (least is not None and low < least):
        raise ValueError(f"{where_}: factor must be a positive number or a pair (lower, upper), got {factor!r}")
    return float(low), float(high)


class _Images(BuiltIn):
    """Layers of images: floats, with a batch."""

    def call(self, inputs: Any, training: bool = True) -> Any:
        """Change the images."""
        single = inputs.ndim == 3
        given = cast(expand_dims(inputs, axis=0) if single else inputs, dtype=self.dtype)
        found = self.changed(given, training)
        return found[0] if single else found

    def changed(self, images: Tensor, training: bool) -> Tensor:
        """The images."""
        raise NotImplementedError


class Resizing(_Images):
    """Images of another size, as ``tf.image.resize``; ``crop_to_aspect_ratio`` cuts the middle out before."""

    def __init__(
        self, height: int, width: int, interpolation: str = "bilinear", crop_to_aspect_ratio: bool = False,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.height, self.width, self.interpolation = int(height), int(width), interpolation
        self.crop = crop_to_aspect_ratio
        self.arguments = {"height": height, "width": width, "interpolation": interpolation,
                          "crop_to_aspect_ratio": crop_to_aspect_ratio}  # fmt: skip

    def changed(self, images: Tensor, training: bool) -> Tensor:
        """Resize."""
        return resized(images, self.height, self.width, self.interpolation, self.crop)


def resized(images: Tensor, height: int, width: int, method: str = "bilinear", keep: bool = False) -> Tensor:
    """Images resized; with ``keep``, their middle of the new ratio of width and height."""
    from corenn_tensorflow.image.sizes import _resize_v2

    if keep:
        old_height, old_width = images.spec.static[1:3]
        h = min(old_height, int(old_width * height / width))
        w = min(old_width, int(old_height * width / height))
        top, left = (old_height - h) // 2, (old_width - w) // 2
        images = images[:, top : top + h, left : left + w]
    return _resize_v2(images, (height, width), method)  # type: ignore[no-any-return]


class CenterCrop(_Images):
    """The middle of images; smaller ones are resized."""

    def __init__(self, height: int, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.height, self.width = int(height), int(width)
        self.arguments = {"height": height, "width": width}

    def changed(self, images: Tensor, training: bool) -> Tensor:
        """Cut."""
        height, width = images.spec.static[1:3]
        if height < self.height or width < self.width:
            return resized(images, self.height, self.width, keep=True)
        top, left = (height - self.height) // 2, (width - self.width) // 2
        return images[:, top : top + self.height, left : left + self.width]


class RandomCrop(CenterCrop):
    """In training a part of images from anywhere, else the middle, resized."""

    def __init__(self, height: int, width: int, seed: int | None = None, **options: Any) -> None:
        super().__init__(height, width, **options)
        self.seed = seed

    def changed(self, images: Tensor, training: bool) -> Tensor:
        """Cut."""
        height, width = images.spec.static[1:3]
        if not training or height < self.height or width < self.width:
            return resized(images, self.height, self.width, keep=True)
        top, left = (
            floor(random.uniform((1,), 0, n + 1.0, seed=self.seed)) for n in (height - self.height, width - self.width)
        )
        rows = cast(add(minimum(top, height - self.height), arange(self.height, dtype="float32")), dtype="int64")
        columns = cast(add(minimum(left, width - self.width), arange(self.width, dtype="float32")), dtype="int64")
        return gather(gather(images, rows, axis=1), columns, axis=2)


class _Random(_Images):
    """Changes in training; nothing else otherwise."""

    seed: int | None = None

    def changed(self, images: Tensor, training: bool) -> Tensor:
        """Change."""
        return self.augmented(images) if training else identity(images)

    def augmented(self, images: Tensor) -> Tensor:
        """The changed images."""
        raise NotImplementedError

    def draw(self, count: int, low: float, high: float) -> Tensor:
        """A number for each image."""
        if low == high:
            return full((count,), low, "float32")
        return random.uniform((count,), low, high, seed=self.seed)


class RandomFlip(_Random):
    """Images mirrored at random: "horizontal", "vertical" or "horizontal_and_vertical"."""

    def __init__(self, mode: str = "horizontal_and_vertical", seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        if mode not in ("horizontal", "vertical", "horizontal_and_vertical"):
            raise ValueError(
                f"RandomFlip layer {self.name} received an unknown mode: {mode!r}: use 'horizontal', 'vertical' or "
                "'horizontal_and_vertical'"
            )
        self.mode, self.seed = mode, seed
        self.arguments = {"mode": mode, "seed": seed}

    def augmented(self, images: Tensor) -> Tensor:
        """Mirror some."""
        for name, axis in (("horizontal", 2), ("vertical", 1)):
            if name in self.mode:
                chosen = less(self.draw(images.spec.static[0], 0.0, 1.0), 0.5)
                images = where(reshape(chosen, shape=(-1, 1, 1, 1)), flip(images, axis=axis), images)
        return images


class _Moved(_Random):
    """Transforms by a matrix for each image."""

    def _settings(self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float) -> dict[str, Any]:
        if fill_mode not in FILL_MODES:
            raise ValueError(f"Unknown `fill_mode` {fill_mode!r}. Only {', '.join(FILL_MODES)} are supported.")
        if interpolation not in INTERPOLATIONS:
            raise ValueError(f"Unknown `interpolation` {interpolation!r}. Only nearest and bilinear are supported.")
        self.fill_mode, self.interpolation, self.seed, self.fill_value = fill_mode, interpolation, seed, fill_value
        return {"fill_mode": fill_mode, "interpolation": interpolation, "seed": seed, "fill_value": fill_value}

    def augmented(self, images: Tensor) -> Tensor:
        """Transform."""
        batch, height, width, _ = images.spec.static
        rows = self.matrix(batch, height - 1.0, width - 1.0)
        zero = full((batch,), 0, "float32")
        matrices = stack([r if isinstance(r, Tensor) else add(zero, r) for r in rows], axis=1)
        how: dict[str, Any] = {"interpolation": self.interpolation, "fill_mode": self.fill_mode}
        return transform(images, matrices, fill_value=self.fill_value, **how)

    def matrix(self, count: int, height: float, width: float) -> list[Any]:
        """The six numbers of each image; the extents are those of the last pixel."""
        raise NotImplementedError


class RandomRotation(_Moved):
    """Images turned by up to ``factor`` of a whole turn, around their middle."""

    def __init__(
        self, factor: Any, fill_mode: str = "reflect", interpolation: str = "bilinear", seed: int | None = None,
        fill_value: float = 0.0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.lower, self.upper = bounds("RandomRotation", factor)
        self.arguments = {"factor": factor, **self._settings(fill_mode, interpolation, seed, fill_value)}

    def matrix(self, count: int, height: float, width: float) -> list[Any]:
        """A rotation."""
        angle = self.draw(count, self.lower * 2 * math.pi, self.upper * 2 * math.pi)
        c, s = cos(angle), sin(angle)
        x = subtract(width, subtract(multiply(c, width), multiply(s, height))) / 2.0
        y = subtract(height, add(multiply(s, width), multiply(c, height))) / 2.0
        return [c, multiply(s, -1.0), x, s, c, y]


class RandomZoom(_Moved):
    """Images made smaller (factors above 0) or larger, both ways alike unless ``width_factor`` is given."""

    def __init__(
        self, height_factor: Any, width_factor: Any = None, fill_mode: str = "reflect",
        interpolation: str = "bilinear", seed: int | None = None, fill_value: float = 0.0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.tall = bounds("RandomZoom", height_factor, -1.0)
        self.wide = None if width_factor is None else bounds("RandomZoom", width_factor, -1.0)
        self.arguments = {"height_factor": height_factor, "width_factor": width_factor,
                          **self._settings(fill_mode, interpolation, seed, fill_value)}  # fmt: skip

    def matrix(self, count: int, height: float, width: float) -> list[Any]:
        """A scaling."""
        tall = self.draw(count, 1 + self.tall[0], 1 + self.tall[1])
        wide = tall if self.wide is None else self.draw(count, 1 + self.wide[0], 1 + self.wide[1])
        x, y = multiply(subtract(1.0, wide), width / 2), multiply(subtract(1.0, tall), height / 2)
        return [wide, 0.0, x, 0.0, tall, y]


class RandomTranslation(_Moved):
    """Images moved by up to these parts of their extents."""

    def __init__(
        self, height_factor: Any, width_factor: Any, fill_mode: str = "reflect", interpolation: str = "bilinear",
        seed: int | None = None, fill_value: float = 0.0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.tall = bounds("RandomTranslation", height_factor)
        self.wide = bounds("RandomTranslation", width_factor)
        self.arguments = {"height_factor": height_factor, "width_factor": width_factor,
                          **self._settings(fill_mode, interpolation, seed, fill_value)}  # fmt: skip

    def matrix(self, count: int, height: float, width: float) -> list[Any]:
        """A translation."""
        down = multiply(self.draw(count, *self.tall), -(height + 1))
        right = multiply(self.draw(count, *self.wide), -(width + 1))
        return [1.0, 0.0, right, 0.0, 1.0, down]


class RandomContrast(_Random):
    """``(x - mean) * f + mean`` of each channel, ``f`` between ``1 - lower`` and ``1 + upper``; within [0, 255]."""

    def __init__(self, factor: Any, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        lower, upper = (factor, factor) if np.ndim(factor) == 0 else factor
        if lower < 0 or upper < 0 or lower > 1:
            raise ValueError(f"RandomContrast: factor must be positive and its lower part at most 1, got {factor!r}")
        self.lower, self.upper, self.seed = float(lower), float(upper), seed
        self.arguments = {"factor": factor, "seed": seed}

    def augmented(self, images: Tensor) -> Tensor:
        """Change the contrast."""
        factor = reshape(self.draw(images.spec.static[0], 1 - self.lower, 1 + self.upper), shape=(-1, 1, 1, 1))
        middle = mean(images, axis=(1, 2), keepdims=True)
        return clip(add(multiply(subtract(images, middle), factor), middle), min=0, max=255)


class RandomBrightness(_Random):
    """A number between the factors, times the range of values, added to each image."""

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.lower, self.upper = bounds("RandomBrightness", factor, -1.0)
        self.low, self.high = (float(v) for v in value_range)
        self.seed = seed
        self.arguments = {"factor": factor, "value_range": list(value_range), "seed": seed}

    def augmented(self, images: Tensor) -> Tensor:
        """Make them brighter or darker."""
        size = self.high - self.low
        delta = self.draw(images.spec.static[0], self.lower * size, self.upper * size)
        return clip(add(images, reshape(delta, shape=(-1, 1, 1, 1))), min=self.low, max=self.high)


__all__ = [
    "CenterCrop", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation",
    "RandomTranslation", "RandomZoom", "Resizing",
]  # fmt: skip
