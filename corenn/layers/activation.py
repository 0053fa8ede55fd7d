"""Activations that have settings or weights, and the common ones, as layers."""

from __future__ import annotations

from typing import Any

from corenn import constraints, initializers, regularizers
from corenn.errors import ShapeError
from corenn.layers.base import Layer, register
from corenn.ops import activations as ops
from corenn.ops.elementwise import clip
from corenn.ops.softmax import log_softmax, softmax
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable


class Elementwise(Layer):
    """Base of activation layers: every step by itself."""

    keeps_mask = True


@register("relu")
class ReLU(Elementwise):
    """``max(x, 0)``, at most ``max_value`` if given; ``negative_slope * x`` below 0."""

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, **base: Any) -> None:
        super().__init__(**base)
        self.max_value, self.negative_slope = max_value, negative_slope

    def call(self, x: Tensor) -> Tensor:
        """Apply it."""
        y = ops.leaky_relu(x, alpha=self.negative_slope) if self.negative_slope else ops.relu(x)
        return y if self.max_value is None else clip(y, max=self.max_value)


@register("leaky_relu")
class LeakyReLU(Elementwise):
    """``x`` above 0, ``negative_slope * x`` below."""

    def __init__(self, negative_slope: float = 0.3, **base: Any) -> None:
        super().__init__(**base)
        self.negative_slope = negative_slope

    def call(self, x: Tensor) -> Tensor:
        """Apply it."""
        return ops.leaky_relu(x, alpha=self.negative_slope)


@register()
class ELU(Elementwise):
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below."""

    def __init__(self, alpha: float = 1.0, **base: Any) -> None:
        super().__init__(**base)
        self.alpha = alpha

    def call(self, x: Tensor) -> Tensor:
        """Apply it."""
        return ops.elu(x, alpha=self.alpha)


@register()
class GELU(Elementwise):
    """``x * Phi(x)``; ``approximate`` takes the tanh form."""

    def __init__(self, approximate: bool = False, **base: Any) -> None:
        super().__init__(**base)
        self.approximate = approximate

    def call(self, x: Tensor) -> Tensor:
        """Apply it."""
        return ops.gelu(x, approximate=self.approximate)


@register("prelu")
class PReLU(Elementwise):
    """``x`` above 0, ``alpha * x`` below; ``alpha`` is trained, one for each input element or ``shared_axes``."""

    def __init__(
        self, alpha_initializer: Any = "zeros", alpha_regularizer: Any = None, alpha_constraint: Any = None,
        shared_axes: list[int] | None = None, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(**base)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = None if shared_axes is None else [int(a) for a in shared_axes]
        self.alpha: Variable

    def build(self, x: Spec) -> None:
        """Make alpha."""
        shared = set(self.shared_axes or ())
        if not shared <= set(range(1, x.ndim)):
            what = f"shared_axes must lie in 1 to {x.ndim - 1}: {self.shared_axes}"
            raise ShapeError(self.name, what, {"x": x})
        shape = [1 if axis in shared else x.extent(axis) for axis in range(1, x.ndim)]
        self.alpha = self.add_weight("alpha", shape, self.alpha_initializer, regularizer=self.alpha_regularizer,
                                     constraint=self.alpha_constraint)  # fmt: skip

    def call(self, x: Tensor) -> Tensor:
        """Apply it."""
        return ops.prelu(x, self.alpha)


class _Along(Elementwise):
    """A normalised activation along one axis."""

    mixed_policy = "full"

    def __init__(self, axis: int = -1, **base: Any) -> None:
        super().__init__(**base)
        self.axis = axis


@register()
class Softmax(_Along):
    """``exp(x) / sum(exp(x))`` along ``axis``."""

    def call(self, x: Tensor) -> Tensor:
        """Apply it."""
        return softmax(x, axis=self.axis)


@register()
class LogSoftmax(_Along):
    """``log(softmax(x))`` along ``axis``."""

    def call(self, x: Tensor) -> Tensor:
        """Apply it."""
        return log_softmax(x, axis=self.axis)
