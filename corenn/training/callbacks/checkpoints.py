"""Callbacks that save: the best weights, and the whole state of a run for resuming."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from corenn.checkpoint import CheckpointManager, pack_state, unpack_state
from corenn.configurable import Configurable
from corenn.errors import AttributeValueError, UsageError
from corenn.training.callbacks.base import Callback
from corenn.training.callbacks.monitor import Monitor
from corenn.training.feeding import unpack

Often = Literal["epoch"] | int


def _check_often(where: str, often: Any) -> Any:
    if often != "epoch" and (not isinstance(often, int) or isinstance(often, bool) or often < 1):
        raise AttributeValueError(where, f"save_freq must be 'epoch' or a number of steps, not {often!r}")
    return often


class ModelCheckpoint(Callback, Configurable):
    """Writes the weights (safetensors) after each epoch, or every ``save_freq`` steps.

    ``filepath`` may hold ``{epoch}`` (1-based) and names of logs: ``"weights-{epoch:02d}-{val_loss:.3f}.safetensors"``.
    With ``save_best_only`` only when ``monitor`` improves.  ``initial_value_threshold``: what the first must beat.
    ``last_saved`` is the path written last.
    """

    def __init__(
        self,
        filepath: str,
        monitor: str = "val_loss",
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: Often = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        self.filepath, self.monitor, self.save_best_only, self.mode = str(filepath), monitor, save_best_only, mode
        self.save_freq = _check_often("ModelCheckpoint", save_freq)
        self.initial_value_threshold = initial_value_threshold
        self._watch = Monitor("ModelCheckpoint", monitor, mode)
        self._watch.best = initial_value_threshold
        self.last_saved: str | None = None

    def on_train_begin(self) -> None:
        """Find out which way is better."""
        if self.save_best_only:
            self._watch.follow(self.model.known_metrics())

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Save, if it is time."""
        if self.save_freq != "epoch" and self.loop.total_steps % self.save_freq == 0:
            self._save(self.loop.epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Save, if epochs are counted."""
        if self.save_freq == "epoch":
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: Mapping[str, float]) -> None:
        if self.save_best_only:
            value = self._watch.read(logs)
            if value is None or not self._watch.improved(value):
                return
        try:
            path = self.filepath.format(epoch=epoch + 1, **logs)
        except (KeyError, IndexError, ValueError) as error:
            shown = {"filepath": self.filepath, "logs": ", ".join(["epoch", *logs])}
            what = f"the path does not fit the logs: {type(error).__name__}: {error}"
            raise UsageError("ModelCheckpoint", what, shown, hint="'weights-{epoch:02d}.safetensors'") from None
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.model.save_weights(path)
        self.last_saved = path

    def state_dict(self) -> dict[str, Any]:
        """The best so far."""
        return {"best": self._watch.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        self._watch.best = state["best"]


class BackupAndRestore(Callback, Configurable):
    """Saves the whole state of the run, and continues from it when training starts again.

    The state holds model, optimizer, metrics, random generators, callbacks and the position in the data, so the
    continued run computes bit for bit what an uninterrupted one would.  ``save_freq``: "epoch" or a number of steps;
    ``keep``: how many checkpoints stay; ``delete_checkpoint``: remove them when training has ended by itself.
    ``info``: JSON values kept beside the state.
    """

    def __init__(
        self,
        backup_dir: str,
        save_freq: Often = "epoch",
        keep: int = 2,
        delete_checkpoint: bool = True,
        restore: bool = True,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        self.backup_dir, self.save_freq, self.keep = str(backup_dir), _check_often("BackupAndRestore", save_freq), keep
        self.delete_checkpoint, self.restore, self.info = delete_checkpoint, restore, dict(info or {})
        self._manager = CheckpointManager(self.backup_dir, keep=keep)
        self._last: tuple[Any, ...] | None = None
        self.restored_step: int | None = None

    def reset(self) -> None:
        """Nothing is saved yet in this run."""
        self._last = self.restored_step = None

    def on_restore(self) -> None:
        """Continue from the newest good checkpoint, if there is one."""
        if not self.restore or not self._manager.all():
            return
        found = self._manager.load(None)
        state = unpack_state(found.tensors, found.metadata)
        self._build(state["state"])
        self.loop.load_state_dict(state["state"])
        self.restored_step = self.loop.total_steps
        self._last = self._place()

    def _build(self, state: Mapping[str, Any]) -> None:
        """A model is built by its first call: give it one on a first batch, as training would."""
        if set(self.model.weight_names()) >= set(state["model"]["weights"]):
            return
        with self.loop.dataset.iterator(0) as iterator:
            first = next(iterator, None)
        if first is not None:
            self.model.predict_on_batch(unpack(first)[0])

    def _place(self) -> tuple[Any, ...]:
        return self.loop.epoch, self.loop.step, self.loop.total_steps, self.loop.stop

    def save(self) -> None:
        """Save now (once for each state)."""
        if self._place() == self._last:
            return
        tensors, metadata = pack_state({"state": self.loop.state_dict(), "info": self.info})
        self._manager.save(self.loop.total_steps, tensors, metadata)
        self._last = self._place()

    def on_batch_saved(self, batch: int) -> None:
        """Save, if it is time."""
        ends_epoch = self.loop.steps_per_epoch is not None and self.loop.step >= self.loop.steps_per_epoch
        if self.save_freq != "epoch" and self.loop.total_steps % self.save_freq == 0 and not ends_epoch:
            self.save()

    def on_epoch_saved(self, epoch: int) -> None:
        """Save at the end of each epoch."""
        self.save()

    def on_interrupted(self) -> None:
        """Save the state that training is left in."""
        if not self.loop.stop or self.loop.interrupted:
            self.save()

    def on_train_end(self) -> None:
        """Clean up if training has ended by itself: all epochs done, or stopped by a callback for good."""
        ended = self.loop.stop or self.loop.epoch >= self.loop.epochs
        if ended and not self.loop.interrupted and self.delete_checkpoint:
            for path in self._manager.all():
                path.unlink(missing_ok=True)
