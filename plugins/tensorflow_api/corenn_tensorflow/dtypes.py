"""``tf.dtypes``: element types; they are corenn's."""

from corenn import dtypes as _core
from corenn.dtypes import DType
from corenn_tensorflow import missing
from corenn_tensorflow.framework import as_dtype
from corenn_tensorflow.functions.arithmetic import cast, complex, saturate_cast
from corenn_tensorflow.functions.text import as_string

bfloat16, float16, float32, float64 = _core.bfloat16, _core.float16, _core.float32, _core.float64
int8, int16, int32, int64 = _core.int8, _core.int16, _core.int32, _core.int64
uint8, uint16, uint32, uint64 = _core.uint8, _core.uint16, _core.uint32, _core.uint64
complex64, complex128, string = _core.complex64, _core.complex128, _core.string
bool = _core.bool_  # TensorFlow's name
half, double = float16, float64
QUANTIZED_DTYPES: frozenset[DType] = frozenset()

#: The dtypes by name, which ``tf.`` itself has, too.
NAMES = [
    "bfloat16", "bool", "complex128", "complex64", "double", "float16", "float32", "float64", "half", "int16", "int32",
    "int64", "int8", "string", "uint16", "uint32", "uint64", "uint8",
]  # fmt: skip

__all__ = [*NAMES, "DType", "QUANTIZED_DTYPES", "as_dtype", "as_string", "cast", "complex", "saturate_cast"]

__getattr__ = missing.guard(__name__)
