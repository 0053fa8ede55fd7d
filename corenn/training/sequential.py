"""``Sequential``: a model that is a list of layers, each applied to the last one's output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from corenn.configurable import deserialize, serialize
from corenn.errors import UsageError
from corenn.layers.base import Layer
from corenn.layers.core import Input
from corenn.layers.masking import mask_after, options_for
from corenn.layers.naming import local_names
from corenn.layers.symbolic import Symbolic, abstract_call
from corenn.training.model import Model, register


@register()
class Sequential(Model):
    """Layers in a row: ``Sequential([Dense(64, activation="relu"), Dense(10)])``.

    A first element ``corenn.layers.Input(shape)`` builds the model at once; otherwise it is built on its first call.
    """

    def __init__(self, layers: Sequence[Any] = (), *, name: str | None = None, **base: Any) -> None:
        super().__init__(name=name, **base)
        if isinstance(layers, (Layer, Symbolic)):
            raise UsageError(self.name, "takes a list of layers", hint="Sequential([layers.Dense(10)])")
        self._stack: list[Layer] = []
        self._input: Symbolic | None = None
        self._output: Any = None  # specs of the last layer's output, once an Input is given
        for layer in layers:
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order."""
        return list(self._stack)

    def children(self) -> list[tuple[str, Layer]]:
        """The layers by name, automatic names counted anew."""
        return list(zip(local_names(self._stack), self._stack, strict=True))

    def add(self, layer: Any) -> None:
        """Append a layer, which is built at once if the model has an Input."""
        if isinstance(layer, Symbolic):
            if self._stack or self._input is not None:
                raise UsageError(self.name, "Input must come first, and once")
            if layer.origin is not None:
                raise UsageError(self.name, f"{layer!r} is the output of a layer, not an Input")
            self._input, self._output = layer, layer.spec
            return
        if not isinstance(layer, Layer):
            hint = "layers.Lambda(function) wraps a function" if callable(layer) else "layers.Dense(10), for example"
            if isinstance(layer, type):
                hint = f"{layer.__name__}(...), with brackets"
            raise UsageError(self.name, f"{layer!r} is not a layer", hint=hint)
        same = [other for other in self._stack if other.name == layer.name and other is not layer]
        if same:
            raise UsageError(self.name, f"there are two layers called {layer.name!r}", hint="give one another name")
        if self._input is not None:
            self._output = abstract_call(layer, (self._output,), {})
        self._stack = [*self._stack, layer]
        self.built = self._input is not None

    def pop(self) -> Layer:
        """Remove and return the last layer."""
        if not self._stack:
            raise UsageError(self.name, "there are no layers")
        *left, last = self._stack
        self._stack = left
        if self._input is not None:
            self._output = self.compute_output_spec(self._input.spec) if left else self._input.spec
        return last

    def call(self, x: Any, mask: Any = None) -> Any:
        """Apply the layers in order."""
        for layer in self._stack:
            if mask is None and type(layer).compute_mask is Layer.compute_mask:
                x = layer(x)
            else:
                given, before = x, mask
                x = layer(given, **options_for(layer, before))
                mask = mask_after(layer, (given,), before)
        return x

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal model, layer by layer."""
        config: dict[str, Any] = {"layers": [serialize(layer) for layer in self._stack], "name": self.name}
        config |= {"trainable": self.trainable, "dtype": serialize(self._argument("dtype"))}
        if self._input is not None:
            config["input"] = {"shape": list(self._input.shape[1:]), "dtype": self._input.dtype.name}
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Sequential:
        """A model from what ``get_config`` returned."""
        given = dict(config)
        layers: list[Any] = [deserialize(c) for c in given.pop("layers")]
        first = given.pop("input", None)
        if first is not None:
            layers.insert(0, Input(tuple(first["shape"]), dtype=first["dtype"]))
        return cls(layers, **given)


__all__ = ["Sequential"]
