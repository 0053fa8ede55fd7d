"""``cats-vs-dogs``: one convolutional front and three ways to end: dense layers, dense layers with dropout, or the mean
of each feature map (global average pooling: Lin, Chen and Yan 2013, "Network in network").

The three are trained one after the other as parts of a run, and compared: dense layers have most of the parameters and
fit the training images best; means leave hardly any to fit them with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from corenn_datasets.splits import DatasetSplits

from corenn import layers
from corenn.errors import UsageError
from corenn.training import Model, Sequential
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn_tasks.classifying import least, share
from corenn_tasks.photographs import (
    CHANNELS,
    EVALUATION_BATCH,
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

#: The ends, by the name of their part, and what they are called in pictures.
HEADS = {"dense": "dense layers", "dropout": "dense with dropout", "gap": "global average pooling"}


@dataclasses.dataclass
class CatsVsDogsSettings(PhotographSettings):
    """How to train each of the three.

    ``filters``: of the 3x3 convolutions, each followed by batch normalisation and pooling.  ``units``: of each of the
    two dense layers.  ``dropout``: after both, in the second end.  ``heads``: which ends are trained, in this order.
    """

    size: int = 48
    filters: tuple[int, ...] = (32, 32, 64)
    units: int = 100
    dropout: float = 0.5
    heads: tuple[str, ...] = tuple(HEADS)

    def check(self) -> None:
        """Values that make sense."""
        super().check()
        least(self, 1, "units")
        share(self, "dropout")
        check_front(self.filters, self.size)
        unknown = [head for head in self.heads if head not in HEADS]
        if unknown or not self.heads or len(set(self.heads)) < len(self.heads):
            raise UsageError("settings", f"heads are some of {', '.join(HEADS)}, each once, not {self.heads}")


class CatsVsDogs(Task):
    """Trains the three networks, reports their accuracies on the test set, and draws them side by side."""

    Settings: ClassVar[type[Settings]] = CatsVsDogsSettings
    summary: ClassVar[str] = "tell cats from dogs: dense layers, dropout and global average pooling compared"
    default_dataset: ClassVar[str | None] = "cats_vs_dogs"

    def run(self, run: Run) -> dict[str, float]:
        """Train each, evaluate, draw."""
        chosen: Any = run.settings
        data = photographs(run, 2)
        test = test_batches(data.test.x, column(data.test.y))
        histories: dict[str, Any] = {}
        figures: dict[str, float] = {}
        best: tuple[float, str, Any] | None = None
        for head in chosen.heads:
            model = network(chosen.filters, head, chosen)
            train = training_batches(run, data.train.x, column(data.train.y))
            compile_binary(model, chosen, len(train) * chosen.epochs)
            parameters = sum(int(v.size) for v in model.trainable_weights)
            run.say(f"{HEADS[head]}: {parameters:,} trained parameters")
            if not run.resumed and not histories:
                run.writer.graph(layer_graph(model))
            histories[HEADS[head]] = run.fit(model, train, part=head, validation_data=test).history
            shares = model.predict(data.test.x, batch_size=EVALUATION_BATCH)
            accuracy = float(((shares[:, 0] >= 0.5) == data.test.y).mean())
            figures |= {f"test_accuracy_{head}": accuracy, f"test_loss_{head}": model.evaluate(test)["loss"],
                        f"train_accuracy_{head}": histories[HEADS[head]]["binary_accuracy"][-1],
                        f"parameters_{head}": float(parameters)}  # fmt: skip
            if best is None or accuracy > best[0]:
                best = accuracy, HEADS[head], shares
        self.draw(run, data, histories, best)
        return figures

    def draw(self, run: Run, data: DatasetSplits, histories: dict[str, Any], best: Any) -> None:
        """The comparison, and what the best of them gets wrong."""
        _, _, shares = best
        plots = show_answers(run, data.test.x, data.test.y, two_classes(shares), data.classes)
        if plots is not None:
            compared(plots, histories)


def check_front(filters: Sequence[int], size: int) -> None:
    """UsageError unless convolutions of these ``filters`` leave something of images of height and width ``size``."""
    side = size
    for _ in filters:
        side = (side - 2) // 2
    if not filters or min(filters) < 1:
        raise UsageError("settings", f"filters must be positive numbers, not {tuple(filters)}")
    if side < 1:
        what = f"nothing is left of images of {size}x{size} after {len(filters)} convolutions with pooling"
        raise UsageError("settings", what, hint="a larger size, or fewer filters")


def front(filters: Sequence[int], size: int) -> list[Any]:
    """The layers all networks begin with: for each of ``filters`` a 3x3 convolution, normalised, rectified, pooled."""
    stack: list[Any] = [layers.Input((size, size, CHANNELS))]
    for number, count in enumerate(filters, 1):
        stack += [
            layers.Conv2D(count, 3, name=f"conv_{number}"),
            layers.BatchNormalization(momentum=0.9, name=f"norm_{number}"),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
        ]
    return stack


def network(filters: Sequence[int], head: str, settings: Any) -> Model:
    """Images to the probability of class 1: the front, and one of ``HEADS``."""
    stack = front(filters, settings.size)
    if head == "gap":
        stack.append(layers.GlobalAveragePooling2D())
    else:
        stack.append(layers.Flatten())
        for number in (1, 2):
            stack.append(layers.Dense(settings.units, activation="relu", name=f"dense_{number}"))
            if head == "dropout":
                stack.append(layers.Dropout(settings.dropout))
    return Sequential([*stack, layers.Dense(1, activation="sigmoid", name="share")], name=head)


__all__ = ["HEADS", "CatsVsDogs", "CatsVsDogsSettings", "check_front", "front", "network"]
