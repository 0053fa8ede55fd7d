"""``Callback`` and the list that calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from corenn.errors import UsageError

if TYPE_CHECKING:
    from corenn.training.loop import Loop
    from corenn.training.model import Model


class Callback:
    """Something that happens during training: override the moments you need.

    ``self.model`` and ``self.loop`` (epoch, step, total_steps, stop; see ``corenn.training.loop.Loop``) are set before
    the first call.  ``logs`` maps names to floats; in batch calls it is read from the device only if you look.
    A callback with state returns it from ``state_dict`` so that a resumed run goes on as if it had not stopped; it sets
    that state up in ``reset``, which comes before a state is restored, not in ``on_train_begin``, which comes after.
    """

    model: Model
    loop: Loop

    def reset(self) -> None:
        """Forget an earlier run: first of all when ``fit`` starts."""

    def on_restore(self) -> None:
        """Before ``on_train_begin`` of any callback: the moment to load the loop's state."""

    def on_train_begin(self) -> None:
        """Before the first step of this process; in a resumed run the loop stands where it was saved."""

    def on_train_end(self) -> None:
        """After the last step, unless an exception ended training."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before the first step of an epoch (0-based); not again when a run is resumed within the epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After an epoch and its validation; may add to ``logs``."""

    def on_epoch_saved(self, epoch: int) -> None:
        """After all ``on_epoch_end``: the moment to save the loop's state, which stands at the next epoch already."""

    def on_train_batch_begin(self, batch: int) -> None:
        """Before a step (0-based in its epoch)."""

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """After a step."""

    def on_batch_saved(self, batch: int) -> None:
        """After all ``on_train_batch_end``: the moment to save the loop's state within an epoch."""

    def on_interrupted(self) -> None:
        """Training ends within an epoch, because of ``stop`` or ``most_steps``: the last moment to save its state."""

    def on_test_begin(self) -> None:
        """Before an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """After a step of an evaluation."""

    def on_test_end(self, logs: Mapping[str, float]) -> None:
        """After an evaluation."""

    def close(self) -> None:
        """Release files and threads: last of all, also when an exception ends training."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know, JSON values and arrays."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` returned."""


#: The methods that a run calls.
MOMENTS = [n for n in vars(Callback) if n.startswith("on_")]


def _overrides(callback: Callback, moment: str) -> bool:
    return moment in vars(callback) or getattr(type(callback), moment) is not getattr(Callback, moment)


class CallbackList:
    """Callbacks in order; calls only those that override a moment."""

    def __init__(self, callbacks: Iterable[Any], model: Model, loop: Loop | None = None) -> None:
        self.callbacks: list[Any] = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                made = isinstance(callback, type) and issubclass(callback, Callback)
                hint = f"{callback.__name__}(...), with brackets" if made else "subclass corenn.training.Callback"
                raise UsageError("fit", f"{callback!r} is not a callback", hint=hint)
            callback.model = model
            if loop is not None:
                callback.loop = loop
        self._bound = {m: [getattr(c, m) for c in self.callbacks if _overrides(c, m)] for m in MOMENTS}

    def bound(self, moment: str) -> list[Callable[..., None]]:
        """What to call at one moment."""
        return self._bound[moment]

    def call(self, moment: str, *args: Any) -> None:
        """Call one moment on all."""
        for bound in self._bound[moment]:
            bound(*args)

    def reset(self) -> None:
        """Reset all."""
        for callback in self.callbacks:
            callback.reset()

    def close(self) -> None:
        """Close all."""
        for callback in self.callbacks:
            callback.close()

    def state_dict(self) -> dict[str, Any]:
        """States by position and class."""
        return {f"{i}:{type(c).__name__}": c.state_dict() for i, c in enumerate(self.callbacks)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give each callback its state back; one that was not there before starts afresh."""
        for i, callback in enumerate(self.callbacks):
            found = state.get(f"{i}:{type(callback).__name__}")
            if found:
                callback.load_state_dict(found)
