"""The messages of event files: Event, Summary values of each kind, and the hparams plugin's records.

Field numbers are those of TensorFlow's ``event.proto``, ``summary.proto``, ``tensor.proto`` and of TensorBoard's
``hparams/plugin_data.proto``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from corenn.records import protobuf as pb

FILE_VERSION = "brain.Event:2"
START_TAG = "_hparams_/session_start_info"
END_TAG = "_hparams_/session_end_info"
STATUS = {"unknown": 0, "success": 1, "failure": 2, "running": 3}

DT_FLOAT, DT_DOUBLE, DT_STRING = 1, 2, 7
_SCALAR, _TENSOR, _BLOBS = 1, 2, 3  # SummaryMetadata.data_class


def event(wall_time: float, step: int, payload: bytes) -> bytes:
    """An Event; ``payload`` is one encoded field: :func:`file_version`, :func:`summary` or :func:`graph_def`."""
    return pb.double(1, wall_time) + pb.integer(2, step) + payload


def file_version() -> bytes:
    """The field every event file begins with."""
    return pb.string(3, FILE_VERSION)


def graph_def(graph: bytes) -> bytes:
    """Event field holding an encoded GraphDef."""
    return pb.blob(4, graph)


def summary(*values: bytes) -> bytes:
    """Event field holding a Summary of encoded values."""
    return pb.blob(5, b"".join(pb.blob(1, value) for value in values))


def encoded_summary(message: bytes) -> bytes:
    """Event field holding a Summary that is encoded already."""
    return pb.blob(5, message)


def metadata(plugin: str, data_class: int = 0, description: str | None = None, content: bytes = b"") -> bytes:
    """Value field naming the plugin that shows the value."""
    data = pb.string(1, plugin) + (pb.blob(2, content) if content else b"")
    text = pb.string(3, description) if description else b""
    kind = pb.integer(4, data_class) if data_class else b""
    return pb.blob(9, pb.blob(1, data) + text + kind)


def shape(dims: Sequence[int | None]) -> bytes:
    """A TensorShapeProto; an unknown dimension is -1."""
    return b"".join(pb.blob(2, pb.integer(1, -1 if dim is None else dim)) for dim in dims)


def _tensor(dtype: int, dims: Sequence[int], content: bytes) -> bytes:
    """Value field with a TensorProto; ``content`` is encoded fields holding the elements."""
    return pb.blob(8, pb.integer(1, dtype) + pb.blob(2, shape(dims)) + content)


def _strings(dims: Sequence[int], items: Sequence[bytes]) -> bytes:
    return _tensor(DT_STRING, dims, b"".join(pb.blob(8, item) for item in items))


def scalar(tag: str, value: float, description: str | None) -> bytes:
    """A scalar in the first, plain form (``simple_value``), which every reader of event files knows."""
    about = metadata("scalars", _SCALAR, description) if description else b""
    return pb.string(1, tag) + pb.single(2, value) + about


def histogram(tag: str, table: npt.NDArray[np.float64], description: str | None) -> bytes:
    """A histogram as the float64 tensor ``[buckets, 3]`` of the ``histograms`` plugin."""
    content = pb.blob(4, table.astype("<f8").tobytes())
    return pb.string(1, tag) + _tensor(DT_DOUBLE, table.shape, content) + metadata("histograms", _TENSOR, description)


def images(tag: str, width: int, height: int, pngs: Sequence[bytes], description: str | None) -> bytes:
    """Images as the string tensor ``[width, height, png, ...]`` of the ``images`` plugin."""
    items = [str(width).encode(), str(height).encode(), *pngs]
    return pb.string(1, tag) + _strings((len(items),), items) + metadata("images", _BLOBS, description)


def plain_image(tag: str, dims: Sequence[int], png: bytes) -> bytes:
    """One image in the first, plain form (``image``); ``dims``: height, width, channels."""
    sizes = b"".join(pb.integer(i + 1, n) for i, n in enumerate(dims))  # the colour space is the number of channels
    return pb.string(1, tag) + pb.blob(4, sizes + pb.blob(4, png))


def text(tag: str, dims: Sequence[int], texts: Sequence[str], description: str | None) -> bytes:
    """Markdown text: a string tensor of rank 0, 1 or 2."""
    items = [item.encode("utf-8", "replace") for item in texts]
    return pb.string(1, tag) + _strings(dims, items) + metadata("text", _TENSOR, description)


def hparams_start(values: Mapping[str, bool | float | str], group: str, start: float) -> bytes:
    """The record with which a session tells its hyperparameters."""
    entries = [pb.blob(1, pb.string(1, name) + pb.blob(2, _json_value(value))) for name, value in values.items()]
    info = b"".join(entries) + (pb.string(4, group) if group else b"") + pb.double(5, start)
    return _hparams(START_TAG, 3, info)


def hparams_end(status: str, end: float) -> bytes:
    """The record with which a session tells how it ended."""
    return _hparams(END_TAG, 4, pb.integer(1, STATUS[status]) + pb.double(2, end))


def _hparams(tag: str, field: int, info: bytes) -> bytes:
    # All content is in the metadata; readers still want a tensor, so an empty one goes along.
    empty = _tensor(DT_FLOAT, (0,), b"")
    return pb.string(1, tag) + empty + metadata("hparams", content=pb.blob(field, info))


def _json_value(value: bool | float | str) -> bytes:
    """A google.protobuf.Value.  It cannot carry a number that is not finite (JSON has none): that becomes a string."""
    if isinstance(value, bool):
        return pb.integer(4, value)
    if isinstance(value, str):
        return pb.string(3, value)
    return pb.double(2, value) if math.isfinite(value) else pb.string(3, str(value))
