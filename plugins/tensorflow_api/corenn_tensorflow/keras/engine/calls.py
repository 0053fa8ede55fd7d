"""What a layer tells of its symbolic calls: inputs, outputs, and their shapes."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow.keras.engine.shapes import plain_shapes


class Called:
    """A layer's part that looks at the calls it remembers, or, of a layer called on values, at their specs."""

    name: str
    input_specs: Any
    output_specs: Any
    _nodes: list[Any]
    _batch_input_shape: tuple[int | None, ...] | None

    def _node(self, index: int, what: str) -> Any:
        if not self._nodes:
            raise AttributeError(f"Layer {self.name} has never been called and thus has no defined {what}.")
        if index >= len(self._nodes):
            raise ValueError(f"Asked to get {what} at node {index}, but the layer has only {len(self._nodes)} nodes.")
        return self._nodes[index]

    @property
    def input(self) -> Any:
        """The symbolic input of the first call."""
        return self._node(0, "input").inputs

    @property
    def output(self) -> Any:
        """The symbolic output of the first call."""
        return self._node(0, "output").outputs

    @property
    def input_shape(self) -> Any:
        """The shape of the input, a tuple."""
        if self._nodes:
            return plain_shapes(self._nodes[0].inputs)
        if self._batch_input_shape is not None:
            return self._batch_input_shape
        return plain_shapes(self._specs(self.input_specs, "input shape")[0])

    @property
    def output_shape(self) -> Any:
        """The shape of the output, a tuple."""
        return plain_shapes(self._nodes[0].outputs if self._nodes else self._specs(self.output_specs, "output shape"))

    def _specs(self, specs: Any, what: str) -> Any:
        if specs is None:
            raise AttributeError(f"The layer {self.name} has never been called and thus has no defined {what}.")
        return specs

    def get_input_at(self, node_index: int) -> Any:
        """The symbolic input of a call."""
        return self._node(node_index, "input").inputs

    def get_output_at(self, node_index: int) -> Any:
        """The symbolic output of a call."""
        return self._node(node_index, "output").outputs

    def get_input_shape_at(self, node_index: int) -> Any:
        """The shape of a call's input."""
        return plain_shapes(self._node(node_index, "input shape").inputs)

    def get_output_shape_at(self, node_index: int) -> Any:
        """The shape of a call's output."""
        return plain_shapes(self._node(node_index, "output shape").outputs)

    @property
    def inbound_nodes(self) -> list[Any]:
        """The symbolic calls."""
        return list(self._nodes)

    _inbound_nodes = inbound_nodes


__all__ = ["Called"]
