"""The conformance kit: run the cases of a backend and report, with or without a file of expected failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from corenn.backend.contract import Backend
from corenn.backend.registry import get_backend
from corenn.errors import UsageError
from corenn.testing.cases import LEVELS, Case, Outcome, Status, conformance_cases, run_case
from corenn.testing.expected import ExpectedFailures, load_expected_failures


@dataclass
class Report:
    """The outcomes of a run of the kit, in the order of the cases."""

    backend: str
    outcomes: list[Outcome] = field(default_factory=list)

    def with_status(self, status: Status) -> list[Outcome]:
        """The outcomes of one status."""
        return [o for o in self.outcomes if o.status == status]

    @property
    def passed(self) -> list[Outcome]:
        """Cases that passed."""
        return self.with_status("passed")

    @property
    def failed(self) -> list[Outcome]:
        """Cases that failed and were not expected to, and entries for expected failures that match no case."""
        return self.with_status("failed")

    @property
    def skipped(self) -> list[Outcome]:
        """Cases that do not apply to the backend, with the reason."""
        return self.with_status("skipped")

    @property
    def xfailed(self) -> list[Outcome]:
        """Cases that failed as expected, with the reason given for it."""
        return self.with_status("xfailed")

    @property
    def xpassed(self) -> list[Outcome]:
        """Cases that passed though they were expected to fail: these make a run fail."""
        return self.with_status("xpassed")

    @property
    def ok(self) -> bool:
        """Whether the backend conforms: nothing failed, and nothing passed that was expected to fail."""
        return not self.failed and not self.xpassed

    def to_dict(self) -> dict[str, Any]:
        """Counts and failures as plain data, for JSON; an unexpected pass counts as a failure."""
        failures = [{"id": o.id, "message": o.message} for o in (*self.failed, *self.xpassed)]
        return {
            "backend": self.backend,
            "passed": len(self.passed),
            "failed": len(failures),
            "skipped": len(self.skipped),
            "xfailed": len(self.xfailed),
            "failures": failures,
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{v} {k}" for k, v in self.to_dict().items() if isinstance(v, int))
        lines = [f"{self.backend}: {counts}"]
        lines += [f"{o.id}: {o.message}" for o in (*self.failed, *self.xpassed)]
        return "\n".join(lines)


def run_conformance(
    backend: str | Backend,
    levels: Iterable[int] | None = None,
    pattern: str | None = None,
    expected_failures: str | Path | None = None,
    on_case: Callable[[Outcome], None] | None = None,
) -> Report:
    """Run the conformance kit on a backend, by name or as an object, and report.

    ``levels``: which of 0 to 7 (default all, see ``corenn.testing.LEVELS``); ``pattern``: a glob over case ids
    (``"L1/conv*"``); ``expected_failures``: a TOML file (see ``corenn.testing.expected``); ``on_case`` is called with
    each outcome as it comes.  Raises BackendError for a backend that is unknown or not available here, UsageError for
    a level that does not exist or a pattern that no case matches, DataError for a file that is not as it should be.
    """
    target = get_backend(backend) if isinstance(backend, str) else backend
    expected = ExpectedFailures() if expected_failures is None else load_expected_failures(expected_failures)
    report = Report(target.name)
    for outcome in _outcomes(target, select_cases(target, levels, pattern), expected):
        report.outcomes.append(outcome)
        if on_case is not None:
            on_case(outcome)
    return report


def _outcomes(target: Backend, chosen: list[Case], expected: ExpectedFailures) -> Iterator[Outcome]:
    for case in chosen:
        yield judge(case, expected)
    if expected.entries:
        yield from unmatched(target, expected)


def select_cases(backend: Backend, levels: Iterable[int] | None = None, pattern: str | None = None) -> list[Case]:
    """The cases of ``backend`` at ``levels`` whose ids match ``pattern``; UsageError when that leaves none."""
    wanted = None if levels is None else tuple(dict.fromkeys(levels))
    for level in wanted or ():
        if level not in LEVELS:
            hint = f"levels are {min(LEVELS)} to {max(LEVELS)}"
            raise UsageError("conformance", f"there is no level {level!r}", hint=hint)
    found = [c for c in conformance_cases(backend, wanted) if pattern is None or fnmatchcase(c.id, pattern)]
    if not found:
        raise UsageError("conformance", f"no case matches {pattern!r}", hint="for example 'L1/matmul/*'")
    return found


def judge(case: Case, expected: ExpectedFailures) -> Outcome:
    """Run a case and hold its outcome against the expected failures."""
    outcome = run_case(case)
    entry = expected.find(case.id)
    if entry is None or outcome.status == "skipped":
        return outcome
    if outcome.status == "failed":
        return replace(outcome, status="xfailed", message=entry.reason)
    message = f"passed, but {expected.source} expects it to fail ({entry.reason}): narrow the entry {entry.id!r}"
    return replace(outcome, status="xpassed", message=message)


def unmatched(backend: Backend, expected: ExpectedFailures) -> Iterator[Outcome]:
    """A failure for each entry that matches no case of the backend at any level."""
    for entry in expected.unmatched(case.id for case in conformance_cases(backend)):
        yield Outcome(f"{expected.source}/{entry.id}", "failed", "the entry matches no case: remove it, or mend its id")
