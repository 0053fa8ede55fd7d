"""One checkpoint in one file: named arrays and JSON metadata in the safetensors layout, written atomically.

The layout is read by many other programs, holds no code, and needs one pass to write.  It has no checksum of its own,
so files written here carry a CRC-32 of all their bytes in the metadata, and loading checks it.  The writing is done
here and not with the ``safetensors`` package because that one neither syncs to disk, nor copies arrays that are not
contiguous, nor knows bfloat16 in NumPy; the files are interchangeable.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from corenn.checkpoint import _layout
from corenn.checkpoint._atomic import write_atomically
from corenn.errors import AttributeValueError, CheckpointError, DTypeError

_CHUNK = 1 << 22  # bytes handled at a time, so that checksum and copy find them in the cache
_JSON_HINT = "use dicts with str keys, lists, str, finite numbers, bool and None, or corenn.checkpoint.pack_state"


def save_file(
    path: str | os.PathLike[str], tensors: Mapping[str, npt.ArrayLike], metadata: Mapping[str, object] | None = None
) -> None:
    """Write ``tensors`` and ``metadata`` to ``path``; when this returns, the file is whole and on the disk.

    ``tensors``: arrays of any shape, contiguous or not, of a boolean, integer, float16 to float64, complex64, bfloat16
    or float8 type; stored little endian.  ``metadata``: values that JSON keeps exactly (no tuples, no keys other than
    str, no NaN); see :func:`corenn.checkpoint.pack_state` for the rest.  An old file at ``path`` is replaced only by a
    whole new one.  Raises DTypeError or AttributeValueError for what the format cannot hold, CheckpointError when the
    file cannot be written.
    """
    place = Path(path)
    arrays = {name: _array(name, tensor) for name, tensor in tensors.items()}
    strings = {key: _json_string(key, value) for key, value in (metadata or {}).items()}
    entries, order = _arrange(arrays)
    header = _layout.build(entries, strings)
    if len(header) > _layout.MAX_HEADER:
        what = f"cannot be written: the header would have {len(header)} bytes, and the format allows 100 MB"
        raise CheckpointError(str(place), what, hint="save large metadata as tensors")

    def write(file: BinaryIO) -> None:
        file.write(header)
        crc = zlib.crc32(header)
        for name in order:
            for chunk in _chunks(_little_endian(arrays[name])):
                crc = zlib.crc32(chunk, crc)
                file.write(chunk)
        file.seek(_layout.CRC_OFFSET)
        file.write(f"{crc:08x}".encode())

    try:
        write_atomically(place, write)
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise CheckpointError(str(place), what, hint="free space or choose another directory; see the cause") from error


def load_file(path: str | os.PathLike[str]) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """The tensors and metadata of ``path``, in the order they were saved; the arrays are new and writable.

    In a file that another program wrote, the metadata's values are the strings found there.  Raises CheckpointError
    naming the file when it is missing, truncated, corrupt or of another kind, and MissingExtraError for bfloat16 or
    float8 tensors without ml_dtypes.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            header = _layout.read(file, name)
            crc = zlib.crc32(_without_crc(header.raw), zlib.crc32(_layout.LENGTH.pack(len(header.raw))))
            loaded: dict[str, npt.NDArray[Any]] = {}
            for entry in sorted(header.entries, key=lambda entry: (entry.begin, entry.end)):
                loaded[entry.name], crc = _read_tensor(file, entry, crc, name)
    except FileNotFoundError as error:
        raise CheckpointError(name, "does not exist", hint="check the path") from error
    except OSError as error:
        raise CheckpointError(name, f"cannot be read: {error.strerror or error}") from error
    if header.crc not in (None, f"{crc:08x}"):
        raise _layout.damaged(name, f"its checksum should be {header.crc} and is {crc:08x}")
    for entry in header.entries:
        if entry.dtype == np.bool_ and loaded[entry.name].view(np.uint8).max(initial=0) > 1:
            raise _layout.damaged(name, f"tensor {entry.name!r} is boolean and has bytes other than 0 and 1")
    return {entry.name: loaded[entry.name] for entry in header.entries}, _metadata(header, name)


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata of ``path`` without its tensors: quick, and checks the layout and size but not the checksum.

    Raises CheckpointError naming the file when it is missing, truncated or of another kind.
    """
    name = os.fspath(path)
    return _metadata(_header(name), name)


def load_specs(path: str | os.PathLike[str]) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and element type (NumPy's name) of every tensor of ``path``, without their values.

    Quick, and checks the layout and size but not the checksum.  Raises CheckpointError naming the file when it is
    missing, truncated or of another kind, and MissingExtraError for bfloat16 or float8 tensors without ml_dtypes.
    """
    entries = _header(os.fspath(path)).entries
    return {entry.name: (entry.shape, entry.dtype.name) for entry in entries}


