"""Models of Keras: building, training, saving, in both generations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(params=["tf1", "tf2"])
def tf(request: pytest.FixtureRequest) -> Any:
    """``tf`` in either generation."""
    found = request.getfixturevalue(request.param)
    found.keras.backend.clear_session()
    return found


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Names counted from the beginning."""
    import corenn_tensorflow as tf

    tf.keras.backend.reset_uids()


def data(count: int = 32, features: int = 8) -> tuple[Any, Any]:
    """Inputs, and a class that a linear model finds."""
    x = np.random.default_rng(0).random((count, features), np.float32)
    return x, (x.sum(1) > features / 2).astype("int64")


def dense(tf: Any) -> Any:
    """A small classifier."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [layers.Dense(6, activation="relu", input_shape=(8,)), layers.Dense(2, activation="softmax")]
    )


def test_sequential_learns(tf: Any) -> None:
    x, y = data()
    model = dense(tf)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=30, batch_size=8, verbose=0, validation_split=0.25)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert history.epoch == list(range(30))
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history.history["acc"] == history.history["accuracy"]
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert loss == pytest.approx(-np.log(model.predict(x)[np.arange(32), y]).mean(), rel=1e-4)
    assert accuracy == pytest.approx((model.predict(x).argmax(1) == y).mean())


def dense_of(layers: Any) -> tuple[Any, Any]:
    inputs = layers.Input((8,))
    return inputs, layers.Dense(1)(inputs)


def shared_of(layers: Any) -> tuple[Any, Any]:
    a, b = layers.Input((8,)), layers.Input((8,))
    twice = layers.Dense(3)
    return [a, b], layers.concatenate([twice(a), twice(b)])


def branched_of(layers: Any) -> tuple[Any, Any]:
    a = layers.Input((8,))
    return a, [layers.Dense(2, name="left")(a), layers.add([layers.Dense(8)(a), a])]


@pytest.mark.parametrize("build", [dense_of, shared_of, branched_of])
def test_functional_models_come_back_from_json(tf: Any, build: Callable[[Any], tuple[Any, Any]]) -> None:
    inputs, outputs = build(tf.keras.layers)
    model = tf.keras.Model(inputs, outputs)
    again = tf.keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    x = data()[0]
    given = [x, x[::-1]] if isinstance(inputs, list) else x
    first, second = model.predict(given), again.predict(given)
    many = isinstance(first, list)
    for mine, other in zip(first if many else [first], second if many else [second], strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)


def test_several_outputs_have_figures_by_name(tf: Any) -> None:
    inputs, outputs = branched_of(tf.keras.layers)
    model = tf.keras.Model(inputs, outputs)
    names = model.output_names
    model.compile("sgd", ["mse", "mae"], metrics={"left": ["mae"]}, loss_weights=[1.0, 0.5])
    x = data()[0]
    history = model.fit(x, [x[:, :2], x], verbose=0).history
    assert list(history) == ["loss", *[f"{n}_loss" for n in names], "left_mae"]
    found = dict(zip(model.metrics_names, model.evaluate(x, [x[:, :2], x], verbose=0), strict=True))
    assert found["loss"] == pytest.approx(found[f"{names[0]}_loss"] + 0.5 * found[f"{names[1]}_loss"], rel=1e-5)


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "folder"])
def test_saved_models_predict_the_same(tf: Any, tmp_path: Path, name: str) -> None:
    x, y = data()
    model = dense(tf)
    model.compile(tf.keras.optimizers.Adam(lr=0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, verbose=0)
    path = str(tmp_path / name)
    model.save(path)
    again = tf.keras.models.load_model(path)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert float(again.optimizer.learning_rate) == pytest.approx(0.01)
    again.fit(x, y, verbose=0)


@pytest.mark.parametrize("name", ["weights.h5", "checkpoint/weights"])
def test_weights_are_read_back(tf: Any, tmp_path: Path, name: str) -> None:
    first, second = dense(tf), dense(tf)
    first.save_weights(str(tmp_path / name))
    second.load_weights(str(tmp_path / name))
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_of_users_train(tf: Any) -> None:
    keras, backend = tf.keras, tf.keras.backend

    class Scale(keras.layers.Layer):
        def __init__(self, units: int, **options: Any) -> None:
            self.units = units
            super().__init__(**options)

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(
                name="kernel",
                shape=(int(input_shape[-1]), self.units),
                initializer="uniform",
                regularizer=keras.regularizers.l2(0.1),
            )
            super().build(input_shape)

        def call(self, inputs: Any) -> Any:
            return backend.dot(inputs, self.kernel)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    x, y = data()
    model = keras.Sequential([Scale(4, input_shape=(8,)), keras.layers.Dense(1)])
    model.compile("sgd", lambda t, p: backend.mean(backend.square(backend.cast(t, "float32") - p), axis=-1))
    before = model.get_weights()
    loss = model.evaluate(x, y, verbose=0)
    expected = np.mean((y[:, None] - model.predict(x)) ** 2) + 0.1 * np.sum(before[0] ** 2)
    assert loss == pytest.approx(expected, rel=1e-4)
    model.fit(x, y, verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])
    again = keras.Sequential.from_config(model.get_config(), custom_objects={"Scale": Scale})
    assert again.layers[0].units == 4


def test_masks_leave_out_padding(tf: Any) -> None:
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Embedding(20, 4, mask_zero=True), layers.LSTM(3)])
    short = np.array([[5, 6, 7]])
    long = np.array([[5, 6, 7, 0, 0]])
    np.testing.assert_allclose(model.predict(short), model.predict(long), rtol=1e-5)


def test_losses_that_are_added_are_minimised(tf: Any) -> None:
    layers, backend = tf.keras.layers, tf.keras.backend
    inputs = layers.Input((8,))
    outputs = layers.Dense(8)(inputs)
    model = tf.keras.Model(inputs, outputs)
    model.add_loss(backend.mean(backend.square(outputs - inputs)))
    model.compile("adam")
    x = data()[0]
    history = model.fit(x, epochs=200, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]


def test_function_gives_inner_values(tf: Any) -> None:
    model = dense(tf)
    x = data()[0]
    found = tf.keras.backend.function([model.input], [model.layers[0].output])([x])[0]
    kernel, bias = model.layers[0].get_weights()
    np.testing.assert_allclose(found, np.maximum(x @ kernel + bias, 0), rtol=1e-5, atol=1e-6)


def test_layers_on_placeholders_train_in_sessions(tf1: Any) -> None:
    tf, layers = tf1, tf1.keras.layers
    x, y = data()
    image, labels = tf.placeholder(tf.float32, (None, 8)), tf.placeholder(tf.float32, (None, 2))
    hidden = layers.BatchNormalization()(layers.Dropout(0.2)(layers.Dense(8, activation="relu")(image)))
    predicted = layers.Dense(2, activation="softmax")(hidden)
    loss = tf.reduce_mean(tf.keras.losses.categorical_crossentropy(labels, predicted))
    step = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    names = [v.name for v in tf.trainable_variables()]
    assert names == ["dense/kernel:0", "dense/bias:0", "batch_normalization/gamma:0", "batch_normalization/beta:0",
                     "dense_1/kernel:0", "dense_1/bias:0"]  # fmt: skip
    feeds = {image: x, labels: np.eye(2)[y], tf.keras.backend.learning_phase(): 1}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        first = session.run(loss, feeds)
        for _ in range(40):
            session.run(step, feeds)
        assert session.run(loss, feeds) < first


def test_sessions_and_fit_share_weights(tf1: Any) -> None:
    tf = tf1
    model = dense(tf)
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = data()
    session = tf.keras.backend.get_session()
    before = session.run(model.output, {model.input: x})
    model.fit(x, y, verbose=0)
    after = session.run(model.output, {model.input: x})
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, model.predict(x), rtol=1e-5)


def test_gradients_by_the_input(tf1: Any) -> None:
    backend = tf1.keras.backend
    model = tf1.keras.Sequential([tf1.keras.layers.Dense(1, input_shape=(8,))])
    slope = backend.function([model.input], backend.gradients(model.output, model.input))([data()[0]])[0]
    np.testing.assert_allclose(slope, np.tile(model.get_weights()[0].T, (32, 1)), rtol=1e-6)


def test_subclassed_models_and_own_steps(tf2: Any) -> None:
    keras = tf2.keras

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.out = keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)
            self.calls = 0

        def call(self, inputs: Any, training: bool = False) -> Any:
            return self.out(self.hidden(inputs))

        def train_step(self, data: Any) -> dict[str, Any]:
            self.calls += 1
            x, y = data
            with tf2.GradientTape() as tape:
                loss = tf2.reduce_mean(tf2.square(tf2.cast(y, "float32") - self(x, training=True)))
            self.optimizer.apply_gradients(
                zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables, strict=True)
            )
            return {"own": loss}

    model = Net()
    model.compile("adam", "mse")
    x, y = data()
    history = model.fit(x, y, batch_size=8, epochs=2, verbose=0).history
    assert list(history) == ["own"] and model.calls == 8


def test_generators_with_the_names_of_keras_1(tf2):
    """``samples_per_epoch``, ``nb_val_samples`` and ``val_samples`` count samples, not batches."""
    x, y = np.arange(40, dtype="float32").reshape(20, 2), np.ones((20, 1), "float32")
    asked = []

    def batches(name):
        while True:
            for start in range(0, 20, 8):
                asked.append(name)
                yield x[start : start + 8], y[start : start + 8]

    model = tf2.keras.Sequential([tf2.keras.layers.Dense(1, input_shape=(2,))])
    model.compile(optimizer="sgd", loss="mse")
    history = model.fit_generator(
        batches("train"), samples_per_epoch=20, nb_epoch=2, validation_data=batches("validation"), nb_val_samples=9,
        verbose=0, max_q_size=10,
    )  # fmt: skip
    assert len(history.history["loss"]) == 2 and model.optimizer.iterations == 6
    assert asked.count("train") in (6, 7) and asked.count("validation") in (4, 5)  # one may be read ahead
    assert model.predict_generator(batches("predict"), val_samples=20).shape == (20, 1)
