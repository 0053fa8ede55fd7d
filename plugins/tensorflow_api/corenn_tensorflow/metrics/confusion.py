"""Counts of right and wrong decisions: precision, recall, area under a curve, at one threshold or at many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corenn.dtypes import bool_, float32
from corenn.errors import AttributeValueError
from corenn.ops.elementwise import abs as absolute
from corenn.ops.elementwise import add, cast, divide, maximum, multiply, subtract, where
from corenn.ops.gathering import gather
from corenn.ops.logic import greater, less_equal, logical_and, logical_not
from corenn.ops.reduction import argmax, argmin
from corenn.ops.reduction import min as min_over
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import reshape
from corenn.ops.transcendental import log
from corenn.tensor import Tensor
from corenn_tensorflow.metrics.common import Pair, counter, finished, floats, opened, ratio, spread, together
from corenn_tensorflow.mode import one
from corenn_tensorflow.operands import tensor

_TINY = 1e-7


def _decisions(where_: str, labels: Any, predictions: Any) -> tuple[Tensor, Tensor]:
    given, found = together(where_, labels, predictions)
    return cast(given, dtype=bool_), cast(found, dtype=bool_)


def _counted(default: str, which: tuple[bool, bool]) -> Any:
    """A metric that counts examples whose label and prediction are as ``which`` says."""

    def metric(
        labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
        updates_collections: Any = None, name: str | None = None,
    ) -> Pair:  # fmt: skip
        with opened(name, default):
            given, found = _decisions(default, labels, predictions)
            chosen = logical_and(given if which[0] else logical_not(given), found if which[1] else logical_not(found))
            values = cast(chosen, dtype=float32)
            if weights is not None:
                values = multiply(values, spread(weights, values))
            count = counter("count")
            update = count.assign_add(sum_over(values))
            return finished(count.value(), update, metrics_collections, updates_collections)

    metric.__name__, metric.__doc__ = (
        default,
        f"The number of {default.replace('_', ' ')} (weighted, if there are weights).",
    )
    return metric


true_positives, false_negatives = _counted("true_positives", (True, True)), _counted("false_negatives", (True, False))
false_positives, true_negatives = _counted("false_positives", (False, True)), _counted("true_negatives", (False, False))


def precision(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The share of the positive predictions that are right."""
    with opened(name, "precision"):
        right, update_right = true_positives(labels, predictions, weights)
        wrong, update_wrong = false_positives(labels, predictions, weights)
        value = ratio(right, add(right, wrong), "value")
        update = ratio(update_right, add(update_right, update_wrong), "update_op")
        return finished(value, update, metrics_collections, updates_collections)


