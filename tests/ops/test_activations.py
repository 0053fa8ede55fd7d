"""Activations against PyTorch: values, first and second derivatives, infinities, kinks, halves, large arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest

import corenn
from corenn.autodiff import GradientTape
from corenn.ops.table import TABLE
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import GRADIENT, forward

INF, NAN = math.inf, math.nan

# name, attributes, PyTorch's function and its keywords
PAIRS = [
    ("relu", {}, "relu", {}),
    ("relu6", {}, "relu6", {}),
    ("leaky_relu", {}, "leaky_relu", {"negative_slope": 0.2}),
    ("leaky_relu", {"alpha": 0.01}, "leaky_relu", {"negative_slope": 0.01}),
    ("leaky_relu", {"alpha": 1.5}, "leaky_relu", {"negative_slope": 1.5}),
    ("leaky_relu", {"alpha": 0.0}, "leaky_relu", {"negative_slope": 0.0}),
    ("elu", {}, "elu", {}),
    ("elu", {"alpha": 0.3}, "elu", {"alpha": 0.3}),
    ("selu", {}, "selu", {}),
    ("celu", {"alpha": 0.7}, "celu", {"alpha": 0.7}),
    ("gelu", {}, "gelu", {}),
    ("gelu", {"approximate": True}, "gelu", {"approximate": "tanh"}),
    ("sigmoid", {}, "sigmoid", {}),
    ("log_sigmoid", {}, "logsigmoid", {}),
    ("softplus", {}, "softplus", {"threshold": 1000.0}),
    ("softsign", {}, "softsign", {}),
    ("silu", {}, "silu", {}),
    ("mish", {}, "mish", {}),
    ("hard_sigmoid", {}, "hardsigmoid", {}),
    ("hard_tanh", {}, "hardtanh", {}),
    ("hard_swish", {}, "hardswish", {}),
    ("threshold", {"theta": 0.25, "value": -2.0}, "threshold", {"threshold": 0.25, "value": -2.0}),
]
IDS = ["-".join([p[0], *map(str, p[1].values())]) for p in PAIRS]


def op(name):
    return TABLE[name].public


def derivatives(function, x):
    """The first two derivatives at each element."""
    t = corenn.tensor(x)
    with GradientTape() as outer:
        outer.watch(t)
        with GradientTape() as inner:
            inner.watch(t)
            y = function(t)
        first = inner.gradient(y, t)
    second = outer.gradient(first, t, unconnected_gradients="zero")
    return first.numpy(), second.numpy()


def points(dtype):
    """A wide grid, off the kinks."""
    x = np.concatenate([np.linspace(-12, 12, 481) + 0.013, [-700.0, -90.0, -40.0, 40.0, 90.0, 700.0]])
    return x.astype(dtype)


# ---------------------------------------------------------------- against PyTorch


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "attrs", "theirs", "keywords"), PAIRS, ids=IDS)
def test_values(name, attrs, theirs, keywords, dtype):
    torch = pytest.importorskip("torch")
    x = points(dtype)
    y = op(name)(corenn.tensor(x), **attrs)
    assert y.dtype == dtype
    expected = getattr(torch.nn.functional, theirs)(torch.tensor(x.astype(np.float64)), **keywords).numpy()
    assert_close(y.numpy(), expected, forward(y.dtype))


@pytest.mark.parametrize(("name", "attrs", "theirs", "keywords"), PAIRS, ids=IDS)
def test_derivatives(name, attrs, theirs, keywords):
    torch = pytest.importorskip("torch")
    x = points("float64")
    first, second = derivatives(lambda t: op(name)(t, **attrs), x)
    t = torch.tensor(x, requires_grad=True)
    y = getattr(torch.nn.functional, theirs)(t, **keywords)
    (slope,) = torch.autograd.grad(y.sum(), t, create_graph=True)
    allowed = GRADIENT[corenn.tensor(x).dtype]  # PyTorch rounds the constants of some to float32
    assert_close(first, slope.detach().numpy(), allowed)
    if theirs in ("hardsigmoid", "hardswish"):  # PyTorch has no second derivative of its own for these
        expected = np.gradient(first, x)
        inside = np.abs(np.abs(x) - 3) > 0.2
        inside[-7:] = False
        np.testing.assert_allclose(second[inside], expected[inside], atol=1e-9)
    elif slope.requires_grad:
        (curvature,) = torch.autograd.grad(slope.sum(), t)
        assert_close(second, curvature.numpy(), allowed)
    else:
        np.testing.assert_array_equal(second, np.zeros_like(x))


def test_prelu_against_torch():
    torch = pytest.importorskip("torch")
    x = np.linspace(-2, 2, 24).reshape(2, 3, 4)
    a = np.array([0.1, 0.25, -0.5])
    tx, ta = torch.tensor(x, requires_grad=True), torch.tensor(a, requires_grad=True)
    torch.nn.functional.prelu(tx, ta).square().sum().backward()
    cx, ca = corenn.tensor(x), corenn.tensor(a[:, None])
    with GradientTape() as tape:
        tape.watch([cx, ca])
        y = corenn.square(op("prelu")(cx, ca))
    gx, ga = tape.gradient(y, [cx, ca])
    assert ga.shape == (3, 1)
    np.testing.assert_allclose(gx.numpy(), tx.grad.numpy(), rtol=1e-13)
    np.testing.assert_allclose(ga.numpy()[:, 0], ta.grad.numpy(), rtol=1e-13)


# ---------------------------------------------------------------- small values keep their digits


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("name", "low", "exact"),
    [
        ("sigmoid", -80, lambda x: np.exp(x) / (1 + np.exp(x))),
        ("silu", -80, lambda x: x * np.exp(x) / (1 + np.exp(x))),
        ("softplus", -80, lambda x: np.log1p(np.exp(x))),
        ("mish", -40, lambda x: x * np.tanh(np.log1p(np.exp(x)))),
        ("gelu", -12, lambda x: 0.5 * x * np.vectorize(math.erfc)(-x / math.sqrt(2))),
    ],
)
def test_relative_accuracy_in_the_tail(name, low, exact, dtype):
    x = np.linspace(low, -0.1, 500).astype(dtype)
    y = op(name)(corenn.tensor(x)).numpy()
    allowed = (60 + 4 * x.astype(np.float64) ** 2 * (name == "gelu")) * np.finfo(dtype).eps  # the exponent is rounded
    assert (np.abs(y / exact(x.astype(np.float64)) - 1) < allowed).all()


# ---------------------------------------------------------------- edges

_LIMITS = {  # at -inf, +inf and 0
    "relu": (0.0, INF, 0.0),
    "relu6": (0.0, 6.0, 0.0),
    "leaky_relu": (-INF, INF, 0.0),
    "elu": (-1.0, INF, 0.0),
    "selu": (-1.6732632423543772 * 1.0507009873554805, INF, 0.0),
    "celu": (-1.0, INF, 0.0),
    "gelu": (0.0, INF, 0.0),
    "sigmoid": (0.0, 1.0, 0.5),
    "log_sigmoid": (-INF, 0.0, -math.log(2)),
    "softplus": (0.0, INF, math.log(2)),
    "softsign": (-1.0, 1.0, 0.0),
    "silu": (0.0, INF, 0.0),
    "mish": (0.0, INF, 0.0),
    "hard_sigmoid": (0.0, 1.0, 0.5),
    "hard_tanh": (-1.0, 1.0, 0.0),
    "hard_swish": (0.0, INF, 0.0),
    "threshold": (0.0, INF, 0.0),
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", _LIMITS)
def test_limits(name, dtype):
    """Exact at infinities, and no overflow on the way: a warning would fail the test."""
    x = corenn.cast(corenn.tensor([-INF, INF, 0.0, -0.0, NAN]), dtype=dtype)
    expected = corenn.cast(corenn.tensor([*_LIMITS[name], _LIMITS[name][2], NAN]), dtype=dtype)
    np.testing.assert_allclose(op(name)(x).numpy().astype(float), expected.numpy().astype(float), rtol=1e-6)
    if name == "gelu":
        approximate = op(name)(x, approximate=True)
        np.testing.assert_allclose(approximate.numpy().astype(float), expected.numpy().astype(float), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", _LIMITS)
def test_huge_and_tiny_numbers_raise_no_warning(name, dtype):
    limits = np.finfo(dtype)
    x = np.array(
        [limits.max / 2, -limits.max / 2, 1e30, -1e30, limits.tiny, -limits.tiny, limits.smallest_subnormal], dtype
    )
    y = op(name)(corenn.tensor(x)).numpy()
    assert np.isfinite(y).all()
    lower = np.minimum(_LIMITS[name][0], -0.31)  # gelu, silu and mish dip below 0
    assert (y >= lower).all()


@pytest.mark.parametrize("name", sorted({n for n in _LIMITS if n != "log_sigmoid"}))
def test_gradients_at_infinities_are_slopes(name):
    first, second = derivatives(op(name), np.array([-INF, INF]))
    slope = {"leaky_relu": 0.2}.get(name, 0.0)
    bounded = name in ("relu6", "sigmoid", "softsign", "hard_sigmoid", "hard_tanh")
    top = 0.0 if bounded else 1.0507009873554805 if name == "selu" else 1.0
    np.testing.assert_allclose(first, [slope, top], rtol=1e-15)
    np.testing.assert_array_equal(second, [0.0, 0.0])


@pytest.mark.parametrize(
    ("name", "x", "slope"),
    [
        ("relu", 0.0, 0.0), ("relu", -0.0, 0.0), ("relu6", 0.0, 0.0), ("relu6", 6.0, 0.0), ("leaky_relu", 0.0, 0.2),
        ("elu", 0.0, 1.0), ("celu", 0.0, 1.0), ("selu", 0.0, 1.6732632423543772 * 1.0507009873554805),
        ("hard_tanh", 1.0, 0.0), ("hard_tanh", -1.0, 0.0), ("hard_sigmoid", 3.0, 0.0), ("hard_sigmoid", -3.0, 0.0),
        ("hard_swish", -3.0, 0.0), ("hard_swish", 3.0, 1.0), ("threshold", 0.0, 0.0), ("softsign", 0.0, 1.0),
    ],
)  # fmt: skip
def test_slopes_at_kinks(name, x, slope):
    first, _ = derivatives(op(name), np.array([x]))
    assert first[0] == pytest.approx(slope, rel=1e-15)


# ---------------------------------------------------------------- what the table says


@pytest.mark.parametrize(
    "name", ["relu", "relu6", "leaky_relu", "elu", "celu", "selu", "sigmoid", "softsign", "hard_tanh", "hard_sigmoid"]
)
def test_gradient_keeps_only_the_result(name):
    assert TABLE[name].kept(0b11) == (frozenset(), True)  # one operand, watched


def test_relu_takes_integers():
    y = op("relu")(corenn.tensor([-3, 0, 4]))
    assert y.dtype == "int32"
    assert y.tolist() == [0, 0, 4]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("name", "attrs"), [p[:2] for p in PAIRS], ids=IDS)
def test_half_precision(name, attrs, dtype):
    x = corenn.cast(corenn.tensor(np.linspace(-8, 8, 97)), dtype=dtype)
    y = op(name)(x, **attrs)
    assert y.dtype == dtype
    expected = op(name)(corenn.cast(x, dtype="float64"), **attrs).numpy()
    assert_close(y.numpy().astype(np.float64), expected, forward(y.dtype))


@pytest.mark.parametrize("shape", [(100_000,), (300, 411)])
@pytest.mark.parametrize(("name", "attrs"), [p[:2] for p in PAIRS], ids=IDS)
def test_large_arrays_equal_their_parts(name, attrs, shape):
    """Backends may work block by block: edges of blocks and strided operands must not show."""
    generator = np.random.Generator(np.random.Philox(7))
    host = generator.normal(0, 3, shape).astype(np.float32)
    whole = op(name)(corenn.tensor(host), **attrs).numpy()
    parts = np.concatenate([op(name)(corenn.tensor(part), **attrs).numpy() for part in np.array_split(host, 37)])
    assert_close(whole, parts, forward(corenn.float32))
    if len(shape) == 2:
        turned = op(name)(corenn.transpose(corenn.tensor(host)), **attrs).numpy()
        assert_close(turned, whole.T, forward(corenn.float32))


def test_where_on_large_arrays_keeps_every_bit():
    generator = np.random.Generator(np.random.Philox(8))
    x, y = generator.normal(size=(2, 200, 101)).astype(np.float32)
    x[0, :3] = NAN, -0.0, INF
    mask = generator.integers(0, 2, x.shape).astype(bool)
    for a, b in ((x, y), (x, np.float32(2)), (np.float32(-0.0), y)):
        chosen = corenn.where(corenn.tensor(mask), corenn.tensor(np.asarray(a)), corenn.tensor(np.asarray(b))).numpy()
        np.testing.assert_array_equal(chosen.view(np.int32), np.where(mask, a, b).view(np.int32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [7, 20_000])
def test_gate_stops_infinite_gradients(size, dtype):
    generator = np.random.Generator(np.random.Philox(9))
    x = generator.choice([1.5, -0.0, INF, -INF, NAN], size).astype(dtype)
    mask = generator.integers(0, 2, size).astype(bool)
    np.testing.assert_array_equal(op("gate")(corenn.tensor(x), corenn.tensor(mask)).numpy(), np.where(mask, x, 0))


def test_float32_gradients_agree_with_float64():
    x = np.linspace(-6, 6, 101)
    for name, attrs, *_ in PAIRS:
        wide, _ = derivatives(lambda t, name=name, attrs=attrs: op(name)(t, **attrs), x + 0.007)
        narrow, _ = derivatives(lambda t, name=name, attrs=attrs: op(name)(t, **attrs), (x + 0.007).astype(np.float32))
        assert_close(narrow, wide, GRADIENT[corenn.float32], name)
