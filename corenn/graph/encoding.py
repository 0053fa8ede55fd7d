"""Attributes of operations as JSON, and back: arrays, dtypes, tuples, slices, places of values known when a graph runs.

What JSON says itself (None, bool, int, str, finite float, list) is written as it is; the rest is an object with one
key that begins with ``$``: ``{"$tuple": [...]}``, ``{"$float": "nan"}``, ``{"$complex": [re, im]}``,
``{"$bytes": base64}``, ``{"$dtype": name}``, ``{"$array": {...}}``, ``{"$slice": [start, stop, step]}``,
``{"$ellipsis": null}``, ``{"$deferred": [input, known]}``, ``{"$bound": place}``, ``{"$device": name}``,
``{"$dict": [[key, value], ...]}``.

An array is ``{"dtype", "shape"}`` with its elements as one of ``data`` (base64 of the bytes, little endian, C order),
``strings`` (a list, flat), or ``tensor``: the name of a tensor in the file beside, which is a digest of its content, so
that a description never meets another's tensors unnoticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from corenn.device import Device
from corenn.device import device as device_called
from corenn.dtypes import BY_NAME, DType, as_dtype, string
from corenn.errors import CheckpointError, CorennError
from corenn.graph.kinds import Bound
from corenn.graph.operations import Deferred
from corenn.tensor import Tensor

#: Names of the element types that a safetensors file holds; arrays of the others stay in the description.
_STORED = frozenset(BY_NAME) - {"complex128"}
#: Nested lists deeper than this are damage, not attributes.
_DEEPEST = 50
_MOST_AXES = 64


class UnwritableError(ValueError):
    """A value that has no form in a file; the message says what it is, ``hint`` what to do where that is known."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.hint = hint


