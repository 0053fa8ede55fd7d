"""Constraints on weights: what they give is allowed, and what was allowed stays."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import corenn
from corenn import constraints
from corenn.errors import AttributeValueError

matrices = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.floats(-1e3, 1e3))


def norms(w, axis=0):
    return np.sqrt((w**2).sum(axis=axis, keepdims=True))


@given(matrices, st.sampled_from([0, 1, (0, 1)]), st.floats(0.1, 10))
def test_max_norm(w, axis, limit):
    out = constraints.MaxNorm(limit, axis)(corenn.tensor(w)).numpy()
    assert (norms(out, axis) <= limit * (1 + 1e-9)).all()
    fits = np.broadcast_to(norms(w, axis) <= limit, w.shape)
    np.testing.assert_array_equal(out[fits], w[fits])
    scale = np.minimum(1.0, limit / np.maximum(norms(w, axis), 1e-7))
    np.testing.assert_allclose(out, w * scale, rtol=1e-9)


@given(matrices)
def test_non_negative(w):
    np.testing.assert_array_equal(constraints.get("non_neg")(corenn.tensor(w)).numpy(), np.maximum(w, 0))


@given(matrices, st.sampled_from([0, 1, (0, 1)]))
def test_unit_norm(w, axis):
    out = constraints.UnitNorm(axis)(corenn.tensor(w)).numpy()
    np.testing.assert_allclose(out, w / (norms(w, axis) + 1e-7), rtol=1e-9, atol=1e-300)


@given(matrices, st.floats(0, 2), st.floats(2, 5), st.floats(0.1, 1))
def test_min_max_norm(w, low, high, rate):
    out = constraints.MinMaxNorm(low, high, rate)(corenn.tensor(w)).numpy()
    size = norms(w)
    wanted = rate * np.clip(size, low, high) + (1 - rate) * size
    np.testing.assert_allclose(out, w * wanted / (size + 1e-7), rtol=1e-9, atol=1e-300)


def test_dtype_stays():
    assert constraints.MaxNorm()(corenn.ones((3, 2)) * 5.0).dtype == "float32"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: constraints.MaxNorm(-1.0), "max_value must be at least 0"),
        (lambda: constraints.MinMaxNorm(2.0, 1.0), "min_value <= max_value"),
        (lambda: constraints.MinMaxNorm(rate=0.0), "rate must lie in"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(AttributeValueError, match=message):
        call()
