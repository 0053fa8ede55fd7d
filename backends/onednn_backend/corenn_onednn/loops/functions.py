"""Transcendental functions of float32 as arithmetic, which runs over lanes like any other.

Ranges are reduced by exact steps and powers of two put together from their bits; the polynomials are minimax fits of
this project (least squares reweighted towards the largest error).  Largest errors in units in the last place, over
every float32 of the domain unless said otherwise (``tests/test_loops_functions.py`` measures them):

    exp 1  exp2 1.1  expm1 1.4  log 0.9  log2 1.1  log10 1.6  log1p 0.9  rsqrt 1.1  tanh 1.4  sigmoid 1.6  erf 1.2
    erfc 1.7 (to 9.3, where it becomes subnormal)  upper_tail 1.7 (to 13)

The functions take and give ``Expr`` trees; ``lowering`` expands them where they are called, and calls the C library for
float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from corenn import dtypes
from corenn.dtypes import DType, float32, int32
from corenn_onednn.loops.ir import (
    Expr,
    add,
    apply,
    at_least,
    at_most,
    bits,
    compare,
    const,
    div,
    fma,
    mul,
    neg,
    sub,
    where,
)

_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # the first has few enough bits that its multiples are exact
_ROUNDER = 1.5 * 2.0**23  # adding it rounds to an integer, which stands in the low bits of the sum
_ROUNDER_BITS = 0x4B400000


def _horner(x: Expr, coefficients: Sequence[float]) -> Expr:
    """The polynomial, the constant term first."""
    result: Expr = const(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = fma(result, x, const(c))
    return result


def _int(value: int) -> Expr:
    return const(value, int32)


def _as_int(x: Expr) -> Expr:
    return bits(x, int32)


def _power_of_two(n: Expr) -> Expr:
    """``2 ** n`` for int32 ``n`` from -126 to 127."""
    return bits(apply("shl", add(n, _int(127)), _int(23)), float32)


def scaled(x: Expr, whole: Expr) -> Expr:
    """``x * 2 ** whole`` for whole numbers from -252 to 254, in two factors: the first never leaves the range."""
    n = sub(_as_int(add(whole, const(_ROUNDER))), _int(_ROUNDER_BITS))
    half = apply("shr", n, _int(1))
    return mul(mul(x, _power_of_two(half)), _power_of_two(sub(n, half)))


def rsqrt(x: Expr) -> Expr:
    """``1 / sqrt(x)``; where lanes are sixteen, an instruction and one of Newton's steps (``instructions``) make it."""
    return div(const(1.0), apply("sqrt", x))


# e**r = 1 + r + r**2 P(r) for |r| <= ln(2) / 2
_EXP = (0.5, 0.16666512191295624, 0.0416661873459816, 0.008369598537683487, 0.0013951717410236597)


def _rounded(x: Expr, factor: float) -> Expr:
    """``x * factor`` rounded to an integer."""
    return sub(fma(x, const(factor), const(_ROUNDER)), const(_ROUNDER))


def _reduced(x: Expr) -> tuple[Expr, Expr, Expr]:
    """``high``, which is exact, ``low`` and whole ``n`` with ``x = high + low + n ln 2``."""
    n = _rounded(x, 1 / math.log(2))
    return fma(n, const(-_LN2_HIGH), x), mul(n, const(-_LN2_LOW)), n


def _power(x: Expr) -> tuple[Expr, Expr, Expr]:
    """``1 + f``, as it is rounded; ``f``; and whole ``n`` with ``e ** x = (1 + f) * 2 ** n``."""
    high, low, n = _reduced(at_most(at_least(x, const(-104.0)), const(89.0)))
    r = add(high, low)
    f = add(fma(mul(r, r), _horner(r, _EXP), low), high)
    return add(f, const(1.0)), f, n


def exp(x: Expr) -> Expr:
    """``e ** x``."""
    whole, _, n = _power(x)
    return apply("scaled", whole, n)


