"""Parsing of ``tf.train.Example``: ``parse_example``, ``parse_single_example`` and the features they are asked for."""

from __future__ import annotations

import functools
import math
from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.errors import DataError
from corenn.graph.kinds import HostCallKind
from corenn.tensor import Tensor
from corenn_tensorflow import errors, mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor
from corenn_tensorflow.records.examples import Example, SequenceExample
from corenn_tensorflow.shapes import extents_of
from corenn_tensorflow.writing import writable


class FixedLenFeature(namedtuple("FixedLenFeature", ["shape", "dtype", "default_value"])):
    """A feature of a shape that all examples have; without a default it must be there."""

    __slots__ = ()

    def __new__(cls, shape: Any, dtype: Any, default_value: Any = None) -> FixedLenFeature:
        """Check and complete the parts."""
        return super().__new__(cls, shape, as_dtype(dtype), default_value)


class VarLenFeature(namedtuple("VarLenFeature", ["dtype"])):
    """A feature of any length; it becomes a sparse tensor."""

    __slots__ = ()

    def __new__(cls, dtype: Any) -> VarLenFeature:
        """Check and complete the parts."""
        return super().__new__(cls, as_dtype(dtype))


class FixedLenSequenceFeature(
    namedtuple("FixedLenSequenceFeature", ["shape", "dtype", "allow_missing", "default_value"])
):
    """A feature of a number of rows that varies; batches are padded."""

    __slots__ = ()

    def __new__(
        cls, shape: Any, dtype: Any, allow_missing: bool = False, default_value: Any = None
    ) -> FixedLenSequenceFeature:
        """Check and complete the parts."""
        return super().__new__(cls, shape, as_dtype(dtype), allow_missing, default_value)


_LISTS = {"bytes_list": "string", "float_list": "float32", "int64_list": "int64"}
_WANTED = {dtypes.string: "bytes_list", dtypes.float32: "float_list", dtypes.int64: "int64_list"}


def _values(feature: Any, name: str, dtype: Any) -> list[Any] | None:
    """The list of a feature; InvalidArgumentError if it has another type, ``None`` if it is absent."""
    kind = None if feature is None else feature.WhichOneof("kind")
    if kind is None:
        return None
    if dtype not in _WANTED:
        raise ValueError(f"Unsupported dtype {dtype.name} for feature {name!r}: float32, int64 or string")
    if kind != _WANTED[dtype]:
        raise errors.InvalidArgumentError(
            None,
            None,
            f"Key: {name}.  Data types don't match. Data type: {_LISTS[kind]} but expected type: {dtype.name}",
        )
    return list(getattr(feature, kind).value)


