"""``Sequential``: layers in a row."""

from __future__ import annotations

from typing import Any

from corenn.dtypes import string
from corenn.graph.tensors import GraphTensor
from corenn.layers.base import Layer as CoreLayer
from corenn.layers.masking import mask_after, options_for
from corenn_tensorflow.keras import world
from corenn_tensorflow.keras.engine.functional import Plan
from corenn_tensorflow.keras.engine.symbolic import Input, InputLayer, node_of
from corenn_tensorflow.keras.engine.training import Model


class Sequential(Model):
    """``Sequential([Dense(64, input_shape=(10,)), Dense(1)])``; built at once where the shape of the input is known."""

    def __init__(self, layers: Any = None, name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self._stack: list[Any] = []
        for layer in [layers] if isinstance(layers, CoreLayer) else layers or ():
            self.add(layer)

    @property
    def layers(self) -> list[Any]:
        """The layers in order."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    def children(self) -> list[tuple[str, Any]]:
        """The layers by name."""
        return [(layer.name, layer) for layer in self.layers]

    def add(self, layer: Any) -> None:
        """Append a layer."""
        if isinstance(layer, GraphTensor):
            node = node_of(layer)
            if node is None:
                raise TypeError("a Sequential model takes layers, not tensors")
            layer = node.layer
        if not isinstance(layer, CoreLayer):
            if not callable(layer):
                raise TypeError(f"The added layer must be an instance of class Layer. Found: {layer}")
            from corenn_tensorflow.keras.layers import Lambda

            layer = Lambda(layer)
        if any(layer.name == other.name for other in self._stack):
            raise ValueError(f'All layers added to a Sequential model should have unique names. Name "{layer.name}" is '
                             "already the name of a layer in this model. Update the `name` argument.")  # fmt: skip
        self._stack = [*self._stack, layer]
        if self._plan is not None:
            self._grow(self._outputs, layer)
        elif len(self._stack) == 1 or all(isinstance(s, InputLayer) for s in self._stack[:-1]):
            self._begin(layer)

    def _begin(self, layer: Any) -> None:
        if isinstance(layer, InputLayer):
            self._start(layer.output)
            return
        if isinstance(layer, Model) and layer._plan is not None:
            first = layer._plan.inputs[0]
            made = Input(batch_shape=first.extents, dtype=first.dtype.name, name=f"{layer.name}_input")
        else:
            shape = getattr(layer, "_batch_input_shape", None)
            if shape is None:
                return
            dtype = layer._first_dtype.name if layer._first_dtype is not None else layer.first_dtype
            made = Input(batch_shape=shape, dtype=dtype, name=f"{layer.name}_input")
        self._start(made)
        self._grow(made, layer)

    def _start(self, symbol: Any) -> None:
        self._inputs = self._outputs = symbol
        self._plan = Plan(self.name, [symbol], [symbol])
        self._plan_layers = []
        self.built = True

    def _grow(self, symbol: Any, layer: Any) -> None:
        outputs = layer(symbol)
        self._outputs = outputs
        self._plan = Plan(
            self.name, self._plan.inputs, [outputs] if isinstance(outputs, GraphTensor) else list(outputs)
        )  # type: ignore[union-attr]

    def pop(self) -> Any:
        """Remove the last layer."""
        if not self.layers:
            raise TypeError("There are no layers in the model.")
        last, self._stack = self._stack[-1], self._stack[:-1]
        if self._plan is not None:
            outputs = self._plan.inputs[0]
            for layer in self.layers:
                outputs = next((n.outputs for n in layer._nodes if n.inputs is outputs), outputs)
            self._outputs = outputs
            self._plan = Plan(self.name, self._plan.inputs, [outputs])
        return last

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Apply the layers in order."""
        x = inputs
        if self._plan is not None and not isinstance(x, (list, tuple, dict)):
            wanted = self._plan.inputs[0].dtype
            x = x if x.dtype in (wanted, string) else x.cast(wanted)
        for layer in self.layers:
            if mask is None and type(layer).compute_mask is CoreLayer.compute_mask:
                x = layer(x)
            else:
                given, before = x, mask
                x = layer(given, **options_for(layer, before))
                mask = (
                    mask_after(layer, (given,), before)
                    if not isinstance(given, GraphTensor) or world.runs_inline(given.graph)
                    else None
                )
        return x

    def build(self, input_shape: Any = None) -> None:
        """Make the weights for inputs of this shape."""
        if self._plan is None and input_shape is not None and not isinstance(input_shape, dict):
            from corenn_tensorflow.keras.engine.base_layer import plain_shape

            made = Input(batch_shape=plain_shape(input_shape))
            self._start(made)
            for layer in self.layers:
                self._grow(self._outputs, layer)
        self.built = True

    @property
    def output_names(self) -> list[str]:
        """The last layer's name."""
        return [self.layers[-1].name] if self.layers else []

    def predict_classes(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        """The class of each example."""
        found = self.predict(x, batch_size=batch_size, verbose=verbose)
        return found.argmax(axis=-1) if found.shape[-1] > 1 else (found > 0.5).astype("int32")

    def predict_proba(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        """The same as ``predict``."""
        return self.predict(x, batch_size=batch_size, verbose=verbose)

    def get_config(self) -> dict[str, Any]:
        """The layers' configurations."""
        config = {"name": self.name, "layers": [
            {"class_name": type(layer).__name__, "config": layer.get_config()} for layer in self.layers
        ]}  # fmt: skip
        if self._plan is not None:
            config["build_input_shape"] = [None if n is None else int(n) for n in self._plan.inputs[0].extents or ()]
            config["input_dtype"] = self._plan.inputs[0].dtype.name
        return config

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        """A model from its configuration."""
        from corenn_tensorflow.keras.engine.architecture import layer_from

        given = config if isinstance(config, dict) else {"layers": config}
        model = cls(name=given.get("name"))
        layers = [layer_from(c, custom_objects) for c in given["layers"]]
        shape = given.get("build_input_shape")
        if shape is not None and layers and getattr(layers[0], "_batch_input_shape", None) is None:
            model.add(InputLayer(batch_input_shape=shape, dtype=given.get("input_dtype")))
        for layer in layers:
            model.add(layer)
        return model


__all__ = ["Sequential"]
