"""Limits on gradients, against NumPy and PyTorch."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import corenn
from corenn.errors import AttributeValueError, UsageError
from corenn.optimizers import clip_by_global_norm, clip_by_norm, clip_by_value, global_norm

arrays = hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=4), elements=st.floats(-1e3, 1e3))


@given(st.lists(arrays, min_size=1, max_size=4), st.floats(0.1, 100))
def test_global_norm(values, limit):
    tensors = [corenn.tensor(v) for v in values]
    norm = np.sqrt(sum((v**2).sum() for v in values))
    assert global_norm(tensors).item() == pytest.approx(norm, rel=1e-12)
    clipped, reported = clip_by_global_norm([*tensors, None], limit)
    assert reported.item() == pytest.approx(norm, rel=1e-12)
    assert clipped[-1] is None
    for before, after in zip(values, clipped, strict=False):
        np.testing.assert_allclose(after.numpy(), before * (limit / max(norm, limit)), rtol=1e-12)


@given(arrays, st.floats(0.1, 100))
def test_norm_and_value(value, limit):
    norm = np.sqrt((value**2).sum())
    np.testing.assert_allclose(
        clip_by_norm(corenn.tensor(value), limit).numpy(), value * (limit / max(norm, limit)), rtol=1e-12
    )
    np.testing.assert_array_equal(
        clip_by_value(corenn.tensor(value), -limit, limit).numpy(), np.clip(value, -limit, limit)
    )


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    values = [np.arange(6.0).reshape(2, 3), np.array([3.0, -4.0])]
    parameters = [torch.zeros(v.shape, dtype=torch.float64, requires_grad=True) for v in values]
    for p, v in zip(parameters, values, strict=True):
        p.grad = torch.tensor(v)
    norm = torch.nn.utils.clip_grad_norm_(parameters, 2.5)
    clipped, mine = clip_by_global_norm([corenn.tensor(v) for v in values], 2.5)
    assert mine.item() == pytest.approx(norm.item())
    for p, c in zip(parameters, clipped, strict=True):
        np.testing.assert_allclose(c.numpy(), p.grad.numpy(), rtol=1e-6)  # PyTorch adds 1e-6 to the norm


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_norm_that_is_not_finite_makes_everything_nan(bad):
    clipped, norm = clip_by_global_norm([corenn.tensor([1.0, bad]), corenn.tensor([2.0])], 1.0)
    assert not np.isfinite(norm.item())
    assert all(np.isnan(c.numpy()).all() for c in clipped)


def test_half_precision_norms_do_not_overflow():
    big = corenn.tensor(np.full(4, 300.0), dtype="float16")
    assert global_norm([big]).item() == 600.0
    clipped = clip_by_norm(big, 6.0)
    assert clipped.dtype == "float16"
    np.testing.assert_allclose(clipped.numpy(), np.full(4, 3.0), rtol=2e-3)


def test_mistakes():
    with pytest.raises(AttributeValueError, match="limit must be positive"):
        clip_by_norm(corenn.tensor([1.0]), 0.0)
    with pytest.raises(UsageError, match="no tensors were given"):
        global_norm([None])
