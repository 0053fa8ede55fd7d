"""Scaled dot-product attention.

The gradient computes the weights again from the queries and keys, so that what is kept grows with the length of the
sequences and not with its square.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import BOOL, FLOATING
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.contraction import matmul
from corenn.ops.creation import arange
from corenn.ops.elementwise import stop_gradient, where
from corenn.ops.families import broadcast_shapes
from corenn.ops.logic import equal, greater_equal, logical_and
from corenn.ops.reduction import max as max_over
from corenn.ops.reduction import sum as sum_over
from corenn.ops.sampling import boolean, error, integer, literal, real, sample
from corenn.ops.shaping import reshape
from corenn.ops.softmax import softmax_grad
from corenn.ops.table import Call, TensorLike, op
from corenn.ops.transcendental import exp
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor

__all__ = ["scaled_dot_product_attention"]

Array = np.ndarray[Any, Any]


def _attention(call: Call, q: Spec, k: Spec, v: Spec, mask: Spec | None = None) -> Spec:
    for name, spec in (("q", q), ("k", k), ("v", v)):
        if spec.ndim < 2:
            raise call.shape_error(f"{name} must have shape [..., length, width]", **{name: f"has {spec.ndim} axes"})
        if spec.dtype is not q.dtype:
            raise call.dtype_error("q, k and v must have one dtype", f"corenn.cast({name}, dtype={q.dtype.name!r})")
    if q.shape[-1] != k.shape[-1]:
        notes = {"q": f"queries have width {q.shape[-1]}", "k": f"keys have width {k.shape[-1]}"}
        raise call.shape_error("queries and keys differ in width", None, **notes)
    if k.shape[-2] != v.shape[-2]:
        notes = {"k": f"there are {k.shape[-2]} keys", "v": f"there are {v.shape[-2]} values"}
        raise call.shape_error("each key needs one value", None, **notes)
    if k.shape[-2] == 0:
        raise call.shape_error("there is nothing to attend to", k="axis -2 has extent 0")
    batch = broadcast_shapes(call, (q.shape[:-2], k.shape[:-2], v.shape[:-2]))
    if mask is not None:
        _check_mask(call, mask, (*batch, q.shape[-2], k.shape[-2]), q)
    scale = call.attrs["scale"]
    if scale is None:
        scale = 1 / math.sqrt(q.static[-1] or 1)
    if isinstance(scale, bool) or not isinstance(scale, int | float):
        raise call.attribute_error("scale must be a number", scale="")
    call.attrs["scale"] = float(scale)
    return Spec((*batch, q.shape[-2], v.shape[-1]), q.dtype)


def _check_mask(call: Call, mask: Spec, scores: Shape, q: Spec) -> None:
    wanted = f"must broadcast to [{', '.join(map(str, scores))}], queries by keys"
    lead = len(scores) - mask.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(mask.shape, scores[lead:], strict=True)):
        raise call.shape_error("the mask does not fit", mask=wanted)
    if mask.dtype is not dtypes.bool_ and mask.dtype is not q.dtype:
        hint = f"corenn.cast(mask, dtype='bool'), or dtype={q.dtype.name!r} if it is to be added"
        raise call.dtype_error("the mask must be bool, or have the dtype of the queries", hint, mask="")


_DTYPES = {"q": FLOATING, "k": FLOATING, "v": FLOATING, "g": FLOATING, "mask": FLOATING | BOOL}


@op(infer=_attention, dtypes=_DTYPES, namespace="nn")
def scaled_dot_product_attention(
    q: TensorLike, k: TensorLike, v: TensorLike, mask: TensorLike | None = None, /, *,
    scale: float | None = None, causal: bool = False,
) -> Tensor:  # fmt: skip
    """``softmax(scale * q k^T + mask) v``: for each query, values averaged by how its key fits (Vaswani et al. 2017).

    ``q``: [..., T, D]; ``k``: [..., S, D]; ``v``: [..., S, E]; of one floating dtype; leading axes (batch, heads)
    broadcast.  Returns [..., T, E].  ``mask`` broadcasts to [..., T, S]: a bool one says which keys a query may see, a
    floating one is added to the scores.  ``causal``: query t sees the keys 0 ... t only.  ``scale``: 1 / sqrt(D) unless
    given.  A query that may see no key gets zeros.  All floating operands have gradients.  Raises ShapeError when the
    shapes do not fit, DTypeError when the dtypes differ.
    """


def _weights(q: Tensor, k: Tensor, mask: Tensor | None, scale: float, causal: bool) -> Tensor:
    """What each query gives each key: softmax, except that what may not be seen counts nothing, even if it is all."""
    scores = matmul(q * scale, k, transpose_b=True)
    visible = None
    if causal:
        queries, keys = (arange(n, device=q.spec.device) for n in scores.shape[-2:])
        visible = greater_equal(reshape(queries, shape=(-1, 1)), keys)
    if mask is not None and mask.dtype is dtypes.bool_:
        visible = mask if visible is None else logical_and(visible, mask)
    elif mask is not None:
        scores = scores + mask
    if visible is not None:
        scores = where(visible, scores, float("-inf"))
    top = stop_gradient(max_over(scores, axis=-1, keepdims=True))
    powers = exp(scores - where(equal(top, float("-inf")), 0.0, top))
    total = sum_over(powers, axis=-1, keepdims=True)
    return powers / where(equal(total, 0.0), 1.0, total)


@scaled_dot_product_attention.decompose
def _(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, scale: float, causal: bool) -> Tensor:
    return matmul(_weights(q, k, mask, scale, causal), v)


@scaled_dot_product_attention.vjp
def _(
    g: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float, causal: bool, needs: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    for_mask = attention_scores_grad(g, q, k, v, mask, scale=scale, causal=causal) if needs[3] else None
    return (*attention_grad(g, q, k, v, mask, scale=scale, causal=causal), for_mask)


def _attention_grad(call: Call, g: Spec, q: Spec, k: Spec, v: Spec, mask: Spec | None) -> tuple[Spec, Spec, Spec]:
    lead = g.shape[:-2]
    return tuple(Spec((*lead, *s.shape[-2:]), s.dtype) for s in (q, k, v))  # type: ignore[return-value]  # three


@op(infer=_attention_grad, dtypes=_DTYPES, results=("q", "k", "v"), namespace="_")
def attention_grad(
    g: TensorLike, q: TensorLike, k: TensorLike, v: TensorLike, mask: TensorLike | None = None, /, *,
    scale: float, causal: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The gradients of attention by queries, keys and values, each with all the leading axes of ``g``."""


