"""Where the files of ``keras.datasets`` are: named by the script, in ``CORENN_DATA_DIR``, or in Keras's cache."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np

from corenn.errors import DataError
from corenn_tensorflow.keras.utils import _cache, get_file

_BASE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def place(path: str, digest: str | None, origin: str | None = None) -> str:
    """The path of a file; it is downloaded unless ``CORENN_OFFLINE=1``.  DataError names the places looked at."""
    name = os.path.basename(path)
    folder = os.environ.get("CORENN_DATA_DIR")
    places = [path] if os.path.isabs(path) else []
    places += [os.path.join(folder, name)] if folder else []
    places.append(os.path.join(_cache(), "datasets", name))
    for found in places:
        if os.path.exists(found):
            _verify(found, digest)
            return found
    try:
        return get_file(name, origin or _BASE + name, file_hash=digest)
    except OSError as error:
        raise DataError(
            f"keras.datasets, {name}", "the file is not on this machine and could not be downloaded",
            {"looked at": ", ".join(places), "reason": error}, hint=f"put {name} into {os.path.dirname(places[-1])}",
        ) from error  # fmt: skip


def _verify(path: str, digest: str | None) -> None:
    if digest is None:
        return
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        raise DataError("keras.datasets", f"{path} is not the file it should be", {"sha256": found, "wanted": digest},
                        hint="remove it, and it is downloaded again")  # fmt: skip


def arrays(path: str, digest: str | None, *, texts: bool = False) -> dict[str, Any]:
    """The arrays of an ``.npz`` file; those of Python lists, which NumPy keeps as pickles, are refused."""
    found = place(path, digest)
    with np.load(found, allow_pickle=False) as file:
        try:
            return {name: file[name] for name in file.files}
        except ValueError as error:
            raise DataError(
                "keras.datasets",
                f"{os.path.basename(found)} holds Python lists as pickles, which corenn does not load",
                {"file": found},
                hint="save it anew with padded or flattened arrays",
            ) from error


__all__ = ["arrays", "place"]
