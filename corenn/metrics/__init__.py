"""Metrics: figures of merit gathered over batches.

``metric.update_state(y_true, y_pred, sample_weight=None)`` for each batch, ``metric.result()`` for the figure so far (a
tensor; ``float`` of it for a number), ``metric.reset_state()`` to start anew.  ``get("accuracy")`` finds one by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

from corenn.advice import guide
from corenn.errors import UsageError
from corenn.metrics.accuracy import (
    Accuracy,
    AutoAccuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy_for,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from corenn.metrics.base import Mean, MeanMetricWrapper, MeanOverSamples, Metric, Sum, register, registry
from corenn.metrics.confusion import (
    ConfusionMatrix,
    F1Score,
    FalseNegatives,
    FalsePositives,
    FBetaScore,
    IoU,
    MeanIoU,
    Precision,
    Recall,
    Specificity,
    TrueNegatives,
    TruePositives,
)
from corenn.metrics.curves import AUC
from corenn.metrics.regression import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Entropy,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    R2Score,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)


@overload
def get(spec: None, loss: Any = None) -> None: ...
@overload
def get(spec: Metric | Callable[..., Any] | str | dict[str, Any] | type[Metric], loss: Any = None) -> Metric: ...
def get(spec: Any, loss: Any = None) -> Any:
    """The metric for None, a name (``"auc"``), a class, an instance, a dictionary, or a function ``(y_true, y_pred)``.

    ``loss``: the model's loss (anything ``losses.get`` takes).  It decides what ``"accuracy"`` (``"acc"``) and
    ``"crossentropy"`` (``"ce"``) mean, and whether predictions are logits; without one that does, ``"accuracy"`` goes
    by the shapes of the first batch (see ``accuracy_for``) and ``"crossentropy"`` is a UsageError.
    """
    if isinstance(spec, str) and spec.lower() in ("accuracy", "acc", "crossentropy", "ce"):
        return _by_loss(spec.lower(), loss)
    return registry.get(spec)


def _by_loss(name: str, loss: Any) -> Metric:
    from corenn import losses

    given = losses.get(loss)
    logits = bool(getattr(given, "from_logits", False))
    binary = isinstance(given, losses.BinaryCrossentropy | losses.BinaryFocalCrossentropy)
    sparse = isinstance(given, losses.SparseCategoricalCrossentropy)
    if name in ("accuracy", "acc"):
        if binary:
            return BinaryAccuracy(0.0 if logits else 0.5, name=name)
        return SparseCategoricalAccuracy(name=name) if sparse else AutoAccuracy(logits, name=name)
    if binary:
        return BinaryCrossentropy(logits, name=name)
    if sparse:
        return SparseCategoricalCrossentropy(logits, name=name)
    if isinstance(given, losses.CategoricalCrossentropy | losses.CategoricalFocalCrossentropy):
        return CategoricalCrossentropy(logits, name=name)
    hint = "binary_crossentropy, categorical_crossentropy or sparse_categorical_crossentropy"
    raise UsageError("metric", f"{name!r} needs a loss that says which", hint=hint)


__all__ = [
    "AUC",
    "Accuracy",
    "AutoAccuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConfusionMatrix",
    "CosineSimilarity",
    "Entropy",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanOverSamples",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Poisson",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "Specificity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "accuracy_for",
    "binary_accuracy",
    "categorical_accuracy",
    "get",
    "register",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]

if not TYPE_CHECKING:  # type checkers know which names there are
    __getattr__, __dir__ = guide(__name__, __all__)
