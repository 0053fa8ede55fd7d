"""Callbacks that save: the best weights, and the whole state of a run for resuming."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from corenn.checkpoint import CheckpointManager, pack_state, unpack_state
from corenn.configurable import Configurable
from corenn.errors import AttributeValueError, UsageError
from corenn.training.callbacks.base import Callback
from corenn.training.callbacks.monitor import CallbackWarning, Monitor
from corenn.training.callbacks.remote import Loaded, StoreError, checkpoints_at
from corenn.training.feeding import unpack

if TYPE_CHECKING:
    from corenn.training.model import Model

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


class _SavesState(Callback):
    """Saves the whole state of a run, and continues from it: where, a subclass says.

    The state holds model, optimizer, metrics, random generators, callbacks and the position in the data, so the
    continued run computes bit for bit what an uninterrupted one would.
    """

    save_freq: Often
    restore: bool
    info: dict[str, Any]
    restored_step: int | None = None
    _last: tuple[Any, ...] | None = None

    def _newest(self) -> Loaded | None:
        """Arrays and metadata of the newest good checkpoint; ``None`` if there is none."""
        raise NotImplementedError(f"{type(self).__name__} does not define _newest()")

    def _keep(self, tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
        """Keep a checkpoint of now; whether that went well."""
        raise NotImplementedError(f"{type(self).__name__} does not define _keep()")

    def reset(self) -> None:
        """Nothing is saved yet in this run."""
        self._last = self.restored_step = None

    def on_restore(self) -> None:
        """Continue from the newest good checkpoint, if there is one."""
        found = self._newest() if self.restore else None
        if found is None:
            return
        state = unpack_state(*found)
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
        if self._place() != self._last and self._keep(
            *pack_state({"state": self.loop.state_dict(), "info": self.info})
        ):
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

    def _ended(self) -> bool:
        """Whether training has ended by itself: all epochs done, or stopped by a callback for good."""
        ended = self.loop.stop or self.loop.epoch >= self.loop.epochs
        return ended and not self.loop.interrupted


class BackupAndRestore(_SavesState, Configurable):
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

    def _newest(self) -> Loaded | None:
        if not self._manager.all():
            return None
        found = self._manager.load(None)
        return found.tensors, found.metadata

    def _keep(self, tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
        self._manager.save(self.loop.total_steps, tensors, metadata)
        return True

    def on_train_end(self) -> None:
        """Clean up if training has ended by itself."""
        if self._ended() and self.delete_checkpoint:
            for path in self._manager.all():
                path.unlink(missing_ok=True)


class CheckpointStore(_SavesState, Configurable):
    """Stores the whole state of the run at a URL after every epoch (or ``save_freq`` steps), and continues from it.

    ``CheckpointStore("s3://bucket/run-7")``: any URL that fsspec knows (``pip install 'corenn[remote]'``, and the
    package of the scheme); a plain path, or ``file:``, needs no further package.  A checkpoint appears as a whole or
    not at all.  ``keep``: how many stay (``None``: all).  ``restore``: whether to begin with the newest good one.
    ``on_error``: what to do when the store cannot be reached: ``"raise"`` ends training with a StoreError, ``"warn"``
    goes on (from the beginning, if it cannot be read at the start) with a CallbackWarning, and tries again the next
    time.  ``storage_options`` go to the file system: credentials, timeouts.  They are not part of the configuration.

    ``last_saved`` is where the last one went, ``failures`` how many could not be stored.
    """

    def __init__(
        self,
        url: str,
        save_freq: Often = "epoch",
        keep: int | None = None,
        restore: bool = True,
        on_error: Literal["raise", "warn"] = "raise",
        storage_options: Mapping[str, Any] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        if on_error not in ("raise", "warn"):
            raise AttributeValueError("CheckpointStore", f"on_error must be 'raise' or 'warn', not {on_error!r}")
        self.url, self.save_freq, self.keep = str(url), _check_often("CheckpointStore", save_freq), keep
        self.restore, self.on_error, self.info = restore, on_error, dict(info or {})
        self.storage_options = dict(storage_options or {})
        self._store = checkpoints_at(self.url, keep, self.storage_options)
        self.last_saved: str | None = None
        self.failures = 0

    def reset(self) -> None:
        """Nothing is stored yet in this run."""
        super().reset()
        self.last_saved, self.failures = None, 0

    def _newest(self) -> Loaded | None:
        try:
            return self._store.load() if self._store.names() else None
        except StoreError as error:
            self._failed(error, "training starts from the beginning")
            return None

    def _keep(self, tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
        try:
            self.last_saved = self._store.save(self.loop.total_steps, tensors, metadata)
        except StoreError as error:
            self.failures += 1
            self._failed(error, f"training goes on without the checkpoint of step {self.loop.total_steps}")
            return False
        return True

    def load_weights(self, model: Model) -> int:
        """Give a model the weights of the newest good checkpoint, outside training; the step it was made at.

        Raises StoreError where the store cannot be reached, CheckpointError where it has none or they do not fit.
        """
        tensors, metadata = self._store.load()
        model.load_weights_dict(unpack_state(tensors, metadata)["state"]["model"]["weights"])
        return int(metadata["step"])

    def _argument(self, name: str) -> Any:
        return None if name == "storage_options" else super()._argument(name)  # no secrets in files

    def _failed(self, error: StoreError, then: str) -> None:
        if self.on_error == "raise":
            error.hint = "; ".join(h for h in (error.hint, "on_error='warn' lets training go on") if h)
            raise error
        warnings.warn(f"CheckpointStore: {error.where}: {error.what}; {then}", CallbackWarning, stacklevel=2)
