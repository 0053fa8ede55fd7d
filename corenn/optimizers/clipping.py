"""Limiting gradients: by value, by the norm of each, by the norm of all together (Pascanu et al. 2013)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from corenn import dtypes
from corenn.errors import AttributeValueError, UsageError
from corenn.ops.elementwise import clip, maximum, square, where
from corenn.ops.logic import isfinite
from corenn.ops.reduction import sum as sum_over
from corenn.ops.transcendental import sqrt
from corenn.tensor import Tensor


def _positive(where: str, limit: float) -> None:
    if not limit > 0:
        raise AttributeValueError(where, "the limit must be positive", {"limit": limit})


def _square_sum(x: Tensor) -> Tensor:
    """The sum of squares, in at least float32 (squares overflow float16 from 256 on)."""
    wide = x.cast(dtypes.float32) if x.dtype.itemsize < 4 else x
    return sum_over(square(wide))


def global_norm(tensors: Sequence[Tensor | None]) -> Tensor:
    """The Euclidean norm of all elements of all tensors, as one vector; a 0-d tensor.  ``None`` counts as nothing."""
    present = [t for t in tensors if t is not None]
    if not present:
        raise UsageError("global_norm", "no tensors were given")
    total = _square_sum(present[0])
    for t in present[1:]:
        total = total + _square_sum(t)
    return sqrt(total)


def _scaled(x: Tensor, scale: Tensor) -> Tensor:
    return x * (scale if scale.dtype is x.dtype else scale.cast(x.dtype))


def clip_by_value(x: Tensor, low: float, high: float) -> Tensor:
    """``x`` with elements below ``low`` or above ``high`` set to them."""
    return clip(x, min=low, max=high)


def clip_by_norm(x: Tensor, limit: float) -> Tensor:
    """``x``, scaled down to norm ``limit`` if its Euclidean norm is larger."""
    _positive("clip_by_norm", limit)
    norm = sqrt(_square_sum(x))
    return _scaled(x, limit / maximum(norm, limit))


def clip_by_global_norm(tensors: Sequence[Tensor | None], limit: float) -> tuple[list[Tensor | None], Tensor]:
    """All tensors scaled by ``limit / norm`` if their common norm is larger than ``limit``; and that norm.

    ``None`` stays ``None``.  Where the norm is not finite everything becomes NaN, so that the failure shows (as in
    TensorFlow) instead of a step in a wrong direction.
    """
    _positive("clip_by_global_norm", limit)
    norm = global_norm(tensors)
    scale = where(isfinite(norm), limit / maximum(norm, limit), math.nan)
    return [None if t is None else _scaled(t, scale) for t in tensors], norm


__all__ = ["clip_by_global_norm", "clip_by_norm", "clip_by_value", "global_norm"]
