"""Keras's callbacks called by corenn's loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corenn.training.callbacks.base import Callback as CoreCallback

_PAIRS = (("accuracy", "acc"), ("acc", "accuracy"))


def known(logs: Mapping[str, Any], key: str) -> str | None:
    """The key that is there: ``acc`` and ``accuracy`` are one figure, which Keras has called by both names."""
    if key in logs:
        return key
    for given, other in _PAIRS:
        if key.endswith(given) and key.removesuffix(given) + other in logs:
            return key.removesuffix(given) + other
    return None


class Figures(dict[str, Any]):
    """Figures by name, ``acc`` and ``accuracy`` alike."""

    def __missing__(self, key: str) -> Any:
        found = known(dict(self), key) if isinstance(key, str) else None
        if found is None:
            raise KeyError(key)
        return self[found]

    def get(self, key: str, default: Any = None) -> Any:
        """The figure, or ``default``."""
        try:
            return self[key]
        except KeyError:
            return default


class Bridge(CoreCallback):
    """One callback of the core's loop that calls those of Keras."""

    def __init__(self, model: Any, callbacks: Any, params: dict[str, Any]) -> None:
        from corenn_tensorflow.keras import callbacks as keras

        given = list(callbacks) if isinstance(callbacks, (list, tuple)) else [] if callbacks is None else [callbacks]
        given = [c for inner in given for c in (inner.callbacks if isinstance(inner, keras.CallbackList) else [inner])]
        self.core = [c for c in given if isinstance(c, CoreCallback)]
        self.own = [c for c in given if not isinstance(c, CoreCallback)]
        self.history = next((c for c in self.own if isinstance(c, keras.History)), None)
        if self.history is None and params:
            self.history = keras.History()
            self.own.append(self.history)
        self._keras_model = model
        self._tells_batches = any(_watches_batches(c, keras.Callback) for c in self.own)
        for callback in self.own:
            callback.set_params(dict(params))
            callback.set_model(model)
        self._training = False

    def _call(self, name: str, *args: Any) -> None:
        for callback in self.own:
            method = getattr(callback, name, None)
            if method is not None:
                method(*args)
        loop = getattr(self, "loop", None)
        if loop is not None and self._training and getattr(self._keras_model, "stop_training", False):
            loop.stop = True
            loop.stop_reason = loop.stop_reason or "a callback stopped it"

    def on_train_begin(self) -> None:
        """Pass it on."""
        self._training = True
        self._call("on_train_begin", {})

    def on_train_end(self) -> None:
        """Pass it on."""
        self._call("on_train_end", {})

    def on_epoch_begin(self, epoch: int) -> None:
        """Pass it on."""
        self._call("on_epoch_begin", epoch, {})

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Pass it on; what callbacks add is kept."""
        figures = Figures(logs)
        self._call("on_epoch_end", epoch, figures)
        logs.update({k: v for k, v in figures.items() if isinstance(v, (int, float))})

    def on_train_batch_begin(self, batch: int) -> None:
        """Pass it on."""
        if self._tells_batches:
            self._call("on_train_batch_begin", batch, {"batch": batch, "size": 1})

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Pass it on."""
        if self._tells_batches:
            self._call("on_train_batch_end", batch, Figures({"batch": batch, **logs}))

    def on_test_begin(self) -> None:
        """Pass it on."""
        self._call("on_test_begin", {})

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Pass it on."""
        if self._tells_batches:
            self._call("on_test_batch_begin", batch, {})
            self._call("on_test_batch_end", batch, Figures(logs))

    def on_test_end(self, logs: Mapping[str, float]) -> None:
        """Pass it on."""
        self._call("on_test_end", Figures(logs))


_BATCH = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin",
          "on_test_batch_end")  # fmt: skip


def _watches_batches(callback: Any, base: type) -> bool:
    return not isinstance(callback, base) or getattr(callback, "watches_batches", None) is True or any(
        getattr(type(callback), name) is not getattr(base, name) or name in callback.__dict__ for name in _BATCH
    )  # fmt: skip


__all__ = ["Bridge", "Figures", "known"]
