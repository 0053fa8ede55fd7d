"""Decoding of text and tensors: ``tf.io.decode_csv``, ``serialize_tensor``, ``parse_tensor``."""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import string
from corenn.graph.kinds import HostCallKind
from corenn.tensor import Tensor
from corenn_tensorflow import errors, mode
from corenn_tensorflow.feature_column.columns import extents_of, host
from corenn_tensorflow.framework import as_dtype, convert_to_tensor
from corenn_tensorflow.functions.calling import python_value
from corenn_tensorflow.records.arrays import make_ndarray, make_tensor_proto
from corenn_tensorflow.records.summaries import TensorProto
from corenn_tensorflow.writing import writable


@writable("text.decode_csv")
def _decoded_columns(
    lines: Any,
    *,
    use_quote_delim: bool,
    field_delim: str,
    kinds: Any,
    select_cols: Sequence[int] | None,
    na_value: str,
    defaults: Any,
) -> list[Any]:
    array = np.asarray(lines, object)
    flat = [v.decode() if isinstance(v, bytes) else v for v in array.reshape(-1)]
    quoting = csv.QUOTE_MINIMAL if use_quote_delim else csv.QUOTE_NONE
    rows = list(csv.reader(flat, delimiter=field_delim, quoting=quoting))
    columns: list[list[Any]] = [[] for _ in kinds]
    for number, row in enumerate(rows):
        chosen = row if select_cols is None else [row[c] for c in select_cols]
        if len(chosen) != len(kinds):
            raise errors.InvalidArgumentError(
                None, None, f"Expect {len(kinds)} fields but have {len(chosen)} in record {number}"
            )
        for place, text in enumerate(chosen):
            columns[place].append(_field(text, kinds[place], defaults[place], place, number, na_value))
    found = []
    for column, kind in zip(columns, kinds, strict=True):
        made = np.empty(len(column), object if kind is string else kind.numpy)
        made[:] = column
        found.append(made.reshape(array.shape))
    return found


def decode_csv(
    records: Any, record_defaults: Sequence[Any], field_delim: str = ",", use_quote_delim: bool = True,
    name: str | None = None, na_value: str = "", select_cols: Sequence[int] | None = None,
) -> list[Any]:  # fmt: skip
    """The columns of lines: a tensor for each of ``record_defaults``, of its dtype and the shape of ``records``.

    A default ``[]`` or a dtype means that the field must be there.
    """
    kinds, defaults = zip(*[_default(d) for d in record_defaults], strict=True)
    if select_cols is not None and len(select_cols) != len(kinds):
        raise ValueError("Length of select_cols and record_defaults do not match.")
    given = records if isinstance(records, Tensor) else convert_to_tensor(records, "string")
    known = extents_of(given)
    graph = mode.graph_for(given)
    columns = functools.partial(
        _decoded_columns, use_quote_delim=use_quote_delim, field_delim=field_delim, kinds=kinds,
        select_cols=select_cols, na_value=na_value, defaults=defaults,
    )  # fmt: skip
    if graph is None:
        return [convert_to_tensor(a, k) for a, k in zip(columns(given.data), kinds, strict=True)]
    kind = HostCallKind(columns, True, "DecodeCSV")
    made = graph.add(kind, [given], [(known, k) for k in kinds], name=name or "DecodeCSV")
    return list(made.outputs)


def _default(default: Any) -> tuple[Any, Any]:
    """The dtype of a column, and its default, ``None`` where there is none."""
    if isinstance(default, (dtypes.DType, type)):
        return as_dtype(default), None
    if isinstance(default, Tensor):
        value = python_value(default)
        if isinstance(value, Tensor):
            raise ValueError(f"decode_csv: the default {default} is not known while the graph is built")
        kind, array = default.dtype, np.asarray(value)
        return kind, array.reshape(-1)[0] if array.size else None
    array = np.asarray(default)
    kind = convert_to_tensor(default).dtype if array.size else as_dtype(getattr(default, "dtype", "float32"))
    return kind, array.reshape(-1)[0] if array.size else None


def _field(text: str, kind: Any, default: Any, place: int, number: int, na_value: str) -> Any:
    if text == "" or text == na_value:
        if default is None:
            raise errors.InvalidArgumentError(None, None, f"Field {place} is required but missing in record {number}!")
        return default.encode() if isinstance(default, str) else default
    if kind is string:
        return text.encode()
    try:
        return int(text) if kind.is_integer else float(text)
    except ValueError:
        raise errors.InvalidArgumentError(
            None, None, f"Field {place} in record {number} is not a valid {kind.name}: {text}"
        ) from None


@writable("records.serialize_tensor")
def _serialize_tensor_encode(array: Any) -> Any:
    found = np.empty((), object)
    found[()] = make_tensor_proto(np.asarray(array)).SerializeToString()
    return found


def serialize_tensor(tensor: Any, name: str | None = None) -> Any:
    """A tensor as an encoded ``TensorProto``, a string."""
    return host(_serialize_tensor_encode, [convert_to_tensor(tensor)], ((), string), name or "SerializeTensor")


@writable("records.parse_tensor")
def _parse_tensor_decode(data: Any, *, wanted: Any) -> Any:
    content = data[()] if isinstance(data, np.ndarray) else data
    array = make_ndarray(TensorProto.FromString(content))
    found = string if array.dtype == object else as_dtype(array.dtype)
    if found is not wanted:
        raise errors.InvalidArgumentError(
            None, None, f"Type mismatch between parsed tensor ({found.name}) and dtype ({wanted.name})"
        )
    return array


def parse_tensor(serialized: Any, out_type: Any, name: str | None = None) -> Any:
    """The tensor that ``serialize_tensor`` encoded; InvalidArgumentError where it has another dtype."""
    wanted = as_dtype(out_type)
    return host(
        functools.partial(_parse_tensor_decode, wanted=wanted),
        [convert_to_tensor(serialized)],
        (None, wanted),
        name or "ParseTensor",
    )


__all__ = ["decode_csv", "parse_tensor", "serialize_tensor"]
