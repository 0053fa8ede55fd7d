"""Transformations of elements one by one and of runs of elements: map, filter, batch, padded_batch, unbatch."""

# ruff: noqa: D102  (the methods of nodes, accesses and cursors are documented once, in protocol.py)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from corenn.data.protocol import INFINITE, UNKNOWN, Access, Cursor, Node, State, snapshot, unwrap
from corenn.data.structure import ArraySpec, Element, Index, Mismatch, describe, leaves, map_leaves, pad_stack, stack
from corenn.errors import DataError, ShapeError, UsageError


class Map(Node):
    """A function of each element."""

    name = "map"

    def __init__(self, source: Node, function: Callable[..., Any]) -> None:
        super().__init__(source)
        self.source, self.function = source, function
        if not callable(function):
            raise self.error(UsageError, "a function is needed", {"got": type(function).__name__})

    def apply(self, element: Element) -> Element:
        """The function of one element."""
        return self.call_for_element(self.function, element)

    def access(self, epoch: int) -> Access | None:
        source = self.source.access(epoch)
        return None if source is None else MapAccess(self, source)

    def sequential(self, epoch: int) -> Cursor:
        return MapCursor(self, self.source.cursor(epoch))

    def cardinality(self) -> int:
        return self.source.cardinality()

    def sample(self) -> Element:
        return self.apply(self.source.sample())


class MapAccess(Access):
    """Calls the function for the elements asked for, and for no others."""

    def __init__(self, node: Map, source: Access) -> None:
        self.node, self.source, self.size = node, source, source.size

    def get(self, i: int) -> Element:
        return self.node.apply(self.source.get(i))


class FollowingCursor(Cursor):
    """A cursor whose position is that of its source."""

    def __init__(self, source: Cursor) -> None:
        self.source = source

    def save(self) -> State:
        return {"source": self.source.save()}

    def restore(self, state: State) -> None:
        self.source.restore(state["source"])

    def close(self) -> None:
        self.source.close()


class MapCursor(FollowingCursor):
    """Map over a sequential source."""

    def __init__(self, node: Map, source: Cursor) -> None:
        super().__init__(source)
        self.node = node

    def next(self) -> Element:
        return self.node.apply(self.source.next())


class Filter(Node):
    """The elements for which a predicate holds."""

    name = "filter"

    def __init__(self, source: Node, predicate: Callable[..., Any]) -> None:
        super().__init__(source)
        self.source, self.predicate = source, predicate
        if not callable(predicate):
            raise self.error(UsageError, "a function is needed", {"got": type(predicate).__name__})

    def sequential(self, epoch: int) -> Cursor:
        return FilterCursor(self, self.source.cursor(epoch))

    def cardinality(self) -> int:
        return 0 if self.source.cardinality() == 0 else UNKNOWN

    def spec(self) -> Any:
        return self.source.spec()

    def holds(self, element: Element) -> bool:
        """The predicate as a bool."""
        verdict = self.call(self.predicate, element)
        if np.shape(verdict):
            raise self.error(
                ShapeError, "the predicate must return one truth value", {"returned": describe(np.asarray(verdict))}
            )
        return bool(verdict)


class FilterCursor(FollowingCursor):
    """Reads on to the next element that passes."""

    def __init__(self, node: Filter, source: Cursor) -> None:
        super().__init__(source)
        self.node = node

    def next(self) -> Element:
        while True:
            element = self.source.next()
            if self.node.holds(element):
                return element


class Batch(Node):
    """Consecutive elements stacked along a new first axis."""

    name = "batch"

    def __init__(self, source: Node, size: int, drop_remainder: bool) -> None:
        super().__init__(source)
        self.source, self.size, self.drop_remainder = source, size, drop_remainder

    def access(self, epoch: int) -> Access | None:
        source = self.source.access(epoch)
        return None if source is None else BatchAccess(self, source)

    def sequential(self, epoch: int) -> Cursor:
        return BatchCursor(self, self.source.cursor(epoch))

    def cardinality(self) -> int:
        n = self.source.cardinality()
        return n if n < 0 else self.batches(n)

    def batches(self, n: int) -> int:
        """How many batches ``n`` elements make."""
        return n // self.size if self.drop_remainder else -(-n // self.size)

    def spec(self) -> Any:
        n = self.source.cardinality()
        full = self.drop_remainder or n == INFINITE or (n >= 0 and n % self.size == 0)
        first = self.size if full else None
        return map_leaves(lambda spec: ArraySpec((first, *spec.shape), spec.dtype), self.source.spec())

    def parameters(self) -> str:
        return f"{self.size}, drop_remainder={self.drop_remainder}"

    def gather(self, source: Access, index: Index) -> Element:
        """One batch by position; the source may have a faster way than element by element."""
        try:
            return source.gather(index)
        except Mismatch as mismatch:
            raise self.misfit(mismatch) from None

    def combine(self, elements: list[Element]) -> Element:
        """One batch of these elements."""
        try:
            return stack(elements)
        except Mismatch as mismatch:
            raise self.misfit(mismatch) from None

    def misfit(self, mismatch: Mismatch) -> Exception:
        """The error for elements that cannot be stacked."""
        hint = {
            ShapeError: "padded_batch pads elements of different length; or give them one shape in map()",
            DataError: "every element must have the same tuples and dicts",
        }.get(mismatch.kind, "convert in map(), for example x.astype('float32')")
        return mismatch.error(f"Dataset.{self.name}", self.site, hint)


