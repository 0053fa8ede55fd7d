"""Hashes of text that are those of TensorFlow: FarmHash's 64-bit fingerprint, SipHash-2-4, and the older ``Hash64``.

Sources: G. Pike, FarmHash (farmhash.cc, namespace farmhashna); J.-P. Aumasson & D. J. Bernstein, "SipHash: a fast
short-input PRF" (2012); A. Appleby, MurmurHash64A, of which TensorFlow's own ``Hash64`` is a form.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from corenn_tensorflow.functions.text import _each, on_host
from corenn_tensorflow.writing import writable

_ALL = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def _word(data: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _right(x: int, count: int) -> int:
    return (x >> count | x << (64 - count)) & _ALL


def _left(x: int, count: int) -> int:
    return _right(x, 64 - count)


def _mixed(x: int) -> int:
    return x ^ (x >> 47)


def _joined(u: int, v: int, factor: int) -> int:
    a = _mixed((u ^ v) * factor & _ALL)
    b = _mixed((v ^ a) * factor & _ALL)
    return b * factor & _ALL


def fingerprint64(data: bytes) -> int:
    """FarmHash's fingerprint: the same in every process and on every machine."""
    n = len(data)
    if n > 64:
        return _of_long(data)
    factor = _K2 + n * 2
    if n > 32:
        a, b = _word(data, 0) * _K2 & _ALL, _word(data, 8)
        c, d = _word(data, n - 8) * factor & _ALL, _word(data, n - 16) * _K2 & _ALL
        y = _right((a + b) & _ALL, 43) + _right(c, 30) + d & _ALL
        z = _joined(y, a + _right((b + _K2) & _ALL, 18) + c & _ALL, factor)
        e, f = _word(data, 16) * factor & _ALL, _word(data, 24)
        g = (y + _word(data, n - 32)) * factor & _ALL
        h = (z + _word(data, n - 24)) * factor & _ALL
        first = _right((e + f) & _ALL, 43) + _right(g, 30) + h & _ALL
        return _joined(first, e + _right((f + a) & _ALL, 18) + g & _ALL, factor)
    if n > 16:
        a, b = _word(data, 0) * _K1 & _ALL, _word(data, 8)
        c, d = _word(data, n - 8) * factor & _ALL, _word(data, n - 16) * _K2 & _ALL
        first = _right((a + b) & _ALL, 43) + _right(c, 30) + d & _ALL
        return _joined(first, a + _right((b + _K2) & _ALL, 18) + c & _ALL, factor)
    if n >= 8:
        a, b = _word(data, 0) + _K2 & _ALL, _word(data, n - 8)
        c = _right(b, 37) * factor + a & _ALL
        return _joined(c, (_right(a, 25) + b) * factor & _ALL, factor)
    if n >= 4:
        return _joined(n + (_word(data, 0, 4) << 3), _word(data, n - 4, 4), factor)
    if n:
        y, z = data[0] + (data[n >> 1] << 8), n + (data[-1] << 2)
        return _mixed((y * _K2 ^ z * _K0) & _ALL) * _K2 & _ALL
    return _K2


def _pair(data: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_word(data, at + 8 * i) for i in range(4))
    a = a + w & _ALL
    b = _right(b + a + z & _ALL, 21)
    c = a
    a = a + x + y & _ALL
    return a + z & _ALL, b + _right(a, 44) + c & _ALL


