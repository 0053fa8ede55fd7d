"""What ``tf.`` itself has of training, summaries, queues and records."""

from corenn_tensorflow.records.arrays import make_ndarray, make_tensor_proto
from corenn_tensorflow.records.parsing import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    VarLenFeature,
    parse_example,
    parse_single_example,
    parse_single_sequence_example,
)
from corenn_tensorflow.records.readers import (
    FixedLengthRecordReader,
    IdentityReader,
    ReaderBase,
    TextLineReader,
    TFRecordReader,
    WholeFileReader,
)
from corenn_tensorflow.records.summaries import (
    Event,
    HistogramProto,
    SessionLog,
    Summary,
    SummaryMetadata,
    TensorProto,
    TensorShapeProto,
)
from corenn_tensorflow.records.text import decode_csv, parse_tensor, serialize_tensor
from corenn_tensorflow.summary.graph_mode import (
    audio_summary,
    histogram_summary,
    image_summary,
    merge_all_summaries,
    merge_summary,
    scalar_summary,
)
from corenn_tensorflow.train.queue_objects import (
    FIFOQueue,
    PaddingFIFOQueue,
    PriorityQueue,
    QueueBase,
    RandomShuffleQueue,
)

__all__ = [
    "Event", "FIFOQueue", "FixedLenFeature", "FixedLenSequenceFeature", "FixedLengthRecordReader", "HistogramProto",
    "IdentityReader", "PaddingFIFOQueue", "PriorityQueue", "QueueBase", "RandomShuffleQueue", "ReaderBase",
    "SessionLog", "Summary", "SummaryMetadata", "TFRecordReader", "TensorProto", "TensorShapeProto",
    "TextLineReader", "VarLenFeature", "WholeFileReader", "audio_summary", "decode_csv", "histogram_summary",
    "image_summary", "make_ndarray", "make_tensor_proto", "merge_all_summaries", "merge_summary", "parse_example",
    "parse_single_example", "parse_single_sequence_example", "parse_tensor", "scalar_summary", "serialize_tensor",
]  # fmt: skip