class ValueWriter:
    """Values to JSON.  Arrays of more than ``large`` bytes are put into ``tensors`` (``None``: none are)."""

    def __init__(self, large: int | None = None) -> None:
        self.large = large
        self.tensors: dict[str, np.ndarray[Any, Any]] = {}

    def value(self, value: Any) -> Any:
        """The JSON form of ``value``; UnwritableError for what has none."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if kind is list:
            return [self.value(v) for v in value]
        if kind is tuple:
            return {"$tuple": [self.value(v) for v in value]}
        for types, write in _FORMS:
            if isinstance(value, types):
                found: Any = write(self, value)
                return found
        if callable(value):
            raise UnwritableError(f"the Python function {getattr(value, '__qualname__', value)!r}")
        raise UnwritableError(f"a {kind.__module__}.{kind.__qualname__}")

    def array(self, array: np.ndarray[Any, Any]) -> dict[str, Any]:
        """The record of an array."""
        if array.dtype == object:
            flat = [self._text(v) for v in array.reshape(-1).tolist()]
            return {"dtype": "string", "shape": list(array.shape), "strings": flat}
        record: dict[str, Any] = {"dtype": as_dtype(array.dtype).name, "shape": list(array.shape)}
        content = little_endian(array)
        if self.large is not None and len(content) > self.large and record["dtype"] in _STORED:
            described = f"{record['dtype']}{record['shape']}".encode()
            name = hashlib.sha256(described + content).hexdigest()[:32]
            self.tensors[name] = array
            return {**record, "tensor": name}
        return {**record, "data": base64.b64encode(content).decode()}

    def _text(self, value: Any) -> Any:
        if not isinstance(value, (str, bytes)):
            raise UnwritableError(f"an array of {type(value).__name__} objects")
        return value if isinstance(value, str) else {"$bytes": base64.b64encode(value).decode()}


def little_endian(array: np.ndarray[Any, Any]) -> bytes:
    """The bytes of an array of numbers in the order files have."""
    if array.dtype.isbuiltin != 2:  # extension types (bfloat16) have no byte order of their own
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return array.tobytes()


_FORMS: list[tuple[Any, Callable[[ValueWriter, Any], Any]]] = [
    (Bound, lambda w, v: {"$bound": v.place}),
    (Deferred, lambda w, v: {"$deferred": [v.position, w.value(v.known)]}),
    (DType, lambda w, v: {"$dtype": v.name}),
    (Device, lambda w, v: {"$device": v.name}),
    (type(Ellipsis), lambda w, v: {"$ellipsis": None}),
    (slice, lambda w, v: {"$slice": [w.value(p) for p in (v.start, v.stop, v.step)]}),
    (bytes, lambda w, v: {"$bytes": base64.b64encode(v).decode()}),
    (complex, lambda w, v: {"$complex": [w.value(v.real), w.value(v.imag)]}),
    (np.generic, lambda w, v: {"$array": w.array(np.asarray(v))}),
    (np.ndarray, lambda w, v: {"$array": w.array(v)}),
    (Tensor, lambda w, v: {"$array": w.array(v.numpy())}),
    (dict, lambda w, v: {"$dict": [[w.value(k), w.value(x)] for k, x in v.items()]}),
]


class ValueReader:
    """JSON to values; ``where`` (the file) begins the messages, ``tensors`` are those of the file beside."""

    def __init__(self, where: str, tensors: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self.where, self.tensors = where, tensors

    def refuse(self, what: str) -> NoReturn:
        """CheckpointError: the file is not what was written."""
        raise CheckpointError(self.where, what, hint="export the graph again; the file is damaged or was edited")

    def value(self, data: Any, depth: int = 0) -> Any:
        """The value of a JSON form; CheckpointError for what is none."""
        if data is None or isinstance(data, (bool, int, str)):
            return data
        if isinstance(data, float):
            return data if math.isfinite(data) else self.refuse("a number is not finite")
        if depth > _DEEPEST:
            self.refuse(f"a value is nested more than {_DEEPEST} deep")
        if isinstance(data, list):
            return [self.value(v, depth + 1) for v in data]
        if isinstance(data, dict) and len(data) == 1:
            ((mark, body),) = data.items()
            read = _MARKS.get(mark)
            if read is not None:
                try:
                    return read(self, body, depth + 1)
                except (TypeError, ValueError, OverflowError, CorennError) as error:
                    if isinstance(error, CheckpointError):
                        raise
                    self.refuse(f"a value {mark} is malformed: {getattr(error, 'what', error)}")
        return self.refuse(f"there is no value of the form {str(data)[:60]!r}")

    def array(self, record: Any) -> np.ndarray[Any, Any]:
        """The array of a record, new and not writable."""
        if not isinstance(record, dict):
            self.refuse("an array is not an object")
        shape, dtype = self.shape(record.get("shape")), self.dtype(record.get("dtype"))
        count = math.prod(shape)
        if dtype is string:
            found = np.empty(count if isinstance(record.get("strings"), list) else 0, object)
            texts = [self.value(v) for v in record.get("strings") or ()]
            if len(texts) != count or not all(isinstance(t, (str, bytes)) for t in texts):
                self.refuse(f"an array of strings{list(shape)} does not have {count} strings")
            found[:] = texts
        elif "tensor" in record:
            stored = self.tensors.get(str(record["tensor"]))
            if stored is None:
                self.refuse(f"the tensor {str(record['tensor'])!r} is not in the file of tensors beside it")
            if stored.shape != shape or stored.dtype != dtype.numpy:
                self.refuse(f"the tensor {str(record['tensor'])!r} is not {dtype.name}{list(shape)}")
            found = np.array(stored)
        else:
            content = self.content(record.get("data"))
            if len(content) != count * dtype.numpy.itemsize:
                self.refuse(f"an array has {len(content)} bytes, which do not fit {dtype.name}{list(shape)}")
            stored_as = dtype.numpy if dtype.numpy.isbuiltin == 2 else dtype.numpy.newbyteorder("<")
            if dtype.kind == "b" and any(b > 1 for b in content):
                self.refuse("an array of booleans has bytes other than 0 and 1")
            found = np.frombuffer(content, stored_as).astype(dtype.numpy)
        array = found.reshape(shape)
        array.flags.writeable = False
        return array

    def content(self, text: Any) -> bytes:
        """Bytes from base64."""
        try:
            return base64.b64decode(text, validate=True)
        except (TypeError, ValueError, binascii.Error) as error:
            return self.refuse(f"bytes are not base64 ({error})")

    def shape(self, data: Any) -> tuple[int, ...]:
        """A shape without unknown extents."""
        found = self.extents(data)
        if found is None or None in found:
            self.refuse(f"{str(data)[:60]} is not the shape of an array")
        return found  # type: ignore[return-value]  # no None is in it

    def extents(self, data: Any) -> tuple[int | None, ...] | None:
        """A shape as far as it is known."""
        if data is None:
            return None
        good = isinstance(data, list) and all(n is None or (type(n) is int and n >= 0) for n in data)
        if not good or len(data) > _MOST_AXES:
            self.refuse(f"{str(data)[:60]} is not a shape")
        return tuple(data)

    def dtype(self, name: Any) -> DType:
        """The dtype called ``name``."""
        if name == string.name:
            return string
        if not isinstance(name, str) or name not in BY_NAME:
            self.refuse(f"there is no element type {str(name)[:60]!r}")
        return BY_NAME[name]

    def integer(self, data: Any, what: str) -> int:
        """A plain integer of at least 0."""
        if type(data) is not int or data < 0:
            self.refuse(f"{what} is {str(data)[:60]!r}, not an integer of at least 0")
        return data


def _float(reader: ValueReader, body: Any, depth: int) -> float:
    if body not in ("nan", "inf", "-inf"):
        raise ValueError(f"{str(body)[:60]!r} is none of nan, inf, -inf")
    return float(body)


def _complex(reader: ValueReader, body: Any, depth: int) -> complex:
    real, imaginary = (reader.value(v, depth) for v in body)
    return complex(real, imaginary)


def _slice(reader: ValueReader, body: Any, depth: int) -> slice:
    start, stop, step = (reader.value(v, depth) for v in body)
    return slice(start, stop, step)


def _deferred(reader: ValueReader, body: Any, depth: int) -> Deferred:
    position, known = body
    return Deferred(reader.integer(position, "the place of a deferred value"), reader.value(known, depth))


def _dict(reader: ValueReader, body: Any, depth: int) -> dict[Any, Any]:
    return {reader.value(key, depth): reader.value(value, depth) for key, value in body}


_MARKS: dict[str, Callable[[ValueReader, Any, int], Any]] = {
    "$tuple": lambda r, body, depth: tuple(r.value(v, depth) for v in body),
    "$float": _float,
    "$complex": _complex,
    "$bytes": lambda r, body, depth: r.content(body),
    "$dtype": lambda r, body, depth: r.dtype(body),
    "$array": lambda r, body, depth: r.array(body),
    "$slice": _slice,
    "$ellipsis": lambda r, body, depth: ...,
    "$deferred": _deferred,
    "$bound": lambda r, body, depth: Bound(r.integer(body, "the place of a bound")),
    "$device": lambda r, body, depth: device_called(body),
    "$dict": _dict,
}

__all__ = ["UnwritableError", "ValueReader", "ValueWriter", "little_endian"]
