"""``keras.activations``."""

from __future__ import annotations

from typing import Any

from corenn import nn
from corenn.ops.elementwise import clip, identity, multiply, subtract, where
from corenn.ops.logic import greater
from corenn.ops.transcendental import exp as _exp
from corenn_tensorflow.keras import _lookup
from corenn_tensorflow.missing import guard


def softmax(x: Any, axis: int = -1) -> Any:
    """Softmax over ``axis``."""
    return nn.softmax(x, axis=axis)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``."""
    return nn.elu(x, alpha=alpha)


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """``x`` from ``threshold`` up, ``alpha * (x - threshold)`` below, at most ``max_value``."""
    if alpha == 0.0 and max_value is None and threshold == 0.0:
        return nn.relu(x)
    low = multiply(subtract(x, threshold), alpha)
    out = where(greater(x, threshold), x, low)
    if max_value is not None:
        out = where(greater(x, threshold), clip(out, max=float(max_value)), out)
    return out


def hard_sigmoid(x: Any) -> Any:
    """``clip(0.2 x + 0.5, 0, 1)``."""
    return clip(multiply(x, 0.2) + 0.5, min=0.0, max=1.0)


def exponential(x: Any) -> Any:
    """``exp(x)``."""
    return _exp(x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """Gaussian error linear unit."""
    return nn.gelu(x, approximate=approximate)


selu, softplus, softsign, sigmoid = nn.selu, nn.softplus, nn.softsign, nn.sigmoid
tanh, swish, silu, mish = nn.tanh, nn.silu, nn.silu, nn.mish
linear = identity

#: What layers are given for a name: corenn's own where it is the same, so that fused kernels serve.
_FAST: dict[str, Any] = {
    "linear": identity, "relu": nn.relu, "softmax": nn.softmax, "elu": nn.elu, "selu": nn.selu, "softplus": nn.softplus,
    "softsign": nn.softsign, "tanh": nn.tanh, "sigmoid": nn.sigmoid, "swish": nn.silu, "silu": nn.silu, "gelu": nn.gelu,
    "exponential": _exp, "hard_sigmoid": hard_sigmoid, "mish": nn.mish, "relu6": nn.relu6, "leaky_relu": nn.leaky_relu,
    "log_softmax": nn.log_softmax,
}  # fmt: skip
_BACK = {id(v): k for k, v in reversed(_FAST.items())}


def get(identifier: Any) -> Any:
    """The function for a name, or a callable as it is; ``linear`` for ``None``."""
    if identifier is None:
        return linear
    if isinstance(identifier, (str, dict)):
        return _lookup.made("activation function", identifier, _FAST)
    if identifier is softmax:
        return nn.softmax
    if identifier is relu:
        return nn.relu
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret activation function identifier: {identifier}")


def serialize(activation: Any) -> Any:
    """The name of a function; the dictionary of a layer."""
    found = _BACK.get(id(activation))
    return found if found is not None else _lookup.serialized(activation)


def deserialize(name: Any, custom_objects: Any = None) -> Any:
    """The function that ``serialize`` named."""
    with _lookup.custom_object_scope(custom_objects or {}):
        return get(name)


__all__ = [
    "deserialize", "elu", "exponential", "gelu", "get", "hard_sigmoid", "linear", "relu", "selu", "serialize",
    "sigmoid", "softmax", "softplus", "softsign", "swish", "tanh",
]  # fmt: skip
__getattr__ = guard(__name__)
