"""Which learning rate to train with: the range test of Smith 2017 ("Cyclical learning rates", arXiv:1506.01186, 3.3).

A model is trained for some steps while the rate grows exponentially.  The loss hardly changes at first, then falls,
then grows without bound; a good rate lies where it falls fastest.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corenn.data import Dataset
from corenn.errors import DataError, UsageError
from corenn.layers.phase import no_figures
from corenn.ops import random
from corenn.tensor import Tensor
from corenn.training import feeding
from corenn.training.model import Model
from corenn.training.steps import Steps

#: Steps at the end of the sweep that say nothing of where the loss falls: there it starts to grow.
_FEWEST = 5


@dataclass(frozen=True)
class LearningRates:
    """What ``find_learning_rate`` found: ``rates`` tried, ``losses`` of the steps made with them, and these smoothed.

    ``suggestion`` is the rate at which the smoothed loss falls fastest for a growing logarithm of the rate;
    ``lowest_at`` that at which it is lowest, which is already too high to train with; ``diverged`` whether the sweep
    ended before its last rate because the loss grew without bound.  ``settled``: so many losses are needed before their
    moving average means something.
    """

    rates: npt.NDArray[np.float64]
    losses: npt.NDArray[np.float64]
    smoothed: npt.NDArray[np.float64]
    diverged: bool
    settled: int = 0

    def _slopes(self) -> list[tuple[float, float]]:
        """``(slope, rate)`` for the rates up to that of the lowest loss: of lines through the losses around each."""
        around, end = max(2, len(self.rates) // 12), int(np.argmin(self.smoothed)) + 1
        logarithms, found = np.log(self.rates), []
        for i in range(self.settled, end):
            part = slice(max(self.settled, i - around), min(end, i + around + 1))
            if part.stop - part.start > around:
                slope = float(np.polyfit(logarithms[part], self.smoothed[part], 1)[0])
                found.append((slope, float(self.rates[i])))
        return found

    @property
    def lowest_at(self) -> float:
        """The rate of the lowest smoothed loss."""
        return float(self.rates[np.argmin(self.smoothed)])

    @property
    def suggestion(self) -> float:
        """The rate at which the loss falls fastest; UsageError if it does not fall at any."""
        slope, rate = min(self._slopes(), default=(0.0, 0.0))
        if not slope < 0:
            hint = "lower start, give more steps, or look at the model and the data: it learns at none of these rates"
            raise UsageError("find_learning_rate", "the loss falls at no learning rate", hint=hint)
        return rate

    def plot(self, directory: str | os.PathLike[str], name: str = "learning_rates") -> Path:
        """Draw loss over rate, with the suggestion, as ``directory/name.png``; MissingExtraError without matplotlib."""
        from matplotlib.figure import Figure

        from corenn.training.plots import RIGHT, WRONG, Plots  # says what is missing where matplotlib is

        figure = Figure(figsize=(6.4, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.rates, self.losses, color="#c3c9d1", linewidth=1, label="each step")
        axes.plot(self.rates, self.smoothed, color=RIGHT, label="smoothed")
        if any(slope < 0 for slope, _ in self._slopes()):
            axes.axvline(self.suggestion, color=WRONG, linestyle="--", label=f"suggestion {self.suggestion:.2g}")
        low, first = float(self.smoothed.min()), float(np.median(self.smoothed[: self.settled + 1]))
        axes.set_ylim(low - 0.1 * (first - low), first + 0.5 * ((first - low) or 1.0))
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title="learning rate range test")
        axes.legend(frameon=False)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        return Plots(Path(directory)).save(figure, name)


def find_learning_rate(
    model: Model,
    x: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    batch_size: int | None = None,
    start: float = 1e-6,
    end: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.9,
    stop_at: float | None = 4.0,
) -> LearningRates:
    """Try learning rates from ``start`` to ``end`` on a compiled model, which is then as it was before.

    ``x``, ``y``, ``sample_weight``, ``batch_size``: data as for ``fit``, read again if it ends before the last step.
    ``smoothing``: the losses' moving average (corrected for its start) keeps this part of its value in every step.
    ``stop_at``: the sweep ends when the smoothed loss is so many times the lowest so far (a lowest loss near 0 counts
    as a tenth of the first), or not finite; ``None``: only then.  Weights, the optimizer with its state, metrics and
    random generators are put back, whatever happens.

    Raises UsageError for a model that is not compiled and for settings without sense, DataError where the data gives no
    batches or the very first loss is not finite.
    """
    _check(model, start, end, steps, smoothing, stop_at)
    generators = random.get_state()  # before anything draws a seed to shuffle by
    try:
        dataset = feeding.as_batches(
            x, y, sample_weight, batch_size=batch_size, shuffle=True, where="find_learning_rate"
        )
        with model._placed():
            batches = _again_and_again(dataset)
            first = next(batches)
            built = len(model.weights)
            with no_figures():  # a model is built by its first call
                model(model._tensors((feeding.unpack(first)[0],))[0], training=False)
            if len(model.weights) > built:
                generators = random.get_state()  # its weights have been drawn, and stay
            return _sweep(model, first, batches, np.geomspace(start, end, steps), smoothing, stop_at)
    finally:
        random.set_state(generators)


def _check(model: Model, start: float, end: float, steps: int, smoothing: float, stop_at: float | None) -> None:
    where = "find_learning_rate"
    if not model.compiled:
        raise UsageError(where, "the model is not compiled", hint="model.compile(optimizer='adam', loss='mse')")
    if not 0 < start < end < math.inf:
        raise UsageError(where, f"start must be positive and below end, not {start!r} and {end!r}")
    if not isinstance(steps, int) or steps < _FEWEST:
        raise UsageError(where, f"steps must be an int of at least {_FEWEST}, not {steps!r}")
    if not 0 <= smoothing < 1:
        raise UsageError(where, f"smoothing must be at least 0 and below 1, not {smoothing!r}")
    if stop_at is not None and not stop_at > 1:
        raise UsageError(where, f"stop_at must be more than 1, or None, not {stop_at!r}")


def _again_and_again(dataset: Dataset) -> Iterator[Any]:
    """The batches, pass after pass."""
    epoch = 0
    while True:
        count = 0
        with dataset.iterator(epoch) as batches:
            for batch in batches:
                count += 1
                yield batch
        if not count:
            what = "the data gave no batches" + (f" in pass {epoch + 1}" if epoch else "")
            raise DataError("find_learning_rate", what, hint="a generator can be read once: lower steps")
        epoch += 1


def _sweep(
    model: Model, batch: Any, batches: Iterator[Any], rates: npt.NDArray[np.float64], smoothing: float,
    stop_at: float | None,
) -> LearningRates:  # fmt: skip
    """Train with each rate in turn; the model is put back."""
    optimizer, steps = model.optimizer, model._traced
    weights = [(v, Tensor(v.data, v.spec)) for v in model.weights]
    metrics = [(m, m.get_state()) for m in model.metrics]
    losses: list[float] = []
    smoothed: list[float] = []
    model.optimizer, model._traced = optimizer.fresh(), Steps(model)
    mean, diverged = 0.0, False
    try:
        for number, rate in enumerate(rates, 1):
            model.optimizer.learning_rate = float(rate)
            loss = float(model.train_step(batch))
            mean = smoothing * mean + (1 - smoothing) * loss
            corrected = mean / (1 - smoothing**number)
            diverged = not math.isfinite(corrected) or (
                stop_at is not None and number > _FEWEST and _grown(corrected, smoothed, stop_at)
            )
            if not math.isfinite(corrected):
                break
            losses.append(loss)
            smoothed.append(corrected)
            if diverged:
                break
            batch = next(batches) if number < len(rates) else batch
    finally:
        model.optimizer, model._traced = optimizer, steps
        for variable, value in weights:
            variable.assign(value)
        for metric in model.metrics:
            metric.reset_state()
        for metric, state in metrics:
            if state:
                metric.set_state(state)
    if len(losses) < 2:
        raise DataError("find_learning_rate", "the loss is not finite from the beginning",
                        hint="look for NaN in the data, and lower start")  # fmt: skip
    tried = np.asarray(rates[: len(losses)], float)
    settled = min(math.ceil(1 / (1 - smoothing)), len(losses) // 2)
    return LearningRates(tried, np.asarray(losses), np.asarray(smoothed), diverged, settled)


def _grown(value: float, before: list[float], factor: float) -> bool:
    """Whether the loss is ``factor`` times the lowest so far."""
    low = min(before)
    return value - low > (factor - 1) * max(abs(low), 0.1 * abs(before[0]))


__all__ = ["LearningRates", "find_learning_rate"]
