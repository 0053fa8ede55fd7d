"""Iterators over datasets: eager ones, and operations of a graph that give the next element."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from corenn import tree
from corenn.graph.kinds import HostCallKind
from corenn_tensorflow import errors, mode
from corenn_tensorflow.data.dataset import Dataset
from corenn_tensorflow.data.elements import Leaf, TensorSpec, _shapes, dtype_of, host, tensors
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.keras import world
from corenn_tensorflow.shapes import TensorShape

_handles: dict[bytes, Any] = {}
_counter = itertools.count()


def _end() -> errors.OutOfRangeError:
    return errors.OutOfRangeError(None, None, "End of sequence")


class EagerIterator:
    """Elements of one pass as eager tensors."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._elements = dataset._node.elements()

    def __iter__(self) -> EagerIterator:
        return self

    def __next__(self) -> Any:
        with world.eagerly():
            return tensors(next(self._elements))

    next = __next__

    def get_next(self, name: str | None = None) -> Any:
        """The next element; OutOfRangeError at the end."""
        try:
            return next(self)
        except StopIteration:
            raise _end() from None

    @property
    def element_spec(self) -> Any:
        """The structure of an element."""
        return self._dataset.element_spec

    output_types = property(lambda self: self._dataset.output_types)
    output_shapes = property(lambda self: self._dataset.output_shapes)


class Iterator:
    """The state of reading in a graph: a dataset, and a pass over it."""

    def __init__(self, known: Any, dataset: Any = None, one_shot: bool = False) -> None:
        self._known, self._dataset, self._one_shot = known, dataset, one_shot
        self._elements: Any = None
        self._handle = f"iterator_{next(_counter)}".encode()
        _handles[self._handle] = self
        self._initializer: Any = None

    # ---- making

    @staticmethod
    def from_structure(
        output_types: Any, output_shapes: Any = None, shared_name: str | None = None, output_classes: Any = None
    ) -> Iterator:
        """An iterator for datasets of one structure: see ``make_initializer``."""
        return Iterator(_known(output_types, output_shapes))

    @staticmethod
    def from_string_handle(
        string_handle: Any, output_types: Any, output_shapes: Any = None, output_classes: Any = None
    ) -> Iterator:
        """The iterator that a fed handle names."""
        return _ByHandle(string_handle, _known(output_types, output_shapes))

    def make_initializer(self, dataset: Any, name: str | None = None) -> Any:
        """An operation that begins a pass over ``dataset``."""
        return self._begin(dataset, name or "MakeIterator")

    @property
    def initializer(self) -> Any:
        """The operation that begins a pass over the iterator's dataset."""
        if self._dataset is None or self._one_shot:
            raise ValueError("Iterator does not have an initializer.")
        if self._initializer is None:
            self._initializer = self._begin(self._dataset, "MakeIterator")
        return self._initializer

    def _begin(self, dataset: Any, name: str) -> Any:
        graph = mode.default_graph()
        symbols = [s for source in dataset._sources for s in source.symbols]

        def begin(*values: Any) -> list[Any]:
            self._start(dataset, list(values))
            return []

        kind = HostCallKind(begin, type_name="MakeIterator")
        return graph.add(kind, symbols, [], name=name, controls=[])

    def _start(self, dataset: Any, values: list[Any]) -> None:
        for source in dataset._sources:
            count = len(source.symbols)
            if count:
                source.values, values = [host(v) for v in values[:count]], values[count:]
        self._elements = dataset._node.elements()

    # ---- reading

    def get_next(self, name: str | None = None) -> Any:
        """Tensors of the next element; a run raises OutOfRangeError at the end."""
        graph = mode.default_graph()
        leaves = tree.leaves(self._known)
        symbols = [s for source in (self._dataset._sources if self._one_shot else ()) for s in source.symbols]
        made = graph.add(
            HostCallKind(self._next_values, type_name="IteratorGetNext"), symbols, [leaf.known for leaf in leaves],
            name=name or "IteratorGetNext", controls=[],
        )  # fmt: skip
        return tree.rebuild(self._known, iter(made.outputs))

    def _next_values(self, *values: Any) -> list[Any]:
        if self._elements is None:
            if not self._one_shot:
                raise errors.FailedPreconditionError(
                    None, None, "GetNext() failed because the iterator has not been initialized. Ensure that you have "
                    "run the initializer operation for this iterator before getting the next element.",
                )  # fmt: skip
            self._start(self._dataset, list(values))
        return self._taken()

    def next_values(self) -> list[Any]:
        """The arrays of the next element; a pass of a one-shot iterator begins by itself."""
        if self._elements is None and self._one_shot:
            self._elements = self._dataset._node.elements()
        return self._next_values()

    def _taken(self) -> list[Any]:
        try:
            with world.eagerly():
                element = next(self._elements)
        except StopIteration:
            raise _end() from None
        return [np.asarray(leaf) if not isinstance(leaf, np.ndarray) else leaf for leaf in tree.leaves(element)]

    def string_handle(self, name: str | None = None) -> Any:
        """The handle that names it, a string tensor."""
        return convert_to_tensor(self._handle)

    # ---- what it gives

    @property
    def output_types(self) -> Any:
        """Dtypes."""
        return tree.tree_map(lambda leaf: leaf.dtype, self._known)

    @property
    def output_shapes(self) -> Any:
        """Shapes."""
        return tree.tree_map(lambda leaf: TensorShape.of(leaf.extents), self._known)

    @property
    def element_spec(self) -> Any:
        """Specs."""
        return tree.tree_map(lambda leaf: leaf.spec, self._known)

    @property
    def output_classes(self) -> Any:
        """Classes."""
        return tree.tree_map(lambda leaf: TensorSpec, self._known)


