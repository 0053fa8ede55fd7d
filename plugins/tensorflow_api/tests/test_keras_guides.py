"""What TensorFlow 2's guides do with Keras: masks of values, several outputs, figures, text, saving, drawing."""

from __future__ import annotations

import numpy as np
import pytest

RNG = np.random.default_rng(0)
IDS = np.array([[1, 2, 0, 0], [3, 4, 5, 0]])
# An LSTM of ones on an embedding of k / 40, with the zeros at the end masked: from Keras 3.
MASKED = [[0.64109695] * 3, [0.981705] * 3]


def masking_layers(keras):
    table = keras.initializers.Constant(np.arange(40).reshape(10, 4) / 40.0)
    embedding = keras.layers.Embedding(10, 4, mask_zero=True, embeddings_initializer=table)
    return embedding, keras.layers.LSTM(3, kernel_initializer="ones", recurrent_initializer="ones")


def called(tf, first, second):
    return second(first(IDS)).numpy()


def subclassed(tf, first, second):
    class Own(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = first, second

        def call(self, x):
            return self.second(self.first(x))

    return Own().predict(IDS)


def in_a_function(tf, first, second):
    return tf.function(lambda x: second(first(x)))(tf.constant(IDS)).numpy()


def functional(tf, first, second):
    given = tf.keras.Input((4,))
    return tf.keras.Model(given, second(first(given))).predict(IDS)


def sequential(tf, first, second):
    return tf.keras.Sequential([first, second]).predict(IDS)


@pytest.mark.parametrize("way", [called, subclassed, in_a_function, functional, sequential])
def test_masks_go_with_values(tf2, way):
    np.testing.assert_allclose(way(tf2, *masking_layers(tf2.keras)), MASKED, rtol=1e-5)


def test_masks_are_kept_with_tensors(tf2):
    first, _ = masking_layers(tf2.keras)
    found = first(IDS)
    assert found._keras_mask.numpy().tolist() == (IDS != 0).tolist()
    assert tf2.keras.layers.Dense(2)(tf2.ones([2, 3]))._keras_mask is None

    class Through(tf2.keras.layers.Layer):
        def __init__(self, hands_on):
            super().__init__()
            if hands_on:
                self.supports_masking = True

        def call(self, x):
            return x * 2.0

    assert Through(True)(found)._keras_mask is not None
    assert Through(False)(found)._keras_mask is None  # layers of one's own stop masks unless they say otherwise


def test_several_outputs_of_a_subclass(tf2):
    class Two(tf2.keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = tf2.keras.layers.Dense(1), tf2.keras.layers.Dense(1)

        def call(self, inputs):
            left, right = inputs
            return self.a(left), self.b(right)

    model = Two()
    model.compile(loss="mse", loss_weights=[0.9, 0.1], optimizer="sgd")
    x, y = (RNG.random((40, 5)), RNG.random((40, 6))), RNG.random((40, 1))
    history = model.fit(x, (y, y), validation_data=(x, (y, y)), verbose=0).history
    figures = ["loss", "output_1_loss", "output_2_loss"]
    assert list(history) == [*figures, *[f"val_{f}" for f in figures]]
    total, first, second = model.evaluate(x, (y, y), verbose=0)
    assert total == pytest.approx(0.9 * first + 0.1 * second, rel=1e-5)


def test_one_target_for_the_only_output_with_a_loss(tf2):
    keras = tf2.keras
    given = keras.Input((3,))
    hidden = keras.layers.Dense(4)(given)
    model = keras.Model(given, [keras.layers.Dense(1)(hidden), hidden])
    model.compile("sgd", loss=[keras.losses.MeanSquaredError(), None])
    x, y = RNG.random((16, 3)).astype("float32"), RNG.random((16, 1)).astype("float32")
    expected = float(np.mean((model.predict(x)[0] - y) ** 2))
    assert model.evaluate(x, y, verbose=0, return_dict=True)["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_test_step_averages_over_examples(tf2):
    class Own(tf2.keras.Model):
        def test_step(self, data):
            x, y = data
            self.compiled_loss(y, self(x, training=False))
            return {m.name: m.result() for m in self.metrics}

    given = tf2.keras.Input((3,))
    model = Own(given, tf2.keras.layers.Dense(1)(given))
    model.compile("sgd", "mse")
    x, y = RNG.random((37, 3)).astype("float32"), RNG.random((37, 1)).astype("float32")  # the last batch is smaller
    expected = float(np.mean((model.predict(x) - y) ** 2))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_figures_of_metrics(tf2):
    class Reporting(tf2.keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seen = tf2.keras.metrics.Mean(name="seen")

        def call(self, x):
            self.add_metric(self.seen(tf2.reduce_mean(x)))  # the result of a metric it holds: one figure
            return x

    layer = Reporting()
    layer(tf2.ones([2, 3]))
    assert [m.name for m in layer.metrics] == ["seen"]
    model = tf2.keras.Sequential([tf2.keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[tf2.keras.losses.BinaryCrossentropy(from_logits=True, name="bce"), "mae"])
    history = model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0).history
    assert list(history) == ["loss", "bce", "mae"]


def test_the_variables_of_an_optimizer(tf2):
    optimizer = tf2.keras.optimizers.Adam(0.1)
    weight = tf2.Variable([1.0, 2.0])
    optimizer.apply_gradients([(tf2.constant([1.0, 1.0]), weight)])
    assert len(optimizer.variables) == 2
    count, *slots = optimizer.variables()
    assert int(count) == 1 and [s.shape for s in slots] == [(2,), (2,)]
    for variable in optimizer.variables():  # how scripts start an optimizer again
        variable.assign(tf2.zeros_like(variable))
    assert optimizer.iterations.numpy() == 0 and not any(v.numpy().any() for v in optimizer.variables)


def test_schedules_of_many_steps(tf2):
    schedule = tf2.keras.optimizers.schedules.InverseTimeDecay(0.1, 5, 0.5)
    expected = [0.1, 0.1 / 1.5, 0.1 / 2]
    np.testing.assert_allclose(schedule(np.array([0.0, 5.0, 10.0])).numpy(), expected, rtol=1e-6)
    assert schedule(5).numpy() == pytest.approx(0.1 / 1.5)


def test_an_activation_is_taken_off(tf2):
    model = tf2.keras.Sequential([tf2.keras.layers.Dense(3, activation="softmax", input_shape=(2,))])
    x = RNG.random((4, 2)).astype("float32")
    model.layers[-1].activation = None
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(model(x).numpy(), x @ kernel + bias, rtol=1e-5)


def test_text_goes_through_fit(tf2):
    words = tf2.keras.layers.TextVectorization(max_tokens=20, output_sequence_length=3)
    texts, labels = np.array(["good film", "bad film", "good", "bad"] * 8), np.array([1, 0, 1, 0] * 8)
    words.adapt(texts)
    model = tf2.keras.Sequential(
        [words, tf2.keras.layers.Embedding(20, 4), tf2.keras.layers.Flatten(), tf2.keras.layers.Dense(1)]
    )
    model.compile(tf2.keras.optimizers.Adam(0.1), tf2.keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(texts, labels, epochs=20, batch_size=8, verbose=0, validation_data=(texts, labels))
    assert ((model.predict(["good film", "bad"])[:, 0] > 0) == [True, False]).all()
    batches = tf2.data.Dataset.from_tensor_slices((texts, labels)).batch(8)
    assert model.evaluate(batches, verbose=0) < 0.3


def test_a_subclass_is_loaded_with_its_weights(tf2, tmp_path):
    class Stack(tf2.keras.Model):
        def __init__(self, widths):
            super().__init__()
            self.widths = widths
            self.parts = [tf2.keras.layers.Dense(w) for w in widths]

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

        def get_config(self):
            return {"widths": self.widths}

        @classmethod
        def from_config(cls, config):
            return cls(**config)

    model, x = Stack([4, 2]), tf2.random.uniform((3, 5))
    expected = model(x)
    model.save(tmp_path / "stack")
    loaded = tf2.keras.models.load_model(tmp_path / "stack", custom_objects={"Stack": Stack})
    np.testing.assert_allclose(loaded(x), expected, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"show_shapes": True}, {"rankdir": "LR", "show_layer_names": False}])
def test_models_are_drawn(tf2, tmp_path, options):
    image = pytest.importorskip("PIL.Image")
    given = tf2.keras.Input((8,))
    left, right = tf2.keras.layers.Dense(3)(given), tf2.keras.layers.Dense(3)(given)
    joined = tf2.keras.layers.concatenate([left, right])
    for width in (8, 4, 2, 1):
        joined = tf2.keras.layers.Dense(width)(joined)
    model = tf2.keras.Model(given, joined)
    tf2.keras.utils.plot_model(model, tmp_path / "model.png", **options)
    with image.open(tmp_path / "model.png") as drawn:
        width, height = drawn.size
    assert (width > height) == (options.get("rankdir") == "LR")


def test_feature_columns_begin_a_model(tf2):
    column = tf2.feature_column
    kinds = column.categorical_column_with_vocabulary_list("kind", ["a", "b"])
    age = column.numeric_column("age")
    columns = [age, column.indicator_column(kinds), column.embedding_column(kinds, 3),
               column.bucketized_column(age, [10, 20])]  # fmt: skip
    layer = tf2.keras.layers.DenseFeatures(columns)
    found = layer({"age": np.array([5, 15]), "kind": np.array(["b", "a"])}).numpy()
    assert found.shape == (2, 1 + 3 + 3 + 2) and len(layer.trainable_weights) == 1
    assert found[:, :4].tolist() == [[5, 1, 0, 0], [15, 0, 1, 0]]  # by name: age, its buckets, then the kinds
    table = layer.trainable_weights[0].numpy()
    np.testing.assert_array_equal(found[:, 4:7], table[[1, 0]])
    assert found[:, 7:].tolist() == [[0, 1], [1, 0]]
    model = tf2.keras.Sequential([layer, tf2.keras.layers.Dense(1)])
    model.compile("adam", "mse")
    rows = {"age": np.arange(8), "kind": np.array(["a", "b"] * 4)}
    data = tf2.data.Dataset.from_tensor_slices((rows, np.arange(8.0))).batch(4)
    assert list(model.fit(data, epochs=1, verbose=0).history) == ["loss"]
