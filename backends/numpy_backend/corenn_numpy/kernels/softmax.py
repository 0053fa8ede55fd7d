"""Softmax and cross-entropies over the last axis, block by block: each array is read or written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corenn.backend import Kernel
from corenn.errors import ShapeError
from corenn.spec import Spec
from corenn_numpy.kernels._rows import Array, as_rows, blocks, row_dot, row_max, row_sum

Integers = np.ndarray[Any, Any]


def _last(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    """Whether the axis is the last, and not empty, of the last operand (which is the largest)."""
    spec = specs[-1]
    return spec is not None and attrs["axis"] == spec.ndim - 1 and bool(spec.shape[-1])


def _powers(x: Array, out: Array) -> Array:
    """``out = exp(x - max)`` by rows; returns the maxima as a column."""
    top = row_max(x)[:, None]
    np.subtract(x, top, out=out)
    np.exp(out, out=out)
    return top


def _softmax(x: Array, out: Array) -> None:
    _powers(x, out)
    out *= (1 / row_sum(out))[:, None]


def softmax(x: Array, *, axis: int) -> Array:
    """See the op."""
    rows = as_rows(x, x.shape[-1])
    out = np.empty_like(rows)
    for part in blocks(*rows.shape):
        _softmax(rows[part], out[part])
    return out.reshape(x.shape)


def softmax_grad(g: Array, y: Array, *, axis: int) -> Array:
    """See the op."""
    slopes, rows = as_rows(g, y.shape[-1]), as_rows(y, y.shape[-1])
    out = np.empty_like(rows)
    for part in blocks(*rows.shape):
        weighted = row_dot(slopes[part], rows[part])
        np.subtract(slopes[part], weighted[:, None], out=out[part])
        out[part] *= rows[part]
    return out.reshape(y.shape)


def log_softmax(x: Array, *, axis: int) -> Array:
    """See the op."""
    rows = as_rows(x, x.shape[-1])
    out = np.empty_like(rows)
    for part in blocks(*rows.shape):
        np.subtract(rows[part], row_max(rows[part])[:, None], out=out[part])
        out[part] -= np.log(row_sum(np.exp(out[part])))[:, None]
    return out.reshape(x.shape)


def softmax_cross_entropy(labels: Array, logits: Array, *, axis: int) -> Array:
    """See the op."""
    wanted, rows = as_rows(labels, logits.shape[-1]), as_rows(logits, logits.shape[-1])
    loss = np.empty(rows.shape[0], rows.dtype)
    for part in blocks(*rows.shape):
        shifted = rows[part] - row_max(rows[part])[:, None]
        own = row_dot(wanted[part], shifted)
        np.exp(shifted, out=shifted)
        loss[part] = row_sum(wanted[part]) * np.log(row_sum(shifted)) - own
    return loss.reshape(logits.shape[:-1])


def softmax_cross_entropy_grad(g: Array, labels: Array, logits: Array, *, axis: int) -> Array:
    """See the op."""
    wanted, rows = as_rows(labels, logits.shape[-1]), as_rows(logits, logits.shape[-1])
    slopes, out = g.reshape(-1, 1), np.empty_like(rows)
    for part in blocks(*rows.shape):
        p = out[part]
        _powers(rows[part], p)
        p *= (row_sum(wanted[part]) / row_sum(p))[:, None]
        p -= wanted[part]
        p *= slopes[part]
    return out.reshape(logits.shape)


def _positions(labels: Integers, classes: int, op: str) -> Integers:
    """Labels in one line, as positions; ShapeError for one that is no class."""
    flat = labels.reshape(-1)
    if flat.size:
        low, high = int(flat.min()), int(flat.max())
        if low < 0 or high >= classes:
            what = f"there is a label {low if low < 0 else high}, and there are {classes} classes"
            raise ShapeError(op, what, {"labels": f"must be 0 to {classes - 1}"})
    return flat.astype(np.intp, copy=False)


def sparse_softmax_cross_entropy(labels: Integers, logits: Array, *, axis: int) -> Array:
    """See the op."""
    rows = as_rows(logits, logits.shape[-1])
    classes = _positions(labels, rows.shape[1], "sparse_softmax_cross_entropy")
    loss = np.empty(rows.shape[0], rows.dtype)
    for part in blocks(*rows.shape):
        block = rows[part]
        own = block[np.arange(block.shape[0]), classes[part]]
        powers = np.empty_like(block)
        top = _powers(block, powers)[:, 0]
        loss[part] = np.log(row_sum(powers)) + (top - own)
    return loss.reshape(labels.shape)


def sparse_softmax_cross_entropy_grad(g: Array, labels: Integers, logits: Array, *, axis: int) -> Array:
    """See the op."""
    rows = as_rows(logits, logits.shape[-1])
    classes = _positions(labels, rows.shape[1], "sparse_softmax_cross_entropy_grad")
    slopes, out = g.reshape(-1, 1), np.empty_like(rows)
    for part in blocks(*rows.shape):
        p = out[part]
        _softmax(rows[part], p)
        p[np.arange(p.shape[0]), classes[part]] -= 1
        p *= slopes[part]
    return out.reshape(logits.shape)


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    kernel.__name__: Kernel(kernel, when=_last)
    for kernel in (
        softmax, softmax_grad, log_softmax, softmax_cross_entropy, softmax_cross_entropy_grad,
        sparse_softmax_cross_entropy, sparse_softmax_cross_entropy_grad,
    )
}  # fmt: skip
