"""The ONNX backend test suite, run by ``onnx.backend.test`` on corenn's importer."""

from __future__ import annotations

import io
import unittest
import warnings
from typing import Any

import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")

from corenn_onnx.backend import CorennBackend
from corenn_onnx.suite import EXCLUSIONS

#: The kinds of cases: the suite's name of the class, and how many must pass at least (onnx 1.23; others have more).
KINDS = {"Node": 1860, "Simple": 23, "PyTorchConverted": 82, "PyTorchOperator": 35, "Real": 9}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, type[unittest.TestCase]]:
    """The classes of the suite by kind, with the cases for CPU."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cases are made with NumPy, overflow and division by zero among them
        patch.setenv("ONNX_HOME", str(tmp_path_factory.mktemp("onnx_home")))
        import onnx.backend.test

        made = onnx.backend.test.BackendTest(CorennBackend, __name__).exclude(r"_cuda$").test_cases
    return {name.removeprefix("OnnxBackend").removesuffix("ModelTest"): case for name, case in made.items()}


def outcomes(case: type[unittest.TestCase]) -> tuple[set[str], dict[str, str]]:
    """Names of the cases that pass, and the last line of what went wrong with each of the others."""
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    names = {test._testMethodName.removesuffix("_cpu") for test in suite if test._testMethodName.endswith("_cpu")}  # type: ignore[union-attr]
    result = unittest.TextTestRunner(io.StringIO(), verbosity=0).run(suite)
    wrong: dict[str, str] = {}
    for test, text in [*result.failures, *result.errors]:
        wrong[test._testMethodName.removesuffix("_cpu")] = text.strip().splitlines()[-1][:200]  # type: ignore[attr-defined]
    return names - set(wrong), wrong


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, at infinities and NaN, which cases are about
@pytest.mark.parametrize("kind", KINDS)
def test_suite(
    kind: str, cases: dict[str, Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONNX_HOME", str(tmp_path))
    passed, wrong = outcomes(cases[kind])
    excluded = {e.name for e in EXCLUSIONS}
    with capsys.disabled():
        counts = f"{len(passed)} of {len(passed) + len(wrong)} pass, {len(excluded & set(wrong))} excluded"
        print(f"\nONNX backend test suite, {kind}: {counts}")
    unexpected = {name: text for name, text in wrong.items() if name not in excluded}
    assert not unexpected
    assert len(passed) >= KINDS[kind]
    stale = {e.name for e in EXCLUSIONS if e.stable} & passed
    assert not stale, "these pass: remove their exclusions"


def test_exclusions_name_a_reason_each() -> None:
    assert all(e.reason for e in EXCLUSIONS)
    assert len({e.name for e in EXCLUSIONS}) == len(EXCLUSIONS)
