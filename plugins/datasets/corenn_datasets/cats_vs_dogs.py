"""Cats and dogs: photographs of every size in two classes, from the folder or archive of the Kaggle competition.

Source: J. Elson, J. Douceur, J. Howell, J. Saul, Asirra: a CAPTCHA that exploits interest-aligned manual image
categorization, 2007, in the copy that Microsoft distributes.  Pictures are ``PetImages/Cat/N.jpg`` and
``PetImages/Dog/N.jpg``; those without the bytes ``JFIF`` among their first ten are left out, as tensorflow_datasets
does (1,738 of 25,000 in the published archive, some of them empty).

The photographs are decoded when they are looked at: unpacked they would take 13 GB.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import threading
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from corenn.errors import DataError, MissingExtraError, UsageError
from corenn_datasets.download import RemoteFile, fetch_all, require_reachable
from corenn_datasets.folders import common_folder, exists, expanded, is_file, is_folder, listing, state
from corenn_datasets.splits import Array, Arrays, DatasetSplits, PathLike, Progress, images_and_labels
from corenn_datasets.zips import AGAIN, DAMAGE, opened

CLASSES = ("cat", "dog")
DESCRIPTION = "photographs of cats and dogs, 23,262 usable ones of many sizes"
SOURCE = "J. Elson, J. Douceur, J. Howell, J. Saul, Asirra (2007); distributed by Microsoft"
LICENCE = "see the publisher's page"
LEVELS = 255

_NAME = "cats_vs_dogs"
_ARCHIVE = RemoteFile(
    "kagglecatsanddogs_5340.zip", 824887076, "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9"
)
_BASES = ("https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F",)
_FOLDER = "PetImages"
_PICTURE = re.compile(r"PetImages/(?P<kind>Cat|Dog)/\d+\.jpg")
_MARK, _HEAD = b"JFIF", 10
_MOST = 100_000  # members of the archive; the published one has a little more than 25,000
_LARGEST_FILE = 32 << 20  # bytes of one picture; the published ones stay below 1 MB
_LARGEST_PIXELS = 50_000_000  # of one decoded picture, which a file of a few bytes may announce
_TEST_EVERY = 10

_log = logging.getLogger("corenn")
_quiet = threading.Lock()


class Pictures(Sequence[Array]):
    """Photographs that are decoded when they are asked for: ``pictures[i]`` is uint8[H, W, 3], each of its own size.

    ``labels``: int64[N], 0 for a cat and 1 for a dog.  ``names``: where each comes from.  A slice gives the pictures
    of the slice.  The order mixes the classes and is the same everywhere: that of the SHA-256 of the names.
    Raises ``DataError`` naming the picture for one that cannot be decoded.
    """

    def __init__(self, source: Path, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.labels: npt.NDArray[np.int64] = np.array([CLASSES.index(_kind(name)) for name in names], np.int64)
        self._source = source
        self._archive: zipfile.ZipFile | None = None

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> Pictures: ...
    def __getitem__(self, index: int | slice) -> Array | Pictures:
        if isinstance(index, slice):
            return Pictures(self._source, self.names[index])
        return _decode(self._bytes(self.names[index]), f"{self._source}: {self.names[index]}")

    def resized(self, size: int) -> Array:
        """All pictures as uint8[N, size, size, 3], stretched to a square."""
        pixels = np.empty((len(self), size, size, 3), np.uint8)
        for index, name in enumerate(self.names):
            pixels[index] = _decode(self._bytes(name), f"{self._source}: {name}", size)
        return pixels

    def _bytes(self, name: str) -> bytes:
        if self._archive is None and is_file(self._source):
            self._archive = opened(self._source, _MOST)
        return _read(self._source, self._archive, name)

    def __repr__(self) -> str:
        cats = int((self.labels == 0).sum())
        return f"Pictures({len(self)}: {cats} cats, {len(self) - cats} dogs)"


def pictures(data_dir: PathLike | None = None, *, progress: Progress | None = None) -> Pictures:
    """All usable photographs, in their own sizes.

    From ``data_dir``, which is or holds the folder ``PetImages`` or ``kagglecatsanddogs_5340.zip`` (or its subfolder
    ``cats_vs_dogs`` does); without it from ``CORENN_DATA_DIR`` where that has one of those, else from the cache,
    downloading and verifying 825 MB and calling ``progress(name, received, total)``.  Needs pillow
    (``MissingExtraError``).  Raises ``DataError`` naming the file or folder for what is missing or damaged.
    """
    source = _in_common_folder() if data_dir is None else _find(expanded(data_dir))
    if source is None:
        require_reachable(_NAME, [_ARCHIVE])
    _pillow()  # before a long download, after what shows that there will be none
    if source is None:
        (source,) = fetch_all(_NAME, [_ARCHIVE], _BASES, progress=progress)
    archive = opened(source, _MOST) if is_file(source) else None
    names = _archived(source, archive) if archive is not None else _lying_in(source)
    usable = [name for name in names if _MARK in _read(source, archive, name, _HEAD)]
    if len(usable) < len(names):
        left = len(names) - len(usable)
        _log.warning("%s: %d of %d pictures are left out: they have no JFIF header", source, left, len(names))
    names = usable
    if {_kind(name) for name in names} != set(CLASSES):
        raise DataError(
            str(source),
            "has no usable pictures of both classes",
            {"cats": sum(_kind(name) == "cat" for name in names), "dogs": sum(_kind(name) == "dog" for name in names)},
            hint="there must be PetImages/Cat/N.jpg and PetImages/Dog/N.jpg with a JFIF header",
        )
    return Pictures(source, sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest()))


def load(data_dir: PathLike | None = None, *, progress: Progress | None = None, size: int = 64) -> DatasetSplits:
    """Cats and dogs stretched to squares: float32[N, size, size, 3] in [0, 1], labels int32 (0 cat, 1 dog).

    Every tenth picture, in the order of ``Pictures``, is the test set: the publisher makes no split.  At the default
    size the published set takes 1.1 GB.  ``data_dir``, ``progress`` and errors as for :func:`pictures`;
    ``UsageError`` for a ``size`` below 1.
    """
    if size < 1:
        raise UsageError(_NAME, f"size is the side of the square in pixels, at least 1, not {size}")
    found = pictures(data_dir, progress=progress)
    pixels, test = found.resized(size), np.arange(len(found)) % _TEST_EVERY == 0

    def part(chosen: npt.NDArray[np.bool_]) -> Arrays:
        return images_and_labels(pixels[chosen], found.labels[chosen], LEVELS)

    return DatasetSplits(
        name=_NAME,
        train=part(~test),
        test=part(test),
        classes=CLASSES,
        image_shape=(size, size, 3),
        description=DESCRIPTION,
        source=SOURCE,
        licence=LICENCE,
        levels=LEVELS,
    )


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError(_NAME, "pillow", "datasets") from None
    return Image


def _decode(data: bytes, where: str, size: int | None = None) -> Array:
    image_module = _pillow()
    try:
        # Pillow warns of damaged camera data, which a few of these files have and nothing here reads.  The lock: two
        # threads that save and restore the filters of warnings can leave each other's behind.
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with image_module.open(io.BytesIO(data), formats=["JPEG"]) as picture:
                if picture.width * picture.height > _LARGEST_PIXELS:
                    raise DataError(where, f"claims {picture.width}x{picture.height} pixels", hint=AGAIN)
                colour = picture.convert("RGB")
                if size is not None:
                    colour = colour.resize((size, size), image_module.Resampling.BILINEAR)
                return np.array(colour, np.uint8)
    except (OSError, SyntaxError, ValueError, image_module.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(where, "is no JPEG that can be decoded", {"reason": error}, hint=AGAIN) from error


def _kind(name: str) -> str:
    return name.split("/")[1].lower()


def _archived(source: Path, archive: zipfile.ZipFile) -> list[str]:
    """The pictures' names in an archive.  Nothing is written, so names in it cannot lead anywhere."""
    names = []
    for member in archive.infolist():
        if not _PICTURE.fullmatch(member.filename):
            continue
        if member.file_size > _LARGEST_FILE or member.flag_bits & 1:
            why = "is encrypted" if member.flag_bits & 1 else f"claims {member.file_size} bytes"
            raise DataError(f"{source}: {member.filename}", f"{why}, so it is no picture of this set", hint=AGAIN)
        names.append(member.filename)
    return list(dict.fromkeys(names))


