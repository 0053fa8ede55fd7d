"""The safetensors header: element types, building it, and checking one that was read.

Layout: ``uint64`` header length (little endian), the header as UTF-8 JSON padded with spaces, then the tensors' bytes,
little endian, C order, without gaps.  Source: the format section of the safetensors README.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from corenn.dtypes import extension_dtype
from corenn.errors import CheckpointError

LENGTH = struct.Struct("<Q")
MAX_HEADER = 100_000_000  # bytes; the limit of the reference implementation
FORMAT_KEY, CRC_KEY = "corenn_format", "corenn_crc32"
FORMAT_VERSION = "1"
#: How the header of a file written here begins; the eight digits of the checksum of the whole file follow.
PREFIX = b'{"__metadata__":{"corenn_crc32":"'
CRC_OFFSET = LENGTH.size + len(PREFIX)
NO_CRC = b"00000000"

#: NumPy's name of an element type -> the format's code.  The last ones are ml_dtypes'.
CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "float16": "F16",
    "uint32": "U32",
    "int32": "I32",
    "float32": "F32",
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
    "complex64": "C64",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0",
}
_NAMES = {code: name for name, code in CODES.items()}
_EXTENSION_CODES = {"BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a file: where its bytes are, counted from the end of the header."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header.  ``crc``: the stored checksum, eight digits; ``None`` in a file that another program wrote."""

    raw: bytes
    entries: list[Entry]
    strings: dict[str, str]
    crc: str | None


def build(entries: list[Entry], strings: Mapping[str, str]) -> bytes:
    """Length and header for ``entries``, the checksum still :data:`NO_CRC`; padded so that the tensors are aligned."""
    metadata = {CRC_KEY: NO_CRC.decode(), FORMAT_KEY: FORMAT_VERSION, **strings}
    tree: dict[str, object] = {"__metadata__": metadata}
    for entry in entries:
        code = CODES[entry.dtype.name]
        tree[entry.name] = {"dtype": code, "shape": entry.shape, "data_offsets": (entry.begin, entry.end)}
    text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return LENGTH.pack(len(text)) + text


def read(file: BinaryIO, path: str) -> Header:
    """The header of ``file``, checked against the size of the file.  Raises CheckpointError naming ``path``."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(LENGTH.size)
    if len(start) < LENGTH.size:
        raise damaged(path, f"it has only {size} bytes")
    length = LENGTH.unpack(start)[0]
    if length > MAX_HEADER:
        raise CheckpointError(path, "is not a safetensors file, or its first bytes are damaged", hint=_foreign(start))
    raw = file.read(length)
    if len(raw) < length:
        raise damaged(path, f"the header should have {length} bytes, and the file ends after {len(raw)} of them")
    tree = _parse(raw, path)
    strings = tree.pop("__metadata__", {})
    if not isinstance(strings, dict) or not all(isinstance(value, str) for value in strings.values()):
        raise damaged(path, "its metadata is not a table of strings")
    entries = [_entry(name, record, path) for name, record in tree.items()]
    _check_cover(entries, size - LENGTH.size - length, path)
    return Header(raw, entries, strings, _stored_crc(raw, strings, path))


def _parse(raw: bytes, path: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            raise ValueError("a name occurs twice")
        return table

    try:
        tree = json.loads(raw.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"its header is not valid ({error})") from error
    if not raw.startswith(b"{") or not isinstance(tree, dict):
        raise damaged(path, "its header is not a JSON object")
    return tree


def _entry(name: str, record: Any, path: str) -> Entry:
    fields = record if isinstance(record, dict) else {}
    code, shape, offsets = fields.get("dtype"), _counts(fields.get("shape")), _counts(fields.get("data_offsets"))
    if not isinstance(code, str) or shape is None or offsets is None or len(offsets) != 2:
        raise damaged(path, f"the header's record of tensor {name!r} is malformed")
    dtype = _dtype(code, name, path)
    begin, end = offsets
    if math.prod(shape) * dtype.itemsize != end - begin:
        raise damaged(path, f"tensor {name!r} has {end - begin} bytes, which do not fit {code}{list(shape)}")
    return Entry(name, dtype, shape, begin, end)


def _counts(value: Any) -> tuple[int, ...] | None:
    """A JSON list of sizes or offsets as a tuple; ``None`` for anything else."""
    good = isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
    return tuple(value) if good else None


def _dtype(code: str, name: str, path: str) -> np.dtype[Any]:
    if code not in _NAMES:
        what = f"tensor {name!r} has the element type {code!r}"
        hint = f"convert it to one of {', '.join(_NAMES)}; if corenn wrote the file, it is damaged"
        raise CheckpointError(path, what, hint=hint)
    if code in _EXTENSION_CODES:
        return extension_dtype(_NAMES[code])
    return np.dtype(_NAMES[code]).newbyteorder("<")


def _check_cover(entries: list[Entry], available: int, path: str) -> None:
    """The tensors must lie end to end and fill the rest of the file exactly."""
    at = 0
    for entry in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != at:
            raise damaged(path, f"tensor {entry.name!r} begins at byte {entry.begin} of the data instead of {at}")
        at = entry.end
    if at != available:
        raise damaged(path, f"it should hold {at} bytes of tensors and holds {available}")


def _stored_crc(raw: bytes, strings: dict[str, str], path: str) -> str | None:
    if CRC_KEY not in strings and FORMAT_KEY not in strings:
        return None
    digits = raw[len(PREFIX) : len(PREFIX) + len(NO_CRC)]
    if (
        not raw.startswith(PREFIX)
        or strings.get(CRC_KEY, "").encode("utf-8", "replace") != digits
        or len(digits) != len(NO_CRC)
    ):
        raise damaged(path, "its checksum is not where it should be")
    if strings.get(FORMAT_KEY) != FORMAT_VERSION:
        what = f"has the format {strings.get(FORMAT_KEY)!r}, and this version of corenn reads {FORMAT_VERSION!r}"
        raise CheckpointError(path, what, hint="load it with the version of corenn that wrote it")
    return digits.decode()


def damaged(path: str, why: str) -> CheckpointError:
    """The error for a file that is not what was written."""
    return CheckpointError(path, f"is damaged: {why}", hint="load an earlier checkpoint, or copy the file again")


def _foreign(start: bytes) -> str:
    known = {b"PK\x03\x04": "a zip archive (PyTorch or Keras)", b"\x89HDF": "an HDF5 file", b"\x80": "a pickle"}
    kind = next((text for magic, text in known.items() if start.startswith(magic)), None)
    return f"it looks like {kind}; convert it first" if kind else "give a .safetensors file, or an earlier checkpoint"
