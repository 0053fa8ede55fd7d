"""Where elements come from: arrays in memory, a range of integers, a generator function."""

# ruff: noqa: D102  (the methods of nodes, accesses and cursors are documented once, in protocol.py)

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from corenn.data.protocol import INFINITE, UNKNOWN, Access, Cursor, Node, State, Unsavable
from corenn.data.structure import (
    ArraySpec,
    Element,
    Index,
    Leaf,
    Mismatch,
    as_array,
    as_element,
    describe,
    map_leaves,
    named_leaves,
)
from corenn.errors import DTypeError, ShapeError, UsageError

_CHECKED = 512  # items of each array that go into the checksum by which a generator is recognised


class Slices(Node):
    """The rows of arrays, which are not copied."""

    name = "from_tensor_slices"

    def __init__(self, tensors: Any) -> None:
        super().__init__()
        try:
            arrays = map_leaves(as_array, tensors)
        except Mismatch as mismatch:
            raise mismatch.error("Dataset.from_tensor_slices", self.site, "pass arrays, in tuples or dicts") from None
        named = [(path or "the array", leaf) for path, leaf in named_leaves(arrays)]
        if not named:
            raise self.error(UsageError, "there are no arrays", hint="pass arrays, in tuples or dicts")
        scalars = {path: f"{leaf.dtype}[]" for path, leaf in named if not leaf.ndim}
        if scalars:
            raise self.error(ShapeError, "a scalar has no first axis to slice", scalars, hint="pass an array of rank 1")
        if len({len(leaf) for _, leaf in named}) > 1:
            raise self.error(
                ShapeError,
                "arrays have different lengths along the first axis",
                {path: f"{leaf.dtype}{list(leaf.shape)}   {len(leaf)} elements" for path, leaf in named},
                hint="the first axis counts the elements; it must have the same length in all of them",
            )
        self.arrays = map_leaves(_read_only, arrays)
        self.length = len(named[0][1])

    def access(self, epoch: int) -> Access:
        return SlicesAccess(self.arrays, self.length)

    def cardinality(self) -> int:
        return self.length

    def spec(self) -> Any:
        return map_leaves(lambda leaf: ArraySpec(leaf.shape[1:], leaf.dtype), self.arrays)

    def parameters(self) -> str:
        return f"{self.length} of {describe(self.spec())}"


def _read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A view through which the user's array cannot be changed by accident."""
    view = array.view()
    view.flags.writeable = False
    return view


class SlicesAccess(Access):
    """Rows as read-only views; gathered rows are copies."""

    def __init__(self, arrays: Any, size: int) -> None:
        self.arrays, self.size = arrays, size

    def get(self, i: int) -> Element:
        return map_leaves(lambda leaf: leaf[i], self.arrays)

    def gather(self, index: Index) -> Element:
        if isinstance(index, range):
            return map_leaves(lambda leaf: leaf[index.start : index.stop].copy(), self.arrays)
        return map_leaves(lambda leaf: leaf.take(index, axis=0), self.arrays)


class Range(Node):
    """Integers in arithmetic progression; ``stop`` is ``None`` for one without end."""

    name = "range"

    def __init__(self, start: int, stop: int | None, step: int) -> None:
        super().__init__()
        if step == 0:
            raise self.error(UsageError, "step must not be zero", {"start": start, "stop": stop, "step": step})
        self.start, self.stop, self.step = start, stop, step
        self.size = None if stop is None else len(range(start, stop, step))

    def access(self, epoch: int) -> Access:
        return RangeAccess(self.start, self.step, self.size)

    def cardinality(self) -> int:
        return INFINITE if self.size is None else self.size

    def spec(self) -> Any:
        return ArraySpec((), np.int64)

    def parameters(self) -> str:
        return f"{self.start}, {self.stop}, {self.step}"


class RangeAccess(Access):
    """Computed, not stored."""

    def __init__(self, start: int, step: int, size: int | None) -> None:
        self.start, self.step, self.size = start, step, size

    def get(self, i: int) -> Element:
        return np.int64(self.start + i * self.step)

    def gather(self, index: Index) -> Element:
        return np.asarray(index, np.int64) * self.step + self.start


