"""``keras.utils``."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import time
import urllib.request
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn_tensorflow.keras._lookup import CUSTOM, custom_object_scope, get_custom_objects, serialized
from corenn_tensorflow.missing import MissingPackageError, guard

CustomObjectScope = custom_object_scope


def to_categorical(y: Any, num_classes: int | None = None, dtype: Any = "float32") -> Any:
    """Class numbers as one-hot rows."""
    labels = np.asarray(y, dtype="int64")
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    flat = labels.reshape(-1)
    count = int(flat.max()) + 1 if not num_classes else int(num_classes)
    made = np.zeros((flat.size, count), dtype)
    made[np.arange(flat.size), flat] = 1
    return made.reshape((*shape, count))


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """An array of length 1 over ``axis``."""
    length = np.atleast_1d(np.linalg.norm(x, order, axis))
    length[length == 0] = 1
    return x / np.expand_dims(length, axis)


class Sequence:
    """Batches by number: ``__getitem__``, ``__len__`` and, after each epoch, ``on_epoch_end``."""

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError("define __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError("define __len__")

    def on_epoch_end(self) -> None:
        """After an epoch."""

    def __iter__(self) -> Any:
        for i in range(len(self)):
            yield self[i]


class OrderedEnqueuer:
    """A sequence read in order."""

    def __init__(self, sequence: Any, use_multiprocessing: bool = False, shuffle: bool = False) -> None:
        self.sequence, self.shuffle = sequence, shuffle

    def start(self, workers: int = 1, max_queue_size: int = 10) -> None:
        """Nothing: batches are made when they are asked for."""

    def get(self) -> Any:
        """The batches, without end."""
        while True:
            order = np.random.permutation(len(self.sequence)) if self.shuffle else range(len(self.sequence))
            for i in order:
                yield self.sequence[int(i)]

    def stop(self, timeout: Any = None) -> None:
        """Nothing."""


class Progbar:
    """A line that shows how far a loop has come."""

    def __init__(
        self,
        target: int | None,
        width: int = 30,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Any = None,
        unit_name: str = "step",
    ) -> None:
        self.target, self.width, self.verbose = target, width, verbose
        self._sums: dict[str, list[float]] = {}
        self._held = set(stateful_metrics or ())
        self._seen, self._start = 0, time.time()

    def update(self, current: int, values: Any = None, finalize: Any = None) -> None:
        """Show that ``current`` steps are done."""
        for name, value in values or ():
            if name in self._held:
                self._sums[name] = [float(value), 1.0]
                continue
            done = max(current - self._seen, 1)
            held = self._sums.setdefault(name, [0.0, 0.0])
            held[0] += float(value) * done
            held[1] += done
        self._seen = current
        if not self.verbose:
            return
        shown = "".join(f" - {k}: {s / n:.4f}" for k, (s, n) in self._sums.items())
        total = self.target or current
        filled = int(self.width * current / max(total, 1))
        bar = f"[{'=' * filled}{'.' * (self.width - filled)}]"
        line = f"\r{current}/{total} {bar} - {time.time() - self._start:.0f}s{shown}"
        sys.stdout.write(line + ("\n" if self.target is not None and current >= self.target else ""))
        sys.stdout.flush()

    def add(self, n: int, values: Any = None) -> None:
        """``n`` more steps are done."""
        self.update(self._seen + n, values)


def _cache() -> str:
    return os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: str | None = None,
    force_download: bool = False,
) -> str:
    """The path of a file in Keras's cache, downloaded from ``origin`` if it is not there."""
    import hashlib

    folder = os.path.join(cache_dir or _cache(), cache_subdir)
    os.makedirs(folder, exist_ok=True)
    name = os.fspath(fname) if fname is not None else os.path.basename(str(origin))
    path = os.path.join(folder, f"{name}.tar.gz" if untar and not name.endswith((".gz", ".tgz", ".tar")) else name)
    if not os.path.exists(path) or force_download:
        if os.environ.get("CORENN_OFFLINE") == "1":
            raise OSError(
                f"{path} is not there, and CORENN_OFFLINE=1 forbids downloading it from {origin}: put it there"
            )
        print(f"Downloading data from {origin}")
        part = f"{path}.part"
        try:
            with urllib.request.urlopen(str(origin), timeout=60) as source, open(part, "wb") as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise OSError(f"URL fetch failure on {origin}: {error}; put the file at {path}") from error
        wanted = file_hash or md5_hash
        if wanted:
            kind = "md5" if (md5_hash and not file_hash) or len(wanted) == 32 else "sha256"
            with open(part, "rb") as file:
                if hashlib.file_digest(file, kind).hexdigest() != wanted:
                    os.remove(part)
                    raise OSError(f"Incomplete or corrupted file detected. The {kind} of {name} is not {wanted}.")
        os.replace(part, path)
    if untar or extract:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
        if untar:
            return os.path.join(folder, name.removesuffix(".tar.gz").removesuffix(".tgz"))
    return path


