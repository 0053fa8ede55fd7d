"""``Tensor``: an array on some device, with its spec; what every op takes and returns.

The methods and operators are short spellings of ops.  They reach the ops through ``_ops``, the module
``corenn.ops.operators``, which ``corenn.ops`` puts here when all ops are declared: nothing is imported upwards, and an
operator costs one global look-up more than the op.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from corenn import advice
from corenn.dtypes import DType, as_dtype
from corenn.errors import BackendError, DTypeError, ImmutableError, ShapeError, hide_frames_of
from corenn.spec import Spec

if TYPE_CHECKING:
    from corenn.device import Device
    from corenn.ops import operators as _ops  # at run time corenn.ops sets it

hide_frames_of(os.path.dirname(np.__file__))  # numpy.sum(x) calls x.sum: the caller is whoever called numpy.sum

_SCALARS = (float, int, bool, complex)


class Node:
    """The identity of a value on tapes, apart from its data, so that a tape can name a tensor without keeping it."""

    __slots__ = ()


class Tensor:
    """An n-dimensional array of one dtype on one device; immutable.

    Make one with ``corenn.tensor(data)`` or from an op.  Operators and methods are ops: they broadcast as NumPy does,
    are recorded by tapes and by graphs, and never mix devices.  ``data`` is the backend's raw array, ``spec`` the
    shape, dtype and device, ``node`` the identity on tapes (``None`` until a tape watches it).
    """

    __slots__ = ("__weakref__", "data", "node", "spec")

    data: Any
    spec: Spec
    node: Node | None

    def __init__(self, data: Any, spec: Spec) -> None:
        self.data = data
        self.spec = spec
        self.node = None

    # ---- what it is

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the axes."""
        return self.spec.shape  # type: ignore[return-value]  # arrays have known extents

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.spec.dtype

    @property
    def device(self) -> Device:
        """Where the array lives."""
        return self.spec.device  # type: ignore[return-value]  # arrays have a device

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.spec.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.spec.size

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes."""
        return self.spec.nbytes

    def __len__(self) -> int:
        if not self.spec.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __repr__(self) -> str:
        where = f", device={self.device.name!r}" if self.device.name != "numpy" else ""
        try:
            body = np.array2string(self._host(), separator=", ", prefix="corenn.tensor(")
        except Exception as problem:  # a repr must never hide the error that made someone print it
            body = f"<{self.spec}: values unavailable: {problem}>"
        shape = f"shape={self.shape}, " if self.size == 0 or self.size > 1000 else ""
        return f"corenn.tensor({body}, {shape}dtype={self.dtype.name!r}{where})"

    def _repr_html_(self) -> str:
        from corenn.display import tensor_html

        return tensor_html(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(str(self), spec)

    # ---- out of corenn

    def _host(self) -> np.ndarray[Any, Any]:
        host: np.ndarray[Any, Any] = self.device.backend.to_host(self.data)
        return host

    def numpy(self) -> np.ndarray[Any, Any]:
        """A copy on the host, of the same shape and dtype; changing it does not change the tensor."""
        host = self._host()
        return np.array(host)

    def item(self) -> Any:
        """The value of a tensor of one element as a Python scalar; ShapeError otherwise."""
        if self.size != 1:
            raise ShapeError("item", "takes a tensor of one element", {"x": self.spec}, hint="x.numpy() or x.tolist()")
        return self._host().reshape(()).item()

    def tolist(self) -> Any:
        """The values as nested lists of Python scalars."""
        return self._host().tolist()

    def to(self, device: str | Device) -> Tensor:
        """The same values on another device (itself if it is there already); gradients flow back."""
        return _ops.to_device(self, device)

    def cast(self, dtype: object) -> Tensor:
        """The values converted to ``dtype``; see ``corenn.cast``."""
        return _ops.cast(self, dtype=as_dtype(dtype))

    def astype(self, dtype: object) -> Tensor:
        """NumPy's name for ``cast``."""
        return self.cast(dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        host = self._host()
        if dtype is not None and host.dtype != dtype:
            return host.astype(dtype)
        if copy:
            return np.array(host)
        host = host.view()
        host.flags.writeable = False  # tensors are immutable; np.array(x) or x.numpy() gives a copy to write to
        return host

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Tensor:
        name = _UFUNC_OPERATORS.get(ufunc.__name__)
        if name is not None and method == "__call__" and not kwargs and out is None:
            return getattr(_ops, name)(*inputs)  # type: ignore[no-any-return]  # ndarray + tensor is corenn.add
        raise DTypeError(
            f"numpy.{ufunc.__name__}",
            "does not take corenn tensors (it would leave the device and the tape)",
            hint=advice.numpy_function(ufunc.__name__, ufunc.nin, out is not None),
        )

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.data.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.data.__dlpack_device__()  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(
                "bool",
                "the truth of a tensor of several elements is ambiguous",
                {"x": self.spec},
                hint="corenn.any(x) or corenn.all(x)",
            )
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if not self.dtype.is_integer:
            raise DTypeError("index", "only an integer tensor of one element can be an index", {"x": self.spec})
        return int(self.item())

    def __iter__(self) -> Iterator[Tensor]:
        if not self.spec.shape:
            raise TypeError("a 0-d tensor cannot be iterated over")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, value: Any) -> bool:
        return bool(_ops.any(self == value))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(advice.missing_method(type(self).__name__, name), name=name, obj=self)

    __hash__ = object.__hash__

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("tensors are not pickled; save x.numpy(), or use corenn.checkpoint")

    # ---- operators

    def __add__(self, other: Any) -> Tensor:
        if other.__class__ in _SCALARS:
            other = _ops.scalar_beside(other, self)
        return _ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return _ops.add(_ops.scalar_beside(other, self), self)

    def __sub__(self, other: Any) -> Tensor:
        if other.__class__ in _SCALARS:
            other = _ops.scalar_beside(other, self)
        return _ops.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return _ops.subtract(_ops.scalar_beside(other, self), self)

    def __mul__(self, other: Any) -> Tensor:
        if other.__class__ in _SCALARS:
            other = _ops.scalar_beside(other, self)
        return _ops.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return _ops.multiply(_ops.scalar_beside(other, self), self)

    def __truediv__(self, other: Any) -> Tensor:
        if other.__class__ in _SCALARS:
            other = _ops.scalar_beside(other, self)
        return _ops.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _ops.divide(_ops.scalar_beside(other, self), self)

    def __floordiv__(self, other: Any) -> Tensor:
        return _ops.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return _ops.floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return _ops.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return _ops.remainder(other, self)

    def __pow__(self, other: Any) -> Tensor:
        if other.__class__ in _SCALARS:
            other = _ops.scalar_beside(other, self)
        return _ops.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return _ops.power(_ops.scalar_beside(other, self), self)

    def __matmul__(self, other: Any) -> Tensor:
        return _ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return _ops.negative(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return _ops.abs(self)

    def __invert__(self) -> Tensor:
        return _ops.bitwise_invert(self)

    def __and__(self, other: Any) -> Tensor:
        return _ops.bitwise_and(self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Tensor:
        return _ops.bitwise_or(self, other)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Tensor:
        return _ops.bitwise_xor(self, other)

    __rxor__ = __xor__

    def __lshift__(self, other: Any) -> Tensor:
        return _ops.bitwise_left_shift(self, other)

    def __rshift__(self, other: Any) -> Tensor:
        return _ops.bitwise_right_shift(self, other)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]  # elementwise, as in NumPy
        if other is None or isinstance(other, str):
            return False  # type: ignore[return-value]
        return _ops.equal(self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        if other is None or isinstance(other, str):
            return True  # type: ignore[return-value]
        return _ops.not_equal(self, other)

    def __lt__(self, other: Any) -> Tensor:
        if other.__class__ in _SCALARS:
            other = _ops.scalar_beside(other, self)
        return _ops.less(self, other)

    def __le__(self, other: Any) -> Tensor:
        if other.__class__ in _SCALARS:
            other = _ops.scalar_beside(other, self)
        return _ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        if other.__class__ in _SCALARS:
            other = _ops.scalar_beside(other, self)
        return _ops.greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        if other.__class__ in _SCALARS:
            other = _ops.scalar_beside(other, self)
        return _ops.greater_equal(self, other)

    def __getitem__(self, index: Any) -> Tensor:
        return _ops.index(self, index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise ImmutableError(
            "x[...] = value",
            "tensors are immutable",
            {"x": self.spec},
            hint="x = corenn.index_update(x, value, index=...) makes a changed copy, and corenn.Variable has assign()",
        )

    # ---- the ops people write as methods

    @property
    def T(self) -> Tensor:
        """The transpose of a matrix."""
        return _ops.transpose(self)

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return _ops.matrix_transpose(self)

    def reshape(self, *shape: Any) -> Tensor:
        """``corenn.reshape``; takes ``reshape(2, 3)`` and ``reshape((2, 3))``."""
        given = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        return _ops.reshape(self, shape=tuple(given))

    def transpose(self, *axes: Any) -> Tensor:
        """``corenn.transpose``; without arguments, reverses the axes."""
        given = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes
        return _ops.transpose(self, axes=tuple(given) if given else None)

    def flatten(self) -> Tensor:
        """All elements in one axis, in C order."""
        return _ops.reshape(self, shape=(-1,))

    def sum(self, axis: Any = None, keepdims: bool = False, **other: Any) -> Tensor:
        """``corenn.sum``."""
        if other:
            advice.refuse_keywords("sum", other)
        return _ops.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False, **other: Any) -> Tensor:
        """``corenn.mean``."""
        if other:
            advice.refuse_keywords("mean", other)
        return _ops.mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False, **other: Any) -> Tensor:
        """``corenn.max``."""
        if other:
            advice.refuse_keywords("max", other)
        return _ops.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False, **other: Any) -> Tensor:
        """``corenn.min``."""
        if other:
            advice.refuse_keywords("min", other)
        return _ops.min(self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: Any = None, **other: Any) -> Tensor:
        """``corenn.argmax``."""
        if other:
            advice.refuse_keywords("argmax", other)
        return _ops.argmax(self, axis=axis)

    def all(self, axis: Any = None, keepdims: bool = False, **other: Any) -> Tensor:
        """``corenn.all``."""
        if other:
            advice.refuse_keywords("all", other)
        return _ops.all(self, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False, **other: Any) -> Tensor:
        """``corenn.any``."""
        if other:
            advice.refuse_keywords("any", other)
        return _ops.any(self, axis=axis, keepdims=keepdims)


