"""Expected failures: a TOML file in the third party's repository, in which every entry gives its reason.

::

    [[xfail]]
    id = "L1/svd/*/float32"
    reason = "the vendor's library returns singular values in ascending order (their issue 123)"

An entry is a glob over case ids.  A case that passes though an entry expects it to fail is a failure, and so is an
entry that matches no case: the file cannot rot.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from pathlib import Path

from corenn.errors import DataError


@dataclass(frozen=True)
class Expectation:
    """One entry: which cases are expected to fail, and why."""

    id: str
    reason: str

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(translate(self.id))

    def matches(self, case_id: str) -> bool:
        """Whether the entry speaks of a case."""
        return self._pattern.match(case_id) is not None


@dataclass(frozen=True)
class ExpectedFailures:
    """The entries of one file."""

    entries: tuple[Expectation, ...] = ()
    source: str = "expected failures"

    def find(self, case_id: str) -> Expectation | None:
        """The first entry that speaks of a case."""
        return next((e for e in self.entries if e.matches(case_id)), None)

    def unmatched(self, case_ids: Iterable[str]) -> list[Expectation]:
        """Entries that speak of none of these cases."""
        left = list(self.entries)
        for case_id in case_ids:
            if not left:
                break
            left = [e for e in left if not e.matches(case_id)]
        return left


def load_expected_failures(path: str | Path) -> ExpectedFailures:
    """Read a file of expected failures; DataError, naming the entry, for one that is not as the module says."""
    source = Path(path)
    try:
        data = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(str(source), f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(str(source), f"is not TOML: {error}") from error
    tables = data.pop("xfail", [])
    if data or not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise DataError(str(source), "must hold [[xfail]] tables and nothing else", hint="[[xfail]] with id and reason")
    entries = []
    for number, table in enumerate(tables, 1):
        name = table.get("id", "without id")
        for key in ("id", "reason"):
            if not isinstance(table.get(key), str) or not table[key].strip():
                raise DataError(str(source), f"entry {number} ({name}) has no {key}", hint=f'{key} = "..."')
        if table.keys() - {"id", "reason"}:
            raise DataError(str(source), f"entry {number} ({name}) has unknown keys", hint="id and reason")
        entries.append(Expectation(table["id"], table["reason"].strip()))
    return ExpectedFailures(tuple(entries), source.name)
