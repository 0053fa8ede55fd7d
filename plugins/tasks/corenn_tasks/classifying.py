"""What the tasks that classify images of digits share: settings, training, figures and pictures."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from corenn_datasets.splits import DatasetSplits as Images
from corenn_datasets.stand_in import image_set

import corenn
from corenn.data import Dataset
from corenn.errors import UsageError
from corenn.losses import SparseCategoricalCrossentropy
from corenn.nn import softmax
from corenn.optimizers import Optimizer
from corenn.optimizers import get as get_optimizer
from corenn.schedules import CosineDecay
from corenn.training import Model
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn_tasks.augmentation import distorted_batches
from corenn_tasks.summaries import layer_graph, show_answers

#: Training images of MNIST, for which the documents' numbers of epochs were chosen.
FULL = 60_000
_EVALUATION_BATCH = 500


@dataclasses.dataclass
class ImageSettings(Settings):
    """Settings of every task that trains on images of digits.

    ``epochs``: passes over the training data; ``none``: ``full_epochs`` on the 60,000 images of MNIST, and on n images
    ``full_epochs * sqrt(60000 / n)``: fewer images are seen more often, but the training gets shorter.
    ``images``: at most so many training images (0: all), the first ones.
    """

    epochs: int | None = None  # type: ignore[assignment]
    full_epochs: int = 10
    batch_size: int = 100
    learning_rate: float = 0.1
    images: int = 0

    def check(self) -> None:
        """Values that make sense."""
        super().check()
        least(self, 1, "full_epochs")
        least(self, 0, "images")
        if self.learning_rate <= 0:
            raise UsageError("settings", f"learning_rate must be positive, not {self.learning_rate}")

    def epochs_for(self, examples: int) -> int:
        """How often the training data of so many examples is passed over."""
        if self.epochs is not None:
            return self.epochs
        return max(1, round(self.full_epochs * math.sqrt(FULL / max(1, examples))))


@dataclasses.dataclass
class ClassifierSettings(ImageSettings):
    """Settings of every classifier.

    ``optimizer``: its name, with its own defaults but for the learning rate.  ``schedule``: whether the learning rate
    stays or falls to zero along a cosine.  ``augment``: how strongly training images are turned, scaled, slanted and
    shifted (0: not at all).
    """

    histograms: int = 5
    optimizer: str = "sgd"
    schedule: Literal["constant", "cosine"] = "cosine"
    augment: float = 0.0

    def check(self) -> None:
        """Values that make sense, and names that exist."""
        super().check()
        get_optimizer(self.optimizer)
        least(self, 0, "augment")


def least(settings: Settings, bound: float, *names: str) -> None:
    """UsageError if a setting is below ``bound``."""
    for name in names:
        if getattr(settings, name) < bound:
            raise UsageError("settings", f"{name} must be at least {bound}, not {getattr(settings, name)}")


def share(settings: Settings, *names: str) -> None:
    """UsageError if a rate of dropout is not in [0, 1)."""
    for name in names:
        if not 0 <= getattr(settings, name) < 1:
            raise UsageError("settings", f"{name} must lie in [0, 1), not {getattr(settings, name)}")


def image_data(run: Run, shape: tuple[int, int, int]) -> tuple[Images, npt.NDArray[Any], npt.NDArray[Any], int]:
    """The data of the run, its training images and labels as far as they are used, and the number of epochs."""
    chosen: Any = run.settings
    data = image_set(run, None, shape)
    most = chosen.images or len(data.train.x)
    x, y = data.train.x[:most], data.train.y[:most]
    epochs = chosen.epochs_for(len(x))
    run.say(f"{data.name}: {len(x)} training and {len(data.test.x)} test images, {epochs} epochs on {run.device.name}")
    return data, x, y, epochs


class Classifier(Task):
    """Trains ``network`` on images of 28x28, reports its accuracy on the test set, and draws what it learnt.

    A subclass names its ``Settings`` and writes ``network`` and, if there is more to see, ``pictures``.
    """

    Settings: ClassVar[type[Settings]] = ClassifierSettings
    default_dataset: ClassVar[str | None] = "mnist"
    shape: ClassVar[tuple[int, int, int]] = (28, 28, 1)

    def network(self, settings: Any, classes: int) -> Model:
        """The model: images [n, 28, 28, 1] in, logits [n, classes] out."""
        raise NotImplementedError(f"{type(self).__name__} does not define network()")

    def pictures(self, run: Run, model: Model, images: Images, plots: Any) -> None:
        """More pictures, of the trained model; ``plots`` is ``None`` without matplotlib."""

    def run(self, run: Run) -> dict[str, float]:
        """Train, evaluate, draw."""
        chosen: Any = run.settings
        data, x, y, epochs = image_data(run, self.shape)
        model = self.network(chosen, len(data.classes))
        before = kernels(model)
        train = distorted_batches(x, y, chosen.batch_size, chosen.augment, run.seed)
        test = Dataset.from_tensor_slices((data.test.x, data.test.y)).batch(_EVALUATION_BATCH)
        compile_classifier(model, chosen, len(train) * epochs)
        if not run.resumed:
            run.writer.graph(layer_graph(model))
        history = run.fit(model, train, epochs=epochs, validation_data=test)
        probabilities = predict(model, data.test.x)
        plots = show_answers(run, data.test.x, data.test.y, probabilities, data.classes, history.history)
        if plots is not None:
            draw_weights(plots, before, kernels(model))
        self.pictures(run, model, data, plots)
        held = model.evaluate(test)
        return {"test_accuracy": float((probabilities.argmax(-1) == data.test.y).mean()), "test_loss": held["loss"],
                "train_accuracy": history.history["accuracy"][-1]}  # fmt: skip


def compile_classifier(model: Model, chosen: Any, steps: int) -> None:
    """Cross-entropy of logits, the accuracy, and the optimizer of the settings for a training of ``steps``."""
    loss = SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer_of(chosen, steps), loss=loss, metrics=["accuracy"])


def optimizer_of(chosen: Any, steps: int) -> Optimizer:
    """The optimizer of the settings: its rate stays, or falls to zero along a cosine in so many steps."""
    optimizer = get_optimizer(chosen.optimizer)
    rate: Any = chosen.learning_rate
    optimizer.learning_rate = rate if chosen.schedule == "constant" else CosineDecay(rate, decay_steps=steps)
    return optimizer


def predict(model: Model, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Probabilities float32[n, classes] of a model that gives logits."""
    logits = corenn.tensor(model.predict(x, batch_size=_EVALUATION_BATCH))
    probabilities: npt.NDArray[Any] = softmax(logits, axis=-1).numpy()
    return probabilities


def kernels(model: Model) -> dict[str, npt.NDArray[Any]]:
    """Copies of the weights that are no biases, by name."""
    named = zip(model.weight_names(), model.weights, strict=True)
    return {name: np.array(v.numpy()) for name, v in named if len(v.shape) > 1}


def draw_weights(plots: Any, before: dict[str, npt.NDArray[Any]], after: dict[str, npt.NDArray[Any]]) -> None:
    """The distribution of each layer's weights at the start and at the end."""
    from corenn_tasks import network_pictures

    panels = {name: {"at the start": before[name], "at the end": after[name]} for name in after}
    network_pictures.distributions(plots, "weight_histograms", panels, xlabel="weight")


__all__ = [
    "FULL", "Classifier", "ClassifierSettings", "ImageSettings", "Images", "compile_classifier", "draw_weights",
    "image_data", "kernels", "least", "optimizer_of", "predict", "share",
]  # fmt: skip
