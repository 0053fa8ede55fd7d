"""Optimizer updates over several steps against PyTorch's optimizers, and against what their papers promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn.ops import adaptive_updates as adaptive
from corenn.ops import updates
from corenn.ops.table import TABLE
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import forward

STEPS, SHAPE = 5, (3, 4)
RATE = np.float64(0.1)
LARGE = (70, 1000)  # more than a block of the NumPy kernels (65536 elements)


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def close(actual, expected, terms=10):
    actual = actual.numpy() if hasattr(actual, "numpy") else actual
    assert_close(actual, expected, forward(corenn.as_dtype(actual.dtype)).scaled(math.sqrt(terms)))


def train(update, slots, *, rate=0.1, numbers=None, shape=SHAPE, dtype="float64", **attrs):
    """The variable after some steps of made-up gradients; ``numbers(step)`` are further 0-d operands."""
    state = [corenn.tensor(draw(shape).astype(dtype)), *(corenn.full(shape, s, dtype) for s in slots)]
    for t in range(1, STEPS + 1):
        gradient = corenn.tensor(draw(shape, t).astype(dtype))
        extra = [corenn.tensor(n) for n in (numbers(t) if numbers else ())]
        found = update(state[0], gradient, *state[1:], corenn.tensor(rate, dtype=dtype), *extra, **attrs)
        state = list(found) if isinstance(found, tuple) else [found]
    return state[0].numpy()


def torch_train(name, *, rate=0.1, shape=SHAPE, **options):
    torch = pytest.importorskip("torch")
    w = torch.nn.Parameter(torch.tensor(draw(shape)))
    optimizer = getattr(torch.optim, name)([w], lr=rate, **options)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # in which PyTorch keeps its own scalars, such as NAdam's product
    try:
        for t in range(1, STEPS + 1):
            w.grad = torch.tensor(draw(shape, t))
            optimizer.step()
    finally:
        torch.set_default_dtype(before)
    return w.detach().numpy()


def count(t):
    return (np.int64(t),)


def momenta(t):
    """The step, and the product of Nadam's momenta up to it."""
    return np.int64(t), np.float64(math.prod(0.9 * (1 - 0.5 * 0.96**k) for k in range(1, t + 1)))


