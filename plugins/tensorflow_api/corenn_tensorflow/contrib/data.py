"""``tf.contrib.data``: ``tf.data.experimental`` under its older name, and the datasets beside."""

from corenn_tensorflow.data import Dataset, FixedLengthRecordDataset, Iterator, TextLineDataset, TFRecordDataset
from corenn_tensorflow.data.experimental import *  # noqa: F403
from corenn_tensorflow.data.experimental import __all__ as _experimental
from corenn_tensorflow.missing import guard

__all__ = ["Dataset", "FixedLengthRecordDataset", "Iterator", "TFRecordDataset", "TextLineDataset", *_experimental]
__getattr__ = guard(__name__)
