"""``tf.estimator.inputs``: input functions over arrays and data frames."""

from __future__ import annotations

import random
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from corenn.dtypes import as_dtype, string
from corenn.graph.kinds import HostCallKind
from corenn.random import fresh_seed
from corenn_tensorflow import errors, missing, mode
from corenn_tensorflow.session import running_session


def numpy_input_fn(
    x: Any, y: Any = None, batch_size: int = 128, num_epochs: int | None = 1, shuffle: bool | None = None,
    queue_capacity: int = 1000, num_threads: int = 1,
) -> Callable[[], Any]:  # fmt: skip
    """An input function over arrays: batches of ``x`` (an array, or a dict of them) and ``y``.

    ``num_epochs=None`` goes on for ever; ``shuffle`` must be given.
    """
    if not isinstance(shuffle, bool):
        raise ValueError(
            "shuffle must be provided and explicitly set as boolean (it is recommended to set it as True "
            "for training); "
            f"got {shuffle}"
        )
    arrays = dict(x) if isinstance(x, Mapping) else {"": np.asarray(x)}
    if not arrays:
        raise ValueError("x cannot be an empty dict")
    targets = dict(y) if isinstance(y, Mapping) else {} if y is None else {"": y}
    flat = {("x", k): np.asarray(v) for k, v in sorted(arrays.items())}
    flat |= {("y", k): np.asarray(v) for k, v in sorted(targets.items())}
    lengths = {f"{part}[{key!r}]" if key else part: len(v) for (part, key), v in flat.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Length of tensors in x and y is mismatched. All elements in x and y must have "
                         f"the same length. "
                         f"Shapes: {lengths}")  # fmt: skip

    def input_fn() -> Any:
        found = batches(flat, batch_size, num_epochs, shuffle)
        features = {k: t for (part, k), t in found.items() if part == "x"}
        given = features if isinstance(x, Mapping) else features[""]
        if y is None:
            return given
        labels = {k: t for (part, k), t in found.items() if part == "y"}
        return given, labels if isinstance(y, Mapping) else labels[""]

    return input_fn


def pandas_input_fn(
    x: Any, y: Any = None, batch_size: int = 128, num_epochs: int | None = 1, shuffle: bool | None = None,
    queue_capacity: int = 1000, num_threads: int = 1, target_column: str = "target",
) -> Callable[[], Any]:  # fmt: skip
    """An input function over a data frame: a feature for each column; ``y`` is a series, or a frame of targets."""
    columns = {str(name): _column(x[name]) for name in x.columns}
    if y is None:
        targets: Any = None
    elif hasattr(y, "columns"):
        targets = {str(name): _column(y[name]) for name in y.columns}
    else:
        targets = _column(y)
        if len(x) != len(y) or not x.index.equals(y.index):
            raise ValueError("Index for x and y are mismatched.\n")
    return numpy_input_fn(columns, targets, batch_size, num_epochs, shuffle, queue_capacity, num_threads)


def _column(series: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(series)
    return array.astype(object) if array.dtype.kind in "USO" else array


def _stream(count: int, size: int, epochs: int | None, order: random.Random | None) -> Iterator[np.ndarray[Any, Any]]:
    """Places of the elements of each batch; batches go on from one epoch to the next."""
    waiting = np.empty(0, np.int64)
    done = 0
    while epochs is None or done < epochs:
        places = np.arange(count)
        if order is not None:
            places = np.random.RandomState(order.getrandbits(32)).permutation(count)
        waiting = np.concatenate([waiting, places])
        done += 1
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if len(waiting):
        yield waiting


def batches(flat: Mapping[Any, Any], size: int, epochs: int | None, shuffle: bool) -> dict[Any, Any]:
    """Tensors of one batch of the arrays, another at every run; OutOfRangeError at the end."""
    graph = mode.default_graph()
    count = len(next(iter(flat.values())))
    seed = graph.seed
    streams: weakref.WeakKeyDictionary[Any, Iterator[Any]] = weakref.WeakKeyDictionary()

    def take() -> list[Any]:
        session = running_session()
        if session not in streams:
            order = None
            if shuffle:
                order = random.Random(fresh_seed("estimator") if seed is None else seed)
            streams[session] = _stream(count, size, epochs, order)
        places = next(streams[session], None)
        if places is None:
            raise errors.OutOfRangeError(None, None, "End of sequence: the input function has no more batches")
        return [array[places] for array in flat.values()]

    rows = size if epochs is None else None
    known = []
    for array in flat.values():
        dtype = string if array.dtype.kind in "USO" else as_dtype(array.dtype)
        known.append(((rows, *array.shape[1:]), dtype))
    outputs = graph.add(HostCallKind(take, False, "QueueDequeueUpToV2"), [], known, name="batch").outputs
    return dict(zip(flat, outputs, strict=True))


__getattr__ = missing.guard(__name__)

__all__ = ["numpy_input_fn", "pandas_input_fn"]
