"""What a run shows while it goes on: the moments that a view, such as the table of ``corenn run --watch``, is told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from corenn.training.callbacks.base import Callback
from corenn.training.callbacks.progress import Line, progress_text

_THROTTLE = 0.1  # seconds between redraws
_LINES = 10  # where nothing moves, about so many lines a loop


@dataclass(frozen=True)
class Position:
    """Where a part of a run stands.

    ``done``: steps made, in all; ``total``: steps there will be, ``None`` if unknown.  A fit also knows ``epoch``
    (0-based), ``epochs``, ``step`` (made in this epoch) and ``steps_per_epoch`` (``None`` if unknown); for custom loops
    ``epochs`` is 0.
    """

    done: int
    total: int | None = None
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps_per_epoch: int | None = None


class RunView:
    """Is told what happens in a run; override what you show.  ``part`` is ``None`` in runs that have no parts."""

    def part_begins(self, part: str | None, position: Position) -> None:
        """Training of a part begins, or goes on at ``position``."""

    def step(self, part: str | None, position: Position, figures: Mapping[str, float]) -> None:
        """After a step; the figures of a fit are read from the device only when somebody looks at them."""

    def row(self, part: str | None, position: Position, figures: Mapping[str, float]) -> None:
        """Figures that are written down: those of an epoch, or of ``log`` in a custom loop."""

    def part_ends(self, part: str | None, position: Position, reason: str | None) -> None:
        """A part has ended; ``reason`` says why, if not by itself."""

    def line(self, text: str) -> None:
        """Something said to the person."""

    def note(self, text: str) -> None:
        """What is going on just now, such as a download.  Signal handlers call it: it must not print."""


class Watching(Callback):
    """Tells a view what happens in a fit."""

    def __init__(self, view: RunView, part: str | None) -> None:
        self.view, self.part = view, part

    def _position(self) -> Position:
        loop = self.loop
        total = None if loop.steps_per_epoch is None else loop.epochs * loop.steps_per_epoch
        if loop.most_steps is not None:
            total = loop.most_steps if total is None else min(total, loop.most_steps)
        return Position(loop.total_steps, total, loop.epoch, loop.epochs, loop.step, loop.steps_per_epoch)

    def on_train_begin(self) -> None:
        """Say where it begins, with the rows of epochs that a resumed run has behind it."""
        self.view.part_begins(self.part, self._position())
        for number, epoch in enumerate(self.loop.history_epochs):
            steps = self.loop.steps_per_epoch
            figures = {name: values[number] for name, values in self.loop.history.items() if number < len(values)}
            position = Position((epoch + 1) * (steps or 0), None, epoch, self.loop.epochs, steps or 0, steps)
            self.view.row(self.part, position, figures)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """A step."""
        self.view.step(self.part, self._position(), logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """A row."""
        self.view.row(self.part, self._position(), logs)

    def on_train_end(self) -> None:
        """The end."""
        self.view.part_ends(self.part, self._position(), self.loop.stop_reason)


class LoopProgress(RunView):
    """Shows how a custom loop goes, as ``Progress`` does a fit: a bar on a terminal, now and then a line elsewhere."""

    def __init__(self, line: Line | None = None) -> None:
        self._line = Line() if line is None else line
        self._started = self._drawn = 0.0
        self._begun = self._shown = 0
        self._figures: Mapping[str, float] = {}

    def part_begins(self, part: str | None, position: Position) -> None:
        """Start the clock."""
        self._started, self._begun, self._shown = time.perf_counter(), position.done, position.done

    def row(self, part: str | None, position: Position, figures: Mapping[str, float]) -> None:
        """Remember the figures."""
        self._figures = {**self._figures, **figures}

    def step(self, part: str | None, position: Position, figures: Mapping[str, float]) -> None:
        """Redraw, not too often."""
        now, total = time.perf_counter(), position.total or 0
        if self._line.moving and now - self._drawn >= _THROTTLE and position.done < total:
            self._drawn = now
            self._line.show(self._text(part, position, now), end="")
        elif not self._line.moving and total > position.done >= self._shown + max(1, total // _LINES):
            self._shown = position.done
            self._line.show(self._text(part, position, now), end="\n")

    def part_ends(self, part: str | None, position: Position, reason: str | None) -> None:
        """The last line."""
        if position.done > self._begun:
            self._line.show(self._text(part, position, time.perf_counter(), ended=True), end="\n")

    def _text(self, part: str | None, position: Position, now: float, ended: bool = False) -> str:
        head = ["step"] if part is None else [part, "step"]
        drawn = self._line.moving and not ended
        made = position.done - self._begun
        return progress_text(head, position.done, position.total, made, now - self._started, self._figures, bar=drawn)


__all__ = ["LoopProgress", "Position", "RunView", "Watching"]
