"""``tf.train.Example`` and its parts.  Field numbers: tensorflow/core/example/{example,feature}.proto."""

from __future__ import annotations

from corenn_tensorflow.records.wire import Field, Message


class BytesList(Message):
    """Byte strings."""

    FIELDS = (Field("value", 1, "bytes", repeated=True),)


class FloatList(Message):
    """Numbers of float32."""

    FIELDS = (Field("value", 1, "float", repeated=True),)


class Int64List(Message):
    """Integers of int64."""

    FIELDS = (Field("value", 1, "int", repeated=True),)


class Feature(Message):
    """A list of one of three types."""

    FIELDS = (
        Field("bytes_list", 1, BytesList, oneof="kind"),
        Field("float_list", 2, FloatList, oneof="kind"),
        Field("int64_list", 3, Int64List, oneof="kind"),
    )


class Features(Message):
    """Features by name."""

    FIELDS = (Field("feature", 1, Feature, key="string"),)


class Example(Message):
    """One example: named features."""

    FIELDS = (Field("features", 1, Features),)


class FeatureList(Message):
    """A sequence of features."""

    FIELDS = (Field("feature", 1, Feature, repeated=True),)


class FeatureLists(Message):
    """Sequences of features by name."""

    FIELDS = (Field("feature_list", 1, FeatureList, key="string"),)


class SequenceExample(Message):
    """One example that is a sequence: features of the whole, and features of each step."""

    FIELDS = (Field("context", 1, Features), Field("feature_lists", 2, FeatureLists))


__all__ = [
    "BytesList", "Example", "Feature", "FeatureList", "FeatureLists", "Features", "FloatList", "Int64List",
    "SequenceExample",
]  # fmt: skip
