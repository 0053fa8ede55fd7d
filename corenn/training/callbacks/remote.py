"""Checkpoints at a URL: what ``CheckpointManager`` does in a directory, done with fsspec anywhere else.

A checkpoint is written to a local temporary file, copied under a name that is not a checkpoint's, and then moved to its
own, so that a checkpoint is there as a whole or not at all.  Pointer and names are those of ``corenn.checkpoint``: a
directory copied from a store is one that ``CheckpointManager`` reads.
"""

from __future__ import annotations

import importlib
import json
import posixpath
import re
import secrets
import tempfile
import urllib.parse
import urllib.request
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from corenn.checkpoint import CheckpointManager, CheckpointWarning, load_file, save_file
from corenn.errors import AttributeValueError, CheckpointError, MissingExtraError

_NAME = re.compile(r"step-(\d{8,})\.safetensors")
_PART = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_POINTER = "checkpoint.json"
T = TypeVar("T")
Loaded = tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]


class StoreError(CheckpointError):
    """A store cannot be reached, or refuses what is asked of it."""


def local_path(url: str) -> Path | None:
    """The path that a URL without a scheme, or with ``file:``, names; ``None`` for others."""
    if "://" not in url:
        return Path(url).expanduser()
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file" and "::" not in url:
        return Path(urllib.request.url2pathname(parts.path))
    return None


