"""Comparing arrays, with a message that says where and by how much they differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.testing.tolerances import Tolerance


def difference(actual: Any, expected: Any, tolerance: Tolerance) -> str | None:
    """``None`` if equal within tolerance, else a description naming the worst element and both error terms.

    NaN equals NaN, infinities must match in sign; shapes must be equal (dtypes are compared elsewhere).  Integers and
    bools are compared exactly, whatever the tolerance.
    """
    a, e = np.asarray(actual), np.asarray(expected)
    if a.shape != e.shape:
        return f"shape {a.shape} where {e.shape} was expected"
    if a.size == 0:
        return None
    if a.dtype.kind in "biu" and e.dtype.kind in "biu":
        wrong = a != e
        error = np.abs(a.astype(np.longdouble) - e.astype(np.longdouble))
        allowed = np.zeros(a.shape)
    else:
        wide: Any = np.complex128 if "c" in (a.dtype.kind, e.dtype.kind) else np.float64
        a, e = a.astype(wide), e.astype(wide)
        with np.errstate(invalid="ignore", over="ignore"):
            same = (a == e) | (np.isnan(a) & np.isnan(e))
            error = np.where(same, 0.0, np.abs(a - e))
            allowed = tolerance.atol + tolerance.rtol * np.abs(e)
            wrong = ~same & ~((error <= allowed) & np.isfinite(e))
    if not wrong.any():
        return None
    with np.errstate(invalid="ignore"):
        excess = np.where(wrong, error - allowed, -np.inf)
    excess = np.where(wrong & ~np.isfinite(excess), np.inf, excess)
    worst = np.unravel_index(int(np.argmax(excess)), a.shape)
    place = ", ".join(str(int(i)) for i in worst)
    return (
        f"{int(wrong.sum())} of {a.size} elements differ; worst at [{place}]: {a[worst]!s} where {e[worst]!s} was "
        f"expected, off by {float(error[worst]):.3g} with {float(allowed[worst]):.3g} allowed"
    )


def bits_difference(actual: Any, expected: Any) -> str | None:
    """``None`` if two arrays have the same shape, dtype and bits (NaN and -0.0 included), else what differs."""
    a, e = np.asarray(actual), np.asarray(expected)
    if a.shape != e.shape or a.dtype != e.dtype:
        return f"{a.dtype}{list(a.shape)} where {e.dtype}{list(e.shape)} was expected"
    left, right = (np.ascontiguousarray(x).reshape(-1).view(np.uint8).reshape(x.size, x.itemsize) for x in (a, e))
    wrong = (left != right).any(axis=1)
    if not wrong.any():
        return None
    first = int(np.argmax(wrong))
    place = ", ".join(str(int(i)) for i in np.unravel_index(first, a.shape))
    got, wanted = a.reshape(-1)[first], e.reshape(-1)[first]
    return f"{int(wrong.sum())} of {a.size} elements differ; first at [{place}]: {got!s} where {wanted!s} was expected"


def assert_close(actual: Any, expected: Any, tolerance: Tolerance, what: str = "") -> None:
    """AssertionError with the message of ``difference`` when two arrays differ."""
    problem = difference(actual, expected, tolerance)
    if problem is not None:
        raise AssertionError(f"{what}: {problem}" if what else problem)
