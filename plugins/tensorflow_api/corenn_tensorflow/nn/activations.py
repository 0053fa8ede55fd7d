"""Activations, softmax, bias, dropout: ``tf.nn.relu`` and its kin."""

from __future__ import annotations

from typing import Any

from corenn.errors import AttributeValueError
from corenn.ops import activations as act
from corenn.ops.contraction import matmul as matmul_op
from corenn.ops.elementwise import add, cast, divide, multiply, negative, where
from corenn.ops.logic import equal, greater_equal
from corenn.ops.random import dropout as drop
from corenn.ops.random import uniform
from corenn.ops.reduction import mean
from corenn.ops.shaping import concatenate, reshape
from corenn.ops.softmax import log_softmax as log_softmax_op
from corenn.ops.softmax import softmax as softmax_op
from corenn.ops.transcendental import tanh as tanh_op
from corenn.tensor import Tensor
from corenn_tensorflow.logging import get_logger
from corenn_tensorflow.mode import by_generation, one, scope
from corenn_tensorflow.operands import dynamic_shape, known, like, rank, tensor


def relu(features: Any, name: str | None = None) -> Tensor:
    """``max(features, 0)``."""
    return one("Relu", name, act.relu, features)


def relu6(features: Any, name: str | None = None) -> Tensor:
    """``min(max(features, 0), 6)``."""
    return one("Relu6", name, act.relu6, features)


def elu(features: Any, name: str | None = None) -> Tensor:
    """``exp(features) - 1`` below 0, the features above."""
    return one("Elu", name, act.elu, features)


def selu(features: Any, name: str | None = None) -> Tensor:
    """The scaled exponential linear unit (Klambauer et al. 2017)."""
    return one("Selu", name, act.selu, features)


def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Tensor:
    """``features`` above 0, ``alpha * features`` below."""
    return one("LeakyRelu", name, act.leaky_relu, features, alpha=float(alpha))


def softplus(features: Any, name: str | None = None) -> Tensor:
    """``log(exp(features) + 1)``."""
    return one("Softplus", name, act.softplus, features)


def softsign(features: Any, name: str | None = None) -> Tensor:
    """``features / (|features| + 1)``."""
    return one("Softsign", name, act.softsign, features)


def sigmoid(x: Any, name: str | None = None) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    return one("Sigmoid", name, act.sigmoid, x)


def log_sigmoid(x: Any, name: str | None = None) -> Tensor:
    """``log(sigmoid(x))``, without overflow."""
    return one("LogSigmoid", name, act.log_sigmoid, x)


def tanh(x: Any, name: str | None = None) -> Tensor:
    """The hyperbolic tangent."""
    return one("Tanh", name, tanh_op, x)


def swish(features: Any, beta: Any = 1.0, name: str | None = None) -> Tensor:
    """``features * sigmoid(beta * features)`` (Ramachandran et al. 2017)."""
    if isinstance(beta, (int, float)) and beta == 1:
        return one("Swish", name, act.silu, features)
    with scope(name, "swish", features, beta):
        x = tensor(features, None, beta)
        return multiply(x, act.sigmoid(multiply(x, like(beta, x))))


silu = swish


def gelu(features: Any, approximate: bool = False, name: str | None = None) -> Tensor:
    """``features * Phi(features)`` (Hendrycks & Gimpel 2016), or its approximation by tanh."""
    return one("Gelu", name, act.gelu, features, approximate=bool(approximate))


def _crelu(features: Any, axis: int, name: str | None) -> Tensor:
    with scope(name, "CRelu", features):
        x = tensor(features)
        return act.relu(concatenate(x, negative(x), axis=axis))


def _crelu_v1(features: Any, name: str | None = None, axis: int = -1) -> Tensor:
    """``relu`` of the features and of their negatives, side by side along ``axis``."""
    return _crelu(features, axis, name)


def _crelu_v2(features: Any, axis: int = -1, name: str | None = None) -> Tensor:
    """``relu`` of the features and of their negatives, side by side along ``axis``."""
    return _crelu(features, axis, name)


crelu = by_generation(_crelu_v1, _crelu_v2)


def _axis(axis: Any, dim: Any) -> int:
    chosen = axis if axis is not None else dim
    return -1 if chosen is None else int(known(chosen))


def softmax(logits: Any, axis: int | None = None, name: str | None = None, dim: int | None = None) -> Tensor:
    """``exp(logits) / sum(exp(logits))`` along ``axis`` (default: the last)."""
    name, axis = _named(axis, name)
    return one("Softmax", name, softmax_op, logits, axis=_axis(axis, dim))


def log_softmax(logits: Any, axis: int | None = None, name: str | None = None, dim: int | None = None) -> Tensor:
    """``log(softmax(logits))`` along ``axis`` (default: the last)."""
    name, axis = _named(axis, name)
    return one("LogSoftmax", name, log_softmax_op, logits, axis=_axis(axis, dim))


def _named(axis: Any, name: Any) -> tuple[Any, Any]:
    """TensorFlow 0.x took the name second."""
    return (axis, None) if isinstance(axis, str) else (name, axis)


