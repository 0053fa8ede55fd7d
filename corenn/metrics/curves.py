"""The area under the receiver operating characteristic and under the precision-recall curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from corenn.errors import AttributeValueError
from corenn.metrics.base import ratio, register
from corenn.metrics.confusion import ThresholdMetric
from corenn.ops.activations import sigmoid
from corenn.ops.elementwise import maximum, minimum, where
from corenn.ops.logic import greater, logical_and
from corenn.ops.reduction import sum as sum_over
from corenn.ops.table import TensorLike
from corenn.ops.transcendental import log
from corenn.tensor import Tensor

Curve = Literal["ROC", "PR"]
Summation = Literal["interpolation", "minoring", "majoring"]


@register("auc")
class AUC(ThresholdMetric):
    """Area under a curve of decisions at many thresholds, for scores in [0, 1] and labels 0 and 1.

    ``curve``: ``"ROC"`` (recall over false-positive rate) or ``"PR"`` (precision over recall).  ``num_thresholds``:
    evenly spaced in [0, 1], with one just below 0 and one just above 1; more give a closer value; or give those
    strictly inside (0, 1) as ``thresholds``.  ``summation_method``: trapezoids for ROC and the interpolation of Davis
    and Goadrich (2006) for PR, or the lower or upper sums.  ``from_logits``: scores are arguments of a sigmoid.
    """

    better = "max"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: Curve = "ROC",
        summation_method: Summation = "interpolation",
        thresholds: Sequence[float] | None = None,
        from_logits: bool = False,
        name: str | None = None,
    ) -> None:
        if curve not in ("ROC", "PR"):
            raise AttributeValueError("AUC", f"curve {curve!r} is neither 'ROC' nor 'PR'")
        if summation_method not in ("interpolation", "minoring", "majoring"):
            what = f"summation_method {summation_method!r} is not 'interpolation', 'minoring' or 'majoring'"
            raise AttributeValueError("AUC", what)
        if thresholds is None and not num_thresholds >= 2:
            raise AttributeValueError("AUC", "num_thresholds must be at least 2", {"num_thresholds": num_thresholds})
        if thresholds is not None and any(not 0 < t < 1 for t in thresholds):
            raise AttributeValueError("AUC", "thresholds must lie strictly inside (0, 1)", {"thresholds": thresholds})
        inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)] if thresholds is None else thresholds
        super().__init__([-1e-7, *inner, 1.0 + 1e-7], name=name)
        self.num_thresholds, self.thresholds = int(num_thresholds), None if thresholds is None else tuple(thresholds)
        self.curve, self.summation_method, self.from_logits = curve, summation_method, bool(from_logits)

    def accumulate(self, y_true: TensorLike, y_pred: Tensor, weight: TensorLike | None) -> None:
        """Count a batch."""
        super().accumulate(y_true, sigmoid(y_pred) if self.from_logits else y_pred, weight)

    def result(self) -> Tensor:
        """The area, 0-d; 0 before the first batch."""
        hits, false_positives, true_negatives, false_negatives = self.counts()
        recall = ratio(hits, hits + false_negatives)
        if self.curve == "PR":
            if self.summation_method == "interpolation":
                return _interpolated(hits, false_positives, false_negatives)
            across, up = recall, ratio(hits, hits + false_positives)
        else:
            across, up = ratio(false_positives, false_positives + true_negatives), recall
        left, right = up[:-1], up[1:]
        if self.summation_method == "interpolation":
            heights = (left + right) * 0.5
        else:
            heights = (minimum if self.summation_method == "minoring" else maximum)(left, right)
        return sum_over((across[:-1] - across[1:]) * heights)


def _interpolated(hits: Tensor, false_positives: Tensor, false_negatives: Tensor) -> Tensor:
    """The area under the PR curve with hits and false positives interpolated linearly between thresholds.

    Between two points precision is (slope * calls + intercept) / calls for calls in between, whose integral over recall
    has the logarithm (Davis and Goadrich 2006, "The relationship between precision-recall and ROC curves").
    """
    calls = hits + false_positives
    more_hits = hits[:-1] - hits[1:]
    slope = ratio(more_hits, maximum(calls[:-1] - calls[1:], 0.0))
    intercept = hits[1:] - slope * calls[1:]
    both = logical_and(greater(calls[:-1], 0), greater(calls[1:], 0))
    growth = where(both, ratio(calls[:-1], calls[1:]), 1.0)
    area = slope * (more_hits + intercept * log(growth))
    return sum_over(ratio(area, hits[1:] + false_negatives[1:]))


__all__ = ["AUC"]
