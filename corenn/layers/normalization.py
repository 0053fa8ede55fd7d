"""Normalising layers: batch, layer, group, instance, RMS, unit length."""

from __future__ import annotations

from typing import Any

from corenn import constraints, initializers, regularizers
from corenn.errors import AttributeValueError, ShapeError
from corenn.layers.base import Layer, register
from corenn.layers.symbolic import is_abstract
from corenn.ops.elementwise import multiply, stop_gradient, subtract
from corenn.ops.normalization import (
    batch_norm_inference,
    batch_norm_training,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)
from corenn.ops.norms import l2_normalize
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable


class _Scaled(Layer):
    """What normalising layers share: epsilon, and a trained scale (gamma) and offset (beta)."""

    keeps_mask, mixed_policy = True, "inner"

    def __init__(
        self,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        if epsilon < 0:
            raise AttributeValueError(self.name, f"epsilon must not be negative: {epsilon!r}")
        self.epsilon, self.center, self.scale = float(epsilon), center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Variable | None = None
        self.beta: Variable | None = None

    def check_axes(self, x: Spec, *axes: int) -> None:
        """ShapeError unless these are axes of ``x`` beside the batch."""
        for axis in axes:
            if not -x.ndim < axis < x.ndim or axis == 0:
                raise ShapeError(self.name, f"there is no axis {axis} beside the batch", {"x": x})

    def add_scale(self, shape: tuple[int, ...]) -> None:
        """Make gamma and beta, as configured."""
        if self.scale:
            self.gamma = self.add_weight("gamma", shape, self.gamma_initializer, regularizer=self.gamma_regularizer,
                                         constraint=self.gamma_constraint)  # fmt: skip
        if self.center:
            self.beta = self.add_weight("beta", shape, self.beta_initializer, regularizer=self.beta_regularizer,
                                        constraint=self.beta_constraint)  # fmt: skip


@register()
class BatchNormalization(_Scaled):
    """Each channel to mean 0 and variance 1 over the batch, then scaled and shifted (Ioffe & Szegedy 2015).

    In training the batch's statistics are used and the moving ones approach them,
    ``moving = momentum * moving + (1 - momentum) * batch``; otherwise, or when frozen (``trainable=False``), the moving
    ones are used.  ``axis``: of the channels.  The batch variance is the biased one.
    """

    def __init__(
        self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones", **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(epsilon, **options)
        if not 0 <= momentum <= 1:
            raise AttributeValueError(self.name, f"momentum must lie in [0, 1]: {momentum!r}")
        self.axis, self.momentum = axis, float(momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.moving_mean: Variable
        self.moving_variance: Variable

    def build(self, x: Spec) -> None:
        """Make gamma, beta and the moving statistics, one for each channel."""
        self.check_axes(x, self.axis)
        shape = (x.extent(self.axis),)
        self.add_scale(shape)
        self.moving_mean = self.add_weight("moving_mean", shape, self.moving_mean_initializer, trainable=False)
        self.moving_variance = self.add_weight(
            "moving_variance", shape, self.moving_variance_initializer, trainable=False
        )

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Normalise."""
        if training and self.trainable:
            y, mean, variance = batch_norm_training(x, self.gamma, self.beta, axis=self.axis, epsilon=self.epsilon)
            if not is_abstract():
                self._remember(self.moving_mean, mean)
                self._remember(self.moving_variance, variance)
            return y
        return batch_norm_inference(
            x, self.gamma, self.beta, self.moving_mean, self.moving_variance, axis=self.axis, epsilon=self.epsilon
        )

    def _remember(self, moving: Variable, batch: Tensor) -> None:
        old = moving.value()
        moving.assign(subtract(old, multiply(subtract(old, stop_gradient(batch)), 1 - self.momentum)))


@register()
class LayerNormalization(_Scaled):
    """Each example to mean 0 and variance 1 over ``axis`` (an int or ints, the last by default; Ba et al. 2016)."""

    def __init__(self, axis: Any = -1, epsilon: float = 1e-3, **options: Any) -> None:
        super().__init__(epsilon, **options)
        self.axis = axis if isinstance(axis, int) else [int(a) for a in axis]

    def _axes(self, ndim: int) -> tuple[int, ...]:
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis
        return tuple(sorted(a % ndim for a in axes))

    def build(self, x: Spec) -> None:
        """Make gamma and beta of the normalised axes' shape."""
        self.check_axes(x, *([self.axis] if isinstance(self.axis, int) else self.axis))
        self.add_scale(tuple(x.extent(a) for a in self._axes(x.ndim)))

    def call(self, x: Tensor) -> Tensor:
        """Normalise."""
        return layer_norm(x, self.gamma, self.beta, axis=self._axes(x.ndim), epsilon=self.epsilon)


@register()
class GroupNormalization(_Scaled):
    """Each example's channels, in ``groups``, to mean 0 and variance 1 over positions and the group (Wu & He 2018).

    ``groups=-1``: one for each channel (instance normalisation).
    """

    def __init__(self, groups: int = 32, axis: int = -1, epsilon: float = 1e-3, **options: Any) -> None:
        super().__init__(epsilon, **options)
        self.groups, self.axis = groups, axis

    def build(self, x: Spec) -> None:
        """Make gamma and beta, one for each channel."""
        self.check_axes(x, self.axis)
        channels = x.extent(self.axis)
        if self.groups != -1 and (self.groups < 1 or channels % self.groups):
            raise ShapeError(self.name, f"{channels} channels do not divide into {self.groups} groups", {"x": x})
        self.add_scale((channels,))

    def call(self, x: Tensor) -> Tensor:
        """Normalise."""
        if self.groups == -1:
            return instance_norm(x, self.gamma, self.beta, axis=self.axis, epsilon=self.epsilon)
        return group_norm(x, self.gamma, self.beta, groups=self.groups, axis=self.axis, epsilon=self.epsilon)


@register()
class RMSNormalization(_Scaled):
    """Each example divided by its root mean square over the last axis, then scaled (Zhang & Sennrich 2019)."""

    def __init__(self, epsilon: float = 1e-6, **options: Any) -> None:
        super().__init__(epsilon, center=False, **{k: v for k, v in options.items() if k != "center"})

    def build(self, x: Spec) -> None:
        """Make gamma."""
        self.add_scale((x.extent(-1),))

    def call(self, x: Tensor) -> Tensor:
        """Normalise."""
        return rms_norm(x, self.gamma, epsilon=self.epsilon)


@register()
class UnitNormalization(Layer):
    """Each example scaled to length 1 over ``axis``."""

    keeps_mask, mixed_policy = True, "inner"

    def __init__(self, axis: int = -1, **base: Any) -> None:
        super().__init__(**base)
        self.axis = axis

    def call(self, x: Tensor) -> Tensor:
        """Normalise."""
        return l2_normalize(x, axis=self.axis)


__all__ = [
    "BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization",
]  # fmt: skip
