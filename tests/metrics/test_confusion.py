"""Metrics of decisions and areas under curves, against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest

import corenn
from corenn import metrics
from corenn.errors import AttributeValueError, ShapeError, UsageError
from corenn.tensor import Tensor

sklearn = pytest.importorskip("sklearn.metrics")

RNG = np.random.default_rng(8)
N, C = 400, 4
Y = (RNG.random(N) < 0.4).astype(np.int64)
P = np.clip(0.35 * Y + RNG.random(N) * 0.6, 0, 1)
W = RNG.random(N)
CLASSES = RNG.integers(0, C, N)
SCORES = RNG.random((N, C)) + 0.6 * np.eye(C)[CLASSES]
PREDICTED = SCORES.argmax(-1)


def batches(metric, y, p, w=None, size=64):
    metric.reset_state()
    for i in range(0, len(y), size):
        metric.update_state(y[i : i + size], p[i : i + size], None if w is None else w[i : i + size])
    return metric.result().numpy()


@pytest.mark.parametrize("w", [None, W], ids=["plain", "weighted"])
@pytest.mark.parametrize("threshold", [None, 0.3, 0.5, 0.7])
def test_counts_precision_and_recall(threshold, w):
    cut = 0.5 if threshold is None else threshold
    called = cut < P
    tn, fp, fn, tp = sklearn.confusion_matrix(Y, called, sample_weight=w).ravel()
    expected = {
        metrics.TruePositives: tp,
        metrics.FalsePositives: fp,
        metrics.TrueNegatives: tn,
        metrics.FalseNegatives: fn,
        metrics.Precision: sklearn.precision_score(Y, called, sample_weight=w),
        metrics.Recall: sklearn.recall_score(Y, called, sample_weight=w),
        metrics.Specificity: sklearn.recall_score(1 - Y, ~called, sample_weight=w),
    }
    for kind, value in expected.items():
        found = batches(kind(threshold), Y, P, w)
        assert found.shape == ()
        assert found == pytest.approx(value, rel=1e-6), kind.__name__


@pytest.mark.parametrize("w", [None, W], ids=["plain", "weighted"])
def test_several_thresholds_at_once_are_each_of_them(w):
    cuts = [0.0, 0.2, 0.35, 0.5, 0.9, 1.0]
    for kind in (metrics.TruePositives, metrics.FalsePositives, metrics.TrueNegatives, metrics.FalseNegatives):
        together = batches(kind(cuts), Y, P, w)
        np.testing.assert_allclose(together, [batches(kind(c), Y, P, w) for c in cuts], rtol=1e-6, atol=1e-4)


def test_predictions_at_a_threshold_are_not_above_it():
    cuts = [0.25, 0.5, 0.75]
    y, p = np.ones(3), np.array(cuts)
    np.testing.assert_array_equal(batches(metrics.TruePositives(cuts), y, p), [2, 1, 0])
    assert batches(metrics.TruePositives(0.5), y, p) == 1


def test_nan_is_above_nothing():
    y, p = np.ones(2), np.array([np.nan, 0.9])
    assert batches(metrics.TruePositives(0.5), y, p) == 1
    np.testing.assert_array_equal(batches(metrics.TruePositives([0.1, 0.5]), y, p), [1, 1])


def test_top_k_and_class_id():
    """By class in a multi-class problem, as a loop over samples counts."""
    one_hot = np.eye(C)[CLASSES]
    order = np.argsort(-SCORES, axis=-1)[:, :2]
    hits = sum(CLASSES[i] in order[i] for i in range(N))
    assert batches(metrics.Precision(top_k=2), one_hot, SCORES) == pytest.approx(hits / (2 * N))
    assert batches(metrics.Recall(top_k=2), one_hot, SCORES) == pytest.approx(hits / N)
    for c in range(C):
        mine = [i for i in range(N) if c in order[i]]
        expected = np.mean([CLASSES[i] == c for i in mine])
        assert batches(metrics.Precision(top_k=2, class_id=c), one_hot, SCORES) == pytest.approx(expected)
        expected = sklearn.precision_score(c == CLASSES, SCORES[:, c] > 0.8)
        assert batches(metrics.Precision(0.8, class_id=c), one_hot, SCORES) == pytest.approx(expected)


def test_nothing_predicted_or_labelled_gives_zero():
    assert batches(metrics.Precision(), np.ones(3), np.zeros(3)) == 0.0
    assert batches(metrics.Recall(), np.zeros(3), np.ones(3)) == 0.0
    assert metrics.Precision().result().item() == 0.0
    np.testing.assert_array_equal(metrics.Recall([0.1, 0.2]).result().numpy(), [0.0, 0.0])


@pytest.mark.parametrize("w", [None, W], ids=["plain", "weighted"])
@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_f_scores(average, beta, w):
    expected = sklearn.fbeta_score(CLASSES, PREDICTED, beta=beta, average=average, sample_weight=w)
    one_hot = np.eye(C)[CLASSES]
    for y in (CLASSES, CLASSES[:, None], one_hot):
        np.testing.assert_allclose(batches(metrics.FBetaScore(average, beta), y, SCORES, w), expected, rtol=1e-6)
    if beta == 1.0:
        np.testing.assert_allclose(batches(metrics.F1Score(average), CLASSES, SCORES, w), expected, rtol=1e-6)


@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
def test_f_scores_of_several_labels_at_once(average):
    several = (RNG.random((N, C)) < 0.5).astype(np.float64)
    expected = sklearn.f1_score(several, SCORES > 0.9, average=average)
    np.testing.assert_allclose(batches(metrics.F1Score(average, threshold=0.9), several, SCORES), expected, rtol=1e-6)


@pytest.mark.parametrize("w", [None, W], ids=["plain", "weighted"])
def test_confusion_matrix(w):
    expected = sklearn.confusion_matrix(CLASSES, PREDICTED, sample_weight=w)
    one_hot = np.eye(C)[CLASSES]
    for metric, y, p in (
        (metrics.ConfusionMatrix(C), CLASSES, SCORES),
        (metrics.ConfusionMatrix(C), CLASSES[:, None], SCORES),
        (metrics.ConfusionMatrix(C), CLASSES, PREDICTED),
        (metrics.ConfusionMatrix(C, sparse_y_true=False), one_hot, SCORES),
    ):
        np.testing.assert_allclose(batches(metric, y, p, w), expected, rtol=1e-5)
    binary = sklearn.confusion_matrix(Y, P > 0.5, sample_weight=w)
    np.testing.assert_allclose(batches(metrics.ConfusionMatrix(2), Y, P, w), binary, rtol=1e-5)
    np.testing.assert_allclose(batches(metrics.ConfusionMatrix(2), Y, P[:, None], w), binary, rtol=1e-5)


def test_confusion_matrix_leaves_out_ignored_samples_and_refuses_unknown_classes():
    y = np.array([0, 1, 255, 1])
    metric = metrics.ConfusionMatrix(2, ignore_class=255)
    np.testing.assert_array_equal(batches(metric, y, np.array([0, 1, 1, 0])), [[1, 0], [1, 1]])
    with pytest.raises(ShapeError):
        metrics.ConfusionMatrix(2)(np.array([0, 2]), np.array([0, 1]))
    with pytest.raises(ShapeError):
        metrics.ConfusionMatrix(2)(np.array([0, 1]), np.array([0, 2]))


def test_intersection_over_union():
    images, predicted = CLASSES.reshape(4, 10, 10), PREDICTED.reshape(4, 10, 10)
    each = sklearn.jaccard_score(CLASSES, PREDICTED, average=None)
    assert batches(metrics.MeanIoU(C), images, predicted, size=1) == pytest.approx(each.mean(), rel=1e-6)
    found = batches(metrics.IoU(C, target_class_ids=[0, 2]), images, predicted, size=1)
    assert found == pytest.approx(each[[0, 2]].mean(), rel=1e-6)
    absent = np.where(CLASSES == 3, 0, CLASSES), np.where(PREDICTED == 3, 0, PREDICTED)
    expected = sklearn.jaccard_score(*absent, average="macro")
    assert batches(metrics.MeanIoU(C), *absent) == pytest.approx(expected, rel=1e-6), "class 3 does not occur"
    kept = CLASSES != 1
    expected = sklearn.jaccard_score(CLASSES[kept], PREDICTED[kept], average="macro", labels=range(C))
    assert batches(metrics.MeanIoU(C, ignore_class=1), CLASSES, PREDICTED) == pytest.approx(expected, rel=1e-6)


# ---------------------------------------------------------------- areas


@pytest.mark.parametrize("w", [None, W], ids=["plain", "weighted"])
def test_roc_area(w):
    """With a threshold between any two scores the trapezoids are exact."""
    cuts = np.unique(np.clip(np.round(P, 6), 1e-3, 1 - 1e-3))
    metric = metrics.AUC(thresholds=list(cuts))
    expected = sklearn.roc_auc_score(Y, P, sample_weight=w)
    assert batches(metric, Y, P, w) == pytest.approx(expected, abs=2e-4)
    assert batches(metrics.AUC(2000), Y, P, w) == pytest.approx(expected, abs=2e-4)
    logits = np.log(np.clip(P, 1e-6, 1 - 1e-6) / (1 - np.clip(P, 1e-6, 1 - 1e-6)))
    assert batches(metrics.AUC(2000, from_logits=True), Y, logits, w) == pytest.approx(expected, abs=2e-4)


def test_precision_recall_area():
    """Between the lower and the upper sums, and near the average precision of many scores."""
    lower, middle, upper = (
        batches(metrics.AUC(2000, "PR", how), Y, P) for how in ("minoring", "interpolation", "majoring")
    )
    assert lower < middle < upper
    assert middle == pytest.approx(sklearn.average_precision_score(Y, P), abs=5e-3)


def test_precision_recall_interpolation_by_integration():
    """Davis and Goadrich: between thresholds hits and calls grow linearly; integrate precision over recall finely."""
    cuts = [0.2, 0.5, 0.8]
    edges = [-1e-7, *cuts, 1 + 1e-7]
    hits = np.array([((t < P) & (Y == 1)).sum() for t in edges], float)
    calls = np.array([(t < P).sum() for t in edges], float)
    area = 0.0
    for i in range(len(edges) - 1):
        share = (np.arange(20000) + 0.5) / 20000
        h = hits[i + 1] + share * (hits[i] - hits[i + 1])
        c = calls[i + 1] + share * (calls[i] - calls[i + 1])
        area += np.mean(h / c) * (hits[i] - hits[i + 1]) / Y.sum()
    found = batches(metrics.AUC(curve="PR", thresholds=cuts), Y, P)
    assert found == pytest.approx(area, rel=1e-4)


def test_area_of_perfect_inverted_and_absent_predictions():
    y = np.array([0, 0, 1, 1])
    assert batches(metrics.AUC(), y, np.array([0.1, 0.2, 0.8, 0.9])) == pytest.approx(1.0)
    assert batches(metrics.AUC(), y, np.array([0.9, 0.8, 0.2, 0.1])) == pytest.approx(0.0)
    assert batches(metrics.AUC(curve="PR"), y, np.array([0.1, 0.2, 0.8, 0.9])) == pytest.approx(1.0)
    assert metrics.AUC().result().item() == 0.0
    assert metrics.AUC(curve="PR").result().item() == 0.0
    assert batches(metrics.AUC(), np.zeros(4), np.full(4, 0.3)) == 0.0


def test_counts_stay_exact_beyond_single_precision():
    metric = metrics.TruePositives()
    metric.update_state([1.0], [1.0], [2.0**24])
    for _ in range(3):
        metric.update_state([1.0], [1.0])
    assert metric.result().item() == 2**24 + 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: metrics.Precision([0.5, 0.2]), AttributeValueError, "increasing"),
        (lambda: metrics.Precision([]), AttributeValueError, "increasing"),
        (lambda: metrics.Precision(top_k=0), AttributeValueError, "top_k must be at least 1"),
        (lambda: metrics.Precision(top_k=9)(np.ones((2, 3)), np.ones((2, 3))), ShapeError, "no 9 classes"),
        (lambda: metrics.F1Score("mean"), AttributeValueError, "average 'mean'"),
        (lambda: metrics.FBetaScore(beta=0.0), AttributeValueError, "beta must be positive"),
        (lambda: metrics.F1Score()(Y, P), ShapeError, "need a class axis"),
        (lambda: metrics.AUC(1), AttributeValueError, "at least 2"),
        (lambda: metrics.AUC(curve="roc"), AttributeValueError, "neither 'ROC' nor 'PR'"),
        (lambda: metrics.AUC(summation_method="x"), AttributeValueError, "summation_method"),
        (lambda: metrics.AUC(thresholds=[0.0, 0.5]), AttributeValueError, "strictly inside"),
        (lambda: metrics.ConfusionMatrix(1), AttributeValueError, "num_classes must be at least 2"),
        (lambda: metrics.ConfusionMatrix(3)(CLASSES, P), UsageError, "cannot read predictions"),
        (lambda: metrics.ConfusionMatrix(4)(CLASSES[:-1], SCORES), ShapeError, "differ in number"),
        (lambda: metrics.IoU(3, target_class_ids=[3]), AttributeValueError, "classes are 0 to 2"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_results_are_tensors_of_the_predictions_device():
    metric = metrics.AUC()
    metric.update_state(Y, corenn.tensor(P))
    assert isinstance(metric.result(), Tensor)
    assert not math.isnan(metric.result().item())
