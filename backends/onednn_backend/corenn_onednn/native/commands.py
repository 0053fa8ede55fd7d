"""Lists of commands, put together once and run many times by one native call, which does not hold Python's lock."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import numpy as np

from corenn.errors import AttributeValueError, BackendError, CorennError
from corenn_onednn.native.driver import COPY, LOOP, PARALLEL, PRIMITIVE, WORDS, driver
from corenn_onednn.native.openmp import openmp


class CommandError(CorennError, RuntimeError):
    """A primitive failed: ``number`` is its place in the list, ``status`` what it returned."""

    def __init__(self, number: int, status: int) -> None:
        self.number, self.status = number, status
        super().__init__("commands", f"command {number} failed with status {status}")


class CommandList:
    """Commands in order.  ``threads``: the size of the team that runs parallel loops.

    ``execute``: the address of ``dnnl_primitive_execute``, needed where there are primitives; ``linked_with``: the path
    of the library it is from, whose OpenMP runtime parallel loops then share.  BackendError when more than one thread
    is asked for and there is no such runtime.  Addresses are the caller's to keep alive.
    """

    def __init__(self, threads: int = 1, *, execute: int = 0, linked_with: str | None = None) -> None:
        if threads < 1:
            raise AttributeValueError("CommandList", "there must be at least one thread", {"threads": threads})
        self.threads = threads
        self._execute = execute
        self._openmp = openmp(linked_with) if threads > 1 else None
        if threads > 1 and self._openmp is None:
            hint = "install libgomp (or libomp), or set the number of threads to 1"
            raise BackendError("CommandList", "there is no OpenMP runtime to run threads with", hint=hint)
        self._rows: list[tuple[int, ...]] = []
        self._records = np.empty((0, WORDS), np.uint64)
        self._list = np.zeros(WORDS, np.int64)
        self._call: Callable[[], int] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def _append(self, *words: int) -> int:
        if self._call is not None:
            raise RuntimeError("a list that has run takes no more commands")
        self._rows.append(words + (0,) * (WORDS - len(words)))
        return len(self._rows) - 1

    def primitive(self, handle: int, stream: int, count: int, args_address: int) -> int:
        """Execute a oneDNN primitive on ``count`` arguments (``dnnl_exec_arg_t``); returns the command's number."""
        if not self._execute:
            raise BackendError("CommandList", "primitives need the address of dnnl_primitive_execute")
        return self._append(PRIMITIVE, self._execute, handle, stream, args_address, count)

    def loop(self, address: int, args_address: int, chunks: int = 1) -> int:
        """Run a loop kernel in ``chunks`` pieces, in parallel if there are several; returns the command's number."""
        kind = PARALLEL if chunks > 1 and self.threads > 1 else LOOP
        return self._append(kind, address, args_address, 0, 0, chunks)

    def team(self, threads: int) -> None:
        """From here on primitives run with so many threads: what they were made for.  Nothing where there is no team.

        The runtime's function takes the number where a loop takes its arguments.
        """
        if self._openmp is not None:
            self._append(LOOP, self._openmp.set_threads, threads, 0, 0, 1)

    def copy(self, destination: int, source: int, count: int) -> int:
        """Copy ``count`` bytes; returns the command's number."""
        return self._append(COPY, 0, destination, source, 0, count)

    def move(self, number: int, destination: int, source: int) -> None:
        """Other addresses for a copy."""
        if self._rows[number][0] != COPY:
            raise ValueError(f"command {number} is no copy")
        self._rows[number] = (COPY, 0, destination, source, 0, self._rows[number][5], 0)
        if self._call is not None:
            self._records[number, 2:4] = destination, source

    def run(self) -> None:
        """Run all commands; CommandError at the first that fails."""
        call = self._call or self._bound()
        number = call()
        if number >= 0:
            raise CommandError(number, int(self._list[6]))

    def _bound(self) -> Callable[[], int]:
        self._records = np.array(self._rows, np.uint64).reshape(len(self._rows), WORDS)
        found = self._openmp
        addresses = (0, 0, 0) if found is None else (found.parallel, found.thread_num, found.num_threads)
        self._list[:6] = self._records.ctypes.data, len(self._rows), *addresses, self.threads
        self._call = functools.partial(driver(), ctypes.c_void_p(self._list.ctypes.data))
        return self._call


__all__ = ["CommandError", "CommandList"]
