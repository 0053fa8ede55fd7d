"""Regularisers: functions of weights whose sum is added to the loss."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

from corenn.ops.elementwise import abs as absolute
from corenn.ops.elementwise import add, multiply
from corenn.ops.reduction import sum as sum_over
from corenn_tensorflow.framework import GraphKeys
from corenn_tensorflow.mode import default_graph, one, scope
from corenn_tensorflow.nn.normalization import l2_loss
from corenn_tensorflow.operands import tensor

Regularizer = Callable[[Any], Any]


def _checked(scale: Any) -> float:
    if isinstance(scale, numbers.Integral):
        raise ValueError(f"scale cannot be an integer: {scale}")
    if isinstance(scale, numbers.Real) and scale < 0.0:
        raise ValueError(f"Setting a scale less than 0 on a regularizer: {scale:g}")
    return scale  # type: ignore[no-any-return]


def l1_regularizer(scale: float, scope: str | None = None) -> Regularizer:
    """``scale * sum(|w|)``; ``None`` for a scale of 0."""
    factor = _checked(scale)
    if factor == 0.0:
        return lambda weights: None

    def l1(weights: Any, name: str | None = None) -> Any:
        with _named(name or scope, "l1_regularizer", weights):
            return one("Mul", "l1_regularizer", multiply, sum_over(absolute(tensor(weights))), factor)

    return l1


def l2_regularizer(scale: float, scope: str | None = None) -> Regularizer:
    """``scale * sum(w ** 2) / 2``; ``None`` for a scale of 0."""
    factor = _checked(scale)
    if factor == 0.0:
        return lambda weights: None

    def l2(weights: Any) -> Any:
        with _named(scope, "l2_regularizer", weights):
            return one("Mul", "l2_regularizer", multiply, l2_loss(weights), factor)

    return l2


def l1_l2_regularizer(scale_l1: float = 1.0, scale_l2: float = 1.0, scope: str | None = None) -> Regularizer:
    """The sum of both."""
    return sum_regularizer([l1_regularizer(scale_l1), l2_regularizer(scale_l2)], scope)


def sum_regularizer(regularizer_list: Any, scope: str | None = None) -> Regularizer:
    """The sum of several."""
    kept = [r for r in regularizer_list if r is not None]

    def total(weights: Any) -> Any:
        with _named(scope, "sum_regularizer", weights):
            parts = [found for found in (r(weights) for r in kept) if found is not None]
            result = parts[0] if parts else None
            for part in parts[1:]:
                result = add(result, part)
            return result

    return total


def apply_regularization(regularizer: Regularizer, weights_list: Any = None) -> Any:
    """The sum over the weights (default: the collection of weights), which is kept as a regularisation loss."""
    graph = default_graph()
    weights = list(weights_list) if weights_list else graph.get_collection(GraphKeys.WEIGHTS)
    if not weights:
        raise ValueError("No weights to regularize.")
    with graph.as_default(), graph.name_scope("get_regularization_penalty"):
        parts = [tensor(0.0) if found is None else found for found in map(regularizer, weights)]
        total = parts[0]
        for part in parts[1:]:
            total = add(total, part)
        graph.add_to_collection(GraphKeys.REGULARIZATION_LOSSES, total)
        return total


_named = scope

__all__ = ["apply_regularization", "l1_l2_regularizer", "l1_regularizer", "l2_regularizer", "sum_regularizer"]
