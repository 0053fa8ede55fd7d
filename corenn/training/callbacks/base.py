"""``Callback`` and the list that calls them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from corenn.errors import UsageError

if TYPE_CHECKING:
    from corenn.training.loop import Loop
    from corenn.training.model import Model


class Callback:
    """Something that happens during training: override the moments you need.

    ``self.model`` and ``self.loop`` (epoch, step, total_steps, stop; see ``corenn.training.loop.Loop``) are set before
    the first call.  ``logs`` maps names to floats; in batch calls it is read from the device only if you look.
    A callback with state returns it from ``state_dict`` so that a resumed run goes on as if it had not stopped.
    """

    model: Model
    loop: Loop

    def on_train_begin(self) -> None:
        """Before the first epoch of this process."""

    def on_train_end(self) -> None:
        """After the last."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before an epoch (0-based)."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After an epoch and its validation; may add to ``logs``."""

    def on_epoch_saved(self, epoch: int) -> None:
        """After all ``on_epoch_end``: the loop already stands at the next epoch (the moment to save its state)."""

    def on_train_batch_begin(self, batch: int) -> None:
        """Before a step (0-based in its epoch)."""

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """After a step."""

    def on_test_begin(self) -> None:
        """Before an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """After a step of an evaluation."""

    def on_test_end(self, logs: Mapping[str, float]) -> None:
        """After an evaluation."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know, JSON values and arrays."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` returned."""


_MOMENTS = [n for n in vars(Callback) if n.startswith("on_")]


class CallbackList:
    """Callbacks in order; calls only those that override a moment."""

    def __init__(self, callbacks: Iterable[Callback], model: Model, loop: Loop | None = None) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise UsageError("fit", f"{callback!r} is not a callback", hint="subclass corenn.training.Callback")
            callback.model = model
            if loop is not None:
                callback.loop = loop
        self._bound = {
            m: [getattr(c, m) for c in self.callbacks if getattr(type(c), m) is not getattr(Callback, m)] for m in _MOMENTS
        }

    def call(self, moment: str, *args: Any) -> None:
        """Call one moment on all."""
        for bound in self._bound[moment]:
            bound(*args)

    def state_dict(self) -> dict[str, Any]:
        """States by position and class."""
        return {f"{i}:{type(c).__name__}": c.state_dict() for i, c in enumerate(self.callbacks)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give each callback its state back; one that was not there before starts afresh."""
        for i, callback in enumerate(self.callbacks):
            found = state.get(f"{i}:{type(callback).__name__}")
            if found:
                callback.load_state_dict(found)
