"""Values of ONNX models and what holds them here.

A value is a corenn ``Tensor``; a ``Constant``, a tensor whose elements are known while a model is traced; a list, for
an ONNX sequence; or ``None``, for an absent optional.  Element types that corenn lacks (strings, 8-bit and narrower
floats, 4-bit and narrower integers) are *foreign*: constants held as NumPy arrays of objects or of ``ml_dtypes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from corenn import dtypes
from corenn.device import current_device
from corenn.dtypes import DType
from corenn.graph.deferred import complete, static_value
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import asarray
from corenn.ops.dispatch import _interpreter
from corenn.tensor import Tensor

#: ONNX's numbers of the element types that corenn has.
OF_ONNX: dict[int, DType] = {
    onnx.TensorProto.FLOAT: dtypes.float32, onnx.TensorProto.DOUBLE: dtypes.float64,
    onnx.TensorProto.FLOAT16: dtypes.float16, onnx.TensorProto.BFLOAT16: dtypes.bfloat16,
    onnx.TensorProto.INT8: dtypes.int8, onnx.TensorProto.INT16: dtypes.int16, onnx.TensorProto.INT32: dtypes.int32,
    onnx.TensorProto.INT64: dtypes.int64, onnx.TensorProto.UINT8: dtypes.uint8, onnx.TensorProto.UINT16: dtypes.uint16,
    onnx.TensorProto.UINT32: dtypes.uint32, onnx.TensorProto.UINT64: dtypes.uint64,
    onnx.TensorProto.BOOL: dtypes.bool_, onnx.TensorProto.COMPLEX64: dtypes.complex64,
    onnx.TensorProto.COMPLEX128: dtypes.complex128,
}  # fmt: skip
TO_ONNX: dict[DType, int] = {dtype: number for number, dtype in OF_ONNX.items()}


def onnx_name(number: int) -> str:
    """The name of an ONNX element type."""
    return str(onnx.TensorProto.DataType.Name(number))


def numpy_dtype(number: int) -> np.dtype[Any]:
    """The NumPy dtype that holds an ONNX element type on the host; objects for strings."""
    if number == onnx.TensorProto.STRING:
        return np.dtype(object)
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))


def onnx_number(dtype: np.dtype[Any]) -> int:
    """The ONNX element type of a NumPy dtype."""
    if dtype.kind in "OUST":
        return int(onnx.TensorProto.STRING)
    return int(onnx.helper.np_dtype_to_tensor_dtype(dtype))


def is_foreign(array: np.ndarray[Any, Any]) -> bool:
    """Whether corenn lacks the element type of an array."""
    return array.dtype.kind in "OUST" or array.dtype.name not in dtypes.BY_NAME


@contextmanager
def outside() -> Iterator[None]:
    """Run ops now, whatever graph or tape is around."""
    token = _interpreter.set(None)
    try:
        yield
    finally:
        _interpreter.reset(token)


class Constant:
    """A value that is known: as an array on the host, as a tensor, or as both once both were asked for."""

    __slots__ = ("_host", "_tensor")

    def __init__(self, value: np.ndarray[Any, Any] | Tensor) -> None:
        self._host: np.ndarray[Any, Any] | None = None
        self._tensor: Tensor | None = None  # where it was wanted last
        if isinstance(value, Tensor):
            self._tensor = value
        else:
            self._host = value

    @property
    def host(self) -> np.ndarray[Any, Any]:
        """The array."""
        if self._host is None:
            assert self._tensor is not None  # one of the two was given
            self._host = self._tensor.numpy()
        return self._host

    @property
    def foreign(self) -> bool:
        """Whether corenn lacks the element type."""
        return self._tensor is None and is_foreign(self.host)

    def tensor(self) -> Tensor:
        """The tensor, on the current device."""
        device = current_device()
        if self._tensor is None or self._tensor.spec.device is not device:
            with outside():
                self._tensor = asarray(self.host, device=device)
        return self._tensor

    def __repr__(self) -> str:
        return f"Constant({self._host if self._tensor is None else self._tensor!r})"


def from_proto(proto: onnx.TensorProto, base_dir: str = "") -> np.ndarray[Any, Any]:
    """The array of a TensorProto, with external data read beside the model; strings as objects of ``str``."""
    array = numpy_helper.to_array(proto, base_dir=base_dir)
    if proto.data_type == onnx.TensorProto.STRING:
        return as_text(array)
    return array


def as_text(array: Any) -> np.ndarray[Any, Any]:
    """An array of ``str`` objects, of strings in any of NumPy's forms."""
    source = np.asarray(array)
    found = np.empty(source.shape, object)
    for place in np.ndindex(source.shape):
        item = source[place]
        found[place] = item.decode() if isinstance(item, bytes) else str(item)
    return found


def known(value: Any) -> np.ndarray[Any, Any] | None:
    """The elements of a value on the host; ``None`` if only a run knows them."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Constant):
        return value.host
    if isinstance(value, GraphTensor):
        found = static_value(value)
        return np.asarray(found, value.dtype.numpy) if found is not Ellipsis and complete(found) else None
    if isinstance(value, Tensor):
        return value.numpy()
    return None


__all__ = [
    "OF_ONNX", "TO_ONNX", "Constant", "as_text", "from_proto", "is_foreign", "known", "numpy_dtype", "onnx_name",
    "onnx_number", "outside",
]  # fmt: skip
