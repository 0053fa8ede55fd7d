"""What callbacks are, and those that only keep or show figures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from corenn_tensorflow.keras.engine.bridge import Figures


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
