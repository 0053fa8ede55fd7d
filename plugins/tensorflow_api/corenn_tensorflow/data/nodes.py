"""The stages of a dataset: each gives, for a pass, an iterator of elements (structures of arrays on the host).

A stage over arrays also gives *positions*: so shuffling moves numbers, and a batch is one gather of rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from corenn import tree
from corenn.ops import random
from corenn_tensorflow.data.elements import rows, stacked

INFINITE, UNKNOWN = -1, -2
Elements = Iterator[Any]


def drawn_seed(purpose: str) -> int:
    """A seed for what was given none, from the default generator, which ``tf.random.set_seed`` seeds."""
    generator = random.default_generator()
    found = generator.derive(purpose, generator.state()["next"]).seed
    generator.split(0)  # moves it on, also where a graph is built
    return found


class Node:
    """A stage.  ``passes`` counts the passes begun, for shuffles."""

    def __init__(self, *parents: Node) -> None:
        self.parents = parents

    def elements(self) -> Elements:
        """A pass."""
        raise NotImplementedError(type(self).__name__)

    def positions(self) -> tuple[Callable[[Any], Any], Iterator[int]] | None:
        """Where elements are rows of arrays: the function that gathers rows, and the positions of a pass."""
        return None

    def size(self) -> int:
        """The number of elements, ``INFINITE`` or ``UNKNOWN``."""
        return UNKNOWN


class _OverPositions(Node):
    """A stage that only chooses and orders elements: what it does to positions it does to elements."""

    def choose(self, items: Iterator[Any], again: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """What is left of a pass's items, in order; ``again`` begins another pass."""
        raise NotImplementedError(type(self).__name__)

    def elements(self) -> Elements:
        """A pass."""
        (parent,) = self.parents
        return self.choose(parent.elements(), parent.elements)

    def positions(self) -> Any:
        """Positions, where the stage before has them."""
        (parent,) = self.parents
        found = parent.positions()
        if found is None:
            return None
        gather, items = found

        def again() -> Iterator[int]:
            return parent.positions()[1]  # type: ignore[index]  # it had some

        return gather, self.choose(items, again)


class Slices(Node):
    """Rows of arrays."""

    def __init__(self, arrays: Callable[[], Any]) -> None:
        super().__init__()
        self.arrays = arrays

    def positions(self) -> Any:
        """All rows, in order."""
        arrays = self.arrays()
        return lambda chosen: tree.tree_map(lambda a: rows(a, chosen), arrays), iter(range(_length(arrays)))

    def elements(self) -> Elements:
        """Row by row."""
        arrays = self.arrays()
        for i in range(_length(arrays)):
            yield tree.tree_map(lambda a, i=i: _row(a, i), arrays)

    def size(self) -> int:
        """The number of rows."""
        return _length(self.arrays())


def _row(array: Any, i: int) -> Any:
    return array.row(i) if hasattr(array, "row") else np.asarray(array[i], dtype=array.dtype)


def _length(arrays: Any) -> int:
    counts = {len(a) for a in tree.leaves(arrays)}
    if len(counts) != 1:
        raise ValueError(f"the first dimensions of the tensors differ: {sorted(counts)}")
    return counts.pop()


class Once(Node):
    """One element."""

    def __init__(self, arrays: Callable[[], Any]) -> None:
        super().__init__()
        self.arrays = arrays

    def elements(self) -> Elements:
        """The element."""
        yield self.arrays()

    def size(self) -> int:
        """One."""
        return 1


class Iterated(Node):
    """What a function's iterator gives."""

    def __init__(self, function: Callable[[], Elements], size: int = UNKNOWN) -> None:
        super().__init__()
        self.function, self._size = function, size

    def elements(self) -> Elements:
        """A new iterator."""
        return iter(self.function())

    def size(self) -> int:
        """What was said."""
        return self._size


class Map(Node):
    """A function of each element."""

    def __init__(self, parent: Node, function: Callable[[Any], Any]) -> None:
        super().__init__(parent)
        self.function = function

    def elements(self) -> Elements:
        """Mapped."""
        return map(self.function, self.parents[0].elements())

    def size(self) -> int:
        """The same."""
        return self.parents[0].size()


class Filter(Node):
    """The elements a predicate holds for."""

    def __init__(self, parent: Node, predicate: Callable[[Any], bool]) -> None:
        super().__init__(parent)
        self.predicate = predicate

    def elements(self) -> Elements:
        """Filtered."""
        return filter(self.predicate, self.parents[0].elements())


class Shuffle(_OverPositions):
    """A buffer from which each next element is drawn at random."""

    def __init__(self, parent: Node, buffer: int, seed: int | None, again: bool) -> None:
        super().__init__(parent)
        self.buffer, self.seed, self.again, self.count = buffer, seed, again, 0

    def choose(self, items: Any, again: Any) -> Any:
        """Drawn from the buffer, which is filled as long as there are items."""
        if self.seed is None:
            self.seed = drawn_seed("shuffle")
        drawn = np.random.Generator(np.random.Philox(key=[self.seed % 2**64, self.count if self.again else 0]))
        self.count += 1
        held = list(itertools.islice(items, self.buffer))
        for item in items:
            place = int(drawn.integers(len(held)))
            out, held[place] = held[place], item
            yield out
        for place in drawn.permutation(len(held)):
            yield held[place]

    def size(self) -> int:
        """The same."""
        return self.parents[0].size()


