"""Level 0: arrays.  What is sent comes back, dtypes are what they say, devices are apart, ``xp`` is complete."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.backend.contract import Backend
from corenn.backend.registry import check_backend
from corenn.device import Device, device_of
from corenn.dtypes import DType
from corenn.errors import BackendError
from corenn.ops.creation import tensor
from corenn.testing.cases import Case
from corenn.testing.compare import bits_difference
from corenn.testing.namespace import FUNCTIONS, LINALG
from corenn.testing.trial import Host, NotHere, require_dtypes

_ALL = sorted(dtypes.ALL, key=lambda d: ("buifc".index(d.kind), d.itemsize, d.name))
_REQUIRED = (dtypes.float32, dtypes.int32, dtypes.bool_)  # what Python floats, ints and comparisons become


def cases(backend: Backend) -> Iterator[Case]:
    """L0, in the order in which an author meets the questions."""
    places = [device_of(backend, i) for i in range(backend.device_count())]
    home = places[0]

    def case(name: str, check: Callable[..., str | None], *given: Any) -> Case:
        return Case(f"L0/{name}", functools.partial(check, *given))

    yield case("backend/contract", _contract, backend)
    yield case("dtypes/required", _required, backend)
    for place in places:
        yield case(f"devices/{place.index}", _device, backend, place)
    yield case("devices/mixing", _mixing, places)
    for dtype in _ALL:
        yield case(f"dtypes/{dtype}", _dtype, home, dtype)
        for layout in _LAYOUTS:
            yield case(f"transfer/{dtype}/{layout}", _transfer, places, dtype, layout)
    yield case("transfer/copies", _copies, home)
    yield case("transfer/byte_order", _byte_order, home)
    for name in FUNCTIONS:
        yield case(f"namespace/{name}", _has, backend.xp, name, "xp")
    for name in LINALG:
        yield case(f"namespace/linalg/{name}", _has, getattr(backend.xp, "linalg", None), name, "xp.linalg")
    for name, (function, kinds) in _OPERATORS.items():
        for dtype in (d for d in _REQUIRED if d.kind in kinds):
            yield case(f"operators/{name}/{dtype}", _operator, home, function, dtype)
    for name, index in _INDICES.items():
        yield case(f"indexing/{name}", _indexing, home, index)
    yield case("indexing/assignment", _assignment, home)


# ---------------------------------------------------------------- the backend and its devices


def _contract(backend: Backend) -> str | None:
    try:
        check_backend(backend)
    except BackendError as error:
        return str(error)
    return None


def _required(backend: Backend) -> str | None:
    missing = [d.name for d in _REQUIRED if d not in backend.offered]
    if missing:
        return f"does not offer {', '.join(missing)}, which Python numbers and comparisons become"
    strange = [d for d in backend.offered if d not in dtypes.ALL]
    return f"dtypes() has {strange[0]!r}, which is no corenn dtype" if strange else None


def _device(backend: Backend, place: Device) -> str | None:
    text = backend.describe_device(place.index)
    if not isinstance(text, str) or not text or "\n" in text:
        return f"describe_device({place.index}) must be one line of text, not {text!r}"
    if any(d not in backend.offered for d in _REQUIRED):
        raise NotHere("needs float32")
    made = backend.xp.zeros((2,), dtype=backend.dtype(dtypes.float32), device=place.handle)
    moved = backend.from_host(np.ones(2, np.float32), place.index)
    for what, array in (("xp.zeros(device=handle)", made), ("from_host", moved), ("their sum", made + moved)):
        where = getattr(array, "device", None)
        if where is not None and place.handle is not None and where != place.handle:
            return f"the result of {what} is on {where!r}, not on {place.handle!r}"
    place.synchronize()
    return bits_difference(backend.to_host(made + moved), np.ones(2, np.float32))


def _mixing(places: list[Device]) -> str | None:
    if len(places) < 2:
        raise NotHere("has one device")
    x, y = (tensor(np.ones(2, np.float32), device=p) for p in (places[0], places[-1]))
    try:
        x + y
    except BackendError as error:
        text = str(error)
        named = all(p.name in text for p in (places[0], places[-1]))
        return None if named else f"the error names only one of the devices:\n{text}"
    finally:
        back = x.to(places[-1]).to(places[0])
    return bits_difference(back.numpy(), x.numpy()) or "operands on two devices were taken without an error"


# ---------------------------------------------------------------- dtypes and transfers


def _values(dtype: DType, shape: tuple[int, ...]) -> Host:
    """Different values, among them ones that a narrower or floating dtype could not hold."""
    count = int(np.prod(shape))
    if dtype.kind == "b":
        thirds: Host = np.arange(count) % 3 == 0
        return thirds.reshape(shape)
    if dtype.is_integer:
        info = np.iinfo(dtype.numpy)
        ends = np.array([info.max, info.min, info.max - 1, 1, info.min + 1], dtype.numpy)
        return np.resize(ends, shape) if count else np.empty(shape, dtype.numpy)
    steps = np.linspace(-2.0, 3.0, max(count, 1))[:count] + 1 / 3
    values: Host = steps + 1j * steps[::-1] if dtype.kind == "c" else steps
    return values.astype(dtype.numpy).reshape(shape)


def _extremes(dtype: DType) -> Host:
    if dtype.kind in "biu":
        return _values(dtype, (10,))
    if dtype is dtypes.bfloat16:
        limits = [3.3895e38, 1.1755e-38, 0.0078125]
    else:
        info = np.finfo(dtype.numpy)
        limits = [float(info.max), float(info.tiny), float(info.eps)]
    special: list[complex] = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, *limits, *(-v for v in limits)]
    if dtype.kind == "c":
        special += [complex(np.inf, np.nan), complex(-0.0, -np.inf)]
    return np.array(special).astype(dtype.numpy)


def _read_only(dtype: DType) -> Host:
    array = _values(dtype, (3, 2))
    array.flags.writeable = False
    return array


_LAYOUTS: dict[str, Callable[[DType], Host]] = {
    "0d": lambda d: _values(d, (3,))[1].reshape(()),
    "1d": lambda d: _values(d, (7,)),
    "empty": lambda d: _values(d, (2, 0, 3)),
    "5d": lambda d: _values(d, (2, 1, 3, 2, 2)),
    "transposed": lambda d: _values(d, (3, 4)).T,
    "fortran": lambda d: np.asfortranarray(_values(d, (3, 4, 2))),
    "strided": lambda d: _values(d, (6, 9))[::2, 1::3],
    "reversed": lambda d: _values(d, (4, 5))[::-1, ::-2],
    "broadcast": lambda d: np.broadcast_to(_values(d, (3, 1)), (2, 3, 4)),
    "read_only": _read_only,
    "extremes": _extremes,
}


def _transfer(places: list[Device], dtype: DType, layout: str) -> str | None:
    require_dtypes([dtype], places[0])
    host = _LAYOUTS[layout](dtype)
    for place in places:
        backend = place.backend
        array = backend.from_host(host, place.index)
        if tuple(array.shape) != host.shape:
            return f"from_host made an array of shape {tuple(array.shape)} of one of shape {host.shape}"
        found = backend.dtype_of(array)
        if found is not dtype:
            return f"from_host made {found} of {dtype}"
        back: object = backend.to_host(array)
        if not isinstance(back, np.ndarray):  # a backend may break its promise
            return f"to_host gave a {type(back).__name__}, not a numpy.ndarray"
        problem = bits_difference(back, host)
        if problem is not None:
            return f"what came back from {place} is not what was sent: {problem}"
    return None


def _dtype(home: Device, dtype: DType) -> str | None:
    """``xp`` must have the dtype it offers: make, convert, classify."""
    require_dtypes([dtype], home)
    backend, xp = home.backend, home.backend.xp
    kind = backend.dtype(dtype)
    made = xp.zeros((2,), dtype=kind, device=home.handle)
    if backend.dtype_of(made) is not dtype:
        return f"xp.zeros gave {backend.dtype_of(made)} elements where {dtype} was asked for"
    problem = bits_difference(backend.to_host(made), np.zeros(2, dtype.numpy))
    if problem is not None:
        return f"xp.zeros: {problem}"
    ones = xp.astype(backend.from_host(np.ones(2, np.float32), home.index), kind)
    problem = bits_difference(backend.to_host(ones), np.ones(2, dtype.numpy))
    if problem is not None:
        return f"xp.astype of float32 ones: {problem}"
    if dtype is dtypes.bfloat16:
        return None  # the standard's isdtype does not know it
    names = {"b": "bool", "i": "signed integer", "u": "unsigned integer", "f": "real floating", "c": "complex floating"}
    claimed = [name for name in names.values() if xp.isdtype(made.dtype, name)]
    if claimed != [names[dtype.kind]]:
        return f"xp.isdtype calls {dtype} {' and '.join(claimed) or 'nothing'}, not {names[dtype.kind]}"
    if dtype.is_integer and xp.iinfo(kind).bits != 8 * dtype.itemsize:
        return f"xp.iinfo says that {dtype} has {xp.iinfo(kind).bits} bits"
    return None


def _copies(home: Device) -> str | None:
    """Changing the host array after a transfer, or what came back, must not change the device's."""
    host = np.arange(4, dtype=np.float32)
    x = tensor(host, device=home)
    host[:] = 9
    problem = bits_difference(x.numpy(), np.arange(4, dtype=np.float32))
    if problem is not None:
        return f"from_host shares memory with the host's array: {problem}"
    x.numpy()[:] = 9
    return bits_difference(x.numpy(), np.arange(4, dtype=np.float32))


