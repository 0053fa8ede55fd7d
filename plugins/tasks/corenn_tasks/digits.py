"""``digits``: a classifier of small images, by default the embedded handwritten digits."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from corenn.data import Dataset
from corenn.errors import UsageError
from corenn.optimizers import get as get_optimizer
from corenn.schedules import CosineDecay
from corenn.training.run import Run, registered_model
from corenn.training.task import Settings, Task
from corenn_tasks.augmentation import distorted_batches
from corenn_tasks.summaries import layer_graph, show_answers

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
        train = distorted_batches(data.train.x, data.train.y, chosen.batch_size, chosen.augment, run.seed)
        test = Dataset.from_tensor_slices((data.test.x, data.test.y)).batch(_EVALUATION_BATCH)
        optimizer = get_optimizer(chosen.optimizer)
        optimizer.learning_rate = CosineDecay(chosen.learning_rate, decay_steps=len(train) * chosen.epochs)
        model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        if not run.resumed:
            run.writer.graph(layer_graph(model))
        history = run.fit(model, train, validation_data=test)
        probabilities = model.predict(data.test.x, batch_size=_EVALUATION_BATCH)
        show_answers(run, data.test.x, data.test.y, probabilities, data.classes, history.history)
        accuracy = float((probabilities.argmax(-1) == data.test.y).mean())
        return {"test_accuracy": accuracy, "test_loss": model.evaluate(test)["loss"]}


def build(run: Run, data: Any) -> Any:
    """The model that the settings ask for, for the images of a data set."""
    chosen: Any = run.settings
    options = dict(chosen.model_options)
    if chosen.dropout is not None:
        options["dropout"] = chosen.dropout
    return run.model(chosen.model, **{"input_shape": data.image_shape, "classes": len(data.classes), **options})


__all__ = ["Digits", "DigitsSettings"]
