"""Normalisation and embedding against PyTorch: layouts, blocks, large means, gradients through the statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn import nn
from corenn.autodiff import GradientTape
from corenn.errors import ShapeError
from corenn.ops._standardize import moments
from corenn.ops.table import TABLE
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import forward


def draw(shape, seed=0, low=-2.0, high=2.0):
    return np.random.default_rng(seed).uniform(low, high, shape)


def close(actual, expected, terms=1):
    actual = actual.numpy() if hasattr(actual, "numpy") else actual
    expected = expected.detach().numpy() if hasattr(expected, "detach") else expected
    assert_close(actual, expected, forward(corenn.as_dtype(actual.dtype)).scaled(math.sqrt(terms)))


def same_as_torch(mine, theirs, operands, terms):
    """Values, and gradients of a weighted sum, of a corenn function and a torch one."""
    torch = pytest.importorskip("torch")
    given = [corenn.tensor(x) for x in operands]
    wide = [torch.tensor(x.astype(np.float64), requires_grad=True) for x in operands]
    with GradientTape() as tape:
        tape.watch(given)
        y = mine(*given)
        weights = draw(y.shape, 9).astype(y.dtype.numpy)
        target = corenn.sum(y * corenn.tensor(weights))
    expected = theirs(*wide)
    (expected * torch.tensor(weights)).sum().backward()
    close(y, expected, terms)
    for g, t in zip(tape.gradient(target, given), wide, strict=True):
        scale = max(1.0, float(t.grad.abs().max()))
        close(g.numpy() / g.dtype.numpy.type(scale), t.grad / scale, terms)


def channels_first(x):
    return x.movedim(-1, 1)


DTYPES = ("float32", "float64")


# ---------------------------------------------------------------- each example by itself


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "axes"), [((5, 7), 1), ((2, 3, 4), 1), ((2, 3, 4), 2), ((300, 500), 1), ((3, 90000), 1), ((20000, 6), 1)]
)
def test_layer_norm_agrees_with_torch(shape, axes, dtype):
    torch = pytest.importorskip("torch")
    own = shape[len(shape) - axes :]
    operands = [draw(s, i).astype(dtype) for i, s in enumerate((shape, own, own))]
    same_as_torch(
        lambda x, g, b: nn.layer_norm(x, g, b, axis=tuple(range(-axes, 0)), epsilon=1e-3),
        lambda x, g, b: torch.nn.functional.layer_norm(x, own, g, b, 1e-3),
        operands,
        terms=max(shape),
    )


@pytest.mark.parametrize("axis", [1, (1, 2), (0, 2)])
def test_layer_norm_over_any_axes_is_that_over_the_last(axis):
    x = draw((3, 4, 5))
    axes = (axis,) if isinstance(axis, int) else axis
    gamma, beta = (draw(tuple(x.shape[a] for a in axes), seed) for seed in (1, 2))
    last = np.moveaxis(x, axes, range(3 - len(axes), 3))
    expected = nn.layer_norm(np.ascontiguousarray(last), gamma, beta, axis=tuple(range(-len(axes), 0))).numpy()
    close(nn.layer_norm(x, gamma, beta, axis=axis), np.moveaxis(expected, range(3 - len(axes), 3), axes))


@pytest.mark.parametrize("shape", [(5, 7), (200, 600)])
def test_rms_norm_agrees_with_torch(shape):
    torch = pytest.importorskip("torch")
    same_as_torch(
        lambda x, g: nn.rms_norm(x, g, epsilon=1e-3),
        lambda x, g: torch.nn.functional.rms_norm(x, shape[1:], g, 1e-3),
        [draw(shape), draw(shape[1:], 1)],
        terms=shape[1],
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "groups"), [((2, 5, 6), 3), ((3, 4, 5, 8), 2), ((2, 40, 40, 32), 32), ((4, 6), 2)])
def test_group_norm_agrees_with_torch_in_both_layouts(shape, groups, dtype):
    torch = pytest.importorskip("torch")
    operands = [draw(s, i).astype(dtype) for i, s in enumerate((shape, shape[-1:], shape[-1:]))]
    theirs = torch.nn.functional.group_norm
    same_as_torch(
        lambda x, g, b: nn.group_norm(x, g, b, groups=groups, epsilon=1e-3),
        lambda x, g, b: theirs(channels_first(x), groups, g, b, 1e-3).movedim(1, -1),
        operands,
        terms=math.prod(shape[1:]),
    )
    operands[0] = np.ascontiguousarray(np.moveaxis(operands[0], -1, 1))
    same_as_torch(
        lambda x, g, b: nn.group_norm(x, g, b, groups=groups, axis=1, epsilon=1e-3),
        lambda x, g, b: theirs(x, groups, g, b, 1e-3),
        operands,
        terms=math.prod(shape[1:]),
    )


@pytest.mark.parametrize("shape", [(2, 5, 6), (3, 4, 5, 2)])
def test_instance_norm_agrees_with_torch(shape):
    torch = pytest.importorskip("torch")
    same_as_torch(
        lambda x, g, b: nn.instance_norm(x, g, b, epsilon=1e-3),
        lambda x, g, b: torch.nn.functional.instance_norm(channels_first(x), weight=g, bias=b, eps=1e-3).movedim(1, -1),
        [draw(shape), draw(shape[-1:], 1), draw(shape[-1:], 2)],
        terms=math.prod(shape),
    )


# ---------------------------------------------------------------- each channel over the batch


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "axis"), [((6, 3), -1), ((4, 5, 5, 3), -1), ((4, 3, 5, 5), 1), ((9000, 20), -1), ((50, 8, 300), 1)]
)
def test_batch_norm_agrees_with_torch(shape, axis, dtype):
    torch = pytest.importorskip("torch")
    channels = shape[axis]
    operands = [draw(s, i).astype(dtype) for i, s in enumerate((shape, (channels,), (channels,)))]
    same_as_torch(
        lambda x, g, b: nn.batch_norm_training(x, g, b, axis=axis, epsilon=1e-3)[0],
        lambda x, g, b: torch.nn.functional.batch_norm(
            x.movedim(axis, 1), None, None, g, b, True, eps=1e-3
        ).movedim(1, axis),
        operands,
        terms=math.prod(shape) // channels,
    )  # fmt: skip


@pytest.mark.parametrize(("shape", "axis"), [((6, 3), -1), ((4, 3, 5), 1), ((5000, 30), -1)])
def test_gradients_of_batch_norm_pass_through_all_three_results(shape, axis):
    def mine(x, g, b):
        y, mean, variance = nn.batch_norm_training(x, g, b, axis=axis, epsilon=0.1)
        return corenn.sum(corenn.square(y)) + corenn.sum(mean * variance * 3.0) + corenn.sum(corenn.square(variance))

    def theirs(x, g, b):
        last = x.movedim(axis, -1).reshape(-1, x.shape[axis])
        mean, variance = last.mean(0), last.var(0, correction=0)
        y = (last - mean) / (variance + 0.1).sqrt() * g + b
        return (y**2).sum() + (mean * variance * 3).sum() + (variance**2).sum()

    same_as_torch(mine, theirs, [draw(shape), draw(shape[axis], 1), draw(shape[axis], 2)], terms=math.prod(shape))


def test_batch_norm_returns_the_moments_of_the_batch():
    x = draw((40, 5, 3)).astype(np.float32)
    y, mean, variance = nn.batch_norm_training(x)
    close(mean, x.astype(np.float64).mean((0, 1)), terms=200)
    close(variance, x.astype(np.float64).var((0, 1)), terms=200)
    close(y.numpy().mean((0, 1)), np.zeros(3), terms=200)


@pytest.mark.parametrize("axis", [-1, 1])
def test_inference_with_the_moments_of_a_batch_is_training(axis):
    x, gamma, beta = draw((6, 4, 4)), draw(4, 1), draw(4, 2)
    y, mean, variance = nn.batch_norm_training(x, gamma, beta, axis=axis)
    close(nn.batch_norm_inference(x, gamma, beta, mean, variance, axis=axis), y.numpy())


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm", "group_norm"])
def test_a_mean_far_from_zero_does_not_swallow_the_deviation(name):
    """With mean 1000 and deviation 1 in float32, a variance from squares of the values would have no digit right."""
    wide = 1000 + draw((64, 5, 8), low=-1.0, high=1.0)
    x = wide.astype(np.float32)
    axes = {"batch_norm": (0, 1), "layer_norm": (2,), "group_norm": (1, 2)}[name]
    run = {
        "batch_norm": lambda: nn.batch_norm_training(x)[0],
        "layer_norm": lambda: nn.layer_norm(x),
        "group_norm": lambda: nn.group_norm(x, groups=1),
    }[name]
    exact = x.astype(np.float64)
    expected = (exact - exact.mean(axes, keepdims=True)) / np.sqrt(exact.var(axes, keepdims=True) + 1e-3)
    # The mean itself is rounded, to 1000 * 2**-24: that is what remains.
    assert np.abs(run().numpy() - expected).max() < 4 * 1000 * 2**-24


def test_moments_agree_with_numpy_and_have_gradients():
    torch = pytest.importorskip("torch")
    x = draw((4, 5, 6))
    for axis in (None, 1, (0, 2)):
        mean, variance = moments(x, axis=axis)
        close(mean, x.mean(axis))
        close(variance, x.var(axis))
    same_as_torch(
        lambda t: moments(t, axis=(0, 2))[0] * 2.0 + moments(t, axis=(0, 2))[1],
        lambda t: t.mean((0, 2)) * 2 + torch.var(t, (0, 2), correction=0),
        [x],
        terms=30,
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.1, 100.0), st.floats(-100.0, 100.0))
def test_layer_norm_does_not_see_scale_and_offset(rows, width, scale, offset):
    x = draw((rows, width), rows * 41 + width)
    moved = nn.layer_norm(x * scale + offset, epsilon=0.0 if width > 1 else 1.0).numpy()
    assert_close(
        moved, nn.layer_norm(x, epsilon=0.0 if width > 1 else 1.0).numpy(), forward(corenn.float64).scaled(1e4)
    )


@pytest.mark.parametrize(
    ("radius", "alpha", "beta", "bias"), [(2, 1e-1, 0.75, 1.0), (1, 0.3, 0.5, 2.0), (7, 1.0, 0.4, 1.5)]
)
def test_local_response_norm_agrees_with_torch(radius, alpha, beta, bias):
    """PyTorch divides alpha by the number of channels added; TensorFlow and corenn do not."""
    torch = pytest.importorskip("torch")
    size = 2 * radius + 1
    same_as_torch(
        lambda x: nn.local_response_norm(x, depth_radius=radius, alpha=alpha, beta=beta, bias=bias),
        lambda x: torch.nn.functional.local_response_norm(channels_first(x), size, alpha * size, beta, bias).movedim(
            1, -1
        ),
        [draw((2, 3, 3, 9))],
        terms=size,
    )


# ---------------------------------------------------------------- embedding


@pytest.mark.parametrize("shape", [(5,), (2, 3), ()])
def test_embedding_agrees_with_torch(shape):
    torch = pytest.importorskip("torch")
    ids = np.random.default_rng(1).integers(0, 4, shape)
    same_as_torch(
        lambda table: nn.embedding(table, ids),
        lambda table: torch.nn.functional.embedding(torch.tensor(ids), table),
        [draw((4, 6))],
        terms=1,
    )


@pytest.mark.parametrize("bad", [-1, 4, 2**33])
def test_an_id_that_is_no_row_is_an_error_on_numpy(bad):
    with pytest.raises(ShapeError, match=f"there is an id {bad}, and the table has 4 rows"):
        nn.embedding(draw((4, 2)), np.array([0, bad]))


# ---------------------------------------------------------------- kernels


@pytest.mark.parametrize("name", ["standardize", "batch_norm_training"])
def test_one_nan_stays_in_its_example_or_channel(name):
    x = draw((70000, 4)).astype(np.float32)
    x[7, 2] = np.nan
    y = TABLE["layer_norm"].public(x) if name == "standardize" else nn.batch_norm_training(x)[0]
    bad = np.isnan(y.numpy())
    expected = np.zeros_like(bad)
    expected[(7,) if name == "standardize" else (slice(None), 2)] = True
    assert (bad == expected).all()
