"""``tf.contrib.metrics``: ``tf.metrics`` with the predictions first and names that begin in ``streaming_``."""

from __future__ import annotations

from typing import Any

from corenn.dtypes import float32
from corenn.ops.elementwise import cast, multiply
from corenn.ops.logic import equal
from corenn.ops.reduction import mean
from corenn.ops.reduction import sum as sum_over
from corenn_tensorflow import metrics, missing
from corenn_tensorflow.metrics import averages
from corenn_tensorflow.metrics.common import ratio, together
from corenn_tensorflow.operands import like


def _streaming(function: Any) -> Any:
    def call(predictions: Any, labels: Any = None, *args: Any, **options: Any) -> Any:
        return function(labels, predictions, *args, **options)

    call.__doc__ = function.__doc__
    return call


streaming_mean, streaming_mean_tensor = metrics.mean, metrics.mean_tensor
streaming_accuracy, streaming_auc = _streaming(metrics.accuracy), _streaming(metrics.auc)
streaming_precision, streaming_recall = _streaming(metrics.precision), _streaming(metrics.recall)
streaming_mean_absolute_error = _streaming(averages.mean_absolute_error)
streaming_mean_squared_error = _streaming(averages.mean_squared_error)
streaming_root_mean_squared_error = _streaming(metrics.root_mean_squared_error)
streaming_mean_iou, streaming_recall_at_k = _streaming(metrics.mean_iou), _streaming(metrics.recall_at_k)
streaming_true_positives, streaming_false_positives = (
    _streaming(metrics.true_positives),
    _streaming(metrics.false_positives),
)
streaming_true_negatives, streaming_false_negatives = (
    _streaming(metrics.true_negatives),
    _streaming(metrics.false_negatives),
)
streaming_percentage_less = metrics.percentage_below


def accuracy(predictions: Any, labels: Any, weights: Any = None, name: str | None = None) -> Any:
    """The share of predictions that are equal to labels, of this batch."""
    given, found = together("accuracy", labels, predictions)
    right = cast(equal(cast(found, dtype=given.dtype), given), dtype=float32)
    if weights is None:
        return mean(right)
    heavy = like(weights, right)
    return ratio(sum_over(multiply(right, heavy)), sum_over(heavy))


def aggregate_metrics(*value_update_tuples: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The values of several metrics, and their updates."""
    values, updates = zip(*value_update_tuples, strict=True)
    return values, updates


def aggregate_metric_map(names_to_tuples: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of several metrics by name, and their updates."""
    return ({name: pair[0] for name, pair in names_to_tuples.items()},
            {name: pair[1] for name, pair in names_to_tuples.items()})  # fmt: skip


def confusion_matrix(
    labels: Any, predictions: Any, num_classes: int | None = None, dtype: Any = "int32", name: str | None = None,
    weights: Any = None,
) -> Any:  # fmt: skip
    """How often label i was predicted as j."""
    from corenn_tensorflow.math import confusion_matrix as found

    return found(labels, predictions, num_classes, weights=weights, dtype=dtype, name=name)


__getattr__ = missing.guard(__name__)
