"""Event files as records: writing whole ones from any thread, and reading them back checked.

What a record is says ``corenn.records.framing``.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from corenn.errors import AttributeValueError, DataError, UsageError
from corenn.records.framing import CorruptRecordError, CutShortError, frame, frames

_numbers = itertools.count()


class RecordFile:
    """An event file being written.

    Records gather in memory and go to the file whole and in order: when ``max_queue`` of them wait, every
    ``flush_secs`` seconds (a small thread sees to it, also when nothing more is written), and on :meth:`flush` and
    :meth:`close`.  What has been flushed survives the death of the process.  When the disk refuses, the records are
    kept and the next call that flushes tries again from the byte where it stopped, and raises OSError if it must.
    A forked child never writes to its parent's file: there the file is closed.
    """

    def __init__(self, directory: Path, suffix: str, flush_secs: float, max_queue: int) -> None:
        if not flush_secs > 0:
            raise AttributeValueError("EventWriter", "flush_secs must be positive", {"flush_secs": flush_secs})
        if not isinstance(max_queue, int) or max_queue < 0:
            raise AttributeValueError("EventWriter", "max_queue must be an int >= 0", {"max_queue": repr(max_queue)})
        if "/" in suffix or os.sep in suffix:
            what = "filename_suffix must not contain a path separator"
            raise AttributeValueError("EventWriter", what, {"filename_suffix": repr(suffix)})
        self.path, self._fd = _create(directory, suffix)
        self._flush_secs, self._max_queue = flush_secs, max_queue
        self._pending, self._waiting = bytearray(), 0
        self._flusher: threading.Thread | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._foreign = False
        _open_files.add(self)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called (or the process is a fork of the one that opened the file)."""
        return self._fd < 0

    def write(self, data: bytes) -> None:
        """Append one record.  Raises UsageError when the file is closed."""
        record = frame(data)
        with self._lock:
            if self.closed:
                why = "was opened by the parent process" if self._foreign else "is closed"
                hint = "create a writer in this process" if self._foreign else "call reopen() on the writer first"
                raise UsageError("EventWriter", f"the event file {why}", {"file": self.path}, hint=hint)
            self._pending += record
            self._waiting += 1
            if self._waiting > self._max_queue:
                self._flush()
            elif self._flusher is None:
                self._flusher = threading.Thread(target=self._flush_in_time, name="corenn-summary", daemon=True)
                self._flusher.start()

    def flush(self) -> None:
        """Hand every record written so far to the operating system."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Flush and close; doing it twice is harmless."""
        self._closing.set()
        with self._lock:
            if not self.closed:
                self._flush()
                os.close(self._fd)
                self._fd = -1

    def _flush(self) -> None:
        while self._pending and not self.closed:
            try:
                done = os.write(self._fd, self._pending)
            except OSError as error:
                raise OSError(error.errno, error.strerror, os.fspath(self.path)) from error
            del self._pending[:done]
        self._waiting = 0

    def _flush_in_time(self) -> None:
        while not self._closing.wait(self._flush_secs):
            try:
                self.flush()
            except OSError:
                continue  # the records are kept; the caller's own next flush reports it where someone can act

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # the old one may be held by a thread that does not exist here
        self._pending, self._foreign = bytearray(), True
        if not self.closed:
            os.close(self._fd)
            self._fd = -1


_open_files: weakref.WeakSet[RecordFile] = weakref.WeakSet()


def _close_in_child() -> None:
    for file in list(_open_files):
        file._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


def _create(directory: Path, suffix: str) -> tuple[Path, int]:
    """A new file under the name TensorBoard looks for, and its descriptor."""
    import socket

    directory.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname().replace(os.sep, "_") or "localhost"
    while True:
        name = f"events.out.tfevents.{int(time.time()):010d}.{host}.{os.getpid()}.{next(_numbers)}{suffix}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
            return directory / name, os.open(directory / name, flags, 0o666)
        except FileExistsError:
            continue  # the next number is free


def read_records(path: str | os.PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """Offset and data of each record of the file at ``path``, checksums verified.

    A last record that is cut short (the writer was stopped, or is still writing) ends the reading quietly; a record
    whose checksum is wrong raises DataError naming the file and the offset.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115  # closed by the with below; only the opening is in the try
    except OSError as error:
        raise DataError(os.fspath(path), f"the event file cannot be read: {error.strerror}") from error
    with file:
        try:
            yield from frames(file, lambda: os.fstat(file.fileno()).st_size)
        except CutShortError:
            return
        except CorruptRecordError as error:
            raise corrupt(path, error.offset, f"the checksum of its {error.part} is wrong") from error


def corrupt(path: str | os.PathLike[str], offset: int, why: str) -> DataError:
    """The error for a damaged record."""
    what = f"the record at byte {offset} is corrupt: {why}"
    hint = "everything before that byte is intact; if this is not an event file, give another path"
    return DataError(os.fspath(path), what, {"offset": offset}, hint=hint)
