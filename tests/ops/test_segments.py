"""Segments against NumPy's ``ufunc.at``, SciPy's sparse product and PyTorch's scatter_reduce."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import corenn
from corenn.errors import ShapeError
from corenn.testing.doubles import register_doubles

register_doubles()
DEVICES = ("numpy", "strict")


@st.composite
def segmented(draw, elements):
    """Data, ids of the first axes (some negative), and a number of segments."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))
    lead = draw(st.integers(1, len(shape)))
    count = draw(st.integers(1, 4))
    ids = draw(hnp.arrays("int64", shape[:lead], elements=st.integers(-1, count - 1)))
    return draw(hnp.arrays("float64", shape, elements=elements)), ids, count


def at(ufunc, empty, a, ids, count):
    rest = a.shape[ids.ndim :]
    out = np.full((count, *rest), empty)
    rows, flat = a.reshape(ids.size, *rest), ids.reshape(-1)
    ufunc.at(out, flat[flat >= 0], rows[flat >= 0])
    return out


SEGMENT_OPS = [
    (corenn.segment_sum, np.add, 0.0),
    (corenn.segment_max, np.maximum, -np.inf),
    (corenn.segment_min, np.minimum, np.inf),
    (corenn.segment_prod, np.multiply, 1.0),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("function", "ufunc", "empty"), SEGMENT_OPS, ids=lambda v: getattr(v, "__name__", None))
@settings(max_examples=60, deadline=None)
@given(case=segmented(st.integers(-4, 4)))
def test_segments_are_numpys_ufunc_at(device, function, ufunc, empty, case):
    a, ids, count = case
    found = function(corenn.tensor(a, device=device), corenn.tensor(ids, device=device), num_segments=count)
    np.testing.assert_array_equal(found.numpy(), at(ufunc, empty, a, ids, count))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(case=segmented(st.sampled_from([1.0, 2.0, np.nan, np.inf])))
def test_nan_and_infinity_stay_in_their_segment(device, case):
    a, ids, count = case
    found = corenn.segment_sum(corenn.tensor(a, device=device), corenn.tensor(ids, device=device), num_segments=count)
    np.testing.assert_array_equal(found.numpy(), at(np.add, 0.0, a, ids, count))


@pytest.mark.parametrize("device", DEVICES)
def test_segment_sum_is_scipys_sparse_product(device):
    sparse = pytest.importorskip("scipy.sparse")
    generator = np.random.default_rng(0)
    a, ids = generator.normal(size=(500, 3)), generator.integers(0, 40, 500)
    member = sparse.csr_matrix((np.ones(500), (ids, np.arange(500))), shape=(40, 500))
    x, segments = corenn.tensor(a, device=device), corenn.tensor(ids, device=device)
    total = corenn.segment_sum(x, segments, num_segments=40).numpy()
    np.testing.assert_allclose(total, member @ a, atol=1e-12)
    mean = corenn.segment_mean(x, segments, num_segments=40).numpy()
    np.testing.assert_allclose(mean, (member @ a) / np.maximum(member.sum(1), 1).A, atol=1e-12)


@pytest.mark.parametrize(
    ("function", "reduce", "values"),
    [
        (corenn.segment_max, "amax", [3.0, 3.0, 1.0, 2.0, 2.0, -1.0]),  # ties share the gradient
        (corenn.segment_min, "amin", [3.0, 3.0, 1.0, 2.0, 2.0, -1.0]),
        (corenn.segment_prod, "prod", [3.0, 0.0, 2.0, 2.0, 0.0, 0.0]),  # one zero in a segment, and two
        (corenn.segment_mean, "mean", [3.0, 0.0, 2.0, 2.0, 0.0, 0.0]),
    ],
)
def test_gradients_match_torch(function, reduce, values):
    torch = pytest.importorskip("torch")
    ids, weights = [0, 0, 0, 1, 1, 1], np.array([2.0, 5.0])
    x = corenn.tensor(values)
    with corenn.GradientTape() as tape:
        tape.watch(x)
        loss = corenn.sum(function(x, ids, num_segments=2) * corenn.tensor(weights, dtype="float32"))
    theirs = torch.tensor(values, requires_grad=True)
    out = torch.zeros(2).scatter_reduce(0, torch.tensor(ids), theirs, reduce, include_self=False)
    (out * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(tape.gradient(loss, x).numpy(), theirs.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(a=hnp.arrays("int32", st.integers(0, 10), elements=st.integers(0, 6)), least=st.integers(0, 9), data=st.data())
def test_bincount_is_numpys(device, a, least, data):
    x = corenn.tensor(a, device=device)
    np.testing.assert_array_equal(corenn.bincount(x, minlength=least).numpy(), np.bincount(a, minlength=least))
    weights = data.draw(hnp.arrays("float64", a.shape, elements=st.integers(-3, 3)))
    found = corenn.bincount(x, corenn.tensor(weights, device=device), minlength=least)
    np.testing.assert_array_equal(found.numpy(), np.bincount(a, weights, least))


@pytest.mark.parametrize("device", DEVICES)
def test_bincount_leaves_negatives_out(device):
    with corenn.device(device):
        assert corenn.bincount([2, -1, 2, 0]).tolist() == [1, 0, 2]
        assert corenn.bincount([2, -1, 2, 0], [1.0, 9.0, 2.0, 4.0]).tolist() == [4.0, 0.0, 3.0]


@pytest.mark.parametrize("device", DEVICES)
def test_histogram_counts_in_equal_bins(device):
    values = np.random.default_rng(0).uniform(-1, 6, 400).astype(np.float32)
    found = corenn.histogram_fixed_width(corenn.tensor(values, device=device), (0.0, 5.0), nbins=5)
    assert found.dtype is corenn.int32
    np.testing.assert_array_equal(found.numpy(), np.histogram(np.clip(values, 0, 5), 5, (0, 5))[0])


def test_numpy_refuses_ids_beyond_the_segments():
    with pytest.raises(ShapeError, match="id 3 is not below num_segments"):
        corenn.segment_sum([1.0, 2.0], [0, 3], num_segments=3)
