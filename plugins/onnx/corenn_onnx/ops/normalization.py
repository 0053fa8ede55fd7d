"""Normalisation."""

from __future__ import annotations

from typing import Any

import corenn
from corenn import nn
from corenn.tensor import Tensor
from corenn_onnx.ops._common import NARROW, of_onnx, positive
from corenn_onnx.table import onnx_op


def _channels(v: Tensor, rank: int) -> Tensor:
    return corenn.reshape(v, shape=(1, -1, *[1] * (rank - 2)))


@onnx_op("BatchNormalization")
def batch_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *, node: Any, epsilon: float = 1e-5,
    momentum: float = 0.9, training_mode: int = 0, spatial: int = 1, is_test: int = 0, consumed_inputs: Any = None,
) -> Any:  # fmt: skip
    """With given statistics; in training mode with those of the batch, giving the next moving ones."""
    if not spatial:
        raise node.unsupported("statistics of each element (spatial=0)")
    if not training_mode and len({v.dtype for v in (x, scale, bias, mean, variance)}) == 1:
        return nn.batch_norm_inference(x, scale, bias, mean, variance, axis=1, epsilon=epsilon)
    rank = len(x.shape)
    wide = x.cast(mean.dtype) if x.dtype in NARROW else x
    if training_mode:
        axes = (0, *range(2, rank))
        found = corenn.mean(wide, axis=axes)
        spread = corenn.variance(wide, axis=axes)
        running = mean * momentum + found * (1 - momentum), variance * momentum + spread * (1 - momentum)
        mean, variance = found, spread
    steps = corenn.rsqrt(corenn.add(variance, epsilon))
    y = (wide - _channels(mean, rank)) * _channels(steps.cast(wide.dtype), rank)
    y = (y * _channels(scale.cast(wide.dtype), rank) + _channels(bias.cast(wide.dtype), rank)).cast(x.dtype)
    return (y, *running) if training_mode else y


@onnx_op("InstanceNormalization")
def instance_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5, consumed_inputs: Any = None
) -> Tensor:
    """Each channel of each example to mean 0 and variance 1."""
    return nn.instance_norm(x, scale, bias, axis=1, epsilon=epsilon)


@onnx_op("GroupNormalization", since=21)
def group_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, *, node: Any, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """Each group of channels of each example to mean 0 and variance 1; scale and bias for each channel."""
    rank = len(x.shape)
    y = _grouped(x, num_groups, epsilon, of_onnx(stash_type, node))
    return y * _channels(scale, rank) + _channels(bias, rank)


@onnx_op("GroupNormalization", since=18)
def group_normalization_groups(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5
) -> Tensor:
    """Before opset 21 scale and bias are one for each group."""
    rank, each = len(x.shape), x.shape[1] // num_groups
    y = _grouped(x, num_groups, epsilon, x.dtype)
    scale, bias = (corenn.repeat(v, repeats=each) for v in (scale, bias))
    return y * _channels(scale, rank) + _channels(bias, rank)


def _grouped(x: Tensor, groups: int, epsilon: float, stash: Any) -> Tensor:
    parts = corenn.reshape(x, shape=(x.shape[0], groups, -1)).cast(stash)
    return corenn.reshape(nn.layer_norm(parts, axis=-1, epsilon=epsilon), shape=x.shape).cast(x.dtype)


@onnx_op("LayerNormalization")
def layer_normalization(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, *, node: Any, axis: int = -1, epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Any:  # fmt: skip
    """Each example to mean 0 and variance 1 over the axes from ``axis`` on; also the mean and 1 / deviation."""
    axes = tuple(range(positive(axis, len(x.shape)), len(x.shape)))
    stash = of_onnx(stash_type, node)
    fits = all(v is None or v.shape == x.shape[axes[0] :] for v in (scale, bias))
    if fits and x.dtype is stash and not node.wanted(1) and not node.wanted(2):
        return nn.layer_norm(x, scale, bias, axis=axes, epsilon=epsilon)
    wide = x.cast(stash)
    mean = corenn.mean(wide, axis=axes, keepdims=True)
    centred = wide - mean
    inverse = corenn.rsqrt(corenn.mean(corenn.square(centred), axis=axes, keepdims=True) + epsilon)
    y = (centred * inverse).cast(x.dtype) * scale
    return (y if bias is None else y + bias), mean, inverse


@onnx_op("RMSNormalization")
def rms_normalization(
    x: Tensor, scale: Tensor, *, node: Any, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """Each example divided by its root mean square over the axes from ``axis`` on."""
    axes = tuple(range(positive(axis, len(x.shape)), len(x.shape)))
    wide = x.cast(of_onnx(stash_type, node))
    inverse = corenn.rsqrt(corenn.mean(corenn.square(wide), axis=axes, keepdims=True) + epsilon)
    return (wide * inverse).cast(x.dtype) * scale


@onnx_op("LpNormalization")
def lp_normalization(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """Vectors along an axis divided by their 1- or 2-norm; zeros stay."""
    if p == 1:
        norm = corenn.sum(corenn.abs(x), axis=axis, keepdims=True)
    else:
        norm = corenn.sqrt(corenn.sum(corenn.square(x), axis=axis, keepdims=True))
    return corenn.divide(x, corenn.where(corenn.equal(norm, 0), corenn.ones_like(norm), norm))


@onnx_op("LRN")
def lrn(x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Tensor:
    """Divided by a power of the sum of squares over neighbouring channels."""
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    widths = [(0, 0)] * len(x.shape)
    widths[1] = before, after
    squares = corenn.pad(corenn.square(x), widths=tuple(widths))
    channels = x.shape[1]
    total = squares[:, 0:channels]
    for i in range(1, size):
        total = total + squares[:, i : i + channels]
    return corenn.divide(x, corenn.power(total * (alpha / size) + bias, beta))
