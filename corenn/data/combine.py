"""Transformations with more than one source: zip, concatenate, interleave."""

# ruff: noqa: D102  (the methods of nodes, accesses and cursors are documented once, in protocol.py)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from corenn.data.protocol import (
    INFINITE,
    UNKNOWN,
    Access,
    Cursor,
    Node,
    State,
    Unsavable,
    gather_parts,
    snapshot,
    unwrap,
)
from corenn.data.structure import ArraySpec, Element, Index, Mismatch, describe, leaves, map_leaves, named_leaves
from corenn.errors import DataError, UsageError


class Zip(Node):
    """Elements side by side, in the structure in which the datasets were given; ends with the shortest.

    ``structure`` holds the number of an input at each leaf.
    """

    def __init__(self, structure: Any, inputs: list[Node], name: str = "zip") -> None:
        self.name = name
        super().__init__(*inputs)
        self.structure = structure
        self.paths = [path for path, _ in named_leaves(structure)]

    def build(self, parts: list[Any]) -> Any:
        """The structure with these parts in place of the datasets."""
        return map_leaves(lambda i: parts[i], self.structure)

    def access(self, epoch: int) -> Access | None:
        sources = [node.access(epoch) for node in self.inputs]
        found = [source for source in sources if source is not None]
        return ZipAccess(self, found) if len(found) == len(sources) else None

    def sequential(self, epoch: int) -> Cursor:
        return ZipCursor(self, [node.cursor(epoch) for node in self.inputs])

    def cardinality(self) -> int:
        sizes = [n for n in (node.cardinality() for node in self.inputs) if n != INFINITE]
        return 0 if 0 in sizes else UNKNOWN if UNKNOWN in sizes else min(sizes, default=INFINITE)

    def spec(self) -> Any:
        return self.build([node.spec() for node in self.inputs])

    def sample(self) -> Element:
        return self.build([node.sample() for node in self.inputs])


class ZipAccess(Access):
    """The same position of each source."""

    def __init__(self, node: Zip, sources: list[Access]) -> None:
        self.node, self.sources = node, sources
        self.size = min((source.size for source in sources if source.size is not None), default=None)

    def get(self, i: int) -> Element:
        return self.node.build([source.get(i) for source in self.sources])

    def gather(self, index: Index) -> Element:
        parts = []
        for source, path in zip(self.sources, self.node.paths, strict=True):
            try:
                parts.append(source.gather(index))
            except Mismatch as mismatch:
                mismatch.path = path + mismatch.path
                raise
        return self.node.build(parts)


class ZipCursor(Cursor):
    """One element of each source; the position is that of all sources."""

    def __init__(self, node: Zip, sources: list[Cursor]) -> None:
        self.node, self.sources = node, sources

    def next(self) -> Element:
        parts = [source.next() for source in self.sources]  # a StopIteration inside a list display goes through
        return self.node.build(parts)

    def save(self) -> State:
        return {"sources": [source.save() for source in self.sources]}

    def restore(self, state: State) -> None:
        for source, saved in zip(self.sources, state["sources"], strict=True):
            source.restore(saved)

    def close(self) -> None:
        for source in self.sources:
            source.close()


class Concatenate(Node):
    """The elements of one dataset after those of another."""

    name = "concatenate"

    def access(self, epoch: int) -> Access | None:
        sources = [node.access(epoch) for node in self.inputs]
        found = [source for source in sources if source is not None]
        return ConcatenateAccess(found) if len(found) == len(sources) else None

    def sequential(self, epoch: int) -> Cursor:
        return ConcatenateCursor(self, epoch)

    def cardinality(self) -> int:
        sizes = [node.cardinality() for node in self.inputs]
        return INFINITE if INFINITE in sizes else UNKNOWN if UNKNOWN in sizes else sum(sizes)

    def spec(self) -> Any:
        specs = [node.spec() for node in self.inputs]
        try:
            return map_leaves(self._merge, *specs)
        except Mismatch as mismatch:
            raise mismatch.error(
                "Dataset.concatenate", self.site, "the elements of all datasets must have the same structure"
            ) from None

    @staticmethod
    def _merge(*specs: ArraySpec) -> ArraySpec:
        first = specs[0]
        if any(spec.dtype != first.dtype or len(spec.shape) != len(first.shape) for spec in specs):
            raise Mismatch(DataError, "arrays differ in dtype or rank", {str(i): spec for i, spec in enumerate(specs)})
        shapes = zip(*(spec.shape for spec in specs), strict=True)
        return ArraySpec([sizes[0] if len(set(sizes)) == 1 else None for sizes in shapes], first.dtype)


class ConcatenateAccess(Access):
    """Position to source and position within it."""

    def __init__(self, sources: list[Access]) -> None:
        self.sources = sources
        sizes = [source.size for source in sources]
        self.size = None if None in sizes else sum(size or 0 for size in sizes)
        # Where each source but the first begins; nothing begins behind one that never ends.
        endless = sizes.index(None) if None in sizes else len(sizes) - 1
        self.starts = np.cumsum([size or 0 for size in sizes[:endless]], dtype=np.int64)

    def _locate(self, i: Any) -> tuple[Any, Any]:
        source = np.searchsorted(self.starts, i, side="right")
        return source, i - np.concatenate(([0], self.starts))[source]

    def get(self, i: int) -> Element:
        source, place = self._locate(i)
        return self.sources[int(source)].get(int(place))

    def gather(self, index: Index) -> Element:
        return gather_parts(index, self._locate, lambda source, within: self.sources[source].gather(within))


