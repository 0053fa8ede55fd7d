"""An optimizer's state as plain data, and back: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from corenn.errors import CheckpointError
from corenn.ops.creation import tensor
from corenn.optimizers.records import held

if TYPE_CHECKING:
    from corenn.optimizers.base import Optimizer


def state_of(optimizer: Optimizer) -> dict[str, Any]:
    """See ``Optimizer.get_state``."""
    records = optimizer._records.values()
    slots = {r.name: {v.name.removeprefix(f"{r.name}/"): v.numpy() for v in r.held()} for r in records}
    scaling = optimizer._scaling
    return {
        "iterations": optimizer.iterations,
        "micro_steps": optimizer._micro_steps,
        "swapped": optimizer._swapped,
        "learning_rate": optimizer._rate if isinstance(optimizer._rate, float) else None,
        "lr_multipliers": {r.name: r.factor for r in records if r.factor != 1.0},
        "loss_scale": None if scaling is None else scaling.state(),
        "slots": slots,
    }


def restore(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """See ``Optimizer.set_state``; the optimizer has its variables."""
    _check(optimizer, state)
    factors = state.get("lr_multipliers")  # absent from checkpoints of older versions
    for record in optimizer._records.values():
        arrays = dict(state["slots"][record.name])
        for slot, name in zip(record.slots, optimizer.slot_names, strict=True):
            slot.assign(tensor(arrays.pop(name), dtype=slot.dtype, device=slot.device))
        for name in ("average", "accumulated"):
            array = arrays.pop(name, None)
            kept = None
            if array is not None:
                like = record.variable
                kept = held(tensor(array, dtype=like.dtype, device=like.device), f"{record.name}/{name}")
            setattr(record, name, kept)
        if factors is not None and record.factor != factors.get(record.name, 1.0):
            optimizer.set_lr_multiplier(record.variable, factors.get(record.name, 1.0))
    optimizer.iterations, optimizer._micro_steps = int(state["iterations"]), int(state.get("micro_steps", 0))
    optimizer._swapped = bool(state.get("swapped", False))
    if optimizer._scaling is not None and state.get("loss_scale"):
        optimizer._scaling.restore(state["loss_scale"])
    if state.get("learning_rate") is not None and isinstance(optimizer._rate, float):
        optimizer._rate = float(state["learning_rate"])


def _check(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """CheckpointError unless the variables and slots of the state are the optimizer's."""
    saved = state.get("slots", {})
    mine = {record.name: record for record in optimizer._records.values()}
    for name in [*mine, *saved]:
        if (name in mine) != (name in saved):
            which = "the checkpoint has no state for" if name in mine else "the optimizer does not train"
            shown = {"checkpoint": f"{len(saved)} variables", "optimizer": f"{len(mine)} variables"}
            hint = "load it into the model it was saved from"
            raise CheckpointError(optimizer.name, f"{which} the variable {name!r}", shown, hint=hint)
    for name, record in mine.items():
        have, want = set(saved[name]) - {"average", "accumulated"}, set(optimizer.slot_names)
        if have != want:
            slots = {"checkpoint": sorted(have), "optimizer": sorted(want)}
            hint = "use the optimizer, with the options, that the checkpoint was made with"
            raise CheckpointError(optimizer.name, f"the slots of {name!r} are others", slots, hint=hint)
        for slot, array in saved[name].items():
            if tuple(np.shape(array)) != record.variable.shape:
                shapes = {"variable": record.variable.spec, "saved": np.shape(array)}
                raise CheckpointError(optimizer.name, f"the slot {slot!r} of {name!r} has another shape", shapes)


__all__ = ["restore", "state_of"]
