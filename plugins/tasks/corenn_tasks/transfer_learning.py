"""``transfer-learning``: a ResNet50 that is not trained, global average pooling, and one sigmoid unit that is.

Of some 23.6 million parameters 2,049 are trained: 2,048 weights of the pooled feature maps and a bias.  Since the base
does not change, what it makes of each image is computed once and kept in the run's directory; ``base_in_loop=true``
runs it in every step instead, which training images changed by chance need.

The base is worth what its weights are: ``weights=FILE`` takes those that Keras, torchvision or timm have published.
Without a file they are random.  The network is then a fixed random map of the image, from which simple classes can
still be told, but nothing is transferred.  The features of such a network are neither centred nor of one scale, so they
are standardised by their mean and variance over the training batches, which adds no trained parameter.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from corenn_datasets.splits import DatasetSplits
from corenn_models.preprocessing import preprocess

import corenn
from corenn import layers
from corenn.checkpoint import load_file, save_file
from corenn.data import Dataset
from corenn.errors import UsageError
from corenn.training import Model, Sequential
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn_tasks.cats_vs_dogs import check_front, network
from corenn_tasks.photographs import (
    CHANNELS,
    EVALUATION_BATCH,
    Array,
    PhotographSettings,
    column,
    compared,
    compile_binary,
    photographs,
    test_batches,
    training_batches,
    two_classes,
)
from corenn_tasks.summaries import layer_graph, show_answers

#: Parts of the run, and what they are called in pictures.
BASE, SMALL = "resnet50", "small"
NAMES = {BASE: "frozen ResNet50", SMALL: "small network from scratch"}
#: Feature maps of the base, each of which is pooled to one number.
WIDTH = 2048
_FEATURES = "features.safetensors"
_AT_ONCE = 64  # images


@dataclasses.dataclass
class TransferSettings(PhotographSettings):
    """How to train.

    ``weights``: a file with weights of ResNet50, ``none`` for random ones; ``version``: ``v1`` for a file of Keras,
    ``v1.5`` for one of torchvision or timm.  ``preprocess``: what the images become before they enter the base:
    ``none`` leaves them in [0, 1], ``caffe`` is what Keras's weights were trained with, ``torch`` torchvision's.
    ``standardize``: whether features are brought to mean 0 and variance 1; ``none``: only without weights.
    ``base_in_loop``: run the base in every step instead of computing features once.  ``small``: train a small network
    from scratch as well, of convolutions with so many ``filters``, to compare with.
    """

    size: int = 48
    weights: str | None = None
    version: Literal["v1", "v1.5"] = "v1"
    preprocess: Literal["none", "caffe", "torch"] = "none"
    standardize: bool | None = None
    base_in_loop: bool = False
    small: bool = True
    filters: tuple[int, ...] = (32, 32, 64)

    def check(self) -> None:
        """Values that make sense, and a file that exists."""
        super().check()
        if self.small:
            check_front(self.filters, self.size)
        if self.weights is not None:
            path = Path(self.weights).expanduser().absolute()  # a resumed run may start elsewhere
            if not path.is_file():
                raise UsageError("settings", f"there is no file of weights {path}", hint="--set weights=FILE")
            self.weights = str(path)
        if (self.flip or self.augment) and not self.base_in_loop:
            raise UsageError("settings", "features that are computed once cannot see images changed by chance",
                             hint="--set base_in_loop=true")  # fmt: skip


class TransferLearning(Task):
    """Trains one unit on top of a frozen ResNet50, and a small network beside it, and compares the two."""

    Settings: ClassVar[type[Settings]] = TransferSettings
    summary: ClassVar[str] = "tell cats from dogs by the features of a frozen ResNet50: 2,049 trained parameters"
    default_dataset: ClassVar[str | None] = "cats_vs_dogs"

    def run(self, run: Run) -> dict[str, float]:
        """Train both, evaluate, draw."""
        chosen: Any = run.settings
        data = photographs(run, 2)
        if chosen.weights is None:
            run.warn("transfer-learning: the base has random weights, so nothing is transferred "
                     "(--set weights=FILE takes pretrained ones)")  # fmt: skip
        histories: dict[str, Any] = {}
        probabilities, figures = self.on_top_of_base(run, data, histories)
        if chosen.small:
            figures |= self.from_scratch(run, data, histories)
        self.draw(run, data, histories, probabilities)
        return {**figures, "pretrained": float(chosen.weights is not None)}

    def on_top_of_base(
        self, run: Run, data: DatasetSplits, histories: dict[str, Any]
    ) -> tuple[Array, dict[str, float]]:
        """Train the unit; the probabilities of the test images, and figures."""
        chosen: Any = run.settings
        base = frozen_base(run)
        if chosen.base_in_loop:
            top = Sequential([layers.Input(data.train.x.shape[1:]), base, *unit(chosen)], name=BASE)
            x, held = prepared(data.train.x, chosen), prepared(data.test.x, chosen)
            train = training_batches(run, x, column(data.train.y))
        else:
            x, held = features(run, base, data)
            top = Sequential([layers.Input(x.shape[1:]), *unit(chosen)], name=BASE)
            rows = Dataset.from_tensor_slices((x, column(data.train.y)))
            train = rows.shuffle(seed=run.seed).batch(chosen.batch_size)
        trained = _parameters(top.trainable_weights)
        every = _parameters(top.weights) + (0 if chosen.base_in_loop else _parameters(base.weights))
        run.say(f"{NAMES[BASE]}: {every:,} parameters, of which {trained:,} are trained")
        if not run.resumed:
            run.writer.graph(layer_graph(top))
        compile_binary(top, chosen, len(train) * chosen.epochs)
        test = test_batches(held, column(data.test.y))
        history = run.fit(top, train, part=BASE, validation_data=test).history
        histories[NAMES[BASE]] = history
        shares = top.predict(held, batch_size=EVALUATION_BATCH)
        return two_classes(shares), {
            "test_accuracy": _accuracy(shares, data),
            "test_loss": top.evaluate(test)["loss"],
            "train_accuracy": history["binary_accuracy"][-1],
            "trained_parameters": float(trained),
            "parameters": float(every),
        }

    def from_scratch(self, run: Run, data: DatasetSplits, histories: dict[str, Any]) -> dict[str, float]:
        """Train the small network; its figures."""
        chosen: Any = run.settings
        model = network(chosen.filters, "gap", chosen)
        run.say(f"{NAMES[SMALL]}: {_parameters(model.trainable_weights):,} trained parameters")
        train = training_batches(run, data.train.x, column(data.train.y))
        test = test_batches(data.test.x, column(data.test.y))
        compile_binary(model, chosen, len(train) * chosen.epochs)
        histories[NAMES[SMALL]] = run.fit(model, train, part=SMALL, validation_data=test).history
        shares = model.predict(data.test.x, batch_size=EVALUATION_BATCH)
        return {"small_test_accuracy": _accuracy(shares, data), "small_test_loss": model.evaluate(test)["loss"]}

    def draw(self, run: Run, data: DatasetSplits, histories: dict[str, Any], probabilities: Array) -> None:
        """The comparison, and what the unit on top of the base gets wrong."""
        plots = show_answers(run, data.test.x, data.test.y, probabilities, data.classes)
        if plots is not None:
            compared(plots, histories)


def frozen_base(run: Run) -> Model:
    """ResNet50 without its top, pooled, with the weights that the settings name, none of them trained."""
    chosen: Any = run.settings
    shape = (chosen.size, chosen.size, CHANNELS)
    base: Model = run.model("resnet50", input_shape=shape, include_top=False, pooling="avg", version=chosen.version,
                            weights=chosen.weights)  # fmt: skip
    base.trainable = False
    return base


def unit(settings: Any) -> list[Any]:
    """What is trained: one sigmoid unit, behind standardised features where they are."""
    standardize = settings.weights is None if settings.standardize is None else settings.standardize
    # Without centre and scale there is nothing in it to train; it follows the mean and variance of the batches.
    before = [layers.BatchNormalization(center=False, scale=False, momentum=0.9, name="standardized")]
    return [*(before if standardize else []), layers.Dense(1, activation="sigmoid", name="share")]


def prepared(images: Array, settings: Any) -> Array:
    """Images [n, h, w, 3] in [0, 1] as the base expects them."""
    found: Array = images if settings.preprocess == "none" else preprocess(255 * images, settings.preprocess)
    return found


def features(run: Run, base: Model, data: DatasetSplits) -> tuple[Array, Array]:
    """What the base makes of the training and test images, float32[n, 2048] each.

    Kept in the run's directory, whole or as far as they were when a signal came; a resumed run goes on there.
    """
    path = run.out / _FEATURES
    images = {"train": data.train.x, "test": data.test.x}
    if run.resumed and path.exists():
        kept, metadata = load_file(path)
        found, done = {part: np.array(kept[part]) for part in images}, int(metadata["done"])
    else:
        found, done = {part: np.zeros((len(x), WIDTH), np.float32) for part, x in images.items()}, 0
    forward = corenn.function(lambda x: base(x, training=False))
    places = [(part, first) for part, x in images.items() for first in range(0, len(x), _AT_ONCE)]
    started = time.perf_counter()
    for number, (part, first) in enumerate(places[done:], done + 1):
        some = prepared(images[part][first : first + _AT_ONCE], run.settings)
        found[part][first : first + _AT_ONCE] = forward(corenn.tensor(some)).numpy()
        if run.signum is not None or number == len(places):
            save_file(path, found, {"done": number})
            run.raise_if_stopped()
    if done < len(places):
        total = sum(map(len, images.values()))
        run.say(f"{NAMES[BASE]}: {WIDTH:,} features of {total} images in {time.perf_counter() - started:.1f} s")
    return found["train"], found["test"]


def _parameters(weights: Any) -> int:
    return sum(int(v.size) for v in weights)


def _accuracy(shares: Array, data: DatasetSplits) -> float:
    return float(((shares[:, 0] >= 0.5) == data.test.y).mean())


__all__ = ["TransferLearning", "TransferSettings", "features", "frozen_base", "prepared", "unit"]
