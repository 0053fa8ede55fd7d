"""The parts of a run: trainings that follow one another, each with checkpoints, events and lines of its own.

A run with one training has the part ``None``, whose files lie in ``checkpoints/`` and ``events/`` themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corenn.errors import UsageError
from corenn.summary import EventWriter
from corenn.training.callbacks import BackupAndRestore, Callback, JSONLinesLogger, Progress, TensorBoard
from corenn.training.feeding import is_arrays
from corenn.training.run_directory import CHECKPOINTS, EVENTS, METRICS
from corenn.training.run_view import Watching

if TYPE_CHECKING:
    from corenn.training.run import Run

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Part:
    """One training of the run in directory ``out``, and where its files lie."""

    out: Path
    name: str | None

    @property
    def checkpoints(self) -> Path:
        """The directory of its checkpoints."""
        return self.out / CHECKPOINTS / (self.name or "")

    @property
    def events(self) -> Path:
        """The directory of its event files."""
        return self.out / EVENTS / (self.name or "")

    @property
    def metrics(self) -> Path:
        """The file that holds its lines."""
        return self.out / METRICS


class Parts:
    """The parts a run has begun, in order, and their writers."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.begun: list[Part] = []
        self._writers: dict[str, EventWriter] = {}

    def begin(self, where: str, name: str | None) -> Part:
        """The part of that name; UsageError when the name is none, or the part was begun before in this run."""
        if name is not None and (not isinstance(name, str) or _NAME.fullmatch(name) is None):
            raise UsageError(where, f"{name!r} cannot name a part", hint="letters, digits, '_', '-' and '.'")
        taken = [part.name for part in self.begun]
        if name is not None and name.lower() in [t.lower() for t in taken if t is not None]:
            raise UsageError(where, f"the run has a part {name!r} already; a part trains once",
                             hint="give each training a part of its own")  # fmt: skip
        if name is None and None in taken:
            what = "a run trains once without a part: its checkpoints are those of one training"
            raise UsageError(where, what, hint="name the second: run.fit(model, ..., part='second')")
        self.begun.append(Part(self.out, name))
        return self.begun[-1]

    def writer(self, part: Part) -> EventWriter:
        """Writes to the event files of a named part."""
        name = str(part.name)
        if name not in self._writers:
            self._writers[name] = EventWriter(part.events)
        return self._writers[name]

    def close(self) -> None:
        """Close the writers."""
        for writer in self._writers.values():
            writer.close()


def part_callbacks(run: Run, part: Part) -> list[Callback]:
    """What writes a part's files and shows its progress."""
    settings = run.settings
    often: Any = settings.checkpoint_every or "epoch"
    made: list[Callback] = [
        BackupAndRestore(str(part.checkpoints), save_freq=often, delete_checkpoint=False, restore=run.resumed),
        JSONLinesLogger(str(part.metrics), part=part.name),
        TensorBoard(str(part.events), histogram_freq=settings.histograms),
    ]
    if run.view is not None:
        made.append(Watching(run.view, part.name))
    elif not run.quiet:
        made.append(Progress(title=part.name))
    return made


def fit_part(run: Run, model: Any, data: tuple[Any, ...], name: str | None, callbacks: Any, options: Any) -> Any:
    """``model.fit`` as a part of the run; the History.  In a resumed run it goes on where the part stood."""
    part = run.parts.begin("fit", name)
    options.setdefault("epochs", run.settings.epochs)
    options.setdefault("most_steps", run.settings.steps or None)
    if data and is_arrays(data[0]):
        options.setdefault("batch_size", run.settings.batch_size)
    _ = run.writer  # the settings stand in the event file from the start
    # The task's callbacks come first: what they add to the figures is written down, and the positions under which their
    # states are saved do not depend on whether the resumed run is watched.  The request to stop comes last, so that it
    # sees those of this very step.
    watching = [*callbacks, *part_callbacks(run, part), run.stop]
    history = model.fit(*data, callbacks=watching, verbose=0, **options)
    run.steps += history.loop.total_steps
    run.raise_if_stopped()
    return history


__all__ = ["Part", "Parts", "fit_part", "part_callbacks"]
