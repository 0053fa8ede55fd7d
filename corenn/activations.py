"""Activation functions by name, as layers take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from corenn.configurable import Registry
from corenn.ops import activations as ops
from corenn.ops.elementwise import identity
from corenn.ops.softmax import log_softmax, softmax
from corenn.ops.transcendental import exp, tanh
from corenn.tensor import Tensor

Activation = Callable[[Tensor], Tensor]

_REGISTRY: Registry[Any] = Registry("activation", cast("type[Any]", Callable))

for _function, _aliases in (
    (identity, ("linear",)),
    (exp, ("exponential",)),
    (tanh, ()),
    (softmax, ()),
    (log_softmax, ()),
    (ops.relu, ()),
    (ops.relu6, ()),
    (ops.leaky_relu, ()),
    (ops.elu, ()),
    (ops.selu, ()),
    (ops.celu, ()),
    (ops.gelu, ()),
    (ops.sigmoid, ()),
    (ops.log_sigmoid, ()),
    (ops.softplus, ()),
    (ops.softsign, ()),
    (ops.silu, ("swish",)),
    (ops.hard_sigmoid, ()),
    (ops.hard_tanh, ()),
    (ops.hard_swish, ("hard_silu",)),
    (ops.mish, ()),
):
    _REGISTRY.register(*_aliases)(_function)

register = _REGISTRY.register
names = _REGISTRY.names


def get(activation: Any) -> Activation:
    """The function for a name (``"relu"``, ``"softmax"``, ...), a callable, or ``None`` (identity).

    Raises UsageError with the nearest names for one that does not exist.
    """
    found = _REGISTRY.get(activation)
    return identity if found is None else found


__all__ = ["Activation", "get", "names", "register"]
