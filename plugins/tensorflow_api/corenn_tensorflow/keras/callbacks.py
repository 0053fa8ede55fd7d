"""``keras.callbacks``."""

from __future__ import annotations

import csv
import json
import math
import os
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from corenn_tensorflow.keras.engine.bridge import Figures, known
from corenn_tensorflow.missing import guard


class Callback:
    """Something that happens while a model trains: ``self.model`` and ``self.params`` are set before the first call."""

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}
        self.validation_data: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Epochs, steps, names of metrics."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """The model."""
        self.model = model

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before an epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a step."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a step."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a step of training."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a step of training."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a step of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a step of an evaluation."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of predictions."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of predictions."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Before training."""

    def on_train_end(self, logs: Any = None) -> None:
        """After training."""

    def on_test_begin(self, logs: Any = None) -> None:
        """Before an evaluation."""

    def on_test_end(self, logs: Any = None) -> None:
        """After an evaluation."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Before predictions."""

    def on_predict_end(self, logs: Any = None) -> None:
        """After predictions."""


class CallbackList:
    """Callbacks in order."""

    def __init__(self, callbacks: Iterable[Any] | None = None, queue_length: int = 10) -> None:
        self.callbacks = list(callbacks or ())

    def append(self, callback: Any) -> None:
        """Add one."""
        self.callbacks.append(callback)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith(("on_", "set_")):
            raise AttributeError(name)

        def call(*args: Any, **options: Any) -> None:
            for callback in self.callbacks:
                getattr(callback, name)(*args, **options)

        return call


class History(Callback):
    """What ``fit`` returns: ``history`` maps each figure to its values by epoch, ``epoch`` lists the epochs."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = Figures()
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Start again."""
        self.epoch, self.history = [], Figures()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note the figures."""
        self.epoch.append(epoch)
        for name, value in dict(logs or {}).items():
            self.history.setdefault(name, []).append(value)


class BaseLogger(Callback):
    """Means over an epoch, which the loop keeps already."""

    def __init__(self, stateful_metrics: Any = None) -> None:
        super().__init__()
        self.stateful_metrics = set(stateful_metrics or ())


class ProgbarLogger(BaseLogger):
    """The progress bar, which ``fit(verbose=1)`` shows."""

    def __init__(self, count_mode: str = "samples", stateful_metrics: Any = None) -> None:
        super().__init__(stateful_metrics)


class TerminateOnNaN(Callback):
    """Stops when the loss is not a finite number."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True


class LambdaCallback(Callback):
    """Functions in place of methods."""

    def __init__(
        self,
        on_epoch_begin: Any = None,
        on_epoch_end: Any = None,
        on_batch_begin: Any = None,
        on_batch_end: Any = None,
        on_train_begin: Any = None,
        on_train_end: Any = None,
        **more: Any,
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_batch_begin": on_batch_begin,
            "on_batch_end": on_batch_end, "on_train_begin": on_train_begin, "on_train_end": on_train_end, **more,
        }  # fmt: skip
        self.__dict__.update({name: function for name, function in given.items() if function is not None})


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


class CSVLogger(Callback):
    """A line of figures for each epoch in a file."""

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None
        self._file: Any = None
        self._writer: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Open the file."""
        filled = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self._headed = filled
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115
        self._writer, self.keys = None, None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write a line."""
        figures = dict(logs or {})
        if self._writer is None:
            self.keys = sorted(figures)
            validated = self.params.get("do_validation") and not any(k.startswith("val_") for k in self.keys)
            self.keys += [f"val_{k}" for k in self.keys] if validated else []
            self._writer = csv.DictWriter(self._file, ["epoch", *self.keys], delimiter=self.sep)
            if not self._headed:
                self._writer.writeheader()
        self._writer.writerow({"epoch": epoch, **{k: figures.get(k, "NA") for k in self.keys or ()}})
        self._file.flush()

    def on_train_end(self, logs: Any = None) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None


class RemoteMonitor(Callback):
    """Sends the figures of each epoch to a server."""

    def __init__(
        self, root: str = "http://localhost:9000", path: str = "/publish/epoch/end/", field: str = "data",
        headers: Any = None, send_as_json: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.root, self.path, self.field, self.headers, self.send_as_json = root, path, field, headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Send."""
        from urllib.parse import urlencode

        text = json.dumps({"epoch": epoch, **dict(logs or {})})
        body = text if self.send_as_json else urlencode({self.field: text})
        request = urllib.request.Request(self.root + self.path, body.encode(), dict(self.headers or {}))
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except OSError as error:
            print(f"Warning: could not reach RemoteMonitor root server at {self.root}: {error}")


class TensorBoard(Callback):
    """Event files that TensorBoard shows: figures by epoch (or batch), and histograms of the weights."""

    def __init__(
        self, log_dir: Any = "logs", histogram_freq: int = 0, batch_size: int = 32, write_graph: bool = True,
        write_grads: bool = False, write_images: bool = False, embeddings_freq: int = 0,
        embeddings_layer_names: Any = None, embeddings_metadata: Any = None, embeddings_data: Any = None,
        update_freq: Any = "epoch", profile_batch: Any = 0, write_steps_per_second: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.log_dir, self.histogram_freq, self.update_freq = os.fspath(log_dir), histogram_freq, update_freq
        self.watches_batches = update_freq != "epoch"
        self._writers: dict[str, Any] = {}
        self._step = 0

    def _writer(self, name: str) -> Any:
        if name not in self._writers:
            from corenn.summary import EventWriter

            self._writers[name] = EventWriter(os.path.join(self.log_dir, name))
        return self._writers[name]

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Write the figures of a batch, where asked for."""
        self._step += 1
        every = 1 if self.update_freq == "batch" else self.update_freq
        if isinstance(every, int) and self._step % every == 0:
            for name, value in dict(logs or {}).items():
                if name not in ("batch", "size"):
                    self._writer("train").scalar(f"batch_{name}", float(value), self._step)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the figures of an epoch."""
        for name, value in dict(logs or {}).items():
            place = "validation" if name.startswith("val_") else "train"
            self._writer(place).scalar(f"epoch_{name.removeprefix('val_')}", float(value), epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for layer in self.model.layers:
                for weight in layer.weights:
                    self._writer("train").histogram(
                        f"{weight.name.removesuffix(':0')}/histogram", weight.numpy(), epoch
                    )
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


class BackupAndRestore(Callback):
    """Saves weights after each epoch, and goes on from them when training was cut off."""

    def __init__(self, backup_dir: Any, save_freq: Any = "epoch", delete_checkpoint: bool = True) -> None:
        super().__init__()
        self.path, self.delete_checkpoint = os.path.join(os.fspath(backup_dir), "backup.h5"), delete_checkpoint

    def on_train_begin(self, logs: Any = None) -> None:
        """Load what there is."""
        if os.path.exists(self.path):
            self.model.load_weights(self.path)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save."""
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        self.model.save_weights(self.path)

    def on_train_end(self, logs: Any = None) -> None:
        """Remove what was saved."""
        if self.delete_checkpoint and os.path.exists(self.path):
            os.remove(self.path)


__all__ = [
    "BackupAndRestore", "BaseLogger", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History",
    "LambdaCallback", "LearningRateScheduler", "ModelCheckpoint", "ProgbarLogger", "ReduceLROnPlateau", "RemoteMonitor",
    "TensorBoard", "TerminateOnNaN",
]  # fmt: skip
__getattr__ = guard(__name__)