def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Tensor:
    """``value + bias``: a bias [channels] on the last axis, or on axis 1 with ``data_format="NCHW"``."""
    if data_format is not None and data_format.upper().startswith("NC") and data_format.upper() != "NC":
        with scope(name, "BiasAdd", value, bias):
            x = tensor(value, None, bias)
            count = rank(x)
            spread = (1, -1, *[1] * ((count or 4) - 2))
            return add(x, reshape(like(bias, x), shape=spread))
    return one("BiasAdd", name, add, value, bias)


def xw_plus_b(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """``x @ weights + biases``."""
    with scope(name, "xw_plus_b", x, weights, biases):
        return bias_add(one("MatMul", None, matmul_op, x, weights), biases)


def relu_layer(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """``relu(x @ weights + biases)``."""
    with scope(name, "relu_layer", x, weights, biases):
        return relu(bias_add(one("MatMul", None, matmul_op, x, weights), biases))


def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """The share of elements that are 0, a float32 scalar."""
    with scope(name, "zero_fraction", value):
        return mean(cast(equal(tensor(value), 0), dtype="float32"))


# ---------------------------------------------------------------- dropout


def _check_rate(rate: Any) -> None:
    if isinstance(rate, bool) or not 0 <= rate < 1:
        raise AttributeValueError(
            "dropout", f"rate must be a scalar tensor or a float in the range [0, 1), got {rate:g}", {"rate": rate},
            hint="rate is the share that is dropped, keep_prob = 1 - rate the share that is kept",
        )  # fmt: skip


def _noise(noise_shape: Any, x: Tensor) -> Any:
    """The shape of the decisions: ``None`` for that of ``x``, with the extents of ``x`` in place of ``None``."""
    if noise_shape is None:
        return None
    given = getattr(noise_shape, "as_list", lambda: noise_shape)()
    if isinstance(given, Tensor):
        found = known(given)
        return given if found is None else tuple(int(n) for n in found)
    return tuple(given)


def dropped(x: Any, rate: Any, noise_shape: Any = None, seed: int | None = None, name: str | None = None) -> Tensor:
    """``x`` with elements set to 0 with probability ``rate`` (a number or a scalar tensor), the others scaled up."""
    number = known(rate)
    with scope(name, "dropout", x, rate):
        given = tensor(x, None, rate)
        if not given.dtype.is_floating:
            raise AttributeValueError(
                "dropout", "x has to be a floating point tensor since it's going to be scaled", {"x": given.dtype}
            )
        shape = _noise(noise_shape, given)
        if number is not None:
            _check_rate(number)
            if number == 0:
                return given
            if not isinstance(shape, Tensor):
                return drop(given, float(number), noise_shape=shape, seed=seed)
        share = like(rate, given)
        if shape is None:
            shape = dynamic_shape(given)
        elif isinstance(shape, tuple) and None in shape:
            actual = dynamic_shape(given)
            shape = tuple(actual[i] if n is None else n for i, n in enumerate(shape))
        draws = uniform(shape, dtype=given.dtype, seed=seed)
        return where(greater_equal(draws, share), divide(given, 1.0 - share), 0.0)


def _dropout_v1(
    x: Any, keep_prob: Any = None, noise_shape: Any = None, seed: int | None = None, name: str | None = None,
    rate: Any = None,
) -> Tensor:  # fmt: skip
    """Keep each element with probability ``keep_prob``, divided by it; the others become 0."""
    if (keep_prob is None) == (rate is None):
        raise AttributeValueError("dropout", "give one of keep_prob and rate", hint="keep_prob = 1 - rate")
    if rate is None:
        number = known(keep_prob)
        if number is not None and not isinstance(number, bool) and not 0 < number <= 1:
            raise AttributeValueError(
                "dropout", f"keep_prob must be a scalar tensor or a float in the range (0, 1], got {number:g}",
                {"keep_prob": number},
            )  # fmt: skip
        with scope(name, "dropout", x, keep_prob) as graph:
            share = 1 - keep_prob if number is None else 1 - number
            return dropped(x, share, noise_shape, seed, graph.scope if graph is not None else name)
    return dropped(x, rate, noise_shape, seed, name)


def _dropout_v2(x: Any, rate: Any, noise_shape: Any = None, seed: int | None = None, name: str | None = None) -> Tensor:
    """Set each element to 0 with probability ``rate``; the others are divided by ``1 - rate``."""
    number = known(rate)
    if number is not None and 0.5 < number < 1:
        get_logger().warning(
            "Large dropout rate: %g (>0.5). In TensorFlow 2.x, dropout() uses dropout rate instead of keep_prob. "
            "Please ensure that this is intended.", number,
        )  # fmt: skip
    return dropped(x, rate, noise_shape, seed, name)


dropout = by_generation(_dropout_v1, _dropout_v2)

__all__ = [
    "bias_add", "crelu", "dropout", "elu", "gelu", "leaky_relu", "log_sigmoid", "log_softmax", "relu", "relu6",
    "relu_layer", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh", "xw_plus_b",
    "zero_fraction",
]  # fmt: skip
