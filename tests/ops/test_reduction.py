"""Reductions, norms and cumulative ops against NumPy and PyTorch: axes, ties, zeros, infinities, stability."""

from __future__ import annotations

import math

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn.autodiff import GradientTape
from corenn.errors import DTypeError, ShapeError
from corenn.ops.table import TABLE
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import GRADIENT, forward

INF, NAN = math.inf, math.nan
quick = settings(max_examples=30, deadline=None)


def op(name):
    return TABLE[name].public


def gradient(function, x):
    """First derivative of ``sum(function(x))``."""
    t = corenn.tensor(x)
    with GradientTape() as tape:
        tape.watch(t)
        y = function(t)
    return tape.gradient(y, t).numpy()


def gradients(function, x):
    """First derivative of ``sum(function(x))``, and the derivative of the sum of its cubes."""
    t = corenn.tensor(x)
    with GradientTape() as outer:
        outer.watch(t)
        with GradientTape() as inner:
            inner.watch(t)
            y = function(t)
        first = inner.gradient(y, t)
        cubes = corenn.multiply(corenn.square(first), first)
    second = outer.gradient(cubes, t, unconnected_gradients="zero")
    return first.numpy(), second.numpy()


def torch_gradients(function, x):
    torch = pytest.importorskip("torch")
    t = torch.tensor(x, requires_grad=True)
    (first,) = torch.autograd.grad(function(t).sum(), t, create_graph=True)
    if not first.requires_grad:
        return first.numpy(), np.zeros_like(x)
    (second,) = torch.autograd.grad((first**3).sum(), t)
    return first.detach().numpy(), second.numpy(force=True)


# ---------------------------------------------------------------- any axes, against NumPy

NUMPY = {
    "sum": np.sum, "prod": np.prod, "mean": np.mean, "max": np.max, "min": np.min, "any": np.any, "all": np.all,
    "count_nonzero": np.count_nonzero, "variance": np.var, "std": np.std, "median": np.median,
    "logsumexp": np.logaddexp.reduce,
}  # fmt: skip


@st.composite
def reductions(draw):
    shape = draw(arrays.array_shapes(min_dims=1, max_dims=4, max_side=4))
    x = draw(arrays.arrays(np.float64, shape, elements=st.floats(-3, 3, width=16)))
    axes = draw(st.none() | st.lists(st.integers(-x.ndim, x.ndim - 1), unique_by=lambda a, n=x.ndim: a % n).map(tuple))
    return x, axes, draw(st.booleans())


@pytest.mark.parametrize("name", NUMPY)
@quick
@given(case=reductions())
def test_any_axes(name, case):
    x, axis, keepdims = case
    y = op(name)(corenn.tensor(x), axis=axis, keepdims=keepdims)
    if name == "logsumexp":  # a ufunc over no axes returns its operand, the sum of exponentials over one element
        expected = NUMPY[name](x, axis=tuple(range(x.ndim)) if axis is None else axis, keepdims=keepdims)
    else:
        expected = NUMPY[name](x, axis=axis, keepdims=keepdims)
    assert y.shape == np.shape(expected)
    assert_close(y.numpy(), expected, forward(y.dtype))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1])
