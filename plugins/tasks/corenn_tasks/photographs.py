"""What the tasks on colour photographs share: settings, batches, training of parts, and the picture that compares them.

Without the photographs, the embedded digits take their place (``corenn_datasets.stand_in``), in the shape of the task.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from corenn_datasets.splits import Arrays, DatasetSplits
from corenn_datasets.stand_in import image_set

from corenn import image, philox
from corenn.data import Dataset
from corenn.errors import UsageError
from corenn.losses import BinaryCrossentropy
from corenn.optimizers import get as get_optimizer
from corenn.training import Model
from corenn.training.run import Run
from corenn.training.task import Settings
from corenn_tasks.augmentation import changed_batches, distort
from corenn_tasks.classifying import least, optimizer_of

Array = npt.NDArray[Any]
CHANNELS = 3
EVALUATION_BATCH = 256


@dataclasses.dataclass
class PhotographSettings(Settings):
    """Settings of a task on photographs.

    ``size``: height and width to which they are brought.  ``images``: at most so many training images (0: all), the
    first ones.  ``schedule``: whether the learning rate stays or falls to zero along a cosine.  ``flip``: whether
    training images are mirrored one time in two.  ``augment``: how strongly they are turned, scaled, slanted and
    shifted (0: not at all).
    """

    epochs: int = 7
    batch_size: int = 32
    size: int = 32
    images: int = 0
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    flip: bool = False
    augment: float = 0.0

    def check(self) -> None:
        """Values that make sense, and an optimizer that exists."""
        super().check()
        get_optimizer(self.optimizer)
        least(self, 8, "size")
        least(self, 0, "images", "augment")
        if self.learning_rate <= 0:
            raise UsageError("settings", f"learning_rate must be positive, not {self.learning_rate}")


def photographs(run: Run, classes: int) -> DatasetSplits:
    """The data set of the run, in the size and number of training images that its settings ask for.

    UsageError where so few are left, of two classes, that they are all of one.
    """
    chosen: Any = run.settings
    data = image_set(run, None, (chosen.size, chosen.size, CHANNELS), classes=classes)
    if chosen.images:
        data = dataclasses.replace(data, train=Arrays(*(part[: chosen.images] for part in data.train)))
    if classes == 2 and len(np.unique(data.train.y)) != 2:
        raise UsageError(run.config["task"], "the training images are all of one class",
                         hint="take more of them: --set images=0")  # fmt: skip
    run.say(f"{data.name}: {len(data.train.x)} training and {len(data.test.x)} test images of "
            f"{chosen.size}x{chosen.size} on {run.device.name}")  # fmt: skip
    return data


def training_batches(run: Run, x: Array, y: Array, crop: int | None = None) -> Dataset:
    """Shuffled batches, changed by chance as the settings say; ``crop``: the side of a part cut out anywhere."""
    chosen: Any = run.settings

    def changed(images: Array, drawn: int) -> Array:
        found: Any = distort(images, drawn, chosen.augment) if chosen.augment else images
        if crop is not None:
            found = image.random_crop(found, size=crop, seed=philox.derive(drawn, "crop"))
        if chosen.flip:
            found = image.random_flip_left_right(found, seed=philox.derive(drawn, "flip"))
        return found if isinstance(found, np.ndarray) else found.numpy()

    return changed_batches(x, y, chosen.batch_size, run.seed, "photographs", changed)


def test_batches(x: Array, y: Array) -> Dataset:
    """Batches of the held-out images, as they are."""
    return Dataset.from_tensor_slices((x, y)).batch(EVALUATION_BATCH)


def compile_binary(model: Model, chosen: Any, steps: int) -> None:
    """Binary cross-entropy of a sigmoid unit, the accuracy, and the settings' optimizer for a training of ``steps``."""
    model.compile(optimizer_of(chosen, steps), loss=BinaryCrossentropy(), metrics=["binary_accuracy"])


def column(labels: Array) -> Array:
    """Labels 0 and 1, int [n], as targets of one unit: float32[n, 1]."""
    targets: Array = labels.astype(np.float32)[:, np.newaxis]
    return targets


def two_classes(shares: Array) -> Array:
    """Probabilities of class 1, [n, 1], as those of both: [n, 2]."""
    return np.concatenate([1 - shares, shares], axis=1)


def compared(plots: Any, histories: Mapping[str, Mapping[str, Any]]) -> None:
    """The picture of several trainings, by their names: held-out data in full, training data thin and dotted."""
    from corenn_tasks import network_pictures

    network_pictures.comparison(plots, "comparison", histories, {"accuracy": "val_binary_accuracy", "loss": "val_loss"})


__all__ = ["CHANNELS", "EVALUATION_BATCH", "PhotographSettings", "column", "compared", "compile_binary",
           "photographs", "test_batches", "training_batches", "two_classes"]  # fmt: skip
