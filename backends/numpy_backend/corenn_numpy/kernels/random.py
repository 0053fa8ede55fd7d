"""Random bits from NumPy's own Philox: the host definition of corenn's draws, and what is faster from raw bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from corenn import philox
from corenn.backend import Kernel
from corenn.spec import Spec

Array = np.ndarray[Any, Any]

_CHUNK = 1 << 16  # elements at a time, so that the bits of a chunk are still in the cache when they are used


def words(key: Array, *, count: int) -> Array:
    """Raw words of a stream."""
    seed, stream, offset = key.tolist()
    return philox.words(seed, stream, offset, count)


def _shaped(draw: Callable[..., Array]) -> Callable[..., Array]:
    def kernel(key: Array, *, shape: tuple[int, ...], dtype: Any) -> Array:
        seed, stream, offset = key.tolist()
        return draw(seed, stream, offset, math.prod(shape), dtype).reshape(shape)

    return kernel


def integers(key: Array, *, shape: tuple[int, ...], low: int, high: int, dtype: Any) -> Array:
    """Integers in [low, high)."""
    seed, stream, offset = key.tolist()
    return philox.integers(seed, stream, offset, math.prod(shape), low, high, dtype).reshape(shape)


def permutation(key: Array, *, n: int) -> Array:
    """The stable argsort of n words: by their upper 16 bits (a radix sort), then of what is then almost sorted.

    Both sorts are stable, so equal words keep their order; together they take a half to a quarter of one sort's time.
    """
    drawn = words(key, count=n)
    rough = np.argsort((drawn >> np.uint64(48)).astype(np.uint16), kind="stable")
    order: Array = rough[np.argsort(drawn[rough], kind="stable")]
    return order


def _least_bits(threshold: float) -> int:
    """The least 32-bit word whose uniform float32 number reaches ``threshold`` (rounded to float32); 2**32 if none."""
    # The number is (word >> 8) * 2**-24, so it reaches t where word >> 8 reaches t * 2**24, which is exact in float64.
    reached = math.ceil(float(np.float32(threshold)) * 2.0**24)
    return min(max(reached, 0), 1 << 24) << 8


def _pieces(key: Array, count: int) -> Any:
    seed, stream, offset = key.tolist()
    for first in range(0, count, _CHUNK):
        length = min(_CHUNK, count - first)
        yield slice(first, first + length), philox.bits32(seed, stream, offset + first, length)


def bernoulli(key: Array, p: Array, *, shape: tuple[int, ...]) -> Array:
    """Words below a threshold: the comparison of the uniform numbers, without making them."""
    out = np.empty(math.prod(shape), np.bool_)
    if math.isnan(float(p)):
        out[:] = False
        return out.reshape(shape)
    least = _least_bits(float(p))
    for piece, bits in _pieces(key, out.size):
        np.less(bits, least, out=out[piece])
    return out.reshape(shape)


def dropout(x: Array, key: Array, *, rate: float, noise_shape: tuple[int, ...] | None) -> Array:
    """Scaled elements where a word reaches a threshold, else 0."""
    least = _least_bits(rate)
    scale = np.asarray(1.0 / (1.0 - rate), x.dtype)
    source = x.ravel()
    out = np.empty(source.size, x.dtype)
    for piece, bits in _pieces(key, out.size):
        part = out[piece]
        np.multiply(source[piece], scale, out=part)
        np.copyto(part, 0, where=np.less(bits, least))
    return out.reshape(x.shape)


def _one_p(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    return specs[1] is not None and specs[1].shape == ()


def _own_noise(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    return attrs["noise_shape"] is None


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    "random_words": Kernel(words),
    "random_uniform": Kernel(_shaped(philox.uniform)),
    "random_normal": Kernel(_shaped(philox.normal)),
    "random_integers": Kernel(integers),
    "random_permutation": Kernel(permutation),
    "random_bernoulli": Kernel(bernoulli, when=_one_p),
    "dropout": Kernel(dropout, when=_own_noise),
}
