"""The directory of a run: its files, and the lock that keeps two processes from writing into it at once."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corenn.errors import CheckpointError, UsageError

RUNS = Path("runs")  # where runs go that are given no directory
CONFIG, RESULT, METRICS, LOCK = "config.json", "result.json", "metrics.jsonl", ".lock"
MATRIX_NOTE = "corenn confusion matrix"  # the text in a PNG file that holds the numbers of the matrix it shows
CHECKPOINTS, EVENTS, PLOTS = "checkpoints", "events", "plots"
_REQUIRED = {"task", "backend", "seed", "dataset", "data_dir", "settings"}

# What a lock answers on file systems that have none, such as some network mounts.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}

if sys.platform == "win32":
    import msvcrt

    def _acquire(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _acquire(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class RunLock:
    """Held while a process works in ``directory``; the system drops it with the process, however that ends.

    Raises UsageError when another process holds it.  File systems without locks are taken as they are.
    """

    def __init__(self, directory: Path) -> None:
        handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _acquire(handle)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(handle)
                raise UsageError("run", f"{directory} is in use by another process",
                                 hint="wait for it, or stop it") from None  # fmt: skip
        self.release = weakref.finalize(self, os.close, handle)


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader never sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read_config(directory: Path, where: str = "--resume") -> dict[str, Any]:
    """The ``config.json`` of a run; CheckpointError (of ``where``) when it is missing or damaged."""
    path = directory / CONFIG
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found.get("settings"), dict) or not found.keys() >= _REQUIRED:
            raise ValueError(f"it lacks some of {', '.join(sorted(_REQUIRED))}")
    except (FileNotFoundError, NotADirectoryError):
        hint = f"give the directory of a run: the one that holds {CONFIG}"
        raise CheckpointError(where, f"{directory} holds no run", hint=hint) from None
    except ValueError as error:
        raise CheckpointError(where, f"{path} is damaged: {error}") from None
    return found


def read_result(directory: Path) -> dict[str, Any] | None:
    """The ``result.json`` of a run that has ended, ``None`` for one that has not."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        found = json.loads((directory / RESULT).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    return None


def claim(out: str | os.PathLike[str] | None, name: str) -> tuple[Path, RunLock]:
    """The directory of a new run, made and locked: ``out``, or one named after the task and the time below ``runs``.

    UsageError when it cannot be written or holds another run.
    """
    try:
        directory = _make_fresh(RUNS, name) if out is None else Path(out)
        directory.mkdir(parents=True, exist_ok=True)
        lock = RunLock(directory)
    except OSError as error:
        shown = error.filename or out
        raise UsageError(
            "--out", f"cannot write to {shown}: {error.strerror}", hint="choose another directory"
        ) from None
    if (directory / CONFIG).exists():
        lock.release()
        raise UsageError("--out", f"{directory} holds a run already",
                         hint=f"continue it with --resume {directory}, or choose another directory")  # fmt: skip
    return directory, lock


def _make_fresh(parent: Path, name: str) -> Path:
    """A directory that did not exist, even if other runs start in the same second."""
    parent.mkdir(parents=True, exist_ok=True)
    stamp, number = time.strftime("%Y%m%d-%H%M%S"), 1
    while True:
        found = parent / (f"{name}-{stamp}" + (f"-{number}" if number > 1 else ""))
        try:
            found.mkdir()
        except FileExistsError:
            number += 1
        else:
            return found


def abandon(directory: Path) -> None:
    """Undo ``claim`` after a run that failed before it had anything to keep, so that the corrected one can start."""
    left = {entry.name for entry in directory.iterdir()}
    if left <= {CONFIG, LOCK}:
        for name in left:
            (directory / name).unlink()
        with contextlib.suppress(OSError):
            directory.rmdir()
            if directory.parent == RUNS:
                RUNS.rmdir()


def unfinished(parent: Path, name: str | None) -> Iterator[Path]:
    """The runs below ``parent`` (of a task) that have no result yet, newest first."""
    found = [(path.stat().st_mtime, path.parent) for path in parent.glob(f"*/{CONFIG}")]
    for _, directory in sorted(found, reverse=True):
        with contextlib.suppress(CheckpointError):
            if read_result(directory) is None and name in (None, read_config(directory)["task"]):
                yield directory
