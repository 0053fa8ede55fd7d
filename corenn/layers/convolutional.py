"""Convolution layers over 1, 2 and 3 spatial axes: plain, transposed, depthwise, separable."""

from __future__ import annotations

from typing import Any

from corenn import constraints, initializers, regularizers
from corenn.errors import AttributeValueError, ShapeError
from corenn.layers.base import register
from corenn.layers.core import WithWeights, positive, require_floating
from corenn.ops.convolution import conv, conv_transpose
from corenn.ops.convolution_forms import depthwise_conv
from corenn.ops.elementwise import add
from corenn.ops.shaping import reshape
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable

_LAYOUTS = {
    1: {"channels_last": "NWC", "channels_first": "NCW"},
    2: {"channels_last": "NHWC", "channels_first": "NCHW"},
    3: {"channels_last": "NDHWC", "channels_first": "NCDHW"},
}


def ints(layer: str, name: str, value: Any, rank: int) -> tuple[int, ...]:
    """An int or ``rank`` of them as a tuple of positive ints."""
    found = (value,) * rank if isinstance(value, int) else tuple(int(n) for n in value)
    if len(found) != rank or min(found) < 1:
        raise AttributeValueError(layer, f"{name} must be a positive int or {rank} of them, not {value!r}")
    return found


def as_padding(layer: str, value: Any, *, causal: bool = False) -> Any:
    """A padding as the ops take it: "SAME" or "VALID" in upper case ("CAUSAL" is the layer's own), or numbers."""
    known = ("SAME", "VALID", "CAUSAL") if causal else ("SAME", "VALID")
    if not isinstance(value, str):
        return value
    if value.upper() not in known:
        hint = f"{', '.join(repr(k.lower()) for k in known)}, an int, or a pair (before, after) for each axis"
        raise AttributeValueError(layer, f"padding {value!r} is not one", hint=hint)
    return value.upper()


class SpatialWeights(WithWeights):
    """What all convolution layers share: extents, padding, the layout, and the bias along the channels."""

    _rank = 2

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        dilation_rate: Any = 1,
        data_format: str = "channels_last",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.kernel_size = ints(self.name, "kernel_size", kernel_size, self._rank)
        self.strides = ints(self.name, "strides", strides, self._rank)
        self.dilation_rate = ints(self.name, "dilation_rate", dilation_rate, self._rank)
        self.padding = as_padding(self.name, padding, causal=isinstance(self, Conv1D))
        if data_format not in _LAYOUTS[self._rank]:
            raise AttributeValueError(self.name, f"data_format {data_format!r} is not one",
                                      hint="'channels_last' or 'channels_first'")  # fmt: skip
        self.data_format = data_format

    @property
    def layout(self) -> str:
        """The ops' name of the layout."""
        return _LAYOUTS[self._rank][self.data_format]

    def channels(self, x: Spec) -> int:
        """Number of input channels; ShapeError unless ``x`` has a batch, the spatial axes and channels."""
        require_floating(self.name, x)
        if x.ndim != self._rank + 2:
            axes = ", ".join(["batch", *["depth", "height", "width"][3 - self._rank :], "channels"])
            hints = {self._rank + 1: "add the channel axis: x[..., None]",
                     self._rank: "add the axes of batch and channels: x[None, ..., None] for one example"}  # fmt: skip
            hint = hints.get(x.ndim)
            raise ShapeError(self.name, f"takes inputs of {self._rank + 2} axes ({axes})", {"x": x}, hint=hint)
        return x.extent(-1) if self.data_format == "channels_last" else x.extent(1)

    def finish(self, x: Tensor) -> Tensor:
        """Add the bias along the channels, and activate."""
        if self.bias is not None and self.data_format == "channels_first":
            x = add(x, reshape(self.bias, shape=(-1, *[1] * self._rank)))
            return self.activate(x)
        return super().finish(x)


