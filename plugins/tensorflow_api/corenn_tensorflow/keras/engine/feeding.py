"""What Keras's ``fit`` accepts as data, brought to what the core's takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from corenn import tree
from corenn.data import Dataset
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn.training import feeding
from corenn_tensorflow.framework import convert_to_tensor


def prepared(
    x: Any, y: Any, sample_weight: Any, batch_size: int | None = None, shuffle: bool = False
) -> tuple[Any, Any, Any]:
    """Arrays, or a core dataset or generator in the place of ``x``; text comes as a data set of batches."""
    own = getattr(x, "core_batches", None)
    if own is not None:  # a tf.data.Dataset
        return own(), None, None
    if world_graph(x) or world_graph(y):
        return _fetching(x, y, sample_weight), None, None
    if hasattr(x, "get_next") and isinstance(getattr(x, "get_next", None), object) and not isinstance(x, np.ndarray):
        parts = x.get_next()
        if world_graph(parts):
            return _fetching(*_three(parts)), None, None
        return _chained(parts, x), None, None
    if is_sequence(x):
        return _passes(x), None, None
    if is_text(found := columns(x)):
        from corenn_tensorflow.data import Dataset as TextDataset

        given = tuple(p for p in (found, columns(y), columns(sample_weight)) if p is not None)
        made = TextDataset.from_tensor_slices(given if len(given) > 1 else given[0])
        made = made.shuffle(len(made)) if shuffle else made
        return made.batch(batch_size or feeding.BATCH_SIZE).core_batches(), None, None
    return found, columns(y), sample_weight


def is_text(structure: Any) -> bool:
    """Whether there are strings among arrays."""
    leaves = () if structure is None or hasattr(structure, "__next__") else tree.leaves(structure)
    return any(isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OSU" and leaf.size
               and isinstance(leaf.flat[0], (str, bytes)) for leaf in leaves)  # fmt: skip


def text(structure: Any) -> Any:
    """Arrays of strings as tensors of strings."""
    if structure is None or not is_text(structure):
        return structure
    return tree.tree_map(lambda v: convert_to_tensor(v) if is_text(v) else v, structure)


def world_graph(value: Any) -> bool:
    """Whether there is a graph tensor among the leaves."""
    return value is not None and any(isinstance(leaf, GraphTensor) for leaf in tree.leaves(value))


def _three(parts: Any) -> tuple[Any, Any, Any]:
    listed = tuple(parts) if isinstance(parts, (tuple, list)) else (parts,)
    return (*listed, None, None)[:3]  # type: ignore[return-value]  # three


def _chained(first: Any, rest: Any) -> Iterator[Any]:
    yield tree.tree_map(_host, first)
    for element in rest:
        yield tree.tree_map(_host, element)


def _host(value: Any) -> Any:
    return np.asarray(value._host()) if isinstance(value, Tensor) else value


def _fetching(x: Any, y: Any, weight: Any) -> Iterator[Any]:
    """Batches that the session of the program computes, until the data ends."""
    from corenn_tensorflow import errors
    from corenn_tensorflow.keras.session import get_session

    session = get_session()
    parts = tuple(p for p in (x, y, weight) if p is not None)
    while True:
        try:
            yield session.run(parts)
        except errors.OutOfRangeError:
            return


def is_sequence(x: Any) -> bool:
    """Whether it is a ``keras.utils.Sequence``, or looks like one."""
    return hasattr(x, "__getitem__") and hasattr(x, "__len__") and (
        hasattr(x, "on_epoch_end") and not isinstance(x, (list, tuple, dict, np.ndarray, Tensor))
    )  # fmt: skip


def _passes(sequence: Any) -> Dataset:
    """One pass over a sequence for each epoch; it is told of the end of each."""

    def batches() -> Iterator[Any]:
        for i in range(len(sequence)):
            yield feeding._tidy(sequence[i])
        sequence.on_epoch_end()

    return Dataset.from_generator(batches)


def columns(part: Any) -> Any:
    """Arrays of the host; lists of arrays stay lists, frames and series become arrays."""
    if part is None or isinstance(part, Dataset) or callable(part):
        return part
    if isinstance(part, dict):
        return {k: columns(v) for k, v in part.items()}
    several = isinstance(part, tuple) or (isinstance(part, list) and any(hasattr(v, "__array__") for v in part))
    if several and any(np.ndim(v) for v in part):
        return tuple(columns(v) for v in part)
    if isinstance(part, Tensor):
        return np.asarray(part._host())
    if hasattr(part, "__next__"):
        return part
    if hasattr(part, "__array__") or isinstance(part, (list, tuple, int, float)):
        return np.asarray(part)
    return part


def with_axis(structure: Any) -> Any:
    """Arrays of one axis as columns of one number."""
    if structure is None:
        return None

    def widened(value: Any) -> Any:
        if isinstance(value, Tensor):
            from corenn.ops.shaping import expand_dims

            return expand_dims(value, axis=-1) if len(value.spec.shape) == 1 else value
        array = np.asarray(value)
        return array[:, None] if array.ndim == 1 else array

    return tree.tree_map(widened, structure)


__all__ = ["columns", "is_sequence", "is_text", "prepared", "text", "with_axis", "world_graph"]