def plot_model(model: Any, to_file: Any = "model.png", *args: Any, **options: Any) -> Any:
    """Draw a model into a file; see ``keras.drawing``."""
    from corenn_tensorflow.keras.drawing import plot_model as draw

    return draw(model, to_file, *args, **options)


def model_to_dot(model: Any, *args: Any, **options: Any) -> Any:
    """MissingPackageError: graphviz is not used; ``plot_model`` draws."""
    raise MissingPackageError("model_to_dot", "pydot and graphviz are not used", hint="plot_model(model, 'model.png')")


_told: list[bool] = []


def multi_gpu_model(model: Any, gpus: Any = None, cpu_merge: bool = True, cpu_relocation: bool = False) -> Any:
    """The same model: corenn runs on one device."""
    if not _told:
        _told.append(True)
        print("corenn: multi_gpu_model returns the model itself: corenn runs on one device", file=sys.stderr)
    return model


def print_summary(model: Any, line_length: Any = None, positions: Any = None, print_fn: Any = None) -> None:
    """``model.summary()``."""
    model.summary(line_length, positions, print_fn)


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """A decorator: files may name the class or function."""

    def decorate(item: Any) -> Any:
        CUSTOM[name or item.__name__] = item
        CUSTOM[f"{package}>{name or item.__name__}"] = item
        return item

    return decorate


def serialize_keras_object(instance: Any) -> Any:
    """``{"class_name": ..., "config": ...}``, or a function's name."""
    return serialized(instance)


def convert_all_kernels_in_model(model: Any) -> None:
    """Nothing: kernels are TensorFlow's already."""


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and corenn's generators."""
    import random

    import corenn

    random.seed(seed)
    np.random.seed(seed)  # the generator that scripts of the time use
    corenn.random.seed(seed)


def get_source_inputs(tensor: Any, layer: Any = None, node_index: Any = None) -> list[Any]:
    """The inputs a symbolic tensor comes from."""
    from corenn_tensorflow.keras.engine.symbolic import InputLayer, node_of

    found: dict[int, Any] = {}
    waiting = [tensor]
    while waiting:
        symbol = waiting.pop()
        node = node_of(symbol)
        if node is not None and isinstance(node.layer, InputLayer):
            found[id(symbol)] = symbol
        elif node is not None:
            waiting += node.parents()
        else:
            waiting += list(symbol.operation.inputs)
    return list(found.values())


def _moved(name: str) -> Callable[..., Any]:
    def make(*args: Any, **options: Any) -> Any:
        from corenn_tensorflow.keras import preprocessing

        return getattr(preprocessing, name)(*args, **options)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"``keras.preprocessing.{name}``."
    return make


image_dataset_from_directory = _moved("image_dataset_from_directory")
text_dataset_from_directory = _moved("text_dataset_from_directory")
timeseries_dataset_from_array = _moved("timeseries_dataset_from_array")


__all__ = [
    "CustomObjectScope", "OrderedEnqueuer", "Progbar", "Sequence", "custom_object_scope", "get_custom_objects",
    "get_file", "get_source_inputs", "image_dataset_from_directory", "model_to_dot", "multi_gpu_model", "normalize",
    "plot_model", "print_summary", "register_keras_serializable", "serialize_keras_object", "set_random_seed",
    "text_dataset_from_directory", "timeseries_dataset_from_array", "to_categorical",
]  # fmt: skip
__getattr__ = guard(__name__)
