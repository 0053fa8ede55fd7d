"""``keras.optimizers.schedules``."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn import schedules as core
from corenn.ops.creation import tensor
from corenn.tensor import Tensor
from corenn_tensorflow.keras import _lookup
from corenn_tensorflow.missing import guard


class LearningRateSchedule(core.Schedule):
    """Base of schedules: ``__call__(step)``."""

    def __call__(self, step: Any) -> Any:
        """The rate at a step."""
        raise NotImplementedError("Learning rate schedule must override __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """A schedule from its configuration."""
        return cls(**config)


class Number(float):
    """A rate that scripts may treat as a tensor."""

    def numpy(self) -> np.float32:
        """The value."""
        return np.float32(self)


def _class(name: str, base: type, *order: str) -> Any:
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        given = {**dict(zip((*order, "name"), args, strict=False)), **options}
        given.pop("name", None)
        base.__init__(self, **{k: _plain(v) for k, v in given.items()})  # type: ignore[misc]

    def __call__(self: Any, step: Any) -> Any:
        """The rate at a step: a number for a number, a tensor for a tensor or an array (of steps)."""
        if isinstance(step, (Tensor, np.ndarray)):
            steps = np.asarray(step._host() if isinstance(step, Tensor) else step)
            rates = [float(base.__call__(self, int(s))) for s in steps.reshape(-1)]  # type: ignore[operator]
            return tensor(np.asarray(rates, np.float32).reshape(steps.shape))
        return Number(base.__call__(self, int(step)))  # type: ignore[operator]

    def get_config(self: Any) -> dict[str, Any]:
        """The arguments."""
        return {n: getattr(self, n) for n in order if hasattr(self, n)}

    space = {"__init__": __init__, "__call__": __call__, "get_config": get_config, "__doc__": base.__doc__,
             "__module__": __name__}  # fmt: skip
    return type(name, (base, LearningRateSchedule), space)


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return float(np.asarray(value._host()))
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


_DECAY = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase")
ExponentialDecay = _class("ExponentialDecay", core.ExponentialDecay, *_DECAY)
InverseTimeDecay = _class("InverseTimeDecay", core.InverseTimeDecay, *_DECAY)
PiecewiseConstantDecay = _class("PiecewiseConstantDecay", core.PiecewiseConstantDecay, "boundaries", "values")
PolynomialDecay = _class(
    "PolynomialDecay",
    core.PolynomialDecay,
    "initial_learning_rate",
    "decay_steps",
    "end_learning_rate",
    "power",
    "cycle",
)
CosineDecay = _class("CosineDecay", core.CosineDecay, "initial_learning_rate", "decay_steps", "alpha")
CosineDecayRestarts = _class(
    "CosineDecayRestarts",
    core.CosineDecayRestarts,
    "initial_learning_rate",
    "first_decay_steps",
    "t_mul",
    "m_mul",
    "alpha",
)

_NAMES = {c.__name__: c for c in (ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay,
                                  CosineDecay, CosineDecayRestarts)}  # fmt: skip

serialize = _lookup.serialized


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The schedule that ``serialize`` wrote."""
    with _lookup.custom_object_scope(custom_objects or {}):
        return _lookup.made("schedule", config, _NAMES)


__all__ = [*_NAMES, "LearningRateSchedule", "deserialize", "serialize"]
__getattr__ = guard(__name__)
