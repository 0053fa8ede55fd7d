"""Which kind of file it is, by its first bytes."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from corenn.errors import CheckpointError
from corenn_models.weights.keras_files import SIGNATURE, read_hdf5, read_keras_archive
from corenn_models.weights.safetensor_files import read_index, read_safetensors
from corenn_models.weights.source import ZIP_ERRORS, WeightFile, damaged
from corenn_models.weights.torch_files import read_before_zip, read_zip

_KINDS = "safetensors, PyTorch's .pth, or Keras's .h5, .weights.h5 or .keras"


def open_weights(path: str | os.PathLike[str], key: str | None = None) -> WeightFile:
    """The weights in a file, their values read when they are asked for; use it in a ``with``.

    ``key``: where in a file of PyTorch the state dict is, as ``"ema"`` or ``"nets/generator"``.  Raises CheckpointError
    naming the file when it is missing, damaged or of another kind, and MissingExtraError for HDF5 without h5py.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except FileNotFoundError as error:
        raise CheckpointError(name, "does not exist", hint="check the path") from error
    except OSError as error:
        raise CheckpointError(name, f"cannot be read: {error.strerror or error}") from error
    if start[8:9] == b"{":  # after a length, whose bytes may be any
        return read_safetensors(name)
    if start.startswith(SIGNATURE):
        return read_hdf5(name)
    if start.startswith((b"PK\3\4", b"PK\5\6")):
        return _archive(name, key)
    if start.startswith(b"\x80"):
        return read_before_zip(name, Path(name).read_bytes(), key)
    if name.endswith(".json"):
        return read_index(name)
    raise CheckpointError(name, "is of a kind that holds no weights corenn knows", {"its first bytes": start.hex(" ")},
                          hint=f"give {_KINDS}")  # fmt: skip


def _archive(path: str, key: str | None) -> WeightFile:
    try:
        archive = zipfile.ZipFile(path)
    except ZIP_ERRORS as error:
        raise damaged(path, f"it is no whole zip archive ({error})") from error
    try:
        names = archive.namelist()
        if "model.weights.h5" in names:
            return read_keras_archive(path, archive)
        if any(name.endswith("/data.pkl") for name in names):
            return read_zip(path, archive, key)
    except BaseException:
        archive.close()
        raise
    archive.close()
    shown = {"it holds": ", ".join(names[:8]) or "nothing"}
    raise CheckpointError(path, "is a zip archive, but neither PyTorch's nor Keras's", shown, hint=f"give {_KINDS}")


__all__ = ["open_weights"]