@quick
@given(x=arrays.arrays(np.float32, (2, 3, 4), elements=st.sampled_from([0.0, -0.0, 1.0, -2.0, INF, -INF, NAN])))
def test_positions(name, axis, keepdims, x):
    """First of equals, and NaN before anything."""
    y = op(name)(corenn.tensor(x), axis=axis, keepdims=keepdims)
    assert y.dtype == "int64"
    np.testing.assert_array_equal(y.numpy(), getattr(np, name)(x, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize(
    ("name", "dtype", "value", "result_dtype", "expected"),
    [
        ("sum", "int8", 127, "int32", 127 * 6), ("sum", "uint8", 255, "uint32", 255 * 6),
        ("sum", "int32", 5, "int32", 30),
        ("prod", "int8", 5, "int32", 5**6), ("prod", "uint16", 7, "uint32", 7**6), ("prod", "int64", 9, "int64", 9**6),
        ("max", "uint8", 200, "uint8", 200), ("sum", "float16", 2.0, "float16", 12.0),
        ("sum", "complex64", 1j, "complex64", 6j),
        ("prod", "complex64", 1j, "complex64", -1), ("count_nonzero", "float32", 0.5, "int64", 6),
        ("count_nonzero", "bool", True, "int64", 6), ("any", "int8", 3, "bool", True),
        ("all", "complex64", 1j, "bool", True),
        ("mean", "complex64", 2j, "complex64", 2j), ("cumsum", "int8", 127, "int32", 127 * 6),
        ("cumprod", "uint8", 4, "uint32", 4**6),
    ],
)  # fmt: skip
def test_dtypes_of_results(name, dtype, value, result_dtype, expected):
    x = corenn.cast(corenn.full((6,), value), dtype=dtype)
    y = op(name)(x)
    assert y.dtype == result_dtype
    assert (y[-1] if name.startswith("cum") else y).item() == expected


@pytest.mark.parametrize("name", ["sum", "mean"])
def test_half_precision_accumulates_in_more(name):
    x = corenn.cast(corenn.full((4096,), 1.0009765625), dtype="float16")  # one unit in the last place above 1
    y = op(name)(x)
    assert y.dtype == "float16"
    assert y.item() == {"sum": 4100.0, "mean": 1.0009765625}[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sum", 0.0),
        ("prod", 1.0),
        ("mean", NAN),
        ("any", False),
        ("all", True),
        ("count_nonzero", 0),
        ("logsumexp", -INF),
    ],
)
def test_over_no_elements(name, expected):
    y = op(name)(corenn.zeros((2, 0)), axis=1)
    np.testing.assert_array_equal(y.numpy(), [expected, expected])


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "median", "variance", "std"])
def test_no_value_over_no_elements(name):
    with pytest.raises(ShapeError, match="no elements to reduce"):
        op(name)(corenn.zeros((2, 0)), axis=1)
    assert op(name)(corenn.zeros((0, 3)), axis=1).shape == (0,)


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize("name", ["max", "min"])
def test_equal_extremes_share_the_gradient(name):
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [-1.0, 0.0, -1.0]])
    first = gradient(lambda t: op(name)(t, axis=1), x)
    expected, _ = torch_gradients(lambda t: getattr(t, f"a{name}")(dim=1), x)
    np.testing.assert_array_equal(first, expected)
    whole = gradient(op(name), np.ones((2, 2)))
    np.testing.assert_array_equal(whole, np.full((2, 2), 0.25))


@pytest.mark.parametrize("name", ["max", "min"])
def test_gradient_of_an_extreme_that_is_nan_is_zero_and_silent(name):
    first = gradient(lambda t: op(name)(t, axis=0), np.array([1.0, NAN, 2.0]))
    np.testing.assert_array_equal(first, [0.0, 0.0, 0.0])


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_gradients_of_products_with_zeros(n, zeros):
    x = np.linspace(0.5, 2, 2 * n).reshape(2, n)
    x[0, : min(zeros, n)] = 0
    first, second = gradients(lambda t: corenn.prod(t, axis=1), x)
    others = np.array([[np.prod(np.delete(row, i)) for i in range(n)] for row in x])
    np.testing.assert_allclose(first, others, rtol=1e-14)
    expected, curvature = torch_gradients(lambda t: t.prod(dim=1), x)
    np.testing.assert_allclose(first, expected, rtol=1e-13)
    np.testing.assert_allclose(second, curvature, rtol=1e-12, atol=1e-14)


