"""Pooling layers over 1, 2 and 3 spatial axes, local and global."""

from __future__ import annotations

from typing import Any

from corenn.errors import AttributeValueError, ShapeError
from corenn.layers.base import Layer, register
from corenn.layers.convolutional import _LAYOUTS, as_padding, ints
from corenn.ops.creation import asarray
from corenn.ops.elementwise import divide, maximum, multiply
from corenn.ops.pooling import avg_pool, max_pool
from corenn.ops.reduction import max as max_over
from corenn.ops.reduction import mean
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import expand_dims
from corenn.tensor import Tensor


class _Pooling(Layer):
    """What pooling layers share."""

    _rank = 2

    def __init__(self, data_format: str = "channels_last", **base: Any) -> None:
        super().__init__(**base)
        if data_format not in _LAYOUTS[self._rank]:
            raise AttributeValueError(self.name, f"data_format {data_format!r} is not one",
                                      hint="'channels_last' or 'channels_first'")  # fmt: skip
        self.data_format = data_format

    def check(self, x: Tensor) -> None:
        """ShapeError unless ``x`` has a batch, the spatial axes and channels."""
        if x.ndim != self._rank + 2:
            what = f"takes inputs of {self._rank + 2} axes (batch, spatial, channels)"
            hint = "add the channel axis: x[..., None]" if x.ndim == self._rank + 1 else None
            raise ShapeError(self.name, what, {"x": x.spec}, hint=hint)


class _Local(_Pooling):
    """Windows of ``pool_size``, ``strides`` apart (default: pool_size); ``padding``: "valid" or "same"."""

    def __init__(self, pool_size: Any = 2, strides: Any = None, padding: Any = "valid", **options: Any) -> None:
        super().__init__(**options)
        self.pool_size = ints(self.name, "pool_size", pool_size, self._rank)
        self.strides = self.pool_size if strides is None else ints(self.name, "strides", strides, self._rank)
        self.padding = as_padding(self.name, padding)

    def pool(self, op: Any, x: Tensor) -> Tensor:
        """Apply a pooling op."""
        self.check(x)
        layout = _LAYOUTS[self._rank][self.data_format]
        return op(x, window=self.pool_size, strides=self.strides, padding=self.padding, layout=layout)  # type: ignore[no-any-return]


class _Max(_Local):
    def call(self, x: Tensor) -> Tensor:
        """Largest element of each window."""
        return self.pool(max_pool, x)


class _Average(_Local):
    def call(self, x: Tensor) -> Tensor:
        """Mean of each window's real elements (padding does not count)."""
        return self.pool(avg_pool, x)


class _Global(_Pooling):
    """Over all positions: [b, ..., c] to [b, c], or [b, 1, ..., c] with ``keepdims``."""

    def __init__(self, keepdims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.keepdims = keepdims

    def axes(self, x: Tensor) -> tuple[int, ...]:
        """The spatial axes."""
        self.check(x)
        return tuple(range(1, x.ndim - 1) if self.data_format == "channels_last" else range(2, x.ndim))


class _GlobalMax(_Global):
    def call(self, x: Tensor) -> Tensor:
        """Largest element."""
        return max_over(x, axis=self.axes(x), keepdims=self.keepdims)


class _GlobalAverage(_Global):
    def call(self, x: Tensor) -> Tensor:
        """Mean."""
        return mean(x, axis=self.axes(x), keepdims=self.keepdims)


@register("max_pool1d")
class MaxPooling1D(_Max):
    """Largest element of windows of sequences [b, t, c]."""

    _rank = 1


@register("max_pool2d")
class MaxPooling2D(_Max):
    """Largest element of windows of images [b, h, w, c]."""


@register("max_pool3d")
class MaxPooling3D(_Max):
    """Largest element of windows of volumes [b, d, h, w, c]."""

    _rank = 3


@register("avg_pool1d")
class AveragePooling1D(_Average):
    """Mean of windows of sequences [b, t, c]."""

    _rank = 1


@register("avg_pool2d")
class AveragePooling2D(_Average):
    """Mean of windows of images [b, h, w, c]."""


@register("avg_pool3d")
class AveragePooling3D(_Average):
    """Mean of windows of volumes [b, d, h, w, c]."""

    _rank = 3


@register("global_max_pool1d")
class GlobalMaxPooling1D(_GlobalMax):
    """Largest element over the steps of [b, t, c]."""

    _rank = 1


@register("global_max_pool2d")
class GlobalMaxPooling2D(_GlobalMax):
    """Largest element over the positions of [b, h, w, c]."""


@register("global_max_pool3d")
class GlobalMaxPooling3D(_GlobalMax):
    """Largest element over the positions of [b, d, h, w, c]."""

    _rank = 3


@register("global_avg_pool1d")
class GlobalAveragePooling1D(_GlobalAverage):
    """Mean over the steps of [b, t, c], of those that count if there is a mask [b, t]."""

    _rank = 1

    def call(self, x: Tensor, mask: Any = None) -> Tensor:
        """Mean; 0 where no step counts."""
        axes = self.axes(x)
        if mask is None:
            return mean(x, axis=axes, keepdims=self.keepdims)
        shown = asarray(mask).cast(x.dtype)
        weight = expand_dims(shown, axis=-1 if axes == (1,) else 1)
        total = sum_over(multiply(x, weight), axis=axes, keepdims=self.keepdims)
        return divide(total, maximum(sum_over(weight, axis=axes, keepdims=self.keepdims), 1.0))


@register("global_avg_pool2d")
class GlobalAveragePooling2D(_GlobalAverage):
    """Mean over the positions of [b, h, w, c]."""


@register("global_avg_pool3d")
class GlobalAveragePooling3D(_GlobalAverage):
    """Mean over the positions of [b, d, h, w, c]."""

    _rank = 3


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
