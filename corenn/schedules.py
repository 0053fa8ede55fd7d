"""Learning-rate schedules: functions from the number of updates made so far to a learning rate.

A schedule is called with a step (an int, or a tensor of one element) and returns a Python float: the arithmetic is done
on the host in double precision, so a rate is the same on every backend.  Optimizers call theirs with ``iterations``,
which is 0 at the first update.  ``decay_steps`` and the like count updates, not epochs.

Formulas: TensorFlow's ``learning_rate_decay`` and Keras 3's ``LearningRateSchedule``; cosine decay and restarts are
from Loshchilov and Hutter 2016 (arXiv:1608.03983).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from typing import Any, overload

from corenn.configurable import Configurable, Registry
from corenn.errors import AttributeValueError, UsageError
from corenn.tensor import Tensor

Step = int | float | Tensor


class Schedule(Configurable):
    """Base of schedules: a subclass defines ``at(step: float) -> float``."""

    def __call__(self, step: Step) -> float:
        """The learning rate of the update after ``step`` updates."""
        return float(self.at(float(step)))

    def at(self, step: float) -> float:
        """The learning rate at ``step``."""
        raise NotImplementedError(f"{type(self).__name__} does not define at()")


class FunctionSchedule(Schedule):
    """A schedule from a function of the step; ``function``: int to float."""

    def __init__(self, function: Callable[[int], float]) -> None:
        self.function = function

    def at(self, step: float) -> float:
        """``function(step)``."""
        return self.function(int(step))


_registry: Registry[Schedule] = Registry("schedule", Schedule, FunctionSchedule)
_registry.register()(FunctionSchedule)
register = _registry.register


@overload
def get(spec: None) -> None: ...
@overload
def get(spec: Schedule | Callable[[int], float] | dict[str, Any]) -> Schedule: ...
def get(spec: Any) -> Any:
    """The schedule for None, an instance, a dictionary ``{"class_name", "config"}``, or a function of the step.

    Names of functions made known by ``schedules.register()`` also serve; schedule classes need arguments.
    """
    return _registry.get(spec)


def _positive(where: str, **values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise AttributeValueError(where, f"{name} must be positive", {name: value})


class _Decay(Schedule):
    """What the three decays by a rate have in common."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
    ) -> None:
        _positive(type(self).__name__, decay_steps=decay_steps)
        self.initial_learning_rate = float(initial_learning_rate)
        self.decay_steps, self.decay_rate, self.staircase = decay_steps, float(decay_rate), bool(staircase)

    def _progress(self, step: float) -> float:
        progress = step / self.decay_steps
        return math.floor(progress) if self.staircase else progress


@register()
class ExponentialDecay(_Decay):
    """``initial * decay_rate ** (step / decay_steps)``; ``staircase`` rounds the exponent down."""

    def at(self, step: float) -> float:
        """The learning rate at ``step``."""
        return self.initial_learning_rate * math.pow(self.decay_rate, self._progress(step))


@register("natural_exp")
class NaturalExpDecay(_Decay):
    """``initial * exp(-decay_rate * step / decay_steps)``; ``staircase`` rounds the quotient down."""

    def at(self, step: float) -> float:
        """The learning rate at ``step``."""
        return self.initial_learning_rate * math.exp(-self.decay_rate * self._progress(step))


@register()
class InverseTimeDecay(_Decay):
    """``initial / (1 + decay_rate * step / decay_steps)``; ``staircase`` rounds the quotient down."""

    def at(self, step: float) -> float:
        """The learning rate at ``step``."""
        return self.initial_learning_rate / (1.0 + self.decay_rate * self._progress(step))


@register()
class PiecewiseConstantDecay(Schedule):
    """``values[0]`` up to and including step ``boundaries[0]``, then ``values[1]`` up to ``boundaries[1]``, and so on.

    ``boundaries`` increase; there is one value more than boundaries.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float]) -> None:
        self.boundaries, self.values = list(boundaries), [float(v) for v in values]
        counts = {"boundaries": len(self.boundaries), "values": len(self.values)}
        if counts["values"] != counts["boundaries"] + 1:
            hint = "give one value more than boundaries"
            raise AttributeValueError("PiecewiseConstantDecay", "values and boundaries do not match", counts, hint=hint)
        if any(b <= a for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            shown = {"boundaries": self.boundaries}
            raise AttributeValueError("PiecewiseConstantDecay", "the boundaries must increase", shown)

    def at(self, step: float) -> float:
        """The learning rate at ``step``."""
        return self.values[bisect.bisect_left(self.boundaries, step)]


@register()
class PolynomialDecay(Schedule):
    """``(initial - end) * (1 - step / decay_steps) ** power + end``; ``end`` from ``decay_steps`` on.

    With ``cycle`` it starts again instead, from a lower rate each time: ``decay_steps`` is multiplied by
    ``ceil(step / decay_steps)``.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
    ) -> None:
        _positive("PolynomialDecay", decay_steps=decay_steps)
        self.initial_learning_rate, self.end_learning_rate = float(initial_learning_rate), float(end_learning_rate)
        self.decay_steps, self.power, self.cycle = decay_steps, float(power), bool(cycle)

    def at(self, step: float) -> float:
        """The learning rate at ``step``."""
        span = self.decay_steps
        if self.cycle:
            span *= max(1, math.ceil(step / self.decay_steps))
        left = 1.0 - min(step, span) / span
        height = self.initial_learning_rate - self.end_learning_rate
        return height * math.pow(left, self.power) + self.end_learning_rate


