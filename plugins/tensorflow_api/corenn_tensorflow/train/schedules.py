"""Learning-rate schedules of TensorFlow 1: tensors of the global step; eagerly, functions that give the rate now.

Source: tensorflow/python/training/learning_rate_decay.py and keras/optimizer_v2/learning_rate_schedule.py of 1.15.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import corenn
from corenn import dtypes
from corenn.errors import DTypeError
from corenn.tensor import Tensor
from corenn_tensorflow import mode


def _schedule(
    function: str, default: str, name: str | None, learning_rate: Any, global_step: Any,
    formula: Callable[[Any, Any, Callable[[Any], Any]], Any],
) -> Any:  # fmt: skip
    """``formula(rate, step, convert)`` as a tensor in a scope of the schedule's name, or as a function."""
    if global_step is None:
        raise ValueError(f"global_step is required for {function}.")

    def decayed() -> Any:
        with mode.scope(name, default, learning_rate, global_step) as graph:
            if graph is None:
                rate = corenn.asarray(learning_rate)
                rate = rate if rate.dtype.is_inexact else corenn.cast(rate, dtype="float32")
            else:
                rate = graph.convert(learning_rate, name="learning_rate")

            def convert(value: Any) -> Any:
                if not isinstance(value, Tensor) and graph is None:
                    return corenn.tensor(value, dtype=rate.dtype)
                given = (
                    value if graph is None else graph.convert(value, None if isinstance(value, Tensor) else rate.dtype)
                )
                return given if given.dtype is rate.dtype else corenn.cast(given, dtype=rate.dtype)

            return formula(rate, convert(_called(global_step)), convert)

    return decayed if mode.graph_for((learning_rate, global_step)) is None else decayed()


def _called(step: Any) -> Any:
    return step() if callable(step) and not isinstance(step, Tensor) else step


def exponential_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, decay_rate: Any, staircase: bool = False,
    name: str | None = None,
) -> Any:  # fmt: skip
    """``learning_rate * decay_rate ** (global_step / decay_steps)``; ``staircase`` rounds the exponent down."""

    def formula(rate: Any, step: Any, convert: Any) -> Any:
        progress = step / convert(decay_steps)
        return rate * corenn.power(convert(decay_rate), corenn.floor(progress) if staircase else progress)

    return _schedule("exponential_decay", "ExponentialDecay", name, learning_rate, global_step, formula)


def natural_exp_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, decay_rate: Any, staircase: bool = False,
    name: str | None = None,
) -> Any:  # fmt: skip
    """``learning_rate * exp(-decay_rate * global_step / decay_steps)``."""

    def formula(rate: Any, step: Any, convert: Any) -> Any:
        progress = step / convert(decay_steps)
        return rate * corenn.exp(-convert(decay_rate) * (corenn.floor(progress) if staircase else progress))

    return _schedule("natural_exp_decay", "NaturalExpDecay", name, learning_rate, global_step, formula)


def inverse_time_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, decay_rate: Any, staircase: bool = False,
    name: str | None = None,
) -> Any:  # fmt: skip
    """``learning_rate / (1 + decay_rate * global_step / decay_steps)``."""

    def formula(rate: Any, step: Any, convert: Any) -> Any:
        progress = step / convert(decay_steps)
        return rate / (1 + convert(decay_rate) * (corenn.floor(progress) if staircase else progress))

    return _schedule("inverse_time_decay", "InverseTimeDecay", name, learning_rate, global_step, formula)


def polynomial_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, end_learning_rate: Any = 0.0001, power: Any = 1.0,
    cycle: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """From ``learning_rate`` down to ``end_learning_rate`` as ``(1 - step / decay_steps) ** power``.

    ``cycle``: past ``decay_steps`` it starts again, over twice, three times ... as many steps.
    """

    def formula(rate: Any, step: Any, convert: Any) -> Any:
        steps, end = convert(decay_steps), convert(end_learning_rate)
        if cycle:
            steps = steps * corenn.maximum(convert(1.0), corenn.ceil(step / steps))
        else:
            step = corenn.minimum(step, steps)
        return (rate - end) * corenn.power(1 - step / steps, convert(power)) + end

    return _schedule("polynomial_decay", "PolynomialDecay", name, learning_rate, global_step, formula)


def cosine_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, alpha: Any = 0.0, name: str | None = None
) -> Any:
    """Half a cosine from ``learning_rate`` down to ``alpha`` times it."""

    def formula(rate: Any, step: Any, convert: Any) -> Any:
        steps, floor = convert(decay_steps), convert(alpha)
        done = corenn.minimum(step, steps) / steps
        return rate * ((1 - floor) * (0.5 * (1 + corenn.cos(done * math.pi))) + floor)

    return _schedule("cosine decay", "CosineDecay", name, learning_rate, global_step, formula)


