"""Graphs for TensorBoard's graph tab: a neutral list of nodes, written as a GraphDef and read back.

Weights are never written: TensorBoard drops attributes of more than 1024 bytes, and the picture needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from corenn.errors import GraphError, nearest
from corenn.records import protobuf as pb
from corenn.summary._messages import shape as encode_shape

#: Numbers of the element types in ``types.proto``.
DTYPES = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "str": 7,
    "complex64": 8,
    "int64": 9,
    "bool": 10,
    "bfloat16": 14,
    "uint16": 17,
    "complex128": 18,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}
_DTYPE_NAMES = {number: name for name, number in DTYPES.items()}
_LONGEST = 1000  # bytes of an attribute's text
_PRODUCER = 22  # GraphDef version that all readers of the current form accept


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One operation of a graph to be drawn.

    ``name``: unique; ``/`` makes groups.  ``op``: its type.  ``inputs``: ``"node"``, ``"node:1"`` for another output,
    ``"^node"`` for a control dependency.  ``device``: free text, used for colouring.  ``attrs``: bool, int, float,
    str, bytes, an element type (NumPy's, or anything whose ``name`` is one), lists of these; ``shape`` is one shape
    and ``_output_shapes`` a list of shapes (tuples with ``None`` for an unknown size, or ``None`` for an unknown
    rank), shown on the edges.  Anything else is written as its text; an array as its dtype and shape.
    """

    name: str
    op: str
    inputs: Sequence[str] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    device: str = ""


def encode_graph(nodes: Iterable[GraphNode]) -> bytes:
    """The GraphDef of ``nodes``.  Raises GraphError for a repeated name or an input that no node has."""
    listed = list(nodes)
    names: set[str] = set()
    for node in listed:
        if node.name in names:
            raise GraphError("summary.graph", f"two nodes are named {node.name!r}", hint="give each node its own name")
        names.add(node.name)
    for node in listed:
        for source in node.inputs:
            target = source.removeprefix("^").split(":")[0]
            if target not in names:
                what = f"node {node.name!r} reads {source!r}, which no node provides"
                raise GraphError("summary.graph", what, hint=nearest(target, names) or None)
    body = b"".join(pb.blob(1, _node(node)) for node in listed)
    return body + pb.blob(4, pb.integer(1, _PRODUCER))


def _node(node: GraphNode) -> bytes:
    out = [pb.string(1, node.name), pb.string(2, node.op), *(pb.string(3, source) for source in node.inputs)]
    if node.device:
        out.append(pb.string(4, node.device))
    for key, value in node.attrs.items():
        out.append(pb.blob(5, pb.string(1, key) + pb.blob(2, _attr(key, value))))
    return b"".join(out)


def _attr(key: str, value: Any) -> bytes:
    if key == "_output_shapes":
        return pb.blob(1, b"".join(pb.blob(7, _shape(dims)) for dims in value))
    if key == "shape" and (value is None or isinstance(value, (tuple, list))):
        return pb.blob(7, _shape(value))
    if isinstance(value, (list, tuple)):
        items = [_element(item) for item in value]
        if len({number for number, _ in items}) <= 1 and sum(len(item) for _, item in items) <= _LONGEST:
            return pb.blob(1, b"".join(item for _, item in items))
        return pb.blob(2, _text(value))
    return _element(value)[1]


def _element(value: Any) -> tuple[int, bytes]:
    """Field number and encoded field of one value; AttrValue and its ListValue use the same numbers."""
    if isinstance(value, (bool, np.bool_)):
        return 5, pb.integer(5, bool(value))
    if isinstance(value, (int, np.integer)) and -(2**63) <= int(value) < 2**63:
        return 3, pb.integer(3, int(value))
    if isinstance(value, (float, np.floating)):
        return 4, pb.single(4, float(value))
    number = _dtype_number(value)
    if number is not None:
        return 6, pb.integer(6, number)
    return 2, pb.blob(2, value[:_LONGEST] if isinstance(value, bytes) else _text(value))


def _dtype_number(value: Any) -> int | None:
    if isinstance(value, str) or (hasattr(value, "shape") and not isinstance(value, (type, np.dtype))):
        return None
    name = np.dtype(value).name if isinstance(value, type) and issubclass(value, np.generic) else value
    name = getattr(name, "name", name)
    return DTYPES.get(name) if isinstance(name, str) else None


def _text(value: Any) -> bytes:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        value = f"{getattr(value.dtype, 'name', value.dtype)}{list(value.shape)}"
    data = str(value).encode("utf-8", "replace")
    return data if len(data) <= _LONGEST else data[: _LONGEST - 3].decode("utf-8", "ignore").encode() + b"..."


def _shape(dims: Sequence[int | None] | None) -> bytes:
    return pb.integer(3, 1) if dims is None else encode_shape(dims)


def decode_graph(message: bytes) -> list[GraphNode]:
    """The nodes of an encoded GraphDef; element types come back as their names, and tensors as ``None``."""
    return [_decode_node(pb.as_bytes(value)) for number, _, value in pb.fields(message) if number == 1]


def _decode_node(message: bytes) -> GraphNode:
    texts: dict[int, list[str]] = {1: [], 2: [], 3: [], 4: []}
    attrs: dict[str, Any] = {}
    for number, _, value in pb.fields(message):
        if number in texts:
            texts[number].append(pb.as_str(value))
        elif number == 5:
            entry = {n: v for n, _, v in pb.fields(pb.as_bytes(value))}
            attrs[pb.as_str(entry.get(1, b""))] = _decode_attr(pb.as_bytes(entry.get(2, b"")))
    name, op, device = ("".join(texts[number][-1:]) for number in (1, 2, 4))
    return GraphNode(name, op, tuple(texts[3]), attrs, device)


def _decode_attr(message: bytes) -> Any:
    for number, _, value in pb.fields(message):
        if number == 1:
            return [x for n, w, v in pb.fields(pb.as_bytes(value)) for x in _decode_elements(n, w, v)]
        return _decode_elements(number, -1, value)[0]
    return None


def _decode_elements(number: int, wire: int, value: int | bytes) -> list[Any]:
    """The values in one field of AttrValue, or of ListValue, whose numbers may be packed (``wire`` 2)."""
    if number in (3, 4, 5, 6) and wire == 2:
        return _decode_packed(number, pb.as_bytes(value))
    if number == 2:
        data = pb.as_bytes(value)
        try:
            return [data.decode()]
        except UnicodeDecodeError:
            return [data]
    if number == 3:
        return [pb.as_int(value)]
    if number == 4:
        return [pb.as_float(value)]
    if number == 5:
        return [bool(value)]
    if number == 6:
        return [_DTYPE_NAMES.get(pb.as_int(value), f"dtype {value!r}")]
    return [decode_shape(pb.as_bytes(value))] if number == 7 else [None]


def _decode_packed(number: int, data: bytes) -> list[Any]:
    if number == 4:
        return list(np.frombuffer(data[: len(data) // 4 * 4], "<f4").tolist())
    out, at = [], 0
    while at < len(data):
        value, at = pb.read_varint(data, at)
        out += _decode_elements(number, 0, value)
    return out


def decode_shape(message: bytes) -> tuple[int | None, ...] | None:
    """The dimensions of a TensorShapeProto; ``None`` for an unknown rank."""
    dims: list[int | None] = []
    for number, _, value in pb.fields(message):
        if number == 3 and value:
            return None
        if number == 2:
            size = next((pb.as_int(v) for n, _, v in pb.fields(pb.as_bytes(value)) if n == 1), 0)
            dims.append(size if size >= 0 else None)
    return tuple(dims)