# Ours (op, first values of the slots, attributes) and PyTorch's (class, options).  Where PyTorch puts epsilon elsewhere
# it is 0 in both.
CASES = {
    "sgd": (updates.sgd_update, (), {}, "SGD", {}),
    "momentum": (
        updates.momentum_update, (0,), {"momentum": 0.9, "velocity_of": "gradient"}, "SGD", {"momentum": 0.9},
    ),
    "momentum of the variable": (updates.momentum_update, (0,), {"momentum": 0.9}, "SGD", {"momentum": 0.9}),
    "nesterov": (
        updates.momentum_update, (0,), {"momentum": 0.9, "velocity_of": "gradient", "nesterov": True}, "SGD",
        {"momentum": 0.9, "nesterov": True},
    ),
    "nesterov of the variable": (
        updates.momentum_update, (0,), {"momentum": 0.9, "nesterov": True}, "SGD", {"momentum": 0.9, "nesterov": True},
    ),
    "adam": (updates.adam_update, (0, 0), {"numbers": count, "epsilon": 0.0}, "Adam", {"eps": 0.0}),
    "adamw": (
        updates.adam_update, (0, 0), {"numbers": count, "epsilon": 0.0, "weight_decay": 0.1}, "AdamW",
        {"eps": 0.0, "weight_decay": 0.1},
    ),
    "amsgrad": (
        updates.amsgrad_update, (0, 0, 0), {"numbers": count, "epsilon": 0.0}, "Adam", {"eps": 0.0, "amsgrad": True},
    ),
    "adamax": (updates.adamax_update, (0, 0), {"numbers": count, "epsilon": 0.0}, "Adamax", {"eps": 0.0}),
    "nadam": (
        updates.nadam_update, (0, 0), {"numbers": momenta, "epsilon": 1e-3}, "NAdam",
        {"eps": 1e-3, "momentum_decay": 1.0},
    ),
    "adagrad": (
        adaptive.adagrad_update, (0.1,), {"epsilon": 1e-2, "epsilon_inside": False}, "Adagrad",
        {"eps": 1e-2, "initial_accumulator_value": 0.1},
    ),
    "adadelta": (
        adaptive.adadelta_update, (0, 0), {"rho": 0.9, "epsilon": 1e-3}, "Adadelta", {"rho": 0.9, "eps": 1e-3},
    ),
    "rmsprop": (
        adaptive.rmsprop_update, (0,), {"epsilon": 1e-3, "epsilon_inside": False}, "RMSprop",
        {"alpha": 0.9, "eps": 1e-3},
    ),
    "rmsprop, momentum": (
        adaptive.rmsprop_momentum_update, (0, 0), {"epsilon": 1e-3, "epsilon_inside": False, "momentum": 0.8},
        "RMSprop", {"alpha": 0.9, "eps": 1e-3, "momentum": 0.8},
    ),
    "rmsprop, centered": (
        adaptive.rmsprop_centered_update, (0, 0, 0), {"epsilon": 1e-3, "epsilon_inside": False, "momentum": 0.8},
        "RMSprop", {"alpha": 0.9, "eps": 1e-3, "momentum": 0.8, "centered": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", [SHAPE, LARGE, ()])
@pytest.mark.parametrize("case", CASES)
def test_updates_agree_with_torch(case, shape):
    update, slots, attrs, name, options = CASES[case]
    close(train(update, slots, shape=shape, **attrs), torch_train(name, shape=shape, **options), terms=100)


@pytest.mark.parametrize("case", CASES)
def test_float32_follows_float64(case):
    update, slots, attrs, _, _ = CASES[case]
    exact = train(update, slots, shape=LARGE, **attrs)
    close(train(update, slots, shape=LARGE, dtype="float32", **attrs), exact, terms=1000)


@pytest.mark.parametrize(
    "name", sorted(n for n in TABLE if n.endswith("_update") and TABLE[n].tensors[0] == "variable")
)
def test_every_update_has_a_case_here_or_a_test_of_its_own(name):
    tested = {case[0].op.name for case in CASES.values()} | {"lion_update", "ftrl_update"}
    assert name in tested


# ---------------------------------------------------------------- what the papers promise


def test_lion_moves_every_weight_by_the_rate():
    w, g = draw(SHAPE), draw(SHAPE, 1)
    moved, m = updates.lion_update(w, g, np.zeros(SHAPE), RATE)
    close(w - moved.numpy(), 0.1 * np.sign(g))
    close(m, 0.01 * g)


@pytest.mark.parametrize("step", [1, 2, 1000, 10**6])
@pytest.mark.parametrize("source", ["kernel", "decomposition"])
def test_the_bias_correction_is_exact_in_float32(step, source):
    """1 - 0.999**1 from a rounded power would be wrong in the fourth digit."""
    zero, one = (corenn.full((2,), v, "float32") for v in (0.0, 1.0))
    function = TABLE["adam_update"].decomposition if source == "decomposition" else updates.adam_update
    attrs = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 0.0, "nesterov": False, "weight_decay": 0.0}
    moved = function(zero, one, zero, zero, corenn.tensor(1.0), corenn.tensor(np.int64(step)), **attrs)[0].numpy()
    alpha = math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    close(moved, np.full(2, -alpha * 0.1 / math.sqrt(0.001)), terms=1)


def test_adam_nesterov_is_tensorflows():
    """TensorFlow 1's kernel: beta_1 * m + (1 - beta_1) * g takes the place of m in the numerator."""
    w, g = draw(SHAPE), draw(SHAPE, 1)
    moved, m, v = updates.adam_update(w, g, np.zeros(SHAPE), np.zeros(SHAPE), RATE, 1, nesterov=True, epsilon=1e-8)
    close(m, 0.1 * g)
    numerator = 0.9 * 0.1 * g + 0.1 * g
    alpha = 0.1 * math.sqrt(1 - 0.999) / (1 - 0.9)
    close(moved, w - alpha * numerator / (np.sqrt(0.001 * g * g) + 1e-8), terms=100)
    close(v, 0.001 * g * g)


def test_epsilon_goes_inside_the_root_or_beside_it():
    one, zero, four = np.ones(1), np.zeros(1), np.full(1, 3.0)
    for inside, expected in ((True, 1 / math.sqrt(4.0 + 5.0)), (False, 1 / (2.0 + 5.0))):
        moved, total = adaptive.adagrad_update(zero, one, four, 1.0, epsilon=5.0, epsilon_inside=inside)
        close(moved, np.array([-expected]))
        close(total, np.array([4.0]))


@pytest.mark.parametrize("power", [-0.5, -0.8])
@pytest.mark.parametrize("shape", [SHAPE, LARGE])
def test_ftrl_is_its_paper_element_by_element(power, shape):
    """McMahan et al. 2013, algorithm 1, with eta_t = (beta + n**p) / alpha in place of its square root."""
    l1, l2, beta, rate = 0.4, 0.3, 0.7, 0.2
    w, n, z = np.zeros(shape), np.full(shape, 0.1), np.zeros(shape)
    found = train(
        adaptive.ftrl_update, (0.1, 0), rate=rate, shape=shape, learning_rate_power=power, l1=l1, l2=l2, beta=beta
    )
    w = draw(shape)
    for t in range(1, STEPS + 1):
        g = draw(shape, t)
        sigma = ((n + g * g) ** -power - n**-power) / rate
        z, n = z + g - sigma * w, n + g * g
        w = np.where(np.abs(z) <= l1, 0.0, -(z - np.sign(z) * l1) / ((beta + n**-power) / rate + 2 * l2))
    close(found, w, terms=100)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 2.0), st.integers(0, 99))
def test_ftrl_gives_exact_zeros_where_gradients_are_small(l1, seed):
    g = draw(50, seed)
    moved, _, linear = adaptive.ftrl_update(np.zeros(50), g, np.full(50, 0.1), np.zeros(50), 0.1, l1=l1)
    assert ((moved.numpy() == 0) == (np.abs(linear.numpy()) <= l1)).all()


def test_weight_decay_multiplies_before_the_step():
    w, g = draw(SHAPE), np.zeros(SHAPE)
    for update, slots in ((updates.sgd_update, 0), (updates.lion_update, 1), (adaptive.adagrad_update, 1)):
        found = update(w, g, *[np.ones(SHAPE)] * slots, RATE, weight_decay=0.5)
        moved = found[0] if isinstance(found, tuple) else found
        expected = w * 0.95 - (0.1 if update is updates.lion_update else 0.0)
        close(moved, expected)


@pytest.mark.parametrize("view", ["transposed", "strided"])
def test_gradients_may_be_views(view):
    shape = (300, 400)
    w, m, v = draw(shape), draw(shape, 1), draw(shape, 2) ** 2
    whole = draw((400, 600), 3)
    g = (
        corenn.transpose(corenn.tensor(whole[:, :300].copy()))
        if view == "transposed"
        else corenn.tensor(whole)[:300, 100:500]
    )
    plain = corenn.tensor(np.ascontiguousarray(g.numpy()))
    for mine, expected in zip(
        updates.adam_update(w, g, m, v, 0.1, 3), updates.adam_update(w, plain, m, v, 0.1, 3), strict=True
    ):
        assert (mine.numpy() == expected.numpy()).all()
