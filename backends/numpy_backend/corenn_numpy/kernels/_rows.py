"""Matrices in blocks of rows that stay in the cache, and reductions of rows, short or long."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

#: Elements per block: a few float32 arrays of it fit a second-level cache of a megabyte.
BLOCK = 1 << 16
#: Up to this length NumPy spends more time on beginning a row than on adding it up.
SHORT = 32


def as_rows(x: Array, width: int) -> Array:
    """``x`` as a contiguous matrix with rows of ``width``."""
    return np.ascontiguousarray(x).reshape(-1, width) if x.size else np.empty((0, width), x.dtype)


def blocks(rows: int, width: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices of so many rows as fill a block of ``size`` elements."""
    step = max(1, size // max(1, width))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def row_max(x: Array) -> Array:
    """The largest element of each row; short rows are compared column by column."""
    if x.shape[1] > SHORT:
        return x.max(axis=1)
    top = x[:, 0].copy()
    for column in range(1, x.shape[1]):
        np.maximum(top, x[:, column], out=top)
    return top


def row_sum(x: Array) -> Array:
    """The sum of each row; short rows are a product with ones."""
    if x.shape[1] > SHORT:
        return np.add.reduce(x, axis=1)
    return x @ np.ones(x.shape[1], x.dtype)


def row_dot(x: Array, y: Array) -> Array:
    """The scalar product of each row of ``x`` with that of ``y``."""
    return np.vecdot(x, y)


def column_sum(x: Array) -> Array:
    """The sum of each column; narrow matrices are a product with ones."""
    if x.shape[1] >= 128:
        return np.add.reduce(x, axis=0)
    return np.ones(x.shape[0], x.dtype) @ x


def column_dot(x: Array, y: Array) -> Array:
    """The scalar product of each column of ``x`` with that of ``y``."""
    return np.einsum("ij,ij->j", x, y)