def exp2(x: Expr) -> Expr:
    """``2 ** x``."""
    limited = at_most(at_least(x, const(-151.0)), const(129.0))
    n = _rounded(limited, 1.0)
    r = mul(sub(limited, n), const(math.log(2)))
    return apply("scaled", add(fma(mul(r, r), _horner(r, _EXP), r), const(1.0)), n)


# (e**r - 1 - r) / r**2, one degree more than above
_EXPM1 = (0.5, 0.1666666716337204, 0.04166625440120697, 0.008333262987434864, 0.0013947224942967296, 0.0001991938)


def expm1(x: Expr) -> Expr:
    """``e ** x - 1``: of the reduced argument, scaled; half of everything, so that the factor does not overflow."""
    high, low, n = _reduced(at_most(at_least(x, const(-30.0)), const(89.0)))
    r = add(high, low)
    small = fma(mul(r, r), _horner(r, _EXPM1), r)
    factor = apply("scaled", const(0.5), n)
    result = mul(fma(small, factor, sub(factor, const(0.5))), const(2.0))
    return where(compare("lt", apply("abs", x), const(1e-30)), x, result)


# log(1 + f) = f - f**2 / 2 + f**3 P(f) for 1 + f from sqrt(1/2) to sqrt(2)
_LOG = (
    0.3333331048488617, -0.25000008940696716, 0.20002193748950958, -0.16668051481246948, 0.1421789824962616,
    -0.12403307110071182, 0.1189902126789093, -0.1169571578502655, 0.06746432185173035,
)  # fmt: skip


def _split(x: Expr) -> tuple[Expr, Expr]:
    """``f`` and float32 ``n`` with ``x = (1 + f) * 2 ** n``, for positive finite ``x``, subnormal ones too."""
    tiny = compare("lt", x, const(2.0**-126))
    raised = where(tiny, mul(x, const(2.0**23)), x)
    # With the bits of sqrt(1/2) taken off, the exponent field counts from there.
    shifted = sub(_as_int(raised), _int(0x3F3504F3))
    n = apply("shr", shifted, _int(23))
    mantissa = bits(sub(_as_int(raised), apply("shl", n, _int(23))), float32)
    exponent = sub(n, where(tiny, _int(23), _int(0)))
    return sub(mantissa, const(1.0)), apply("convert", exponent, dtype=float32)


def _log_poles(x: Expr, result: Expr) -> Expr:
    """The logarithm's values at 0, below it, at infinity and for NaN."""
    positive = where(compare("lt", x, const(math.inf)), result, x)
    below = where(compare("eq", x, const(0.0)), const(-math.inf), const(math.nan))
    return where(compare("le", x, const(0.0)), below, positive)


def _log1p_small(f: Expr) -> tuple[Expr, Expr]:
    """The two addends of ``log(1 + f)``: ``f`` and the rest."""
    square = mul(f, f)
    return f, fma(mul(square, f), _horner(f, _LOG), mul(square, const(-0.5)))


def log(x: Expr) -> Expr:
    """The natural logarithm."""
    f, n = _split(x)
    lead, rest = _log1p_small(f)
    rest = fma(n, const(_LN2_LOW), rest)
    return _log_poles(x, fma(n, const(_LN2_HIGH), add(lead, rest)))


def _log_to_base(x: Expr, factor: float) -> Expr:
    """``log(x) * factor``, of which the power of two is taken exactly where the factor is that of base 2."""
    f, n = _split(x)
    lead, rest = _log1p_small(f)
    whole = factor * math.log(2)
    high = _rounded_to_bits(factor, 12)
    cut = bits(apply("and", _as_int(lead), _int(-4096)), float32)  # twelve bits: its product with ``high`` is exact
    rest = add(rest, sub(lead, cut))
    small = fma(rest, const(factor), mul(cut, const(factor - high)))
    if whole == 1.0:
        return _log_poles(x, add(fma(cut, const(high), n), small))
    whole_high = _rounded_to_bits(whole, 12)
    small = fma(n, const(whole - whole_high), small)
    return _log_poles(x, add(fma(n, const(whole_high), mul(cut, const(high))), small))


def _rounded_to_bits(value: float, count: int) -> float:
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(math.ldexp(mantissa, count)), exponent - count)


