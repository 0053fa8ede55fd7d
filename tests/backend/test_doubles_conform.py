"""The test doubles pass the whole kit: no op needs more than the array API, and none makes a device mistake.

They have no kernels of their own, so this is also the first day of a new backend: shared kernels and decompositions.
"""

from __future__ import annotations

import pytest

from corenn.testing import LEVELS, register_doubles, run_conformance

register_doubles()


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("backend", ["strict", "simulated"])
def test_level(backend, level):
    report = run_conformance(backend, levels=[level])
    assert report.passed
    assert report.ok, str(report)
