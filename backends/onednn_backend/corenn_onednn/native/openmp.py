"""The OpenMP runtime in this process: the one that oneDNN was linked with, so that both share one pool of threads.

``GOMP_parallel`` is what GCC compiles a parallel region to; libgomp has it, and LLVM's libomp as well.
"""

from __future__ import annotations

import ctypes
import functools
import os
from dataclasses import dataclass

#: Asked in this order where no library is given, or the library given does not depend on one of them.
_NAMES = ("libgomp.so.1", "libomp.so.5", "libomp.so", "libomp.dylib", "libgomp.dylib")
_SYMBOLS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "omp_set_num_threads")


@dataclass(frozen=True, slots=True)
class OpenMP:
    """Addresses in the runtime; ``library`` is kept so that it stays loaded."""

    parallel: int
    thread_num: int
    num_threads: int
    set_threads: int
    library: ctypes.CDLL


@functools.cache
def openmp(linked_with: str | None = None) -> OpenMP | None:
    """The runtime that the library at that path depends on, else one the system has; ``None`` if there is none.

    Looking a name up in a library also finds it in what that library was linked with.
    """
    for name in ([linked_with] if linked_with else []) + list(_NAMES):
        try:
            library = ctypes.CDLL(os.fspath(name))
            addresses = [ctypes.cast(getattr(library, s), ctypes.c_void_p).value for s in _SYMBOLS]
        except (OSError, AttributeError):
            continue
        parallel, thread_num, num_threads, set_threads = addresses
        assert parallel and thread_num and num_threads and set_threads  # functions that were found have addresses
        return OpenMP(parallel, thread_num, num_threads, set_threads, library)
    return None
