"""Initializers, losses, optimizers and metrics on the test doubles: the same values, no NumPy-isms, no waiting."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import constraints, initializers, losses, metrics, optimizers, regularizers
from corenn.device import device
from corenn.errors import GraphError
from corenn.ops import random
from corenn.testing import register_doubles

RNG = np.random.default_rng(4)
SCORES = RNG.random((24, 4)).astype(np.float32)
CLASSES = RNG.integers(0, 4, 24)
ONE_HOT = np.eye(4, dtype=np.float32)[CLASSES]
WEIGHTS = RNG.random(24).astype(np.float32)

INITIALIZERS = [
    "zeros", "ones", "constant", "identity", "random_uniform", "random_normal", "truncated_normal", "glorot_uniform",
    "he_normal", "orthogonal",
]  # fmt: skip
DENSE_LOSSES = [
    "mse", "mae", "mape", "msle", "huber", "log_cosh", "poisson", "cosine_similarity", "hinge", "squared_hinge",
    "categorical_hinge", "kl_divergence", "binary_crossentropy", "binary_focal_crossentropy",
    "categorical_crossentropy", "categorical_focal_crossentropy",
]  # fmt: skip
OPTIMIZERS = ["sgd", "rmsprop", "adam", "adamw", "nadam", "adamax", "adagrad", "adadelta", "ftrl", "lion"]
METRICS = [
    metrics.Mean, metrics.CategoricalAccuracy, metrics.BinaryAccuracy, metrics.TopKCategoricalAccuracy,
    metrics.Precision, metrics.Recall, metrics.AUC, metrics.F1Score, metrics.R2Score, metrics.RootMeanSquaredError,
    metrics.CosineSimilarity, metrics.Entropy, metrics.CategoricalCrossentropy, metrics.KLDivergence,
]  # fmt: skip


@pytest.fixture(params=["strict", "simulated:1"])
def place(request):
    register_doubles()
    return request.param


def close(found, expected):
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers(place, name):
    random.seed(3)
    expected = initializers.get(name)((6, 4))
    random.seed(3)
    with device(place):
        found = initializers.get(name)((6, 4))
    assert str(found.device) == str(device(place))
    close(found, expected)


@pytest.mark.parametrize(
    "function", [regularizers.L1L2(), regularizers.OrthogonalRegularizer(), constraints.MaxNorm(0.5),
                 constraints.NonNeg(), constraints.UnitNorm(), constraints.MinMaxNorm()],
)  # fmt: skip
def test_penalties_and_constraints(place, function):
    close(function(corenn.tensor(SCORES - 0.5, device=place)), function(corenn.tensor(SCORES - 0.5)))


@pytest.mark.parametrize("name", [*DENSE_LOSSES, "sparse_categorical_crossentropy"])
def test_losses_and_their_gradients(place, name):
    y = CLASSES if name.startswith("sparse") else ONE_HOT
    found = []
    for where in ("numpy", place):
        p = corenn.tensor(SCORES, device=where)
        with corenn.GradientTape() as tape:
            tape.watch(p)
            value = losses.get(name)(y, p, WEIGHTS)
        found.append((value, tape.gradient(value, p)))
    close(found[1][0], found[0][0])
    close(found[1][1], found[0][1])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(place, name):
    ends = []
    for where in ("numpy", place):
        variable = corenn.Variable(corenn.tensor(SCORES, device=where), name="w")
        optimizer = optimizers.get(
            {"class_name": name, "config": {"global_clipnorm": 1.0, "use_ema": True, "weight_decay": 0.01}}
        )
        for i in range(4):
            optimizer.apply_gradients([(corenn.tensor(ONE_HOT * (i - 1), device=where), variable)])
        assert all(v.device is variable.device for v in optimizer.variables)
        with optimizer.averaged():
            ends.append(corenn.tensor(variable.numpy()))
    close(ends[1], ends[0])


def test_slots_follow_a_variable_that_moves(place):
    variable = corenn.Variable(SCORES, name="w")
    optimizer = optimizers.Adam()
    optimizer.apply_gradients([(corenn.tensor(ONE_HOT), variable)])
    variable.move_to(place)
    optimizer.apply_gradients([(corenn.tensor(ONE_HOT, device=place), variable)])
    stays = corenn.Variable(SCORES, name="w")
    other = optimizers.Adam()
    for _ in range(2):
        other.apply_gradients([(corenn.tensor(ONE_HOT), stays)])
    close(variable, stays)


@pytest.mark.parametrize("kind", METRICS)
def test_metrics(place, kind):
    figures = []
    for where in ("numpy", place):
        metric = kind()
        for part in (slice(0, 10), slice(10, 24)):
            p = corenn.tensor(SCORES[part], device=where)
            metric.update_state(*((p,) if kind is metrics.Mean else (ONE_HOT[part], p, WEIGHTS[part])))
        figures.append(metric.result())
        assert figures[-1].device is p.device
    close(figures[1], figures[0])


@pytest.mark.parametrize("kind", [metrics.SparseCategoricalAccuracy, metrics.AutoAccuracy, metrics.F1Score])
def test_metrics_of_class_numbers(place, kind):
    close(kind()(CLASSES, corenn.tensor(SCORES, device=place)), kind()(CLASSES, corenn.tensor(SCORES)))


def test_confusion_matrices(place):
    for metric in (metrics.ConfusionMatrix, metrics.MeanIoU):
        close(metric(4)(CLASSES, corenn.tensor(SCORES, device=place)), metric(4)(CLASSES, corenn.tensor(SCORES)))


@pytest.fixture
def transfers():
    register_doubles()
    return device("simulated").backend.transfers


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_copies_a_few_numbers_and_waits_for_nothing(transfers, name):
    """However many variables: the rate, the step number and (Nadam) a product go to the device, nothing comes back."""
    here = "simulated"
    weights = [corenn.Variable(corenn.tensor(SCORES, device=here), name=f"w{i}") for i in range(6)]
    gradients = [corenn.tensor(ONE_HOT, device=here)] * 6
    optimizer = optimizers.get({"class_name": name, "config": {"global_clipnorm": 1.0, "use_ema": True}})
    for _ in range(2):  # constants and slots are made in the first steps
        optimizer.apply_gradients(zip(gradients, weights, strict=True))
    before = transfers.to_host, transfers.to_device
    optimizer.apply_gradients(zip(gradients, weights, strict=True))
    assert transfers.to_host == before[0]
    assert transfers.to_device - before[1] <= (3 if name == "nadam" else 2)


@pytest.mark.parametrize("kind", METRICS)
def test_a_metric_gathers_without_waiting(transfers, kind):
    metric = kind()
    y, p, w = (corenn.tensor(a, device="simulated") for a in (ONE_HOT, SCORES, WEIGHTS))
    before = transfers.to_host
    for _ in range(2):
        metric.update_state(*((p,) if kind is metrics.Mean else (y, p, w)))
    metric.result()
    assert transfers.to_host == before


@pytest.mark.parametrize("name", DENSE_LOSSES)
def test_a_loss_waits_for_nothing(transfers, name):
    y, p = corenn.tensor(ONE_HOT, device="simulated"), corenn.tensor(SCORES, device="simulated")
    before = transfers.to_host
    losses.get(name)(y, p)
    assert transfers.to_host == before


def test_metrics_stay_on_their_device_in_functions_that_are_traced_elsewhere(transfers):
    # The default device is another one here, and constants of the trace are made there.
    values = corenn.tensor([1.0, 3.0], device="simulated")
    metric = metrics.Mean()

    @corenn.function
    def update():
        metric.update_state(values)

    metric.update_state(corenn.tensor([8.0, 8.0], device="simulated"))
    for _ in range(3):
        update()
    assert metric.state("count").device is metric.state("total").device is device("simulated")
    assert float(metric.result()) == 3.5


@pytest.mark.parametrize("value", [2.0, [2.0], [[]]])
def test_tensors_are_moved_there_and_back(place, value):
    given = corenn.tensor(value)
    moved = given.to(place)
    assert moved.device is device(place)
    assert moved.to("numpy").numpy().tolist() == value


def test_a_variable_is_not_moved_while_a_function_is_traced(transfers):
    variable = corenn.Variable([1.0])

    @corenn.function
    def moving():
        variable.move_to("simulated")

    with pytest.raises(GraphError, match="cannot be moved while a function is traced"):
        moving()
    np.testing.assert_array_equal(variable.numpy(), [1.0])
