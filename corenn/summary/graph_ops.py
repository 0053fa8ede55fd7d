"""Summaries as operations of a graph: each gives an encoded ``Summary`` message, a scalar tensor of dtype string.

::

    graph_ops.scalar("loss", loss)
    merged = graph_ops.merge_all()
    writer = corenn.summary.FileWriter("runs/1", session.graph)
    writer.add_summary(session.run(merged, feeds), step)

The name of a summary is a scope like any other: made unique, prefixed by the scopes around it, and the whole is the
tag that TensorBoard shows.  With ``family`` the tag begins with the family, and the scope is that of the family, too.
What a name cannot hold becomes ``_``.  Summaries are listed in the collection ``"summaries"``, which ``merge_all``
merges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from corenn import dtypes
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.graph.building import get_collection
from corenn.graph.graph import Graph, building, get_default_graph
from corenn.graph.kind_registry import Reader, Record, Writer, register_kind
from corenn.graph.kinds import HostCallKind
from corenn.graph.operations import Operation
from corenn.graph.tensors import GraphTensor
from corenn.records import protobuf as pb
from corenn.summary import _messages as msg
from corenn.summary import _values
from corenn.summary._png import COLOUR_TYPES, encode_png

SUMMARIES = "summaries"
_ILLEGAL = re.compile(r"[^-/\w.]", re.ASCII)
#: Below this largest absolute value an image of floats is drawn black (or gray, where a value is negative).
_DARK = 1e-6
#: The colour of pixels that are not finite.
_BAD = (255, 0, 0, 255)


class SummaryKind(HostCallKind):
    """A summary of the inputs' values, made on the host; ``options`` are the keyword arguments of its encoder."""

    def __init__(self, type_name: str, options: dict[str, Any]) -> None:
        encode = _ENCODERS[type_name]
        super().__init__(lambda *arrays: encode(*arrays, **options), True, type_name)
        self.options = options

    def config(self, operation: Operation) -> dict[str, Any]:  # type: ignore[override]  # unlike any Python function
        """What makes it again."""
        return {"type": self.type, "options": dict(self.options)}


# ---------------------------------------------------------------- what users call


def scalar(
    name: str, tensor: Any, collections: Iterable[str] | None = None, family: str | None = None, *,
    description: str | None = None,
) -> GraphTensor:  # fmt: skip
    """A summary of one real number, of rank 0: a 0-d tensor of strings, listed in ``collections``.

    ``collections``: by default "summaries", which ``merge_all`` reads.  ``family``: put in front of the tag.  Raises
    ShapeError for a tensor that is known not to be one number, DTypeError for one that is not real,
    AttributeValueError for an empty name.
    """
    graph, given = _given(tensor)
    if given.extents not in (None, ()):
        hint = "take its mean, or use histogram()"
        raise ShapeError("summary.scalar", f"{name!r} must be a single number", {"tensor": given}, hint=hint)
    _check_real("summary.scalar", name, given)
    options = {"description": description}
    return _summary(graph, "ScalarSummary", name, [given], options, collections, family)


def histogram(
    name: str, values: Any, collections: Iterable[str] | None = None, family: str | None = None, *,
    buckets: int = 30, description: str | None = None,
) -> GraphTensor:  # fmt: skip
    """The distribution of a real tensor of any shape, in ``buckets`` of equal width (see ``EventWriter.histogram``).

    Result, ``collections`` and ``family``: as for ``scalar``.  Raises DTypeError for a tensor that is not real,
    AttributeValueError for ``buckets`` that is not a positive int.
    """
    graph, given = _given(values)
    _check_real("summary.histogram", name, given)
    if not isinstance(buckets, int) or buckets < 1:
        raise AttributeValueError("summary.histogram", "buckets must be a positive int", {"buckets": repr(buckets)})
    options = {"buckets": buckets, "description": description}
    return _summary(graph, "HistogramSummary", name, [given], options, collections, family)


def image(
    name: str, tensor: Any, max_outputs: int = 3, collections: Iterable[str] | None = None, family: str | None = None
) -> GraphTensor:
    """The first ``max_outputs`` images of ``[n, height, width, channels]``, gray (1), RGB (3) or RGBA (4).

    uint8 as it is.  Floats are scaled for each image by itself: so that the largest value is 255, or, where a value is
    negative, that 0 is in the middle.  Pixels that are not finite are drawn red.  The tags are ``name/image/0``, and so
    on; ``name/image`` when ``max_outputs`` is 1.  Result, ``collections`` and ``family``: as for ``scalar``.  Raises
    ShapeError for another rank or number of channels, DTypeError for a tensor that is neither uint8 nor floating,
    AttributeValueError for ``max_outputs`` that is not a positive int.
    """
    graph, given = _given(tensor)
    where, extents = "summary.image", given.extents
    if not isinstance(max_outputs, int) or max_outputs < 1:
        raise AttributeValueError(where, "max_outputs must be a positive int", {"max_outputs": repr(max_outputs)})
    if extents is not None and len(extents) != 4:
        hint = {2: "x[None, :, :, None]", 3: "x[None] for one image, x[..., None] for a batch of gray ones"}
        text = f"{name!r} must have shape [images, height, width, channels]"
        raise ShapeError(where, text, {"tensor": given}, hint=hint.get(len(extents)))
    if extents is not None and extents[3] not in (None, *COLOUR_TYPES):
        raise ShapeError(where, f"{name!r} must have 1, 3 or 4 channels on its last axis", {"tensor": given})
    if given.dtype is not dtypes.uint8 and not given.dtype.is_floating:
        raise DTypeError(where, f"{name!r} must be uint8 or floating", {"tensor": given}, hint="corenn.cast(x, ...)")
    return _summary(graph, "ImageSummary", name, [given], {"max_outputs": max_outputs}, collections, family)