class LocalCheckpoints:
    """Checkpoints in a directory of this machine, in the terms of ``RemoteCheckpoints``."""

    def __init__(self, directory: Path, keep: int | None) -> None:
        self.where = str(directory)
        self._manager = CheckpointManager(directory, keep=keep)

    def save(self, step: int, tensors: Mapping[str, npt.ArrayLike], metadata: Mapping[str, object]) -> str:
        """Write the checkpoint of a step; where it is."""
        with self._reached():
            return str(self._manager.save(step, tensors, metadata))

    def names(self) -> list[str]:
        """The checkpoints, oldest first."""
        with self._reached():
            return [path.name for path in self._manager.all()]

    def load(self) -> Loaded:
        """Arrays and metadata of the newest good checkpoint."""
        found = self._manager.load(None)
        return found.tensors, found.metadata

    def remove(self, names: Iterable[str]) -> None:
        """Remove checkpoints."""
        with self._reached():
            for name in names:
                (self._manager.directory / name).unlink(missing_ok=True)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Errors of the file system as StoreError."""
        try:
            yield
        except CheckpointError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError):
                raise
            raise StoreError(error.where, error.what, error.operands, hint=error.hint) from cause
        except OSError as error:
            raise StoreError(self.where, f"cannot be used: {error.strerror or error}") from error


class RemoteCheckpoints:
    """The checkpoints at ``url``, of which the last ``keep`` stay (``None``: all).

    ``options`` go to the file system of the URL's scheme (see fsspec).  Raises MissingExtraError without fsspec, and in
    use StoreError for all that goes wrong with the store.
    """

    def __init__(self, url: str, keep: int | None = None, options: Mapping[str, Any] | None = None) -> None:
        try:
            self._fsspec = importlib.import_module("fsspec")
        except ImportError:
            raise MissingExtraError(f"a checkpoint store at {url.split('://')[0]}://", "fsspec", "remote") from None
        self._url, self.keep, self.options = url.rstrip("/"), keep, dict(options or {})
        #: The URL as it may be shown: without a password.
        self.where = re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", self._url)
        self._opened: tuple[Any, str] | None = None

    # ---- the store

    def _ask(self, what: str, question: Callable[[Any, str], T]) -> T:
        """``question(file system, its path of the store)``; everything that fails is a StoreError that names both."""
        try:
            if self._opened is None:
                self._opened = self._fsspec.core.url_to_fs(self._url, **self.options)
            return question(*self._opened)
        except CheckpointError:
            raise
        except Exception as error:  # each file system has exceptions of its own
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            hint = "check the URL, the connection and the credentials (storage_options)"
            if isinstance(error, (ImportError, ValueError)):
                hint = "install the package of the URL's scheme, for example s3fs for s3:// or gcsfs for gs://"
            raise StoreError(self.where, f"cannot {what} ({text.splitlines()[0]})", hint=hint) from error

    def _put(self, fs: Any, directory: str, local: Path, name: str) -> None:
        """Copy a file into the store under another name, then give it its own."""
        part = posixpath.join(directory, f".{name}.{secrets.token_hex(4)}.part")
        final = posixpath.join(directory, name)
        fs.makedirs(directory, exist_ok=True)
        try:
            fs.put_file(str(local), part)
            fs.mv(part, final)
        except BaseException:
            if fs.exists(part):
                fs.rm_file(part)
            raise

    def _list(self, fs: Any, directory: str) -> list[str]:
        fs.invalidate_cache()
        try:
            found = fs.ls(directory, detail=False)
        except FileNotFoundError:
            return []
        return [PurePosixPath(entry).name for entry in found]

    # ---- checkpoints

    def save(self, step: int, tensors: Mapping[str, npt.ArrayLike], metadata: Mapping[str, object]) -> str:
        """Store the checkpoint of a step, then remove those that are too many; the URL it is at."""
        name = f"step-{step:08d}.safetensors"
        with tempfile.TemporaryDirectory(prefix="corenn-") as folder:
            local, pointer = Path(folder) / name, Path(folder) / _POINTER
            save_file(local, tensors, {"step": step, **metadata})
            earlier = [n for n in self.names() if n != name]
            kept = [*earlier, name][-self.keep :] if self.keep is not None else [*earlier, name]
            text = {"latest": name, "step": step, "checkpoints": kept}
            pointer.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")

            def put(fs: Any, directory: str) -> None:
                self._put(fs, directory, local, name)
                self._put(fs, directory, pointer, _POINTER)

            self._ask("store a checkpoint", put)
        self.remove([n for n in earlier if n not in kept])
        return f"{self.where}/{name}"

    def names(self) -> list[str]:
        """The checkpoints, oldest first: as the pointer lists them, those it misses as the newest."""

        def look(fs: Any, directory: str) -> list[str]:
            present = set(self._list(fs, directory))
            listed = self._pointer(fs, directory) if _POINTER in present else []
            found = {n for n in present if _NAME.fullmatch(n)}
            return [*(n for n in listed if n in found), *sorted(found - set(listed), key=lambda n: (len(n), n))]

        return self._ask("list the checkpoints", look)

    def _pointer(self, fs: Any, directory: str) -> list[str]:
        try:
            names = json.loads(fs.cat_file(posixpath.join(directory, _POINTER)))["checkpoints"]
            return [str(name) for name in dict.fromkeys(names)]
        except (ValueError, TypeError, KeyError) as error:
            text = f"{self.where}/{_POINTER}: cannot be used ({error}); going by the steps in the files' names"
            warnings.warn(text, CheckpointWarning, stacklevel=4)
            return []

    def load(self) -> Loaded:
        """Arrays and metadata of the newest good checkpoint; CheckpointError when there is none."""
        names = self.names()
        for name in reversed(names):
            with tempfile.TemporaryDirectory(prefix="corenn-") as folder:
                local = Path(folder) / name

                def get(fs: Any, directory: str, name: str = name, local: Path = local) -> None:
                    fs.get_file(posixpath.join(directory, name), str(local))

                self._ask("fetch a checkpoint", get)
                try:
                    return load_file(local)
                except CheckpointError as error:
                    text = f"{self.where}/{name}: {error.what}; using the checkpoint before it, if there is one"
                    warnings.warn(text, CheckpointWarning, stacklevel=3)
        what = f"all {len(names)} checkpoints are damaged" if names else "has no checkpoints"
        raise CheckpointError(self.where, what, hint="check the URL, or start again in another place")

    def remove(self, names: Iterable[str]) -> None:
        """Remove checkpoints, and what copies that were cut off have left."""

        def drop(fs: Any, directory: str) -> None:
            strays = [n for n in self._list(fs, directory) if _PART.fullmatch(n)]
            for name in (*names, *strays):
                fs.rm_file(posixpath.join(directory, name))

        self._ask("remove old checkpoints", drop)


def checkpoints_at(
    url: str, keep: int | None = None, options: Mapping[str, Any] | None = None
) -> LocalCheckpoints | RemoteCheckpoints:
    """The checkpoints at a path or URL; AttributeValueError for a ``keep`` that is no positive int."""
    if keep is not None and (isinstance(keep, bool) or not isinstance(keep, (int, np.integer)) or keep < 1):
        raise AttributeValueError("CheckpointStore", "keep must be a positive int or None", {"keep": repr(keep)})
    path = local_path(url)
    return RemoteCheckpoints(url, keep, options) if path is None else LocalCheckpoints(path, keep)


__all__ = ["LocalCheckpoints", "RemoteCheckpoints", "StoreError", "checkpoints_at", "local_path"]
