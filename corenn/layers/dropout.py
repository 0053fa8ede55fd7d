"""Layers that add noise in training and do nothing otherwise.  Their noise comes from the default generator."""

from __future__ import annotations

from typing import Any

from corenn.errors import AttributeValueError, ShapeError
from corenn.layers.base import Layer, register
from corenn.ops import random
from corenn.ops.elementwise import add, multiply
from corenn.regularizers import L1L2
from corenn.tensor import Tensor


class _Noise(Layer):
    """Base: a rate in [0, 1), and a generator of its own if ``seed`` is given."""

    keeps_mask = True

    def __init__(self, rate: float, seed: int | None = None, **base: Any) -> None:
        super().__init__(**base)
        if not 0 <= rate < 1:
            raise AttributeValueError(self.name, f"rate must lie in [0, 1), not {rate!r}",
                                      hint="it is the fraction dropped, not the fraction kept")  # fmt: skip
        self.rate, self.seed = float(rate), seed
        self.generator = None if seed is None else random.Generator(seed)


@register()
class Dropout(_Noise):
    """Drops elements with probability ``rate`` in training and scales the others by ``1 / (1 - rate)``.

    ``noise_shape``: 1 along axes that are dropped together, ``None`` for the input's extent.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **base: Any) -> None:
        super().__init__(rate, seed, **base)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Drop, in training."""
        if not training:
            return x
        return random.dropout(x, self.rate, noise_shape=self.noise_shape, generator=self.generator)


class _SpatialDropout(_Noise):
    """Drops whole channels (the last axis) in training."""

    _rank = 1

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Drop, in training."""
        if x.ndim != self._rank + 2:
            raise ShapeError(self.name, f"takes inputs of {self._rank + 2} axes", {"x": x.spec})
        if not training:
            return x
        shape = (None, *[1] * self._rank, None)
        return random.dropout(x, self.rate, noise_shape=shape, generator=self.generator)


@register()
class SpatialDropout1D(_SpatialDropout):
    """Drops whole channels of [batch, time, channels]."""


@register()
class SpatialDropout2D(_SpatialDropout):
    """Drops whole channels of [batch, height, width, channels]."""

    _rank = 2


@register()
class SpatialDropout3D(_SpatialDropout):
    """Drops whole channels of [batch, depth, height, width, channels]."""

    _rank = 3


@register()
class GaussianDropout(_Noise):
    """Multiplies by normal noise of mean 1 and variance ``rate / (1 - rate)`` in training (Srivastava et al. 2014)."""

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Multiply, in training."""
        if not training or self.rate == 0:
            return x
        stddev = (self.rate / (1 - self.rate)) ** 0.5
        return multiply(x, random.normal(x.shape, 1.0, stddev, dtype=x.dtype, generator=self.generator))


@register()
class GaussianNoise(Layer):
    """Adds normal noise of standard deviation ``stddev`` in training."""

    keeps_mask = True

    def __init__(self, stddev: float, seed: int | None = None, **base: Any) -> None:
        super().__init__(**base)
        if stddev < 0:
            raise AttributeValueError(self.name, f"stddev must not be negative: {stddev!r}")
        self.stddev, self.seed = float(stddev), seed
        self.generator = None if seed is None else random.Generator(seed)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Add, in training."""
        if not training:
            return x
        return add(x, random.normal(x.shape, 0.0, self.stddev, dtype=x.dtype, generator=self.generator))


@register()
class ActivityRegularization(Layer):
    """The input itself; adds ``l1 * sum(|x|) + l2 * sum(x**2)`` to the model's loss."""

    keeps_mask = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **base: Any) -> None:
        super().__init__(**base)
        self.l1, self.l2 = float(l1), float(l2)

    def call(self, x: Tensor) -> Tensor:
        """Record the penalty."""
        self.add_loss(L1L2(self.l1, self.l2)(x))
        return x
