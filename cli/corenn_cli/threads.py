"""How many threads computations on the CPU use: libraries read it when they are loaded, so before NumPy is."""

from __future__ import annotations

import os

#: What the backends of corenn, OpenBLAS, OpenMP, MKL and Accelerate read.
VARIABLES = (
    "CORENN_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip


def settings(threads: int) -> dict[str, str]:
    """The environment variables that ask for ``threads``."""
    return dict.fromkeys(VARIABLES, str(threads))


def available() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
