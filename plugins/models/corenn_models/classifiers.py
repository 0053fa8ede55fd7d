"""Small classifiers: from examples of ``input_shape`` to probabilities of ``classes`` classes."""

from __future__ import annotations

from collections.abc import Sequence as Several

from corenn.errors import UsageError
from corenn.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from corenn.training import Sequential


def cnn(
    input_shape: tuple[int, int, int],
    classes: int,
    filters: Several[int] = (24, 48),
    dense: int = 96,
    dropout: float = 0.3,
) -> Sequential:
    """A 3x3 convolution with ReLU, batch normalisation and 2x2 pooling for each of ``filters``; a dense layer; softmax.

    ``input_shape``: (height, width, channels).  ``dense``: units of the dense layer, 0 for none.  ``dropout`` comes
    before the dense layer and before the last.
    """
    if len(input_shape) != 3:
        raise UsageError("cnn", f"takes images (height, width, channels), not examples of shape {input_shape}")
    model = Sequential([Input(input_shape)], name="cnn")
    for count in filters:
        model.add(Conv2D(count, 3, padding="same", activation="relu", kernel_initializer="he_normal"))
        model.add(BatchNormalization())
        model.add(MaxPooling2D(2, padding="same"))
    model.add(Flatten())
    if dense:
        model.add(Dropout(dropout))
        model.add(Dense(dense, activation="relu", kernel_initializer="he_normal"))
    model.add(Dropout(dropout))
    model.add(Dense(classes, activation="softmax"))
    return model


def mlp(
    input_shape: tuple[int, ...], classes: int, hidden: Several[int] = (128, 64), dropout: float = 0.2
) -> Sequential:
    """Dense layers of ``hidden`` units with ReLU and dropout, then softmax."""
    model = Sequential([Input(input_shape), Flatten()], name="mlp")
    for units in hidden:
        model.add(Dense(units, activation="relu", kernel_initializer="he_normal"))
        model.add(Dropout(dropout))
    model.add(Dense(classes, activation="softmax"))
    return model


def linear(input_shape: tuple[int, ...], classes: int, dropout: float = 0.0) -> Sequential:
    """One dense layer and softmax; ``dropout`` of the inputs."""
    return Sequential(
        [Input(input_shape), Flatten(), Dropout(dropout), Dense(classes, activation="softmax")], name="linear"
    )
