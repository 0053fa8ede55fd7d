"""``tf.data.Dataset``.

A dataset is a stage of a pipeline on the host (``nodes``), and what is known of its elements.  Users' functions get
tensors and run eagerly, also in generation 1: there their results' dtypes and shapes are found once, by tracing them in
a graph of their own.
"""

from __future__ import annotations

import glob as globbing
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from corenn import dtypes, tree
from corenn.data import Dataset as CoreDataset
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.data import nodes
from corenn_tensorflow.data.elements import (
    Leaf,
    TensorSpec,
    dtype_of,
    host,
    known_of,
    padded,
    structured,
    tensors,
)
from corenn_tensorflow.data.known import Inner, Joined, Later, Mapped
from corenn_tensorflow.data.moved import Moved
from corenn_tensorflow.data.sources import (
    AsTheyAre,
    Source,
    applied,
    arrays_of,
    called,
    extents_of,
    holds_text,
    integer,
    leaf_of,
    text_of,
    typed,
)
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.keras import world
from corenn_tensorflow.shapes import TensorShape


class Dataset(Moved):
    """A sequence of elements: tensors, or tuples and dicts of them."""

    def __init__(self, node: nodes.Node, known: Any = None, sources: tuple[Source, ...] = ()) -> None:
        self._node, self._known, self._sources = node, known, sources

    def _then(self, node: nodes.Node, known: Any = None) -> Any:
        made = object.__new__(_plain_class(type(self)))
        Dataset.__init__(made, node, known if known is not None else self._known, self._sources)
        return made

    # ---- sources

    @staticmethod
    def from_tensor_slices(tensors: Any, name: str | None = None) -> Any:
        """One element for each row of arrays."""
        if isinstance(tensors, list) and not any(isinstance(t, Tensor) for t in tensors):
            tensors = np.asarray(tensors, object) if holds_text(tensors) else host(tensors)
        source = Source(arrays_of(tensors))
        known = tree.tree_map(lambda a: leaf_of(a).row(), source.structure)
        return _new(nodes.Slices(source.arrays), known, (source,))

    @staticmethod
    def from_tensors(tensors: Any, name: str | None = None) -> Any:
        """One element."""
        source = Source(arrays_of(tensors))
        return _new(nodes.Once(source.arrays), tree.tree_map(leaf_of, source.structure), (source,))

    @staticmethod
    def from_generator(
        generator: Callable[..., Any], output_types: Any = None, output_shapes: Any = None, args: Any = None,
        output_signature: Any = None, name: str | None = None,
    ) -> Any:  # fmt: skip
        """What the iterable that ``generator(*args)`` returns yields; it is called for each pass."""
        if not callable(generator):
            raise TypeError("generator must be callable.")
        if output_signature is not None:
            output_types = tree.tree_map(lambda s: s.dtype, output_signature)
            output_shapes = tree.tree_map(lambda s: s.shape, output_signature)
        given = tuple(np.asarray(host(a)) for a in args or ())
        types = None if output_types is None else tree.leaves(output_types)

        def elements() -> Iterator[Any]:
            with world.eagerly():
                source = iter(generator(*given))
            while True:
                try:
                    with world.eagerly():
                        value = next(source)
                except StopIteration:
                    return
                yield typed(value, output_types, types)

        known = None
        if output_types is not None:
            shapes = (
                [None] * len(types or ()) if output_shapes is None else _shape_list(output_shapes, len(types or ()))
            )
            listed = iter([Leaf((extents_of(s), dtype_of(t))) for s, t in zip(shapes, types or (), strict=True)])
            known = tree.tree_map(lambda _: next(listed), output_types)
        return _new(nodes.Iterated(elements), known)

    @staticmethod
    def range(*args: Any, output_type: Any = dtypes.int64, name: str | None = None) -> Any:
        """The integers of Python's ``range``."""
        numbers = range(*[int(np.asarray(host(a))) for a in args])
        kind = dtype_of(output_type).numpy
        node = nodes.Iterated(lambda: iter([np.asarray(i, kind) for i in numbers]), len(numbers))
        return _new(node, Leaf(((), dtype_of(output_type))))

    @staticmethod
    def zip(*args: Any, datasets: Any = None, name: str | None = None) -> Any:
        """Elements of several datasets side by side."""
        structure = datasets if datasets is not None else args[0] if len(args) == 1 else args
        found = _datasets(structure)
        known = None
        if all(d._known is not None for d in found):
            known = nodes.placed(structure, iter([d._known for d in found]))
        made = _new(nodes.Zip(structure, [d._node for d in found]), known, tuple(s for d in found for s in d._sources))
        return made

    @staticmethod
    def list_files(file_pattern: Any, shuffle: Any = None, seed: Any = None, name: str | None = None) -> Any:
        """Names of files that match patterns, shuffled unless ``shuffle=False``."""
        listed = [file_pattern] if isinstance(file_pattern, (str, bytes, Tensor)) else list(file_pattern)
        patterns = [text_of(p) for p in listed]
        names = sorted(n for p in patterns for n in globbing.glob(p))
        if not names:
            from corenn_tensorflow import errors

            raise errors.InvalidArgumentError(None, None, f"No files matched pattern: {', '.join(patterns)}")
        made = Dataset.from_tensor_slices(np.asarray([n.encode() for n in names], object))
        return made if shuffle is False else made.shuffle(len(names), seed=seed)

    # ---- elements

    def map(
        self, map_func: Callable[..., Any], num_parallel_calls: Any = None, deterministic: Any = None,
        synchronous: Any = None, use_unbounded_threadpool: Any = None, name: str | None = None,
        num_threads: Any = None, output_buffer_size: Any = None,
    ) -> Any:  # fmt: skip
        """``map_func`` of each element."""
        return self._then(nodes.Map(self._node, lambda e: applied(map_func, e)), Later(self, map_func))

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Any:
        """The elements for which ``predicate`` is true."""
        return self._then(nodes.Filter(self._node, lambda e: bool(np.asarray(applied(predicate, e)))))

    def flat_map(self, map_func: Callable[..., Any], name: str | None = None) -> Any:
        """The elements of the datasets that ``map_func`` makes, one after another."""
        return self.interleave(map_func, 1, 1)

    def interleave(
        self, map_func: Callable[..., Any], cycle_length: Any = None, block_length: int = 1,
        num_parallel_calls: Any = None, deterministic: Any = None, name: str | None = None,
    ) -> Any:  # fmt: skip
        """The elements of the datasets that ``map_func`` makes, some of them open at a time."""
        cycle = 16 if cycle_length is None or int(cycle_length) < 1 else int(cycle_length)

        def node(element: Any) -> nodes.Node:
            with world.eagerly():
                made = called(map_func, element)
            if not isinstance(made, Dataset):
                raise TypeError(f"`map_func` must return a `Dataset` object. Got {type(made)}")
            return made._node

        stage = nodes.Interleave(self._node, node, cycle, int(block_length or 1))
        return self._then(stage, Inner(self, map_func))

    def enumerate(self, start: int = 0, name: str | None = None) -> Any:
        """Pairs of a number and the element."""
        import itertools

        counter = Dataset(nodes.Iterated(lambda: (np.asarray(i, np.int64) for i in itertools.count(int(start))), -1),
                          Leaf(((), dtypes.int64)))  # fmt: skip
        return Dataset.zip((counter, self))

    def apply(self, transformation_func: Callable[[Any], Any]) -> Any:
        """``transformation_func(self)``."""
        return transformation_func(self)

    def reduce(self, initial_state: Any, reduce_func: Callable[..., Any], name: str | None = None) -> Any:
        """``state = reduce_func(state, element)`` over all elements."""
        with world.eagerly():
            state = tree.tree_map(convert_to_tensor, initial_state)
            for element in self._node.elements():
                state = reduce_func(state, tensors(element))
                if not isinstance(state, (tuple, dict)):
                    state = convert_to_tensor(state)
        return state if mode.executing_eagerly() else tree.tree_map(lambda t: convert_to_tensor(t.numpy()), state)

    def scan(self, initial_state: Any, scan_func: Callable[..., Any], name: str | None = None) -> Any:
        """``state, out = scan_func(state, element)``; the outs."""

        def elements() -> Iterator[Any]:
            with world.eagerly():
                state = tree.tree_map(convert_to_tensor, initial_state)
            for element in self._node.elements():
                with world.eagerly():
                    state, out = scan_func(state, tensors(element))
                    made = structured(out)
                yield made

        return _new(nodes.Iterated(elements), None, self._sources)

    def take_while(self, predicate: Callable[..., Any], name: str | None = None) -> Any:
        """The elements up to the first for which ``predicate`` is false."""
        import itertools

        node = self._node
        return self._then(nodes.Iterated(
            lambda: itertools.takewhile(lambda e: bool(np.asarray(applied(predicate, e))), node.elements())
        ))  # fmt: skip

    # ---- batches

    def batch(
        self, batch_size: Any, drop_remainder: Any = False, num_parallel_calls: Any = None, deterministic: Any = None,
        name: str | None = None,
    ) -> Any:  # fmt: skip
        """``batch_size`` elements stacked."""
        size, drop = integer(batch_size), bool(drop_remainder)
        known = Mapped(self, lambda leaf: leaf.batched(size if drop else None))
        return self._then(nodes.Batch(self._node, size, drop), known)

    def padded_batch(
        self, batch_size: Any, padded_shapes: Any = None, padding_values: Any = None, drop_remainder: Any = False,
        name: str | None = None,
    ) -> Any:  # fmt: skip
        """``batch_size`` elements filled up to one shape and stacked."""
        size, drop = integer(batch_size), bool(drop_remainder)
        stage = nodes.Batch(self._node, size, drop, lambda e: padded(e, padded_shapes, padding_values))
        return self._then(stage, Mapped(self, lambda leaf: leaf.loose().batched(size if drop else None)))

    def unbatch(self, name: str | None = None) -> Any:
        """The rows of each element."""
        return self._then(nodes.Unbatch(self._node), Mapped(self, Leaf.row))

    def window(
        self, size: Any, shift: Any = None, stride: Any = 1, drop_remainder: bool = False, name: str | None = None
    ) -> Any:
        """Datasets of ``size`` elements each."""
        count, step, apart = integer(size), integer(size if shift is None else shift), integer(stride)
        node = self._node

        def elements() -> Iterator[Any]:
            held: list[Any] = []
            source, ended, skip = node.elements(), False, 0
            span = (count - 1) * apart + 1
            while True:
                while not ended and len(held) < span:
                    try:
                        value = next(source)
                    except StopIteration:
                        ended = True
                        break
                    if skip:
                        skip -= 1
                    else:
                        held.append(value)
                found = held[:span:apart]
                if not found or (drop_remainder and len(found) < count):
                    return
                first = found[0]
                if isinstance(first, (tuple, dict)):
                    columns = zip(*[tree.leaves(e) for e in found], strict=True)
                    yield tree.rebuild(first, iter([_of_list(list(c), self._known_now) for c in columns]))
                else:
                    yield _of_list(found, self._known_now)
                skip = max(0, step - len(held))
                held = held[step:]

        return _new(nodes.Iterated(elements), None, self._sources)

    # ---- order

    def shuffle(
        self, buffer_size: Any, seed: Any = None, reshuffle_each_iteration: Any = None, name: str | None = None
    ) -> Any:
        """A random order, by a buffer of ``buffer_size`` elements."""
        again = True if reshuffle_each_iteration is None else bool(reshuffle_each_iteration)
        return self._then(
            nodes.Shuffle(self._node, integer(buffer_size), None if seed is None else integer(seed), again)
        )

    def repeat(self, count: Any = None, name: str | None = None) -> Any:
        """``count`` passes, or passes without end."""
        return self._then(nodes.Repeat(self._node, None if count is None else integer(count)))

    def take(self, count: Any, name: str | None = None) -> Any:
        """The first ``count`` elements; -1: all."""
        return self._then(nodes.Window(self._node, 0, integer(count)))

    def skip(self, count: Any, name: str | None = None) -> Any:
        """All but the first ``count`` elements; -1: none are left."""
        number = integer(count)
        return self._then(nodes.Window(self._node, number, None) if number >= 0 else nodes.Window(self._node, 0, 0))

    def shard(self, num_shards: Any, index: Any, name: str | None = None) -> Any:
        """Every ``num_shards``-th element, from ``index``."""
        return self._then(nodes.Window(self._node, integer(index), None, integer(num_shards)))

    def concatenate(self, dataset: Any, name: str | None = None) -> Any:
        """The elements of this dataset, then those of another."""
        made = self._then(nodes.Concatenate(self._node, dataset._node), Joined(self, dataset))
        made._sources = (*self._sources, *dataset._sources)
        return made

    # ---- speed, and what is without meaning here

    def cache(self, filename: Any = "", name: str | None = None) -> Any:
        """Keeps elements in memory."""
        return self._then(nodes.Cache(self._node))

    def prefetch(self, buffer_size: Any = None, name: str | None = None) -> Any:
        """The same elements."""
        return self

    def with_options(self, options: Any) -> Any:
        """The same elements."""
        return self

    def options(self) -> Any:
        """No options."""
        return Options()

    def ignore_errors(self, log_warning: bool = False, name: str | None = None) -> Any:
        """The elements that can be computed."""
        node = self._node

        def elements() -> Iterator[Any]:
            source = node.elements()
            while True:
                try:
                    yield next(source)
                except StopIteration:
                    return
                except Exception:
                    if log_warning:
                        print("an element was left out: computing it failed")
                    if hasattr(source, "gi_frame") and source.gi_frame is None:
                        return

        return self._then(nodes.Iterated(elements))

    # ---- what it is

    @property
    def _known_now(self) -> Any:
        """What is known of the elements; found by looking at the first where nobody said."""
        if isinstance(self._known, (Later, Mapped, Inner, Joined)):
            self._known = self._known.found()
        if self._known is None:
            first = next(iter(self._node.elements()), None)
            self._known = None if first is None else tree.tree_map(Leaf.loose, known_of(first))
        return self._known

    @property
    def element_spec(self) -> Any:
        """The structure of an element, with a ``TensorSpec`` for each tensor."""
        return tree.tree_map(lambda leaf: leaf.spec, self._known_now)

    @property
    def output_types(self) -> Any:
        """The structure of an element, with dtypes."""
        return tree.tree_map(lambda leaf: leaf.dtype, self._known_now)

    @property
    def output_shapes(self) -> Any:
        """The structure of an element, with shapes."""
        return tree.tree_map(lambda leaf: TensorShape.of(leaf.extents), self._known_now)

    @property
    def output_classes(self) -> Any:
        """The structure of an element, with classes."""
        return tree.tree_map(lambda leaf: Tensor, self._known_now)

    def cardinality(self) -> Any:
        """The number of elements: -1 for endless, -2 for unknown."""
        return convert_to_tensor(np.asarray(self._node.size(), np.int64))

    def __len__(self) -> int:
        size = self._node.size()
        if size < 0:
            raise TypeError(f"The dataset is {'infinite' if size == nodes.INFINITE else 'of unknown length'}.")
        return size

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        known = self._known_now
        shapes = tree.tree_map(lambda leaf: TensorShape.of(leaf.extents), known)
        types = tree.tree_map(lambda leaf: f"tf.{leaf.dtype.name}", known)
        return f"<{type(self).__name__} shapes: {shapes}, types: {types!s}>".replace("'", "")

    # ---- reading

    def __iter__(self) -> Any:
        if not mode.executing_eagerly() and not world.runs_inline(mode.default_graph()):
            raise RuntimeError("__iter__() is only supported inside of tf.function or when eager execution is enabled.")
        from corenn_tensorflow.data.iterators import EagerIterator

        return EagerIterator(self)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Elements as NumPy arrays."""
        for element in self._node.elements():
            yield tree.tree_map(lambda a: a[()] if isinstance(a, np.ndarray) and not a.ndim else a, element)

    def core_batches(self) -> CoreDataset:
        """The elements, which are batches, as a dataset of corenn's."""
        node = self._node

        def elements() -> Iterator[Any]:
            with world.eagerly():
                for element in node.elements():
                    yield tree.tree_map(lambda a: a.dense() if hasattr(a, "dense") else a, element)

        made = CoreDataset(AsTheyAre(elements, None))
        return made.repeat() if node.size() == nodes.INFINITE else made

    def make_one_shot_iterator(self) -> Any:
        """An iterator over one pass."""
        from corenn_tensorflow.data.iterators import one_shot

        return one_shot(self)

    def make_initializable_iterator(self, shared_name: str | None = None) -> Any:
        """An iterator whose ``initializer`` begins a pass."""
        from corenn_tensorflow.data.iterators import initializable

        return initializable(self)


