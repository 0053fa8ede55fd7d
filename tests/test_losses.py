"""Losses: values against NumPy float64 and PyTorch, gradients by differences, shapes, weights, reductions."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import losses
from corenn.autodiff import check_gradients
from corenn.errors import AttributeValueError, ShapeError

RNG = np.random.default_rng(3)
N, C = 5, 4
REAL = RNG.normal(size=(N, C))
OTHER = REAL + RNG.normal(size=(N, C))
LOGITS = RNG.normal(size=(N, C))
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
CLASSES = np.array([0, 3, 1, 2, 3])
ONE_HOT = np.eye(C)[CLASSES]
BINARY = (RNG.random((N, C)) > 0.5).astype(np.float64)
SIGMOID = 1 / (1 + np.exp(-LOGITS))
TARGETS = RNG.dirichlet(np.ones(C), size=N)
EPS = 1e-7


def smooth(y, s, classes):
    return y * (1 - s) + s / classes


def bce(y, p):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(-1)


def focal(y, p, gamma):
    right = y * p + (1 - y) * (1 - p)
    return (-((1 - right) ** gamma) * (y * np.log(p) + (1 - y) * np.log(1 - p)), right)


CASES = [
    ("mean_squared_error", {}, REAL, OTHER, ((OTHER - REAL) ** 2).mean(-1)),
    ("mean_absolute_error", {}, REAL, OTHER, np.abs(OTHER - REAL).mean(-1)),
    ("mean_absolute_percentage_error", {}, REAL, OTHER, 100 * np.abs((OTHER - REAL) / REAL).mean(-1)),
    (
        "mean_squared_logarithmic_error",
        {},
        SIGMOID,
        PROBABILITIES,
        ((np.log1p(SIGMOID) - np.log1p(PROBABILITIES)) ** 2).mean(-1),
    ),
    (
        "huber",
        {"delta": 0.7},
        REAL,
        OTHER,
        np.where(np.abs(OTHER - REAL) <= 0.7, (OTHER - REAL) ** 2 / 2, 0.7 * np.abs(OTHER - REAL) - 0.7**2 / 2).mean(
            -1
        ),
    ),
    ("log_cosh", {}, REAL, OTHER, np.log(np.cosh(OTHER - REAL)).mean(-1)),
    ("poisson", {}, SIGMOID, PROBABILITIES, (PROBABILITIES - SIGMOID * np.log(PROBABILITIES + EPS)).mean(-1)),
    (
        "cosine_similarity",
        {},
        REAL,
        OTHER,
        -(REAL * OTHER).sum(-1) / np.linalg.norm(REAL, axis=-1) / np.linalg.norm(OTHER, axis=-1),
    ),
    ("hinge", {}, 2 * BINARY - 1, LOGITS, np.maximum(1 - (2 * BINARY - 1) * LOGITS, 0).mean(-1)),
    ("hinge", {}, BINARY, LOGITS, np.maximum(1 - (2 * BINARY - 1) * LOGITS, 0).mean(-1)),
    ("squared_hinge", {}, BINARY, LOGITS, (np.maximum(1 - (2 * BINARY - 1) * LOGITS, 0) ** 2).mean(-1)),
    (
        "categorical_hinge",
        {},
        ONE_HOT,
        LOGITS,
        np.maximum(1 + ((1 - ONE_HOT) * LOGITS).max(-1) - (ONE_HOT * LOGITS).sum(-1), 0),
    ),
    ("kl_divergence", {}, TARGETS, PROBABILITIES, (TARGETS * np.log(TARGETS / PROBABILITIES)).sum(-1)),
    ("binary_crossentropy", {}, BINARY, SIGMOID, bce(BINARY, SIGMOID)),
    ("binary_crossentropy", {"from_logits": True}, BINARY, LOGITS, bce(BINARY, SIGMOID)),
    (
        "binary_crossentropy",
        {"from_logits": True, "label_smoothing": 0.2},
        BINARY,
        LOGITS,
        bce(smooth(BINARY, 0.2, 2), SIGMOID),
    ),
    ("binary_focal_crossentropy", {"gamma": 1.5}, BINARY, SIGMOID, focal(BINARY, SIGMOID, 1.5)[0].mean(-1)),
    (
        "binary_focal_crossentropy",
        {"apply_class_balancing": True, "alpha": 0.3, "from_logits": True},
        BINARY,
        LOGITS,
        (focal(BINARY, SIGMOID, 2.0)[0] * (0.3 * BINARY + 0.7 * (1 - BINARY))).mean(-1),
    ),
    ("categorical_crossentropy", {}, ONE_HOT, PROBABILITIES, -np.log(PROBABILITIES[np.arange(N), CLASSES])),
    ("categorical_crossentropy", {}, TARGETS, 3 * PROBABILITIES, -(TARGETS * np.log(PROBABILITIES)).sum(-1)),
    (
        "categorical_crossentropy",
        {"from_logits": True, "label_smoothing": 0.1},
        ONE_HOT,
        LOGITS,
        -(smooth(ONE_HOT, 0.1, C) * np.log(PROBABILITIES)).sum(-1),
    ),
    (
        "categorical_focal_crossentropy",
        {"alpha": 0.4, "gamma": 1.5},
        ONE_HOT,
        PROBABILITIES,
        -0.4 * ((1 - PROBABILITIES) ** 1.5 * ONE_HOT * np.log(PROBABILITIES)).sum(-1),
    ),
    (
        "categorical_focal_crossentropy",
        {"from_logits": True},
        ONE_HOT,
        LOGITS,
        -0.25 * ((1 - PROBABILITIES) ** 2 * ONE_HOT * np.log(PROBABILITIES)).sum(-1),
    ),
    ("sparse_categorical_crossentropy", {}, CLASSES, PROBABILITIES, -np.log(PROBABILITIES[np.arange(N), CLASSES])),
    (
        "sparse_categorical_crossentropy",
        {"from_logits": True},
        CLASSES[:, None],
        LOGITS,
        -np.log(PROBABILITIES[np.arange(N), CLASSES]),
    ),
    (
        "sparse_categorical_crossentropy",
        {"from_logits": True, "ignore_class": 3},
        CLASSES,
        LOGITS,
        np.where(CLASSES == 3, 0, -np.log(PROBABILITIES[np.arange(N), CLASSES])),
    ),
    (
        "sparse_categorical_crossentropy",
        {"ignore_class": -1},
        np.where(CLASSES == 3, -1, CLASSES),
        PROBABILITIES,
        np.where(CLASSES == 3, 0, -np.log(PROBABILITIES[np.arange(N), CLASSES])),
    ),
]
IDS = [f"{name}-{'-'.join(options)}-{i}" for i, (name, options, *_) in enumerate(CASES)]


def labels(y):
    return corenn.tensor(y, dtype="int64" if y.dtype.kind == "i" else "float64")


@pytest.mark.parametrize(("name", "options", "y", "p", "expected"), CASES, ids=IDS)
def test_values(name, options, y, p, expected):
    """The function by its formula; the object sums its values and divides by their number."""
    function = getattr(losses, name)
    found = function(labels(y), corenn.tensor(p), **options)
    assert found.dtype == "float64"
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-6, atol=1e-9)
    made = losses.get({"class_name": name, "config": {**options, "reduction": "sum"}})
    np.testing.assert_allclose(made(labels(y), corenn.tensor(p)).item(), expected.sum(), rtol=2e-6, atol=1e-9)
    single = function(labels(y), corenn.tensor(p, dtype="float32"), **options)
    assert single.dtype == "float32"
    np.testing.assert_allclose(single.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "options", "y", "p", "expected"), CASES, ids=IDS)
def test_gradients(name, options, y, p, expected):
    function = getattr(losses, name)
    check_gradients(lambda x: function(labels(y), x, **options), corenn.tensor(p))


def torch_cases(torch):
    f = torch.nn.functional
    logits, classes = torch.tensor(LOGITS), torch.tensor(CLASSES)
    real, other = torch.tensor(REAL), torch.tensor(OTHER)
    return [
        (losses.MeanSquaredError(), REAL, OTHER, f.mse_loss(other, real)),
        (losses.MeanAbsoluteError(), REAL, OTHER, f.l1_loss(other, real)),
        (losses.Huber(0.7), REAL, OTHER, f.huber_loss(other, real, delta=0.7)),
        (losses.SparseCategoricalCrossentropy(True), CLASSES, LOGITS, f.cross_entropy(logits, classes)),
        (
            losses.SparseCategoricalCrossentropy(True, ignore_class=3),
            CLASSES,
            LOGITS,
            f.cross_entropy(logits, classes, ignore_index=3),
        ),
        (
            losses.CategoricalCrossentropy(True, label_smoothing=0.1),
            ONE_HOT,
            LOGITS,
            f.cross_entropy(logits, torch.tensor(ONE_HOT), label_smoothing=0.1),
        ),
        (
            losses.BinaryCrossentropy(True),
            BINARY,
            LOGITS,
            f.binary_cross_entropy_with_logits(logits, torch.tensor(BINARY)),
        ),
        (
            losses.BinaryCrossentropy(),
            BINARY,
            SIGMOID,
            f.binary_cross_entropy(torch.tensor(SIGMOID), torch.tensor(BINARY)),
        ),
        (
            losses.KLDivergence(),
            TARGETS,
            PROBABILITIES,
            f.kl_div(torch.tensor(PROBABILITIES).log(), torch.tensor(TARGETS), reduction="batchmean"),
        ),
        (
            losses.Poisson(),
            SIGMOID,
            PROBABILITIES,
            f.poisson_nll_loss(torch.tensor(PROBABILITIES), torch.tensor(SIGMOID), log_input=False, eps=EPS),
        ),
        (losses.CosineSimilarity(), REAL, OTHER, -f.cosine_similarity(real, other).mean()),
    ]


@pytest.mark.parametrize("case", range(11))
def test_pytorch_agrees(case):
    torch = pytest.importorskip("torch")
    loss, y, p, expected = torch_cases(torch)[case]
    assert loss(labels(y), corenn.tensor(p)).item() == pytest.approx(expected.item(), rel=1e-6)


# ---------------------------------------------------------------- reductions and weights

VALUES = ((OTHER - REAL) ** 2).mean(-1)
WEIGHTS = np.array([1.0, 0.0, 2.0, 0.5, 3.0])


@pytest.mark.parametrize(
    ("reduction", "plain", "weighted"),
    [
        ("sum_over_batch_size", VALUES.mean(), (VALUES * WEIGHTS).sum() / N),
        ("mean", VALUES.mean(), (VALUES * WEIGHTS).sum() / N),
        ("mean_with_sample_weight", VALUES.mean(), (VALUES * WEIGHTS).sum() / WEIGHTS.sum()),
        ("sum", VALUES.sum(), (VALUES * WEIGHTS).sum()),
        ("none", VALUES, VALUES * WEIGHTS),
        (None, VALUES, VALUES * WEIGHTS),
    ],
)
def test_reductions(reduction, plain, weighted):
    loss = losses.MeanSquaredError(reduction=reduction)
    np.testing.assert_allclose(loss(REAL, corenn.tensor(OTHER)).numpy(), plain)
    for weights in (WEIGHTS, WEIGHTS[:, None], corenn.tensor(WEIGHTS, dtype="float32")):
        np.testing.assert_allclose(loss(REAL, corenn.tensor(OTHER), weights).numpy(), weighted, rtol=1e-6)


def test_weights_of_samples_reach_all_their_values():
    y, p = np.zeros((2, 3, 4)), np.ones((2, 3, 4))
    loss = losses.MeanSquaredError(reduction="none")
    np.testing.assert_array_equal(loss(y, p, [1.0, 2.0]).numpy(), [[1, 1, 1], [2, 2, 2]])
    np.testing.assert_array_equal(loss(y, p, 2.0).numpy(), np.full((2, 3), 2.0))
    by_step = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(loss(y, p, by_step).numpy(), by_step)
    with pytest.raises(ShapeError, match="does not fit the values of the samples"):
        loss(y, p, [1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="does not fit"):
        loss(y, p, np.ones((2, 3, 4, 1)))


@pytest.mark.parametrize(
    ("reduction", "divisor"), [("mean", 3.0), ("mean_with_sample_weight", 3.0), ("sum", 1.0), ("none", None)]
)
def test_ignored_samples_do_not_count(reduction, divisor):
    y = np.where(CLASSES == 3, 255, CLASSES)
    loss = losses.SparseCategoricalCrossentropy(True, ignore_class=255, reduction=reduction)
    values = np.where(CLASSES == 3, 0, -np.log(PROBABILITIES[np.arange(N), CLASSES]))
    expected = values if divisor is None else values.sum() / divisor
    np.testing.assert_allclose(loss(labels(y), corenn.tensor(LOGITS)).numpy(), expected, rtol=1e-6)


def test_when_all_samples_are_ignored_the_loss_and_its_gradient_are_zero():
    loss = losses.SparseCategoricalCrossentropy(True, ignore_class=-1)
    logits = corenn.Variable(LOGITS, name="logits")
    with corenn.GradientTape() as tape:
        value = loss(np.full(N, -1), logits)
    assert value.item() == 0.0
    np.testing.assert_array_equal(tape.gradient(value, logits).numpy(), np.zeros((N, C)))


# ---------------------------------------------------------------- shapes, dtypes, extremes


@pytest.mark.parametrize(
    ("y_shape", "p_shape"), [((5,), (5, 1)), ((5, 1), (5,)), ((5,), (5,)), ((5, 1), (5, 1)), ((2, 3), (2, 3, 1))]
)
@pytest.mark.parametrize("name", ["mse", "bce"])
def test_a_last_axis_of_one_may_be_missing(name, y_shape, p_shape):
    y, p = RNG.random(y_shape).round(), RNG.random(p_shape)
    straight = losses.get(name)(y.ravel()[:, None], corenn.tensor(p.ravel()[:, None]))
    np.testing.assert_allclose(losses.get(name)(y, corenn.tensor(p)).item(), straight.item(), rtol=1e-6)
    weights = np.arange(1.0, y_shape[0] + 1)
    assert losses.get({"class_name": name, "config": {"reduction": "none"}})(y, corenn.tensor(p), weights).shape[0] > 1


@pytest.mark.parametrize(
    ("name", "y_shape", "p_shape", "hint"),
    [
        ("mse", (5, 3), (5, 4), "last layer 3 units"),
        ("mse", (5,), (5, 4), "one_hot"),
        ("mse", (5, 4), (5,), None),
        ("mse", (4, 3), (5, 3), "the first axis is the batch"),
        ("categorical_crossentropy", (5,), (5, 4), "sparse loss"),
        ("categorical_crossentropy", (5, 1), (5, 4), "sparse loss"),
        ("sparse_categorical_crossentropy", (5, 4), (5, 4), "categorical loss"),
        ("sparse_categorical_crossentropy", (4,), (5, 4), None),
        ("kl_divergence", (5, 4), (5, 5), "last layer 4 units"),
    ],
)
def test_shapes_that_do_not_fit_say_what_to_do(name, y_shape, p_shape, hint):
    with pytest.raises(ShapeError) as caught:
        losses.get(name)(np.ones(y_shape, np.int64), np.full(p_shape, 0.5, np.float32))
    assert "y_true" in str(caught.value)
    assert hint is None or hint in caught.value.hint


def test_integer_and_bool_labels_and_half_precision_predictions():
    p = corenn.tensor(SIGMOID, dtype="float16")
    expected = bce(BINARY, SIGMOID).mean()
    for y in (BINARY.astype(np.int64), BINARY.astype(bool), BINARY.astype(np.float32)):
        value = losses.BinaryCrossentropy()(y, p)
        assert value.dtype == "float32"
        assert value.item() == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("name", ["bce", "binary_focal_crossentropy", "cce", "categorical_focal_crossentropy"])
def test_certain_probabilities_stay_finite(name):
    loss = losses.get(name)
    p = corenn.Variable([[1.0, 0.0], [0.0, 1.0]], name="p")
    with corenn.GradientTape() as tape:
        value = loss([[0.0, 1.0], [0.0, 1.0]], p)
    assert np.isfinite(value.item())
    assert np.isfinite(tape.gradient(value, p).numpy()).all()


def test_large_logits_and_errors_stay_finite():
    big = corenn.tensor([[1000.0, -1000.0]])
    assert losses.BinaryCrossentropy(True)([[0.0, 0.0]], big).item() == pytest.approx(500.0)
    assert losses.CategoricalCrossentropy(True)([[0.0, 1.0]], big).item() == pytest.approx(2000.0)
    assert losses.LogCosh()([[0.0, 0.0]], big).item() == pytest.approx(1000.0 - np.log(2.0))


def test_functions_serve_as_losses():
    loss = losses.get(lambda y, p: corenn.mean(corenn.abs(y - p), axis=-1))
    assert loss(corenn.tensor(REAL), corenn.tensor(OTHER)).item() == pytest.approx(np.abs(REAL - OTHER).mean())
    scalar = losses.get(lambda y, p: corenn.sum(p))
    assert scalar(REAL, corenn.tensor(OTHER)).item() == pytest.approx(OTHER.sum())


@pytest.mark.parametrize("alias", ["mse", "MSE", "mean_squared_error", "MeanSquaredError"])
def test_names(alias):
    assert losses.get(alias).name == "mean_squared_error"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.MeanSquaredError(reduction="average"), "reduction 'average' is not one of"),
        (lambda: losses.Huber(0.0), "delta must be positive"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=2.0)([[1.0]], [[0.5]]), "label_smoothing must lie in"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(AttributeValueError, match=message):
        call()
