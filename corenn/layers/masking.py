"""Masks: which steps of a sequence count; the layer that makes them, and how models hand them from layer to layer.

A mask is bools [batch, steps].  ``Embedding(mask_zero=True)`` and ``Masking`` make one.  ``Sequential`` and functional
models give it to layers whose ``call`` takes ``mask=`` and carry it past layers that keep the steps; it ends at others.
In a model of your own, ask ``layer.compute_mask(x)`` and pass ``mask=``.
"""

from __future__ import annotations

import functools
from typing import Any

from corenn.layers.base import Layer, register
from corenn.layers.phase import call_signature
from corenn.layers.symbolic import OpCall
from corenn.ops.elementwise import where
from corenn.ops.families import binary, unary
from corenn.ops.logic import logical_and, not_equal
from corenn.ops.reduction import any as any_over
from corenn.tensor import Tensor


@register()
class Masking(Layer):
    """Makes a mask: steps of [batch, steps, features] whose features all equal ``mask_value`` do not count."""

    def __init__(self, mask_value: float = 0.0, **base: Any) -> None:
        super().__init__(**base)
        self.mask_value = mask_value

    def call(self, x: Tensor) -> Tensor:
        """The input, with steps that do not count set to 0."""
        return where(any_over(not_equal(x, self.mask_value), axis=-1, keepdims=True), x, 0.0)

    def compute_mask(self, x: Any, mask: Tensor | None = None) -> Tensor | None:
        """Where any feature differs from ``mask_value``, and ``mask`` holds."""
        found = any_over(not_equal(x, self.mask_value), axis=-1)
        return found if mask is None else logical_and(found, mask)


def joined(masks: Any) -> Tensor | None:
    """The steps that count in all of several masks (``None`` where all do)."""
    present = [m for m in masks if m is not None]
    return functools.reduce(logical_and, present) if present else None


def options_for(layer: Any, mask: Any) -> dict[str, Any]:
    """What to add to the options of a layer's call for inputs with these masks (one, or one for each input)."""
    if mask is None or not isinstance(layer, Layer) or not call_signature(type(layer).call).takes_mask:
        return {}
    return {"mask": mask}


def mask_after(layer: Any, inputs: tuple[Any, ...], mask: Any) -> Tensor | None:
    """The mask of a layer's (or op's) output, given its inputs and their masks."""
    if isinstance(layer, OpCall):
        return joined(mask if isinstance(mask, list) else [mask]) if layer.op.family in (unary, binary) else None
    if mask is None and type(layer).compute_mask is Layer.compute_mask:
        return None
    return layer.compute_mask(inputs[0] if len(inputs) == 1 else list(inputs), mask)  # type: ignore[no-any-return]


__all__ = ["Masking", "joined", "mask_after", "options_for"]
