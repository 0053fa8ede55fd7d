"""Gradients of activations and pooling as functions of their own: what ``gen_nn_ops`` has for registered gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import corenn
from corenn_tensorflow import missing, mode
from corenn_tensorflow.functions.calling import operand
from corenn_tensorflow.functions.differentiating import gradients
from corenn_tensorflow.nn import pooling


def _of_features(type_name: str, slope: Callable[[Any], Any], doc: str) -> Callable[..., Any]:
    """The gradient of an activation, from that of its output and its input."""

    def call(gradients: Any, features: Any, name: str | None = None) -> Any:
        g, x = operand(gradients), operand(features)
        with mode.scope(name, type_name, g, x):
            return g * corenn.cast(slope(x), dtype=g.dtype)

    call.__doc__ = doc
    return call


def _of_outputs(type_name: str, slope: Callable[[Any], Any], doc: str) -> Callable[..., Any]:
    """The gradient of an activation, from its output and the gradient of that."""

    def call(y: Any, dy: Any, name: str | None = None) -> Any:
        out, g = operand(y), operand(dy)
        with mode.scope(name, type_name, out, g):
            return g * slope(out)

    call.__doc__ = doc
    return call


relu_grad = _of_features("ReluGrad", lambda x: corenn.greater(x, 0), "The gradient of ``relu``.")
relu6_grad = _of_features(
    "Relu6Grad", lambda x: corenn.logical_and(corenn.greater(x, 0), corenn.less(x, 6)), "The gradient of ``relu6``."
)
softplus_grad = _of_features("SoftplusGrad", corenn.nn.sigmoid, "The gradient of ``softplus``.")
sigmoid_grad = _of_outputs("SigmoidGrad", lambda y: y * (1 - y), "The gradient of ``sigmoid``.")
tanh_grad = _of_outputs("TanhGrad", lambda y: 1 - y * y, "The gradient of ``tanh``.")


def max_pool_grad(
    orig_input: Any, orig_output: Any, grad: Any, ksize: Sequence[int], strides: Sequence[int], padding: str,
    data_format: str = "NHWC", name: str | None = None,
) -> Any:  # fmt: skip
    """The gradient of ``max_pool`` (in graphs)."""
    x = operand(orig_input)
    with mode.scope(name, "MaxPoolGrad", x):
        out = pooling.max_pool(x, ksize, strides, padding, data_format)
        return gradients(out, [x], grad_ys=[operand(grad)])[0]


def avg_pool_grad(
    orig_input_shape: Any, grad: Any, ksize: Sequence[int], strides: Sequence[int], padding: str,
    data_format: str = "NHWC", name: str | None = None,
) -> Any:  # fmt: skip
    """The gradient of ``avg_pool`` (in graphs), which does not hang on the input's values."""
    from corenn_tensorflow.functions.creating import zeros

    g = operand(grad)
    with mode.scope(name, "AvgPoolGrad", g):
        x = zeros(orig_input_shape, g.dtype)
        return gradients(pooling.avg_pool(x, ksize, strides, padding, data_format), [x], grad_ys=[g])[0]


#: The spellings of before TensorFlow 1.5.
_relu_grad, _max_pool_grad, _avg_pool_grad = relu_grad, max_pool_grad, avg_pool_grad
_sigmoid_grad, _tanh_grad, _softplus_grad, _relu6_grad = sigmoid_grad, tanh_grad, softplus_grad, relu6_grad

__getattr__ = missing.guard(__name__)

__all__ = [
    "avg_pool_grad", "max_pool_grad", "relu6_grad", "relu_grad", "sigmoid_grad", "softplus_grad", "tanh_grad",
]  # fmt: skip
