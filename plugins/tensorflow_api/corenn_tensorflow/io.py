"""``tf.io``: records, examples, files."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from corenn import dtypes
from corenn_tensorflow import gfile, missing
from corenn_tensorflow.feature_column.columns import host
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.functions.text import decode_base64, decode_raw, encode_base64
from corenn_tensorflow.records.files import (
    TFRecordCompressionType,
    TFRecordOptions,
    TFRecordWriter,
    tf_record_iterator,
)
from corenn_tensorflow.records.parsing import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    VarLenFeature,
    parse_example,
    parse_single_example,
    parse_single_sequence_example,
)
from corenn_tensorflow.records.text import decode_csv, parse_tensor, serialize_tensor
from corenn_tensorflow.train.files import write_graph
from corenn_tensorflow.train.queue_objects import (
    FIFOQueue,
    PaddingFIFOQueue,
    PriorityQueue,
    QueueBase,
    RandomShuffleQueue,
)
from corenn_tensorflow.train.queues import match_filenames_once
from corenn_tensorflow.writing import writable


def read_file(filename: Any, name: str | None = None) -> Any:
    """The content of a file, as a string; NotFoundError where there is none."""

    def read(path: Any) -> Any:
        from corenn_tensorflow import errors

        label = path[()] if isinstance(path, np.ndarray) else path
        label = os.fsdecode(label)
        try:
            with open(label, "rb") as file:
                data = file.read()
        except FileNotFoundError as error:
            raise errors.NotFoundError(None, None, f"{label}; No such file or directory") from error
        found = np.empty((), object)
        found[()] = data
        return found

    return host(read, [convert_to_tensor(filename)], ((), dtypes.string), name or "ReadFile")


@writable("io.write_file")
def _write(path: Any, data: Any) -> list[Any]:
    label, content = (v[()] if isinstance(v, np.ndarray) else v for v in (path, data))
    label = os.fsdecode(label)
    os.makedirs(os.path.dirname(label) or ".", exist_ok=True)
    with open(label, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return []


def write_file(filename: Any, contents: Any, name: str | None = None) -> Any:
    """Write a string to a file, making its directory."""
    from corenn.graph.kinds import HostCallKind
    from corenn_tensorflow import mode

    graph = mode.graph_for(filename, contents)
    given = [convert_to_tensor(filename), convert_to_tensor(contents)]
    if graph is None:
        _write(*[g.data for g in given])
        return None
    return graph.add(HostCallKind(_write, False, "WriteFile"), given, [], name=name or "WriteFile")


def matching_files(pattern: Any, name: str | None = None) -> Any:
    """The names of files that match, sorted."""
    import glob

    def match(patterns: Any) -> Any:
        listed = [os.fsdecode(p) for p in np.asarray(patterns, object).reshape(-1)]
        return np.array(sorted(path.encode() for p in listed for path in glob.glob(p)), object)

    return host(match, [convert_to_tensor(pattern)], ((None,), dtypes.string), name or "MatchingFiles")


def __getattr__(name: str) -> Any:
    if name.startswith(("decode_", "encode_", "is_jpeg", "extract_jpeg")):
        from corenn_tensorflow import image

        if hasattr(image, name):
            return getattr(image, name)
    return _missing(name)


_missing = missing.guard(__name__)

__all__ = [
    "FIFOQueue", "FixedLenFeature", "FixedLenSequenceFeature", "PaddingFIFOQueue", "PriorityQueue", "QueueBase",
    "RandomShuffleQueue", "TFRecordCompressionType", "TFRecordOptions", "TFRecordWriter", "VarLenFeature",
    "decode_base64", "decode_csv", "decode_raw", "encode_base64", "gfile", "match_filenames_once", "matching_files",
    "parse_example", "parse_single_example", "parse_single_sequence_example", "parse_tensor", "read_file",
    "serialize_tensor", "tf_record_iterator", "write_file", "write_graph",
]  # fmt: skip