def _array(name: object, tensor: npt.ArrayLike) -> npt.NDArray[Any]:
    if not isinstance(name, str) or name == "__metadata__":
        raise AttributeValueError(
            "save_file", "a tensor's name must be a string other than '__metadata__'", {"name": name}
        )
    _check_text(name)
    array = np.asarray(tensor)
    if array.dtype.name not in _layout.CODES or isinstance(tensor, np.ma.MaskedArray):
        what = f"tensor {name!r} has an element type the format cannot hold"
        kind = "a masked array" if isinstance(tensor, np.ma.MaskedArray) else array.dtype
        hint = "pack it with corenn.checkpoint.pack_state, or convert it to a type of numbers"
        raise DTypeError("save_file", what, {"dtype": kind}, hint=hint)
    return array


def _json_string(key: object, value: object) -> str:
    if not isinstance(key, str) or key in (_layout.CRC_KEY, _layout.FORMAT_KEY):
        what = f"a metadata key must be a string other than {_layout.CRC_KEY!r} and {_layout.FORMAT_KEY!r}"
        raise AttributeValueError("save_file", what, {"key": repr(key)})
    _check_text(key)
    try:
        text = json.dumps(value, allow_nan=False)
        exact = _same(json.loads(text), value)
    except (TypeError, ValueError, RecursionError) as error:
        raise AttributeValueError("save_file", f"metadata {key!r} is not JSON: {error}", hint=_JSON_HINT) from error
    if not exact:
        raise AttributeValueError("save_file", f"metadata {key!r} would come back changed from JSON", hint=_JSON_HINT)
    return text


def _same(read: object, given: object) -> bool:
    """Equality that tells 1 from 1.0 and True, and a list from a tuple."""
    if isinstance(read, dict) and isinstance(given, dict):
        return read.keys() == given.keys() and all(_same(read[key], given[key]) for key in read)
    if isinstance(read, list) and isinstance(given, list):
        return len(read) == len(given) and all(map(_same, read, given))
    return type(read) is type(given) and read == given


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise AttributeValueError("save_file", "a name is not valid Unicode text", {"name": ascii(text)}) from error


def _arrange(arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[list[_layout.Entry], list[str]]:
    """Entries in the given order, and the order of the bytes: by element size, so that each tensor is aligned."""
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    begins, at = {}, 0
    for name in order:
        begins[name], at = at, at + arrays[name].nbytes
    entries = [
        _layout.Entry(name, array.dtype, array.shape, begins[name], begins[name] + array.nbytes)
        for name, array in arrays.items()
    ]
    return entries, order


def _little_endian(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if array.dtype.isbuiltin != 2:  # extension types have no byte order of their own
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.asarray(array, order="C").reshape(-1).view(np.uint8)


def _chunks(data: npt.NDArray[np.uint8]) -> Iterator[memoryview]:
    for at in range(0, data.size, _CHUNK):
        yield data[at : at + _CHUNK].data


def _read_tensor(file: BinaryIO, entry: _layout.Entry, crc: int, path: str) -> tuple[npt.NDArray[Any], int]:
    try:
        array: npt.NDArray[Any] = np.empty(entry.shape, entry.dtype)
    except (ValueError, OverflowError) as error:  # no elements, or all axes of length 1, but NumPy's limits exceeded
        raise _layout.damaged(path, f"tensor {entry.name!r} has an impossible shape ({error})") from error
    for chunk in _chunks(array.reshape(-1).view(np.uint8)):
        if file.readinto(chunk) != len(chunk):  # type: ignore[attr-defined]  # a buffered reader has it
            raise _layout.damaged(path, f"the file ends inside tensor {entry.name!r}")
        crc = zlib.crc32(chunk, crc)
    return array, crc


def _header(path: str) -> _layout.Header:
    try:
        with open(path, "rb") as file:
            return _layout.read(file, path)
    except FileNotFoundError as error:
        raise CheckpointError(path, "does not exist", hint="check the path") from error
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror or error}") from error


def _without_crc(raw: bytes) -> bytes:
    at = len(_layout.PREFIX)
    return raw[:at] + _layout.NO_CRC + raw[at + len(_layout.NO_CRC) :]


def _metadata(header: _layout.Header, path: str) -> dict[str, Any]:
    if header.crc is None:
        return dict(header.strings)
    own = (_layout.CRC_KEY, _layout.FORMAT_KEY)
    try:
        return {key: json.loads(text) for key, text in header.strings.items() if key not in own}
    except (ValueError, RecursionError) as error:
        raise _layout.damaged(path, f"its metadata is not valid JSON ({error})") from error
