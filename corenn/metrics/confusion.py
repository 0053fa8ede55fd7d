"""Metrics of decisions: positives and negatives at thresholds, precision, recall, F scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from corenn import dtypes
from corenn.errors import AttributeValueError, ShapeError, UsageError
from corenn.losses.functions import beside, class_labels, matched
from corenn.losses.objects import aligned_weight
from corenn.metrics.base import Metric, ratio, register
from corenn.ops.arranging import diagonal
from corenn.ops.creation import ones, ones_like, tensor, zeros
from corenn.ops.cumulative import cumsum
from corenn.ops.elementwise import stop_gradient, where
from corenn.ops.logic import equal, greater, isnan, logical_and
from corenn.ops.reduction import argmax, mean
from corenn.ops.reduction import max as max_over
from corenn.ops.reduction import min as min_over
from corenn.ops.reduction import sum as sum_over
from corenn.ops.scatter import one_hot
from corenn.ops.segments import segment_sum
from corenn.ops.shaping import broadcast_to, reshape
from corenn.ops.sorting import searchsorted, top_k
from corenn.ops.table import TensorLike
from corenn.tensor import Tensor

Average = Literal["micro", "macro", "weighted"]


class ThresholdMetric(Metric):
    """Base of metrics that count decisions "``y_pred > threshold``" against labels 0 and 1.

    ``thresholds``: increasing; a float, floats, or None for 0.5.  The state has, for every threshold, the weight of
    true positives and of predicted positives, and once that of labelled positives and of everything.
    """

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        if top_k is not None and not top_k >= 1:
            raise AttributeValueError(type(self).__name__, "top_k must be at least 1", {"top_k": top_k})
        self._set_cuts(thresholds)

    def _set_cuts(self, thresholds: float | Sequence[float] | None) -> None:
        self._single = thresholds is None or isinstance(thresholds, (int, float))
        if thresholds is None:
            self._cuts = [-np.inf if self.top_k is not None else 0.5]
        else:
            self._cuts = [float(t) for t in ([thresholds] if isinstance(thresholds, (int, float)) else thresholds)]
        if not self._cuts or any(b <= a for a, b in zip(self._cuts, self._cuts[1:], strict=False)):
            shown = {"thresholds": thresholds}
            raise AttributeValueError(type(self).__name__, "thresholds must be one or more increasing numbers", shown)

    def accumulate(self, y_true: TensorLike, y_pred: Tensor, weight: TensorLike | None) -> None:
        """Count a batch."""
        y, p = matched(self.name, y_true, y_pred)
        w = None if weight is None else broadcast_to(aligned_weight(weight, p), shape=p.shape)
        if self.top_k is not None:
            p = _only_top(p, self.top_k)
        if self.class_id is not None:
            y, p = y[..., self.class_id], p[..., self.class_id]
            w = None if w is None else w[..., self.class_id]
        y, p = reshape(y, shape=(-1,)), reshape(p, shape=(-1,))
        w = ones_like(p) if w is None else reshape(w, shape=(-1,))
        positive = y * w
        if len(self._cuts) == 1:
            chosen = greater(p, self._cuts[0]).cast(p.dtype)
            hits, calls = (reshape(sum_over(chosen * v), shape=(1,)) for v in (positive, w))
        else:
            hits, calls = self._above(p, positive), self._above(p, w)
        for key, value in (("hits", hits), ("calls", calls), ("positives", sum_over(positive)), ("total", sum_over(w))):
            self.add(key, value)

    def _above(self, p: Tensor, weights: Tensor) -> Tensor:
        """For each threshold the weight of predictions above it, from a histogram between the thresholds."""
        cuts = tensor(np.asarray(self._cuts, p.dtype.numpy), device=p.device)
        ordered = where(isnan(p), -np.inf, p)
        below = searchsorted(cuts, ordered, side="left")  # how many thresholds a prediction exceeds
        sums = segment_sum(weights, below, num_segments=len(self._cuts) + 1)
        return cumsum(sums, axis=0, reverse=True, exclusive=True)[:-1]

    def counts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights of true positives, false positives, true negatives and false negatives, for each threshold."""
        hits, calls, positives, total = (self.state(key) for key in ("hits", "calls", "positives", "total"))
        if not self._state:
            hits = calls = zeros((len(self._cuts),))
        false_positives, false_negatives = calls - hits, positives - hits
        return hits, false_positives, total - hits - false_positives - false_negatives, false_negatives

    def shown(self, figures: Tensor) -> Tensor:
        """0-d for a single threshold, else one figure per threshold."""
        return figures[0] if self._single else figures