class ConcatenateCursor(Cursor):
    """One source after another."""

    def __init__(self, node: Concatenate, epoch: int) -> None:
        self.node, self.epoch, self.number = node, epoch, 0
        self.source = node.inputs[0].cursor(epoch)

    def next(self) -> Element:
        while True:
            try:
                return self.source.next()
            except StopIteration:
                if self.number + 1 == len(self.node.inputs):
                    raise
            self._switch(self.number + 1)

    def _switch(self, number: int) -> None:
        self.source.close()
        self.number = number
        self.source = self.node.inputs[number].cursor(self.epoch)

    def save(self) -> State:
        return {"number": self.number, "source": self.source.save()}

    def restore(self, state: State) -> None:
        if state["number"]:
            self._switch(state["number"])
        self.source.restore(state["source"])

    def close(self) -> None:
        self.source.close()


class Interleave(Node):
    """The elements of the datasets that a function makes of the elements of the source, a few of them at a time."""

    name = "interleave"

    def __init__(self, source: Node, function: Callable[..., Any], cycle_length: int, block_length: int) -> None:
        super().__init__(source)
        self.source, self.function = source, function
        self.cycle_length, self.block_length = cycle_length, block_length

    def sequential(self, epoch: int) -> Cursor:
        return InterleaveCursor(self, epoch)

    def cardinality(self) -> int:
        return 0 if self.source.cardinality() == 0 else UNKNOWN

    def sample(self) -> Element:
        return self.inner(self.source.sample()).sample()

    def parameters(self) -> str:
        return f"cycle_length={self.cycle_length}, block_length={self.block_length}"

    def inner(self, element: Element) -> Node:
        """The dataset for one element of the source."""
        made = self.call(self.function, element)
        node = getattr(made, "_node", None)
        if not isinstance(node, Node):
            raise self.error(
                UsageError,
                "the function must return a Dataset",
                {"returned": describe(made)},
                hint="for example Dataset.from_generator(...); map() is for functions that return elements",
            )
        return node


class Slot:
    """One dataset that is being read, and where the source stood before the element it was made of."""

    def __init__(self, node: Node, before: State | Unsavable, epoch: int) -> None:
        self.node, self.before = node, before
        self.cursor = node.cursor(epoch)


class InterleaveCursor(Cursor):
    """Takes ``block_length`` elements from each of ``cycle_length`` slots in turn.

    A slot whose dataset has ended is passed over once and gets the next dataset when its turn comes again.  Position:
    for each slot, where the source stood before its element, and the position in its dataset; restoring reads that one
    element of the source again for each slot.
    """

    def __init__(self, node: Interleave, epoch: int) -> None:
        self.node, self.epoch = node, epoch
        self.source = node.source.cursor(epoch)
        self.slots: list[Slot | None] = [None] * node.cycle_length
        self.turn = self.taken = 0
        self.ended = False

    def next(self) -> Element:
        while not self.ended or any(self.slots):
            slot = self.slots[self.turn]
            if slot is None:
                if self.ended or not self._open():
                    self._advance()
                continue
            try:
                element = slot.cursor.next()
            except StopIteration:
                slot.cursor.close()
                self.slots[self.turn] = None
                self._advance()
                continue
            self.taken += 1
            if self.taken == self.node.block_length:
                self._advance()
            return element
        raise StopIteration

    def _advance(self) -> None:
        self.taken = 0
        self.turn = (self.turn + 1) % self.node.cycle_length

    def _open(self) -> bool:
        """Fill the slot whose turn it is; False when the source has ended."""
        before = snapshot(self.source)
        try:
            element = self.source.next()
        except StopIteration:
            self.ended = True
            return False
        self.slots[self.turn] = Slot(self.node.inner(element), before, self.epoch)
        return True

    def save(self) -> State:
        slots: list[State | None] = []
        for slot in self.slots:
            if slot is None:
                slots.append(None)
                continue
            if any(getattr(node, "seeded", True) is False for node in slot.node.walk()):
                raise self.node.error(
                    Unsavable,
                    "the position cannot be saved: a dataset made by the function shuffles without a seed",
                    hint="give that shuffle a seed; it is made anew when the position is restored",
                )
            slots.append({"before": unwrap(slot.before), "inner": slot.cursor.save()})
        source = self.source.save()
        return {"source": source, "ended": self.ended, "turn": self.turn, "taken": self.taken, "slots": slots}

    def restore(self, state: State) -> None:
        self.turn, self.taken, self.ended = state["turn"], state["taken"], state["ended"]
        self.source.restore(state["source"])
        for number, saved in enumerate(state["slots"]):
            if saved is not None:
                self.slots[number] = self._reopen(saved)

    def _reopen(self, saved: State) -> Slot:
        source = self.node.source.cursor(self.epoch)
        try:
            source.restore(saved["before"])
            slot = Slot(self.node.inner(source.next()), saved["before"], self.epoch)
        finally:
            source.close()
        slot.cursor.restore(saved["inner"])
        return slot

    def close(self) -> None:
        self.source.close()
        for slot in self.slots:
            if slot is not None:
                slot.cursor.close()


def zipped(structure: Any) -> tuple[Any, list[Any]]:
    """A structure of datasets as a structure of numbers, and the datasets in that order."""
    found = leaves(structure)
    numbers = iter(range(len(found)))
    return map_leaves(lambda _: next(numbers), structure), found
