"""Read and write IDX, the array format of MNIST, raw or gzip-compressed, and refuse everything that is not exactly it.

Format: two zero bytes, a byte for the element type, a byte for the number of axes, one big-endian uint32 per axis,
then the elements in C order, big-endian; nothing after them.  Described by Y. LeCun and others with the MNIST files.
Whether a file is compressed is read off its first bytes, not its name.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from corenn.errors import DataError, DTypeError, ShapeError
from corenn_datasets.splits import Array, PathLike
from corenn_datasets.zips import AGAIN

ELEMENT_TYPES: dict[int, str] = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(kind).newbyteorder("="): code for code, kind in ELEMENT_TYPES.items()}
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_AXES = 64  # NumPy's limit
_CHUNK = 1 << 20
#: Bytes that a header may claim unless the caller says otherwise: a small compressed file can unpack to any size.
LARGEST = 1 << 32


def read_idx(path: PathLike, *, ndim: int | None = None, dtype: str | None = None, largest: int = LARGEST) -> Array:
    """The array in an IDX file, in the machine's byte order, writable.

    ``ndim`` and ``dtype`` (a NumPy name such as ``'uint8'``), when given, are what the file must hold; they are checked
    before the elements are read, as is that the header claims no more than ``largest`` bytes.  Raises ``DataError``
    naming the file for one that is missing, not IDX, truncated, corrupt or followed by other bytes.
    """
    where = os.fspath(path)
    with _opened(Path(path), where) as stream:
        return _read(stream, where, ndim, dtype, largest)


def parse_idx(
    data: bytes,
    *,
    where: str = "IDX data",
    ndim: int | None = None,
    dtype: str | None = None,
    largest: int = LARGEST,
) -> Array:
    """The array in uncompressed IDX bytes; as :func:`read_idx`, with ``where`` as the name in errors."""
    return _read(io.BytesIO(data), where, ndim, dtype, largest)


def dump_idx(array: Array) -> bytes:
    """An array as uncompressed IDX bytes.

    Raises ``DTypeError`` for an element type IDX does not have (it has uint8, int8, int16, int32, float32, float64),
    ``ShapeError`` for no axes at all or an axis of 2**32 or longer.
    """
    array = np.asarray(array)
    kind = array.dtype.newbyteorder("=")
    if kind not in _CODES:
        known = ", ".join(str(k) for k in _CODES)
        raise DTypeError("write_idx", f"IDX has no element type for {array.dtype}", hint=f"convert to one of {known}")
    if array.ndim == 0:
        raise ShapeError("write_idx", "IDX needs at least one axis", hint="reshape the array to (1,)")
    if max(array.shape) >= 1 << 32:
        raise ShapeError("write_idx", "an IDX axis is shorter than 2**32", {"array": array.shape})
    code = _CODES[kind]
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(ELEMENT_TYPES[code]).tobytes()


def write_idx(path: PathLike, array: Array) -> None:
    """Write an array as an IDX file, compressed when the name ends in ``.gz``.

    The same array gives the same bytes: the compressed file holds neither a time nor a name.  Raises as
    :func:`dump_idx`, and ``OSError`` when the file cannot be written.
    """
    data = dump_idx(array)
    if os.fspath(path).endswith(".gz"):
        data = gzip.compress(data, compresslevel=9, mtime=0)
    Path(path).write_bytes(data)


def read_pair(
    images_path: PathLike,
    labels_path: PathLike,
    *,
    classes: int,
    image_shape: tuple[int, int] | None = None,
    largest: int = LARGEST,
) -> tuple[Array, Array]:
    """Images uint8[N, H, W] and labels uint8[N] that belong together, from two IDX files.

    Raises ``DataError`` naming the file at fault when one is not what it should be, when there are no images, when
    the counts differ, when the images are not ``image_shape`` (H, W), when a label is not below ``classes``, or when a
    header claims more than ``largest`` bytes.
    """
    images = read_idx(images_path, ndim=3, dtype="uint8", largest=largest)
    labels = read_idx(labels_path, ndim=1, dtype="uint8", largest=largest)
    where = os.fspath(images_path)
    if image_shape is not None and images.shape[1:] != image_shape:
        found, wanted = (f"{h}x{w}" for h, w in (images.shape[1:], image_shape))
        raise DataError(
            where,
            f"holds images of {found} pixels, not {wanted}",
            hint="this is another data set's file; use the right one",
        )
    if len(images) != len(labels):
        raise DataError(
            where,
            "images and labels do not belong together",
            {"images": f"{len(images)} in {where}", "labels": f"{len(labels)} in {os.fspath(labels_path)}"},
            hint="take both files from the same part (train or t10k) of the same data set",
        )
    if not len(images):
        raise DataError(where, "holds no images", hint=AGAIN)
    if labels.max() >= classes:
        first = int(np.argmax(labels >= classes))
        raise DataError(
            os.fspath(labels_path),
            f"label {labels[first]} at index {first} is not below {classes}",
            hint=f"the file is corrupt, or belongs to a data set of more than {classes} classes",
        )
    return images, labels


@contextmanager
def _opened(path: Path, where: str) -> Iterator[BinaryIO]:
    """The decompressed bytes of a file; what goes wrong with the file or its compression becomes a ``DataError``."""
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if compressed:
                with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                    yield unpacked  # type: ignore[misc]  # a BinaryIO in all but name
            else:
                yield raw
    except FileNotFoundError as error:
        raise DataError(where, "does not exist", hint="check the name, or download the file") from error
    except EOFError as error:
        raise DataError(where, "is truncated: its compressed data end early", hint=AGAIN) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(where, "is corrupt: it does not decompress", {"gzip": error}, hint=AGAIN) from error
    except OSError as error:
        raise DataError(
            where, f"cannot be read: {error.strerror or error}", hint="give a file that can be read"
        ) from error


def _read(stream: BinaryIO, where: str, ndim: int | None, dtype: str | None, largest: int) -> Array:
    kind, shape = _read_header(stream, where)
    described = f"{kind.newbyteorder('=')}{list(shape)}"
    if (ndim is not None and len(shape) != ndim) or (dtype is not None and kind.newbyteorder("=") != np.dtype(dtype)):
        raise DataError(
            where,
            f"holds {described}, not the {dtype or 'array'} with {ndim} axes that belongs here",
            hint="images have 3 axes and labels 1: the two files may be swapped" if ndim in (1, 3) else None,
        )
    wanted = math.prod(shape) * kind.itemsize
    if wanted > largest:
        raise DataError(
            where, f"claims {wanted} bytes of elements, more than {largest}", {"header": described}, hint=AGAIN
        )
    data = _read_up_to(stream, wanted)
    if len(data) < wanted:
        raise DataError(
            where,
            f"is truncated: {len(data)} of {wanted} bytes of elements are there",
            {"header": described},
            hint=AGAIN,
        )
    if stream.read(1):
        raise DataError(where, "goes on after its last element", {"header": described}, hint=AGAIN)
    try:
        return np.frombuffer(data, kind).reshape(shape).astype(kind.newbyteorder("="), copy=False)
    except ValueError as error:  # an axis of 0 beside axes whose product overflows
        raise DataError(where, "has a shape NumPy cannot hold", {"header": described}, hint=AGAIN) from error


def _read_header(stream: BinaryIO, where: str) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    magic = _read_up_to(stream, 4)
    if magic[:2] != b"\0\0"[: len(magic)]:
        page = magic.lstrip()[:1] == b"<"
        raise DataError(
            where,
            "is not an IDX file: it does not begin with two zero bytes",
            {"first bytes": magic.hex(" ")},
            hint="this looks like a web page saved in place of the file; download it again" if page else AGAIN,
        )
    if len(magic) < 4:
        raise DataError(where, f"is truncated: {len(magic)} bytes are no IDX header", hint=AGAIN)
    code, axes = magic[2], magic[3]
    if code not in ELEMENT_TYPES:
        known = ", ".join(f"0x{c:02x}" for c in ELEMENT_TYPES)
        raise DataError(where, f"is not an IDX file: 0x{code:02x} is no element type", {"known": known}, hint=AGAIN)
    if not 1 <= axes <= _MAX_AXES:
        raise DataError(where, f"is not an IDX file corenn reads: it has {axes} axes, not 1 to {_MAX_AXES}", hint=AGAIN)
    sizes = _read_up_to(stream, 4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(where, f"is truncated: it ends inside the sizes of its {axes} axes", hint=AGAIN)
    return np.dtype(ELEMENT_TYPES[code]), struct.unpack(f">{axes}I", sizes)


def _read_up_to(stream: BinaryIO, count: int) -> bytearray:
    """``count`` bytes, or all there are.  In chunks, so a damaged header cannot ask for all the memory at once."""
    data = bytearray()
    while len(data) < count:
        chunk = stream.read(min(_CHUNK, count - len(data)))
        if not chunk:
            break
        data += chunk
    return data
