"""Kernels of the special functions, in array-API terms: error functions, log-gamma, polygamma.

The array API has none of them.  Each is a rational function P/Q on an interval chosen so that all coefficients are
positive (no cancellation in Horner's scheme), joined to an asymptotic series or reflected where needed.  The form for
the error functions follows W. J. Cody, *Rational Chebyshev approximations for the error function*, Math. Comp. 23
(1969); for the inverse M. J. Wichura, Algorithm AS 241, Applied Statistics 37 (1988); the series and reflections are
DLMF 5.5.3, 5.11.1, 5.11.2, 5.15.5, 5.15.8, 25.11.43 (https://dlmf.nist.gov).  The coefficients are our own: least
squares in relative error over Chebyshev nodes, reweighted towards equal errors (Lawson), solved with 70 digits; the
truncation error is below 2e-17 for float64 and 1e-8 for float32.  Highest powers come first.

Elements are computed by every branch and selected, so arguments are moved into a branch's domain first: no branch
overflows or warns for an element that another branch serves.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

_Table = tuple[tuple[float, ...], tuple[float, ...]]

# fmt: off
_ERF64 = (
    (
        8.203370698933654e-17, 4.733316383775061e-14, 5.1196874409647285e-12, 2.2762275173561384e-10,
        8.232097454657953e-09, 1.9565503716668326e-07, 4.305073686131944e-06, 6.138611405618695e-05,
        0.000895142742260203, 0.007148242168846076, 0.06710527975905745, 0.22350402407351805, 1.1283791670955126,
    ),
    (
        1.1765657679032197e-18, 2.5608394653464516e-15, 5.807799179102985e-13, 3.580219922722352e-11,
        1.422820973897038e-09, 4.155490304162954e-08, 9.413902696827042e-07, 1.6878609560028382e-05,
        0.00023992396212654178, 0.0026686506994554266, 0.022539197270261064, 0.13660671156728313, 0.5314086174143271,
        1.0,
    ),
)
_ERF32 = (
    (
        5.650735860552387e-06, 0.00038065164532023705, 0.004013731694997504, 0.05471471106888429, 0.18954858635291336,
        1.1283791684343147,
    ),
    (
        1.9353959043655784e-07, 6.459401489447024e-05, 0.0013388683219950459, 0.015767473222865664, 0.11559478746663758,
        0.5013164446757579, 1.0,
    ),
)
_ERFCX64 = (
    (
        1.4424675147149929e-05, 0.00031713679488029476, 0.003423580339684397, 0.023603470315779057, 0.11427944016900529,
        0.40444440990522285, 1.058259051478465, 2.0241712407800803, 2.72092994144125, 2.3428540416797095, 1.0,
    ),
    (
        2.556707101262151e-05, 0.0005621103333503179, 0.006080921692395847, 0.042117117025756746, 0.20557631925095188,
        0.7374960298497419, 1.9739906977680755, 3.9259647953805445, 5.666763694432597, 5.637797178353303,
        3.4712332087752222, 1.0,
    ),
)
_ERFCX32 = (
    (
        0.0101139896602233, 0.09348524593536374, 0.4044439723893756, 1.0040566013152161, 1.4369342849824542,
        0.9999999999131273,
    ),
    (
        0.017926601203723275, 0.1656972634007789, 0.725843338896861, 1.8622173312205272, 2.8987030997595555,
        2.565313440329365, 1.0,
    ),
)
_CENTRE64 = (
    (
        0.034301383584355215, 2.3666843551795007, 25.17625314269915, 93.25364566362879, 156.88599599971158,
        134.37834163735926, 60.49901711111226, 13.589386327721817, 1.1975323115670913,
    ),
    (
        0.2242068588158047, 6.336735876512339, 45.551702615201535, 132.5709035793842, 188.56151766447124,
        142.5371839505455, 58.23136841655827, 12.099138654524655, 1.0,
    ),
)
_CENTRE32 = (
    (
        0.20940386575511502, 3.8514270176191485, 9.354036505073482, 6.290833579837556, 1.1975323112142684,
    ),
    (
        0.8176542706426474, 6.414742256450831, 10.943728061568807, 6.004478135089885, 1.0,
    ),
)
_TAIL64 = (
    (
        0.004860705263181878, 0.1434560752281285, 1.1930561538408508, 3.273380479039231, 2.8987528764102266,
        2.077485838852467, 0.8429719170696822, 0.007453485272131486, -0.0005802037702563754,
    ),
    (
        4.053452696618049e-09, 0.004860214337231085, 0.14350360811128327, 1.2047294245013669, 3.5076098553182034,
        4.208466793368275, 4.153536773686284, 2.1752400975608843, 1.0,
    ),
)
_TAIL32 = (
    (
        0.5619163641897408, 1.9006238377380684, 0.34613838843152384, 0.18432769368726892, -0.027713643262908563,
    ),
    (
        2.886898393576068e-05, 0.5607828279915594, 1.9295311153802628, 1.166826607799441, 1.0,
    ),
)
_LGAMMA64 = (
    (
        1.746417642587951e-05, 0.031414388606814836, 3.0939923245770173, 86.78206475995027, 960.4766449977933,
        4802.318258153705, 11502.88997425395, 13357.737069333736, 7298.429065755101, 1729.5508655591286,
        147.90092643914474, 2.8406169125422176,
    ),
    (
        0.006341649283095381, 0.9332033049442995, 36.460817323450236, 555.6417678215702, 3863.299516837851,
        13183.282366156798, 22669.250954317635, 19438.741753919756, 7903.37917098222, 1376.0858167783138,
        83.08996561937944, 1.0,
    ),
)
_LGAMMA32 = (
    (
        0.002271659758578464, 0.7220826768323327, 10.947556908338994, 31.97471181593831, 20.369060500938076,
        2.157104967671287,
    ),
    (
        0.20704679300190826, 6.095806907072434, 35.44204148016007, 53.0685452419756, 18.827919335377015, 1.0,
    ),
)
_DIGAMMA64 = (
    (
        54.726318228127546, 138573.89420408205, 17751468.716522723, 680071802.0072567, 10936863179.132528,
        84878292401.10947, 334869181988.8891, 661293202123.8922, 586440983429.345, 165337688668.74927,
    ),
    (
        22709.41042474375, 3970536.6647087904, 192932995.22428015, 3847286547.0989385, 36870149585.19463,
        181374384459.59543, 458831410755.9459, 552331703697.3966, 241662880516.68982, 1.0,
    ),
)
_DIGAMMA32 = (
    (
        73.24249090012601, 3160.442057251603, 23116.877452944012, 41250.36483284926, 15391.2970510729,
    ),
    (
        12.960219202611071, 947.1615822233972, 10960.369493699252, 31965.87741177101, 22486.22508637366, 1.0,
    ),
)
# fmt: on


def single(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel of one array that computes half precision in float32 and rounds once (``__wrapped__``: the bare one)."""

    @functools.wraps(kernel)
    def run(xp: Any, x: Any, **attrs: Any) -> Any:
        dtype = x.dtype
        if dtype == xp.float32 or dtype == xp.float64 or dtype == xp.complex64 or dtype == xp.complex128:
            return kernel(xp, x, **attrs)
        return xp.astype(kernel(xp, xp.astype(x, xp.float32), **attrs), dtype)

    return run


def polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """Horner's scheme, the highest power first; updates only the array it made itself."""
    result = x * coefficients[0]
    result += coefficients[1]
    for c in coefficients[2:]:
        result *= x
        result += c
    return result


def rational(x: Any, table: _Table) -> Any:
    """P(x) / Q(x)."""
    result = polynomial(x, table[0])
    result /= polynomial(x, table[1])
    return result


# ---------------------------------------------------------------- error functions


@single
def erf(xp: Any, x: Any) -> Any:
    """erf(x) = x P(x^2) / Q(x^2) up to a limit, where the fit aims a few units in the last place above 1, then 1."""
    limit, table = (3.9, _ERF32) if x.dtype == xp.float32 else (6.0, _ERF64)
    inside = xp.clip(x, -limit, limit)
    result = rational(inside * inside, table)
    result *= inside
    return xp.clip(result, -1.0, 1.0)


@single
def erfc(xp: Any, x: Any) -> Any:
    """erfc(|x|) = exp(-x^2) P/Q(|x|); x^2 is split so that its rounding does not grow in the exponential."""
    limit, steps, table = (10.5, 2.0**8, _ERFCX32) if x.dtype == xp.float32 else (28.0, 2.0**21, _ERFCX64)
    a = xp.clip(xp.abs(x), None, limit)
    head = xp.round(a * steps)
    head *= 1 / steps  # head * head is exact
    result = rational(a, table)
    result *= xp.exp(-head * head)
    result *= xp.exp((head - a) * (head + a))
    sign = xp.sign(x)
    result *= sign
    result += 1.0 - sign  # erfc(-a) = 2 - erfc(a), without a branch
    return result


