"""Activations of networks, and the softmax family."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import corenn
from corenn import nn
from corenn.tensor import Tensor
from corenn_onnx.ops._common import positive, scalar
from corenn_onnx.table import onnx_op


def _plain(name: str, compute: Callable[..., Tensor]) -> None:
    @onnx_op(name)
    def run(x: Tensor, *, consumed_inputs: Any = None) -> Tensor:
        return compute(x)


_PLAIN: dict[str, Any] = {
    "Relu": nn.relu, "Sigmoid": nn.sigmoid, "Softplus": nn.softplus, "Softsign": nn.softsign, "Mish": nn.mish,
    "HardSwish": nn.hard_swish,
}  # fmt: skip
for _name, _compute in _PLAIN.items():
    _plain(_name, _compute)


@onnx_op("LeakyRelu")
def leaky_relu(x: Tensor, *, alpha: float = 0.01, consumed_inputs: Any = None) -> Tensor:
    """``alpha * x`` below zero."""
    return corenn.where(corenn.less(x, 0), corenn.multiply(x, alpha), x)


@onnx_op("PRelu", since=7)
def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """``slope * x`` below zero."""
    return corenn.where(corenn.less(x, 0), corenn.multiply(x, slope), x)


@onnx_op("PRelu")
def prelu_channels(x: Tensor, slope: Tensor, *, consumed_inputs: Any = None) -> Tensor:
    """Before opset 7 the slope is one for each channel."""
    if len(slope.shape) == 1 and len(x.shape) > 2:
        slope = corenn.reshape(slope, shape=(slope.shape[0], *[1] * (len(x.shape) - 2)))
    return prelu(x, slope)


@onnx_op("Elu")
def elu(x: Tensor, *, alpha: float = 1.0, consumed_inputs: Any = None) -> Tensor:
    """``alpha * (exp(x) - 1)`` below zero."""
    below = corenn.multiply(corenn.expm1(corenn.minimum(x, 0)), alpha)
    return corenn.where(corenn.less(x, 0), below, x)


@onnx_op("Selu")
def selu(
    x: Tensor, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875,
    consumed_inputs: Any = None,
) -> Tensor:  # fmt: skip
    """``gamma`` times ``elu``."""
    return corenn.multiply(elu(x, alpha=alpha), gamma)


@onnx_op("Celu")
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """``alpha * (exp(x / alpha) - 1)`` below zero."""
    below = corenn.multiply(corenn.expm1(corenn.divide(corenn.minimum(x, 0), alpha)), alpha)
    return corenn.where(corenn.less(x, 0), below, x)


@onnx_op("Gelu")
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """``x`` times the normal distribution below it."""
    return nn.gelu(x, approximate=approximate == "tanh")


@onnx_op("HardSigmoid")
def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5, consumed_inputs: Any = None) -> Tensor:
    """``alpha * x + beta`` limited to [0, 1]."""
    return corenn.clip(corenn.add(corenn.multiply(x, alpha), beta), min=0.0, max=1.0)


@onnx_op("ThresholdedRelu")
def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """``x`` above ``alpha``, else 0."""
    return corenn.where(corenn.greater(x, alpha), x, scalar(0, x))


@onnx_op("Shrink")
def shrink(x: Tensor, *, lambd: float = 0.5, bias: float = 0.0) -> Tensor:
    """Moved by ``bias`` towards zero, and zero between ``-lambd`` and ``lambd``."""
    lowered, raised = corenn.subtract(x, scalar(bias, x)), corenn.add(x, scalar(bias, x))
    outer = corenn.where(corenn.greater(x, lambd), lowered, scalar(0, x))
    return corenn.where(corenn.less(x, -lambd), raised, outer)


@onnx_op("Swish")
def swish(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """``x * sigmoid(alpha * x)``."""
    return corenn.multiply(x, nn.sigmoid(corenn.multiply(x, alpha)))


def hardmax(x: Tensor, axis: int) -> Tensor:
    """1 at the first largest element along an axis, else 0."""
    axis = positive(axis, len(x.shape))
    return corenn.one_hot(corenn.argmax(x, axis=axis), depth=x.shape[axis], axis=axis, dtype=x.dtype)


def _along(name: str, compute: Callable[..., Tensor]) -> None:
    @onnx_op(name, since=13)
    def run(x: Tensor, *, axis: int = -1) -> Tensor:
        return compute(x, axis)

    @onnx_op(name)
    def run_flat(x: Tensor, *, axis: int = 1) -> Tensor:
        """Before opset 13: over all axes from ``axis`` on, as one."""
        shape, axis = x.shape, positive(axis, len(x.shape))
        flat = corenn.reshape(x, shape=(math.prod(shape[:axis]), math.prod(shape[axis:])))
        return corenn.reshape(compute(flat, 1), shape=shape)


_ALONG: dict[str, Any] = {
    "Softmax": lambda x, axis: nn.softmax(x, axis=axis),
    "LogSoftmax": lambda x, axis: nn.log_softmax(x, axis=axis),
    "Hardmax": hardmax,
}
for _name, _compute in _ALONG.items():
    _along(_name, _compute)


@onnx_op("MeanVarianceNormalization")
def mean_variance_normalization(x: Tensor, *, axes: tuple[int, ...] = (0, 2, 3)) -> Tensor:
    """Each slice to mean 0 and variance 1."""
    mean = corenn.mean(x, axis=axes, keepdims=True)
    variance = corenn.mean(corenn.square(x), axis=axes, keepdims=True) - corenn.square(mean)
    return corenn.divide(x - mean, corenn.sqrt(variance) + 1e-9)
