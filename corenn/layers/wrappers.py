"""Layers around another layer: both directions of time, and every step of time."""

from __future__ import annotations

from typing import Any

from corenn.configurable import deserialize
from corenn.errors import AttributeValueError, ShapeError, UsageError
from corenn.layers.base import Layer, register
from corenn.layers.phase import call_signature
from corenn.layers.recurrent import Recurrent
from corenn.layers.reshaping import batch_extent
from corenn.ops.arranging import flip
from corenn.ops.elementwise import add, multiply
from corenn.ops.shaping import concatenate, reshape
from corenn.tensor import Tensor
from corenn.tree import tree_map

_MERGE = ("concat", "sum", "mul", "ave", None)


def _as_layer(where: str, value: Any) -> Layer:
    found = deserialize(value, "layer") if isinstance(value, dict) else value
    if not isinstance(found, Layer):
        raise UsageError(where, f"{value!r} is not a layer")
    return found


@register()
class Bidirectional(Layer):
    """A recurrent layer and a copy of it that reads backwards (Schuster & Paliwal 1997).

    ``merge_mode``: outputs are joined along the last axis ("concat"), added ("sum"), multiplied ("mul"), averaged
    ("ave"), or both returned (``None``).  ``backward_layer``: in place of the copy.  Initial and final states are those
    of the forward layer, then those of the backward one.
    """

    casts_inputs = False

    def __init__(self, layer: Any, merge_mode: str | None = "concat", backward_layer: Any = None, **base: Any) -> None:
        super().__init__(**base)
        self.layer = _as_layer(self.name, layer)
        if not isinstance(self.layer, Recurrent):
            raise UsageError(self.name, f"takes a recurrent layer, not {type(self.layer).__name__}")
        if merge_mode not in _MERGE:
            raise AttributeValueError(self.name, f"merge_mode {merge_mode!r} is not one of {_MERGE}")
        self.merge_mode = merge_mode
        if backward_layer is None:
            config = self.layer.get_config()
            config |= {"go_backwards": not self.layer.go_backwards, "name": f"backward_{self.layer.name}"}
            backward_layer = type(self.layer).from_config(config)
        self.backward_layer = _as_layer(self.name, backward_layer)
        forward, backward = self.layer, self.backward_layer
        if not isinstance(backward, Recurrent) or backward.go_backwards == forward.go_backwards:
            raise UsageError(self.name, "the backward layer must go the other way", hint="go_backwards=True")
        for option in ("return_sequences", "return_state"):
            if getattr(backward, option) != getattr(forward, option):
                raise UsageError(self.name, f"the two layers differ in {option}")

    def call(
        self, x: Tensor, *, mask: Any = None, lengths: Any = None, initial_state: Any = None, training: bool = False
    ) -> Any:
        """Both ways, merged."""
        halves: list[Any] = [None, None]
        if initial_state is not None:
            count = len(initial_state) // 2
            halves = [initial_state[:count], initial_state[count:]]
        ahead, back = (
            layer(x, mask=mask, lengths=lengths, initial_state=half, training=training)
            for layer, half in zip((self.layer, self.backward_layer), halves, strict=True)
        )
        states: tuple[Any, ...] = ()
        if self.layer.return_state:
            states = (*ahead[1:], *back[1:])
            ahead, back = ahead[0], back[0]
        if self.layer.return_sequences:
            back = flip(back, axis=1)
        merged = self._merged(ahead, back)
        if not states:
            return merged
        return (*merged, *states) if self.merge_mode is None else (merged, *states)

    def _merged(self, ahead: Tensor, back: Tensor) -> Any:
        if self.merge_mode is None:
            return ahead, back
        if self.merge_mode == "concat":
            return concatenate(ahead, back, axis=-1)
        if self.merge_mode == "mul":
            return multiply(ahead, back)
        total = add(ahead, back)
        return multiply(total, 0.5) if self.merge_mode == "ave" else total

    def compute_mask(self, x: Any, mask: Tensor | None = None) -> Tensor | None:
        """The forward layer's."""
        return self.layer.compute_mask(x, mask) if self.merge_mode is not None else None


@register()
class TimeDistributed(Layer):
    """A layer applied to every step of [batch, time, ...] by itself, with the same weights."""

    keeps_mask, casts_inputs = True, False

    def __init__(self, layer: Any, **base: Any) -> None:
        super().__init__(**base)
        self.layer = _as_layer(self.name, layer)

    def call(self, x: Tensor, training: bool = False) -> Any:
        """Join batch and time, apply, and part them again."""
        if x.ndim < 3:
            raise ShapeError(self.name, "takes inputs [batch, time, ...]", {"x": x.spec})
        batch, steps, *rest = batch_extent(x), *(x.spec.extent(axis) for axis in range(1, x.ndim))
        options = {"training": training} if call_signature(type(self.layer).call).takes_training else {}
        out = self.layer(reshape(x, shape=(-1 if batch < 0 else batch * steps, *rest)), **options)
        return tree_map(lambda t: reshape(t, shape=(batch, steps, *(t.spec.extent(a) for a in range(1, t.ndim)))), out)


__all__ = ["Bidirectional", "TimeDistributed"]
