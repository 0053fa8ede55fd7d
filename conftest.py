"""Settings of the whole test suite."""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Iterator

import pytest

# The suite runs in as many processes as there are processors: each keeps to one thread, or they fight for them.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

try:
    from hypothesis import HealthCheck, settings
except ModuleNotFoundError:
    pass  # tests that need it say so
else:
    # The same examples in every run, and no limits of time: what a test says does not depend on luck or on the machine.
    # ``pytest --hypothesis-profile=search`` looks for new ones.
    _SLOW = [HealthCheck.too_slow]
    settings.register_profile("suite", derandomize=True, deadline=None, database=None, suppress_health_check=_SLOW)
    settings.register_profile("search", deadline=None, suppress_health_check=_SLOW)
    settings.load_profile("suite")


_present = ""  # the test that is set up or runs


def _seed(name: str) -> None:
    """Let all that draws without a seed of its own draw the numbers of the test or fixture called ``name``.

    ``SUITE_SEED=2 pytest ...`` draws others: a claim must hold for them as well, or a machine that rounds differently
    will break it.
    """
    import numpy as np

    import corenn

    number = zlib.crc32((os.environ.get("SUITE_SEED", "") + name).encode())
    corenn.random.set_entropy(number)
    corenn.random.seed(corenn.random.fresh_seed("default generator"))
    random.seed(number)
    np.random.seed(number)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Nothing depends on luck, on the tests before or on the process that a test happens to run in."""
    global _present
    _present = item.nodeid
    _seed(_present)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> Iterator[None]:
    """What several tests share does not depend on which of them is the first."""
    if fixturedef.scope == "function":
        return (yield)
    _seed(f"{fixturedef.baseid}::{fixturedef.argname}[{getattr(request, 'param_index', 0)}]")
    try:
        return (yield)
    finally:
        _seed(_present)
