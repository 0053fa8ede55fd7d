"""Softmax and cross-entropies against PyTorch and SciPy: blocks, axes, extremes, labels that are no class."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import corenn
from corenn import nn
from corenn.autodiff import GradientTape
from corenn.errors import ShapeError
from corenn.ops.table import TABLE
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import forward

# Short rows and long ones, fewer and more than a block of the NumPy kernels (65536 elements).
SHAPES = [(5, 3), (2, 3, 4), (9000, 10), (300, 500), (3, 70000)]


def draw(shape, seed=0, scale=3.0):
    return np.random.default_rng(seed).normal(size=shape) * scale


def gradients(function, *operands, weights):
    """The gradients of ``sum(weights * function(*operands))``."""
    tensors = [corenn.tensor(x) for x in operands]
    with GradientTape() as tape:
        tape.watch([t for t in tensors if t.dtype.is_inexact])
        target = corenn.sum(function(*tensors) * corenn.tensor(weights))
    return [g.numpy() for g in tape.gradient(target, [t for t in tensors if t.dtype.is_inexact])]


def close(actual, expected, terms=1):
    actual = actual.numpy() if hasattr(actual, "numpy") else actual
    assert_close(actual, expected, forward(corenn.as_dtype(actual.dtype)).scaled(math.sqrt(terms)))


# ---------------------------------------------------------------- softmax


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_and_its_gradient_agree_with_torch(shape, name, dtype):
    torch = pytest.importorskip("torch")
    x, w = draw(shape).astype(dtype), draw(shape, 1).astype(dtype)
    t = torch.tensor(x.astype(np.float64), requires_grad=True)
    y = getattr(torch, name)(t, -1)
    (y * torch.tensor(w)).sum().backward()
    function = getattr(nn, name)
    close(function(corenn.tensor(x)), y.detach().numpy(), terms=shape[-1])
    close(gradients(function, x, weights=w)[0], t.grad.numpy(), terms=shape[-1])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_axes_agree_with_scipy(axis):
    special = pytest.importorskip("scipy.special")
    x = draw((4, 5, 6))
    close(nn.softmax(corenn.tensor(x), axis=axis), special.softmax(x, axis), terms=6)
    close(nn.log_softmax(corenn.tensor(x), axis=axis), special.log_softmax(x, axis), terms=6)


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(np.float64, arrays.array_shapes(min_dims=1, max_dims=3, min_side=1), elements=st.floats(-700, 700)),
    st.floats(-1000, 1000),
)
def test_softmax_is_a_distribution_that_shifting_does_not_change(x, shift):
    y = nn.softmax(corenn.tensor(x)).numpy()
    assert (y >= 0).all()
    close(y.sum(-1), np.ones(x.shape[:-1]), terms=x.shape[-1])
    # Adding to numbers of 700 rounds them by 2**-52 of their size, which the exponential makes a relative error.
    assert_close(nn.softmax(corenn.tensor(x + shift)).numpy(), y, forward(corenn.float64).scaled(10))


def test_a_masked_class_has_probability_zero():
    y = nn.softmax(corenn.tensor([[0.0, -math.inf, 0.0]])).numpy()
    assert y.tolist() == [[0.5, 0.0, 0.5]]


def test_log_softmax_keeps_digits_where_probabilities_vanish():
    y = nn.log_softmax(corenn.tensor([1e4, 0.0, 1e4 - 1.0])).numpy()
    close(y, np.array([0.0, -1e4, -1.0]) - math.log(1 + math.exp(-1)))


# ---------------------------------------------------------------- cross-entropies


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sparse_cross_entropy_agrees_with_torch(shape, dtype):
    torch = pytest.importorskip("torch")
    x, w = draw(shape).astype(dtype), draw(shape[:-1], 1).astype(dtype)
    labels = np.random.default_rng(2).integers(0, shape[-1], shape[:-1])
    t = torch.tensor(x.astype(np.float64), requires_grad=True)
    y = torch.nn.functional.cross_entropy(t.movedim(-1, 1), torch.tensor(labels), reduction="none")
    (y * torch.tensor(w)).sum().backward()
    close(nn.sparse_softmax_cross_entropy(corenn.tensor(labels), corenn.tensor(x)), y.detach().numpy(), shape[-1])
    found = gradients(lambda logits: nn.sparse_softmax_cross_entropy(labels, logits), x, weights=w)
    close(found[0], t.grad.numpy(), terms=shape[-1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_soft_cross_entropy_agrees_with_torch_in_both_operands(shape, dtype):
    torch = pytest.importorskip("torch")
    x, w = draw(shape).astype(dtype), draw(shape[:-1], 1).astype(dtype)
    labels = np.random.default_rng(2).uniform(0, 1, shape).astype(dtype)  # need not add up to 1
    wide = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in (labels, x)]
    y = -(wide[0] * torch.log_softmax(wide[1], -1)).sum(-1)
    (y * torch.tensor(w)).sum().backward()
    close(nn.softmax_cross_entropy(corenn.tensor(labels), corenn.tensor(x)), y.detach().numpy(), shape[-1])
    for found, expected in zip(gradients(nn.softmax_cross_entropy, labels, x, weights=w), wide, strict=True):
        close(found, expected.grad.numpy(), terms=4 * shape[-1])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_cross_entropies_along_any_axis_are_those_along_the_last(axis):
    x, labels = draw((3, 4, 5)), np.random.default_rng(1).uniform(0, 1, (3, 4, 5))
    numbers = labels.argmax(axis)
    last = [np.moveaxis(a, axis, -1) for a in (labels, x)]
    close(nn.softmax_cross_entropy(labels, x, axis=axis), nn.softmax_cross_entropy(*last).numpy())
    close(
        nn.sparse_softmax_cross_entropy(numbers, x, axis=axis),
        nn.sparse_softmax_cross_entropy(numbers, last[1]).numpy(),
    )


@pytest.mark.parametrize("label", [-1, 3, 2**40])
def test_a_label_that_is_no_class_is_an_error_on_numpy(label):
    labels, logits = corenn.tensor(np.array([0, label])), corenn.tensor(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=f"there is a label {label}, and there are 3 classes"):
        nn.sparse_softmax_cross_entropy(labels, logits)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_nan_where_it_cannot_be_an_error(label):
    """The decomposition is what backends run that would have to wait for their device to look."""
    labels, logits, g = corenn.tensor([0, label]), corenn.tensor(draw((2, 3))), corenn.tensor(np.ones(2))
    loss = TABLE["sparse_softmax_cross_entropy"].decomposition(labels, logits, axis=1).numpy()
    slope = TABLE["sparse_softmax_cross_entropy_grad"].decomposition(g, labels, logits, axis=1).numpy()
    assert np.isnan(loss).tolist() == [False, True]
    assert np.isnan(slope).tolist() == [[False] * 3, [True] * 3]


@pytest.mark.parametrize("weighted", [False, True])
def test_sigmoid_cross_entropy_agrees_with_torch(weighted):
    torch = pytest.importorskip("torch")
    z, x, w = np.random.default_rng(0).uniform(0, 1, (4, 5)), draw((4, 5), 1, 10.0), draw((4, 5), 2)
    weight = np.random.default_rng(3).uniform(0.5, 3, 5)
    operands = [z, x, *([weight] if weighted else [])]
    tensors = [torch.tensor(a, requires_grad=True) for a in operands]
    log = torch.nn.functional.logsigmoid
    y = -((tensors[2] if weighted else 1) * tensors[0] * log(tensors[1]) + (1 - tensors[0]) * log(-tensors[1]))
    (y * torch.tensor(w)).sum().backward()
    close(nn.sigmoid_cross_entropy(*[corenn.tensor(a) for a in operands]), y.detach().numpy())
    for found, expected in zip(gradients(nn.sigmoid_cross_entropy, *operands, weights=w), tensors, strict=True):
        close(found, expected.grad.numpy(), terms=10)


def test_sigmoid_cross_entropy_neither_overflows_nor_vanishes():
    x = corenn.tensor([-1e4, -50.0, 50.0, 1e4])
    close(nn.sigmoid_cross_entropy(corenn.ones(4), x), np.array([1e4, 50.0, math.exp(-50), 0.0]))
    close(nn.sigmoid_cross_entropy(corenn.zeros(4), x), np.array([0.0, math.exp(-50), 50.0, 1e4]))


def test_cross_entropies_keep_nothing_but_their_operands():
    labels, logits = corenn.tensor(np.eye(3)), corenn.tensor(draw((3, 3)))
    with GradientTape() as tape:
        tape.watch(logits)
        loss = nn.softmax_cross_entropy(labels, logits)
    (entry,) = tape.entries
    assert entry.out is None
    assert [t is x for t, x in zip(entry.inputs, (labels, logits), strict=True)] == [True, True]
    assert loss.shape == (3,)
