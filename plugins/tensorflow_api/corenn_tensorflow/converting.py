"""Values to tensors: dtypes by any name, constants, operands of one dtype."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

import corenn as _ops
from corenn import dtypes
from corenn.dtypes import DType
from corenn.errors import DTypeError
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import tensor
from corenn.tensor import Tensor as EagerTensor
from corenn.variable import Variable as EagerVariable
from corenn_tensorflow import errors, mode
from corenn_tensorflow.shapes import Dimension, TensorShape, dimension_value

#: Numbers of the element types in TensorFlow's protocol.
NUMBERED = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 8: "complex64",
    9: "int64", 10: "bool", 14: "bfloat16", 17: "uint16", 18: "complex128", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip


def as_dtype(value: Any) -> DType:
    """The element type that ``value`` names: a dtype, a name, a Python or NumPy type, a number of the protocol."""
    if isinstance(value, DType):
        return value
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        if int(value) % 100 not in NUMBERED:
            raise TypeError(f"Cannot convert the argument `type_value`: {value!r} to a TensorFlow DType.")
        return dtypes.as_dtype(NUMBERED[int(value) % 100])
    try:
        if isinstance(value, str):
            value = value.removesuffix("_ref")
        elif np.dtype(value).kind in "SUO":
            return dtypes.string
        return dtypes.as_dtype(value)
    except (DTypeError, TypeError):
        raise TypeError(f"Cannot convert the argument `type_value`: {value!r} to a TensorFlow DType.") from None


def is_tensor_like(value: Any) -> bool:
    """Whether ``value`` is a tensor or variable, of a graph or eager."""
    return isinstance(value, EagerTensor)


def convert_to_tensor(
    value: Any, dtype: Any = None, name: str | None = None, preferred_dtype: Any = None, dtype_hint: Any = None,
    as_ref: bool = False,
) -> Any:  # fmt: skip
    """``value`` as a tensor of ``dtype``: of the default graph, or eager.

    Raises ValueError where a tensor has another dtype: tensors are not cast.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    hint = preferred_dtype if preferred_dtype is not None else dtype_hint
    own = getattr(value, "__corenn_tensorflow_tensor__", None)
    if own is not None:
        value = own()
    if isinstance(value, EagerTensor):
        if wanted is not None and value.dtype is not wanted:
            raise ValueError(
                f"Tensor conversion requested dtype {wanted.name} for Tensor with dtype {value.dtype.name}: {value!r}"
            )
        graph = mode.graph_for(value)
        if graph is not None:
            return graph.convert(value)
        return value.value() if isinstance(value, EagerVariable) else value
    if wanted is None and hint is not None:
        try:
            return _constant(value, as_dtype(hint), name)
        except (TypeError, ValueError):
            pass  # a hint is no demand
    return _constant(value, wanted, name)


def _constant(value: Any, dtype: DType | None, name: str | None) -> Any:
    graph = mode.graph_for(value)
    value = _plain(value)
    if _textual(value, dtype):
        value = text_array(value)
    if graph is not None:
        if tree_has_tensor(value):
            with graph.as_default(), graph.name_scope(name or "packed"):
                return graph.convert(value, dtype)
        return graph.convert(value, dtype, name=name or "Const")
    if tree_has_tensor(value):
        parts = [convert_to_tensor(v, dtype) for v in value]
        if any(p.dtype is dtypes.string for p in parts):
            return eager_constant(np.stack([np.asarray(p.data, object) for p in parts]), dtypes.string)
        return _ops.stack(*parts)
    return eager_constant(value, dtype)


def eager_constant(value: Any, dtype: DType | None = None) -> EagerTensor:
    """A tensor of numbers, or of text, which stays on the host."""
    from corenn.device import device
    from corenn.spec import Spec

    if not isinstance(value, (int, float, bool)) and _textual(value, dtype):
        array = text_array(value)
        return EagerTensor(array, Spec(array.shape, dtypes.string, device("numpy")))
    return tensor(value, dtype=dtype)