class DatasetV1(Dataset):
    """The dataset of generation 1."""

    @property
    def batch_size(self) -> None:
        """Unknown."""
        return None


class Options:
    """Settings of a pipeline, none of which changes what it gives."""

    def __init__(self) -> None:
        self.__dict__["_nested"] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.__dict__["_nested"].setdefault(name, Options())

    def merge(self, options: Any) -> Any:
        """Itself."""
        return self


def _plain_class(cls: type) -> type:
    return cls if cls in (Dataset, DatasetV1) else Dataset


def _new(node: nodes.Node, known: Any = None, sources: tuple[Source, ...] = ()) -> Any:
    return Dataset(node, known, sources)


def _shape_list(shapes: Any, count: int) -> list[Any]:
    from corenn_tensorflow.data.elements import _shapes

    return _shapes(shapes, count)


def _datasets(structure: Any) -> list[Any]:
    if isinstance(structure, Dataset):
        return [structure]
    listed = structure.values() if isinstance(structure, dict) else structure
    return [d for inner in listed for d in _datasets(inner)]


def _of_list(items: list[Any], known: Any) -> Any:
    return _new(nodes.Iterated(lambda: iter(items), len(items)), None if isinstance(known, (tuple, dict)) else known)


__all__ = ["Dataset", "DatasetV1", "Options", "Source", "TensorSpec"]
