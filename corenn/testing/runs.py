"""What two runs of a task are compared by: the figures they logged and the tensors they ended with.

For the tests of tasks: one seed must give the same of both, on every backend, and so must a run that was interrupted
and resumed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from corenn.checkpoint import CheckpointManager
from corenn.plugin import registry


def logged_figures(directory: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a run's ``metrics.jsonl``, in order, without the time each took.

    Raises FileNotFoundError where nothing was logged.
    """
    text = (Path(directory) / "metrics.jsonl").read_text(encoding="utf-8")
    records = [json.loads(line) for line in text.splitlines()]
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def last_tensors(directory: str | os.PathLike[str]) -> list[tuple[str, dict[str, bytes]]]:
    """The tensors of the last checkpoint of each part of a run: the part, and their bytes by name.

    Raises CheckpointError for a checkpoint that is damaged.
    """
    parts = sorted({path.parent for path in Path(directory, "checkpoints").rglob("*.safetensors")})
    return [(part.name, {k: v.tobytes() for k, v in CheckpointManager(part).load().tensors.items()}) for part in parts]


def other_backends() -> list[str]:
    """Where a task must run beside NumPy: the two doubles (see ``register_doubles``), and what this machine has."""
    there = [name for name in ("onednn", "cuda") if name in registry.backends()]
    usable = [name for name in there if registry.get("backend", name).unavailable_reason() is None]
    return ["strict", "simulated:1", *usable]


__all__ = ["last_tensors", "logged_figures", "other_backends"]
