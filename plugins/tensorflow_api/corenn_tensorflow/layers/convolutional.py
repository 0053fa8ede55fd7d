"""Convolutional layers, as classes and as functions."""

from __future__ import annotations

from typing import Any

from corenn.errors import AttributeValueError
from corenn.ops.convolution import conv, conv_transpose
from corenn.ops.convolution_forms import depthwise_conv
from corenn.tensor import Tensor
from corenn_tensorflow.layer_base import Layer, activation_of, channels
from corenn_tensorflow.mode import one, scope
from corenn_tensorflow.nn.activations import bias_add

_LAYOUTS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


def layout_of(where: str, rank: int, data_format: str) -> str:
    """``"NHWC"`` for ``"channels_last"`` of two axes, and so on."""
    if data_format not in ("channels_last", "channels_first"):
        raise AttributeValueError(
            where, "data_format must be 'channels_last' or 'channels_first'", {"data_format": data_format}
        )
    return _LAYOUTS[rank][data_format == "channels_first"]


def numbers(where: str, name: str, value: Any, rank: int) -> tuple[int, ...]:
    """``rank`` ints, of one or as many."""
    found = tuple(int(v) for v in value) if isinstance(value, (list, tuple)) else (int(value),) * rank
    if len(found) != rank:
        raise AttributeValueError(
            where, f"The `{name}` argument must be a tuple of {rank} integers. Received: {value}", {name: value}
        )
    return found


