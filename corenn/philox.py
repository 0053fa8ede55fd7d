"""corenn's random bits on the host: Philox 4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3").

This file is the one definition of what a draw is; every backend reproduces it.  A draw is named by a *seed* (of the
run), a *stream* (one per draw, handed out by :class:`KeySequence`) and the index of an element, and **element i of a
draw depends on (seed, stream, i) alone**: a slice of a draw is the draw of the slice, on any backend, in any tiling.

Words.  Word ``w`` of a stream is lane ``w % 4`` of block ``w // 4``; block ``b`` is Philox 4x64-10 applied to the
counter ``(b, 0, 0, 0)`` under the key ``(seed mod 2**64, stream mod 2**64)``.

Conversions, the same on every backend (``word(i)`` is 64 bits wide, ``bits32(i)`` 32)::

    bits32(i)           low half of word(i // 2) when i is even, high half when i is odd
    uniform float32     (bits32(i) >> 8) * 2**-24                 all uniforms lie in [0, 1) and are exact, so
    uniform float64     (word(i) >> 11) * 2**-53                  every backend gives the same bits
    uniform float16     (bits32(i) >> 21) * 2**-11
    uniform bfloat16    (bits32(i) >> 24) * 2**-8
    integers            low + ((word(i) * (high - low)) >> 64)    a 128-bit product; wraps modulo 2**64
    permutation         stable argsort of word(0), ..., word(n - 1)
    normal float32      Box-Muller on a = bits32(2k), b = bits32(2k + 1), in float32:
                        u1 = ((a >> 8) + 1) * 2**-24, u2 = (b >> 8) * 2**-24, r = sqrt(-2 ln u1);
                        element 2k is r cos(2 pi u2), element 2k + 1 is r sin(2 pi u2)
    normal float64      the same on word(2k), word(2k + 1) with shifts by 11 and 2**-53, in float64
    normal float16, bfloat16   the float32 numbers, rounded

Normals agree between backends to the rounding of their logarithm, sine and cosine; all else agrees bit for bit.
"""

from __future__ import annotations

import functools
import hashlib
import operator
import threading
from collections.abc import Iterator, Mapping
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from corenn.errors import AttributeValueError, DTypeError

Words: TypeAlias = npt.NDArray[np.uint64]
Bits32: TypeAlias = npt.NDArray[np.uint32]

_MASK64 = (1 << 64) - 1
_CHUNK = 1 << 15  # words converted at a time: 256 KiB, so the temporaries of a conversion stay in the cache
_FRACTION = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}  # random bits in a uniform number

# Generators at rest.  One is taken out while in use, so neither threads nor a signal handler can disturb a draw;
# moving the counter of an old one costs a tenth of making a new one.
_idle: list[np.random.Philox] = []


def words(seed: int, stream: int, offset: int, count: int) -> Words:
    """Words ``offset`` to ``offset + count - 1`` of a stream, uint64[count].

    Raises ``AttributeValueError`` for a negative offset or count and past the end of the stream at 2**64 words.
    """
    if offset < 0 or count < 0 or offset + count > 1 << 64:
        raise AttributeValueError(
            "philox.words",
            "offset and count must not be negative, and a stream has 2**64 words",
            {"offset": offset, "count": count},
        )
    block, lead = divmod(offset, 4)
    before = (block - 1) & _MASK64  # NumPy steps the 256-bit counter before it computes a block, also from -1 to 0
    high = _MASK64 if block == 0 else 0
    state: Any = {
        "bit_generator": "Philox",
        "state": {"counter": (before, high, high, high), "key": (seed & _MASK64, stream & _MASK64)},
        "buffer": (0, 0, 0, 0),
        "buffer_pos": 4,  # the buffer is spent
        "has_uint32": 0,
        "uinteger": 0,
    }
    generator = _idle.pop() if _idle else np.random.Philox(key=0)
    generator.state = state
    if lead:
        generator.random_raw(lead, output=False)
    drawn: Words = generator.random_raw(count)
    _idle.append(generator)
    return drawn


def _halves(drawn: Words) -> Bits32:
    """The 32-bit halves of words, low half first; a view on little-endian machines."""
    return drawn.astype("<u8", copy=False).view("<u4")


