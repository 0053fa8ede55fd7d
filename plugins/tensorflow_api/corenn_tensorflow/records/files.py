"""TFRecord files: ``TFRecordWriter``, ``tf_record_iterator``, plain or compressed.

A record is length, checksum of the length, data, checksum of the data, as in event files.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from typing import IO, Any

from corenn.records.framing import CorruptRecordError, CutShortError, frame, frames
from corenn_tensorflow import errors


class TFRecordCompressionType:
    """How a file is compressed."""

    NONE, ZLIB, GZIP = 0, 1, 2


class TFRecordOptions:
    """How a file is compressed: a ``TFRecordCompressionType``, its name, or another ``TFRecordOptions``."""

    compression_type_map = {0: "", 1: "ZLIB", 2: "GZIP"}  # noqa: RUF012  # TensorFlow's

    def __init__(self, compression_type: Any = None, **settings: Any) -> None:
        self.compression_type = self.get_compression_type_string(compression_type)
        self.compression_level = settings.get("compression_level")

    @classmethod
    def get_compression_type_string(cls, options: Any) -> str:
        """``""``, ``"ZLIB"`` or ``"GZIP"``."""
        if not options:
            return ""
        if isinstance(options, TFRecordOptions):
            return options.compression_type
        if isinstance(options, str):
            if options not in cls.compression_type_map.values():
                raise ValueError('Not a valid compression_type: "' + options + '"')
            return options
        return cls.compression_type_map[options]


class TFRecordWriter:
    """Writes records to a file; a context manager."""

    def __init__(self, path: Any, options: Any = None) -> None:
        kind = TFRecordOptions.get_compression_type_string(options)
        name = os.fspath(path)
        try:
            self._raw: IO[bytes] = open(name, "wb")  # noqa: SIM115  # closed by close()
        except FileNotFoundError as error:
            raise errors.NotFoundError(None, None, f"{name}; No such file or directory") from error
        self._zlib: Any = None
        self._file: Any = self._raw
        if kind == "GZIP":
            self._file = gzip.GzipFile(fileobj=self._raw, mode="wb", mtime=0)
        elif kind == "ZLIB":
            self._zlib = zlib.compressobj()

    def write(self, record: Any) -> None:
        """Append a record, of ``bytes``."""
        if isinstance(record, str):
            raise TypeError("TFRecordWriter.write() takes bytes: call SerializeToString() or encode()")
        data = frame(bytes(record))
        self._file.write(self._zlib.compress(data) if self._zlib is not None else data)

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        if self._zlib is None and not self._raw.closed:
            self._file.flush()
            self._raw.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._raw.closed:
            return
        if self._zlib is not None:
            self._raw.write(self._zlib.flush())
        elif self._file is not self._raw:
            self._file.close()
        self._raw.close()

    def __enter__(self) -> TFRecordWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_raw", None) is not None:
            self.close()


def tf_record_iterator(path: Any, options: Any = None) -> Iterator[bytes]:
    """The records of a file; DataLossError for a damaged one, NotFoundError where there is none."""
    name = os.fspath(path)
    kind = TFRecordOptions.get_compression_type_string(options)
    try:
        raw = open(name, "rb")  # noqa: SIM115  # closed by the with below; only the opening is in the try
    except FileNotFoundError as error:
        raise errors.NotFoundError(None, None, f"{name}; No such file or directory") from error
    with raw:
        file: Any = raw
        if kind == "GZIP":
            file = gzip.GzipFile(fileobj=raw)
        elif kind == "ZLIB":
            import io

            file = io.BytesIO(zlib.decompress(raw.read()))
        try:
            for _, data in frames(file):
                yield data
        except CutShortError as error:
            raise errors.DataLossError(None, None, f"truncated record at {error.offset}") from error
        except CorruptRecordError as error:
            hint = f"is {name} a TFRecord file, and not compressed?" if error.part == "length" else None
            raise errors.DataLossError(None, None, f"corrupted record at {error.offset}", hint=hint) from error


__all__ = ["TFRecordCompressionType", "TFRecordOptions", "TFRecordWriter", "tf_record_iterator"]
