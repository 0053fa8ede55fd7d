"""Losses and metrics that layers add: in fit, evaluate and loops of one's own, traced and op by op."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import corenn
from corenn import layers as L
from corenn import optimizers
from corenn.checkpoint import pack_state, unpack_state
from corenn.configurable import deserialize, serialize
from corenn.errors import AttributeValueError, ShapeError, UsageError
from corenn.layers import Input, Layer
from corenn.training import BackupAndRestore, Callback, Model, Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype(np.float32)
Y = X.sum(1, keepdims=True)


class Watched(Layer):
    """Adds a tenth of its input's mean square to the loss, and reports the input's largest element and its count."""

    def call(self, x: Any) -> Any:
        self.add_loss(0.1 * corenn.mean(x * x))
        self.add_metric(corenn.max(x), "largest")
        self.add_metric(corenn.ones_like(x[:, 0]), "seen", aggregation="sum")
        return x


class Subclassed(Model):
    def __init__(self) -> None:
        super().__init__()
        self.watched, self.dense = Watched(), L.Dense(1)

    def call(self, x: Any) -> Any:
        return self.dense(self.watched(x))


def functional() -> Model:
    x = Input((4,))
    return Model(x, L.Dense(1)(Watched()(x)))


def symbolic() -> Model:
    x = Input((4,))
    model = Model(x, L.Dense(1)(x))
    model.add_loss(0.1 * corenn.mean(x * x))
    model.add_metric(corenn.max(x), name="largest")
    model.add_metric(x[:, 0] * 0.0 + 1.0, name="seen", aggregation="sum")
    return model


MODELS: dict[str, Any] = {
    "functional": functional,
    "symbolic": symbolic,
    "symbolic, from its configuration": lambda: deserialize(serialize(symbolic())),
    "sequential": lambda: Sequential([Watched(), L.Dense(1)]),
    "sequential with Input": lambda: Sequential([Input((4,)), Watched(), L.Dense(1)]),
    "subclassed": Subclassed,
    "nested": lambda: Sequential([functional()]),
}


def made(kind: str, **compiling: Any) -> Model:
    corenn.random.seed(1)
    model: Model = MODELS[kind]()
    model.compile(**{"optimizer": optimizers.SGD(0.05), "loss": "mse", **compiling})
    return model


@pytest.mark.parametrize("eager", [False, True], ids=["traced", "eager"])
@pytest.mark.parametrize("kind", MODELS)
def test_fit_and_evaluate_report_them(kind: str, eager: bool) -> None:
    seen: list[dict[str, float]] = []

    class Look(Callback):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            seen.append(dict(logs))

    model = made(kind, run_eagerly=eager)
    history = model.fit(
        X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0, validation_data=(X[:8], Y[:8]), callbacks=[Look()]
    ).history
    batches = [X[i : i + 8] for i in range(0, 24, 8)]
    largest = [b.max() for b in batches]
    assert history["largest"] == pytest.approx([np.mean(largest)] * 3, rel=1e-6)
    assert history["seen"] == [24.0] * 3
    assert history["val_largest"] == pytest.approx([largest[0]] * 3, rel=1e-6)
    assert history["val_seen"] == [8.0] * 3
    assert seen[1]["largest"] == pytest.approx(np.mean(largest[:2]), rel=1e-6)
    assert seen[3]["seen"] == 8.0  # an epoch starts anew
    found = model.evaluate(X, Y, batch_size=24)
    error = model.predict(X) - Y
    assert found["loss"] == pytest.approx((error**2).mean() + 0.1 * (X**2).mean(), rel=1e-5)
    assert found["largest"] == pytest.approx(X.max(), rel=1e-6)
    assert list(found) == ["loss", "largest", "seen"]


def test_traced_and_eager_steps_give_the_same_bits() -> None:
    results = []
    for eager in (False, True):
        model = made("subclassed", run_eagerly=eager)
        history = model.fit(X, Y, batch_size=5, epochs=3, verbose=0).history
        results.append((history, [w.tobytes() for w in model.get_weights()]))
    assert results[0] == results[1]


def test_added_losses_train() -> None:
    """Activity penalties, by hand: the gradient of the mean square of the first layer's output."""

    class Penalised(Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(corenn.mean(x * x))
            return x

    corenn.random.seed(0)
    model = Sequential([Input((4,)), L.Dense(3, use_bias=False), Penalised()])
    model.compile(optimizers.SGD(0.5))
    w = model.get_weights()[0].astype(np.float64)
    for _ in range(3):
        model.train_on_batch(X)
        w = w - 0.5 * 2 * X.T.astype(np.float64) @ (X @ w) / (24 * 3)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("eager", [False, True], ids=["traced", "eager"])
def test_functions_are_penalties_on_weights(eager: bool) -> None:
    class Decayed(L.Dense):
        def build(self, *specs: Any) -> None:
            super().build(*specs)
            self.add_loss(lambda: 0.5 * corenn.sum(self.kernel * self.kernel))

    corenn.random.seed(0)
    model = Sequential([Decayed(1)])
    model.add_loss(lambda: 2.0)  # a number of Python's
    model.compile(optimizers.SGD(0.1), lambda y, p: corenn.mean(p, axis=-1) * 0.0, run_eagerly=eager)
    history = model.fit(X, Y, batch_size=24, epochs=4, verbose=0).history["loss"]
    norms = [h - 2.0 for h in history]
    np.testing.assert_allclose(np.array(norms[1:]) / norms[:-1], 0.9**2, rtol=1e-4)


def test_a_function_added_inside_a_call_is_of_that_call() -> None:
    class Again(Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(lambda: corenn.mean(x))
            return x

    model = Sequential([Again()])
    model.compile("sgd")
    for _ in range(3):
        assert model.evaluate(X, batch_size=24)["loss"] == pytest.approx(X.mean(), rel=1e-4)


def test_a_loop_of_ones_own_adds_them() -> None:
    model = made("subclassed")
    optimizer = optimizers.SGD(0.05)
    for _ in range(2):
        with corenn.GradientTape() as tape:
            y = model(X, training=True)
            assert len(model.losses) == 1
            loss = corenn.mean((y - Y) ** 2) + sum(model.losses)
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights, strict=True)
        )
    assert model.metric_results()["seen"] == 48.0
    assert model.metric_results()["largest"] == pytest.approx(X.max(), rel=1e-6)
    fitted = made("subclassed")
    fitted.fit(X, Y, batch_size=24, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], fitted.get_weights()[0], rtol=1e-6)


