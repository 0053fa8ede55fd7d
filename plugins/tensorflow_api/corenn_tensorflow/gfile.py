"""``tf.gfile`` and ``tf.io.gfile``: files of this machine under TensorFlow's names, as both generations spell them.

Paths may be ``os.PathLike`` or begin with ``file://``; other schemes (``gs://``, ``s3://``, ``hdfs://``) raise
``UsageError``.  What the system refuses is an error of ``tf.errors`` (``NotFoundError``, ``AlreadyExistsError``,
``PermissionDeniedError``, ``FailedPreconditionError``) and at the same time the ``OSError`` of Python's own functions.
"""

from __future__ import annotations

import contextlib
import functools
import glob as _glob
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NamedTuple, TypeAlias

from corenn.errors import UsageError
from corenn_tensorflow import missing

PathLike: TypeAlias = str | bytes | os.PathLike[str]

#: Errors of the system and what TensorFlow calls them.
_CODES = {
    FileNotFoundError: "NotFoundError",
    FileExistsError: "AlreadyExistsError",
    PermissionError: "PermissionDeniedError",
    IsADirectoryError: "FailedPreconditionError",
    NotADirectoryError: "FailedPreconditionError",
}

_MODES = ("r", "w", "a", "r+", "w+", "a+")


def _path(path: PathLike) -> str:
    text = os.fsdecode(path)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    if scheme is None:
        return text
    if scheme[1] == "file":
        return text.removeprefix("file://")
    raise UsageError("tf.gfile", f"{text!r} is not a file of this machine", hint="copy it here first, or mount it")


@functools.cache
def _error_class(kind: type[OSError]) -> type[Any]:
    """A class that is both, Python's ``kind`` and the error of ``tf.errors`` for it."""
    from corenn_tensorflow import errors  # only here: it brings the graph with it

    return type(_CODES[kind], (getattr(errors, _CODES[kind]), kind), {"__module__": errors.__name__})


@contextlib.contextmanager
def _tensorflow_errors() -> Iterator[None]:
    """Errors of the system in the block, or in a function with this as decorator, become those of TensorFlow."""
    try:
        yield
    except tuple(_CODES) as error:
        kind = next(kind for kind in _CODES if isinstance(error, kind))
        translated = _error_class(kind)(message=f"{error.filename}; {error.strerror}")
        translated.errno, translated.strerror, translated.filename = error.errno, error.strerror, error.filename
        raise translated from None


class GFile:
    """A file, opened at the first use.

    ``mode``: ``"r"``, ``"w"`` or ``"a"``, with ``"+"`` to read and write and ``"b"`` for bytes.  Text is UTF-8.
    Iterating gives lines; use it in a ``with`` statement, or call ``close()``.
    """

    def __init__(self, name: PathLike, mode: str = "r") -> None:
        if mode.replace("b", "") not in _MODES:
            raise UsageError(
                "tf.gfile.GFile", f"mode {mode!r} is not one of {', '.join(_MODES)}, or one of them with 'b'"
            )
        self._name, self._mode = _path(name), mode
        self._file: IO[Any] | None = None

    @property
    def name(self) -> str:
        """The path."""
        return self._name

    @property
    def mode(self) -> str:
        """The mode, as given."""
        return self._mode

    @_tensorflow_errors()
    def _open(self) -> IO[Any]:
        if self._file is None:
            binary = "b" in self._mode
            # Closed by close().
            self._file = open(  # noqa: SIM115
                self._name, self._mode, encoding=None if binary else "utf-8", newline=None if binary else ""
            )
        return self._file

    @_tensorflow_errors()
    def size(self) -> int:
        """The length in bytes, with what has been written so far."""
        if self._file is not None and self._file.writable():
            self._file.flush()
        return os.stat(self._name).st_size

    def read(self, n: int = -1) -> Any:
        """The next ``n`` bytes or characters; all that is left by default."""
        return self._open().read(n)

    def readline(self) -> Any:
        """The next line with its end, empty at the end of the file."""
        return self._open().readline()

    def readlines(self) -> list[Any]:
        """The lines that are left."""
        return self._open().readlines()

    def write(self, file_content: Any) -> None:
        """Append text, or bytes in a binary mode."""
        self._open().write(file_content)

    def seek(self, offset: int | None = None, whence: int = 0, position: int | None = None) -> None:
        """Go to a position; ``position`` is the old name of ``offset``."""
        place = offset if offset is not None else position
        if place is None:
            raise UsageError("tf.gfile.GFile.seek", "no offset was given")
        self._open().seek(place, whence)

    def tell(self) -> int:
        """The position."""
        return self._open().tell()

    def seekable(self) -> bool:
        """Whether ``seek`` works."""
        return self._open().seekable()

    def flush(self) -> None:
        """Hand what was written to the system."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file.  Opening for writing creates it even when nothing was written."""
        if self._file is None and self._mode[0] in "wa":
            self._open()
        if self._file is not None:
            self._file.close()
            self._file = None

    Flush, Close = flush, close

    def __del__(self) -> None:
        # ``GFile(path).read()`` is how scripts read a file: nobody is left to close it.
        if getattr(self, "_file", None) is not None:
            self.close()

    def __enter__(self) -> GFile:
        self._open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> GFile:
        return self

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def __repr__(self) -> str:
        return f"<GFile {self._name!r} {self._mode!r}>"


