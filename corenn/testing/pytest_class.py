"""``BackendConformance``: the kit as a pytest class that a third party subclasses.

::

    from corenn.testing import BackendConformance

    class TestMine(BackendConformance):
        backend = "mine"
        expected_failures = "xfails.toml"  # beside this file; may be left out

Each case becomes one test, ``test_case[L1/matmul/2/float32]``, so ``pytest -k`` selects and plugins for parallel runs
work.  Nothing but plain pytest is needed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from corenn.backend.contract import Backend
from corenn.backend.registry import get_backend
from corenn.testing.cases import Case
from corenn.testing.conformance import judge, select_cases, unmatched
from corenn.testing.expected import ExpectedFailures, load_expected_failures

_UNAVAILABLE = "unavailable"


class BackendConformance:
    """Subclass it in a test file and set ``backend``; see the module.

    ``backend``: a registered name, or a Backend object.  ``expected_failures``: a TOML file, relative to the test
    file.  ``levels`` and ``pattern`` restrict the cases, as in ``run_conformance``.  When the backend's own probe says
    that it cannot run here, the one test that is left is skipped with that reason.
    """

    backend: ClassVar[str | Backend]
    expected_failures: ClassVar[str | None] = None
    levels: ClassVar[Iterable[int] | None] = None
    pattern: ClassVar[str | None] = None

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Make one test of each case."""
        if "conformance_case" not in metafunc.fixturenames:
            return
        reason = self._reason_to_skip()
        if reason is not None:
            metafunc.parametrize("conformance_case", [reason], ids=[_UNAVAILABLE])
            return
        found = select_cases(self._loaded(), self.levels, self.pattern)
        metafunc.parametrize("conformance_case", found, ids=[case.id for case in found])

    @classmethod
    def _reason_to_skip(cls) -> str | None:
        if isinstance(cls.backend, Backend):
            return None
        from corenn.plugin import registry

        return registry.get("backend", cls.backend).unavailable_reason() if cls.backend in registry.backends() else None

    @classmethod
    def _loaded(cls) -> Backend:
        return get_backend(cls.backend) if isinstance(cls.backend, str) else cls.backend

    @classmethod
    def _expected(cls) -> ExpectedFailures:
        if cls.expected_failures is None:
            return ExpectedFailures()
        return _load(Path(inspect.getfile(cls)).parent / cls.expected_failures)

    def test_case(self, conformance_case: Case | str) -> None:
        """One case of the kit."""
        import pytest

        if isinstance(conformance_case, str):
            pytest.skip(conformance_case)
        outcome = judge(conformance_case, self._expected())
        if outcome.status == "skipped":
            pytest.skip(outcome.message)
        if outcome.status == "xfailed":
            pytest.xfail(outcome.message)
        if outcome.status != "passed":
            pytest.fail(f"{outcome.id}: {outcome.message}", pytrace=False)

    def test_expected_failures(self) -> None:
        """Every entry of the file of expected failures speaks of a case."""
        import pytest

        reason = self._reason_to_skip()
        if reason is not None:
            pytest.skip(reason)
        problems = [f"{o.id}: {o.message}" for o in unmatched(self._loaded(), self._expected())]
        if problems:
            pytest.fail("\n".join(problems), pytrace=False)


@functools.cache
def _load(path: Path) -> ExpectedFailures:
    return load_expected_failures(path)
