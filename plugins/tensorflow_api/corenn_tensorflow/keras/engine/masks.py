"""Masks of values: which steps count, kept beside the tensors that layers give, as Keras keeps ``_keras_mask``."""

from __future__ import annotations

import weakref
from typing import Any

from corenn import tree
from corenn.layers import base as core
from corenn.layers.phase import call_signature
from corenn.tensor import Tensor

_held: dict[int, tuple[weakref.ref[Tensor], Any]] = {}  # by identity: tensors compare elementwise


def mask_of(value: Any) -> Any:
    """The mask of a tensor, or ``None``."""
    kept = _held.get(id(value))
    return kept[1] if kept is not None and kept[0]() is value else None


def keep(value: Tensor, mask: Any) -> None:
    """Keep a mask for as long as its tensor lives."""
    key = id(value)
    _held[key] = (weakref.ref(value, lambda _: _held.pop(key, None)), mask)


def masks_of(argument: Any) -> Any:
    """The mask of a layer's first argument, or a list of one for each where it is a list; ``None`` if none has one."""
    if not _held:
        return None
    if isinstance(argument, (list, tuple)):
        found = [mask_of(x) for x in argument]
        return found if any(m is not None for m in found) else None
    return mask_of(argument)


def given(layer: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The masks of a call, and its options with them where the layer's ``call`` takes them and nobody gave one."""
    if options.get("mask") is not None:
        return options["mask"], options
    found = masks_of(inputs[0]) if inputs else None
    if found is None or not call_signature(type(layer).call).takes_mask:
        return found, options
    return found, {**options, "mask": found}


def mark(layer: Any, inputs: tuple[Any, ...], masks: Any, result: Any) -> None:
    """Compute the mask of a result, and keep it with the result."""
    if masks is None and type(layer).compute_mask is core.Layer.compute_mask:
        return
    found = layer.compute_mask(inputs[0] if inputs else None, masks)
    if found is None:
        return
    leaves = [leaf for leaf in tree.leaves(result) if isinstance(leaf, Tensor)]
    for leaf, mask in zip(leaves, found if isinstance(found, (list, tuple)) else [found], strict=False):
        if mask is not None and not any(leaf is given for given in inputs):
            keep(leaf, mask)


__all__ = ["given", "keep", "mark", "mask_of", "masks_of"]