class BatchAccess(Access):
    """Batches of random access: one gather each."""

    def __init__(self, node: Batch, source: Access) -> None:
        self.node, self.source = node, source
        self.size = None if source.size is None else node.batches(source.size)

    def get(self, i: int) -> Element:
        start = i * self.node.size
        stop = start + self.node.size
        if self.source.size is not None:
            stop = min(stop, self.source.size)
        return self.node.gather(self.source, range(start, stop))


class BatchCursor(FollowingCursor):
    """Batches of a sequential source."""

    def __init__(self, node: Batch, source: Cursor) -> None:
        super().__init__(source)
        self.node = node

    def next(self) -> Element:
        elements: list[Element] = []
        try:
            while len(elements) < self.node.size:
                elements.append(self.source.next())
        except StopIteration:
            if not elements or self.node.drop_remainder:
                raise
        return self.node.combine(elements)


class PaddedBatch(Batch):
    """Consecutive elements padded to a common shape and stacked."""

    name = "padded_batch"

    def __init__(self, source: Node, size: int, shapes: Any, values: Any, drop_remainder: bool) -> None:
        super().__init__(source, size, drop_remainder)
        self.shapes, self.values = shapes, values

    def spec(self) -> Any:
        def padded(spec: ArraySpec, shape: Any) -> ArraySpec:
            tail = (None,) * (len(spec.shape) - 1) if shape is None else tuple(shape)
            return ArraySpec((spec.shape[0], *tail), spec.dtype)

        batched = super().spec()
        shapes = map_leaves(lambda _: None, batched) if self.shapes is None else self.shapes
        try:
            return map_leaves(padded, batched, shapes, alike=False)
        except Mismatch as mismatch:
            raise self.misfit(mismatch) from None

    def parameters(self) -> str:
        return f"{super().parameters()}, padded_shapes={self.shapes}, padding_values={self.values}"

    def gather(self, source: Access, index: Index) -> Element:
        return self.combine([source.get(int(i)) for i in index])

    def combine(self, elements: list[Element]) -> Element:
        try:
            return pad_stack(elements, self.shapes, self.values)
        except Mismatch as mismatch:
            raise self.misfit(mismatch) from None

    def misfit(self, mismatch: Mismatch) -> Exception:
        hint = "padded_shapes has a shape for each array of an element, in the same tuples and dicts; None pads an axis"
        return mismatch.error(f"Dataset.{self.name}", self.site, hint)


class Unbatch(Node):
    """The rows of each element as elements."""

    name = "unbatch"

    def __init__(self, source: Node) -> None:
        super().__init__(source)
        self.source = source

    def sequential(self, epoch: int) -> Cursor:
        return UnbatchCursor(self, self.source.cursor(epoch))

    def cardinality(self) -> int:
        return 0 if self.source.cardinality() == 0 else UNKNOWN

    def spec(self) -> Any:
        return map_leaves(lambda spec: ArraySpec(spec.shape[1:], spec.dtype), self.source.spec())

    def rows(self, element: Element) -> int:
        """The number of rows of one element."""
        shapes = [leaf.shape for leaf in leaves(element)]
        if not shapes or () in shapes or len({shape[0] for shape in shapes}) > 1:
            raise self.error(
                ShapeError,
                "the arrays of an element need a first axis of the same length",
                {"element": describe(element)},
                hint="unbatch takes apart what batch put together",
            )
        return int(shapes[0][0])


class UnbatchCursor(Cursor):
    """Position: where the source stood before the current batch, and the row within it."""

    def __init__(self, node: Unbatch, source: Cursor) -> None:
        self.node, self.source = node, source
        self.before = snapshot(source)
        self.batch: Element = None
        self.rows = self.row = 0

    def next(self) -> Element:
        while self.row >= self.rows:
            self._load()
        row = self.row
        self.row += 1
        return map_leaves(lambda leaf: leaf[row], self.batch)

    def _load(self) -> None:
        self.before = snapshot(self.source)
        self.rows = self.row = 0
        self.batch = self.source.next()
        self.rows = self.node.rows(self.batch)

    def save(self) -> State:
        return {"source": unwrap(self.before), "row": self.row}

    def restore(self, state: State) -> None:
        self.source.restore(state["source"])
        self.before = snapshot(self.source)
        if state["row"]:
            self._load()
            self.row = state["row"]

    def close(self) -> None:
        self.source.close()