def _byte_order(home: Device) -> str | None:
    """Arrays in the other byte order (as read from files) become native ones."""
    for dtype in (d for d in (dtypes.float32, dtypes.int32) if d in home.backend.offered):
        native = _values(dtype, (5,))
        problem = bits_difference(tensor(native.astype(native.dtype.newbyteorder()), device=home).numpy(), native)
        if problem is not None:
            return problem
    return None


# ---------------------------------------------------------------- the namespace and its arrays


def _has(module: Any, name: str, where: str) -> str | None:
    return None if callable(getattr(module, name, None)) else f"{where} has no {name}"


_OPERATORS: dict[str, tuple[Callable[..., Any], str]] = {
    "add": (operator.add, "if"),
    "sub": (operator.sub, "if"),
    "mul": (operator.mul, "if"),
    "truediv": (operator.truediv, "f"),
    "floordiv": (operator.floordiv, "if"),
    "mod": (operator.mod, "if"),
    "pow": (operator.pow, "if"),
    "lt": (operator.lt, "if"),
    "le": (operator.le, "if"),
    "gt": (operator.gt, "if"),
    "ge": (operator.ge, "if"),
    "eq": (operator.eq, "bif"),
    "ne": (operator.ne, "bif"),
    "and": (operator.and_, "bi"),
    "or": (operator.or_, "bi"),
    "xor": (operator.xor, "bi"),
    "lshift": (operator.lshift, "i"),
    "rshift": (operator.rshift, "i"),
}


