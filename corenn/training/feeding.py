"""What ``fit`` accepts as data, brought to one form: a ``Dataset`` of ``(x, y, sample_weight)`` batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from corenn import tree
from corenn.data import Dataset
from corenn.errors import DataError, ShapeError, UsageError
from corenn.tensor import Tensor


def as_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> Dataset:
    """A dataset of batches from arrays, a ``Dataset`` of batches, or an iterable (or callable giving one) of batches.

    Arrays are cut into batches of ``batch_size`` (32) and, with ``shuffle``, reshuffled each epoch from ``seed``.
    Datasets and iterables are taken as they come.  Raises UsageError or DataError saying what does not fit.
    """
    if isinstance(x, Dataset):
        _alone(y, sample_weight, "a Dataset")
        return x
    if callable(x) and not isinstance(x, Tensor):
        _alone(y, sample_weight, "a generator function")
        return Dataset.from_generator(x)
    if not _is_arrays(x):
        if isinstance(x, Iterable) and hasattr(x, "__next__"):
            _alone(y, sample_weight, "a generator")
            return Dataset.from_generator(_once(x))
        if hasattr(x, "__len__") and hasattr(x, "__getitem__"):
            _alone(y, sample_weight, "a sequence of batches")
            return Dataset.from_generator(lambda: (x[i] for i in range(len(x))))
        raise UsageError("fit", f"cannot take data from a {type(x).__name__}",
                         hint="pass arrays, a corenn.data.Dataset of batches, or a generator of batches")  # fmt: skip
    parts = tuple(host(part) for part in (x, y, sample_weight) if part is not None)
    counts = {np.shape(a)[0] if np.ndim(a) else None for part in parts for a in tree.leaves(part)}
    if None in counts:
        raise ShapeError("fit", "data needs a batch axis; a scalar was given", hint="x[None] for one example")
    if len(counts) > 1:
        shown = {n: str([np.shape(a) for a in tree.leaves(p)]) for n, p in zip(("x", "y", "sample_weight"), parts, strict=False)}
        raise ShapeError("fit", "the arrays have different numbers of examples", shown)
    if counts == {0}:
        raise DataError("fit", "the data has no examples")
    element = parts if sample_weight is None or y is not None else (parts[0], None, parts[1])
    dataset = Dataset.from_tensor_slices(element if len(element) > 1 else (element[0],))
    if shuffle:
        dataset = dataset.shuffle(seed=seed)
    return dataset.batch(32 if batch_size is None else batch_size)


def _alone(y: Any, sample_weight: Any, what: str) -> None:
    if y is not None or sample_weight is not None:
        raise UsageError("fit", f"y and sample_weight cannot be given beside {what}", hint="yield (x, y) batches from it")


def _is_arrays(x: Any) -> bool:
    if isinstance(x, (list, tuple)) and x and all(isinstance(v, (int, float, bool)) for v in tree.leaves(x)):
        return True
    if isinstance(x, (list, tuple, dict)) and len(x) == 0:
        return False
    return all(isinstance(leaf, (np.ndarray, np.generic, Tensor)) or hasattr(leaf, "__array__") for leaf in tree.leaves(x))


def _once(iterator: Iterable[Any]) -> Callable[[], Iterable[Any]]:
    """A generator can be read once: the second epoch continues where the first stopped."""
    return lambda: iterator


def host(part: Any) -> Any:
    """A structure of arrays on the host, lists of numbers as one array."""
    if isinstance(part, list) and part and not any(hasattr(v, "shape") for v in part):
        return np.asarray(part)
    return tree.tree_map(lambda a: np.asarray(a) if isinstance(a, Tensor) or not hasattr(a, "shape") else a, part)


def unpack(batch: Any) -> tuple[Any, Any, Any]:
    """``(x, y, sample_weight)`` of one batch; y and sample_weight may be missing."""
    if isinstance(batch, tuple):
        if len(batch) > 3:
            raise DataError("fit", f"a batch has {len(batch)} parts", hint="yield x, (x, y) or (x, y, sample_weight)")
        return (*batch, *([None] * (3 - len(batch))))  # type: ignore[return-value]
    return batch, None, None


def split(x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """The last ``fraction`` of the examples held out, before any shuffling."""
    if not 0 < fraction < 1:
        raise UsageError("fit", f"validation_split must lie between 0 and 1, not {fraction}")
    if not _is_arrays(x):
        raise UsageError("fit", "validation_split needs arrays", hint="pass validation_data instead")
    parts = [None if p is None else host(p) for p in (x, y, sample_weight)]
    count = len(tree.leaves(parts[0])[0])
    cut = int(count * (1 - fraction))
    if cut in (0, count):
        raise DataError("fit", f"validation_split={fraction} of {count} examples leaves nothing on one side")
    train = tuple(None if p is None else tree.tree_map(lambda a: a[:cut], p) for p in parts)
    held = tuple(None if p is None else tree.tree_map(lambda a: a[cut:], p) for p in parts)
    return train, held  # type: ignore[return-value]


def class_weights(y: np.ndarray[Any, Any], weights: Mapping[int, float]) -> np.ndarray[Any, Any]:
    """Per-example weights from class weights; ``y``: ints [n] or [n, 1], or one-hot [n, classes]."""
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(-1)
    labels = labels.reshape(-1).astype(int)
    missing = sorted({int(c) for c in labels} - set(weights))
    if missing:
        raise UsageError("fit", f"class_weight has no weight for the classes {missing[:10]}")
    return np.asarray([weights[int(c)] for c in labels], np.float32)
