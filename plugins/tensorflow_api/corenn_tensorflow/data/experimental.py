"""``tf.data.experimental`` and ``tf.contrib.data``: functions for ``Dataset.apply``, and a few of their datasets."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from corenn_tensorflow.data import nodes
from corenn_tensorflow.data.dataset import Dataset, _new
from corenn_tensorflow.data.elements import host, stacked
from corenn_tensorflow.data.iterators import Optional, get_next_as_optional
from corenn_tensorflow.data.readers import CsvDataset, _names
from corenn_tensorflow.data.sources import applied
from corenn_tensorflow.errors import InvalidArgumentError
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.keras import world
from corenn_tensorflow.missing import guard
from corenn_tensorflow.records.files import TFRecordWriter as FileWriter

AUTOTUNE = -1
INFINITE_CARDINALITY, UNKNOWN_CARDINALITY = -1, -2


class TFRecordWriter:
    """Writes a dataset of serialized records to a file."""

    def __init__(self, filename: Any, compression_type: str | None = None) -> None:
        self.filename, self.compression_type = filename, compression_type

    def write(self, dataset: Any) -> None:
        """Write every element, a string each."""
        with FileWriter(self.filename, self.compression_type) as file:
            for element in dataset.as_numpy_iterator():
                if not isinstance(element, bytes):
                    raise TypeError(f"`dataset` must be a dataset of scalar strings, not of {type(element).__name__}")
                file.write(element)


def get_single_element(dataset: Any) -> Any:
    """The element of a dataset of one."""
    found = list(dataset.take(2))
    if len(found) != 1:
        raise InvalidArgumentError(None, None, f"Dataset had {'more than one' if found else 'no'} element.")
    return found[0]


def cardinality(dataset: Any) -> Any:
    """The number of elements."""
    return dataset.cardinality()


def assert_cardinality(expected: int) -> Callable[[Any], Any]:
    """State the number of elements."""
    return lambda dataset: dataset._then(nodes.Iterated(dataset._node.elements, int(expected)))


def shuffle_and_repeat(buffer_size: int, count: Any = None, seed: Any = None) -> Callable[[Any], Any]:
    """Shuffle, then repeat."""
    return lambda dataset: dataset.shuffle(buffer_size, seed).repeat(count)


def map_and_batch(
    map_func: Any, batch_size: int, num_parallel_batches: Any = None, drop_remainder: bool = False,
    num_parallel_calls: Any = None,
) -> Callable[[Any], Any]:  # fmt: skip
    """Map, then batch."""
    return lambda dataset: dataset.map(map_func).batch(batch_size, drop_remainder)


def batch_and_drop_remainder(batch_size: int) -> Callable[[Any], Any]:
    """Whole batches only."""
    return lambda dataset: dataset.batch(batch_size, True)


def unbatch() -> Callable[[Any], Any]:
    """The rows of each element."""
    return lambda dataset: dataset.unbatch()


def enumerate_dataset(start: int = 0) -> Callable[[Any], Any]:
    """Number the elements."""
    return lambda dataset: dataset.enumerate(start)


def ignore_errors(log_warning: bool = False) -> Callable[[Any], Any]:
    """Leave out elements that cannot be computed."""
    return lambda dataset: dataset.ignore_errors(log_warning)


def parallel_interleave(
    map_func: Any, cycle_length: int, block_length: int = 1, **ignored: Any
) -> Callable[[Any], Any]:
    """``Dataset.interleave``."""
    return lambda dataset: dataset.interleave(map_func, cycle_length, block_length)


sloppy_interleave = parallel_interleave


def prefetch_to_device(device: Any, buffer_size: Any = None) -> Callable[[Any], Any]:
    """The same elements."""
    return lambda dataset: dataset


def copy_to_device(target_device: Any, source_device: Any = "/cpu:0") -> Callable[[Any], Any]:
    """The same elements."""
    return lambda dataset: dataset


def scan(initial_state: Any, scan_func: Any) -> Callable[[Any], Any]:
    """``Dataset.scan``."""
    return lambda dataset: dataset.scan(initial_state, scan_func)


def take_while(predicate: Any) -> Callable[[Any], Any]:
    """``Dataset.take_while``."""
    return lambda dataset: dataset.take_while(predicate)


def unique() -> Callable[[Any], Any]:
    """Each value once."""

    def apply(dataset: Any) -> Any:
        def elements() -> Iterator[Any]:
            seen: set[Any] = set()
            for element in dataset._node.elements():
                key = element.item() if hasattr(element, "item") else element
                if key not in seen:
                    seen.add(key)
                    yield element

        return dataset._then(nodes.Iterated(elements))

    return apply


def _grouped(
    key_func: Any, reduce: Callable[[int, list[Any]], Any], size: Callable[[int], int]
) -> Callable[[Any], Any]:
    def apply(dataset: Any) -> Any:
        def elements() -> Iterator[Any]:
            groups: dict[int, list[Any]] = {}
            for element in dataset._node.elements():
                key = int(np.asarray(applied(key_func, element)))
                group = groups.setdefault(key, [])
                group.append(element)
                if len(group) >= size(key):
                    del groups[key]
                    yield from reduce(key, group)
            for key in sorted(groups):
                yield from reduce(key, groups[key])

        return _new(nodes.Iterated(elements), None, dataset._sources)

    return apply


def group_by_window(
    key_func: Any, reduce_func: Any, window_size: Any = None, window_size_func: Any = None
) -> Callable[[Any], Any]:
    """Groups of elements with one key, each made into a dataset by ``reduce_func(key, dataset)``."""

    def reduce(key: int, group: list[Any]) -> Any:
        with world.eagerly():
            made = reduce_func(convert_to_tensor(np.int64(key)), _new(nodes.Iterated(lambda: iter(group), len(group))))
            return list(made._node.elements())

    def size(key: int) -> int:
        return int(window_size if window_size is not None else np.asarray(host(window_size_func(np.int64(key)))))

    return _grouped(key_func, reduce, size)


def bucket_by_sequence_length(
    element_length_func: Any, bucket_boundaries: Any, bucket_batch_sizes: Any, padded_shapes: Any = None,
    padding_values: Any = None, pad_to_bucket_boundary: bool = False, no_padding: bool = False,
    drop_remainder: bool = False,
) -> Callable[[Any], Any]:  # fmt: skip
    """Batches of elements of about one length."""
    from corenn_tensorflow.data.elements import padded

    def key(*element: Any) -> Any:
        length = int(np.asarray(host(element_length_func(*element))))
        return np.int64(np.searchsorted(list(bucket_boundaries), length, side="right"))

    def reduce(bucket: int, group: list[Any]) -> Any:
        if drop_remainder and len(group) < bucket_batch_sizes[bucket]:
            return []
        return [stacked(group) if no_padding else padded(group, padded_shapes, padding_values)]

    return _grouped(key, reduce, lambda bucket: int(bucket_batch_sizes[bucket]))


def rejection_resample(
    class_func: Any, target_dist: Any, initial_dist: Any = None, seed: Any = None
) -> Callable[[Any], Any]:
    """Pairs of class and element, some left out so that the classes are as frequent as ``target_dist`` says.

    Without ``initial_dist`` the present frequencies are those of the elements so far.
    """

    def apply(dataset: Any) -> Any:
        def elements() -> Iterator[Any]:
            drawn = np.random.default_rng(nodes.drawn_seed("draws") if seed is None else seed)
            target = np.asarray(host(target_dist), np.float64)
            counts = np.ones(len(target)) if initial_dist is None else np.asarray(host(initial_dist), np.float64)
            for element in dataset._node.elements():
                found = np.asarray(applied(class_func, element))
                number = int(found)
                if initial_dist is None:
                    counts[number] += 1
                odds = np.divide(target, counts, out=np.zeros_like(target), where=counts > 0)
                if drawn.random() * odds.max() < odds[number]:
                    yield found, element

        return _new(nodes.Iterated(elements), None, dataset._sources)

    return apply


def sample_from_datasets(
    datasets: Any, weights: Any = None, seed: Any = None, stop_on_empty_dataset: bool = False
) -> Any:
    """Elements of several datasets, each next one's dataset drawn at random."""

    def elements() -> Iterator[Any]:
        drawn = np.random.default_rng(nodes.drawn_seed("draws") if seed is None else seed)
        sources = [d._node.elements() for d in datasets]
        odds = np.full(len(sources), 1.0) if weights is None else np.asarray(host(weights), np.float64).copy()
        while odds.sum() > 0:
            chosen = int(drawn.choice(len(sources), p=odds / odds.sum()))
            try:
                yield next(sources[chosen])
            except StopIteration:
                if stop_on_empty_dataset:
                    return
                odds[chosen] = 0.0

    return _new(nodes.Iterated(elements), datasets[0]._known_now)


