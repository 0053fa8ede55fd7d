"""``weight-init``: what the first weights do to the signals in a network, and to its training.

Seven scenarios on one network (784 inputs, two hidden layers of 100, the classes): a single pass of one batch with
sigmoid units, and whole trainings with sigmoid and ReLU units; with normal weights of standard deviation 1, with
those of Glorot and Bengio (2010; "Xavier"), whose variance is ``2 / (fan_in + fan_out)``, and with those of He et al.
(2015, arXiv:1502.01852), ``2 / fan_in``.  A sum of n products of independent weights with inputs x has the variance
``n * var(w) * mean(x**2)``.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

import corenn
from corenn import layers, philox, random
from corenn.data import Dataset
from corenn.initializers import RandomNormal, VarianceScaling
from corenn.losses import SparseCategoricalCrossentropy
from corenn.optimizers import get as get_optimizer
from corenn.summary import EventWriter
from corenn.training import Callback, Sequential
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn_tasks.classifying import ImageSettings, image_data, least

_SHAPE = (28, 28, 1)
_TIMES = 30  # epochs of a training that are written down, at most
_SATURATED = 0.05  # sigmoid units nearer than this to 0 or 1 have less than a fifth of their largest slope


class Scenario(NamedTuple):
    """One of the seven: ``trains`` or a single pass, which weights, which units."""

    name: str
    weights: str
    activation: str
    trains: bool


SCENARIOS = (
    Scenario("first_pass_normal", "normal", "sigmoid", False),
    Scenario("first_pass_variance", "xavier", "sigmoid", False),
    Scenario("full_train_normal", "normal", "sigmoid", True),
    Scenario("full_train_variance", "xavier", "sigmoid", True),
    Scenario("full_train_normal_relu", "normal", "relu", True),
    Scenario("full_train_variance_relu", "xavier", "relu", True),
    Scenario("full_train_he_relu", "he", "relu", True),
)
WEIGHTS: dict[str, Any] = {
    "normal": RandomNormal(stddev=1.0),
    "xavier": VarianceScaling(1.0, "fan_avg", "truncated_normal"),
    "he": VarianceScaling(2.0, "fan_in", "truncated_normal"),
}


@dataclasses.dataclass
class WeightInitSettings(ImageSettings):
    """How to train each scenario; ``units``: of a hidden layer, ``depth``: how many there are.

    ``first_pass``: images in the single pass.
    """

    full_epochs: int = 30
    batch_size: int = 1000
    learning_rate: float = 0.001
    optimizer: str = "adam"
    units: int = 100
    depth: int = 2
    first_pass: int = 1000

    def check(self) -> None:
        """Values that make sense, and an optimizer that exists."""
        super().check()
        get_optimizer(self.optimizer)
        least(self, 1, "units", "depth", "first_pass")


@dataclasses.dataclass
class Signal:
    """What passes through one layer: the sums that enter its units, and what leaves them."""

    name: str
    entering: npt.NDArray[Any]
    leaving: npt.NDArray[Any]

    @property
    def saturated(self) -> float:
        """The share of outputs near 0 or 1."""
        return float(((self.leaving < _SATURATED) | (self.leaving > 1 - _SATURATED)).mean())


class WeightInit(Task):
    """Runs the seven scenarios and compares them."""

    Settings: ClassVar[type[Settings]] = WeightInitSettings
    summary: ClassVar[str] = "compare initial weights: variance and histograms by layer, and how training goes"
    default_dataset: ClassVar[str | None] = "mnist"

    def run(self, run: Run) -> dict[str, float]:
        """The scenarios one after the other, each a part of the run."""
        chosen: Any = run.settings
        data, x, y, epochs = image_data(run, _SHAPE)
        probe = x[: chosen.first_pass]
        test = Dataset.from_tensor_slices((data.test.x, data.test.y)).batch(500)
        found = {"input_variance": float(probe.var()), "expected_variance": float(784 * (probe**2).mean())}
        first: dict[str, list[Signal]] = {}
        last: dict[str, list[Signal]] = {}
        histories: dict[str, dict[str, list[float]]] = {}
        for scenario in SCENARIOS:
            # A seed of its own: a resumed run, which does not train the scenarios it has behind it, draws the same.
            # Scenarios with the same weights begin alike, so that they differ in what is compared.
            random.seed(philox.derive(run.seed, "weights", scenario.weights))
            model = network(chosen, scenario, len(data.classes))
            first[scenario.name] = signals(model, probe)
            with EventWriter(run.out / "events" / scenario.name) as writer:
                write(writer, probe, first[scenario.name], 0)
                if scenario.trains:
                    history = train(run, scenario.name, model, x, y, test, epochs, Watch(writer, probe, epochs))
                    histories[scenario.name] = dict(history.history)
                    last[scenario.name] = signals(model, probe)
                    found[f"{scenario.name}_accuracy"] = model.evaluate(test)["accuracy"]
            found[f"{scenario.name}_variance"] = float(first[scenario.name][0].entering.var())
            if scenario.activation == "sigmoid" and not scenario.trains:
                found[f"{scenario.name}_saturated"] = first[scenario.name][0].saturated
        plots = run.figures()
        if plots is not None:
            draw(plots, first, last, histories, found["expected_variance"])
        return found


def network(settings: Any, scenario: Scenario, classes: int) -> Sequential:
    """The hidden layers begin as the scenario says, the last one with Glorot's uniform weights."""
    stack: list[Any] = [layers.Input(_SHAPE), layers.Flatten()]
    for number in range(1, settings.depth + 1):
        begin = WEIGHTS[scenario.weights]
        stack.append(layers.Dense(settings.units, scenario.activation, kernel_initializer=begin, name=f"layer{number}"))
    stack.append(layers.Dense(classes, name=f"layer{settings.depth + 1}"))
    return Sequential(stack)


