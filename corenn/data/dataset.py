"""``Dataset``: the public face of the pipeline; every method returns a new dataset and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from corenn.data.cache import Cache, FileCache
from corenn.data.combine import Concatenate, Interleave, Zip, zipped
from corenn.data.iterator import DatasetIterator
from corenn.data.order import Repeat, Shuffle, Window
from corenn.data.parallel import ParallelMap, Prefetch
from corenn.data.protocol import INFINITE, UNKNOWN, Node, positive
from corenn.data.sources import Generator, Range, Slices
from corenn.data.structure import Element, Mismatch, stack
from corenn.data.transforms import Batch, Filter, Map, PaddedBatch, Unbatch
from corenn.errors import DataError, UsageError


class UnknownLengthError(DataError, TypeError):
    """``len()`` of a dataset that is endless, or whose length shows only when it is read."""


class Dataset:
    """A sequence of elements, read lazily, whose order is a function of its seeds and the epoch.

    An *element* is an array, or a tuple or dict (nested) of arrays; on the host, as NumPy arrays, and NumPy scalars
    where the rank is 0.  Arrays keep their dtype; Python floats become float32.  Elements of ``from_tensor_slices``
    and of caches are read-only views, batches are arrays of their own.

    Reading a dataset starts an epoch: ``iter(dataset)`` reads epoch ``dataset.epoch`` and adds one to it, so the order
    changes from one loop to the next where ``shuffle`` is to reshuffle.  Set ``epoch`` to choose; it belongs to the
    dataset that is iterated and has no effect on those derived from it.

    The iterator's position can be saved and restored (``state_dict``, ``load_state_dict``).

    Functions given to ``map``, ``filter`` and ``interleave`` get the components of a tuple as separate arguments.
    They must depend on their arguments alone, for an element may be computed again.
    """

    def __init__(self, node: Node) -> None:
        """For the use of the methods below; start with a ``from_`` method or ``range``."""
        if not hasattr(node, "cardinality"):
            raise UsageError("Dataset", f"is not made of a {type(node).__name__}",
                             hint="Dataset.from_tensor_slices(arrays), or from_generator(function)")  # fmt: skip
        self._node = node
        self.epoch = 0

    # ---- sources

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        """One element for each row of arrays, given in tuples or dicts (nested) of the same structure as the elements.

        Anything with ``__array__`` is an array, a list too.  Nothing is copied.  Raises ``ShapeError`` when the first
        axes differ in length or an array has none, ``DTypeError`` for Python objects.
        """
        return Dataset(Slices(tensors))

    @staticmethod
    def from_generator(function: Callable[[], Iterable[Any]], signature: Any = None) -> Dataset:
        """What the iterable returned by ``function()`` yields; it is called once for each epoch.

        ``signature``: the structure of the elements, with an ``ArraySpec`` for each array; yields are checked against
        it, and Python numbers take its dtypes.  Without it they must have the structure of the first.  To restore a
        position the generator is run again from the start, so it must yield the same each time; a checksum of the last
        element is compared.  Raises ``DataError``, ``ShapeError`` or ``DTypeError`` for a yield that does not fit.
        """
        return Dataset(Generator(function, signature))

    @staticmethod
    def range(start: int, stop: int | None = None, step: int = 1) -> Dataset:
        """The integers of Python's ``range`` with the same arguments, as int64 scalars."""
        return Dataset(Range(0, start, step) if stop is None else Range(start, stop, step))

    @staticmethod
    def zip(*datasets: Any) -> Dataset:
        """Elements side by side, until the shortest dataset ends.

        ``datasets``: several give tuples; one tuple or dict (nested) of datasets gives elements of that structure.
        """
        if len(datasets) == 1 and isinstance(datasets[0], Dataset):
            raise UsageError("Dataset.zip", "there is only one dataset", hint="Dataset.zip(a, b), not a.zip(b)")
        structure, found = zipped(datasets[0] if len(datasets) == 1 else datasets)
        wrong = [type(part).__name__ for part in found if not isinstance(part, Dataset)]
        if wrong or not found:
            raise UsageError("Dataset.zip", "datasets are needed", {"got": ", ".join(wrong) or "nothing"})
        return Dataset(Zip(structure, [part._node for part in found]))

    # ---- elements

    def map(self, function: Callable[..., Any], num_parallel: int | None = None, deterministic: bool = True) -> Dataset:
        """``function`` of each element.

        ``num_parallel``: the number of threads that call it (``None``: none, it is called as elements are asked for).
        With ``deterministic=False`` threads deliver in the order in which they finish, and the position cannot be
        saved.  Put ``shuffle`` before a parallel map: it then permutes positions, not computed elements.
        """
        if num_parallel is None:
            return Dataset(Map(self._node, function))
        threads = positive("Dataset.map", "num_parallel", num_parallel)
        return Dataset(ParallelMap(self._node, function, threads, deterministic))

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """The elements for which ``predicate`` is true."""
        return Dataset(Filter(self._node, predicate))

    def enumerate(self, start: int = 0) -> Dataset:
        """Tuples of a counter (int64) and the element."""
        return Dataset(Zip((0, 1), [Range(start, None, 1), self._node], "enumerate"))

    # ---- batches

    def batch(self, batch_size: int, drop_remainder: bool = False) -> Dataset:
        """Stacks ``batch_size`` consecutive elements along a new first axis; the last batch may be smaller.

        Over array sources each batch is one gather by index, through ``shuffle``, ``repeat``, ``take`` and so on.
        Raises ``ShapeError`` or ``DTypeError`` when elements differ.
        """
        return Dataset(Batch(self._node, positive("Dataset.batch", "batch_size", batch_size), bool(drop_remainder)))

    def padded_batch(
        self, batch_size: int, padded_shapes: Any = None, padding_values: Any = 0, drop_remainder: bool = False
    ) -> Dataset:
        """Batches of elements of different shape, filled up at the end of each axis with ``padding_values``.

        ``padded_shapes``: in the structure of an element, the shape of each array, in which ``None`` is the longest in
        the batch; ``None`` instead of a shape, or of everything, pads all axes to the longest.  ``padding_values``: a
        number, or one for each array.  Raises ``ShapeError`` when an element is larger than its shape.
        """
        size = positive("Dataset.padded_batch", "batch_size", batch_size)
        return Dataset(PaddedBatch(self._node, size, padded_shapes, padding_values, bool(drop_remainder)))

    def unbatch(self) -> Dataset:
        """The rows of each element as elements."""
        return Dataset(Unbatch(self._node))

    # ---- order

    def shuffle(
        self, buffer_size: int | None = None, seed: int | None = None, reshuffle_each_iteration: bool = True
    ) -> Dataset:
        """A random order, drawn from (``seed``, epoch) with Philox; the same on every machine and backend.

        ``buffer_size`` ``None``, or at least the size: a uniform permutation of all elements.  Otherwise consecutive
        windows of ``buffer_size`` elements are permuted each on its own.  Where all sources are arrays (through
        ``map``, ``batch`` and so on, but not through stages with threads, filters or generators) only positions are
        permuted, and memory does not depend on ``buffer_size``; elsewhere that many elements are held.

        ``seed`` ``None``: drawn here from the default generator of ``corenn.random``, and kept in saved positions.
        ``reshuffle_each_iteration=False``: the order of epoch 0 in every epoch.  Raises ``DataError`` for a whole
        shuffle of an endless dataset.
        """
        buffer = None if buffer_size is None else positive("Dataset.shuffle", "buffer_size", buffer_size)
        return Dataset(Shuffle(self._node, buffer, seed, bool(reshuffle_each_iteration)))

    def repeat(self, count: int | None = None) -> Dataset:
        """The dataset ``count`` times, or without end; every repetition is an epoch of its own to ``shuffle``."""
        return Dataset(Repeat(self._node, None if count is None else positive("Dataset.repeat", "count", count)))

    def take(self, count: int) -> Dataset:
        """The first ``count`` elements, or all if there are fewer."""
        return Dataset(Window(self._node, 0, positive("Dataset.take", "count", count, least=0), "take"))

    def skip(self, count: int) -> Dataset:
        """All but the first ``count`` elements."""
        return Dataset(Window(self._node, positive("Dataset.skip", "count", count, least=0), None, "skip"))

    def concatenate(self, *others: Dataset) -> Dataset:
        """The elements of this dataset, then those of the others, which must have the same structure."""
        wrong = [type(other).__name__ for other in others if not isinstance(other, Dataset)]
        if wrong:
            raise UsageError("Dataset.concatenate", "datasets are needed", {"got": ", ".join(wrong)})
        return Dataset(Concatenate(self._node, *(other._node for other in others)))

    def interleave(self, function: Callable[..., Dataset], cycle_length: int = 4, block_length: int = 1) -> Dataset:
        """The elements of the datasets that ``function`` makes of elements, ``cycle_length`` of them open at a time.

        ``block_length`` elements are taken from each in turn; one that ends makes room for the next when its turn
        comes again.
        """
        cycle = positive("Dataset.interleave", "cycle_length", cycle_length)
        block = positive("Dataset.interleave", "block_length", block_length)
        return Dataset(Interleave(self._node, function, cycle, block))

    # ---- speed

    def cache(self, directory: str | os.PathLike[str] | None = None) -> Dataset:
        """Computes each element once and keeps it, in memory or in ``directory`` (.npy files, mapped when read).

        In memory, elements are kept as they are first asked for.  A directory is written whole before the first
        element is given, appears only when complete, and is used again by later processes that build the same
        pipeline; ``DataError`` if it is damaged or holds another.  What is before the cache is read as epoch 0 only, so
        ``shuffle`` belongs behind it.
        """
        return Dataset(Cache(self._node) if directory is None else FileCache(self._node, directory))

    def prefetch(self, count: int = 2) -> Dataset:
        """Computes up to ``count`` elements ahead in a thread.

        Errors are raised where the element is asked for.  The position of the iterator is that of the elements it has
        given, not of those waiting.
        """
        return Dataset(Prefetch(self._node, positive("Dataset.prefetch", "count", count)))

    # ---- what it is

    def cardinality(self) -> int:
        """The number of elements of an epoch, or ``corenn.data.INFINITE`` or ``corenn.data.UNKNOWN``."""
        return self._node.cardinality()

    def __len__(self) -> int:
        n = self._node.cardinality()
        if n < 0:
            what = "never ends" if n == INFINITE else "has a length that shows only when it is read"
            raise UnknownLengthError(
                "Dataset.__len__", f"this dataset {what}", hint="ask cardinality(), or take(n) elements"
            )
        return n

    def __bool__(self) -> bool:
        return True

    @property
    def element_spec(self) -> Any:
        """The structure of an element, with an ``ArraySpec`` for each array.

        Behind ``map``, ``interleave`` and generators without a signature it is that of one sample, which is computed.
        Raises ``DataError`` when there is none.
        """
        return self._node.spec()

    def __repr__(self) -> str:
        size = {INFINITE: "endless", UNKNOWN: "unknown length"}.get(
            self.cardinality(), f"{self.cardinality()} elements"
        )
        return f"<Dataset {size}: {self._node.signature()}>"

    # ---- reading

    def __iter__(self) -> DatasetIterator:
        epoch = self.epoch
        self.epoch = epoch + 1
        return DatasetIterator(self, epoch)

    def iterator(self, epoch: int | None = None) -> DatasetIterator:
        """An iterator over a given epoch, which leaves ``self.epoch`` alone; without it the same as ``iter``."""
        return iter(self) if epoch is None else DatasetIterator(self, epoch)

    def as_numpy(self) -> Element:
        """All elements of the next epoch, stacked; with a single gather over array sources.

        Raises ``DataError`` for an endless or empty dataset, ``ShapeError`` or ``DTypeError`` when elements differ.
        """
        if self.cardinality() == INFINITE:
            raise self._node.error(DataError, "an endless dataset does not fit in memory", hint="take(n) first")
        epoch, self.epoch = self.epoch, self.epoch + 1
        try:
            access = self._node.access(epoch)
            if access is not None and access.size is not None:
                return access.gather(range(access.size))
            with DatasetIterator(self, epoch) as elements:
                return stack(list(elements))
        except Mismatch as mismatch:
            raise mismatch.error("Dataset.as_numpy", None, "read the dataset element by element instead") from None