def _lying_in(folder: Path) -> list[str]:
    """The pictures' names below ``PetImages``, as they would be in the archive."""

    def walk() -> Iterator[str]:
        for kind in ("Cat", "Dog"):
            for path in (folder / kind).iterdir():
                name = f"{_FOLDER}/{kind}/{path.name}"
                if _PICTURE.fullmatch(name) and path.is_file():
                    yield name

    try:
        return list(walk())
    except OSError as error:
        where = str(error.filename or folder)
        raise DataError(
            where, f"cannot be read: {error.strerror or error}", hint="give a folder that can be"
        ) from error


def _read(source: Path, archive: zipfile.ZipFile | None, name: str, count: int = _LARGEST_FILE) -> bytes:
    """At most ``count`` bytes of a picture."""
    where = f"{source}: {name}" if archive is not None else str(source / Path(*name.split("/")[1:]))
    try:
        with source.joinpath(*name.split("/")[1:]).open("rb") if archive is None else archive.open(name) as stream:
            data: bytes = stream.read(count)
            if count == _LARGEST_FILE and stream.read(1):
                raise DataError(where, f"is larger than {_LARGEST_FILE} bytes", hint=AGAIN)
            return data
    except DAMAGE as error:
        raise DataError(where, "is corrupt: it does not unpack", {"reason": error}, hint=AGAIN) from error
    except OSError as error:
        raise DataError(
            where, f"cannot be read: {error.strerror or error}", hint="give a file that can be read"
        ) from error


def _in_common_folder() -> Path | None:
    common = common_folder()
    if common is None:
        return None
    return _find(common) if any(exists(common / name) for name in (_NAME, _FOLDER, _ARCHIVE.name)) else None


def _find(data_dir: Path) -> Path:
    """The folder ``PetImages`` (whatever it is called here), or the archive."""
    for place in (data_dir, data_dir / _NAME):
        for folder in (place / _FOLDER, place):
            if all(is_folder(folder / kind) for kind in ("Cat", "Dog")):
                return folder
        if is_file(place / _ARCHIVE.name):
            return place / _ARCHIVE.name
    raise DataError(
        _NAME,
        f"the data directory {data_dir} " + state(data_dir, "has no folder PetImages with Cat and Dog in it"),
        {
            "looked in": ", ".join(str(data_dir / name) for name in ("", _FOLDER, _NAME, f"{_NAME}/{_FOLDER}")),
            "looked for": f"Cat and Dog, or {_ARCHIVE.name}",
            "found there": listing(data_dir),
        },
        hint="give the folder that has them, or leave --data-dir (data_dir) out to download the archive",
    )
