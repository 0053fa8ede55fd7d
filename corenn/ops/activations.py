"""Activation functions, elementwise on floating tensors (namespace ``nn``).

All keep shape and dtype, have the right limits at both infinities, and neither overflow nor warn inside.  Where the
derivative follows from the result, the gradient keeps the result alive (which the next layer keeps anyway) and not
the operand.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn.dtypes import BOOL, FLOATING, REAL
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops import _special
from corenn.ops._special import single
from corenn.ops.binding import scalar_beside
from corenn.ops.elementwise import abs, clip
from corenn.ops.families import binary, broadcast_shapes, unary
from corenn.ops.logic import greater, less, logical_and
from corenn.ops.sampling import boolean, empty_like, error, integer, literal, real, sample
from corenn.ops.table import Call, Family, TensorLike, op
from corenn.ops.transcendental import exp, tanh
from corenn.spec import Spec
from corenn.tensor import Tensor

_no_integers = error(DTypeError, "takes floating", integer())


def _above(x: Tensor, bound: float) -> Tensor:
    return greater(x, scalar_beside(bound, x))


def _below(x: Tensor, bound: float) -> Tensor:
    return less(x, scalar_beside(bound, x))


@op(
    infer=lambda call, x, condition: Spec(broadcast_shapes(call, (x.shape, condition.shape)), x.dtype),
    dtypes={"x": FLOATING, "condition": BOOL},
    namespace="_",
)
def gate(x: TensorLike, condition: TensorLike, /) -> Tensor:
    """``x`` where ``condition`` (bool) holds, else 0, broadcast: how gradients pass a kink, infinite ones too."""


gate.kernel(lambda xp, x, condition: xp.where(condition, x, xp.zeros_like(x)))
gate.vjp(x=lambda g, condition: gate(g, condition))
gate.samples(
    sample(real(), boolean()), sample(real(shape=(4,)), boolean((3, 1))), sample(real(shape=(0,)), boolean((0,)))
)
gate.error_samples(
    error(DTypeError, "takes bool", real(), integer()), error(ShapeError, "do not broadcast", real(), boolean((3,)))
)
gate.reference(lambda x, condition: np.where(condition, x, 0))


def _check_alpha(call: Call, positive: bool) -> None:
    alpha = call.attrs["alpha"]
    number = isinstance(alpha, int | float) and not isinstance(alpha, bool)
    if not number or not (alpha > 0 if positive else alpha >= 0) or not math.isfinite(alpha):
        bound = "a positive number" if positive else "a number not below 0"
        raise call.attribute_error(f"alpha must be {bound}", alpha="")


def _non_negative(call: Call, x: Spec) -> Spec:
    _check_alpha(call, positive=False)
    return x.at(None)


def _positive(call: Call, x: Spec) -> Spec:
    _check_alpha(call, positive=True)
    return x.at(None)


# ---------------------------------------------------------------- piecewise linear


@op(family=unary, dtypes=REAL, namespace="nn")
def relu(x: TensorLike, /) -> Tensor:
    """``max(x, 0)``; integers as well.  The gradient at 0 is 0."""


relu.kernel(lambda xp, x: xp.clip(x, 0, None))
relu.vjp(lambda g, out: gate(g, _above(out, 0)))
relu.reference(lambda x: np.maximum(x, 0))


@op(family=unary, dtypes=FLOATING, namespace="nn")
def relu6(x: TensorLike, /) -> Tensor:
    """``min(max(x, 0), 6)``; the gradient at 0 and at 6 is 0."""


relu6.kernel(single(lambda xp, x: xp.clip(x, 0.0, 6.0)))
relu6.vjp(lambda g, out: gate(g, logical_and(_above(out, 0), _below(out, 6))))
relu6.reference(lambda x: np.minimum(np.maximum(x, 0), 6))


@op(infer=_non_negative, dtypes=FLOATING, namespace="nn")
def leaky_relu(x: TensorLike, /, *, alpha: float = 0.2) -> Tensor:
    """``x`` where positive, else ``alpha * x``, elementwise; the gradient at 0 is ``alpha``.

    Raises AttributeValueError unless ``alpha`` >= 0.  Maas, Hannun & Ng, *Rectifier Nonlinearities* (2013).
    """


@leaky_relu.kernel
@single
def _(xp: Any, x: Any, *, alpha: float) -> Any:
    if 0 < alpha <= 1:
        return xp.maximum(x, x * alpha)
    result = xp.clip(x, 0.0, None)
    return result + xp.clip(x, None, 0.0) * alpha if alpha else result


leaky_relu.vjp(lambda g, out, alpha: gate(g * (1 - alpha), _above(out, 0)) + g * alpha)
leaky_relu.reference(lambda x, *, alpha: np.where(x > 0, x, alpha * x))


@op(family=binary, dtypes=FLOATING, namespace="nn")
def prelu(x: TensorLike, a: TensorLike, /) -> Tensor:
    """``x`` where positive, else ``a * x`` with a learnt slope ``a`` that broadcasts with ``x``.

    The gradient at 0 is ``a``.  He et al., *Delving Deep into Rectifiers* (2015).
    """


prelu.kernel(lambda xp, x, a: xp.where(x > 0, x, a * x))
prelu.vjp(
    x=lambda g, x, a: gate(g * (1 - a), _above(x, 0)) + g * a,
    a=lambda g, x: g * clip(x, max=0.0),
)
prelu.samples(
    sample(real(away=(0.0,)), real(0.1, 0.5, shape=(4,))),
    sample(real(away=(0.0,)), real(0.1, 0.5, shape=())),
    sample(real(shape=(3, 1), away=(0.0,)), real(-1, 2, shape=(2, 3, 4))),
)
prelu.reference(lambda x, a: np.where(x > 0, x, a * x))


@op(family=unary, dtypes=FLOATING, namespace="nn")
def hard_tanh(x: TensorLike, /) -> Tensor:
    """``x`` limited to [-1, 1]; the gradient at the limits is 0."""


hard_tanh.kernel(single(lambda xp, x: xp.clip(x, -1.0, 1.0)))
hard_tanh.vjp(lambda g, out: gate(g, _below(abs(out), 1)))
hard_tanh.reference(lambda x: np.minimum(np.maximum(x, -1), 1))


@op(family=unary, dtypes=FLOATING, namespace="nn")
def hard_sigmoid(x: TensorLike, /) -> Tensor:
    """``relu6(x + 3) / 6``, as in Keras 3 and PyTorch; the gradient at -3 and 3 is 0."""


@hard_sigmoid.kernel
@single
def _(xp: Any, x: Any) -> Any:
    return xp.clip(x + 3.0, 0.0, 6.0) / 6.0


hard_sigmoid.vjp(lambda g, out: gate(g * (1 / 6), logical_and(_above(out, 0), _below(out, 1))))
hard_sigmoid.reference(lambda x: np.minimum(np.maximum(x + 3, 0), 6) / 6)


@op(family=unary, dtypes=FLOATING, namespace="nn")
def hard_swish(x: TensorLike, /) -> Tensor:
    """``x * hard_sigmoid(x)``.  Howard et al., *Searching for MobileNetV3* (2019)."""


@hard_swish.kernel
@single
def _(xp: Any, x: Any) -> Any:
    inner = xp.clip(x, -3.0, None)  # the limit at minus infinity is 0
    return inner * (xp.clip(inner + 3.0, None, 6.0) / 6.0)


@hard_swish.vjp
def _(g: Tensor, x: Tensor) -> Tensor:
    inner = clip(x, min=-3.0, max=3.0)
    return g * (hard_sigmoid(x) + gate(inner * (1 / 6), _below(abs(x), 3)))


hard_swish.reference(lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6)


@op(infer=lambda call, x: x.at(None), dtypes=FLOATING, namespace="nn")
def threshold(x: TensorLike, /, *, theta: float = 0.0, value: float = 0.0) -> Tensor:
    """``x`` where it is above ``theta``, else ``value``, elementwise; the gradient at ``theta`` is 0."""


@threshold.kernel
def _(xp: Any, x: Any, *, theta: float, value: float) -> Any:
    return xp.where(x <= theta, xp.full_like(x, value), x)


threshold.vjp(lambda g, x, theta: gate(g, _above(x, theta)))
threshold.samples(sample(real(away=(0.5,)), theta=0.5, value=-1.0))
threshold.reference(lambda x, *, theta, value: np.where(x > theta, x, value))


# ---------------------------------------------------------------- sigmoid and its kin

#: From here exp(x) / (1 + exp(x)) rounds to 1 in float32 and float64.
_SATURATED = 40.0
#: Below this exp(x) * x is 0 in float32 and float64.
_VANISHED = -1000.0


@op(family=unary, dtypes=FLOATING, namespace="nn")
def sigmoid(x: TensorLike, /) -> Tensor:
    """``1 / (1 + exp(-x))``, accurate also where it is small."""


@sigmoid.kernel
@single
def _(xp: Any, x: Any) -> Any:
    e = xp.exp(xp.clip(x, None, _SATURATED))
    return e / (e + 1.0)


sigmoid.vjp(lambda g, out: g * (out * (1 - out)))
sigmoid.reference(lambda x: np.exp(-np.logaddexp(0, -x)))


@op(family=unary, dtypes=FLOATING, namespace="nn")
def log_sigmoid(x: TensorLike, /) -> Tensor:
    """``log(sigmoid(x))`` without overflow."""


@log_sigmoid.kernel
@single
def _(xp: Any, x: Any) -> Any:
    return xp.clip(x, None, 0.0) - xp.log1p(xp.exp(-xp.abs(x)))


log_sigmoid.vjp(lambda g, x: g * sigmoid(-x))
log_sigmoid.reference(lambda x: -np.logaddexp(0, -x))


@op(family=unary, dtypes=FLOATING, namespace="nn")
def softplus(x: TensorLike, /) -> Tensor:
    """``log(1 + exp(x))`` without overflow."""


@softplus.kernel
@single
def _(xp: Any, x: Any) -> Any:
    return xp.clip(x, 0.0, None) + xp.log1p(xp.exp(-xp.abs(x)))


softplus.vjp(lambda g, x: g * sigmoid(x))
softplus.reference(lambda x: np.logaddexp(0, x))


@op(family=unary, dtypes=FLOATING, namespace="nn")
def softsign(x: TensorLike, /) -> Tensor:
    """``x / (1 + |x|)``."""


@softsign.kernel
@single
def _(xp: Any, x: Any) -> Any:
    x = xp.clip(x, -1e30, 1e30)  # infinity by infinity is 1 here
    return x / (xp.abs(x) + 1.0)


@softsign.vjp
def _(g: Tensor, out: Tensor) -> Tensor:
    slack = 1 - abs(out)
    return g * (slack * slack)


softsign.reference(lambda x: x / (1 + np.abs(x)))


@op(family=unary, dtypes=FLOATING, namespace="nn")
def silu(x: TensorLike, /) -> Tensor:
    """``x * sigmoid(x)``, also called swish.  Elfwing et al. (2018), Ramachandran et al. (2017)."""


@silu.kernel
@single
def _(xp: Any, x: Any) -> Any:
    e = xp.exp(xp.clip(x, None, _SATURATED))
    return xp.clip(x, _VANISHED, None) * (e / (e + 1.0))


@silu.vjp
def _(g: Tensor, x: Tensor) -> Tensor:
    s = sigmoid(x)
    return g * (s * (_bounded(x) * (1 - s) + 1))


swish = silu
silu.reference(lambda x: x * np.exp(-np.logaddexp(0, -x)))


def _bounded(x: Tensor) -> Tensor:
    """``x`` limited to where an exponential of it has not vanished, so that infinity times 0 is 0."""
    return clip(x, min=_VANISHED, max=-_VANISHED)


@op(family=unary, dtypes=FLOATING, namespace="nn")
def mish(x: TensorLike, /) -> Tensor:
    """``x * tanh(softplus(x))``.  Misra, *Mish* (2019)."""


def _tanh_softplus(xp: Any, x: Any) -> Any:
    e = xp.exp(xp.clip(x, None, 20.0))  # from there on it rounds to 1
    n = e * (e + 2.0)
    return n / (n + 2.0)


@mish.kernel
@single
def _(xp: Any, x: Any) -> Any:
    return xp.clip(x, _VANISHED, None) * _tanh_softplus(xp, x)


@mish.vjp
def _(g: Tensor, x: Tensor) -> Tensor:
    t = tanh(softplus(x))
    return g * (t + _bounded(x) * (sigmoid(x) * (1 - t * t)))


mish.reference(lambda x: x * np.tanh(np.logaddexp(0, x)))


# ---------------------------------------------------------------- exponential-linear


@op(infer=_non_negative, dtypes=FLOATING, namespace="nn")
def elu(x: TensorLike, /, *, alpha: float = 1.0) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``, elementwise; ``alpha`` >= 0, else AttributeValueError.

    Clevert et al., *Exponential Linear Units* (2015).
    """


