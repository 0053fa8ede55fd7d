"""Layers that rearrange: Flatten, Reshape, Permute, RepeatVector, ZeroPadding, Cropping, UpSampling."""

from __future__ import annotations

import math
from typing import Any

from corenn.errors import AttributeValueError, ShapeError
from corenn.layers.base import Layer, register
from corenn.layers.core import positive
from corenn.ops.arranging import pad, repeat
from corenn.ops.resize import resize, upsample
from corenn.ops.shaping import expand_dims, reshape, transpose
from corenn.tensor import Tensor

Ints = Any


def batch_extent(x: Tensor) -> int:
    """The number of examples, as ``reshape`` takes it: -1 where it is not known yet."""
    count = x.spec.shape[0]
    return -1 if count is None else count


def spatial_extents(x: Tensor) -> tuple[int, ...]:
    """The extents between batch and channels; ShapeError if one is not known yet."""
    return tuple(x.spec.extent(axis) for axis in range(1, x.ndim - 1))


@register()
class Flatten(Layer):
    """All axes but the batch joined into one: [b, ...] to [b, n]."""

    def call(self, x: Tensor) -> Tensor:
        """Flatten."""
        if x.ndim == 0:
            raise ShapeError(self.name, "needs a batch axis", {"x": x.spec})
        return reshape(x, shape=(batch_extent(x), math.prod(x.spec.extent(axis) for axis in range(1, x.ndim))))


