"""What ``fit`` accepts as data, brought to one form: a ``Dataset`` of ``(x, y, sample_weight)`` batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from corenn import tree
from corenn.data import Dataset
from corenn.errors import CorennError, DataError, DTypeError, ShapeError, UsageError
from corenn.ops.creation import asarray
from corenn.tensor import Tensor

BATCH_SIZE = 32


def as_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool = False,
    where: str = "fit",
) -> Dataset:
    """A dataset of batches from arrays, a ``Dataset`` of batches, or an iterable (or callable giving one) of batches.

    Arrays are cut into batches of ``batch_size`` (32) and, with ``shuffle``, reshuffled each epoch with a seed from the
    default generator.  Datasets and iterables are taken as they come.  Raises UsageError, ShapeError, DTypeError or
    DataError saying what does not fit; ``where`` names the caller.
    """
    if isinstance(x, Dataset) or callable(x) or not is_arrays(x):
        what = "a Dataset" if isinstance(x, Dataset) else "a generator"
        if x is not None and (y is not None or sample_weight is not None):
            what = f"y and sample_weight cannot be given beside {what}"
            raise UsageError(where, what, hint="let it yield (x, y) or (x, y, sample_weight)")
        if x is not None and batch_size is not None:
            raise UsageError(where, f"batch_size cannot be given beside {what}, which makes the batches",
                             hint="dataset.batch(32)")  # fmt: skip
        return x if isinstance(x, Dataset) else Dataset.from_generator(_batches_of(where, x))
    given = {"x": x, "y": y, "sample_weight": sample_weight}
    parts = {name: host(part, where, name) for name, part in given.items() if part is not None}
    _check_counts(where, parts)
    if "sample_weight" in parts and "y" not in parts:
        raise UsageError(where, "sample_weight needs y", hint=f"{where}(x, y, sample_weight=...)")
    dataset = Dataset.from_tensor_slices(tuple(parts.values()))
    if shuffle:
        dataset = dataset.shuffle()
    return dataset.batch(BATCH_SIZE if batch_size is None else batch_size)


def _check_counts(where: str, parts: Mapping[str, Any]) -> None:
    shapes = {name: [np.shape(a) for a in tree.leaves(part)] for name, part in parts.items()}
    shown = {name: " and ".join(str(list(s)) for s in found) for name, found in shapes.items()}
    counts = {shape[0] if shape else None for found in shapes.values() for shape in found}
    if None in counts:
        raise ShapeError(where, "data needs a batch axis; a scalar was given", shown, hint="x[None] for one example")
    if len(counts) > 1:
        hint = "the first axis counts the examples; several inputs are given as a tuple or dict"
        raise ShapeError(where, "the arrays have different numbers of examples", shown, hint=hint)
    if counts == {0}:
        raise DataError(where, "the data has no examples", shown)


def is_arrays(x: Any) -> bool:
    """Whether ``x`` is an array (also as nested lists of numbers), or a structure of arrays."""
    if isinstance(x, list) and x and all(isinstance(v, tuple) and any(hasattr(p, "shape") for p in v) for v in x):
        return False  # batches, each of arrays
    if isinstance(x, (list, tuple, dict)):
        return len(x) > 0 and all(is_arrays(v) for v in (x.values() if isinstance(x, dict) else x))
    return isinstance(x, (np.ndarray, np.generic, Tensor, int, float, bool)) or hasattr(x, "__array__")


def _batches_of(where: str, x: Any) -> Callable[[], Iterator[Any]]:
    """A function that starts a pass over the batches of a callable, a generator or a sequence."""
    if callable(x):
        return lambda: map(_tidy, x())
    if isinstance(x, (str, bytes)):
        raise UsageError(
            where, f"cannot take data from text: {x[:40]!r}", hint="read the file first: np.loadtxt, np.load"
        )
    if isinstance(x, Iterator):
        # A generator can be read once: the second epoch continues where the first stopped.
        return lambda: map(_tidy, x)
    if isinstance(x, Iterable):
        return lambda: map(_tidy, iter(x))
    if hasattr(x, "__len__") and hasattr(x, "__getitem__"):
        return lambda: (_tidy(x[i]) for i in range(len(x)))
    what = "there is no data" if x is None else f"cannot take data from a {type(x).__name__}"
    raise UsageError(where, what, hint="pass arrays, a corenn.data.Dataset of batches, or a generator of batches")


def _tidy(batch: Any) -> Any:
    """A yielded batch as a dataset's element: lists of arrays as tuples, and no ``None`` at the end."""
    if isinstance(batch, list) and any(hasattr(part, "shape") or part is None for part in batch):
        batch = tuple(batch)
    if isinstance(batch, tuple):
        while batch and batch[-1] is None:
            batch = batch[:-1]
        return tuple(_tidy(part) for part in batch)
    return {k: _tidy(v) for k, v in batch.items()} if isinstance(batch, dict) else batch


