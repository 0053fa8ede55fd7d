"""``corenn run --watch``: a table of figures that grows while a run goes on, on a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from corenn.training.callbacks.progress import duration, figure_text
from corenn.training.run_view import Position, RunView

if TYPE_CHECKING:
    from corenn.training.run import Run

_REFRESH = 8  # times a second
_LOOK = 0.1  # seconds between looks at the figures of a step: they have to be read from the device
_ROWS_OF_LOOP = 20  # a hand-written loop may log every step; about so many of its rows stay
_AROUND = 8  # lines of the screen that are not rows
_SMOOTH = 3.0  # seconds over which the rate is averaged
_NARROWEST = 9  # characters of a column of figures


@dataclass
class _Row:
    part: str | None
    position: Position
    figures: dict[str, float]
    seconds: float | None  # None: computed before this process began


@dataclass
class _Now:
    """The part that is in hand."""

    part: str | None
    position: Position
    begun: float
    first: int  # steps done when this process began with it
    figures: dict[str, float] = field(default_factory=dict)
    ending: str = ""  # how it ended, once it has


class WatchTable(RunView):
    """Shows a run on ``console`` while the ``with`` block lasts; the last picture stays.

    A row is an epoch, or, in a loop written by hand, what it logged now and then.  Below stand the bar, the steps a
    second and the time that is left.
    """

    def __init__(self, run: Run, console: Console | None = None) -> None:
        self.run = run
        self.console = console or Console(stderr=True, highlight=False)
        self._rows: list[_Row] = []
        self._now: _Now | None = None
        self._note = ""
        self._started = self._row_began = self._looked = time.monotonic()
        self._rate, self._counted = 0.0, (0.0, 0)
        self._live = Live(
            self, console=self.console, refresh_per_second=_REFRESH, vertical_overflow="crop", transient=False
        )

    def __enter__(self) -> WatchTable:
        self.run.view = self
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._note = ""
        self._live.stop()
        self.run.view = None

    # ---- what the run tells

    def part_begins(self, part: str | None, position: Position) -> None:
        """A new bar."""
        now = self._row_began = time.monotonic()
        self._now = _Now(part, position, now, position.done)
        self._rate, self._counted = 0.0, (now, position.done)
        if not self._note.startswith("SIG"):
            self._note = ""

    def step(self, part: str | None, position: Position, figures: Mapping[str, float]) -> None:
        """Move the bar, not too often."""
        now, current = time.monotonic(), self._now
        if current is None or now - self._looked < _LOOK:
            return
        self._looked = now
        self._measure(now, position)
        current.position, current.figures = position, dict(figures)

    def _measure(self, now: float, position: Position) -> None:
        """The steps a second, smoothed."""
        seconds, steps = now - self._counted[0], position.done - self._counted[1]
        if seconds > 0 and steps >= 0:
            weight = 1.0 if not self._rate else min(1.0, seconds / _SMOOTH)
            self._rate += weight * (steps / seconds - self._rate)
            self._counted = now, position.done

    def row(self, part: str | None, position: Position, figures: Mapping[str, float]) -> None:
        """A row; those of a loop that come too close take the place of the last."""
        now, current = time.monotonic(), self._now
        behind = current is not None and position.done <= current.first
        made = _Row(part, position, dict(figures), None if behind else now - self._row_began)
        last = self._rows[-1] if self._rows else None
        close = max(1, (position.total or 0) // _ROWS_OF_LOOP)
        if last is not None and not position.epochs and last.part == part and position.done // close == (
            last.position.done // close
        ):  # fmt: skip
            if made.seconds is not None:
                made.seconds += last.seconds or 0.0
            self._rows[-1] = made
        else:
            self._rows.append(made)
        self._row_began = now
        if current is not None and not behind:
            current.position, current.figures = position, dict(figures)

    def part_ends(self, part: str | None, position: Position, reason: str | None) -> None:
        """The bar is full, or says why not."""
        if self._now is not None:
            now = self._now
            made, seconds = position.done - now.first, max(1e-9, time.monotonic() - now.begun)
            self._rate = made / seconds
            now.position = position
            now.ending = ("done" if reason is None else "stopped" + f": {reason}" * bool(reason)) + (
                f" after {duration(seconds)}" * bool(made)
            )

    def line(self, text: str) -> None:
        """A line above the table."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """The line below the table; called from signal handlers, so it only remembers."""
        self._note = text

    # ---- the picture

    def __rich__(self) -> RenderableType:
        """What the screen shows now."""
        parts: list[RenderableType] = [self._head()]
        if self._rows:
            parts.append(self._table())
        if self._now is not None:
            parts.append(self._bar(self._now))
        if self._note:
            parts.append(Text(self._note, style="yellow", overflow="ellipsis", no_wrap=True))
        return Group(*parts)

    def _head(self) -> Text:
        config = self.run.config
        seconds = duration(time.monotonic() - self._started)
        found = Text.assemble(
            (config["task"], "bold"), f"  on {self.run.device.name}  seed {config['seed']}  {seconds}  ",
            (str(self.run.out), "dim"),
        )  # fmt: skip
        found.no_wrap, found.overflow = True, "ellipsis"
        return found

    def _table(self) -> Table:
        shown = self._rows[-max(1, self.console.height - _AROUND) :]
        hidden = len(self._rows) - len(shown)
        parts = any(row.part is not None for row in self._rows)
        epochs = any(row.position.epochs for row in shown)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, caption_justify="left")
        if parts:
            table.add_column("part", no_wrap=True)
        for name in (*(("epoch",) if epochs else ()), "step"):
            table.add_column(name, justify="right", no_wrap=True)
        used = 8 * (2 + epochs) + (2 + max(len(row.part or "") for row in shown) if parts else 0)
        names, left_out = self._columns(shown, self.console.width - used)
        for name in names:
            table.add_column(name, justify="right", no_wrap=True, min_width=_NARROWEST)
        table.add_column("time", justify="right", no_wrap=True, style="dim")
        for row in shown:
            table.add_row(*self._cells(row, names, parts, epochs))
        notes = [f"{hidden} earlier rows"] * bool(hidden) + [f"no room for {', '.join(left_out)}"] * bool(left_out)
        if notes:
            table.caption = Text("; ".join(notes), style="dim italic", overflow="ellipsis", no_wrap=True)
        return table

    def _columns(self, rows: list[_Row], width: int) -> tuple[list[str], list[str]]:
        """The figures that there is room for, in the order they came, and those there is none for."""
        names = list(dict.fromkeys(name for row in rows for name in row.figures))
        shown: list[str] = []
        for name in names:
            width -= 2 + max(_NARROWEST, len(name))
            if width < 0 and shown:
                break
            shown.append(name)
        return shown, names[len(shown) :]

    def _cells(self, row: _Row, names: list[str], parts: bool, epochs: bool) -> list[str]:
        position = row.position
        cells = [row.part or ""] if parts else []
        if epochs:
            cells.append(f"{position.epoch + 1}/{position.epochs}" if position.epochs else "")
        cells.append(str(position.done))
        cells += [figure_text(row.figures[name]) if name in row.figures else "" for name in names]
        return [*cells, "" if row.seconds is None else duration(row.seconds)]

    def _bar(self, now: _Now) -> RenderableType:
        position, total = now.position, now.position.total
        line = Table.grid(padding=(0, 2))
        cells: list[Any] = [Text(now.part, style="bold")] if now.part else []
        if position.epochs and not now.ending:
            cells.append(f"epoch {min(position.epoch + 1, position.epochs)}/{position.epochs}")
        if total:
            cells += [ProgressBar(total, position.done, width=min(24, max(8, self.console.width // 4))),
                      f"{position.done}/{total}"]  # fmt: skip
        else:
            cells.append(f"{position.done} steps")
        if self._rate:
            cells.append(f"{self._rate:.3g} steps/s" if self._rate < 1000 else f"{self._rate:.0f} steps/s")
        cells.append(self._time_left(now))
        room = self.console.width - sum(2 + len(str(c)) for c in cells if not isinstance(c, ProgressBar)) - 28
        if not now.ending:
            for name, value in now.figures.items():
                text = f"{name} {figure_text(value)}"
                room -= len(text) + 2
                if room < 0:
                    break
                cells.append(Text(text, style="cyan"))
        for _ in cells:
            line.add_column(no_wrap=True)
        line.add_row(*cells)
        return line

    def _time_left(self, now: _Now) -> str:
        position, total = now.position, now.position.total
        if now.ending:
            return now.ending
        if total and self._rate and position.done < total:
            return f"{duration((total - position.done) / self._rate)} left"
        return ""


__all__ = ["WatchTable"]
