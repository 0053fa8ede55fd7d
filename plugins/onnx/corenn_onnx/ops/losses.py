"""Losses: the negative log likelihood, and the cross entropy of a softmax."""

from __future__ import annotations

from typing import Any

import corenn
from corenn import dtypes, nn
from corenn.tensor import Tensor
from corenn_onnx.table import onnx_op


def _negative_log_likelihood(
    log_probability: Tensor, labels: Tensor, weight: Tensor | None, ignore_index: int | None, reduction: str
) -> Tensor:
    """The mean (by weight), the sum, or each of the negated log probabilities [n, classes, ...] of the labels."""
    whole = labels.cast(dtypes.int64)
    counted: Any = None
    if ignore_index is not None:
        counted = corenn.not_equal(whole, ignore_index)
        whole = corenn.where(counted, whole, corenn.zeros_like(whole))
    picked = corenn.take_along_axis(log_probability, corenn.expand_dims(whole, axis=1), axis=1)
    loss = -corenn.squeeze(picked, axis=1)
    shares = corenn.ones_like(loss) if weight is None else corenn.gather(weight, whole, axis=0)
    if counted is not None:
        shares = shares * counted.cast(shares.dtype)
    loss = loss * shares
    if reduction == "none":
        return loss
    total = corenn.sum(loss)
    return total if reduction == "sum" else corenn.divide(total, corenn.sum(shares))


@onnx_op("NegativeLogLikelihoodLoss")
def negative_log_likelihood_loss(
    x: Tensor, labels: Tensor, weight: Tensor | None = None, *, ignore_index: int | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Of log probabilities [n, classes, ...]."""
    return _negative_log_likelihood(x, labels, weight, ignore_index, reduction)


@onnx_op("SoftmaxCrossEntropyLoss")
def softmax_cross_entropy_loss(
    x: Tensor, labels: Tensor, weight: Tensor | None = None, *, ignore_index: int | None = None,
    reduction: str = "mean",
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Of scores [n, classes, ...]; also the log probabilities."""
    log_probability = nn.log_softmax(x, axis=1)
    return _negative_log_likelihood(log_probability, labels, weight, ignore_index, reduction), log_probability
