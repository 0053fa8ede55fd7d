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
from corenn.graph.graph import building
from corenn.graph.kinds import PlaceholderKind
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.data import nodes
from corenn_tensorflow.data.elements import (
    Leaf,
    TensorSpec,
    dtype_of,
    graph_leaves,
    host,
    known_of,
    padded,
    structured,
    tensors,
)
from corenn_tensorflow.framework import TFGraph, convert_to_tensor
from corenn_tensorflow.keras import world
from corenn_tensorflow.shapes import TensorShape


class Source:
    """Arrays that may be tensors of a graph, whose values each iterator's initialisation brings."""

    def __init__(self, structure: Any) -> None:
        self.structure = structure
        self.symbols = graph_leaves(structure)
        self.values: list[Any] | None = None if self.symbols else []

    def arrays(self) -> Any:
        """The arrays on the host."""
        if self.values is None:
            from corenn_tensorflow.keras.session import get_session

            self.values = [host(v) for v in get_session().run(self.symbols)]
        left = iter(self.values)
        return tree.tree_map(lambda leaf: next(left) if any(leaf is s for s in self.symbols) else leaf, self.structure)


class Dataset:
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
            tensors = np.asarray(tensors) if not _ragged_text(tensors) else np.asarray(tensors, object)
        source = Source(_leaves(tensors))
        known = tree.tree_map(lambda a: _leaf(a).row(), source.structure)
        return _new(nodes.Slices(source.arrays), known, (source,))

    @staticmethod
    def from_tensors(tensors: Any, name: str | None = None) -> Any:
        """One element."""
        source = Source(_leaves(tensors))
        return _new(nodes.Once(source.arrays), tree.tree_map(_leaf, source.structure), (source,))

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
                yield _typed(value, output_types, types)

        known = None
        if output_types is not None:
            shapes = (
                [None] * len(types or ()) if output_shapes is None else _shape_list(output_shapes, len(types or ()))
            )
            listed = iter([Leaf((_extents(s), dtype_of(t))) for s, t in zip(shapes, types or (), strict=True)])
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
        patterns = [_text(p) for p in listed]
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
        return self._then(nodes.Map(self._node, lambda e: _applied(map_func, e)), _Later(self, map_func))

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Any:
        """The elements for which ``predicate`` is true."""
        return self._then(nodes.Filter(self._node, lambda e: bool(np.asarray(_applied(predicate, e)))))

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
                made = _call(map_func, element)
            if not isinstance(made, Dataset):
                raise TypeError(f"`map_func` must return a `Dataset` object. Got {type(made)}")
            return made._node

        stage = nodes.Interleave(self._node, node, cycle, int(block_length or 1))
        return self._then(stage, _Inner(self, map_func))

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
            lambda: itertools.takewhile(lambda e: bool(np.asarray(_applied(predicate, e))), node.elements())
        ))  # fmt: skip

    # ---- batches

    def batch(
        self, batch_size: Any, drop_remainder: Any = False, num_parallel_calls: Any = None, deterministic: Any = None,
        name: str | None = None,
    ) -> Any:  # fmt: skip
        """``batch_size`` elements stacked."""
        size, drop = _int(batch_size), bool(drop_remainder)
        known = _Mapped(self, lambda leaf: leaf.batched(size if drop else None))
        return self._then(nodes.Batch(self._node, size, drop), known)

    def padded_batch(
        self, batch_size: Any, padded_shapes: Any = None, padding_values: Any = None, drop_remainder: Any = False,
        name: str | None = None,
    ) -> Any:  # fmt: skip
        """``batch_size`` elements filled up to one shape and stacked."""
        size, drop = _int(batch_size), bool(drop_remainder)
        stage = nodes.Batch(self._node, size, drop, lambda e: padded(e, padded_shapes, padding_values))
        return self._then(stage, _Mapped(self, lambda leaf: leaf.loose().batched(size if drop else None)))

    def unbatch(self, name: str | None = None) -> Any:
        """The rows of each element."""
        return self._then(nodes.Unbatch(self._node), _Mapped(self, Leaf.row))

    def window(
        self, size: Any, shift: Any = None, stride: Any = 1, drop_remainder: bool = False, name: str | None = None
    ) -> Any:
        """Datasets of ``size`` elements each."""
        count, step, apart = _int(size), _int(size if shift is None else shift), _int(stride)
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
        return self._then(nodes.Shuffle(self._node, _int(buffer_size), None if seed is None else _int(seed), again))

    def repeat(self, count: Any = None, name: str | None = None) -> Any:
        """``count`` passes, or passes without end."""
        return self._then(nodes.Repeat(self._node, None if count is None else _int(count)))

    def take(self, count: Any, name: str | None = None) -> Any:
        """The first ``count`` elements; -1: all."""
        return self._then(nodes.Window(self._node, 0, _int(count)))

    def skip(self, count: Any, name: str | None = None) -> Any:
        """All but the first ``count`` elements; -1: none are left."""
        number = _int(count)
        return self._then(nodes.Window(self._node, number, None) if number >= 0 else nodes.Window(self._node, 0, 0))

    def shard(self, num_shards: Any, index: Any, name: str | None = None) -> Any:
        """Every ``num_shards``-th element, from ``index``."""
        return self._then(nodes.Window(self._node, _int(index), None, _int(num_shards)))

    def concatenate(self, dataset: Any, name: str | None = None) -> Any:
        """The elements of this dataset, then those of another."""
        made = self._then(nodes.Concatenate(self._node, dataset._node), _Joined(self, dataset))
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
        if isinstance(self._known, (_Later, _Mapped, _Inner, _Joined)):
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

        if node.size() == nodes.INFINITE:
            return CoreDataset.from_generator(elements).repeat()
        return CoreDataset.from_generator(elements)

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


