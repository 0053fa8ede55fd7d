"""Feature columns: how raw features become numbers (tensorflow/python/feature_column of 1.15).

A dense column gives ``[batch, width]`` floats; a categorical one gives ids ``[batch, n]``, -1 where there is none.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.graph.kinds import HostCallKind
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor
from corenn_tensorflow.functions.hashing import fingerprint64
from corenn_tensorflow.writing import writable


def host(function: Callable[..., Any], inputs: Sequence[Any], known: tuple[Any, Any], name: str) -> Any:
    """A pure Python function of arrays: an operation of a graph, or called at once."""
    graph = mode.graph_for(list(inputs))
    if graph is None:
        return convert_to_tensor(function(*[i.data if i.dtype is dtypes.string else i.numpy() for i in inputs]))
    with graph.as_default():
        kind = HostCallKind(function, True, name)
        return graph.add(kind, [graph.convert(i) for i in inputs], [known], name=name).outputs[0]


def extents_of(x: Any) -> Any:
    """What is known of a tensor's shape."""
    return x.extents if hasattr(x, "extents") else x.spec.shape


class FeatureColumn:
    """Base of columns; ``key`` names the raw feature, ``name`` the column."""

    name: str

    def keys(self) -> list[str]:
        """The raw features it needs."""
        raise NotImplementedError

    def parse_spec(self) -> dict[str, Any]:
        """How the raw features are parsed from examples."""
        raise NotImplementedError

    def __lt__(self, other: FeatureColumn) -> bool:
        return self.name < other.name


class DenseColumn(FeatureColumn):
    """A column that gives floats; ``width`` of them for each example."""

    width: int

    def dense(self, features: Mapping[str, Any], trainable: bool = True) -> Any:
        """``[batch, width]``."""
        raise NotImplementedError


class CategoricalColumn(FeatureColumn):
    """A column that gives ids below ``num_buckets``."""

    num_buckets: int

    def ids(self, features: Mapping[str, Any]) -> Any:
        """``[batch, n]`` of int64, -1 where there is none."""
        raise NotImplementedError

    def weights(self, features: Mapping[str, Any]) -> Any:
        """A factor for each id, or ``None``."""
        return None


@writable("feature_column.dense")
def _spread(indices: Any, values: Any, shape: Any, *, default: Any) -> Any:
    found = np.full(tuple(shape), default, object if isinstance(default, bytes) else values.dtype)
    found[tuple(np.asarray(indices).T)] = values
    return found


@writable("feature_column.column")
def as_column(x: Any) -> Any:
    """Strings with a further axis of extent 1."""
    return np.asarray(x, object)[..., None]


def raw(features: Mapping[str, Any], key: str, rank: int = 2) -> Any:
    """A raw feature as ``[batch, n]``; ValueError where it is missing."""
    if key not in features:
        raise ValueError(f"Feature {key} is not in features dictionary.")
    given = features[key]
    if hasattr(given, "dense_shape") and hasattr(given, "values"):
        text = given.values.dtype is dtypes.string
        default: Any = b"" if text else -1
        known = ((None, None), given.values.dtype)
        spread = functools.partial(_spread, default=default)
        return host(spread, [given.indices, given.values, given.dense_shape], known, "SparseToDense")
    tensor = given if isinstance(given, Tensor) else convert_to_tensor(given)
    extents = extents_of(tensor)
    if extents is not None and len(extents) < rank:
        if tensor.dtype is dtypes.string:
            return host(as_column, [tensor], ((*extents, 1), tensor.dtype), "ExpandDims")
        return corenn.expand_dims(tensor, axis=-1)
    return tensor


# ---------------------------------------------------------------- dense columns


