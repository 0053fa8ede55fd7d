"""``tf.ragged``: tensors with rows of different lengths."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.errors import CorennError
from corenn_tensorflow import missing
from corenn_tensorflow.framework import as_dtype, convert_to_tensor, static_shape
from corenn_tensorflow.ragged_tensor import RaggedTensor, RaggedTensorValue, taken


def constant(
    pylist: Any, dtype: Any = None, ragged_rank: int | None = None, inner_shape: Any = None, name: Any = None,
    row_splits_dtype: Any = "int64",
) -> Any:  # fmt: skip
    """A ragged tensor of nested lists; a plain one where they are not nested."""
    kind = None if dtype is None else as_dtype(dtype)
    depth = _depth(pylist)
    if inner_shape is not None and ragged_rank is None:
        ragged_rank = max(depth - 1 - len(tuple(inner_shape)), 1)
    levels = max(depth - 1, 0) if ragged_rank is None else int(ragged_rank)
    if depth == 0 or levels == 0:
        return convert_to_tensor(pylist, kind)
    if levels > depth - 1 and _leaves(pylist):
        raise ValueError(f"pylist has {depth} levels, ragged_rank must be less: {levels}")
    listed, splits = list(pylist), []
    for _ in builtins.range(levels):
        for row in listed:
            if not isinstance(row, (list, tuple, np.ndarray)):
                raise ValueError(f"all elements of pylist must have the same depth; found {row!r} beside lists")
        lengths = [len(row) for row in listed]
        splits.append(np.cumsum([0, *lengths]).astype(as_dtype(row_splits_dtype).numpy))
        listed = [item for row in listed for item in row]
    if not listed and kind is None:
        kind = dtypes.float32
    if any(isinstance(v, (list, tuple)) for v in listed) and len({np.shape(v) for v in listed}) > 1:
        raise ValueError("the inner lists of pylist have different lengths: ask for a larger ragged_rank")
    flat: Any = convert_to_tensor(np.array(listed, kind.numpy) if not listed and kind else listed, kind)
    return RaggedTensor.from_nested_row_splits(flat, splits)


def _depth(value: Any) -> int:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.ndim
    if not isinstance(value, (list, tuple, np.ndarray)):
        return 0
    return 1 + max((_depth(v) for v in value), default=0)


def _leaves(value: Any) -> bool:
    return not isinstance(value, (list, tuple, np.ndarray)) or any(_leaves(v) for v in value)


def constant_value(pylist: Any, dtype: Any = None, **options: Any) -> RaggedTensorValue:
    """``constant`` as arrays."""
    made = constant(pylist, dtype, **options)
    return RaggedTensorValue(made.flat_values.numpy(), made.row_splits.numpy())


def range(  # TensorFlow's name
    starts: Any, limits: Any = None, deltas: Any = 1, dtype: Any = None, name: Any = None, row_splits_dtype: Any = None
) -> RaggedTensor:
    """A row of numbers for each start, limit and step."""
    if limits is None:
        starts, limits = 0, starts
    arrays = [np.asarray(v.numpy() if hasattr(v, "numpy") else v) for v in (starts, limits, deltas)]
    wide = np.broadcast_arrays(*[np.atleast_1d(a) for a in arrays])
    rows = [np.arange(a, b, d) for a, b, d in zip(*wide, strict=True)]
    kind = as_dtype(dtype) if dtype is not None else dtypes.float32 if wide[0].dtype.kind == "f" else dtypes.int32
    flat = np.concatenate(rows).astype(kind.numpy) if rows else np.empty(0, kind.numpy)
    return RaggedTensor.from_row_lengths(convert_to_tensor(flat), np.array([len(r) for r in rows], np.int64))


def map_flat_values(op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``op`` of the innermost values of the ragged tensors among the arguments."""
    ragged = [a for a in (*args, *kwargs.values()) if isinstance(a, RaggedTensor)]
    if not ragged:
        return op(*args, **kwargs)
    plain = [a.flat_values if isinstance(a, RaggedTensor) else a for a in args]
    named = {k: v.flat_values if isinstance(v, RaggedTensor) else v for k, v in kwargs.items()}
    return ragged[0].with_flat_values(op(*plain, **named))


def stack(values: Any, axis: int = 0, name: Any = None) -> RaggedTensor:
    """Tensors of different lengths as rows."""
    if axis != 0:
        raise ValueError("tf.ragged.stack is offered along axis 0")
    rows = [v if isinstance(v, RaggedTensor) else convert_to_tensor(v) for v in values]
    return RaggedTensor.from_row_lengths(_joined(rows), np.array([len(r) for r in rows], np.int64))


