"""The third-party example: what its tutorial shows is what its files hold, and what corenn accepts."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

from corenn.backend import Backend
from corenn.plugin import CONTRACT_VERSION, registry
from corenn.testing import load_expected_failures, run_conformance
from corenn.testing.cases import LEVELS

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "third_party_backend"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def installed(monkeypatch):
    """The package importable and its plugin registered, as an installation would leave them."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    ((name, module),) = PROJECT["project"]["entry-points"]["corenn"].items()
    registry.register(importlib.import_module(module), name)
    yield name
    registry.unregister(name)
    for loaded in [m for m in sys.modules if m.partition(".")[0] == "corenn_tutorial"]:
        del sys.modules[loaded]


def test_the_record_is_complete_and_listing_imports_nothing_else(installed):
    record = registry.get("backend", installed)
    assert record.contract == CONTRACT_VERSION
    assert record.unavailable_reason() is None
    assert "corenn_tutorial.backend" not in sys.modules
    assert record.priority < registry.get("backend", "numpy").priority


@pytest.mark.slow
def test_the_backend_passes_the_kit(installed):
    backend = registry.get("backend", installed).load()()
    report = run_conformance(backend, expected_failures=EXAMPLE / "tests" / "xfails.toml")
    assert report.ok, str(report)
    assert {int(o.id[1]) for o in report.passed} == set(LEVELS)


def test_the_first_block_of_the_tutorial_is_a_whole_backend():
    """A class of a name, a namespace and two transfers, as printed, has arrays, ops, gradients and random numbers."""
    space: dict[str, object] = {}
    exec(BLOCKS[0], space)
    backend = space["TutorialBackend"]()
    assert isinstance(backend, Backend)
    for pattern in ("L0/[!n]*/*", "L1/*softmax/*/float32", "L2/conv/*/float32", "L4/uniform/float32", "L5/*"):
        report = run_conformance(backend, pattern=pattern)
        assert report.passed
        assert report.ok, str(report)


def test_the_other_blocks_are_in_the_files():
    """Code is compared without docstrings, comments and annotations, which the tutorial leaves out."""
    files = "\n".join(path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*.py"))
    lines = {line.strip() for line in files.splitlines()}
    for block in BLOCKS[1:3]:
        assert {line.strip() for line in block.splitlines() if line.strip()} <= lines


def test_every_file_the_tutorial_links_to_exists():
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert len(links) >= 4
    assert [link for link in links if not (EXAMPLE / link).exists()] == []


def test_its_expected_failures_are_none():
    assert load_expected_failures(EXAMPLE / "tests" / "xfails.toml").entries == ()