class NumericColumn(DenseColumn):
    """Numbers as they are."""

    def __init__(self, key: str, shape: Any, default_value: Any, dtype: Any, normalizer_fn: Any) -> None:
        self.key = self.name = key
        given = [shape] if isinstance(shape, (int, np.integer)) else list(shape)
        self.shape = tuple(int(n) for n in given)
        self.dtype, self.default_value, self.normalizer_fn = as_dtype(dtype), default_value, normalizer_fn
        if not (self.dtype.is_integer or self.dtype.is_floating):
            raise ValueError(f"dtype must be convertible to float. dtype: {self.dtype.name}, key: {key}")
        self.width = math.prod(self.shape)

    def keys(self) -> list[str]:
        """Its key."""
        return [self.key]

    def parse_spec(self) -> dict[str, Any]:
        """A fixed length."""
        from corenn_tensorflow.records.parsing import FixedLenFeature

        return {self.key: FixedLenFeature(self.shape, self.dtype, self.default_value)}

    def dense(self, features: Mapping[str, Any], trainable: bool = True) -> Any:
        """The numbers, normalised, flat."""
        value = raw(features, self.key)
        if value.dtype is dtypes.string:
            raise ValueError(
                f"The corresponding Tensor of numerical column must be a Tensor of numbers. key: {self.key}"
            )
        if value.dtype is not dtypes.float32:
            value = corenn.cast(value, dtype="float32")
        if self.normalizer_fn is not None:
            value = self.normalizer_fn(value)
        return corenn.reshape(value, shape=(-1, self.width))


class BucketizedColumn(DenseColumn, CategoricalColumn):
    """Which interval a number lies in: one hot for each number, or ids."""

    def __init__(self, source_column: Any, boundaries: Any) -> None:
        if not isinstance(source_column, NumericColumn):
            raise ValueError(f"source_column must be a column generated with numeric_column(). Given: {source_column}")
        if len(source_column.shape) > 1:
            raise ValueError(f"source_column must be one-dimensional column. Given: {source_column}")
        given = list(boundaries)
        if not given or any(b <= a for a, b in itertools.pairwise(given)):
            raise ValueError("boundaries must be a sorted list.")
        self.source, self.boundaries = source_column, tuple(float(b) for b in given)
        self.name = f"{source_column.name}_bucketized"
        self.count = len(given) + 1
        self.width = self.num_buckets = self.count * source_column.width

    def keys(self) -> list[str]:
        """The source's."""
        return self.source.keys()

    def parse_spec(self) -> dict[str, Any]:
        """The source's."""
        return self.source.parse_spec()

    def _places(self, features: Mapping[str, Any]) -> Any:
        value = self.source.dense(features)
        above = corenn.expand_dims(value, axis=-1) >= np.array(self.boundaries, np.float32)
        return corenn.sum(corenn.cast(above, dtype="int64"), axis=-1)

    def dense(self, features: Mapping[str, Any], trainable: bool = True) -> Any:
        """One hot."""
        hot = corenn.one_hot(self._places(features), depth=self.count, dtype="float32")
        return corenn.reshape(hot, shape=(-1, self.width))

    def ids(self, features: Mapping[str, Any]) -> Any:
        """The intervals, counted on from one number to the next."""
        return self._places(features) + np.arange(self.source.width, dtype=np.int64) * self.count


# ---------------------------------------------------------------- categorical columns


@writable("feature_column.ids")
def _ids(array: Any, *, finder: Callable[[Any], int]) -> Any:
    flat = [v.encode() if isinstance(v, str) else v for v in np.asarray(array).reshape(-1).tolist()]
    return np.array([-1 if v in (b"", -1) else finder(v) for v in flat], np.int64).reshape(array.shape)


@functools.lru_cache(maxsize=64)
def _places(values: tuple[Any, ...]) -> dict[Any, int]:
    return {v: i for i, v in enumerate(values)}


@writable("feature_column.vocabulary")
def _in_vocabulary(value: Any, *, values: tuple[Any, ...], default: int, oov: int) -> int:
    places = _places(values)
    found = places.get(value)
    if found is not None:
        return found
    return len(places) + bucket_of(value, oov) if oov else default


