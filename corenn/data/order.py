"""Transformations of the order of elements: shuffle, repeat, take and skip."""

# ruff: noqa: D102  (the methods of nodes, accesses and cursors are documented once, in protocol.py)

from __future__ import annotations

import itertools
import operator
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from corenn import philox
from corenn.data.protocol import (
    INFINITE,
    UNKNOWN,
    Access,
    Cursor,
    Node,
    PassingNode,
    State,
    gather_parts,
    positions,
    shifted,
    snapshot,
    unwrap,
)
from corenn.data.structure import Element, Index
from corenn.errors import DataError

V = TypeVar("V")

_REMEMBERED = 8  # orders of windows, and epochs under repeat, kept for the next reads


def _new_seed() -> int:
    """A seed from the default generator, so that ``corenn.random.seed`` fixes these shuffles as it does all draws."""
    from corenn.ops.random import default_generator  # here, so that a pipeline with seeds loads no ops

    return default_generator().split(1)[0].seed


class Recent(Generic[V]):
    """The last few results of a function of one number."""

    def __init__(self, make: Callable[[int], V]) -> None:
        self._make = make
        self._kept: OrderedDict[int, V] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, key: int) -> V:
        with self._lock:
            value = self._kept.pop(key) if key in self._kept else self._make(key)
            self._kept[key] = value
            if len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)
        return value


class Shuffle(PassingNode):
    """A random order, a function of (seed, epoch) alone.

    The elements are cut into windows of ``buffer`` elements and each window is permuted on its own (Philox permutation,
    stream = number of the window); with no buffer, or one at least as large as the data, there is one window, and the
    order is a uniform permutation.  Where several windows are needed and the size is known, the first is shorter by a
    number that depends on the epoch, so that the same elements do not share a window in every epoch.
    """

    name = "shuffle"

    def __init__(self, source: Node, buffer: int | None, seed: int | None, reshuffle: bool) -> None:
        super().__init__(source)
        self.reshuffle = reshuffle
        self.seeded = seed is not None
        self.seed = _new_seed() if seed is None else operator.index(seed)
        n = source.cardinality()
        self.buffer = None if buffer is None or 0 <= n <= buffer else buffer
        if n == INFINITE and buffer is None:
            raise self.error(
                DataError,
                "a dataset that never ends cannot be shuffled whole",
                hint="shuffle before repeat(), or give a buffer_size",
            )

    def access(self, epoch: int) -> Access | None:
        source = self.source.access(epoch)
        return None if source is None else ShuffleAccess(self.plan(epoch), source)

    def sequential(self, epoch: int) -> Cursor:
        return ShuffleCursor(self.plan(epoch), self.source.cursor(epoch))

    def plan(self, epoch: int) -> Plan:
        """The order of one epoch."""
        key = philox.derive(self.seed, "shuffle", epoch if self.reshuffle else 0)
        return Plan(key, self.buffer, shift=self.source.cardinality() != UNKNOWN)

    def parameters(self) -> str:
        return f"{self.buffer}, seed={self.seed if self.seeded else None}, reshuffle_each_iteration={self.reshuffle}"


class Plan:
    """The windows of one shuffled epoch and the order within each."""

    def __init__(self, key: int, buffer: int | None, shift: bool) -> None:
        self.key, self.buffer = key, buffer
        # Words at the far end of the stream space, away from those of the windows.
        self.shift = int(philox.integers(key, 2**64 - 1, 0, 1, 0, buffer)[0]) if buffer and shift else 0

    def length(self, window: int) -> int | None:
        """The length of a window that is not cut short by the end; ``None``: everything."""
        return None if self.buffer is None else self.buffer - (self.shift if window == 0 else 0)

    def start(self, window: int) -> int:
        """The position of the first element of a window."""
        return max(0, window * (self.buffer or 0) - self.shift)

    def locate(self, i: Any) -> tuple[Any, Any]:
        """Window and place within the window of positions ``i`` (an array or a number)."""
        if self.buffer is None:
            return (i * 0, i)
        window = (i + self.shift) // self.buffer
        return window, i - np.maximum(0, window * self.buffer - self.shift)

    def order(self, window: int, length: int) -> npt.NDArray[np.int64]:
        """The places within a window, in the order of reading."""
        return philox.permutation(self.key, window, length)


