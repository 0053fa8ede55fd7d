"""``hospital-visits``: how many people come to a hospital at which temperature, from batches of cleaned data."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import numpy as np

import corenn
from corenn.optimizers import SGD
from corenn.tensor import Tensor
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn.variable import Variable
from corenn_tasks import pictures
from corenn_tasks.linear_regression import surface
from corenn_tasks.stepwise import (
    SAVE_EVERY,
    Array,
    StepSettings,
    least_squares,
    logged,
    normal,
    refuse_data,
    traced_step,
    write_graph,
)

_INTERCEPT, _SLOPE = 1000.0, -5.0  # visits at 0 degrees, and more of them for each degree
_MEAN, _DEVIATION = 55.0, 20.0  # of the temperatures


@dataclasses.dataclass
class HospitalVisitsSettings(StepSettings):
    """``examples`` days: temperatures are normal around 55 with deviation 20, visits 1000 - 5 temperature, with normal
    noise of deviation ``noise``.

    The first 80 % are for training, in batches of ``batch_size`` one after the other, the next 10 % for validation, the
    rest for testing.  ``learning_rate`` is that of gradient descent.
    """

    unused: ClassVar[tuple[str, ...]] = ("epochs", "histograms")

    batch_size: int = 100
    steps: int = 5000
    log_every: int = 50
    learning_rate: float = 0.0005
    examples: int = 1000
    noise: float = 100.0

    def check(self) -> None:
        """Enough examples for three parts and a batch."""
        super().check()
        training = self.examples * 8 // 10
        self.require("examples", self.examples >= 30, "at least 30")
        self.require("batch_size", self.batch_size <= training, f"at most {training}, the training days")
        self.require("noise", self.noise >= 0, "at least 0")
        self.require("learning_rate", 0 < self.learning_rate < 0.5, "between 0 and 0.5")


class HospitalVisits(Task):
    """Fits a line to standardised temperatures, and tells it in degrees again."""

    Settings: ClassVar[type[Settings]] = HospitalVisitsSettings
    summary: ClassVar[str] = "predict hospital visits from temperatures: cleaning, batches, validation, a linear model"

    def run(self, run: Run) -> dict[str, float]:
        """Train on batches, validate, test, draw."""
        refuse_data(run)
        chosen: Any = run.settings
        days = data(chosen, run.seed)
        m, b = Variable(0.0, name="slope"), Variable(0.0, name="intercept")
        optimizer = SGD(chosen.learning_rate)

        def loss(inputs: Tensor, targets: Tensor) -> Tensor:
            return corenn.mean(corenn.squared_difference(inputs * m + b, targets))

        train = traced_step(loss, [m, b], optimizer)
        parts = {part: tuple(map(corenn.tensor, days.part(part))) for part in PARTS}
        size, count = chosen.batch_size, days.ends[0] // chosen.batch_size
        batches = [tuple(t[n * size : (n + 1) * size] for t in parts["training"]) for n in range(count)]
        loop = run.loop(m=m, b=b, optimizer=optimizer)
        for step in loop.steps(chosen.total, SAVE_EVERY):
            value = train(*batches[step % count])
            if step == 0:
                write_graph(loop, train)
            if chosen.logs(step + 1):
                figures = {"loss": float(value), "validation_loss": float(loss(*parts["validation"]))}
                loop.log(step + 1, **figures, slope=float(m), intercept=float(b))
        fitted = float(m), float(b)
        best = least_squares(np.stack([days.x[: days.ends[0]], np.ones(days.ends[0])], axis=1), days.y[: days.ends[0]])
        (slope, intercept), (best_slope, best_intercept) = (days.in_degrees(*pair) for pair in (fitted, best))
        losses = {part: float(loss(*parts[part])) for part in PARTS}
        run.say(f"visits = {intercept:.0f} {slope:+.2f} per degree; test loss {losses['test']:.0f}; the noise alone "
                f"makes {chosen.noise**2:.0f}")  # fmt: skip
        self.draw(run, days, logged(loop), best, (slope, intercept), chosen.noise**2)
        return {
            "slope": slope, "intercept": intercept, **{f"{part}_loss": value for part, value in losses.items()},
            "least_squares_slope": best_slope, "least_squares_intercept": best_intercept,
        }  # fmt: skip

    def draw(
        self, run: Run, days: Days, figures: dict[str, Array], best: Any, line: tuple[float, float], noise: float
    ) -> None:
        """The days with the line, the losses by step, and the way over the loss of the training days."""
        plots = run.figures()
        if plots is None:
            return
        ends = np.array([days.temperatures.min(), days.temperatures.max()])
        shown = slice(days.ends[1], None)
        fitted, true = (a * ends + b for a, b in (line, (_SLOPE, _INTERCEPT)))
        lines = {"gradient descent": (ends, fitted), "1000 - 5 x": (ends, true)}
        pictures.fit(plots, "visits", (days.temperatures[shown], days.y[shown]), lines, label="days for testing",
                     xlabel="temperature in degrees", ylabel="visits",
                     title="visits = " + pictures.polynomial(line, ("x", "")))  # fmt: skip
        losses = {"training batch": figures["loss"], "validation": figures["validation_loss"]}
        pictures.curves(plots, "loss", figures["step"], losses, levels={"noise": noise}, ylabel="mean squared error")
        pictures.contour_path(
            plots, "path", surface(days.x[: days.ends[0]], days.y[: days.ends[0]]),
            {"gradient descent": ([0.0, *figures["slope"]], [0.0, *figures["intercept"]])}, target=(best[0], best[1]),
            target_label="least squares", xlabel="visits per standard deviation of the temperature",
            ylabel="visits at the mean temperature",
            title="mean squared error on the training days", every=pictures.thinned(figures["step"]),
        )  # fmt: skip


PARTS = ("training", "validation", "test")


class Days(NamedTuple):
    """Temperatures float64[n], the same standardised (x, float32[n]), visits (y, float32[n]), and where the parts for
    training and validation end.
    """

    temperatures: Array
    x: Array
    y: Array
    ends: tuple[int, int]

    def part(self, name: str) -> tuple[Array, Array]:
        """x and y of one part."""
        bounds = (0, *self.ends, len(self.x))
        place = PARTS.index(name)
        chosen = slice(bounds[place], bounds[place + 1])
        return self.x[chosen], self.y[chosen]

    def in_degrees(self, slope: float, intercept: float) -> tuple[float, float]:
        """A line over standardised temperatures as slope and intercept over degrees."""
        per_degree = float(slope) / float(self.temperatures.std())
        return per_degree, float(intercept) - per_degree * float(self.temperatures.mean())


def data(chosen: Any, seed: int) -> Days:
    """The days, in the order they are divided."""
    temperatures = _MEAN + _DEVIATION * normal(seed, "temperatures", chosen.examples)
    visits = _INTERCEPT + _SLOPE * temperatures + chosen.noise * normal(seed, "noise", chosen.examples)
    x = (temperatures - temperatures.mean()) / temperatures.std()
    ends = chosen.examples * 8 // 10, chosen.examples * 9 // 10
    return Days(temperatures, x.astype(np.float32), visits.astype(np.float32), ends)


__all__ = ["Days", "HospitalVisits", "HospitalVisitsSettings", "data"]
