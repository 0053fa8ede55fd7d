"""Running the kit: what is selected, what a report says, how expected failures are held to account."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from corenn_numpy.backend import NumpyBackend

from corenn import dtypes
from corenn.backend import Kernel, get_backend
from corenn.errors import BackendError, DataError, UsageError
from corenn.testing import LEVELS, run_conformance, select_cases


class Wrong(NumpyBackend):
    """NumPy whose ``negative`` is wrong in float32."""

    name = "wrong"

    def kernels(self):
        def negative(x):
            return -x if x.dtype != np.float32 else -x - 1

        return {**super().kernels(), "negative": Kernel(negative)}


class SinglePrecision(NumpyBackend):
    """Offers what Python numbers become, and keys."""

    name = "single"
    computes_in = {}  # noqa: RUF012  plain data of a test

    def dtypes(self):
        return frozenset({dtypes.float32, dtypes.int32, dtypes.int64, dtypes.uint64, dtypes.bool_})


def write(path, *entries):
    path.write_text("".join(f'[[xfail]]\nid = "{i}"\nreason = "{r}"\n' for i, r in entries))
    return path


# ---------------------------------------------------------------- selecting


@pytest.mark.parametrize("level", LEVELS)
def test_levels_select_by_id(level):
    cases = select_cases(get_backend("numpy"), [level])
    assert cases
    assert all(case.level == level and case.id.startswith(f"L{level}/") for case in cases)


@pytest.mark.parametrize("name", ["numpy", SinglePrecision()], ids=["numpy", "single"])
def test_ids_are_unique(name):
    backend = get_backend(name) if isinstance(name, str) else name
    repeated = [i for i, n in Counter(c.id for c in select_cases(backend)).items() if n > 1]
    assert repeated == []


def test_a_pattern_selects():
    report = run_conformance("numpy", pattern="L1/add/0/float*")
    assert {o.id for o in report.passed} >= {"L1/add/0/float32", "L1/add/0/float64", "L1/add/0/float32/strided"}
    assert all(o.id.startswith("L1/add/0/float") for o in report.outcomes)


@pytest.mark.parametrize(
    ("options", "error", "part"),
    [
        ({"levels": [8]}, UsageError, "there is no level 8"),
        ({"pattern": "L1/no_such_op/*"}, UsageError, "no case matches 'L1/no_such_op/*'"),
        ({"expected_failures": "nowhere.toml"}, DataError, "cannot be read"),
    ],
)
def test_refused_options(options, error, part):
    with pytest.raises(error) as caught:
        run_conformance("numpy", **options)
    assert part in str(caught.value)


def test_an_unknown_backend_is_an_error():
    with pytest.raises(BackendError, match="no backend is called 'no-such-backend'"):
        run_conformance("no-such-backend")


# ---------------------------------------------------------------- reporting


def test_the_report_is_plain_data():
    report = run_conformance(Wrong(), pattern="L1/negative/*")
    data = json.loads(json.dumps(report.to_dict()))
    assert set(data) == {"backend", "passed", "failed", "skipped", "xfailed", "failures"}
    assert data["backend"] == "wrong"
    assert data["failed"] == len(data["failures"]) > 0
    assert data["passed"] == len(report.passed) > 0
    assert "L1/negative/0/float32" in {f["id"] for f in data["failures"]}
    assert not report.ok
    assert "L1/negative/0/float32: 12 of 12 elements differ" in str(report)


def test_every_outcome_is_called_back_in_order():
    seen = []
    report = run_conformance("numpy", pattern="L1/negative/*", on_case=seen.append)
    assert seen == report.outcomes
    assert report.ok


def test_unoffered_dtypes_are_skipped_with_the_reason():
    report = run_conformance(SinglePrecision(), pattern="L1/add/0/*")
    assert report.ok
    skipped = {o.id: o.message for o in report.skipped}
    assert skipped["L1/add/0/float64"] == "needs float64, which the backend does not offer"
    assert {o.id for o in report.passed} >= {"L1/add/0/float32", "L1/add/0/int64"}


def test_without_float64_gradients_are_judged_in_float32():
    report = run_conformance(SinglePrecision(), pattern="L2/multiply/*")
    assert report.ok
    assert {o.id for o in report.passed} >= {"L2/multiply/0/float32"}


# ---------------------------------------------------------------- expected failures


def test_expected_failures_are_not_failures(tmp_path):
    path = write(tmp_path / "x.toml", ("L1/negative/*/float32*", "known"), ("L1/negative/special/float32", "known"))
    report = run_conformance(Wrong(), pattern="L1/negative/*/float32*", expected_failures=path)
    expected = {o.id: o.message for o in report.xfailed}
    assert expected["L1/negative/0/float32"] == "known"
    assert not report.failed


def test_an_unexpected_pass_fails(tmp_path):
    path = write(tmp_path / "x.toml", ("L1/negative/0/float64", "was wrong once"))
    report = run_conformance("numpy", pattern="L1/negative/0/float64", expected_failures=path)
    assert not report.ok
    (failure,) = report.to_dict()["failures"]
    assert failure["id"] == "L1/negative/0/float64"
    assert "passed, but x.toml expects it to fail (was wrong once)" in failure["message"]


def test_an_entry_that_matches_no_case_fails(tmp_path):
    path = write(tmp_path / "x.toml", ("L1/negative/99/*", "a sample that is gone"))
    report = run_conformance("numpy", pattern="L1/negative/0/float64", expected_failures=path)
    assert [o.id for o in report.failed] == ["x.toml/L1/negative/99/*"]


def test_an_entry_for_a_case_outside_the_pattern_is_not_stale(tmp_path):
    path = write(tmp_path / "x.toml", ("L1/negative/0/float32", "known"))
    assert run_conformance(Wrong(), pattern="L1/add/0/float64", expected_failures=path).ok


def test_a_skipped_case_stays_skipped(tmp_path):
    path = write(tmp_path / "x.toml", ("L1/add/0/float64", "no double precision"))
    report = run_conformance(SinglePrecision(), pattern="L1/add/0/float64", expected_failures=path)
    assert [o.status for o in report.outcomes] == ["skipped"]
