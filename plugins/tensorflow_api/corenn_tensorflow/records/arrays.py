"""``TensorProto`` to arrays and back: ``tf.make_tensor_proto`` and ``tf.make_ndarray``."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.dtypes import as_dtype, string
from corenn.tensor import Tensor
from corenn_tensorflow.records.summaries import TensorProto

#: Numbers of element types: tensorflow/core/framework/types.proto.
NUMBERS = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "string": 7, "complex64": 8, "int64": 9,
    "bool": 10, "bfloat16": 14, "uint16": 17, "complex128": 18, "float16": 19, "uint32": 22, "uint64": 23,
}  # fmt: skip
_FIELDS = {"float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val"}


def make_tensor_proto(values: Any, dtype: Any = None, shape: Any = None, verify_shape: bool = False) -> TensorProto:
    """A ``TensorProto`` of an array, nested lists or strings."""
    if isinstance(values, Tensor):
        values = values.numpy()
    array = np.asarray(values)
    if dtype is not None and as_dtype(dtype) is not string:
        array = array.astype(as_dtype(dtype).numpy)
    elif not isinstance(values, (np.ndarray, np.generic)):
        array = array.astype({"float64": np.float32, "int64": np.int32}.get(array.dtype.name, array.dtype))
    if shape is not None:
        wanted = tuple(int(n) for n in shape)
        array = np.full(wanted, array.reshape(())[()]) if array.size == 1 else array.reshape(wanted)
    made = TensorProto()
    for size in array.shape:
        made.tensor_shape.dim.add(size=size)
    made.tensor_shape.SetInParent()
    if array.dtype.kind in "SUO":
        made.dtype = NUMBERS["string"]
        made.string_val.extend(v if isinstance(v, bytes) else str(v).encode() for v in array.reshape(-1).tolist())
        return made
    made.dtype = NUMBERS[array.dtype.name]
    made.tensor_content = np.ascontiguousarray(array).tobytes()
    return made


def make_ndarray(tensor: TensorProto) -> np.ndarray[Any, Any]:
    """The array of a ``TensorProto``."""
    shape = tuple(d.size for d in tensor.tensor_shape.dim)
    name = next((n for n, number in NUMBERS.items() if number == tensor.dtype), None)
    if name is None:
        raise TypeError(f"Unsupported tensor type: {tensor.dtype}")
    if name == "string":
        values = list(tensor.string_val)
        array = np.empty(len(values), object)
        array[:] = values
        return array.reshape(shape) if len(values) != 1 else np.full(shape, values[0], object)
    dtype = as_dtype(name).numpy
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape).copy()
    values = list(getattr(tensor, _FIELDS.get(name, "int_val")))
    if len(values) == 1:
        return np.full(shape, values[0], dtype)
    return np.array(values, dtype).reshape(shape)


__all__ = ["make_ndarray", "make_tensor_proto"]