@single
def upper_tail(xp: Any, a: Any) -> Any:
    """The standard normal distribution above ``a`` >= 0: erfc(a / sqrt 2) / 2, for gelu."""
    limit, table = (15.0, _ERFCX32) if a.dtype == xp.float32 else (39.5, _ERFCX64)
    a = xp.clip(a, None, limit)
    result = rational(a * math.sqrt(0.5), table)
    result *= xp.exp(a * a * -0.5)
    result *= 0.5
    return result


@single
def erfinv(xp: Any, x: Any) -> Any:
    """x P/Q(0.85^2 - x^2) for |x| <= 0.85, beyond it P/Q(sqrt(-log(1 - |x|))); NaN outside [-1, 1]."""
    centre, tail = (_CENTRE32, _TAIL32) if x.dtype == xp.float32 else (_CENTRE64, _TAIL64)
    a = xp.abs(x)
    near = xp.clip(x, -0.85, 0.85)
    inner = rational(0.7225 - near * near, centre)
    inner *= near
    left = 1.0 - a  # exact where it is used
    inside = left > 0
    outer = rational(xp.sqrt(-xp.log(xp.where(inside, left, xp.ones_like(x)))), tail)
    edge = xp.where(left == 0, xp.full_like(x, math.inf), xp.full_like(x, math.nan))
    outer = xp.where(inside, outer, edge)
    return xp.where(a <= 0.85, inner, outer * xp.sign(x))


# ---------------------------------------------------------------- the gamma function's logarithm and derivatives

#: B(2k) / (2k (2k - 1)) for k = 8 ... 1: Stirling's series of log-gamma in 1/z^2, times z (DLMF 5.11.1).
_STIRLING = (-3617 / 122400, 1 / 156, -691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12)
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)
#: B(2k) / 2k for k = 8 ... 1: the series of digamma in 1/z^2 (DLMF 5.11.2).
_DIGAMMA_SERIES = tuple(_BERNOULLI[k - 1] / (2 * k) for k in range(8, 0, -1))
#: Where the series take over from the rational functions.
_FAR = 8.0
#: The positive zero of digamma, as a number exact in the dtype and the rest.
_ZERO32 = (1.4616321325302124, 1.2438149938918909e-08)
_ZERO64 = (1.4616321449683622, 9.549995429965697e-17)
#: Beyond this all floating numbers are integers, in float32 as in float64.
_INTEGERS = 2.0**53


@single
def lgamma(xp: Any, x: Any) -> Any:
    """log |Gamma(x)|: (x-1)(x-2) P/Q(x) from 0.5 to 8, Stirling's series above, reflected below."""
    low = x < 0.5
    a = xp.where(low, 1.0 - x, x)
    near = xp.clip(a, None, _FAR)
    middle = rational(near, _LGAMMA32 if x.dtype == xp.float32 else _LGAMMA64)
    middle *= (near - 1.0) * (near - 2.0)
    z = xp.clip(a, _FAR, None)
    inverse = 1.0 / z
    far = polynomial(inverse * inverse, _STIRLING)
    far *= inverse
    far += (z - 0.5) * (xp.log(z) - 1.0) + (0.5 * math.log(2 * math.pi) - 0.5)
    result = xp.where(a < _FAR, middle, far)
    angle, pole = _reduced(xp, x, low)
    # lgamma(x) = log(pi / |sin(pi x)|) - lgamma(1 - x)
    reflected = math.log(math.pi) - xp.log(xp.abs(xp.sin(angle))) - result
    reflected = xp.where(pole, xp.full_like(x, math.inf), reflected)
    return xp.where(low, reflected, result)


