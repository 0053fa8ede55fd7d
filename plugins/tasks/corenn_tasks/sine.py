"""``sine``: a small network learns the sine from labelled samples, in four stages that train ever faster.

1. ``fed``: samples drawn on the host and handed over at every step;
2. ``device``: samples drawn where the network is, inside the traced step;
3. ``batch-norm``: with batch normalisation and large batches;
4. ``schedule``: and with a learning rate that falls in steps.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np

import corenn
from corenn import layers, philox
from corenn.optimizers import Adam
from corenn.random import Generator
from corenn.schedules import PiecewiseConstantDecay
from corenn.tensor import Tensor
from corenn.training import Model, Sequential
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn_tasks import pictures
from corenn_tasks.stepwise import SAVE_EVERY, Array, StepSettings, logged, refuse_data, write_graph

_GRID = 500  # places at which the network is compared with the sine
_DECAY, _EPSILON = 0.9, 1e-6  # of the moving averages, and added to variances


@dataclasses.dataclass(frozen=True)
class Stage:
    """How one stage trains: ``data`` fed or from the device, ``rates`` before, between and after ``boundaries``."""

    data: str
    batch_norm: bool
    rates: tuple[float, ...]
    boundaries: tuple[int, ...]
    steps: int
    batch_size: int


STAGES = {
    "fed": Stage("fed", False, (0.001,), (), 5000, 256),
    "device": Stage("device", False, (0.001,), (), 5000, 256),
    "batch-norm": Stage("device", True, (0.001,), (), 2000, 8192),
    "schedule": Stage("device", True, (0.1, 0.01, 0.001), (200, 500), 1000, 8192),
}


@dataclasses.dataclass
class SineSettings(StepSettings):
    """``stage``: which of the document's stages, or ``all`` one after the other.  What is not ``none`` (``steps``: 0)
    replaces the stage's own: ``data``: fed from the host or made on the device; ``batch_norm``; the learning ``rates``
    before, between and after the steps in ``boundaries``; ``steps``; ``batch_size``.

    ``low`` and ``high``: the interval of the samples.  ``units``: of the hidden layers.
    """

    unused: ClassVar[tuple[str, ...]] = ("epochs", "histograms")
    needs_steps: ClassVar[bool] = False

    stage: Literal["fed", "device", "batch-norm", "schedule", "all"] = "schedule"
    steps: int = 0
    batch_size: int | None = None  # type: ignore[assignment]
    log_every: int = 10
    data: Literal["fed", "device"] | None = None
    batch_norm: bool | None = None
    rates: tuple[float, ...] | None = None
    boundaries: tuple[int, ...] | None = None
    low: float = 0.0
    high: float = 10.0
    units: tuple[int, ...] = (64, 64)

    def check(self) -> None:
        """An interval, layers, and one rate more than there are boundaries."""
        super().check()
        self.require("high", self.low < self.high, f"above low={self.low:g}")
        self.require("units", bool(self.units) and min(self.units) >= 1, "one or more positive numbers")
        for stage in self.stages().values():
            steps = stage.boundaries
            self.require("rates", min(stage.rates, default=0) > 0, "positive")
            self.require("rates", len(stage.rates) == len(steps) + 1, f"{len(steps) + 1} for the boundaries {steps}")
            self.require("boundaries", all(a < b for a, b in zip((0, *steps), steps, strict=False)), "rising steps")

    def stages(self) -> dict[str, Stage]:
        """The stages to train, with what the settings replace."""
        own = {name: getattr(self, name) for name in ("data", "batch_norm", "rates", "boundaries", "batch_size")}
        changed = {name: value for name, value in own.items() if value is not None}
        if self.steps:
            changed["steps"] = self.steps
        if self.rates is not None and len(self.rates) == 1:
            changed.setdefault("boundaries", ())
        chosen = STAGES if self.stage == "all" else {self.stage: STAGES[self.stage]}
        return {name: dataclasses.replace(stage, **changed) for name, stage in chosen.items()}


class Sine(Task):
    """Trains the stages that are asked for, and draws each fit with samples, its error and the losses."""

    Settings: ClassVar[type[Settings]] = SineSettings
    summary: ClassVar[str] = "approximate the sine: fed or on-device data, batch norm, a learning-rate schedule"

    def run(self, run: Run) -> dict[str, float]:
        """Train, compare on a grid, draw."""
        refuse_data(run)
        chosen: Any = run.settings
        stages = chosen.stages()
        fits = {}
        for name, stage in stages.items():
            fits[name] = self.train(run, stage, part=name if len(stages) > 1 else None)
            error = fits[name].error
            run.say(f"{name}: loss {fits[name].loss:.2e}, on the grid at most {np.abs(error).max():.4f} off")
        self.draw(run, fits)
        figures: dict[str, float] = {}
        for name, fit in fits.items():
            prefix = f"{name}_" if len(fits) > 1 else ""
            figures |= {f"{prefix}loss": fit.loss, f"{prefix}grid_mse": float(np.mean(fit.error**2)),
                        f"{prefix}grid_error": float(np.abs(fit.error).max())}  # fmt: skip
        return figures

    def train(self, run: Run, stage: Stage, part: str | None) -> Fit:
        """One stage from fresh weights; what it reached."""
        chosen: Any = run.settings
        seed = philox.derive(run.seed, "samples")
        corenn.random.seed(philox.derive(run.seed, "weights"))  # every stage starts from the same weights
        model = network(chosen.units, stage.batch_norm)
        optimizer = Adam(rates(stage))
        optimizer.build(model.trainable_weights)
        draws = Generator(seed)
        shape = (stage.batch_size, 1)

        def update(x: Tensor) -> Tensor:
            with corenn.GradientTape() as tape:
                loss = corenn.mean(corenn.squared_difference(corenn.sin(x), model(x, training=True)))
            weights = model.trainable_weights
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            return loss

        fed = corenn.function(update)
        drawn = corenn.function(lambda: update(corenn.random.uniform(shape, chosen.low, chosen.high, generator=draws)))
        loop = run.loop(part, model=model, optimizer=optimizer, draws=draws)
        for step in loop.steps(stage.steps, SAVE_EVERY):
            loss = fed(corenn.tensor(samples(seed, step, chosen, stage))) if stage.data == "fed" else drawn()
            if step == 0:
                write_graph(loop, fed if stage.data == "fed" else drawn)
            if chosen.logs(step + 1):
                loop.log(step + 1, loss=loss, learning_rate=rates(stage)(step))
        grid = np.linspace(chosen.low, chosen.high, _GRID, dtype=np.float32)[:, None]
        values = model.predict(grid, batch_size=_GRID)[:, 0].astype(np.float64)
        for variable in model.trainable_weights:
            loop.writer.histogram(variable.name, variable.numpy(), loop.done)
        figures = logged(loop)
        last = samples(seed, loop.done - 1, chosen, stage)[:, 0]
        return Fit(stage, grid[:, 0].astype(np.float64), values, last, figures)

    def draw(self, run: Run, fits: dict[str, Fit]) -> None:
        """Each fit over the sine with samples, its error below, and the losses of all by step."""
        plots = run.figures()
        if plots is None:
            return
        figure, panels = pictures.new_figure(len(fits), 2, width=6.4 if len(fits) == 1 else 4.6, height=3.0)
        for place, (name, fit) in enumerate(fits.items()):
            above, below = panels[place], panels[len(fits) + place]
            some = fit.samples[:64]
            lines = {"network": (fit.x, fit.values), "sin(x)": (fit.x, fit.sine)}
            pictures.draw_fit(above, (some, np.sin(some)), lines, label="64 samples of the last step", ylabel="y",
                              title=name, above=True)  # fmt: skip
            above.set_ylim(-1.25, 2.1)
            above.set_xlabel("")
            below.plot(fit.x, fit.error, color=pictures.COLOURS[1], linewidth=1.2)
            below.axhline(0, color="black", linewidth=0.8)
            below.set(xlabel="x", ylabel="difference", title=f"network - sin(x): at most {np.abs(fit.error).max():.4f}")
        plots.save(figure, "fit")
        figure, (axes,) = pictures.new_figure(width=6.4, height=4.2)
        for (name, fit), colour in zip(fits.items(), pictures.COLOURS, strict=False):
            # The first two stages see the same samples: one line lies on the other.
            wide = {"linewidth": 4.0, "alpha": 0.4} if name == "fed" else {"linewidth": 1.2}
            axes.plot(fit.figures["step"], fit.figures["loss"], color=colour, label=name, **wide)
            changes = [n for n in fit.stage.boundaries if n < fit.figures["step"][-1]]
            for boundary in changes if len(fits) == 1 else ():
                axes.axvline(boundary, color=pictures.GREY, linestyle=":", linewidth=1)
        axes.set_yscale("log")
        axes.set(xlabel="step", ylabel="mean squared error of the batch")
        axes.legend(frameon=False)
        plots.save(figure, "loss")


@dataclasses.dataclass
class Fit:
    """What a stage reached: the network's ``values`` at ``x``, the samples of its last step, its logged figures."""

    stage: Stage
    x: Array
    values: Array
    samples: Array
    figures: dict[str, Array]

    @property
    def sine(self) -> Array:
        """The sine at ``x``."""
        return np.sin(self.x)

    @property
    def error(self) -> Array:
        """How far the network is off at ``x``."""
        return self.values - self.sine

    @property
    def loss(self) -> float:
        """The mean of the last ten losses that were logged."""
        return float(self.figures["loss"][-10:].mean())