def _int(value: Any) -> int:
    if graph_leaves(value):
        from corenn_tensorflow.keras.session import get_session

        value = get_session().run(value)
    return int(np.asarray(host(value)))


def _text(value: Any) -> str:
    found = host(value) if isinstance(value, Tensor) else value
    found = found.reshape(()).item() if isinstance(found, np.ndarray) else found
    return found.decode() if isinstance(found, bytes) else str(found)


def _ragged_text(value: Any) -> bool:
    return any(isinstance(v, (str, bytes)) for v in value)


def _leaves(structure: Any) -> Any:
    """Arrays on the host in the places of everything but graph tensors and sparse tensors."""
    if isinstance(structure, dict):
        return {k: _leaves(v) for k, v in structure.items()}
    if isinstance(structure, tuple):
        made = [_leaves(v) for v in structure]
        return type(structure)(*made) if hasattr(structure, "_fields") else tuple(made)
    if graph_leaves(structure):
        return convert_to_tensor(structure)
    if hasattr(structure, "to_dict") and hasattr(structure, "columns"):  # a frame
        return np.asarray(structure)
    found = host(structure)
    return found


def _leaf(array: Any) -> Leaf:
    if graph_leaves(array):
        return Leaf((array.extents, array.dtype))
    if isinstance(array, np.ndarray):
        dtype = dtypes.string if array.dtype == object else dtypes.as_dtype(array.dtype)
        return Leaf((array.shape, dtype))
    return Leaf((None, getattr(array, "dtype", dtypes.float32)))


def _call(function: Callable[..., Any], element: Any) -> Any:
    made = tensors(element)
    if isinstance(made, tuple) and not hasattr(made, "_fields"):
        return function(*made)
    return function(made)


def _applied(function: Callable[..., Any], element: Any) -> Any:
    with world.eagerly():
        return structured(_call(function, element))


def _typed(value: Any, types: Any, flat: list[Any] | None) -> Any:
    """A yielded value as an element of the stated dtypes."""
    if flat is None:
        return structured(value)
    if not isinstance(types, (tuple, list, dict)):
        return _cast(value, flat[0])
    if isinstance(types, dict):
        return {k: _typed(value[k], t, tree.leaves(t)) for k, t in types.items()}
    return tuple(_typed(v, t, tree.leaves(t)) for v, t in zip(value, types, strict=True))