@writable("feature_column.identity")
def _in_range(value: Any, *, key: str, buckets: int, default: int | None) -> int:
    if 0 <= int(value) < buckets:
        return int(value)
    if default is None:
        from corenn_tensorflow import errors

        raise errors.InvalidArgumentError(
            None, None, f"assertion failed: [values] of column {key!r} must be in [0, {buckets}): {value}"
        )
    return default


class _LookedUp(CategoricalColumn):
    """Ids of raw values, found on the host by ``look_up(array)``."""

    key: str
    dtype: Any

    def keys(self) -> list[str]:
        """Its key."""
        return [self.key]

    def parse_spec(self) -> dict[str, Any]:
        """Any length."""
        from corenn_tensorflow.records.parsing import VarLenFeature

        return {self.key: VarLenFeature(self.dtype)}

    def finder(self) -> Callable[[Any], int]:
        """A function that gives the id of one value, which is ``bytes`` or an int; writable."""
        raise NotImplementedError

    def ids(self, features: Mapping[str, Any]) -> Any:
        """Looked up one by one; empty strings and -1 are missing."""
        given = raw(features, self.key)
        find = functools.partial(_ids, finder=self.finder())
        return host(find, [given], (extents_of(given), dtypes.int64), "LookupTableFind")


class VocabularyColumn(_LookedUp):
    """Ids by place in a list of known values; others get ``default_value`` or one of ``num_oov_buckets`` more."""

    def __init__(
        self, key: str, vocabulary: Sequence[Any], dtype: Any, default_value: int, num_oov_buckets: int
    ) -> None:
        if num_oov_buckets and default_value != -1:
            raise ValueError(f"Can't specify both num_oov_buckets and default_value in {key}.")
        values = [v.encode() if isinstance(v, str) else v for v in np.asarray(vocabulary, object).reshape(-1).tolist()]
        if not values:
            raise ValueError(f"vocabulary_list {vocabulary} must be non-empty, column_name: {key}")
        if len(set(values)) != len(values):
            raise ValueError(f"Duplicate keys in vocabulary_list {vocabulary}, column_name: {key}")
        self.key = self.name = key
        self.dtype = (
            as_dtype(dtype) if dtype is not None else dtypes.string if isinstance(values[0], bytes) else dtypes.int64
        )
        self._values = tuple(values)
        self._default, self._oov = default_value, num_oov_buckets
        self.num_buckets = len(values) + num_oov_buckets

    def finder(self) -> Callable[[Any], int]:
        """The place in the list."""
        return functools.partial(_in_vocabulary, values=self._values, default=self._default, oov=self._oov)


class IdentityColumn(_LookedUp):
    """Ids that are given; those outside ``[0, num_buckets)`` become ``default_value``."""

    def __init__(self, key: str, num_buckets: int, default_value: int | None) -> None:
        if num_buckets < 1:
            raise ValueError(f"num_buckets {num_buckets} < 1, column_name {key}")
        if default_value is not None and not 0 <= default_value < num_buckets:
            raise ValueError(f"default_value {default_value} not in range [0, {num_buckets}), column_name {key}")
        self.key = self.name = key
        self.num_buckets, self._default, self.dtype = num_buckets, default_value, dtypes.int64

    def finder(self) -> Callable[[Any], int]:
        """The id; InvalidArgumentError for one outside without a default."""
        return functools.partial(_in_range, key=self.key, buckets=self.num_buckets, default=self._default)


class HashedColumn(_LookedUp):
    """Ids by a hash of the value, which is TensorFlow's."""

    def __init__(self, key: str, hash_bucket_size: int, dtype: Any) -> None:
        if hash_bucket_size is None or hash_bucket_size < 1:
            raise ValueError(f"hash_bucket_size must be at least 1. hash_bucket_size: {hash_bucket_size}, key: {key}")
        self.key = self.name = key
        self.num_buckets, self.dtype = hash_bucket_size, as_dtype(dtype)

    def finder(self) -> Callable[[Any], int]:
        """The bucket."""
        return functools.partial(bucket_of, buckets=self.num_buckets)


