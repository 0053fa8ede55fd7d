"""``RaggedTensor``: rows of different lengths, as their values one after another and where each row begins."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import corenn
from corenn import dtypes
from corenn.dtypes import DType
from corenn.errors import UsageError
from corenn.graph.tensors import GraphTensor
from corenn_tensorflow.framework import convert_to_tensor, eager_constant, static_shape
from corenn_tensorflow.functions.hosting import on_host_many
from corenn_tensorflow.functions.text import on_host
from corenn_tensorflow.shapes import TensorShape
from corenn_tensorflow.sparse import SparseTensor
from corenn_tensorflow.writing import writable


class RaggedTensorValue(NamedTuple):
    """What a session gives for a ragged tensor."""

    values: Any
    row_splits: Any


@writable("ragged.places")
def _places(splits: Any, *, width: int | None) -> Any:
    """For each place of the dense tensor the number of its value, or -1."""
    lengths = np.diff(splits)
    most = int(lengths.max(initial=0)) if width is None else width
    steps = np.arange(most)
    return np.where(steps < lengths[:, None], splits[:-1, None] + steps, -1).astype(np.int64)


@writable("ragged.text_rows")
def _text_rows(values: Any, places: Any, default: Any) -> Any:
    wide = np.concatenate([values, np.full((1, *values.shape[1:]), np.asarray(default, object).item(), object)])
    return wide[places]


@writable("ragged.sparse")
def _sparse(splits: Any) -> Any:
    lengths = np.diff(splits)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    columns = np.arange(len(rows)) - np.repeat(splits[:-1], lengths)
    return [np.stack([rows, columns], 1), np.array([len(lengths), lengths.max(initial=0)], np.int64)]


class RaggedTensor:
    """Rows of ``values``: row i is ``values[row_splits[i]:row_splits[i + 1]]``; values may be ragged themselves."""

    #: Operators of dense tensors leave the work to this class.
    __corenn_takes_operators__ = True
    __array_ufunc__ = None

    def __init__(self, values: Any, row_splits: Any) -> None:
        self._values = values if isinstance(values, RaggedTensor) else convert_to_tensor(values)
        self._splits = convert_to_tensor(row_splits, None if hasattr(row_splits, "dtype") else dtypes.int64)

    # ---- making

    @classmethod
    def from_row_splits(cls, values: Any, row_splits: Any, name: Any = None, validate: bool = True) -> RaggedTensor:
        """By where each row begins, and where the last one ends."""
        made = cls(values, row_splits)
        if validate and not isinstance(made._splits, GraphTensor):
            splits = made.splits()
            count = len(made.values) if isinstance(made.values, RaggedTensor) else (static_shape(made.values) or [0])[0]
            if len(splits) == 0 or splits[0] != 0 or (np.diff(splits) < 0).any() or splits[-1] != count:
                raise ValueError(
                    f"row_splits must begin with 0, never fall, and end with the number of values, {count}: {splits}"
                )
        return made

    @classmethod
    def from_row_lengths(cls, values: Any, row_lengths: Any, name: Any = None, validate: bool = True) -> RaggedTensor:
        """By the length of each row."""
        lengths = convert_to_tensor(row_lengths, None if hasattr(row_lengths, "dtype") else dtypes.int64)
        start = corenn.zeros((1,), dtype=lengths.dtype)
        splits = corenn.concatenate(start, corenn.cumsum(lengths, axis=0), axis=0)
        return cls.from_row_splits(values, corenn.cast(splits, dtype=lengths.dtype), validate=validate)

    @classmethod
    def from_value_rowids(
        cls, values: Any, value_rowids: Any, nrows: Any = None, name: Any = None, validate: bool = True
    ) -> RaggedTensor:
        """By the number of each value's row; the numbers must not fall."""
        ids = _host(convert_to_tensor(value_rowids, None if hasattr(value_rowids, "dtype") else dtypes.int64))
        if validate and (np.diff(ids) < 0).any():
            raise ValueError(f"value_rowids must not fall: {ids}")
        count = int(nrows) if nrows is not None else int(ids[-1]) + 1 if len(ids) else 0
        return cls.from_row_lengths(values, np.bincount(ids, minlength=count).astype(np.int64), validate=validate)

    @classmethod
    def from_row_starts(cls, values: Any, row_starts: Any, name: Any = None, validate: bool = True) -> RaggedTensor:
        """By where each row begins."""
        starts = _host(convert_to_tensor(row_starts))
        made = values if isinstance(values, RaggedTensor) else convert_to_tensor(values)
        return cls.from_row_splits(made, np.append(starts, len(made)).astype(np.int64), validate=validate)

    @classmethod
    def from_row_limits(cls, values: Any, row_limits: Any, name: Any = None, validate: bool = True) -> RaggedTensor:
        """By where each row ends."""
        limits = _host(convert_to_tensor(row_limits))
        return cls.from_row_splits(values, np.append(0, limits).astype(np.int64), validate=validate)

    @classmethod
    def from_nested_row_splits(cls, flat_values: Any, nested_row_splits: Any, **options: Any) -> RaggedTensor:
        """By the splits of each level, the outermost first."""
        found = flat_values
        for splits in reversed(nested_row_splits):
            found = cls.from_row_splits(found, splits)
        return found  # type: ignore[no-any-return]

    @classmethod
    def from_nested_row_lengths(cls, flat_values: Any, nested_row_lengths: Any, **options: Any) -> RaggedTensor:
        """By the lengths of each level, the outermost first."""
        found = flat_values
        for lengths in reversed(nested_row_lengths):
            found = cls.from_row_lengths(found, lengths)
        return found  # type: ignore[no-any-return]

    @classmethod
    def from_tensor(
        cls, tensor: Any, lengths: Any = None, padding: Any = None, ragged_rank: int = 1, name: Any = None,
        row_splits_dtype: Any = None,
    ) -> RaggedTensor:  # fmt: skip
        """Of a dense tensor: its rows up to ``lengths``, or without the ``padding`` at their ends."""
        given = convert_to_tensor(tensor)
        if lengths is not None and padding is not None:
            raise ValueError("Specify lengths or padding, but not both")
        if ragged_rank != 1:
            raise UsageError("RaggedTensor.from_tensor", "makes one ragged axis", hint="ragged_rank=1")
        array = _host(given)
        count, width = array.shape[:2]
        if padding is not None:
            same = array == (padding.encode() if isinstance(padding, str) else padding)
            kept = ~same if same.ndim == 2 else ~same.reshape(count, width, -1).all(-1)
            sizes = np.array([np.max(np.nonzero(row)[0], initial=-1) + 1 for row in kept], np.int64)
        else:
            sizes = np.full(count, width) if lengths is None else np.minimum(_host(convert_to_tensor(lengths)), width)
        places = (np.arange(width) < sizes[:, None]).reshape(-1).nonzero()[0]
        flat = eager_constant(array.reshape(-1)) if given.dtype is dtypes.string else corenn.reshape(
            given, shape=(count * width, *array.shape[2:])
        )  # fmt: skip
        return cls.from_row_lengths(taken(flat, places), sizes.astype(np.int64))

    @classmethod
    def from_sparse(cls, st_input: Any, name: Any = None, row_splits_dtype: Any = None) -> RaggedTensor:
        """Of a sparse matrix whose rows have no gaps."""
        rows = _host(st_input.indices)[:, 0]
        return cls.from_value_rowids(st_input.values, rows, int(_host(st_input.dense_shape)[0]))

    # ---- its parts

    @property
    def values(self) -> Any:
        """The values one after another; ragged where there are more levels."""
        return self._values

    @property
    def flat_values(self) -> Any:
        """The values of the innermost level."""
        return self._values.flat_values if isinstance(self._values, RaggedTensor) else self._values

    @property
    def row_splits(self) -> Any:
        """Where each row begins, and where the last one ends."""
        return self._splits

    @property
    def nested_row_splits(self) -> tuple[Any, ...]:
        """The splits of all levels, the outermost first."""
        inner = self._values.nested_row_splits if isinstance(self._values, RaggedTensor) else ()
        return (self._splits, *inner)

    def nested_row_lengths(self, name: Any = None) -> tuple[Any, ...]:
        """The lengths of all levels, the outermost first."""
        inner = self._values.nested_row_lengths() if isinstance(self._values, RaggedTensor) else ()
        return (self.row_lengths(), *inner)

    def splits(self) -> Any:
        """The splits as an array."""
        return _host(self._splits)

    def row_starts(self, name: Any = None) -> Any:
        """Where each row begins."""
        return self._splits[:-1]

    def row_limits(self, name: Any = None) -> Any:
        """Where each row ends."""
        return self._splits[1:]

    def row_lengths(self, axis: int = 1, name: Any = None) -> Any:
        """The length of each row; those of an inner level as a ragged tensor."""
        if axis == 1:
            return self._splits[1:] - self._splits[:-1]
        return self.with_values(self._values.row_lengths(axis - 1))

    def value_rowids(self, name: Any = None) -> Any:
        """The number of each value's row."""
        return on_host("RowIds", None, _row_ids, [self._splits], "int64", (None,))

    def nrows(self, out_type: Any = None, name: Any = None) -> Any:
        """How many rows there are."""
        return convert_to_tensor(len(self), dtypes.int64)

    @property
    def ragged_rank(self) -> int:
        """How many axes are ragged."""
        return 1 + (self._values.ragged_rank if isinstance(self._values, RaggedTensor) else 0)

    @property
    def dtype(self) -> DType:
        """Element type."""
        found: DType = self.flat_values.dtype
        return found

    @property
    def shape(self) -> TensorShape:
        """The shape; ragged axes are not known."""
        rows = (static_shape(self._splits) or [None])[0]
        inner = (
            tuple(self._values.shape.as_list())[1:] if isinstance(self._values, RaggedTensor)
            else tuple(static_shape(self._values) or ())[1:]
        )  # fmt: skip
        return TensorShape.of((None if rows is None else rows - 1, None, *inner))

    def get_shape(self) -> TensorShape:
        """The shape."""
        return self.shape

    def bounding_shape(self, axis: int | None = None, name: Any = None, out_type: Any = None) -> Any:
        """The smallest dense shape that holds it."""
        found = [len(self), int(np.diff(self.splits()).max(initial=0))]
        if isinstance(self._values, RaggedTensor):
            found += [int(n) for n in _host(self._values.bounding_shape())[1:]]
        else:
            found += (static_shape(self._values) or [0])[1:]
        whole = np.array(found, np.int64)
        return convert_to_tensor(whole if axis is None else whole[axis], dtypes.int64)

    def with_values(self, new_values: Any) -> RaggedTensor:
        """The same rows of other values."""
        return RaggedTensor(new_values, self._splits)

    def with_flat_values(self, new_values: Any) -> RaggedTensor:
        """The same rows of other innermost values."""
        inner = self._values.with_flat_values(new_values) if isinstance(self._values, RaggedTensor) else new_values
        return self.with_values(inner)

    def with_row_splits_dtype(self, dtype: Any) -> RaggedTensor:
        """The same with splits of another dtype."""
        inner = self._values.with_row_splits_dtype(dtype) if isinstance(self._values, RaggedTensor) else self._values
        return RaggedTensor(inner, corenn.cast(self._splits, dtype=dtype))

    # ---- as other things

    def to_tensor(self, default_value: Any = None, name: Any = None, shape: Any = None) -> Any:
        """The dense tensor, with ``default_value`` (0, or "") where a row is over; cut or filled up to ``shape``."""
        values = self._values
        wanted = list(shape.as_list() if hasattr(shape, "as_list") else shape) if shape is not None else None
        if isinstance(values, RaggedTensor):
            inner = None if wanted is None else [None, *wanted[2:]]
            values = values.to_tensor(default_value, shape=inner)
        width = None if wanted is None or wanted[1] is None else int(wanted[1])
        rows = (static_shape(self._splits) or [None])[0]
        known = (None if rows is None else rows - 1, width)
        places = on_host("RaggedPlaces", None, functools.partial(_places, width=width), [self._splits], "int64", known)
        beyond = static_shape(values)
        if values.dtype is dtypes.string:
            default = convert_to_tensor("" if default_value is None else default_value)
            inner_shape = None if beyond is None else (*known, *beyond[1:])
            return on_host("RaggedToTensor", name, _text_rows, [values, places, default], "string", inner_shape)
        default = corenn.cast(
            convert_to_tensor(0 if default_value is None else default_value, values.dtype), dtype=values.dtype
        )
        extra = corenn.broadcast_to(default, shape=(1, *(beyond or [None])[1:]))
        wide = corenn.concatenate(extra, values, axis=0)
        return corenn.gather(wide, places + 1, axis=0)

    def to_sparse(self, name: Any = None) -> SparseTensor:
        """A sparse matrix; for one ragged axis."""
        if self.ragged_rank != 1:
            raise UsageError("RaggedTensor.to_sparse", "is offered for one ragged axis", hint="tf.sparse.from_dense")
        indices, shape = on_host_many(
            "RaggedToSparse", name, _sparse, [self._splits], [((None, 2), "int64"), ((2,), "int64")]
        )
        return SparseTensor(indices, self._values, shape)

    def to_list(self) -> list[Any]:
        """Nested lists."""
        splits = self.splits()
        inner = self._values.to_list() if isinstance(self._values, RaggedTensor) else _host(self._values).tolist()
        return [inner[a:b] for a, b in itertools.pairwise(splits)]

    def numpy(self) -> Any:
        """An array of arrays, or one array where all rows are equally long."""
        rows = [row.numpy() for row in self]
        if rows and len({row.shape for row in rows}) == 1 and all(r.dtype != object for r in rows):
            return np.stack(rows)
        found = np.empty(len(rows), object)
        for i, row in enumerate(rows):
            found[i] = row
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError("a RaggedTensor is no array: use to_tensor(), numpy() or to_list()")

    def __corenn_structure__(self) -> RaggedTensorValue:
        """What fetching it gives."""
        return RaggedTensorValue(self.flat_values, self.row_splits)

    # ---- rows

    def __len__(self) -> int:
        rows = (static_shape(self._splits) or [None])[0]
        if rows is None:
            raise TypeError("len() of a RaggedTensor of a graph, whose number of rows is not known yet")
        return int(rows) - 1

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        first, *rest = key if isinstance(key, tuple) else (key,)
        splits = self.splits()
        if first is Ellipsis:
            raise UsageError("RaggedTensor", "an index may not hold `...`", hint="name every axis: rt[:, :, 0]")
        if isinstance(first, slice):
            found = self.rows(np.arange(len(self))[_plain(first)])
            return found._inside(rest) if rest else found
        place = int(first)
        if not -len(self) <= place < len(self):
            raise IndexError(f"index {place} is out of range of {len(self)} rows")
        place %= max(len(self), 1)
        start, stop = int(splits[place]), int(splits[place + 1])
        row = self._values[start:stop] if isinstance(self._values, RaggedTensor) else taken(
            self._values, np.arange(start, stop)
        )  # fmt: skip
        return row[tuple(rest)] if len(rest) > 1 else row[rest[0]] if rest else row

    def rows(self, places: Any) -> RaggedTensor:
        """Rows by number."""
        splits = self.splits()
        lengths = np.diff(splits)[places]
        flat = [np.arange(splits[i], splits[i + 1]) for i in np.asarray(places)]
        chosen = np.concatenate([np.empty(0, np.int64), *flat])
        return RaggedTensor.from_row_lengths(taken(self._values, chosen), lengths.astype(np.int64))

    def _inside(self, rest: list[Any]) -> Any:
        """An index applied to every row."""
        first, *more = rest
        splits = self.splits()
        bounds = list(itertools.pairwise(splits))
        if isinstance(first, slice):
            kept = [np.arange(a, b)[_plain(first)] for a, b in bounds]
            found: Any = RaggedTensor.from_row_lengths(
                taken(self._values, np.concatenate([np.empty(0, np.int64), *kept])),
                np.array([len(k) for k in kept], np.int64),
            )
            if not more:
                return found
            inner = found.values._inside(more) if isinstance(found.values, RaggedTensor) else found.values[
                (slice(None), *more)
            ]  # fmt: skip
            return found.with_values(inner)
        place = int(first)
        for a, b in bounds:
            if not -(b - a) <= place < b - a:
                raise ValueError(f"cannot take element {place} of every row: one has {b - a}")
        found = taken(self._values, np.array([(a if place >= 0 else b) + place for a, b in bounds]))
        return found[(slice(None), *more)] if more else found

    # ---- arithmetic

    def map_flat(self, function: Callable[..., Any], *others: Any) -> RaggedTensor:
        """``function`` of the innermost values, and of those of other ragged tensors of the same rows."""
        given = []
        for other in others:
            if isinstance(other, RaggedTensor):
                mine, theirs = self.nested_row_splits, other.nested_row_splits
                fits = len(mine) == len(theirs) and all(
                    np.array_equal(_host(a), _host(b)) for a, b in zip(mine, theirs, strict=True)
                )
                if not fits:
                    raise ValueError("Ragged tensors with different rows cannot be combined")
                given.append(other.flat_values)
            else:
                given.append(self._broadcast(other))
        return self.with_flat_values(function(self.flat_values, *given))

    def _broadcast(self, other: Any) -> Any:
        """A dense operand as one of the values: a number, or one for each row [rows, 1]."""
        if not hasattr(other, "shape") and not isinstance(other, (list, tuple)):
            return other
        found = convert_to_tensor(other)
        shape = static_shape(found) or []
        if len(shape) == 2 and shape[1] == 1 and self.ragged_rank == 1:
            return corenn.gather(corenn.reshape(found, shape=(-1,)), self.value_rowids(), axis=0)
        return found

    def __repr__(self) -> str:
        if isinstance(self._splits, GraphTensor):
            return f"tf.RaggedTensor(values={self._values}, row_splits={self._splits})"
        return f"<tf.RaggedTensor {self.to_list()}>"

    __hash__ = object.__hash__


