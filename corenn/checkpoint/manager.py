"""A directory of checkpoints: ``step-00000042.safetensors``, the newest few, and a pointer file ``checkpoint.json``.

The pointer lists the checkpoints in the order they were saved, because that is not always the order of their steps:
a run that goes back to step 20 and saves step 21 continues from there, whatever step 40 of the abandoned attempt says.
It is written after the checkpoint it names; a checkpoint that the pointer misses (the process was killed in between)
is whole, and counts as the newest.
"""

from __future__ import annotations

import json
import os
import re
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corenn.checkpoint._atomic import remove_strays, write_atomically
from corenn.checkpoint.store import load_file, load_metadata, save_file
from corenn.errors import AttributeValueError, CheckpointError

POINTER = "checkpoint.json"
_NAME = re.compile(r"step-(\d{8,})\.safetensors")
_OWN = re.compile(rf"{_NAME.pattern}|{re.escape(POINTER)}")


class CheckpointWarning(UserWarning):
    """A checkpoint or pointer file that is damaged and was passed over."""


class Checkpoint(NamedTuple):
    """What :meth:`CheckpointManager.load` found: the arrays, the metadata (``"step"`` included) and the file."""

    tensors: dict[str, npt.NDArray[Any]]
    metadata: dict[str, Any]
    path: Path


class CheckpointManager:
    """Saves checkpoints into ``directory``, which is made on the first save, and keeps the last ``keep`` of them.

    ``keep=None`` keeps all.  One process may save into a directory at a time; any number may read.  Raises
    AttributeValueError for a ``keep`` that is not a positive int.
    """

    def __init__(self, directory: str | os.PathLike[str], keep: int | None = 5) -> None:
        if keep is not None and (not isinstance(keep, int) or keep < 1):
            raise AttributeValueError("CheckpointManager", "keep must be a positive int or None", {"keep": repr(keep)})
        self.directory, self.keep = Path(directory), keep
        self._lock = threading.Lock()
        self._reported: set[Path] = set()

    def save(
        self, step: int, tensors: Mapping[str, npt.ArrayLike], metadata: Mapping[str, object] | None = None
    ) -> Path:
        """Write the checkpoint of ``step`` and return its path; ``metadata`` gets ``"step"`` added.

        When this returns the checkpoint is on the disk; older ones are removed only after that.  Raises what
        :func:`corenn.checkpoint.save_file` raises, and then the earlier checkpoints are untouched.
        """
        if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or step < 0:
            raise AttributeValueError("CheckpointManager.save", "step must be an int >= 0", {"step": repr(step)})
        step = int(step)
        metadata = {"step": step, **(metadata or {})}
        if metadata["step"] != step:
            operands = {"step": step, "metadata['step']": metadata["step"]}
            raise AttributeValueError("CheckpointManager.save", "two different steps were given", operands)
        with self._lock:
            path = self.directory / f"step-{step:08d}.safetensors"
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                remove_strays(self.directory, _OWN)
            except OSError as error:
                raise CheckpointError(str(self.directory), f"cannot be written: {error.strerror}") from error
            earlier = [item for item in self.all() if item != path]
            save_file(path, tensors, metadata)
            self._reported.discard(path)
            self._write_pointer([*earlier, path], step)
            # Removing comes last and needs no second pointer: names in it that no longer exist are passed over.
            excess = 0 if self.keep is None else max(0, len(earlier) + 1 - self.keep)
            for old in earlier[:excess]:
                old.unlink(missing_ok=True)
        return path

    def all(self) -> list[Path]:
        """The checkpoints of the directory, oldest first (in the order they were saved), not opened."""
        try:
            present = {entry.name: entry for entry in self.directory.iterdir() if _NAME.fullmatch(entry.name)}
        except (FileNotFoundError, NotADirectoryError):
            return []
        listed = [present.pop(name) for name in self._read_pointer() if name in present]
        return listed + sorted(present.values(), key=lambda path: (len(path.name), path.name))

    def latest(self) -> Path | None:
        """The newest checkpoint whose layout and size are right, or ``None``; damaged ones are warned about once.

        It reads only the headers.  :meth:`load` without a path also verifies the checksum before it decides.
        """
        for path in reversed(self.all()):
            try:
                load_metadata(path)
            except CheckpointError as error:
                self._report(path, error)
            else:
                return path
        return None

    def load(self, path: str | os.PathLike[str] | None = None) -> Checkpoint:
        """The checkpoint at ``path``, or the newest good one of the directory.

        Without ``path``, a damaged checkpoint is passed over for the one before it, with one CheckpointWarning.
        Raises CheckpointError when there is none, when all are damaged, or when the given one is; its hint then names
        the previous one.
        """
        if path is not None:
            return self._load_given(Path(path))
        candidates = self.all()
        for candidate in reversed(candidates):
            try:
                return Checkpoint(*load_file(candidate), candidate)
            except CheckpointError as error:
                self._report(candidate, error)
        if candidates:
            what = f"all {len(candidates)} checkpoints are damaged"
            raise CheckpointError(str(self.directory), what, hint="start again, or restore the directory from a copy")
        raise CheckpointError(str(self.directory), "has no checkpoints", hint="check the directory, or save one first")

    def _load_given(self, path: Path) -> Checkpoint:
        try:
            return Checkpoint(*load_file(path), path)
        except CheckpointError as error:
            known = self.all()
            if path in known and known.index(path) > 0:
                error.hint = f"the previous checkpoint is {known[known.index(path) - 1]}"
            elif known and path not in known:
                error.hint = f"the newest checkpoint of this run is {known[-1]}"
            raise

    def _report(self, path: Path, error: CheckpointError) -> None:
        if path not in self._reported:
            self._reported.add(path)
            text = f"{error.where}: {error.what}; using the checkpoint before it, if there is one"
            warnings.warn(text, CheckpointWarning, stacklevel=3)

    def _write_pointer(self, paths: list[Path], step: int) -> None:
        names = [path.name for path in paths]
        text = json.dumps({"latest": names[-1], "step": step, "checkpoints": names}, indent=2) + "\n"
        try:
            write_atomically(self.directory / POINTER, lambda file: file.write(text.encode()))
        except OSError as error:
            raise CheckpointError(str(self.directory / POINTER), f"cannot be written: {error.strerror}") from error

    def _read_pointer(self) -> list[str]:
        path = self.directory / POINTER
        try:
            names = json.loads(path.read_text())["checkpoints"]
            if isinstance(names, list) and len(set(names)) == len(names):
                return [name for name in names if isinstance(name, str)]
            raise ValueError("no list of different names")
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            if path not in self._reported:
                self._reported.add(path)
                text = f"{path}: cannot be used ({error}); going by the steps in the files' names"
                warnings.warn(text, CheckpointWarning, stacklevel=4)
            return []
