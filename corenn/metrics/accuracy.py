"""Accuracies: how often a prediction is right."""

from __future__ import annotations

from typing import Any

from corenn import dtypes
from corenn.errors import AttributeValueError, ShapeError
from corenn.losses.functions import beside, class_labels, matched, predictions
from corenn.metrics.base import MeanOverSamples, register
from corenn.ops.gathering import take_along_axis
from corenn.ops.logic import equal, greater, isfinite, less, logical_and
from corenn.ops.reduction import argmax, mean
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import expand_dims, squeeze
from corenn.ops.table import TensorLike
from corenn.tensor import Tensor


def accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Whether labels and predictions are equal, elementwise (shape of ``y_pred``), as 0 and 1 in float32."""
    y, p = matched("accuracy", y_true, y_pred)
    return equal(y, p).cast(dtypes.float32)


def binary_accuracy(y_true: TensorLike, y_pred: TensorLike, threshold: float = 0.5) -> Tensor:
    """The mean over the last axis of "``y_pred > threshold`` is ``y_true``" (labels 0 and 1; strictly above)."""
    y, p = matched("binary_accuracy", y_true, y_pred)
    right = equal(greater(p, threshold), greater(y, 0.5))
    return mean(right.cast(dtypes.float32), axis=-1)


def categorical_accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Whether the largest prediction is where the largest label (one-hot) is; shape ``y_pred.shape[:-1]``."""
    y, p = matched("categorical_accuracy", y_true, y_pred)
    return equal(argmax(y, axis=-1), argmax(p, axis=-1)).cast(dtypes.float32)


def sparse_categorical_accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Whether the largest prediction is at the class number ``y_true``; shape ``y_pred.shape[:-1]``."""
    p = predictions(y_pred)
    y = class_labels("sparse_categorical_accuracy", y_true, p)
    return equal(argmax(p, axis=-1), y.cast(dtypes.int64)).cast(dtypes.float32)


def sparse_top_k_categorical_accuracy(y_true: TensorLike, y_pred: TensorLike, k: int = 5) -> Tensor:
    """Whether fewer than ``k`` classes have a larger prediction than the class number ``y_true``.

    Ties count in favour, as in TensorFlow's ``in_top_k``; a label's prediction that is not finite counts as wrong.
    """
    p = predictions(y_pred)
    y = class_labels("sparse_top_k_categorical_accuracy", y_true, p)
    own = take_along_axis(p, expand_dims(y, axis=-1), axis=-1)
    ahead = sum_over(greater(p, own).cast(dtypes.int32), axis=-1)
    finite = squeeze(isfinite(own), axis=-1)
    return logical_and(less(ahead, k), finite).cast(dtypes.float32)


def top_k_categorical_accuracy(y_true: TensorLike, y_pred: TensorLike, k: int = 5) -> Tensor:
    """``sparse_top_k_categorical_accuracy`` for one-hot labels."""
    y, p = matched("top_k_categorical_accuracy", y_true, y_pred)
    return sparse_top_k_categorical_accuracy(argmax(y, axis=-1), p, k)


@register("exact_match", own_name=False)
class Accuracy(MeanOverSamples):
    """How often predictions equal labels, element by element (class numbers, say).

    The name ``"accuracy"`` means ``AutoAccuracy`` instead.
    """

    better = "max"

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """0 or 1 per element."""
        return accuracy(y_true, y_pred)


@register("binary_accuracy")
class BinaryAccuracy(MeanOverSamples):
    """How often "prediction above ``threshold``" equals the label 0 or 1."""

    better = "max"
    elementwise = True

    def __init__(self, threshold: float = 0.5, name: str | None = None) -> None:
        super().__init__(name)
        self.threshold = float(threshold)

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """The share of right elements per sample."""
        return binary_accuracy(y_true, y_pred, self.threshold)


@register("categorical_accuracy")
class CategoricalAccuracy(MeanOverSamples):
    """How often the largest prediction is at the one-hot label."""

    better = "max"

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """0 or 1 per sample."""
        return categorical_accuracy(y_true, y_pred)


@register("sparse_categorical_accuracy")
class SparseCategoricalAccuracy(MeanOverSamples):
    """How often the largest prediction is at the class number that is the label."""

    better = "max"

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """0 or 1 per sample."""
        return sparse_categorical_accuracy(y_true, y_pred)


class _TopK(MeanOverSamples):
    better = "max"

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        if not k >= 1:
            raise AttributeValueError(type(self).__name__, "k must be at least 1", {"k": k})
        self.k = int(k)


@register("top_k_categorical_accuracy")
class TopKCategoricalAccuracy(_TopK):
    """How often the one-hot label is among the ``k`` largest predictions."""

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """0 or 1 per sample."""
        return top_k_categorical_accuracy(y_true, y_pred, self.k)


@register("sparse_top_k_categorical_accuracy")
class SparseTopKCategoricalAccuracy(_TopK):
    """How often the class number that is the label is among the ``k`` largest predictions."""

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """0 or 1 per sample."""
        return sparse_top_k_categorical_accuracy(y_true, y_pred, self.k)


def accuracy_for(y_true: tuple[Any, ...], y_pred: tuple[Any, ...], from_logits: bool = False) -> MeanOverSamples:
    """The accuracy that labels and predictions of these shapes call for (Keras's rule).

    A last axis of 1 (or none): binary, at 0.5, or at 0 for the arguments of a sigmoid.  Labels with an axis less, or
    with a last axis of 1: class numbers.  Labels of the predictions' shape: one-hot.
    """
    if len(y_pred) <= 1 or y_pred[-1] == 1:
        return BinaryAccuracy(0.0 if from_logits else 0.5)
    if len(y_true) < len(y_pred) or (y_true[-1] == 1 and y_pred[-1] != 1):
        return SparseCategoricalAccuracy()
    if len(y_true) == len(y_pred):
        return CategoricalAccuracy()
    raise ShapeError("accuracy", "no accuracy is known for these shapes", {"y_true": y_true, "y_pred": y_pred})


@register("accuracy", "acc")
class AutoAccuracy(MeanOverSamples):
    """The accuracy that the first batch's shapes call for: binary, sparse categorical or categorical.

    ``from_logits``: predictions of binary classification are arguments of a sigmoid, so the threshold is 0.
    See ``accuracy_for``.
    """

    better = "max"

    def __init__(self, from_logits: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.from_logits = bool(from_logits)
        self.chosen: MeanOverSamples | None = None

    def accumulate(self, y_true: TensorLike, y_pred: Tensor, weight: TensorLike | None) -> None:
        """Choose at the first batch; then count."""
        y = beside(y_true, y_pred)
        if self.chosen is None:
            self.chosen = accuracy_for(y.shape, y_pred.shape, self.from_logits)
            self.elementwise = self.chosen.elementwise  # type: ignore[misc]  # of this object, as of the one chosen
        super().accumulate(y, y_pred, weight)

    def values(self, y_true: TensorLike, y_pred: Tensor) -> Tensor:
        """Those of the accuracy chosen."""
        if self.chosen is None:
            self.chosen = accuracy_for(beside(y_true, y_pred).shape, y_pred.shape, self.from_logits)
        return self.chosen.values(y_true, y_pred)


__all__ = [
    "Accuracy",
    "AutoAccuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "accuracy_for",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]
