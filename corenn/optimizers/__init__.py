"""Optimizers: how variables follow their gradients.

``optimizer.minimize(loss_function, variables)``, or ``optimizer.apply_gradients(zip(gradients, variables))`` after a
tape's gradients.  Formulas and defaults are those of Keras 3.  ``get("adam")`` finds one by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from corenn.advice import guide
from corenn.configurable import Registry
from corenn.optimizers.adam import Adam, Adamax, AdamW, Lion, Nadam
from corenn.optimizers.base import Optimizer
from corenn.optimizers.clipping import clip_by_global_norm, clip_by_norm, clip_by_value, global_norm
from corenn.optimizers.descent import SGD, Adadelta, Adagrad, Ftrl, RMSprop
from corenn.optimizers.loss_scaling import DynamicLossScale

_registry: Registry[Optimizer] = Registry("optimizer", Optimizer)
register = _registry.register
for _class, _name in (
    (SGD, "sgd"),
    (RMSprop, "rmsprop"),
    (Adam, "adam"),
    (AdamW, "adamw"),
    (Nadam, "nadam"),
    (Adamax, "adamax"),
    (Adagrad, "adagrad"),
    (Adadelta, "adadelta"),
    (Ftrl, "ftrl"),
    (Lion, "lion"),
):
    register(_name)(_class)


@overload
def get(spec: None) -> None: ...
@overload
def get(spec: Optimizer | str | dict[str, Any] | type[Optimizer]) -> Optimizer: ...
def get(spec: Any) -> Any:
    """The optimizer for None, a name (``"adam"``), a class, an instance or a dictionary; UsageError for others."""
    return _registry.get(spec)


__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "DynamicLossScale",
    "Ftrl",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "get",
    "global_norm",
    "register",
]

if not TYPE_CHECKING:  # type checkers know which names there are
    __getattr__, __dir__ = guide(__name__, __all__)
