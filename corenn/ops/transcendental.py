"""Exponentials, logarithms, roots, circular, hyperbolic and special functions, and the parts of complex numbers.

Values outside a function's domain give NaN and poles give infinities, as in IEEE 754.  Complex functions take principal
values, with the branch cuts of the array API.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import COMPLEX, FLOATING, INEXACT
from corenn.errors import AttributeValueError, DTypeError
from corenn.ops import _special
from corenn.ops.binding import scalar_beside
from corenn.ops.elementwise import abs, cast, conjugated, where
from corenn.ops.families import binary, unary
from corenn.ops.logic import equal, less, less_equal, logical_and
from corenn.ops.reduction import without_zeros
from corenn.ops.sampling import NO_BROADCAST, boolean, empty_like, error, integer, literal, real, sample
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

_LN2, _LN10 = math.log(2), math.log(10)
_no_integers = error(DTypeError, "takes floating", integer())


# ---------------------------------------------------------------- exponentials and logarithms


@op(family=unary, dtypes=INEXACT)
def exp(x: TensorLike, /) -> Tensor:
    """e to the power ``x``; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def expm1(x: TensorLike, /) -> Tensor:
    """``exp(x) - 1`` without cancellation near 0; floating or complex."""


@op(family=unary, dtypes=FLOATING)
def exp2(x: TensorLike, /) -> Tensor:
    """2 to the power ``x``; floating."""


@op(family=unary, dtypes=INEXACT)
def log(x: TensorLike, /) -> Tensor:
    """Natural logarithm; -inf at 0, NaN for negative real numbers; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def log1p(x: TensorLike, /) -> Tensor:
    """``log(1 + x)`` without cancellation near 0; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def log2(x: TensorLike, /) -> Tensor:
    """Logarithm to base 2; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def log10(x: TensorLike, /) -> Tensor:
    """Logarithm to base 10; floating or complex."""


exp2.kernel(_special.single(lambda xp, x: 2.0**x))
exp.vjp(lambda g, out: g * conjugated(out))
expm1.vjp(lambda g, out: g * (conjugated(out) + 1))
exp2.vjp(lambda g, out: g * out * _LN2)
log.vjp(lambda g, x: g / conjugated(x))
log1p.vjp(lambda g, x: g / (conjugated(x) + 1))
log2.vjp(lambda g, x: g / (conjugated(x) * _LN2))
log10.vjp(lambda g, x: g / (conjugated(x) * _LN10))


# ---------------------------------------------------------------- roots


@op(family=unary, dtypes=INEXACT)
def sqrt(x: TensorLike, /) -> Tensor:
    """Square root; NaN for negative real numbers; floating or complex.  The gradient at 0 is infinite."""


@op(family=unary, dtypes=INEXACT)
def rsqrt(x: TensorLike, /) -> Tensor:
    """``1 / sqrt(x)``; floating or complex."""


@op(family=unary, dtypes=FLOATING)
def cbrt(x: TensorLike, /) -> Tensor:
    """Real cube root, with the sign of ``x``; floating."""


@cbrt.kernel
@_special.single
def _(xp: Any, x: Any) -> Any:
    a = xp.abs(x)
    plain = (a > 0) & (a < math.inf)
    root = xp.where(plain, a, xp.ones_like(a)) ** (1 / 3)
    # 1/3 is not exact: one step of Newton's method
    root -= (root - xp.where(plain, a, xp.ones_like(a)) / (root * root)) * (1 / 3)
    return xp.where(plain, root * xp.sign(x), x)


sqrt.vjp(lambda g, out: g / (conjugated(out) * 2))
rsqrt.kernel(_special.single(lambda xp, x: 1.0 / xp.sqrt(x)))
rsqrt.vjp(lambda g, out: g * (conjugated(out) * conjugated(out) * conjugated(out) * -0.5))
cbrt.vjp(lambda g, out: g / (out * out * 3))


# ---------------------------------------------------------------- circular functions


@op(family=unary, dtypes=INEXACT)
def sin(x: TensorLike, /) -> Tensor:
    """Sine of ``x`` in radians; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def cos(x: TensorLike, /) -> Tensor:
    """Cosine of ``x`` in radians; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def tan(x: TensorLike, /) -> Tensor:
    """Tangent of ``x`` in radians; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def asin(x: TensorLike, /) -> Tensor:
    """Inverse sine in radians, from -pi/2 to pi/2; NaN for real numbers outside [-1, 1]; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def acos(x: TensorLike, /) -> Tensor:
    """Inverse cosine in radians, from 0 to pi; NaN for real numbers outside [-1, 1]; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def atan(x: TensorLike, /) -> Tensor:
    """Inverse tangent in radians, from -pi/2 to pi/2; floating or complex."""


