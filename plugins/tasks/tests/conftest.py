"""What the tests of the tasks have in common."""

from __future__ import annotations

import pytest

from corenn.training.run import Run


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty directory, no network and no cache, so that the embedded digits take the place of other images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    monkeypatch.setenv("CORENN_HOME", str(tmp_path / "home"))
    for name in ("CORENN_DATA_DIR", "CORENN_BACKEND"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def undrawn(monkeypatch):
    """Runs without pictures, which take most of the time of a short run."""
    monkeypatch.setattr(Run, "figures", lambda self: self.raise_if_stopped())