def cosine_decay_restarts(
    learning_rate: Any, global_step: Any, first_decay_steps: Any, t_mul: float = 2.0, m_mul: float = 1.0,
    alpha: Any = 0.0, name: str | None = None,
) -> Any:  # fmt: skip
    """Cosines one after the other: each ``t_mul`` times as long as the one before, from ``m_mul`` times its height."""

    def formula(rate: Any, step: Any, convert: Any) -> Any:
        done, floor = step / convert(first_decay_steps), convert(alpha)
        if t_mul == 1.0:
            count = corenn.floor(done)
            fraction = done - count
        else:
            count = corenn.floor(corenn.log(1 - done * (1 - t_mul)) / math.log(t_mul))
            length = corenn.power(convert(t_mul), count)
            fraction = (done - (1 - length) / (1 - t_mul)) / length
        height = corenn.power(convert(m_mul), count)
        return rate * ((1 - floor) * (0.5 * height * (1 + corenn.cos(fraction * math.pi))) + floor)

    return _schedule("cosine decay restarts", "SGDRDecay", name, learning_rate, global_step, formula)


def linear_cosine_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, num_periods: Any = 0.5, alpha: Any = 0.0,
    beta: Any = 0.001, name: str | None = None,
) -> Any:  # fmt: skip
    """``learning_rate * ((alpha + linear) * cosine + beta)`` (Bello et al. 2017, arXiv:1709.07417)."""
    return _linear_cosine(
        learning_rate, global_step, decay_steps, num_periods, alpha, beta, "linear cosine decay", "LinearCosineDecay",
        name, None,
    )  # fmt: skip


def noisy_linear_cosine_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, initial_variance: Any = 1.0, variance_decay: Any = 0.55,
    num_periods: Any = 0.5, alpha: Any = 0.0, beta: Any = 0.001, name: str | None = None,
) -> Any:  # fmt: skip
    """As ``linear_cosine_decay``, with noise of variance ``initial_variance / (1 + step) ** variance_decay`` added."""

    def noise(step: Any, convert: Any) -> Any:
        deviation = corenn.sqrt(convert(initial_variance) / corenn.power(1 + step, convert(variance_decay)))
        return corenn.random.normal(()) * deviation

    return _linear_cosine(
        learning_rate, global_step, decay_steps, num_periods, alpha, beta, "noisy linear cosine decay",
        "NoisyLinearCosineDecay", name, noise,
    )  # fmt: skip


def _linear_cosine(
    learning_rate: Any, global_step: Any, decay_steps: Any, num_periods: Any, alpha: Any, beta: Any, function: str,
    default: str, name: str | None, noise: Any,
) -> Any:  # fmt: skip
    def formula(rate: Any, step: Any, convert: Any) -> Any:
        steps = convert(decay_steps)
        step = corenn.minimum(step, steps)
        linear = (steps - step) / steps
        if noise is not None:
            linear = linear + noise(step, convert)
        cosine = 0.5 * (1 + corenn.cos(2 * convert(num_periods) * (step / steps) * math.pi))
        return rate * ((convert(alpha) + linear) * cosine + convert(beta))

    return _schedule(function, default, name, learning_rate, global_step, formula)


def piecewise_constant(x: Any, boundaries: Sequence[Any], values: Sequence[Any], name: str | None = None) -> Any:
    """``values[0]`` up to and including ``boundaries[0]``, then ``values[1]`` up to ``boundaries[1]``, and so on."""
    if len(boundaries) != len(values) - 1:
        raise ValueError("The length of boundaries should be 1 less than the length of values")

    def decayed() -> Any:
        with mode.scope(name, "PiecewiseConstant", x, list(boundaries), list(values)) as graph:
            at = _called(x)
            at = corenn.asarray(at) if graph is None else graph.convert(at)
            limits = [_boundary(b, at, graph) for b in boundaries]
            heights = [corenn.asarray(v) if graph is None else graph.convert(v) for v in values]
            for height in heights[1:]:
                if height.dtype is not heights[0].dtype:
                    raise DTypeError(
                        "piecewise_constant",
                        f"Values must have elements all with the same dtype ({heights[0].dtype.name} vs "
                        f"{height.dtype.name}).",
                    )
            found = heights[-1]
            for limit, height in zip(reversed(limits), reversed(heights[:-1]), strict=True):
                found = corenn.where(at <= limit, height, found)
            return found

    return decayed if mode.graph_for((x, list(boundaries), list(values))) is None else decayed()


def _boundary(boundary: Any, at: Any, graph: Any) -> Any:
    if not isinstance(boundary, Tensor):
        boundary = corenn.tensor(boundary) if graph is None else graph.convert(boundary)
    if boundary.dtype is at.dtype:
        return boundary
    if boundary.dtype is dtypes.int32 and at.dtype is dtypes.int64:
        return corenn.cast(boundary, dtype=at.dtype)
    raise ValueError(f"Boundaries ({boundary.dtype!r}) must have the same dtype as x ({at.dtype!r}).")


piecewise_constant_decay = piecewise_constant

__all__ = [
    "cosine_decay", "cosine_decay_restarts", "exponential_decay", "inverse_time_decay", "linear_cosine_decay",
    "natural_exp_decay", "noisy_linear_cosine_decay", "piecewise_constant", "piecewise_constant_decay",
    "polynomial_decay",
]  # fmt: skip