def _only_top(p: Tensor, k: int) -> Tensor:
    """Predictions below the k-th largest along the last axis replaced by minus infinity (-inf exceeds nothing)."""
    if k > p.shape[-1]:
        raise ShapeError("top_k", f"there are no {k} classes", {"y_pred": p.spec})
    _, places = top_k(p, k=k, axis=-1)
    kept = sum_over(one_hot(places, depth=p.shape[-1]), axis=-2)
    return where(greater(kept, 0.5), p, -np.inf)


@register("true_positives")
class TruePositives(ThresholdMetric):
    """The weight of samples labelled 1 and predicted above the threshold."""

    better = "max"

    def result(self) -> Tensor:
        """One figure, or one per threshold."""
        return self.shown(self.counts()[0])


@register("false_positives")
class FalsePositives(ThresholdMetric):
    """The weight of samples labelled 0 and predicted above the threshold."""

    better = "min"

    def result(self) -> Tensor:
        """One figure, or one per threshold."""
        return self.shown(self.counts()[1])


@register("true_negatives")
class TrueNegatives(ThresholdMetric):
    """The weight of samples labelled 0 and not predicted above the threshold."""

    better = "max"

    def result(self) -> Tensor:
        """One figure, or one per threshold."""
        return self.shown(self.counts()[2])


@register("false_negatives")
class FalseNegatives(ThresholdMetric):
    """The weight of samples labelled 1 and not predicted above the threshold."""

    better = "min"

    def result(self) -> Tensor:
        """One figure, or one per threshold."""
        return self.shown(self.counts()[3])


@register("precision")
class Precision(ThresholdMetric):
    """True positives among the predicted ones; 0 where nothing is predicted.

    ``top_k``: only the k largest predictions of a sample count as predicted (all of them, without ``thresholds``);
    ``class_id``: only this class, of the last axis, is looked at.
    """

    better = "max"

    def result(self) -> Tensor:
        """One figure, or one per threshold."""
        hits, false_positives, _, _ = self.counts()
        return self.shown(ratio(hits, hits + false_positives))


@register("recall")
class Recall(ThresholdMetric):
    """True positives among those labelled 1; 0 where nothing is.  ``top_k`` and ``class_id`` as in ``Precision``."""

    better = "max"

    def result(self) -> Tensor:
        """One figure, or one per threshold."""
        hits, _, _, false_negatives = self.counts()
        return self.shown(ratio(hits, hits + false_negatives))


@register("specificity")
class Specificity(ThresholdMetric):
    """True negatives among those labelled 0; 0 where nothing is."""

    better = "max"

    def result(self) -> Tensor:
        """One figure, or one per threshold."""
        _, false_positives, true_negatives, _ = self.counts()
        return self.shown(ratio(true_negatives, true_negatives + false_positives))


