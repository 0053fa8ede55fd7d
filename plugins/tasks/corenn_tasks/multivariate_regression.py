"""``multivariate-regression``: a matrix of weights between several inputs and several noisy outputs."""

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
    uniform,
    write_graph,
)


@dataclasses.dataclass
class MultivariateRegressionSettings(StepSettings):
    """``examples`` of ``inputs`` uniform numbers; ``outputs`` are their products with a matrix of uniform weights, with
    normal noise of deviation ``noise``.

    Every epoch is one step of gradient descent on all of them, from weights of 0.  The error is a mean over the outputs
    too, which divides gradients by their number: a rate of 1 is a moderate one.
    """

    unused: ClassVar[tuple[str, ...]] = ("batch_size", "histograms")
    needs_steps: ClassVar[bool] = False

    epochs: int = 1000
    steps: int = 0
    learning_rate: float = 1.0
    examples: int = 100
    inputs: int = 5
    outputs: int = 8
    noise: float = 1.0

    def check(self) -> None:
        """More examples than inputs, so that least squares has one answer, and a rate at which descent converges."""
        super().check()
        # The curvature of the loss is at most 2 |x|**2 / outputs, and no |x|**2 exceeds the number of inputs.
        largest = self.outputs / self.inputs if min(self.inputs, self.outputs) > 0 else 0.0
        self.require("inputs", self.inputs >= 1, "at least 1")
        self.require("outputs", self.outputs >= 1, "at least 1")
        self.require("examples", self.examples > self.inputs, f"more than the {self.inputs} inputs")
        self.require("noise", self.noise >= 0, "at least 0")
        self.require("learning_rate", 0 < self.learning_rate < largest, f"between 0 and {largest:g}")


class MultivariateRegression(Task):
    """Fits the matrix, compares it with least squares, and draws both."""

    Settings: ClassVar[type[Settings]] = MultivariateRegressionSettings
    summary: ClassVar[str] = "fit several outputs to several inputs by gradient descent, against least squares"

    def run(self, run: Run) -> dict[str, float]:
        """Descend, compare, draw."""
        refuse_data(run)
        chosen: Any = run.settings
        x, y, weights = data(chosen, run.seed)
        w = Variable(corenn.zeros((chosen.inputs, chosen.outputs)), name="weights")
        optimizer = SGD(chosen.learning_rate)

        def loss(inputs: Tensor, targets: Tensor) -> Tensor:
            return corenn.mean(corenn.squared_difference(inputs @ w, targets))

        train = traced_step(loss, [w], optimizer)
        batch = corenn.tensor(x), corenn.tensor(y)
        loop = run.loop(w=w, optimizer=optimizer)
        for step in loop.steps(chosen.total, SAVE_EVERY):
            value = train(*batch)
            if step == 0:
                write_graph(loop, train)
            if chosen.logs(step + 1):
                loop.log(step + 1, loss=float(value))
        best, fitted = least_squares(x, y), w.numpy().astype(np.float64)
        final, least = mean_squared(x, fitted, y), mean_squared(x, best, y)
        run.say(f"mean squared error {final:.4f}; least squares {least:.4f}; noise {chosen.noise**2:.4f}")
        run.writer.histogram("weights", fitted, run.steps)
        shown = {"weights of the data": weights, "gradient descent": fitted, "least squares": best}
        self.draw(run, logged(loop), shown, least, (y, x @ fitted))
        return {"loss": final, "least_squares_loss": least, "distance": float(np.abs(fitted - best).max())}

    def draw(
        self, run: Run, figures: dict[str, Array], shown: dict[str, Any], least: float, pairs: tuple[Any, Any]
    ) -> None:
        """The three matrices, the loss by epoch, and targets against predictions."""
        plots = run.figures()
        if plots is None:
            return
        pictures.matrices(plots, "weights", shown, xlabel="output", ylabel="input")
        figure, (time, agreement) = pictures.new_figure(2, width=4.8)
        # Rounding of float32 leaves about 1e-7 of the loss, of either sign.
        excess = np.maximum(figures["loss"] - least, 1e-7 * least)
        pictures.draw_curves(time, figures["step"], {"gradient descent": excess}, xlabel="epoch",
                             ylabel="mean squared error above least squares",
                             title=f"the loss on its way to {pictures.short(least)}")  # fmt: skip
        targets, predicted = pairs
        agreement.scatter(predicted.ravel(), targets.ravel(), s=6, alpha=0.5, linewidths=0, color=pictures.COLOURS[0])
        ends = [min(targets.min(), predicted.min()), max(targets.max(), predicted.max())]
        agreement.plot(ends, ends, color=pictures.GREY, linestyle="--", linewidth=1)
        agreement.set(xlabel="predicted", ylabel="target", title="all examples and outputs", aspect="equal")
        plots.save(figure, "fit")


def data(chosen: Any, seed: int) -> tuple[Any, Any, Any]:
    """x float32[examples, inputs], y float32[examples, outputs], and the weights [inputs, outputs] behind them."""
    weights = uniform(seed, "weights", chosen.inputs, chosen.outputs)
    x = uniform(seed, "inputs", chosen.examples, chosen.inputs).astype(np.float32)
    y = x @ weights + chosen.noise * normal(seed, "noise", chosen.examples, chosen.outputs)
    return x, y.astype(np.float32), weights


__all__ = ["MultivariateRegression", "MultivariateRegressionSettings", "data"]
