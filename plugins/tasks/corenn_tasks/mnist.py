"""The classifiers of handwritten digits: from logistic regression to a convolutional network.

The networks are those of the case studies (softmax regression, one sigmoid layer of 620 units, two layers of 625 with
dropout, three convolutions) and an LSTM that reads an image row by row.  Where the text leaves the weights without
biases, they have some here; weights begin by the sizes of the layers instead of with a standard deviation of 0.01
(``stddev=0.01``), which three convolutions take long to recover from; the learning rate falls to zero along a cosine
(``schedule=constant``); and but for logistic regression, training images are distorted a little (``augment=0``), which
matters the more the fewer there are.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

import corenn
from corenn import layers
from corenn.errors import UsageError
from corenn.initializers import RandomNormal
from corenn.nn import softmax
from corenn.training import Model, Sequential
from corenn.training.run import Run
from corenn.training.task import Settings
from corenn_tasks.classifying import Classifier, ClassifierSettings, Images, least, share

_SHAPE = Classifier.shape
_SHOWN = 40  # units of a first layer


@dataclasses.dataclass
class WeightSettings(ClassifierSettings):
    """``stddev``: of normal initial weights; ``none``: by the sizes of the layers."""

    stddev: float | None = None

    def check(self) -> None:
        """Values that make sense."""
        super().check()
        if self.stddev is not None and self.stddev <= 0:
            raise UsageError("settings", f"stddev must be positive, not {self.stddev}")

    def initializer(self, otherwise: str) -> Any:
        """How weights begin: ``otherwise`` is the name used unless ``stddev`` is given."""
        return otherwise if self.stddev is None else RandomNormal(stddev=self.stddev)


# ---------------------------------------------------------------- logistic regression


@dataclasses.dataclass
class LogisticSettings(WeightSettings):
    """How to train."""

    full_epochs: int = 30
    batch_size: int = 200
    learning_rate: float = 0.5
    stddev: float | None = 0.01


class LogisticRegression(Classifier):
    """One linear layer and softmax: ten weighted sums of the pixels."""

    Settings: ClassVar[type[Settings]] = LogisticSettings
    summary: ClassVar[str] = "classify digits with one linear layer; its weights as images"

    def network(self, settings: Any, classes: int) -> Model:
        """784 inputs, ``classes`` outputs."""
        return Sequential([
            layers.Input(_SHAPE),
            layers.Flatten(),
            layers.Dense(classes, kernel_initializer=settings.initializer("glorot_uniform"), name="logits"),
        ])  # fmt: skip

    def pictures(self, run: Run, model: Model, images: Images, plots: Any) -> None:
        """The weights of each class as an image: which pixels speak for it and which against it."""
        weights = weight_images(model.layers[-1].kernel)
        run.writer.image("weights", signed(weights), run.steps, max_outputs=len(weights))
        if plots is not None:
            from corenn_tasks import network_pictures

            network_pictures.tiles(plots, "weights", weights, captions=images.classes, columns=5, signed=True, size=1.3,
                                   title="weights: what speaks for a class (blue) and against it (red)")  # fmt: skip


# ---------------------------------------------------------------- multilayer perceptrons


@dataclasses.dataclass
class MlpSettings(WeightSettings):
    """How to train; ``units``: of the hidden layer."""

    full_epochs: int = 50
    batch_size: int = 50
    learning_rate: float = 0.2
    augment: float = 0.5
    units: int = 620

    def check(self) -> None:
        """Values that make sense."""
        super().check()
        least(self, 1, "units")


class MnistMlp(Classifier):
    """One hidden layer of sigmoid units."""

    Settings: ClassVar[type[Settings]] = MlpSettings
    summary: ClassVar[str] = "classify digits with one hidden layer of 620 sigmoid units"

    def network(self, settings: Any, classes: int) -> Model:
        """784 inputs, ``units`` sigmoid units, ``classes`` outputs."""
        begin = settings.initializer("glorot_uniform")
        return Sequential([
            layers.Input(_SHAPE),
            layers.Flatten(),
            layers.Dense(settings.units, activation="sigmoid", kernel_initializer=begin, name="hidden"),
            layers.Dense(classes, kernel_initializer=begin, name="logits"),
        ])  # fmt: skip

    def pictures(self, run: Run, model: Model, images: Images, plots: Any) -> None:
        """What the units of the first layer look for."""
        first_layer(run, model, plots, "hidden")


@dataclasses.dataclass
class ModernSettings(WeightSettings):
    """How to train; ``units``: of each hidden layer, ``input_dropout`` and ``dropout``: parts left out."""

    full_epochs: int = 50
    batch_size: int = 100
    optimizer: str = "rmsprop"
    learning_rate: float = 0.001
    augment: float = 0.5
    units: int = 625
    input_dropout: float = 0.3
    dropout: float = 0.6

    def check(self) -> None:
        """Values that make sense."""
        super().check()
        least(self, 1, "units")
        share(self, "input_dropout", "dropout")


class MnistModern(Classifier):
    """Two hidden layers of rectified units, with dropout, by RMSProp."""

    Settings: ClassVar[type[Settings]] = ModernSettings
    summary: ClassVar[str] = "classify digits with two ReLU layers, dropout and RMSProp"

    def network(self, settings: Any, classes: int) -> Model:
        """784 inputs, twice ``units`` rectified units, ``classes`` outputs; dropout before each hidden layer."""
        begin = settings.initializer("he_uniform")
        return Sequential([
            layers.Input(_SHAPE),
            layers.Flatten(),
            layers.Dropout(settings.input_dropout),
            layers.Dense(settings.units, activation="relu", kernel_initializer=begin, name="hidden_1"),
            layers.Dropout(settings.dropout),
            layers.Dense(settings.units, activation="relu", kernel_initializer=begin, name="hidden_2"),
            layers.Dense(classes, kernel_initializer=begin, name="logits"),
        ])  # fmt: skip

    def pictures(self, run: Run, model: Model, images: Images, plots: Any) -> None:
        """What the units of the first layer look for."""
        first_layer(run, model, plots, "hidden_1")


# ---------------------------------------------------------------- convolutional network


@dataclasses.dataclass
class CnnSettings(WeightSettings):
    """How to train; ``filters``: of the convolutions, ``units``: of the dense layer, and the parts left out.

    ``full_epochs``: the document has 10, with which the embedded digits take NumPy on one core two minutes and more.
    """

    full_epochs: int = 7
    batch_size: int = 50
    optimizer: str = "rmsprop"
    learning_rate: float = 0.001
    augment: float = 0.5
    filters: tuple[int, ...] = (32, 64, 128)
    units: int = 625
    conv_dropout: float = 0.2
    dropout: float = 0.5

    def check(self) -> None:
        """Values that make sense."""
        super().check()
        least(self, 1, "units")
        share(self, "conv_dropout", "dropout")
        if not self.filters or min(self.filters) < 1:
            raise UsageError("settings", f"filters must be one or more positive numbers, not {self.filters}")


class MnistCnn(Classifier):
    """Three 3x3 convolutions with pooling and dropout, then a dense layer with dropout, by RMSProp."""

    Settings: ClassVar[type[Settings]] = CnnSettings
    summary: ClassVar[str] = "classify digits with three convolutions; filters and feature maps"

    def network(self, settings: Any, classes: int) -> Model:
        """28x28 pixels, 14x14, 7x7 and 4x4 feature maps, ``units`` rectified units, ``classes`` outputs."""
        begin = settings.initializer("he_uniform")
        stack: list[Any] = [layers.Input(_SHAPE)]
        for number, count in enumerate(settings.filters, 1):
            options = {"padding": "same", "activation": "relu", "kernel_initializer": begin}
            stack.append(layers.Conv2D(count, 3, name=f"conv_{number}", **options))
            stack.append(layers.MaxPooling2D(2, padding="same"))
            stack.append(layers.Dropout(settings.conv_dropout))
        stack += [
            layers.Flatten(),
            layers.Dense(settings.units, activation="relu", kernel_initializer=begin, name="hidden"),
            layers.Dropout(settings.dropout),
            layers.Dense(classes, kernel_initializer=begin, name="logits"),
        ]
        return Sequential(stack)

    def pictures(self, run: Run, model: Model, images: Images, plots: Any) -> None:
        """The filters of the first convolution, and the maps that each convolution makes of one image."""
        convolutions = [n for n, layer in enumerate(model.layers) if isinstance(layer, layers.Conv2D)]
        filters = np.moveaxis(np.asarray(model.layers[convolutions[0]].kernel.numpy())[:, :, 0], -1, 0)
        run.writer.image("filters", signed(filters, enlarge=10), run.steps, max_outputs=len(filters))
        maps, shown = [], []
        x: Any = corenn.tensor(images.test.x[:1])
        for number, layer in enumerate(model.layers):
            x = layer(x, training=False)
            if number in convolutions:
                found = np.moveaxis(x.numpy()[0], -1, 0)
                maps.append(found / max(float(found.max()), 1e-12))
                run.writer.image(f"maps/{layer.name}", maps[-1][..., None], run.steps, max_outputs=8)
                liveliest = np.sort(np.argsort(-found.std(axis=(1, 2)), kind="stable")[:8])
                shown.append(maps[-1][liveliest])
        if plots is not None:
            from corenn_tasks import network_pictures

            network_pictures.tiles(plots, "filters", filters, signed=True, title="filters of the first convolution")
            network_pictures.tile_rows(
                plots, "feature_maps",
                {"image": images.test.x[:1, :, :, 0],
                 **{f"convolution {n}": found for n, found in enumerate(shown, 1)}},
                title="what the convolutions make of an image: the eight liveliest maps of each",
            )  # fmt: skip


# ---------------------------------------------------------------- rows as a sequence


@dataclasses.dataclass
class RowsSettings(ClassifierSettings):
    """How to train; ``units``: of the LSTM, ``dropout``: the part of its output left out."""

    full_epochs: int = 10
    batch_size: int = 100
    optimizer: str = "adam"
    learning_rate: float = 0.003
    augment: float = 0.5
    units: int = 128
    dropout: float = 0.0

    def check(self) -> None:
        """Values that make sense."""
        super().check()
        least(self, 1, "units")
        share(self, "dropout")


class LstmRows(Classifier):
    """An LSTM reads an image from top to bottom, a row of pixels at each step."""

    Settings: ClassVar[type[Settings]] = RowsSettings
    summary: ClassVar[str] = "classify digits with an LSTM over the rows of the image"

    def network(self, settings: Any, classes: int) -> Model:
        """28 steps of 28 pixels, an LSTM, ``classes`` outputs from its last output."""
        return Sequential([
            layers.Input(_SHAPE),
            layers.Reshape(_SHAPE[:2]),
            layers.LSTM(settings.units, name="rows"),
            layers.Dropout(settings.dropout),
            layers.Dense(classes, name="logits"),
        ])  # fmt: skip

    def pictures(self, run: Run, model: Model, images: Images, plots: Any) -> None:
        """The answer after each row, for one test image of each of the first eight classes."""
        chosen = [int(np.argmax(images.test.y == c)) for c in range(min(8, len(images.classes)))
                  if (images.test.y == c).any()]  # fmt: skip
        answers = answers_by_row(model, images.test.x[chosen])
        for row in range(answers.shape[1]):
            truth = images.test.y[chosen]
            run.writer.scalar("probability_of_the_class_by_row", answers[np.arange(len(truth)), row, truth].mean(), row)
        if plots is not None:
            from corenn_tasks import network_pictures

            network_pictures.reading(
                plots, "answers_by_row", images.test.x[chosen, :, :, 0], answers, images.test.y[chosen], images.classes
            )


def answers_by_row(model: Model, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Probabilities [n, rows, classes] that the model of ``lstm-rows`` would give after each row of images."""
    reshape, lstm, _, dense = model.layers
    every = layers.LSTM(lstm.units, return_sequences=True)
    sequence = reshape(corenn.tensor(x))
    every(sequence[:1])  # makes its weights
    for own, trained in zip(every.weights, lstm.weights, strict=True):
        own.assign(trained)
    answers: npt.NDArray[Any] = softmax(dense(every(sequence)), axis=-1).numpy()
    return answers


