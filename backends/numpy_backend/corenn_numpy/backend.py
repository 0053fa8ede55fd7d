"""The NumPy backend: tier 1 is this page; its faster kernels are in ``kernels``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from corenn import dtypes
from corenn.backend import Backend, Kernel
from corenn.dtypes import DType

#: Just below the largest size that the C library learns from.
_LARGEST_KEPT = (32 << 20) - (64 << 10)


class NumpyBackend(Backend):
    """Arrays in host memory, computed by NumPy."""

    name = "numpy"
    xp = np
    #: NumPy's half precision is software anyway; in float32 sums keep their accuracy.
    computes_in: ClassVar[Mapping[DType, DType]] = {
        dtypes.float16: dtypes.float32,
        dtypes.bfloat16: dtypes.float32,
    }

    def __init__(self) -> None:
        # The GNU C library gives large arrays back to the system the moment they are freed, and the next one's pages
        # are faulted in again, until it has seen a block of such a size freed once: then up to twice that is kept at
        # hand.  A fresh block touches no memory.  Elsewhere, and where MALLOC_... settings say otherwise, nothing
        # changes (mallopt(3), M_MMAP_THRESHOLD).
        np.empty(_LARGEST_KEPT, np.uint8)

    def from_host(self, array: np.ndarray[Any, Any], index: int) -> np.ndarray[Any, Any]:
        """A copy of the array."""
        return np.array(array)

    def to_host(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The array itself."""
        return array

    def device_handle(self, index: int) -> str:
        """NumPy's one device."""
        return "cpu"

    def dtypes(self) -> frozenset[DType]:
        """All; bfloat16 where ml_dtypes is installed."""
        return dtypes.held_by_numpy()

    def dtype(self, dtype: DType) -> np.dtype[Any]:
        """NumPy's dtype."""
        return dtype.numpy

    def describe_device(self, index: int) -> str:
        """NumPy's version."""
        return f"NumPy {np.__version__} on the CPU"

    def kernels(self) -> Mapping[str, Kernel | Sequence[Kernel]]:
        """NumPy's own ways, where they are faster than the shared ones."""
        from corenn_numpy.kernels import KERNELS

        return KERNELS