def _cast(value: Any, dtype: Any) -> Any:
    wanted = dtype_of(dtype)
    if wanted is dtypes.string:
        return host(convert_to_tensor(value))
    return np.asarray(host(value)).astype(wanted.numpy)


def _shape_list(shapes: Any, count: int) -> list[Any]:
    from corenn_tensorflow.data.elements import _shapes

    return _shapes(shapes, count)


def _extents(shape: Any) -> Any:
    if shape is None:
        return None
    if isinstance(shape, TensorShape):
        return shape.extents
    return tuple(None if n is None or getattr(n, "value", n) is None else int(n) for n in shape)


def _datasets(structure: Any) -> list[Any]:
    if isinstance(structure, Dataset):
        return [structure]
    listed = structure.values() if isinstance(structure, dict) else structure
    return [d for inner in listed for d in _datasets(inner)]


def _of_list(items: list[Any], known: Any) -> Any:
    return _new(nodes.Iterated(lambda: iter(items), len(items)), None if isinstance(known, (tuple, dict)) else known)


class _Trace(TFGraph):
    """The graph that a function of elements is traced in."""


class _Later:
    """What is known of the results of a function: found when it is asked for."""

    def __init__(self, dataset: Any, function: Callable[..., Any]) -> None:
        self.dataset, self.function = dataset, function
        here = building()  # a function that makes datasets is being traced: this one may use its tensors
        self.home = here if isinstance(here, _Trace) else None

    def found(self) -> Any:
        """Trace the function on placeholders in a graph of its own; where that fails, look at an element."""
        result = self.traced()
        if isinstance(result, Exception):
            if any(source.symbols for source in self.dataset._sources):  # no element can be had before a run
                raise result
            return None
        graph = getattr(result, "graph", None)
        return None if graph is None and result is None else tree.tree_map(_traced_leaf, _structured(result))

    def traced(self) -> Any:
        """What the function returns in a graph."""
        known = self.dataset._known_now
        if known is None:
            return None
        graph = _Trace() if self.home is None else self.home
        with graph.as_default():
            made = tree.tree_map(
                lambda leaf: graph.add(PlaceholderKind(), [], [leaf.known], name="element").outputs[0], known
            )
            try:
                if isinstance(made, tuple) and not hasattr(made, "_fields"):
                    return self.function(*made)
                return self.function(made)
            except Exception as error:
                return error


def _structured(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _structured(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(_structured(v) for v in value)
    return convert_to_tensor(value) if isinstance(value, list) else value


def _traced_leaf(value: Any) -> Leaf:
    if isinstance(value, Tensor):
        return Leaf((value.extents if hasattr(value, "extents") else value.spec.shape, value.dtype))
    if isinstance(value, Dataset):
        return Leaf((None, dtypes.float32))
    return _leaf(host(value))


class _Mapped:
    def __init__(self, dataset: Any, function: Callable[[Leaf], Leaf]) -> None:
        self.dataset, self.function = dataset, function

    def found(self) -> Any:
        """Leaf by leaf."""
        known = self.dataset._known_now
        return None if known is None else tree.tree_map(self.function, known)


class _Inner(_Later):
    def found(self) -> Any:
        """What is known of the dataset that the function makes."""
        made = self.traced()
        return made._known_now if isinstance(made, Dataset) else None


class _Joined:
    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second

    def found(self) -> Any:
        """What both have in common."""
        a, b = self.first._known_now, self.second._known_now
        if a is None or b is None:
            return a or b
        other = iter(tree.leaves(b))

        def common(leaf: Leaf) -> Leaf:
            theirs = next(other)
            if leaf.extents is None or theirs.extents is None or len(leaf.extents) != len(theirs.extents):
                return Leaf((None, leaf.dtype))
            both = zip(leaf.extents, theirs.extents, strict=True)
            return Leaf((tuple(m if m == n else None for m, n in both), leaf.dtype))

        return tree.tree_map(common, a)


__all__ = ["Dataset", "DatasetV1", "Options", "Source", "TensorSpec"]
