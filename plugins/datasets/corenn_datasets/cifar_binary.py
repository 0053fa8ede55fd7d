"""The binary files of CIFAR-10 and CIFAR-100, from a folder or from the archive as it was downloaded.

Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.  A record is one byte for the class
(in CIFAR-100 two: the superclass, then the class) and 3,072 for the pixels, the red plane before the green and the blue
one, each in row order; nothing else is in a file.  The versions for Python are pickles, which can run any code when
they are loaded, so they are not read.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from corenn.errors import DataError
from corenn_datasets.download import RemoteFile, fetch_all
from corenn_datasets.folders import common_folder, exists, expanded, is_file, listing, state
from corenn_datasets.splits import Array, PathLike, Progress
from corenn_datasets.zips import AGAIN

IMAGE_SHAPE = (32, 32, 3)
LEVELS = 255
BASES = ("https://www.cs.toronto.edu/~kriz",)

_PIXELS = 32 * 32 * 3
_CHUNK = 1 << 20
_MOST = 100  # members of the archive; the published ones have fewer than ten


@dataclass(frozen=True, slots=True)
class BinarySet:
    """One of the data sets: its names, its files, and how many classes each label byte of a record can name."""

    name: str  # "cifar10"
    title: str  # "CIFAR-10"
    archive: RemoteFile
    folder: str  # of the files in the archive
    train: tuple[str, ...]
    test: str
    label_classes: tuple[int, ...]
    largest_file: int  # bytes; a member of the archive that claims more is no such file
    largest_archive: int  # bytes that it may unpack to
    pickles: tuple[str, ...]  # where the version for Python has its first file

    @property
    def files(self) -> tuple[str, ...]:
        """All files, that of the test set last."""
        return (*self.train, self.test)

    @property
    def record(self) -> int:
        """Bytes of a record."""
        return len(self.label_classes) + _PIXELS

    @property
    def hint(self) -> str:
        """What to do where the version for Python lies."""
        return f"get the binary version, {self.archive.name}"


def load_parts(
    which: BinarySet, data_dir: PathLike | None, progress: Progress | None
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Images uint8[N, 32, 32, 3] and labels uint8[N, label bytes] of the training and of the test set.

    From the files or the archive in ``data_dir`` (or its subfolders of the set's names); without it from
    ``CORENN_DATA_DIR`` where that has one of those, else from the cache, downloading and verifying the archive.
    Raises ``DataError`` naming the file for what is missing, damaged or something else.
    """
    source = _in_common_folder(which) if data_dir is None else _find(which, expanded(data_dir), ("", which.name))
    if source is None:
        (source,) = fetch_all(which.name, [which.archive], BASES, progress=progress)
    archived = is_file(source)
    parts = _unpack(which, source) if archived else {n: _read_file(which, source / n) for n in which.files}

    def records(name: str) -> tuple[Array, Array]:
        inside = f"{source}: {which.folder}/{name}" if archived else str(source / name)
        return _records(which, parts[name], inside)

    pixels, labels = zip(*map(records, which.train), strict=True)
    return (np.concatenate(pixels), np.concatenate(labels)), records(which.test)


def dump_records(images: Array, labels: Array) -> bytes:
    """Images uint8[N, 32, 32, 3] and labels uint8[N] (or [N, label bytes]) in the format of a ``.bin`` file."""
    planes = np.asarray(images, np.uint8).transpose(0, 3, 1, 2).reshape(len(images), _PIXELS)
    return np.concatenate([np.asarray(labels, np.uint8).reshape(len(images), -1), planes], axis=1).tobytes()


def _records(which: BinarySet, data: bytes, where: str) -> tuple[Array, Array]:
    """Images uint8[N, 32, 32, 3] and labels uint8[N, label bytes] of one file."""
    odd = len(data) % which.record
    if not data:
        raise DataError(where, "holds no images", hint=AGAIN)
    if data[:1] == b"\x80" and odd:  # the first byte of pickle's binary protocols
        raise DataError(where, "is a pickle, the version for Python, which corenn does not read", hint=which.hint)
    if data.lstrip()[:1] == b"<" and odd:
        page = "this looks like a web page saved in place of the file"
        raise DataError(where, f"is not a {which.title} file", hint=page)
    if odd:
        raise DataError(
            where,
            f"is truncated or not a {which.title} file: its {len(data)} bytes are no multiple of {which.record}",
            hint=f"{AGAIN}; a record has 3073 bytes in CIFAR-10 and 3074 in CIFAR-100",
        )
    rows = np.frombuffer(data, np.uint8).reshape(-1, which.record)
    labels, pixels = np.split(rows, [len(which.label_classes)], axis=1)
    wrong = labels >= np.array(which.label_classes)
    if wrong.any():
        index, byte = (int(n) for n in np.argwhere(wrong)[0])
        raise DataError(
            where,
            f"label {labels[index, byte]} of image {index} is not below {which.label_classes[byte]}",
            hint="the file is corrupt, or belongs to another data set",
        )
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def _read_file(which: BinarySet, path: Path) -> bytes:
    try:
        if path.stat().st_size > which.largest_file:
            what = f"is larger than the {which.largest_file} bytes of a {which.title} file"
            raise DataError(str(path), what, hint=AGAIN)
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            str(path), f"cannot be read: {error.strerror or error}", hint="give a file that can be read"
        ) from error