def text_array(value: Any) -> np.ndarray[Any, Any]:
    """Text as an array of ``bytes`` objects, as TensorFlow keeps it."""
    return np.vectorize(lambda v: v.encode() if isinstance(v, str) else v, otypes=[object])(np.array(value, object))


def _textual(value: Any, dtype: DType | None) -> bool:
    if dtype is dtypes.string or isinstance(value, (str, bytes)):
        return True
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (str, bytes)) or (
        isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "SUO"
    )


def tree_has_tensor(value: Any) -> bool:
    """Whether nested lists hold a tensor."""
    return isinstance(value, (list, tuple)) and any(is_tensor_like(v) or tree_has_tensor(v) for v in value)


def _plain(value: Any) -> Any:
    """Nested lists with ``Dimension``s as ints; a shape as a list of its extents."""
    if isinstance(value, TensorShape):
        if not value.is_fully_defined():
            raise ValueError(f"Cannot convert a partially known TensorShape {value} to a Tensor.")
        return value.as_list()
    if isinstance(value, Dimension):
        found = dimension_value(value)
        if found is None:
            raise ValueError(f"Cannot convert an unknown Dimension to a Tensor: {value!r}")
        return found
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, range):
        return list(value)
    return value


def matching(type_name: str, *values: Any, names: Any = ("x", "y", "z")) -> list[Any]:
    """Operands of one dtype: that of the first tensor among them, else what the first value has.

    Numbers and arrays take it; a tensor of another dtype is a TypeError (InvalidArgumentError when run eagerly).
    """
    first = next((v for v in values if is_tensor_like(v)), None)
    dtype = None if first is None else first.dtype
    found: list[Any] = []
    for i, value in enumerate(values):
        if is_tensor_like(value):
            converted = convert_to_tensor(value)
            if dtype is not None and converted.dtype is not dtype:
                _refuse(type_name, i, converted.dtype, dtype)
        else:
            label = names[i] if mode.graph_for(values) is not None else None
            try:
                converted = convert_to_tensor(value, dtype, name=label)
            except (DTypeError, ValueError, TypeError) as error:
                raise TypeError(f"Expected {dtype.name if dtype else 'a number'}, got {value!r} of type "
                                f"'{type(value).__name__}' instead.") from error  # fmt: skip
            if dtype is not None and _lossy(value, dtype):
                raise TypeError(f"Expected {dtype.name}, got {value!r} of type '{type(value).__name__}' instead.")
        dtype = dtype or converted.dtype
        found.append(converted)
    return found


def _lossy(value: Any, dtype: DType) -> bool:
    return isinstance(value, float) and not dtype.is_inexact


def _refuse(type_name: str, place: int, given: DType, wanted: DType) -> NoReturn:
    if mode.executing_eagerly():
        words = {"float32": "float", "float64": "double"}
        raise errors.InvalidArgumentError(
            None, None, f"cannot compute {type_name} as input #{place}(zero-based) was expected to be a "
            f"{words.get(wanted.name, wanted.name)} tensor but is a {words.get(given.name, given.name)} tensor "
            f"[Op:{type_name}]", hint=f"tf.cast(..., tf.{wanted.name})",
        )  # fmt: skip
    raise DTypeError(
        "", f"Input '{'xyz'[place] if place < 3 else place}' of '{type_name}' Op has type {given.name} that does not "
        f"match type {wanted.name} of argument 'x'.", hint=f"tf.cast(..., tf.{wanted.name})",
    )  # fmt: skip


def static_shape(x: Any) -> list[int | None] | None:
    """The extents known now, as a list, or ``None`` where the rank is not known."""
    if isinstance(x, GraphTensor):
        extents = x.extents
        return None if extents is None else list(extents)
    if isinstance(x, EagerTensor):
        return list(x.spec.shape)
    return list(np.shape(x))


__all__ = [
    "NUMBERED", "as_dtype", "convert_to_tensor", "eager_constant", "is_tensor_like", "matching", "static_shape",
    "text_array", "tree_has_tensor",
]  # fmt: skip