class Generator(Node):
    """What a user's function yields, checked against a signature or against the structure of the first element."""

    name = "from_generator"

    def __init__(self, function: Callable[[], Iterable[Any]], signature: Any) -> None:
        super().__init__()
        if not callable(function):
            raise self.error(
                UsageError,
                "a function is needed, not a generator that has begun",
                {"got": type(function).__name__},
                hint="pass the function itself, without calling it: each epoch starts a new generator",
            )
        bad = [path for path, leaf in named_leaves(signature) if not isinstance(leaf, ArraySpec)]
        if signature is not None and bad:
            raise self.error(
                UsageError,
                "signature must have an ArraySpec at each leaf",
                {"signature": describe(signature)},
                hint="for example (ArraySpec((28, 28), 'float32'), ArraySpec((), 'int64'))",
            )
        self.function, self.signature_spec = function, signature

    def sequential(self, epoch: int) -> Cursor:
        return GeneratorCursor(self)

    def cardinality(self) -> int:
        return UNKNOWN

    def spec(self) -> Any:
        return super().spec() if self.signature_spec is None else self.signature_spec

    def parameters(self) -> str:
        return "" if self.signature_spec is None else describe(self.signature_spec)

    def start(self) -> Iterator[Any]:
        """A new run of the user's generator."""
        values = self.function()
        if not isinstance(values, Iterable):
            raise self.error(
                UsageError,
                "the function returned something that cannot be iterated",
                {"returned": type(values).__name__},
                hint="yield the elements, or return an iterable of them",
            )
        return iter(values)

    def convert(self, value: Any, template: Element) -> Element:
        """A yielded value as an element; ``template`` is the first element, if there is no signature."""
        try:
            if self.signature_spec is not None:
                return map_leaves(_conform, self.signature_spec, value)
            element = as_element(value)
            if template is not None:
                map_leaves(lambda *_: None, template, element)
            return element
        except Mismatch as mismatch:
            hint = "yield elements of one structure"
            hint += "" if self.signature_spec is None else f"; the signature is {describe(self.signature_spec)}"
            raise mismatch.error("Dataset.from_generator", self.site, hint) from None


def _conform(spec: ArraySpec, value: Any) -> Leaf:
    array = as_array(value)
    if array.dtype != spec.dtype:
        # Python numbers take the dtype of the signature; an array of another dtype is more likely a mistake.
        fits = np.can_cast(array.dtype, spec.dtype, "same_kind") or (array.dtype.kind + spec.dtype.kind == "iu")
        try:
            if hasattr(value, "dtype") or not fits:
                raise Mismatch(DTypeError, "dtype differs", {"yielded": array.dtype, "signature": spec.dtype})
            array = np.asarray(value, spec.dtype)
        except OverflowError as error:
            raise Mismatch(DTypeError, str(error), {"yielded": value, "signature": spec.dtype}) from None
    if not spec.admits(array.shape):
        raise Mismatch(ShapeError, "shape differs", {"yielded": array.shape, "signature": spec.shape})
    leaf: Leaf = array[()]
    return leaf


def checksum(element: Element) -> int:
    """A number by which an element is recognised: structure, shapes, dtypes and the beginning of each array."""
    crc = zlib.crc32(describe(element).encode())
    for _, leaf in named_leaves(element):
        crc = zlib.crc32(leaf.flat[:_CHECKED].tobytes() if leaf.ndim else leaf.tobytes(), crc)
    return crc


class GeneratorCursor(Cursor):
    """Runs the generator; restores by running it again and dropping what had been delivered."""

    def __init__(self, node: Generator) -> None:
        self.node = node
        self.values: Iterator[Any] | None = None
        self.template: Element = None
        self.count = self.crc = 0

    def next(self) -> Element:
        if self.values is None:
            self.values = self.node.start()
        element = self.node.convert(next(self.values), self.template)
        if self.template is None:
            self.template = element
        self.count += 1
        self.crc = checksum(element)
        return element

    def save(self) -> State:
        return {"n": self.count, "crc": self.crc}

    def restore(self, state: State) -> None:
        try:
            for _ in range(state["n"]):
                self.next()
        except StopIteration:
            self._differs(state, f"it ended after {self.count} elements")
        if self.crc != state["crc"]:
            self._differs(state, "the last of them differs")

    def _differs(self, state: State, what: str) -> None:
        self.close()
        raise self.node.error(
            Unsavable,
            f"cannot resume after {state['n']} elements: run again, the generator gave others ({what})",
            hint="make the generator yield the same elements in the same order each time: seed it, sort file lists",
        ) from None

    def close(self) -> None:
        close = getattr(self.values, "close", None)
        if close is not None:
            close()
