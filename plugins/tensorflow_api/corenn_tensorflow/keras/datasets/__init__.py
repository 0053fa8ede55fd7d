"""``keras.datasets``: ``load_data()`` of each gives ``(x_train, y_train), (x_test, y_test)``."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from types import ModuleType
from typing import Any

import numpy as np

from corenn.errors import DataError
from corenn_tensorflow.datasets_shim import keras_arrays
from corenn_tensorflow.keras.datasets import lists
from corenn_tensorflow.keras.datasets.files import arrays, place
from corenn_tensorflow.missing import guard

Pair = tuple[Any, Any]
_MNIST = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
_IMDB = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_REUTERS = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_BOSTON = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"
_CIFAR_100 = (
    "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
)


def _load_mnist(path: str = "mnist.npz") -> tuple[Pair, Pair]:
    """MNIST: uint8 images [60000, 28, 28] and [10000, 28, 28]; from ``mnist.npz``, or the four IDX files."""
    from corenn_tensorflow.keras.utils import _cache

    name = os.path.basename(path)
    folders = [os.environ.get("CORENN_DATA_DIR"), os.path.join(_cache(), "datasets")]
    if os.path.isabs(path) or any(f and os.path.exists(os.path.join(f, name)) for f in folders):
        found = arrays(path, _MNIST if name == "mnist.npz" and not os.path.isabs(path) else None)
        return (found["x_train"], found["y_train"]), (found["x_test"], found["y_test"])
    return keras_arrays("mnist")


def _load_fashion_mnist() -> tuple[Pair, Pair]:
    """Fashion-MNIST: uint8 images [60000, 28, 28] and [10000, 28, 28]."""
    return keras_arrays("fashion_mnist")


def _load_cifar10() -> tuple[Pair, Pair]:
    """CIFAR-10: uint8 images [50000, 32, 32, 3] and [10000, 32, 32, 3], labels [n, 1]; from the binary version."""
    return keras_arrays("cifar10")


def _load_cifar100(label_mode: str = "fine") -> tuple[Pair, Pair]:
    """CIFAR-100; ``label_mode`` ``fine`` (100 classes) or ``coarse`` (20)."""
    if label_mode not in ("fine", "coarse"):
        raise ValueError('`label_mode` must be one of `"fine"`, `"coarse"`.')
    parts: dict[str, bytes] = {}
    with tarfile.open(place(os.path.basename(_CIFAR_100[0]), _CIFAR_100[1], _CIFAR_100[0])) as archive:
        for name in ("train", "test"):
            file = archive.extractfile(f"cifar-100-binary/{name}.bin")
            parts[name] = file.read() if file is not None else b""

    def pair(data: bytes) -> Pair:
        rows = np.frombuffer(data, np.uint8).reshape(-1, 2 + 3072)
        images = rows[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy()
        column = 1 if label_mode == "fine" else 0
        return images, rows[:, column : column + 1].astype(np.int64)

    return pair(parts["train"]), pair(parts["test"])


def _load_boston(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> tuple[Pair, Pair]:
    """Boston housing prices: 13 features of 506 places."""
    found = arrays(path, _BOSTON)
    order = np.arange(len(found["x"]))
    np.random.RandomState(seed).shuffle(order)  # Keras's order
    x, y = found["x"][order], found["y"][order]
    cut = int(len(x) * (1 - test_split))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def _trimmed(
    xs: Any, labels: Any, num_words: int | None, skip_top: int, maxlen: int | None, start_char: int | None,
    oov_char: int | None, index_from: int,
) -> Pair:  # fmt: skip
    if start_char is not None:
        xs = [[start_char, *[w + index_from for w in x]] for x in xs]
    elif index_from:
        xs = [[w + index_from for w in x] for x in xs]
    if maxlen:
        kept = [(x, y) for x, y in zip(xs, labels, strict=True) if len(x) < maxlen]
        xs, labels = [x for x, _ in kept], [y for _, y in kept]
        if not xs:
            raise ValueError(
                f"After filtering for sequences shorter than maxlen={maxlen}, no sequence was kept. Increase maxlen."
            )
    limit = num_words or max(max(x) for x in xs)
    if oov_char is not None:
        return [[w if skip_top <= w < limit else oov_char for w in x] for x in xs], labels
    return [[w for w in x if skip_top <= w < limit] for x in xs], labels


def _objects(rows: list[Any]) -> Any:
    made = np.empty(len(rows), object)
    made[:] = rows
    return made


def _load_imdb(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    nb_words: int | None = None,
    **legacy: Any,
) -> tuple[Pair, Pair]:
    """Film reviews as lists of ranks of words, and whether they praise."""
    found = lists.read(place(path, _IMDB))
    generator = np.random.RandomState(seed)  # Keras's order
    parts = []
    for part in ("train", "test"):
        order = np.arange(len(found[f"x_{part}"]))
        generator.shuffle(order)
        parts.append((found[f"x_{part}"][order], found[f"y_{part}"][order]))
    cut = len(parts[0][0])
    rows, labels = _trimmed([*parts[0][0], *parts[1][0]], np.concatenate([parts[0][1], parts[1][1]]),
                            num_words or nb_words, skip_top, maxlen, start_char, oov_char, index_from)  # fmt: skip
    xs, ys = _objects(list(rows)), np.asarray(labels)
    return (xs[:cut], ys[:cut]), (xs[cut:], ys[cut:])


def _load_reuters(
    path: str = "reuters.npz", num_words: int | None = None, skip_top: int = 0, maxlen: int | None = None,
    test_split: float = 0.2, seed: int = 113, start_char: int | None = 1, oov_char: int | None = 2, index_from: int = 3,
    nb_words: int | None = None, **legacy: Any,
) -> tuple[Pair, Pair]:  # fmt: skip
    """Newswires as lists of ranks of words, and their topics."""
    found = lists.read(place(path, _REUTERS))
    order = np.arange(len(found["x"]))
    np.random.RandomState(seed).shuffle(order)  # Keras's order
    rows, labels = _trimmed(list(found["x"][order]), found["y"][order], num_words or nb_words, skip_top, maxlen,
                            start_char, oov_char, index_from)  # fmt: skip
    xs, ys = _objects(list(rows)), np.asarray(labels)
    cut = int(len(xs) * (1 - test_split))
    return (xs[:cut], ys[:cut]), (xs[cut:], ys[cut:])


def _word_index(name: str) -> Any:
    def get_word_index(path: str = f"{name}_word_index.json") -> dict[str, int]:
        """Words and their ranks."""
        try:
            with open(place(path, None), encoding="utf-8") as file:
                found: dict[str, int] = json.load(file)
        except json.JSONDecodeError as error:
            raise DataError("keras.datasets", f"{path} is no list of words: {error}") from error
        return found

    return get_word_index


def _module(name: str, load_data: Any, **more: Any) -> ModuleType:
    made = ModuleType(f"{__name__}.{name}", f"``keras.datasets.{name}``.")
    made.__dict__.update(load_data=load_data, __path__=[], __all__=["load_data", *more], **more)
    sys.modules[made.__name__] = made
    return made


mnist = _module("mnist", _load_mnist)
fashion_mnist = _module("fashion_mnist", _load_fashion_mnist)
cifar10, cifar100 = _module("cifar10", _load_cifar10), _module("cifar100", _load_cifar100)
boston_housing = _module("boston_housing", _load_boston)
imdb = _module("imdb", _load_imdb, get_word_index=_word_index("imdb"))
reuters = _module("reuters", _load_reuters, get_word_index=_word_index("reuters"))

__all__ = ["boston_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters"]
__getattr__ = guard(__name__)
