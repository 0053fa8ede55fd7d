"""Datasets read from files."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from corenn import dtypes
from corenn_tensorflow.data import nodes
from corenn_tensorflow.data.dataset import Dataset, Source
from corenn_tensorflow.data.elements import Leaf, dtype_of, host
from corenn_tensorflow.data.sources import arrays_of, text_of


def _names(files: Any) -> list[str]:
    if isinstance(files, Dataset):
        return [text_of(e) for e in files._node.elements()]
    found = files
    if isinstance(found, (str, bytes)):
        return [text_of(found)]
    if isinstance(found, (list, tuple)):
        return [n for f in found for n in _names(f)]
    if isinstance(found, np.ndarray):
        return [text_of(n) for n in found.reshape(-1)]
    array = np.asarray(getattr(found, "data", found), dtype=object)
    return [text_of(n) for n in array.reshape(-1)]


class _FromFiles(Dataset):
    """Base: one file after another."""

    def __init__(self, filenames: Any, known: Any) -> None:
        source = Source(arrays_of(filenames)) if not isinstance(filenames, Dataset) else None

        def elements() -> Iterator[Any]:
            for name in _names(filenames if source is None else source.arrays()):
                yield from self._read(name)

        super().__init__(nodes.Iterated(elements), known, () if source is None else (source,))

    def _read(self, name: str) -> Iterator[Any]:
        raise NotImplementedError(type(self).__name__)


class _FromPackedFiles(_FromFiles):
    """Strings from files that may be compressed: ``compression_type`` is "", "ZLIB" or "GZIP"."""

    def __init__(
        self, filenames: Any, compression_type: Any = None, buffer_size: Any = None, num_parallel_reads: Any = None,
        name: str | None = None,
    ) -> None:  # fmt: skip
        self._compression = "" if compression_type is None else text_of(compression_type)
        super().__init__(filenames, Leaf(((), dtypes.string)))


class TextLineDataset(_FromPackedFiles):
    """The lines of text files, without line ends."""

    def _read(self, name: str) -> Iterator[Any]:
        if self._compression == "ZLIB":
            with open(name, "rb") as file:
                lines = zlib.decompress(file.read()).split(b"\n")
            yield from (np.asarray(line.rstrip(b"\r"), object) for line in lines[: -1 if not lines[-1] else None])
            return
        with gzip.open(name, "rb") if self._compression == "GZIP" else open(name, "rb") as file:
            for line in file:
                made = np.empty((), object)
                made[()] = line.rstrip(b"\n").rstrip(b"\r")
                yield made


class TFRecordDataset(_FromPackedFiles):
    """The records of TFRecord files."""

    def _read(self, name: str) -> Iterator[Any]:
        from corenn_tensorflow.records.files import TFRecordCompressionType, TFRecordOptions, tf_record_iterator

        kind = {"GZIP": TFRecordCompressionType.GZIP, "ZLIB": TFRecordCompressionType.ZLIB}.get(self._compression)
        for record in tf_record_iterator(name, None if kind is None else TFRecordOptions(kind)):
            made = np.empty((), object)
            made[()] = record
            yield made


class FixedLengthRecordDataset(_FromFiles):
    """Pieces of binary files, ``record_bytes`` each."""

    def __init__(
        self, filenames: Any, record_bytes: int, header_bytes: int | None = None, footer_bytes: int | None = None,
        buffer_size: Any = None, compression_type: Any = None, num_parallel_reads: Any = None, name: str | None = None,
    ) -> None:  # fmt: skip
        self._sizes = int(record_bytes), int(header_bytes or 0), int(footer_bytes or 0)
        self._compression = "" if compression_type is None else text_of(compression_type)
        super().__init__(filenames, Leaf(((), dtypes.string)))

    def _read(self, name: str) -> Iterator[Any]:
        size, head, foot = self._sizes
        with gzip.open(name, "rb") if self._compression == "GZIP" else open(name, "rb") as file:
            data = file.read()
        for start in range(head, len(data) - foot - size + 1, size):
            made = np.empty((), object)
            made[()] = data[start : start + size]
            yield made


class CsvDataset(_FromFiles):
    """Lines of CSV files as tuples of columns."""

    def __init__(
        self, filenames: Any, record_defaults: Any, compression_type: Any = None, buffer_size: Any = None,
        header: bool = False, field_delim: str = ",", use_quote_delim: bool = True, na_value: str = "",
        select_cols: Any = None, **ignored: Any,
    ) -> None:  # fmt: skip
        self._defaults = list(record_defaults)
        self._header, self._delimiter, self._na, self._chosen = header, field_delim, na_value, select_cols
        kinds = [d if not _is_value(d) else host(d).dtype for d in self._defaults]
        self._kinds = [dtypes.string if getattr(k, "kind", "") in "SUO" else dtype_of(k) for k in kinds]
        super().__init__(filenames, tuple(Leaf(((), k)) for k in self._kinds))

    def _read(self, name: str) -> Iterator[Any]:
        with open(name, newline="", encoding="utf-8") as file:
            lines = csv.reader(file, delimiter=self._delimiter)
            if self._header:
                next(lines, None)
            for line in lines:
                cells = line if self._chosen is None else [line[i] for i in self._chosen]
                yield tuple(self._cell(c, d, k) for c, d, k in zip(cells, self._defaults, self._kinds, strict=True))

    def _cell(self, text: str, default: Any, kind: Any) -> Any:
        if text in ("", self._na):
            if not _is_value(default):
                raise ValueError("a field without a default value is empty")
            text = str(np.asarray(default).reshape(-1)[0])
        if kind is dtypes.string:
            made = np.empty((), object)
            made[()] = text.encode()
            return made
        return np.asarray(float(text) if kind.is_floating else int(text), kind.numpy)


def _is_value(default: Any) -> bool:
    return isinstance(default, (int, float, str, bytes, list, tuple, np.ndarray)) and not isinstance(default, type)


__all__ = ["CsvDataset", "FixedLengthRecordDataset", "TFRecordDataset", "TextLineDataset"]
