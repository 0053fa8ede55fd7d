"""``tf.metrics``: what they give after several batches, their local variables and names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(4)
LABELS, GUESSES = RNG.integers(0, 3, (2, 20)), RNG.integers(0, 3, (2, 20))
TRUTH, SCORES = RNG.random((2, 20)) > 0.5, RNG.uniform(0.01, 0.99, (2, 20)).astype(np.float32)
WEIGHTS = RNG.random((2, 20)).astype(np.float32)
DECISIONS = SCORES > 0.5


def share(hits: Any, w: Any) -> Any:
    return (hits * w).sum() / w.sum()


def mean_iou(y: Any, p: Any) -> Any:
    y, p = y.ravel(), p.ravel()
    return np.mean([((y == c) & (p == c)).sum() / ((y == c) | (p == c)).sum() for c in range(3)])


def auc(y: Any, p: Any) -> Any:
    """The probability that a positive scores above a negative."""
    pairs = [(a > b) + 0.5 * (a == b) for a in p[y] for b in p[~y]]
    return np.mean(pairs)


CASES: dict[str, tuple[Callable[..., Any], Any, Any, Callable[..., Any], float]] = {
    "accuracy": (lambda M, y, p, w: M.accuracy(y, p, w), LABELS, GUESSES, lambda y, p, w: share(y == p, w), 1e-5),
    "precision": (
        lambda M, y, p, w: M.precision(y, p, w), TRUTH, DECISIONS,
        lambda y, p, w: share(y[p], w[p]), 1e-5,
    ),
    "recall": (lambda M, y, p, w: M.recall(y, p, w), TRUTH, DECISIONS, lambda y, p, w: share(p[y], w[y]), 1e-5),
    "true_positives": (
        lambda M, y, p, w: M.true_positives(y, p, w), TRUTH, DECISIONS, lambda y, p, w: (y & p) @ w, 1e-5,
    ),
    "false_negatives": (
        lambda M, y, p, w: M.false_negatives(y, p, w), TRUTH, DECISIONS, lambda y, p, w: (y & ~p) @ w, 1e-5,
    ),
    "mean_squared_error": (
        lambda M, y, p, w: M.mean_squared_error(y, p, w), WEIGHTS, SCORES,
        lambda y, p, w: share((y - p) ** 2, w), 1e-5,
    ),
    "root_mean_squared_error": (
        lambda M, y, p, w: M.root_mean_squared_error(y, p, w), WEIGHTS, SCORES,
        lambda y, p, w: np.sqrt(share((y - p) ** 2, w)), 1e-5,
    ),
    "mean_absolute_error": (
        lambda M, y, p, w: M.mean_absolute_error(y, p, w), WEIGHTS, SCORES,
        lambda y, p, w: share(abs(y - p), w), 1e-5,
    ),
    "mean_iou": (lambda M, y, p, w: M.mean_iou(y, p, 3), LABELS, GUESSES, lambda y, p, w: mean_iou(y, p), 1e-5),
    "auc": (
        lambda M, y, p, w: M.auc(y, p, num_thresholds=2000), TRUTH, SCORES, lambda y, p, w: auc(y, p), 1e-2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_metrics_over_two_batches(name: str, tf1: Any) -> None:
    call, labels, guesses, expected, tolerance = CASES[name]
    y = tf1.placeholder(str(labels.dtype), [None])
    p = tf1.placeholder(str(guesses.dtype), [None])
    w = tf1.placeholder(tf1.float32, [None])
    value, update = call(tf1.metrics, y, p, w)
    assert tf1.global_variables() == [] and tf1.local_variables()
    with tf1.Session() as session:
        session.run(tf1.local_variables_initializer())
        for i in range(2):
            session.run(update, {y: labels[i], p: guesses[i], w: WEIGHTS[i]})
        found = session.run(value)
    np.testing.assert_allclose(found, expected(labels.ravel(), guesses.ravel(), WEIGHTS.ravel()), rtol=tolerance)


def test_names_and_collections(tf1: Any) -> None:
    value, update = tf1.metrics.accuracy([1, 2], [1, 0], updates_collections="ups")
    assert [v.name for v in tf1.local_variables()] == ["accuracy/total:0", "accuracy/count:0"]
    assert (value.name, update.name) == ("accuracy/value:0", "accuracy/update_op:0")
    assert tf1.get_collection("ups") == [update]
    tf1.metrics.mean([1.0], name="again")
    tf1.metrics.accuracy([1], [1])
    assert [v.name for v in tf1.local_variables()][2:] == [
        "again/total:0", "again/count:0", "accuracy_1/total:0", "accuracy_1/count:0",
    ]  # fmt: skip


def test_nothing_counted_is_zero(tf1: Any) -> None:
    value, _ = tf1.metrics.precision([True], [True])
    with tf1.Session() as session:
        session.run(tf1.local_variables_initializer())
        assert session.run(value) == 0.0


def test_ranks(tf1: Any) -> None:
    scores = np.float32([[0.1, 0.5, 0.4], [0.9, 0.0, 0.1], [0.2, 0.3, 0.5]])
    labels = np.array([[2], [1], [2]])
    recall = tf1.metrics.recall_at_k(labels, scores, 2)
    average = tf1.metrics.average_precision_at_k(labels, scores, 2)
    with tf1.Session() as session:
        session.run(tf1.local_variables_initializer())
        assert session.run([recall[1], average[1]]) == [pytest.approx(2 / 3), pytest.approx(0.5)]


def test_eager_execution_has_keras_metrics_instead(tf2: Any) -> None:
    from corenn_tensorflow.metrics.averages import mean

    with pytest.raises(ValueError, match="not supported when eager execution is enabled"):
        mean([1.0])
