"""``corenn conformance``: the kit on the command line."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from corenn.backend import get_backend
from corenn.errors import UsageError

if TYPE_CHECKING:
    from corenn.testing import Outcome


def check(
    backend: str, levels: list[str] | None, pattern: str | None, expected_failures: str | None, as_json: bool
) -> int:
    """Run the kit, print what fails as it happens and a last line; 1 when something failed, else 0."""
    from corenn.testing import run_conformance

    loaded = get_backend(backend)
    live = sys.stderr.isatty()
    started, done = time.perf_counter(), 0

    def on_case(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if outcome.status in ("failed", "xpassed"):
            print(f"{outcome.status}: {outcome.id}: {outcome.message}", file=sys.stderr)
        elif live and done % 50 == 0:
            print(f"\r\x1b[2K{done} cases, {time.perf_counter() - started:.0f} s", end="", file=sys.stderr, flush=True)

    report = run_conformance(
        loaded, [_level(text) for text in levels] if levels else None, pattern, expected_failures, on_case
    )
    if live:
        print("\r\x1b[2K", end="", file=sys.stderr)
    summary = report.to_dict()
    if as_json:
        print(json.dumps(summary))
    else:
        seconds = time.perf_counter() - started
        print(f"{backend}: {summary['passed']} passed, {summary['failed']} failed, {summary['skipped']} skipped "
              f"in {seconds:.0f} s")  # fmt: skip
    return 0 if report.ok else 1


def _level(text: str) -> int:
    number = text.removeprefix("L")
    if not number.isdecimal():
        raise UsageError("conformance", f"{text!r} is not a level", hint="L0 to L5")
    return int(number)
