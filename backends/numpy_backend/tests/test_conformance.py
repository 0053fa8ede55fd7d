"""The NumPy backend under the conformance kit, but for levels 1 and 2, which ``tests/ops/test_table.py`` runs."""

from __future__ import annotations

from corenn.testing import BackendConformance


class TestNumpy(BackendConformance):
    backend = "numpy"
    levels = (0, 3, 4, 5, 7)