@attention_grad.decompose
def _(
    g: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, scale: float, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    weights = _weights(q, k, mask, scale, causal)
    scores = softmax_grad(matmul(g, v, transpose_b=True), weights, axis=-1)
    by_q, by_k = matmul(scores, k), matmul(scores, q, transpose_a=True)
    return by_q * scale, by_k * scale, matmul(weights, g, transpose_a=True)


@op(infer=lambda call, g, q, k, v, mask: Spec((*g.shape[:-1], k.shape[-2]), q.dtype), dtypes=_DTYPES, namespace="_")
def attention_scores_grad(
    g: TensorLike, q: TensorLike, k: TensorLike, v: TensorLike, mask: TensorLike | None = None, /, *,
    scale: float, causal: bool,
) -> Tensor:  # fmt: skip
    """The gradient of attention by the scores, which is that by a mask added to them: [..., T, S]."""


@attention_scores_grad.decompose
def _(g: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, scale: float, causal: bool) -> Tensor:
    return softmax_grad(matmul(g, v, transpose_b=True), _weights(q, k, mask, scale, causal), axis=-1)


# ---------------------------------------------------------------- tests


def _one_query(q: Array, k: Array, mask: Any, scale: float, keys: int) -> Array:
    """The weights of one query over the first so many keys."""
    scores = np.array([scale * sum(q * k[s]) for s in range(len(k))])
    visible = np.arange(len(k)) < keys
    if mask is not None:
        scores, visible = (scores, visible & mask) if mask.dtype == bool else (scores + mask, visible)
    powers = np.where(visible, np.exp(scores), 0.0)
    return powers / (powers.sum() or 1.0)


def _every_weight(q: Array, k: Array, v: Array, mask: Any, scale: float | None, causal: bool) -> Array:
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    size, count = q.shape[-2], k.shape[-2]
    q, k = (np.broadcast_to(t, (*lead, *t.shape[-2:])) for t in (q, k))
    mask = None if mask is None else np.broadcast_to(mask, (*lead, size, count))
    weights = np.zeros((*lead, size, count))
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    for place in np.ndindex(*lead, size):
        own = None if mask is None else mask[place]
        weights[place] = _one_query(q[place], k[place[:-1]], own, scale, place[-1] + 1 if causal else count)
    return weights


@scaled_dot_product_attention.reference
def _(q: Array, k: Array, v: Array, mask: Any = None, *, scale: float | None, causal: bool) -> Array:
    return np.einsum("...ts,...se->...te", _every_weight(q, k, v, mask, scale, causal), v)  # type: ignore[no-any-return]


def _scores_grad(g: Array, v: Array, weights: Array) -> Array:
    lines = [np.diag(w) - np.outer(w, w) for w in weights.reshape(-1, weights.shape[-1])]  # the softmax's jacobians
    jacobians = np.reshape(lines, (*weights.shape, weights.shape[-1]))
    return np.einsum("...te,...se,...tsu->...tu", g, v, jacobians)  # type: ignore[no-any-return]


@attention_scores_grad.reference
def _(g: Array, q: Array, k: Array, v: Array, mask: Any = None, *, scale: float, causal: bool) -> Array:
    return _scores_grad(g, v, _every_weight(q, k, v, mask, scale, causal))


@attention_grad.reference
def _(g: Array, q: Array, k: Array, v: Array, mask: Any = None, *, scale: float, causal: bool) -> tuple[Array, ...]:
    weights = _every_weight(q, k, v, mask, scale, causal)
    scores = _scores_grad(g, v, weights) * scale
    by_q, by_k = np.einsum("...ts,...sd->...td", scores, k), np.einsum("...ts,...td->...sd", scores, q)
    return by_q, by_k, np.einsum("...ts,...te->...se", weights, g)


def _sizes(lead: tuple[int, ...], t: int, s: int, d: int, e: int) -> tuple[Any, ...]:
    return real(shape=(*lead, t, d)), real(shape=(*lead, s, d)), real(shape=(*lead, s, e))


_blind = literal([[True, False, True], [False, False, False]], "bool")
scaled_dot_product_attention.samples(
    sample(*_sizes((), 2, 3, 2, 2)), sample(*_sizes((2,), 3, 3, 2, 1), causal=True),
    sample(*_sizes((2,), 2, 3, 2, 2), boolean((3,)), scale=0.7),
    sample(*_sizes((), 2, 3, 2, 2), _blind, name="blind query"),
    sample(*_sizes((2,), 2, 3, 2, 2), real(shape=(2, 3)), name="added"),
    sample(*_sizes((2,), 2, 3, 2, 2), boolean((2, 1, 3)), causal=True),
    sample(real(shape=(2, 1, 2, 2)), real(shape=(3, 2, 2)), real(shape=(2, 3)), name="broadcast"),
    sample(*_sizes((0,), 2, 3, 2, 2)), sample(*_sizes((), 0, 3, 2, 2)),
)  # fmt: skip
_g = real(shape=(2, 2, 2))
attention_grad.samples(
    sample(_g, *_sizes((2,), 2, 3, 2, 2), scale=0.5, causal=True),
    sample(_g, *_sizes((2,), 2, 3, 2, 2), real(shape=(2, 3)), scale=0.5, causal=False),
    sample(real(shape=(2, 2)), *_sizes((), 2, 3, 2, 2), _blind, scale=0.5, causal=False),
)
attention_scores_grad.samples(sample(_g, *_sizes((2,), 2, 3, 2, 2), real(shape=(2, 3)), scale=0.5, causal=False))
scaled_dot_product_attention.error_samples(
    error(ShapeError, "queries have width 3", real(shape=(4, 3)), real(shape=(4, 2)), real(shape=(4, 2))),
    error(ShapeError, "each key needs one value", real(shape=(4, 2)), real(shape=(4, 2)), real(shape=(3, 2))),
    error(ShapeError, "must have shape", real(shape=(2,)), real(shape=(4, 2)), real(shape=(4, 2))),
    error(ShapeError, "nothing to attend to", real(shape=(4, 2)), real(shape=(0, 2)), real(shape=(0, 2))),
    error(ShapeError, "the mask does not fit", *_sizes((), 2, 3, 2, 2), boolean((3, 2))),
    error(DTypeError, "the mask must be bool", *_sizes((), 2, 3, 2, 2), literal([0.0, 0.0, 0.0], "float64")),
    error(DTypeError, "takes floating", integer(shape=(2, 2)), real(shape=(2, 2)), real(shape=(2, 2))),
    error(AttributeValueError, "scale must be a number", *_sizes((), 2, 3, 2, 2), scale="big"),
)
for _op in (scaled_dot_product_attention, attention_grad, attention_scores_grad):
    _op.terms(lambda *specs, **attrs: 4 * max(s.size for s in specs if s is not None))