def log2(x: Expr) -> Expr:
    """The logarithm to base 2."""
    return _log_to_base(x, 1 / math.log(2))


def log10(x: Expr) -> Expr:
    """The logarithm to base 10."""
    return _log_to_base(x, 1 / math.log(10))


def log1p(x: Expr) -> Expr:
    """``log(1 + x)``: the logarithm of the rounded sum, and what rounding lost over it."""
    whole = add(const(1.0), x)
    lost = where(compare("ge", whole, x), sub(x, sub(whole, const(1.0))), sub(const(1.0), sub(whole, x)))
    f, n = _split(whole)
    lead, rest = _log1p_small(f)
    rest = fma(n, const(_LN2_LOW), add(rest, div(lost, whole)))
    found = _log_poles(whole, fma(n, const(_LN2_HIGH), add(lead, rest)))
    return where(compare("lt", apply("abs", x), const(1e-30)), x, found)


# tanh(x) = x + x**3 P(x**2) for |x| < 0.65
_TANH = (-0.3333326280117035, 0.1333089917898178, -0.05369296297430992, 0.02048330567777157, -0.005528624635189772)


def tanh(x: Expr) -> Expr:
    """The hyperbolic tangent: a polynomial near 0, else from the exponential."""
    size = apply("abs", x)
    square = mul(x, x)
    near = fma(mul(square, x), _horner(square, _TANH), x)
    far = sub(const(1.0), div(const(2.0), add(exp(add(size, size)), const(1.0))))
    return apply("copysign", where(compare("lt", size, const(0.625)), near, far), x)


def sigmoid(x: Expr) -> Expr:
    """``1 / (1 + exp(-x))``, accurate also where it is small.

    The quotient is put right by what was lost on the way to it: by rounding ``1 + f`` (see ``_power``), by dividing.
    """
    whole, f, n = _power(at_most(x, const(40.0)))
    power, lost = apply("scaled", whole, n), apply("scaled", sub(f, sub(whole, const(1.0))), n)
    below = add(power, const(1.0))
    inverse = div(const(1.0), below)
    quotient = mul(power, inverse)
    return fma(fma(lost, inverse, fma(neg(quotient), below, power)), inverse, quotient)


# erf(x) = x + x P(x**2) for |x| <= 1
_ERF = (
    0.12837916612625122, -0.3761262595653534, 0.11283600330352783, -0.026854444295167923, 0.005189535208046436,
    -0.0008020841050893068, 7.889119297033176e-05,
)  # fmt: skip
# exp(x**2) erfc(x) (1 + 2 x) = P((x - 3) / (x + 3)) for x from 0.7 to 10.5; what rounding the first takes off it
_ERFC = (
    1.2530080080032349, -0.13562108672715614, -0.04756217319985517, 0.1296442130141899, -0.1192765175562396,
    0.06832074894444826, -0.023746574738625976, 0.0024612418154104274, 0.0018051434723861098, -0.000625651909810167,
)  # fmt: skip
_ERFC_LOST = 4.943077902552773e-08
_ROOT_HALF = 0.7071067690849304  # as float32 has it


def _tail(x: Expr, square: Expr, below: Expr, low: Expr | None = None) -> Expr:
    """``erfc(x + low)`` for ``x`` from 0.7 to 10.5; the square is ``square + below``, ``low`` rounding's rest if any.

    The power, the polynomial and what both are divided by each come with what rounding has taken off them, and the
    quotient is put right by all of it (the first order of each is enough).
    """
    t = div(sub(x, const(3.0)), add(x, const(3.0)))
    rest = mul(_horner(t, _ERFC[1:]), t)
    smooth = add(rest, const(_ERFC[0]))
    smooth_lost = add(sub(rest, sub(smooth, const(_ERFC[0]))), const(_ERFC_LOST))
    whole, f, n = _power(neg(square))
    whole_lost = sub(f, sub(whole, const(1.0)))
    above = mul(whole, smooth)
    above_lost = fma(whole, smooth, neg(above))
    above_lost = fma(neg(above), below, fma(whole_lost, smooth, fma(whole, smooth_lost, above_lost)))
    twice = add(x, x)
    under = add(twice, const(1.0))
    under_lost = sub(const(1.0), sub(under, twice))
    if low is not None:
        under_lost = fma(low, const(2.0), under_lost)
    inverse = div(const(1.0), under)
    quotient = mul(above, inverse)
    lost = add(fma(neg(quotient), under, above), fma(neg(quotient), under_lost, above_lost))
    return apply("scaled", fma(lost, inverse, quotient), n)


