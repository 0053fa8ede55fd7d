"""Arrays named as PyTorch names them (``layer1.0.conv1.weight``), gathered into modules."""

from __future__ import annotations

import re
from collections.abc import Mapping

from corenn_models.weights.source import SavedLayer, Stored, WeightFile

#: What wrappers put before every name.
_WRAPPERS = ("module.", "_orig_mod.", "model.")
#: Weights of one layer of a recurrent module: ``weight_ih_l0``, ``bias_hh_l1_reverse``.
_RECURRENT = re.compile(r"((?:weight|bias)_[ih]h)_l(\d+)(_reverse)?")
#: Counters that no layer of corenn has.
COUNTERS = ("num_batches_tracked",)


def file_of_modules(path: str, kind: str, arrays: Mapping[str, Stored], ordered: bool = True) -> WeightFile:
    """The modules of a state dict, in its order.

    A recurrent module of one layer keeps its name, one of several gives ``name.0``, ``name.1``, ...; the projection
    ``out_proj`` of an attention is a part of it.
    """
    names, notes = dict(arrays), []
    for wrapper in _WRAPPERS:
        if names and all(n.startswith(wrapper) for n in names):
            names = {n[len(wrapper) :]: a for n, a in names.items()}
            notes.append(f"all names begin with {wrapper!r}, which was left out")
    levels: dict[str, set[str]] = {}
    for name in names:
        module, _, role = name.rpartition(".")
        if found := _RECURRENT.fullmatch(role):
            levels.setdefault(module, set()).add(found[2])
    modules: dict[str, SavedLayer] = {}
    for name, stored in names.items():
        module, _, role = name.rpartition(".")
        if role in COUNTERS:
            continue
        if found := _RECURRENT.fullmatch(role):
            module = f"{module}.{found[2]}".lstrip(".") if len(levels[module]) > 1 else module
            role = f"{found[1]}{found[3] or ''}"
        parent, _, last = module.rpartition(".")
        if last == "out_proj" and f"{parent}.in_proj_weight".lstrip(".") in names:
            module, role = parent, f"out_proj.{role}"
        modules.setdefault(module, SavedLayer(module, {})).arrays[role] = stored
    return WeightFile(path, kind, "torch", list(modules.values()), ordered, notes)


__all__ = ["COUNTERS", "file_of_modules"]
