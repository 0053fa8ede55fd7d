"""The threads of NumPy's OpenBLAS, held back for a while.

A thread of OpenMP that has done its part of a primitive spins for milliseconds before it sleeps.  Where OpenBLAS then
wants a thread for each core, one of them waits that long: on two cores a pair of 200x200 products, one of each
library, takes 7 ms in place of 0.3 ms, and 0.4 ms with OpenBLAS in one thread.  So what calls both libraries by
turns, many times, does so within ``serial()``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np

Setter = Callable[[int], None]
Getter = Callable[[], int]

#: Prefix and suffix of OpenBLAS's functions in NumPy's wheels, with 64-bit and 32-bit integers, and in other builds.
_SPELLINGS = (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", ""))


def _libraries() -> list[Path]:
    """The shared libraries that NumPy's wheels bring: beside the package on Linux and Windows, inside on macOS."""
    package = Path(np.__file__).parent
    places = (package.parent / "numpy.libs", package / ".dylibs")
    return sorted(path for place in places if place.is_dir() for path in place.glob("*openblas*"))


@lru_cache(maxsize=1)
def controls() -> tuple[Setter, Getter] | None:
    """How to set and to ask the number of threads; ``None`` where NumPy has no OpenBLAS of its own."""
    for path in _libraries():
        library = ctypes.PyDLL(str(path))  # NumPy has loaded it
        for prefix, suffix in _SPELLINGS:
            setter = getattr(library, f"{prefix}openblas_set_num_threads{suffix}", None)
            getter = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
            if setter is not None and getter is not None:
                setter.argtypes, setter.restype = [ctypes.c_int], None
                getter.argtypes, getter.restype = [], ctypes.c_int
                return setter, getter
    return None


@contextmanager
def serial() -> Iterator[None]:
    """Within, OpenBLAS computes in the calling thread alone, for the whole process; does nothing without OpenBLAS."""
    found = controls()
    if found is None:
        yield
        return
    setter, getter = found
    before = getter()
    setter(1)
    try:
        yield
    finally:
        setter(before)
