"""Every program that is compiled while these tests run is verified after each pass."""

from __future__ import annotations

import pytest

from corenn.compiler.verify import SWITCH


@pytest.fixture(autouse=True)
def _verifying(monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