def _joined(rows: list[Any]) -> Any:
    """Tensors one after another along the first axis."""
    if any(isinstance(r, RaggedTensor) for r in rows):
        parts = [r if isinstance(r, RaggedTensor) else RaggedTensor.from_tensor(r) for r in rows]
        lengths = np.concatenate([np.diff(p.splits()) for p in parts])
        return RaggedTensor.from_row_lengths(_joined([p.values for p in parts]), lengths.astype(np.int64))
    if rows and rows[0].dtype is dtypes.string:
        return convert_to_tensor(np.concatenate([r.data for r in rows]), dtypes.string)
    return corenn.concatenate(*rows, axis=0)


def concat(values: Any, axis: int = 0, name: Any = None) -> Any:
    """Ragged tensors one after another, or row by row."""
    parts = [v if isinstance(v, RaggedTensor) else RaggedTensor.from_tensor(convert_to_tensor(v)) for v in values]
    if axis == 0:
        return _joined(parts)
    if axis not in (1, -1):
        raise ValueError(f"tf.concat of ragged tensors is offered along axes 0 and 1, not {axis}")
    count = len(parts)
    whole = _joined(parts)
    order = np.arange(len(whole)).reshape(count, -1).T.reshape(-1)
    mixed = whole.rows(order)
    lengths = np.diff(mixed.splits()).reshape(-1, count).sum(1)
    return RaggedTensor.from_row_lengths(mixed.values, lengths.astype(np.int64))


def boolean_mask(data: Any, mask: Any, name: Any = None) -> Any:
    """The values where a mask of the same rows holds, by row."""
    rows = data if isinstance(data, RaggedTensor) else RaggedTensor.from_tensor(convert_to_tensor(data))
    marks = mask if isinstance(mask, RaggedTensor) else _of_mask(mask, rows)
    kept = np.asarray(marks.flat_values.numpy()).astype(bool)
    if len(kept) != len(rows.values):
        raise ValueError(f"the mask has {len(kept)} values, the data {len(rows.values)}")
    ids = np.repeat(np.arange(len(rows)), np.diff(rows.splits()))[kept]
    lengths = np.bincount(ids, minlength=len(rows)).astype(np.int64)
    return RaggedTensor.from_row_lengths(taken(rows.values, kept.nonzero()[0]), lengths)


def _of_mask(mask: Any, rows: RaggedTensor) -> RaggedTensor:
    given = constant(mask) if isinstance(mask, list) else convert_to_tensor(mask)
    return given if isinstance(given, RaggedTensor) else RaggedTensor.from_tensor(given)


# ---------------------------------------------------------------- tf's functions of ragged tensors

_REDUCED: dict[str, Callable[..., Any]] = {}


def _reduction(name: str) -> Callable[..., Any]:
    def call(input_tensor: Any, axis: Any = None, keepdims: Any = None, name: Any = None, **options: Any) -> Any:
        if axis is None:
            return _plain_function(f"reduce_{kind}")(input_tensor.flat_values)
        place = int(axis) % (input_tensor.ragged_rank + len(static_shape(input_tensor.flat_values) or [0]))
        if place == 0:
            return _by_column(kind, input_tensor)
        if place > 1:
            inner = input_tensor.values
            if isinstance(inner, RaggedTensor):
                return input_tensor.with_values(call(inner, place - 1))
            return input_tensor.with_values(_plain_function(f"reduce_{kind}")(inner, place - 1))
        if isinstance(input_tensor.values, RaggedTensor):
            raise ValueError("reductions of ragged tensors are offered along the first and the last ragged axis")
        return _segments(kind, input_tensor.values, input_tensor.value_rowids(), len(input_tensor))

    kind = name
    return call


def _plain_function(name: str) -> Callable[..., Any]:
    from corenn_tensorflow.functions import reductions

    return getattr(reductions, name)  # type: ignore[no-any-return]


_SEGMENTS = {"sum": "segment_sum", "max": "segment_max", "min": "segment_min", "prod": "segment_prod"}


def _segments(kind: str, values: Any, ids: Any, count: int) -> Any:
    if kind in ("all", "any"):
        marks = corenn.cast(values, dtype="int32")
        total = corenn.segment_sum(marks, ids, num_segments=count)
        if kind == "any":
            return corenn.greater(total, 0)
        return corenn.equal(total, corenn.segment_sum(corenn.ones_like(marks), ids, num_segments=count))
    if kind == "mean":  # of nothing it is not a number
        one = corenn.ones_like(ids, dtype=values.dtype)
        sizes = corenn.segment_sum(one, ids, num_segments=count)
        sizes = corenn.reshape(sizes, shape=(-1, *[1] * (values.ndim - 1)))
        empty = corenn.equal(sizes, 0)
        total = corenn.segment_sum(values, ids, num_segments=count)
        return corenn.where(empty, float("nan"), corenn.divide(total, corenn.where(empty, 1, sizes)))
    return getattr(corenn, _SEGMENTS[kind])(values, ids, num_segments=count)


