"""Order against NumPy, Python and PyTorch, on NumPy and on the bare array API."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import corenn
from corenn.testing.doubles import register_doubles

register_doubles()
DEVICES = ("numpy", "strict")
FEW = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 1.0, 2.5, np.inf, np.nan])  # ties, zeros of both signs, NaN
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6)
FLOATS = hnp.arrays("float64", SHAPES, elements=FEW)
INTEGERS = hnp.arrays(st.sampled_from(["int8", "int32", "uint8"]), SHAPES, elements=st.integers(0, 4))
ARRAYS = st.one_of(FLOATS, INTEGERS)


def ranked(line, descending):
    """Positions in stable order, NaN as the largest: Python's own sort."""

    def key(i):
        value = float(line[i])
        rank = (1, 0.0) if np.isnan(value) else (0, value)
        return (-rank[0], -rank[1]) if descending else rank

    return sorted(range(len(line)), key=key)


def along_axis(function, a, axis, *args):
    if 0 in a.shape:
        return np.zeros(a.shape, int)
    return np.apply_along_axis(lambda line: np.array(function(line, *args)), axis, a)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=100, deadline=None)
@given(a=ARRAYS, descending=st.booleans(), data=st.data())
def test_sort_and_argsort_are_pythons(device, a, descending, data):
    axis = data.draw(st.integers(-a.ndim, a.ndim - 1))
    order = along_axis(ranked, a, axis, descending)
    x = corenn.tensor(a, device=device)
    np.testing.assert_array_equal(corenn.argsort(x, axis=axis, descending=descending).numpy(), order)
    found = corenn.sort(x, axis=axis, descending=descending)
    assert found.dtype is x.dtype
    np.testing.assert_array_equal(found.numpy(), np.take_along_axis(a, order, axis))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=100, deadline=None)
@given(
    a=st.one_of(
        hnp.arrays("float32", st.tuples(st.integers(1, 3), st.integers(1, 12)), elements=FEW),
        hnp.arrays("int32", st.tuples(st.integers(1, 3), st.integers(1, 12)), elements=st.integers(0, 4)),
    ),
    data=st.data(),
)
def test_top_k_is_the_start_of_the_descending_order(device, a, data):
    axis = data.draw(st.integers(-2, 1))
    k = data.draw(st.integers(0, a.shape[axis]))
    order = np.take(along_axis(ranked, a, axis, True), range(k), axis)
    values, indices = corenn.top_k(corenn.tensor(a, device=device), k=k, axis=axis)
    np.testing.assert_array_equal(indices.numpy(), order)
    np.testing.assert_array_equal(values.numpy(), np.take_along_axis(a, order, axis))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_gradients_follow_the_elements(device, data):
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 6)))
    a = np.array(data.draw(st.permutations(range(shape[0] * shape[1]))), float).reshape(shape)
    descending, axis = data.draw(st.booleans()), data.draw(st.integers(0, 1))
    k = data.draw(st.integers(1, shape[axis]))
    weights = np.arange(1.0, a.size + 1).reshape(shape) ** 2
    x = corenn.tensor(a, device=device)
    with corenn.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ordered = corenn.sum(corenn.sort(x, axis=axis, descending=descending) * weights)
        largest = corenn.sum(corenn.top_k(x, k=k, axis=axis)[0] * np.take(weights, range(k), axis))
    for loss, order, count in (
        (ordered, along_axis(ranked, a, axis, descending), shape[axis]),
        (largest, along_axis(ranked, a, axis, True), k),
    ):
        expected = np.zeros(shape)
        first = range(count)
        np.put_along_axis(expected, np.take(order, first, axis), np.take(weights, first, axis), axis)
        np.testing.assert_array_equal(tape.gradient(loss, x).numpy(), expected)


def test_descending_order_with_ties_and_nan_matches_torch():
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    a = generator.integers(0, 5, (20, 50)).astype(np.float32)
    a[generator.random(a.shape) < 0.05] = np.nan
    values, order = torch.sort(torch.tensor(a), dim=-1, descending=True, stable=True)
    np.testing.assert_array_equal(corenn.argsort(a, descending=True).numpy(), order.numpy())
    np.testing.assert_array_equal(corenn.sort(a, descending=True).numpy(), values.numpy())
    for k in (3, 30):  # by partition, and by sorting
        mine, _ = corenn.top_k(a, k=k)
        np.testing.assert_array_equal(mine.numpy(), torch.topk(torch.tensor(a), k).values.numpy())


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(
    a=hnp.arrays("float32", st.integers(0, 8), elements=st.integers(-3, 3)),
    values=hnp.arrays("float32", hnp.array_shapes(min_dims=0, max_dims=2), elements=st.integers(-4, 4)),
    side=st.sampled_from(["left", "right"]),
)
def test_searchsorted_is_numpys(device, a, values, side):
    a = np.sort(a)
    found = corenn.searchsorted(corenn.tensor(a, device=device), corenn.tensor(values, device=device), side=side)
    np.testing.assert_array_equal(found.numpy(), np.searchsorted(a, values, side))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=100, deadline=None)
@given(a=ARRAYS)
def test_unique_is_numpys(device, a):
    values, indices, inverse, counts = np.unique(a, True, True, True, equal_nan=False)
    x = corenn.tensor(a, device=device)
    np.testing.assert_array_equal(corenn.unique(x).numpy(), values)
    for mine, numpys in zip(corenn.unique_all(x), (values, indices, inverse.reshape(a.shape), counts), strict=True):
        np.testing.assert_array_equal(mine.numpy(), numpys)
    np.testing.assert_array_equal(corenn.unique_counts(x)[1].numpy(), counts)
    np.testing.assert_array_equal(corenn.unique_inverse(x)[1].numpy(), inverse.reshape(a.shape))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=30, deadline=None)
@given(a=hnp.arrays(bool, hnp.array_shapes(min_dims=1, min_side=0)))
def test_unique_of_bools(device, a):
    found = corenn.unique(corenn.tensor(a, device=device))
    assert found.dtype is corenn.bool_
    np.testing.assert_array_equal(found.numpy(), np.unique(a))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_sorts_on_numpy(dtype):
    x = corenn.cast(corenn.tensor([2.0, -1.0, 7.0, 0.5, 3.0, -4.0, 6.0, 1.0]), dtype=dtype)
    values = [7.0, 6.0, 3.0, 2.0, 1.0, 0.5, -1.0, -4.0]
    assert corenn.sort(x, descending=True).tolist() == values
    assert corenn.top_k(x, k=2)[0].tolist() == values[:2]
    assert corenn.unique(x).tolist() == values[::-1]
