"""Optimizer updates: one op for one step on one variable, so that a backend can do it in one pass over memory.

Each takes the variable, its gradient and the optimizer's slots (all of one shape and dtype), then 0-d tensors for what
changes from step to step (``learning_rate``; ``step``, counted from 1), and returns the new variable and the new slots
in the same order.  Nothing is written in place: the caller stores the results.  The 0-d tensors may have any floating
dtype (``step`` also an integer one); a Python number is taken as float32.  Numbers fixed for a whole training run are
attributes.  ``weight_decay`` is decoupled (Loshchilov & Hutter 2019, arXiv:1711.05101): the variable is first
multiplied by ``1 - learning_rate * weight_decay``.

Formulas are those of Keras 3 by default; attributes select the older TensorFlow 1 forms where those differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn.dtypes import FLOATING, INTEGER, DType
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.elementwise import abs, cast, maximum, sign, square, subtract
from corenn.ops.sampling import Sample, error, literal, real, sample
from corenn.ops.table import Call, Result, TensorLike, op
from corenn.ops.transcendental import exp, expm1, sqrt
from corenn.spec import Spec
from corenn.tensor import Tensor

__all__: list[str] = []  # optimizers use these; people use optimizers

Array = np.ndarray[Any, Any]

_rate = literal(0.1)
_step = literal(3, "int64")
DTYPES: dict[str, frozenset[DType]] = dict.fromkeys(
    (
        "variable", "gradient", "velocity", "m", "v", "v_max", "u", "accumulator", "accumulated_update", "mean_square",
        "mean_gradient", "linear", "learning_rate", "momentum_product",
    ),
    FLOATING,
) | {"step": FLOATING | INTEGER}  # fmt: skip


def infer_update(slots: int) -> Callable[..., Result]:
    """Inference for an update with so many slots: operands like the variable, then 0-d numbers."""

    def infer(call: Call, *specs: Spec) -> Result:
        names = call.op.tensors
        variable = specs[0]
        for name, spec in zip(names[1 : slots + 2], specs[1 : slots + 2], strict=True):
            if spec.shape != variable.shape:
                raise call.shape_error(f"the {name} must have the shape of the variable", **{name: "", "variable": ""})
            if spec.dtype is not variable.dtype:
                hint = f"corenn.cast({name}, dtype={variable.dtype.name!r})"
                raise call.dtype_error(f"the {name} must have the dtype of the variable", hint, **{name: ""})
        for name, spec in zip(names[slots + 2 :], specs[slots + 2 :], strict=True):
            if spec.ndim:
                raise call.shape_error(f"the {name} must be one number", **{name: f"has {spec.ndim} axes"})
        for name in ("beta_1", "beta_2", "rho"):
            if not 0 <= call.attrs.get(name, 0) < 1:
                raise call.attribute_error(f"{name} must be at least 0 and below 1", **{name: ""})
        if not slots:
            return Spec(variable.shape, variable.dtype)
        return tuple(Spec(variable.shape, variable.dtype) for _ in range(slots + 1))

    return infer


def in_dtype_of(number: Tensor, variable: Tensor) -> Tensor:
    """``number`` in the dtype of ``variable``; itself if it has that already."""
    return number if number.dtype is variable.dtype else cast(number, dtype=variable.dtype)


def decayed(variable: Tensor, rate: Tensor, weight_decay: float) -> Tensor:
    """The variable after decoupled weight decay: scaled by ``1 - rate * weight_decay``."""
    return variable * (1 - rate * weight_decay) if weight_decay else variable


def _correction(beta: float, step: Tensor, variable: Tensor) -> Tensor:
    """``1 - beta ** step``, to full precision also where the power is nearly 1."""
    exponent = in_dtype_of(step, variable)
    return -expm1(exponent * math.log(beta)) if beta else exponent * 0 + 1


def decaying_mean(mean: Tensor, value: Tensor, rate: float) -> Tensor:
    """``rate * mean + (1 - rate) * value``."""
    return mean + (value - mean) * (1 - rate)


def update_samples(slots: tuple[Any, ...], *numbers: Any, attrs: tuple[dict[str, Any], ...] = ({},)) -> list[Sample]:
    """The same operands with each set of attributes, an empty variable and a 0-d one."""
    free = (real(), real(), *slots)
    shaped = [tuple(real(0.5, 2.0, shape=shape) for _ in free) for shape in ((0,), ())]
    every = [sample(*free, *numbers, grad=False, name=str(i), **chosen) for i, chosen in enumerate(attrs)]
    return every + [sample(*operands, *numbers, grad=False, **attrs[0]) for operands in shaped]


_slot, _positive = real(), real(0.1, 2.0)
_wrong_shape = error(ShapeError, "the gradient must have the shape of the variable", real(), real(shape=(4,)), _rate)
_wrong_rate = error(ShapeError, "the learning_rate must be one number", real(), real(), real(shape=(2,)))
_wrong_dtype = error(DTypeError, "dtype of the variable", real(), literal(np.zeros((3, 4)), "float64"), _rate)


# ---------------------------------------------------------------- gradient descent


@op(infer=infer_update(0), dtypes=DTYPES, namespace="_", pointwise=True)
def sgd_update(
    variable: TensorLike, gradient: TensorLike, learning_rate: TensorLike, /, *, weight_decay: float = 0.0
) -> Tensor:
    """``variable - learning_rate * gradient``."""


@sgd_update.decompose
def _(variable: Tensor, gradient: Tensor, learning_rate: Tensor, *, weight_decay: float) -> Tensor:
    rate = in_dtype_of(learning_rate, variable)
    return subtract(decayed(variable, rate, weight_decay), rate * gradient)


sgd_update.samples(*update_samples((), _rate, attrs=({}, {"weight_decay": 0.1})))
sgd_update.error_samples(_wrong_shape, _wrong_rate, _wrong_dtype)
sgd_update.reference(lambda w, g, rate, *, weight_decay: w * (1 - rate * weight_decay) - rate * g)


def _momentum(call: Call, *specs: Spec) -> Result:
    if call.attrs["velocity_of"] not in ("variable", "gradient"):
        raise call.attribute_error("velocity_of must be 'variable' or 'gradient'", velocity_of="")
    return infer_update(1)(call, *specs)


@op(infer=_momentum, dtypes=DTYPES, results=("variable", "velocity"), namespace="_", pointwise=True)
def momentum_update(
    variable: TensorLike, gradient: TensorLike, velocity: TensorLike, learning_rate: TensorLike, /, *,
    momentum: float, nesterov: bool = False, velocity_of: str = "variable", weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gradient descent with momentum (Polyak 1964; Sutskever et al. 2013 for the Nesterov form).

    ``velocity_of="variable"`` (Keras): ``velocity = momentum * velocity - learning_rate * gradient`` is added to the
    variable; with ``nesterov``, ``momentum * velocity - learning_rate * gradient`` (the new velocity) is.
    ``velocity_of="gradient"`` (TensorFlow 1): ``velocity = momentum * velocity + gradient``, and ``learning_rate *
    velocity`` is subtracted; with ``nesterov``, ``learning_rate * (gradient + momentum * velocity)`` is.
    """


