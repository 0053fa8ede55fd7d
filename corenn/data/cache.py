"""Cache: elements kept in memory, or in a directory of .npy files, after they were first computed.

A cache fixes what it holds: the elements are those of epoch 0 of the source, in every epoch.
"""

# ruff: noqa: D102  (the methods of nodes, accesses and cursors are documented once, in protocol.py)

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from corenn.data import cache_files
from corenn.data.protocol import INFINITE, Access, Cursor, Node, PassingNode, State, positions
from corenn.data.structure import Element, Index, Mismatch, leaves, map_leaves, stack
from corenn.errors import DataError


class _Cached(PassingNode):
    """What both ways of keeping elements share."""

    name = "cache"

    def __init__(self, source: Node) -> None:
        super().__init__(source)
        if source.cardinality() == INFINITE:
            raise self.error(
                DataError, "a dataset that never ends cannot be cached", hint="cache before repeat(), or take(n) first"
            )
        self._lock = threading.RLock()


class Cache(_Cached):
    """Keeps the elements of its source in memory."""

    def __init__(self, source: Node) -> None:
        super().__init__(source)
        self._kept: KeptAccess | None = None
        self._memo: Memo | None = None

    def access(self, epoch: int) -> Access | None:
        with self._lock:
            if self._kept is None:
                source = self.source.access(0)
                self._kept = None if source is None else KeptAccess(source)
            return self._kept

    def sequential(self, epoch: int) -> Cursor:
        with self._lock:
            if self._memo is None:
                self._memo = Memo(self.source)
            return MemoCursor(self._memo)


class KeptAccess(Access):
    """Computes each element once.  Kept in whole arrays while the elements are alike, one by one from then on."""

    def __init__(self, source: Access) -> None:
        self.source, self.size = source, source.size or 0
        self._lock = threading.RLock()
        self._filled = np.zeros(self.size, np.bool_)
        self._arrays: Any = None  # as an element, with a first axis for the position
        self._elements: list[Element] | None = None  # instead of arrays, for elements that differ

    def get(self, i: int) -> Element:
        if not self._filled[i]:
            with self._lock:
                if not self._filled[i]:
                    self._keep(i, self.source.get(i))
                    self._filled[i] = True
        if self._elements is not None:
            return self._elements[i]
        return map_leaves(lambda array: _locked(array[i]), self._arrays)

    def _keep(self, i: int, element: Element) -> None:
        if self._arrays is None and self._elements is None:
            self._arrays = map_leaves(lambda leaf: np.empty((self.size, *leaf.shape), leaf.dtype), element)
        if self._elements is None and not _alike(self._arrays, element):
            arrays = self._arrays
            self._elements = [
                map_leaves(lambda array, i=j: _locked(array[i]), arrays) if filled else None
                for j, filled in enumerate(self._filled)
            ]
        if self._elements is not None:
            self._elements[i] = map_leaves(_locked, element)
        else:
            map_leaves(lambda array, leaf: array.__setitem__(i, leaf), self._arrays, element)

    def gather(self, index: Index) -> Element:
        where = positions(index)
        for i in where[~self._filled[where]]:
            self.get(int(i))
        if self._elements is not None or self._arrays is None:
            return stack([self.get(int(i)) for i in where])
        return map_leaves(lambda array: array.take(where, axis=0), self._arrays)


def _locked(leaf: Any) -> Any:
    """The leaf as a read-only view, lest a consumer change the cache."""
    if isinstance(leaf, np.ndarray):
        leaf = leaf.view()
        leaf.flags.writeable = False
    return leaf


def _alike(arrays: Any, element: Element) -> bool:
    """Whether an element fits into the arrays: same structure, shapes and dtypes."""
    try:
        fits = map_leaves(
            lambda array, leaf: (
                not isinstance(leaf, tuple | dict) and array.shape[1:] == leaf.shape and array.dtype == leaf.dtype
            ),
            arrays,
            element,
        )
    except Mismatch:
        return False
    return all(leaves(fits))


class Memo:
    """The elements of a sequential source, read as far as anyone has asked for."""

    def __init__(self, source: Node) -> None:
        self._lock = threading.RLock()
        self._source = source
        self._cursor: Cursor | None = None
        self._elements: list[Element] = []
        self._ended = False

    def get(self, i: int) -> Element:
        """Element ``i``; ``StopIteration`` behind the last."""
        while i >= len(self._elements):
            with self._lock:
                if self._ended:
                    raise StopIteration
                if i >= len(self._elements):
                    self._read()
        return self._elements[i]

    def _read(self) -> None:
        if self._cursor is None:
            self._cursor = self._source.cursor(0)
            for _ in self._elements:  # after an error: the cursor begins again, the elements are kept
                self._cursor.next()
        try:
            self._elements.append(map_leaves(_locked, self._cursor.next()))
        except BaseException as error:
            self._ended = isinstance(error, StopIteration)
            self._cursor.close()
            self._cursor = None
            raise


class MemoCursor(Cursor):
    """Reads a memo in order; its state is the position, and restoring in a new process reads the source up to there."""

    def __init__(self, memo: Memo) -> None:
        self.memo, self.position = memo, 0

    def next(self) -> Element:
        element = self.memo.get(self.position)
        self.position += 1
        return element

    def save(self) -> State:
        return {"i": self.position}

    def restore(self, state: State) -> None:
        self.position = state["i"]


class FileCache(_Cached):
    """Keeps the elements of its source in a directory, which is written whole before the first element is read."""

    def __init__(self, source: Node, directory: str | os.PathLike[str]) -> None:
        super().__init__(source)
        self.directory = os.path.normpath(directory)
        self._access: FileAccess | None = None

    def access(self, epoch: int) -> Access:
        with self._lock:
            if self._access is None:
                empty = os.path.isdir(self.directory) and not os.listdir(self.directory)
                if empty or not os.path.exists(self.directory):
                    self._write()
                self._access = FileAccess(cache_files.Reader(self, self.directory))
            return self._access

    def _write(self) -> None:
        cursor = self.source.cursor(0)
        writer = cache_files.Writer(self, self.directory)
        try:
            while True:
                try:
                    element = cursor.next()
                except StopIteration:
                    break
                writer.add(element)
            writer.finish()
        finally:
            cursor.close()
            writer.discard()

    def parameters(self) -> str:
        return "directory"


class FileAccess(Access):
    """Reads mapped files; elements are read-only views, gathered ones are copies."""

    def __init__(self, reader: cache_files.Reader) -> None:
        self.reader, self.size = reader, reader.count
        varied = not reader.count or any(part is None for part in reader.whole)
        self.whole: Any = None if varied else reader.build(reader.whole)

    def get(self, i: int) -> Element:
        return self.reader.build([leaf.row(i) for leaf in self.reader.leaves])

    def gather(self, index: Index) -> Element:
        if self.whole is None:
            return super().gather(index)
        where: npt.NDArray[np.int64] = positions(index)
        return map_leaves(lambda array: array.take(where, axis=0), self.whole)