# What ndarray's operators call when the other operand is a tensor.
_UFUNC_OPERATORS = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "divide": "divide",
    "true_divide": "divide",
    "floor_divide": "floor_divide",
    "remainder": "remainder",
    "power": "power",
    "matmul": "matmul",
    "equal": "equal",
    "not_equal": "not_equal",
    "less": "less",
    "less_equal": "less_equal",
    "greater": "greater",
    "greater_equal": "greater_equal",
    "bitwise_and": "bitwise_and",
    "bitwise_or": "bitwise_or",
    "bitwise_xor": "bitwise_xor",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
}


def host_array(data: Any, dtype: DType | None = None) -> np.ndarray[Any, Any]:
    """``data`` (nested lists, scalars, arrays) as a NumPy array, with corenn's default dtypes for Python numbers.

    Raises DTypeError for strings and objects, ShapeError for ragged lists.
    """
    if isinstance(data, np.ndarray | np.generic):
        array = np.asarray(data)
    else:
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise ShapeError("tensor", "the nested lists are ragged", hint="make rows of one length") from error
        except TypeError as error:
            if hasattr(data, "__dlpack__"):
                raise BackendError("tensor", "the array lives on another device", hint="corenn.from_dlpack") from error
            raise
        if not hasattr(data, "dtype"):
            if dtype is None:
                array = _default_precision(array)
            elif dtype.is_integer and array.dtype.kind in "iu":
                _check_range(array, dtype)
    if array.dtype.kind not in "biufcV" or array.dtype.fields:
        what, hint = advice.not_numbers(data, array.dtype)
        raise DTypeError("tensor", what, hint=hint)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array.astype(dtype.numpy) if dtype is not None and array.dtype != dtype.numpy else array


def _check_range(array: np.ndarray[Any, Any], dtype: DType) -> None:
    """DTypeError for Python ints that the dtype asked for cannot hold; arrays wrap, as in NumPy."""
    info = np.iinfo(dtype.numpy)
    if array.size and (array.min() < info.min or array.max() > info.max):
        worst = array.max() if array.max() > info.max else array.min()
        hint = f"{dtype.name} holds {info.min} to {info.max}"
        raise DTypeError("tensor", f"{worst} does not fit in {dtype}", hint=hint)


def _default_precision(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Python numbers: int32 where they fit, float32, complex64."""
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype == np.complex128:
        return array.astype(np.complex64)
    if array.dtype == np.int64 and (array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)):
        return array.astype(np.int32)
    return array