def choose_from_datasets(datasets: Any, choice_dataset: Any, stop_on_empty_dataset: bool = True) -> Any:
    """Elements of several datasets, as the numbers in ``choice_dataset`` say."""

    def elements() -> Iterator[Any]:
        sources = [d._node.elements() for d in datasets]
        for choice in choice_dataset._node.elements():
            try:
                yield next(sources[int(choice)])
            except StopIteration:
                if stop_on_empty_dataset:
                    return

    return _new(nodes.Iterated(elements), datasets[0]._known_now)


def Counter(start: int = 0, step: int = 1, dtype: Any = "int64") -> Any:
    """Numbers without end."""
    import itertools

    return _new(nodes.Iterated(lambda: (np.asarray(i, np.int64) for i in itertools.count(start, step)), nodes.INFINITE))


class RandomDataset(Dataset):
    """Random int64 numbers without end."""

    def __init__(self, seed: Any = None) -> None:
        def elements() -> Iterator[Any]:
            drawn = np.random.default_rng(nodes.drawn_seed("draws") if seed is None else seed)
            while True:
                yield np.asarray(drawn.integers(0, 2**32), np.int64)

        super().__init__(nodes.Iterated(elements, nodes.INFINITE))


def make_csv_dataset(
    file_pattern: Any, batch_size: int, column_names: Any = None, column_defaults: Any = None, label_name: Any = None,
    select_columns: Any = None, field_delim: str = ",", use_quote_delim: bool = True, na_value: str = "",
    header: bool = True, num_epochs: Any = None, shuffle: bool = True, shuffle_buffer_size: int = 10000,
    shuffle_seed: Any = None, **ignored: Any,
) -> Any:  # fmt: skip
    """Batches of the columns of CSV files as dicts, the label apart."""
    import glob

    names = [n for p in _names(file_pattern) for n in sorted(glob.glob(p))]
    with open(names[0], newline="", encoding="utf-8") as file:
        lines = csv.reader(file, delimiter=field_delim)
        first = next(lines)
        titles = list(column_names) if column_names is not None else first
        sample = [row for _, row in zip(range(100), lines, strict=False)]
    chosen = [titles.index(c) if isinstance(c, str) else int(c) for c in select_columns or titles]
    if column_defaults is None:
        column_defaults = [_guessed([row[i] for row in sample if len(row) > i]) for i in chosen]
    rows = CsvDataset(names, column_defaults, header=header, field_delim=field_delim, na_value=na_value,
                      select_cols=chosen)  # fmt: skip
    keys = [titles[i] for i in chosen]

    def named(*cells: Any) -> Any:
        found = dict(zip(keys, cells, strict=True))
        return (found, found.pop(label_name)) if label_name is not None else found

    made = rows.map(named)
    if shuffle:
        made = made.shuffle(shuffle_buffer_size, shuffle_seed)
    return made.repeat(num_epochs).batch(batch_size, num_epochs is None)


