"""Sequences and optionals: Python lists and ``None``."""

from __future__ import annotations

from typing import Any

import numpy as np

import corenn
from corenn.tensor import Tensor
from corenn_onnx.ops._common import positive
from corenn_onnx.table import onnx_op
from corenn_onnx.values import Constant

Host = np.ndarray[Any, Any]


@onnx_op("SequenceEmpty")
def sequence_empty(*, dtype: int = 1) -> Any:
    """A sequence of nothing."""
    return []


@onnx_op("SequenceConstruct", raw=("values",))
def sequence_construct(*values: Any) -> Any:
    """A sequence of the inputs."""
    return list(values)


def _place(position: Host | None, count: int, node: Any) -> int:
    if position is None:
        return count
    place = int(position.reshape(()))
    if not -count <= place <= count:
        raise node.unsupported(f"position {place} in a sequence of {count}")
    return place + count if place < 0 else place


@onnx_op("SequenceAt", raw=("sequence",), host=("position",))
def sequence_at(sequence: Any, position: Host, *, node: Any) -> Any:
    """One value."""
    return sequence[_place(position, len(sequence), node)]


@onnx_op("SequenceInsert", raw=("sequence", "value"), host=("position",))
def sequence_insert(sequence: Any, value: Any, position: Host | None = None, *, node: Any) -> Any:
    """With a value before a position, by default at the end."""
    place = _place(position, len(sequence), node)
    return [*sequence[:place], value, *sequence[place:]]


@onnx_op("SequenceErase", raw=("sequence",), host=("position",))
def sequence_erase(sequence: Any, position: Host | None = None, *, node: Any) -> Any:
    """Without the value at a position, by default the last."""
    place = len(sequence) - 1 if position is None else _place(position, len(sequence), node)
    return [*sequence[:place], *sequence[place + 1 :]]


@onnx_op("SequenceLength", raw=("sequence",))
def sequence_length(sequence: Any) -> Any:
    """How many values there are."""
    return np.array(len(sequence), np.int64)


def _tensors(sequence: Any, node: Any) -> list[Tensor]:
    return [v.tensor() if isinstance(v, Constant) else v for v in sequence]


@onnx_op("ConcatFromSequence", raw=("sequence",))
def concat_from_sequence(sequence: Any, *, node: Any, axis: int, new_axis: int = 0) -> Any:
    """The values joined along an axis, or stacked along a new one."""
    if sequence and all(isinstance(v, Constant) and v.foreign for v in sequence):
        return (np.stack if new_axis else np.concatenate)([v.host for v in sequence], axis=axis)
    tensors = _tensors(sequence, node)
    return (corenn.stack if new_axis else corenn.concatenate)(*tensors, axis=axis)


@onnx_op("SplitToSequence", host=("split",), moves=True)
def split_to_sequence(x: Tensor, split: Host | None = None, *, axis: int = 0, keepdims: int = 1) -> Any:
    """Parts along an axis as a sequence: of one size, of given sizes, or single slices."""
    axis = positive(axis, len(x.shape))
    extent = x.shape[axis]
    if split is None:
        parts = list(corenn.split(x, (1,) * extent, axis=axis))
        return parts if keepdims else [corenn.squeeze(p, axis=axis) for p in parts]
    if split.ndim:
        sizes = [int(n) for n in split]
    else:
        part = int(split)
        sizes = [min(part, extent - i) for i in range(0, extent, part)]
    return list(corenn.split(x, tuple(sizes), axis=axis))


@onnx_op("SequenceMap", raw=("sequence", "further"), pure=False)
def sequence_map(sequence: Any, *further: Any, node: Any, body: Any) -> Any:
    """A graph run on each value; inputs that are no sequences are the same each time."""
    found = []
    for i, value in enumerate(sequence):
        found.append(body.run([value, *[f[i] if isinstance(f, list) else f for f in further]], node.scope))
    return tuple(list(column) for column in zip(*found, strict=True))


@onnx_op("OptionalHasElement", raw=("value",))
def optional_has_element(value: Any = None) -> Any:
    """Whether there is a value."""
    return np.array(value is not None)


@onnx_op("OptionalGetElement", raw=("value",))
def optional_get_element(value: Any, *, node: Any) -> Any:
    """The value."""
    if value is None:
        raise node.unsupported("the optional is empty")
    return value