class Convolution(Layer):
    """Base of the convolutional layers over ``rank`` axes; kernel [*kernel_size, in, filters]."""

    rank = 2
    _kernel = "kernel"

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = None, bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, trainable: bool = True, name: str | None = None, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(trainable=trainable, name=name, activity_regularizer=activity_regularizer, **base)
        where = type(self).__name__
        self.filters = int(filters)
        self.kernel_size = numbers(where, "kernel_size", kernel_size, self.rank)
        self.strides = numbers(where, "strides", strides, self.rank)
        self.dilation_rate = numbers(where, "dilation_rate", dilation_rate, self.rank)
        self.padding, self.data_format = str(padding).upper(), data_format
        self.layout = layout_of(where, self.rank, data_format)
        self.activation, self.use_bias = activation_of(activation), use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.kernel: Any = None
        self.bias: Any = None

    def kernel_shape(self, depth: int) -> tuple[int, ...]:
        """The shape of ``kernel`` for inputs of so many channels."""
        return (*self.kernel_size, depth, self.filters)

    def add_kernels(self, depth: int) -> None:
        """Make the kernel."""
        self.kernel = self.add_variable(
            "kernel", self.kernel_shape(depth), initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip

    def build(self, input_shape: Any) -> None:
        """The kernel and ``bias``."""
        self.add_kernels(channels(type(self).__name__, input_shape, self.data_format == "channels_first"))
        if self.use_bias:
            self.bias = self.add_variable(
                "bias", (self.filters,), initializer=self.bias_initializer, regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )  # fmt: skip
        self.built = True

    def convolved(self, x: Any) -> Tensor:
        """What the bias is added to."""
        return one(
            f"Conv{self.rank}D", None, conv, x, self.kernel, strides=self.strides, padding=self.padding,
            dilation=self.dilation_rate, layout=self.layout,
        )  # type: ignore[no-any-return]  # fmt: skip

    def call(self, inputs: Any) -> Any:
        """Convolution, bias, activation."""
        found = self.convolved(inputs)
        if self.bias is not None:
            found = bias_add(found, self.bias, data_format="NHWC" if self.layout.endswith("C") else self.layout)
        return found if self.activation is None else self.activation(found)


class Conv1D(Convolution):
    """A convolution of [batch, width, channels]."""

    rank = 1


class Conv2D(Convolution):
    """A convolution of [batch, height, width, channels]."""


class Conv3D(Convolution):
    """A convolution of [batch, depth, height, width, channels]."""

    rank = 3


class _Transposed(Convolution):
    """A transposed convolution; kernel [*kernel_size, filters, in]."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str = "channels_last", activation: Any = None, use_bias: bool = True, *args: Any, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(filters, kernel_size, strides, padding, data_format, 1, activation, use_bias, *args, **options)

    def kernel_shape(self, depth: int) -> tuple[int, ...]:
        """Channels the other way round."""
        return (*self.kernel_size, self.filters, depth)

    def convolved(self, x: Any) -> Tensor:
        """The transposed convolution."""
        return one(
            f"Conv{self.rank}DBackpropInput", f"conv{self.rank}d_transpose", conv_transpose, x, self.kernel,
            strides=self.strides, padding=self.padding, layout=self.layout,
        )  # type: ignore[no-any-return]  # fmt: skip


class Conv2DTranspose(_Transposed):
    """A transposed convolution of [batch, height, width, channels]."""


class Conv3DTranspose(_Transposed):
    """A transposed convolution of [batch, depth, height, width, channels]."""

    rank = 3


class _Separable(Convolution):
    """A convolution of each channel by itself, then one that mixes them."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = 1, depth_multiplier: int = 1, activation: Any = None,
        use_bias: bool = True, depthwise_initializer: Any = None, pointwise_initializer: Any = None,
        bias_initializer: Any = "zeros", depthwise_regularizer: Any = None, pointwise_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, depthwise_constraint: Any = None,
        pointwise_constraint: Any = None, bias_constraint: Any = None, trainable: bool = True, name: str | None = None,
        **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            bias_initializer=bias_initializer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, bias_constraint=bias_constraint, trainable=trainable, name=name,
            **base,
        )  # fmt: skip
        self.depth_multiplier = int(depth_multiplier)
        self._depthwise = (depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self._pointwise = (pointwise_initializer, pointwise_regularizer, pointwise_constraint)
        self.depthwise_kernel: Any = None
        self.pointwise_kernel: Any = None

    def add_kernels(self, depth: int) -> None:
        """``depthwise_kernel`` [*size, in, multiplier] and ``pointwise_kernel`` [1, ..., in * multiplier, filters]."""
        spread = depth * self.depth_multiplier
        for name, shape, (initializer, regularizer, constraint) in (
            ("depthwise_kernel", (*self.kernel_size, depth, self.depth_multiplier), self._depthwise),
            ("pointwise_kernel", (*(1,) * self.rank, spread, self.filters), self._pointwise),
        ):
            made = self.add_variable(
                name, shape, initializer=initializer, regularizer=regularizer, constraint=constraint
            )
            setattr(self, name, made)

    def convolved(self, x: Any) -> Tensor:
        """Both convolutions."""
        with scope(None, f"separable_conv{self.rank}d", x):
            apart = depthwise_conv(
                x, self.depthwise_kernel, strides=self.strides, padding=self.padding, dilation=self.dilation_rate,
                layout=self.layout,
            )  # fmt: skip
            return one(f"Conv{self.rank}D", None, conv, apart, self.pointwise_kernel, layout=self.layout)  # type: ignore[no-any-return]


class SeparableConv1D(_Separable):
    """A separable convolution of [batch, width, channels]."""

    rank = 1


class SeparableConv2D(_Separable):
    """A separable convolution of [batch, height, width, channels]."""


def conv1d(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
    data_format: str = "channels_last", dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
    kernel_initializer: Any = None, bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
    bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
    bias_constraint: Any = None, trainable: bool = True, name: str | None = None, reuse: Any = None,
) -> Any:  # fmt: skip
    """A convolution of [batch, width, channels], with bias and activation."""
    return _plain(Conv1D, locals())


def conv2d(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: str = "channels_last", dilation_rate: Any = (1, 1), activation: Any = None, use_bias: bool = True,
    kernel_initializer: Any = None, bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
    bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
    bias_constraint: Any = None, trainable: bool = True, name: str | None = None, reuse: Any = None,
) -> Any:  # fmt: skip
    """A convolution of [batch, height, width, channels], with bias and activation."""
    return _plain(Conv2D, locals())


def conv3d(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: str = "valid",
    data_format: str = "channels_last", dilation_rate: Any = (1, 1, 1), activation: Any = None, use_bias: bool = True,
    kernel_initializer: Any = None, bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
    bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
    bias_constraint: Any = None, trainable: bool = True, name: str | None = None, reuse: Any = None,
) -> Any:  # fmt: skip
    """A convolution of [batch, depth, height, width, channels], with bias and activation."""
    return _plain(Conv3D, locals())


def conv2d_transpose(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: str = "channels_last", activation: Any = None, use_bias: bool = True, kernel_initializer: Any = None,
    bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
    activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
    trainable: bool = True, name: str | None = None, reuse: Any = None,
) -> Any:  # fmt: skip
    """A transposed convolution of [batch, height, width, channels], with bias and activation."""
    return _plain(Conv2DTranspose, locals())


def conv3d_transpose(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: str = "valid",
    data_format: str = "channels_last", activation: Any = None, use_bias: bool = True, kernel_initializer: Any = None,
    bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
    activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
    trainable: bool = True, name: str | None = None, reuse: Any = None,
) -> Any:  # fmt: skip
    """A transposed convolution of [batch, depth, height, width, channels], with bias and activation."""
    return _plain(Conv3DTranspose, locals())


def separable_conv1d(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
    data_format: str = "channels_last", dilation_rate: Any = 1, depth_multiplier: int = 1, activation: Any = None,
    use_bias: bool = True, depthwise_initializer: Any = None, pointwise_initializer: Any = None,
    bias_initializer: Any = "zeros", depthwise_regularizer: Any = None, pointwise_regularizer: Any = None,
    bias_regularizer: Any = None, activity_regularizer: Any = None, depthwise_constraint: Any = None,
    pointwise_constraint: Any = None, bias_constraint: Any = None, trainable: bool = True, name: str | None = None,
    reuse: Any = None,
) -> Any:  # fmt: skip
    """A separable convolution of [batch, width, channels], with bias and activation."""
    return _plain(SeparableConv1D, locals())


def separable_conv2d(
    inputs: Any, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: str = "channels_last", dilation_rate: Any = (1, 1), depth_multiplier: int = 1, activation: Any = None,
    use_bias: bool = True, depthwise_initializer: Any = None, pointwise_initializer: Any = None,
    bias_initializer: Any = "zeros", depthwise_regularizer: Any = None, pointwise_regularizer: Any = None,
    bias_regularizer: Any = None, activity_regularizer: Any = None, depthwise_constraint: Any = None,
    pointwise_constraint: Any = None, bias_constraint: Any = None, trainable: bool = True, name: str | None = None,
    reuse: Any = None,
) -> Any:  # fmt: skip
    """A separable convolution of [batch, height, width, channels], with bias and activation."""
    return _plain(SeparableConv2D, locals())


def _plain(layer: type[Convolution], given: dict[str, Any]) -> Any:
    """Make a layer of the arguments of its function, and call it."""
    inputs, reuse = given.pop("inputs"), given.pop("reuse")
    return layer(**given, _scope=given["name"], _reuse=reuse)(inputs)


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution2DTranspose, Convolution3DTranspose = Conv2DTranspose, Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
convolution1d, convolution2d, convolution3d = conv1d, conv2d, conv3d
deconvolution2d, deconvolution3d = conv2d_transpose, conv3d_transpose
convolution2d_transpose, convolution3d_transpose = conv2d_transpose, conv3d_transpose

__all__ = [
    "Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "SeparableConv1D", "SeparableConv2D", "conv1d",
    "conv2d", "conv2d_transpose", "conv3d", "conv3d_transpose", "separable_conv1d", "separable_conv2d",
]  # fmt: skip