# ---------------------------------------------------------------- weights as images


def weight_images(kernel: Any) -> npt.NDArray[Any]:
    """The kernel [784, units] of a layer that sees the pixels as images [units, 28, 28]."""
    return np.ascontiguousarray(np.asarray(kernel.numpy()).T.reshape(-1, *_SHAPE[:2]))


def signed(images: npt.NDArray[Any], enlarge: int = 1) -> npt.NDArray[Any]:
    """Signed images [n, h, w] as colours [n, h, w, 3] for TensorBoard: white is 0, blue positive, red negative."""
    part = images / max(float(np.abs(images).max()), 1e-12)
    up, down = np.clip(part, 0, 1), np.clip(-part, 0, 1)
    colours = np.stack([1 - up, 1 - up - down, 1 - down], axis=-1).astype(np.float32)
    return colours.repeat(enlarge, axis=1).repeat(enlarge, axis=2)


def first_layer(run: Run, model: Model, plots: Any, name: str) -> None:
    """The weights into the units of the layer ``name`` that weigh most in the next layer, as images."""
    names = [layer.name for layer in model.layers]
    own = model.layers[names.index(name)]
    following = next(layer for layer in model.layers[names.index(name) + 1 :] if layer.weights)
    matter = np.abs(np.asarray(following.kernel.numpy())).sum(1)
    units = np.argsort(-matter, kind="stable")[:_SHOWN]
    weights = weight_images(own.kernel)[units]
    run.writer.image(f"{name}/weights", signed(weights), run.steps, max_outputs=16)
    if plots is not None:
        from corenn_tasks import network_pictures

        network_pictures.tiles(
            plots, "first_layer", weights / np.abs(weights).max(axis=(1, 2), keepdims=True), signed=True,
            title=f"weights of the {len(units)} units of the first layer that count most, each scaled to 1",
        )  # fmt: skip


__all__ = [
    "CnnSettings", "LogisticRegression", "LogisticSettings", "LstmRows", "MlpSettings", "MnistCnn", "MnistMlp",
    "MnistModern", "ModernSettings", "RowsSettings",
]  # fmt: skip