sin.vjp(lambda g, x: g * conjugated(cos(x)))
cos.vjp(lambda g, x: -g * conjugated(sin(x)))
tan.vjp(lambda g, out: g * (conjugated(out) * conjugated(out) + 1))
asin.vjp(lambda g, x: g / conjugated(sqrt(1 - x) * sqrt(1 + x)))
acos.vjp(lambda g, x: -g / conjugated(sqrt(1 - x) * sqrt(1 + x)))
atan.vjp(lambda g, x: g / conjugated(x * x + 1))


@op(family=binary, dtypes=FLOATING)
def atan2(y: TensorLike, x: TensorLike, /) -> Tensor:
    """Angle of the point (``x``, ``y``) in radians, from -pi to pi, broadcast and promoted; floating.

    ``y`` comes first, as in C.  The gradient at the origin is taken as 0.
    """


atan2.kernel("atan2")


@atan2.vjp
def _(g: Tensor, y: Tensor, x: Tensor, needs: tuple[bool, bool]) -> tuple[Tensor | None, Tensor | None]:
    radius = without_zeros(hypot(x, y))
    scaled = g / radius  # divided twice, where the square of the radius would overflow
    return scaled * (x / radius) if needs[0] else None, scaled * (-y / radius) if needs[1] else None


@op(family=binary, dtypes=FLOATING)
def hypot(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``sqrt(x**2 + y**2)`` without overflow, broadcast and promoted; floating.  The gradient at the origin is 0."""


hypot.kernel("hypot")
hypot.vjp(x=lambda g, x, out: g * (x / without_zeros(out)), y=lambda g, y, out: g * (y / without_zeros(out)))


def _sinc(xp: Any, x: Any) -> Any:
    zero = x == 0
    angle = xp.where(zero, xp.ones_like(x), x) * math.pi
    return xp.where(zero, xp.ones_like(x), xp.sin(angle) / angle)


@op(family=unary, dtypes=FLOATING)
def sinc(x: TensorLike, /) -> Tensor:
    """``sin(pi x) / (pi x)``, and 1 at 0; floating."""


sinc.kernel(_special.single(_sinc))


@sinc.vjp
def _(g: Tensor, x: Tensor) -> Tensor:
    small = less(abs(x), scalar_beside(0.05, x))
    far = where(small, 1, x)
    slope = (cos(far * math.pi) - sinc(far)) / far
    near = where(small, x, 0)  # there the difference above cancels: the Taylor series, in powers of (pi x)^2
    square = (near * math.pi) * (near * math.pi)
    series = square * (-10 / math.factorial(11)) + 8 / math.factorial(9)
    for k in (6, 4, 2):
        series = series * square + (-1) ** (k // 2) * k / math.factorial(k + 1)
    return g * where(small, series * near * math.pi**2, slope)


# ---------------------------------------------------------------- hyperbolic functions


@op(family=unary, dtypes=INEXACT)
def sinh(x: TensorLike, /) -> Tensor:
    """Hyperbolic sine; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def cosh(x: TensorLike, /) -> Tensor:
    """Hyperbolic cosine; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def tanh(x: TensorLike, /) -> Tensor:
    """Hyperbolic tangent; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def asinh(x: TensorLike, /) -> Tensor:
    """Inverse hyperbolic sine; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def acosh(x: TensorLike, /) -> Tensor:
    """Inverse hyperbolic cosine; NaN for real numbers below 1; floating or complex."""


@op(family=unary, dtypes=INEXACT)
def atanh(x: TensorLike, /) -> Tensor:
    """Inverse hyperbolic tangent; NaN for real numbers outside [-1, 1]; floating or complex."""


sinh.vjp(lambda g, x: g * conjugated(cosh(x)))
cosh.vjp(lambda g, x: g * conjugated(sinh(x)))
tanh.vjp(lambda g, out: g * (1 - conjugated(out) * conjugated(out)))
asinh.vjp(lambda g, x: g / (conjugated(sqrt(x * x + 1)) if x.dtype in COMPLEX else hypot(x, scalar_beside(1, x))))
acosh.vjp(lambda g, x: g / conjugated(sqrt(x - 1) * sqrt(x + 1)))
atanh.vjp(lambda g, x: g / conjugated((1 - x) * (1 + x)))

for _function, _meaning, _domain in (
    (exp, np.exp, real(-3, 3)),
    (expm1, np.expm1, real(-3, 3)),
    (exp2, np.exp2, real(-3, 3)),
    (log, np.log, real(0.2, 4)),
    (log1p, np.log1p, real(-0.8, 3)),
    (log2, np.log2, real(0.2, 4)),
    (log10, np.log10, real(0.2, 4)),
    (sqrt, np.sqrt, real(0.2, 4)),
    (rsqrt, lambda x: 1 / np.sqrt(x), real(0.2, 4)),
    (cbrt, np.cbrt, real(-4, 4, away=(0.0,), gap=0.3)),
    (sin, np.sin, real(-4, 4)),
    (cos, np.cos, real(-4, 4)),
    (tan, np.tan, real(-1.2, 1.2)),
    (asin, np.arcsin, real(-0.9, 0.9)),
    (acos, np.arccos, real(-0.9, 0.9)),
    (atan, np.arctan, real(-4, 4)),
    (sinc, np.sinc, real(-3, 3)),
    (sinh, np.sinh, real(-3, 3)),
    (cosh, np.cosh, real(-3, 3)),
    (tanh, np.tanh, real(-3, 3)),
    (asinh, np.arcsinh, real(-4, 4)),
    (acosh, np.arccosh, real(1.2, 5)),
    (atanh, np.arctanh, real(-0.9, 0.9)),
):
    if _function.op.kernel_function is None:
        _function.kernel(_function.__name__)
    _function.samples(sample(_domain), sample(empty_like(_domain), grad=False))
    _function.error_samples(_no_integers)
    _function.reference(_meaning)
exp.samples(real(shape=()))
sinc.samples(sample(literal([0.0, 0.02, -0.04, 1.0])))

for _binary in (atan2, hypot):
    _binary.samples(
        sample(real(away=(0.0,)), real(away=(0.0,))), sample(real(0.5, 2, shape=(3, 1)), real(-2, -0.5, shape=(4,)))
    )
    _binary.error_samples(NO_BROADCAST, error(DTypeError, "takes floating", integer(), integer()))
atan2.reference(np.arctan2)
hypot.reference(np.hypot)


# ---------------------------------------------------------------- logarithms of sums and products


@op(family=binary, dtypes=FLOATING)
def logaddexp(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``log(exp(x) + exp(y))`` without overflow, broadcast and promoted; floating."""


def _weight(mine: Tensor, other: Tensor) -> Tensor:
    """exp(mine) / (exp(mine) + exp(other)); half where they are equal, infinities included."""
    from corenn.ops.activations import sigmoid

    same = equal(mine, other)
    return sigmoid(where(same, 0, mine) - where(same, 0, other))


logaddexp.kernel("logaddexp")
logaddexp.vjp(x=lambda g, x, y: g * _weight(x, y), y=lambda g, x, y: g * _weight(y, x))
logaddexp.samples(sample(real(), real()), sample(real(-30, 30, shape=(3, 1)), real(-30, 30, shape=(4,))))
logaddexp.error_samples(NO_BROADCAST)
logaddexp.reference(np.logaddexp)


@op(family=binary, dtypes=FLOATING)
def xlogy(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x * log(y)``, and 0 where ``x`` is 0 (unless ``y`` is NaN), broadcast and promoted; floating."""


def _is_zero(x: Tensor) -> Tensor:
    return equal(x, scalar_beside(0, x))


@xlogy.kernel
def _(xp: Any, x: Any, y: Any) -> Any:
    skip = (x == 0) & ~xp.isnan(y)
    return x * xp.log(xp.where(skip, xp.ones_like(y), y))


xlogy.vjp(
    x=lambda g, x, y: g * log(where(logical_and(_is_zero(x), less_equal(y, scalar_beside(0, y))), 1, y)),
    y=lambda g, x, y: g * (x / where(logical_and(_is_zero(x), _is_zero(y)), 1, y)),
)
xlogy.samples(
    sample(real(), real(0.3, 3)),
    sample(real(shape=(3, 1)), real(0.3, 3, shape=(4,))),
    sample(literal([0.0, 0.0, 2.0]), literal([0.0, 3.0, 1.5]), grad=False),
)
xlogy.error_samples(NO_BROADCAST)
xlogy.reference(lambda x, y: np.where(x == 0, 0.0, x * np.log(np.where(x == 0, 1.0, y))))


# ---------------------------------------------------------------- special functions


@op(family=unary, dtypes=FLOATING)
def erf(x: TensorLike, /) -> Tensor:
    """Error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to ``x``; floating."""


@op(family=unary, dtypes=FLOATING)
def erfc(x: TensorLike, /) -> Tensor:
    """``1 - erf(x)``, accurate also where it is small; floating."""


@op(family=unary, dtypes=FLOATING)
def erfinv(x: TensorLike, /) -> Tensor:
    """Inverse of ``erf`` on [-1, 1], infinite at the ends, NaN outside; floating."""


@op(family=unary, dtypes=FLOATING)
def lgamma(x: TensorLike, /) -> Tensor:
    """Logarithm of the absolute value of the gamma function; infinite at 0, -1, -2, ...; floating."""


@op(family=unary, dtypes=FLOATING)
def digamma(x: TensorLike, /) -> Tensor:
    """Derivative of ``lgamma``; NaN at -1, -2, ..., and infinite at 0, with the sign opposite to that of the zero;
    floating."""


def _polygamma(call: Call, x: Spec) -> Spec:
    n = call.attrs["n"]
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= 100:
        raise call.attribute_error("n must be an int from 1 to 100", "corenn.digamma(x) is the case n = 0", n="")
    return x.at(None)


@op(infer=_polygamma, dtypes=FLOATING)
def polygamma(x: TensorLike, /, *, n: int) -> Tensor:
    """The ``n``-th derivative of ``digamma``, 1 <= n <= 100 (else AttributeValueError); ``n=1`` is trigamma; floating.

    At 0, -1, -2, ... infinite for odd ``n`` and NaN for even.
    """


erf.vjp(lambda g, x: g * (exp(-(x * x)) * (2 / math.sqrt(math.pi))))
erfc.vjp(lambda g, x: g * (exp(-(x * x)) * (-2 / math.sqrt(math.pi))))
erfinv.vjp(lambda g, out: g * (exp(out * out) * (math.sqrt(math.pi) / 2)))
lgamma.vjp(lambda g, x: g * digamma(x))
digamma.vjp(lambda g, x: g * polygamma(x, n=1))
polygamma.vjp(lambda g, x, n: g * polygamma(x, n=n + 1))


def _erfinv(y: float) -> float:
    """Bisection on erfc, which is accurate where erf is near 1."""
    if not math.fabs(y) < 1:
        return math.copysign(math.inf, y) if math.fabs(y) == 1 else math.nan
    low, high = 0.0, 7.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(middle) > 1 - math.fabs(y) else (low, middle)
    return math.copysign(low, y)


def _zeta_sum(x: float, n: int) -> float:
    """Hurwitz' series for the n-th polygamma, 2000 terms and the integral of the rest; for n = 0 the digamma's."""
    z = x + 2000
    if n == 0:
        return math.log(z) - 1 / (2 * z) - 1 / (12 * z**2) - math.fsum(1 / (x + k) for k in range(2000))
    rest: float = z**-n / n + z ** -(n + 1) / 2 + (n + 1) * z ** -(n + 2) / 12
    return (-1.0) ** (n + 1) * math.factorial(n) * (math.fsum((x + k) ** -(n + 1) for k in range(2000)) + rest)


def _by_element(function: Any) -> Any:
    return lambda x, **attrs: np.vectorize(lambda v: function(float(v), **attrs), otypes=[np.float64])(x)


_gamma_domain = (sample(real(0.3, 12)), sample(real(-2.8, -0.2, away=(-2.0, -1.0), gap=0.2)))
for _function, _kernel, _meaning, _samples in (
    (erf, _special.erf, _by_element(math.erf), (sample(real(-3, 3)), sample(real(-9, 9)))),
    (erfc, _special.erfc, _by_element(math.erfc), (sample(real(-3, 3)), sample(real(2, 9)))),
    (erfinv, _special.erfinv, _by_element(_erfinv), (sample(real(-0.8, 0.8)), sample(real(0.86, 0.96)))),
    (lgamma, _special.lgamma, _by_element(math.lgamma), _gamma_domain),
    (digamma, _special.digamma, _by_element(lambda v: _zeta_sum(v, 0)), _gamma_domain),
):
    _function.kernel(_kernel)
    _function.samples(*_samples, sample(real(0.5, 0.6, shape=(0, 2)), grad=False))
    _function.error_samples(_no_integers)
    _function.reference(_meaning)
polygamma.kernel(_special.polygamma)
polygamma.samples(
    sample(real(0.5, 9), n=1),
    sample(real(-1.8, -0.2, away=(-1.0,), gap=0.3), n=1),
    sample(real(0.7, 3), n=2),
    sample(real(1, 3), n=5),
)
polygamma.error_samples(error(AttributeValueError, "from 1 to 100", real(), n=0))
polygamma.reference(_by_element(_zeta_sum))


# ---------------------------------------------------------------- parts of complex numbers

_REAL_OF = {dtypes.complex64: dtypes.float32, dtypes.complex128: dtypes.float64}


def _part(call: Call, x: Spec) -> Spec:
    return Spec(x.shape, _REAL_OF[x.dtype])


@op(infer=_part, name="real", dtypes=COMPLEX)
def real_part(x: TensorLike, /) -> Tensor:
    """Real part of a complex tensor: complex64 gives float32, complex128 float64."""


@op(infer=_part, name="imag", dtypes=COMPLEX)
def imaginary_part(x: TensorLike, /) -> Tensor:
    """Imaginary part of a complex tensor: complex64 gives float32, complex128 float64."""


@op(infer=_part, dtypes=COMPLEX)
def angle(x: TensorLike, /) -> Tensor:
    """Argument of complex numbers in radians, elementwise, from -pi to pi; the gradient at 0 is taken as 0."""


real_part.kernel("real")
imaginary_part.kernel("imag")
angle.kernel(lambda xp, x: xp.atan2(xp.imag(x), xp.real(x)))
real_part.vjp(lambda g, x_spec: cast(g, dtype=x_spec.dtype))
imaginary_part.vjp(lambda g, x_spec: cast(g, dtype=x_spec.dtype) * 1j)


@angle.vjp
def _(g: Tensor, x: Tensor) -> Tensor:
    length = without_zeros(abs(x))
    return cast(g / length, dtype=x.dtype) * (x / cast(length, dtype=x.dtype)) * 1j


for _function, _meaning in ((real_part, np.real), (imaginary_part, np.imag), (angle, np.angle)):
    _function.samples(sample(literal([1 + 2j, -0.5j, -2.0 + 0.1j])))
    _function.error_samples(error(DTypeError, "takes complex", real()), error(DTypeError, "takes complex", boolean()))
    _function.reference(_meaning)
