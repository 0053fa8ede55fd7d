"""Reading event files back: checksums verified, one plain record per value, whoever wrote the file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corenn.errors import DataError
from corenn.records import protobuf as pb
from corenn.summary import _messages as msg
from corenn.summary._graph import decode_graph, decode_shape
from corenn.summary.records import corrupt, read_records


@dataclass(frozen=True, slots=True, eq=False)
class EventRecord:
    """One value of an event file.

    ``kind`` says what ``value`` is: ``"version"`` str; ``"scalar"`` float; ``"histogram"`` float64 ``[k, 3]`` rows
    (left, right, count); ``"image"`` list of encoded images (PNG); ``"text"`` str, or nested lists of str; ``"graph"``
    list of GraphNode; ``"hparams"`` dict of bool, float and str; ``"hparams_end"`` the status as str; ``"tensor"``
    an array of another plugin, or ``None`` where its element type is not known here.  ``wall_time``: seconds since
    1970.  ``tag``: the summary's name, empty for version and graph.
    """

    wall_time: float
    step: int
    kind: str
    tag: str
    value: Any


def read_events(path: str | os.PathLike[str]) -> Iterator[EventRecord]:
    """The records of an event file, or of all event files of a run directory, in the order of their names.

    Both the first (``simple_value``, ``histo``, ``image``) and the tensor form of summaries are understood.  A last
    record cut short ends a file quietly; a corrupt one raises DataError naming file and offset, as does a missing
    file or a directory without event files.
    """
    place = Path(path)
    files = [place]
    if place.is_dir():
        files = sorted(item for item in place.iterdir() if "tfevents" in item.name and item.is_file())
        if not files:
            raise DataError(os.fspath(path), "the directory has no event files", hint="give the directory of one run")
    for file in files:
        for offset, data in read_records(file):
            try:
                yield from _event(data)
            except (pb.WireError, KeyError, ValueError, OverflowError) as error:
                raise corrupt(file, offset, f"its message cannot be decoded ({error})") from error


def _event(message: bytes) -> list[EventRecord]:
    wall_time, step = 0.0, 0
    found: list[tuple[str, str, Any]] = []
    for number, _, value in pb.fields(message):
        if number == 1:
            wall_time = pb.as_float(value)
        elif number == 2:
            step = pb.as_int(value)
        elif number == 3:
            found.append(("version", "", pb.as_str(value)))
        elif number == 4:
            found.append(("graph", "", decode_graph(pb.as_bytes(value))))
        elif number == 5:
            found += [_value(pb.as_bytes(v)) for n, _, v in pb.fields(pb.as_bytes(value)) if n == 1]
    return [EventRecord(wall_time, step, *item) for item in found]


def _value(message: bytes) -> tuple[str, str, Any]:
    parts = {number: value for number, _, value in pb.fields(message)}
    tag = pb.as_str(parts.get(1, b""))
    plugin, content = _plugin(pb.as_bytes(parts.get(9, b"")))
    if plugin == "hparams":
        return _hparams(tag, content)
    if 2 in parts:
        return "scalar", tag, pb.as_float(parts[2])
    if 4 in parts:
        image = {n: v for n, _, v in pb.fields(pb.as_bytes(parts[4]))}
        return "image", tag, [pb.as_bytes(image.get(4, b""))]
    if 5 in parts:
        return "histogram", tag, _old_histogram(pb.as_bytes(parts[5]))
    array = _tensor(pb.as_bytes(parts.get(8, b"")))
    if array is not None and plugin in _PLUGINS:
        kind, convert = _PLUGINS[plugin]
        return kind, tag, convert(array)
    return "tensor", tag, array


def _texts(array: Any) -> Any:
    return np.vectorize(lambda item: item.decode("utf-8", "replace"), otypes=[object])(array).tolist()


#: Plugin name -> kind, and what to do with the tensor.
_PLUGINS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "scalars": ("scalar", lambda array: float(array.reshape(-1)[0])),
    "histograms": ("histogram", lambda array: array.astype(np.float64)),
    "images": ("image", lambda array: array.tolist()[2:]),
    "text": ("text", _texts),
}


def _plugin(metadata: bytes) -> tuple[str, bytes]:
    data = next((pb.as_bytes(v) for n, _, v in pb.fields(metadata) if n == 1), b"")
    parts = {number: value for number, _, value in pb.fields(data)}
    return pb.as_str(parts.get(1, b"")), pb.as_bytes(parts.get(2, b""))


def _old_histogram(message: bytes) -> Any:
    """HistogramProto as rows (left, right, count).

    Its buckets give right edges, the outermost of which may be the largest floats there are: empty buckets at the ends
    are dropped, and the true minimum and maximum are the outer edges, as TensorBoard reads it.
    """
    low, high, edges, numbers = 0.0, 0.0, [np.zeros(0)], [np.zeros(0)]
    for number, _, value in pb.fields(message):
        if number == 1:
            low = pb.as_float(value)
        elif number == 2:
            high = pb.as_float(value)
        elif number in (6, 7):
            (edges if number == 6 else numbers).append(pb.as_doubles(value))
    right, counts = np.concatenate(edges), np.concatenate(numbers)
    filled = np.flatnonzero(counts)
    if right.shape != counts.shape or not filled.size:
        return np.zeros((0, 3))
    inner = right[filled[0] : filled[-1]]
    rows = (np.append(low, inner), np.append(inner, high), counts[filled[0] : filled[-1] + 1])
    return np.stack(rows, axis=1)


#: DataType number -> NumPy type, field of repeated elements, and how to read one of them.
_TENSOR_TYPES: dict[int, tuple[Any, int]] = {
    msg.DT_FLOAT: ("<f4", 5),
    msg.DT_DOUBLE: ("<f8", 6),
    3: ("<i4", 7),
    msg.DT_STRING: (object, 8),
    9: ("<i8", 10),
    10: (np.bool_, 11),
}
_LARGEST = 1 << 28  # elements; a tensor may give one element and claim any shape


def _tensor(message: bytes) -> Any:
    """TensorProto as an array (bytes objects for strings), or ``None`` for an element type not listed above."""
    parts = list(pb.fields(message))
    dtype_number = next((pb.as_int(v) for n, _, v in parts if n == 1), 0)
    dims = next((decode_shape(pb.as_bytes(v)) for n, _, v in parts if n == 2), ())
    shape = None if dims is None else tuple(dim for dim in dims if dim is not None)  # a value's sizes are known
    if dtype_number not in _TENSOR_TYPES or shape is None:
        return None
    dtype, field = _TENSOR_TYPES[dtype_number]
    content = next((pb.as_bytes(v) for n, _, v in parts if n == 4), b"")
    if content and dtype is not object:
        return np.frombuffer(content, dtype).reshape(shape)
    items = [item for n, w, v in parts if n == field for item in _elements(dtype_number, w, v)]
    if math.prod(shape) > _LARGEST:
        raise pb.WireError(f"a tensor of shape {shape}")
    array = np.empty(len(items) if len(items) != 1 else shape, dtype)
    array[...] = items if len(items) != 1 else items[0]  # a single element stands for all
    return array.reshape(shape)


def _elements(dtype_number: int, wire: int, value: int | bytes) -> list[Any]:
    if dtype_number == msg.DT_STRING:
        return [pb.as_bytes(value)]
    if dtype_number in (msg.DT_FLOAT, msg.DT_DOUBLE):
        return list(np.frombuffer(pb.as_bytes(value), "<f4" if dtype_number == msg.DT_FLOAT else "<f8").tolist())
    if wire == 0:
        return [pb.as_int(value)]
    out, at, data = [], 0, pb.as_bytes(value)
    while at < len(data):
        item, at = pb.read_varint(data, at)
        out.append(pb.as_int(item))
    return out


def _hparams(tag: str, content: bytes) -> tuple[str, str, Any]:
    for number, _, value in pb.fields(content):
        body = list(pb.fields(pb.as_bytes(value))) if number in (3, 4) else []
        if number == 3:
            entries = [{n: v for n, _, v in pb.fields(pb.as_bytes(v))} for n, _, v in body if n == 1]
            pairs = {pb.as_str(e.get(1, b"")): _json_value(pb.as_bytes(e.get(2, b""))) for e in entries}
            return "hparams", tag, pairs
        if number == 4:
            status = next((pb.as_int(v) for n, _, v in body if n == 1), 0)
            return "hparams_end", tag, next((k for k, v in msg.STATUS.items() if v == status), "unknown")
    return "tensor", tag, None


def _json_value(message: bytes) -> Any:
    for number, _, value in pb.fields(message):
        if number == 2:
            return pb.as_float(value)
        if number == 3:
            return pb.as_str(value)
        if number == 4:
            return bool(value)
    return None
