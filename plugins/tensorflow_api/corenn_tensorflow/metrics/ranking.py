"""Metrics of the classes ranked first: precision and recall at ``k``, average precision."""

from __future__ import annotations

from typing import Any

from corenn.dtypes import float32, float64, int64
from corenn.ops.arranging import tril
from corenn.ops.creation import arange, full
from corenn.ops.cumulative import cumsum
from corenn.ops.elementwise import add, cast, minimum, multiply
from corenn.ops.logic import equal, greater_equal, logical_and, logical_not
from corenn.ops.reduction import any as any_over
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import expand_dims, reshape
from corenn.ops.sorting import top_k
from corenn.tensor import Tensor
from corenn_tensorflow.metrics.averages import mean
from corenn_tensorflow.metrics.common import Pair, counter, finished, floats, opened, ratio
from corenn_tensorflow.operands import composite, extents, tensor
from corenn_tensorflow.writing import writable


def _rows(labels: Any, beside: Any) -> Tensor:
    """Labels [batch, number of labels]; -1 is no label."""
    given = cast(tensor(labels, None, beside), dtype=int64)
    return reshape(given, shape=(-1, 1)) if len(extents(given) or ()) == 1 else given


@writable("ranking.distinct")
def _distinct_of(labels: Tensor) -> Tensor:
    same = equal(expand_dims(labels, axis=-1), expand_dims(labels, axis=-2))
    count = labels.spec.static[-1]
    earlier = tril(full((count, count), True, "bool"), k=-1)
    return logical_not(any_over(logical_and(same, earlier), axis=-1))


def _distinct(labels: Tensor) -> Tensor:
    """Which labels of a row are the first of their kind: labels are sets."""
    return composite("Distinct", None, _distinct_of, labels)


def _top(predictions: Any, k: int, beside: Any) -> Tensor:
    _, places = top_k(tensor(predictions, None, beside), k=int(k))
    return cast(places, dtype=int64)


def _matches(labels: Tensor, ranked: Tensor) -> Tensor:
    """Which of the ranked classes are labels, bool [batch, k]."""
    return any_over(equal(ranked[..., None], labels[..., None, :]), axis=-1)


def _per_example(weights: Any, values: Tensor) -> Tensor:
    if weights is None:
        return values
    heavy = cast(floats(weights, values), dtype=values.dtype)
    return multiply(values, heavy if not extents(heavy) else reshape(heavy, shape=(-1,)))


def _share(
    default: str, labels: Any, ranked: Tensor, class_id: int | None, weights: Any, collections: tuple[Any, Any],
    name: str | None, of_labels: bool,
) -> Pair:  # fmt: skip
    """True positives over labels (recall) or over ranked classes (precision), of all classes or of one."""
    with opened(name, default):
        given = _rows(labels, ranked)
        hits = _matches(given, ranked)
        if of_labels:
            others = greater_equal(given, 0) if class_id is None else equal(given, int(class_id))
            others = logical_and(others, _distinct(given))
        else:
            others = greater_equal(ranked, 0) if class_id is None else equal(ranked, int(class_id))
        if class_id is not None:
            hits = logical_and(hits, equal(ranked, int(class_id)))
        right, total = counter("true_positives", dtype="float64"), counter("total", dtype="float64")
        update_right = right.assign_add(sum_over(_per_example(weights, sum_over(cast(hits, dtype=float64), axis=-1))))
        update_total = total.assign_add(sum_over(_per_example(weights, sum_over(cast(others, dtype=float64), axis=-1))))
        value = ratio(right.value(), total.value(), "value")
        return finished(value, ratio(update_right, update_total, "update_op"), *collections)


def recall_at_k(
    labels: Any, predictions: Any, k: int, class_id: int | None = None, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The share of the labels [batch, number] among the ``k`` classes of the highest predictions."""
    both = (metrics_collections, updates_collections)
    return _share(f"recall_at_{k}", labels, _top(predictions, k, labels), class_id, weights, both, name, True)


def precision_at_k(
    labels: Any, predictions: Any, k: int, class_id: int | None = None, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The share of labels among the ``k`` classes of the highest predictions."""
    both = (metrics_collections, updates_collections)
    return _share(f"precision_at_{k}", labels, _top(predictions, k, labels), class_id, weights, both, name, False)


def recall_at_top_k(
    labels: Any, predictions_idx: Any, k: int | None = None, class_id: int | None = None, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """``recall_at_k`` of classes that are ranked already."""
    ranked = cast(tensor(predictions_idx, None, labels), dtype=int64)
    both = (metrics_collections, updates_collections)
    return _share(f"recall_at_{k}", labels, ranked, class_id, weights, both, name, True)


def precision_at_top_k(
    labels: Any, predictions_idx: Any, k: int | None = None, class_id: int | None = None, weights: Any = None,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """``precision_at_k`` of classes that are ranked already."""
    ranked = cast(tensor(predictions_idx, None, labels), dtype=int64)
    both = (metrics_collections, updates_collections)
    return _share(f"precision_at_{k}", labels, ranked, class_id, weights, both, name, False)


def average_precision_at_k(
    labels: Any, predictions: Any, k: int, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The mean over examples of the precision at each rank that holds a label, up to ``k``."""
    ranked = _top(predictions, k, labels)
    given = _rows(labels, ranked)
    hits = cast(_matches(given, ranked), dtype=float32)
    ranks = add(cast(arange(int(k)), dtype=float32), 1.0)
    total = sum_over(multiply(hits, cumsum(hits, axis=-1) / ranks), axis=-1)
    relevant = minimum(sum_over(cast(greater_equal(given, 0), dtype=float32), axis=-1), float(k))
    return mean(
        ratio(total, relevant), weights, metrics_collections, updates_collections, name or f"average_precision_at_{k}"
    )


sparse_average_precision_at_k, sparse_precision_at_k = average_precision_at_k, precision_at_k

__all__ = [
    "average_precision_at_k", "precision_at_k", "precision_at_top_k", "recall_at_k", "recall_at_top_k",
    "sparse_average_precision_at_k", "sparse_precision_at_k",
]  # fmt: skip
