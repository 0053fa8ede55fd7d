"""Finding and opening the shared library; its CPU engine, streams and threads.

Looked for in this order: the file that the environment variable ``CORENN_DNNL_LIBRARY`` names, what pip installed
(the wheel ``onednn-cpu-gomp`` puts the library into ``lib`` of the environment), the system's.  A variable that names
what cannot be opened is an error, not a reason to look further.
"""

from __future__ import annotations

import ctypes
import os
import site
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from corenn.errors import BackendError
from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.errors import check
from corenn_onednn.dnnl.signatures import Version, declare

VARIABLE = "CORENN_DNNL_LIBRARY"
THREADS_VARIABLE = "CORENN_THREADS"
INSTALL = "pip install 'corenn[fast]' (Linux on x86-64), or set CORENN_DNNL_LIBRARY to a libdnnl.so.3"

_MAJOR = 3
_SYCL = 512
_OPENMP = 2


def file_name() -> str:
    """What the library is called on this platform."""
    if sys.platform == "win32":
        return "dnnl.dll"
    return "libdnnl.3.dylib" if sys.platform == "darwin" else "libdnnl.so.3"


def _installed() -> list[Path]:
    """Where pip puts a wheel's data: ``lib`` of the environment, of the user, or beside a directory of packages."""
    places = [Path(sys.prefix), Path(site.getuserbase())]
    for entry in sys.path:
        path = Path(entry)
        if path.name in ("site-packages", "dist-packages"):
            places += [path, *path.parents[2:3]]
    return [place / folder / file_name() for place in places for folder in ("lib", "Library/bin")]


def candidate() -> tuple[str | None, str | None]:
    """The library's path, or its bare name to be looked for by the system's loader, and why it cannot be had.

    Looks at files only; a bare name may still turn out not to exist.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return (named, None) if os.path.isfile(named) else (None, f"{VARIABLE} names {named!r}, which is no file")
    for path in _installed():
        if path.is_file():
            return str(path), None
    return file_name(), None


def unavailable() -> str | None:
    """``None`` if the library is there, else the reason why not, in words.

    Reads file names; only where neither the variable nor pip provides the library, the system's loader is asked.
    """
    path, reason = candidate()
    if path is None or os.path.isabs(path) or os.path.exists(path):
        return reason
    try:
        ctypes.CDLL(path)
    except OSError:
        return f"oneDNN is not installed ({file_name()} was not found)"
    return None


class Library:
    """The opened library.

    Fields: ``c`` (its functions), ``quick`` (the same, but the interpreter lock is held: for those that take no time),
    ``path``, ``version`` (three numbers), ``runtime`` (what threads it uses), ``isa`` (bits of the instruction set it
    will use) and ``engine`` (handle of its CPU engine).

    Raises BackendError for a file that is not version 3 of oneDNN.
    """

    def __init__(self, path: str) -> None:
        try:
            self.c: Any = ctypes.CDLL(path)
        except OSError as error:
            raise BackendError("oneDNN", "the library cannot be opened", {path: error}, hint=INSTALL) from None
        self.path = path
        missing = declare(self.c)
        if missing is not None:
            what = f"the library lacks the function {missing!r}"
            raise BackendError("oneDNN", what, {"library": path}, hint="oneDNN 3.0 or newer is needed")
        told = ctypes.cast(self.c.dnnl_version(), ctypes.POINTER(Version)).contents
        self.version = (told.major, told.minor, told.patch)
        self._runtime = int(told.cpu_runtime)
        if told.major != _MAJOR or self._runtime == _SYCL:
            what = f"the library is oneDNN {self.version_text} for {self.runtime}; version 3 for CPU threads is needed"
            raise BackendError("oneDNN", what, {"library": path}, hint=INSTALL)
        # The same functions without letting go of the interpreter lock: for calls that take less than that does.
        self.quick: Any = ctypes.PyDLL(path)
        declare(self.quick)
        self.isa = int(self.c.dnnl_get_effective_cpu_isa())
        engine = ctypes.c_void_p()
        check(self.c.dnnl_engine_create(ctypes.byref(engine), constants.CPU, 0), "engine", {"library": path})
        self.engine = int(engine.value or 0)
        self._openmp = self._runtime == _OPENMP
        self._choice = int(self.c.omp_get_max_threads()) if self._openmp else os.cpu_count() or 1
        self._threads = _threads_wanted() or self._choice
        self._local = _Local()

    @property
    def version_text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))

    @property
    def runtime(self) -> str:
        """What runs its parallel parts."""
        return constants.RUNTIME_NAMES.get(self._runtime, f"runtime {self._runtime}")

    @property
    def isa_text(self) -> str:
        """The instruction set its kernels use, by name."""
        return constants.ISA_NAMES.get(self.isa, f"instruction set {self.isa:#x}")

    @property
    def bfloat16(self) -> bool:
        """Whether this CPU has instructions for bfloat16 that the library uses."""
        return self.isa & constants.ISA_BFLOAT16 == constants.ISA_BFLOAT16

    @property
    def execute_address(self) -> int:
        """Address of the C function ``dnnl_primitive_execute(primitive, stream, count, arguments)``."""
        return int(ctypes.cast(self.c.dnnl_primitive_execute, ctypes.c_void_p).value or 0)

    # ---- threads

    @property
    def threads(self) -> int:
        """How many threads one primitive uses."""
        return self._threads

    def set_threads(self, count: int) -> None:
        """Use ``count`` threads in primitives that are made from now on, whichever thread of Python asks.

        Those made before must run ``limited`` to what they were made for.  0 gives the choice back to OpenMP.  A
        library that was built without OpenMP has its own way.
        """
        self._threads = count or self._choice

    def stream(self) -> int:
        """Handle of the stream of the calling thread of Python, whose number of OpenMP threads is set on the way.

        OpenMP keeps that number for each thread, and other libraries set it as they like: it is set every time, for a
        primitive must not run with more threads than it was made for.
        """
        local = self._local
        if self._openmp:
            self.quick.omp_set_num_threads(local.limit or self._threads)
        return local.stream or self._new_stream()

    def _new_stream(self) -> int:
        made = ctypes.c_void_p()
        check(self.c.dnnl_stream_create(ctypes.byref(made), self.engine, 1), "stream")
        self._local.stream = int(made.value or 0)
        return self._local.stream

    @property
    def limit(self) -> int:
        """The limit that ``limited`` has set for this thread of Python, or 0."""
        return self._local.limit

    @contextmanager
    def limited(self, threads: int) -> Iterator[None]:
        """Within, primitives are made and run with ``threads`` threads (0: as set), in this thread of Python."""
        before, self._local.limit = self._local.limit, threads
        try:
            self.stream()
            yield
        finally:
            self._local.limit = before
            self.stream()


class _Local(threading.local):
    """What each thread of Python has: its stream, and a limit of threads for now."""

    stream = 0
    limit = 0


def _threads_wanted() -> int:
    """The number in ``CORENN_THREADS``; 0, the choice of OpenMP, where it is not set."""
    text = os.environ.get(THREADS_VARIABLE, "")
    if not text:
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise BackendError("oneDNN", f"{THREADS_VARIABLE} is {text!r}", hint="give a number of threads, 1 or more")
    return int(text)


@lru_cache(maxsize=1)
def load() -> Library:
    """The library, opened once.  Raises BackendError, with the reason, where there is none that can be used."""
    path, reason = candidate()
    if path is None:
        raise BackendError("oneDNN", reason or "the library was not found", hint=INSTALL)
    return Library(path)
