"""Convolutions one after the other: VGG16 (Simonyan and Zisserman 2014), and a small network without a dense layer."""

from __future__ import annotations

from collections.abc import Sequence as Several
from typing import Any

from corenn.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
)
from corenn.training import Model, Sequential
from corenn_models.heads import Weights, check_images, choice, classified, loaded, pooled

#: Width and number of convolutions of each block of VGG16 (configuration D of the paper).
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
_SMALLEST = 32


def vgg16(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    activation: str | None = "softmax",
    dropout: float = 0.0,
    *,
    version: str = "keras",
    include_top: bool = True,
    pooling: str | None = None,
    weights: Weights = None,
) -> Model:
    """VGG16 from images (height, width, channels) to ``classes`` probabilities: 138,357,544 parameters at 224 x 224.

    ``version`` says whose names the layers have: "keras" (``block1_conv1`` ... ``predictions``) or "torchvision"
    (``features.0`` ... ``classifier.6``); the network is one.  ``dropout`` follows both dense layers in training.
    Without ``include_top`` the result is what ``pooling`` makes of the last block: "avg", "max", or ``None`` for its
    pixels.  ``weights``: a file; the top of a published one takes 224 x 224 pixels.
    """
    choice("vgg16", "version", version, ("keras", "torchvision"))
    check_images("vgg16", input_shape, _SMALLEST)
    keras = version == "keras"
    x: Any = Input(input_shape)
    images, place = x, 0
    for block, (filters, count) in enumerate(BLOCKS, start=1):
        for number in range(1, count + 1):
            name = f"block{block}_conv{number}" if keras else f"features.{place}"
            x = Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=name)(x)
            place += 2  # in torchvision the activation and the pooling have numbers too
        x = MaxPooling2D(2, name=f"block{block}_pool" if keras else f"features.{place}")(x)
        place += 1
    if not include_top:
        return loaded(Model(images, pooled("vgg16", x, pooling), name="vgg16"), weights)
    x = Flatten()(x)
    for number in range(2):
        name = f"fc{number + 1}" if keras else f"classifier.{3 * number}"
        x = Dense(4096, activation="relu", name=name)(x)
        x = Dropout(dropout)(x) if dropout else x
    x = classified(x, classes, activation, "predictions" if keras else "classifier.6")
    return loaded(Model(images, x, name="vgg16"), weights)


def gap(
    input_shape: tuple[int, int, int],
    classes: int,
    filters: Several[int] = (32, 64, 128),
    dropout: float = 0.0,
    activation: str | None = None,
    normalized: bool = True,
    *,
    include_top: bool = True,
    weights: Weights = None,
) -> Sequential:
    """A network without a dense layer before the last (Lin, Chen and Yan 2013): each channel's mean over the image.

    For each of ``filters``: a 3x3 convolution, batch normalisation (with ``normalized``), ReLU, and pooling to half the
    size, but after the last the mean over all pixels.  ``activation``: of the result; by default softmax, or for one
    class a sigmoid.  Without ``include_top`` the means are the result.
    """
    check_images("gap", input_shape)
    model = Sequential([Input(input_shape)], name="gap")
    for number, count in enumerate(filters, start=1):
        model.add(
            Conv2D(count, 3, padding="same", use_bias=not normalized, kernel_initializer="he_normal",
                   name=f"conv{number}")
        )  # fmt: skip
        if normalized:
            model.add(BatchNormalization(name=f"norm{number}"))
        model.add(Activation("relu"))
        if number < len(filters):
            model.add(MaxPooling2D(2, padding="same"))
    model.add(GlobalAveragePooling2D(name="avg_pool"))
    if include_top:
        if dropout:
            model.add(Dropout(dropout))
        chosen = activation if activation is not None else "sigmoid" if classes == 1 else "softmax"
        model.add(Dense(classes, activation=chosen, name="predictions"))
    return loaded(model, weights)


__all__ = ["gap", "vgg16"]