class Repeat(_OverPositions):
    """Several passes, or passes without end."""

    def __init__(self, parent: Node, count: int | None) -> None:
        super().__init__(parent)
        self.count = None if count is None or count < 0 else count

    def choose(self, items: Any, again: Any) -> Any:
        """Pass after pass."""
        number = 0
        while self.count is None or number < self.count:
            empty = True
            for item in items if number == 0 else again():
                empty = False
                yield item
            if empty:
                return
            number += 1

    def size(self) -> int:
        """So many times as many."""
        one = self.parents[0].size()
        if self.count is None:
            return INFINITE
        return one if one < 0 else one * self.count


class Window(_OverPositions):
    """The elements from ``start`` on, ``count`` at most, every ``step``-th."""

    def __init__(self, parent: Node, start: int, count: int | None, step: int = 1) -> None:
        super().__init__(parent)
        self.start, self.count, self.step = start, count if count is None or count >= 0 else None, step

    def choose(self, items: Any, again: Any) -> Any:
        """Cut."""
        stop = None if self.count is None else self.start + self.count * self.step
        return itertools.islice(items, self.start, stop, self.step)

    def size(self) -> int:
        """What is left."""
        one = self.parents[0].size()
        if one < 0:
            return self.count if one == INFINITE and self.count is not None else one
        left = max(0, -(-(one - self.start) // self.step))
        return left if self.count is None else min(left, self.count)


class Batch(Node):
    """Consecutive elements, stacked."""

    def __init__(self, parent: Node, size: int, drop: bool, stack: Callable[[list[Any]], Any] = stacked) -> None:
        super().__init__(parent)
        self.count, self.drop, self.stack = size, drop, stack

    def elements(self) -> Elements:
        """Batch by batch; by one gather, over arrays."""
        found = self.parents[0].positions() if self.stack is stacked else None
        if found is not None:
            gather, places = found
            while len(chosen := list(itertools.islice(places, self.count))) == self.count or (chosen and not self.drop):
                yield gather(np.asarray(chosen))
            return
        items = self.parents[0].elements()
        while len(part := list(itertools.islice(items, self.count))) == self.count or (part and not self.drop):
            yield self.stack(part)

    def size(self) -> int:
        """So many times fewer."""
        one = self.parents[0].size()
        return one if one < 0 else one // self.count if self.drop else -(-one // self.count)


class Zip(Node):
    """Elements side by side."""

    def __init__(self, structure: Any, parents: list[Node]) -> None:
        super().__init__(*parents)
        self.structure = structure

    def elements(self) -> Elements:
        """Until the shortest ends."""
        for parts in zip(*[p.elements() for p in self.parents], strict=False):
            yield placed(self.structure, iter(parts))

    def size(self) -> int:
        """The shortest's."""
        sizes = [p.size() for p in self.parents]
        if UNKNOWN in sizes:
            return UNKNOWN
        finite = [s for s in sizes if s >= 0]
        return min(finite) if finite else INFINITE


def placed(structure: Any, parts: Iterator[Any]) -> Any:
    """The structure with the next parts in the places of its leaves."""
    if isinstance(structure, dict):
        return {k: placed(v, parts) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        return tuple(placed(v, parts) for v in structure)
    return next(parts)


class Concatenate(Node):
    """One after another."""

    def elements(self) -> Elements:
        """In order."""
        return itertools.chain.from_iterable(p.elements() for p in self.parents)

    def size(self) -> int:
        """Together."""
        sizes = [p.size() for p in self.parents]
        return UNKNOWN if UNKNOWN in sizes else INFINITE if INFINITE in sizes else sum(sizes)


class Interleave(Node):
    """The elements of the datasets that a function makes of elements, several open at a time."""

    def __init__(self, parent: Node, function: Callable[[Any], Node], cycle: int, block: int) -> None:
        super().__init__(parent)
        self.function, self.cycle, self.block = function, cycle, block

    def elements(self) -> Elements:
        """In turn."""
        source = self.parents[0].elements()
        slots: list[Elements | None] = [None] * self.cycle
        ended, place = False, 0
        while True:
            if slots[place] is None and not ended:
                try:
                    slots[place] = self.function(next(source)).elements()
                except StopIteration:
                    ended = True
            current = slots[place]
            if current is None:
                if ended and all(s is None for s in slots):
                    return
                place = (place + 1) % self.cycle
                continue
            for _ in range(self.block):
                try:
                    yield next(current)
                except StopIteration:
                    slots[place] = None
                    break
            place = (place + 1) % self.cycle


class Unbatch(Node):
    """The rows of each element."""

    def elements(self) -> Elements:
        """Row by row."""
        for element in self.parents[0].elements():
            for i in range(_length(element)):
                yield tree.tree_map(lambda a, i=i: _row(a, i), element)


class Cache(Node):
    """Elements kept in memory from the first pass on."""

    def __init__(self, parent: Node) -> None:
        super().__init__(parent)
        self.kept: list[Any] | None = None

    def elements(self) -> Elements:
        """From memory, or computed and kept."""
        if self.kept is not None:
            yield from self.kept
            return
        found = []
        for element in self.parents[0].elements():
            found.append(element)
            yield element
        self.kept = found

    def size(self) -> int:
        """The same."""
        return self.parents[0].size()


__all__ = [
    "INFINITE", "UNKNOWN", "Batch", "Cache", "Concatenate", "Filter", "Interleave", "Iterated", "Map", "Node", "Once",
    "Repeat", "Shuffle", "Slices", "Unbatch", "Window", "Zip", "drawn_seed",
]  # fmt: skip
