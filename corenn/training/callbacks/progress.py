"""Progress: a bar on a terminal, a line an epoch elsewhere, a live display in a notebook."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import IO, Any

from corenn.configurable import Configurable
from corenn.errors import AttributeValueError
from corenn.training.callbacks.base import Callback

_WIDTH = 24
_THROTTLE = 0.1  # seconds between redraws
_LINES_IN_NOTEBOOK = 20  # that stay; all are in the history


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    if shell is None:
        return False
    instance = shell.get_ipython()
    return instance is not None and type(instance).__name__ == "ZMQInteractiveShell"


def is_terminal(stream: IO[str]) -> bool:
    """Whether a moving bar makes sense on ``stream``."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")


class Line:
    """One line that is rewritten in place, on a terminal or in a notebook; elsewhere lines follow one another.

    ``verbose``: "auto" (rewritten where that can be seen), 1 (rewritten), 2 (never).  ``stream``: default stderr.
    ``moving`` says whether it is rewritten.
    """

    def __init__(self, verbose: Any = "auto", stream: IO[str] | None = None) -> None:
        self._out = stream if stream is not None else sys.stderr
        self._notebook = stream is None and verbose != 2 and is_notebook()
        self.moving = verbose in (1, True) or (verbose != 2 and (self._notebook or is_terminal(self._out)))
        self._display: Any = None
        self._above: deque[str] = deque(maxlen=_LINES_IN_NOTEBOOK)

    def show(self, line: str, end: str) -> None:
        """Put ``line`` in place of what stands there; with ``end="\\n"`` it stays, and the next begins below it."""
        if self._notebook:
            self._show_in_notebook(line, end)
            return
        if self.moving:
            width = shutil.get_terminal_size().columns
            line = f"\r\x1b[2K{line[: width - 1]}"
        try:
            self._out.write(line + end)
        except UnicodeEncodeError:  # a terminal without these characters
            self._out.write(line.replace("━", "=").replace("─", "-").encode("ascii", "replace").decode() + end)
        self._out.flush()

    def _show_in_notebook(self, line: str, end: str) -> None:
        """One output, which is updated: the last lines that stay, and the present one."""
        display: Any = import_module("IPython.display").display  # it may not be installed, nor is it typed
        data = {"text/plain": "\n".join([*self._above, line])}
        if self._display is None:
            self._display = display(data, raw=True, display_id=True)
        else:
            self._display.update(data, raw=True)
        if end:
            self._above.append(line)


class Progress(Callback, Configurable):
    """Shows how training goes, on ``stream`` (default: stderr).

    ``verbose``: "auto" (a bar on a terminal and in notebooks, else a line an epoch), 1 (bar), 2 (lines).
    ``title``: what each line begins with.
    """

    def __init__(self, verbose: Any = "auto", stream: IO[str] | None = None, title: str | None = None) -> None:
        if verbose not in ("auto", 1, 2):
            raise AttributeValueError("Progress", f"verbose must be 'auto', 1 or 2, not {verbose!r}")
        self.verbose, self.stream, self.title = verbose, stream, title
        self._drawn, self._started, self._begun = 0.0, 0.0, 0

    def on_train_begin(self) -> None:
        """Decide how to show it."""
        self._line = Line(self.verbose, self.stream)
        self._start()

    def _start(self) -> None:
        self._started, self._drawn, self._begun = time.perf_counter(), 0.0, self.loop.step

    def on_epoch_begin(self, epoch: int) -> None:
        """Start the clock."""
        self._start()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Redraw, not too often."""
        now = time.perf_counter()
        if self._line.moving and now - self._drawn >= _THROTTLE:
            self._drawn = now
            self._line.show(self._text(self.loop.epoch, logs, now), end="")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """The epoch's line, without the bar: the figures need the room."""
        self._line.show(self._text(epoch, logs, time.perf_counter(), bar=False), end="\n")

    def _text(self, epoch: int, logs: Mapping[str, float], now: float, bar: bool = True) -> str:
        done, total = self.loop.step, self.loop.steps_per_epoch
        head = ([self.title] if self.title else []) + [f"epoch {epoch + 1}/{self.loop.epochs}"]
        drawn = bar and self._line.moving
        return progress_text(head, done, total, done - self._begun, now - self._started, logs, bar=drawn)

    def on_train_end(self) -> None:
        """Say why training stopped, if it was stopped."""
        if self.loop.stop_reason:
            self._line.show(f"stopped: {self.loop.stop_reason}", end="\n")


def progress_text(
    head: Sequence[str],
    done: int,
    total: int | None,
    made: int,
    seconds: float,
    figures: Mapping[str, float],
    *,
    bar: bool,
) -> str:
    """``head``, steps done, a bar, the time left (at the end: taken), the time of a step, figures, as one line.

    ``made``: the steps among ``done`` that took ``seconds``.
    """
    pace = seconds / max(1, made)
    parts = [*head, f"{done}/{total}" if total else f"{done}"]
    if bar and total:
        full = int(_WIDTH * done / total)
        parts.append("━" * full + "─" * (_WIDTH - full))
    parts.append(duration(pace * (total - done) if total and done < total else seconds))
    parts.append(f"{pace * 1e3:.1f}ms/step" if pace < 1 else f"{pace:.2f}s/step")
    return "  ".join(parts) + "  " + "  ".join(f"{k} {figure_text(v)}" for k, v in figures.items())


def duration(seconds: float) -> str:
    """Seconds for a person: 0.3s, 42s, 3m20s, 2h05m."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02d}s" if whole < 7200 else f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def figure_text(value: float) -> str:
    """Four digits after the point, or an exponent where they would say nothing."""
    size = abs(value)
    return f"{value:.3e}" if value and (size < 1e-3 or size >= 1e5) else f"{value:.4f}"
