"""``Saver``: the values of a session's variables in files, and back; keeping the last few.

::

    saver = Saver(max_to_keep=3)
    path = saver.save(session, "runs/1/model", global_step=100)        # runs/1/model-100.safetensors
    saver.restore(session, latest_checkpoint("runs/1"))

A checkpoint is known by its *prefix*, ``runs/1/model-100``: its files add an ending.  Native ones are safetensors files
and the pointer ``saver.json``; with ``format="tensorflow"`` they are those of TensorFlow 1 (``.index``, ``.data-...``
and the text file ``checkpoint``).  ``restore`` reads both, whoever wrote them.
"""

from __future__ import annotations

import contextlib
import glob
import json
import math
import os
import re
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corenn.errors import AttributeValueError, CheckpointError, DTypeError, UsageError, nearest
from corenn.graph.exporting import export_graph, tensors_path
from corenn.graph.partial import compatible
from corenn.graph.state import GLOBAL, GraphVariable

StrPath = str | os.PathLike[str]
Array = np.ndarray[Any, Any]

#: The pointer of native checkpoints; TensorFlow's is called ``checkpoint``.
POINTER, TENSORFLOW_POINTER = "saver.json", "checkpoint"
_ENDINGS = {"safetensors": ".safetensors", "tensorflow": ".index"}
_GRAPH_ENDINGS = {"safetensors": ".graph.json", "tensorflow": ".meta"}
_MOST_SHOWN = 20  # variables listed in a message