class Convolution(SpatialWeights):
    """``activation(conv(x, kernel) + bias)``; ``filters`` output channels, ``groups`` of channels kept apart."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: Any = "valid", groups: int = 1, **options: Any
    ) -> None:
        super().__init__(kernel_size, strides, padding, **options)
        self.filters = positive(self.name, "filters", filters)
        self.groups = positive(self.name, "groups", groups)

    def build(self, x: Spec) -> None:
        """Make kernel [*kernel_size, channels / groups, filters] and bias [filters]."""
        channels = self.channels(x)
        if channels % self.groups or self.filters % self.groups:
            what = f"{channels} input channels and {self.filters} filters do not divide into {self.groups} groups"
            raise ShapeError(self.name, what, {"x": x})
        self.kernel = self.add_kernel((*self.kernel_size, channels // self.groups, self.filters))
        self.bias = self.add_bias((self.filters,))

    def call(self, x: Tensor) -> Tensor:
        """Convolve."""
        self.channels(x.spec)
        padding = self.padding
        if padding == "CAUSAL":
            padding = (((self.kernel_size[0] - 1) * self.dilation_rate[0], 0),)
        y = conv(x, self.kernel, strides=self.strides, padding=padding, dilation=self.dilation_rate,
                 groups=self.groups, layout=self.layout)  # fmt: skip
        return self.finish(y)


@register()
class Conv1D(Convolution):
    """Convolution of sequences [b, t, c] to [b, t', filters].

    With ``padding="causal"`` output step t depends on no input step after t.
    """

    _rank = 1


@register()
class Conv2D(Convolution):
    """Convolution of images [b, h, w, c] to [b, h', w', filters]; ``padding``: "valid" or "same"."""


@register()
class Conv3D(Convolution):
    """Convolution of volumes [b, d, h, w, c] to [b, d', h', w', filters]."""

    _rank = 3


class TransposedConvolution(SpatialWeights):
    """The gradient of a convolution as a layer, to enlarge: ``filters`` output channels, extents times ``strides``."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: Any = "valid", output_padding: Any = None,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, strides, padding, **options)
        self.filters = positive(self.name, "filters", filters)
        self.output_padding = output_padding

    def build(self, x: Spec) -> None:
        """Make kernel [*kernel_size, filters, channels] and bias [filters]."""
        self.kernel = self.add_kernel((*self.kernel_size, self.filters, self.channels(x)))
        self.bias = self.add_bias((self.filters,))

    def call(self, x: Tensor) -> Tensor:
        """Convolve, transposed."""
        self.channels(x.spec)
        y = conv_transpose(x, self.kernel, strides=self.strides, padding=self.padding, dilation=self.dilation_rate,
                           layout=self.layout, output_padding=self.output_padding)  # fmt: skip
        return self.finish(y)


@register()
class Conv1DTranspose(TransposedConvolution):
    """Transposed convolution of sequences [b, t, c]."""

    _rank = 1


@register()
class Conv2DTranspose(TransposedConvolution):
    """Transposed convolution of images [b, h, w, c]."""


@register()
class Conv3DTranspose(TransposedConvolution):
    """Transposed convolution of volumes [b, d, h, w, c]."""

    _rank = 3


class DepthwiseConvolution(SpatialWeights):
    """Each channel convolved by itself with ``depth_multiplier`` kernels."""

    def __init__(
        self, kernel_size: Any, strides: Any = 1, padding: Any = "valid", depth_multiplier: int = 1,
        depthwise_initializer: Any = "glorot_uniform", depthwise_regularizer: Any = None,
        depthwise_constraint: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, strides, padding, **options)
        self.depth_multiplier = positive(self.name, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    def add_depthwise(self, channels: int) -> Variable:
        """The depthwise kernel [*kernel_size, channels, depth_multiplier]."""
        return self.add_weight(
            "depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer,
            regularizer=self.depthwise_regularizer, constraint=self.depthwise_constraint,
        )  # fmt: skip

    def build(self, x: Spec) -> None:
        """Make kernel and bias."""
        channels = self.channels(x)
        self.kernel = self.add_depthwise(channels)
        self.bias = self.add_bias((channels * self.depth_multiplier,))

    def spread(self, x: Tensor, kernel: Variable) -> Tensor:
        """The depthwise convolution alone."""
        return depthwise_conv(x, kernel, strides=self.strides, padding=self.padding, dilation=self.dilation_rate,
                              layout=self.layout)  # fmt: skip

    def call(self, x: Tensor) -> Tensor:
        """Convolve channel by channel."""
        self.channels(x.spec)
        return self.finish(self.spread(x, self.kernel))


@register()
class DepthwiseConv1D(DepthwiseConvolution):
    """Depthwise convolution of sequences [b, t, c] to [b, t', c * depth_multiplier]."""

    _rank = 1


@register()
class DepthwiseConv2D(DepthwiseConvolution):
    """Depthwise convolution of images [b, h, w, c] to [b, h', w', c * depth_multiplier]."""


class SeparableConvolution(DepthwiseConvolution):
    """A depthwise convolution and a 1x1 convolution that mixes its channels to ``filters``."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: Any = "valid",
        pointwise_initializer: Any = "glorot_uniform", pointwise_regularizer: Any = None,
        pointwise_constraint: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, strides, padding, **options)
        self.filters = positive(self.name, "filters", filters)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.pointwise_constraint = constraints.get(pointwise_constraint)
        self.depthwise_kernel: Variable
        self.pointwise_kernel: Variable

    def build(self, x: Spec) -> None:
        """Make both kernels and the bias."""
        channels = self.channels(x)
        self.depthwise_kernel = self.add_depthwise(channels)
        self.pointwise_kernel = self.add_weight(
            "pointwise_kernel", (*[1] * self._rank, channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer, regularizer=self.pointwise_regularizer, constraint=self.pointwise_constraint,
        )  # fmt: skip
        self.bias = self.add_bias((self.filters,))

    def call(self, x: Tensor) -> Tensor:
        """Convolve channel by channel, then mix."""
        self.channels(x.spec)
        return self.finish(conv(self.spread(x, self.depthwise_kernel), self.pointwise_kernel, layout=self.layout))


@register()
class SeparableConv1D(SeparableConvolution):
    """Separable convolution of sequences [b, t, c] to [b, t', filters]."""

    _rank = 1


@register()
class SeparableConv2D(SeparableConvolution):
    """Separable convolution of images [b, h, w, c] to [b, h', w', filters]."""
