"""``tf.losses``: formulas, reductions, collections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(3)
Y = RNG.normal(size=(4, 5))
P = RNG.normal(size=(4, 5))
Z = (Y > 0).astype(np.float64)
Q = RNG.uniform(0.05, 0.95, (4, 5))
W = np.array([[1.0], [0.0], [2.0], [0.5]])
LOG_SOFTMAX = P - np.log(np.exp(P).sum(1, keepdims=True))
CLASSES = np.array([1, 0, 4, 2])
SMOOTH = np.eye(5)[CLASSES] * 0.9 + 0.1 / 5


def huber(y: Any, p: Any) -> Any:
    e = np.abs(p - y)
    return np.where(e < 1, e**2 / 2, e - 0.5)


LOSSES: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "absolute_difference": (lambda L: L.absolute_difference(Y, P), np.abs(P - Y)),
    "mean_squared_error": (lambda L: L.mean_squared_error(Y, P), (P - Y) ** 2),
    "hinge_loss": (lambda L: L.hinge_loss(Z, P), np.maximum(0, 1 - (2 * Z - 1) * P)),
    "huber_loss": (lambda L: L.huber_loss(Y, P), huber(Y, P)),
    "log_loss": (lambda L: L.log_loss(Z, Q), -Z * np.log(Q + 1e-7) - (1 - Z) * np.log(1 - Q + 1e-7)),
    "sigmoid_cross_entropy": (lambda L: L.sigmoid_cross_entropy(Z, P), np.log1p(np.exp(P)) - Z * P),
    "softmax_cross_entropy": (
        lambda L: L.softmax_cross_entropy(np.eye(5)[CLASSES], P, label_smoothing=0.1),
        -(SMOOTH * LOG_SOFTMAX).sum(1),
    ),
    "sparse_softmax_cross_entropy": (
        lambda L: L.sparse_softmax_cross_entropy(CLASSES, P),
        -LOG_SOFTMAX[np.arange(4), CLASSES],
    ),
    "cosine_distance": (lambda L: L.cosine_distance(Y, P, axis=1), 1 - (Y * P).sum(1)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str, tf1: Any) -> None:
    call, expected = LOSSES[name]
    loss = call(tf1.losses)
    assert tf1.losses.get_losses() == [loss]
    with tf1.Session() as session:
        np.testing.assert_allclose(session.run(loss), np.mean(expected), rtol=1e-5)


SQUARES = (P - Y) ** 2
REDUCTIONS = {
    "none": SQUARES * W,
    "weighted_sum": (SQUARES * W).sum(),
    "weighted_mean": (SQUARES * W).sum() / (W.sum() * 5),
    "weighted_sum_over_batch_size": (SQUARES * W).sum() / 20,
    "weighted_sum_by_nonzero_weights": (SQUARES * W).sum() / 15,
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_reductions(reduction: str, tf1: Any) -> None:
    assert reduction in tf1.losses.Reduction.all()
    loss = tf1.losses.mean_squared_error(Y, P, weights=W, reduction=reduction)
    with tf1.Session() as session:
        np.testing.assert_allclose(session.run(loss), REDUCTIONS[reduction], rtol=1e-5)


@pytest.mark.parametrize(("weights", "expected"), [(0.0, 0.0), (2.0, 2 * SQUARES.mean()), (W[:, 0], None)])
def test_weights(weights: Any, expected: Any, tf1: Any) -> None:
    loss = tf1.losses.mean_squared_error(Y, P, weights=weights)
    with tf1.Session() as session:
        found = session.run(loss)
    np.testing.assert_allclose(
        found, REDUCTIONS["weighted_sum_by_nonzero_weights"] if expected is None else expected, rtol=1e-5
    )


def test_total_loss_adds_regularisation(tf1: Any) -> None:
    w = tf1.get_variable("w", [3], initializer=tf1.ones_initializer(), regularizer=tf1.nn.l2_loss)
    tf1.losses.mean_squared_error(Y, P)
    tf1.losses.add_loss(tf1.constant(10.0))
    total, own = tf1.losses.get_total_loss(), tf1.losses.get_total_loss(add_regularization_losses=False)
    assert w.name == "w:0"
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        a, b, c = session.run([total, own, tf1.losses.get_regularization_loss()])
    np.testing.assert_allclose([a, b, c], [SQUARES.mean() + 11.5, SQUARES.mean() + 10, 1.5], rtol=1e-5)


def test_pairwise_error(tf1: Any) -> None:
    expected = 0.0
    for e in P - Y:
        pairs = [(e[i] - e[j]) ** 2 for i in range(5) for j in range(5) if i != j]
        expected += np.mean(pairs)
    with tf1.Session() as session:
        np.testing.assert_allclose(session.run(tf1.losses.mean_pairwise_squared_error(Y, P)), expected, rtol=1e-5)


def test_shapes_that_differ_are_refused(tf1: Any) -> None:
    with pytest.raises(ValueError, match=r"Shapes \(4, 5\) and \(4,\) are incompatible"):
        tf1.losses.mean_squared_error(Y[:, 0], P)
    with pytest.raises(ValueError, match="Invalid Reduction Key"):
        tf1.losses.mean_squared_error(Y, P, reduction="average")