@writable("feature_column.cross")
def _crossed(*arrays: Any, buckets: int) -> Any:
    rows = []
    for row in zip(*arrays, strict=True):
        names = [b""]
        for values in row:
            listed = [v.encode() if isinstance(v, str) else v for v in np.asarray(values).reshape(-1).tolist()]
            parts = [v if isinstance(v, bytes) else str(v).encode() for v in listed if v not in (b"", -1)]
            names = [n + b"_X_" + p for n in names for p in parts]
        rows.append([bucket_of(n, buckets) for n in names])
    longest = max(map(len, rows), default=0)
    return np.array([r + [-1] * (longest - len(r)) for r in rows], np.int64).reshape(len(rows), longest)


class CrossedColumn(CategoricalColumn):
    """Ids by a hash of a combination of values of several features."""

    def __init__(self, keys: Sequence[Any], hash_bucket_size: int, hash_key: int | None) -> None:
        if hash_bucket_size is None or hash_bucket_size < 1:
            raise ValueError(f"hash_bucket_size must be > 1. hash_bucket_size: {hash_bucket_size}")
        if not keys or len(keys) < 2:
            raise ValueError(f"keys must be a list with length > 1. Given: {keys}")
        self.parts, self.num_buckets, self._key = list(keys), hash_bucket_size, hash_key
        self.name = "_X_".join(sorted(p if isinstance(p, str) else p.name for p in self.parts))

    def keys(self) -> list[str]:
        """Those of all parts."""
        return [k for p in self.parts for k in ([p] if isinstance(p, str) else p.keys())]

    def parse_spec(self) -> dict[str, Any]:
        """Those of all parts; a plain key is a string of any length."""
        from corenn_tensorflow.records.parsing import VarLenFeature

        found: dict[str, Any] = {}
        for part in self.parts:
            found |= {part: VarLenFeature("string")} if isinstance(part, str) else part.parse_spec()
        return found

    def ids(self, features: Mapping[str, Any]) -> Any:
        """One for each combination of the parts' values."""
        given = [raw(features, p) if isinstance(p, str) else p.ids(features) for p in self.parts]
        cross = functools.partial(_crossed, buckets=int(self.num_buckets))
        widths = [(extents_of(x) or (None, None))[1] for x in given]
        every = None if None in widths else math.prod(widths)
        return host(cross, given, (((extents_of(given[0]) or (None,))[0], every), dtypes.int64), "SparseCross")


class WeightedColumn(CategoricalColumn):
    """A categorical column whose values have weights of another feature."""

    def __init__(self, column: CategoricalColumn, key: str, dtype: Any) -> None:
        self.column, self.key, self.dtype = column, key, as_dtype(dtype)
        self.name = f"{column.name}_weighted_by_{key}"
        self.num_buckets = column.num_buckets

    def keys(self) -> list[str]:
        """Values and weights."""
        return [*self.column.keys(), self.key]

    def parse_spec(self) -> dict[str, Any]:
        """Values and weights."""
        from corenn_tensorflow.records.parsing import VarLenFeature

        return {**self.column.parse_spec(), self.key: VarLenFeature(self.dtype)}

    def ids(self, features: Mapping[str, Any]) -> Any:
        """The column's."""
        return self.column.ids(features)

    def weights(self, features: Mapping[str, Any]) -> Any:
        """The weights."""
        return corenn.cast(raw(features, self.key), dtype="float32")


@writable("feature_column.bucket")
def bucket_of(value: Any, buckets: int) -> int:
    """TensorFlow's hash of bytes, or of an int's digits, below ``buckets``."""
    return fingerprint64(value if isinstance(value, bytes) else str(value).encode()) % buckets


__all__ = [
    "BucketizedColumn", "CategoricalColumn", "CrossedColumn", "DenseColumn", "FeatureColumn", "HashedColumn",
    "IdentityColumn", "NumericColumn", "VocabularyColumn", "WeightedColumn", "as_column", "bucket_of", "extents_of",
    "host", "raw",
]  # fmt: skip