class _Bounded:
    """The unpacked bytes of an archive, up to a limit: a small file can unpack to any size."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile, where: str, limit: int) -> None:
        self._stream, self._where, self._limit, self._left = stream, where, limit, limit

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self._left -= len(data)
        if self._left < 0:
            raise DataError(self._where, f"unpacks to more than {self._limit} bytes", hint=AGAIN)
        return data


def _unpack(which: BinarySet, archive: Path) -> dict[str, bytes]:
    """The files of the archive, in memory: nothing is written, so names in it cannot lead anywhere."""
    where = str(archive)
    try:
        # Read as a stream, once from front to back, through a counter of the bytes that come out.
        with gzip.open(archive) as unpacked:
            counted = _Bounded(unpacked, where, which.largest_archive)
            parts = _members(which, counted, where)
            while counted.read(_CHUNK):  # to the end, where the checksum is
                pass
    except FileNotFoundError as error:
        raise DataError(where, "does not exist", hint="check the name, or download the file") from error
    # Beside its own errors tarfile lets through those of the numbers and texts in damaged headers.
    except (EOFError, tarfile.TarError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(where, "is truncated or corrupt: it does not unpack", {"reason": error}, hint=AGAIN) from error
    except OSError as error:
        raise DataError(
            where, f"cannot be read: {error.strerror or error}", hint="give a file that can be read"
        ) from error
    lacking = [name for name in which.files if name not in parts]
    if lacking:
        missing = {"missing": ", ".join(lacking)}
        raise DataError(where, f"has no {which.folder}/{lacking[0]}", missing, hint=which.hint)
    return parts


def _members(which: BinarySet, stream: Any, where: str) -> dict[str, bytes]:
    """Those of the files that the tar archive has."""
    parts = {}
    with tarfile.open(fileobj=stream, mode="r|") as members:
        for count, member in enumerate(members, 1):
            if count > _MOST:
                raise DataError(where, f"has more than {_MOST} members", hint=AGAIN)
            folder, _, name = member.name.rpartition("/")
            if name not in which.files or folder.removeprefix("./") != which.folder:
                continue
            if not member.isfile() or not 0 <= member.size <= which.largest_file:
                what = f"is not the file of a {which.title} archive"
                raise DataError(f"{where}: {member.name}", what, hint=AGAIN)
            content = members.extractfile(member)
            parts[name] = b"" if content is None else content.read()
    return parts


def _in_common_folder(which: BinarySet) -> Path | None:
    common = common_folder()
    if common is None:
        return None
    named = (which.name, which.folder, which.archive.name)
    return _find(which, common, (which.name, "")) if any(exists(common / name) for name in named) else None


def _find(which: BinarySet, data_dir: Path, folders: tuple[str, ...]) -> Path:
    """The folder of the files, or the archive."""
    best: list[str] = list(which.files)
    for place in (data_dir / name for name in folders):
        for folder in (place, place / which.folder):
            lacking = [name for name in which.files if not is_file(folder / name)]
            if not lacking:
                return folder
            best = min(best, lacking, key=len)
        if is_file(place / which.archive.name):
            return place / which.archive.name
    count = {2: "two", 6: "six"}.get(len(which.files), str(len(which.files)))
    if any(is_file(data_dir / name) for name in which.pickles):
        amount = f"has {which.title} as pickles for Python, which corenn does not read"
    else:
        some = len(best) < len(which.files)
        amount = f"lacks some of the {count} files" if some else f"has none of the {count} files"
    raise DataError(
        which.name,
        f"the data directory {data_dir} " + state(data_dir, amount),
        {
            "missing": ", ".join(best) + f" (or {which.archive.name})",
            "looked in": ", ".join(str(data_dir / name / inner) for name in folders for inner in ("", which.folder)),
            "found there": listing(data_dir),
        },
        hint=f"{which.hint}, and put it there, or leave --data-dir (data_dir) out to download it",
    )
