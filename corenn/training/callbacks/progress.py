"""Progress: a bar on a terminal, a line an epoch elsewhere, a live display in a notebook."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from typing import IO, Any

from corenn.configurable import Configurable
from corenn.errors import AttributeValueError
from corenn.training.callbacks.base import Callback

_WIDTH = 24
_THROTTLE = 0.1  # seconds between redraws


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


class Progress(Callback, Configurable):
    """Shows how training goes, on ``stream`` (default: stderr).

    ``verbose``: "auto" (a bar on a terminal and in notebooks, else a line an epoch), 1 (bar), 2 (lines).
    """

    def __init__(self, verbose: Any = "auto", stream: IO[str] | None = None) -> None:
        if verbose not in ("auto", 1, 2):
            raise AttributeValueError("Progress", f"verbose must be 'auto', 1 or 2, not {verbose!r}")
        self.verbose, self.stream = verbose, stream
        self._drawn, self._started, self._begun = 0.0, 0.0, 0
        self._display: Any = None

    def on_train_begin(self) -> None:
        """Decide how to show it."""
        out = self._out = self.stream if self.stream is not None else sys.stderr
        self._notebook = self.stream is None and self.verbose != 2 and is_notebook()
        self._bar = self.verbose in (1, True) or (self.verbose != 2 and (self._notebook or is_terminal(out)))
        self._start()

    def _start(self) -> None:
        self._started, self._drawn, self._begun = time.perf_counter(), 0.0, self.loop.step

    def on_epoch_begin(self, epoch: int) -> None:
        """Start the clock."""
        self._start()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Redraw, not too often."""
        now = time.perf_counter()
        if self._bar and now - self._drawn >= _THROTTLE:
            self._drawn = now
            self._show(self._line(self.loop.epoch, logs, now), end="")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """The epoch's line, without the bar: the figures need the room."""
        self._show(self._line(epoch, logs, time.perf_counter(), bar=False), end="\n")

    def _line(self, epoch: int, logs: Mapping[str, float], now: float, bar: bool = True) -> str:
        done, total = self.loop.step, self.loop.steps_per_epoch
        seconds = now - self._started
        pace = seconds / max(1, done - self._begun)
        parts = [f"epoch {epoch + 1}/{self.loop.epochs}", f"{done}/{total}" if total else f"{done}"]
        if bar and self._bar and total:
            full = int(_WIDTH * done / total)
            parts.append("━" * full + "─" * (_WIDTH - full))
        left = pace * (total - done) if total and done < total else seconds
        parts.append(f"{left:.0f}s" if left >= 10 else f"{left:.1f}s")
        parts.append(_pace(pace))
        return "  ".join(parts) + "  " + "  ".join(f"{k} {_figure(v)}" for k, v in logs.items())

    def _show(self, line: str, end: str) -> None:
        if self._notebook:
            self._show_in_notebook(line, end)
            return
        if self._bar:
            width = shutil.get_terminal_size().columns
            line = f"\r\x1b[2K{line[: width - 1]}"
        try:
            self._out.write(line + end)
        except UnicodeEncodeError:  # a terminal without these characters
            self._out.write(line.replace("━", "=").replace("─", "-").encode("ascii", "replace").decode() + end)
        self._out.flush()

    def _show_in_notebook(self, line: str, end: str) -> None:
        from IPython.display import display  # type: ignore[import-not-found]

        data = {"text/plain": line}
        if self._display is None:
            self._display = display(data, raw=True, display_id=True)
        else:
            self._display.update(data, raw=True)
        if end:
            self._display = None

    def on_train_end(self) -> None:
        """Say why training stopped, if it was stopped."""
        if self.loop.stop_reason:
            self._show(f"stopped: {self.loop.stop_reason}", end="\n")


def _pace(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}ms/step" if seconds < 1 else f"{seconds:.2f}s/step"


def _figure(value: float) -> str:
    size = abs(value)
    return f"{value:.3e}" if value and (size < 1e-3 or size >= 1e5) else f"{value:.4f}"