class Saver:
    """Saves and restores variables of a graph's sessions.

    ``variables``: a list, or a dict from names in the checkpoint to variables; by default all global variables that the
    session's graph has at the time.  The names of a list are those of the variables' operations.

    ``max_to_keep``: how many checkpoints of this saver stay (``None`` or 0: all); ``keep_every_n_hours``: one for every
    so many hours stays beyond that.  ``format``: ``"safetensors"`` or ``"tensorflow"``.  ``pad_step``: steps have
    eight digits.  ``relative``: paths in TensorFlow's pointer are relative to it (native ones always are).
    ``reshape``: restore a variable from a tensor of another shape with as many elements.  ``state_file``: another name
    for the pointer.

    Raises UsageError for what is not a variable of a graph, AttributeValueError for an unknown ``format`` or a negative
    number to keep.
    """

    def __init__(
        self, variables: Iterable[GraphVariable] | Mapping[str, GraphVariable] | None = None, *,
        max_to_keep: int | None = 5, keep_every_n_hours: float | None = None, format: str = "safetensors",
        pad_step: bool = False, relative: bool = False, reshape: bool = False, state_file: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        if format not in _ENDINGS:
            raise AttributeValueError("Saver", f"format must be one of {', '.join(_ENDINGS)}", {"format": repr(format)})
        if max_to_keep is not None and (not isinstance(max_to_keep, int) or max_to_keep < 0):
            raise AttributeValueError(
                "Saver", "max_to_keep must be an int of at least 0, or None", {"given": max_to_keep}
            )
        self.variables = None if variables is None else named_variables(variables)
        self.max_to_keep, self.keep_every_n_hours, self.format = max_to_keep, keep_every_n_hours, format
        self.pad_step, self.relative, self.reshape = pad_step, relative, reshape
        self.state_file = state_file or (POINTER if format == "safetensors" else TENSORFLOW_POINTER)
        self._clock = clock
        self._last: list[tuple[str, float]] = []
        self._keep_after = clock() + (keep_every_n_hours or 0.0) * 3600
        self._preserved: float | None = None

    # ---- saving

    def save(
        self,
        session: Any,
        path: StrPath,
        global_step: Any = None,
        *,
        meta_graph: bool = False,
        write_state: bool = True,
    ) -> str:
        """Write the variables to a checkpoint; its prefix: ``path``, followed by ``-<step>`` if there is a step.

        ``global_step``: an int, or a variable or tensor of the graph.  ``meta_graph`` writes the graph beside it (see
        ``graph_path``).  The directory is made where it is missing.  When this returns the files are on the disk, the
        pointer names them, and checkpoints beyond ``max_to_keep`` are gone.  Raises UninitializedError for a variable
        without a value, GraphError for a graph that cannot be written, CheckpointError when a file cannot be.
        """
        prefix = self._prefix(session, os.fspath(path), global_step)
        named = self._named(session)
        if not named:
            raise UsageError("Saver.save", "the graph has no variables to save", hint="make variables first")
        values = session.values_of(list(named.values()))  # one run: one moment of all variables
        try:
            self._prepare(Path(prefix).parent, os.path.basename(os.fspath(path)))
        except OSError as error:
            what = f"cannot be made, or written: {error.strerror or error}"
            raise CheckpointError(str(Path(prefix).parent), what) from error
        if meta_graph:
            export_graph(session.graph, prefix + _GRAPH_ENDINGS[self.format])
        self._write(prefix, dict(zip(named, values, strict=True)))
        self._remember(prefix, write_state)
        return prefix

    def _prepare(self, directory: Path, name: str) -> None:
        """Make the directory, and remove what saves under this name that were killed have left half-written."""
        from corenn.checkpoint._atomic import remove_strays

        directory.mkdir(parents=True, exist_ok=True)
        endings = "|".join(map(re.escape, (*_ENDINGS.values(), *_GRAPH_ENDINGS.values(), ".graph.safetensors")))
        own = rf"{re.escape(name)}(-\d+)?({endings}|\.meta\.safetensors|\.data-\d{{5}}-of-\d{{5}})"
        remove_strays(directory, re.compile(f"{own}|{re.escape(self.state_file)}"))

    def _prefix(self, session: Any, path: str, step: Any) -> str:
        if not os.path.basename(path):
            raise UsageError("Saver.save", f"{path!r} is a directory", hint=f"{path}model: a name in it")
        if step is None:
            return path
        if not isinstance(step, (int, np.integer)):
            step = np.asarray(session.run(step))
            if step.size != 1 or step.dtype.kind not in "iu":
                raise UsageError("Saver.save", "global_step must be one integer", {"global_step": step.dtype})
        number = int(step)
        return f"{path}-{number:08d}" if self.pad_step else f"{path}-{number}"

    def _named(self, session: Any) -> dict[str, GraphVariable]:
        if self.variables is not None:
            return self.variables
        return named_variables(session.graph.get_collection(GLOBAL))

    def _write(self, prefix: str, values: dict[str, Array]) -> None:
        if self.format == "tensorflow":
            from corenn.checkpoint.tensor_bundle import write_bundle

            write_bundle(prefix, values)
            return
        from corenn.checkpoint.store import save_file

        try:
            save_file(prefix + ".safetensors", values)
        except DTypeError as error:
            error.hint = "Saver(..., format='tensorflow') holds strings and complex128, too; or save fewer variables"
            raise

    def _remember(self, prefix: str, write_state: bool) -> None:
        now = self._clock()
        self._last = [entry for entry in self._last if entry[0] != prefix] + [(prefix, now)]
        excess = self._last[: -self.max_to_keep] if self.max_to_keep else []
        if self.max_to_keep:
            self._last = self._last[-self.max_to_keep :]
        dropped = [p for p, saved in excess if not self._kept(saved)]
        if write_state:
            self._write_state(Path(prefix).parent)
        for old in dropped:  # last, so that the pointer never names what is gone
            remove_checkpoint(old)

    def _kept(self, saved: float) -> bool:
        """Whether one that would be removed is the one of its hours that stays."""
        if not self.keep_every_n_hours or saved <= self._keep_after:
            return False
        self._keep_after += self.keep_every_n_hours * 3600
        self._preserved = saved
        return True

    def _write_state(self, directory: Path) -> None:
        prefixes, times = [p for p, _ in self._last], [t for _, t in self._last]
        if self.format == "tensorflow":
            from corenn.checkpoint.tensor_bundle import write_checkpoint_state

            write_checkpoint_state(
                directory, prefixes[-1], prefixes, timestamps=times, last_preserved=self._preserved,
                relative=self.relative, filename=self.state_file,
            )  # fmt: skip
            return
        from corenn.checkpoint._atomic import write_atomically

        names = [os.path.relpath(p, directory) for p in prefixes]
        state = {"latest": names[-1], "checkpoints": names, "times": times}
        text = json.dumps(state, indent=1) + "\n"
        path = directory / self.state_file
        try:
            write_atomically(path, lambda file: file.write(text.encode()))
        except OSError as error:
            raise CheckpointError(str(path), f"cannot be written: {error.strerror or error}") from error

    @property
    def last_checkpoints(self) -> list[str]:
        """The prefixes of the checkpoints that count towards ``max_to_keep``, oldest first."""
        return [prefix for prefix, _ in self._last]

    def recover_last_checkpoints(self, prefixes: Iterable[StrPath]) -> None:
        """Take over checkpoints of an earlier process, oldest first; those that are gone are passed over."""
        found = [(os.fspath(p), _saved_at(os.fspath(p))) for p in prefixes]
        self._last = [(p, saved) for p, saved in found if saved is not None]

    # ---- restoring

    def restore(
        self,
        session: Any,
        path: StrPath,
        variables: Iterable[GraphVariable] | Mapping[str, GraphVariable] | None = None,
    ) -> None:
        """Give the session's variables the values of a checkpoint.

        ``path``: a prefix, one of its files, or a directory, whose latest it then is.  ``variables`` restores others
        than the saver's, or a part of them, or under other names: as for the saver itself.  Nothing needs to be
        initialised before.  Either all are restored or none: CheckpointError lists what is missing or does not fit.
        """
        named = self._named(session) if variables is None else named_variables(variables)
        prefix, form = find_checkpoint(path, self.format)
        arrays = _read(prefix, form, list(named))
        found: list[tuple[GraphVariable, Array]] = []
        problems: dict[str, object] = {}
        kinds = {"missing": 0, "misshapen": 0, "mistyped": 0}
        for name, variable in named.items():
            array = arrays.get(name)
            if array is None:
                kinds["missing"] += 1
                near = nearest(name, arrays.names) if arrays.names else ""
                problems[name] = f"is not in the checkpoint; {near}" if near else "is not in the checkpoint"
                continue
            fitted = self._fitted(variable, array)
            if isinstance(fitted, str):
                kinds["misshapen" if "shape" in fitted else "mistyped"] += 1
                problems[name] = fitted
            else:
                found.append((variable, fitted))
        if problems:
            self._refuse(prefix, problems, kinds, len(named))
        with session._lock:
            for variable, array in found:
                session.load(variable, array)

    def _fitted(self, variable: GraphVariable, array: Array) -> Array | str:
        """The array for a variable, or what is wrong with it."""
        stored, dtype = ("string" if array.dtype == object else array.dtype.name), variable.dtype
        known = variable.extents
        if stored != dtype.name:
            return f"is {stored} in the checkpoint and {dtype.name} in the graph"
        if compatible(known, array.shape):
            return array
        wanted = tuple(n for n in known or () if n is not None)
        if self.reshape and known is not None and len(wanted) == len(known) and array.size == math.prod(wanted):
            return array.reshape(wanted)
        return f"has shape {list(array.shape)} in the checkpoint and {list(known or ())} in the graph"

    def _refuse(self, prefix: str, problems: dict[str, object], kinds: dict[str, int], count: int) -> None:
        words = {"missing": "are not in it", "misshapen": "have another shape", "mistyped": "have another dtype"}
        told = ", ".join(f"{number} {words[kind]}" for kind, number in kinds.items() if number)
        shown = dict(list(problems.items())[:_MOST_SHOWN])
        if len(problems) > _MOST_SHOWN:
            shown["..."] = f"and {len(problems) - _MOST_SHOWN} more"
        hint = "restore(session, path, [variables]) restores a part, {'name in the checkpoint': variable} renames"
        if kinds["misshapen"] and not kinds["missing"]:
            hint += "; Saver(reshape=True) takes other shapes of as many elements"
        raise CheckpointError(prefix, f"does not fit: of {count} variables, {told}", shown, hint=hint)

    def __repr__(self) -> str:
        what = "all global variables" if self.variables is None else f"{len(self.variables)} variables"
        return f"<corenn.graph.Saver of {what}, {self.format}>"


def named_variables(variables: Iterable[GraphVariable] | Mapping[str, GraphVariable]) -> dict[str, GraphVariable]:
    """Variables by the names they have in checkpoints; UsageError for anything else, or a name that occurs twice."""
    pairs = (
        list(variables.items()) if isinstance(variables, Mapping)
        else [(getattr(getattr(v, "operation", None), "name", ""), v) for v in variables]
    )  # fmt: skip
    found: dict[str, GraphVariable] = {}
    for name, variable in pairs:
        if not isinstance(variable, GraphVariable):
            shown = repr(variable)[:60]
            raise UsageError(
                "Saver", f"{shown} is not a variable of a graph", hint="give variables, or {name: variable}"
            )
        if not isinstance(name, str) or not name:
            raise UsageError("Saver", f"{name!r} is not a name for a variable")
        if found.setdefault(name, variable) is not variable:
            raise UsageError("Saver", f"two variables are called {name!r}", hint="give a dict with names of your own")
    return found


# ---------------------------------------------------------------- checkpoints as files


def graph_path(prefix: StrPath) -> str | None:
    """Where the graph of a checkpoint is (see ``save(meta_graph=True)``), or ``None``."""
    base = _stem(os.fspath(prefix))
    return next((base + e for e in _GRAPH_ENDINGS.values() if os.path.isfile(base + e)), None)


def latest_checkpoint(directory: StrPath, state_file: str | None = None) -> str | None:
    """The prefix of the newest checkpoint that a pointer in ``directory`` names, or ``None``.

    Where both native and TensorFlow's pointers are, the one written last counts.  One that names a checkpoint which is
    gone gives a CheckpointWarning, and the newest of those before it that is still there.
    """
    names = (POINTER, TENSORFLOW_POINTER) if state_file is None else (state_file,)
    pointers = [p for p in (Path(directory, name) for name in names) if p.is_file()]
    for pointer in sorted(pointers, key=lambda p: p.stat().st_mtime_ns, reverse=True):
        prefixes = _pointed(pointer)
        for place, prefix in enumerate(reversed(prefixes)):
            if _forms(prefix):
                if place:
                    _warn_gone(pointer, prefixes[-1])
                return prefix
        if prefixes:
            _warn_gone(pointer, prefixes[-1])
    return None


def _warn_gone(pointer: Path, prefix: str) -> None:
    from corenn.checkpoint.manager import CheckpointWarning

    warnings.warn(f"{pointer} names {prefix}, which does not exist", CheckpointWarning, stacklevel=3)


def _pointed(pointer: Path) -> list[str]:
    """The prefixes that a pointer file names, oldest first."""
    try:
        text = pointer.read_bytes()
    except OSError as error:
        raise CheckpointError(str(pointer), f"cannot be read: {error.strerror or error}") from error
    if not text.lstrip().startswith(b"{"):
        from corenn.checkpoint.tensor_bundle import read_checkpoint_state

        state = read_checkpoint_state(pointer.parent, pointer.name)
        return list(state.all) if state is not None else []
    hint = "delete it; checkpoints can be restored by their prefix"
    try:
        names = json.loads(text.decode())["checkpoints"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(str(pointer), f"is damaged: {error}", hint=hint) from error
    if not isinstance(names, list) or not all(isinstance(n, str) and n for n in names):
        raise CheckpointError(str(pointer), "is damaged: it does not list checkpoints", hint=hint)
    return [os.path.join(pointer.parent, n) for n in names]


def list_variables(path: StrPath) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape and dtype of every tensor in a checkpoint, sorted by name; CheckpointError if there is none."""
    prefix, form = find_checkpoint(path)
    if form == "tensorflow":
        from corenn.checkpoint.tensor_bundle import BundleReader

        with BundleReader(prefix) as reader:
            found = [(name, *reader.shape_and_dtype(name)) for name in reader.names()]
        return sorted((n, s, "string" if d.kind == "O" else d.name) for n, s, d in found)
    arrays = _read(prefix, form, None)
    return sorted((name, array.shape, array.dtype.name) for name, array in arrays.items())


def find_checkpoint(path: StrPath, preferred: str = "safetensors") -> tuple[str, str]:
    """The prefix and the format of the checkpoint that ``path`` means; CheckpointError where there is none."""
    given = os.fspath(path)
    if os.path.isdir(given) and not _forms(given):
        newest = latest_checkpoint(given)
        if newest is None:
            raise CheckpointError(given, "has no checkpoints that a pointer names", hint="give the prefix of one")
        given = newest
    for prefix in (given, _stem(given)):
        forms = _forms(prefix)
        if forms:
            return prefix, preferred if preferred in forms else forms[0]
    folder, others = os.path.dirname(given) or ".", []
    with contextlib.suppress(OSError):  # a directory that is missing, or may not be listed, names nothing
        others = [os.path.join(os.path.dirname(given), _stem(n)) for n in os.listdir(folder) if _stem(n) != n]
    raise CheckpointError(given, "does not exist", hint=nearest(given, others) if others else "check the path")


def _forms(prefix: str) -> list[str]:
    return [form for form, ending in _ENDINGS.items() if os.path.isfile(prefix + ending)]


def _stem(path: str) -> str:
    """A prefix from the name of one of its files."""
    for ending in (*_GRAPH_ENDINGS.values(), *_ENDINGS.values()):
        if path.endswith(ending):
            return path.removesuffix(ending)
    head, mark, tail = path.rpartition(".data-")
    return head if mark and "-of-" in tail else path


def remove_checkpoint(prefix: StrPath) -> None:
    """Delete all files of a checkpoint; what is not there is passed over."""
    base = os.fspath(prefix)
    graphs = [base + ending for ending in _GRAPH_ENDINGS.values()]
    # The index goes first: what is left of a checkpoint that was only half removed is then no checkpoint.
    files = [base + ending for ending in _ENDINGS.values()] + glob.glob(glob.escape(base) + ".data-*-of-*")
    for file in [*files, *graphs, *[str(tensors_path(g)) for g in graphs]]:
        Path(file).unlink(missing_ok=True)


def _saved_at(prefix: str) -> float | None:
    return max((os.path.getmtime(prefix + _ENDINGS[form]) for form in _forms(prefix)), default=None)


class _Arrays(dict[str, Array]):
    """What was read, and the names of all there is."""

    names: Sequence[str] = ()


def _read(prefix: str, form: str, wanted: Sequence[str] | None) -> _Arrays:
    """The tensors of a checkpoint that are wanted and there."""
    if form == "tensorflow":
        from corenn.checkpoint.tensor_bundle import BundleReader

        with BundleReader(prefix) as reader:
            names = reader.names()
            found = _Arrays({n: reader.read(n) for n in (names if wanted is None else wanted) if n in reader})
    else:
        from corenn.checkpoint.store import load_file

        tensors = load_file(prefix + ".safetensors")[0]
        names = list(tensors)
        chosen = names if wanted is None else wanted
        found = _Arrays({n: tensors[n] for n in chosen if n in tensors})
    found.names = names
    return found


__all__ = [
    "POINTER", "Saver", "find_checkpoint", "graph_path", "latest_checkpoint", "list_variables", "named_variables",
    "remove_checkpoint",
]  # fmt: skip