def _erf_beyond(x: Expr) -> Expr:
    """``erf(x) / x - 1`` for ``|x|`` to 1."""
    return _horner(mul(x, x), _ERF)


def erfc(x: Expr) -> Expr:
    """``1 - erf(x)``."""
    size = at_most(apply("abs", x), const(10.5))
    square = mul(size, size)
    tail = _tail(size, square, fma(size, size, neg(square)))
    far = where(compare("lt", x, const(0.0)), sub(const(2.0), tail), tail)
    return where(compare("lt", size, const(0.75)), fma(neg(x), _erf_beyond(x), sub(const(1.0), x)), far)


def upper_tail(a: Expr) -> Expr:
    """The standard normal distribution above ``a`` >= 0: ``erfc(a / sqrt(2)) / 2``, without rounding the quotient."""
    size = at_most(a, const(14.5))
    half = mul(size, const(0.5))
    square = mul(half, size)
    x = mul(size, const(_ROOT_HALF))
    low = fma(size, const(math.sqrt(0.5) - _ROOT_HALF), fma(size, const(_ROOT_HALF), neg(x)))
    far = mul(_tail(x, square, fma(half, size, neg(square)), low), const(0.5))
    near = fma(fma(x, _erf_beyond(x), low), const(-0.5), fma(x, const(-0.5), const(0.5)))
    return where(compare("lt", size, const(1.0)), near, far)


def erf(x: Expr) -> Expr:
    """The error function: a polynomial to 1, else one minus the tail."""
    size = at_most(apply("abs", x), const(10.5))
    square = mul(size, size)
    far = sub(const(1.0), _tail(size, square, fma(size, size, neg(square))))
    return where(compare("lt", size, const(1.0)), fma(x, _erf_beyond(x), x), apply("copysign", far, x))


#: The functions of float32 by name.
FLOAT32: dict[str, Callable[..., Expr]] = {
    f.__name__: f for f in (erf, erfc, exp, exp2, expm1, log, log10, log1p, log2, rsqrt, sigmoid, tanh, upper_tail)
}


def sigmoid64(x: Expr) -> Expr:
    """``sigmoid`` of float64."""
    one = const(1.0, dtypes.float64)
    power = apply("exp", at_most(x, const(40.0, dtypes.float64)))
    return div(power, add(power, one))


def upper_tail64(x: Expr) -> Expr:
    """``upper_tail`` of float64."""
    return mul(apply("erfc", mul(x, const(math.sqrt(0.5), dtypes.float64))), const(0.5, dtypes.float64))


#: Those of float64 that the C library does not have.
FLOAT64: dict[str, Callable[[Expr], Expr]] = {"sigmoid": sigmoid64, "upper_tail": upper_tail64}

#: Every function that is called by name, with what it costs in simple operations.
COSTS = {
    "exp": 14, "exp2": 14, "expm1": 18, "log": 18, "log2": 22, "log10": 22, "log1p": 24, "tanh": 26, "sigmoid": 30,
    "erf": 72, "erfc": 72, "upper_tail": 72, "div": 4, "sqrt": 4, "rsqrt": 8, "bits": 0, "convert": 1,
}  # fmt: skip


def expansion(name: str, dtype: DType) -> Callable[..., Expr] | None:
    """The arithmetic of a function of this dtype; ``None`` for an instruction or a function of the C library."""
    if name == "scaled":
        return scaled
    if name == "rsqrt" and dtype is not float32:
        return lambda x: div(const(1.0, dtype), apply("sqrt", x))
    return (FLOAT32 if dtype is float32 else FLOAT64).get(name)
