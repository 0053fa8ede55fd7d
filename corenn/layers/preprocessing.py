"""Layers that prepare data: fixed scaling, and scaling learnt from the data before training."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from corenn.errors import DataError, ShapeError, UsageError
from corenn.initializers import Constant
from corenn.layers.base import Layer, register
from corenn.layers.symbolic import is_abstract
from corenn.ops.creation import tensor
from corenn.ops.elementwise import add, divide, maximum, multiply, subtract
from corenn.ops.shaping import reshape
from corenn.ops.transcendental import sqrt
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable


@register()
class Rescaling(Layer):
    """``x * scale + offset`` in the layer's precision, for inputs of any dtype: ``Rescaling(1 / 255)`` for images."""

    keeps_mask = True

    def __init__(self, scale: float, offset: float = 0.0, **base: Any) -> None:
        super().__init__(**base)
        self.scale, self.offset = scale, offset

    def call(self, x: Tensor) -> Tensor:
        """Scale."""
        scaled = multiply(x.cast(self.dtype), self.scale)
        return add(scaled, self.offset) if self.offset else scaled


@register()
class Normalization(Layer):
    """Each feature to mean 0 and variance 1: ``(x - mean) / sqrt(variance)``; with ``invert``, back again.

    ``mean`` and ``variance``: given (numbers, or arrays of the extents of ``axis``), or found by ``adapt(data)`` before
    training.  ``axis``: the axes that keep statistics of their own (an int, ints, or ``None`` for one mean of all).
    They are variables that are not trained, so they are saved with the weights.  UsageError when it is called before
    they are known.
    """

    keeps_mask = True

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **base: Any
    ) -> None:
        super().__init__(**base)
        self.axis = axis if axis is None or isinstance(axis, int) else [int(a) for a in axis]
        if (mean is None) != (variance is None):
            raise UsageError(self.name, "give mean and variance together, or neither and call adapt(data)")
        self.mean = None if mean is None else np.asarray(mean, np.float64).tolist()
        self.variance = None if variance is None else np.asarray(variance, np.float64).tolist()
        self.invert = invert
        self._mean: Variable
        self._variance: Variable
        self._unset: Any = None  # the data of the mean before anything was assigned to it

    def _kept(self, ndim: int) -> tuple[int, ...]:
        axes = () if self.axis is None else (self.axis,) if isinstance(self.axis, int) else tuple(self.axis)
        if any(not -ndim <= a < ndim for a in axes) or any(a % ndim == 0 for a in axes):
            raise ShapeError(self.name, f"there is no axis {self.axis} beside the batch", {"axes": ndim})
        return tuple(sorted(a % ndim for a in axes))

    def build(self, x: Spec) -> None:
        """Make the statistics."""
        shape = [x.extent(a) for a in self._kept(x.ndim)]
        for name, value in (("mean", self.mean), ("variance", self.variance)):
            if value is not None and np.shape(value) not in ((), tuple(shape)):
                what = f"the {name} has shape {np.shape(value)}, the data {tuple(shape)}"
                raise ShapeError(self.name, what, {"x": x})
        given = self.mean is not None
        start_mean, start_variance = (self.mean, self.variance) if given else (0.0, 1.0)
        self._mean = self.add_weight("mean", shape, Constant(start_mean), trainable=False)
        self._variance = self.add_weight("variance", shape, Constant(start_variance), trainable=False)
        self._unset = None if given else self._mean.data

    def adapt(self, data: Any) -> None:
        """Find mean and variance in ``data``: an array, or a Dataset or iterable of batches (of inputs, or of (x, y)).

        In float64, in one pass (Chan et al. 1979, pairwise combination).  Raises DataError if there is none.
        """
        if self.mean is not None:
            raise UsageError(self.name, "mean and variance were given", hint="Normalization() to find them in data")
        batches: Iterable[Any] = [data] if hasattr(data, "__array__") or isinstance(data, list) else data
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        spec: Spec | None = None
        for batch in batches:
            host = np.asarray(batch[0] if isinstance(batch, tuple) else batch, np.float64)
            if not host.size:
                continue
            spec = Spec(host.shape, self.dtype)
            kept = self._kept(host.ndim)
            others = tuple(a for a in range(host.ndim) if a not in kept)
            fresh = math.prod(host.shape[a] for a in others)
            centre = host.mean(axis=others)
            spread = host.var(axis=others) * fresh
            delta, total = centre - mean, count + fresh
            squares = squares + spread + delta**2 * (count * fresh / total)
            mean, count = mean + delta * (fresh / total), total
        if spec is None or not count:
            raise DataError(self.name, "there is no data to adapt to")
        if not self.built:
            self._build((Tensor(None, spec),))
        for variable, value in ((self._mean, mean), (self._variance, squares / count)):
            variable.assign(tensor(np.asarray(value), dtype=variable.dtype, device=variable.device))

    def call(self, x: Tensor) -> Tensor:
        """Normalise, or with ``invert`` undo it."""
        if self._unset is not None and self._mean.data is self._unset and not is_abstract():
            hint = "call adapt(data) on the training data first, or give mean= and variance="
            raise UsageError(self.name, "mean and variance are not known yet", hint=hint)
        x = x.cast(self.dtype)
        kept = self._kept(x.ndim)
        shape = tuple(x.spec.extent(a) if a in kept else 1 for a in range(x.ndim))
        mean = reshape(self._mean, shape=shape)
        deviation = reshape(maximum(sqrt(self._variance), 1e-7), shape=shape)
        if self.invert:
            return add(multiply(x, deviation), mean)
        return divide(subtract(x, mean), deviation)


__all__ = ["Normalization", "Rescaling"]
