"""``tf.sets``: sets of numbers in the last axis of tensors, as sparse tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn_tensorflow import missing, mode
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.functions.text import on_host
from corenn_tensorflow.sparse import SparseTensor
from corenn_tensorflow.writing import writable


def _rows(parts: list[Any]) -> list[set[Any]]:
    """The sets: of a dense array, or of the three parts of a sparse one."""
    if len(parts) == 1:
        return [set(row.tolist()) for row in parts[0].reshape(-1, parts[0].shape[-1])]
    indices, values, extents = parts
    rows: list[set[Any]] = [set() for _ in range(int(np.prod(extents[:-1])))]
    for place, value in zip(indices, values.tolist(), strict=True):
        rows[int(np.ravel_multi_index(tuple(place[:-1]), tuple(extents[:-1])))].add(value)
    return rows


_COMBINE: dict[str, Callable[[set[Any], set[Any]], set[Any]]] = {
    "difference": lambda a, b: a - b, "intersection": lambda a, b: a & b, "union": lambda a, b: a | b,
}  # fmt: skip


def _combined(arrays: tuple[Any, ...], combine: str, count: int, aminusb: bool) -> tuple[Any, list[list[Any]]]:
    """The outer extents and the combined sets; the first ``count`` arrays describe the first sets."""
    first, second = _rows(list(arrays[:count])), _rows(list(arrays[count:]))
    pair = zip(first, second, strict=True) if aminusb else zip(second, first, strict=True)
    outer = arrays[0].shape[:-1] if count == 1 else tuple(arrays[2][:-1])
    return outer, [sorted(_COMBINE[combine](x, y)) for x, y in pair]


@writable("sets.places")
def _places(*arrays: Any, **options: Any) -> Any:
    outer, rows = _combined(arrays, **options)
    found = [(*np.unravel_index(i, outer), j) for i, row in enumerate(rows) for j in range(len(row))]
    return np.array(found, np.int64).reshape(-1, len(outer) + 1)


@writable("sets.values")
def _values(*arrays: Any, **options: Any) -> Any:
    return np.array([v for row in _combined(arrays, **options)[1] for v in row])


@writable("sets.extents")
def _extents(*arrays: Any, **options: Any) -> Any:
    outer, rows = _combined(arrays, **options)
    return np.array([*outer, max((len(r) for r in rows), default=0)], np.int64)


def _operation(combine: str, doc: str) -> Callable[..., SparseTensor]:
    name = "DenseToDenseSetOperation"

    def call(a: Any, b: Any, aminusb: bool = True, validate_indices: bool = True) -> SparseTensor:
        inputs = [
            list(v.__corenn_structure__()) if isinstance(v, SparseTensor) else [convert_to_tensor(v)] for v in (a, b)
        ]
        count = len(inputs[0])
        options = {"combine": combine, "count": count, "aminusb": bool(aminusb)}
        flat = [*inputs[0], *inputs[1]]
        dtype = inputs[0][0].dtype if count == 1 else inputs[0][1].dtype
        with mode.scope(None, name, flat):
            return SparseTensor(
                on_host(name, None, functools.partial(_places, **options), flat, "int64", (None, None)),
                on_host(name, None, functools.partial(_values, **options), flat, dtype, (None,)),
                on_host(name, None, functools.partial(_extents, **options), flat, "int64", (None,)),
            )  # fmt: skip

    call.__doc__ = doc
    return call


difference = _operation("difference", "What is in ``a`` and not in ``b``.")
intersection = _operation("intersection", "What is in both.")
union = _operation("union", "What is in either.")


@writable("sets.size")
def _size_count(*parts: Any) -> Any:
    outer = tuple(parts[2][:-1])
    return np.array([len(r) for r in _rows(list(parts))], np.int32).reshape(outer)


def size(a: SparseTensor, validate_indices: bool = True) -> Any:
    """The number of elements of each set."""
    return on_host("SetSize", None, _size_count, list(a.__corenn_structure__()), "int32", (None,) * (len(a.shape) - 1))


set_difference, set_intersection, set_union, set_size = difference, intersection, union, size

__all__ = [
    "difference", "intersection", "set_difference", "set_intersection", "set_size", "set_union", "size", "union",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
