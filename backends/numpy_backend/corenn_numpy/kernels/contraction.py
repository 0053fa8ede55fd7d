"""Matrix products: layouts that BLAS takes without copies, and half precision through float32."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corenn.backend import Kernel
from corenn.spec import Spec

Array = np.ndarray[Any, Any]

_SMALL = 1024  # elements of a matrix for which looking at its strides costs more than NumPy's loop over odd ones


def _half(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    a = specs[0]
    return a is not None and a.dtype.is_floating and a.dtype.itemsize == 2


def _small(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    return all(s is not None and s.ndim == 2 and s.size <= _SMALL for s in specs)


def _for_blas(x: Array) -> Array:
    """``x``, copied where neither of its last two axes is contiguous: BLAS needs one that is, else NumPy loops."""
    if x.ndim < 2:
        return x
    row, column = x.strides[-2:]
    unit = x.itemsize
    if (column == unit and row >= unit * x.shape[-1]) or (row == unit and column >= unit * x.shape[-2]):
        return x
    return np.ascontiguousarray(x)


def matmul(a: Array, b: Array, *, transpose_a: bool, transpose_b: bool) -> Array:
    """``a @ b``; transposes are views that BLAS is told of, and a batch times one matrix is one product."""
    a, b = _for_blas(a), _for_blas(b)
    if transpose_a:
        a = a.swapaxes(-1, -2)
    if transpose_b:
        b = b.swapaxes(-1, -2)
    if a.ndim > 2 and b.ndim == 2 and a.flags.c_contiguous:
        product: Array = np.matmul(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b)
        return product.reshape(*a.shape[:-1], b.shape[1])
    return np.matmul(a, b)  # type: ignore[no-any-return]


def matmul_small(a: Array, b: Array, *, transpose_a: bool, transpose_b: bool) -> Array:
    """The product of two small matrices, whatever their layout."""
    return np.matmul(a.T if transpose_a else a, b.T if transpose_b else b)  # type: ignore[no-any-return]


def matmul_half(a: Array, b: Array, *, transpose_a: bool, transpose_b: bool) -> Array:
    """The product in float32, rounded once: more exact than sums in half precision, and BLAS has no other."""
    product = matmul(a.astype(np.float32), b.astype(np.float32), transpose_a=transpose_a, transpose_b=transpose_b)
    return product.astype(a.dtype)


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    "matmul": (Kernel(matmul_half, when=_half), Kernel(matmul_small, when=_small), Kernel(matmul)),
}