class _ByHandle(Iterator):
    """The iterator that a string tensor names when the graph runs."""

    def __init__(self, handle: Any, known: Any) -> None:
        super().__init__(known)
        self._given = handle

    def get_next(self, name: str | None = None) -> Any:
        """Tensors of the next element of the named iterator."""
        graph = mode.default_graph()

        def values(handle: Any) -> list[Any]:
            key = np.asarray(handle).reshape(()).item()
            found = _handles.get(key if isinstance(key, bytes) else str(key).encode())
            if found is None:
                raise errors.InvalidArgumentError(None, None, f"there is no iterator {key!r}")
            return found.next_values()

        kind = HostCallKind(values, type_name="IteratorGetNext")
        made = graph.add(kind, [graph.convert(self._given)], [leaf.known for leaf in tree.leaves(self._known)],
                         name=name or "IteratorGetNext", controls=[])  # fmt: skip
        return tree.rebuild(self._known, iter(made.outputs))


def _known(types: Any, shapes: Any) -> Any:
    flat = tree.leaves(types)
    listed = [None] * len(flat) if shapes is None else _shapes(shapes, len(flat))
    made = iter([
        Leaf((None if s is None else tuple(None if n is None else int(n) for n in s), dtype_of(t)))
        for t, s in zip(flat, listed, strict=True)
    ])  # fmt: skip
    return tree.tree_map(lambda _: next(made), types)


def one_shot(dataset: Any) -> Any:
    """An iterator over one pass of a dataset."""
    if mode.executing_eagerly():
        return EagerIterator(dataset)
    return Iterator(dataset._known_now, dataset, one_shot=True)


def initializable(dataset: Any, shared_name: str | None = None) -> Any:
    """An iterator whose ``initializer`` begins a pass."""
    if mode.executing_eagerly():
        raise RuntimeError("dataset.make_initializable_iterator is not supported when eager execution is enabled.")
    return Iterator(dataset._known_now, dataset)


def get_next_as_optional(iterator: Any) -> Any:
    """The next element, or none: ``has_value()``, ``get_value()``."""
    return Optional(next(iterator, None))


class Optional:
    """A value that may be absent."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def has_value(self) -> Any:
        """Whether it is there."""
        return convert_to_tensor(self._value is not None)

    def get_value(self) -> Any:
        """The value."""
        if self._value is None:
            raise errors.InvalidArgumentError(None, None, "The given optional does not have a value.")
        return self._value


__all__ = ["Dataset", "EagerIterator", "Iterator", "Optional", "get_next_as_optional", "initializable", "one_shot"]
