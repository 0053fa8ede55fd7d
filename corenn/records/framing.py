"""Records one after the other in a file: the container of event files and of TFRecord files.

A record is ``uint64 length, uint32 masked CRC of the length, data, uint32 masked CRC of the data``, little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Protocol

from corenn.records.checksum import masked_crc

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")


class Readable(Protocol):
    """What records are read from: a file open for reading bytes."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, fewer only at the end."""
        ...


class RecordError(ValueError):
    """A record at byte ``offset`` that cannot be read: see the two subclasses."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(f"the record at byte {offset} {what}")
        self.offset = offset


class CutShortError(RecordError):
    """The file ends inside the record: its writer was stopped, or is still writing."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset, "is cut short")


class CorruptRecordError(RecordError):
    """A checksum is wrong: that of ``part``, which is ``"length"`` or ``"data"``."""

    def __init__(self, offset: int, part: str) -> None:
        super().__init__(offset, f"is corrupt: the checksum of its {part} is wrong")
        self.part = part


def frame(data: bytes) -> bytes:
    """``data`` as one record."""
    length = _HEADER.pack(len(data), 0)[:8]
    return b"".join((length, _FOOTER.pack(masked_crc(length)), data, _FOOTER.pack(masked_crc(data))))


def frames(file: Readable, size: Callable[[], int] | None = None) -> Iterator[tuple[int, bytes]]:
    """Offset and data of each record of ``file``, read from where it stands, checksums verified.

    ``size`` says how many bytes there are from there to the end (asked for each record, as a file may still grow): the
    memory of data that is not there is not asked for.
    Raises CutShortError where the file ends inside a record and CorruptRecordError where a checksum is wrong.
    """
    offset = 0
    while header := file.read(_HEADER.size):
        if len(header) < _HEADER.size:
            raise CutShortError(offset)
        length, crc = _HEADER.unpack(header)
        if masked_crc(header[:8]) != crc:
            raise CorruptRecordError(offset, "length")
        if size is not None and length > size() - offset - _HEADER.size:
            raise CutShortError(offset)
        data, footer = file.read(length), file.read(_FOOTER.size)
        if len(footer) < _FOOTER.size:
            raise CutShortError(offset)
        if masked_crc(data) != _FOOTER.unpack(footer)[0]:
            raise CorruptRecordError(offset, "data")
        yield offset, data
        offset += _HEADER.size + length + _FOOTER.size


__all__ = ["CorruptRecordError", "CutShortError", "Readable", "RecordError", "frame", "frames"]
