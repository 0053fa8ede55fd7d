"""A compiled program at run time: what is fed and the variables' arrays are bound, then one native call runs it all."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from itertools import compress
from operator import is_
from typing import Any

import numpy as np

from corenn.compiler.program import Program
from corenn_onednn.compiling.buffers import MemoryPlan, Storage
from corenn_onednn.kernels._chain import address

Array = np.ndarray[Any, Any]
Step = Callable[[Callable[[Any], Any]], None]


class NativeExecutable:
    """``executable(feeds, state, key)``: see ``corenn.compiler.compiling.Runs``.

    Arrays of variables are overwritten where nothing but the variable refers to them; else the variable gets an array
    of its own first.  ``prepare`` runs what depends on variables alone that the program only reads: before the first
    run, and when such a variable has another array.  (While this holds an array nobody writes over it.)  Calls from
    several threads run one after the other.  Fields: ``program``, as it was given; ``compiled``, after this backend's
    passes; ``memory``, the plan of its block; ``texts``, the generated loops.
    """

    def __init__(
        self, program: Program, compiled: Program, feeds: Sequence[Storage], state: Sequence[Storage],
        fed: list[Array], held: list[Array], overwritten: Sequence[bool], steps: Sequence[Step],
        results: Sequence[Callable[[], Array]], writes: Sequence[Callable[[], Array] | int], memory: MemoryPlan,
        texts: Sequence[str], prepare: Callable[[], None] | None, alive: Any,
    ) -> None:  # fmt: skip
        self.program, self.compiled, self.memory, self.texts = program, compiled, memory, tuple(texts)
        self._feeds_at, self._state_at, self._overwritten = tuple(feeds), tuple(state), tuple(overwritten)
        self._steps, self._results = tuple(steps), tuple(results)
        self._alive = alive
        self._prepare, self._prepared = prepare, prepare is None
        self._fed, self._held = fed, held  # dense arrays; steps look into these lists
        self._given: list[Any] = [None] * len(feeds)  # what was fed, as it was
        self._places = [w for w in writes if isinstance(w, int)]
        self._writes = None if len(self._places) == len(writes) else tuple(writes)
        self._lock = threading.Lock()

    @property
    def source(self) -> str:
        """The generated loops, as text."""
        return "\n\n".join(self.texts)

    def __call__(self, feeds: Sequence[Any], state: list[Any], key: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Run it."""
        with self._lock:
            given = self._given
            for i, array in enumerate(feeds):
                if array is not given[i]:
                    self._bind_feed(i, array)
            held = self._held
            counts = _references(state)
            if not all(map(is_, state, held)) or max(compress(counts, self._overwritten), default=0) > _OWNED + 1:
                self._bind(state, counts)
            if not self._prepared and self._prepare is not None:
                self._prepare()
                self._prepared = True
            for step in self._steps:
                step(key)
            results = [make() for make in self._results]
            if self._writes is None:
                return results, [held[i] for i in self._places]
            return results, [held[w] if isinstance(w, int) else w() for w in self._writes]

    def _bind(self, state: list[Any], counts: Sequence[int]) -> None:
        """Take in arrays of variables that are not those of the last run, or that something else refers to now."""
        held = self._held
        for i, (count, overwritten) in enumerate(zip(counts, self._overwritten, strict=True)):
            if state[i] is not held[i]:
                self._bind_state(i, state[i], count > _OWNED)
            elif overwritten and count > _OWNED + 1:
                self._bind_state(i, state[i], True)

    def _bind_feed(self, i: int, array: Any) -> None:
        dense = np.asarray(array, order="C")
        self._given[i], self._fed[i] = array, dense
        self._feeds_at[i].place(address(dense))

    def _bind_state(self, i: int, array: Any, shared: bool) -> None:
        flags = array.flags
        own = flags.owndata and flags.writeable and not shared
        if array.__class__ is not np.ndarray or not flags.c_contiguous or (self._overwritten[i] and not own):
            array = np.array(array, order="C")
        self._held[i] = array
        self._prepared = self._prepare is None
        self._state_at[i].place(address(array))


def _references(arrays: list[Any]) -> list[int]:
    return [*map(sys.getrefcount, arrays)]


class _Cell:
    """What holds a variable's array, for counting."""

    def __init__(self) -> None:
        self.data = np.empty(1)


def _counted() -> int:
    """The references to an array that a variable and the caller's list have, as ``_references`` counts them."""
    cell = _Cell()
    return _references([cell.data])[0]


_OWNED = _counted()

__all__ = ["NativeExecutable"]
