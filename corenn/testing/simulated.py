"""A simulated device: NumPy arrays behind a wall, so that device mistakes show on a machine that has none.

Its arrays live in a memory of their own and come and go by explicit copies, which are counted.  Whatever would be a
hidden copy or a hidden wait on a real device is refused: ``numpy.asarray(x)``, ``float(x)``, ``if x``, iteration, a
host array as an operand.  There are two devices, and arrays of one are refused beside arrays of the other.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from corenn import dtypes
from corenn.backend.contract import Backend
from corenn.dtypes import DType

Host = np.ndarray[Any, Any]


class DeviceAccessError(RuntimeError):
    """What a real device would do slowly and silently, or not at all."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """The handle of one simulated device."""

    index: int

    def __repr__(self) -> str:
        return f"simulated memory {self.index}"


_MEMORIES = (DeviceMemory(0), DeviceMemory(1))


def _refuse(what: str) -> NoReturn:
    raise DeviceAccessError(f"{what} would copy from the device behind your back: use backend.to_host(array)")


class DeviceArray:
    """An array in simulated device memory: what the array API gives arrays, and nothing that reaches the host."""

    __slots__ = ("_memory", "device")
    __array_ufunc__ = None  # ndarray + DeviceArray is a TypeError, not an object array
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, memory: Host, device: DeviceMemory) -> None:
        self._memory, self.device = memory, device

    # ---- what it is

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the axes."""
        shape: tuple[int, ...] = self._memory.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        dtype: np.dtype[Any] = self._memory.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._memory.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._memory.size

    @property
    def T(self) -> DeviceArray:
        """The transpose of a matrix."""
        return DeviceArray(self._memory.T, self.device)

    @property
    def mT(self) -> DeviceArray:
        """The last two axes exchanged."""
        return DeviceArray(self._memory.mT, self.device)

    def to_device(self, device: DeviceMemory, /, *, stream: None = None) -> DeviceArray:
        """A copy on another device (itself on its own)."""
        return self if device == self.device else DeviceArray(self._memory.copy(), device)

    def __array_namespace__(self, *, api_version: str | None = None) -> Namespace:
        return NAMESPACE

    def __repr__(self) -> str:
        return f"<{self.dtype}{list(self.shape)} in {self.device}>"

    # ---- what it refuses

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse("numpy.asarray(array)")

    def __array_function__(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse("a NumPy function of a device array")

    def __float__(self) -> NoReturn:
        _refuse("float(array)")

    def __int__(self) -> NoReturn:
        _refuse("int(array)")

    def __complex__(self) -> NoReturn:
        _refuse("complex(array)")

    def __bool__(self) -> NoReturn:
        _refuse("bool(array)")

    def __index__(self) -> NoReturn:
        _refuse("an array as an index of a list")

    def __iter__(self) -> NoReturn:
        _refuse("iterating over an array")

    def __len__(self) -> NoReturn:
        raise TypeError("arrays of the array API have no len(): use array.shape[0]")

    # ---- indexing

    def __getitem__(self, index: Any) -> DeviceArray:
        return DeviceArray(np.asarray(self._memory[_unwrap_index(index, self.device)]), self.device)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._memory[_unwrap_index(index, self.device)] = _unwrap(value, self.device)

    # ---- operators (filled in below)


def _unwrap(value: Any, device: DeviceMemory) -> Any:
    """What NumPy may see of an operand: the memory of an array on ``device``, or a Python number."""
    if isinstance(value, DeviceArray):
        if value.device != device:
            raise DeviceAccessError(f"an array in {value.device} beside one in {device}: copy one with to_device")
        return value._memory
    if isinstance(value, np.ndarray | np.generic):
        kind = type(value).__name__
        raise DeviceAccessError(f"a host {kind} beside arrays in {device}: use backend.from_host(array)")
    if isinstance(value, list | tuple):
        return type(value)(_unwrap(v, device) for v in value)
    return value


def _unwrap_index(index: Any, device: DeviceMemory) -> Any:
    return tuple(_unwrap(i, device) for i in index) if isinstance(index, tuple) else _unwrap(index, device)


def _wrap(value: Any, device: DeviceMemory) -> Any:
    """NumPy's arrays and scalars as arrays on ``device``, also inside tuples; other values as they are."""
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(np.asarray(value), device)
    if isinstance(value, tuple):
        parts = [_wrap(v, device) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def _binary(function: Callable[[Any, Any], Any], reflected: bool) -> Callable[[DeviceArray, Any], Any]:
    def method(self: DeviceArray, other: Any) -> Any:
        theirs = _unwrap(other, self.device)
        if not isinstance(other, DeviceArray | bool | int | float | complex):
            return NotImplemented
        pair = (theirs, self._memory) if reflected else (self._memory, theirs)
        return _wrap(function(*pair), self.device)

    return method


def _unary(function: Callable[[Any], Any]) -> Callable[[DeviceArray], Any]:
    return lambda self: _wrap(function(self._memory), self.device)


for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
):
    _function = getattr(operator, f"__{_name}__")
    setattr(DeviceArray, f"__{_name}__", _binary(_function, False))
    setattr(DeviceArray, f"__r{_name}__", _binary(_function, True))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(DeviceArray, f"__{_name}__", _binary(getattr(operator, _name), False))
for _name in ("neg", "pos", "abs", "invert"):
    setattr(DeviceArray, f"__{_name}__", _unary(getattr(operator, f"__{_name}__")))


class Namespace:
    """NumPy's array-API functions on device arrays: each looks at its arguments, computes, and wraps what comes out."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if name in ("linalg", "fft"):
            found = Namespace(found)
        elif callable(found) and not isinstance(found, type):
            found = functools.partial(_call, found)
        setattr(self, name, found)  # asked once
        return found


def _call(function: Callable[..., Any], *args: Any, device: DeviceMemory | None = None, **kwargs: Any) -> Any:
    where = _device_among((args, tuple(kwargs.values())))
    if device is not None and where is not None and device != where:
        raise DeviceAccessError(f"asked for {device} with an array in {where}: copy it with to_device")
    place = device or where or _MEMORIES[0]
    return _wrap(function(*_unwrap(args, place), **{k: _unwrap(v, place) for k, v in kwargs.items()}), place)


def _device_among(values: tuple[Any, ...] | list[Any]) -> DeviceMemory | None:
    for value in values:
        found = value.device if isinstance(value, DeviceArray) else None
        if found is None and isinstance(value, list | tuple):
            found = _device_among(value)
        if found is not None:
            return found
    return None


NAMESPACE = Namespace(np)


@dataclass
class TransferCounts:
    """How often data crossed between host and device."""

    to_device: int = 0
    to_host: int = 0
    synchronizations: int = 0


_COMPUTES_IN = {dtypes.float16: dtypes.float32}


class SimulatedDevice(Backend):
    """Two devices with memories of their own, in this process; ``transfers`` counts what crossed.  See the module."""

    name = "simulated"
    xp = NAMESPACE
    computes_in = _COMPUTES_IN

    def __init__(self) -> None:
        self.transfers = TransferCounts()

    def from_host(self, array: Host, index: int) -> DeviceArray:
        """A copy in the memory of device ``index``."""
        self.transfers.to_device += 1
        return DeviceArray(np.array(array), _MEMORIES[index])

    def to_host(self, array: DeviceArray) -> Host:
        """A copy on the host."""
        if not isinstance(array, DeviceArray):
            raise DeviceAccessError(f"to_host of a {type(array).__name__}, which is not in device memory")
        self.transfers.to_host += 1
        return np.array(array._memory)

    def device_count(self) -> int:
        """Two."""
        return len(_MEMORIES)

    def synchronize(self, index: int) -> None:
        """Nothing to wait for; counted."""
        self.transfers.synchronizations += 1

    def device_handle(self, index: int) -> DeviceMemory:
        """The memory of device ``index``."""
        return _MEMORIES[index]

    def dtypes(self) -> frozenset[DType]:
        """All but bfloat16."""
        return dtypes.ALL - {dtypes.bfloat16}

    def dtype(self, dtype: DType) -> np.dtype[Any]:
        """NumPy's dtype."""
        return dtype.numpy

    def describe_device(self, index: int) -> str:
        """Which memory."""
        return f"simulated device {index}, NumPy {np.__version__} behind a wall"
