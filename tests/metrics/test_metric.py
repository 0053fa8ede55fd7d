"""What all metrics share, means and sums, and metrics of regression and of distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest

import corenn
from corenn import losses, metrics
from corenn.checkpoint import pack_state, unpack_state
from corenn.errors import AttributeValueError, CheckpointError, ShapeError, UsageError

RNG = np.random.default_rng(9)
N = 50
Y = RNG.normal(size=(N, 3)) + 5
P = Y + RNG.normal(size=(N, 3))
W = RNG.random(N)
LOGITS = RNG.normal(size=(N, 4))
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
CLASSES = RNG.integers(0, 4, N)
TARGETS = RNG.dirichlet(np.ones(4), size=N)
BINARY = (RNG.random((N, 4)) < 0.5).astype(float)


def batches(metric, y, p, w=None, size=16):
    metric.reset_state()
    for i in range(0, len(y), size):
        metric.update_state(y[i : i + size], p[i : i + size], None if w is None else w[i : i + size])
    return metric.result().numpy()


def mean(values, w):
    return np.average(values, weights=w)


@pytest.mark.parametrize("w", [None, W], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("metric", "y", "p", "values"),
    [
        (metrics.MeanSquaredError(), Y, P, ((P - Y) ** 2).mean(-1)),
        (metrics.MeanAbsoluteError(), Y, P, np.abs(P - Y).mean(-1)),
        (metrics.MeanAbsolutePercentageError(), Y, P, 100 * np.abs((P - Y) / Y).mean(-1)),
        (metrics.MeanSquaredLogarithmicError(), Y, P, ((np.log1p(P) - np.log1p(Y)) ** 2).mean(-1)),
        (metrics.LogCoshError(), Y, P, np.log(np.cosh(P - Y)).mean(-1)),
        (metrics.Poisson(), Y, P, (P - Y * np.log(P + 1e-7)).mean(-1)),
        (metrics.Hinge(), BINARY, LOGITS, np.maximum(1 - (2 * BINARY - 1) * LOGITS, 0).mean(-1)),
        (metrics.SquaredHinge(), BINARY, LOGITS, (np.maximum(1 - (2 * BINARY - 1) * LOGITS, 0) ** 2).mean(-1)),
        (
            metrics.CosineSimilarity(),
            Y,
            P,
            (Y * P).sum(-1) / np.linalg.norm(Y, axis=-1) / np.linalg.norm(P, axis=-1),
        ),
        (metrics.KLDivergence(), TARGETS, PROBABILITIES, (TARGETS * np.log(TARGETS / PROBABILITIES)).sum(-1)),
        (metrics.Entropy(), CLASSES, PROBABILITIES, -(PROBABILITIES * np.log(PROBABILITIES)).sum(-1)),
        (metrics.Entropy(from_logits=True), CLASSES, LOGITS, -(PROBABILITIES * np.log(PROBABILITIES)).sum(-1)),
        (
            metrics.BinaryCrossentropy(from_logits=True),
            BINARY,
            LOGITS,
            (np.log1p(np.exp(-LOGITS)) + (1 - BINARY) * LOGITS).mean(-1),
        ),
        (metrics.CategoricalCrossentropy(), TARGETS, PROBABILITIES, -(TARGETS * np.log(PROBABILITIES)).sum(-1)),
        (
            metrics.SparseCategoricalCrossentropy(from_logits=True),
            CLASSES,
            LOGITS,
            -np.log(PROBABILITIES[np.arange(N), CLASSES]),
        ),
        (metrics.get(lambda y, p: corenn.max(corenn.abs(p - y), axis=-1)), Y, P, np.abs(P - Y).max(-1)),
    ],
    ids=lambda m: getattr(m, "name", None),
)
def test_means_over_samples(metric, y, p, values, w):
    y = corenn.tensor(y, dtype="int64" if y.dtype.kind == "i" else "float64")
    y, p = y.numpy(), np.asarray(p)
    assert batches(metric, y, p, w) == pytest.approx(mean(values, w), rel=1e-5)


@pytest.mark.parametrize("w", [None, W], ids=["plain", "weighted"])
def test_root_mean_squared_error(w):
    found = batches(metrics.RootMeanSquaredError(), Y, P, w)
    assert found == pytest.approx(math.sqrt(mean(((P - Y) ** 2).mean(-1), w)), rel=1e-6)


def test_categorical_hinge():
    one_hot = np.eye(4)[CLASSES]
    values = np.maximum(1 + ((1 - one_hot) * LOGITS).max(-1) - (one_hot * LOGITS).sum(-1), 0)
    assert batches(metrics.CategoricalHinge(), one_hot, LOGITS) == pytest.approx(values.mean(), rel=1e-6)


@pytest.mark.parametrize("w", [None, W], ids=["plain", "weighted"])
def test_ignored_classes_do_not_count(w):
    y = np.where(CLASSES == 1, -1, CLASSES)
    values = -np.log(PROBABILITIES[np.arange(N), CLASSES])
    kept = CLASSES != 1
    metric = metrics.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    expected = mean(values[kept], None if w is None else w[kept])
    assert batches(metric, y, LOGITS, w) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("w", [None, W], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [("uniform_average", "uniform_average"), ("variance_weighted_average", "variance_weighted"), (None, "raw_values")],
)
def test_r2(mine, theirs, w):
    sklearn = pytest.importorskip("sklearn.metrics")
    expected = sklearn.r2_score(Y, P, multioutput=theirs, sample_weight=w)
    np.testing.assert_allclose(batches(metrics.R2Score(mine), Y, P, w), expected, rtol=1e-6)


def test_r2_of_one_output_adjusted_and_degenerate():
    sklearn = pytest.importorskip("sklearn.metrics")
    plain = sklearn.r2_score(Y[:, 0], P[:, 0])
    assert batches(metrics.R2Score(), Y[:, 0], P[:, 0]) == pytest.approx(plain)
    adjusted = 1 - (1 - plain) * (N - 1) / (N - 2 - 1)
    assert batches(metrics.R2Score(num_regressors=2), Y[:, 0], P[:, 0]) == pytest.approx(adjusted)
    assert batches(metrics.R2Score(), np.ones((4, 1)), np.zeros((4, 1))) == 0.0
    assert metrics.R2Score().result().item() == 0.0


def test_mean_and_sum_of_values():
    values = [np.array([1.0, 2.0]), np.array([[3.0, 4.0], [5.0, 6.0]]), 7.0]
    average, total = metrics.Mean("loss"), metrics.Sum()
    for v in values:
        average.update_state(v)
        total.update_state(corenn.tensor(v))
    assert average.result().item() == 4.0
    assert total.result().item() == 28.0
    average.reset_state()
    average.update_state([1.0, 3.0], [1.0, 3.0])
    assert average.result().item() == 2.5
    average.update_state(10.0, sample_weight=4.0)
    assert average.result().item() == 50 / 8
    assert [v.name for v in average.variables] == ["loss/total", "loss/count"]


def test_before_the_first_batch_and_after_weights_of_zero_a_mean_is_zero():
    metric = metrics.Mean()
    assert metric.result().item() == 0.0
    metric.update_state([1.0, 2.0], [0.0, 0.0])
    assert metric.result().item() == 0.0


def test_a_mean_of_many_small_values_is_exact():
    """A single-precision total would stand still at 2**24."""
    metric = metrics.Mean()
    metric.update_state([1.0], [2.0**24])
    for _ in range(10):
        metric.update_state([12.0])
    assert metric.result().item() == pytest.approx((2**24 + 120) / (2**24 + 10), rel=1e-15)


EVERY = [
    metrics.MeanSquaredError(), metrics.R2Score(), metrics.F1Score("macro"), metrics.ConfusionMatrix(3),
    metrics.AUC(), metrics.AutoAccuracy(), metrics.Precision([0.2, 0.6]),
]  # fmt: skip


@pytest.mark.parametrize("metric", EVERY, ids=lambda m: m.name)
def test_the_state_survives_a_checkpoint(metric):
    y = np.eye(3)[RNG.integers(0, 3, 30)]
    p = RNG.random((30, 3))
    if isinstance(metric, metrics.ConfusionMatrix):
        y = y.argmax(-1)
    metric.reset_state()
    metric.update_state(y[:10], p[:10])
    tensors, metadata = pack_state(metric.get_state())
    metric.update_state(y[10:], p[10:])

    again = type(metric).from_config(metric.get_config())
    again.set_state(unpack_state(tensors, metadata))
    again.update_state(y[10:], p[10:])
    np.testing.assert_array_equal(again.result().numpy(), metric.result().numpy())
    metric.reset_state()
    assert not any(np.any(value) for value in metric.get_state().values())
    with pytest.raises(CheckpointError, match="is not a state"):
        metric.set_state([1, 2])


def test_updates_inside_a_tape_are_not_recorded():
    w = corenn.Variable(P, name="w", dtype="float32")
    metric = metrics.MeanSquaredError()
    with corenn.GradientTape() as tape:
        out = w * 2.0
        entries = len(tape.entries)
        metric.update_state(Y, out)
        assert len(tape.entries) == entries
        loss = corenn.sum(out)
    np.testing.assert_array_equal(tape.gradient(loss, w).numpy(), np.full_like(P, 2.0))


def test_a_call_updates_and_returns_the_figure_so_far():
    metric = metrics.MeanAbsoluteError()
    assert metric([0.0, 0.0], [1.0, 3.0]).item() == 2.0
    assert metric([0.0, 0.0], [4.0, 4.0]).item() == 3.0


def test_half_precision_predictions():
    metric = metrics.MeanSquaredError()
    metric.update_state(Y, corenn.tensor(P, dtype="float16"))
    assert metric.result().item() == pytest.approx(((P - Y) ** 2).mean(), rel=1e-2)


def test_a_custom_metric_writes_two_methods():
    class Largest(metrics.Metric):
        def accumulate(self, y_true, y_pred, weight):
            self.add("above", corenn.sum((y_pred > 1.0).cast("float32")))

        def result(self):
            return self.state("above")

    metric = Largest()
    assert metric.name == "largest"
    metric.update_state(None, corenn.tensor([0.5, 1.5]))
    assert metric(None, corenn.tensor([3.0])).item() == 2.0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mse", metrics.MeanSquaredError), ("rmse", metrics.RootMeanSquaredError), ("MAE", metrics.MeanAbsoluteError),
        ("cosine_similarity", metrics.CosineSimilarity), ("auc", metrics.AUC), ("f1", metrics.F1Score),
        ("mean_iou", metrics.MeanIoU), ("r2_score", metrics.R2Score), ("kld", metrics.KLDivergence),
    ],
)  # fmt: skip
def test_names(name, kind):
    if kind is metrics.MeanIoU:
        assert metrics.get({"class_name": name, "config": {"num_classes": 3}}).num_classes == 3
    else:
        assert type(metrics.get(name)) is kind


def test_a_loss_serves_as_a_metric_by_its_values_per_sample():
    huber = losses.Huber(0.7, reduction="sum")
    values = losses.huber(Y, P, 0.7).numpy()
    metric = metrics.get(huber)
    assert metric.name == "huber"
    assert batches(metric, Y, P, W) == pytest.approx(mean(values, W), rel=1e-6)
    assert batches(metric, Y[:, 0], P[:, 0]) == pytest.approx(losses.Huber(0.7)(Y[:, :1], P[:, :1]).item(), rel=1e-6)
    again = metrics.get({"class_name": "MeanMetricWrapper", "config": metric.get_config()})
    assert batches(again, Y, P, W) == pytest.approx(mean(values, W), rel=1e-6)
    ignoring = metrics.get(losses.SparseCategoricalCrossentropy(True, ignore_class=0))
    own = metrics.SparseCategoricalCrossentropy(True, ignore_class=0)
    assert batches(ignoring, CLASSES, LOGITS, W) == pytest.approx(float(batches(own, CLASSES, LOGITS, W)), rel=1e-6)


def test_every_registered_loss_alias_is_a_metric_too():
    for name in ("mse", "mae", "mape", "msle", "hinge", "kld", "poisson", "bce", "cce", "scce"):
        assert metrics.get(name).better == "min"
        assert losses.get(name).name == metrics.get(name).name


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: metrics.R2Score("mean"), AttributeValueError, "no class_aggregation 'mean'"),
        (lambda: metrics.R2Score(num_regressors=-1), AttributeValueError, "at least 0"),
        (lambda: metrics.MeanSquaredError()(Y, P[:, :2]), ShapeError, "differ in shape"),
        (lambda: metrics.MeanSquaredError()(Y, P, np.ones(7)), ShapeError, "does not fit"),
        (lambda: metrics.get("mean_io"), UsageError, "there is no metric"),
        (lambda: metrics.get("mean_iou"), UsageError, "needs num_classes"),
        (lambda: metrics.get({"class_name": "MeanIoU"}), UsageError, "needs num_classes"),
        (lambda: metrics.get(metrics.MeanIoU), UsageError, "needs num_classes"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()
