"""Philox 4x64-10 in array-API terms: the shared kernels behind every random op.

``corenn/philox.py`` defines the bits; this file computes the same from a key tensor, in plain uint64 arithmetic, so
that a backend with nothing but arrays draws them too.  A key is uint64[3]: seed, stream, and the offset of the first
element.  The offset is data, not an attribute, so positions are gathered rather than sliced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Multipliers and key increments: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011), section 3.3.
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_INCREMENTS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
_LOW = 0xFFFFFFFF
_MASK64 = (1 << 64) - 1


def multiply_high(x: Any, factor: int) -> Any:
    """The high 64 bits of ``x * factor`` for a uint64 array and 0 <= factor < 2**64, by 32-bit halves."""
    a, b = x >> 32, x & _LOW
    c, d = factor >> 32, factor & _LOW
    middle = a * d + (b * d >> 32)
    carry = b * c + (middle & _LOW)
    return a * c + (middle >> 32) + (carry >> 32)


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[Any, Any]) -> tuple[Any, Any, Any, Any]:
    """Ten rounds over four uint64 arrays of counter words; the words of the key broadcast."""
    (x, y, z, w), (k, m) = counter, key
    for number in range(_ROUNDS):
        if number:
            k, m = k + _INCREMENTS[0], m + _INCREMENTS[1]
        x, y, z, w = (
            multiply_high(z, _MULTIPLIERS[1]) ^ y ^ k,
            z * _MULTIPLIERS[1],
            multiply_high(x, _MULTIPLIERS[0]) ^ w ^ m,
            x * _MULTIPLIERS[0],
        )
    return x, y, z, w


def _positions(xp: Any, lead: Any, count: int, device: Any) -> Any:
    return xp.astype(lead, xp.int64) + xp.arange(count, dtype=xp.int64, device=device)


def _blocks(xp: Any, key: Any, first: Any, count: int, device: Any) -> list[Any]:
    """The four lanes of ``count`` blocks from block ``first`` (uint64[1]) on."""
    block = first + xp.arange(count, dtype=xp.uint64, device=device)
    zero = xp.zeros_like(block)
    return list(philox((block, zero, zero, zero), (key[0:1], key[1:2])))


def words(xp: Any, key: Any, offset: Any, count: int, device: Any) -> Any:
    """Words ``offset`` (uint64[1]) to ``offset + count - 1`` of a stream, uint64[count]."""
    lanes = _blocks(xp, key, offset >> 2, (count + 6) // 4, device)
    flat = xp.reshape(xp.stack(lanes, axis=1), (-1,))
    return xp.take(flat, _positions(xp, offset & 3, count, device), axis=0)


def bits32(xp: Any, key: Any, offset: Any, count: int, device: Any) -> Any:
    """32-bit halves ``offset`` to ``offset + count - 1`` of a stream, low halves first, in uint64[count]."""
    lanes = _blocks(xp, key, offset >> 3, (count + 14) // 8, device)
    halves = [half for lane in lanes for half in (lane & _LOW, lane >> 32)]
    flat = xp.reshape(xp.stack(halves, axis=1), (-1,))
    return xp.take(flat, _positions(xp, offset & 7, count, device), axis=0)


def _fraction(xp: Any, dtype: Any) -> int:
    """How many random bits a uniform number of this dtype has."""
    for name, bits in (("float64", 53), ("float32", 24), ("float16", 11)):
        if dtype == getattr(xp, name, None):
            return bits
    return 8  # bfloat16


def uniform(xp: Any, key: Any, count: int, dtype: Any, device: Any) -> Any:
    """Uniform numbers in [0, 1) of a floating dtype, elements ``key[2]`` on."""
    fraction = _fraction(xp, dtype)
    if fraction == 53:
        return xp.astype(words(xp, key, key[2:3], count, device) >> 11, dtype) * 2.0**-53
    bits = bits32(xp, key, key[2:3], count, device) >> (32 - fraction)
    return xp.astype(xp.astype(bits, xp.float32) * 2.0**-fraction, dtype, copy=False)


def normal(xp: Any, key: Any, count: int, dtype: Any, device: Any) -> Any:
    """Standard normal numbers by Box and Muller (1958), elements ``key[2]`` on; 16-bit ones rounded from float32."""
    double = dtype == xp.float64
    offset = key[2:3]
    source: Callable[..., Any] = words if double else bits32
    kind, fraction, drop = (xp.float64, 53, 11) if double else (xp.float32, 24, 8)
    pairs = (count + 2) // 2  # whole pairs, also when the first element is the second of its pair
    drawn = xp.reshape(source(xp, key, offset - (offset & 1), 2 * pairs, device) >> drop, (pairs, 2))
    radius = xp.sqrt(xp.log((xp.astype(drawn[:, 0], kind) + 1.0) * 2.0**-fraction) * -2.0)
    angle = xp.astype(drawn[:, 1], kind) * 2.0**-fraction * 6.283185307179586
    both = xp.reshape(xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1), (-1,))
    return xp.astype(xp.take(both, _positions(xp, offset & 1, count, device), axis=0), dtype, copy=False)


def integers(xp: Any, key: Any, count: int, low: int, high: int, dtype: Any, device: Any) -> Any:
    """Integers in [low, high), elements ``key[2]`` on, each by multiplication from one word."""
    drawn = words(xp, key, key[2:3], count, device)
    if high - low < 1 << 64:
        drawn = multiply_high(drawn, high - low)
    drawn = drawn + (low & _MASK64)
    if xp.isdtype(dtype, "signed integer"):  # the sum wraps modulo 2**64 and the value fits, so int64 holds it
        drawn = xp.astype(drawn, xp.int64)
    return xp.astype(drawn, dtype, copy=False)
