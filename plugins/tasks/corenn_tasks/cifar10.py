"""``cifar10``: colour pictures of ten kinds, classified by one of two convolutional networks.

``network=5x5`` is the one of two 5x5 convolutions with overlapping pooling and batch normalisation, and a dense layer
with dropout.  ``network=augmented`` is the deeper one: four 3x3 convolutions, two of stride 2 instead of pooling, with
an L2 penalty on all weights; it sees the middle three quarters of each picture, or in training, with ``crop=random``,
three quarters of it cut out anywhere.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np

from corenn import image, layers
from corenn.errors import UsageError
from corenn.regularizers import L2
from corenn.training import Model, Sequential
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn_tasks.classifying import compile_classifier, least, predict, share
from corenn_tasks.photographs import (
    CHANNELS,
    EVALUATION_BATCH,
    Array,
    PhotographSettings,
    photographs,
    test_batches,
    training_batches,
)
from corenn_tasks.summaries import layer_graph, show_answers

CLASSES = 10
#: The part of height and width that the augmented network sees.
SEEN = 0.75


@dataclasses.dataclass
class Cifar10Settings(PhotographSettings):
    """How to train.

    ``network``: ``5x5`` or ``augmented``.  ``filters``: of each convolution of the first, and of the first two of the
    second network, whose others have twice as many; ``units``: of the dense layer; ``none``: the network's own (64 and
    750, or 96 and 256).  ``dropout``: of the dense layer of the first network.  ``l2``: penalty on the weights of the
    second.  ``crop``: which part of a training image the second network sees.
    """

    network: Literal["5x5", "augmented"] = "5x5"
    batch_size: int = 64
    flip: bool = True
    filters: int | None = None
    units: int | None = None
    dropout: float = 0.5
    l2: float = 1e-3
    crop: Literal["central", "random"] = "central"

    def check(self) -> None:
        """Values that make sense."""
        super().check()
        share(self, "dropout")
        least(self, 0, "l2")
        for name in ("filters", "units"):
            if getattr(self, name) is not None:
                least(self, 1, name)
        if self.crop == "random" and self.network != "augmented":
            raise UsageError("settings", "crop=random is for the augmented network", hint="--set network=augmented")


class Cifar10(Task):
    """Trains one of two networks, reports its accuracy on the test set, and draws curves, confusions and mistakes."""

    Settings: ClassVar[type[Settings]] = Cifar10Settings
    summary: ClassVar[str] = "classify colour pictures with 5x5 convolutions, or with the augmented network"
    default_dataset: ClassVar[str | None] = "cifar10"

    def run(self, run: Run) -> dict[str, float]:
        """Train, evaluate, draw."""
        chosen: Any = run.settings
        data = photographs(run, CLASSES)
        augmented = chosen.network == "augmented"
        x, y = data.train
        held: Array = middle(data.test.x) if augmented else data.test.x
        seen = held.shape[1]
        random_parts = augmented and chosen.crop == "random"
        train = training_batches(run, x if random_parts or not augmented else middle(x), y,
                                 crop=seen if random_parts else None)  # fmt: skip
        test = test_batches(held, data.test.y)
        model = (augmented_network if augmented else network_5x5)(chosen, seen)
        compile_classifier(model, chosen, len(train) * chosen.epochs)
        if not run.resumed:
            run.writer.graph(layer_graph(model))
        history = run.fit(model, train, validation_data=test)
        probabilities = predict(model, held)
        show_answers(run, held, data.test.y, probabilities, data.classes, history.history)
        return {
            "test_accuracy": float((probabilities.argmax(-1) == data.test.y).mean()),
            "test_loss": model.evaluate(test)["loss"],
            "train_accuracy": history.history["accuracy"][-1],
        }


def middle(images: Array) -> Array:
    """The middle three quarters of images [n, h, w, c]."""
    parts = [image.central_crop(images[i : i + EVALUATION_BATCH], SEEN).numpy()
             for i in range(0, len(images), EVALUATION_BATCH)]  # fmt: skip
    return np.concatenate(parts)


def network_5x5(settings: Any, side: int) -> Model:
    """Twice a 5x5 convolution, pooling of 3x3 by 2 and batch normalisation; a dense layer with dropout; ten logits."""
    filters, units = settings.filters or 64, settings.units or 750
    stack: list[Any] = [layers.Input((side, side, CHANNELS))]
    for number in (1, 2):
        stack += [
            layers.Conv2D(
                filters, 5, padding="same", activation="relu", kernel_initializer="he_uniform", name=f"conv_{number}"
            ),
            layers.MaxPooling2D(3, 2, padding="same"),
            layers.BatchNormalization(momentum=0.9, name=f"norm_{number}"),
        ]
    return Sequential([
        *stack,
        layers.Flatten(),
        layers.Dense(units, activation="relu", kernel_initializer="he_uniform", name="hidden"),
        layers.Dropout(settings.dropout),
        layers.Dense(CLASSES, name="logits"),
    ])  # fmt: skip


def augmented_network(settings: Any, side: int) -> Model:
    """Four 3x3 convolutions, two of stride 2, with L2, dropout and batch normalisation; a dense layer; ten logits."""
    filters, units = settings.filters or 96, settings.units or 256

    def options(name: str) -> dict[str, Any]:
        penalty = L2(settings.l2) if settings.l2 else None
        return {"activation": "relu", "kernel_initializer": "lecun_normal",
                "kernel_regularizer": penalty, "name": name}  # fmt: skip

    return Sequential([
        layers.Input((side, side, CHANNELS)),
        layers.Conv2D(filters, 3, padding="same", **options("conv_1")),
        layers.Conv2D(filters, 3, 2, padding="same", **options("conv_2")),
        layers.Dropout(0.2),
        layers.Conv2D(2 * filters, 3, padding="same", **options("conv_3")),
        layers.Conv2D(2 * filters, 3, 2, padding="same", **options("conv_4")),
        layers.BatchNormalization(momentum=0.9, name="norm"),
        layers.Dropout(0.5),
        layers.Flatten(),
        layers.Dense(units, **options("hidden")),
        layers.Dense(CLASSES, name="logits"),
    ])  # fmt: skip


__all__ = ["Cifar10", "Cifar10Settings", "augmented_network", "middle", "network_5x5"]
