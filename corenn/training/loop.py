"""The fit loop: an object whose whole state can be saved after any step and restored in another process.

The state is everything that decides what comes next: weights, optimizer, random generators, the position in the data,
running metrics, callbacks.  A run that is killed and resumed computes bit for bit what it would have computed.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from corenn.data import INFINITE, Dataset, DatasetIterator
from corenn.errors import CheckpointError, CorennError, DataError, UsageError
from corenn.layers.phase import structure_changed
from corenn.ops import random
from corenn.training.feeding import advise

if TYPE_CHECKING:
    from corenn.training.callbacks.base import CallbackList
    from corenn.training.model import Model

Validate = Callable[[int], dict[str, float]]


class TrainingWarning(UserWarning):
    """Training goes on, but cannot succeed as it is."""


class Logs(Mapping[str, float]):
    """The figures of a step, read from the device only when somebody looks at them."""

    def __init__(self, model: Model, loss: Any) -> None:
        self._model, self._loss = model, loss
        self._values: dict[str, float] | None = None

    def _read(self) -> dict[str, float]:
        if self._values is None:
            self._values = self._model.metric_results()
        return self._values

    def __getitem__(self, key: str) -> float:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    @property
    def batch_loss(self) -> float:
        """The loss of this batch alone."""
        return float(self._loss)


class Loop:
    """Trains ``model`` on ``dataset`` from ``initial_epoch`` to ``epochs``.

    Fields a callback may read: ``epoch`` (0-based), ``step`` (steps done in this epoch), ``total_steps`` (done in all
    epochs), ``steps_per_epoch`` (``None`` if unknown), ``epochs``; and may set: ``stop`` (training is over after this
    step), with ``stop_reason``, and ``interrupted`` (it is to go on later from the saved state).
    """

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        *,
        epochs: int,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        most_steps: int | None = None,
    ) -> None:
        for name, value, least in (("epochs", epochs, 0), ("initial_epoch", initial_epoch, 0),
                                   ("steps_per_epoch", steps_per_epoch, 1), ("most_steps", most_steps, 0)):  # fmt: skip
            if value is not None and (not isinstance(value, (int, np.integer)) or value < least):
                raise UsageError("fit", f"{name} must be an integer of at least {least}, not {value!r}")
        self.model, self.dataset, self.epochs = model, dataset, epochs
        self.epoch, self.step, self.total_steps = initial_epoch, 0, 0
        self.stop = self.interrupted = False
        self.stop_reason: str | None = None
        self.most_steps = most_steps
        self.history: dict[str, list[float]] = {}
        self.history_epochs: list[int] = []
        self._continuous = steps_per_epoch is not None  # the data goes on where the last epoch stopped
        known = dataset.cardinality()
        self.steps_per_epoch = steps_per_epoch if steps_per_epoch is not None else known if known >= 0 else None
        if self.steps_per_epoch is None and known == INFINITE:
            raise DataError("fit", "the dataset never ends", hint="give steps_per_epoch")
        self._iterator: DatasetIterator | None = None
        self._restored: dict[str, Any] | None = None
        self.callbacks: CallbackList | None = None
        self._warned = False

    # ---- running

    def run(self, callbacks: CallbackList, validate: Validate | None = None) -> None:
        """Train until the last epoch, ``most_steps``, or a callback sets ``stop``."""
        self.callbacks = callbacks
        callbacks.reset()
        try:
            callbacks.call("on_restore")
            callbacks.call("on_train_begin")
            if self.step and not self.stop and self._finished():  # resumed where most_steps cut an epoch short
                self._end_epoch(callbacks, validate)
            while self.epoch < self.epochs and not self._finished():
                if not self._run_epoch(callbacks, validate):
                    break
            callbacks.call("on_train_end")
        finally:
            self._close()
            callbacks.close()

    def _finished(self) -> bool:
        return self.stop or (self.most_steps is not None and self.total_steps >= self.most_steps)

    def _run_epoch(self, callbacks: CallbackList, validate: Validate | None) -> bool:
        """One epoch, or the rest of one; False if it was cut short."""
        structure_changed()  # a callback may have put layers into lists, which nobody notices
        if self.step == 0:
            self.model.reset_metrics()
            callbacks.call("on_epoch_begin", self.epoch)
        started, before = time.perf_counter(), self.step
        whole = self._run_steps(callbacks, self._open())
        self.model.step_seconds = (time.perf_counter() - started) / max(1, self.step - before)
        if not whole:
            callbacks.call("on_interrupted")
            if not self.stop:  # most_steps: the part of the epoch counts as one in the figures
                self._end_epoch(callbacks, validate)
            return False
        self._end_epoch(callbacks, validate)
        self.epoch, self.step = self.epoch + 1, 0
        callbacks.call("on_epoch_saved", self.epoch - 1)
        if not self._continuous:
            self._close()
        return True

    def _run_steps(self, callbacks: CallbackList, iterator: DatasetIterator) -> bool:
        """The steps of an epoch that are left; False if there are more."""
        begins, ends, saves = (
            callbacks.bound(m) for m in ("on_train_batch_begin", "on_train_batch_end", "on_batch_saved")
        )
        train_step = self.model.train_step
        while self.steps_per_epoch is None or self.step < self.steps_per_epoch:
            if self._finished():
                return False
            try:
                batch = next(iterator)
            except StopIteration:
                if not self._continuous:
                    break
                iterator, batch = self._next_pass()
            for begin in begins:
                begin(self.step)
            try:
                loss = train_step(batch)
            except CorennError as error:
                advise(error, batch)
                raise
            self.step, self.total_steps = self.step + 1, self.total_steps + 1
            if ends:
                logs = Logs(self.model, loss)
                for end in ends:
                    end(self.step - 1, logs)
            for save in saves:
                save(self.step - 1)
        if self.step == 0:
            what = "the data gave no batches" + (f" in epoch {self.epoch + 1}" if self.epoch else "")
            hint = "a generator can be read once: pass the function that makes it, or give steps_per_epoch"
            raise DataError("fit", what, hint=hint)
        return True

    def _end_epoch(self, callbacks: CallbackList, validate: Validate | None) -> None:
        logs = self.model.metric_results()
        if not math.isfinite(logs.get("loss", 0.0)) and not self.stop:
            self._warn_of(logs["loss"])
        if validate is not None:
            logs.update(validate(self.epoch))
        callbacks.call("on_epoch_end", self.epoch, logs)
        self.history_epochs.append(self.epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def _warn_of(self, loss: float) -> None:
        """Say once that training has come to nothing, and where to look."""
        if not self._warned:
            self._warned = True
            text = (
                f"the loss is {loss} in epoch {self.epoch + 1}: lower the learning rate, look for NaN in the data, and "
                "give a cross-entropy from_logits=True if the model ends without softmax or sigmoid; "
                "corenn.training.TerminateOnNaN() stops at once"
            )
            warnings.warn(text, TrainingWarning, stacklevel=7)  # the line that called fit

    # ---- data

    def _open(self) -> DatasetIterator:
        if self._iterator is None:
            self._iterator = self.dataset.iterator(self.epoch)
            if self._restored is not None:
                self._iterator.load_state_dict(self._restored)
                self._restored = None
        return self._iterator

    def _next_pass(self) -> tuple[DatasetIterator, Any]:
        """The next pass over the data and its first batch, for epochs counted in steps."""
        passed = self._iterator.epoch if self._iterator is not None else self.epoch
        self._close()
        self._iterator = self.dataset.iterator(passed + 1)
        try:
            return self._iterator, next(self._iterator)
        except StopIteration:
            raise DataError("fit", f"the data ended after {self.total_steps} steps",
                            hint="lower steps_per_epoch, or use Dataset.repeat()") from None  # fmt: skip

    def _close(self) -> None:
        if self._iterator is not None:
            self._iterator.close()
        self._iterator = None

    def _data_state(self) -> dict[str, Any]:
        iterator = self._iterator
        if iterator is None:
            with self.dataset.iterator(self.epoch) as fresh:
                state = self._restored or fresh.state_dict()
        else:
            state = iterator.state_dict()
        # Between epochs only the seeds matter; a position would make generators run again for nothing.
        return state if self.step or self._continuous else {**state, "position": None}

    # ---- saving and restoring

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides what comes next, as nested dicts of arrays and JSON values.

        DataError when the data's position cannot be saved (``map(..., deterministic=False)``).
        """
        if self.callbacks is None:
            raise UsageError("Loop.state_dict", "the loop is not running", hint="call it from a callback")
        return {
            "model": self.model.state_dict(),
            "random": random.get_state(),
            "data": self._data_state(),
            "callbacks": self.callbacks.state_dict(),
            "loop": {
                "epoch": self.epoch,
                "step": self.step,
                "total_steps": self.total_steps,
                "stopped": self.stop and not self.interrupted,
                "stop_reason": self.stop_reason,
                "history": {name: list(values) for name, values in self.history.items()},
                "history_epochs": list(self.history_epochs),
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where ``state_dict`` was taken; CheckpointError if it belongs to another model or pipeline."""
        missing = {"model", "random", "data", "callbacks", "loop"} - set(state)
        if missing:
            what = f"the checkpoint lacks {', '.join(sorted(missing))}"
            raise CheckpointError("resume", what, hint="it is not one of a training run")
        self.model.load_state_dict(state["model"])
        loop = state["loop"]
        self.epoch, self.step, self.total_steps = loop["epoch"], loop["step"], loop["total_steps"]
        self.history = {k: list(v) for k, v in loop["history"].items()}
        self.history_epochs = list(loop["history_epochs"])
        self.stop, self.stop_reason = loop["stopped"], loop["stop_reason"] if loop["stopped"] else None
        self._close()
        self._restored = state["data"]
        if not self.step and not self._continuous:
            with self.dataset.iterator(self.epoch) as iterator:
                iterator.load_state_dict(state["data"])  # the seeds of its shuffles
            self._restored = None
        if self.callbacks is not None:
            self.callbacks.load_state_dict(state["callbacks"])
        random.set_state(state["random"])


__all__ = ["Logs", "Loop", "TrainingWarning"]
