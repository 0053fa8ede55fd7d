"""The oneDNN backend under the conformance kit, op by op with oneDNN serving the smallest operands too."""

from __future__ import annotations

from typing import ClassVar

import pytest
from corenn_onednn.kernels._serving import Thresholds

from corenn.ops.table import TABLE
from corenn.testing import BackendConformance


class TestOneDnn(BackendConformance):
    backend = "onednn"
    levels: ClassVar = (0, 4, 5, 6, 7)


class TestOneDnnFromTheSmallestOn(BackendConformance):
    """Samples of the op table are small: as thresholds stand, NumPy would do most of them."""

    backend = "onednn"
    levels: ClassVar = (1, 2, 3)

    @pytest.fixture(autouse=True)
    def _no_thresholds(self, monkeypatch):
        for name in ("products", "threaded", "threaded_elements"):
            monkeypatch.setattr(Thresholds, name, 0)
        _forget_plans()
        yield
        _forget_plans()


def _forget_plans() -> None:
    for op in TABLE.values():
        op.plans.clear()