@elu.kernel
@single
def _(xp: Any, x: Any, *, alpha: float) -> Any:
    return xp.clip(x, 0.0, None) + xp.expm1(xp.clip(x, None, 0.0)) * alpha


@elu.vjp
def _(g: Tensor, out: Tensor, alpha: float) -> Tensor:
    below = g * (clip(out, max=0.0) + alpha)
    return below if alpha == 1 else below + gate(g * (1 - alpha), _above(out, 0))


elu.reference(lambda x, *, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))


@op(infer=_positive, dtypes=FLOATING, namespace="nn")
def celu(x: TensorLike, /, *, alpha: float = 1.0) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x / alpha) - 1)``, elementwise; AttributeValueError for ``alpha`` <= 0.

    Barron, *Continuously Differentiable Exponential Linear Units* (2017).
    """


@celu.kernel
@single
def _(xp: Any, x: Any, *, alpha: float) -> Any:
    return xp.clip(x, 0.0, None) + xp.expm1(xp.clip(x, None, 0.0) / alpha) * alpha


celu.vjp(lambda g, out, alpha: g * (clip(out, max=0.0) * (1 / alpha) + 1))
celu.reference(lambda x, *, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)))

# Klambauer et al., Self-Normalizing Neural Networks (2017), equation 14.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@op(family=unary, dtypes=FLOATING, namespace="nn")
def selu(x: TensorLike, /) -> Tensor:
    """``elu`` with alpha 1.6732632 scaled by 1.0507010.  Klambauer et al., *Self-Normalizing Networks* (2017)."""


@selu.kernel
@single
def _(xp: Any, x: Any) -> Any:
    below = xp.expm1(xp.clip(x, None, 0.0)) * (_SELU_SCALE * _SELU_ALPHA)
    return xp.clip(x, 0.0, None) * _SELU_SCALE + below


@selu.vjp
def _(g: Tensor, out: Tensor) -> Tensor:
    below = g * (clip(out, max=0.0) + _SELU_SCALE * _SELU_ALPHA)
    return below + gate(g * (_SELU_SCALE * (1 - _SELU_ALPHA)), _above(out, 0))


selu.reference(lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0))))


# ---------------------------------------------------------------- gelu

_ROOT_2_OVER_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _gelu(call: Call, x: Spec) -> Spec:
    if not isinstance(call.attrs["approximate"], bool):
        raise call.attribute_error("approximate must be True (the tanh form) or False (the exact form)", approximate="")
    return x.at(None)


@op(family=Family(_gelu), dtypes=FLOATING, namespace="nn")
def gelu(x: TensorLike, /, *, approximate: bool = False) -> Tensor:
    """``x`` times the standard normal distribution below ``x``; ``approximate`` takes the tanh form of it.

    Hendrycks & Gimpel, *Gaussian Error Linear Units* (2016): exact ``x (1 + erf(x / sqrt 2)) / 2``, approximate
    ``x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2``.  Raises AttributeValueError when ``approximate`` is no bool.
    """


@gelu.kernel
@single
def _(xp: Any, x: Any, *, approximate: bool) -> Any:
    if approximate:  # (1 + tanh u) / 2 is sigmoid(2 u), which is accurate where it is small
        inner = xp.clip(x, -100.0, 100.0)
        e = xp.exp(
            xp.clip(inner * (inner * inner * (2 * _ROOT_2_OVER_PI * _CUBIC) + 2 * _ROOT_2_OVER_PI), None, _SATURATED)
        )
        return xp.clip(x, -100.0, None) * (e / (e + 1.0))
    a = xp.abs(x)
    return xp.clip(x, 0.0, None) - xp.clip(a, None, 100.0) * _special.upper_tail(xp, a)


@gelu.vjp
def _(g: Tensor, x: Tensor, approximate: bool) -> Tensor:
    from corenn.ops.transcendental import erfc

    x = clip(x, min=-100.0, max=100.0)  # beyond, the slope is 0 or 1 to the last bit
    if approximate:
        square = x * x
        s = sigmoid(x * (square * (2 * _ROOT_2_OVER_PI * _CUBIC) + 2 * _ROOT_2_OVER_PI))
        slope = square * (6 * _ROOT_2_OVER_PI * _CUBIC) + 2 * _ROOT_2_OVER_PI
        return g * (s * (x * slope * (1 - s) + 1))
    below = erfc(x * -math.sqrt(0.5)) * 0.5
    return g * (below + x * (exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))))


def _gelu_reference(x: Any, *, approximate: bool) -> Any:
    if approximate:
        return 0.5 * x * (1 + np.tanh(_ROOT_2_OVER_PI * (x + _CUBIC * x**3)))
    return 0.5 * x * (1 + np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2)))


gelu.reference(_gelu_reference)
gelu.samples(sample(real(-3, 3), approximate=True))

# ---------------------------------------------------------------- samples

_smooth, _kinked = real(-4, 4), real(-4, 4, away=(0.0,))
for _function, _domain in (
    (relu, _kinked),
    (relu6, real(-2, 8, away=(0.0, 6.0))),
    (leaky_relu, _kinked),
    (elu, _kinked),
    (celu, _kinked),
    (selu, _kinked),
    (hard_tanh, real(away=(-1.0, 1.0))),
    (hard_sigmoid, real(-5, 5, away=(-3.0, 3.0))),
    (hard_swish, real(-5, 5, away=(-3.0, 3.0))),
    (threshold, _kinked),
    (sigmoid, _smooth),
    (log_sigmoid, _smooth),
    (softplus, _smooth),
    (softsign, _kinked),
    (silu, _smooth),
    (mish, _smooth),
    (gelu, _smooth),
):
    _function.samples(sample(_domain), sample(empty_like(_domain), grad=False))
    if _function is not relu:
        _function.samples(sample(literal([-90.0, -20.0, 20.0, 90.0]), grad=False))
        _function.error_samples(_no_integers)
relu.samples(sample(integer(), grad=False), sample(real(0.5, 1, shape=())))
leaky_relu.samples(sample(_kinked, alpha=0.01), sample(_kinked, alpha=1.5), sample(_kinked, alpha=0.0))
elu.samples(sample(_kinked, alpha=0.5))
celu.samples(sample(_kinked, alpha=0.5))
for _function in (leaky_relu, elu):
    _function.error_samples(error(AttributeValueError, "not below 0", real(), alpha=-1.0))
celu.error_samples(error(AttributeValueError, "positive", real(), alpha=0.0))
gelu.error_samples(error(AttributeValueError, "must be True", real(), approximate="tanh"))