def text(
    name: str, tensor: Any, collections: Iterable[str] | None = None, family: str | None = None, *,
    description: str | None = None,
) -> GraphTensor:  # fmt: skip
    """Markdown: a string, or strings of rank 1 or 2, which TensorBoard shows as a table.

    Result, ``collections`` and ``family``: as for ``scalar``.  Raises DTypeError for anything but strings, ShapeError
    for more than two axes.
    """
    graph, given = _given(tensor)
    if given.dtype is not dtypes.string:
        hint = "scalar() or histogram() for numbers"
        raise DTypeError("summary.text", f"{name!r} must be strings", {"tensor": given}, hint=hint)
    if given.extents is not None and len(given.extents) > 2:
        raise ShapeError("summary.text", f"{name!r} has more than two axes", {"tensor": given})
    options = {"description": description}
    return _summary(graph, "TextSummary", name, [given], options, collections, family)


def merge(inputs: Sequence[Any], collections: Iterable[str] | None = None, name: str | None = None) -> GraphTensor:
    """One summary (0-d, strings) that holds all of ``inputs``, which are summaries; listed in ``collections`` only.

    Raises DTypeError for an input that is no summary, AttributeValueError for no inputs.
    """
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise AttributeValueError(
            "summary.merge", "needs a list of at least one summary", {"inputs": repr(inputs)[:80]}
        )
    graph = _graph(inputs[0])
    given = [graph.convert(i) for i in inputs]
    for summary in given:
        if summary.dtype is not dtypes.string:
            hint = "scalar(), histogram(), image() and text() make summaries"
            raise DTypeError("summary.merge", "takes summaries, not values", {"input": summary}, hint=hint)
    with graph.name_scope(name or "Merge"):
        kind = SummaryKind("MergeSummary", {})
        made = graph.add(kind, given, [((), dtypes.string)], name="MergeSummary" if name is None else f"{graph.scope}")
    for collection in collections or ():
        graph.add_to_collection(collection, made.outputs[0])
    return made.outputs[0]


def merge_all(key: str = SUMMARIES, scope: str | None = None, name: str | None = None) -> GraphTensor | None:
    """One summary of all in the collection ``key`` of the default graph; ``None`` where it is empty.

    ``scope``: only those whose names begin with what this regular expression matches.  Raises UsageError for one that
    is none.
    """
    found = get_collection(key, scope)
    return merge(found, name=name) if found else None


# ---------------------------------------------------------------- making operations


def _graph(tensor: Any) -> Graph:
    return building() or (tensor.graph if hasattr(tensor, "__corenn_element__") or isinstance(tensor, GraphTensor) else
                          get_default_graph())  # fmt: skip


def _given(tensor: Any) -> tuple[Graph, GraphTensor]:
    graph = _graph(tensor)
    return graph, graph.convert(tensor)


def _check_real(where: str, name: str, given: GraphTensor) -> None:
    if given.dtype.kind not in "biuf":
        hint = "abs() or its parts" if given.dtype.kind == "c" else "text() for strings"
        raise DTypeError(where, f"{name!r} must be real numbers", {"tensor": given}, hint=hint)


def clean_tag(name: str) -> str:
    """``name`` with ``_`` for what a summary's name cannot hold, no slashes in front; AttributeValueError if empty."""
    cleaned = _ILLEGAL.sub("_", name).lstrip("/") if isinstance(name, str) else ""
    if not cleaned:
        raise AttributeValueError("summary", "the name must be a string that is not empty", {"name": repr(name)})
    return cleaned


@contextmanager
def summary_scope(graph: Graph, name: str, family: str | None = None) -> Iterator[tuple[str, str]]:
    """The tag of a summary, and its scope (which ends in ``/``), in which the block then is."""
    base = clean_tag(name)
    if family:
        base = f"{clean_tag(family)}/{base}"
    with graph.name_scope(base.rstrip("/")) as scope:
        tag = scope.rstrip("/")
        yield (f"{clean_tag(family)}/{tag}" if family else tag), scope


def _summary(
    graph: Graph, type_name: str, name: str, given: list[GraphTensor], options: dict[str, Any],
    collections: Iterable[str] | None, family: str | None,
) -> GraphTensor:  # fmt: skip
    with summary_scope(graph, name, family) as (tag, scope):
        kind = SummaryKind(type_name, {"tag": tag, **options})
        made = graph.add(kind, given, [((), dtypes.string)], name=scope).outputs[0]
    for collection in (SUMMARIES,) if collections is None else collections:
        graph.add_to_collection(collection, made)
    return made


