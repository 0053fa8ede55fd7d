"""Callbacks that write figures down: History, CSV, JSON lines, TensorBoard."""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from corenn.configurable import Configurable
from corenn.errors import AttributeValueError
from corenn.training.callbacks.base import Callback


class History(Callback, Configurable):
    """What ``fit`` returns: ``history`` maps each figure to its values by epoch, ``epoch`` lists the epochs."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self) -> None:
        """The loop keeps the figures, so that a resumed run has all of them."""
        self.history, self.epoch = self.loop.history, self.loop.history_epochs

    @property
    def params(self) -> dict[str, Any]:
        """Epochs and steps of the run."""
        return {"epochs": self.loop.epochs, "steps": self.loop.steps_per_epoch}


class CSVLogger(Callback, Configurable):
    """One row an epoch: ``epoch`` (0-based) and the logs in alphabetical order; a missing figure is "NA".

    ``append``: add to the rows of an earlier run.  A resumed run keeps the rows of the epochs it has behind it.
    """

    def __init__(self, filename: str, separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = str(filename), separator, append
        self._names: list[str] | None = None

    def on_train_begin(self) -> None:
        """Start the file, or find out what stands in it."""
        path = Path(self.filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._names = None
        rows: list[list[str]] = []
        if path.exists() and (self.append or self.loop.history_epochs):
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.reader(file, delimiter=self.separator) if row]
        if rows:
            self._names = rows[0][1:]
            if not self.append:
                kept = {str(epoch) for epoch in self.loop.history_epochs}
                rows = [rows[0], *(row for row in rows[1:] if row[0] in kept and len(row) == len(rows[0]))]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=self.separator).writerows(rows)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write a row."""
        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if self._names is None:
                self._names = sorted(logs)
                writer.writerow(["epoch", *self._names])
            writer.writerow([epoch, *(logs.get(n, "NA") for n in self._names)])


class JSONLines:
    """The lines of one ``part`` in a file of JSON objects, one a line, that several parts may share.

    A record carries ``"part"`` unless that is ``None``; a figure that is not finite is ``null``.
    """

    def __init__(self, path: str | Path, part: str | None = None) -> None:
        self.path, self.part = Path(path), part

    def keep(self, holds: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Drop those of this part that do not hold, and lines cut off by a kill; returns those of this part that stay.

        A reader sees the file as it was or as it is now.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        before = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        kept: list[str] = []
        own: list[dict[str, Any]] = []
        for line in before.splitlines():
            record = _record(line)
            if record is None:
                continue
            if record.get("part") == self.part:
                if not holds(record):
                    continue
                own.append(record)
            kept.append(line + "\n")
        if "".join(kept) != before or not self.path.exists():
            temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            temporary.write_text("".join(kept), encoding="utf-8")
            os.replace(temporary, self.path)
        return own

    def write(self, kind: str, fields: Mapping[str, Any], figures: Mapping[str, float]) -> dict[str, Any]:
        """Append ``{"kind", "part", fields..., figures...}``; returns it."""
        named = {} if self.part is None else {"part": self.part}
        finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        record = {"kind": kind, **named, **fields, **finite}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        return record


def _record(line: str) -> dict[str, Any] | None:
    """The object in a line, ``None`` if there is none: the line was cut off when the process was killed."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class JSONLinesLogger(Callback, Configurable):
    """One JSON object a line: ``{"kind": "epoch", "epoch", "step", "seconds", figures...}``; not finite is ``null``.

    ``every``: also one of kind "step" every so many steps (0 for none).  After a resume, lines of steps and epochs that
    are computed again are dropped from the file first, so that each stands there once.  With a ``part`` the objects
    carry ``"part"``, and lines of other parts in the file are left alone.
    """

    def __init__(self, filename: str, every: int = 0, part: str | None = None) -> None:
        if not isinstance(every, int) or every < 0:
            raise AttributeValueError("JSONLinesLogger", f"every must be a number of steps, or 0, not {every!r}")
        self.filename, self.every, self.part = str(filename), every, part
        self._lines = JSONLines(self.filename, part)
        self._started = 0.0

    def on_train_begin(self) -> None:
        """Start a new file, or continue one."""
        self._started = time.perf_counter()
        self._lines.keep(self._holds)

    def _holds(self, record: Mapping[str, Any]) -> bool:
        """Whether a line of the run that is resumed is about what it has behind it."""
        try:
            if record["kind"] == "epoch":
                return record["epoch"] in self.loop.history_epochs
            return bool(0 < record["step"] <= self.loop.total_steps)
        except (KeyError, TypeError):
            return False

    def _write(self, kind: str, epoch: int, logs: Mapping[str, float]) -> None:
        seconds = round(time.perf_counter() - self._started, 6)
        self._lines.write(kind, {"epoch": epoch, "step": self.loop.total_steps, "seconds": seconds}, logs)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Write a line every so many steps."""
        if self.every and self.loop.total_steps % self.every == 0:
            self._write("step", self.loop.epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write a line."""
        self._write("epoch", epoch, logs)


class TensorBoard(Callback, Configurable):
    """Event files that TensorBoard reads, under ``log_dir``: ``train/`` and ``validation/``.

    Tags: ``epoch_<figure>``; with ``update_freq="batch"`` or a number of steps also ``batch_<figure>``.
    ``histogram_freq``: every so many epochs the weights, as ``<layer>/<weight>/histogram``.
    """

    def __init__(
        self,
        log_dir: str = "logs",
        histogram_freq: int = 0,
        write_steps_per_second: bool = False,
        update_freq: Literal["epoch", "batch"] | int = "epoch",
    ) -> None:
        if update_freq not in ("epoch", "batch") and not (type(update_freq) is int and update_freq > 0):
            what = f"update_freq must be 'epoch', 'batch' or a number of steps, not {update_freq!r}"
            raise AttributeValueError("TensorBoard", what)
        self.log_dir, self.histogram_freq = str(log_dir), histogram_freq
        self.write_steps_per_second, self.update_freq = write_steps_per_second, update_freq
        self._writers: dict[str, Any] = {}
        self._last = 0.0

    def _writer(self, part: str) -> Any:
        if part not in self._writers:
            from corenn.summary import create_file_writer

            self._writers[part] = create_file_writer(str(Path(self.log_dir) / part))
        return self._writers[part]

    def on_train_begin(self) -> None:
        """Start the clock."""
        self._last = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Write the running figures, if batches are counted."""
        every = 1 if self.update_freq == "batch" else self.update_freq
        if isinstance(every, int) and self.loop.total_steps % every == 0:
            writer, step, now = self._writer("train"), self.loop.total_steps, time.perf_counter()
            for name, value in logs.items():
                writer.scalar(f"batch_{name}", value, step)
            if self.write_steps_per_second:
                writer.scalar("batch_steps_per_second", every / max(1e-9, now - self._last), step)
            self._last = now

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write the epoch's figures, and histograms if it is time."""
        for name, value in logs.items():
            part = "validation" if name.startswith("val_") else "train"
            self._writer(part).scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for name, variable in zip(self.model.weight_names(), self.model.weights, strict=True):
                self._writer("train").histogram(f"{name}/histogram", variable.numpy(), epoch)
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