class ShuffleAccess(Access):
    """Elements of the source by the permuted index; nothing is read that is not asked for."""

    def __init__(self, plan: Plan, source: Access) -> None:
        self.plan, self.source, self.size = plan, source, source.size
        self._orders = Recent(self._order)

    def _order(self, window: int) -> npt.NDArray[np.int64]:
        """The positions in the source of one window, in the order of reading."""
        start, length = self.plan.start(window), self.plan.length(window)
        if self.size is not None:
            length = self.size - start if length is None else min(length, self.size - start)
        return self.plan.order(window, length or 0) + start

    def get(self, i: int) -> Element:
        window, place = self.plan.locate(i)
        return self.source.get(int(self._orders(int(window))[place]))

    def gather(self, index: Index) -> Element:
        return self.source.gather(self._map(index))

    def _map(self, index: Index) -> npt.NDArray[np.int64]:
        if isinstance(index, range) and self.plan.buffer is None:
            return self._orders(0)[index.start : index.stop]
        windows, places = self.plan.locate(positions(index))
        mapped = np.empty(places.shape, np.int64)
        for window in np.unique(windows):
            here = windows == window
            mapped[here] = self._orders(int(window))[places[here]]
        return mapped


class ShuffleCursor(Cursor):
    """The same order for a sequential source, holding one window of elements at a time.

    While a window is read out, the room it frees is filled from the source, so reading is even.  Position: where the
    source stood before the current window, the number of the window and the place in it; restoring reads the window
    again.
    """

    def __init__(self, plan: Plan, source: Cursor) -> None:
        self.plan, self.source = plan, source
        self.window = self.place = 0
        self.opened = False
        self.elements: list[Element] = []  # the current window in the order of reading
        self.coming: list[Element] = []  # the beginning of the next
        self.before = snapshot(source)  # the source before the current window
        self.after = self.before  # and behind it
        self.ended = False

    def next(self) -> Element:
        if not self.opened:
            self._open(self.window)
        while self.place == len(self.elements):
            if not self.elements:
                raise StopIteration
            self._open(self.window + 1)
        element = self.elements[self.place]
        self.elements[self.place] = None
        self.place += 1
        if self.plan.buffer is not None:
            self._fetch(min(self.place, self.plan.buffer))
        return element

    def _fetch(self, count: int | None) -> None:
        """Read from the source until ``count`` elements wait, or everything."""
        while not self.ended and (count is None or len(self.coming) < count):
            try:
                self.coming.append(self.source.next())
            except StopIteration:
                self.ended = True

    def _open(self, window: int) -> None:
        self.before = self.after
        self._fetch(self.plan.length(window))
        self.after = snapshot(self.source)
        found, self.coming = self.coming, []
        self.elements = [found[i] for i in self.plan.order(window, len(found))]
        self.window, self.place, self.opened = window, 0, True

    def save(self) -> State:
        return {"source": unwrap(self.before), "window": self.window, "place": self.place}

    def restore(self, state: State) -> None:
        self.source.restore(state["source"])
        self.before = self.after = snapshot(self.source)
        self.window = state["window"]
        if state["place"]:
            self._open(self.window)
            self.place = state["place"]
            self.elements[: self.place] = [None] * self.place

    def close(self) -> None:
        self.source.close()
        self.elements, self.coming = [], []


class Repeat(PassingNode):
    """The source again and again; each repetition is an epoch of the source."""

    name = "repeat"

    def __init__(self, source: Node, count: int | None) -> None:
        super().__init__(source)
        self.count = count

    def inner(self, epoch: int, repetition: int) -> int:
        """The epoch of the source: epoch 0 of ``repeat(2)`` is epochs 0 and 1 of the source, and so on."""
        return (epoch << 32) + repetition if self.count is None else epoch * self.count + repetition

    def access(self, epoch: int) -> Access | None:
        source = self.source.access(self.inner(epoch, 0))
        if source is None or source.size is None:
            return source
        return RepeatAccess(self, epoch, source.size)

    def sequential(self, epoch: int) -> Cursor:
        return RepeatCursor(self, epoch)

    def cardinality(self) -> int:
        n = self.source.cardinality()
        if n == 0 or self.count == 0:
            return 0
        return INFINITE if self.count is None else n if n < 0 else n * self.count

    def parameters(self) -> str:
        return str(self.count)


