"""HDF5 files of Keras's layout, by h5py: architecture in attributes, weights in a group for each layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn_tensorflow.missing import MissingPackageError

#: The Keras whose layout the files have.
VERSION = "2.3.0"
#: How every HDF5 file begins.
SIGNATURE = b"\x89HDF\r\n\x1a\n"


def h5py_module() -> Any:
    """``h5py``, or ``None`` where it is not installed."""
    try:
        import h5py
    except ImportError:
        return None
    return h5py


def opened(path: str, where: str) -> Any:
    """The file, to be read in a ``with``; MissingPackageError without h5py."""
    h5py = h5py_module()
    if h5py is None:
        raise MissingPackageError(where, f"{path} is an HDF5 file, and h5py is not installed", hint="pip install h5py")
    return h5py.File(path, "r")


def write(path: str, model: Any, described: str | None, training: str | None) -> None:
    """Write a model's weights; ``described``: its architecture as JSON; ``training``: how it is fitted, as JSON."""
    with h5py_module().File(path, "w") as file:
        group = file
        if described is not None:
            file.attrs["model_config"] = described.encode()
            if training is not None:
                file.attrs["training_config"] = training.encode()
            group = file.create_group("model_weights")
            if training is not None and hasattr(model.optimizer, "get_weights"):
                slots = file.create_group("optimizer_weights")
                for i, value in enumerate(model.optimizer.get_weights()):
                    slots.create_dataset(f"{i:06d}", data=np.asarray(value))
        for place in {file, group}:
            place.attrs["keras_version"], place.attrs["backend"] = VERSION.encode(), b"tensorflow"
        group.attrs["layer_names"] = (
            np.array([layer.name.encode() for layer in model.layers], "S") if model.layers else []
        )
        for layer in model.layers:
            inner = group.create_group(layer.name)
            names = []
            for weight in layer.weights:
                name = weight.name if weight.name.endswith(":0") else f"{weight.name}:0"
                while name in names:
                    name = f"{name.removesuffix(':0')}_1:0"
                names.append(name)
                inner.create_dataset(name, data=np.asarray(weight._host()))
            inner.attrs["weight_names"] = np.array([n.encode() for n in names], "S") if names else []


def _attribute(group: Any, name: str) -> list[str]:
    """A list of names, which Keras cuts into parts where it is long."""
    if name in group.attrs:
        listed = list(group.attrs[name])
    else:
        listed, part = [], 0
        while f"{name}{part}" in group.attrs:
            listed += list(group.attrs[f"{name}{part}"])
            part += 1
    return [n.decode() if isinstance(n, bytes) else str(n) for n in listed]


def read_weights(path: str, model: Any, by_name: bool, skip_mismatch: bool) -> None:
    """Assign a file's weights to a model; see ``assign``."""
    with opened(path, "load_weights") as file:
        assign(file.get("model_weights", file), model, by_name, skip_mismatch)


def assign(group: Any, model: Any, by_name: bool, skip_mismatch: bool) -> None:
    """Assign weights in the order of the layers that have some, or to layers of the same names.

    ``skip_mismatch`` leaves layers of other shapes as they are.  Raises ValueError for another number of layers.
    """
    saved = {}
    for name in _attribute(group, "layer_names"):
        arrays = [np.asarray(group[name][w]) for w in _attribute(group[name], "weight_names")]
        if arrays:
            saved[name] = arrays
    mine = [layer for layer in model.layers if layer.weights]
    if by_name:
        pairs = [(layer, saved[layer.name]) for layer in mine if layer.name in saved]
    else:
        if len(saved) != len(mine):
            raise ValueError(
                f"Layer count mismatch when loading weights from file. Model expected {len(mine)} layers, found "
                f"{len(saved)} saved layers."
            )
        pairs = list(zip(mine, saved.values(), strict=True))
    for layer, arrays in pairs:
        fits = [a.shape for a in arrays] == [tuple(w.spec.shape) for w in layer.weights]
        if not fits and skip_mismatch:
            continue
        layer.set_weights(arrays)


__all__ = ["SIGNATURE", "VERSION", "assign", "h5py_module", "opened", "read_weights", "write"]
