"""Loading, comparing, and writing for Keras."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from corenn.checkpoint import save_file
from corenn.checkpoint._atomic import write_atomically
from corenn.errors import CheckpointError, MissingExtraError, UsageError
from corenn.layers.base import Layer
from corenn_models.weights.files import open_weights
from corenn_models.weights.matching import By, Report, plan
from corenn_models.weights.units import units

StrPath = str | os.PathLike[str]


def load(model: Layer, path: StrPath, by: By | None = None, *, partial: bool = False, key: str | None = None) -> Report:
    """Assign the weights of a file to a model; returns what was matched.

    ``by``: "name" pairs layers of equal names (the file may have more of them), "order" the first layer with weights
    with the first, and so on, and both must have as many; ``None`` takes names where they all are in the file and
    were given by a person (``dense_1`` was not).
    ``partial``: weights that are not in the file, or have another shape, stay as they are.  ``key``: see
    ``open_weights``.  Values are rounded to the precision of the model.

    Raises CheckpointError that says what does not fit, and then nothing has been assigned.
    """
    with open_weights(path, key) as file:
        found = plan(model, file, by)
        found.apply(partial)
        return found.report


def compare(model: Layer, path: StrPath, by: By | None = None, *, key: str | None = None) -> Report:
    """What ``load`` would do, as a report; nothing is assigned, and no values are read."""
    with open_weights(path, key) as file:
        return plan(model, file, by).report


def save(model: Any, path: StrPath) -> None:
    """Write the weights of a model: ``.safetensors`` as ``model.save_weights``, ``.h5`` as Keras reads them.

    Raises UsageError for another name, MissingExtraError for ``.h5`` without h5py, and CheckpointError when the file
    cannot be written.
    """
    name = os.fspath(path)
    if name.endswith(".safetensors"):
        model.save_weights(name)
    elif name.endswith((".h5", ".hdf5")) and not name.endswith(".weights.h5"):
        fixed = {number for layer in model.walk() for number in layer._fixed}
        layers = []
        for unit in units(model, "keras"):
            ordered = sorted(unit.targets, key=lambda t: id(t.variable) in fixed)  # statistics stand last in a layer
            named = [(_keras_name(t.name, t.sources[0][0], unit.name), t.variable.numpy()) for t in ordered]
            layers.append((unit.name, named))
        write_hdf5(name, layers)
    else:
        raise UsageError("weights", f"{name} has the name of no kind that is written", hint=".safetensors or .h5")


def repack(path: StrPath, out: StrPath, *, key: str | None = None) -> tuple[int, int]:
    """Write the arrays of any file as safetensors, with their names and layouts; how many, and of how many numbers.

    Names of Keras's layers end in what a weight is (``conv1/kernel``).  Raises UsageError for another kind of file to
    write, which needs a model to know what the arrays are.
    """
    name = os.fspath(out)
    if not name.endswith(".safetensors"):
        what = f"{name} cannot be written without a model: only it knows what each array is"
        raise UsageError("weights", what, hint="give a .safetensors file to write, or --model NAME")
    with open_weights(path, key) as file:
        arrays = {stored.name.removesuffix(":0"): stored for stored in file.arrays()}
        save_file(name, {stored: array.read() for stored, array in arrays.items()})
        return len(arrays), int(np.sum([array.size for array in arrays.values()], dtype=object))


def _keras_name(path: str, role: str, layer: str) -> str:
    inner = path.split("/")[1:-1]
    return "/".join([layer, *inner, role.partition("#")[0]]) + ":0"


def write_hdf5(path: str, layers: list[tuple[str, list[tuple[str, np.ndarray[Any, Any]]]]]) -> None:
    """Keras's legacy layout: a group for each layer, with its arrays."""
    try:
        import h5py
    except ImportError:
        raise MissingExtraError(f"writing {path}", "h5py", "keras") from None

    def write(file: Any) -> None:
        with h5py.File(file, "w") as root:
            root.attrs["backend"], root.attrs["keras_version"] = b"tensorflow", b"2.3.0"
            _write_names(root, "layer_names", [name for name, _ in layers])
            for name, arrays in layers:
                group = root.create_group(name)
                _write_names(group, "weight_names", [weight for weight, _ in arrays])
                for weight, values in arrays:
                    group.create_dataset(weight, data=values)

    try:
        write_atomically(Path(path), write)
    except OSError as error:
        raise CheckpointError(path, f"cannot be written: {error.strerror or error}") from error


_LARGEST_ATTRIBUTE = 64_512  # bytes; HDF5 holds no larger header


def _write_names(group: Any, attribute: str, names: list[str]) -> None:
    """A list of names, in parts where it is long."""
    encoded = np.array([n.encode() for n in names], "S") if names else np.zeros(0, "S1")
    parts = int(encoded.nbytes // _LARGEST_ATTRIBUTE) + 1
    if parts == 1:
        group.attrs[attribute] = encoded
        return
    for number, part in enumerate(np.array_split(encoded, parts)):
        group.attrs[f"{attribute}{number}"] = part


__all__ = ["compare", "load", "repack", "save", "write_hdf5"]
