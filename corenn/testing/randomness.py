"""Level 4: random bits.  Every draw must be what ``corenn.philox`` defines on the host, in any tiling."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from corenn import dtypes, philox
from corenn.backend.contract import Backend
from corenn.device import Device, device_of
from corenn.dtypes import DType
from corenn.ops.creation import tensor
from corenn.ops.table import TABLE
from corenn.testing.cases import Case, Check
from corenn.testing.compare import bits_difference, difference
from corenn.testing.tolerances import EXACT, NORMAL, Tolerance
from corenn.testing.trial import Host, NotHere, require_dtypes

#: (seed, stream, offset, count): ordinary, across blocks of four words, far out, at both ends of every number.
_PLACES = (
    (7, 3, 0, 1),
    (7, 3, 0, 1000),
    *((11, 5, offset, 9) for offset in range(9)),
    (2**64 - 1, 2**64 - 1, 5, 17),
    (2**63, 1, 2**32 - 3, 13),
    (1, 2**63, 2**40 + 1, 30),
    (0, 0, 4097, 63),
)
_FLOATS = (dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64)
_INTEGERS = sorted(dtypes.INTEGER, key=lambda d: d.name)
_SPLITS = (1, 2, 3, 7, 32)

Draw = Callable[[int, int], Host]


def cases(backend: Backend) -> Iterator[Case]:
    """L4: words, uniforms, integers, bernoulli draws and permutations bit for bit; normals within rounding; splits."""
    home = device_of(backend, 0)
    for number in range(len(_PLACES)):
        yield _case(f"words/{number}", _words, home, number)
    for dtype in _FLOATS:
        yield _case(f"uniform/{dtype}", _floats, home, dtype, "random_uniform")
        yield _case(f"normal/{dtype}", _floats, home, dtype, "random_normal")
    for dtype in _INTEGERS:
        yield _case(f"integers/{dtype}", _integers, home, dtype)
    yield _case("bernoulli", _bernoulli, home)
    yield _case("permutation", _permutation, home)
    for dtype in _FLOATS:
        for name in ("random_uniform", "random_normal"):
            yield _case(f"split/{name[7:]}/{dtype}", _split_floats, home, dtype, name)
    yield _case("split/words", _split_words, home)
    yield _case("split/integers", _split_integers, home)


def _case(name: str, check: Callable[..., str | None], *given: Any) -> Case:
    run: Check = functools.partial(check, *given)
    return Case(f"L4/{name}", run)


def _draw(home: Device, name: str, seed: int, stream: int, offset: int, *operands: Any, **attrs: Any) -> Host:
    """One draw by the op ``name``, on the host; NotHere where the backend lacks what it takes."""
    require_dtypes([dtypes.uint64], home)
    if name not in TABLE:
        raise NotHere(f"the table has no {name}")
    key = np.array([seed, stream, offset], np.uint64)
    with home:
        found: Host = TABLE[name].public(tensor(key), *map(tensor, operands), **attrs).numpy()
    return found


def _at(place: tuple[int, int, int, int]) -> str:
    return "seed {}, stream {}, offset {}, {} elements".format(*place)


def _words(home: Device, number: int) -> str | None:
    seed, stream, offset, count = place = _PLACES[number]
    drawn = _draw(home, "random_words", seed, stream, offset, count=count)
    problem = bits_difference(drawn, philox.words(seed, stream, offset, count))
    return f"{_at(place)}: {problem}" if problem else None


def _floats(home: Device, dtype: DType, name: str) -> str | None:
    require_dtypes([dtype], home)
    uniform = name == "random_uniform"
    define: Callable[..., Host] = philox.uniform if uniform else philox.normal
    for place in _PLACES:
        seed, stream, offset, count = place
        drawn = _draw(home, name, seed, stream, offset, shape=(count,), dtype=dtype)
        expected = define(seed, stream, offset, count, dtype.numpy)
        problem = bits_difference(drawn, expected) if uniform else difference(drawn, expected, NORMAL[dtype])
        if problem is not None:
            return f"{_at(place)}: {problem}"
    return None


def _integers(home: Device, dtype: DType) -> str | None:
    require_dtypes([dtype], home)
    limits = np.iinfo(dtype.numpy)
    lowest, highest = int(limits.min), int(limits.max) + 1
    for low, high in ((0, 10), (lowest, highest), (highest - 3, highest), (lowest, lowest + 1), (0, highest)):
        for place in _PLACES[1:4]:
            seed, stream, offset, count = place
            attrs = {"shape": (count,), "low": low, "high": high, "dtype": dtype}
            drawn = _draw(home, "random_integers", seed, stream, offset, **attrs)
            problem = bits_difference(drawn, philox.integers(seed, stream, offset, count, low, high, dtype.numpy))
            if problem is not None:
                return f"[{low}, {high}), {_at(place)}: {problem}"
    return None


def _bernoulli(home: Device) -> str | None:
    for place in _PLACES:
        seed, stream, offset, count = place
        for p in (0.0, 0.1, 0.5, 1.0):
            drawn = _draw(home, "random_bernoulli", seed, stream, offset, np.float32(p), shape=(count,))
            problem = bits_difference(drawn, philox.uniform(seed, stream, offset, count) < np.float32(p))
            if problem is not None:
                return f"p = {p}, {_at(place)}: {problem}"
    return None


def _permutation(home: Device) -> str | None:
    for seed, stream, n in ((7, 3, 1), (7, 3, 2), (1, 2**63, 100), (2**64 - 1, 0, 1000)):
        drawn = _draw(home, "random_permutation", seed, stream, 0, n=n)
        problem = bits_difference(drawn, philox.permutation(seed, stream, n))
        if problem is not None:
            return f"seed {seed}, stream {stream}, n = {n}: {problem}"
    return None


def _split(draw: Draw, allowed: Tolerance) -> str | None:
    """A draw of n elements must be that of its first elements followed by that of the rest."""
    for start in (0, 1, 6):
        whole = draw(start, 45)
        for first in _SPLITS:
            parts = np.concatenate([draw(start, first), draw(start + first, 45 - first)])
            same = allowed is EXACT
            problem = bits_difference(parts, whole) if same else difference(parts, whole, allowed)
            if problem is not None:
                return f"45 elements from {start} on, drawn as {first} and {45 - first}: {problem}"
    return None


def _split_words(home: Device) -> str | None:
    return _split(lambda offset, count: _draw(home, "random_words", 7, 3, offset, count=count), EXACT)


def _split_integers(home: Device) -> str | None:
    attrs = {"low": -5, "high": 1000, "dtype": dtypes.int32}
    return _split(lambda offset, n: _draw(home, "random_integers", 7, 3, offset, shape=(n,), **attrs), EXACT)


def _split_floats(home: Device, dtype: DType, name: str) -> str | None:
    require_dtypes([dtype], home)
    allowed = EXACT if name == "random_uniform" else NORMAL[dtype]
    return _split(lambda offset, n: _draw(home, name, 7, 3, offset, shape=(n,), dtype=dtype), allowed)
