"""Attention against PyTorch: masks, causal, lengths of several blocks, queries that see nothing, what is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn import nn
from corenn.autodiff import GradientTape
from corenn.ops.table import TABLE
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import forward


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def close(actual, expected, terms=1):
    expected = expected.detach().numpy() if hasattr(expected, "detach") else expected
    assert_close(actual.numpy(), expected, forward(actual.dtype).scaled(math.sqrt(terms)))


def operands(lead, t, s, d, e, dtype="float64"):
    return [draw((*lead, n, m), i).astype(dtype) for i, (n, m) in enumerate(((t, d), (s, d), (s, e)))]


def compare(given, mask=None, *, learned=False, causal=False, scale=None):
    """Values and gradients of a weighted sum against PyTorch's plain formula in float64."""
    torch = pytest.importorskip("torch")
    dtype = given[0].dtype
    tensors = [corenn.tensor(x) for x in given]
    extra = [] if mask is None else [corenn.tensor(mask)]
    moving = tensors + (extra if learned else [])
    with GradientTape() as tape:
        tape.watch(moving)
        y = nn.scaled_dot_product_attention(*tensors, *extra, causal=causal, scale=scale)
        weights = draw(y.shape, 9).astype(dtype)
        target = corenn.sum(y * corenn.tensor(weights))
    wide = [torch.tensor(x.astype(np.float64), requires_grad=True) for x in given]
    theirs = None if mask is None else torch.tensor(mask.astype(np.float64) if learned else mask, requires_grad=learned)
    visible = theirs
    if causal:
        below = torch.ones(given[0].shape[-2], given[1].shape[-2], dtype=torch.bool).tril()
        visible = below if theirs is None else below & theirs
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected = torch.nn.functional.scaled_dot_product_attention(*wide, visible, scale=scale)
    (expected * torch.tensor(weights)).sum().backward()
    terms = given[1].shape[-2] * given[0].shape[-1]
    close(y, expected, terms)
    for g, t in zip(tape.gradient(target, moving), [*wide, theirs], strict=False):
        close(g, t.grad, 4 * terms)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("lead", "t", "s"),
    [((), 5, 5), ((2, 3), 4, 6), ((3,), 6, 4), ((2, 2), 300, 300), ((1,), 500, 700), ((70,), 40, 40)],
)
def test_attention_agrees_with_torch(lead, t, s, causal, dtype):
    compare(operands(lead, t, s, 8, 6, dtype), causal=causal)


@pytest.mark.parametrize("shape", [(5, 7), (7,), (2, 1, 5, 7), (3, 5, 7), (2, 3, 1, 7)])
def test_a_bool_mask_says_what_is_seen(shape):
    mask = np.random.default_rng(3).uniform(size=shape) < 0.6
    mask[..., 0] = True  # PyTorch has no answer for a query that sees nothing
    compare(operands((2, 3), 5, 7, 4, 4), mask)
    compare(operands((2, 3), 5, 7, 4, 4), mask, causal=True, scale=0.3)


@pytest.mark.parametrize("shape", [(5, 7), (2, 1, 5, 7), (3, 1, 1)])
def test_an_added_mask_has_a_gradient(shape):
    compare(operands((2, 3), 5, 7, 4, 4), draw(shape, 5), learned=True)


@pytest.mark.parametrize("size", [(2, 30), (1, 400)])
def test_masks_of_several_blocks(size):
    heads, length = size
    mask = np.random.default_rng(3).uniform(size=(heads, length, length)) < 0.5
    mask[..., 0] = True
    compare(operands((3, heads), length, length, 8, 8), mask)


@pytest.mark.parametrize("length", [4, 300])
def test_a_query_that_sees_nothing_gets_zeros_and_gives_none(length):
    q, k, v = (corenn.tensor(x) for x in operands((2,), length, length, 3, 3))
    mask = np.ones((length, length), bool)
    mask[1] = False
    with GradientTape() as tape:
        tape.watch([q, k, v])
        y = nn.scaled_dot_product_attention(q, k, v, corenn.tensor(mask))
    assert (y.numpy()[:, 1] == 0).all()
    by_q, by_k, by_v = (g.numpy() for g in tape.gradient(y, [q, k, v]))
    assert (by_q[:, 1] == 0).all()
    assert all(np.isfinite(g).all() for g in (by_q, by_k, by_v))


def test_leading_axes_broadcast():
    q, k, v = draw((2, 1, 3, 4)), draw((5, 6, 4), 1), draw((6, 2), 2)
    compare([q, k, v])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.booleans(), st.integers(0, 99))
def test_the_order_of_the_keys_does_not_matter(heads, t, s, masked, seed):
    q, k, v = operands((heads,), t, s, 3, 2)
    generator = np.random.default_rng(seed)
    order = generator.permutation(s)
    mask = generator.uniform(size=(t, s)) < 0.7 if masked else None
    y = nn.scaled_dot_product_attention(q, k, v, mask)
    moved = nn.scaled_dot_product_attention(q, k[:, order], v[:, order], None if mask is None else mask[:, order])
    close(moved, y.numpy(), 10)


def test_the_weights_are_not_kept():
    q, k, v = (corenn.tensor(x) for x in operands((2,), 50, 50, 3, 3))
    with GradientTape() as tape:
        tape.watch(q)
        nn.scaled_dot_product_attention(q, k, v)
    (entry,) = tape.entries
    assert entry.out is None
    assert {t.shape for t in entry.inputs if t is not None} == {(2, 50, 3)}


@pytest.mark.parametrize("causal", [False, True])
def test_kernel_and_decomposition_agree_on_several_blocks(causal):
    q, k, v = (corenn.tensor(x) for x in operands((2,), 300, 310, 5, 4))
    whole = TABLE["scaled_dot_product_attention"].decomposition(q, k, v, None, scale=0.5, causal=causal)
    close(nn.scaled_dot_product_attention(q, k, v, scale=0.5, causal=causal), whole.numpy(), 300)
