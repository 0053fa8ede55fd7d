"""Download files once, check them, and keep them in a cache that never holds half a file.

pooch receives a file in a folder ``NAME.RANDOM.part`` beside its place; once its length and SHA-256 are verified, it is
moved to its place.  A lock keeps two processes from downloading the same set twice.  What is in the cache is verified
again at every use, which costs milliseconds and catches damage to the disk or by hand.

pooch comes with the extra ``datasets``, and is needed for downloading only: files that are here load without it.

Environment:

- ``CORENN_HOME``: folder of everything corenn caches; by default the user's cache folder of the platform.
- ``CORENN_OFFLINE=1``: never use the network; what is cached still works.
- ``CORENN_MIRRORS``: comma-separated base URLs to try first; a file is sought at ``BASE/SET/NAME``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corenn.errors import DataError, MissingExtraError, UsageError
from corenn_datasets.folders import with_home
from corenn_datasets.locking import file_lock
from corenn_datasets.splits import Progress

TIMEOUT_S = 30.0  # for connecting, and for every wait for more bytes
_OFF, _ON = ("", "0", "false", "no", "off"), ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to download: its name, its length in bytes and the SHA-256 of its bytes in hexadecimal."""

    name: str
    size: int
    sha256: str


class UnavailableError(DataError):
    """The files are not on this machine, and cannot be downloaded now: no address answers, or none may be asked.

    A file that comes, but is not the expected one, is a plain ``DataError``.
    """


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of everything corenn caches: ``CORENN_HOME``, or the user's cache folder of the platform."""
    if environ.get("CORENN_HOME"):
        return with_home(environ["CORENN_HOME"], "CORENN_HOME").absolute()
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "corenn" / "Cache"
    elif sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "corenn"
    else:
        base = environ.get("XDG_CACHE_HOME", "")
        # The XDG base directory specification says to ignore a relative path.
        return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "corenn"


def is_offline(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether ``CORENN_OFFLINE`` forbids the network; raises ``UsageError`` for a value that is neither yes nor no."""
    value = environ.get("CORENN_OFFLINE", "").strip().lower()
    if value not in _OFF + _ON:
        raise UsageError("CORENN_OFFLINE", f"{value!r} is neither yes nor no", hint="set it to 1 or 0, or unset it")
    return value in _ON


def extra_mirrors(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The base URLs of ``CORENN_MIRRORS``, without trailing slashes; ``UsageError`` for one that is not http(s)."""
    bases = [base.strip().rstrip("/") for base in environ.get("CORENN_MIRRORS", "").split(",")]
    for base in bases:
        if base and not base.lower().startswith(("http://", "https://")):
            raise UsageError(
                "CORENN_MIRRORS",
                f"{base!r} is not an http or https address",
                hint="for files on this machine use --data-dir (data_dir)",
            )
    return tuple(base for base in bases if base)


def fetch_all(
    dataset: str,
    files: Sequence[RemoteFile],
    bases: Sequence[str],
    *,
    progress: Progress | None = None,
    timeout_s: float = TIMEOUT_S,
) -> list[Path]:
    """Paths in the cache of all ``files`` of a set, in order, downloading those that are missing or damaged.

    Each is sought under ``CORENN_MIRRORS`` and then under ``bases`` (URLs to which ``/NAME`` is added).
    A connection that breaks is taken up again where it broke; then the next address is tried.
    Raises ``UnavailableError`` when no address answers, listing each with its reason, or the network is forbidden;
    ``MissingExtraError`` when there is something to download and no pooch; ``DataError`` when what comes is another
    file or the cache cannot be written; ``UsageError`` for a wrong environment variable.
    """
    folder = cache_root() / "datasets" / dataset
    paths = [folder / file.name for file in files]
    mirrors = [f"{base}/{dataset}" for base in extra_mirrors()] + [base.rstrip("/") for base in bases]
    try:
        missing = [file for file, path in zip(files, paths, strict=True) if not is_intact(path, file)]
        if not missing:
            return paths
        _refuse_offline(dataset, missing, folder)
        require_downloader(dataset)
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / ".lock") as alone:
            if alone:  # then what is called .part is what a killed process left
                for leftover in folder.glob("*.part"):
                    shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            for file in missing:
                if not is_intact(folder / file.name, file):  # another process may have fetched it while we waited
                    _fetch(dataset, file, [f"{base}/{file.name}" for base in mirrors], folder, progress, timeout_s)
    except ConnectionError:  # from the caller's progress function; those of the download have become a DataError
        raise
    except OSError as error:
        raise DataError(
            dataset,
            f"the cache cannot be used: {error.strerror or error}",
            {"file": error.filename or folder},
            hint="make room or set CORENN_HOME to a folder that can be written",
        ) from error
    return paths


def require_downloader(dataset: str) -> None:
    """Raise ``MissingExtraError`` when there is no pooch to download a set with."""
    try:
        import pooch  # type: ignore[import-untyped]  # noqa: F401
    except ImportError:
        raise MissingExtraError(f"downloading {dataset}", "pooch", "datasets") from None


def require_reachable(dataset: str, files: Sequence[RemoteFile]) -> None:
    """Raise ``UnavailableError`` when files that the cache lacks may not be downloaded.  Does not look into files."""
    folder = cache_root() / "datasets" / dataset
    _refuse_offline(dataset, [file for file in files if not (folder / file.name).is_file()], folder)


def _refuse_offline(dataset: str, missing: Sequence[RemoteFile], folder: Path) -> None:
    if missing and is_offline():
        raise UnavailableError(
            dataset,
            "is not in the cache, and CORENN_OFFLINE forbids downloading it",
            {"missing": ", ".join(file.name for file in missing), "cache": folder},
            hint="unset CORENN_OFFLINE, or give a folder that has the files with --data-dir (data_dir)",
        )


def is_intact(path: Path, file: RemoteFile) -> bool:
    """Whether ``path`` holds exactly ``file``, by its length and SHA-256."""
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size != file.size:
                return False
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False


def _fetch(
    dataset: str, file: RemoteFile, urls: Sequence[str], folder: Path, progress: Progress | None, timeout_s: float
) -> None:
    """Put ``file`` into ``folder`` from the first address that gives it; nothing else stays behind."""
    # Imported here: with its dependencies it is slower to import than everything else in this package.
    from corenn_datasets.fetching import MirrorError, receive

    reasons: dict[str, str] = {}
    kind: type[DataError] = UnavailableError
    with tempfile.TemporaryDirectory(prefix=f"{file.name}.", suffix=".part", dir=folder) as part:
        for url in urls:
            try:
                whole = receive(url, file.name, file.size, file.sha256, Path(part), progress, timeout_s)
                os.replace(whole, folder / file.name)
                return
            except MirrorError as error:
                reasons[url] = str(error)
                kind = DataError if error.wrong else kind
    count = "its one address" if len(urls) == 1 else f"any of its {len(urls)} addresses"
    raise kind(
        dataset,
        f"{file.name} could not be downloaded from {count}",
        reasons,
        hint="check the network, name a mirror in CORENN_MIRRORS, or give a folder that has the files with --data-dir "
        "(data_dir)",
    )
