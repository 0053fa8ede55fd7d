"""Scaled dot-product attention, a few heads or a few queries at a time, so that their scores stay in the cache.

With ``causal`` the keys that no query of a block may see are not looked at, which halves the work.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from corenn.backend import Kernel
from corenn_numpy.kernels._rows import BLOCK, Array

Mask = np.ndarray[Any, Any]


class _Heads:
    """All leading axes as one axis of heads, cut into blocks of heads and queries."""

    def __init__(self, q: Array, k: Array, v: Array, mask: Mask | None, causal: bool) -> None:
        self.lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
        self.count, self.queries, self.keys = math.prod(self.lead), q.shape[-2], k.shape[-2]
        self.causal = causal
        each = self.queries * self.keys
        self.heads = max(1, BLOCK // max(1, each))
        self.rows = max(1, self.queries) if each <= BLOCK else max(16, BLOCK // self.keys)
        self.mask = None if mask is None else np.broadcast_to(mask, (*self.lead, self.queries, self.keys))
        if self.mask is not None and self.heads > 1:
            self.mask = self.flat(self.mask)

    def flat(self, x: Any) -> Any:
        """[..., n, m] as [heads, n, m]."""
        return np.broadcast_to(x, (*self.lead, *x.shape[-2:])).reshape(self.count, *x.shape[-2:])

    def blocks(self) -> Iterator[tuple[slice, slice, slice]]:
        """Heads, queries, and the keys that those queries may see."""
        for head in range(0, self.count, self.heads):
            for start in range(0, self.queries, self.rows):
                stop = min(start + self.rows, self.queries)
                seen = min(stop, self.keys) if self.causal else self.keys
                yield slice(head, head + self.heads), slice(start, stop), slice(0, seen)

    def hide(self, scores: Array, heads: slice, rows: slice, keys: slice) -> None:
        """Add the mask to scores, or put -inf where a query may not look, in place."""
        if self.mask is not None:
            if self.heads > 1:
                own = self.mask[heads, rows, keys]
            else:
                own = self.mask[np.unravel_index(heads.start, self.lead)][rows, keys]
            if own.dtype == np.bool_:
                np.copyto(scores, -np.inf, where=~own)
            else:
                scores += own
        if self.causal:
            later = np.arange(keys.stop) > np.arange(rows.start, rows.stop)[:, None]
            np.copyto(scores, -np.inf, where=later)

    def powers(self, q: Array, k: Array, heads: slice, rows: slice, keys: slice) -> tuple[Array, Array]:
        """``exp`` of the scores less their maxima, and the reciprocals of their sums; zeros for a query that sees none.

        ``q`` has been scaled.
        """
        scores = np.matmul(q[heads, rows], k[heads, keys].swapaxes(1, 2))
        self.hide(scores, heads, rows, keys)
        top = scores.max(axis=-1, keepdims=True)
        if self.mask is not None:
            top[top == -np.inf] = 0
        scores -= top
        np.exp(scores, out=scores)
        total = np.add.reduce(scores, axis=-1, keepdims=True)
        if self.mask is not None:
            total[total == 0] = 1
        return scores, 1 / total


def scaled_dot_product_attention(
    q: Array, k: Array, v: Array, mask: Mask | None, *, scale: float, causal: bool
) -> Array:
    """See the op."""
    form = _Heads(q, k, v, mask, causal)
    scaled, keys, values = form.flat(q * q.dtype.type(scale)), form.flat(k), form.flat(v)
    out = np.empty((form.count, form.queries, v.shape[-1]), q.dtype)
    for head, row, key in form.blocks():
        weights, norm = form.powers(scaled, keys, head, row, key)
        np.multiply(np.matmul(weights, values[head, key]), norm, out=out[head, row])
    return out.reshape(*form.lead, *out.shape[1:])


def attention_grad(
    g: Array, q: Array, k: Array, v: Array, mask: Mask | None, *, scale: float, causal: bool
) -> tuple[Array, Array, Array]:
    """See the op."""
    form = _Heads(q, k, v, mask, causal)
    scaled, keys, values, slopes = form.flat(q * q.dtype.type(scale)), form.flat(k), form.flat(v), form.flat(g)
    by_q = np.empty((form.count, *q.shape[-2:]), q.dtype)
    by_k, by_v = (np.zeros((form.count, *x.shape[-2:]), q.dtype) for x in (k, v))
    for head, row, key in form.blocks():
        weights, norm = form.powers(scaled, keys, head, row, key)
        weights *= norm
        slope = slopes[head, row]
        scores = np.matmul(slope, values[head, key].swapaxes(1, 2))
        scores -= np.vecdot(scores, weights)[..., None]
        scores *= weights
        by_v[head, key] += np.matmul(weights.swapaxes(1, 2), slope)
        by_k[head, key] += np.matmul(scores.swapaxes(1, 2), scaled[head, row])
        np.multiply(np.matmul(scores, keys[head, key]), q.dtype.type(scale), out=by_q[head, row])
    return tuple(x.reshape(*form.lead, *x.shape[1:]) for x in (by_q, by_k, by_v))  # type: ignore[return-value]  # three


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    "scaled_dot_product_attention": Kernel(scaled_dot_product_attention),
    "attention_grad": Kernel(attention_grad),
}
