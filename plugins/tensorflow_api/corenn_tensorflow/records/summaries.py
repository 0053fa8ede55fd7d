"""``tf.Summary``, ``tf.Event`` and their parts, for values written by hand and for reading event files.

Field numbers: tensorflow/core/framework/{summary,tensor,tensor_shape}.proto, tensorflow/core/util/event.proto.
"""

from __future__ import annotations

from typing import Any

from corenn_tensorflow.records.wire import Field, Message


class HistogramProto(Message):
    """A histogram: moments, and counts up to each limit."""

    FIELDS = (
        Field("min", 1, "double"), Field("max", 2, "double"), Field("num", 3, "double"), Field("sum", 4, "double"),
        Field("sum_squares", 5, "double"), Field("bucket_limit", 6, "double", repeated=True),
        Field("bucket", 7, "double", repeated=True),
    )  # fmt: skip


class Dim(Message):
    """One extent of a shape."""

    FIELDS = (Field("size", 1, "int"), Field("name", 2, "string"))


class TensorShapeProto(Message):
    """A shape."""

    FIELDS = (Field("dim", 2, Dim, repeated=True), Field("unknown_rank", 3, "bool"))
    Dim: type = Dim


class TensorProto(Message):
    """An array: dtype, shape, and the elements in the field of their type, or as bytes."""

    FIELDS = (
        Field("dtype", 1, "int"), Field("tensor_shape", 2, TensorShapeProto), Field("version_number", 3, "int"),
        Field("tensor_content", 4, "bytes"), Field("float_val", 5, "float", repeated=True),
        Field("double_val", 6, "double", repeated=True), Field("int_val", 7, "int", repeated=True),
        Field("string_val", 8, "bytes", repeated=True), Field("int64_val", 10, "int", repeated=True),
        Field("bool_val", 11, "bool", repeated=True),
    )  # fmt: skip


class PluginData(Message):
    """Which plugin of TensorBoard shows a value, and what it wants to know."""

    FIELDS = (Field("plugin_name", 1, "string"), Field("content", 2, "bytes"))


class SummaryMetadata(Message):
    """How a value is shown."""

    FIELDS = (
        Field("plugin_data", 1, PluginData), Field("display_name", 2, "string"),
        Field("summary_description", 3, "string"), Field("data_class", 4, "int"),
    )  # fmt: skip
    PluginData: type = PluginData


class SummaryImage(Message):
    """An encoded image."""

    FIELDS = (
        Field("height", 1, "int"), Field("width", 2, "int"), Field("colorspace", 3, "int"),
        Field("encoded_image_string", 4, "bytes"),
    )  # fmt: skip


class SummaryAudio(Message):
    """An encoded sound."""

    FIELDS = (
        Field("sample_rate", 1, "float"), Field("num_channels", 2, "int"), Field("length_frames", 3, "int"),
        Field("encoded_audio_string", 4, "bytes"), Field("content_type", 5, "string"),
    )  # fmt: skip


class SummaryValue(Message):
    """One value under one tag."""

    FIELDS = (
        Field("tag", 1, "string"), Field("simple_value", 2, "float", oneof="value"),
        Field("obsolete_old_style_histogram", 3, "bytes", oneof="value"),
        Field("image", 4, SummaryImage, oneof="value"), Field("histo", 5, HistogramProto, oneof="value"),
        Field("audio", 6, SummaryAudio, oneof="value"), Field("node_name", 7, "string"),
        Field("tensor", 8, TensorProto, oneof="value"), Field("metadata", 9, SummaryMetadata),
    )  # fmt: skip


class Summary(Message):
    """Values of one step."""

    FIELDS = (Field("value", 1, SummaryValue, repeated=True),)
    Value: type = SummaryValue
    Image: type = SummaryImage
    Audio: type = SummaryAudio


class SessionLog(Message):
    """Start, checkpoint or stop of a session."""

    FIELDS = (Field("status", 1, "int"), Field("checkpoint_path", 2, "string"), Field("msg", 3, "string"))
    STATUS_UNSPECIFIED, START, STOP, CHECKPOINT = 0, 1, 2, 3


class TaggedRunMetadata(Message):
    """Statistics of a run under a tag."""

    FIELDS = (Field("tag", 1, "string"), Field("run_metadata", 2, "bytes"))


class Event(Message):
    """One record of an event file."""

    FIELDS = (
        Field("wall_time", 1, "double"), Field("step", 2, "int"), Field("file_version", 3, "string", oneof="what"),
        Field("graph_def", 4, "bytes", oneof="what"), Field("summary", 5, Summary, oneof="what"),
        Field("log_message", 6, "bytes", oneof="what"), Field("session_log", 7, SessionLog, oneof="what"),
        Field("tagged_run_metadata", 8, TaggedRunMetadata, oneof="what"),
        Field("meta_graph_def", 9, "bytes", oneof="what"),
    )  # fmt: skip


def parsed(summary: Any) -> Summary:
    """``summary`` as a message: itself, or what its bytes encode."""
    return summary if isinstance(summary, Summary) else Summary.FromString(bytes(summary))


__all__ = [
    "Event", "HistogramProto", "SessionLog", "Summary", "SummaryAudio", "SummaryImage", "SummaryMetadata",
    "SummaryValue", "TaggedRunMetadata", "TensorProto", "TensorShapeProto", "parsed",
]  # fmt: skip