def recall(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The share of the positive labels that are found."""
    with opened(name, "recall"):
        right, update_right = true_positives(labels, predictions, weights)
        missed, update_missed = false_negatives(labels, predictions, weights)
        value = ratio(right, add(right, missed), "value")
        update = ratio(update_right, add(update_right, update_missed), "update_op")
        return finished(value, update, metrics_collections, updates_collections)


# ---------------------------------------------------------------- at many thresholds

_KINDS = {"tp": ("true_positives", True, True), "fn": ("false_negatives", True, False),
          "fp": ("false_positives", False, True), "tn": ("true_negatives", False, False)}  # fmt: skip


def _at(
    where_: str, labels: Any, predictions: Any, thresholds: Sequence[float], weights: Any, kinds: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Counts at each threshold, of the kinds asked for: values, and their updates."""
    given, found = together(where_, labels, predictions)
    scores = reshape(floats(found), shape=(1, -1))
    truth = reshape(cast(given, dtype=bool_), shape=(1, -1))
    above = greater(scores, reshape(tensor([float(t) for t in thresholds], float32, scores), shape=(-1, 1)))
    heavy = None if weights is None else reshape(spread(weights, floats(given)), shape=(1, -1))
    values, updates = {}, {}
    for kind in kinds.split():
        name, label, decision = _KINDS[kind]
        chosen = logical_and(truth if label else logical_not(truth), above if decision else logical_not(above))
        counts = cast(chosen, dtype=float32)
        counts = counts if heavy is None else multiply(counts, heavy)
        held = counter(name, (len(thresholds),))
        updates[kind] = held.assign_add(sum_over(counts, axis=1))
        values[kind] = held.value()
    return values, updates


def _counted_at(default: str, kind: str) -> Any:
    def metric(
        labels: Any, predictions: Any, thresholds: Any, weights: Any = None, metrics_collections: Any = None,
        updates_collections: Any = None, name: str | None = None,
    ) -> Pair:  # fmt: skip
        with opened(name, default):
            values, updates = _at(default, labels, predictions, list(thresholds), weights, kind)
            return finished(values[kind], updates[kind], metrics_collections, updates_collections)

    metric.__name__ = f"{default}_at_thresholds"
    metric.__doc__ = f"The number of {default.replace('_', ' ')} at each threshold."
    return metric


true_positives_at_thresholds = _counted_at("true_positives", "tp")
false_negatives_at_thresholds = _counted_at("false_negatives", "fn")
false_positives_at_thresholds = _counted_at("false_positives", "fp")
true_negatives_at_thresholds = _counted_at("true_negatives", "tn")


def _share_at(default: str, other: str) -> Any:
    short = default.partition("_")[0]

    def metric(
        labels: Any, predictions: Any, thresholds: Any, weights: Any = None, metrics_collections: Any = None,
        updates_collections: Any = None, name: str | None = None,
    ) -> Pair:  # fmt: skip
        def share(counts: dict[str, Any], op_name: str) -> Tensor:
            return one("RealDiv", op_name, divide, counts["tp"], add(add(counts["tp"], counts[other]), _TINY))

        with opened(name, default):
            values, updates = _at(default, labels, predictions, list(thresholds), weights, f"tp {other}")
            return finished(
                share(values, f"{short}_value"), share(updates, f"{short}_update_op"), metrics_collections,
                updates_collections,
            )  # fmt: skip

    metric.__name__, metric.__doc__ = default, f"The {short} at each threshold."
    return metric


precision_at_thresholds = _share_at("precision_at_thresholds", "fp")
recall_at_thresholds = _share_at("recall_at_thresholds", "fn")


def _thresholds(count: int) -> list[float]:
    return [-_TINY, *[(i + 1) / (count - 1) for i in range(count - 2)], 1 + _TINY]


def auc(
    labels: Any, predictions: Any, weights: Any = None, num_thresholds: int = 200, metrics_collections: Any = None,
    updates_collections: Any = None, curve: str = "ROC", name: str | None = None,
    summation_method: str = "trapezoidal", thresholds: Any = None,
) -> Pair:  # fmt: skip
    """The area under the ``"ROC"`` or ``"PR"`` curve, approximated at ``num_thresholds`` thresholds."""
    if curve not in ("ROC", "PR"):
        raise AttributeValueError(
            "tf.metrics.auc", f"curve must be either ROC or PR, {curve} unknown", {"curve": curve}
        )
    if summation_method not in ("trapezoidal", "careful_interpolation", "minoring", "majoring"):
        raise AttributeValueError("tf.metrics.auc", f"Invalid summation_method: {summation_method}")
    limits = _thresholds(num_thresholds) if thresholds is None else [-_TINY, *sorted(thresholds), 1 + _TINY]
    with opened(name, "auc"):
        values, updates = _at("auc", labels, predictions, limits, weights, "tp fn tn fp")
        return finished(
            _area(values, curve, summation_method, "value"), _area(updates, curve, summation_method, "update_op"),
            metrics_collections, updates_collections,
        )  # fmt: skip


def _area(counts: dict[str, Any], curve: str, method: str, name: str) -> Tensor:
    tiny = 1e-6
    tp, fn, tn, fp = (counts[k] for k in ("tp", "fn", "tn", "fp"))
    if method == "careful_interpolation" and curve == "PR":
        return _interpolated(tp, fp, fn, name)
    found = divide(add(tp, tiny), add(add(tp, fn), tiny))
    if curve == "ROC":
        x, y = divide(fp, add(add(fp, tn), tiny)), found
    else:
        x, y = found, divide(add(tp, tiny), add(add(tp, fp), tiny))
    widths = subtract(x[:-1], x[1:])
    if method == "minoring":
        heights = where(greater(y[:-1], y[1:]), y[1:], y[:-1])
    elif method == "majoring":
        heights = maximum(y[:-1], y[1:])
    else:
        heights = multiply(add(y[:-1], y[1:]), 0.5)
    return one("Sum", name, sum_over, multiply(widths, heights))


def _interpolated(tp: Tensor, fp: Tensor, fn: Tensor, name: str) -> Tensor:
    """Davis & Goadrich (2006): between two thresholds the numbers of true and false positives are linear."""
    gained = subtract(tp[:-1], tp[1:])
    positive = add(tp, fp)
    steps = subtract(positive[:-1], positive[1:])
    slope = ratio(gained, maximum(steps, 0.0))
    intercept = subtract(tp[1:], multiply(slope, positive[1:]))
    both = logical_and(greater(positive[:-1], 0.0), greater(positive[1:], 0.0))
    quotient = where(both, divide(positive[:-1], where(both, positive[1:], 1.0)), 1.0)
    areas = multiply(slope, add(gained, multiply(intercept, log(quotient))))
    return one("Sum", name, sum_over, ratio(areas, maximum(add(tp[1:], fn[1:]), 0.0)))


def sensitivity_at_specificity(
    labels: Any, predictions: Any, specificity: float, weights: Any = None, num_thresholds: int = 200,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The recall at the threshold whose specificity is nearest to the one given."""
    with opened(name, "sensitivity_at_specificity"):
        values, updates = _at(
            "sensitivity_at_specificity", labels, predictions, _thresholds(num_thresholds), weights, "tp fn tn fp"
        )

        def compute(c: dict[str, Any], op_name: str) -> Tensor:
            specificities = divide(c["tn"], add(add(c["tn"], c["fp"]), _TINY))
            place = argmin(absolute(subtract(specificities, float(specificity))))
            return one("RealDiv", op_name, gather, divide(c["tp"], add(add(c["tp"], c["fn"]), _TINY)), place)

        return finished(
            compute(values, "value"), compute(updates, "update_op"), metrics_collections, updates_collections
        )


def specificity_at_sensitivity(
    labels: Any, predictions: Any, sensitivity: float, weights: Any = None, num_thresholds: int = 200,
    metrics_collections: Any = None, updates_collections: Any = None, name: str | None = None,
) -> Pair:  # fmt: skip
    """The specificity at the highest threshold of those whose recall is nearest to the one given."""
    with opened(name, "specificity_at_sensitivity"):
        values, updates = _at(
            "specificity_at_sensitivity", labels, predictions, _thresholds(num_thresholds), weights, "tp fn tn fp"
        )

        def compute(c: dict[str, Any], op_name: str) -> Tensor:
            recalls = divide(c["tp"], add(add(c["tp"], c["fn"]), _TINY))
            apart = absolute(subtract(recalls, float(sensitivity)))
            nearest = cast(less_equal(apart, min_over(apart)), dtype="int32")
            order = multiply(nearest, tensor(list(range(1, num_thresholds + 1)), "int32", apart))
            place = argmax(order)
            return one("RealDiv", op_name, gather, divide(c["tn"], add(add(c["tn"], c["fp"]), _TINY)), place)

        return finished(
            compute(values, "value"), compute(updates, "update_op"), metrics_collections, updates_collections
        )


__all__ = [
    "auc", "false_negatives", "false_negatives_at_thresholds", "false_positives", "false_positives_at_thresholds",
    "precision", "precision_at_thresholds", "recall", "recall_at_thresholds", "sensitivity_at_specificity",
    "specificity_at_sensitivity", "true_negatives", "true_negatives_at_thresholds", "true_positives",
    "true_positives_at_thresholds",
]  # fmt: skip
