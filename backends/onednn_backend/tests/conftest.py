"""What the tests of the oneDNN backend share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from corenn_onednn.dnnl.library import unavailable

REASON = unavailable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use the fixture ``library`` are skipped, with the reason, where there is no oneDNN."""
    if REASON is None:
        return
    for item in items:
        if "library" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture(scope="session")
def library():
    """The opened library."""
    from corenn_onednn.dnnl.library import load

    return load()


@pytest.fixture
def draw() -> Callable[..., np.ndarray]:
    """``draw(*shape)``: float64 numbers that float32 holds exactly, so that references see the same operands."""
    rng = np.random.default_rng(7)
    return lambda *shape: rng.normal(size=shape).astype(np.float32).astype(np.float64)