def _array(values: list[Any], dtype: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if dtype is dtypes.string:
        found = np.empty(len(values), object)
        found[:] = values
        return found.reshape(shape)
    return np.array(values, dtype.numpy).reshape(shape)


def _fixed(features: Mapping[str, Any], name: str, spec: FixedLenFeature) -> np.ndarray[Any, Any]:
    shape = tuple(int(n) for n in extents_of(spec.shape) or ())
    values = _values(features.get(name), name, spec.dtype)
    if values is None:
        if spec.default_value is None:
            raise errors.InvalidArgumentError(
                None, None, f"Feature: {name} (data type: {spec.dtype.name}) is required but could not be found."
            )
        given = spec.default_value
        if spec.dtype is dtypes.string:
            flat = [v.encode() if isinstance(v, str) else v for v in np.asarray(given, object).reshape(-1).tolist()]
        else:
            flat = np.asarray(given).reshape(-1).tolist()
        values = flat * math.prod(shape) if len(flat) == 1 else flat
    if len(values) != math.prod(shape):
        raise errors.InvalidArgumentError(
            None,
            None,
            f"Key: {name}.  Can't parse serialized Example: {len(values)} values do not fit shape {list(shape)}",
        )
    return _array(values, spec.dtype, shape)


def _sequence(features: Mapping[str, Any], name: str, spec: FixedLenSequenceFeature) -> np.ndarray[Any, Any]:
    shape = tuple(int(n) for n in extents_of(spec.shape) or ())
    values = _values(features.get(name), name, spec.dtype)
    if values is None and not spec.allow_missing:
        raise errors.InvalidArgumentError(None, None, f"Feature: {name} is required but could not be found.")
    return _array(values or [], spec.dtype, (-1, *shape) if values else (0, *shape))


def _decoded(serialized: Any, kind: Any) -> Any:
    data = serialized[()] if isinstance(serialized, np.ndarray) else serialized
    data = data.encode("latin-1") if isinstance(data, str) else data
    try:
        return kind.FromString(data)
    except (DataError, TypeError) as error:
        raise errors.InvalidArgumentError(None, None, "Could not parse example input, value: ...") from error


def _one(serialized: Any, features: Mapping[str, Any]) -> dict[str, Any]:
    found = _decoded(serialized, Example).features.feature
    return {name: _parsed(found, name, spec) for name, spec in features.items()}


def _parsed(found: Mapping[str, Any], name: str, spec: Any) -> Any:
    if isinstance(spec, FixedLenFeature):
        return _fixed(found, name, spec)
    if isinstance(spec, FixedLenSequenceFeature):
        return _sequence(found, name, spec)
    if isinstance(spec, VarLenFeature):
        values = _values(found.get(name), name, spec.dtype) or []
        return _array(values, spec.dtype, (len(values),))
    raise ValueError(f"Invalid feature {name}:{spec}.")


def _batch(serialized: Any, features: Mapping[str, Any]) -> dict[str, Any]:
    rows = [_one(s, features) for s in np.asarray(serialized, object).reshape(-1)]
    return {name: _stacked([row[name] for row in rows], spec) for name, spec in features.items()}


def _stacked(values: list[Any], spec: Any) -> Any:
    if isinstance(spec, VarLenFeature):
        indices = [(i, j) for i, value in enumerate(values) for j in range(len(value))]
        flat = np.concatenate(values) if values else _array([], spec.dtype, (0,))
        longest = max((len(v) for v in values), default=0)
        return np.array(indices, np.int64).reshape(-1, 2), flat, np.array([len(values), longest], np.int64)
    if isinstance(spec, FixedLenSequenceFeature):
        longest = max((len(v) for v in values), default=0)
        default = spec.default_value if spec.default_value is not None else b"" if spec.dtype is dtypes.string else 0
        inner = tuple(int(n) for n in extents_of(spec.shape) or ())
        dtype = object if spec.dtype is dtypes.string else spec.dtype.numpy
        batch = np.full((len(values), longest, *inner), default, dtype)
        for row, value in zip(batch, values, strict=True):
            row[: len(value)] = value
        return batch
    return np.stack(values) if values else np.empty((0,), object)


def _sparse(indices: Any, values: Any, shape: Any) -> Any:
    from corenn_tensorflow.sparse import SparseTensor

    return SparseTensor(indices, values, shape)


def _known(features: Mapping[str, Any], rows: Any) -> list[tuple[Any, Any]]:
    """What is known of the arrays of each feature, flat: three for a sparse one.  ``rows``: of the batch, or ``()``."""
    known: list[tuple[Any, Any]] = []
    for name in sorted(features):
        spec = features[name]
        if isinstance(spec, VarLenFeature):
            rank = 2 if rows is not None else 1
            known += [((None, rank), dtypes.int64), ((None,), spec.dtype), ((rank,), dtypes.int64)]
        else:
            inner = tuple(extents_of(spec.shape) or ())
            if isinstance(spec, FixedLenSequenceFeature):
                inner = (None, *inner)
            known.append(((*rows, *inner) if rows is not None else inner, spec.dtype))
    return known


def _flat(found: Mapping[str, Any], features: Mapping[str, Any]) -> list[Any]:
    flat: list[Any] = []
    for name in sorted(features):
        value = found[name]
        if isinstance(features[name], VarLenFeature):
            if not isinstance(value, tuple):
                places = np.arange(len(value), dtype=np.int64).reshape(-1, 1)
                value = (places, value, np.array([len(value)], np.int64))
            flat += list(value)
        else:
            flat.append(value)
    return flat


_KINDS = {kind.__name__: kind for kind in (FixedLenFeature, VarLenFeature, FixedLenSequenceFeature)}


def _written(features: Mapping[str, Any]) -> dict[str, Any]:
    """Features as plain values, for files of graphs."""
    found = {}
    for label, spec in features.items():
        fields = spec._asdict()
        if "shape" in fields:
            fields["shape"] = tuple(extents_of(spec.shape) or ())
        found[str(label)] = (next(n for n, k in _KINDS.items() if isinstance(spec, k)), fields)
    return found


@writable("records.parse")
def _parse(data: Any, *, how: str, features: dict[str, Any]) -> list[Any]:
    specs = {label: _KINDS[kind](**fields) for label, (kind, fields) in features.items()}
    return _flat(_PARSERS[how](data, specs), specs)


def _tensors(
    serialized: Any, features: Mapping[str, Any], rows: Any, how: str, type_name: str, name: str | None
) -> dict[str, Any]:
    if not features:
        raise ValueError("Missing: features was empty." if features is not None else "Missing features.")
    for label, spec in features.items():
        if not isinstance(spec, (FixedLenFeature, FixedLenSequenceFeature, VarLenFeature)):
            raise ValueError(f"Invalid feature {label}:{spec}.")
    graph = mode.graph_for(serialized)
    if graph is None:
        given = serialized.data if isinstance(serialized, Tensor) else np.asarray(serialized, object)
        arrays = [convert_to_tensor(a) for a in _flat(_PARSERS[how](given, features), features)]
    else:
        with graph.as_default():
            kind = HostCallKind(functools.partial(_parse, how=how, features=_written(features)), True, type_name)
            given = convert_to_tensor(serialized, "string")
            arrays = list(graph.add(kind, [given], _known(features, rows), name=name or type_name).outputs)
    found, at = {}, iter(arrays)
    for label in sorted(features):
        if isinstance(features[label], VarLenFeature):
            found[label] = _sparse(next(at), next(at), next(at))
        else:
            found[label] = next(at)
    return found


def parse_example(
    serialized: Any, features: Mapping[str, Any], name: str | None = None, example_names: Any = None
) -> dict[str, Any]:
    """The features of a batch of encoded ``Example``s, by name."""
    if isinstance(name, (list, tuple)):  # TensorFlow 2 has example_names third
        name = None
    extents = serialized.extents if hasattr(serialized, "extents") else np.shape(serialized)
    rows = (None,) if extents is None else tuple(extents[:1])
    return _tensors(serialized, features, rows, "batch", "ParseExample", name)


def parse_single_example(
    serialized: Any, features: Mapping[str, Any], name: str | None = None, example_names: Any = None
) -> dict[str, Any]:
    """The features of one encoded ``Example``, by name."""
    return _tensors(serialized, features, None, "one", "ParseSingleExample", name)


def _steps(data: Any, every: Mapping[str, Any]) -> dict[str, Any]:
    """A sequence: the features of the whole are called ``c/...``, those of steps ``s/...``."""
    message = _decoded(data, SequenceExample)
    found: dict[str, Any] = {}
    for label, spec in every.items():
        key = label[2:]
        if label[0] == "c":
            found[label] = _parsed(message.context.feature, key, spec)
            continue
        rows = message.feature_lists.feature_list.get(key)
        values = [_values(f, key, spec.dtype) or [] for f in (rows.feature if rows is not None else ())]
        if isinstance(spec, VarLenFeature):
            indices = [(i, j) for i, v in enumerate(values) for j in range(len(v))]
            flat = _array([x for v in values for x in v], spec.dtype, (len(indices),))
            longest = max(map(len, values), default=0)
            found[label] = (
                np.array(indices, np.int64).reshape(-1, 2), flat, np.array([len(values), longest], np.int64)
            )  # fmt: skip
        else:
            shape = tuple(int(n) for n in extents_of(spec.shape) or ())
            found[label] = _array([x for v in values for x in v], spec.dtype, (len(values), *shape))
    return found


_PARSERS: dict[str, Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]] = {
    "batch": _batch, "one": _one, "sequence": _steps,
}  # fmt: skip


def parse_single_sequence_example(
    serialized: Any, context_features: Mapping[str, Any] | None = None,
    sequence_features: Mapping[str, Any] | None = None, example_name: Any = None, name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """The features of one encoded ``SequenceExample``: of the whole, and of its steps."""
    context, steps = dict(context_features or {}), dict(sequence_features or {})
    every = {f"c/{k}": v for k, v in context.items()} | {f"s/{k}": v for k, v in steps.items()}

    made = _tensors(serialized, every, None, "sequence", "ParseSingleSequenceExample", name)
    return {k[2:]: v for k, v in made.items() if k[0] == "c"}, {k[2:]: v for k, v in made.items() if k[0] == "s"}


__all__ = [
    "FixedLenFeature", "FixedLenSequenceFeature", "VarLenFeature", "parse_example", "parse_single_example",
    "parse_single_sequence_example",
]  # fmt: skip
