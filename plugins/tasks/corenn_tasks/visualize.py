"""``visualize``: a network of one hidden layer, trained by a loop of its own that shows all that TensorBoard can show.

Scalars of every epoch; histograms of what enters and leaves the hidden layer; images of right and wrong predictions;
and the graph of the training step, its operations grouped by name scopes.  ``tensorboard --logdir RUN/events`` shows
them; the pictures in ``plots/`` are drawn from the same figures.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

import corenn
from corenn import GradientTape, layers, philox, summary
from corenn.graph import name_scope
from corenn.losses import SparseCategoricalCrossentropy
from corenn.metrics import Mean, SparseCategoricalAccuracy
from corenn.nn import sigmoid
from corenn.optimizers import SGD
from corenn.tensor import Tensor
from corenn.training import Model
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn_tasks.classifying import Images, ImageSettings, image_data, least, predict
from corenn_tasks.stepwise import logged
from corenn_tasks.summaries import show_answers

#: Shares of the values that lie below the lines of the picture of distributions, as in TensorBoard.
QUANTILES = (0.0, 0.07, 0.16, 0.31, 0.5, 0.69, 0.84, 0.93, 1.0)
_SHAPE = (28, 28, 1)
_WATCHED = 500  # test images whose way through the network is watched
_IMAGES = 12  # of each kind, in an epoch
_SIGNALS = ("hidden/inputs", "hidden/outputs")
#: What the loop logs after each epoch, as the picture of learning curves wants it called.
_HISTORY = {"loss": "loss", "test_loss": "val_loss", "accuracy": "accuracy", "test_accuracy": "val_accuracy"}


@dataclasses.dataclass
class VisualizeSettings(ImageSettings):
    """How to train, by gradient descent; ``units``: of the hidden layer.

    ``histograms`` and ``pictures``: every so many epochs, histograms of the signals and weights, and images of right
    and wrong predictions (0: none).
    """

    full_epochs: int = 10
    batch_size: int = 100
    learning_rate: float = 0.5
    histograms: int = 1
    pictures: int = 5
    units: int = 300

    def check(self) -> None:
        """Values that make sense."""
        super().check()
        least(self, 1, "units")
        least(self, 0, "pictures")


class Network(Model):
    """784 inputs, sigmoid units, classes; its operations stand in scopes, which the graph tab draws as boxes."""

    def __init__(self, units: int, classes: int) -> None:
        super().__init__(name="network")
        self.flatten = layers.Flatten()
        self.hidden = layers.Dense(units, name="hidden")
        self.output = layers.Dense(classes, name="output")

    def signals(self, x: Any) -> tuple[Tensor, Tensor, Tensor]:
        """What enters and leaves the hidden layer, and the logits."""
        with name_scope("input"):
            pixels = self.flatten(x)
        with name_scope("layer_1"):
            entering = self.hidden(pixels)
            leaving = sigmoid(entering)
        with name_scope("layer_2"):
            return entering, leaving, self.output(leaving)

    def call(self, x: Any) -> Tensor:
        """Logits."""
        return self.signals(x)[-1]


class Visualize(Task):
    """Trains a small network and writes everything TensorBoard can show."""

    Settings: ClassVar[type[Settings]] = VisualizeSettings
    summary: ClassVar[str] = "train a small network and show all of it in TensorBoard"
    default_dataset: ClassVar[str | None] = "mnist"

    def run(self, run: Run) -> dict[str, float]:
        """Train by a loop, with summaries in each epoch; then evaluate and draw."""
        chosen: Any = run.settings
        data, x, y, epochs = image_data(run, _SHAPE)
        size, each = chosen.batch_size, -(-len(x) // chosen.batch_size)
        network = Network(chosen.units, len(data.classes))
        network(corenn.tensor(x[:1]))
        optimizer = SGD(chosen.learning_rate)
        optimizer.build(network.trainable_weights)
        step = training_step(network, optimizer)
        average, accuracy = Mean(name="loss"), SparseCategoricalAccuracy(name="accuracy")
        bands: dict[str, list[float]] = {name: [] for name in _SIGNALS}
        loop = run.loop(network=network, optimizer=optimizer, loss=average, accuracy=accuracy, bands=bands)
        for number in loop.steps(epochs * each, save_every=each):
            epoch, place = divmod(number, each)
            rows = order(run.seed, epoch, len(x))[place * size : (place + 1) * size]
            labels = corenn.tensor(y[rows])
            loss, logits = step(corenn.tensor(x[rows]), labels)
            average.update_state(loss)
            accuracy.update_state(labels, logits)
            if number == 0:
                loop.writer.add_graph(next(iter(step.traces.values())).graph)
            if place == each - 1 or number + 1 == loop.total:
                with loop.writer.as_default(step=number + 1):
                    figures = watch(network, data, bands, histograms=due(chosen.histograms, epoch),
                                    images=due(chosen.pictures, epoch))  # fmt: skip
                loop.log(number + 1, loss=average.result(), accuracy=accuracy.result(), **figures)
                average.reset_state()
                accuracy.reset_state()
        probabilities = predict(network, data.test.x)
        figures = logged(loop)
        history = {shown: figures[name] for name, shown in _HISTORY.items()}
        plots = show_answers(run, data.test.x, data.test.y, probabilities, data.classes, history)
        if plots is not None:
            from corenn_tasks import network_pictures

            shown = {name: np.reshape(values, (-1, len(QUANTILES))) for name, values in bands.items()}
            network_pictures.bands(plots, "distributions", shown, QUANTILES)
        return test(network, data)


def training_step(network: Network, optimizer: Any) -> Any:
    """A traced step: takes images and labels, updates the weights, gives the loss and the logits."""
    criterion, variables = SparseCategoricalCrossentropy(from_logits=True), network.trainable_weights

    @corenn.function
    def train(images: Tensor, labels: Tensor) -> tuple[Any, Any]:
        with GradientTape() as tape:
            logits = network(images)
            with name_scope("loss"):
                loss = criterion(labels, logits)
        gradients = tape.gradient(loss, variables)
        with name_scope("optimizer"):
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss, logits

    return train


def order(seed: int, epoch: int, count: int) -> npt.NDArray[Any]:
    """The order of the examples in an epoch."""
    return np.argsort(philox.uniform(philox.derive(seed, "order", epoch), 0, 0, count), kind="stable")


def test(network: Network, data: Images) -> dict[str, float]:
    """Accuracy and loss on the test images."""
    logits, truth = corenn.tensor(network.predict(data.test.x, batch_size=_WATCHED)), data.test.y
    loss = SparseCategoricalCrossentropy(from_logits=True)(corenn.tensor(truth), logits)
    return {"test_accuracy": float((logits.numpy().argmax(-1) == truth).mean()), "test_loss": float(loss)}


def due(every: int, epoch: int) -> bool:
    """Whether something that happens every so many epochs (0: never) happens in this one."""
    return every > 0 and epoch % every == 0


def watch(
    network: Network, data: Images, bands: dict[str, list[float]], *, histograms: bool, images: bool
) -> dict[str, float]:
    """Write the histograms and images of an epoch with the current writer; returns the figures of the test set."""
    entering, leaving, logits = (s.numpy() for s in network.signals(corenn.tensor(data.test.x[:_WATCHED])))
    for name, values in zip(_SIGNALS, (entering, leaving), strict=True):
        bands[name] += [float(q) for q in np.quantile(values, QUANTILES)]
        if histograms:
            summary.histogram(name, values)
    if histograms:
        for name, variable in zip(network.weight_names(), network.weights, strict=True):
            summary.histogram(f"weights/{name}", variable.numpy())
    if images:
        right = logits.argmax(-1) == data.test.y[: len(logits)]
        for name, which in (("right", np.flatnonzero(right)), ("wrong", np.flatnonzero(~right))):
            if len(which):
                pictures = data.test.x[which[:_IMAGES]].repeat(2, axis=1).repeat(2, axis=2)
                summary.image(f"predictions/{name}", pictures, max_outputs=_IMAGES)
    return test(network, data)


__all__ = ["QUANTILES", "Network", "Visualize", "VisualizeSettings", "order", "training_step"]
