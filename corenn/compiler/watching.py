"""Looking on while programs are compiled: what ``corenn explain`` shows, whoever has them compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

#: Pairs (program as lowered, what runs it), as they are made, while somebody is looking.
_seen: ContextVar[list[tuple[Any, Any]] | None] = ContextVar("corenn_watching", default=None)


@contextmanager
def watching() -> Iterator[list[tuple[Any, Any]]]:
    """Gather what is compiled in the block: (the program as it was lowered, what the compiler made of it)."""
    found: list[tuple[Any, Any]] = []
    token = _seen.set(found)
    try:
        yield found
    finally:
        _seen.reset(token)


def saw(lowered: Any, executable: Any) -> None:
    """What compilation calls for each program."""
    found = _seen.get()
    if found is not None:
        found.append((lowered, executable))


__all__ = ["saw", "watching"]