def _of_long(data: bytes) -> int:
    n, seed = len(data), 81
    x, y = seed, seed * _K1 + 113 & _ALL
    z = _mixed(y * _K2 + 113 & _ALL) * _K2 & _ALL
    v = w = (0, 0)
    x = x * _K2 + _word(data, 0) & _ALL

    def round_of(at: int, factor: int, scale: int) -> None:
        nonlocal x, y, z, v, w
        x = _right(x + y + v[0] + _word(data, at + 8) & _ALL, 37) * factor & _ALL
        y = _right(y + v[1] + _word(data, at + 48) & _ALL, 42) * factor & _ALL
        x ^= w[1] * scale & _ALL
        y = y + v[0] * scale + _word(data, at + 40) & _ALL
        z = _right(z + w[0] & _ALL, 33) * factor & _ALL
        v = _pair(data, at, v[1] * factor & _ALL, x + w[0] & _ALL)
        w = _pair(data, at + 32, z + w[1] & _ALL, y + _word(data, at + 16) & _ALL)
        z, x = x, z

    for at in range(0, (n - 1) // 64 * 64, 64):
        round_of(at, _K1, 1)
    factor = _K1 + ((z & 0xFF) << 1) & _ALL
    w = (w[0] + ((n - 1) & 63) & _ALL, w[1])
    v = (v[0] + w[0] & _ALL, v[1])
    w = (w[0] + v[0] & _ALL, w[1])
    round_of(n - 64, factor, 9)
    return _joined(
        _joined(v[0], w[0], factor) + _mixed(y) * _K0 + z & _ALL, _joined(v[1], w[1], factor) + x & _ALL, factor
    )


def siphash(data: bytes, key: Sequence[int]) -> int:
    """SipHash-2-4 with a key of two 64-bit numbers."""
    v = [key[0] ^ 0x736F6D6570736575, key[1] ^ 0x646F72616E646F6D, key[0] ^ 0x6C7967656E657261,
         key[1] ^ 0x7465646279746573]  # fmt: skip

    def rounds(count: int) -> None:
        for _ in range(count):
            v[0] = v[0] + v[1] & _ALL
            v[1] = _left(v[1], 13) ^ v[0]
            v[0] = _left(v[0], 32)
            v[2] = v[2] + v[3] & _ALL
            v[3] = _left(v[3], 16) ^ v[2]
            v[0] = v[0] + v[3] & _ALL
            v[3] = _left(v[3], 21) ^ v[0]
            v[2] = v[2] + v[1] & _ALL
            v[1] = _left(v[1], 17) ^ v[2]
            v[2] = _left(v[2], 32)

    whole = len(data) // 8 * 8
    words = [_word(data, at) for at in range(0, whole, 8)]
    for word in (*words, _word(data, whole) | (len(data) & 0xFF) << 56):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def hash64(data: bytes, seed: int = 0xDECAFCAFFE) -> int:
    """The hash of ``string_to_hash_bucket``."""
    factor = 0xC6A4A7935BD1E995
    n = len(data)
    h = seed ^ (n * factor & _ALL)
    whole = n // 8 * 8
    for at in range(0, whole, 8):
        k = _word(data, at) * factor & _ALL
        k = (k ^ k >> 47) * factor & _ALL
        h = (h ^ k) * factor & _ALL
    if n > whole:
        h = (h ^ _word(data, whole)) * factor & _ALL
    h = (h ^ h >> 47) * factor & _ALL
    return h ^ h >> 47


@writable("text.hash_fast")
def _fast(s: bytes, *, buckets: int) -> int:
    return fingerprint64(s) % buckets


@writable("text.hash_strong")
def _strong(s: bytes, *, buckets: int, key: tuple[int, int]) -> int:
    return siphash(s, key) % buckets


@writable("text.hash_old")
def _old(s: bytes, *, buckets: int) -> int:
    return hash64(s) % buckets


def _buckets(num_buckets: int) -> int:
    if int(num_buckets) < 1:
        raise ValueError(f"Value for attr 'num_buckets' of {num_buckets} must be at least minimum 1")
    return int(num_buckets)


def string_to_hash_bucket_fast(input: Any, num_buckets: int, name: str | None = None) -> Any:
    """The number of each string's bucket, by FarmHash's fingerprint: int64."""
    function = functools.partial(_fast, buckets=_buckets(num_buckets))
    return on_host("StringToHashBucketFast", name, _each(function, "int64"), [input], "int64")


def string_to_hash_bucket_strong(input: Any, num_buckets: int, key: Sequence[int], name: str | None = None) -> Any:
    """The number of each string's bucket, by SipHash with a key of two numbers: int64."""
    if len(key) != 2:
        raise ValueError(f"Key must have 2 elements, got {list(key)}")
    pair = (int(key[0]) & _ALL, int(key[1]) & _ALL)
    function = functools.partial(_strong, buckets=_buckets(num_buckets), key=pair)
    return on_host("StringToHashBucketStrong", name, _each(function, "int64"), [input], "int64")


def string_to_hash_bucket(
    string_tensor: Any = None, num_buckets: int = 0, name: str | None = None, input: Any = None
) -> Any:
    """The number of each string's bucket, by the hash of TensorFlow's first versions: int64."""
    given = string_tensor if string_tensor is not None else input
    function = functools.partial(_old, buckets=_buckets(num_buckets))
    return on_host("StringToHashBucket", name, _each(function, "int64"), [given], "int64")


__all__ = [
    "fingerprint64", "hash64", "siphash", "string_to_hash_bucket", "string_to_hash_bucket_fast",
    "string_to_hash_bucket_strong",
]  # fmt: skip