@single
def digamma(xp: Any, x: Any) -> Any:
    """d/dx lgamma: (x-x0) P/Q(x) from 0.5 to 8, x0 its zero; its series above, reflected below; NaN at poles but 0."""
    zero, table = (_ZERO32, _DIGAMMA32) if x.dtype == xp.float32 else (_ZERO64, _DIGAMMA64)
    low = x < 0.5
    a = xp.where(low, 1.0 - x, x)
    near = xp.clip(a, None, _FAR)
    middle = rational(near, table)
    middle *= (near - zero[0]) - zero[1]
    z = xp.clip(a, _FAR, None)
    inverse = 1.0 / z
    square = inverse * inverse
    far = polynomial(square, _DIGAMMA_SERIES)
    far *= -square
    far += xp.log(z) - 0.5 * inverse
    result = xp.where(a < _FAR, middle, far)
    angle, pole = _reduced(xp, x, low)
    reflected = result - math.pi / xp.tan(angle)
    reflected = xp.where(pole, xp.full_like(x, math.nan), reflected)
    result = xp.where(low, reflected, result)
    at_zero = x == 0
    return xp.where(at_zero, xp.copysign(xp.full_like(x, math.inf), -x), result)


def _reduced(xp: Any, x: Any, low: Any) -> tuple[Any, Any]:
    """pi (x - nearest integer) where ``low`` and no pole, else pi/4; and where the poles are."""
    x = xp.where(low, xp.clip(x, -_INTEGERS, None), xp.full_like(x, 0.25))
    rest = x - xp.round(x)
    pole = rest == 0
    return xp.where(pole, xp.full_like(x, 0.25), rest) * math.pi, pole


@single
def polygamma(xp: Any, x: Any, *, n: int) -> Any:
    """The n-th derivative of digamma, n >= 1: (-1)^(n+1) n! zeta(n+1, x), by Euler-Maclaurin after 12 + n terms."""
    low = x <= 0
    a = xp.where(low, 1.0 - x, x)
    total = xp.zeros_like(a)
    terms = 12 + n
    for k in range(terms):
        total += _power(1.0 / (a + float(k)), n + 1)
    z = a + float(terms)
    inverse = 1.0 / z
    # zeta(n+1, z) = z^-n / n + z^-(n+1) / 2 + sum of B(2k) (n+2k-1)! / ((2k)! n!) z^-(n+2k)
    series = [_BERNOULLI[k - 1] * math.prod(range(n + 1, n + 2 * k)) / math.factorial(2 * k) for k in range(9, 0, -1)]
    tail = polynomial(inverse * inverse, series)
    tail *= inverse
    tail += 0.5
    tail *= inverse
    tail += 1.0 / n
    total += tail * _power(inverse, n)
    total *= float(math.factorial(n)) * (-1.0) ** (n + 1)
    angle, pole = _reduced(xp, x, low)
    # psi_n(x) = (-1)^n psi_n(1 - x) - pi d^n/dx^n cot(pi x)
    cotangent = polynomial(1.0 / xp.tan(angle), _cotangent_derivative(n))
    reflected = total * (-1.0) ** n - cotangent * math.pi ** (n + 1)
    reflected = xp.where(pole, xp.full_like(x, math.inf if n % 2 else math.nan), reflected)
    return xp.where(low, reflected, total)


def _power(x: Any, n: int) -> Any:
    """x to a positive whole power by repeated squaring."""
    result = None
    while True:
        if n & 1:
            result = x if result is None else result * x
        n >>= 1
        if not n:
            return result
        x = x * x


@functools.cache
def _cotangent_derivative(n: int) -> tuple[float, ...]:
    """The n-th derivative of the cotangent as a polynomial in it, from c' = -(1 + c^2)."""
    powers = [0, 1]  # lowest first
    for _ in range(n):
        slopes = [i * c for i, c in enumerate(powers)][1:]
        powers = [0] * (len(slopes) + 2)
        for i, c in enumerate(slopes):
            powers[i] -= c
            powers[i + 2] -= c
    return tuple(float(c) for c in reversed(powers))
