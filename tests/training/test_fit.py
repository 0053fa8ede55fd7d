"""fit, evaluate and predict: what they take, and what they compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import corenn
from corenn import layers as L
from corenn import losses, metrics, optimizers
from corenn.data import Dataset
from corenn.layers import Input
from corenn.testing import register_doubles
from corenn.training import Callback, History, Model, Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype(np.float32)
W = RNG.normal(size=(4, 1)).astype(np.float32)
Y = X @ W + 1


def linear(**compiling: Any) -> Sequential:
    corenn.random.seed(1)
    model = Sequential([Input((4,)), L.Dense(1)])
    model.compile(**{"optimizer": optimizers.SGD(0.1), "loss": "mse", "metrics": ["mae"], **compiling})
    return model


def gradient_descent(batches: list[tuple[Any, Any]], epochs: int, rate: float = 0.1) -> tuple[Any, list[float]]:
    """Linear regression by hand, in float64: the weights, and the mean loss of each epoch."""
    start = linear()
    w, b = (v.astype(np.float64) for v in start.get_weights())
    means = []
    for _ in range(epochs):
        found = []
        for x, y in batches:
            error = x @ w + b - y
            found.append((error**2).mean())
            w, b = w - rate * 2 * x.T @ error / len(x), b - rate * 2 * error.mean(0)
        means.append(float(np.average(found, weights=[len(x) for x, _ in batches])))
    return (w, b), means


BATCHES = [(X[i : i + 7], Y[i : i + 7]) for i in range(0, 24, 7)]


def generator() -> Iterator[Any]:
    yield from BATCHES


class Sequence:
    """A sequence of batches."""

    def __len__(self) -> int:
        return len(BATCHES)

    def __getitem__(self, i: int) -> Any:
        return BATCHES[i]


# what fit is given: arguments that all mean the same batches
FORMS: dict[str, Any] = {
    "arrays": lambda: ((X, Y), {"batch_size": 7, "shuffle": False}),
    "doubles": lambda: ((X.astype(np.float64), Y.astype(np.float64)), {"batch_size": 7, "shuffle": False}),
    "lists": lambda: ((X.tolist(), Y.tolist()), {"batch_size": 7, "shuffle": False}),
    "tensors": lambda: ((corenn.tensor(X), corenn.tensor(Y)), {"batch_size": 7, "shuffle": False}),
    "dataset": lambda: ((Dataset.from_tensor_slices((X, Y)).batch(7),), {}),
    "generator function": lambda: ((generator,), {}),
    "generator": lambda: (((b for _ in range(3) for b in BATCHES),), {"steps_per_epoch": 4}),
    "lists of batches": lambda: ((([x, y] for _ in range(3) for x, y in BATCHES),), {"steps_per_epoch": 4}),
    "sequence": lambda: ((Sequence(),), {}),
    "unit weights": lambda: ((X, Y), {"batch_size": 7, "shuffle": False, "sample_weight": np.ones(24)}),
    "split": lambda: (
        (np.concatenate([X, X[:8]]), np.concatenate([Y, Y[:8]])),
        {"batch_size": 7, "shuffle": False, "validation_split": 0.25},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_trains_alike(form: str) -> None:
    (w, b), means = gradient_descent(BATCHES, 3)
    model = linear()
    args, options = FORMS[form]()
    history = model.fit(*args, epochs=3, verbose=0, **options)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(history.history["loss"], means, rtol=1e-5)
    assert history.epoch == [0, 1, 2]
    assert ("val_loss" in history.history) == (form == "split")


def test_double_precision_from_data_to_weights() -> None:
    x, y = X.astype(np.float64) + 1e-9, Y.astype(np.float64)
    (w, b), means = gradient_descent([(x[i : i + 7], y[i : i + 7]) for i in range(0, 24, 7)], 3)
    model = Sequential([Input((4,), dtype="float64"), L.Dense(1, dtype="float64")])
    model.set_weights(linear().get_weights())
    model.compile(optimizers.SGD(0.1), "mse")
    history = model.fit(x, y, batch_size=7, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-12)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=1e-12)
    np.testing.assert_allclose(history.history["loss"], means, rtol=1e-12)
    assert model.predict(x).dtype == np.float64


def test_shuffling_follows_the_seed() -> None:
    def weights(seed: int, shuffle: bool) -> Any:
        model = linear()
        corenn.random.seed(seed)
        model.fit(X, Y, batch_size=5, shuffle=shuffle, verbose=0)
        return model.get_weights()[0]

    np.testing.assert_array_equal(weights(3, True), weights(3, True))
    assert (weights(3, True) != weights(4, True)).any()
    np.testing.assert_array_equal(weights(3, False), weights(4, False))


def test_evaluate_and_predict() -> None:
    model = linear(metrics=["mae", metrics.RootMeanSquaredError()])
    predicted = model.predict(X, batch_size=5)
    np.testing.assert_allclose(predicted, X @ model.get_weights()[0] + model.get_weights()[1], rtol=1e-5, atol=1e-6)
    found = model.evaluate(X, Y, batch_size=5)
    error = predicted - Y
    assert found == pytest.approx(
        {"loss": (error**2).mean(), "mae": abs(error).mean(), "root_mean_squared_error": (error**2).mean() ** 0.5},
        rel=1e-5,
    )
    for data in (Dataset.from_tensor_slices((X, Y)).batch(9), generator):
        assert model.evaluate(data) == pytest.approx(found, rel=1e-5)
        np.testing.assert_allclose(model.predict(data), predicted, rtol=1e-6)
    assert model.evaluate(X, Y, batch_size=6, steps=1)["mae"] == pytest.approx(abs(error[:6]).mean(), rel=1e-5)
    assert model.predict(X, batch_size=6, steps=2).shape == (12, 1)


def test_evaluating_does_not_disturb_training() -> None:
    seen: list[dict[str, float]] = []

    class Look(Callback):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            before = dict(logs)
            seen.append(self.model.evaluate(X, Y))
            assert self.model.metric_results() == before

    quiet, watched = linear(), linear()
    expected = quiet.fit(X, Y, batch_size=8, shuffle=False, verbose=0).history
    assert watched.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=[Look()]).history == expected
    assert len(seen) == 3


def test_validation() -> None:
    model = linear()
    history = model.fit(X, Y, epochs=4, verbose=0, validation_data=(X[:8], Y[:8]), validation_freq=2)
    assert len(history.history["val_loss"]) == 2
    assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(X[:8], Y[:8])["loss"], rel=1e-5)
    weighted = model.fit(X, Y, verbose=0, validation_data=(X[:8], Y[:8], np.arange(8.0)))
    error = (model.predict(X[:8]) - Y[:8])[:, 0]
    assert weighted.history["val_loss"][0] == pytest.approx((error**2 * np.arange(8)).sum() / 8, rel=1e-4)
    steps = model.fit(X, Y, verbose=0, validation_data=Dataset.from_tensor_slices((X, Y)).batch(4), validation_steps=1)
    error = (model.predict(X[:4]) - Y[:4])[:, 0]
    assert steps.history["val_loss"][0] == pytest.approx((error**2).mean(), rel=1e-4)


# ---------------------------------------------------------------- weights


def test_sample_weights_and_weighted_metrics() -> None:
    weight = RNG.uniform(0, 2, 24)
    model = linear(weighted_metrics=["mae"])
    found = model.evaluate(X, Y, sample_weight=weight)
    error = (model.predict(X) - Y)[:, 0]
    assert found["loss"] == pytest.approx((weight * error**2).mean(), rel=1e-5)
    assert found["mae"] == pytest.approx(abs(error).mean(), rel=1e-5)
    assert found["mae_1"] == pytest.approx((weight * abs(error)).sum() / weight.sum(), rel=1e-5)


@pytest.mark.parametrize("form", ["labels", "one-hot", "dataset", "with sample weights"])
def test_class_weights(form: str) -> None:
    labels, weights = RNG.integers(0, 3, 24), {0: 1.0, 1: 0.5, 2: 3.0}
    by_class = np.array([weights[int(c)] for c in labels])

    def trained(**options: Any) -> Any:
        corenn.random.seed(2)
        model = Sequential([Input((4,)), L.Dense(3, "softmax")])
        loss = "categorical_crossentropy" if form == "one-hot" else "sparse_categorical_crossentropy"
        model.compile(optimizers.SGD(0.1), loss)
        y = np.eye(3)[labels] if form == "one-hot" else labels
        if form == "dataset" and "class_weight" in options:
            model.fit(Dataset.from_tensor_slices((X, y)).batch(8), verbose=0, **options)
        else:
            model.fit(X, y, batch_size=8, shuffle=False, verbose=0, **options)
        return model.get_weights()[0]

    extra = RNG.uniform(0, 1, 24) if form == "with sample weights" else np.ones(24)
    given = {"sample_weight": extra} if form == "with sample weights" else {}
    np.testing.assert_allclose(
        trained(class_weight=weights, **given), trained(sample_weight=by_class * extra), rtol=1e-5, atol=1e-7
    )


# ---------------------------------------------------------------- several inputs and outputs


def two_headed(outputs: str) -> Model:
    corenn.random.seed(3)
    x, z = Input((4,)), Input((2,))
    a = L.Dense(1, name="a")(L.Concatenate()([x, z]))
    b = L.Dense(3, activation="softmax", name="b")(x)
    return Model({"x": x, "z": z}, {"a": a, "b": b} if outputs == "dict" else [a, b])


Z, LABELS = RNG.normal(size=(24, 2)).astype(np.float32), RNG.integers(0, 3, 24)


@pytest.mark.parametrize("outputs", ["dict", "list"])
def test_several_outputs_with_losses_weights_and_metrics(outputs: str) -> None:
    model = two_headed(outputs)
    given = [losses.MeanSquaredError(), "sparse_categorical_crossentropy"], [0.5, 2.0], [["mae"], ["accuracy"]]
    if outputs == "dict":
        loss, weights, chosen = (dict(zip("ab", values, strict=True)) for values in given)
        y: Any = {"a": Y, "b": LABELS}
    else:
        loss, weights, chosen = given
        y = [Y, LABELS]
    model.compile(optimizers.SGD(0.05), loss, chosen, loss_weights=weights)
    before = model.predict({"x": X, "z": Z})
    a, b = (before["a"], before["b"]) if outputs == "dict" else before
    names = ("a", "b") if outputs == "dict" else ("0", "1")
    expected = 0.5 * ((a - Y) ** 2).mean() + 2 * -np.log(b[np.arange(24), LABELS]).mean()
    found = model.evaluate({"x": X, "z": Z}, y)
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert found[f"{names[0]}_mae"] == pytest.approx(abs(a - Y).mean(), rel=1e-5)
    assert found[f"{names[1]}_accuracy"] == pytest.approx((b.argmax(-1) == LABELS).mean())
    history = model.fit({"x": X, "z": Z}, y, epochs=30, verbose=0, validation_split=0.25).history
    assert history["loss"][-1] < history["loss"][0]
    assert {f"val_{names[0]}_mae", f"val_{names[1]}_accuracy"} <= set(history)


def test_one_loss_and_metric_for_all_outputs() -> None:
    x = Input((4,))
    model = Model(x, [L.Dense(1)(x), L.Dense(1)(x)])
    model.compile("sgd", "mse", ["mae"])
    found = model.evaluate(X, (Y, Y))
    first, second = model.predict(X)
    assert found["loss"] == pytest.approx(((first - Y) ** 2).mean() + ((second - Y) ** 2).mean(), rel=1e-5)
    assert {"0_mae", "1_mae"} <= set(found)


def test_several_inputs_as_a_tuple_and_from_a_dataset() -> None:
    model = Model([(x := Input((4,))), (z := Input((2,)))], L.Dense(1)(L.Concatenate()([x, z])))
    model.compile("sgd", "mse")
    once = model.evaluate((X, Z), Y)
    assert model.evaluate([X, Z], Y) == once
    assert model.evaluate(Dataset.from_tensor_slices(((X, Z), Y)).batch(32)) == once


# ---------------------------------------------------------------- single batches, other steps


def test_on_batch_methods() -> None:
    model = linear()
    error = X @ model.get_weights()[0] + model.get_weights()[1] - Y
    assert model.test_on_batch(X, Y)["loss"] == pytest.approx((error**2).mean(), rel=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(X), error + Y, rtol=1e-4, atol=1e-5)
    model.reset_metrics()
    first = model.train_on_batch(X, Y)
    assert first["loss"] == pytest.approx((error**2).mean(), rel=1e-5)
    assert model.train_on_batch(X, Y)["loss"] < first["loss"]
    assert model.optimizer.iterations == 2


def test_penalties_and_added_losses_are_trained() -> None:
    model = Sequential([Input((4,)), L.Dense(1, kernel_regularizer="l2"), L.ActivityRegularization(l2=0.1)])
    model.compile(optimizers.SGD(0.1))
    w, b = (v.astype(np.float64) for v in model.get_weights())
    out = X @ w + b
    assert model.evaluate(X)["loss"] == pytest.approx(0.01 * (w**2).sum() + 0.1 * (out**2).sum(), rel=1e-4)
    model.train_on_batch(X)
    expected = w - 0.1 * (0.02 * w + 0.2 * X.T @ out)
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-4, atol=1e-5)


def test_frozen_layers_stay_as_they_are() -> None:
    model = Sequential([Input((4,)), L.Dense(4), L.BatchNormalization(), L.Dense(1)])
    model.layers[0].trainable = model.layers[1].trainable = False
    before = model.get_weights()
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    changed = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False] * 6 + [True] * 2


def test_a_layer_thawed_during_training_is_trained_from_then_on() -> None:
    class Thaw(Callback):
        def on_epoch_begin(self, epoch: int) -> None:
            frozen.append(self.model.layers[0].kernel.numpy())
            self.model.layers[0].trainable = epoch == 1

    frozen: list[Any] = []
    model = Sequential([Input((4,)), L.Dense(2), L.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[Thaw()])
    np.testing.assert_array_equal(frozen[0], frozen[1])
    assert (model.layers[0].kernel.numpy() != frozen[1]).any()


def test_a_scaled_loss_trains_the_same() -> None:
    plain, scaled = linear(), linear(optimizer=optimizers.SGD(0.1, loss_scale_factor=1024.0))
    for model in (plain, scaled):
        model.fit(X, Y, shuffle=False, verbose=0)
    np.testing.assert_allclose(plain.get_weights()[0], scaled.get_weights()[0], rtol=1e-5)


def test_steps_and_epochs() -> None:
    history = linear().fit(X, Y, batch_size=8, epochs=5, steps_per_epoch=2, verbose=0)
    assert history.loop.total_steps == 10
    assert history.params == {"epochs": 5, "steps": 2}
    assert linear().fit(X, Y, batch_size=8, epochs=5, initial_epoch=3, verbose=0).epoch == [3, 4]
    short = linear().fit(X, Y, batch_size=8, epochs=5, most_steps=4, verbose=0)
    assert (short.loop.total_steps, short.epoch) == (4, [0, 1])
    assert linear().fit(X, Y, epochs=0, verbose=0).history == {}


def test_training_can_go_on_and_a_history_can_be_passed() -> None:
    model, history = linear(), History()
    assert model.fit(X, Y, epochs=2, verbose=0, callbacks=[history]) is history
    first = history.history["loss"]
    more = model.fit(X, Y, epochs=2, verbose=0).history["loss"]
    assert more[0] < first[0]
    assert model.optimizer.iterations == 4


def test_a_model_runs_where_its_weights_are() -> None:
    register_doubles()
    with corenn.device("simulated:1"):
        model = Sequential([Input((4,)), L.Dense(3), L.Dropout(0.2), L.BatchNormalization(), L.Dense(1)])
    model.compile("adam", "mse", ["mae"])
    history = model.fit(X, Y, epochs=2, verbose=0, validation_split=0.25)
    assert model.weights[0].device.name == "simulated:1"
    assert np.isfinite(history.history["val_loss"]).all()
    assert model.predict(X).shape == (24, 1)
    assert set(model.evaluate(X, Y)) == {"loss", "mae"}
    corenn.random.seed(1)
    assert set(model.train_on_batch(X, Y)) == {"loss", "mae"}
