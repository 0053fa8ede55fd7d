"""Comparing arrays, with a message that says where and by how much they differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.testing.tolerances import Tolerance


def difference(actual: Any, expected: Any, tolerance: Tolerance) -> str | None:
    """``None`` if equal within tolerance, else a description naming the worst element and both error terms.

    NaN equals NaN, infinities must match in sign; shapes must be equal (dtypes are compared elsewhere).
    """
    a, e = np.asarray(actual), np.asarray(expected)
    if a.shape != e.shape:
        return f"shape {a.shape} where {e.shape} was expected"
    if a.size == 0:
        return None
    wide: Any = np.complex128 if "c" in (a.dtype.kind, e.dtype.kind) else np.float64
    if a.dtype.kind in "biu" and e.dtype.kind in "biu":
        wrong, error = a != e, np.abs(a.astype(np.float64) - e.astype(np.float64))
        allowed = np.zeros(a.shape)
    else:
        a, e = a.astype(wide), e.astype(wide)
        with np.errstate(invalid="ignore"):
            same = (a == e) | (np.isnan(a) & np.isnan(e))
            error = np.where(same, 0.0, np.abs(a - e))
            allowed = tolerance.atol + tolerance.rtol * np.abs(e)
            wrong = ~same & ~(error <= allowed)
    if not wrong.any():
        return None
    excess = np.where(wrong, np.where(np.isfinite(error), error - allowed, np.inf), -np.inf)
    worst = np.unravel_index(int(np.argmax(excess)), a.shape)
    place = ", ".join(str(int(i)) for i in worst)
    return (
        f"{int(wrong.sum())} of {a.size} elements differ; worst at [{place}]: {a[worst]!r} where {e[worst]!r} was "
        f"expected, off by {float(error[worst]):.3g} with {float(allowed[worst]):.3g} allowed"
    )


def assert_close(actual: Any, expected: Any, tolerance: Tolerance, what: str = "") -> None:
    """AssertionError with the message of ``difference`` when two arrays differ."""
    problem = difference(actual, expected, tolerance)
    if problem is not None:
        raise AssertionError(f"{what}: {problem}" if what else problem)
