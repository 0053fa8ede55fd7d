"""CRC-32C (Castagnoli): reflected polynomial 0x82F63B78, of bytes at once or in pieces, plain and masked.

Short buffers go four bytes at a time through tables.  Long ones (images, graphs, weights) are cut into blocks whose
checksums are computed side by side with NumPy and then joined: a CRC is linear over GF(2), so the checksum of
``A || B`` is that of ``A`` carried over ``len(B)`` zero bytes, exclusive-or that of ``B``.  Carrying twice as far is
carrying twice.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Buffer: TypeAlias = bytes | bytearray | memoryview

_BLOCK_LEVEL = 6
_BLOCK = 1 << _BLOCK_LEVEL  # bytes per block; at least 4, so that a checksum fits into the first bytes of a block
_LONG = 4096  # bytes from which the block form is faster than the loop
_MASK_DELTA = 0xA282EAD8


def _byte_table() -> npt.NDArray[np.uint32]:
    """Checksum state after one byte, for each of the 256 bytes."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    return table


def _position_tables(table: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """``[_BLOCK, 256]``: what a byte at each position of a block adds to the block's checksum."""
    tables = np.empty((_BLOCK, 256), np.uint32)
    tables[-1] = table
    for row in range(_BLOCK - 2, -1, -1):
        after = tables[row + 1]
        tables[row] = (after >> 8) ^ table[after & 0xFF]
    return tables


_POSITIONS = _position_tables(_byte_table())
_T0, _T1, _T2, _T3 = (tuple(table.tolist()) for table in _POSITIONS[-4:])  # bytes 0 to 3 of a word


def crc32c(data: Buffer) -> int:
    """CRC-32C of ``data`` (RFC 3720, appendix B.4), an int from 0 to 2**32 - 1."""
    if len(data) >= _LONG:
        return _long(np.frombuffer(data, np.uint8))
    t0, t1, t2, t3 = _T0, _T1, _T2, _T3
    state = 0xFFFFFFFF
    words = len(data) // 4
    for word in struct.unpack_from(f"<{words}I", data):
        state ^= word
        state = t0[state & 0xFF] ^ t1[(state >> 8) & 0xFF] ^ t2[(state >> 16) & 0xFF] ^ t3[state >> 24]
    for byte in data[4 * words :]:
        state = t3[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """The form in which files store a checksum: one of data that itself holds checksums stays strong."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def masked_crc(data: Buffer) -> int:
    """``masked(crc32c(data))``."""
    return masked(crc32c(data))


class Crc32c:
    """The checksum of all that has been given to :meth:`add`, so that large data need not be in memory twice."""

    def __init__(self) -> None:
        self._value = 0

    def add(self, data: Buffer) -> None:
        """Append ``data``."""
        carried: Any = self._value
        zeros, level = len(data), 0
        while zeros:
            if zeros & 1:
                carried = _apply(_carry(level), carried)
            zeros, level = zeros >> 1, level + 1
        self._value = int(carried) ^ crc32c(data)

    @property
    def value(self) -> int:
        """CRC-32C of the data so far."""
        return self._value

    @property
    def masked(self) -> int:
        """The form that files store."""
        return masked(self._value)


def _long(data: npt.NDArray[np.uint8]) -> int:
    pad = -data.size % _BLOCK  # zero bytes in front do not change a checksum that starts from zero ...
    padded = np.zeros(pad + data.size, np.uint8)
    padded[pad:] = data
    padded[pad : pad + 4] ^= 0xFF  # ... and the usual start value is the same as inverting the first four bytes
    blocks = padded.reshape(-1, _BLOCK)
    crcs = np.zeros(len(blocks), np.uint32)
    for column, table in enumerate(_POSITIONS):
        crcs ^= table[blocks[:, column]]
    level = _BLOCK_LEVEL
    while crcs.size > 1:
        if crcs.size % 2:
            crcs = np.concatenate((np.zeros(1, np.uint32), crcs))
        crcs = _apply(_carry(level), crcs[0::2]) ^ crcs[1::2]
        level += 1
    return int(crcs[0]) ^ 0xFFFFFFFF


@cache
def _carry(level: int) -> npt.NDArray[np.uint32]:
    """``[4, 256]``: carries a checksum, byte by byte, over ``2**level`` zero bytes."""
    if level:
        half = _carry(level - 1)
        return _apply(half, half)
    # One zero byte: the lowest byte of a checksum goes through the table, the others move down by one.
    moved = np.arange(256, dtype=np.uint32)
    return np.stack([_POSITIONS[-1], moved, moved << 8, moved << 16])


def _apply(carry: npt.NDArray[np.uint32], crcs: Any) -> npt.NDArray[np.uint32]:
    """``crcs`` (an array of uint32, or one int) carried as far as ``carry`` says."""
    out: npt.NDArray[np.uint32] = carry[0][crcs & 0xFF]
    for place in (1, 2, 3):
        out = out ^ carry[place][(crcs >> (8 * place)) & 0xFF]
    return out


__all__ = ["Buffer", "Crc32c", "crc32c", "masked", "masked_crc"]
