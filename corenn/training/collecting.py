"""What a step needs of a model's layers, gathered once for each structure the model has."""

from __future__ import annotations

from typing import Any

from corenn.dtypes import float16, float64
from corenn.layers import naming
from corenn.layers.base import Layer
from corenn.layers.phase import structure_version
from corenn.metrics import Metric


class Collected:
    """What a step needs of a model's layers, gathered once for each structure the model has."""

    def __init__(self, model: Layer) -> None:
        self.version = structure_version()
        self.layers = list(model.walk())
        self.trainable = model.trainable_weights
        trained = {id(v) for v in self.trainable}
        self.penalties = [(v, f) for layer in self.layers for v, f in layer._regularized if id(v) in trained]
        self.functions = [f for layer in self.layers for f in layer._penalties]
        found: list[tuple[str, Metric]] = []
        for layer in self.layers:
            for key, value in layer.__dict__.items():
                naming.collect(key, value, Metric, found)
        self.metrics = list({id(m): m for _, m in found}.values())
        self.optimizer: Any = None  # the one that has slots for the trainable variables
        self.double = any(layer.dtype is float64 for layer in self.layers)
        #: Whether gradients pass through float16 on their way to variables of another dtype.
        self.half = any(layer.compute_dtype is float16 and layer.dtype is not float16 for layer in self.layers)

    def same_as(self, other: Collected) -> bool:
        """Whether steps made for one serve the other: the same layers, equally frozen, the same weights and metrics."""
        return self._identities() == other._identities()

    def _identities(self) -> tuple[Any, ...]:
        return (
            [(id(layer), layer._trainable, *map(id, layer._own_weights)) for layer in self.layers],
            [id(v) for v in self.trainable], [(id(v), id(f)) for v, f in self.penalties], [id(m) for m in self.metrics],
            [id(f) for f in self.functions], self.double, self.half,
        )  # fmt: skip


__all__ = ["Collected"]
