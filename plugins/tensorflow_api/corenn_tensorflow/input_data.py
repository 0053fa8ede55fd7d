"""``tensorflow.examples.tutorials.mnist.input_data``: MNIST as NumPy arrays that hand out batches.

::

    mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)
    images, labels = mnist.train.next_batch(100)  # float32[100, 784] in [0, 1], float64[100, 10]

The four IDX files are read from the folder that is named, compressed or not, whatever set of ten classes they hold;
where none of them is there, MNIST comes from corenn's cache, downloaded and verified if need be
(``plugins/datasets``).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from corenn_datasets import mnist as _mnist
from corenn_datasets.idx import read_pair

from corenn.errors import DataError, UsageError
from corenn_tensorflow import missing

DEFAULT_SOURCE_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"

_FASHION_SOURCES = ("fashion", "tf-keras-datasets")
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_CLASSES = 10
_PIXELS = 784
_FAKE_EXAMPLES = 10000
_FULL_SET, _USUAL_VALIDATION = 60000, 5000

Array = npt.NDArray[Any]


def dense_to_one_hot(labels_dense: Array, num_classes: int = _CLASSES) -> Array:
    """Labels int[N] as float64[N, num_classes] with a one in each row."""
    rows: Array = np.eye(num_classes)[np.asarray(labels_dense).ravel()]
    return rows


class DataSet:
    """Images and labels that are handed out in batches, epoch after epoch in a new order.

    ``images``: uint8[N, rows, columns, 1] as in the files.  They become [N, rows * columns] unless ``reshape`` is
    false, and float32 in [0, 1] unless ``dtype`` is uint8.  ``seed``: that of the order; without it the order is
    drawn from NumPy's global generator, so ``numpy.random.seed`` makes batches repeatable.  Raises ``UsageError`` (a
    ``ValueError``) for arrays that do not fit and ``TypeError`` for another dtype.
    """

    def __init__(
        self,
        images: Array,
        labels: Array,
        fake_data: bool = False,
        one_hot: bool = False,
        dtype: Any = "float32",
        reshape: bool = True,
        seed: int | None = None,
    ) -> None:
        kind = _image_dtype(dtype)
        self._random: Any = np.random if seed is None else np.random.RandomState(seed)
        self._fake, self.one_hot = fake_data, one_hot
        if fake_data:
            self._num_examples = _FAKE_EXAMPLES
        else:
            images, labels = np.asarray(images), np.asarray(labels)
            if len(images) != len(labels):
                raise UsageError("DataSet", f"there are {len(images)} images but {len(labels)} labels")
            self._num_examples = len(images)
            if reshape:
                if images.ndim != 4 or images.shape[3] != 1:
                    raise UsageError("DataSet", f"images have shape {images.shape}, not [N, rows, columns, 1]")
                images = images.reshape(len(images), images.shape[1] * images.shape[2])
            if kind == np.float32:
                images = np.multiply(images, np.float32(1.0 / 255.0), dtype=np.float32)
        self._images, self._labels = images, labels
        self._epochs_completed = self._index = 0

    @property
    def images(self) -> Array:
        """All images, in the order of the current epoch."""
        return self._images

    @property
    def labels(self) -> Array:
        """All labels, in the order of the current epoch."""
        return self._labels

    @property
    def num_examples(self) -> int:
        """How many there are."""
        return self._num_examples

    @property
    def epochs_completed(self) -> int:
        """How often all have been handed out."""
        return self._epochs_completed

    def next_batch(self, batch_size: int, fake_data: bool = False, shuffle: bool = True) -> tuple[Any, Any]:
        """The next ``batch_size`` images and labels.

        The batch in which an epoch ends is filled up from the next one, which has an order of its own.
        """
        if batch_size < 1:
            raise UsageError("next_batch", f"batch_size must be at least 1, not {batch_size}")
        if fake_data or self._fake:
            label: Any = [1] + [0] * (_CLASSES - 1) if self.one_hot else 0
            return [[1] * _PIXELS for _ in range(batch_size)], [label for _ in range(batch_size)]
        if not self._num_examples:
            raise UsageError("next_batch", "there are no examples", hint="a smaller validation_size leaves some")
        if shuffle and self._epochs_completed == 0 and self._index == 0:
            self._reorder()
        parts = []
        wanted = batch_size
        while True:
            end = min(self._index + wanted, self._num_examples)
            parts.append((self._images[self._index : end], self._labels[self._index : end]))
            wanted -= end - self._index
            self._index = end
            if not wanted:
                break
            self._epochs_completed += 1
            self._index = 0
            if shuffle:
                self._reorder()
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])

    def _reorder(self) -> None:
        order = np.arange(self._num_examples)
        self._random.shuffle(order)
        self._images, self._labels = self._images[order], self._labels[order]


class Datasets(NamedTuple):
    """What ``read_data_sets`` returns."""

    train: DataSet
    validation: DataSet
    test: DataSet


def read_data_sets(
    train_dir: str | os.PathLike[str],
    fake_data: bool = False,
    one_hot: bool = False,
    dtype: Any = "float32",
    reshape: bool = True,
    validation_size: int = _USUAL_VALIDATION,
    seed: int | None = None,
    source_url: str = DEFAULT_SOURCE_URL,
) -> Datasets:
    """Training, validation and test set; the validation set is the first ``validation_size`` training images.

    ``source_url`` matters only where files must be downloaded, and then says which set: MNIST, or Fashion-MNIST for
    its addresses.  A set smaller than ``validation_size`` gives a twelfth of its images to validation, as the full
    set does, and says so in a line on stderr.  Raises ``DataError`` naming the folder and the fix when the files
    cannot be had, and ``UsageError`` (a ``ValueError``) for a negative ``validation_size``.
    """
    options: dict[str, Any] = {"dtype": dtype, "reshape": reshape, "seed": seed}
    if fake_data:
        none = np.empty((0,))
        return Datasets(
            *(DataSet(none, none, fake_data=True, one_hot=one_hot, dtype=dtype, seed=seed) for _ in range(3))
        )
    if validation_size < 0:
        raise UsageError("read_data_sets", f"validation_size must not be negative, but is {validation_size}")
    (x, y), (test_x, test_y) = _arrays(Path(train_dir).expanduser(), source_url or DEFAULT_SOURCE_URL)
    if validation_size > len(x):
        capped = len(x) * _USUAL_VALIDATION // _FULL_SET
        print(
            f"read_data_sets: {len(x)} training images only: validation_size is {capped}, not {validation_size}",
            file=sys.stderr,
        )
        validation_size = capped
    if one_hot:
        y, test_y = dense_to_one_hot(y), dense_to_one_hot(test_y)
    n = validation_size
    return Datasets(
        DataSet(x[n:], y[n:], **options), DataSet(x[:n], y[:n], **options), DataSet(test_x, test_y, **options)
    )


def load_mnist(train_dir: str | os.PathLike[str] = "MNIST-data") -> Datasets:
    """``read_data_sets`` with its defaults."""
    return read_data_sets(train_dir)


def _arrays(folder: Path, source_url: str) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Training and test images uint8[N, H, W, 1] and labels uint8[N], from the folder or from corenn's cache."""
    found = [_spelt(folder, name) for name in _FILES]
    if any(found):
        paths = [path for path in found if path is not None]
        if len(paths) < len(found):
            raise DataError(
                str(folder),
                "has some of the four files, but not all",
                {"missing": ", ".join(name for name, path in zip(_FILES, found, strict=True) if path is None)},
                hint="put all four there, or none to have them from corenn's cache",
            )
        x, y = read_pair(paths[0], paths[1], classes=_CLASSES)
        test_x, test_y = read_pair(paths[2], paths[3], classes=_CLASSES, image_shape=x.shape[1:])
        return (x[..., np.newaxis], y), (test_x[..., np.newaxis], test_y)
    fashion = any(part in source_url for part in _FASHION_SOURCES)
    try:
        splits = _mnist.load_fashion_mnist() if fashion else _mnist.load_mnist()
    except DataError as error:
        raise DataError(
            str(folder),
            f"has none of the four files, and {error.where} {error.what}",
            {"files": ", ".join(f"{name}[.gz]" for name in _FILES), **error.operands},
            hint=f"put the files into {folder}, or let corenn download them: unset CORENN_OFFLINE, "
            "or name a mirror in CORENN_MIRRORS",
        ) from None  # its text is in this one
    parts = [splits.original(part) for part in ("train", "test")]
    (x, y), (test_x, test_y) = [(part.x, part.y.astype(np.uint8)) for part in parts]
    return (x, y), (test_x, test_y)


def _spelt(folder: Path, name: str) -> Path | None:
    """A file under the names it goes by: compressed or not, with the dash of the original or the dot of some copies."""
    dotted = name.replace("-idx", ".idx")
    spellings = (f"{name}.gz", name, f"{dotted}.gz", dotted)
    return next((folder / spelling for spelling in spellings if (folder / spelling).is_file()), None)


def _image_dtype(dtype: Any) -> np.dtype[Any]:
    """float32 or uint8, given as a NumPy dtype, its name, or a dtype of the facade or of corenn."""
    kind = getattr(dtype, "as_numpy_dtype", dtype)
    try:
        found = np.dtype(getattr(kind, "name", kind) if not isinstance(kind, type) else kind)
    except TypeError:
        found = None
    if found not in (np.dtype("uint8"), np.dtype("float32")):
        raise TypeError(f"Invalid image dtype {dtype!r}, expected uint8 or float32")
    return found


__getattr__ = missing.guard(__name__)

__all__ = ["DEFAULT_SOURCE_URL", "DataSet", "Datasets", "dense_to_one_hot", "load_mnist", "read_data_sets"]
