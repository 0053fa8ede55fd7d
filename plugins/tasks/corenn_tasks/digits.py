"""``digits``: a classifier of small images, by default the embedded handwritten digits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from corenn import philox
from corenn.data import Dataset
from corenn.errors import UsageError
from corenn.optimizers import get as get_optimizer
from corenn.schedules import CosineDecay
from corenn.summary import EventWriter, GraphNode
from corenn.training import Sequential
from corenn.training.run import Run, registered_model
from corenn.training.task import Settings, Task
from corenn_tasks.augmentation import distort

_EVALUATION_BATCH = 256


@dataclasses.dataclass
class DigitsSettings(Settings):
    """How to train.

    ``model``: a registered model (``corenn models``); ``model_options``: its arguments, as ``model_options.dense=64``.
    ``learning_rate``: the first; it falls to zero along a cosine.  ``dropout``: ``none`` for the model's own.
    ``augment``: how strongly training images are turned, scaled, slanted and shifted (0: not at all).
    """

    epochs: int = 60
    batch_size: int = 32
    model: str = "cnn"
    model_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    optimizer: str = "adam"
    learning_rate: float = 2e-3
    dropout: float | None = None
    augment: float = 1.0

    def check(self) -> None:
        """Values that make sense, and names that exist."""
        super().check()
        registered_model(self.model)
        get_optimizer(self.optimizer)
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UsageError("settings", f"dropout must lie in [0, 1), not {self.dropout}")
        if self.learning_rate <= 0 or self.augment < 0:
            raise UsageError("settings", "learning_rate must be positive and augment not negative")


class Digits(Task):
    """Trains on ``train``, watches and reports accuracy on ``test``, and draws curves, confusions and mistakes."""

    Settings: ClassVar[type[Settings]] = DigitsSettings
    summary: ClassVar[str] = "classify images of handwritten digits with a small convolutional network"
    default_dataset: ClassVar[str | None] = "digits"

    def run(self, run: Run) -> dict[str, float]:
        """Train, evaluate, plot."""
        chosen: Any = run.settings
        data = run.dataset()
        if data.image_shape is None or not data.classes:
            raise UsageError("digits", f"the data set {data.name!r} is not one of labelled images",
                             hint="--dataset digits, mnist or fashion_mnist")  # fmt: skip
        run.say(f"{data.name}: {len(data.train.x)} training and {len(data.test.x)} test images on {run.device.name}")
        model = build(run, data)
        train = training_set(data.train.x, data.train.y, chosen.batch_size, chosen.augment, run.seed)
        test = Dataset.from_tensor_slices((data.test.x, data.test.y)).batch(_EVALUATION_BATCH)
        optimizer = get_optimizer(chosen.optimizer)
        optimizer.learning_rate = CosineDecay(chosen.learning_rate, decay_steps=len(train) * chosen.epochs)
        model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        if not run.resumed:
            run.writer.graph(layer_graph(model))
        history = run.fit(model, train, validation_data=test)
        probabilities = model.predict(data.test.x, batch_size=_EVALUATION_BATCH)
        predicted = probabilities.argmax(-1)
        write_mistakes(run.writer, run.steps, data.test.x, data.test.y, probabilities, data.classes)
        plots = run.figures()
        if plots is not None:
            plots.learning_curves(history.history, held="test")
            plots.confusion_matrix(data.test.y, predicted, data.classes)
            plots.predictions(data.test.x, data.test.y, probabilities, data.classes)
        accuracy = float((predicted == data.test.y).mean())
        return {"test_accuracy": accuracy, "test_loss": model.evaluate(test)["loss"]}


def build(run: Run, data: Any) -> Any:
    """The model that the settings ask for, for the images of a data set."""
    chosen: Any = run.settings
    options = dict(chosen.model_options)
    if chosen.dropout is not None:
        options["dropout"] = chosen.dropout
    return run.model(chosen.model, **{"input_shape": data.image_shape, "classes": len(data.classes), **options})


def training_set(x: Any, y: Any, batch_size: int, augment: float, seed: int) -> Dataset:
    """Shuffled batches; each image distorted differently in every epoch.

    What happens to a batch follows from the numbers of its examples alone, so a resumed run sees the same images.
    """

    def distorted(images: npt.NDArray[Any], labels: npt.NDArray[Any], numbers: npt.NDArray[Any]) -> Any:
        drawn = philox.derive(seed, "distort", *numbers.tolist())
        return (distort(images, drawn, augment) if augment else images), labels

    rows = Dataset.from_tensor_slices((x, y, np.arange(len(x))))
    return rows.shuffle(seed=seed).batch(batch_size).map(distorted)


def layer_graph(model: Any) -> list[GraphNode]:
    """The layers of a Sequential in a row, for TensorBoard's graph tab; nothing for other models."""
    if not isinstance(model, Sequential):
        return []
    nodes = [GraphNode("input", "Input")]
    for layer in model.layers:
        shapes = {} if layer.output_specs is None else {"_output_shapes": [(None, *layer.output_specs.shape[1:])]}
        nodes.append(GraphNode(layer.name, type(layer).__name__, [nodes[-1].name], shapes))
    return nodes


def write_mistakes(
    writer: EventWriter, step: int, images: Any, truth: Any, probabilities: Any, classes: Sequence[str], most: int = 24
) -> None:
    """The images taken for something else, surest first, and a table of what for, as summaries."""
    predicted = probabilities.argmax(-1)
    wrong = np.flatnonzero(predicted != truth)
    wrong = wrong[np.argsort(-probabilities.max(-1)[wrong], kind="stable")][:most]
    lines = ["| image | is | taken for | probability |", "|---|---|---|---|"]
    lines += [f"| {n} | {classes[truth[i]]} | {classes[predicted[i]]} | {probabilities[i].max():.0%} |"
              for n, i in enumerate(wrong)]  # fmt: skip
    writer.text("mistakes", "\n".join(lines) if len(wrong) else "none", step)
    if len(wrong):
        factor = max(1, 64 // images.shape[1])  # small images are hard to see in TensorBoard
        enlarged = images[wrong].repeat(factor, axis=1).repeat(factor, axis=2)
        # Not the tag of the text: TensorBoard shows a tag in one of its tabs only.
        writer.image("mistakes/images", enlarged, step, max_outputs=most)


__all__ = ["Digits", "DigitsSettings"]
