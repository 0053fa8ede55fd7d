"""Masked CRC-32C of data that comes in pieces, so that a large tensor need not be in memory twice.

A CRC is linear over GF(2): the checksum of ``A || B`` is that of ``A`` carried over ``len(B)`` zero bytes, exclusive-or
that of ``B``.  Carrying is a 32 x 32 matrix of bits, and carrying twice as far is its square.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

from corenn.summary._crc import Buffer, crc32c

#: A matrix over GF(2): ``columns[i]`` is what becomes of bit ``i``.
_Matrix: TypeAlias = tuple[int, ...]


class Crc32c:
    """The checksum of what has been given to :meth:`add` so far."""

    def __init__(self) -> None:
        self._value = 0

    def add(self, data: Buffer) -> None:
        """Append ``data``."""
        self._value = _carried(self._value, len(data)) ^ crc32c(data)

    @property
    def masked(self) -> int:
        """The form that files store."""
        return (((self._value >> 15) | (self._value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _carried(crc: int, zeros: int) -> int:
    level = 0
    while zeros:
        if zeros & 1:
            crc = _product(_zeros(level), crc)
        zeros >>= 1
        level += 1
    return crc


@cache
def _zeros(level: int) -> _Matrix:
    """Carries a checksum over ``2 ** level`` zero bytes."""
    if level:
        half = _zeros(level - 1)
        return tuple(_product(half, column) for column in half)
    columns = [1 << bit for bit in range(32)]
    for _ in range(8):
        columns = [value >> 1 ^ (0x82F63B78 if value & 1 else 0) for value in columns]
    return tuple(columns)


def _product(matrix: _Matrix, vector: int) -> int:
    result = 0
    for column in matrix:
        if vector & 1:
            result ^= column
        vector >>= 1
    return result
