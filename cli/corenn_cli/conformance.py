"""``corenn conformance``: the kit on the command line."""

from __future__ import annotations

import json
import sys
import time

from corenn.backend import get_backend
from corenn.errors import UsageError
from corenn.testing import LEVELS, Outcome, run_conformance


def check(
    backend: str, levels: list[str] | None, pattern: str | None, expected_failures: str | None, as_json: bool
) -> int:
    """Run the kit, print what fails as it happens and a last line; 1 when something failed, else 0."""
    chosen = [_level(text) for text in levels] if levels else None
    loaded = get_backend(backend)
    live, started, done = sys.stderr.isatty(), time.perf_counter(), 0

    def on_case(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        clear = "\r\x1b[2K" if live else ""
        if outcome.status in ("failed", "xpassed"):
            print(f"{clear}{outcome.status}: {outcome.id}: {outcome.message}", file=sys.stderr)
        elif live and done % 50 == 0:
            seconds = time.perf_counter() - started
            print(f"{clear}{done} cases, {seconds:.0f} s", end="", file=sys.stderr, flush=True)

    report = run_conformance(
        loaded, levels=chosen, pattern=pattern, expected_failures=expected_failures, on_case=on_case
    )
    if live:
        print("\r\x1b[2K", end="", file=sys.stderr)
    if as_json:
        print(json.dumps(report.to_dict()))
    else:
        counts = ", ".join(f"{v} {k}" for k, v in report.to_dict().items() if isinstance(v, int))
        print(f"{report.backend}: {counts} in {time.perf_counter() - started:.0f} s")
    return 0 if report.ok else 1


def _level(text: str) -> int:
    """A level, as ``1`` or ``L1``."""
    number = text.removeprefix("L").removeprefix("l")
    if not number.isdecimal() or int(number) not in LEVELS:
        levels = {str(n): what for n, what in LEVELS.items()}
        raise UsageError("--level", f"{text!r} is not a level", levels)
    return int(number)
