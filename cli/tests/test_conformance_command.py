"""``corenn conformance``: what it prints and its exit status, for a backend that passes and one that does not."""

from __future__ import annotations

import json

import pytest

from corenn.backend import registry as backends


@pytest.fixture
def lying():
    """The NumPy backend with a wrong kernel, under a name of its own."""
    from corenn.backend.contract import Kernel
    from corenn.testing import StrictBackend

    class Lying(StrictBackend):
        name = "lying-test"

        def kernels(self):
            return {"tanh": Kernel(lambda x: x * 2)}

    pytest.importorskip("array_api_strict")
    backends.use_backend(Lying())
    yield "lying-test"
    backends._loaded.pop("lying-test")


def test_a_backend_that_passes_is_status_0(here):
    found = here("conformance", "--backend", "numpy", "--level", "L0", "--json")
    assert (found.status, found.err) == (0, "")
    (line,) = found.out.splitlines()
    report = json.loads(line)
    assert {"backend", "passed", "failed", "skipped", "failures"} <= set(report)
    assert (report["backend"], report["failed"], report["failures"]) == ("numpy", 0, [])
    assert report["passed"] > 0
    text = here("conformance", "--backend", "numpy", "--level", "0")
    assert text.status == 0
    assert text.out.startswith(f"numpy: {report['passed']} passed, 0 failed")


def test_a_backend_that_fails_is_status_1_and_says_what(here, lying):
    found = here("conformance", "--backend", lying, "--pattern", "L1/tanh/*", "--json")
    assert found.status == 1
    report = json.loads(found.out.splitlines()[-1])
    assert report["failed"] == len(report["failures"]) > 0
    assert all(failure["id"].startswith("L1/tanh/") and failure["message"] for failure in report["failures"])
    assert found.err.count("failed: L1/tanh/") == report["failed"]


def test_expected_failures_are_not_held_against_it(here, home, lying):
    failures = json.loads(here("conformance", "--backend", lying, "--pattern", "L1/tanh/*", "--json").out)["failures"]
    entries = "".join(f'[[xfail]]\nid = "{f["id"]}"\nreason = "a known mistake"\n' for f in failures)
    (home / "known.toml").write_text(entries)
    found = here(
        "conformance", "--backend", lying, "--pattern", "L1/tanh/*", "--expected-failures", "known.toml", "--json"
    )
    assert found.status == 0, found.err
    assert json.loads(found.out)["xfailed"] == len(failures)