def test_gradients_of_products_over_several_axes():
    x = np.linspace(-1, 1.5, 24).reshape(2, 3, 4)
    x[1, 1, 1] = 0
    first, second = gradients(lambda t: corenn.prod(t, axis=(0, 2), keepdims=True), x)
    expected, curvature = torch_gradients(lambda t: t.prod(dim=2).prod(dim=0), x)
    np.testing.assert_allclose(first, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(second, curvature, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_gradients_of_cumulative_products_with_zeros(zeros):
    x = np.linspace(0.5, 1.5, 7)
    x[[2, 4][:zeros]] = 0
    first, second = gradients(corenn.cumprod, x)
    expected, curvature = torch_gradients(lambda t: t.cumprod(dim=0), x)
    np.testing.assert_allclose(first, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(second, curvature, rtol=1e-11, atol=1e-14)


STATISTICS = [
    ("variance", {"axis": 1}, lambda t: t.var(dim=1, correction=0)),
    ("variance", {"axis": (0, 2), "correction": 1}, lambda t: t.var(dim=(0, 2), correction=1)),
    ("std", {"correction": 1}, lambda t: t.std()),
    ("logsumexp", {"axis": (0, 1)}, lambda t: t.logsumexp(dim=(0, 1))),
    ("median", {"axis": 2}, lambda t: t.sort(dim=2).values[..., 1:3].mean(dim=2)),
    ("cumsum", {"axis": 1}, lambda t: t.cumsum(dim=1)),
    ("norm", {}, lambda t: t.norm()),
    ("norm", {"ord": 1, "axis": 0}, lambda t: t.abs().sum(dim=0)),
    ("norm", {"ord": INF, "axis": 1}, lambda t: t.abs().amax(dim=1)),
    ("norm", {"ord": 3, "axis": 2}, lambda t: (t.abs() ** 3).sum(dim=2) ** (1 / 3)),
    ("norm", {"ord": 1.5, "axis": -1}, lambda t: (t.abs() ** 1.5).sum(dim=-1) ** (1 / 1.5)),
    ("l2_normalize", {"axis": 2}, lambda t: t / t.square().sum(dim=2, keepdim=True).sqrt()),
]


@pytest.mark.parametrize(("name", "attrs", "theirs"), STATISTICS, ids=[f"{s[0]}-{s[1]}" for s in STATISTICS])
def test_gradients_against_torch(name, attrs, theirs):
    x = np.random.Generator(np.random.Philox(3)).normal(size=(2, 3, 4))
    first, second = gradients(lambda t: op(name)(t, **attrs), x)
    expected, curvature = torch_gradients(theirs, x)
    np.testing.assert_allclose(first, expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(second, curvature, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "attrs"),
    [
        ("std", {}),
        ("norm", {}),
        ("norm", {"ord": 1}),
        ("norm", {"ord": 3}),
        ("norm", {"ord": 1.5}),
        ("l2_normalize", {}),
    ],
)
def test_gradient_of_a_constant_is_finite(name, attrs):
    """Where the result is 0 the gradient is 0 by choice; where a row is 0 its normalised row stays differentiable."""
    first = gradient(lambda t: op(name)(t, **attrs), np.zeros(4))
    if name == "l2_normalize":
        np.testing.assert_allclose(first, np.full(4, 1e6), rtol=1e-12)
    else:
        np.testing.assert_array_equal(first, np.zeros(4))


def test_infinite_norm_shares_ties():
    first = gradient(lambda t: op("norm")(t, ord=INF), np.array([2.0, -2.0, 1.0]))
    np.testing.assert_array_equal(first, [0.5, -0.5, 0.0])


# ---------------------------------------------------------------- stability and edges


def test_variance_survives_a_large_mean():
    x = (np.arange(1000) % 2).astype(np.float32) + np.float32(1e5)
    spacing = float(np.spacing(x[0]))  # the mean is rounded to it; a single pass would be off by hundreds
    assert op("variance")(corenn.tensor(x)).item() == pytest.approx(0.25, abs=4 * spacing**2)
    first = gradient(op("variance"), x)
    np.testing.assert_allclose(first, (x - 100000.5) * 2 / 1000, rtol=0, atol=spacing * 4 / 1000)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([1000.0, 1000.0], 1000 + math.log(2)), ([-1000.0, -1000.0], -1000 + math.log(2)), ([0.0, -1000.0], 0.0),
        ([-INF, -INF], -INF), ([-INF, 3.0], 3.0), ([INF, 3.0], INF), ([INF, -INF], INF), ([INF, INF], INF),
        ([NAN, 1.0], NAN), ([NAN, INF], NAN), ([5.0], 5.0),
    ],
)  # fmt: skip
def test_logsumexp_edges(x, expected, dtype):
    t = corenn.cast(corenn.tensor(x), dtype=dtype)
    y = corenn.logsumexp(t)
    assert y.dtype == dtype
    assert_close(y.numpy().astype(np.float64), np.array(expected), forward(y.dtype))


@pytest.mark.parametrize(
    ("x", "expected"), [([-INF, -INF], [0.0, 0.0]), ([-INF, 2.0], [0.0, 1.0]), ([800.0, 0.0], [1.0, 0.0])]
)
def test_logsumexp_gradient_edges(x, expected):
    first, second = gradients(corenn.logsumexp, np.array(x))
    np.testing.assert_array_equal(first, expected)
    assert np.isfinite(second).all()


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_median_passes_nan_on(axis):
    x = np.array([[1.0, NAN, 2.0], [3.0, 1.0, 0.0], [5.0, 4.0, 6.0]])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(corenn.median(corenn.tensor(x), axis=axis).numpy(), np.median(x, axis=axis))


@pytest.mark.parametrize("ord", [1, 2, 3, 0.5, -1, INF, -INF, "fro", "euclidean"])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_norms_against_numpy(ord, dtype):
    parts = np.random.Generator(np.random.Philox(4)).normal(size=(2, 3, 4))
    x = parts[0] + 1j * parts[1] if dtype is np.complex128 else parts[0]
    y = op("norm")(corenn.tensor(x), ord=ord, axis=1)
    assert y.dtype == "float64"
    p = 2 if isinstance(ord, str) else ord
    np.testing.assert_allclose(y.numpy(), np.linalg.norm(x, p, axis=1), rtol=1e-13)
    flat = op("norm")(corenn.tensor(x), ord=ord, keepdims=True)
    np.testing.assert_allclose(flat.numpy(), np.linalg.norm(x.ravel(), p).reshape(1, 1), rtol=1e-13)


@pytest.mark.parametrize("ord", [1, 2, 3, INF])
def test_gradients_of_norms_of_complex_numbers(ord):
    torch = pytest.importorskip("torch")
    x = np.array([3 + 4j, -1j, 0.5 - 0.2j])
    t = torch.tensor(x, requires_grad=True)
    torch.linalg.vector_norm(t, ord).backward()
    z = corenn.tensor(x)
    with GradientTape() as tape:
        tape.watch(z)
        y = op("norm")(z, ord=ord)
    np.testing.assert_allclose(tape.gradient(y, z).numpy(), t.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_l2_normalize_of_zeros_in_any_precision(dtype):
    x = corenn.cast(corenn.tensor([[0.0, 0.0], [300.0, 400.0]]), dtype=dtype)
    with GradientTape() as tape:  # a tape sees the parts
        tape.watch(x)
        y = op("l2_normalize")(x)
    assert y.dtype == dtype
    expected = corenn.cast(corenn.tensor([[0.0, 0.0], [0.6, 0.8]]), dtype=dtype)
    assert_close(y.numpy().astype(float), expected.numpy().astype(float), forward(y.dtype))
    if dtype != "float16":  # which does not hold the slope at 0, a million
        assert tape.gradient(y, x).dtype == dtype


# ---------------------------------------------------------------- cumulative


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("name", "first"), [("cumsum", 0), ("cumprod", 1)])
@quick
@given(x=arrays.arrays(np.float64, arrays.array_shapes(max_dims=3, max_side=6), elements=st.floats(-2, 2, width=16)))
def test_cumulative(name, first, reverse, exclusive, x):
    for axis in range(-x.ndim, x.ndim):
        y = op(name)(corenn.tensor(x), axis=axis, reverse=reverse, exclusive=exclusive)
        moved = np.moveaxis(x, axis, -1)[..., ::-1] if reverse else np.moveaxis(x, axis, -1)
        expected = getattr(np, name)(moved, axis=-1)
        if exclusive:
            expected = np.concatenate([np.full((*moved.shape[:-1], 1), first), expected[..., :-1]], axis=-1)
        expected = np.moveaxis(expected[..., ::-1] if reverse else expected, -1, axis)
        assert_close(y.numpy(), expected, forward(y.dtype))


@pytest.mark.parametrize(
    ("name", "x", "error", "message"),
    [
        ("logsumexp", [1, 2], DTypeError, "takes floating"),
        ("variance", [[1.0], [2.0]], ShapeError, "at least 2 elements"),
        ("max", [True], DTypeError, "not bool"), ("norm", [1, 2], DTypeError, "takes floating or complex"),
    ],
)  # fmt: skip
def test_refusals_say_what_to_do(name, x, error, message):
    attrs = {"axis": 1, "correction": 1} if name == "variance" else {}
    with pytest.raises(error, match=message):
        op(name)(corenn.tensor(x), **attrs)


def test_gradient_tolerance_of_float32_statistics():
    x = np.random.Generator(np.random.Philox(5)).normal(size=(4, 50))
    for name in ("variance", "std", "logsumexp", "norm", "mean", "median"):
        wide = gradient(lambda t, name=name: op(name)(t, axis=1), x)
        narrow = gradient(lambda t, name=name: op(name)(t, axis=1), x.astype(np.float32))
        assert_close(narrow, wide, GRADIENT[corenn.float32], name)
