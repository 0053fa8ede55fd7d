import io
import struct

import pytest

from corenn.records.checksum import masked_crc
from corenn.records.framing import CorruptRecordError, CutShortError, frame, frames

RECORDS = [b"", b"a", b"second", bytes(range(256)) * 30]
STREAM = b"".join(map(frame, RECORDS))
OFFSETS = [sum(16 + len(r) for r in RECORDS[:i]) for i in range(len(RECORDS))]


def test_layout():
    length = struct.pack("<Q", 6)
    assert frame(b"second") == (
        length + struct.pack("<I", masked_crc(length)) + b"second" + struct.pack("<I", masked_crc(b"second"))
    )


def test_there_and_back():
    assert list(frames(io.BytesIO(STREAM))) == list(zip(OFFSETS, RECORDS, strict=True))
    assert list(frames(io.BytesIO())) == []


@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("size", [*range(1, 60), len(STREAM) - 1])
def test_cut_short(size, sized):
    cut = STREAM[:size]
    ends = [*OFFSETS[1:], len(STREAM)]
    whole = [end for end in ends if end <= size]
    reader = frames(io.BytesIO(cut), (lambda: size) if sized else None)
    assert [next(reader)[1] for _ in whole] == RECORDS[: len(whole)]
    if size in ends:
        assert next(reader, None) is None
        return
    with pytest.raises(CutShortError, match="is cut short") as caught:
        next(reader)
    assert caught.value.offset == OFFSETS[len(whole)]


@pytest.mark.parametrize(("at", "part"), [(0, "length"), (7, "length"), (11, "length"), (12, "data"), (18, "data")])
def test_corrupt(at, part):
    damaged = bytearray(STREAM)
    damaged[OFFSETS[2] + at] ^= 4
    reader = frames(io.BytesIO(damaged))
    assert [next(reader)[1], next(reader)[1]] == RECORDS[:2]
    with pytest.raises(CorruptRecordError, match=f"the checksum of its {part} is wrong") as caught:
        next(reader)
    assert (caught.value.offset, caught.value.part) == (OFFSETS[2], part)


def test_no_memory_for_what_is_not_there():
    length = struct.pack("<Q", 1 << 60)
    head = length + struct.pack("<I", masked_crc(length))
    with pytest.raises(CutShortError):
        next(frames(io.BytesIO(head), lambda: len(head)))
