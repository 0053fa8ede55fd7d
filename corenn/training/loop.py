"""The fit loop: an object whose whole state can be saved after any step and restored in another process.

The state is everything that decides what comes next: weights, optimizer, random generators, the position in the data,
running metrics, callbacks.  A run that is killed and resumed computes bit for bit what it would have computed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from corenn import random
from corenn.data import Dataset, DatasetIterator
from corenn.data.protocol import INFINITE, UNKNOWN
from corenn.errors import CheckpointError, DataError

if TYPE_CHECKING:
    from corenn.training.callbacks.base import CallbackList
    from corenn.training.model import Model


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
    """Trains ``model`` on ``dataset`` from ``epoch`` to ``epochs``.

    Fields a callback may read: ``epoch`` (0-based), ``step`` (steps done in this epoch), ``total_steps`` (done in all
    epochs), ``steps_per_epoch`` (``None`` if unknown), ``epochs``; and may set: ``stop`` (finish after this step).
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
        self.model, self.dataset, self.epochs = model, dataset, epochs
        self.epoch, self.step, self.total_steps = initial_epoch, 0, 0
        self.stop = False
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

    # ---- running

    def run(self, callbacks: CallbackList, validate: Any = None) -> None:
        """Train until the last epoch, ``most_steps``, or a callback sets ``stop``."""
        self.callbacks = callbacks
        callbacks.call("on_train_begin")
        while self.epoch < self.epochs and not self._finished():
            complete = self._run_epoch(callbacks, validate)
            if not complete:
                break
            self.epoch, self.step = self.epoch + 1, 0
            callbacks.call("on_epoch_saved", self.epoch - 1)
        self._close()
        callbacks.call("on_train_end")

    def _finished(self) -> bool:
        return self.stop or (self.most_steps is not None and self.total_steps >= self.most_steps)

    def _run_epoch(self, callbacks: CallbackList, validate: Any) -> bool:
        """One epoch, or the rest of one; False if it was cut short by ``stop``."""
        if self.step == 0 and self._restored is None:
            self.model.reset_metrics()
        iterator = self._open()
        callbacks.call("on_epoch_begin", self.epoch)
        started, done = time.perf_counter(), 0
        while self.steps_per_epoch is None or self.step < self.steps_per_epoch:
            if self._finished():
                break
            try:
                batch = next(iterator)
            except StopIteration:
                if not self._continuous:
                    break
                batch = self._next_round()
            callbacks.call("on_train_batch_begin", self.step)
            loss = self.model.train_step(batch)
            self.step, self.total_steps, done = self.step + 1, self.total_steps + 1, done + 1
            callbacks.call("on_train_batch_end", self.step - 1, Logs(self.model, loss))
        if self.step == 0:
            raise DataError("fit", "the dataset gave no batches", hint="is it empty, or a generator already read?")
        whole = self.steps_per_epoch is None or self.step >= self.steps_per_epoch
        if self.stop and not whole:
            return False
        self._end_epoch(callbacks, validate, (time.perf_counter() - started) / max(1, done))
        return whole

    def _end_epoch(self, callbacks: CallbackList, validate: Any, step_seconds: float) -> None:
        if not self._continuous:
            self._close()
        if self.steps_per_epoch is None and self.dataset.cardinality() in (UNKNOWN, INFINITE):
            self.steps_per_epoch = None
        logs = self.model.metric_results()
        if validate is not None:
            logs.update(validate(self.epoch))
        self.model.step_seconds = step_seconds
        callbacks.call("on_epoch_end", self.epoch, logs)
        self.history_epochs.append(self.epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def _next_round(self) -> Any:
        """The first batch of the next pass over the data, for epochs counted in steps."""
        passed = self._iterator.epoch if self._iterator is not None else self.epoch
        self._close()
        self._iterator = self.dataset.iterator(passed + 1)
        try:
            return next(self._iterator)
        except StopIteration:
            raise DataError("fit", f"the data ended after {self.total_steps} steps",
                            hint="lower steps_per_epoch, or use Dataset.repeat()") from None  # fmt: skip

    def _open(self) -> DatasetIterator:
        if self._iterator is None:
            self._iterator = self.dataset.iterator(self.epoch)
        if self._restored is not None:
            self._iterator.load_state_dict(self._restored)
            self._restored = None
        return self._iterator

    def _close(self) -> None:
        if self._iterator is not None:
            self._iterator.close()
        self._iterator = None

    # ---- saving and restoring

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides what comes next, as nested dicts of arrays and JSON values."""
        assert self.callbacks is not None  # only a running loop has a state worth saving
        return {
            "model": self.model.state_dict(),
            "random": random.get_state(),
            "data": None if self._iterator is None or self.step == 0 else self._iterator.state_dict(),
            "callbacks": self.callbacks.state_dict(),
            "loop": {
                "epoch": self.epoch,
                "step": self.step,
                "total_steps": self.total_steps,
                "history": self.history,
                "history_epochs": self.history_epochs,
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where ``state_dict`` was taken; CheckpointError if it belongs to another model."""
        missing = {"model", "random", "data", "callbacks", "loop"} - set(state)
        if missing:
            raise CheckpointError("resume", f"the checkpoint lacks {sorted(missing)}", hint="it is not one of a training run")
        self.model.load_state_dict(state["model"])
        random.set_state(state["random"])
        loop = state["loop"]
        self.epoch, self.step, self.total_steps = loop["epoch"], loop["step"], loop["total_steps"]
        self.history = {k: list(v) for k, v in loop["history"].items()}
        self.history_epochs = list(loop["history_epochs"])
        self._close()
        self._restored = state["data"]
        if self.callbacks is not None:
            self.callbacks.load_state_dict(state["callbacks"])
