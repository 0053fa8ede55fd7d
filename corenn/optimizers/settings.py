"""What an optimizer is told: its arguments, the learning rate of each variable, the scale of the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from corenn.configurable import Configurable
from corenn.errors import AttributeValueError, UsageError
from corenn.optimizers.loss_scaling import DynamicLossScale, Scaling, parse
from corenn.optimizers.records import Matcher, Record, check_matcher, matches, pattern
from corenn.schedules import Schedule
from corenn.schedules import get as get_schedule
from corenn.tensor import Tensor
from corenn.variable import Variable


class Settings(Configurable):
    """The arguments that all optimizers have; see ``corenn.optimizers.Optimizer``."""

    #: The number of updates made.
    iterations: int
    #: What is kept for each variable, by its identity.
    _records: dict[int, Record]
    #: Grows with every change of a setting that a traced step holds fixed.
    settings_version = 0

    def __init__(
        self,
        learning_rate: float | Schedule | Callable[[int], float] = 0.001,
        *,
        weight_decay: float | None = None,
        exclude_from_weight_decay: Sequence[Matcher] = (),
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | Literal["dynamic"] | DynamicLossScale | None = None,
        gradient_accumulation_steps: int | None = None,
        lr_multipliers: Mapping[Matcher, float] | None = None,
        name: str | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            self.refuse_arguments(unknown)
        self.name = name if name is not None else type(self).__name__.lower()
        self.learning_rate = learning_rate
        self.weight_decay, self.exclude_from_weight_decay = weight_decay, tuple(exclude_from_weight_decay)
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, ema_momentum, ema_overwrite_frequency
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.lr_multipliers = dict(lr_multipliers or {})
        self._check_arguments()
        self.loss_scale_factor = loss_scale_factor
        self._begin()

    def _begin(self) -> None:
        """What is there before the first update."""
        raise NotImplementedError(f"{type(self).__name__} does not define _begin()")

    def _check_arguments(self) -> None:
        where = type(self).__name__
        limits = {"clipnorm": self.clipnorm, "clipvalue": self.clipvalue, "global_clipnorm": self.global_clipnorm}
        given = {name: limit for name, limit in limits.items() if limit is not None}
        if len(given) > 1:
            raise UsageError(where, f"give one of {', '.join(limits)}, not {' and '.join(given)}")
        positive = {
            **given,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
        }
        for name, value in positive.items():
            if value is not None and not value > 0:
                raise AttributeValueError(where, f"{name} must be positive", {name: value})
        if self.weight_decay is not None and not self.weight_decay >= 0:
            raise AttributeValueError(where, "weight_decay must be at least 0", {"weight_decay": self.weight_decay})
        if not 0 <= self.ema_momentum <= 1:
            raise AttributeValueError(where, "ema_momentum must lie in [0, 1]", {"ema_momentum": self.ema_momentum})
        for key, factor in self.lr_multipliers.items():
            _check_multiplier(where, key, factor)
        for key in self.exclude_from_weight_decay:
            check_matcher(where, key)

    # ---- learning rate

    @property
    def learning_rate(self) -> float:
        """The rate of the next update; set it to a float, a schedule or a function of the step."""
        return self._rate if isinstance(self._rate, float) else self._rate(self.iterations)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, (int, float, np.generic)) or (isinstance(value, (Tensor, np.ndarray)) and value.size == 1):
            rate = float(value)
            if not rate >= 0:
                raise AttributeValueError(type(self).__name__, "the learning rate must be at least 0", {"given": rate})
            self._rate: float | Schedule = rate
        else:
            chosen = get_schedule(value)
            if chosen is None:
                raise UsageError(type(self).__name__, "the learning rate is None", hint="a float or a schedule")
            self._rate = chosen

    @property
    def schedule(self) -> Schedule | None:
        """The learning-rate schedule, if the rate is not a constant."""
        return None if isinstance(self._rate, float) else self._rate

    def set_lr_multiplier(self, of: Matcher, factor: float) -> None:
        """Multiply the learning rate of some variables by ``factor``, from the next update on.

        ``of``: a pattern of names, a variable, or a layer (with all layers inside); it comes before those given
        earlier.  In graphs of sessions it counts for updates made from here on.  AttributeValueError for a negative
        factor, and for what does not name variables.
        """
        _check_multiplier(self.name, of, factor)
        others = {k: f for k, f in self.lr_multipliers.items() if not (k is of or (isinstance(k, str) and k == of))}
        self.lr_multipliers = {of: float(factor), **others}
        for record in self._records.values():
            record.factor = self.settings_of(record.variable)[0]
        self.settings_version += 1

    def settings_of(self, variable: Variable) -> tuple[float, bool]:
        """The factor on the learning rate, and whether weight decay applies, for one variable."""
        factor = next((f for key, f in self.lr_multipliers.items() if matches(key, variable)), 1.0)
        return float(factor), not any(matches(key, variable) for key in self.exclude_from_weight_decay)

    # ---- loss scale

    @property
    def loss_scale_factor(self) -> float | DynamicLossScale | None:
        """What the loss is multiplied by, and gradients are divided by: a number, settings of one that adapts, or None.

        ``loss_scale`` is the present number.
        """
        return self._loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: Any) -> None:
        factor = self._loss_scale_factor = parse(type(self).__name__, value)
        self._scaling = Scaling(factor) if isinstance(factor, DynamicLossScale) else None
        self.settings_version += 1

    @property
    def loss_scale(self) -> float:
        """The number that the next loss is multiplied by: 1 without loss scaling."""
        factor = self._loss_scale_factor
        if self._scaling is not None:
            return self._scaling.value
        return factor if isinstance(factor, float) else 1.0

    # ---- configuration

    def _argument(self, name: str) -> Any:
        if name == "learning_rate":
            return self._rate
        if name == "name":
            return None if self.name == type(self).__name__.lower() else self.name
        if name == "lr_multipliers":
            return {pattern(key): factor for key, factor in self.lr_multipliers.items()} or None
        if name == "exclude_from_weight_decay":
            return tuple(pattern(key) for key in self.exclude_from_weight_decay)
        return super()._argument(name)


def _check_multiplier(where: str, of: Any, factor: Any) -> None:
    check_matcher(where, of)
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not factor >= 0:
        raise AttributeValueError(
            where, "a multiplier of the learning rate must be at least 0", {"given": repr(factor)}
        )


__all__ = ["Settings"]