def _guessed(cells: list[str]) -> Any:
    for kind, default in ((int, [0]), (float, [0.0])):
        try:
            for cell in cells:
                if cell:
                    kind(cell)
        except ValueError:
            continue
        return np.asarray(default, np.int32 if kind is int else np.float32)
    return [""]


def make_batched_features_dataset(
    file_pattern: Any, batch_size: int, features: Any, reader: Any = None, label_key: Any = None,
    num_epochs: Any = None, shuffle: bool = True, shuffle_buffer_size: int = 10000, shuffle_seed: Any = None,
    **ignored: Any,
) -> Any:  # fmt: skip
    """Batches of parsed examples from TFRecord files."""
    from corenn_tensorflow.data.readers import TFRecordDataset
    from corenn_tensorflow.records.parsing import parse_example

    made = (reader or TFRecordDataset)(_names(file_pattern))
    if shuffle:
        made = made.shuffle(shuffle_buffer_size, shuffle_seed)

    def parsed(serialized: Any) -> Any:
        found = dict(parse_example(serialized, features))
        return (found, found.pop(label_key)) if label_key is not None else found

    return made.repeat(num_epochs).batch(batch_size, num_epochs is None).map(parsed)


class CheckpointInputPipelineHook:
    """A hook of sessions that would save the position of iterators."""

    def __init__(self, estimator: Any) -> None:
        raise NotImplementedError("positions of iterators are not saved in checkpoints here")


__all__ = [
    "AUTOTUNE", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY", "Counter", "CsvDataset", "Optional", "RandomDataset",
    "TFRecordWriter", "assert_cardinality", "batch_and_drop_remainder", "bucket_by_sequence_length", "cardinality",
    "choose_from_datasets", "copy_to_device", "enumerate_dataset", "get_next_as_optional", "get_single_element",
    "group_by_window", "ignore_errors", "make_batched_features_dataset", "make_csv_dataset", "map_and_batch",
    "parallel_interleave", "prefetch_to_device", "rejection_resample", "sample_from_datasets", "scan",
    "shuffle_and_repeat", "sloppy_interleave", "take_while", "unbatch", "unique",
]  # fmt: skip
__getattr__ = guard(__name__)
