"""Memory of freed arrays stays at hand: a step does not fault its pages in anew."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
import corenn

x = corenn.tensor(np.ones((8192, 64), np.float32), device="numpy")
for step in range(40):
    if step == 20:
        start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept = [x + float(i) for i in range(8)]  # alive together, as what waits for a backward pass
    del kept
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)
"""

GNU = platform.libc_ver()[0] == "glibc" and not any(name.startswith(("MALLOC_", "GLIBC_TUN")) for name in os.environ)


@pytest.mark.skipif(not GNU, reason="needs the allocator of the GNU C library, as it is by default")
def test_steps_reuse_the_pages_of_the_arrays_before_them():
    """A fresh array of 2 MB has 512 pages, and a step makes eight of them."""
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 20 * 8 * 512 // 10
