"""Callbacks that watch a figure: stopping, saving, learning rates."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn_tensorflow.keras.callbacks.base import Callback
from corenn_tensorflow.keras.engine.bridge import known


class _Monitoring(Callback):
    """Base of callbacks that watch a figure."""

    monitor: str
    best: float

    def _direction(self, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            print(f"{type(self).__name__} mode {mode} is unknown, fallback to auto mode.")
            mode = "auto"
        if mode == "auto":
            rising = ("acc", "auc", "precision", "recall", "f1", "fmeasure", "iou")
            mode = "max" if any(word in self.monitor.lower() for word in rising) else "min"
        self.monitor_op: Callable[..., Any] = np.greater if mode == "max" else np.less
        self.min_delta = abs(min_delta) * (1 if mode == "max" else -1)
        self._start = -np.inf if mode == "max" else np.inf
        self.best = self._start

    def _current(self, logs: Any, what: str) -> float | None:
        name = known(logs or {}, self.monitor)
        if name is None:
            print(f"WARNING: {what} conditioned on metric `{self.monitor}` which is not available. "
                  f"Available metrics are: {','.join(logs or ())}")  # fmt: skip
            return None
        return float(logs[name])


class EarlyStopping(_Monitoring):
    """Stops when a figure has not become better by more than ``min_delta`` for ``patience`` epochs."""

    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0, patience: int = 0, verbose: int = 0, mode: str = "auto",
        baseline: float | None = None, restore_best_weights: bool = False, start_from_epoch: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.monitor, self.patience, self.verbose, self.baseline = monitor, patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.wait = self.stopped_epoch = 0
        self.best_weights: Any = None
        self._direction(mode, min_delta)

    def on_train_begin(self, logs: Any = None) -> None:
        """Start again."""
        self.wait = self.stopped_epoch = 0
        self.best = self._start if self.baseline is None else self.baseline
        self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look."""
        current = self._current(logs, "Early stopping")
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights = self.model.get_weights()
        self.wait += 1
        if self.monitor_op(current - self.min_delta, self.best):
            self.best, self.wait = current, 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
        if self.wait >= self.patience and (epoch > 0 or self.patience == 0):
            self.stopped_epoch = epoch
            self.model.stop_training = True
            if self.restore_best_weights and self.best_weights is not None:
                if self.verbose:
                    print("Restoring model weights from the end of the best epoch.")
                self.model.set_weights(self.best_weights)

    def on_train_end(self, logs: Any = None) -> None:
        """Say so."""
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1:05d}: early stopping")


class ModelCheckpoint(_Monitoring):
    """Saves the model after epochs, or after every ``save_freq`` batches; perhaps only when a figure is the best."""

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        period: int = 1,
        options: Any = None,
        initial_value_threshold: float | None = None,
        load_weights_on_restart: bool = False,
    ) -> None:
        super().__init__()
        self.filepath, self.monitor, self.verbose, self.period = os.fspath(filepath), monitor, verbose, period
        self.save_best_only, self.save_weights_only, self.save_freq = save_best_only, save_weights_only, save_freq
        self._direction(mode)
        if initial_value_threshold is not None:
            self.best = initial_value_threshold
        self._since, self._batches, self._epoch = 0, 0, 0
        self.watches_batches = save_freq != "epoch"

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Save, perhaps."""
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches >= int(self.save_freq):
            self._batches = 0
            self._save(self._epoch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save, perhaps."""
        self._since += 1
        if self.save_freq == "epoch" and self._since >= self.period:
            self._since = 0
            self._save(epoch, logs or {})

    def _save(self, epoch: int, logs: Any) -> None:
        try:
            path = self.filepath.format(epoch=epoch + 1, **_both_names(logs))
        except KeyError as error:
            raise KeyError(f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}') from None
        if self.save_best_only:
            current = self._current(logs, "Can save best model only with metric available:")
            if current is None:
                return
            if not self.monitor_op(current, self.best):
                if self.verbose:
                    print(f"\nEpoch {epoch + 1:05d}: {self.monitor} did not improve from {self.best:.5f}")
                return
            if self.verbose:
                print(f"\nEpoch {epoch + 1:05d}: {self.monitor} improved from {self.best:0.5f} to {current:0.5f}, "
                      f"saving model to {path}")  # fmt: skip
            self.best = current
        elif self.verbose:
            print(f"\nEpoch {epoch + 1:05d}: saving model to {path}")
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)


def _both_names(logs: Any) -> dict[str, Any]:
    found = {k: v for k, v in dict(logs).items() if isinstance(v, (int, float, np.generic))}
    for name, value in list(found.items()):
        for a, b in (("accuracy", "acc"), ("acc", "accuracy")):
            if name.endswith(a):
                found.setdefault(name.removesuffix(a) + b, value)
    return found


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch: ``schedule(epoch)`` or ``schedule(epoch, rate)``."""

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set it."""
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        except TypeError:
            rate = self.schedule(epoch)
        if not isinstance(rate, (float, int, np.generic)):
            raise ValueError(f'The output of the "schedule" function should be float, not {rate!r}.')
        optimizer.learning_rate = float(rate)
        if self.verbose:
            print(f"\nEpoch {epoch + 1:05d}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Report it."""
        if logs is not None:
            logs["lr"] = float(self.model.optimizer.learning_rate)


class ReduceLROnPlateau(_Monitoring):
    """Lowers the learning rate by ``factor`` when a figure has not become better for ``patience`` epochs."""

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, verbose: int = 0, mode: str = "auto",
        min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0, epsilon: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if factor >= 1.0:
            raise ValueError("ReduceLROnPlateau does not support a factor >= 1.0.")
        self.monitor, self.factor, self.patience, self.verbose = monitor, factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self._direction(mode, min_delta if epsilon is None else epsilon)
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Start again."""
        self.best, self.wait, self.cooldown_counter = self._start, 0, 0

    def in_cooldown(self) -> bool:
        """Whether it waits after a change."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look."""
        optimizer = self.model.optimizer
        if logs is not None:
            logs["lr"] = float(optimizer.learning_rate)
        current = self._current(logs, "Learning rate reduction is")
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.monitor_op(current - self.min_delta, self.best):
            self.best, self.wait = current, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                old = float(optimizer.learning_rate)
                if old > np.float32(self.min_lr):
                    new = max(old * self.factor, self.min_lr)
                    optimizer.learning_rate = new
                    if self.verbose:
                        print(f"\nEpoch {epoch + 1:05d}: ReduceLROnPlateau reducing learning rate to {new}.")
                    self.cooldown_counter, self.wait = self.cooldown, 0