@register()
class CosineDecay(Schedule):
    """Half a cosine from ``initial`` down to ``alpha`` times it over ``decay_steps``, after an optional warm-up.

    With ``warmup_target`` the rate first rises linearly from ``initial_learning_rate`` to it over ``warmup_steps``, and
    the cosine falls from there.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        _positive("CosineDecay", decay_steps=decay_steps)
        if warmup_target is None and warmup_steps:
            hint = "give warmup_target, the rate after the warm-up; or WarmUp(schedule, steps)"
            raise UsageError("CosineDecay", "warmup_steps without warmup_target", hint=hint)
        self.initial_learning_rate, self.alpha = float(initial_learning_rate), float(alpha)
        self.warmup_target = None if warmup_target is None else float(warmup_target)
        self.decay_steps, self.warmup_steps = decay_steps, warmup_steps

    def at(self, step: float) -> float:
        """The learning rate at ``step``."""
        start = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return start + (self.warmup_target - start) * step / self.warmup_steps
            start, step = self.warmup_target, step - self.warmup_steps
        return start * _cosine(min(step / self.decay_steps, 1.0), self.alpha)


def _cosine(progress: float, floor: float) -> float:
    return (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress)) + floor


@register()
class CosineDecayRestarts(Schedule):
    """Cosine decay that starts again: each period is ``t_mul`` times longer and begins ``m_mul`` times lower."""

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
    ) -> None:
        _positive("CosineDecayRestarts", first_decay_steps=first_decay_steps)
        if not t_mul >= 1:
            raise AttributeValueError("CosineDecayRestarts", "t_mul must be at least 1", {"t_mul": t_mul})
        self.initial_learning_rate, self.first_decay_steps = float(initial_learning_rate), first_decay_steps
        self.t_mul, self.m_mul, self.alpha = float(t_mul), float(m_mul), float(alpha)

    def at(self, step: float) -> float:
        """The learning rate at ``step``."""
        progress = step / self.first_decay_steps
        if self.t_mul == 1.0:
            period, length = math.floor(progress), 1.0
        else:
            period = max(0, math.floor(math.log1p(progress * (self.t_mul - 1.0)) / math.log(self.t_mul)))
            while self._start(period + 1) <= progress:  # the logarithm may round to the wrong side of a restart
                period += 1
            while period and self._start(period) > progress:
                period -= 1
            length = self.t_mul**period
        progress = (progress - self._start(period)) / length
        return self.initial_learning_rate * self.m_mul**period * _cosine(progress, self.alpha)

    def _start(self, period: int) -> float:
        """Where a period begins, in lengths of the first."""
        return period if self.t_mul == 1.0 else (self.t_mul**period - 1.0) / (self.t_mul - 1.0)


@register("warmup")
class WarmUp(Schedule):
    """Linear rise over the first ``warmup_steps``, then ``schedule`` (a schedule or a constant rate), started at 0.

    The rise is from ``start`` to the schedule's first rate: ``start + (schedule(0) - start) * step / warmup_steps``.
    """

    def __init__(
        self, schedule: Schedule | Callable[[int], float] | float, warmup_steps: float, start: float = 0.0
    ) -> None:
        _positive("WarmUp", warmup_steps=warmup_steps)
        self.schedule = float(schedule) if isinstance(schedule, (int, float)) else get(schedule)
        self.warmup_steps, self.start = warmup_steps, float(start)

    def at(self, step: float) -> float:
        """The learning rate at ``step``."""
        if step >= self.warmup_steps:
            return self._after(step - self.warmup_steps)
        return self.start + (self._after(0.0) - self.start) * step / self.warmup_steps

    def _after(self, step: float) -> float:
        return self.schedule if isinstance(self.schedule, float) else self.schedule(step)


__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "FunctionSchedule",
    "InverseTimeDecay",
    "NaturalExpDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "Schedule",
    "WarmUp",
    "get",
    "register",
]