@register("fbeta_score", "f_beta")
class FBetaScore(Metric):
    """``(1 + beta**2) * precision * recall / (beta**2 * precision + recall)``, by class or averaged.

    Predictions ``[..., classes]``; labels one-hot (or several hot), or class numbers with an axis less.  ``threshold``
    None: the largest prediction of a sample is its decision; else every one above the threshold.  ``average``: None for
    one score per class, ``"macro"`` their mean, ``"weighted"`` their mean weighted by the labels, ``"micro"`` the score
    of all decisions together.
    """

    better = "max"

    def __init__(
        self,
        average: Average | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        where = type(self).__name__
        if average not in (None, "micro", "macro", "weighted"):
            raise AttributeValueError(where, f"average {average!r} is not None, 'micro', 'macro' or 'weighted'")
        if not beta > 0:
            raise AttributeValueError(where, "beta must be positive", {"beta": beta})
        self.average, self.beta, self.threshold = average, float(beta), threshold

    def accumulate(self, y_true: TensorLike, y_pred: Tensor, weight: TensorLike | None) -> None:
        """Count a batch."""
        if y_pred.ndim < 2:
            hint = "Precision and Recall take single scores"
            raise ShapeError(self.name, "predictions need a class axis", {"y_pred": y_pred.spec}, hint=hint)
        classes = y_pred.shape[-1]
        y = as_one_hot(self.name, y_true, y_pred)
        if self.threshold is None:
            p = one_hot(argmax(y_pred, axis=-1), depth=classes)
        else:
            p = greater(y_pred, self.threshold)
        y, p = y.cast(y_pred.dtype), p.cast(y_pred.dtype)
        w = None
        if weight is not None:
            w = broadcast_to(aligned_weight(weight, y), shape=y.shape)
        axes = tuple(range(y.ndim - 1))
        for key, value in (("hits", y * p), ("calls", p), ("positives", y)):
            self.add(key, sum_over(value if w is None else value * w, axis=axes))

    def result(self) -> Tensor:
        """One score, or one per class."""
        hits, calls, positives = (self.state(key) for key in ("hits", "calls", "positives"))
        if self.average == "micro" and hits.ndim:
            hits, calls, positives = sum_over(hits), sum_over(calls), sum_over(positives)
        square = self.beta**2
        scores = ratio(hits * (1.0 + square), positives * square + calls)
        if self.average == "macro":
            return mean(scores)
        if self.average == "weighted":
            return ratio(sum_over(scores * positives), sum_over(positives))
        return scores


@register("f1_score", "f1")
class F1Score(FBetaScore):
    """``FBetaScore`` with beta 1: the harmonic mean of precision and recall."""

    def __init__(self, average: Average | None = None, threshold: float | None = None, name: str | None = None) -> None:
        super().__init__(average, 1.0, threshold, name)


def as_one_hot(where: str, y_true: TensorLike, y_pred: Tensor) -> Tensor:
    """Labels of the predictions' shape; class numbers become one-hot."""
    y = beside(y_true, y_pred)
    if y.shape == y_pred.shape:
        return y
    return one_hot(class_labels(where, y, y_pred), depth=y_pred.shape[-1])


@register("confusion_matrix")
class ConfusionMatrix(Metric):
    """The weight of samples by class: rows are labels, columns predictions; ``[num_classes, num_classes]``.

    Labels: class numbers, or one-hot with ``sparse_y_true=False``.  Predictions: class numbers when they are integers,
    else scores with classes last (of which the largest counts), or single scores of class 1 against 0.5.  Samples
    labelled ``ignore_class`` are left out.
    """

    def __init__(
        self, num_classes: int, ignore_class: int | None = None, sparse_y_true: bool = True, name: str | None = None
    ) -> None:
        super().__init__(name)
        if not num_classes >= 2:
            raise AttributeValueError(type(self).__name__, "num_classes must be at least 2", {"given": num_classes})
        self.num_classes, self.ignore_class = int(num_classes), ignore_class
        self.sparse_y_true = bool(sparse_y_true)

    def update_state(self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None) -> None:
        """Take a batch into account, each sample with its weight (1 without)."""
        p = stop_gradient(y_pred if isinstance(y_pred, Tensor) else tensor(y_pred))
        self.accumulate(y_true, p, sample_weight)

    def accumulate(self, y_true: TensorLike, y_pred: Tensor, weight: TensorLike | None) -> None:
        """Count a batch."""
        count = self.num_classes
        p = self._decided(y_pred)
        y = y_true if isinstance(y_true, Tensor) else tensor(y_true, device=p.device)
        if not self.sparse_y_true:
            y = argmax(y, axis=-1)
        if y.size != p.size:
            shown = {"y_true": y.spec, "y_pred": y_pred.spec}
            hint = "labels are class numbers, or one-hot with sparse_y_true=False; integer predictions class numbers"
            raise ShapeError(self.name, "labels and predictions differ in number", shown, hint=hint)
        y, flat = reshape(y, shape=(-1,)).cast(dtypes.int64), reshape(p, shape=(-1,))
        inside = logical_and(logical_and(y >= 0, y < count), logical_and(flat >= 0, flat < count))
        cell = where(inside, y * count + flat, count * count)  # a class beyond the last must not count as another
        if self.ignore_class is not None:
            cell = where(equal(y, self.ignore_class), -1, cell)
        values = ones(p.shape, device=p.device)
        if weight is not None:
            values = broadcast_to(aligned_weight(weight, values), shape=p.shape)
        try:
            sums = segment_sum(reshape(values, shape=(-1,)), cell, num_segments=count * count)
        except ShapeError:
            seen = {"y_true": (min_over(y), max_over(y)), "y_pred": (min_over(flat), max_over(flat))}
            ranges = {name: f"classes {int(low)} to {int(high)}" for name, (low, high) in seen.items()}
            what = f"a label or prediction is none of the {count} classes"
            raise ShapeError(
                self.name, what, ranges, hint=f"num_classes={count} means classes 0 to {count - 1}"
            ) from None
        self.add("matrix", reshape(sums, shape=(count, count)))

    def _decided(self, p: Tensor) -> Tensor:
        """Predicted class numbers, int64."""
        if not p.dtype.is_floating:
            return p.cast(dtypes.int64)
        if p.ndim >= 2 and p.shape[-1] == self.num_classes:
            return argmax(p, axis=-1)
        if self.num_classes == 2:
            return greater(p, 0.5).cast(dtypes.int64)
        hint = f"scores need {self.num_classes} classes last; class numbers must be integers"
        raise UsageError(self.name, f"cannot read predictions {p.spec}", hint=hint)

    def matrix(self) -> Tensor:
        """The counts so far."""
        count = self.num_classes
        return self.state("matrix") if self._state else zeros((count, count))

    def result(self) -> Tensor:
        """The counts so far, ``[num_classes, num_classes]``."""
        return self.matrix()


@register("iou")
class IoU(ConfusionMatrix):
    """Intersection over union of classes, averaged over ``target_class_ids`` (None: all) that occur.

    For a class: ``true positives / (true positives + false positives + false negatives)``.
    """

    better = "max"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int] | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(num_classes, ignore_class, sparse_y_true, name)
        self.target_class_ids = None if target_class_ids is None else tuple(target_class_ids)
        if any(not 0 <= i < num_classes for i in self.target_class_ids or ()):
            shown = {"target_class_ids": target_class_ids}
            raise AttributeValueError(type(self).__name__, f"classes are 0 to {num_classes - 1}", shown)

    def result(self) -> Tensor:
        """The mean, 0-d."""
        matrix = self.matrix()
        hits = diagonal(matrix)
        union = sum_over(matrix, axis=0) + sum_over(matrix, axis=1) - hits
        occurs: Any = greater(union, 0).cast(matrix.dtype)
        if self.target_class_ids is not None:
            chosen = np.isin(np.arange(self.num_classes), self.target_class_ids)
            occurs = occurs * tensor(chosen, dtype=matrix.dtype, device=matrix.device)
        return ratio(sum_over(ratio(hits, union) * occurs), sum_over(occurs))


@register("mean_iou")
class MeanIoU(IoU):
    """The mean intersection over union of all classes that occur in labels or predictions."""

    def __init__(
        self, num_classes: int, ignore_class: int | None = None, sparse_y_true: bool = True, name: str | None = None
    ) -> None:
        super().__init__(num_classes, None, ignore_class, sparse_y_true, name)


__all__ = [
    "ConfusionMatrix",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "IoU",
    "MeanIoU",
    "Precision",
    "Recall",
    "Specificity",
    "ThresholdMetric",
    "TrueNegatives",
    "TruePositives",
]
