"""The learning-rate range test: what it finds, that it leaves the model alone, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import corenn
from corenn import data, optimizers, schedules
from corenn import layers as L
from corenn.errors import DataError, UsageError
from corenn.training import LearningRates, Sequential, find_learning_rate

RNG = np.random.default_rng(0)
X = RNG.normal(size=(256, 8)).astype(np.float32)
LABELS = (X @ RNG.normal(size=(8, 3))).argmax(-1)


def classifier(optimizer: Any = "adam", **compiling: Any) -> Sequential:
    corenn.random.seed(0)
    model = Sequential([L.Dense(16, "relu"), L.BatchNormalization(), L.Dropout(0.1), L.Dense(3, "softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"], **compiling)
    return model


def quadratic(curvature: float) -> Sequential:
    """A loss of ``curvature / 2 * w**2``: gradient descent shrinks w up to a rate of 2 / curvature, then diverges."""
    model = Sequential([corenn.layers.Input((1,)), L.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(optimizers.SGD(0.1), lambda y, p: corenn.mean(p * p, axis=-1) * (curvature / 2))
    return model


@pytest.mark.parametrize("curvature", [0.01, 1.0, 100.0])
def test_the_suggestion_follows_the_curvature(curvature: float) -> None:
    """By hand: w is multiplied by ``1 - rate * curvature`` in every step."""
    ones = np.ones((4, 1), np.float32)
    found = find_learning_rate(quadratic(curvature), ones, ones, start=1e-4 / curvature, end=100 / curvature, steps=120)
    rates = np.geomspace(1e-4 / curvature, 100 / curvature, 120)[: len(found.rates)]
    w = np.concatenate([[1.0], np.cumprod(1 - rates * curvature)])[:-1]
    np.testing.assert_allclose(found.rates, rates, rtol=1e-12)
    small = curvature / 2 * w**2 > 1e-12
    np.testing.assert_allclose(found.losses[small], (curvature / 2 * w**2)[small], rtol=2e-3)
    weights = 0.9 ** np.arange(len(w))[::-1]
    assert found.smoothed[-1] == pytest.approx(np.average(found.losses, weights=weights), rel=1e-6)
    assert found.diverged and found.rates[-1] > 2 / curvature
    assert 0.05 / curvature < found.suggestion < 1 / curvature
    assert found.suggestion < found.lowest_at


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_the_suggested_rate_trains(optimizer: str) -> None:
    """Over five seeds and three optimizers the tenth epoch has a loss of 0.08 to 0.20, the first one of 0.7 to 1."""
    model = classifier(optimizer)
    found = find_learning_rate(model, X, LABELS)
    model.optimizer.learning_rate = found.suggestion
    history = model.fit(X, LABELS, epochs=10, verbose=0).history
    assert history["loss"][-1] < 0.3
    assert 1e-4 < found.suggestion < 5


@pytest.mark.parametrize("eager", [False, True], ids=["traced", "eager"])
@pytest.mark.parametrize("fitted", [0, 2])
def test_the_model_is_as_it_was(fitted: int, eager: bool) -> None:
    """Training goes on to the same bits as if nobody had looked."""

    def run(look: bool) -> Any:
        model = classifier(optimizers.Adam(schedules.ExponentialDecay(0.01, 10, 0.9)), run_eagerly=eager)
        model(X[:1])
        model.fit(X, LABELS, epochs=fitted, verbose=0)
        if look:
            optimizer, before = model.optimizer, model.metric_results()
            find_learning_rate(model, X, LABELS, steps=20)
            assert model.optimizer is optimizer
            assert {name: model.metric_results()[name] for name in before} == before
        history = model.fit(X, LABELS, epochs=2, verbose=0).history
        return history, [w.tobytes() for w in model.get_weights()], model.optimizer.get_state()["iterations"]

    assert run(True) == run(False)


def test_also_after_an_error() -> None:
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    before, state = model.get_weights(), corenn.random.get_state()

    def batches() -> Any:
        yield X[:8], LABELS[:8]
        yield X[:8], LABELS[:8]
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        find_learning_rate(model, batches, steps=20)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert corenn.random.get_state() == state
    assert model.optimizer.iterations == 8


def test_data_of_every_form() -> None:
    model = classifier()
    model(X[:1])
    dataset = data.Dataset.from_tensor_slices((X, LABELS)).batch(64)  # four batches: read again and again
    first = find_learning_rate(model, dataset, steps=30)
    again = find_learning_rate(model, lambda: iter([(X[i : i + 64], LABELS[i : i + 64]) for i in range(0, 256, 64)]),
                               steps=30)  # fmt: skip
    np.testing.assert_array_equal(first.losses, again.losses)
    weighted = find_learning_rate(model, X, LABELS, sample_weight=np.zeros(256), steps=10)
    assert not weighted.losses.any()
    with pytest.raises(UsageError, match="falls at no learning rate"):
        _ = weighted.suggestion


def test_pictures(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    found = find_learning_rate(classifier(), X, LABELS)
    path = found.plot(tmp_path, "range")
    assert path == tmp_path / "range.png"
    assert imread(path).std() > 0.05
    flat = LearningRates(np.geomspace(1e-4, 1, 10), np.ones(10), np.ones(10), False)
    assert flat.plot(tmp_path).exists()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"start": 0.0}, UsageError, "start must be positive"),
        ({"start": 1.0, "end": 0.1}, UsageError, "below end"),
        ({"steps": 2}, UsageError, "at least 5"),
        ({"smoothing": 1.0}, UsageError, "below 1"),
        ({"stop_at": 1.0}, UsageError, "more than 1"),
        ({"x": np.full_like(X, np.nan)}, DataError, "not finite from the beginning"),
        ({"x": lambda: iter(()), "y": None}, DataError, "no batches"),
        ({"x": iter([(X, LABELS)]), "y": None}, DataError, "read once"),
    ],
)
def test_mistakes(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        find_learning_rate(classifier(), **{"x": X, "y": LABELS, **options})


def test_it_needs_a_compiled_model() -> None:
    with pytest.raises(UsageError, match="not compiled"):
        find_learning_rate(Sequential([L.Dense(1)]), X, LABELS)
