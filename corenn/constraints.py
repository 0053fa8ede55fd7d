"""Constraints on weights: functions from a weight tensor to the nearest allowed one, applied after each update.

Norms are over ``axis``: for a dense kernel [inputs, units], ``axis=0`` bounds the weights into each unit; for a
convolution kernel [height, width, inputs, outputs] that is ``axis=(0, 1, 2)``.  Max-norm: Srebro and Shraibman 2005;
Hinton et al. 2012 (arXiv:1207.0580).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

from corenn.configurable import Configurable, Registry
from corenn.errors import AttributeValueError
from corenn.ops.elementwise import clip, maximum, square, where
from corenn.ops.reduction import sum as sum_over
from corenn.ops.transcendental import sqrt
from corenn.tensor import Tensor

_TINY = 1e-7


class Constraint(Configurable):
    """Base of constraints: ``constraint(w)`` is an allowed tensor of the same shape and dtype."""

    def __call__(self, w: Tensor, /) -> Tensor:
        """The allowed tensor next to ``w``."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__")


_registry: Registry[Constraint] = Registry("constraint", Constraint)
register = _registry.register


@overload
def get(spec: None) -> None: ...
@overload
def get(spec: Constraint | Callable[[Tensor], Tensor] | str | dict[str, Any] | type[Constraint]) -> Constraint: ...
def get(spec: Any) -> Any:
    """The constraint for None, a name (``"max_norm"``), a class, an instance, a dictionary or a function of weights."""
    return _registry.get(spec)


def _axes(axis: int | Sequence[int]) -> int | tuple[int, ...]:
    return axis if isinstance(axis, int) else tuple(axis)


def _norms(w: Tensor, axis: int | tuple[int, ...]) -> Tensor:
    return sqrt(sum_over(square(w), axis=axis, keepdims=True))


@register("max_norm")
class MaxNorm(Constraint):
    """Scales down vectors along ``axis`` that are longer than ``max_value``; shorter ones stay as they are."""

    def __init__(self, max_value: float = 2.0, axis: int | Sequence[int] = 0) -> None:
        if not max_value >= 0:
            raise AttributeValueError("MaxNorm", "max_value must be at least 0", {"max_value": max_value})
        self.max_value, self.axis = float(max_value), _axes(axis)

    def __call__(self, w: Tensor, /) -> Tensor:
        """``w`` with long vectors shortened."""
        norms = _norms(w, self.axis)
        return where(norms > self.max_value, w * (self.max_value / maximum(norms, _TINY)), w)


@register("non_neg", "non_negative")
class NonNeg(Constraint):
    """Negative weights become 0."""

    def __call__(self, w: Tensor, /) -> Tensor:
        """``maximum(w, 0)``."""
        return maximum(w, 0.0)


@register("unit_norm")
class UnitNorm(Constraint):
    """Scales vectors along ``axis`` to length 1 (vectors of nearly 0 stay near 0)."""

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = _axes(axis)

    def __call__(self, w: Tensor, /) -> Tensor:
        """``w / (norm + 1e-7)``."""
        return w / (_norms(w, self.axis) + _TINY)


@register("min_max_norm")
class MinMaxNorm(Constraint):
    """Moves the length of vectors along ``axis`` towards [min_value, max_value], ``rate`` of the way (1: all of it)."""

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0
    ) -> None:
        if not 0 <= min_value <= max_value:
            bounds = {"min_value": min_value, "max_value": max_value}
            raise AttributeValueError("MinMaxNorm", "0 <= min_value <= max_value must hold", bounds)
        if not 0 < rate <= 1:
            raise AttributeValueError("MinMaxNorm", "rate must lie in (0, 1]", {"rate": rate})
        self.min_value, self.max_value, self.rate = float(min_value), float(max_value), float(rate)
        self.axis = _axes(axis)

    def __call__(self, w: Tensor, /) -> Tensor:
        """``w`` with its vectors' lengths moved into the interval."""
        norms = _norms(w, self.axis)
        wanted = self.rate * clip(norms, min=self.min_value, max=self.max_value) + (1.0 - self.rate) * norms
        return w * (wanted / (norms + _TINY))


__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "get", "register"]