@momentum_update.decompose
def _(
    variable: Tensor, gradient: Tensor, velocity: Tensor, learning_rate: Tensor, *,
    momentum: float, nesterov: bool, velocity_of: str, weight_decay: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    rate = in_dtype_of(learning_rate, variable)
    variable = decayed(variable, rate, weight_decay)
    if velocity_of == "variable":
        step = rate * gradient
        velocity = velocity * momentum - step
        return variable + (velocity * momentum - step if nesterov else velocity), velocity
    velocity = velocity * momentum + gradient
    return variable - rate * (gradient + velocity * momentum if nesterov else velocity), velocity


momentum_update.samples(
    *update_samples(
        (_slot,), _rate,
        attrs=tuple(
            {"momentum": 0.9, "nesterov": nesterov, "velocity_of": of, "weight_decay": decay}
            for nesterov, of, decay in (
                (False, "variable", 0.0), (True, "variable", 0.1), (False, "gradient", 0.1), (True, "gradient", 0.0)
            )
        ),
    )
)  # fmt: skip
momentum_update.error_samples(
    error(AttributeValueError, "velocity_of must be", real(), real(), real(), _rate, momentum=0.9, velocity_of="x")
)


@momentum_update.reference
def _(w: Array, g: Array, v: Array, rate: Array, *, momentum: float, nesterov: bool, velocity_of: str,
      weight_decay: float) -> tuple[Array, Array]:  # fmt: skip
    w = w - rate * weight_decay * w
    factor = 1.0 if velocity_of == "gradient" else -rate
    v = momentum * v + factor * g
    ahead = momentum * v + factor * g if nesterov else v
    return w + ahead * (-rate if velocity_of == "gradient" else 1.0), v


# ---------------------------------------------------------------- Adam and its kin


def _adam_direction(
    gradient: Tensor, m: Tensor, v: Tensor, beta_1: float, beta_2: float, nesterov: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The numerator of the update, and the new moments."""
    m = decaying_mean(m, gradient, beta_1)
    v = decaying_mean(v, square(gradient), beta_2)
    return (decaying_mean(m, gradient, beta_1) if nesterov else m), m, v


def _adam_rate(rate: Tensor, step: Tensor, variable: Tensor, beta_1: float, beta_2: float) -> Tensor:
    return rate * sqrt(_correction(beta_2, step, variable)) / _correction(beta_1, step, variable)


@op(infer=infer_update(2), dtypes=DTYPES, results=("variable", "m", "v"), namespace="_", pointwise=True)
def adam_update(
    variable: TensorLike, gradient: TensorLike, m: TensorLike, v: TensorLike, learning_rate: TensorLike,
    step: TensorLike, /, *,
    beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, nesterov: bool = False,
    weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Adam (Kingma & Ba 2015, arXiv:1412.6980, end of section 2: "epsilon hat").

    ``m`` and ``v`` are decaying means of the gradient and of its square; with ``alpha = learning_rate *
    sqrt(1 - beta_2**step) / (1 - beta_1**step)`` the variable falls by ``alpha * m / (sqrt(v) + epsilon)``.
    ``nesterov``: ``beta_1 * m + (1 - beta_1) * gradient`` takes the place of ``m`` there (TensorFlow 1).  With
    ``weight_decay`` this is AdamW.
    """


@adam_update.decompose
def _(
    variable: Tensor, gradient: Tensor, m: Tensor, v: Tensor, learning_rate: Tensor, step: Tensor, *,
    beta_1: float, beta_2: float, epsilon: float, nesterov: bool, weight_decay: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    rate = in_dtype_of(learning_rate, variable)
    direction, m, v = _adam_direction(gradient, m, v, beta_1, beta_2, nesterov)
    alpha = _adam_rate(rate, step, variable, beta_1, beta_2)
    return decayed(variable, rate, weight_decay) - alpha * direction / (sqrt(v) + epsilon), m, v


adam_update.samples(
    *update_samples(
        (_slot, _positive),
        _rate,
        _step,
        attrs=({}, {"nesterov": True, "epsilon": 0.1}, {"weight_decay": 0.1, "beta_1": 0.0}),
    )
)
_moments = (real(), real(), real(), real(0.1, 2.0), _rate)
adam_update.error_samples(
    error(AttributeValueError, "beta_1 must be at least 0", *_moments, _step, beta_1=1.0),
    error(ShapeError, "the step must be one number", *_moments, literal([1, 2], "int64")),
)


@adam_update.reference
def _(w: Array, g: Array, m: Array, v: Array, rate: Array, t: Array, *, beta_1: float, beta_2: float, epsilon: float,
      nesterov: bool, weight_decay: float) -> tuple[Array, ...]:  # fmt: skip
    w = w - rate * weight_decay * w
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
    top = beta_1 * m + (1 - beta_1) * g if nesterov else m
    return w - rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t) * top / (np.sqrt(v) + epsilon), m, v


@op(infer=infer_update(3), dtypes=DTYPES, results=("variable", "m", "v", "v_max"), namespace="_", pointwise=True)
def amsgrad_update(
    variable: TensorLike, gradient: TensorLike, m: TensorLike, v: TensorLike, v_max: TensorLike,
    learning_rate: TensorLike, step: TensorLike, /, *,
    beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Adam dividing by the largest ``v`` so far, ``v_max`` (Reddi et al. 2018, arXiv:1904.09237, as Keras has it)."""


@amsgrad_update.decompose
def _(
    variable: Tensor, gradient: Tensor, m: Tensor, v: Tensor, v_max: Tensor, learning_rate: Tensor, step: Tensor, *,
    beta_1: float, beta_2: float, epsilon: float, weight_decay: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    rate = in_dtype_of(learning_rate, variable)
    direction, m, v = _adam_direction(gradient, m, v, beta_1, beta_2, False)
    alpha = _adam_rate(rate, step, variable, beta_1, beta_2)
    v_max = maximum(v_max, v)
    return decayed(variable, rate, weight_decay) - alpha * direction / (sqrt(v_max) + epsilon), m, v, v_max


amsgrad_update.samples(*update_samples((_slot, _positive, _positive), _rate, _step, attrs=({}, {"weight_decay": 0.1})))


@amsgrad_update.reference
def _(w: Array, g: Array, m: Array, v: Array, top: Array, rate: Array, t: Array, *, beta_1: float, beta_2: float,
      epsilon: float, weight_decay: float) -> tuple[Array, ...]:  # fmt: skip
    w = w - rate * weight_decay * w
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
    top = np.maximum(top, v)
    return w - rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(top) + epsilon), m, v, top


@op(infer=infer_update(2), dtypes=DTYPES, results=("variable", "m", "u"), namespace="_", pointwise=True)
def adamax_update(
    variable: TensorLike, gradient: TensorLike, m: TensorLike, u: TensorLike, learning_rate: TensorLike,
    step: TensorLike, /, *,
    beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Adam in the infinity norm (Kingma & Ba 2015, section 7.1): ``u = max(beta_2 * u, |gradient|)``, and the variable
    falls by ``learning_rate / (1 - beta_1**step) * m / (u + epsilon)``."""


@adamax_update.decompose
def _(
    variable: Tensor, gradient: Tensor, m: Tensor, u: Tensor, learning_rate: Tensor, step: Tensor, *,
    beta_1: float, beta_2: float, epsilon: float, weight_decay: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    rate = in_dtype_of(learning_rate, variable)
    m = decaying_mean(m, gradient, beta_1)
    u = maximum(u * beta_2, abs(gradient))
    alpha = rate / _correction(beta_1, step, variable)
    return decayed(variable, rate, weight_decay) - alpha * m / (u + epsilon), m, u


adamax_update.samples(*update_samples((_slot, _positive), _rate, _step, attrs=({}, {"weight_decay": 0.1})))


@adamax_update.reference
def _(w: Array, g: Array, m: Array, u: Array, rate: Array, t: Array, *, beta_1: float, beta_2: float, epsilon: float,
      weight_decay: float) -> tuple[Array, ...]:  # fmt: skip
    w = w - rate * weight_decay * w
    m, u = beta_1 * m + (1 - beta_1) * g, np.maximum(beta_2 * u, np.abs(g))
    return w - rate / (1 - beta_1**t) * m / (u + epsilon), m, u


@op(infer=infer_update(2), dtypes=DTYPES, results=("variable", "m", "v"), namespace="_", pointwise=True)
def nadam_update(
    variable: TensorLike, gradient: TensorLike, m: TensorLike, v: TensorLike, learning_rate: TensorLike,
    step: TensorLike, momentum_product: TensorLike, /, *,
    beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, weight_decay: float = 0.0,
    schedule_decay: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Adam with Nesterov momentum (Dozat 2016), its momentum ``mu(t) = beta_1 * (1 - 0.96**(d t) / 2)`` rising.

    ``schedule_decay``: ``d``, how fast it rises; 1 in Keras 3, 0.004 in Dozat's paper and in Keras 1 and 2.
    ``momentum_product`` is ``mu(1) * ... * mu(step)``, which all variables share.  The variable falls by
    ``learning_rate / (sqrt(v / (1 - beta_2**step)) + epsilon)`` times ``mu(step + 1) * m / (1 - momentum_product *
    mu(step + 1)) + (1 - mu(step)) * gradient / (1 - momentum_product)``.
    """


@nadam_update.decompose
def _(
    variable: Tensor, gradient: Tensor, m: Tensor, v: Tensor, learning_rate: Tensor, step: Tensor,
    momentum_product: Tensor, *, beta_1: float, beta_2: float, epsilon: float, weight_decay: float,
    schedule_decay: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    rate, product = in_dtype_of(learning_rate, variable), in_dtype_of(momentum_product, variable)
    decay = exp(in_dtype_of(step, variable) * (math.log(0.96) * schedule_decay))
    now, later = (1 - decay * 0.5) * beta_1, (1 - decay * (0.5 * 0.96**schedule_decay)) * beta_1
    _, m, v = _adam_direction(gradient, m, v, beta_1, beta_2, False)
    ahead = m * (later / (1 - product * later)) + gradient * ((1 - now) / (1 - product))
    size = sqrt(v / _correction(beta_2, step, variable)) + epsilon
    return decayed(variable, rate, weight_decay) - ahead * rate / size, m, v


nadam_update.samples(*update_samples(
    (_slot, _positive), _rate, _step, literal(0.1),
    attrs=({}, {"weight_decay": 0.1}, {"schedule_decay": 0.004}),
))  # fmt: skip


@nadam_update.reference
def _(w: Array, g: Array, m: Array, v: Array, rate: Array, t: Array, product: Array, *, beta_1: float, beta_2: float,
      epsilon: float, weight_decay: float, schedule_decay: float) -> tuple[Array, ...]:  # fmt: skip
    w = w - rate * weight_decay * w
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
    now, later = (beta_1 * (1 - 0.5 * 0.96 ** (n * schedule_decay)) for n in (t, t + 1))
    ahead = later * m / (1 - product * later) + (1 - now) * g / (1 - product)
    return w - rate * ahead / (np.sqrt(v / (1 - beta_2**t)) + epsilon), m, v


@op(infer=infer_update(1), dtypes=DTYPES, results=("variable", "m"), namespace="_", pointwise=True)
def lion_update(
    variable: TensorLike, gradient: TensorLike, m: TensorLike, learning_rate: TensorLike, /, *,
    beta_1: float = 0.9, beta_2: float = 0.99, weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Lion (Chen et al. 2023, arXiv:2302.06675): the variable falls by ``learning_rate * sign(beta_1 * m + (1 - beta_1)
    * gradient)``; ``m`` decays by ``beta_2``."""


@lion_update.decompose
def _(
    variable: Tensor, gradient: Tensor, m: Tensor, learning_rate: Tensor, *,
    beta_1: float, beta_2: float, weight_decay: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    rate = in_dtype_of(learning_rate, variable)
    direction = sign(decaying_mean(m, gradient, beta_1))
    return decayed(variable, rate, weight_decay) - rate * direction, decaying_mean(m, gradient, beta_2)


lion_update.samples(*update_samples((_slot,), _rate, attrs=({}, {"weight_decay": 0.1})))


@lion_update.reference
def _(w: Array, g: Array, m: Array, rate: Array, *, beta_1: float, beta_2: float, weight_decay: float) -> Any:
    w = w - rate * weight_decay * w
    return w - rate * np.sign(beta_1 * m + (1 - beta_1) * g), beta_2 * m + (1 - beta_2) * g
