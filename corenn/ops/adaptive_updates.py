"""Optimizer updates that divide by accumulated gradients: Adagrad, Adadelta, RMSprop, FTRL (see ``updates``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.errors import AttributeValueError, ShapeError
from corenn.ops.elementwise import clip, power, square
from corenn.ops.sampling import error, literal, real
from corenn.ops.table import TensorLike, op
from corenn.ops.transcendental import rsqrt, sqrt
from corenn.ops.updates import DTYPES, Array, decayed, decaying_mean, in_dtype_of, infer_update, update_samples
from corenn.tensor import Tensor

__all__: list[str] = []  # optimizers use these; people use optimizers

_slot, _positive, _rate = real(), real(0.2, 2.0), literal(0.1)


def _scaled(gradient: Tensor, square_sum: Tensor, epsilon: float, inside: bool) -> Tensor:
    """``gradient`` divided by the root of ``square_sum``, with ``epsilon`` under the root or beside it."""
    if inside:
        return gradient * rsqrt(square_sum + epsilon if epsilon else square_sum)
    return gradient / (sqrt(square_sum) + epsilon)


def _scaled_reference(g: Array, s: Array, epsilon: float, inside: bool) -> Array:
    return g / np.sqrt(s + epsilon) if inside else g / (np.sqrt(s) + epsilon)


@op(infer=infer_update(1), dtypes=DTYPES, results=("variable", "accumulator"), namespace="_", pointwise=True)
def adagrad_update(
    variable: TensorLike, gradient: TensorLike, accumulator: TensorLike, learning_rate: TensorLike, /, *,
    epsilon: float = 1e-7, epsilon_inside: bool = True, weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Adagrad (Duchi, Hazan & Singer 2011): ``accumulator`` adds up squared gradients, and the variable falls by
    ``learning_rate * gradient / sqrt(accumulator + epsilon)``.

    ``epsilon_inside=False``: ``sqrt(accumulator) + epsilon`` (Keras 2).  ``epsilon=0`` is TensorFlow 1's form.
    """


