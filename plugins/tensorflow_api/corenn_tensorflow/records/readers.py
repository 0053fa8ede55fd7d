"""Readers of TensorFlow 1: operations that take names of files from a queue and give one record at each run."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.graph.kinds import HostCallKind
from corenn_tensorflow import errors, mode
from corenn_tensorflow.records.files import TFRecordOptions, tf_record_iterator
from corenn_tensorflow.session import running_session


class ReaderBase:
    """Base of readers; a subclass gives the records of a file."""

    _type = "Reader"

    def __init__(self, name: str | None = None) -> None:
        if mode.executing_eagerly():
            raise RuntimeError(
                "Readers are not supported when eager execution is enabled. Instead, please use tf.data to "
                "get data into "
                "your model."
            )
        self._name = name or self._type
        #: In each session: the records of the present file, and how many were given.
        self._state: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()

    def _records(self, path: str) -> Iterator[tuple[str, bytes]]:
        raise NotImplementedError

    def _here(self) -> list[Any]:
        return self._state.setdefault(running_session(), [None, 0, 0])

    def _next(self, queue: Any) -> tuple[str, bytes]:
        state = self._here()
        while True:
            if state[0] is None:
                (path,) = queue._take(1, False)[0]
                name = path[()] if isinstance(path, np.ndarray) else path
                name = name.decode() if isinstance(name, bytes) else str(name)
                try:
                    state[0] = self._records(name)
                except FileNotFoundError as error:
                    raise errors.NotFoundError(None, None, f"{name}; No such file or directory") from error
            try:
                found = next(state[0])
            except StopIteration:
                state[0] = None
                state[2] += 1
                continue
            state[1] += 1
            return found

    def read(self, queue: Any, name: str | None = None) -> tuple[Any, Any]:
        """The next record: a key and a value, both scalars of strings."""

        def take() -> list[Any]:
            key, value = self._next(queue)
            return [_text(key.encode()), _text(value)]

        graph = mode.default_graph()
        known: list[Any] = [((), dtypes.string)] * 2
        kind = HostCallKind(take, False, "ReaderReadV2")
        key, value = graph.add(kind, [], known, name=name or f"{self._name}Read").outputs
        return key, value

    def read_up_to(self, queue: Any, num_records: Any, name: str | None = None) -> tuple[Any, Any]:
        """At most so many records: keys and values."""

        def take(count: Any) -> list[Any]:
            found = [self._next(queue)]
            while len(found) < int(count) and self._here()[0] is not None:
                try:
                    found.append(next(self._here()[0]))
                except StopIteration:
                    self._here()[0] = None
            return [np.array([k.encode() for k, _ in found], object), np.array([v for _, v in found], object)]

        graph = mode.default_graph()
        known: list[Any] = [((None,), dtypes.string)] * 2
        kind = HostCallKind(take, False, "ReaderReadUpToV2")
        made = graph.add(kind, [graph.convert(num_records)], known, name=name or f"{self._name}ReadUpTo")
        return made.outputs[0], made.outputs[1]

    def _count(self, place: int, name: str) -> Any:
        def count() -> list[Any]:
            return [np.array(self._here()[place], np.int64)]

        kind = HostCallKind(count, False, name)
        return mode.default_graph().add(kind, [], [((), dtypes.int64)], name=name).outputs[0]

    def num_records_produced(self, name: str | None = None) -> Any:
        """How many records it has given."""
        return self._count(1, name or "ReaderNumRecordsProduced")

    def num_work_units_completed(self, name: str | None = None) -> Any:
        """How many files it has finished."""
        return self._count(2, name or "ReaderNumWorkUnitsCompleted")


def _text(value: bytes) -> np.ndarray[Any, Any]:
    found = np.empty((), object)
    found[()] = value
    return found


class TextLineReader(ReaderBase):
    """Lines, without their ends; the first ``skip_header_lines`` of each file are left out."""

    _type = "TextLineReader"

    def __init__(self, skip_header_lines: int | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self._skipped = skip_header_lines or 0

    def _records(self, path: str) -> Iterator[tuple[str, bytes]]:
        file = open(path, "rb")  # noqa: SIM115  # a missing file is reported here, reading goes on later
        return self._lines(file, path)

    def _lines(self, file: Any, path: str) -> Iterator[tuple[str, bytes]]:
        with file:
            for number, line in enumerate(file, 1):
                if number > self._skipped:
                    yield f"{path}:{number}", line.rstrip(b"\n").removesuffix(b"\r")


class WholeFileReader(ReaderBase):
    """Files as a whole; the key is the name."""

    _type = "WholeFileReader"

    def _records(self, path: str) -> Iterator[tuple[str, bytes]]:
        with open(path, "rb") as file:
            return iter([(path, file.read())])


class IdentityReader(ReaderBase):
    """The names themselves, as key and value."""

    _type = "IdentityReader"

    def _records(self, path: str) -> Iterator[tuple[str, bytes]]:
        return iter([(path, path.encode())])


class TFRecordReader(ReaderBase):
    """The records of TFRecord files."""

    _type = "TFRecordReader"

    def __init__(self, name: str | None = None, options: Any = None) -> None:
        super().__init__(name)
        self._options = TFRecordOptions.get_compression_type_string(options)

    def _records(self, path: str) -> Iterator[tuple[str, bytes]]:
        return ((f"{path}:{i}", data) for i, data in enumerate(tf_record_iterator(path, self._options)))


class FixedLengthRecordReader(ReaderBase):
    """Records of ``record_bytes`` bytes, between a header and a footer."""

    _type = "FixedLengthRecordReader"

    def __init__(
        self, record_bytes: int, header_bytes: int | None = None, footer_bytes: int | None = None,
        hop_bytes: int | None = None, name: str | None = None, encoding: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name)
        self._bytes, self._header, self._footer = record_bytes, header_bytes or 0, footer_bytes or 0
        self._hop = hop_bytes or record_bytes

    def _records(self, path: str) -> Iterator[tuple[str, bytes]]:
        with open(path, "rb") as file:
            data = file.read()
        begins = range(self._header, len(data) - self._footer - self._bytes + 1, self._hop)
        return ((f"{path}:{i}", data[at : at + self._bytes]) for i, at in enumerate(begins))


__all__ = [
    "FixedLengthRecordReader", "IdentityReader", "ReaderBase", "TFRecordReader", "TextLineReader", "WholeFileReader",
]  # fmt: skip
