"""``BackendConformance`` under plain pytest, as in a third party's repository."""

from __future__ import annotations

import pytest

pytest_plugins = "pytester"

HEADER = """
import numpy as np
from corenn.backend import Kernel
from corenn.testing import BackendConformance
from corenn_numpy.backend import NumpyBackend

class Wrong(NumpyBackend):
    name = "wrong"
    def kernels(self):
        def negative(x):
            return -x if x.dtype != np.float32 else -x - 1
        return {"negative": Kernel(negative)}

class Right(Wrong):
    name = "right"
    def kernels(self):
        return {}
"""


def run(pytester: pytest.Pytester, body: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(test_mine=HEADER + body)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q", *arguments)


def test_each_case_is_a_test(pytester):
    result = run(pytester, """
class TestMine(BackendConformance):
    backend = Right()
    pattern = "L1/negative/0/float*"
""", "-vv")  # fmt: skip
    assert result.ret == 0
    result.stdout.fnmatch_lines_random(["*test_mine.py::TestMine::test_case[[]L1/negative/0/float32[]] PASSED*"])


def test_a_failure_says_what_is_wrong(pytester):
    result = run(pytester, """
class TestMine(BackendConformance):
    backend = Wrong()
    pattern = "L1/negative/0/*"
""")  # fmt: skip
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*L1/negative/0/float32: 12 of 12 elements differ*"])


def test_expected_failures_lie_beside_the_test_file(pytester):
    pytester.path.joinpath("xfails.toml").write_text(
        '[[xfail]]\nid = "L1/negative/*/float32*"\nreason = "off by one"\n'
        '[[xfail]]\nid = "L1/negative/special/float64"\nreason = "is right in truth"\n'
        '[[xfail]]\nid = "L1/gone/*"\nreason = "an op that is gone"\n'
    )
    result = run(pytester, """
class TestMine(BackendConformance):
    backend = Wrong()
    pattern = "L1/negative/*[0l]/float[36][24]"
    expected_failures = "xfails.toml"
""", "-rx")  # fmt: skip
    outcomes = result.parseoutcomes()
    assert outcomes["xfailed"] == 2
    assert outcomes["failed"] == 2  # the unexpected pass, and the entry that matches nothing
    result.stdout.fnmatch_lines(["*off by one*"])
    text = result.stdout.str()
    assert "L1/negative/special/float64: passed, but xfails.toml expects it to fail" in text
    assert "xfails.toml/L1/gone/*: the entry matches no case" in text


def test_a_backend_that_cannot_run_here_is_skipped_with_its_reason(pytester):
    result = run(pytester, """
from corenn.plugin import BackendRecord, hookimpl, registry

class Plugin:
    @hookimpl
    def corenn_backends(self):
        return [BackendRecord("absent", "nowhere:Backend", probe=lambda: "no such device in this machine")]

registry.register(Plugin(), "absent-plugin")

class TestMine(BackendConformance):
    backend = "absent"
""", "-rs")  # fmt: skip
    assert result.ret == 0
    assert result.parseoutcomes() == {"skipped": 2}
    result.stdout.fnmatch_lines(["*no such device in this machine*"])


def test_a_backend_that_is_not_registered_is_an_error(pytester):
    result = run(pytester, """
class TestMine(BackendConformance):
    backend = "not-registered"
""")  # fmt: skip
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*no backend is called 'not-registered'*"])