# ---------------------------------------------------------------- encoding


def _encoded(*values: bytes) -> bytes:
    """A Summary of encoded values."""
    return b"".join(pb.blob(1, value) for value in values)


def _encode_scalar(array: Any, *, tag: str, description: str | None) -> bytes:
    return _encoded(msg.scalar(tag, _values.scalar_value("summary.scalar", tag, array), description))


def _encode_histogram(array: Any, *, tag: str, buckets: int, description: str | None) -> bytes:
    table = _values.histogram_table("summary.histogram", tag, array, buckets)
    return _encoded(msg.histogram(tag, table, description))


def _encode_image(array: Any, *, tag: str, max_outputs: int) -> bytes:
    images = np.asarray(array)
    if images.dtype != np.uint8:
        images = np.asarray([scaled_pixels(one) for one in images[:max_outputs].astype(np.float32)], np.uint8).reshape(
            (-1, *images.shape[1:])
        )
    images = _values.image_batch("summary.image", tag, images, max_outputs)
    tags = [f"{tag}/image"] if max_outputs == 1 else [f"{tag}/image/{i}" for i in range(len(images))]
    return _encoded(*[msg.plain_image(t, one.shape, encode_png(one)) for t, one in zip(tags, images, strict=False)])


def scaled_pixels(image: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """``[height, width, channels]`` of floats as 0 to 255; see ``image``.

    Source: tensorflow/core/kernels/image ``summary_image_op.cc``, and the documentation of ``tf.summary.image``.
    """
    good: npt.NDArray[np.bool_] = np.asarray(np.isfinite(image).all(axis=-1))
    low, high = (float(f(image[good], initial=0.0)) for f in (np.min, np.max))
    if low < 0:
        largest = max(-low, high)
        scale, offset = (0.0 if largest < _DARK else 127.0 / largest), 128.0
    else:
        scale, offset = (0.0 if high < _DARK else 255.0 / high), 0.0
    shifted = np.where(good[..., None], image, 0.0).astype(np.float64) * scale + offset
    pixels = np.clip(shifted + 1e-4, 0.0, 255.0).astype(
        np.uint8
    )  # rounding of the scale must not cost the largest value
    pixels[~good] = _BAD[: image.shape[-1]]
    return pixels


def _encode_text(array: Any, *, tag: str, description: str | None) -> bytes:
    given = np.asarray(array, dtype=object)
    texts = [t.decode("utf-8", "replace") if isinstance(t, bytes) else str(t) for t in given.reshape(-1).tolist()]
    return _encoded(msg.text(tag, given.shape, texts, description))


def _encode_merge(*arrays: Any) -> bytes:
    """Summaries one after another are one summary that has all their values."""
    return b"".join(item for array in arrays for item in np.asarray(array, dtype=object).reshape(-1).tolist())


_ENCODERS: dict[str, Callable[..., bytes]] = {
    "ScalarSummary": _encode_scalar,
    "HistogramSummary": _encode_histogram,
    "ImageSummary": _encode_image,
    "TextSummary": _encode_text,
    "MergeSummary": _encode_merge,
}
#: The options of each type, and what they may be.
_OPTIONS: dict[str, dict[str, Any]] = {
    "ScalarSummary": {"tag": str, "description": (str, type(None))},
    "HistogramSummary": {"tag": str, "buckets": int, "description": (str, type(None))},
    "ImageSummary": {"tag": str, "max_outputs": int},
    "TextSummary": {"tag": str, "description": (str, type(None))},
    "MergeSummary": {},
}


# ---------------------------------------------------------------- in files


def _write(kind: SummaryKind, operation: Operation, writer: Writer) -> dict[str, Any]:
    return kind.config(operation)


def _read(record: Record, reader: Reader) -> SummaryKind:
    name, options = record.config.get("type"), record.config.get("options")
    wanted = _OPTIONS.get(name) if isinstance(name, str) else None
    if not isinstance(name, str) or wanted is None or not isinstance(options, dict) or options.keys() != wanted.keys():
        record.refuse("its summary is malformed")
    if not all(isinstance(options[key], kind) for key, kind in wanted.items()):
        record.refuse("the options of its summary are malformed")
    if any(type(options[key]) is not int or options[key] < 1 for key, kind in wanted.items() if kind is int):
        record.refuse("the options of its summary are not positive")
    record.counts(len(record.inputs) if name == "MergeSummary" else 1, 1)
    record.same(((), dtypes.string))
    textual = name in ("MergeSummary", "TextSummary")
    if any((i.dtype is dtypes.string) != textual for i in record.inputs):
        record.refuse("its inputs have dtypes that it does not take")
    return SummaryKind(name, options)


register_kind("summary", SummaryKind, _write, _read)

__all__ = [
    "SUMMARIES", "SummaryKind", "clean_tag", "histogram", "image", "merge", "merge_all", "scalar", "scaled_pixels",
    "summary_scope", "text",
]  # fmt: skip
