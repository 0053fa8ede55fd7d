"""Machine code on disk: one file for each kernel, named by what it depends on.

A file is a line with the SHA-256 of the rest, and the rest, an object file.  Files are written whole or not at all; one
that is damaged is made again, with a warning.  The folder is ``CORENN_CACHE_DIR``, or the user's cache folder of the
platform; an empty ``CORENN_CACHE_DIR`` switches the disk off.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

from corenn.errors import hide_frames_of

hide_frames_of(os.path.dirname(__file__))

_warned: set[str] = set()


class DamagedCacheWarning(UserWarning):
    """A file of compiled kernels is not what was written; it is made again."""


class UnwritableCacheWarning(UserWarning):
    """Compiled kernels cannot be kept, so the next process compiles them again."""


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where kernels are kept; ``None`` for nowhere."""
    given = environ.get("CORENN_CACHE_DIR")
    if given is not None:
        return Path(given).expanduser().absolute() / "kernels" if given else None
    if sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        named = environ.get("XDG_CACHE_HOME", "")  # the XDG base directory specification: a relative one is ignored
        base = Path(named) if os.path.isabs(named) else Path.home() / ".cache"
    return base / "corenn" / "kernels"


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode() + b"\n"


def load(key: str) -> bytes | None:
    """The object file of that name; ``None`` where there is none, or none that is whole."""
    folder = cache_dir()
    if folder is None:
        return None
    path = folder / f"{key}.o"
    try:
        content = path.read_bytes()
    except OSError:
        return None
    head, data = content[:65], content[65:]
    if head == _digest(data):
        return data
    _warn_once(str(path), DamagedCacheWarning, f"{path} is damaged: the kernel in it is compiled again")
    return None


def store(key: str, data: bytes) -> None:
    """Keep an object file, if the disk lets us."""
    folder = cache_dir()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{key[:16]}-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_digest(data) + data)
            os.replace(name, folder / f"{key}.o")
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as problem:
        text = f"{folder} cannot be written ({problem}): set CORENN_CACHE_DIR to a folder that can, or to nothing"
        _warn_once(str(folder), UnwritableCacheWarning, text)


def _warn_once(subject: str, kind: type[Warning], text: str) -> None:
    if subject not in _warned:
        _warned.add(subject)
        warnings.warn(text, kind, stacklevel=4)
