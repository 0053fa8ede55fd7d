"""Every optimizer, 20 steps, against an independent implementation of its formulas in NumPy float64, and PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest

import corenn
from corenn import optimizers

STEPS = 20
RNG = np.random.default_rng(0)
START = RNG.normal(size=(4, 3))
GRADIENTS = RNG.normal(size=(STEPS, 4, 3)) * np.linspace(0.1, 3, STEPS)[:, None, None]
GRADIENTS[5, 0] = 0.0


def run(optimizer, dtype="float64", start=START, gradients=GRADIENTS):
    """The variable after each step."""
    variable = corenn.Variable(start, name="w", dtype=dtype)
    path = []
    for gradient in gradients:
        optimizer.apply_gradients([(corenn.tensor(gradient, dtype=dtype), variable)])
        path.append(variable.numpy())
    assert optimizer.iterations == len(gradients)
    return np.array(path)


# ---- each takes w and the gradients one by one and yields w; written from the papers and TensorFlow's kernels


def sgd(w, lr=0.1, momentum=0.0, nesterov=False, decay=0.0):
    v = 0.0
    for g in GRADIENTS:
        w = w - lr * decay * w
        v = momentum * v - lr * g
        w = w + (momentum * v - lr * g if nesterov else v)
        yield w


def rmsprop(w, lr=0.01, rho=0.9, momentum=0.0, eps=1e-7, centered=False):
    s = m = v = np.zeros_like(w)
    for g in GRADIENTS:
        s = rho * s + (1 - rho) * g**2
        m = rho * m + (1 - rho) * g
        spread = s - m**2 if centered else s
        v = momentum * v + lr * g / np.sqrt(spread + eps)
        w = w - v
        yield w


def adam(w, lr=0.01, b1=0.9, b2=0.999, eps=1e-7, amsgrad=False, decay=0.0):
    m = v = top = np.zeros_like(w)
    for t, g in enumerate(GRADIENTS, 1):
        w = w - lr * decay * w
        m = m + (g - m) * (1 - b1)
        v = v + (g**2 - v) * (1 - b2)
        top = np.maximum(top, v)
        alpha = lr * math.sqrt(1 - b2**t) / (1 - b1**t)
        w = w - alpha * m / (np.sqrt(top if amsgrad else v) + eps)
        yield w


def nadam(w, lr=0.01, b1=0.9, b2=0.999, eps=1e-7):
    m = v = np.zeros_like(w)
    product = 1.0
    for t, g in enumerate(GRADIENTS, 1):
        now, later = b1 * (1 - 0.5 * 0.96**t), b1 * (1 - 0.5 * 0.96 ** (t + 1))
        product *= now
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = later * m / (1 - product * later) + (1 - now) * g / (1 - product)
        w = w - lr * m_hat / (np.sqrt(v / (1 - b2**t)) + eps)
        yield w


def adamax(w, lr=0.01, b1=0.9, b2=0.999, eps=1e-7):
    m = u = np.zeros_like(w)
    for t, g in enumerate(GRADIENTS, 1):
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, np.abs(g))
        w = w - lr / (1 - b1**t) * m / (u + eps)
        yield w


def adagrad(w, lr=0.1, start=0.1, eps=1e-7):
    s = np.full_like(w, start)
    for g in GRADIENTS:
        s = s + g**2
        w = w - lr * g / np.sqrt(s + eps)
        yield w


def adadelta(w, lr=1.0, rho=0.95, eps=1e-7):
    s = d = np.zeros_like(w)
    for g in GRADIENTS:
        s = rho * s + (1 - rho) * g**2
        step = np.sqrt(d + eps) / np.sqrt(s + eps) * g
        d = rho * d + (1 - rho) * step**2
        w = w - lr * step
        yield w


def ftrl(w, lr=0.1, power=-0.5, start=0.1, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0):
    n, z = np.full_like(w, start), np.zeros_like(w)
    for g in GRADIENTS:
        new = n + g**2
        z = z + g + 2 * shrinkage * w - (new**-power - n**-power) / lr * w
        quadratic = new**-power / lr + 2 * (l2 + beta / (2 * lr))
        w = np.where(np.abs(z) > l1, (np.sign(z) * l1 - z) / quadratic, 0.0)
        n = new
        yield w


def lion(w, lr=0.01, b1=0.9, b2=0.99, decay=0.0):
    m = np.zeros_like(w)
    for g in GRADIENTS:
        w = w - lr * decay * w
        w = w - lr * np.sign(b1 * m + (1 - b1) * g)
        m = b2 * m + (1 - b2) * g
        yield w


CASES = [
    (lambda: optimizers.SGD(0.1), sgd(START)),
    (lambda: optimizers.SGD(0.1, momentum=0.9), sgd(START, momentum=0.9)),
    (lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True), sgd(START, momentum=0.9, nesterov=True)),
    (lambda: optimizers.SGD(0.1, weight_decay=0.1), sgd(START, decay=0.1)),
    (lambda: optimizers.SGD(0.1, momentum=0.5, weight_decay=0.1), sgd(START, momentum=0.5, decay=0.1)),
    (lambda: optimizers.RMSprop(0.01), rmsprop(START)),
    (lambda: optimizers.RMSprop(0.01, 0.8, momentum=0.7, epsilon=1e-3), rmsprop(START, 0.01, 0.8, 0.7, 1e-3)),
    (lambda: optimizers.RMSprop(0.01, centered=True), rmsprop(START, centered=True)),
    (lambda: optimizers.RMSprop(0.01, momentum=0.7, centered=True), rmsprop(START, momentum=0.7, centered=True)),
    (lambda: optimizers.Adam(0.01), adam(START)),
    (lambda: optimizers.Adam(0.01, 0.8, 0.95, epsilon=1e-3), adam(START, 0.01, 0.8, 0.95, 1e-3)),
    (lambda: optimizers.Adam(0.01, beta_1=0.0), adam(START, b1=0.0)),
    (lambda: optimizers.Adam(0.01, beta_2=0.5, amsgrad=True), adam(START, b2=0.5, amsgrad=True)),
    (lambda: optimizers.AdamW(0.01), adam(START, decay=0.004)),
    (lambda: optimizers.AdamW(0.01, weight_decay=0.3), adam(START, decay=0.3)),
    (lambda: optimizers.Nadam(0.01), nadam(START)),
    (lambda: optimizers.Adamax(0.01), adamax(START)),
    (lambda: optimizers.Adagrad(0.1), adagrad(START)),
    (lambda: optimizers.Adagrad(0.1, initial_accumulator_value=0.0, epsilon=1e-2), adagrad(START, 0.1, 0.0, 1e-2)),
    (lambda: optimizers.Adadelta(1.0), adadelta(START)),
    (lambda: optimizers.Ftrl(0.1), ftrl(START)),
    (
        lambda: optimizers.Ftrl(
            0.1, -0.7, 0.2, l1_regularization_strength=0.4, l2_regularization_strength=0.1,
            l2_shrinkage_regularization_strength=0.05, beta=0.3,
        ),
        ftrl(START, 0.1, -0.7, 0.2, 0.4, 0.1, 0.05, 0.3),
    ),
    (lambda: optimizers.Lion(0.01), lion(START)),
    (lambda: optimizers.Lion(0.01, 0.8, 0.9, weight_decay=0.2), lion(START, 0.01, 0.8, 0.9, 0.2)),
]  # fmt: skip
EXPECTED = [np.array(list(path)) for _, path in CASES]


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda i: repr(CASES[i][0]()))
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-11), ("float32", 2e-4)])
def test_trajectory(case, dtype, rtol):
    """All 20 points of the path, so that a mistake in the first or in a later step shows."""
    path = run(CASES[case][0](), dtype)
    assert path.dtype == dtype
    np.testing.assert_allclose(path, EXPECTED[case], rtol=rtol, atol=rtol)


PYTORCH = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, lambda: optimizers.SGD(0.1, 0.9, True)),
    ("Adam", {"lr": 0.01, "eps": 0.0}, lambda: optimizers.Adam(0.01, epsilon=0.0)),
    ("AdamW", {"lr": 0.01, "eps": 0.0, "weight_decay": 0.1}, lambda: optimizers.AdamW(0.01, 0.1, epsilon=0.0)),
    ("Adamax", {"lr": 0.01, "eps": 0.0}, lambda: optimizers.Adamax(0.01, epsilon=0.0)),
    (
        "Adagrad",
        {"lr": 0.1, "initial_accumulator_value": 0.1, "eps": 0.0},
        lambda: optimizers.Adagrad(0.1, epsilon=0.0),
    ),
    ("Adadelta", {"lr": 1.0, "rho": 0.95, "eps": 1e-7}, lambda: optimizers.Adadelta(1.0)),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "eps": 0.0}, lambda: optimizers.RMSprop(0.01, epsilon=0.0)),
    (
        "RMSprop",
        {"lr": 0.01, "alpha": 0.9, "eps": 0.0, "momentum": 0.5, "centered": True},
        lambda: optimizers.RMSprop(0.01, momentum=0.5, epsilon=0.0, centered=True),
    ),
]


@pytest.mark.parametrize(("name", "options", "mine"), PYTORCH, ids=lambda v: v if isinstance(v, str) else "")
def test_pytorch_agrees(name, options, mine):
    """Where the formulas coincide: at epsilon 0 (its place differs), at a constant rate, with no gradient of 0."""
    torch = pytest.importorskip("torch")
    gradients = np.where(GRADIENTS == 0, 0.5, GRADIENTS)
    w = torch.tensor(START, requires_grad=True)
    theirs = getattr(torch.optim, name)([w], **options)
    path = []
    for g in gradients:
        w.grad = torch.tensor(g)
        theirs.step()
        path.append(w.detach().numpy().copy())
    np.testing.assert_allclose(run(mine(), gradients=gradients), np.array(path), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam", "adamw", "nadam", "adamax", "adagrad", "ftrl", "lion"])
def test_a_quadratic_falls(name):
    """A sanity check on all: the sum of squares falls in 50 steps."""
    optimizer = optimizers.get(name)
    optimizer.learning_rate = 0.05
    w = corenn.Variable(START, name="w", dtype="float32")
    first = corenn.sum(w * w).item()
    for _ in range(50):
        optimizer.minimize(lambda: corenn.sum(w * w), [w])
    assert corenn.sum(w * w).item() < 0.5 * first


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["sgd", "adam", "lion"])
def test_half_precision_variables(name, dtype):
    variable = corenn.Variable(START, name="w", dtype=dtype)
    optimizer = optimizers.get(name)
    optimizer.learning_rate = 0.125
    optimizer.apply_gradients([(corenn.tensor(GRADIENTS[0], dtype=dtype), variable)])
    assert variable.dtype == dtype
    expected = run(type(optimizer)(0.125), "float32", gradients=GRADIENTS[:1])[0]
    np.testing.assert_allclose(variable.numpy().astype(np.float32), expected, rtol=2e-2, atol=2e-2)
