"""What the networks for images share: checks of arguments, the top, and weights from a file."""

from __future__ import annotations

import os
from typing import Any, TypeVar

from corenn.errors import AttributeValueError, UsageError
from corenn.layers import Dense, GlobalAveragePooling2D, GlobalMaxPooling2D
from corenn.training import Model

M = TypeVar("M", bound=Model)
_POOLING = {"avg": GlobalAveragePooling2D, "max": GlobalMaxPooling2D}
Weights = str | os.PathLike[str] | None


def check_images(model: str, input_shape: tuple[int, ...], smallest: int = 1) -> None:
    """UsageError unless ``input_shape`` is (height, width, channels) of at least ``smallest`` pixels a side."""
    if len(input_shape) != 3:
        raise UsageError(model, f"takes images (height, width, channels), not examples of shape {tuple(input_shape)}")
    if min(input_shape[:2]) < smallest:
        what = f"takes images of at least {smallest} x {smallest} pixels, not {input_shape[0]} x {input_shape[1]}"
        raise UsageError(model, what, hint="enlarge them: corenn.layers.Resizing, or corenn.image.resize")


def choice(model: str, name: str, value: Any, known: tuple[Any, ...]) -> None:
    """AttributeValueError unless ``value`` is among those that are known."""
    if value not in known:
        shown = ", ".join(map(repr, known))
        raise AttributeValueError(model, f"{name} must be one of {shown}, not {value!r}")


def pooled(model: str, x: Any, pooling: str | None) -> Any:
    """The mean or the maximum over the pixels; ``None``: the pixels."""
    choice(model, "pooling", pooling, (None, *_POOLING))
    return x if pooling is None else _POOLING[pooling](name=f"{pooling}_pool")(x)


def classified(x: Any, classes: int, activation: Any, name: str = "predictions") -> Any:
    """The last layer: scores of the classes."""
    return Dense(classes, activation=activation, name=name)(x)


def loaded(model: M, weights: Weights) -> M:
    """The model with the weights of a file; see ``corenn_models.weights.load``."""
    if weights is not None:
        from corenn_models import weights as files

        files.load(model, weights)
    return model


__all__ = ["Weights", "check_images", "choice", "classified", "loaded", "pooled"]
