"""The records of a TensorFlow checkpoint's index: header, entries, element types and the keys of slices.

Field numbers: tensorflow/core/protobuf/tensor_bundle.proto and tensorflow/core/framework/{types,tensor_shape,
tensor_slice,versions}.proto.  Keys of slices: tensorflow/core/lib/strings/ordered_code.h.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from corenn.dtypes import extension_dtype
from corenn.errors import CheckpointError
from corenn.records import protobuf as pb

STRING = 7
FORMAT_VERSION = 1  # of the bundles written here, and the newest that is read
#: ``DataType`` number -> NumPy's name.  Quantized integers (11 to 16 without 14) are read as the integers they are.
_NAMES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    STRING: "object",
    8: "complex64",
    9: "int64",
    10: "bool",
    11: "int8",
    12: "uint8",
    13: "int32",
    14: "bfloat16",
    15: "int16",
    16: "uint16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
    26: "float8_e4m3fnuz",
    27: "float8_e4m3b11fnuz",
    28: "float8_e5m2fnuz",
}
_QUANTIZED = {11, 12, 13, 15, 16}
_EXTENSIONS = {14, 24, 25, 26, 27, 28}
_REFUSED = {20: "resource", 21: "variant", 29: "int4", 30: "uint4", 31: "int2", 32: "uint2", 33: "float4_e2m1fn"}
#: NumPy's name -> ``DataType`` number; ``object`` stands for strings.
NUMBERS = {name: number for number, name in _NAMES.items() if number not in _QUANTIZED}

#: One axis of a slice: where it starts and its length, -1 for the whole axis.
Extent = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Header:
    """The record under the empty key: into how many files the data is split, and their byte order."""

    shards: int
    big_endian: bool
    min_consumer: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor: ``size`` bytes at ``offset`` of file ``shard``; or, with ``slices``, the whole of which those are."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    slices: tuple[tuple[Extent, ...], ...] = ()


def encode_header(shards: int) -> bytes:
    """BundleHeaderProto for little-endian data."""
    return pb.integer(1, shards) + pb.blob(3, pb.integer(1, FORMAT_VERSION))


def decode_header(message: bytes) -> Header:
    """Inverse of :func:`encode_header`; WireError where it is malformed."""
    shards = endianness = min_consumer = 0
    for number, _, value in pb.fields(message):
        if number == 1:
            shards = _count(value)
        elif number == 2:
            endianness = pb.as_int(value)
        elif number == 3:
            for inner, _, item in pb.fields(pb.as_bytes(value)):
                min_consumer = pb.as_int(item) if inner == 2 else min_consumer
    return Header(shards, endianness == 1, min_consumer)


def encode_entry(entry: Entry) -> bytes:
    """BundleEntryProto; fields that are zero are left out, as proto3 has it."""
    shape = b"".join(pb.blob(2, pb.integer(1, size) if size else b"") for size in entry.shape)
    message = pb.integer(1, entry.dtype) + pb.blob(2, shape)
    for number, value in ((3, entry.shard), (4, entry.offset), (5, entry.size)):
        message += pb.integer(number, value) if value else b""
    if entry.crc:
        message += pb.varint(6 << 3 | 5) + entry.crc.to_bytes(4, "little")
    for extents in entry.slices:
        message += pb.blob(7, b"".join(pb.blob(1, _encode_extent(*extent)) for extent in extents))
    return message


def decode_entry(message: bytes) -> Entry:
    """Inverse of :func:`encode_entry`; WireError where it is malformed."""
    dtype = shard = offset = size = crc = 0
    shape: tuple[int, ...] = ()
    slices: list[tuple[Extent, ...]] = []
    for number, wire, value in pb.fields(message):
        if number == 1:
            dtype = pb.as_int(value)
        elif number == 2:
            shape += _decode_shape(pb.as_bytes(value))
        elif number == 3:
            shard = _count(value)
        elif number == 4:
            offset = _count(value)
        elif number == 5:
            size = _count(value)
        elif number == 6:
            if wire != 5:
                raise pb.WireError("expected a fixed32")
            crc = int.from_bytes(pb.as_bytes(value), "little")
        elif number == 7:
            slices.append(tuple(_decode_extent(pb.as_bytes(v)) for n, _, v in pb.fields(pb.as_bytes(value)) if n == 1))
    return Entry(dtype, shape, shard, offset, size, crc, tuple(slices))


def host_dtype(number: int, name: str, path: str) -> np.dtype[Any]:
    """The NumPy dtype for ``DataType`` ``number`` of tensor ``name``: ``object`` for strings.

    Raises CheckpointError for types that arrays cannot hold, MissingExtraError for bfloat16 and float8 without
    ml_dtypes.
    """
    if number not in _NAMES:
        what = f"tensor {name!r} has the element type {_REFUSED.get(number, f'number {number}')}, which is not read"
        hint = "pass over it, or cast it and save again with TensorFlow; if no such type was saved, the file is damaged"
        raise CheckpointError(path, what, hint=hint)
    return extension_dtype(_NAMES[number]) if number in _EXTENSIONS else np.dtype(_NAMES[number])


def slice_key(name: bytes, extents: tuple[Extent, ...]) -> bytes:
    """The key under which a slice of the tensor ``name`` stands in the table."""
    escaped = re.sub(rb"[\0\xff]", lambda match: b"\0\xff" if match[0] == b"\0" else b"\xff\0", name)
    key = b"\0" + escaped + b"\0\x01" + _unsigned(len(extents))
    return key + b"".join(_signed(start) + _signed(length) for start, length in extents)


def _unsigned(value: int) -> bytes:
    """A number with its length in front, so that the order of bytes is that of numbers."""
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes((len(digits),)) + digits


def _signed(value: int) -> bytes:
    """A signed number in ``n`` bytes: n - 1 bits that repeat the inverted sign, the sign, and 7 n - 1 bits of value."""
    size = (~value if value < 0 else value).bit_length() // 7 + 1
    mask = ((1 << size) - 1) << 7 * size  # the inverted sign and its repetitions, for a number that is not negative
    return ((value & ((1 << 8 * size) - 1)) ^ mask).to_bytes(size, "big")


def _count(value: int | bytes) -> int:
    number = pb.as_int(value)
    if number < 0:
        raise pb.WireError(f"a size is {number}")
    return number


def _decode_shape(message: bytes) -> tuple[int, ...]:
    shape: list[int] = []
    for number, _, value in pb.fields(message):
        if number == 3 and value:
            raise pb.WireError("a tensor's rank is unknown")
        if number == 2:
            size = 0
            for inner, _, item in pb.fields(pb.as_bytes(value)):
                size = _count(item) if inner == 1 else size
            shape.append(size)
    return tuple(shape)


def _encode_extent(start: int, length: int) -> bytes:
    return (pb.integer(1, start) if start else b"") + (pb.integer(2, length) if length >= 0 else b"")


def _decode_extent(message: bytes) -> Extent:
    start, length = 0, -1
    for number, _, value in pb.fields(message):
        if number == 1:
            start = _count(value)
        elif number == 2:
            length = _count(value)
    return start, length
