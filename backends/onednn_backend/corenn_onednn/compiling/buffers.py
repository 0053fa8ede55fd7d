"""Where the values of a program lie: constants, fed arrays, variables, and one block of memory for everything else.

Each value that is computed gets a part of the block for as long as something needs it; parts are used again.  Values of
variables lie in the variables' own arrays, and a new value is written over the old one where nothing needs that later.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LINE = 64  # bytes: where every part begins

Setter = Callable[[int], None]


class Storage:
    """A piece of memory.  ``address`` is known once it is placed; ``follow(setter)`` has it told, now and later.

    ``kind``: "block" (a part of the program's own block), "constant", "feed" or "state"; ``first`` and ``last`` are the
    steps between which a part of the block is needed.
    """

    __slots__ = ("_followers", "address", "bytes", "first", "kind", "last", "number", "offset")

    def __init__(self, kind: str, count: int, number: int = -1) -> None:
        self.kind, self.bytes, self.number = kind, max(count, 1), number
        self.first = self.last = -1
        self.offset = self.address = 0
        self._followers: list[Setter] = []

    def follow(self, setter: Setter) -> None:
        """Call ``setter(address)`` whenever the memory gets an address."""
        self._followers.append(setter)
        if self.address:
            setter(self.address)

    def place(self, address: int) -> None:
        """It is at ``address`` from now on."""
        self.address = address
        for setter in self._followers:
            setter(address)

    def needed(self, step: int) -> None:
        """It is read or written at this step."""
        if self.first < 0:
            self.first = step
        self.last = max(self.last, step)


class Part:
    """A storage from ``offset`` bytes on."""

    __slots__ = ("offset", "storage")

    def __init__(self, storage: Storage, offset: int) -> None:
        self.storage, self.offset = storage, offset

    def follow(self, setter: Setter) -> None:
        """Call ``setter`` with where it begins whenever the storage gets an address."""
        offset = self.offset
        self.storage.follow((lambda address: setter(address + offset)) if offset else setter)


class View:
    """The array of a value in the block: called for it by what Python does."""

    __slots__ = ("_array", "_dtype", "_shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._shape, self._dtype = shape, dtype
        self._array: Array = np.empty(0)

    def lie(self, block: Array) -> None:
        """It begins where ``block`` does."""
        count = math.prod(self._shape) * self._dtype.itemsize
        self._array = block[:count].view(self._dtype).reshape(self._shape)

    def __call__(self) -> Array:
        """The array."""
        return self._array


class MemoryPlan:
    """Offsets of parts in one block.  ``peak``: the block's bytes; ``total``: those of all parts, were none shared."""

    def __init__(self, storages: Iterable[Storage]) -> None:
        parts = [s for s in storages if s.kind == "block" and s.first >= 0]
        self.total = sum(_rounded(s.bytes) for s in parts)
        self.peak = 0
        free: list[tuple[int, int]] = []  # (offset, bytes), in order of offsets
        ends: list[tuple[int, int, Storage]] = []
        for number, part in enumerate(sorted(parts, key=lambda s: (s.first, -s.bytes))):
            while ends and ends[0][0] < part.first:
                _release(free, ends.pop(0)[2])
            size = _rounded(part.bytes)
            fitting = [(room, offset) for offset, room in free if room >= size]
            if fitting:
                room, offset = min(fitting)
                free.remove((offset, room))
                if room > size:
                    insort(free, (offset + size, room - size))
            elif free and sum(free[-1]) == self.peak:  # grow the room at the end
                offset, _ = free.pop()
                self.peak = offset + size
            else:
                offset, self.peak = self.peak, self.peak + size
            part.offset = offset
            insort(ends, (part.last, number, part))

    def __str__(self) -> str:
        share = f" ({self.peak / self.total:.0%})" if self.total else ""
        return f"one block of {self.peak:,} bytes for parts of {self.total:,} in all{share}"

    def place(self, parts: Sequence[Storage], base: int) -> None:
        """Tell the parts where they are, with the block at ``base``."""
        for part in parts:
            if part.kind == "block" and part.first >= 0:
                part.place(base + part.offset)


def _rounded(count: int) -> int:
    return -(-count // LINE) * LINE


def _release(free: list[tuple[int, int]], part: Storage) -> None:
    """Give the part's room back, joined with free rooms beside it."""
    offset, size = part.offset, _rounded(part.bytes)
    for before in [f for f in free if sum(f) == offset]:
        free.remove(before)
        offset, size = before[0], before[1] + size
    for after in [f for f in free if f[0] == offset + size]:
        free.remove(after)
        size += after[1]
    insort(free, (offset, size))


def aligned(block: Any) -> int:
    """The first address in a NumPy array of bytes at which a part may begin."""
    return int(-(-block.ctypes.data // LINE) * LINE)


__all__ = ["LINE", "MemoryPlan", "Part", "Storage", "View", "aligned"]
