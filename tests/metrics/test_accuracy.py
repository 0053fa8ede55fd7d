"""Accuracies, against NumPy, scikit-learn and PyTorch."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import corenn
from corenn import losses, metrics
from corenn.errors import AttributeValueError, ShapeError, UsageError

RNG = np.random.default_rng(5)
N, C = 60, 7
SCORES = RNG.normal(size=(N, C))
CLASSES = RNG.integers(0, C, N)
ONE_HOT = np.eye(C)[CLASSES]
WEIGHTS = RNG.random(N)


def batches(metric, y, p, w=None, size=16):
    for i in range(0, len(y), size):
        metric.update_state(y[i : i + size], p[i : i + size], None if w is None else w[i : i + size])
    return metric.result().numpy()


def top_k(k):
    order = np.argsort(-SCORES, axis=-1)[:, :k]
    return (order == CLASSES[:, None]).any(-1)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(
    ("metric", "y", "p", "right"),
    [
        (metrics.Accuracy(), CLASSES, SCORES.argmax(-1), SCORES.argmax(-1) == CLASSES),
        (metrics.SparseCategoricalAccuracy(), CLASSES, SCORES, SCORES.argmax(-1) == CLASSES),
        (metrics.SparseCategoricalAccuracy(), CLASSES[:, None], SCORES, SCORES.argmax(-1) == CLASSES),
        (metrics.CategoricalAccuracy(), ONE_HOT, SCORES, SCORES.argmax(-1) == CLASSES),
        (metrics.BinaryAccuracy(), ONE_HOT, SCORES, ((SCORES > 0.5) == ONE_HOT).mean(-1)),
        (metrics.BinaryAccuracy(-0.3), ONE_HOT[:, 0], SCORES[:, 0], (SCORES[:, 0] > -0.3) == ONE_HOT[:, 0]),
        (metrics.BinaryAccuracy(), ONE_HOT[:, 0], SCORES[:, :1], (SCORES[:, 0] > 0.5) == ONE_HOT[:, 0]),
        (metrics.TopKCategoricalAccuracy(3), ONE_HOT, SCORES, top_k(3)),
        (metrics.SparseTopKCategoricalAccuracy(2), CLASSES, SCORES, top_k(2)),
        (metrics.AutoAccuracy(), CLASSES, SCORES, SCORES.argmax(-1) == CLASSES),
        (metrics.AutoAccuracy(), ONE_HOT, SCORES, SCORES.argmax(-1) == CLASSES),
        (metrics.AutoAccuracy(), ONE_HOT[:, 0], SCORES[:, :1], (SCORES[:, 0] > 0.5) == ONE_HOT[:, 0]),
        (metrics.AutoAccuracy(from_logits=True), ONE_HOT[:, :1], SCORES[:, :1], (SCORES[:, 0] > 0) == ONE_HOT[:, 0]),
    ],
)
def test_accuracies_over_batches(metric, y, p, right, weights):
    metric.reset_state()
    assert batches(metric, y, p, weights) == pytest.approx(np.average(right, weights=weights), rel=1e-6)


def test_scikit_learn_agrees():
    sklearn = pytest.importorskip("sklearn.metrics")
    expected = sklearn.top_k_accuracy_score(CLASSES, SCORES, k=3, sample_weight=WEIGHTS, labels=np.arange(C))
    assert batches(metrics.SparseTopKCategoricalAccuracy(3), CLASSES, SCORES, WEIGHTS) == pytest.approx(expected)
    expected = sklearn.accuracy_score(CLASSES, SCORES.argmax(-1), sample_weight=WEIGHTS)
    assert batches(metrics.SparseCategoricalAccuracy(), CLASSES, SCORES, WEIGHTS) == pytest.approx(expected)


def test_the_binary_threshold_is_strict():
    metric = metrics.BinaryAccuracy(0.5)
    assert metric([0, 1, 1, 0], [0.5, 0.5, 0.51, 0.49]).item() == 0.75


def test_ties_count_for_top_k_and_what_is_not_finite_does_not():
    metric = metrics.SparseTopKCategoricalAccuracy(1, name="top1")
    assert metric([0, 1], [[1.0, 1.0], [1.0, 1.0]]).item() == 1.0
    metric.reset_state()
    assert metric([0, 0], [[np.nan, 0.0], [0.0, np.inf]]).item() == 0.0


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(1, 10))
def test_batches_add_up(classes, size):
    """Any division into batches gives the accuracy of the whole."""
    p = np.random.default_rng(0).random((len(classes), 3))
    y = np.array(classes)
    whole = (p.argmax(-1) == y).mean()
    assert batches(metrics.SparseCategoricalAccuracy(), y, p, size=size) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize(
    ("y", "p", "logits", "expected"),
    [
        ((8,), (8, 1), False, "BinaryAccuracy"),
        ((8, 1), (8, 1), True, "BinaryAccuracy"),
        ((8,), (8,), False, "BinaryAccuracy"),
        ((8,), (8, 10), False, "SparseCategoricalAccuracy"),
        ((8, 1), (8, 10), False, "SparseCategoricalAccuracy"),
        ((8, 20), (8, 20, 10), False, "SparseCategoricalAccuracy"),
        ((8, 10), (8, 10), False, "CategoricalAccuracy"),
        ((None, 10), (None, 10), False, "CategoricalAccuracy"),
    ],
)
def test_the_accuracy_that_shapes_call_for(y, p, logits, expected):
    chosen = metrics.accuracy_for(y, p, logits)
    assert type(chosen).__name__ == expected
    if expected == "BinaryAccuracy":
        assert chosen.threshold == (0.0 if logits else 0.5)


@pytest.mark.parametrize(
    ("spec", "loss", "expected"),
    [
        ("accuracy", None, metrics.AutoAccuracy()),
        ("acc", None, metrics.AutoAccuracy(name="acc")),
        ("accuracy", "sparse_categorical_crossentropy", metrics.SparseCategoricalAccuracy("accuracy")),
        ("accuracy", "categorical_crossentropy", metrics.AutoAccuracy()),
        ("accuracy", losses.BinaryCrossentropy(), metrics.BinaryAccuracy(name="accuracy")),
        ("accuracy", losses.BinaryCrossentropy(from_logits=True), metrics.BinaryAccuracy(0.0, name="accuracy")),
        ("crossentropy", losses.BinaryCrossentropy(True), metrics.BinaryCrossentropy(True, name="crossentropy")),
        ("ce", "sparse_categorical_crossentropy", metrics.SparseCategoricalCrossentropy(name="ce")),
        ("ce", "categorical_crossentropy", metrics.CategoricalCrossentropy(name="ce")),
        ("Accuracy", None, metrics.AutoAccuracy()),
    ],
)
def test_get_by_name_and_loss(spec, loss, expected):
    found = metrics.get(spec, loss=loss)
    assert repr(found) == repr(expected)
    assert found.name == expected.name


def test_crossentropy_needs_a_loss_that_says_which():
    with pytest.raises(UsageError, match="needs a loss that says which"):
        metrics.get("crossentropy", loss="mse")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: metrics.TopKCategoricalAccuracy(0), AttributeValueError, "k must be at least 1"),
        (lambda: metrics.CategoricalAccuracy()(CLASSES, SCORES), ShapeError, "differ in shape"),
        (lambda: metrics.SparseCategoricalAccuracy()(ONE_HOT, SCORES), ShapeError, "do not fit"),
        (lambda: metrics.accuracy_for((2, 3, 4), (2, 3)), ShapeError, "no accuracy is known"),
        (lambda: metrics.BinaryAccuracy()(np.ones((4, 2)), np.ones((4, 3))), ShapeError, "differ in shape"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_functions_take_plain_data():
    np.testing.assert_array_equal(metrics.sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]]).numpy(), [1, 0])
    np.testing.assert_array_equal(metrics.categorical_accuracy(corenn.eye(2), corenn.eye(2)).numpy(), [1, 1])
