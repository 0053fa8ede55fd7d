"""Parts of tensors: blocks, strides, masks, and choosing between two by a condition."""

from __future__ import annotations

import builtins
import functools
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.errors import InvalidArgumentError
from corenn_tensorflow.framework import matching, static_shape
from corenn_tensorflow.functions.arrays import unstack
from corenn_tensorflow.functions.calling import composite, operand, python_value, rank_of
from corenn_tensorflow.writing import writable


@writable("text.where")
def _where_of(c: Any, s: Any, t: Any) -> Any:
    return np.where(c, s, t)


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """``x`` where the condition holds, else ``y``; with neither, the coordinates of what holds.

    In generation 1 a condition of one axis may choose whole rows.
    """
    test = operand(condition)
    if x is None and y is None:
        return mode.one("Where", name, corenn.argwhere, test)
    if x is None or y is None:
        raise ValueError("x and y must both be non-None or both be None.")
    a, b = matching("Select", x, y, names=("t", "e", None))
    if a.dtype is dtypes.string:
        from corenn_tensorflow.functions.text import on_host

        return on_host("SelectV2", name, _where_of, [test, a, b], "string")
    if mode.generation() == 1:
        axes, inner = rank_of(a), rank_of(test)
        if axes is not None and inner == 1 and axes > 1:
            test = corenn.reshape(test, shape=(-1, *([1] * (axes - 1))))
        return mode.one("Select", name, corenn.where, test, a, b)
    return mode.one("SelectV2", name, corenn.where, test, a, b)


def boolean_mask(tensor: Any, mask: Any, name: str | None = "boolean_mask", axis: Any = None) -> Any:
    """The elements (or slices) where the mask holds."""
    x, held = operand(tensor), operand(mask, None if isinstance(mask, Tensor) else "bool")
    if rank_of(held) == 0:
        raise ValueError("mask cannot be scalar.")
    if rank_of(held) is None:
        raise ValueError("Number of mask dimensions must be specified, even if some dimensions are None.")
    with mode.scope(name, "boolean_mask", x, held):
        return corenn.boolean_mask(x, held, axis=0 if axis is None else python_value(axis))


def slice(input_: Any, begin: Any, size: Any, name: str | None = None) -> Any:
    """A block of a tensor, from ``begin`` on; an extent of -1 goes to the end.

    A block that does not lie within the tensor is an error (InvalidArgumentError, when shapes are known).
    """
    x = operand(input_)
    starts, sizes = python_value(begin), python_value(size)
    axes = rank_of(x)
    if isinstance(starts, GraphTensor):
        starts = tuple(unstack(starts))
    if isinstance(sizes, GraphTensor):
        sizes = tuple(unstack(sizes))
    if axes is not None and not (len(starts) == len(sizes) == axes):
        raise ValueError(f"tf.slice: begin has {len(starts)} and size {len(sizes)} numbers for {axes} axes")
    key = []
    for start, extent in zip(starts, sizes, strict=True):
        if isinstance(extent, GraphTensor):
            key.append(_block(start, start + extent))
        else:
            key.append(_block(start, None if extent == -1 else start + extent))
    wanted = tuple(None if isinstance(n, GraphTensor) or n == -1 else int(n) for n in sizes)
    if _fits(static_shape(x), starts, wanted):
        return mode.one("Slice", name or "Slice", _indexed, x, tuple(key))
    block = mode.one("Slice", f"{name or 'Slice'}/block", _indexed, x, tuple(key))
    return composite(
        "Slice", name or "Slice", functools.partial(_exactly, sizes=wanted), block, results=[(wanted, x.dtype)]
    )


def _fits(extents: Any, starts: Any, sizes: Any) -> bool:
    """Whether a block is known now to lie within a tensor."""
    if extents is None:
        return all(n is None for n in sizes)
    bounds = zip(extents, starts, sizes, strict=True)
    return all(
        n is None or (m is not None and not isinstance(start, GraphTensor) and start + n <= m) for m, start, n in bounds
    )


@writable("slice.exactly")
def _exactly(block: Any, *, sizes: Any) -> Any:
    for axis, (found, wanted) in enumerate(zip(block.spec.static, sizes, strict=True)):
        if wanted is not None and found != wanted:
            raise InvalidArgumentError(None, None, f"Expected size[{axis}] in [0, {found}], but got {wanted}")
    return corenn.identity(block)


def _indexed(x: Any, key: Any) -> Any:
    """``x[key]`` under the name the caller gives."""
    return GraphTensor.__getitem__(x, key) if isinstance(x, GraphTensor) else x[key]


def _block(start: Any, stop: Any) -> Any:
    return builtins.slice(start, stop)


def strided_slice(
    input_: Any, begin: Any, end: Any, strides: Any = None, begin_mask: int = 0, end_mask: int = 0,
    ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0, var: Any = None, name: str | None = None,
) -> Any:  # fmt: skip
    """``x[begin:end:stride, ...]``, with bit masks for what is left out, is ``...``, a new axis or one element."""
    x = operand(input_)
    parts = [python_value(v) for v in (begin, end)]
    steps = (1,) * len(parts[0]) if strides is None else python_value(strides)
    starts, ends, steps = (tuple(unstack(p)) if isinstance(p, GraphTensor) else p for p in (*parts, steps))
    key: list[Any] = []
    for i, (start, stop, step) in enumerate(zip(starts, ends, steps, strict=True)):
        bit = 1 << i
        if ellipsis_mask & bit:
            key.append(Ellipsis)
        elif new_axis_mask & bit:
            key.append(None)
        elif shrink_axis_mask & bit:
            key.append(start)
        else:
            key.append(builtins.slice(None if begin_mask & bit else start, None if end_mask & bit else stop, step))
    return mode.one("StridedSlice", name, _indexed, x, tuple(key))


__all__ = ["boolean_mask", "slice", "strided_slice", "where"]
