"""``tensorflow_datasets`` over the data sets that corenn has registered (``corenn datasets``).

::

    (train, test), info = tfds.load("mnist", split=["train", "test"], as_supervised=True, with_info=True)

Sets have the splits ``train`` and ``test`` (``cats_vs_dogs`` only ``train``); slices are written ``train[:80%]``,
``train[100:200]``, ``train+test``, or with the older ``tfds.Split.TRAIN.subsplit(weighted=(80, 10, 10))``.  Elements
are dicts ``{"image", "label"}``, or pairs with ``as_supervised``: images uint8[H, W, C] and labels int64.  The
photographs of ``cats_vs_dogs`` have sizes of their own and are decoded as they are read.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from corenn.errors import UsageError, nearest
from corenn.plugin import registry
from corenn_tensorflow import missing
from corenn_tensorflow.shapes import TensorShape

_SLICE = re.compile(r"\s*(?P<name>[\w-]+)\s*(?:\[\s*(?P<start>-?\d+%?)?\s*:\s*(?P<stop>-?\d+%?)?\s*\])?\s*$")
_PARTS = ("train", "test")
_PICTURES = {"cats_vs_dogs": "corenn_datasets.cats_vs_dogs"}  # sets whose images have sizes of their own


@dataclass(frozen=True)
class ReadInstruction:
    """A piece of a split, from ``from_`` to ``to`` in ``unit`` ``"%"`` or ``"abs"``; ``+`` joins pieces.

    Negative numbers count from the end.
    """

    split_name: str
    rounding: str | None = None
    from_: int | None = None
    to: int | None = None
    unit: str = "abs"

    def __add__(self, other: Any) -> _Joined:
        return _Joined((self, other))

    def bounds(self, size: int) -> tuple[int, int]:
        """First and last + 1 index in a split of ``size`` examples; percentages are rounded to the closest example."""
        return self._index(self.from_, 0, size), self._index(self.to, size, size)

    def _index(self, at: int | None, default: int, size: int) -> int:
        if at is None:
            return default
        place = round(abs(at) * size / 100) if self.unit == "%" else abs(at)
        return min(size, place) if at >= 0 else max(0, size - place)


@dataclass(frozen=True)
class _Joined:
    """Pieces one after the other."""

    pieces: tuple[Any, ...]

    def __add__(self, other: Any) -> _Joined:
        return _Joined((*self.pieces, other))


class NamedSplit(str):
    """The name of a split, which can be cut up in the way of the first versions of tensorflow_datasets."""

    __slots__ = ()

    def subsplit(self, arg: Any = None, *, k: int | None = None, percent: slice | None = None,
                 weighted: Sequence[int] | None = None) -> Any:  # fmt: skip
        """Pieces in percent: ``k`` equal ones, one for each weight, or the one that ``tfds.percent[a:b]`` says."""
        if isinstance(arg, slice):
            percent = arg
        elif isinstance(arg, int):
            k = arg
        elif arg is not None:
            weighted = arg
        if (k is not None) + (percent is not None) + (weighted is not None) != 1:
            raise UsageError("subsplit", "takes one of k, percent and weighted")
        if percent is not None:
            return ReadInstruction(str(self), from_=percent.start or 0, to=percent.stop, unit="%")
        weights = list(weighted) if weighted is not None else [1] * (k or 0)
        if not weights or min(weights) < 1:
            raise UsageError("subsplit", f"weights must be at least 1, not {weights}")
        marks = [round(100 * sum(weights[:i]) / sum(weights)) for i in range(len(weights) + 1)]
        return [ReadInstruction(str(self), from_=a, to=b, unit="%") for a, b in pairwise(marks)]

    def __getitem__(self, item: Any) -> Any:
        return self.subsplit(percent=item) if isinstance(item, slice) else str.__getitem__(self, item)

    def __add__(self, other: Any) -> Any:
        return (
            _Joined((self, other)) if isinstance(other, (NamedSplit, ReadInstruction, _Joined)) else str(self) + other
        )


class Split:
    """The names of splits."""

    TRAIN, TEST, VALIDATION, ALL = NamedSplit("train"), NamedSplit("test"), NamedSplit("validation"), NamedSplit("all")


class _Percent:
    """``tfds.percent[10:20]``."""

    def __getitem__(self, item: slice) -> slice:
        return item


percent = _Percent()


class ClassLabel:
    """The feature of a label: ``num_classes``, ``names``, and ``int2str`` and ``str2int`` between them."""

    shape: tuple[int, ...] = ()
    dtype = np.dtype("int64")

    def __init__(self, names: Sequence[str]) -> None:
        self.names, self.num_classes = list(names), len(names)

    def int2str(self, value: int) -> str:
        """The name of a class."""
        return self.names[int(value)]

    def str2int(self, value: str) -> int:
        """The number of a class."""
        if value not in self.names:
            raise UsageError("ClassLabel", f"there is no class {value!r}", hint=nearest(value, self.names))
        return self.names.index(value)

    def __repr__(self) -> str:
        return f"ClassLabel(num_classes={self.num_classes})"


class Image(NamedTuple):
    """The feature of an image."""

    shape: tuple[int | None, ...]
    dtype: Any


class Tensor(NamedTuple):
    """The feature of an array."""

    shape: tuple[int, ...]
    dtype: Any


class SplitInfo(NamedTuple):
    """A split: its name and size."""

    name: str
    num_examples: int


class _Part(NamedTuple):
    x: Any  # a sequence of images
    y: Any


@dataclass(frozen=True)
class _Photographs:
    """A set of images of all sizes: what is used below of ``DatasetSplits``, with one part."""

    train: _Part
    classes: Sequence[str]
    description: str
    source: str
    licence: str
    image_shape: tuple[int | None, ...] = (None, None, 3)
    levels: int | None = None


@dataclass(frozen=True)
class DatasetInfo:
    """What ``with_info`` gives."""

    name: str
    description: str
    citation: str
    features: Mapping[str, Any]
    splits: Mapping[str, SplitInfo]
    supervised_keys: tuple[str, str]
    license: str = ""

    @property
    def full_name(self) -> str:
        """The name."""
        return self.name


class DatasetBuilder:
    """A data set by name; ``builder(name)`` makes one."""

    def __init__(self, name: str, data_dir: Any = None) -> None:
        known = registry.datasets()
        base = name.split(":")[0].partition("/")[0]  # versions and configurations: corenn has one of each
        spellings = {alias: record for record in known.values() for alias in (record.name, *record.aliases)}
        record = spellings.get(base)
        if record is None:
            raise UsageError(
                "tfds.load",
                f"corenn has no data set {name!r}",
                {"sets": ", ".join(sorted(known))},
                hint="read the files yourself: corenn.data.Dataset.from_generator, or register a loader "
                "(plugins/datasets/README.md)",
            )
        self.name = record.name
        pictures = _PICTURES.get(record.name)
        self._loader = record.load() if pictures is None else importlib.import_module(pictures).pictures
        self._data_dir = data_dir
        self._loaded: Any = None

    def _splits(self) -> Any:
        if self._loaded is None:
            takes = "data_dir" in inspect.signature(self._loader).parameters
            usable = self._data_dir is not None and takes and os.path.isdir(self._data_dir)
            # A folder to download to, which is what data_dir means to tensorflow_datasets, holds nothing to read yet.
            folder = self._data_dir if usable and os.listdir(self._data_dir) else None
            self._loaded = self._loader(folder) if folder is not None else self._loader()
            if self.name in _PICTURES:
                found, about = self._loaded, importlib.import_module(_PICTURES[self.name])
                self._loaded = _Photographs(
                    _Part(found, found.labels), about.CLASSES, about.DESCRIPTION, about.SOURCE, about.LICENCE
                )
        return self._loaded

    def _parts(self) -> tuple[str, ...]:
        return tuple(part for part in _PARTS if hasattr(self._splits(), part))

    def _keys(self) -> tuple[str, str]:
        loaded = self._splits()
        if loaded.image_shape is not None:
            return "image", "label"
        return ("features", "label") if loaded.classes else ("features", "target")

    def _arrays(self, part: str) -> tuple[Any, Any]:
        loaded = self._splits()
        x, y = loaded.original(part) if loaded.levels is not None else getattr(loaded, part)
        return x, y.astype(np.int64) if loaded.classes else y

    def _kind_of_x(self) -> tuple[tuple[int | None, ...], Any]:
        x, _ = self._arrays("train")
        return (x.shape[1:], x.dtype) if isinstance(x, np.ndarray) else (self._splits().image_shape, np.dtype("uint8"))

    @property
    def info(self) -> DatasetInfo:
        """Features, splits and origin."""
        loaded = self._splits()
        first, second = self._keys()
        kind = Image if loaded.image_shape is not None else Tensor
        label: Any = ClassLabel(loaded.classes) if loaded.classes else Tensor((), loaded.train.y.dtype)
        return DatasetInfo(
            name=self.name,
            description=loaded.description,
            citation=loaded.source,
            license=loaded.licence,
            features={first: kind(*self._kind_of_x()), second: label},
            splits={part: SplitInfo(part, len(getattr(loaded, part).y)) for part in self._parts()},
            supervised_keys=(first, second),
        )

    def download_and_prepare(self, **options: Any) -> None:
        """Load the data; downloading happens here where it must."""
        self._splits()

    def as_dataset(self, split: Any = None, *, batch_size: int | None = None, shuffle_files: bool = False,
                   as_supervised: bool = False, **options: Any) -> Any:  # fmt: skip
        """Datasets in the structure of ``split``; see ``load``."""
        inner: dict[str, Any] = {"batch_size": batch_size, "as_supervised": as_supervised}
        inner["shuffle_files"] = shuffle_files
        if split is None:
            split = {part: part for part in self._parts()}
        if isinstance(split, dict):
            return {key: self.as_dataset(value, **inner) for key, value in split.items()}
        if isinstance(split, (list, tuple)):
            return type(split)(self.as_dataset(value, **inner) for value in split)
        pieces = [self._piece(instruction) for instruction in _instructions(split, self._parts())]
        y = np.concatenate([y for _, y in pieces])
        first, second = self._keys()

        def element(x: Any, y: Any) -> Any:
            return (x, y) if as_supervised else {first: x, second: y}

        if self.name in _PICTURES:
            if batch_size == -1:
                raise UsageError("tfds.load", f"the images of {self.name} have many sizes and make no array",
                                 hint="leave batch_size=-1 out, and resize the images in Dataset.map")  # fmt: skip
            found = self._decoded([x for x, _ in pieces], y, element, shuffle_files)
        else:
            x = pieces[0][0] if len(pieces) == 1 else np.concatenate([x for x, _ in pieces])
            if batch_size == -1:
                return element(x, y)
            # Imported here: tf.data brings in much of the facade, and a script may want arrays alone.
            found = importlib.import_module("corenn_tensorflow.data").Dataset.from_tensor_slices(element(x, y))
            if shuffle_files:
                found = found.shuffle(max(1, len(y)))
        return found if batch_size is None else found.batch(batch_size)

    def _decoded(self, images: Sequence[Any], labels: Any, element: Any, shuffled: bool) -> Any:
        """A dataset that decodes an image when its turn comes; ``shuffled``: in a new order every time."""
        places = [(source, index) for source in images for index in range(len(source))]

        def shuffled_places() -> Any:
            seed = importlib.import_module("corenn_tensorflow.data.nodes").drawn_seed("files")
            return np.random.default_rng(seed).permutation(len(places))

        def generate() -> Iterator[Any]:
            order = shuffled_places() if shuffled else range(len(places))
            for place in order:
                source, index = places[place]
                yield element(source[index], labels[place])

        shape, _ = self._kind_of_x()
        tf_data = importlib.import_module("corenn_tensorflow.data")
        found = tf_data.Dataset.from_generator(
            generate, element("uint8", "int64"), element(TensorShape(shape), TensorShape([]))
        )
        return found.apply(tf_data.experimental.assert_cardinality(len(places)))

    def _piece(self, instruction: ReadInstruction) -> tuple[Any, Any]:
        name = instruction.split_name
        if name not in self._parts():
            raise UsageError("tfds.load", f"{self.name} has no split {name!r}", {"splits": ", ".join(self._parts())},
                             hint="cut one: split=['train[:90%]', 'train[90%:]']")  # fmt: skip
        x, y = self._arrays(name)
        start, stop = instruction.bounds(len(y))
        return x[start:stop], y[start:stop]


def _instructions(split: Any, parts: Sequence[str]) -> Iterator[ReadInstruction]:
    """The pieces a split is made of."""
    if isinstance(split, ReadInstruction):
        yield split
    elif isinstance(split, _Joined):
        for piece in split.pieces:
            yield from _instructions(piece, parts)
    elif isinstance(split, str) and split.strip() == "all":
        yield from (ReadInstruction(part) for part in parts)
    elif isinstance(split, str):
        for text in str(split).split("+"):
            found = _SLICE.match(text)
            marks = [found["start"], found["stop"]] if found else []
            units = {mark[-1] == "%" for mark in marks if mark}
            if found is None or len(units) > 1:
                raise UsageError("tfds.load", f"{text!r} is not a split", hint="train, train[:80%] or train[100:200]")
            start, stop = (None if mark is None else int(mark.rstrip("%")) for mark in marks)
            yield ReadInstruction(found["name"], from_=start, to=stop, unit="%" if True in units else "abs")
    else:
        raise UsageError("tfds.load", f"{split!r} is not a split", hint="train, train[:80%] or train[100:200]")


def builder(name: str, *, data_dir: Any = None, **options: Any) -> DatasetBuilder:
    """The data set ``name``; UsageError, with the names there are, for one that corenn does not have."""
    return DatasetBuilder(name, data_dir)


def load(
    name: str,
    split: Any = None,
    *,
    data_dir: Any = None,
    batch_size: int | None = None,
    shuffle_files: bool = False,
    download: bool = True,
    as_supervised: bool = False,
    with_info: bool = False,
    **options: Any,
) -> Any:
    """A ``tf.data.Dataset`` for each split asked for, in the structure of ``split`` (``None``: a dict of all).

    ``data_dir``: a folder that holds the set's files, where its loader reads files; otherwise corenn's cache is used,
    and ``CORENN_OFFLINE`` forbids downloads.  ``batch_size=-1``: arrays instead of datasets.  ``with_info``: (result,
    ``DatasetInfo``). Raises ``UsageError`` for a set or split that is not there.
    """
    made = builder(name, data_dir=data_dir)
    found = made.as_dataset(split, batch_size=batch_size, shuffle_files=shuffle_files, as_supervised=as_supervised)
    return (found, made.info) if with_info else found


class _Elements:
    """The elements of a dataset as NumPy arrays; can be read several times."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __iter__(self) -> Iterator[Any]:
        return iter(self._dataset.as_numpy_iterator())

    def __len__(self) -> int:
        return len(self._dataset)