def host(part: Any, where: str = "fit", name: str = "x") -> Any:
    """A structure of arrays on the host, lists of arrays as tuples, lists of numbers as one array."""
    if isinstance(part, list) and not any(hasattr(v, "__array__") for v in part):
        return _array(part, where, name)
    if isinstance(part, (list, tuple)) and not hasattr(part, "__array__"):
        return tuple(host(v, where, name) for v in part)
    if isinstance(part, Mapping):
        return {k: host(v, where, name) for k, v in part.items()}
    return _array(part, where, name)


def _array(part: Any, where: str, name: str) -> np.ndarray[Any, Any]:
    try:
        made = np.asarray(part)
    except ValueError:
        raise ShapeError(where, f"the nested lists of {name} are ragged", hint="pad them to one length") from None
    if made.dtype.kind in "USO":
        hint = "np.unique(y, return_inverse=True)[1] numbers labels" if name == "y" else "encode it as numbers first"
        raise DTypeError(where, f"{name} holds {'text' if made.dtype.kind in 'US' else 'Python objects'}, not numbers",
                         {name: f"{made.dtype}{list(made.shape)}"}, hint=hint)  # fmt: skip
    return made


def unpack(batch: Any) -> tuple[Any, Any, Any]:
    """``(x, y, sample_weight)`` of one batch; y and sample_weight may be missing."""
    if not isinstance(batch, tuple):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise DataError("fit", f"a batch has {len(batch)} parts", hint="yield x, (x, y) or (x, y, sample_weight)")
    x, y, sample_weight = (*batch, None, None)[:3]
    return x, y, sample_weight


def advise(error: CorennError, batch: Any) -> None:
    """Put a better hint on an error about a batch that is no batch."""
    if any(np.ndim(leaf) == 0 for leaf in tree.leaves(batch)):
        error.hint = "the data gives single examples, not batches: dataset.batch(32)"


def as_tensors(structure: Any, double: bool = False) -> Any:
    """A batch of host arrays as tensors on the current device; doubles as float32, unless ``double``."""

    def convert(value: Any) -> Any:
        if value is None or isinstance(value, Tensor):
            return value
        array = value if value.__class__ is np.ndarray else np.asarray(value)
        return asarray(array if double or array.dtype.char != "d" else array.astype(np.float32))

    if structure.__class__ is np.ndarray:
        return convert(structure)
    return None if structure is None else tree.tree_map(convert, structure)


def split(x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """The last ``fraction`` of the examples held out, before any shuffling."""
    if not 0 < fraction < 1:
        raise UsageError("fit", f"validation_split must lie between 0 and 1, not {fraction}")
    if isinstance(x, Dataset) or not is_arrays(x):
        raise UsageError("fit", "validation_split needs arrays", hint="pass validation_data instead")
    names = ("x", "y", "sample_weight")
    parts = [None if p is None else host(p, "fit", n) for n, p in zip(names, (x, y, sample_weight), strict=True)]
    _check_counts("fit", {n: p for n, p in zip(names, parts, strict=True) if p is not None})
    count = len(tree.leaves(parts[0])[0])
    cut = int(count * (1 - fraction))
    if cut in (0, count):
        raise DataError("fit", f"validation_split={fraction} of {count} examples leaves nothing on one side")
    train = tuple(None if p is None else tree.tree_map(lambda a: a[:cut], p) for p in parts)
    held = tuple(None if p is None else tree.tree_map(lambda a: a[cut:], p) for p in parts)
    return train, held  # type: ignore[return-value]  # three each


def class_weights(y: Any, weights: Mapping[int, float]) -> np.ndarray[Any, Any]:
    """Per-example weights from class weights; ``y``: ints [n] or [n, 1], or one-hot [n, classes]."""
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(-1)
    if labels.ndim > 2 or (labels.ndim == 2 and labels.shape[1] != 1):
        raise ShapeError("fit", "class_weight needs one class for each example", {"y": list(labels.shape)})
    labels = labels.reshape(-1).astype(int)
    missing = sorted({int(c) for c in labels} - set(weights))
    if missing:
        what = f"class_weight has no weight for the classes {', '.join(map(str, missing[:10]))}"
        raise UsageError("fit", what, hint="give every class a weight, 1.0 for those that need none")
    return np.asarray([weights[int(c)] for c in labels], np.float32)


def with_class_weights(dataset: Dataset, weights: Mapping[int, float]) -> Dataset:
    """Batches ``(x, y)`` or ``(x, y, sample_weight)`` with the weights of their classes."""

    def add(*parts: Any) -> Any:
        if not 2 <= len(parts) <= 3 or isinstance(parts[1], (tuple, dict)):
            raise UsageError("fit", "class_weight needs batches (x, y) with y an array of classes")
        by_class = class_weights(parts[1], weights)
        return parts[0], parts[1], by_class * parts[2] if len(parts) == 3 else by_class

    return dataset.map(add)


__all__ = [
    "BATCH_SIZE", "advise", "as_batches", "as_tensors", "class_weights", "host", "is_arrays", "split", "unpack",
    "with_class_weights",
]  # fmt: skip
