"""Callbacks that steer: stop early, change the learning rate, stop on NaN or on request."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from corenn.configurable import Configurable
from corenn.errors import AttributeValueError, UsageError, nearest
from corenn.training.callbacks.base import MOMENTS, Callback
from corenn.training.callbacks.monitor import Monitor


class EarlyStopping(Callback, Configurable):
    """Stops when ``monitor`` has not improved by more than ``min_delta`` for ``patience`` epochs.

    ``baseline``: a value that must be beaten too.  ``restore_best_weights``: go back to the best epoch's weights at the
    end.  ``start_from_epoch``: epochs before it do not count.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        self.monitor, self.min_delta, self.patience, self.mode = monitor, min_delta, patience, mode
        self.baseline, self.restore_best_weights, self.start_from_epoch = (
            baseline,
            restore_best_weights,
            start_from_epoch,
        )
        self.reset()

    def reset(self) -> None:
        """Start counting."""
        self._watch = Monitor("EarlyStopping", self.monitor, self.mode, self.min_delta)
        self.wait, self.stopped_epoch, self.best_epoch = 0, None, None
        self._best: list[np.ndarray[Any, Any]] | None = None

    wait: int
    stopped_epoch: int | None
    best_epoch: int | None

    def on_train_begin(self) -> None:
        """Find out which way is better."""
        self._watch.follow(self.model.known_metrics())

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Look at the figure."""
        value = self._watch.read(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self._best is None:
            self._best, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._watch.improved(value):
            self.best_epoch = epoch
            if self.restore_best_weights:
                self._best = self.model.get_weights()
            if self.baseline is None or self._watch.better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.loop.stop, self.loop.stop_reason = True, f"{self.monitor} has not improved for {self.wait} epochs"

    def on_train_end(self) -> None:
        """Go back to the best weights, if asked to."""
        if self.restore_best_weights and self._best is not None:
            self.model.set_weights(self._best)

    def state_dict(self) -> dict[str, Any]:
        """Counters and the best weights."""
        return {"wait": self.wait, "best": self._watch.best, "best_epoch": self.best_epoch, "weights": self._best,
                "stopped_epoch": self.stopped_epoch}  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self.wait, self._watch.best, self.best_epoch = state["wait"], state["best"], state["best_epoch"]
        self.stopped_epoch = state["stopped_epoch"]
        self._best = None if state["weights"] is None else list(state["weights"])


class ReduceLROnPlateau(Callback, Configurable):
    """Multiplies the learning rate by ``factor`` when ``monitor`` has not improved for ``patience`` epochs.

    After a reduction ``cooldown`` epochs do not count; the rate stays at least ``min_lr``.  Adds ``learning_rate`` to
    the logs.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not 0 <= factor < 1:
            raise AttributeValueError("ReduceLROnPlateau", f"factor must lie in [0, 1), not {factor!r}")
        self.monitor, self.factor, self.patience, self.mode = monitor, factor, patience, mode
        self.min_delta, self.cooldown, self.min_lr = min_delta, cooldown, min_lr
        self.reset()

    def reset(self) -> None:
        """Start counting."""
        self._watch = Monitor("ReduceLROnPlateau", self.monitor, self.mode, self.min_delta)
        self.wait, self.cooling = 0, 0

    def on_train_begin(self) -> None:
        """Find out which way is better; UsageError for an optimizer whose rate follows a schedule."""
        _require_constant_rate("ReduceLROnPlateau", self.model)
        self._watch.follow(self.model.known_metrics())

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Look at the figure; reduce if it has stalled."""
        rate = float(self.model.optimizer.learning_rate)
        logs["learning_rate"] = rate
        value = self._watch.read(logs)
        if value is None:
            return
        if self.cooling > 0:
            self.cooling -= 1
            self.wait = 0
        if self._watch.improved(value):
            self.wait = 0
        elif self.cooling <= 0:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                self.model.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                self.cooling, self.wait = self.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        """Counters."""
        return {"wait": self.wait, "cooling": self.cooling, "best": self._watch.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self.wait, self.cooling, self._watch.best = state["wait"], state["cooling"], state["best"]


def _require_constant_rate(where: str, model: Any) -> None:
    if model.optimizer.schedule is not None:
        raise UsageError(where, "the optimizer's learning rate follows a schedule already",
                         hint="give the optimizer a float as its learning_rate")  # fmt: skip


class LearningRateScheduler(Callback, Configurable):
    """Sets the learning rate before each epoch to ``schedule(epoch, present rate)``; adds it to the logs."""

    def __init__(self, schedule: Callable[[int, float], float]) -> None:
        self.schedule = schedule

    def on_train_begin(self) -> None:
        """UsageError for an optimizer whose rate follows a schedule of its own."""
        _require_constant_rate("LearningRateScheduler", self.model)

    def on_epoch_begin(self, epoch: int) -> None:
        """Set the rate."""
        rate = self.schedule(epoch, float(self.model.optimizer.learning_rate))
        if not isinstance(rate, (int, float, np.floating)):
            raise AttributeValueError("LearningRateScheduler", f"the schedule returned {rate!r}, not a number")
        self.model.optimizer.learning_rate = float(rate)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Log the rate."""
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class TerminateOnNaN(Callback, Configurable):
    """Stops when the loss of a batch is NaN or infinite."""

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Look at the loss."""
        loss = getattr(logs, "batch_loss", None)
        value = loss if loss is not None else logs.get("loss", 0.0)
        if not math.isfinite(value):
            self.loop.stop, self.loop.stop_reason = True, f"the loss of batch {batch} is {value}"


class LambdaCallback(Callback):
    """Functions for single moments: ``LambdaCallback(on_epoch_end=lambda epoch, logs: ...)``.

    Each takes what the method of ``Callback`` of that name takes.  UsageError for a moment there is not.
    """

    def __init__(self, **functions: Callable[..., Any]) -> None:
        for moment, function in functions.items():
            if moment not in MOMENTS:
                raise UsageError("LambdaCallback", f"there is no moment {moment!r}", hint=nearest(moment, MOMENTS))
            if not callable(function):
                raise UsageError("LambdaCallback", f"{moment} must be a function, not {function!r}")
            setattr(self, moment, function)


class StopOnRequest(Callback):
    """Lets another thread or a signal handler end training after the step in hand: ``request(reason)``.

    The run counts as interrupted: ``BackupAndRestore`` keeps its state, to go on from there.
    """

    def __init__(self) -> None:
        self.reason: str | None = None

    def request(self, reason: str) -> None:
        """Ask for the end."""
        self.reason = reason

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Stop, if asked to."""
        if self.reason is not None:
            self.loop.stop = self.loop.interrupted = True
            self.loop.stop_reason = self.reason

    def on_train_begin(self) -> None:
        """Stop before the first step, if asked to by then."""
        self.on_train_batch_end(0, {})
