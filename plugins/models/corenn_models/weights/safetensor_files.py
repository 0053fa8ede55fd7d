"""Safetensors files: corenn's own names, Keras's (``layer/kernel``) or PyTorch's (``layer.weight``)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from corenn.checkpoint import load_file, load_metadata, load_specs
from corenn.errors import CheckpointError
from corenn_models.weights.modules import file_of_modules
from corenn_models.weights.source import Array, SavedLayer, Stored, WeightFile, damaged

_LONGEST_INDEX = 100_000_000


class _Shards:
    """The arrays of some files, of which one at a time is in memory."""

    def __init__(self) -> None:
        self.held: tuple[str, dict[str, Array]] | None = None

    def read(self, path: str, name: str) -> Array:
        """One array."""
        if self.held is None or self.held[0] != path:
            self.held = None
            self.held = (path, load_file(path)[0])
        return self.held[1][name]

    def stored(self, path: str, name: str, shape: tuple[int, ...], dtype: str) -> Stored:
        """An array of one of the files."""
        return Stored(name, shape, dtype, lambda: self.read(path, name))


def read_safetensors(path: str) -> WeightFile:
    """One file."""
    shards = _Shards()
    arrays = {n: shards.stored(path, n, shape, dtype) for n, (shape, dtype) in load_specs(path).items()}
    own = "weights_of" in load_metadata(path)
    return _as_file(path, "safetensors", arrays, own)


def read_index(path: str) -> WeightFile:
    """Several files that an index (``model.safetensors.index.json``) holds together."""
    shards, arrays = _Shards(), dict[str, Stored]()
    for name in sorted(set(_weight_map(path).values())):
        place = str(Path(path).parent / name)
        if os.path.basename(name) != name or not name.endswith(".safetensors"):
            raise damaged(path, f"it names the file {name!r}, which is not beside it")
        arrays |= {n: shards.stored(place, n, shape, dtype) for n, (shape, dtype) in load_specs(place).items()}
    missing = [n for n in _weight_map(path) if n not in arrays]
    if missing:
        raise damaged(path, f"{missing[0]!r} is in none of its files")
    return _as_file(path, "safetensors, several files", arrays, False)


def _weight_map(path: str) -> dict[str, str]:
    if os.path.getsize(path) > _LONGEST_INDEX:
        raise damaged(path, "it is too long for an index")
    try:
        found: Any = json.loads(Path(path).read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"it is not JSON ({error})") from error
    table = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
        raise CheckpointError(path, "is not an index of safetensors files: it has no weight_map")
    return table


def _as_file(path: str, kind: str, arrays: dict[str, Stored], own: bool) -> WeightFile:
    """``own``: corenn wrote the file, in the order of the model."""
    if not own and not any("/" in name for name in arrays):
        return file_of_modules(path, kind, arrays, ordered=False)
    layers: dict[str, SavedLayer] = {}
    for name, stored in arrays.items():
        layer, _, role = name.partition("/")
        layers.setdefault(layer, SavedLayer(layer, {})).arrays[role] = stored
    return WeightFile(path, f"{kind} of corenn" if own else kind, "corenn", list(layers.values()), ordered=own)


__all__ = ["read_index", "read_safetensors"]