def network(units: tuple[int, ...], batch_norm: bool) -> Model:
    """Dense layers with ReLU between them, from one input to one output.

    ``batch_norm``: of the input and of what each layer gives before its activation; the layers then need no biases.
    """

    def normalized(name: str) -> list[Any]:
        found = layers.BatchNormalization(momentum=_DECAY, epsilon=_EPSILON, name=f"normalized_{name}")
        return [found] if batch_norm else []

    stack: list[Any] = [layers.Input((1,)), *normalized("input")]
    for number, count in enumerate(units, 1):
        stack.append(layers.Dense(count, use_bias=not batch_norm, name=f"hidden_{number}"))
        stack += [*normalized(f"hidden_{number}"), layers.Activation("relu")]
    stack.append(layers.Dense(1, use_bias=not batch_norm, name="output"))
    return Sequential([*stack, *normalized("output")])


def rates(stage: Stage) -> PiecewiseConstantDecay:
    """The learning rate of a stage as a function of the step."""
    return PiecewiseConstantDecay(list(stage.boundaries), list(stage.rates))


def samples(seed: int, step: int, chosen: Any, stage: Stage) -> Array:
    """What the generator on the device draws at a step, on the host: float32[batch_size, 1]."""
    drawn = philox.uniform(seed, step, 0, stage.batch_size)
    return (drawn * np.float32(chosen.high - chosen.low) + np.float32(chosen.low))[:, None]


__all__ = ["STAGES", "Sine", "SineSettings", "Stage", "network", "samples"]
