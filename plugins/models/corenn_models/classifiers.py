"""Small classifiers: from examples of ``input_shape`` to probabilities of ``classes`` classes."""

from __future__ import annotations

from corenn.layers import Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from corenn.training import Sequential


def cnn(
    input_shape: tuple[int, int, int], classes: int, filters: tuple[int, int] = (24, 48), dense: int = 96,
    dropout: float = 0.3,
) -> Sequential:  # fmt: skip
    """Two 3x3 convolutions with ReLU, each followed by 2x2 pooling, then a dense layer and softmax.

    ``input_shape``: (height, width, channels).  Dropout before the dense layers.
    """
    return Sequential(
        [
            Input(input_shape),
            Conv2D(filters[0], 3, padding="same", activation="relu", kernel_initializer="he_normal"),
            MaxPooling2D(2, padding="same"),
            Conv2D(filters[1], 3, padding="same", activation="relu", kernel_initializer="he_normal"),
            MaxPooling2D(2, padding="same"),
            Flatten(),
            Dropout(dropout),
            Dense(dense, activation="relu", kernel_initializer="he_normal"),
            Dropout(dropout),
            Dense(classes, activation="softmax"),
        ],
        name="cnn",
    )


def mlp(
    input_shape: tuple[int, ...], classes: int, hidden: tuple[int, ...] = (128, 64), dropout: float = 0.2
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
    return Sequential([Input(input_shape), Flatten(), Dropout(dropout), Dense(classes, activation="softmax")], name="linear")
