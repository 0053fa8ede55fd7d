"""Callbacks that write what happens to files, servers and TensorBoard."""

from __future__ import annotations

import csv
import json
import os
import urllib.request
from typing import Any

from corenn_tensorflow.keras.callbacks.base import Callback


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
