"""Shapes of tensors: joining, splitting, reordering, padding, masks."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.graph import building as core
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor, matching, static_shape
from corenn_tensorflow.functions.calling import (
    composite,
    either,
    is_static,
    known,
    operand,
    python_value,
    rank_of,
    shape_argument,
)
from corenn_tensorflow.shapes import TensorShape
from corenn_tensorflow.sparse import IndexedSlices, SparseTensor
from corenn_tensorflow.writing import writable


def shape(input: Any, name: str | None = None, out_type: Any = "int32") -> Any:  # TensorFlow's name
    """The shape as a vector of integers, as it is when the graph runs."""
    if isinstance(input, SparseTensor):
        return corenn.cast(input.dense_shape, dtype=as_dtype(out_type))
    if not isinstance(name, (str, type(None))):  # generation 2 has the type in the second place
        name, out_type = None, name
    x, wanted = operand(input), as_dtype(out_type)
    graph = mode.graph_for(x)
    if graph is None:
        return corenn.tensor(np.array(x.spec.shape, wanted.numpy))
    with graph.as_default():
        if known(x):
            return graph.constant(np.array(static_shape(x), wanted.numpy), name=name or "Shape")
        return core.shape(x, wanted, name=name)


def shape_n(input: Any, out_type: Any = "int32", name: str | None = None) -> list[Any]:
    """The shapes of several tensors."""
    return [shape(x, None, out_type) for x in input]


def size(input: Any, name: str | None = None, out_type: Any = "int32") -> Any:
    """The number of elements."""
    if not isinstance(name, (str, type(None))):
        name, out_type = None, name
    wanted = as_dtype(out_type)
    x = operand(input.dense_shape if isinstance(input, SparseTensor) else input)
    graph = mode.graph_for(x)
    if isinstance(input, SparseTensor):
        return corenn.cast(corenn.prod(x), dtype=wanted)
    if known(x):
        count = np.array(int(np.prod(static_shape(x))), wanted.numpy)
        return corenn.tensor(count) if graph is None else graph.constant(count, name=name or "Size")
    return mode.one("Size", name or "Size", corenn.prod, shape(x, out_type=wanted))


def rank(input: Any, name: str | None = None) -> Any:
    """The number of axes."""
    x = operand(input.dense_shape if isinstance(input, SparseTensor) else input)
    graph = mode.graph_for(x)
    if isinstance(input, SparseTensor):
        return size(x)
    axes = rank_of(x)
    if axes is None:
        return mode.one("Rank", name or "Rank", lambda t: shape(shape(t))[0], x)
    return corenn.tensor(axes) if graph is None else graph.constant(np.array(axes, np.int32), name=name or "Rank")


def reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """The same elements in another shape; one extent may be -1."""
    return mode.one("Reshape", name, corenn.reshape, operand(tensor), shape=shape_argument(shape))


def expand_dims(
    input: Any,
    axis: Any = None,
    name: str | None = None,
    dim: Any = None,
) -> Any:
    """A new axis of extent 1."""
    place = python_value(either(axis, dim, "axis", "dim"))
    if place is None:
        raise ValueError("Argument `axis` is required")
    return mode.one("ExpandDims", name, corenn.expand_dims, operand(input), axis=place)


@writable("squeeze")
def _squeeze_of(x: Any) -> Any:
    return corenn.squeeze(x)


def squeeze(input: Any, axis: Any = None, name: str | None = None, squeeze_dims: Any = None) -> Any:
    """The axes of extent 1 taken away: all of them, or those named."""
    axes = python_value(either(axis, squeeze_dims, "axis", "squeeze_dims"))
    x = operand(input)
    axes = None if axes == () else axes
    if axes is None and not known(x):
        return composite("Squeeze", name, _squeeze_of, x)
    return mode.one("Squeeze", name, corenn.squeeze, x, axis=axes)


@writable("transpose")
def _transpose_of(x: Any) -> Any:
    return corenn.transpose(x)


def transpose(a: Any, perm: Any = None, name: str | None = "transpose", conjugate: bool = False) -> Any:
    """The axes in another order; reversed by default."""
    if isinstance(a, SparseTensor):
        from corenn_tensorflow.sparse import sparse_transpose

        return sparse_transpose(a, perm)
    x = operand(a)
    if conjugate and x.dtype.kind == "c":
        x = corenn.conj(x)
    order = python_value(perm)
    if rank_of(x) is None and order is None:
        return composite("Transpose", name or "transpose", _transpose_of, x)
    return mode.one("Transpose", name or "transpose", corenn.transpose, x, axes=order)


@writable("matrix_transpose")
def _matrix_transpose_of(x: Any) -> Any:
    return corenn.matrix_transpose(x)


def matrix_transpose(a: Any, name: str | None = "matrix_transpose", conjugate: bool = False) -> Any:
    """The last two axes exchanged."""
    x = operand(a)
    if conjugate and x.dtype.kind == "c":
        x = corenn.conj(x)
    if rank_of(x) is not None and (rank_of(x) or 0) < 2:
        raise ValueError(f"Argument `a` should be a (batch) matrix with rank >= 2.  Received `a` = {x}.")
    return composite("Transpose", name or "matrix_transpose", _matrix_transpose_of, x)


@writable("text.concat")
def _concat_of(*a: Any, along: Any) -> Any:
    return np.concatenate(a, axis=along)


def concat(values: Any, axis: Any, name: str | None = "concat") -> Any:
    """Tensors joined along an axis; takes the old order (axis first), too."""
    if _is_axis(values) and isinstance(axis, (list, tuple)):  # before TensorFlow 1.0
        values, axis = axis, values
    if isinstance(values, (list, tuple)) and values and all(isinstance(v, IndexedSlices) for v in values):
        values = [convert_to_tensor(v) for v in values]
    if not isinstance(values, (list, tuple)):
        values = [values]
    along = python_value(axis)
    if len(values) == 1:
        return mode.one("Identity", name or "concat", corenn.identity, operand(values[0]))
    dtype = next((v.dtype for v in values if isinstance(v, Tensor)), None)
    if dtype is dtypes.string or any(_textual(v) for v in values):
        from corenn_tensorflow.functions.text import on_host

        return on_host("ConcatV2", name or "concat", functools.partial(_concat_of, along=along), list(values), "string")
    tensors = matching("ConcatV2", *values)
    return mode.one("ConcatV2", name or "concat", corenn.concatenate, *tensors, axis=along)


def _is_axis(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) or (isinstance(value, Tensor) and rank_of(value) == 0)


def _textual(value: Any) -> bool:
    return operand(value).dtype is dtypes.string if not isinstance(value, Tensor) else value.dtype is dtypes.string


def stack(values: Any, axis: int = 0, name: str | None = "stack") -> Any:
    """Tensors of one shape along a new axis."""
    if isinstance(values, Tensor):
        values = unstack(values)
    listed = list(values)
    if not listed:
        raise ValueError("Cannot stack an empty list of tensors")
    if mode.graph_for(listed) is None and not any(isinstance(v, Tensor) for v in listed):
        return convert_to_tensor(np.stack([convert_to_tensor(v).numpy() for v in listed], axis=axis))
    return mode.one("Pack", name or "stack", corenn.stack, *matching("Pack", *listed, names=[None] * len(listed)),
                    axis=axis)  # fmt: skip


parallel_stack = stack


@writable("unstack")
def _unstack_of(t: Any, *, axis: int) -> Any:
    return corenn.unstack(t, axis=axis)


def unstack(value: Any, num: int | None = None, axis: int = 0, name: str | None = "unstack") -> list[Any]:
    """The slices of a tensor along an axis, whose extent must be known now (or given as ``num``)."""
    x = operand(value)
    extents = static_shape(x)
    count = num if extents is None else extents[axis]
    if count is None:
        count = num
    if count is None:
        raise ValueError(f"Cannot infer argument `num` from shape {TensorShape(extents)}")
    if extents is not None and extents[axis] is not None and extents[axis] != count:
        raise ValueError(f"Cannot unstack {extents[axis]} elements along axis {axis} into {count}")
    if isinstance(x, GraphTensor) and (extents is None or extents[axis] is None):
        return list(composite("Unpack", name or "unstack", functools.partial(_unstack_of, axis=axis), x, several=True,
                              results=[_without(extents, axis, x.dtype)] * count))  # fmt: skip
    with mode.scope(name, "unstack", x):
        return list(corenn.unstack(x, axis=axis))


def _without(extents: Any, axis: int, dtype: Any) -> Any:
    if extents is None:
        return None, dtype
    kept = list(extents)
    del kept[axis]
    return tuple(kept), dtype


@writable("split")
def _split_of(t: Any, *, given: Any, along: Any) -> Any:
    return corenn.split(t, given, axis=along)


def split(
    value: Any, num_or_size_splits: Any = None, axis: Any = 0, num: int | None = None, name: str | None = "split",
    split_dim: Any = None, num_split: Any = None,
) -> list[Any]:  # fmt: skip
    """A tensor in parts along an axis: a number of equal ones, or ones of given sizes.

    Takes the order of before TensorFlow 1.0, too: ``split(axis, number, value)``.
    """
    if split_dim is not None:
        axis, num_or_size_splits = split_dim, num_split if num_or_size_splits is None else num_or_size_splits
    elif _is_axis(value) and isinstance(axis, Tensor) and not _is_axis(axis):
        value, axis = axis, value
    x, along = operand(value), python_value(axis)
    sizes = python_value(num_or_size_splits)
    if isinstance(sizes, GraphTensor) or not is_static(sizes):
        raise ValueError("tf.split needs numbers that are known while the graph is built")
    parts = sizes if isinstance(sizes, int) else len(sizes)
    given = sizes if isinstance(sizes, int) else list(sizes)
    if isinstance(x, GraphTensor) and x.dtype is dtypes.string:
        return list(mode.one("Split", name or "split", corenn.split, x, given, axis=along))
    cut = functools.partial(_split_of, given=given, along=along)
    extents = static_shape(x)
    if isinstance(x, GraphTensor) and (extents is None or extents[along] is None):
        results = []
        for i in range(parts):
            after = None if extents is None else list(extents)
            if after is not None:
                after[along] = None if isinstance(sizes, int) or sizes[i] < 0 else sizes[i]
            results.append((None if after is None else tuple(after), x.dtype))
        return list(composite("Split", name or "split", cut, x, several=True, results=results))
    if isinstance(sizes, int) and extents is not None and (extents[along] or 0) % sizes:
        raise ValueError(f"Dimension size must be evenly divisible by {sizes} but is {extents[along]} for "
                         f"'{name or 'split'}' (op: 'Split')")  # fmt: skip
    if mode.graph_for(x) is None:
        return list(corenn.split(x, given, axis=along))
    return list(
        composite("Split", name or "split", functools.partial(_split_of, given=given, along=along), x, several=True)
    )


def tile(input: Any, multiples: Any, name: str | None = None) -> Any:
    """The tensor repeated along each axis."""
    return mode.one("Tile", name, corenn.tile, operand(input), repetitions=shape_argument(multiples))


def repeat(input: Any, repeats: Any, axis: Any = None, name: str | None = None) -> Any:
    """Each element (or slice along ``axis``) repeated: all as often, or each as ``repeats`` says."""
    x, counts = operand(input), python_value(repeats)
    if isinstance(counts, (int, np.integer)):
        return mode.one("Repeat", name, corenn.repeat, x, repeats=int(counts), axis=axis)
    from corenn_tensorflow.functions.creating import range as number_range
    from corenn_tensorflow.functions.gathering import gather

    with mode.scope(name, "repeat", x, repeats):
        along, rows = (0, corenn.reshape(x, shape=(-1,))) if axis is None else (axis, x)
        given = operand(repeats)
        ends = corenn.cumsum(given, axis=0)
        # The row that output number i copies is the number of rows that end at or before i.
        places = corenn.searchsorted(ends, number_range(corenn.sum(given), dtype=given.dtype), side="right")
        return gather(rows, places, axis=along)


def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Any:
    """The tensor spread to ``shape``."""
    return mode.one("BroadcastTo", name, corenn.broadcast_to, operand(input), shape=shape_argument(shape))


def broadcast_static_shape(shape_x: Any, shape_y: Any) -> TensorShape:
    """The shape that two shapes broadcast to."""
    a, b = TensorShape(shape_x).extents, TensorShape(shape_y).extents
    if a is None or b is None:
        return TensorShape(None)
    width = max(len(a), len(b))
    rows = []
    for m, n in zip((1,) * (width - len(a)) + a, (1,) * (width - len(b)) + b, strict=True):
        if m is not None and n is not None and m != n and 1 not in (m, n):
            raise ValueError(f"Incompatible shapes for broadcasting: {TensorShape(a)} and {TensorShape(b)}")
        rows.append(n if m == 1 else m if n in (1, None) and m is not None else n if m is None and n != 1 else m)
    return TensorShape(rows)


@writable("broadcast_dynamic_shape")
def _broadcast_dynamic_shape_of(a: Any, b: Any) -> Any:
    width = max(a.spec.static[0], b.spec.static[0])
    wide = [corenn.pad(t, widths=((width - t.spec.static[0], 0),), value=1) for t in (a, b)]
    return corenn.where(corenn.equal(wide[0], 1), wide[1], wide[0])


def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Any:
    """The shape that two shapes, given as tensors, broadcast to."""
    return composite("BroadcastArgs", None, _broadcast_dynamic_shape_of, shape_x, shape_y)


def pad(
    tensor: Any,
    paddings: Any,
    mode: str = "CONSTANT",
    name: str | None = None,
    constant_values: Any = 0,
) -> Any:
    """Elements added around a tensor: constant ones, reflected ones, or (symmetric) reflected with the edge."""
    from corenn_tensorflow import mode as state

    kinds = {"CONSTANT": "constant", "REFLECT": "reflect", "SYMMETRIC": "symmetric"}
    if mode.upper() not in kinds:
        raise ValueError(f"Value of argument `mode` expected to be one of 'CONSTANT', 'REFLECT', or 'SYMMETRIC'. "
                         f"Received `mode` = {mode}")  # fmt: skip
    type_name = "MirrorPad" if mode.upper() != "CONSTANT" else "PadV2" if _not_zero(constant_values) else "Pad"
    x, widths = operand(tensor), python_value(paddings)
    fill = python_value(constant_values)
    if isinstance(fill, GraphTensor):
        padded = state.one(type_name, name, corenn.pad, x, widths=widths)
        inside = corenn.pad(corenn.ones_like(x, "int32"), widths=widths)
        return corenn.where(corenn.equal(inside, 1), padded, fill)
    return state.one(type_name, name, corenn.pad, x, widths=widths, mode=kinds[mode.upper()], value=fill)


def _not_zero(value: Any) -> bool:
    return isinstance(value, Tensor) or value != 0


def reverse(tensor: Any, axis: Any = None, name: str | None = None, dims: Any = None) -> Any:
    """The order along axes turned round; a list of bools (before TensorFlow 1.0) says which axes."""
    axes = python_value(either(axis, dims, "axis", "dims"))
    if isinstance(axes, (list, tuple)) and axes and all(isinstance(a, (bool, np.bool_)) for a in axes):
        axes = tuple(i for i, turned in enumerate(axes) if turned)
    x = operand(tensor)
    return x if axes == () else mode.one("ReverseV2", name, corenn.flip, x, axis=axes)


@writable("reverse_sequence")
def _reverse_sequence_of(x: Any, lengths: Any, *, batch: Any, along: Any) -> Any:
    moved = corenn.moveaxis(x, (batch, along), (0, 1))
    count, steps = moved.spec.static[:2]
    places = corenn.arange(steps)[None, :]
    ends = corenn.reshape(corenn.cast(lengths, dtype="int32"), shape=(count, 1))
    turned = corenn.where(corenn.less(places, ends), ends - 1 - places, places)
    wide = corenn.reshape(turned, shape=(count, steps, *([1] * (moved.ndim - 2))))
    found = corenn.take_along_axis(moved, corenn.broadcast_to(wide, shape=moved.spec.static), axis=1)
    return corenn.moveaxis(found, (0, 1), (batch, along))


def reverse_sequence(
    input: Any, seq_lengths: Any, seq_axis: int | None = None, batch_axis: int | None = None,
    name: str | None = None, seq_dim: int | None = None, batch_dim: int | None = None,
) -> Any:  # fmt: skip
    """The first elements along ``seq_axis`` turned round: as many as each entry of the batch has."""
    along = either(seq_axis, seq_dim, "seq_axis", "seq_dim")
    batch = either(batch_axis, batch_dim, "batch_axis", "batch_dim") or 0
    if along is None:
        raise ValueError("reverse_sequence needs seq_axis")
    return composite(
        "ReverseSequence",
        name,
        functools.partial(_reverse_sequence_of, batch=batch, along=along),
        operand(input),
        operand(seq_lengths),
    )


def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Any:
    """The elements moved along axes; what leaves at the end comes in at the beginning."""
    return mode.one("Roll", name, corenn.roll, operand(input), shift=python_value(shift), axis=python_value(axis))


@writable("text.identity")
def _identity_of(a: Any) -> Any:
    return a


def identity(input: Any, name: str | None = None) -> Any:
    """The tensor itself, as an operation of its own."""
    if isinstance(input, SparseTensor):
        return SparseTensor(identity(input.indices), identity(input.values), identity(input.dense_shape))
    x = operand(input)
    if x.dtype is dtypes.string:
        if mode.graph_for(x) is None:
            return x
        from corenn_tensorflow.functions.text import on_host

        return on_host("Identity", name or "Identity", _identity_of, [x], "string")
    return mode.one("Identity", name, corenn.identity, x)


def identity_n(input: Any, name: str | None = None) -> list[Any]:
    """The tensors themselves."""
    with mode.scope(name, "IdentityN", input):
        return [identity(x) for x in input]


def stop_gradient(input: Any, name: str | None = None) -> Any:
    """The tensor, through which no gradient passes."""
    return mode.one("StopGradient", name, corenn.stop_gradient, operand(input))


@writable("prevent_gradient")
def _without_gradient(x: Any, *, message: str) -> Any:
    def refuse(*_: Any) -> Any:
        raise LookupError(f"Gradient explicitly disabled. Reason: {message}")

    return corenn.custom_gradient(lambda v: (corenn.identity(v), refuse))(x)


def prevent_gradient(input: Any, message: str = "", name: str | None = None) -> Any:
    """The tensor; asking for a gradient through it is an error (LookupError)."""
    return composite("PreventGradient", name, functools.partial(_without_gradient, message=message), operand(input))


def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Any:
    """The tensor, known from here on to have the shape; an error when the graph runs if it has another."""
    from corenn_tensorflow.functions.checking import shape_checked

    return shape_checked(operand(x), TensorShape(shape), name or "EnsureShape")


__all__ = [
    "broadcast_dynamic_shape", "broadcast_static_shape", "broadcast_to", "concat", "ensure_shape",
    "expand_dims", "identity", "identity_n", "matrix_transpose", "pad", "parallel_stack", "prevent_gradient", "rank",
    "repeat", "reshape", "reverse", "reverse_sequence", "roll", "shape", "shape_n", "size", "split",
    "squeeze", "stack", "stop_gradient", "tile", "transpose", "unstack",
]  # fmt: skip
