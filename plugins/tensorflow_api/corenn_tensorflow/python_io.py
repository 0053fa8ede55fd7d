"""``tf.python_io``: TFRecord files."""

from corenn_tensorflow import missing
from corenn_tensorflow.records.files import (
    TFRecordCompressionType,
    TFRecordOptions,
    TFRecordWriter,
    tf_record_iterator,
)

__getattr__ = missing.guard(__name__)

__all__ = ["TFRecordCompressionType", "TFRecordOptions", "TFRecordWriter", "tf_record_iterator"]
