"""How fast a machine is, and the shortest time it could take for a program.

The *floor* of a program is ``max(flops / (flops a second), least bytes / (bytes a second))``: every operation done at
the speed of a large matrix product, every input, variable, constant and result moved once, intermediates never leaving
the caches.  The *bound* adds that up instruction by instruction, each reading its operands from memory and writing its
results there (the roofline of Williams, Waterman and Patterson 2009): intermediates that stay in a cache can beat it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from corenn.compiler.cost import Cost
from corenn.device import Device
from corenn.ops.contraction import matmul
from corenn.ops.creation import tensor
from corenn.ops.elementwise import add

#: Rows of the square matrices, and elements of the vectors, that are timed.
_ROWS, _LONG = 1024, 1 << 24
_PRODUCT = 2 * _ROWS**3


@dataclass(frozen=True)
class Machine:
    """``flops`` a second in float32, and ``bytes`` a second to and from memory."""

    flops: float
    bytes: float

    def floor(self, cost: Cost) -> float:
        """Seconds below which no grouping of the instructions can get (see the module)."""
        return max(cost.flops / self.flops, cost.least_bytes / self.bytes)

    def bound(self, cost: Cost) -> float:
        """Seconds that the instructions, as they are, take at least when all they use comes from memory."""
        return sum(max(i.flops / self.flops, i.bytes / self.bytes) for i in cost.items)


def calibrate(device: Device, seconds: float = 0.5) -> Machine:
    """Measure a device, in about ``seconds`` for each figure: matrix products through its backend, sums of vectors.

    The shortest of several runs counts: what else the machine does only adds.
    """
    return Machine(
        _PRODUCT / min(_times(_multiplying(device), device, seconds)),
        3 * 4 * _LONG / min(_times(_adding(device), device, seconds)),
    )


def typical_flops(device: Device, seconds: float = 1.0) -> float:
    """Flops a second of large matrix products now, the median of runs in about ``seconds``.

    On a machine that is not alone, medians of steps compare with this rather than with ``calibrate``.
    """
    return _PRODUCT / statistics.median(_times(_multiplying(device), device, seconds))


def _multiplying(device: Device) -> Callable[[], Any]:
    """A product of two large matrices."""
    a = tensor(np.random.default_rng(0).random((_ROWS, _ROWS), dtype=np.float32), device=device)
    return lambda: matmul(a, a)


def _adding(device: Device) -> Callable[[], Any]:
    """A sum of two long vectors into a third; in the host's memory by as many threads as there are processors."""
    x = tensor(np.zeros(_LONG, np.float32), device=device)
    if not isinstance(x.data, np.ndarray):
        return lambda: add(x, x)
    count = processors()
    a, b, out = (np.ones(_LONG, np.float32) for _ in range(3))
    parts = [slice(i * _LONG // count, (i + 1) * _LONG // count) for i in range(count)]
    pool = ThreadPoolExecutor(count)
    return lambda: list(pool.map(lambda part: np.add(a[part], b[part], out=out[part]), parts))


def processors() -> int:
    """The threads that computations use: ``CORENN_THREADS``, else the processors this process may use."""
    given = os.environ.get("CORENN_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _times(step: Callable[[], Any], device: Device, seconds: float) -> list[float]:
    """Seconds of each of several runs, after one that does not count."""
    step()
    device.synchronize()
    found: list[float] = []
    end = time.perf_counter() + seconds
    while not found or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        device.synchronize()
        found.append(time.perf_counter() - start)
    return found


__all__ = ["Machine", "calibrate", "processors", "typical_flops"]
