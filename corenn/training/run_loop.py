"""``RunLoop``: a training loop that a task writes by hand, saved and resumed by its run.

::

    loop = run.loop(weights=w, optimizer=optimizer, losses=losses)
    for step in loop.steps(1000):
        ...
        loop.log(step, loss=loss)

Whatever state is tracked, the position and the default random generator are saved together, so a run that is killed and
resumed computes bit for bit what it would have computed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from corenn.checkpoint import CheckpointManager, pack_state, unpack_state
from corenn.errors import AttributeValueError, CheckpointError, UsageError
from corenn.ops import random
from corenn.summary import EventWriter
from corenn.training.callbacks.logging import JSONLines
from corenn.training.run_parts import Part
from corenn.training.run_view import LoopProgress, Position, RunView
from corenn.training.tracking import capture, check_tracked, restore

if TYPE_CHECKING:
    from corenn.training.run import Run

_KEEP = 2
_FIELDS = ("kind", "part", "step", "seconds")
_STATE = ("tracked", "random", "loop")


class RunLoop:
    """A loop over numbered steps, made by ``Run.loop``.

    ``done``: steps behind it, those of an interrupted process included.  ``total``: the end that ``steps`` was given.
    ``resumed``: whether the tracked state came from a checkpoint.  ``records``: what ``log`` wrote, as dicts.
    """

    def __init__(self, run: Run, part: Part, tracked: dict[str, Any]) -> None:
        for name, value in tracked.items():
            check_tracked(name, value)
        self._run, self._part, self._tracked = run, part, tracked
        self.done, self.total = 0, 0
        self.resumed, self.stopped = False, False
        self._inside = False  # a step is in hand
        self.records: list[dict[str, Any]] = []
        self._manager = CheckpointManager(part.checkpoints, keep=_KEEP)
        self._lines = JSONLines(part.metrics, part.name)
        self._started = time.perf_counter()
        self._random: Any = None  # of the checkpoint; it is due when the first step begins
        self._saved: tuple[int, bool] | None = None
        _ = run.writer  # the settings stand in the event file from the start
        if run.resumed and self._manager.all():
            self._restore()
        else:
            self._lines.keep(lambda record: False)
        self._view: RunView | None = run.view
        if self._view is None and not run.quiet:
            self._view = LoopProgress()

    @property
    def writer(self) -> EventWriter:
        """Writes to the part's event files: ``loop.writer.image("tag", images, step)``."""
        return self._run.writer if self._part.name is None else self._run.parts.writer(self._part)

    # ---- the loop

    def steps(self, total: int, save_every: int = 0) -> Iterator[int]:
        """The numbers from ``done`` to ``total``, 0-based; fewer where ``settings.steps`` ends the run before.

        The state is saved every ``settings.checkpoint_every`` steps (if that is 0, every ``save_every``), and at the
        end.  Raises Interrupted after saving when a signal came, once the step in hand is done.  To end early, call
        ``stop()``: after a ``break`` the step in hand is neither counted nor saved.
        """
        if isinstance(total, bool) or not isinstance(total, int) or total < 0:
            raise AttributeValueError("steps", f"the number of steps must be an int >= 0, not {total!r}")
        limit, run = self._run.settings.steps, self._run
        self.total = min(total, limit) if limit else total
        often = run.settings.checkpoint_every or save_every
        if self._random is not None:
            random.set_state(self._random)
        self._began()
        self._leave_if_stopped()
        while self.done < self.total and not self.stopped:
            self._random = None
            self._inside = True
            yield self.done
            self._inside = False
            self.done += 1
            run.steps += 1
            if self._view is not None:
                self._view.step(self._part.name, self._position(), self._last_figures())
            self._leave_if_stopped()
            if often and self.done % often == 0:
                self.save()
        self.save()
        if self._view is not None:
            self._view.part_ends(self._part.name, self._position(), None)

    def stop(self) -> None:
        """End the loop after the step in hand; a resumed run knows that it has ended."""
        self.stopped = True

    def _leave_if_stopped(self) -> None:
        if self._run.signum is not None:
            self.save()
            if self._view is not None:
                self._view.part_ends(self._part.name, self._position(), "")
            self._run.raise_if_stopped()

    # ---- figures

    def log(self, step: int, /, **figures: Any) -> None:
        """Write figures (numbers, tensors of one element) to ``metrics.jsonl`` and TensorBoard, under ``step``."""
        wrong = next((name for name in figures if name in _FIELDS), None)
        if wrong is not None:
            raise UsageError("log", f"no figure can be called {wrong!r}", hint=f"{', '.join(_FIELDS)} have a meaning")
        values = {name: float(value) for name, value in figures.items()}
        place = {"step": int(step), "seconds": round(time.perf_counter() - self._started, 6)}
        self.records.append(self._lines.write("step", place, values))
        for name, value in values.items():
            self.writer.scalar(name, value, int(step))
        if self._view is not None:
            self._view.row(self._part.name, Position(self.done + self._inside, self.total), values)

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of a figure, from the first step of the run on; one that was not finite is left out."""
        found = [(r["step"], r[name]) for r in self.records if r.get(name) is not None]
        return [step for step, _ in found], [value for _, value in found]

    def _last_figures(self) -> dict[str, float]:
        return _figures(self.records[-1]) if self.records else {}

    def _position(self) -> Position:
        return Position(self.done, self.total)

    def _began(self) -> None:
        if self._view is None:
            return
        self._view.part_begins(self._part.name, self._position())
        for record in self.records:  # those of the interrupted process
            place = Position(min(int(record["step"]), self.done), self.total)
            self._view.row(self._part.name, place, _figures(record))

    # ---- saving and restoring

    def save(self) -> None:
        """Save now (once for each state)."""
        if self._saved == (self.done, self.stopped):
            return
        state = {
            "tracked": {name: capture(value) for name, value in self._tracked.items()},
            "random": random.get_state() if self._random is None else self._random,
            "loop": {"done": self.done, "stopped": self.stopped, "lines": len(self.records)},
        }
        self._manager.save(self.done, *pack_state({"state": state}))
        self.writer.flush()
        self._saved = self.done, self.stopped

    def _restore(self) -> None:
        found = self._manager.load(None)
        state = unpack_state(found.tensors, found.metadata)["state"]
        where = str(found.path)
        if not all(name in state for name in _STATE):
            raise CheckpointError(where, "it is not one of run.loop", hint="was the part trained by run.fit before?")
        saved = state["tracked"]
        if saved.keys() != self._tracked.keys():
            shown = {"saved": ", ".join(saved) or "nothing", "tracked": ", ".join(self._tracked) or "nothing"}
            raise CheckpointError(where, "other things are tracked now", shown, hint="track what the saved run tracked")
        for name, value in self._tracked.items():
            restore(name, value, saved[name])
        loop = state["loop"]
        self.done, self.stopped, self._random = loop["done"], loop["stopped"], state["random"]
        self._run.steps += self.done
        self.resumed, self._saved = True, (self.done, self.stopped)
        numbers = iter(range(loop["lines"]))
        self.records = self._lines.keep(lambda record: next(numbers, None) is not None)


def _figures(record: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in record.items() if name not in _FIELDS and value is not None}


__all__ = ["RunLoop"]
