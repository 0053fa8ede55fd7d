"""The current writer and step: what ``with writer.as_default():`` sets and ``corenn.summary.scalar(...)`` asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from corenn.errors import UsageError

if TYPE_CHECKING:
    from corenn.summary.writer import EventWriter

_writer: ContextVar[EventWriter | None] = ContextVar("corenn_summary_writer", default=None)
_step: ContextVar[object] = ContextVar("corenn_summary_step", default=None)


def current_writer() -> EventWriter | None:
    """The writer of the innermost ``with writer.as_default():``, or ``None``."""
    return _writer.get()


def set_step(step: object) -> None:
    """The step for summaries written without one: an int, or a variable, which is read at each write.

    Inside ``with writer.as_default(step=...)`` it lasts until the end of that block.  ``None`` unsets it.
    """
    _step.set(step)


def get_step() -> object:
    """What :func:`set_step` or ``as_default(step=...)`` set last, or ``None``."""
    return _step.get()


def step_or_default(where: str, step: object) -> object:
    """``step``, or the default step when it is ``None``; UsageError when there is neither."""
    step = _step.get() if step is None else step
    if step is None:
        hint = "pass step=, call corenn.summary.set_step(n), or use 'with writer.as_default(step=n):'"
        raise UsageError(where, "no step was given and no default step is set", hint=hint)
    return step


@contextmanager
def use(writer: EventWriter, step: object) -> Iterator[EventWriter]:
    """Make ``writer`` current, and ``step`` the default unless it is ``None``; both end with the block."""
    writer_token = _writer.set(writer)
    step_token = _step.set(_step.get() if step is None else step)
    try:
        yield writer
    finally:
        _step.reset(step_token)
        _writer.reset(writer_token)
