"""What a caller hands to a summary, brought into plain NumPy values; the checks and their advice live here."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.summary._png import COLOUR_TYPES, to_uint8


class SummaryWarning(UserWarning):
    """A summary that was written, but not with everything it was given (values that are not finite)."""


def check_tag(where: str, tag: object) -> str:
    """``tag`` if it can name a summary, else AttributeValueError."""
    if not isinstance(tag, str) or not tag:
        raise AttributeValueError(where, "the tag must be a non-empty string", {"tag": repr(tag)})
    return tag


def check_step(where: str, step: object) -> int:
    """``step`` (an int, or a scalar array or variable of an integer type) as an int that fits int64."""
    array = np.asarray(step)
    if array.ndim != 0 or array.dtype.kind not in "iu" or not -(2**63) <= int(array) < 2**63:
        raise AttributeValueError(where, "the step must be one integer of at most 64 bits", {"step": repr(step)})
    return int(array)


def summary_bytes(summary: Any) -> bytes:
    """The bytes of an encoded Summary: as they are, out of an array of one, or those of a protobuf message."""
    if hasattr(summary, "SerializeToString"):
        summary = summary.SerializeToString()
    if isinstance(summary, np.ndarray) and summary.size == 1:
        summary = summary.reshape(())[()]
    if isinstance(summary, (bytes, bytearray)):
        return bytes(summary)
    hint = "session.run() of what corenn.summary.graph_ops.merge_all() gives, unless that is None"
    raise AttributeValueError("add_summary", "needs the bytes of a summary", {"given": repr(summary)[:80]}, hint=hint)


def real_array(where: str, tag: str, data: object) -> npt.NDArray[Any]:
    """``data`` as an array of booleans or real numbers (bfloat16 included); DTypeError for anything else."""
    try:
        array = np.asarray(data)
    except TypeError as error:
        raise DTypeError(where, f"{tag!r} does not convert to a NumPy array: {error}") from error
    except ValueError as error:
        raise ShapeError(where, f"{tag!r} does not convert to a NumPy array: {error}") from error
    kind = array.dtype.kind
    # Extension types such as bfloat16 report kind 'V', as structured types do; only the former cast to float64.
    if kind in "biuf" or (kind == "V" and array.dtype.names is None and np.can_cast(array.dtype, np.float64)):
        return array
    hint = "write abs() or the real and imaginary parts" if kind == "c" else "give numbers, or use text() for strings"
    raise DTypeError(where, f"{tag!r} must be real numbers", {"data": describe(array)}, hint=hint)


def scalar_value(where: str, tag: str, data: object) -> float:
    """The single number in ``data``; ShapeError when there is not exactly one, with rank 0."""
    if type(data) is float or type(data) is int:  # the common case, without an array
        try:
            return float(data)
        except OverflowError:
            return float("inf") if data > 0 else float("-inf")
    array = real_array(where, tag, data)
    if array.ndim != 0:
        hint = "take its mean, or write it with histogram()" if array.size != 1 else "index or reshape it to rank 0"
        raise ShapeError(where, f"{tag!r} must be a single number", {"data": describe(array)}, hint=hint)
    return float(array.astype(np.float64))


def histogram_table(where: str, tag: str, data: object, buckets: int) -> npt.NDArray[np.float64]:
    """Equal-width buckets over the finite values of ``data``: ``[buckets, 3]`` rows (left, right, count).

    The form of TensorBoard's ``histograms`` plugin: without values all rows are zero; when all values are equal,
    every edge is that value and the last bucket holds them all.  Values that are not finite have no bucket: they
    are left out with a :class:`SummaryWarning`.
    """
    if not isinstance(buckets, int) or buckets < 1:
        raise AttributeValueError(where, "buckets must be a positive int", {"buckets": repr(buckets)})
    values = real_array(where, tag, data).astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    if finite.size < values.size:
        lost = values.size - finite.size
        text = f"{where}: {lost} of {values.size} values of {tag!r} are not finite and are left out"
        warnings.warn(text, SummaryWarning, stacklevel=_caller_level())
    table = np.zeros((buckets, 3))
    if not finite.size:
        return table
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        table[:, :2] = high
        table[-1, 2] = finite.size
        return table
    scale = 1.0 if max(-low, high) < 1e300 else 0.25  # the range itself must not overflow
    fraction = (finite * scale - low * scale) / (high * scale - low * scale)
    index = np.minimum((fraction * buckets).astype(np.intp), buckets - 1)
    edges = np.linspace(low * scale, high * scale, buckets + 1).clip(low * scale, high * scale) / scale
    edges[0], edges[-1] = low, high
    table[:, 0], table[:, 1] = edges[:-1], edges[1:]
    table[:, 2] = np.bincount(index, minlength=buckets)
    return table


def _caller_level() -> int:
    """The ``stacklevel`` with which a function that calls this one warns about the code that called corenn.summary."""
    level = 1
    while sys._getframe(level).f_globals.get("__name__", "").startswith("corenn.summary"):
        level += 1
    return level


def image_batch(where: str, tag: str, data: object, limit: int) -> npt.NDArray[np.uint8]:
    """The first ``limit`` images of ``data`` as uint8 ``[n, height, width, channels]``; channels are 1, 3 or 4."""
    images = real_array(where, tag, data)
    if images.ndim != 4:
        hint = {2: "use x[None, :, :, None]", 3: "use x[None] for one image, x[..., None] for a batch of gray ones"}
        text = f"{tag!r} must have shape [images, height, width, channels]"
        raise ShapeError(where, text, {"data": describe(images)}, hint=hint.get(images.ndim))
    if images.shape[3] not in COLOUR_TYPES:
        hint_text = "move the channels last: x.transpose(0, 2, 3, 1)" if images.shape[1] in COLOUR_TYPES else None
        text = f"{tag!r} must have 1 (gray), 3 (RGB) or 4 (RGBA) channels on its last axis"
        raise ShapeError(where, text, {"data": describe(images)}, hint=hint_text)
    if 0 in images.shape[1:3]:
        raise ShapeError(where, f"{tag!r} has images without pixels", {"data": describe(images)})
    if images.dtype.kind in "iu" and images.dtype != np.uint8:
        hint_text = "use x.astype('uint8') for values 0 to 255, or divide by 255 for floats in [0, 1]"
        text = f"{tag!r} must be uint8, bool, or floating in [0, 1]"
        raise DTypeError(where, text, {"data": describe(images)}, hint=hint_text)
    return to_uint8(images[:limit])


def text_array(where: str, tag: str, data: object) -> tuple[tuple[int, ...], list[str]]:
    """Shape and flat list of the strings in ``data``: one string, or an array of rank 1 or 2 (shown as a table)."""
    if isinstance(data, str):
        return (), [data]
    array = np.asarray(data, dtype=object)
    texts = [item for item in array.ravel().tolist() if isinstance(item, str)]
    if len(texts) != array.size:
        text = f"{tag!r} must be a string or an array of strings"
        raise DTypeError(where, text, {"data": type(data).__name__}, hint="convert the values with str()")
    if array.ndim > 2:
        text = f"{tag!r} has more than two axes"
        raise ShapeError(where, text, {"data": f"strings{list(array.shape)}"}, hint="write one table per summary")
    return array.shape, texts


def describe(array: npt.NDArray[Any]) -> str:
    """``float32[32, 10]``."""
    return f"{array.dtype.name}{list(array.shape)}"
