"""Pooling against PyTorch and by hand; the table's samples, references and errors are tested elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn.autodiff import check_gradients, vjp
from corenn.dtypes import float64
from corenn.errors import AttributeValueError, ShapeError
from corenn.ops.pooling import (
    adaptive_avg_pool,
    avg_pool,
    avg_pool_grad,
    global_avg_pool,
    global_max_pool,
    max_pool,
    max_pool_gather,
    max_pool_grad,
)
from corenn.ops.windows import LAYOUTS
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import EXACT, forward

# extents, window, strides, padding
CASES = [
    ((9,), (2,), (2,), (0,)),
    ((9,), (3,), (1,), (1,)),
    ((9,), (2,), (4,), (0,)),
    ((6, 8), (2, 2), (2, 2), (0, 0)),
    ((7, 9), (3, 3), (2, 2), (1, 1)),
    ((7, 9), (3, 2), (1, 3), (1, 0)),
    ((7, 9), (7, 9), (1, 1), (0, 0)),
    ((5, 5), (1, 1), (2, 2), (0, 0)),
    ((4, 6, 5), (2, 3, 2), (2, 1, 2), (1, 1, 0)),
    ((4, 6, 4), (2, 2, 2), (2, 2, 2), (0, 0, 0)),
]
IDS = [f"{len(c[0])}d-{i}" for i, c in enumerate(CASES)]


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def _first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def _in_layout(x, layout):
    return x if layout.endswith("C") else _first(x)


def _from_torch(t, layout):
    array = t.detach().numpy()
    return np.moveaxis(array, 1, -1) if layout.endswith("C") else array


def _close(actual, expected, terms=1, what=""):
    assert_close(np.asarray(actual), np.asarray(expected), forward(float64).scaled(math.sqrt(terms)), what)


@pytest.mark.parametrize("levels", [None, 3], ids=["distinct", "ties"])
@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize(("extents", "window", "strides", "padding"), CASES, ids=IDS)
def test_max_pool_agrees_with_torch(torch, extents, window, strides, padding, last, levels):
    layout = LAYOUTS[len(extents)][0 if last else 1]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *extents, 3)) if levels is None else rng.integers(0, levels, (2, *extents, 3)) * 1.0
    tx = torch.tensor(_first(x), requires_grad=True)
    ty = getattr(torch.nn.functional, f"max_pool{len(extents)}d")(tx, window, strides, padding)
    dy = rng.normal(size=ty.shape)
    ty.backward(torch.tensor(dy))
    attrs = {"window": window, "strides": strides, "padding": padding, "layout": layout}
    y, pull = vjp(lambda a: max_pool(a, **attrs), corenn.tensor(_in_layout(x, layout)))
    (dx,) = pull(corenn.tensor(dy if not last else np.moveaxis(dy, 1, -1).copy()))
    assert_close(y.numpy(), _from_torch(ty, layout), EXACT)
    _close(dx, _from_torch(tx.grad, layout), math.prod(window))


@pytest.mark.parametrize("count_padding", [True, False])
@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize(("extents", "window", "strides", "padding"), CASES, ids=IDS)
def test_avg_pool_agrees_with_torch(torch, extents, window, strides, padding, last, count_padding):
    layout = LAYOUTS[len(extents)][0 if last else 1]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *extents, 3))
    tx = torch.tensor(_first(x), requires_grad=True)
    function = getattr(torch.nn.functional, f"avg_pool{len(extents)}d")
    ty = function(tx, window, strides, padding, count_include_pad=count_padding)
    dy = rng.normal(size=ty.shape)
    ty.backward(torch.tensor(dy))
    attrs = {"window": window, "strides": strides, "padding": padding, "layout": layout, "count_padding": count_padding}
    y, pull = vjp(lambda a: avg_pool(a, **attrs), corenn.tensor(_in_layout(x, layout)))
    (dx,) = pull(corenn.tensor(dy if not last else np.moveaxis(dy, 1, -1).copy()))
    _close(y, _from_torch(ty, layout), math.prod(window))
    _close(dx, _from_torch(tx.grad, layout), math.prod(window))


@pytest.mark.parametrize("extents", [(9,), (6, 8), (7, 5), (4, 6, 5)])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
def test_adaptive_avg_pool_agrees_with_torch(torch, extents, size, last):
    layout = LAYOUTS[len(extents)][0 if last else 1]
    x = np.random.default_rng(0).normal(size=(2, *extents, 3))
    expected = getattr(torch.nn.functional, f"adaptive_avg_pool{len(extents)}d")(torch.tensor(_first(x)), size)
    y = adaptive_avg_pool(_in_layout(x, layout), size=size, layout=layout)
    _close(y, _from_torch(expected, layout), x.size)


# ---------------------------------------------------------------- by hand


def test_same_padding_is_no_element():
    x = -np.arange(1.0, 6).reshape(1, 5, 1)
    largest = max_pool(x, window=3, strides=2, padding="SAME")
    mean = avg_pool(x, window=3, strides=2, padding="SAME")
    counted = avg_pool(x, window=3, strides=2, padding="SAME", count_padding=True)
    assert largest.numpy().ravel().tolist() == [-1, -2, -4]
    assert mean.numpy().ravel().tolist() == [-1.5, -3, -4.5]
    assert_close(counted.numpy().ravel(), np.array([-1, -3, -3]), forward(float64))


def test_the_odd_element_of_padding_is_at_the_end():
    assert max_pool(np.arange(4.0).reshape(1, 4, 1), window=2, strides=1, padding="SAME").numpy().ravel().tolist() == [
        1, 2, 3, 3
    ]  # fmt: skip


def test_ties_go_to_the_first_in_window_order():
    """C order: in the first row that has the largest, the first such element."""
    x = np.array([[0.0, 1, 1], [1, 1, 0], [1, 0, 1]]).reshape(1, 3, 3, 1)
    dx = max_pool_grad(x, np.ones((1, 1, 1, 1)), window=3)
    assert dx.numpy().reshape(3, 3).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_nan_wins_and_is_differentiated():
    x = np.array([1.0, math.nan, 3.0, 4.0]).reshape(1, 4, 1)
    y = max_pool(x, window=2)
    assert math.isnan(y.numpy()[0, 0, 0])
    dx = max_pool_grad(x, np.ones((1, 2, 1)), window=2)
    assert dx.numpy().sum() == 2


def test_infinite_gradients_stay_where_they_belong():
    x = np.array([1.0, 2.0, 4.0, 3.0]).reshape(1, 4, 1)
    dx = max_pool_grad(x, np.full((1, 2, 1), math.inf), window=2)
    assert dx.numpy().ravel().tolist() == [0, math.inf, math.inf, 0]


def test_windows_of_minus_infinity():
    x = np.full((1, 5, 1), -math.inf)
    assert_close(max_pool(x, window=3, strides=2, padding="SAME").numpy(), np.full((1, 3, 1), -math.inf), EXACT)
    assert max_pool_grad(x, np.ones((1, 3, 1)), window=3, strides=2, padding="SAME").numpy().sum() == 3


@pytest.mark.parametrize("function", [max_pool, avg_pool], ids=["max", "avg"])
def test_gradients_of_third_order(function):
    x = np.random.default_rng(1).permutation(20.0 * np.arange(25)).reshape(1, 5, 5, 1)
    check_gradients(lambda a: function(a, window=3, strides=2, padding=1) ** 3, corenn.tensor(x / 500), order=3)


def test_half_precision_adds_up_in_float32():
    assert avg_pool(corenn.ones((1, 64, 64, 1), dtype="float16"), window=64).item() == 1


@pytest.mark.parametrize("layout", ["NHWC", "NCHW", None])
@pytest.mark.parametrize("keepdims", [True, False])
def test_global_pools(layout, keepdims):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    axes = (2, 3) if layout == "NCHW" else (1, 2)
    _close(global_avg_pool(x, keepdims=keepdims, layout=layout), x.mean(axes, keepdims=keepdims), 12)
    _close(global_max_pool(x, keepdims=keepdims, layout=layout), x.max(axes, keepdims=keepdims))


@pytest.mark.parametrize(
    ("call", "exception", "message"),
    [
        (lambda x: global_avg_pool(x, layout="NCW"), ShapeError, "layout='NHWC' or 'NCHW'"),
        (lambda x: global_max_pool(x[0, 0]), ShapeError, r"\[batch, height, width, channels\]"),
        (lambda x: adaptive_avg_pool(x[:, :0], size=1), ShapeError, "nothing to pool"),
        (lambda x: adaptive_avg_pool(x, size=(1, 2, 3)), AttributeValueError, "adaptive_avg_pool: size must be"),
    ],
)
def test_errors_of_functions(call, exception, message):
    with pytest.raises(exception, match=message):
        call(np.zeros((2, 4, 4, 3)))


# ---------------------------------------------------------------- properties

along = st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(1, 5), st.integers(0, 3), st.integers(0, 3))


@st.composite
def problems(draw):
    rank = draw(st.integers(1, 3))
    axes = []
    for _ in range(rank):
        n, k, s, before, after = draw(along)
        before, after = min(before, k - 1), min(after, k - 1)
        axes.append((max(n, k - before - after, 1), k, s, (before, after)))
    extents, window, strides, padding = zip(*axes, strict=True)
    layout = LAYOUTS[rank][draw(st.integers(0, 1))]
    shape = _in_layout(np.empty((draw(st.integers(1, 3)), *extents, draw(st.integers(1, 3)))), layout).shape
    return shape, extents, {"window": window, "strides": strides, "padding": padding, "layout": layout}


@settings(max_examples=150, deadline=None)
@given(problems(), st.booleans())
def test_gradients_are_adjoint_and_kernels_agree_with_decompositions(problem, count_padding):
    """<avg_pool(x), dy> = <x, avg_pool_grad(dy)>; and max_pool is gathering at its own places, whose adjoint it has."""
    shape, size, attrs = problem
    rng = np.random.default_rng(0)
    x, h = corenn.tensor(rng.integers(0, 9, shape) * 1.0), corenn.tensor(rng.normal(size=shape))
    y = max_pool(x, **attrs)
    dy = corenn.tensor(rng.normal(size=y.shape))
    counted = {**attrs, "count_padding": count_padding}
    calls = [
        (max_pool, (x,), attrs),
        (max_pool_grad, (x, dy), attrs),
        (max_pool_gather, (x, h), attrs),
        (avg_pool, (x,), counted),
        (avg_pool_grad, (dy,), {**counted, "size": size}),
    ]
    results = [op(*operands, **options) for op, operands, options in calls]
    for (op, operands, options), result in zip(calls, results, strict=True):
        _close(result, op.op.decomposition(*operands, **options), 100, op.op.name)
    _, scattered, gathered, mean, spread = results
    assert_close(max_pool_gather(x, x, **attrs).numpy(), y.numpy(), EXACT)
    assert float((gathered * dy).sum()) == pytest.approx(float((h * scattered).sum()), abs=1e-9)
    assert float((mean * dy).sum()) == pytest.approx(float((x * spread).sum()), abs=1e-9)
