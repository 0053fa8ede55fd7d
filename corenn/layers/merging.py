"""Layers of several inputs: Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot."""

from __future__ import annotations

import functools
from typing import Any

from corenn.errors import ShapeError, UsageError
from corenn.layers.base import Layer, register
from corenn.ops.contraction import matmul
from corenn.ops.elementwise import add, divide, maximum, minimum, multiply, subtract
from corenn.ops.logic import logical_and
from corenn.ops.norms import l2_normalize
from corenn.ops.shaping import concatenate, expand_dims, moveaxis, squeeze
from corenn.tensor import Tensor


class Merge(Layer):
    """Base of layers that take a list of tensors: ``layer([a, b])`` or ``layer(a, b)``."""

    def call(self, *inputs: Any) -> Tensor:
        """Merge the inputs, which broadcast."""
        tensors = list(inputs[0]) if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else list(inputs)
        if len(tensors) < 2:
            raise UsageError(self.name, f"merges at least 2 tensors, got {len(tensors)}", hint="layer([a, b])")
        return self.merge(tensors)

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """What a subclass does with them."""
        raise NotImplementedError(f"{type(self).__name__} does not define merge()")

    def compute_mask(self, x: Any, mask: Any = None) -> Tensor | None:
        """The steps that count in all inputs."""
        present = [m for m in (mask if isinstance(mask, list) else [mask]) if m is not None]
        return functools.reduce(logical_and, present) if present else None


@register()
class Add(Merge):
    """Sum of the inputs, elementwise."""

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Add them up."""
        return functools.reduce(add, tensors)


@register()
class Subtract(Merge):
    """Difference of two inputs, elementwise."""

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """First minus second."""
        if len(tensors) != 2:
            raise UsageError(self.name, f"subtracts two tensors, got {len(tensors)}")
        return subtract(*tensors)


@register()
class Multiply(Merge):
    """Product of the inputs, elementwise."""

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Multiply them."""
        return functools.reduce(multiply, tensors)


@register()
class Average(Merge):
    """Mean of the inputs, elementwise."""

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Average them."""
        return divide(functools.reduce(add, tensors), float(len(tensors)))


@register()
class Maximum(Merge):
    """Largest of the inputs, elementwise."""

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Their maximum."""
        return functools.reduce(maximum, tensors)


@register()
class Minimum(Merge):
    """Smallest of the inputs, elementwise."""

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Their minimum."""
        return functools.reduce(minimum, tensors)


@register()
class Concatenate(Merge):
    """The inputs joined along ``axis`` (default the last); other extents must be equal."""

    def __init__(self, axis: int = -1, **base: Any) -> None:
        super().__init__(**base)
        self.axis = axis

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Join them."""
        return concatenate(*tensors, axis=self.axis)

    def compute_mask(self, x: Any, mask: Any = None) -> Tensor | None:
        """The steps that count in all inputs, unless it is the steps that are joined."""
        ndim = x[0].ndim if isinstance(x, (list, tuple)) else 3
        return None if self.axis % ndim in (0, 1) else super().compute_mask(x, mask)


@register()
class Dot(Merge):
    """Batched inner product of two inputs along ``axes`` (an int, or one for each): [b, .., n] with [b, .., n].

    With ``normalize`` the inputs are scaled to length 1 first: the cosine of their angle.
    """

    def __init__(self, axes: int | tuple[int, int] | list[int] = -1, normalize: bool = False, **base: Any) -> None:
        super().__init__(**base)
        self.axes = (axes, axes) if isinstance(axes, int) else (int(axes[0]), int(axes[1]))
        self.normalize = normalize

    def merge(self, tensors: list[Tensor]) -> Tensor:
        """Contract the two."""
        if len(tensors) != 2:
            raise UsageError(self.name, f"takes two tensors, got {len(tensors)}")
        if any(not 2 <= t.ndim <= 3 for t in tensors):
            raise ShapeError(self.name, "takes tensors of 2 or 3 axes", {"a": tensors[0].spec, "b": tensors[1].spec})
        for tensor, axis in zip(tensors, self.axes, strict=True):
            if not -tensor.ndim < axis < tensor.ndim or axis == 0:
                raise ShapeError(self.name, f"there is no axis {axis} beside the batch", {"tensor": tensor.spec})
        if self.normalize:
            tensors = [l2_normalize(t, axis=a) for t, a in zip(tensors, self.axes, strict=True)]
        a, b = (moveaxis(t, source=axis, destination=-1) for t, axis in zip(tensors, self.axes, strict=True))
        left = expand_dims(a, axis=1) if a.ndim == 2 else a
        right = expand_dims(b, axis=1) if b.ndim == 2 else b
        out = matmul(left, right, transpose_b=True)
        drop = tuple(i for i, t in ((1, a), (2, b)) if t.ndim == 2)
        if len(drop) == 2:
            drop = (2,)
        return squeeze(out, axis=drop) if drop else out

    def compute_mask(self, x: Any, mask: Any = None) -> Tensor | None:
        """None: the result has other steps."""
        return None
