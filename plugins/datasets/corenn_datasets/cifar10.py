"""CIFAR-10: 50,000 training and 10,000 test colour images of 32x32 pixels in ten classes, from the binary files.

Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.  The binary version is read, from a
folder or from the archive as it was downloaded: a record is one byte for the class and 3,072 for the pixels, the red
plane before the green and the blue one, each in row order; nothing else is in a file.  The version for Python is a
pickle, which can run any code when it is loaded, so it is not read.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from corenn.errors import DataError
from corenn_datasets.download import RemoteFile, fetch_all
from corenn_datasets.folders import common_folder, expanded, listing, state
from corenn_datasets.splits import Array, DatasetSplits, PathLike, Progress, images_and_labels

IMAGE_SHAPE = (32, 32, 3)
LEVELS = 255
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_FILES = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST_FILE = "test_batch.bin"
FOLDER = "cifar-10-batches-bin"  # the files' folder in the archive

_NAME = "cifar10"
_FILES = (*TRAIN_FILES, TEST_FILE)
_ARCHIVE = RemoteFile(
    "cifar-10-binary.tar.gz", 170052171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
)
_BASES = ("https://www.cs.toronto.edu/~kriz",)
_RECORD = 1 + 32 * 32 * 3
_LARGEST_FILE = 10_000 * _RECORD  # bytes of each published file; a member that claims more is no such file
_LARGEST_ARCHIVE = 8 * _LARGEST_FILE  # unpacked; the published one has a little more than six files
_CHUNK = 1 << 20
_AGAIN = "download or copy the file again"
_BINARY = f"get the binary version, {_ARCHIVE.name}"


def load(data_dir: PathLike | None = None, *, progress: Progress | None = None) -> DatasetSplits:
    """CIFAR-10: train float32[50000, 32, 32, 3] and test float32[10000, 32, 32, 3] in [0, 1], labels int32.

    From the six ``.bin`` files or ``cifar-10-binary.tar.gz`` in ``data_dir`` (or its subfolder ``cifar10`` or
    ``cifar-10-batches-bin``); without it from ``CORENN_DATA_DIR`` where that has one of those, else from the cache,
    downloading and verifying the archive and calling ``progress(name, received, total)``.  Files with other numbers of
    records are read as well.  Raises ``DataError`` naming the file for what is missing, damaged or something else.
    """
    source = _in_common_folder() if data_dir is None else _find(expanded(data_dir), ("", _NAME))
    if source is None:
        (source,) = fetch_all(_NAME, [_ARCHIVE], _BASES, progress=progress)
    parts = _unpack(source) if source.is_file() else {name: _read_file(source / name) for name in _FILES}
    train = [_records(parts[name], _inside(source, name)) for name in TRAIN_FILES]
    pixels, labels = (np.concatenate(arrays) for arrays in zip(*train, strict=True))
    return DatasetSplits(
        name=_NAME,
        train=images_and_labels(pixels, labels, LEVELS),
        test=images_and_labels(*_records(parts[TEST_FILE], _inside(source, TEST_FILE)), LEVELS),
        classes=CLASSES,
        image_shape=IMAGE_SHAPE,
        description="60,000 colour images of 32x32 pixels in ten classes",
        source="A. Krizhevsky, Learning multiple layers of features from tiny images (2009)",
        licence="none stated",
        levels=LEVELS,
    )


def dump_records(images: Array, labels: Array) -> bytes:
    """Images uint8[N, 32, 32, 3] and labels uint8[N] in the format of a ``.bin`` file."""
    planes = np.asarray(images, np.uint8).transpose(0, 3, 1, 2).reshape(len(images), _RECORD - 1)
    return np.concatenate([np.asarray(labels, np.uint8)[:, np.newaxis], planes], axis=1).tobytes()


def _inside(source: Path, name: str) -> str:
    """The name of a file for errors, also of one in the archive."""
    return f"{source}: {FOLDER}/{name}" if source.is_file() else str(source / name)


def _records(data: bytes, where: str) -> tuple[Array, Array]:
    """Images uint8[N, 32, 32, 3] and labels uint8[N] of one file."""
    if not data:
        raise DataError(where, "holds no images", hint=_AGAIN)
    if data[:1] == b"\x80" and len(data) % _RECORD:  # the first byte of pickle's binary protocols
        raise DataError(where, "is a pickle, the version for Python, which corenn does not read", hint=_BINARY)
    if data.lstrip()[:1] == b"<" and len(data) % _RECORD:
        raise DataError(where, "is not a CIFAR-10 file", hint="this looks like a web page saved in place of the file")
    if len(data) % _RECORD:
        raise DataError(
            where,
            f"is truncated or not a CIFAR-10 file: its {len(data)} bytes are no multiple of {_RECORD}",
            hint=f"{_AGAIN}; CIFAR-100 has records of {_RECORD + 1} bytes and is another data set",
        )
    rows = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    labels = rows[:, 0]
    if labels.max() >= len(CLASSES):
        first = int(np.argmax(labels >= len(CLASSES)))
        raise DataError(
            where,
            f"label {labels[first]} of image {first} is not below {len(CLASSES)}",
            hint="the file is corrupt, or belongs to another data set",
        )
    return np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def _read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise DataError(str(path), f"is larger than the {_LARGEST_FILE} bytes of a CIFAR-10 file", hint=_AGAIN)
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            str(path), f"cannot be read: {error.strerror or error}", hint="give a file that can be read"
        ) from error


class _Bounded:
    """The unpacked bytes of an archive, up to a limit: a small file can unpack to any size."""

    def __init__(self, stream: BinaryIO, where: str) -> None:
        self._stream, self._where, self._left = stream, where, _LARGEST_ARCHIVE

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self._left -= len(data)
        if self._left < 0:
            raise DataError(self._where, f"unpacks to more than {_LARGEST_ARCHIVE} bytes", hint=_AGAIN)
        return data


def _unpack(archive: Path) -> dict[str, bytes]:
    """The six files of the archive, in memory: nothing is written, so names in it cannot lead anywhere."""
    where = str(archive)
    try:
        # Read as a stream, once from front to back, through a counter of the bytes that come out.
        with gzip.open(archive) as unpacked:
            counted = _Bounded(unpacked, where)
            parts = _members(counted, where)
            while counted.read(_CHUNK):  # to the end, where the checksum is
                pass
    except FileNotFoundError as error:
        raise DataError(where, "does not exist", hint="check the name, or download the file") from error
    except (EOFError, tarfile.ReadError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(where, "is truncated or corrupt: it does not unpack", {"reason": error}, hint=_AGAIN) from error
    except OSError as error:
        raise DataError(
            where, f"cannot be read: {error.strerror or error}", hint="give a file that can be read"
        ) from error
    lacking = [name for name in _FILES if name not in parts]
    if lacking:
        raise DataError(where, f"has no {FOLDER}/{lacking[0]}", {"missing": ", ".join(lacking)}, hint=_BINARY)
    return parts


def _members(stream: _Bounded, where: str) -> dict[str, bytes]:
    """Those of the six files that the tar archive has."""
    parts = {}
    with tarfile.open(fileobj=stream, mode="r|") as members:  # type: ignore[call-overload]  # it only reads
        for member in members:
            folder, _, name = member.name.rpartition("/")
            if name not in _FILES or folder.removeprefix("./") != FOLDER:
                continue
            if not member.isfile() or member.size > _LARGEST_FILE:
                raise DataError(f"{where}: {member.name}", "is not the file of a CIFAR-10 archive", hint=_AGAIN)
            content = members.extractfile(member)
            parts[name] = b"" if content is None else content.read()
    return parts


def _in_common_folder() -> Path | None:
    common = common_folder()
    if common is None:
        return None
    named = (_NAME, FOLDER, _ARCHIVE.name)
    return _find(common, (_NAME, "")) if any((common / name).exists() for name in named) else None


def _find(data_dir: Path, folders: tuple[str, ...]) -> Path:
    """The folder of the six files, or the archive."""
    best: list[str] = list(_FILES)
    for place in (data_dir / name for name in folders):
        for folder in (place, place / FOLDER):
            lacking = [name for name in _FILES if not (folder / name).is_file()]
            if not lacking:
                return folder
            best = min(best, lacking, key=len)
        if (place / _ARCHIVE.name).is_file():
            return place / _ARCHIVE.name
    python = [data_dir / name / "data_batch_1" for name in ("", "cifar-10-batches-py", f"{_NAME}/cifar-10-batches-py")]
    if any(path.is_file() for path in python):
        amount = "has CIFAR-10 as pickles for Python, which corenn does not read"
    else:
        amount = "lacks some of the six files" if len(best) < len(_FILES) else "has none of the six files"
    raise DataError(
        _NAME,
        f"the data directory {data_dir} " + state(data_dir, amount),
        {
            "missing": ", ".join(best) + f" (or {_ARCHIVE.name})",
            "looked in": ", ".join(str(data_dir / name / inner) for name in folders for inner in ("", FOLDER)),
            "found there": listing(data_dir),
        },
        hint=f"{_BINARY}, and put it there, or leave --data-dir (data_dir) out to download it",
    )
