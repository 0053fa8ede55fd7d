"""``polynomial``: the four weights of a noisy cubic, from random batches; and the gradient of x cubed."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

import corenn
from corenn import philox
from corenn.optimizers import get as get_optimizer
from corenn.schedules import CosineDecay
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

#: x**3 - 4 x**2 - 2 x + 2
TRUE = np.array([1.0, -4.0, -2.0, 2.0])


@dataclasses.dataclass
class PolynomialSettings(StepSettings):
    """Points at 0, ``spacing``, ... below 5 on x**3 - 4 x**2 - 2 x + 2, with normal noise of deviation ``noise``.

    Every step draws ``batch_size`` of them at random.  The weights start at normal numbers and are trained with
    ``optimizer`` at ``learning_rate``, which with ``decay`` falls to zero along a cosine.  ``at``: where the gradient
    of x cubed is shown.
    """

    unused: ClassVar[tuple[str, ...]] = ("epochs", "histograms")

    batch_size: int = 20
    steps: int = 20000
    log_every: int = 200
    optimizer: str = "adam"
    learning_rate: float = 0.1
    decay: bool = True
    spacing: float = 0.1
    noise: float = 1.5
    at: float = 3.0

    def check(self) -> None:
        """A known optimizer and at least as many points as weights."""
        super().check()
        get_optimizer(self.optimizer)
        self.require("learning_rate", self.learning_rate > 0, "positive")
        self.require("noise", self.noise >= 0, "at least 0")
        self.require("spacing", 0.001 <= self.spacing <= 1, "between 0.001 and 1")


class Polynomial(Task):
    """Fits the cubic, compares it with least squares, and draws the curves and the weights by step."""

    Settings: ClassVar[type[Settings]] = PolynomialSettings
    summary: ClassVar[str] = "fit a noisy cubic from random batches, against least squares"

    def run(self, run: Run) -> dict[str, float]:
        """Differentiate x cubed, fit, compare, draw."""
        refuse_data(run)
        chosen: Any = run.settings
        slope = float(corenn.grad(lambda x: x**3)(corenn.tensor(chosen.at)))
        run.say(f"the gradient of x**3 at {chosen.at:g} is {slope:g}")
        x, y = data(chosen, run.seed)
        w = Variable(normal(run.seed, "weights", 4).astype(np.float32), name="weights")
        optimizer = get_optimizer(chosen.optimizer)
        optimizer.learning_rate = (
            CosineDecay(chosen.learning_rate, decay_steps=chosen.total) if chosen.decay else chosen.learning_rate
        )

        def loss(inputs: Tensor, targets: Tensor) -> Tensor:
            values = w[0] * inputs**3 + w[1] * inputs**2 + w[2] * inputs + w[3]
            return corenn.mean(corenn.square(values - targets))

        train = traced_step(loss, [w], optimizer)
        loop = run.loop(w=w, optimizer=optimizer)
        for step in loop.steps(chosen.total, SAVE_EVERY):
            rows = batch(run.seed, step, chosen.batch_size, len(x))
            value = train(corenn.tensor(x[rows]), corenn.tensor(y[rows]))
            if step == 0:
                write_graph(loop, train)
            if chosen.logs(step + 1):
                weights = dict(zip(NAMES, w.numpy().tolist(), strict=True))
                whole = mean_squared(powers(x), np.array(list(weights.values())), y)
                loop.log(step + 1, loss=float(value), loss_of_all=whole, **weights)
        fitted, best = w.numpy().astype(np.float64), least_squares(powers(x), y)
        final, least = (mean_squared(powers(x), weights, y) for weights in (fitted, best))
        line = pictures.grid(0, 5)
        off = float(np.sqrt(np.mean((powers(line) @ (fitted - best)) ** 2)))
        run.say("fitted " + shown(fitted) + "; least squares " + shown(best) + "; the points lie around " + shown(TRUE))
        self.draw(run, (x, y), fitted, best, logged(loop), least)
        ends = {name: float(value) for name, value in zip(NAMES, fitted, strict=True)}
        return {**ends, "loss": final, "least_squares_loss": least, "curve_distance": off, "cube_slope": slope}

    def draw(
        self, run: Run, points: tuple[Any, Any], fitted: Any, best: Any, figures: dict[str, Array], least: float
    ) -> None:
        """The curves over the points; the loss and the weights by step."""
        plots = run.figures()
        if plots is None:
            return
        line = pictures.grid(0, 5)
        shapes = {"fitted": fitted, "without the noise": TRUE, "least squares": best}
        names = {name: (line, powers(line) @ weights) for name, weights in shapes.items()}
        pictures.fit(plots, "curve", points, names, title=shown(fitted))
        figure, (losses, weights) = pictures.new_figure(2)
        pictures.draw_curves(losses, figures["step"], {"batch": figures["loss"], "all points": figures["loss_of_all"]},
                             levels={"least squares": least}, ylabel="mean squared error")  # fmt: skip
        for name, colour, true, end in zip(NAMES, pictures.COLOURS, TRUE, fitted, strict=False):
            weights.plot(
                figures["step"], figures[name], color=colour, label=f"{LABELS[name]}: {end:.2f} (true {true:g})"
            )
            weights.axhline(true, color=colour, linestyle=":", linewidth=1)
        low, high = weights.get_ylim()
        weights.set(xlabel="step", title="weights", ylim=(low, high + 0.3 * (high - low)))
        weights.legend(frameon=False, fontsize=9, ncols=2, loc="upper right")
        plots.save(figure, "training")


NAMES = ("w3", "w2", "w1", "w0")
LABELS = {"w3": "x³", "w2": "x²", "w1": "x", "w0": "1"}


def data(chosen: Any, seed: int) -> tuple[Array, Array]:
    """The points: x and y float32[n]."""
    x = np.arange(0, 5, chosen.spacing)
    y = powers(x) @ TRUE + chosen.noise * normal(seed, "noise", len(x))
    return x.astype(np.float32), y.astype(np.float32)


def powers(x: Array) -> Array:
    """[n, 4]: x cubed, squared, itself, one."""
    return np.vander(np.asarray(x, np.float64), 4)


def batch(seed: int, step: int, size: int, count: int) -> Array:
    """The rows of one batch, int64[size] in [0, count): they follow from the seed and the step alone."""
    return philox.integers(philox.derive(seed, "batches"), step, 0, size, 0, count)


def shown(weights: Any) -> str:
    """A cubic in writing."""
    return pictures.polynomial(weights, ("x³", "x²", "x", ""))


__all__ = ["Polynomial", "PolynomialSettings", "batch", "data", "powers", "shown"]