def _plain(given: slice) -> slice:
    bounds = (given.start, given.stop, given.step)
    return slice(*[None if b is None else int(b) for b in bounds])


def _host(x: Any) -> Any:
    if isinstance(x, GraphTensor):
        raise UsageError(
            "RaggedTensor", "this needs the values of a ragged tensor, which a graph has only when it runs",
            hint="call to_tensor() in the graph, or do it eagerly",
        )  # fmt: skip
    if isinstance(x, np.ndarray):
        return x
    return x.data if x.dtype is dtypes.string else np.asarray(x.numpy())


def taken(values: Any, places: Any) -> Any:
    """Elements of values, dense or ragged, by number."""
    if isinstance(values, RaggedTensor):
        return values.rows(places)
    if values.dtype is dtypes.string:
        return eager_constant(np.asarray(_host(values), object)[places], dtypes.string)
    return corenn.gather(values, corenn.tensor(np.asarray(places, np.int64)), axis=0)


@writable("ragged.row_ids")
def _row_ids(splits: Any) -> Any:
    return np.repeat(np.arange(len(splits) - 1), np.diff(splits))


def _method(function: Callable[..., Any], reflected: bool = False) -> Callable[..., Any]:
    def call(self: RaggedTensor, other: Any) -> RaggedTensor:
        if reflected:
            return self.map_flat(lambda mine, theirs: function(theirs, mine), other)
        return self.map_flat(function, other)

    return call


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    _function = getattr(operator, _name)
    setattr(RaggedTensor, f"__{_name}__", _method(_function))
    setattr(RaggedTensor, f"__r{_name}__", _method(_function, True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "and_", "or_"):
    setattr(RaggedTensor, f"__{_name.rstrip('_')}__", _method(getattr(operator, _name)))
for _name in ("neg", "abs", "invert"):
    _function = getattr(operator, _name)
    setattr(RaggedTensor, f"__{_name}__", lambda self, _function=_function: self.map_flat(_function))

__all__ = ["RaggedTensor", "RaggedTensorValue", "taken"]
