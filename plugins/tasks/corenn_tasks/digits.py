"""``digits``: a classifier of small images, by default the embedded handwritten digits."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from corenn.errors import UsageError
from corenn.optimizers import get as get_optimizer
from corenn.schedules import CosineDecay
from corenn.training.run import Run
from corenn.training.task import Settings, Task


@dataclasses.dataclass
class DigitsSettings(Settings):
    """``model``: a registered model (see ``corenn models``); ``shift``: move training images by up to so many pixels."""

    epochs: int = 25
    batch_size: int = 32
    model: str = "cnn"
    optimizer: str = "adam"
    learning_rate: float = 2e-3
    dropout: float = 0.3
    shift: int = 1

    def check(self) -> None:
        """Values that make sense."""
        super().check()
        if not 0 <= self.dropout < 1:
            raise UsageError("settings", f"dropout must lie in [0, 1), not {self.dropout}")
        if self.learning_rate <= 0 or self.shift < 0:
            raise UsageError("settings", "learning_rate must be positive and shift not negative")


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
        model = run.model(chosen.model, input_shape=data.image_shape, classes=len(data.classes), dropout=chosen.dropout)
        steps = -(-len(data.train.x) // chosen.batch_size)
        optimizer = get_optimizer(chosen.optimizer)
        optimizer.learning_rate = CosineDecay(chosen.learning_rate, decay_steps=steps * chosen.epochs)
        model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        train = training_set(data.train.x, data.train.y, chosen.batch_size, chosen.shift, run.seed)
        history = run.fit(model, train, validation_data=(data.test.x, data.test.y))
        probabilities = model.predict(data.test.x, batch_size=256)
        accuracy = float((probabilities.argmax(-1) == data.test.y).mean())
        loss = model.evaluate(data.test.x, data.test.y, batch_size=256)["loss"]
        plots = run.figures()
        if plots is not None:
            plots.learning_curves(history.history)
            plots.confusion_matrix(data.test.y, probabilities.argmax(-1), data.classes)
            plots.predictions(data.test.x, data.test.y, probabilities, data.classes)
        return {"test_accuracy": accuracy, "test_loss": loss}


def training_set(x: Any, y: Any, batch_size: int, shift: int, seed: int) -> Any:
    """Shuffled batches; each image moved by up to ``shift`` pixels, differently in every epoch."""
    from corenn.data import Dataset

    dataset = Dataset.from_tensor_slices((x, y)).shuffle(seed=seed).batch(batch_size)
    return dataset.map(lambda images, labels: (moved(images, labels, shift), labels)) if shift else dataset


def moved(images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], shift: int) -> np.ndarray[Any, Any]:
    """Images [n, h, w, c], each moved by its own number of pixels, zeros moving in.

    How far follows from the batch itself, so that a resumed run sees the same images.
    """
    from corenn import philox

    seed = philox.derive(len(images), int(np.abs(images).sum() * 256), *labels[:8].tolist())
    dy, dx = philox.integers(seed, 0, 0, 2 * len(images), -shift, shift + 1).reshape(2, -1, 1, 1)
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    height, width = images.shape[1:3]
    rows = np.arange(height)[None, :, None] + shift + dy
    columns = np.arange(width)[None, None, :] + shift + dx
    return padded[np.arange(len(images))[:, None, None], rows, columns]


__all__ = ["Digits", "DigitsSettings"]