@register()
class Reshape(Layer):
    """Each example in ``target_shape`` (without the batch; one extent may be -1)."""

    def __init__(self, target_shape: Any, **base: Any) -> None:
        super().__init__(**base)
        self.target_shape = tuple(int(n) for n in target_shape)

    def call(self, x: Tensor) -> Tensor:
        """Reshape."""
        if x.spec.shape[0] is None and -1 in self.target_shape:
            known = -math.prod(self.target_shape)
            rest = math.prod(x.spec.extent(axis) for axis in range(1, x.ndim))
            return reshape(x, shape=(-1, *(rest // known if n == -1 else n for n in self.target_shape)))
        return reshape(x, shape=(batch_extent(x), *self.target_shape))


@register()
class Permute(Layer):
    """The axes of each example in the order ``dims`` (counted from 1; the batch stays first)."""

    def __init__(self, dims: Any, **base: Any) -> None:
        super().__init__(**base)
        self.dims = tuple(int(n) for n in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise AttributeValueError(self.name, f"dims must be a permutation of 1 to {len(self.dims)}: {self.dims}")

    def call(self, x: Tensor) -> Tensor:
        """Transpose."""
        return transpose(x, axes=(0, *self.dims))


@register()
class RepeatVector(Layer):
    """[b, n] to [b, ``n`` times, n]."""

    def __init__(self, n: int, **base: Any) -> None:
        super().__init__(**base)
        self.n = positive(self.name, "n", n)

    def call(self, x: Tensor) -> Tensor:
        """Repeat."""
        if x.ndim != 2:
            raise ShapeError(self.name, "takes vectors [batch, n]", {"x": x.spec})
        return repeat(expand_dims(x, axis=1), repeats=self.n, axis=1)


def pairs(layer: str, name: str, value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """An int, one for each axis, or a pair for each axis, as pairs (before, after)."""
    if isinstance(value, int):
        value = [(value, value)] * rank
    elif rank == 1 and len(value) == 2 and all(isinstance(v, int) for v in value):
        value = [tuple(value)]
    found = tuple((v, v) if isinstance(v, int) else tuple(int(n) for n in v) for v in value)
    if len(found) != rank or any(len(p) != 2 or min(p) < 0 for p in found):
        what = f"{name} must be an int, {rank} ints or {rank} pairs, none negative: {value!r}"
        raise AttributeValueError(layer, what)
    return found  # type: ignore[return-value]  # each is a pair


class _Spatial(Layer):
    """Base of layers over ``_rank`` spatial axes, channels last."""

    _rank = 2

    def check(self, x: Tensor) -> None:
        """ShapeError unless ``x`` has a batch, the spatial axes and channels."""
        if x.ndim != self._rank + 2:
            raise ShapeError(self.name, f"takes [batch, {self._rank} spatial axes, channels]", {"x": x.spec})


class _ZeroPadding(_Spatial):
    """Zeros around the spatial axes."""

    def __init__(self, padding: Ints = 1, **base: Any) -> None:
        super().__init__(**base)
        self.padding = pairs(self.name, "padding", padding, self._rank)

    def call(self, x: Tensor) -> Tensor:
        """Pad."""
        self.check(x)
        return pad(x, widths=((0, 0), *self.padding, (0, 0)))


@register()
class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after the steps of [b, t, c]; ``padding``: an int or a pair."""

    _rank = 1


@register()
class ZeroPadding2D(_ZeroPadding):
    """Zeros around images [b, h, w, c]; ``padding``: an int, two ints, or two pairs."""


@register()
class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes [b, d, h, w, c]; ``padding``: an int, three ints, or three pairs."""

    _rank = 3


class _Cropping(_Spatial):
    """Cuts the spatial axes."""

    def __init__(self, cropping: Ints = 1, **base: Any) -> None:
        super().__init__(**base)
        self.cropping = pairs(self.name, "cropping", cropping, self._rank)

    def call(self, x: Tensor) -> Tensor:
        """Crop."""
        self.check(x)
        for n, (before, after) in zip(spatial_extents(x), self.cropping, strict=True):
            if before + after >= n:
                raise ShapeError(self.name, f"cropping {before} and {after} of {n} leaves nothing", {"x": x.spec})
        inner = tuple(slice(b, n - a) for n, (b, a) in zip(spatial_extents(x), self.cropping, strict=True))
        return x[(slice(None), *inner)]


@register()
class Cropping1D(_Cropping):
    """Cuts steps off [b, t, c]; ``cropping``: an int or a pair."""

    _rank = 1


@register()
class Cropping2D(_Cropping):
    """Cuts the borders off images [b, h, w, c]; ``cropping``: an int, two ints, or two pairs."""


@register()
class Cropping3D(_Cropping):
    """Cuts the borders off volumes [b, d, h, w, c]; ``cropping``: an int, three ints, or three pairs."""

    _rank = 3


class _UpSampling(_Spatial):
    """Repeats along the spatial axes, or interpolates."""

    def __init__(self, size: Ints = 2, interpolation: str = "nearest", **base: Any) -> None:
        super().__init__(**base)
        self.size = (size,) * self._rank if isinstance(size, int) else tuple(int(n) for n in size)
        if len(self.size) != self._rank or min(self.size) < 1:
            raise AttributeValueError(self.name, f"size must be a positive int or {self._rank} of them: {size!r}")
        if interpolation not in ("nearest", "bilinear") or (interpolation == "bilinear" and self._rank != 2):
            what = f"interpolation {interpolation!r} is not offered"
            raise AttributeValueError(self.name, what, hint="'nearest', or for images 'bilinear'")
        self.interpolation = interpolation

    def call(self, x: Tensor) -> Tensor:
        """Enlarge."""
        self.check(x)
        if self.interpolation == "bilinear":
            size = tuple(n * s for n, s in zip(spatial_extents(x), self.size, strict=True))
            return resize(x, size=size, method="bilinear")
        return upsample(x, factor=self.size)


@register()
class UpSampling1D(_UpSampling):
    """Steps of [b, t, c] repeated ``size`` times."""

    _rank = 1


@register()
class UpSampling2D(_UpSampling):
    """Rows and columns of images [b, h, w, c] repeated (or interpolated) ``size`` times."""


@register()
class UpSampling3D(_UpSampling):
    """Planes, rows and columns of volumes [b, d, h, w, c] repeated ``size`` times."""

    _rank = 3
