"""Checkpoints: named arrays and JSON metadata in safetensors files, written so that a kill never costs one.

::

    manager = corenn.checkpoint.CheckpointManager("runs/1/checkpoints", keep=3)
    manager.save(step, *corenn.checkpoint.pack_state({"model": weights, "optimizer": slots, "rng": seeds}))
    found = manager.load()
    state = corenn.checkpoint.unpack_state(found.tensors, found.metadata)

``store`` writes and checks one file, ``manager`` keeps a directory of them, ``state`` flattens nested state.
"""

from __future__ import annotations

from corenn.checkpoint.manager import Checkpoint, CheckpointManager, CheckpointWarning
from corenn.checkpoint.state import pack_state, unpack_state
from corenn.checkpoint.store import load_file, load_metadata, load_specs, save_file

__all__ = [
    "Checkpoint",
    "CheckpointManager",
    "CheckpointWarning",
    "load_file",
    "load_metadata",
    "load_specs",
    "pack_state",
    "save_file",
    "unpack_state",
]
