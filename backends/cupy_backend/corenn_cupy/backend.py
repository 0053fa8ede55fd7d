"""The CuPy backend: the array tier of the contract; every op runs through the shared kernels and decompositions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import array_api_compat.cupy as xp
import cupy
import numpy as np

from corenn import dtypes
from corenn.backend import Backend
from corenn.dtypes import DType


class CupyBackend(Backend):
    """Arrays in the memory of NVIDIA GPUs, computed by CuPy."""

    name = "cuda"
    xp = xp
    #: Half precisions are widened, so that sums keep their accuracy as on every other backend.
    computes_in: ClassVar[Mapping[DType, DType]] = {
        dtypes.float16: dtypes.float32,
        dtypes.bfloat16: dtypes.float32,
    }

    def __init__(self) -> None:
        self._count = int(cupy.cuda.runtime.getDeviceCount())

    def device_count(self) -> int:
        """Number of GPUs."""
        return self._count

    def device_handle(self, index: int) -> Any:
        """CuPy's device object."""
        return cupy.cuda.Device(index)

    def bind(self, function: Callable[..., Any], index: int) -> Callable[..., Any]:
        """``function`` with GPU ``index`` current, where there are several."""
        if self._count == 1:
            return function

        @functools.wraps(function, assigned=())
        def on_device(*arrays: Any) -> Any:
            with cupy.cuda.Device(index):
                return function(*arrays)

        return on_device

    def from_host(self, array: np.ndarray[Any, Any], index: int) -> Any:
        """A copy in GPU memory."""
        with cupy.cuda.Device(index):
            return cupy.asarray(np.ascontiguousarray(array).reshape(array.shape))

    def to_host(self, array: Any) -> np.ndarray[Any, Any]:
        """A copy in host memory, once the work that makes it is done."""
        return cupy.asnumpy(array)  # type: ignore[no-any-return]

    def synchronize(self, index: int) -> None:
        """Wait for the device."""
        cupy.cuda.Device(index).synchronize()

    def dtypes(self) -> frozenset[DType]:
        """All that CuPy has; bfloat16 where ml_dtypes is installed."""
        return dtypes.held_by_numpy()

    def dtype(self, dtype: DType) -> np.dtype[Any]:
        """CuPy shares NumPy's dtypes."""
        return dtype.numpy

    def describe_device(self, index: int) -> str:
        """Name, memory and versions."""
        properties = cupy.cuda.runtime.getDeviceProperties(index)
        memory = properties["totalGlobalMem"] / 2**30
        return f"{properties['name'].decode()}, {memory:.0f} GiB, CuPy {cupy.__version__}"
