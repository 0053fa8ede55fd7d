"""Means: of values, of errors, of agreement."""

from __future__ import annotations

from typing import Any

from corenn.dtypes import float32, int64
from corenn.ops.arranging import diagonal
from corenn.ops.elementwise import abs as absolute
from corenn.ops.elementwise import cast, divide, multiply, squared_difference, subtract, where
from corenn.ops.logic import equal, greater, less
from corenn.ops.reduction import mean as mean_over
from corenn.ops.reduction import sum as sum_over
from corenn.ops.segments import segment_sum
from corenn.ops.shaping import reshape
from corenn.ops.transcendental import sqrt
from corenn.tensor import Tensor
from corenn_tensorflow.metrics.common import (
    Pair,
    counter,
    finished,
    floats,
    opened,
    ratio,
    spread,
    together,
    weighed,
)  # fmt: skip
from corenn_tensorflow.mode import one
from corenn_tensorflow.operands import extents, filled_like, tensor


def mean(
    values: Any, weights: Any = None, metrics_collections: Any = None, updates_collections: Any = None,
    name: str | None = None,
) -> Pair:  # fmt: skip
    """The weighted mean of all values so far."""
    with opened(name, "mean"):
        given = floats(values)
        total, count = counter("total"), counter("count")
        added, weight = weighed(given, weights)
        update_total, update_count = total.assign_add(added), count.assign_add(weight)
        value = ratio(total.value(), count.value(), "value")
        update = ratio(update_total, update_count, "update_op")
        return finished(value, update, metrics_collections, updates_collections)


def accuracy(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """How often predictions are equal to labels."""
    given, found = together("accuracy", labels, predictions)
    right = cast(equal(cast(found, dtype=given.dtype), given), dtype=float32)
    return mean(right, weights, metrics_collections, updates_collections, name or "accuracy")


def _errors(where_: str, labels: Any, predictions: Any) -> tuple[Tensor, Tensor]:
    given, found = together(where_, labels, predictions)
    return floats(given), floats(found)


def mean_absolute_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The mean of ``|predictions - labels|``."""
    y, p = _errors("mean_absolute_error", labels, predictions)
    errors = absolute(subtract(p, y))
    return mean(errors, weights, metrics_collections, updates_collections, name or "mean_absolute_error")


def mean_squared_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The mean of ``(predictions - labels) ** 2``."""
    y, p = _errors("mean_squared_error", labels, predictions)
    return mean(
        squared_difference(y, p), weights, metrics_collections, updates_collections, name or "mean_squared_error"
    )


def root_mean_squared_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The root of the mean squared error."""
    value, update = mean_squared_error(labels, predictions, weights, name=name or "root_mean_squared_error")
    return finished(sqrt(value), sqrt(update), metrics_collections, updates_collections)


def mean_relative_error(
    labels: Any, predictions: Any, normalizer: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The mean of ``|predictions - labels| / normalizer``, 0 where the normalizer is 0."""
    y, p = _errors("mean_relative_error", labels, predictions)
    scale = floats(normalizer, p)
    nothing = equal(scale, 0.0)
    errors = where(nothing, 0.0, divide(absolute(subtract(y, p)), where(nothing, 1.0, scale)))
    return mean(errors, weights, metrics_collections, updates_collections, name or "mean_relative_error")


def mean_cosine_distance(
    labels: Any, predictions: Any, dim: int, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """1 minus the mean of the products, summed along ``dim``, of vectors of length 1."""
    y, p = _errors("mean_cosine_distance", labels, predictions)
    products = sum_over(multiply(y, p), axis=int(dim), keepdims=True)
    value, update = mean(products, weights, name=name or "mean_cosine_distance")
    return finished(subtract(1.0, value), subtract(1.0, update), metrics_collections, updates_collections)


def percentage_below(
    values: Any, threshold: Any, weights: Any = None, metrics_collections: Any = None, updates_collections: Any = None,
    name: str | None = None,
) -> Pair:  # fmt: skip
    """The share of values below a threshold."""
    below = cast(less(floats(values), threshold), dtype=float32)
    return mean(below, weights, metrics_collections, updates_collections, name or "percentage_below_threshold")


def mean_tensor(
    values: Any, weights: Any = None, metrics_collections: Any = None, updates_collections: Any = None,
    name: str | None = None,
) -> Pair:  # fmt: skip
    """The weighted mean of all tensors so far, element by element."""
    with opened(name, "mean"):
        given = floats(values)
        shape = tuple(int(n or 0) for n in extents(given) or ())
        total, count = counter("total_tensor", shape), counter("count_tensor", shape)
        heavy = filled_like(given, 1.0) if weights is None else spread(weights, given)
        update_total, update_count = total.assign_add(multiply(given, heavy)), count.assign_add(heavy)
        value = ratio(total.value(), count.value(), "value")
        update = ratio(update_total, update_count, "update_op")
        return finished(value, update, metrics_collections, updates_collections)


def _classes(x: Any, beside: Any = None) -> Tensor:
    return reshape(cast(tensor(x, None, beside), dtype=int64), shape=(-1,))


def mean_iou(
    labels: Any, predictions: Any, num_classes: int, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """Intersection over union of labels and predictions, averaged over the classes that occur.

    The update operation is the confusion matrix [labels, predictions] so far.
    """
    with opened(name, "mean_iou"):
        n = int(num_classes)
        total = counter("total_confusion_matrix", (n, n), "float64")
        found = _classes(predictions, labels)
        places = _classes(labels, found) * n + found
        heavy = filled_like(places, 1.0, "float64")
        if weights is not None:
            heavy = cast(reshape(spread(weights, floats(predictions)), shape=(-1,)), dtype="float64")
        counts = reshape(segment_sum(heavy, places, num_segments=n * n), shape=(n, n))
        update = total.assign_add(counts)
        now = total.value()
        hits = diagonal(now)
        union = subtract(sum_over(now, axis=0) + sum_over(now, axis=1), hits)
        present = sum_over(cast(greater(union, 0.0), dtype="float64"))
        value = ratio(sum_over(ratio(hits, union)), present, "mean_iou")
        return finished(cast(value, dtype=float32), update, metrics_collections, updates_collections)


def mean_per_class_accuracy(
    labels: Any, predictions: Any, num_classes: int, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The accuracy of each class (of the labels), averaged over the classes."""
    with opened(name, "mean_accuracy"):
        n = int(num_classes)
        total, count = counter("total", (n,)), counter("count", (n,))
        y, p = _classes(labels, predictions), _classes(predictions, labels)
        right = cast(equal(y, p), dtype=float32)
        heavy = filled_like(y, 1.0, float32)
        if weights is not None:
            heavy = reshape(spread(weights, floats(labels)), shape=(-1,))
        update_total = total.assign_add(segment_sum(multiply(right, heavy), y, num_segments=n))
        update_count = count.assign_add(segment_sum(heavy, y, num_segments=n))
        value = one("Mean", "mean_accuracy", mean_over, ratio(total.value(), count.value()))
        update = ratio(update_total, update_count, "update_op")
        return finished(value, update, metrics_collections, updates_collections)


__all__ = [
    "accuracy", "mean", "mean_absolute_error", "mean_cosine_distance", "mean_iou", "mean_per_class_accuracy",
    "mean_relative_error", "mean_squared_error", "mean_tensor", "percentage_below", "root_mean_squared_error",
]  # fmt: skip
