"""Elementary and special functions against SciPy, NumPy and PyTorch: accuracy, edges, gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special as sc
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn.autodiff import GradientTape
from corenn.ops.table import TABLE
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import GRADIENT, forward

INF, NAN = math.inf, math.nan
quick = settings(max_examples=60, deadline=None)


def op(name):
    return TABLE[name].public


def ulps(actual, expected, dtype):
    """Relative errors in machine epsilons of ``dtype``; absolute ones below the smallest normal number."""
    a, e = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    limits = np.finfo(dtype)
    return np.abs(a - e) / np.maximum(np.abs(e), 4 * limits.tiny) / limits.eps


def grid(low, high, dtype, count=4001):
    values = np.linspace(low, high, count)
    if low > 0:
        values = np.concatenate([values, np.geomspace(low, high, count)])
    return values.astype(dtype)


def gradient(function, *arrays, weights=None):
    """Gradients by a tape of ``sum(function(*arrays) * weights)``."""
    tensors = [corenn.tensor(a) for a in arrays]
    with GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors)
    return [None if g is None else g.numpy() for g in tape.gradient(y, tensors, weights)]


# ---------------------------------------------------------------- accuracy

# name, float64 oracle, domain, allowed relative error in machine epsilons (float64, float32)
ACCURACY = [
    ("erf", sc.erf, (-7, 7), 5, 3),
    ("erf", sc.erf, (1e-300, 1), 5, 3),
    ("erfc", np.vectorize(math.erfc), (-6, 9), 6, 4),
    ("erfinv", sc.erfinv, (-0.9999, 0.9999), 6, 3),
    ("erfinv", sc.erfinv, (1e-30, 0.5), 5, 3),
    ("lgamma", sc.gammaln, (3, 60), 6, 4),
    ("lgamma", sc.gammaln, (3, 1e30), 6, 4),
    ("digamma", sc.digamma, (1.5, 60), 6, 4),
    ("digamma", sc.digamma, (1e-12, 1.4), 6, 4),
    ("cbrt", np.cbrt, (-1e3, 1e3), 2, 2),
    ("exp2", np.exp2, (-100, 100), 2, 3),
    ("rsqrt", lambda x: 1 / np.sqrt(x), (1e-30, 1e30), 2, 2),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("name", "oracle", "domain", "double", "single"), ACCURACY, ids=[f"{a[0]}{a[2]}" for a in ACCURACY]
)
def test_accuracy(name, oracle, domain, double, single, dtype):
    x = grid(*domain, dtype)
    y = op(name)(corenn.tensor(x))
    assert y.dtype == np.dtype(dtype)
    worst = ulps(y.numpy(), oracle(x.astype(np.float64)), dtype)
    assert worst.max() <= (double if dtype is np.float64 else single), x[worst.argmax()]


@pytest.mark.parametrize(("name", "zeros"), [("lgamma", (1.0, 2.0)), ("digamma", (1.4616321449683622,))])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_relative_accuracy_near_zeros(name, zeros, dtype):
    """Digits must survive where the function vanishes; SciPy and the standard library lose them, mpmath does not."""
    mpmath = pytest.importorskip("mpmath")
    offsets = np.concatenate([np.geomspace(1e-7, 0.4, 60), -np.geomspace(1e-7, 0.4, 60)])
    x = np.unique(np.concatenate([z + offsets for z in zeros]).astype(dtype))
    x = x[(x != 1) & (x != 2)]
    exact = {"lgamma": mpmath.loggamma, "digamma": mpmath.digamma}[name]
    with mpmath.workdps(40):
        expected = np.array([float(exact(mpmath.mpf(float(v)))) for v in x])
    assert ulps(op(name)(corenn.tensor(x)).numpy(), expected, dtype).max() < 5


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_polygamma_against_scipy(n, dtype):
    x = np.concatenate([grid(0.1, 50, dtype, 200), grid(-4.7, -4.3, dtype, 20)])
    expected = sc.polygamma(n, x.astype(np.float64))
    actual = op("polygamma")(corenn.tensor(x), n=n).numpy()
    np.testing.assert_allclose(actual[x > 0], expected[x > 0], rtol=20 * np.finfo(dtype).eps)
    scale = np.abs(expected[x < 0]).max()  # SciPy's even orders cross zero here
    np.testing.assert_allclose(actual[x < 0], expected[x < 0], rtol=0, atol=200 * np.finfo(dtype).eps * scale)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_reflected_gamma_functions(dtype):
    x = np.linspace(-9.93, -0.07, 400).astype(dtype)
    x = x[np.abs(x - np.round(x)) > 0.05]
    wide = x.astype(np.float64)
    np.testing.assert_allclose(
        op("lgamma")(corenn.tensor(x)).numpy(), sc.gammaln(wide), rtol=0, atol=40 * np.finfo(dtype).eps
    )
    np.testing.assert_allclose(
        op("digamma")(corenn.tensor(x)).numpy(), sc.digamma(wide), rtol=0, atol=900 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", ["erf", "erfc", "lgamma", "digamma", "exp2", "cbrt", "sinc", "rsqrt", "log1p"])
def test_dtype_is_kept_and_rounded_once(name, dtype):
    x = corenn.cast(corenn.tensor(np.linspace(0.3, 5, 50)), dtype=dtype)
    wide = corenn.cast(x, dtype="float64")
    y = op(name)(x)
    assert y.dtype == dtype
    expected = op(name)(wide).numpy()
    assert_close(y.numpy().astype(np.float64), expected, forward(y.dtype))


# ---------------------------------------------------------------- edges

TINY = {np.float64: 5e-324, np.float32: 1e-45}
EDGES = [
    ("erf", [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (30.0, 1.0), (-1e30, -1.0)]),
    ("erfc", [(0.0, 1.0), (INF, 0.0), (-INF, 2.0), (NAN, NAN), (1e30, 0.0), (-1e30, 2.0)]),
    ("erfinv", [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (-INF, NAN), (NAN, NAN)]),
    ("lgamma", [(0.0, INF), (-0.0, INF), (-1.0, INF), (-7.0, INF), (INF, INF), (-INF, INF), (NAN, NAN)]),
    ("digamma", [(0.0, -INF), (-0.0, INF), (-1.0, NAN), (-1e20, NAN), (INF, INF), (-INF, NAN), (NAN, NAN)]),
    ("cbrt", [(0.0, 0.0), (-0.0, -0.0), (-8.0, -2.0), (INF, INF), (-INF, -INF), (NAN, NAN)]),
    ("sinc", [(0.0, 1.0), (-0.0, 1.0), (NAN, NAN)]),
    ("tanh", [(INF, 1.0), (-INF, -1.0), (-0.0, -0.0), (NAN, NAN)]),
    ("exp2", [(INF, INF), (-INF, 0.0), (3.0, 8.0)]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "pairs"), EDGES, ids=[f"{e[0]}-{len(e[1])}" for e in EDGES])
def test_edges(name, pairs, dtype):
    x, expected = (np.array(column, dtype) for column in zip(*pairs, strict=True))
    y = op(name)(corenn.tensor(x)).numpy()
    np.testing.assert_array_equal(y, expected)
    zero = (x == 0) & (expected == 0)
    np.testing.assert_array_equal(np.signbit(y[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["erf", "erfinv"])
def test_subnormals_go_through_linearly(name, dtype):
    x = np.array([TINY[dtype] * k for k in (1, 100, 100000)], dtype)
    slope = {"erf": 2 / math.sqrt(math.pi), "erfinv": math.sqrt(math.pi) / 2}[name]
    np.testing.assert_allclose(
        op(name)(corenn.tensor(x)).numpy(), (x.astype(np.longdouble) * slope).astype(dtype), atol=TINY[dtype]
    )


@pytest.mark.parametrize("n", [1, 2, 3])
def test_polygamma_poles(n):
    y = op("polygamma")(corenn.tensor(np.array([0.0, -1.0, -50.0, -INF, INF, NAN])), n=n).numpy()
    pole = INF if n % 2 else NAN
    np.testing.assert_array_equal(y, [pole, pole, pole, pole, 0.0, NAN])


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0.0, 0.0, 0.0),
        (0.0, INF, 0.0),
        (0.0, NAN, NAN),
        (0.0, -1.0, 0.0),
        (2.0, 1.0, 0.0),
        (NAN, 1.0, NAN),
        (0.0, 2.0, 0.0),
    ],
)
def test_xlogy_edges(x, y, expected):
    np.testing.assert_array_equal(corenn.xlogy(np.array([x]), np.array([y])).numpy(), [expected])


# ---------------------------------------------------------------- properties


@quick
@given(st.floats(-0.999, 0.999))
def test_erfinv_inverts_erf(y):
    assert float(corenn.erf(corenn.erfinv(np.array(y)))) == pytest.approx(y, rel=1e-13, abs=1e-300)


@quick
@given(st.floats(-8.9, 30).filter(lambda v: abs(v - round(v)) > 0.05 or v > 0.5))
def test_gamma_recurrences(x):
    """Gamma(x + 1) = x Gamma(x), and its derivatives."""
    point = corenn.tensor(x, dtype="float64")
    assert float(corenn.lgamma(point + 1) - corenn.lgamma(point)) == pytest.approx(math.log(abs(x)), abs=2e-13)
    assert float(corenn.digamma(point + 1) - corenn.digamma(point)) == pytest.approx(1 / x, rel=1e-11, abs=1e-12)
    step = float(corenn.polygamma(point + 1, n=1) - corenn.polygamma(point, n=1))
    assert step == pytest.approx(-1 / x**2, rel=1e-10, abs=1e-11)


@quick
@given(st.floats(-5, 5))
def test_erf_and_erfc_add_to_one(x):
    assert float(corenn.erf(np.array(x)) + corenn.erfc(np.array(x))) == pytest.approx(1, abs=1e-15)


# ---------------------------------------------------------------- complex

COMPLEX = [
    "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
]  # fmt: skip
POINTS = np.array([0.3 + 0.4j, -1.2 + 0.7j, 1.5 - 0.3j, -0.6 - 2.1j, 2.5 + 1.0j])


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_values_and_gradients_against_torch(name):
    torch = pytest.importorskip("torch")
    z = torch.tensor(POINTS, requires_grad=True)
    reference = {
        "log1p": lambda z: torch.log(1 + z), "expm1": lambda z: torch.exp(z) - 1, "rsqrt": lambda z: 1 / torch.sqrt(z),
    }.get(name) or getattr(torch, name)  # fmt: skip
    weights = np.array([1.0, 0.5, -2.0, 1.5, 0.7]) + 1j * np.array([0.2, -1.0, 0.4, 0.9, -0.3])
    expected = reference(z)
    expected.backward(torch.tensor(weights))
    assert_close(
        op(name)(corenn.tensor(POINTS)).numpy(), expected.detach().numpy(), forward(corenn.tensor(POINTS).dtype)
    )
    (found,) = gradient(op(name), POINTS, weights=corenn.tensor(weights))
    np.testing.assert_allclose(found, z.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["real", "imag", "angle"])
def test_parts_of_complex_numbers(name):
    torch = pytest.importorskip("torch")
    z = torch.tensor(POINTS, requires_grad=True)
    expected = {"real": lambda v: v.real, "imag": lambda v: v.imag, "angle": torch.angle}[name](z)
    weights = np.array([1.0, 0.5, -2.0, 1.5, 0.7])
    expected.backward(torch.tensor(weights))
    y = op(name)(corenn.tensor(POINTS))
    assert y.dtype == "float64"
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-15)
    (found,) = gradient(op(name), POINTS, weights=corenn.tensor(weights))
    np.testing.assert_allclose(found, z.grad.numpy(), rtol=1e-14)
    assert op(name)(corenn.tensor(POINTS.astype(np.complex64))).dtype == "float32"


# ---------------------------------------------------------------- gradients

TORCH = [
    ("exp", "exp", (-5, 5)), ("expm1", "expm1", (-5, 5)), ("exp2", "exp2", (-5, 5)), ("log", "log", (1e-3, 50)),
    ("log1p", "log1p", (-0.99, 50)), ("log2", "log2", (1e-3, 50)), ("log10", "log10", (1e-3, 50)),
    ("sqrt", "sqrt", (1e-3, 50)), ("rsqrt", "rsqrt", (1e-3, 50)), ("sin", "sin", (-20, 20)), ("cos", "cos", (-20, 20)),
    ("tan", "tan", (-1.5, 1.5)), ("asin", "asin", (-0.999, 0.999)), ("acos", "acos", (-0.999, 0.999)),
    ("atan", "atan", (-50, 50)), ("sinh", "sinh", (-8, 8)), ("cosh", "cosh", (-8, 8)), ("tanh", "tanh", (-4, 4)),
    ("asinh", "asinh", (-50, 50)), ("acosh", "acosh", (1.001, 50)), ("atanh", "atanh", (-0.999, 0.999)),
    ("erf", "special.erf", (-4, 4)), ("erfc", "special.erfc", (-4, 4)), ("erfinv", "special.erfinv", (-0.99, 0.99)),
    ("lgamma", "lgamma", (0.1, 40)), ("digamma", "digamma", (0.1, 40)), ("sinc", "special.sinc", (-5, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "theirs", "domain"), TORCH, ids=[t[0] for t in TORCH])
def test_gradients_against_torch(name, theirs, domain):
    torch = pytest.importorskip("torch")
    function = torch
    for part in theirs.split("."):
        function = getattr(function, part)
    x = grid(*domain, np.float64, 101)
    t = torch.tensor(x, requires_grad=True)
    function(t).sum().backward()
    (found,) = gradient(op(name), x)
    np.testing.assert_allclose(found, t.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("hypot", (0.0, 0.0), (0.0, 0.0)),
        ("hypot", (3e200, 4e200), (0.6, 0.8)),
        ("atan2", (0.0, 0.0), (0.0, 0.0)),
        ("atan2", (3e-200, 4e-200), (0.16e200, -0.12e200)),
        ("sinc", (0.0,), (0.0,)),
        ("sinc", (1e-9,), (-(math.pi**2) / 3 * 1e-9,)),
        ("xlogy", (0.0, 0.0), (0.0, 0.0)),
        ("xlogy", (0.0, 2.0), (math.log(2), 0.0)),
        ("logaddexp", (-INF, -INF), (0.5, 0.5)),
        ("logaddexp", (0.0, -INF), (1.0, 0.0)),
        ("logaddexp", (1000.0, -1000.0), (1.0, 0.0)),
        ("asinh", (1e200,), (1e-200,)),
        ("tanh", (INF,), (0.0,)),
        ("lgamma", (1.0,), (-0.5772156649015329,)),
        ("erfinv", (0.0,), (math.sqrt(math.pi) / 2,)),
    ],
)
def test_gradients_at_tricky_points(name, arguments, expected):
    found = gradient(op(name), *[np.array([a]) for a in arguments])
    np.testing.assert_allclose([float(f[0]) for f in found], expected, rtol=1e-14)


def test_gradient_of_angle_at_the_origin_is_zero():
    np.testing.assert_array_equal(gradient(op("angle"), np.array([0j]))[0], [0])


def test_sinc_second_derivative_at_zero():
    x = corenn.tensor(np.array([0.0, 0.01, 0.06]))
    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape() as inner:
            inner.watch(x)
            y = corenn.sinc(x)
        first = inner.gradient(y, x)
    second = outer.gradient(first, x).numpy()
    t = math.pi * x.numpy()[1:]
    exact = math.pi**2 * (-np.sin(t) / t - 2 * np.cos(t) / t**2 + 2 * np.sin(t) / t**3)
    assert second[0] == pytest.approx(-(math.pi**2) / 3, rel=1e-14)
    assert_close(second[1:], exact, GRADIENT[x.dtype])


def test_third_derivative_of_lgamma():
    """Gradients go on: lgamma, digamma, polygamma."""
    x = corenn.tensor(np.array([0.7, 2.3]))
    with GradientTape() as tape:
        tape.watch(x)
        second = corenn.polygamma(x, n=1)
    np.testing.assert_allclose(tape.gradient(second, x).numpy(), sc.polygamma(2, x.numpy()), rtol=1e-12)