class RepeatAccess(Access):
    """Position to repetition and position within it."""

    def __init__(self, node: Repeat, epoch: int, length: int) -> None:
        self.length = length
        self.size = 0 if not length else None if node.count is None else length * node.count
        self._sources = Recent(lambda repetition: self._source(node, node.inner(epoch, repetition)))

    @staticmethod
    def _source(node: Repeat, epoch: int) -> Access:
        source = node.source.access(epoch)
        if source is None:
            raise RuntimeError("random access must not depend on the epoch")
        return source

    def get(self, i: int) -> Element:
        repetition, place = divmod(i, self.length)
        return self._sources(repetition).get(place)

    def gather(self, index: Index) -> Element:
        return gather_parts(
            index,
            lambda i: divmod(i, max(1, self.length)),
            lambda repetition, within: self._sources(repetition).gather(within),
        )


class RepeatCursor(Cursor):
    """One cursor of the source after another."""

    def __init__(self, node: Repeat, epoch: int) -> None:
        self.node, self.epoch = node, epoch
        self.repetition = 0
        self.any = False  # whether this repetition has given an element
        self.source = node.source.cursor(node.inner(epoch, 0))

    def next(self) -> Element:
        while self.node.count is None or self.repetition < self.node.count:
            try:
                element = self.source.next()
                self.any = True
                return element
            except StopIteration:
                if not self.any and self.node.count is None:
                    self._empty()
            self.source.close()
            self.repetition += 1
            self.any = False
            self.source = self.node.source.cursor(self.node.inner(self.epoch, self.repetition))
        raise StopIteration

    def _empty(self) -> None:
        if self.node.source.cardinality() == 0:
            raise StopIteration
        raise self.node.error(
            DataError,
            "the dataset to repeat without end has no elements",
            {"repetition": self.repetition},
            hint="see that the generator or filter before it lets some through",
        )

    def save(self) -> State:
        return {"repetition": self.repetition, "any": self.any, "source": self.source.save()}

    def restore(self, state: State) -> None:
        self.repetition, self.any = state["repetition"], state["any"]
        if self.repetition:
            self.source.close()
            self.source = self.node.source.cursor(self.node.inner(self.epoch, self.repetition))
        self.source.restore(state["source"])

    def close(self) -> None:
        self.source.close()


class Window(PassingNode):
    """Elements ``start`` to ``stop - 1`` of the source: take and skip."""

    def __init__(self, source: Node, start: int, stop: int | None, name: str) -> None:
        self.name = name
        super().__init__(source)
        self.source, self.start, self.stop = source, start, stop

    def clip(self, n: int) -> int:
        """How many of ``n`` elements are left."""
        return max(0, (n if self.stop is None else min(n, self.stop)) - self.start)

    def access(self, epoch: int) -> Access | None:
        source = self.source.access(epoch)
        return None if source is None else WindowAccess(self, source)

    def sequential(self, epoch: int) -> Cursor:
        return WindowCursor(self, self.source.cursor(epoch))

    def cardinality(self) -> int:
        n = self.source.cardinality()
        if n == INFINITE:
            return INFINITE if self.stop is None else self.stop - self.start
        return n if n == UNKNOWN and self.stop != self.start else self.clip(max(n, 0))

    def parameters(self) -> str:
        return str(self.start if self.stop is None else self.stop)


class WindowAccess(Access):
    """Positions moved by the start."""

    def __init__(self, node: Window, source: Access) -> None:
        self.start, self.source = node.start, source
        endless = None if node.stop is None else node.stop - node.start
        self.size = endless if source.size is None else node.clip(source.size)

    def get(self, i: int) -> Element:
        return self.source.get(i + self.start)

    def gather(self, index: Index) -> Element:
        return self.source.gather(shifted(index, self.start))


class WindowCursor(Cursor):
    """Reads and drops what is to be skipped, and stops in time."""

    def __init__(self, node: Window, source: Cursor) -> None:
        self.node, self.source = node, source
        self.position = 0  # in the source

    def next(self) -> Element:
        for _ in itertools.repeat(None, self.node.start - self.position):
            self.source.next()
            self.position += 1
        if self.node.stop is not None and self.position >= self.node.stop:
            raise StopIteration
        element = self.source.next()
        self.position += 1
        return element

    def save(self) -> State:
        return {"position": self.position, "source": self.source.save()}

    def restore(self, state: State) -> None:
        self.position = state["position"]
        self.source.restore(state["source"])

    def close(self) -> None:
        self.source.close()