def _operator(home: Device, function: Callable[..., Any], dtype: DType) -> str | None:
    """An operator between two arrays, and between an array and a Python number on either side, keeps the dtype."""
    require_dtypes([dtype, dtypes.bool_], home)
    backend = home.backend
    x, y = np.array([3, 1, 2]).astype(dtype.numpy), np.array([2, 1, 3]).astype(dtype.numpy)
    left, right = (backend.from_host(a, home.index) for a in (x, y))
    scalar = {"b": True, "i": 2, "f": 2.0}[dtype.kind]
    for mine, theirs in (
        (function(left, right), function(x, y)),
        (function(left, scalar), function(x, scalar)),
        (function(scalar, right), function(scalar, y)),
    ):
        problem = bits_difference(backend.to_host(mine), theirs)
        if problem is not None:
            return problem
    return None


_INDICES: dict[str, Any] = {
    "int": (1, ...),
    "negative": (-1, 2),
    "slice": (slice(1, None), slice(None, 2)),
    "step": (slice(None, None, 2), slice(None, None, -1)),
    "newaxis": (None, ..., None),
    "ellipsis": (..., 0),
    "empty": (slice(2, 2), ...),
    "element": (1, 2, ...),
}


def _indexing(home: Device, index: Any) -> str | None:
    host = np.arange(12, dtype=np.float32).reshape(3, 4)
    array = home.backend.from_host(host, home.index)
    return bits_difference(home.backend.to_host(array[index]), np.asarray(host[index]))


def _assignment(home: Device) -> str | None:
    """Kernels fill arrays they have made themselves by basic indices."""
    backend = home.backend
    made = backend.xp.zeros((3, 4), dtype=backend.dtype(dtypes.float32), device=home.handle)
    expected = np.zeros((3, 4), np.float32)
    value = np.array([1, 2], np.float32)
    made[1:, ::2] = backend.from_host(value, home.index)
    made[0, 3] = 5.0
    expected[1:, ::2] = value
    expected[0, 3] = 5.0
    return bits_difference(backend.to_host(made), expected)
