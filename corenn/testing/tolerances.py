"""The one table of tolerances, by dtype.  Nothing in the project compares floating values by any other numbers.

Forward: ``rtol`` and ``atol`` of a value against its float64 reference, the inputs already rounded to the dtype.  Ops
that add up K terms (``.terms`` of the op says how many) may use ``sqrt(K)`` times the tolerance, never the size of the
array.  Gradients are judged in float64 by central differences, and in float32 against those in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

from corenn import dtypes
from corenn.dtypes import DType


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Relative and absolute tolerance of a comparison."""

    rtol: float
    atol: float

    def scaled(self, factor: float) -> Tolerance:
        """Both multiplied by ``factor``."""
        return Tolerance(self.rtol * factor, self.atol * factor)


EXACT = Tolerance(0.0, 0.0)

FORWARD: dict[DType, Tolerance] = {
    dtypes.float64: Tolerance(1e-10, 1e-12),
    dtypes.float32: Tolerance(1.3e-6, 1e-5),
    dtypes.float16: Tolerance(1e-3, 1e-5),
    dtypes.bfloat16: Tolerance(1.6e-2, 1e-5),
    dtypes.complex64: Tolerance(1.3e-6, 1e-5),
    dtypes.complex128: Tolerance(1e-10, 1e-12),
}

#: Gradient projections against central differences, by the dtype they are computed in; also the elements of a float32
#: gradient against those of the float64 one.
GRADIENT: dict[DType, Tolerance] = {
    dtypes.float64: Tolerance(1e-6, 1e-7),
    dtypes.float32: Tolerance(2e-3, 2e-3),
}

#: Normal numbers against the host's: a few units in the last place of the logarithm, sine and cosine.
NORMAL: dict[DType, Tolerance] = {
    dtypes.float64: Tolerance(1e-13, 1e-14),
    dtypes.float32: Tolerance(2e-6, 2e-6),
    dtypes.float16: Tolerance(2e-3, 1e-5),
    dtypes.bfloat16: Tolerance(1.6e-2, 1e-5),
}

#: Weights and losses after a short training run in float32 on two backends, whose rounding has had time to grow.
TRAINING = Tolerance(1e-3, 1e-4)


def forward(dtype: DType) -> Tolerance:
    """The forward tolerance of a dtype; integers and bools are exact."""
    return FORWARD.get(dtype, EXACT)
