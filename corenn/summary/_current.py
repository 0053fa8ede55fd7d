"""The current writer and step: what ``with writer.as_default():`` sets and ``corenn.summary.scalar(...)`` asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from corenn.errors import UsageError

if TYPE_CHECKING:
    from corenn.summary.writer import EventWriter

_writer: ContextVar[EventWriter | None] = ContextVar("corenn_summary_writer", default=None)
_step: ContextVar[object] = ContextVar("corenn_summary_step", default=None)
_conditions: ContextVar[tuple[Any, ...]] = ContextVar("corenn_summary_conditions", default=())


def current_writer() -> EventWriter | None:
    """The writer of the innermost ``with writer.as_default():``, or ``None``."""
    return _writer.get()


def set_step(step: object) -> None:
    """The step for summaries written without one: an int, or a variable or function, asked at each write.

    Inside ``with writer.as_default(step=...)`` it lasts until the end of that block.  ``None`` unsets it.
    """
    _step.set(step)


def get_step() -> object:
    """What :func:`set_step` or ``as_default(step=...)`` set last, or ``None``."""
    return _step.get()


def step_or_default(where: str, step: object) -> object:
    """``step``, or the default step when it is ``None``, as it is now; UsageError when there is neither."""
    step = _step.get() if step is None else step
    if step is None:
        hint = "pass step=, call corenn.summary.set_step(n), or use 'with writer.as_default(step=n):'"
        raise UsageError(where, "no step was given and no default step is set", hint=hint)
    now = getattr(step, "now", step)  # the number of updates of an optimizer, as a traced function sees it
    return now() if callable(now) else now


def should_record() -> bool:
    """Whether ``corenn.summary.scalar(...)`` writes here and now: there is a writer, and ``record_if`` allows it."""
    return _writer.get() is not None and all(bool(c() if callable(c) else c) for c in _conditions.get())


@contextmanager
def record_if(condition: bool | Callable[[], Any]) -> Iterator[None]:
    """In the block, summaries are written only where ``condition`` holds: a bool, a variable, a function (asked anew).

    ``with corenn.summary.record_if(lambda: optimizer.iterations % 100 == 0):`` writes every hundredth step.  Blocks
    inside blocks must all allow it.  The methods of a writer itself always write.
    """
    token = _conditions.set((*_conditions.get(), condition))
    try:
        yield
    finally:
        _conditions.reset(token)


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
