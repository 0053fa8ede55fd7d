"""``Sequential``: a model that is a list of layers, each applied to the last one's output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corenn.configurable import deserialize, serialize
from corenn.errors import UsageError
from corenn.layers.base import Layer
from corenn.layers.symbolic import Symbolic
from corenn.spec import Spec
from corenn.training.model import Model


class Sequential(Model):
    """Layers in a row: ``Sequential([Dense(64, activation="relu"), Dense(10)])``.

    A first element ``corenn.layers.Input(shape)`` builds the model at once; otherwise it is built on its first call.
    """

    def __init__(self, layers: Sequence[Any] = (), *, name: str | None = None, **base: Any) -> None:
        super().__init__(name=name, **base)
        self._stack: list[Layer] = []
        self._input: Symbolic | None = None
        for layer in layers:
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order."""
        return list(self._stack)

    def add(self, layer: Any) -> None:
        """Append a layer; the model is built further if its input shape is known."""
        if isinstance(layer, Symbolic):
            if self._stack:
                raise UsageError(self.name, "Input must come first")
            self._input = layer
            return
        if not isinstance(layer, Layer):
            raise UsageError(self.name, f"{layer!r} is not a layer", hint="layers.Lambda(function) wraps a function")
        self._stack.append(layer)
        if self._input is not None:
            self.build_for(self._input.spec)

    def pop(self) -> Layer:
        """Remove and return the last layer."""
        if not self._stack:
            raise UsageError(self.name, "there are no layers")
        return self._stack.pop()

    def build_for(self, spec: Spec) -> None:
        """Build all layers for inputs of ``spec`` (its batch extent does not matter), computing nothing."""
        self.compute_output_spec(spec)

    def call(self, x: Any, training: bool = False) -> Any:
        """Apply the layers in order."""
        for layer in self._stack:
            x = layer(x, training=training)
        return x

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal model, layer by layer."""
        config = {**super().get_config(), "layers": [serialize(layer) for layer in self._stack]}
        if self._input is not None:
            config["input"] = {"shape": list(self._input.shape[1:]), "dtype": self._input.dtype.name}
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sequential:
        """A model from what ``get_config`` returned."""
        from corenn.layers.core import Input

        given = dict(config)
        layers: list[Any] = [deserialize(c) for c in given.pop("layers")]
        first = given.pop("input", None)
        if first is not None:
            layers.insert(0, Input(tuple(first["shape"]), dtype=first["dtype"]))
        return cls(layers, **given)