def test_predictions_do_not_count() -> None:
    model = made("sequential")
    model.fit(X, Y, verbose=0)
    before = model.metric_results()
    model.predict(X)
    model.predict_on_batch(X)
    assert model.metric_results() == before
    assert model.losses == []


def test_metrics_of_one_name_are_numbered() -> None:
    class Twice(Layer):
        def __init__(self, factor: float, **base: Any) -> None:
            super().__init__(**base)
            self.factor = factor

        def call(self, x: Any) -> Any:
            self.add_metric(self.factor, "loss" if self.factor > 2 else "mae")
            return x

    model = Sequential([Twice(1.0), Twice(2.0), Twice(3.0), L.Dense(1)])
    model.compile("sgd", "mse", ["mae"])
    found = model.evaluate(X, Y)
    assert list(found) == ["loss", "mae", "mae_1", "mae_2", "loss_1"]
    assert (found["mae_1"], found["mae_2"], found["loss_1"]) == (1.0, 2.0, 3.0)


def test_a_metric_object_held_by_a_layer_that_is_looked_at_for_its_shapes() -> None:
    class Holding(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.mean = corenn.metrics.Mean("held")

        def call(self, x: Any) -> Any:
            self.mean.update_state(x)
            return x

    model = Sequential([Input((4,)), Holding(), L.Dense(1)])
    assert model.layers[0].mean.variables == []
    model.compile("sgd", "mse")
    assert model.evaluate(X, Y)["held"] == pytest.approx(X.mean(), rel=1e-5)


def test_their_state_is_saved_within_an_epoch(tmp_path: Any) -> None:
    whole = made("subclassed").fit(X, Y, batch_size=4, epochs=2, verbose=0).history
    made("subclassed").fit(
        X, Y, batch_size=4, epochs=2, verbose=0, most_steps=3,
        callbacks=[BackupAndRestore(str(tmp_path), save_freq=1, delete_checkpoint=False)],
    )  # fmt: skip
    resumed = made("subclassed")
    history = resumed.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[BackupAndRestore(str(tmp_path))]).history
    assert history == whole
    saved = unpack_state(*pack_state(resumed.state_dict()))["added_metrics"]
    assert set(saved["watched/"]) == {"largest", "seen"}


def test_mistakes() -> None:
    class Vector(Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(x[:, 0])
            return x

    model = Sequential([Vector(), L.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ShapeError, match="must be one number"):
        model.fit(X, Y, verbose=0)
    x = Input((4,))
    model = Model(x, L.Dense(1)(x))
    with pytest.raises(ShapeError, match="one number for the batch"):
        model.add_loss(x)
    with pytest.raises(UsageError, match="not among the inputs"):
        model.add_metric(corenn.mean(Input((2,))), "elsewhere")
    with pytest.raises(AttributeValueError, match="'mean' or 'sum'"):
        model.add_metric(x, "x", aggregation="median")  # type: ignore[arg-type]
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)  # as it was