def as_numpy(dataset: Any) -> Any:
    """Datasets as iterables of NumPy arrays, tensors as arrays; arrays, dicts and lists of them go through."""
    if isinstance(dataset, dict):
        return {key: as_numpy(value) for key, value in dataset.items()}
    if isinstance(dataset, (list, tuple)):
        return type(dataset)(as_numpy(value) for value in dataset)
    if hasattr(dataset, "as_numpy_iterator"):
        return _Elements(dataset)
    return dataset.numpy() if hasattr(dataset, "numpy") else dataset


def list_builders(**options: Any) -> list[str]:
    """The names of the sets."""
    return sorted(registry.datasets())


def disable_progress_bar() -> None:
    """Loading draws no progress bar in any case."""


def keras_arrays(name: str) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """``(x_train, y_train), (x_test, y_test)`` as ``load_data`` of ``keras.datasets`` gives a set of images.

    Images uint8[N, H, W] if they are grey and uint8[N, H, W, C] otherwise; labels uint8, [N] for grey images and [N, 1]
    for the others.  The files come from where ``load`` finds them.
    """
    splits = registry.get("dataset", name).load()()
    (x_train, y_train), (x_test, y_test) = (splits.original(part) for part in _PARTS)

    def shaped(x: Any, y: Any) -> tuple[Any, Any]:
        grey = x.shape[-1] == 1
        return x[..., 0] if grey else x, y.astype(np.uint8) if grey else y.astype(np.uint8)[:, np.newaxis]

    return shaped(x_train, y_train), shaped(x_test, y_test)


features = SimpleNamespace(ClassLabel=ClassLabel, Image=Image, Tensor=Tensor)
core = SimpleNamespace(ReadInstruction=ReadInstruction, DatasetInfo=DatasetInfo, DatasetBuilder=DatasetBuilder)

__getattr__ = missing.guard(__name__)

__all__ = [
    "ReadInstruction",
    "Split",
    "as_numpy",
    "builder",
    "core",
    "disable_progress_bar",
    "features",
    "list_builders",
    "load",
    "percent",
]
