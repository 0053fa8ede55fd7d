"""The wire format of Protocol Buffers: writing the fields of a message and reading them back.

A message is a run of fields, each ``key = field_number << 3 | wire_type`` and a value; wire types are 0 (varint),
1 (8 bytes), 2 (length and bytes) and 5 (4 bytes).  Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

#: One decoded field: its number, its wire type, and an ``int`` (wire 0), or the raw bytes (wires 1, 2 and 5).
Field: TypeAlias = tuple[int, int, int | bytes]


class WireError(ValueError):
    """Bytes that are not a well-formed message."""


def varint(value: int) -> bytes:
    """Base-128 form of ``value``; a negative number is written as its 64-bit two's complement."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(field: int, value: int) -> bytes:
    """An int32, int64, bool or enum field."""
    return varint(field << 3) + varint(value)


def double(field: int, value: float) -> bytes:
    """A double field."""
    return varint(field << 3 | 1) + struct.pack("<d", value)


def single(field: int, value: float) -> bytes:
    """A float field; what is too large for float32 becomes an infinity of its sign."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", math.copysign(math.inf, value))
    return varint(field << 3 | 5) + packed


def blob(field: int, value: bytes) -> bytes:
    """A bytes field, or a message that is already encoded."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def string(field: int, value: str) -> bytes:
    """A string field in UTF-8; a lone surrogate, which UTF-8 cannot hold, becomes ``?``."""
    return blob(field, value.encode("utf-8", "replace"))


def fields(message: bytes) -> Iterator[Field]:
    """The fields of an encoded message in order.  Raises :class:`WireError` where it is not well formed."""
    at = 0
    while at < len(message):
        key, at = read_varint(message, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise WireError("field number 0")
        if wire == 0:
            value, at = read_varint(message, at)
            yield number, wire, value
            continue
        if wire == 2:
            size, at = read_varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise WireError(f"wire type {wire} of field {number}")
        if at + size > len(message):
            raise WireError(f"field {number} runs past the end")
        yield number, wire, message[at : at + size]
        at += size


def read_varint(message: bytes, at: int) -> tuple[int, int]:
    """The varint at offset ``at`` and the offset after it."""
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise WireError("unfinished varint")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def as_int(value: int | bytes) -> int:
    """A varint field as a signed 64-bit number."""
    if isinstance(value, bytes):
        raise WireError("expected a varint")
    return value - (1 << 64) if value >= 1 << 63 else value


def as_float(value: int | bytes) -> float:
    """A float or double field."""
    if isinstance(value, int) or len(value) not in (4, 8):
        raise WireError("expected a float or double")
    result: float = struct.unpack("<f" if len(value) == 4 else "<d", value)[0]
    return result


def as_bytes(value: int | bytes) -> bytes:
    """A bytes or message field."""
    if isinstance(value, int):
        raise WireError("expected a length-delimited field")
    return value


def as_str(value: int | bytes) -> str:
    """A string field."""
    return as_bytes(value).decode("utf-8", "replace")


def as_doubles(value: int | bytes) -> npt.NDArray[np.float64]:
    """A repeated double field: packed, or one element of an unpacked one."""
    data = as_bytes(value)
    if len(data) % 8:
        raise WireError("packed doubles of an odd length")
    return np.frombuffer(data, "<f8").astype(np.float64)


__all__ = [
    "Field", "WireError", "as_bytes", "as_doubles", "as_float", "as_int", "as_str", "blob", "double", "fields",
    "integer", "read_varint", "single", "string", "varint",
]  # fmt: skip
