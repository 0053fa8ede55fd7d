"""``linear-regression``: a line through noisy points by gradient descent on two variables."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

import corenn
from corenn.optimizers import SGD
from corenn.tensor import Tensor
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn.variable import Variable
from corenn_tasks import pictures
from corenn_tasks.stepwise import (
    SAVE_EVERY,
    Array,
    StepSettings,
    least_squares,
    logged,
    mean_squared,
    normal,
    refuse_data,
    traced_step,
    write_graph,
)


@dataclasses.dataclass
class LinearRegressionSettings(StepSettings):
    """``examples`` points on ``slope * x + intercept`` for x in [-1, 1], with normal noise of deviation ``noise``.

    Every epoch is one step of gradient descent on all of them, with ``learning_rate``; both variables start at 0.
    """

    unused: ClassVar[tuple[str, ...]] = ("batch_size", "histograms")
    needs_steps: ClassVar[bool] = False

    epochs: int = 1000
    steps: int = 0
    log_every: int = 1
    learning_rate: float = 0.01
    examples: int = 500
    slope: float = 2.0
    intercept: float = 2.0
    noise: float = 0.35

    def check(self) -> None:
        """Enough points, and a rate below that from which descent diverges (about 1 for this loss)."""
        super().check()
        self.require("examples", self.examples >= 3, "at least 3")
        self.require("noise", self.noise >= 0, "at least 0")
        self.require("learning_rate", 0 < self.learning_rate < 1, "between 0 and 1")


class LinearRegression(Task):
    """Fits w and b, compares them with least squares, and draws the lines and the way down the loss."""

    Settings: ClassVar[type[Settings]] = LinearRegressionSettings
    summary: ClassVar[str] = "fit a line to noisy points by gradient descent, against least squares"

    def run(self, run: Run) -> dict[str, float]:
        """Descend, compare, draw."""
        refuse_data(run)
        chosen: Any = run.settings
        x, y = data(chosen, run.seed)
        w, b = Variable(0.0, name="weight"), Variable(0.0, name="bias")
        optimizer = SGD(chosen.learning_rate)

        def loss(inputs: Tensor, targets: Tensor) -> Tensor:
            return corenn.mean(corenn.squared_difference(w * inputs + b, targets))

        train = traced_step(loss, [w, b], optimizer)
        batch = corenn.tensor(x), corenn.tensor(y)
        loop = run.loop(w=w, b=b, optimizer=optimizer)
        for step in loop.steps(chosen.total, SAVE_EVERY):
            value = train(*batch)
            if step == 0:
                write_graph(loop, train)
            if chosen.logs(step + 1):
                loop.log(step + 1, loss=float(value), weight=float(w), bias=float(b))
        design = np.stack([x, np.ones_like(x)], axis=1)
        best, fitted = least_squares(design, y), np.array([float(w), float(b)])
        final, least = mean_squared(design, fitted, y), mean_squared(design, best, y)
        run.say(f"predicting y = {fitted[0]:.2f} x + {fitted[1]:.2f}; least squares: y = {best[0]:.2f} x + "
                f"{best[1]:.2f}; the points lie around y = {chosen.slope:.2f} x + {chosen.intercept:.2f}")  # fmt: skip
        self.draw(run, x, y, logged(loop), fitted, best)
        distance = float(np.abs(fitted - best).max())
        return {"slope": fitted[0], "intercept": fitted[1], "loss": final, "least_squares_loss": least,
                "distance": distance}  # fmt: skip

    def draw(self, run: Run, x: Any, y: Any, figures: dict[str, Array], fitted: Any, best: Any) -> None:
        """The line as it was fitted, the way over the loss, and the loss by epoch."""
        plots = run.figures()
        if plots is None:
            return
        way = np.array([[0.0, *figures["weight"], fitted[0]], [0.0, *figures["bias"], fitted[1]]])
        epochs = np.array([0, *figures["step"], run.steps], int)
        ends = np.array([x.min(), x.max()], np.float64)

        def line(slope: float, intercept: float) -> tuple[Array, Array]:
            return ends, slope * ends + intercept

        earlier = sorted({round(len(epochs) * share) for share in (0.02, 0.05, 0.2)} - {0})
        pictures.fit(
            plots, "line", (x, y), {f"after {run.steps} epochs": line(*fitted), "least squares": line(*best)},
            fading={f"after {epochs[n]} epochs": line(*way[:, n]) for n in earlier},
            title="y = " + pictures.polynomial(fitted, ("x", "")),
        )  # fmt: skip
        losses = surface(x, y)
        pictures.contour_path(
            plots, "path", losses, {"gradient descent": (way[0], way[1])}, target=(best[0], best[1]),
            target_label="least squares", xlabel="weight", ylabel="bias", title="mean squared error",
            every=pictures.thinned(epochs),
        )  # fmt: skip
        least = float(losses(*np.reshape(best, (2, 1, 1)))[0, 0])
        values = losses(way[:1], way[1:])[0]
        pictures.curves(plots, "loss", epochs, {"training": values}, levels={"least squares": least},
                        xlabel="epoch", ylabel="mean squared error")  # fmt: skip


def data(chosen: Any, seed: int) -> tuple[Any, Any]:
    """The points: x float32[examples] in [-1, 1], y float32[examples]."""
    x = np.linspace(-1, 1, chosen.examples)
    y = chosen.slope * x + chosen.intercept + chosen.noise * normal(seed, "noise", chosen.examples)
    return x.astype(np.float32), y.astype(np.float32)


def surface(x: Any, y: Any) -> Any:
    """The mean squared error of a line as a function of arrays of slopes and intercepts of one shape."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    moments = [float(np.mean(v)) for v in (x * x, x, x * y, y, y * y)]

    def loss(a: Any, b: Any) -> Any:
        xx, mx, xy, my, yy = moments
        return a * a * xx + 2 * a * b * mx + b * b - 2 * a * xy - 2 * b * my + yy

    return loss


__all__ = ["LinearRegression", "LinearRegressionSettings", "data", "surface"]