@adagrad_update.decompose
def _(
    variable: Tensor, gradient: Tensor, accumulator: Tensor, learning_rate: Tensor, *,
    epsilon: float, epsilon_inside: bool, weight_decay: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    rate = in_dtype_of(learning_rate, variable)
    accumulator = accumulator + square(gradient)
    step = _scaled(gradient, accumulator, epsilon, epsilon_inside)
    return decayed(variable, rate, weight_decay) - rate * step, accumulator


adagrad_update.samples(
    *update_samples(
        (_positive,),
        _rate,
        attrs=({}, {"epsilon_inside": False, "epsilon": 0.1}, {"epsilon": 0.0, "weight_decay": 0.1}),
    )
)
adagrad_update.error_samples(
    error(ShapeError, "the accumulator must have the shape of the variable", real(), real(), real(shape=(4,)), _rate)
)


@adagrad_update.reference
def _(w: Array, g: Array, a: Array, rate: Array, *, epsilon: float, epsilon_inside: bool, weight_decay: float) -> Any:
    a = a + g * g
    return w - rate * weight_decay * w - rate * _scaled_reference(g, a, epsilon, epsilon_inside), a


@op(
    infer=infer_update(2),
    dtypes=DTYPES,
    results=("variable", "accumulator", "accumulated_update"),
    namespace="_",
    pointwise=True,
)
def adadelta_update(
    variable: TensorLike, gradient: TensorLike, accumulator: TensorLike, accumulated_update: TensorLike,
    learning_rate: TensorLike, /, *, rho: float = 0.95, epsilon: float = 1e-7, weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Adadelta (Zeiler 2012, arXiv:1212.5701): both slots are decaying means of squares, of the gradient and of the
    step ``sqrt(accumulated_update + epsilon) / sqrt(accumulator + epsilon) * gradient``; the variable falls by
    ``learning_rate`` times the step."""


@adadelta_update.decompose
def _(
    variable: Tensor, gradient: Tensor, accumulator: Tensor, accumulated_update: Tensor, learning_rate: Tensor, *,
    rho: float, epsilon: float, weight_decay: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    rate = in_dtype_of(learning_rate, variable)
    accumulator = decaying_mean(accumulator, square(gradient), rho)
    step = sqrt(accumulated_update + epsilon) * rsqrt(accumulator + epsilon) * gradient
    accumulated_update = decaying_mean(accumulated_update, square(step), rho)
    return decayed(variable, rate, weight_decay) - rate * step, accumulator, accumulated_update


adadelta_update.samples(
    *update_samples((_positive, _positive), _rate, attrs=({}, {"weight_decay": 0.1, "epsilon": 0.1}))
)
adadelta_update.error_samples(
    error(AttributeValueError, "rho must be at least 0", real(), real(), _positive, _positive, _rate, rho=1.5)
)


@adadelta_update.reference
def _(w: Array, g: Array, a: Array, u: Array, rate: Array, *, rho: float, epsilon: float, weight_decay: float) -> Any:
    a = rho * a + (1 - rho) * g * g
    step = np.sqrt((u + epsilon) / (a + epsilon)) * g
    return w - rate * weight_decay * w - rate * step, a, rho * u + (1 - rho) * step * step


# ---------------------------------------------------------------- RMSprop


@op(infer=infer_update(1), dtypes=DTYPES, results=("variable", "mean_square"), namespace="_", pointwise=True)
def rmsprop_update(
    variable: TensorLike, gradient: TensorLike, mean_square: TensorLike, learning_rate: TensorLike, /, *,
    rho: float = 0.9, epsilon: float = 1e-7, epsilon_inside: bool = True, weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """RMSprop (Tieleman & Hinton 2012, lecture 6.5): ``mean_square`` is a decaying mean of squared gradients, and the
    variable falls by ``learning_rate * gradient / sqrt(mean_square + epsilon)``.

    ``epsilon_inside=False``: ``sqrt(mean_square) + epsilon``, as in Keras 2 without momentum and in PyTorch.
    """


@rmsprop_update.decompose
def _(
    variable: Tensor, gradient: Tensor, mean_square: Tensor, learning_rate: Tensor, *,
    rho: float, epsilon: float, epsilon_inside: bool, weight_decay: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    rate = in_dtype_of(learning_rate, variable)
    mean_square = decaying_mean(mean_square, square(gradient), rho)
    step = _scaled(gradient, mean_square, epsilon, epsilon_inside)
    return decayed(variable, rate, weight_decay) - rate * step, mean_square


_forms = ({"epsilon": 0.01}, {"epsilon_inside": False, "epsilon": 0.1, "weight_decay": 0.1})
rmsprop_update.samples(*update_samples((_positive,), _rate, attrs=_forms))


@rmsprop_update.reference
def _(w: Array, g: Array, s: Array, rate: Array, *, rho: float, epsilon: float, epsilon_inside: bool,
      weight_decay: float) -> Any:  # fmt: skip
    s = rho * s + (1 - rho) * g * g
    return w - rate * weight_decay * w - rate * _scaled_reference(g, s, epsilon, epsilon_inside), s


@op(
    infer=infer_update(2), dtypes=DTYPES, results=("variable", "mean_square", "velocity"), namespace="_", pointwise=True
)
def rmsprop_momentum_update(
    variable: TensorLike, gradient: TensorLike, mean_square: TensorLike, velocity: TensorLike,
    learning_rate: TensorLike, /, *,
    rho: float = 0.9, momentum: float = 0.9, epsilon: float = 1e-7, epsilon_inside: bool = True,
    weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """RMSprop with momentum: ``velocity = momentum * velocity + learning_rate * gradient / sqrt(mean_square +
    epsilon)``, and the variable falls by it."""


@rmsprop_momentum_update.decompose
def _(
    variable: Tensor, gradient: Tensor, mean_square: Tensor, velocity: Tensor, learning_rate: Tensor, *,
    rho: float, momentum: float, epsilon: float, epsilon_inside: bool, weight_decay: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    rate = in_dtype_of(learning_rate, variable)
    mean_square = decaying_mean(mean_square, square(gradient), rho)
    velocity = velocity * momentum + rate * _scaled(gradient, mean_square, epsilon, epsilon_inside)
    return decayed(variable, rate, weight_decay) - velocity, mean_square, velocity


rmsprop_momentum_update.samples(*update_samples((_positive, _slot), _rate, attrs=_forms))


@rmsprop_momentum_update.reference
def _(w: Array, g: Array, s: Array, v: Array, rate: Array, *, rho: float, momentum: float, epsilon: float,
      epsilon_inside: bool, weight_decay: float) -> Any:  # fmt: skip
    s = rho * s + (1 - rho) * g * g
    v = momentum * v + rate * _scaled_reference(g, s, epsilon, epsilon_inside)
    return w - rate * weight_decay * w - v, s, v


@op(
    infer=infer_update(3),
    dtypes=DTYPES,
    results=("variable", "mean_square", "mean_gradient", "velocity"),
    namespace="_",
    pointwise=True,
)
def rmsprop_centered_update(
    variable: TensorLike, gradient: TensorLike, mean_square: TensorLike, mean_gradient: TensorLike,
    velocity: TensorLike, learning_rate: TensorLike, /, *,
    rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7, epsilon_inside: bool = True,
    weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """RMSprop with ``mean_square - mean_gradient**2``, an estimate of the variance, in place of ``mean_square`` (Graves
    2013, arXiv:1308.0850, equations 38 to 45), and momentum as in ``rmsprop_momentum_update``."""


@rmsprop_centered_update.decompose
def _(
    variable: Tensor, gradient: Tensor, mean_square: Tensor, mean_gradient: Tensor, velocity: Tensor,
    learning_rate: Tensor, *, rho: float, momentum: float, epsilon: float, epsilon_inside: bool, weight_decay: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    rate = in_dtype_of(learning_rate, variable)
    mean_square = decaying_mean(mean_square, square(gradient), rho)
    mean_gradient = decaying_mean(mean_gradient, gradient, rho)
    spread = mean_square - square(mean_gradient)
    velocity = velocity * momentum + rate * _scaled(gradient, spread, epsilon, epsilon_inside)
    return decayed(variable, rate, weight_decay) - velocity, mean_square, mean_gradient, velocity


# The slots of an empty history have mean_square >= mean_gradient**2, as those of any history do.
rmsprop_centered_update.samples(
    *update_samples(
        (real(2.0, 4.0), real(0.0, 1.0), _slot), _rate, attrs=({"epsilon": 0.01, "momentum": 0.9}, _forms[1])
    )[:-1]
)


@rmsprop_centered_update.reference
def _(w: Array, g: Array, s: Array, m: Array, v: Array, rate: Array, *, rho: float, momentum: float, epsilon: float,
      epsilon_inside: bool, weight_decay: float) -> Any:  # fmt: skip
    s, m = rho * s + (1 - rho) * g * g, rho * m + (1 - rho) * g
    v = momentum * v + rate * _scaled_reference(g, s - m * m, epsilon, epsilon_inside)
    return w - rate * weight_decay * w - v, s, m, v


# ---------------------------------------------------------------- FTRL


@op(infer=infer_update(2), dtypes=DTYPES, results=("variable", "accumulator", "linear"), namespace="_", pointwise=True)
def ftrl_update(
    variable: TensorLike, gradient: TensorLike, accumulator: TensorLike, linear: TensorLike, learning_rate: TensorLike,
    /, *, learning_rate_power: float = -0.5, l1: float = 0.0, l2: float = 0.0, l2_shrinkage: float = 0.0,
    beta: float = 0.0, weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Follow the regularised leader (McMahan et al. 2013, "Ad click prediction", algorithm 1).

    With ``p = -learning_rate_power`` (1/2: a root) and ``new = accumulator + gradient**2``: ``linear`` grows by
    ``gradient + 2 * l2_shrinkage * variable - (new**p - accumulator**p) / learning_rate * variable``, and the variable
    becomes ``(clip(linear, -l1, l1) - linear) / ((new**p + beta) / learning_rate + 2 * l2)``.
    """


@ftrl_update.decompose
def _(
    variable: Tensor, gradient: Tensor, accumulator: Tensor, linear: Tensor, learning_rate: Tensor, *,
    learning_rate_power: float, l1: float, l2: float, l2_shrinkage: float, beta: float, weight_decay: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    rate = in_dtype_of(learning_rate, variable)
    variable = decayed(variable, rate, weight_decay)
    grown = accumulator + square(gradient)
    before, after = (
        sqrt(a) if learning_rate_power == -0.5 else power(a, -learning_rate_power) for a in (accumulator, grown)
    )
    if l2_shrinkage:
        gradient = gradient + variable * (2 * l2_shrinkage)
    linear = linear + gradient - (after - before) / rate * variable
    scale = (after + beta) / rate + 2 * l2
    return (clip(linear, min=-l1, max=l1) - linear) / scale, grown, linear


ftrl_update.samples(
    *update_samples(
        (_positive, _slot), _rate,
        attrs=(
            {"l1": 0.5, "l2": 0.1, "beta": 1.0, "l2_shrinkage": 0.1}, {},
            {"learning_rate_power": -0.7, "l1": 0.2, "weight_decay": 0.1},
        ),
    )
)  # fmt: skip


@ftrl_update.reference
def _(w: Array, g: Array, a: Array, z: Array, rate: Array, *, learning_rate_power: float, l1: float, l2: float,
      l2_shrinkage: float, beta: float, weight_decay: float) -> Any:  # fmt: skip
    w = w - rate * weight_decay * w
    grown = a + g * g
    z = z + g + 2 * l2_shrinkage * w - (grown**-learning_rate_power - a**-learning_rate_power) / rate * w
    scale = (beta + grown**-learning_rate_power) / rate + 2 * l2
    return np.where(np.abs(z) > l1, (np.sign(z) * l1 - z) / scale, 0.0), grown, z