def train(run: Run, name: str, model: Any, x: Any, y: Any, test: Dataset, epochs: int, watch: Callback) -> Any:
    """One scenario's training, as a part of the run."""
    chosen: Any = run.settings
    optimizer = get_optimizer(chosen.optimizer)
    optimizer.learning_rate = chosen.learning_rate
    model.compile(optimizer, loss=SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    batches = Dataset.from_tensor_slices((x, y)).shuffle(seed=run.seed).batch(chosen.batch_size)
    return run.fit(model, batches, part=name, epochs=epochs, validation_data=test, callbacks=[watch])


def signals(model: Any, x: npt.NDArray[Any]) -> list[Signal]:
    """What passes through the dense layers for images [n, 28, 28, 1]; biases are left out of the sums."""
    found = []
    values: Any = corenn.tensor(x)
    for layer in model.layers:
        entering = corenn.matmul(values, layer.kernel) if isinstance(layer, layers.Dense) else None
        values = layer(values, training=False)
        if entering is not None:
            found.append(Signal(layer.name, entering.numpy(), values.numpy()))
    return found


def write(writer: EventWriter, probe: npt.NDArray[Any], found: list[Signal], step: int) -> None:
    """Variances and histograms for TensorBoard."""
    writer.scalar("input_var", probe.var(), step)
    for number, signal in enumerate(found, 1):
        writer.scalar(f"mat_mul_var_{number}", signal.entering.var(), step)
        writer.histogram(f"mat_mul_hist_{number}", signal.entering, step)
        writer.histogram(f"fc_out_{number}", signal.leaving, step)


class Watch(Callback):
    """Writes the signals of the probe images at some of the epochs."""

    def __init__(self, writer: EventWriter, probe: npt.NDArray[Any], epochs: int) -> None:
        self.writer, self.probe = writer, probe
        self.every = max(1, epochs // _TIMES)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write, if it is time."""
        if (epoch + 1) % self.every == 0:
            write(self.writer, self.probe, signals(self.model, self.probe), epoch + 1)


# ---------------------------------------------------------------- pictures


def draw(
    plots: Any, first: dict[str, list[Signal]], last: dict[str, list[Signal]],
    histories: dict[str, dict[str, list[float]]], expected: float,
) -> None:  # fmt: skip
    """Slopes of the units, signals by layer, variances by layer, and the trainings side by side."""
    from corenn_tasks import network_pictures, pictures

    draw_units(plots)
    trained = [s for s in SCENARIOS if s.trains]
    depth = len(first[trained[0].name])
    # The first passes and the trainings of sigmoid units begin with the same weights: one row for both.
    columns = [f"{what}, layer {n}" for n in range(1, depth) for what in ("sums", "outputs")]
    figure, axes = pictures.new_figure(len(columns), len(trained), width=2.9, height=1.9)
    for row, scenario in enumerate(trained):
        for number, column in enumerate(columns):
            signal = first[scenario.name][number // 2]
            place = axes[row * len(columns) + number]
            network_pictures.draw_distributions(place, {"": signal.leaving if number % 2 else signal.entering})
            if not row:
                place.set_title(column, fontsize=10)
            if not number:
                place.set_ylabel(label(scenario), fontsize=10)
    figure.suptitle("signals of the first pass, before any training")
    plots.save(figure, "first_pass")

    figure, (before, after) = pictures.new_figure(2, width=5.6, height=3.8)
    for place, which, title in ((before, first, "before training"), (after, last, "after training")):
        for scenario, colour in zip(trained, pictures.COLOURS, strict=False):
            variances = [float(s.entering.var()) for s in which[scenario.name]]
            place.plot(range(1, depth + 1), variances, "o-", color=colour, label=label(scenario))
        place.set(xlabel="layer", title=f"variance of the sums, {title}", yscale="log", xticks=range(1, depth + 1))
    before.plot(1, expected, "*", color="black", markersize=11, linestyle="none", label="expected for normal")
    figure.legend(*before.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=9)
    plots.save(figure, "variance")

    network_pictures.comparison(
        plots, "learning", {label(s): histories[s.name] for s in trained},
        {"training loss": "loss", "test accuracy": "val_accuracy"}, beside=False,
    )  # fmt: skip


def label(scenario: Scenario) -> str:
    """What a scenario is called in pictures."""
    weights = {"normal": "normal", "xavier": "Xavier", "he": "He"}[scenario.weights]
    return f"{weights}, {'ReLU' if scenario.activation == 'relu' else scenario.activation}"


def draw_units(plots: Any) -> None:
    """Sigmoid and tanh with their slopes, and where they are saturated."""
    from corenn_tasks import pictures

    figure, panels = pictures.new_figure(2, width=4.6, height=3.2)
    x = np.linspace(-6, 6, 241)
    squash = 1 / (1 + np.exp(-x))
    for axes, name, value, slope in ((panels[0], "sigmoid", squash, squash * (1 - squash)),
                                     (panels[1], "tanh", np.tanh(x), 1 - np.tanh(x) ** 2)):  # fmt: skip
        axes.plot(x, value, color=pictures.COLOURS[0], label=name)
        axes.plot(x, slope, color=pictures.COLOURS[1], label="its slope")
        flat = np.abs(x[slope < 0.2 * slope.max()]).min()
        for low, high in ((-6, -flat), (flat, 6)):
            axes.axvspan(low, high, color=pictures.GREY, alpha=0.15, linewidth=0,
                         label="saturated" if low < 0 else None)  # fmt: skip
        axes.set(title=name, xlabel="sum that enters", xlim=(-6, 6))
        axes.legend(frameon=False, fontsize=8)
    plots.save(figure, "units")


__all__ = ["SCENARIOS", "Scenario", "Signal", "WeightInit", "WeightInitSettings", "network", "signals"]
