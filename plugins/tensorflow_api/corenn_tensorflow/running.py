"""Run a TensorFlow script, or the code cells of a notebook, on the facade, as ``python SCRIPT.py`` would run it.

``run_script`` changes the process (``sys.argv``, ``sys.path``, ``__main__``, imports, the default device) and is for
one that does nothing else: the ``corenn run`` command.
"""

from __future__ import annotations

import builtins
import linecache
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.util import decode_source
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

import numpy as np

from corenn.errors import DataError, UsageError, nearest
from corenn.random import fresh_seed, set_entropy
from corenn_tensorflow import importing, mode, numpy_names
from corenn_tensorflow.generation import Verdict, generation_of
from corenn_tensorflow.notebook import Cell, read_notebook

SUFFIXES = (".py", ".ipynb")

_FAILED, _INTERRUPTED = 1, 128 + signal.SIGINT


@dataclass(frozen=True, slots=True)
class Program:
    """A script that was read: its path, its source, and for a notebook its cells."""

    path: Path
    source: str
    cells: tuple[Cell, ...] = ()

    @property
    def skipped(self) -> list[str]:
        """What was left out of a notebook, as lines for a person."""
        return [f"cell {cell.number}: {what}" for cell in self.cells for what in cell.skipped]


def read_program(path: str | os.PathLike[str]) -> Program:
    """The script or notebook at ``path``.

    Raises ``UsageError`` when there is no such file and ``DataError`` when it cannot be read.
    """
    place = Path(path)
    if not place.is_file():
        what = "is a folder, not a script" if place.is_dir() else "there is no such file"
        folder = place.parent
        beside = [p.name for p in folder.iterdir() if p.suffix in SUFFIXES and p.is_file()] if folder.is_dir() else []
        raise UsageError(str(path), what, hint=nearest(place.name, beside))
    if place.suffix == ".ipynb":
        cells = tuple(read_notebook(place))
        return Program(place.absolute(), "\n".join(cell.source for cell in cells), cells)
    try:
        return Program(place.absolute(), decode_source(place.read_bytes()))
    except (UnicodeDecodeError, SyntaxError) as error:
        raise DataError(str(path), f"is not Python source: {error}", hint="save it as UTF-8") from error


def choose_generation(program: Program, wanted: str) -> Verdict:
    """The generation asked for, or the one the source was written for."""
    if wanted == "auto":
        return generation_of(program.source, program.path.resolve().parent)
    return Verdict(int(wanted), ())


def run_script(
    path: str | os.PathLike[str],
    arguments: Sequence[str] = (),
    *,
    backend: str | None = None,
    generation: str = "auto",
    over_real: bool = False,
    seed: int | None = None,
) -> int:
    """Run a script as ``__main__`` with ``sys.argv = [path, *arguments]``; the exit status Python would give.

    ``backend``: by default the one ``CORENN_BACKEND`` names, or ``auto``.  ``generation``: 1 gives the script a
    default graph, 2 eager execution; ``auto`` decides by its source (``corenn_tensorflow.generation``).  ``seed``: an
    int from which follows what the script leaves unseeded (``seed_all``).  Uncaught exceptions are shown as Python
    shows them, without the frames of this module.  Raises ``UsageError``, ``BackendError`` or ``DataError`` before
    anything of the script has run.
    """
    from corenn.device import device, set_default_device

    program = read_program(path)
    verdict = choose_generation(program, generation)
    chosen = device(backend or os.environ.get("CORENN_BACKEND") or "auto")
    previous_path = list(sys.path)
    if not sys.flags.safe_path:
        sys.path[0:1] = [str(program.path.resolve().parent)]
    try:
        importing.install(over_real=over_real)  # after sys.path: a real TensorFlow may lie beside the script
    except UsageError:
        sys.path[:] = previous_path
        raise
    set_default_device(chosen)
    os.environ["CORENN_BACKEND"] = chosen.name  # for the script's threads, each of which begins with the default
    mode.start(verdict.generation)
    numpy_names.restore()
    if seed is not None:
        seed_all(seed)
    for line in program.skipped:
        print(f"corenn run: left out of {program.path.name}, {line}", file=sys.stderr)
    sys.argv = [os.fspath(path), *arguments]
    return _execute(program)


def seed_all(seed: int) -> None:
    """Make all numbers follow from ``seed`` that would otherwise follow from the operating system's entropy.

    Those are corenn's fresh seeds (sessions, the default generator, shuffled queues, environments of ``gym``), Python's
    ``random``, NumPy's global generator and what ``np.random.default_rng()`` makes.  The script's own seeds hold.
    """
    set_entropy(seed)
    random.seed(fresh_seed("random"))
    np.random.seed(fresh_seed("numpy") & 0xFFFFFFFF)
    numpy_names.seed_new_generators()


def _execute(program: Program) -> int:
    """Run the code in a new ``__main__``; the exit status."""
    main = ModuleType("__main__")
    main.__dict__.update(__file__=str(program.path), __builtins__=builtins, __cached__=None)
    if not program.cells:
        main.__loader__ = SourceFileLoader("__main__", str(program.path))
    sys.modules["__main__"] = main
    codes: list[CodeType] = []
    try:
        for compile_part in _parts(program, main.__dict__):
            codes.append(compile_part())
            exec(codes[-1], main.__dict__)
    except SystemExit as left:
        return _exit_status(left)
    except BaseException as error:
        _report(error, codes, in_file=not program.cells)
        return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else _FAILED
    return 0


def _parts(program: Program, names: dict[str, Any]) -> Iterator[Callable[[], CodeType]]:
    """What compiles the script, or one cell of the notebook after another."""
    if not program.cells:
        yield partial(numpy_names.compiled, program.source, str(program.path), names)
    for cell in program.cells:
        name = f"{program.path}, cell {cell.number}"
        # So that tracebacks, warnings and the debugger find the lines of a cell.
        linecache.cache[name] = (len(cell.source), None, cell.source.splitlines(keepends=True), name)
        yield partial(numpy_names.compiled, cell.source, name, names)


def _exit_status(left: SystemExit) -> int:
    if left.code is None:
        return 0
    if isinstance(left.code, int):
        return left.code & 0xFF
    print(left.code, file=sys.stderr)
    return _FAILED


def _report(error: BaseException, codes: list[CodeType], in_file: bool) -> None:
    """Show an exception as Python would: through ``sys.excepthook``, from the script's frame on.

    ``in_file``: the lines of the code are those of its file, where Python's own hook looks for them.
    """
    tb: TracebackType | None = error.__traceback__
    while tb is not None and tb.tb_frame.f_code not in codes:
        tb = tb.tb_next
    error.__traceback__ = tb  # None for a SyntaxError of the script itself
    with suppress(OSError):  # whoever read it has gone
        sys.stdout.flush()
    try:
        if in_file or sys.excepthook is not sys.__excepthook__:
            sys.excepthook(type(error), error, tb)
        else:
            traceback.print_exception(error)
    except BaseException:
        traceback.print_exc()