def bits32(seed: int, stream: int, offset: int, count: int) -> Bits32:
    """32-bit words ``offset`` to ``offset + count - 1`` of a stream, uint32[count]; two to each 64-bit word."""
    first, lead = divmod(offset, 2)
    return _halves(words(seed, stream, first, (lead + count + 1) // 2))[lead : lead + count]


def _spans(offset: int, count: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Cut ``count`` elements from ``offset`` on into ``(first, length)`` pieces that end on multiples of ``chunk``."""
    end = offset + count
    while offset < end:
        length = min(end, (offset // chunk + 1) * chunk) - offset
        yield offset, length
        offset += length


def uniform(
    seed: int, stream: int, offset: int, count: int, dtype: npt.DTypeLike = np.float32
) -> npt.NDArray[np.floating[Any]]:
    """Uniform numbers in [0, 1), elements ``offset`` to ``offset + count - 1`` of the draw.

    ``dtype`` is float16, bfloat16, float32 or float64; each is a multiple of 2**-11, 2**-8, 2**-24 or 2**-53.
    Raises ``DTypeError`` for any other.
    """
    kind, fraction = _floating(np.dtype(dtype))
    out = np.empty(count, kind)
    if fraction == 53:
        for first, length in _spans(offset, count, _CHUNK):
            raw = words(seed, stream, first, length)
            raw >>= np.uint64(11)
            np.multiply(raw.view(np.int64), 2.0**-53, out=out[first - offset : first - offset + length])
        return out
    for first, length in _spans(offset, count, 2 * _CHUNK):
        bits = bits32(seed, stream, first, length)
        bits >>= np.uint32(32 - fraction)
        # Below 2**24, so the signed view holds the same numbers, and its conversion is the fast one.
        numbers = bits.view("<i4").astype(np.float32)
        numbers *= np.float32(2.0**-fraction)
        out[first - offset : first - offset + length] = numbers
    return out


def integers(
    seed: int, stream: int, offset: int, count: int, low: int, high: int, dtype: npt.DTypeLike = np.int64
) -> npt.NDArray[np.integer[Any]]:
    """Integers in [low, high), elements ``offset`` to ``offset + count - 1`` of the draw, as ``dtype`` (default int64).

    One 64-bit word makes one integer by multiplication (Lemire 2019, without rejection): the bias of any value is
    below ``(high - low) * 2**-64``.  Raises ``AttributeValueError`` when the interval is empty or does not fit the
    dtype, ``DTypeError`` when the dtype is not an integer type.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "iu":
        raise DTypeError("philox.integers", "integers need an integer dtype", {"dtype": kind}, hint="for example int64")
    limits = np.iinfo(kind)
    if not limits.min <= low < high <= int(limits.max) + 1:
        raise AttributeValueError(
            "philox.integers",
            f"low must be below high, and both must fit {kind}",
            {"low": low, "high": high},
            hint=f"{kind} holds {limits.min} to {limits.max}, and high itself is never drawn",
        )
    out = np.empty(count, kind)
    for first, length in _spans(offset, count, _CHUNK):
        raw = _multiply_high(words(seed, stream, first, length), high - low)
        raw += np.uint64(low & _MASK64)
        out[first - offset : first - offset + length] = raw.astype(kind)  # wraps; the value itself fits
    return out


def _multiply_high(drawn: Words, factor: int) -> Words:
    """``(drawn * factor) >> 64`` in exact arithmetic, for a factor in [1, 2**64], by 32-bit halves."""
    if factor == 1 << 64:
        return drawn
    half, low_mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    a, b = drawn >> half, drawn & low_mask
    c, d = np.uint64(factor >> 32), np.uint64(factor & 0xFFFFFFFF)
    middle: Words = a * d + (b * d >> half)  # at most (2**32 - 1) * 2**32, no overflow
    if not c:
        middle >>= half
        return middle
    carry = b * c + (middle & low_mask)
    high: Words = a * c + (middle >> half) + (carry >> half)
    return high


def permutation(seed: int, stream: int, n: int) -> npt.NDArray[np.int64]:
    """A permutation of 0, ..., n - 1: the stable argsort of the stream's first ``n`` words, int64[n]."""
    return np.argsort(words(seed, stream, 0, n), kind="stable").astype(np.int64, copy=False)


def normal(
    seed: int, stream: int, offset: int, count: int, dtype: npt.DTypeLike = np.float32
) -> npt.NDArray[np.floating[Any]]:
    """Standard normal numbers, elements ``offset`` to ``offset + count - 1`` of the draw, by Box and Muller (1958).

    ``dtype`` is float16, bfloat16 (both rounded from float32), float32 or float64; ``DTypeError`` for any other.
    The largest magnitude possible is 5.77 in float32 and 8.57 in float64.
    """
    kind, fraction = _floating(np.dtype(dtype))
    out = np.empty(count, kind)
    for first, length in _spans(offset, count, 2 * _CHUNK):
        start = first & ~1  # whole pairs
        pairs = (first + length + 1) // 2 - start // 2
        if fraction == 53:
            raw = words(seed, stream, start, 2 * pairs)
            raw >>= np.uint64(11)
            numbers = _box_muller(raw.view(np.int64), np.dtype(np.float64), 2.0**-53)
        else:
            bits = bits32(seed, stream, start, 2 * pairs)
            bits >>= np.uint32(8)
            numbers = _box_muller(bits.view("<i4"), np.dtype(np.float32), 2.0**-24)
        out[first - offset : first - offset + length] = numbers[first - start : first - start + length]
    return out


def _box_muller(
    fractions: npt.NDArray[np.signedinteger[Any]], kind: np.dtype[Any], scale: float
) -> npt.NDArray[np.floating[Any]]:
    """Pairs of integers below ``1 / scale`` to pairs of normal numbers, computed in ``kind``."""
    radius = fractions[0::2].astype(kind)
    radius += kind.type(1)
    radius *= kind.type(scale)
    np.log(radius, out=radius)
    radius *= kind.type(-2)
    np.sqrt(radius, out=radius)
    angle = fractions[1::2].astype(kind)
    angle *= kind.type(scale)
    angle *= kind.type(2 * np.pi)
    out = np.empty(fractions.size, kind)
    np.multiply(np.cos(angle), radius, out=out[0::2])
    np.multiply(np.sin(angle, out=angle), radius, out=out[1::2])
    return out


@functools.lru_cache(maxsize=64)
def _floating(kind: np.dtype[Any]) -> tuple[np.dtype[Any], int]:
    """The dtype and the random bits of its uniform numbers (cached: the name of a dtype is slow to get)."""
    if kind.name not in _FRACTION:
        raise DTypeError(
            "philox", "no such random numbers", {"dtype": kind}, hint="float16, bfloat16, float32 or float64"
        )
    return kind, _FRACTION[kind.name]


class KeySequence:
    """Hands out stream numbers 0, 1, 2, ... under one seed, each once; its state is JSON-able, so a run can resume.

    ``seed`` is reduced modulo 2**64.  Safe to use from several threads.
    """

    def __init__(self, seed: int) -> None:
        self._lock = threading.Lock()
        self._seed = operator.index(seed) & _MASK64
        self._next = 0

    @property
    def seed(self) -> int:
        """The seed, in [0, 2**64)."""
        return self._seed

    def next_stream(self) -> int:
        """A stream number not handed out before."""
        with self._lock:
            stream = self._next
            self._next += 1
        return stream

    def state(self) -> dict[str, int]:
        """What :meth:`set_state` needs to continue from here."""
        with self._lock:
            return {"seed": self._seed, "next": self._next}

    def set_state(self, state: Mapping[str, int]) -> None:
        """Continue where the sequence that gave ``state`` stood; ``AttributeValueError`` if it is not a state."""
        try:
            seed, following = operator.index(state["seed"]), operator.index(state["next"])
        except (KeyError, TypeError) as error:
            raise AttributeValueError(
                "KeySequence.set_state", "not a state of a KeySequence", {"state": state}, hint="pass what state() gave"
            ) from error
        with self._lock:
            self._seed, self._next = seed & _MASK64, following

    def __repr__(self) -> str:
        return f"KeySequence(seed={self._seed}, next={self._next})"


def derive(seed: int, *path: str | SupportsIndex) -> int:
    """A seed in [0, 2**64) for one purpose, from a seed and the names and integers that lead to it.

    ``derive(7, "shuffle", 3)`` is the same in every process and version; different paths give unrelated seeds
    (BLAKE2b over the parts, each with its kind and length).  Raises ``AttributeValueError`` for other kinds of parts.
    """
    digest = hashlib.blake2b(digest_size=8, person=b"corenn")
    for part in (operator.index(seed) & _MASK64, *path):
        try:
            kind, text = (b"s", part) if isinstance(part, str) else (b"i", str(operator.index(part)))
        except TypeError as error:
            raise AttributeValueError(
                "philox.derive", "the parts of a path are strings and integers", {"part": repr(part)}
            ) from error
        data = text.encode()
        digest.update(kind + len(data).to_bytes(8, "little") + data)
    return int.from_bytes(digest.digest(), "little")