class FileStatistics(NamedTuple):
    """What ``stat`` returns."""

    length: int
    mtime_nsec: int
    is_directory: bool


def exists(path: PathLike) -> bool:
    """Whether there is a file or folder."""
    return os.path.exists(_path(path))


def isdir(path: PathLike) -> bool:
    """Whether it is a folder."""
    return os.path.isdir(_path(path))


@_tensorflow_errors()
def listdir(path: PathLike) -> list[str]:
    """The names in a folder, sorted."""
    return sorted(os.listdir(_path(path)))


@_tensorflow_errors()
def makedirs(path: PathLike) -> None:
    """Make a folder and those it is in, unless they are there."""
    os.makedirs(_path(path), exist_ok=True)


@_tensorflow_errors()
def mkdir(path: PathLike) -> None:
    """Make a folder; AlreadyExistsError if it is there."""
    os.mkdir(_path(path))


def glob(pattern: PathLike | Iterable[PathLike]) -> list[str]:
    """The paths that match a pattern, or one of several, sorted; none is no error."""
    patterns = [pattern] if isinstance(pattern, (str, bytes, os.PathLike)) else list(pattern)
    return [match for one in patterns for match in sorted(_glob.glob(_path(one)))]


@_tensorflow_errors()
def remove(path: PathLike) -> None:
    """Delete a file."""
    os.remove(_path(path))


@_tensorflow_errors()
def rmtree(path: PathLike) -> None:
    """Delete a folder and all in it."""
    place = _path(path)
    if os.path.isdir(place) and not os.path.islink(place):
        shutil.rmtree(place)
    else:
        os.remove(place)


def _refuse_existing(path: str, overwrite: bool) -> None:
    if not overwrite and os.path.exists(path):
        raise FileExistsError(17, "the file exists; overwrite=True replaces it", path)


@_tensorflow_errors()
def copy(src: PathLike, dst: PathLike, overwrite: bool = False) -> None:
    """Copy a file's bytes; AlreadyExistsError if ``dst`` is there, unless ``overwrite``."""
    target = _path(dst)
    _refuse_existing(target, overwrite)
    shutil.copyfile(_path(src), target)


@_tensorflow_errors()
def rename(src: PathLike, dst: PathLike, overwrite: bool = False) -> None:
    """Rename or move a file or folder; AlreadyExistsError if ``dst`` is there, unless ``overwrite``."""
    target = _path(dst)
    _refuse_existing(target, overwrite)
    os.replace(_path(src), target)


@_tensorflow_errors()
def stat(path: PathLike) -> FileStatistics:
    """Length, time of the last change and whether it is a folder."""
    found = os.stat(_path(path))
    return FileStatistics(found.st_size, found.st_mtime_ns, os.path.isdir(_path(path)))


def walk(
    top: PathLike, topdown: bool = True, onerror: Callable[[OSError], Any] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Folders below ``top`` as (path, names of folders, names of files), sorted."""
    for place, folders, files in os.walk(_path(top), topdown=topdown, onerror=onerror):
        folders.sort()
        yield place, folders, sorted(files)


def join(path: PathLike, *paths: PathLike) -> str:
    """Put parts of a path together."""
    return os.path.join(os.fsdecode(path), *(os.fsdecode(p) for p in paths))


def Copy(oldpath: PathLike, newpath: PathLike, overwrite: bool = False) -> None:
    """As ``copy``."""
    copy(oldpath, newpath, overwrite)


def Rename(oldname: PathLike, newname: PathLike, overwrite: bool = False) -> None:
    """As ``rename``."""
    rename(oldname, newname, overwrite)


def Exists(filename: PathLike) -> bool:
    """As ``exists``."""
    return exists(filename)


def IsDirectory(dirname: PathLike) -> bool:
    """As ``isdir``."""
    return isdir(dirname)


def ListDirectory(dirname: PathLike) -> list[str]:
    """As ``listdir``."""
    return listdir(dirname)


def MakeDirs(dirname: PathLike) -> None:
    """As ``makedirs``."""
    makedirs(dirname)


def MkDir(dirname: PathLike) -> None:
    """As ``mkdir``."""
    mkdir(dirname)


def Glob(filename: PathLike | Iterable[PathLike]) -> list[str]:
    """As ``glob``."""
    return glob(filename)


def Remove(filename: PathLike) -> None:
    """As ``remove``."""
    remove(filename)


def DeleteRecursively(dirname: PathLike) -> None:
    """As ``rmtree``."""
    rmtree(dirname)


def Stat(filename: PathLike) -> FileStatistics:
    """As ``stat``."""
    return stat(filename)


def Walk(top: PathLike, in_order: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """As ``walk``; ``in_order``: a folder before those in it."""
    return walk(top, in_order)


Open = FastGFile = GFile

__getattr__ = missing.guard(__name__)

__all__ = [
    "Copy",
    "DeleteRecursively",
    "Exists",
    "FastGFile",
    "GFile",
    "Glob",
    "IsDirectory",
    "ListDirectory",
    "MakeDirs",
    "MkDir",
    "Open",
    "Remove",
    "Rename",
    "Stat",
    "Walk",
    "copy",
    "exists",
    "glob",
    "isdir",
    "join",
    "listdir",
    "makedirs",
    "mkdir",
    "remove",
    "rename",
    "rmtree",
    "stat",
    "walk",
]