def _by_column(kind: str, given: RaggedTensor) -> Any:
    if isinstance(given.values, RaggedTensor):
        raise ValueError("reductions along the first axis are offered for one ragged axis")
    splits = given.splits()
    columns = np.arange(splits[-1]) - np.repeat(splits[:-1], np.diff(splits))
    return _segments(kind, given.values, corenn.tensor(columns.astype(np.int64)), int(columns.max(initial=-1)) + 1)


def _expand_dims(input: Any, axis: int, name: Any = None, **options: Any) -> Any:
    rank = input.ragged_rank + len(static_shape(input.flat_values) or [0])
    place = axis % (rank + 1)
    if place == 0:
        return RaggedTensor.from_row_lengths(input, np.array([len(input)], np.int64))
    if place == 1:
        return RaggedTensor.from_row_lengths(input, np.ones(len(input), np.int64))
    inner = input.values
    if isinstance(inner, RaggedTensor):
        return input.with_values(_expand_dims(inner, place - 1))
    return input.with_values(corenn.expand_dims(inner, axis=place - 1))


def _gather(params: Any, indices: Any, *args: Any, **options: Any) -> Any:
    if isinstance(params, RaggedTensor):
        places = np.asarray(indices.numpy() if hasattr(indices, "numpy") else indices)
        return params[int(places)] if places.ndim == 0 else params.rows(places)
    from corenn_tensorflow.functions.gathering import gather

    return indices.with_flat_values(gather(params, indices.flat_values, *args, **options))


def _size(input: Any, *args: Any, **options: Any) -> Any:
    return convert_to_tensor(int(input.nested_row_splits[-1].numpy()[-1]), dtypes.int32)


def _rank(input: Any, *args: Any, **options: Any) -> Any:
    return convert_to_tensor(input.ragged_rank + len(static_shape(input.flat_values) or [0]), dtypes.int32)


_OWN: dict[str, Callable[..., Any]] = {
    **{f"reduce_{n}": _reduction(n) for n in ("sum", "mean", "max", "min", "prod", "all", "any")},
    "concat": concat, "expand_dims": _expand_dims, "gather": _gather, "size": _size, "rank": _rank,
    "stack": stack, "boolean_mask": boolean_mask,
}  # fmt: skip
#: Functions of the top level that work on the innermost values.
_BY_VALUE = (
    "abs", "add", "as_string", "cast", "ceil", "cos", "divide", "equal", "exp", "floor", "greater", "greater_equal",
    "identity", "less", "less_equal", "log", "logical_not", "maximum", "minimum", "multiply", "negative", "not_equal",
    "one_hot", "ones_like", "pow", "round", "sigmoid", "sign", "sin", "sqrt", "square", "subtract", "tanh",
    "zeros_like",
)  # fmt: skip
_TAKEN = (*_OWN, *_BY_VALUE)


def _is_ragged(value: Any) -> bool:
    if isinstance(value, RaggedTensor):
        return True
    return isinstance(value, (list, tuple)) and any(type(v) is RaggedTensor for v in value)


def takes_ragged(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors that takes ragged ones, too."""
    own = _OWN.get(name)

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:  # which costs nothing where nothing is ragged: a ragged tensor never becomes a dense one
            return function(*args, **options)
        except (CorennError, TypeError, ValueError, AttributeError):
            if not (any(map(_is_ragged, args)) or any(map(_is_ragged, options.values()))):
                raise
        if own is not None:
            return own(*args, **options)
        first, *others = args
        if isinstance(first, RaggedTensor) and others and not options and name not in ("cast", "one_hot"):
            return first.map_flat(function, *others)
        return map_flat_values(function, *args, **options)

    for form in ("v1", "v2"):
        if hasattr(function, form):
            setattr(call, form, takes_ragged(name, getattr(function, form)))
    return call


def taking(found: dict[str, Any]) -> dict[str, Any]:
    """The functions of the top level that take ragged tensors."""
    return {name: takes_ragged(name, found[name]) for name in _TAKEN if name in found}


__all__ = ["boolean_mask", "constant", "constant_value", "map_flat_values", "range", "stack"]

__getattr__ = missing.guard(__name__)
