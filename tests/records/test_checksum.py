import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corenn.records.checksum import _LONG, Crc32c, crc32c, masked_crc


def bit_by_bit(data: bytes) -> int:
    """The definition: polynomial division, one bit at a time."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


ISCSI_READ = bytes.fromhex(
    "01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000"
)


@pytest.mark.parametrize(
    ("data", "crc"),
    [  # RFC 3720, appendix B.4, and the check value of the CRC catalogue
        (b"\x00" * 32, 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (ISCSI_READ, 0xD9963A56),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_known_answers(data, crc):
    assert crc32c(data) == crc
    assert crc32c(memoryview(data)) == crc32c(bytearray(data)) == crc


@given(st.binary(max_size=100))
def test_short(data):
    assert crc32c(data) == bit_by_bit(data)


@pytest.mark.parametrize("size", [_LONG - 1, _LONG, _LONG + 1, _LONG + 60, _LONG + 63, 5 * 64 * 64 - 3, 20_001])
def test_long(size):
    data = np.random.default_rng(size).bytes(size)
    assert crc32c(data) == bit_by_bit(data)


def test_masked():
    # Event files that TensorFlow writes begin with these twelve bytes: the length 24 and its checksum.
    first = bytes.fromhex("1800000000000000 a37f4b22")
    assert masked_crc(first[:8]) == int.from_bytes(first[8:], "little")


@settings(deadline=None)
@given(pieces=st.lists(st.binary(max_size=300), max_size=6))
def test_in_pieces(pieces):
    crc = Crc32c()
    for piece in pieces:
        crc.add(piece)
    assert crc.value == bit_by_bit(b"".join(pieces)) and crc.masked == masked_crc(b"".join(pieces))


def test_in_long_pieces():
    data = np.random.default_rng(3).bytes(20_001)
    crc = Crc32c()
    for piece in (data[:1], data[1:_LONG], data[_LONG:]):
        crc.add(piece)
    assert crc.value == bit_by_bit(data)
