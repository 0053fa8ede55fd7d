"""TensorFlow checkpoints, read and written without TensorFlow: arrays on the host by the names of variables.

::

    prefix = tensor_bundle.latest("runs/old")              # what the text file "checkpoint" there names
    with tensor_bundle.BundleReader(prefix) as reader:
        kernel = reader.read("dense/kernel")
        everything = dict(reader.items())
    tensor_bundle.write_bundle("runs/new/model.ckpt-100", everything)

A checkpoint (a "tensor bundle", the second format of ``tf.train.Saver``, also that of ``tf.train.Checkpoint`` and of
the ``variables`` of a SavedModel) is a set of files with one prefix: ``.index``, a sorted string table from names to
records that say type, shape and place, and ``.data-00000-of-0000N``, the bytes.  The graph in ``.meta`` is not needed.
Source: tensorflow/core/protobuf/tensor_bundle.proto and tensorflow/core/util/tensor_bundle/tensor_bundle.h.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from corenn.checkpoint import _bundle_messages as messages
from corenn.checkpoint import _sstable
from corenn.checkpoint._atomic import remove_strays, write_atomically
from corenn.checkpoint._bundle_messages import Entry, Extent
from corenn.checkpoint._layout import damaged
from corenn.checkpoint._state_file import CheckpointState, latest, read_checkpoint_state, write_checkpoint_state
from corenn.errors import AttributeValueError, CheckpointError, DTypeError, UsageError, nearest
from corenn.records import protobuf as pb
from corenn.records.checksum import Crc32c, masked_crc

__all__ = [
    "BundleReader",
    "CheckpointState",
    "exists",
    "latest",
    "read_checkpoint_state",
    "write_bundle",
    "write_checkpoint_state",
]

_CHUNK = 1 << 20  # bytes handled at a time, so that checksum and copy find them in the cache
_UINT32_MAX = 0xFFFFFFFF


def exists(prefix: str | os.PathLike[str]) -> bool:
    """Whether there is a checkpoint with this prefix; its index is looked for, its data is not opened."""
    return os.path.isfile(os.fspath(prefix) + ".index")


class BundleReader:
    """The tensors of the checkpoint whose files begin with ``prefix`` (``model.ckpt-100``, without ``.index``).

    The index is read and checked here, a tensor's bytes when it is asked for; no file stays open in between.
    Names are those of the variables (``dense/kernel``), in one of ``tf.train.Checkpoint`` the paths of objects.  Raises
    CheckpointError naming the file when one is missing, truncated, corrupt or of another kind.
    """

    def __init__(self, prefix: str | os.PathLike[str]) -> None:
        self.prefix = os.fspath(prefix)
        self._index_path = self.prefix + ".index"
        self._closed = False
        records = _sstable.parse(_read_index(self.prefix), self._index_path)
        if not records or records[0][0] != b"":
            raise damaged(self._index_path, "its first record is not the header of a checkpoint")
        try:
            self._header = messages.decode_header(records[0][1])
            entries = {key: messages.decode_entry(value) for key, value in records[1:]}
        except pb.WireError as error:
            raise damaged(self._index_path, f"a record cannot be decoded ({error})") from error
        if self._header.min_consumer > messages.FORMAT_VERSION:
            what = f"needs a reader of format version {self._header.min_consumer}; this is {messages.FORMAT_VERSION}"
            raise CheckpointError(self._index_path, what, hint="save it with an older version of TensorFlow")
        parts = [messages.slice_key(key, part) for key, entry in entries.items() for part in entry.slices]
        self._slices = {key: entries.pop(key) for key in parts if key in entries}
        self._entries = {_text(key): entry for key, entry in entries.items()}

    def names(self) -> list[str]:
        """The names of all tensors, sorted by their bytes in UTF-8; the slices of a partitioned variable are one."""
        return list(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def shape_and_dtype(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and NumPy dtype of a tensor without reading it; strings have dtype ``object``.

        Raises CheckpointError for a name that is not there or a type that arrays cannot hold (variants, resources),
        MissingExtraError for bfloat16 and float8 without ml_dtypes.
        """
        entry = self._entry(name)
        return entry.shape, messages.host_dtype(entry.dtype, name, self._index_path)

    def read(self, name: str) -> npt.NDArray[Any]:
        """A tensor as a new array, its checksum verified; the slices of a partitioned variable are put together.

        Strings come as an object array of ``bytes``.  Raises what :meth:`shape_and_dtype` raises, and CheckpointError
        naming the data file where the bytes are missing or not those that were written.
        """
        entry = self._entry(name)
        if self._closed:
            raise UsageError("BundleReader.read", "the reader is closed", {"prefix": self.prefix}, hint="open it again")
        return self._assembled(name, entry) if entry.slices else self._stored(name, entry)

    def items(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Every name with its array, one read at a time."""
        for name in self._entries:
            yield name, self.read(name)

    def close(self) -> None:
        """Refuse further reading; doing it twice is harmless."""
        self._closed = True

    def __enter__(self) -> BundleReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _entry(self, name: str) -> Entry:
        try:
            return self._entries[name]
        except KeyError:
            hint = nearest(name, self._entries) or "the checkpoint has no tensors"
            raise CheckpointError(self._index_path, f"has no tensor {name!r}", hint=hint) from None

    def _stored(self, name: str, entry: Entry) -> npt.NDArray[Any]:
        """A tensor that lies in one piece."""
        dtype = messages.host_dtype(entry.dtype, name, self._index_path)
        count = math.prod(entry.shape)
        if entry.dtype != messages.STRING and entry.size != count * dtype.itemsize:
            what = f"tensor {name!r} has {entry.size} bytes, which do not fit {dtype.name}{list(entry.shape)}"
            raise damaged(self._index_path, what)
        if entry.shard >= self._header.shards:
            what = f"tensor {name!r} is in data file {entry.shard}, and there are {self._header.shards}"
            raise damaged(self._index_path, what)
        path = _data_path(self.prefix, entry.shard, self._header.shards)
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if entry.offset + entry.size > size:
                    what = f"tensor {name!r} ends at byte {entry.offset + entry.size}, and the file has {size}"
                    raise damaged(path, what)
                file.seek(entry.offset)
                if entry.dtype == messages.STRING:
                    return self._strings(file.read(entry.size), entry, count, name, path)
                return self._numbers(file, entry, dtype, name, path)
        except FileNotFoundError as error:
            hint = "copy all files of the checkpoint (.index and every .data-*), or load another one"
            raise CheckpointError(path, f"does not exist, and holds tensor {name!r}", hint=hint) from error
        except OSError as error:
            raise CheckpointError(path, f"cannot be read: {error.strerror or error}") from error

    def _numbers(self, file: BinaryIO, entry: Entry, dtype: np.dtype[Any], name: str, path: str) -> npt.NDArray[Any]:
        try:
            array: npt.NDArray[Any] = np.empty(entry.shape, dtype)
        except (ValueError, OverflowError) as error:  # no elements, or axes of length 1, but NumPy's limits exceeded
            raise damaged(self._index_path, f"tensor {name!r} has an impossible shape ({error})") from error
        data, crc = array.reshape(-1).view(np.uint8), Crc32c()
        for at in range(0, data.size, _CHUNK):
            chunk = data[at : at + _CHUNK].data
            if file.readinto(chunk) != len(chunk):  # type: ignore[attr-defined]  # a buffered reader has it
                raise damaged(path, f"the file ends inside tensor {name!r}")
            crc.add(chunk)
        if crc.masked != entry.crc:
            raise damaged(path, f"the checksum of tensor {name!r} is wrong")
        if dtype == np.bool_ and data.max(initial=0) > 1:
            raise damaged(path, f"tensor {name!r} is boolean and has bytes other than 0 and 1")
        if self._header.big_endian != (sys.byteorder == "big"):
            unit = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize  # the two parts of a complex number
            data.view(f"u{unit}").byteswap(inplace=True)
        return array

    def _strings(self, data: bytes, entry: Entry, count: int, name: str, path: str) -> npt.NDArray[Any]:
        """Lengths as varints, a checksum of the lengths as ``uint32`` (``uint64`` if long), and all the bytes."""
        if not data and not count:
            return np.empty(entry.shape, object)
        order = ">" if self._header.big_endian else "<"
        try:
            if count > len(data):  # each has at least one byte of length
                raise pb.WireError(f"{count} strings in {len(data)} bytes")
            lengths, at = [], 0
            for _ in range(count):
                length, at = pb.read_varint(data, at)
                lengths.append(length)
            begin = at + 4
            if begin + sum(lengths) != len(data):
                raise pb.WireError(f"its parts have {begin + sum(lengths)} bytes of {len(data)}")
            summed = _length_bytes(lengths, order)
            if struct.unpack_from(f"{order}I", data, at)[0] != masked_crc(summed):
                raise pb.WireError("the checksum of its lengths is wrong")
        except pb.WireError as error:
            raise damaged(path, f"string tensor {name!r} cannot be decoded ({error})") from error
        if _masked(summed, data[at:]) != entry.crc:
            raise damaged(path, f"the checksum of tensor {name!r} is wrong")
        array = np.empty(count, object)
        for i, length in enumerate(lengths):
            array[i] = data[begin : begin + length]
            begin += length
        return _reshaped(array, entry, name, self._index_path)

    def _assembled(self, name: str, entry: Entry) -> npt.NDArray[Any]:
        """A partitioned variable: every element must lie in exactly one of its slices."""
        where = self._index_path
        dtype = messages.host_dtype(entry.dtype, name, where)
        places = [self._region(name, entry, extents) for extents in entry.slices]
        volume = sum(math.prod(axis.stop - axis.start for axis in place) for place in places)
        if volume != math.prod(entry.shape):
            raise damaged(where, f"the slices of tensor {name!r} have {volume} elements of {math.prod(entry.shape)}")
        try:
            whole: npt.NDArray[Any] = np.empty(entry.shape, dtype)
            filled = np.zeros(entry.shape, np.bool_)
        except (ValueError, OverflowError) as error:
            raise damaged(where, f"tensor {name!r} has an impossible shape ({error})") from error
        for extents, place in zip(entry.slices, places, strict=True):
            part = self._slices.get(messages.slice_key(name.encode("utf-8", "surrogateescape"), extents))
            if part is None:
                raise damaged(where, f"a slice of tensor {name!r} is missing: {_spec(extents)}")
            if part.slices or part.dtype != entry.dtype or part.shape != whole[place].shape:
                raise damaged(where, f"slice {_spec(extents)} of tensor {name!r} does not fit the whole")
            if filled[place].any():
                raise damaged(where, f"the slices of tensor {name!r} overlap")
            whole[place] = self._stored(f"{name} {_spec(extents)}", part)
            filled[place] = True
        return whole

    def _region(self, name: str, entry: Entry, extents: tuple[Extent, ...]) -> tuple[slice, ...]:
        region = []
        if len(extents) != len(entry.shape):
            raise damaged(self._index_path, f"slice {_spec(extents)} of tensor {name!r} does not fit its rank")
        for (start, length), size in zip(extents, entry.shape, strict=True):
            end = size if length < 0 else start + length
            if not 0 <= start <= end <= size:
                raise damaged(self._index_path, f"slice {_spec(extents)} of tensor {name!r} lies outside it")
            region.append(slice(start, end))
        return tuple(region)


def write_bundle(prefix: str | os.PathLike[str], tensors: Mapping[str, npt.ArrayLike]) -> None:
    """Write ``tensors`` as a checkpoint that TensorFlow reads: ``prefix.index`` and ``prefix.data-00000-of-00001``.

    ``tensors``: arrays of any shape, contiguous or not, of boolean, integer, floating, complex, bfloat16 or float8
    type; strings as ``bytes`` or ``str`` (stored in UTF-8), alone, in lists or in arrays.  Both files appear whole or
    not at all; when this returns, they are on the disk.  Where there was a checkpoint with this prefix, a kill between
    the two leaves its index beside the new data, which reading reports: give each save its own prefix.  Raises
    DTypeError or AttributeValueError for what the format cannot hold, CheckpointError when a file cannot be written.
    """
    base = os.fspath(prefix)
    by_key = {_key(name): _array(name, tensor) for name, tensor in tensors.items()}
    arrays = [(key, by_key[key]) for key in sorted(by_key)]
    data_path, index_path = Path(_data_path(base, 0, 1)), Path(base + ".index")

    def write_index(index: BinaryIO) -> None:
        # The data takes its name after the index is complete and before the index takes its own: whoever finds the
        # index finds the data, and a disk that is full costs neither of the old files.
        write_atomically(data_path, lambda data: index.write(_sstable.build(_write_data(data, arrays))))

    try:
        remove_strays(index_path.parent, re.compile(f"{re.escape(index_path.stem)}\\.(index|data-00000-of-00001)"))
        write_atomically(index_path, write_index)
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise CheckpointError(base, what, hint="free space or choose another directory; see the cause") from error


def _write_data(file: BinaryIO, arrays: list[tuple[bytes, npt.NDArray[Any]]]) -> list[_sstable.Record]:
    """Write the arrays' bytes; returns the records of the index."""
    records = [(b"", messages.encode_header(1))]
    offset = 0
    for key, array in arrays:
        if array.dtype == object:
            size, crc = _write_strings(file, array)
        else:
            size, crc = array.nbytes, _write_numbers(file, array)
        entry = Entry(messages.NUMBERS[array.dtype.name], array.shape, 0, offset, size, crc)
        records.append((key, messages.encode_entry(entry)))
        offset += size
    return records


def _write_numbers(file: BinaryIO, array: npt.NDArray[Any]) -> int:
    if array.dtype.isbuiltin != 2:  # extension types have no byte order of their own
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    data, crc = np.asarray(array, order="C").reshape(-1).view(np.uint8), Crc32c()
    for at in range(0, data.size, _CHUNK):
        chunk = data[at : at + _CHUNK].data
        crc.add(chunk)
        file.write(chunk)
    return crc.masked


def _write_strings(file: BinaryIO, array: npt.NDArray[Any]) -> tuple[int, int]:
    strings: list[bytes] = array.reshape(-1).tolist()
    lengths = [len(item) for item in strings]
    summed = _length_bytes(lengths, "<")
    head, body = b"".join(map(pb.varint, lengths)), struct.pack("<I", masked_crc(summed)) + b"".join(strings)
    file.write(head)
    file.write(body)
    return len(head) + len(body), _masked(summed, body)


def _length_bytes(lengths: list[int], order: str) -> bytes:
    """What the checksums of a string tensor take in place of the varints."""
    return b"".join(struct.pack(order + ("I" if length <= _UINT32_MAX else "Q"), length) for length in lengths)


def _masked(*pieces: bytes) -> int:
    crc = Crc32c()
    for piece in pieces:
        crc.add(piece)
    return crc.masked


def _key(name: object) -> bytes:
    if not isinstance(name, str) or not name:
        raise AttributeValueError("write_bundle", "a tensor's name must be a string that is not empty", {"name": name})
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise AttributeValueError("write_bundle", "a name is not valid Unicode text", {"name": ascii(name)}) from error


def _array(name: str, tensor: npt.ArrayLike) -> npt.NDArray[Any]:
    """``tensor`` as an array of a type that the format holds; strings as an object array of bytes."""
    if isinstance(tensor, (bytes, str)):  # NumPy would drop zero bytes at the end
        array = np.empty((), object)
        array[()] = tensor
    else:
        array = np.asarray(tensor)
        if array.dtype.kind in "SU" and not isinstance(tensor, np.ndarray):
            array = np.asarray(tensor, object)  # a list: as above
    if array.dtype.kind in "SUO" and not isinstance(tensor, np.ma.MaskedArray):
        return _bytes_array(name, array)
    if array.dtype.name not in messages.NUMBERS or isinstance(tensor, np.ma.MaskedArray):
        kind = "a masked array" if isinstance(tensor, np.ma.MaskedArray) else array.dtype
        what = f"tensor {name!r} has an element type the format cannot hold"
        raise DTypeError("write_bundle", what, {"dtype": kind}, hint="convert it to a type of numbers, or to bytes")
    return array


def _bytes_array(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    result = np.empty(array.size, object)
    for i, item in enumerate(array.reshape(-1).tolist()):
        if not isinstance(item, (bytes, str)):
            what = f"tensor {name!r} holds an object that is not a string"
            raise DTypeError("write_bundle", what, {"type": type(item).__name__}, hint="give bytes, str or numbers")
        try:
            result[i] = item.encode() if isinstance(item, str) else item
        except UnicodeEncodeError as error:
            what = f"tensor {name!r} holds text that is not valid Unicode"
            raise AttributeValueError("write_bundle", what, {"text": ascii(item)}, hint="give bytes") from error
    return result.reshape(array.shape)


def _reshaped(array: npt.NDArray[Any], entry: Entry, name: str, path: str) -> npt.NDArray[Any]:
    try:
        return array.reshape(entry.shape)
    except (ValueError, OverflowError) as error:
        raise damaged(path, f"tensor {name!r} has an impossible shape ({error})") from error


def _read_index(prefix: str) -> bytes:
    path = prefix + ".index"
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(path, "does not exist", hint=_prefix_hint(prefix)) from error
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror or error}") from error


def _prefix_hint(prefix: str) -> str:
    """What to give instead of a prefix that names no checkpoint."""
    stem = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", prefix)
    if stem != prefix and exists(stem):
        return f"give the prefix of the checkpoint's files: {stem}"
    if os.path.isdir(prefix):
        return f"that is a directory: give a prefix in it, such as tensor_bundle.latest({prefix!r})"
    if os.path.isfile(prefix):
        return "a file of that name is there: TensorFlow's first format, or another program's; save it in the second"
    folder = os.path.dirname(prefix) or "."
    names = []
    with contextlib.suppress(OSError):  # a directory that is missing or may not be listed names nothing
        names = [name for name in os.listdir(folder) if name.endswith(".index")]
    others = [os.path.join(os.path.dirname(prefix), name.removesuffix(".index")) for name in names]
    return nearest(prefix, others) or "check the path; the prefix is the files' name without .index"


def _data_path(prefix: str, shard: int, shards: int) -> str:
    return f"{prefix}.data-{shard:05d}-of-{shards:05d}"


def _text(key: bytes) -> str:
    """A key as text; bytes that are not UTF-8 are kept as lone surrogates, as in names of files."""
    return key.decode("utf-8", "surrogateescape")


def _spec(extents: tuple[Extent, ...]) -> str:
    """A slice as TensorFlow writes it: ``0,5:-``."""
    return ":".join("-" if length < 0 else f"{start},{length}" for start, length in extents)
