"""Keras as its tutorials use it: what is frozen when, labels of losses, arguments of calls, optimizers, checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

from corenn.errors import UsageError

RNG = np.random.default_rng(0)


def _pair(keras, units=3):
    inner = keras.Sequential([keras.layers.Dense(4, input_shape=(2,)), keras.layers.Dense(1, activation="sigmoid")])
    inner.compile("sgd", "binary_crossentropy")
    inner.trainable = False
    outer = keras.Sequential([keras.layers.Dense(2, input_shape=(units,)), inner])
    outer.compile("sgd", "binary_crossentropy")
    return inner, outer


def _moved(model, step):
    before = model.get_weights()
    step()
    return [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]


@pytest.mark.parametrize("generation", ["tf1", "tf2"])
def test_compile_settles_what_is_trained(generation, request):
    tf = request.getfixturevalue(generation)
    inner, outer = _pair(tf.keras)
    ones = np.ones((8, 1))
    for _ in range(2):  # the second round runs the traced steps
        assert all(_moved(inner, lambda: inner.train_on_batch(RNG.random((8, 2)), ones)))
        assert not any(_moved(inner, lambda: outer.train_on_batch(RNG.random((8, 3)), ones)))
    assert any(_moved(outer, lambda: outer.fit(RNG.random((8, 3)), ones, verbose=0)))
    assert inner.trainable is False and not inner.layers[0].trainable  # as the script set it
    inner.compile("sgd", "binary_crossentropy")
    with pytest.raises(UsageError, match="nothing to train"):
        inner.train_on_batch(RNG.random((8, 2)), ones)


def test_toggling_trainable_keeps_the_traces(tf2):
    inner, outer = _pair(tf2.keras)
    ones = np.ones((8, 1))
    for _ in range(4):
        inner.trainable = True
        inner.train_on_batch(RNG.random((8, 2)), ones)
        inner.trainable = False
        outer.train_on_batch(RNG.random((8, 3)), ones)
    assert all(len(model._traced._functions["train"][1].traces) == 1 for model in (inner, outer))


@pytest.mark.parametrize(
    "loss",
    [
        lambda tf: lambda y, p: tf.reduce_mean(y * p + (1 - y) * tf.square(p)),  # calculates with labels
        lambda tf: lambda y, p: tf.reduce_mean(tf.one_hot(tf.reshape(y, [-1]), 2)[:, :1] * p),  # indexes with them
    ],
)  # fmt: skip
def test_integer_labels_suit_losses_of_both_ages(tf2, loss):
    model = tf2.keras.Sequential([tf2.keras.layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", loss(tf2), metrics=[loss(tf2)])
    assert np.isfinite(model.fit(RNG.random((8, 3)), np.arange(8) % 2, verbose=0).history["loss"][0])


def test_a_loss_of_a_symbolic_tensor_says_what_to_do(tf1):
    keras = tf1.keras
    x, weight = keras.layers.Input((3,)), keras.layers.Input((1,))
    model = keras.models.Model([x, weight], keras.layers.Dense(1)(x))
    model.compile("sgd", lambda y, p: tf1.reduce_sum((y - p) * weight))
    with pytest.raises(UsageError, match="symbolic tensor"):
        model.train_on_batch([np.ones((2, 3)), np.ones((2, 1))], np.ones((2, 1)))


def test_training_and_mask_may_stand_anywhere_in_call(tf2):
    class Between(tf2.keras.layers.Layer):
        def call(self, x, y, training, factor, mask):
            assert mask is None
            return (x - y) * factor * (2.0 if training else 1.0)

    three, one = tf2.constant([3.0]), tf2.constant([1.0])
    layer = Between()
    assert layer(three, one, True, 5.0, None).numpy() == [20.0]
    assert layer(three, y=one, training=False, factor=tf2.constant(5.0), mask=None).numpy() == [10.0]
    symbolic = tf2.keras.Input((1,))
    model = tf2.keras.Model(symbolic, layer(symbolic, one, False, 5.0, None))
    assert model.predict(np.array([[3.0]])) == [[10.0]]


def test_states_are_set_before_the_first_call(tf2):
    layer = tf2.keras.layers.LSTM(4, stateful=True, batch_input_shape=(1, 3, 2))
    tf2.keras.Sequential([layer])
    layer.reset_states(states=[np.ones((1, 4)), np.full((1, 4), 2.0)])
    assert [s.numpy().mean() for s in layer.states] == [1.0, 2.0]


def test_functions_as_initializers_are_saved_by_name(tf2, tmp_path):
    def small(shape, dtype=None):
        return tf2.fill(shape, 0.5)

    model = tf2.keras.Sequential([tf2.keras.layers.Dense(2, kernel_initializer=small, input_shape=(3,))])
    again = tf2.keras.models.model_from_json(model.to_json(), custom_objects={"small": small})
    assert again.layers[0].kernel.numpy().tolist() == [[0.5] * 2] * 3


def test_a_list_of_cells_survives_its_configuration(tf2):
    layers = tf2.keras.layers
    layer = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)])
    assert layers.RNN.from_config(layer.get_config())(np.ones((2, 4, 3), "float32")).shape == (2, 2)


def test_grouped_convolution(tf2):
    layer = tf2.keras.layers.Conv2D(4, 3, groups=2)
    assert layer(np.ones((1, 8, 8, 6), "float32")).shape == (1, 6, 6, 4) and layer.kernel.shape == (3, 3, 3, 4)
    assert layer.get_config()["groups"] == 2


# ---------------------------------------------------------------- optimizers


def test_a_users_schedule_gets_the_step_as_a_float(tf2):
    class Warmup(tf2.keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            assert step.dtype == tf2.float32
            return tf2.math.minimum(tf2.math.rsqrt(step + 1.0), step * 0.25)

    model = tf2.keras.Sequential([tf2.keras.layers.Dense(1, input_shape=(2,))])
    model.compile(tf2.optimizers.SGD(Warmup()), "mse")
    x, y = np.ones((4, 2)), np.ones((4, 1))
    assert not any(_moved(model, lambda: model.train_on_batch(x, y)))  # the rate at step 0 is 0
    assert all(_moved(model, lambda: model.train_on_batch(x, y)))
    assert model.optimizer._decayed_lr(tf2.float32).numpy() == pytest.approx(0.5)


def test_updates_of_an_optimizer_in_a_graph(tf1):
    K = tf1.keras.backend
    model = tf1.keras.Sequential([tf1.keras.layers.Dense(1, use_bias=False, input_shape=(2,))])
    model.set_weights([np.ones((2, 1))])
    updates = tf1.keras.optimizers.SGD(0.5).get_updates(K.sum(model.output), model.trainable_weights)
    step = K.function([model.input], [K.sum(model.output)], updates=updates)
    x = np.array([[1.0, 2.0]])
    assert step([x])[0] == pytest.approx(3.0)
    np.testing.assert_allclose(model.get_weights()[0], [[0.5], [0.0]])
    assert K.get_value(K.clip(K.constant([-1.0, 2.0]), 0, 1)).tolist() == [0.0, 1.0]
    variable = K.variable([1.0, 2.0])
    K.set_value(variable, [3.0, 4.0])
    assert K.get_value(variable).tolist() == [3.0, 4.0]


def test_a_checkpoint_is_restored_into_layers_of_other_names(tf2, tmp_path):
    def made():
        model = tf2.keras.Sequential([tf2.keras.layers.Dense(2, input_shape=(3,)), tf2.keras.layers.Dense(1)])
        optimizer = tf2.keras.optimizers.Adam(0.1)
        return model, optimizer, tf2.train.Checkpoint(model=model, optimizer=optimizer)

    def step(model, optimizer):
        with tf2.GradientTape() as tape:
            loss = tf2.reduce_sum(model(tf2.ones((1, 3))))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    first, optimizer, checkpoint = made()
    step(first, optimizer)
    path = checkpoint.save(str(tmp_path / "ckpt"))
    second, other, fresh = made()
    fresh.restore(path)
    step(first, optimizer)
    step(second, other)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- functions


def test_layers_are_built_under_an_input_signature(tf2):
    dense = tf2.keras.layers.Dense(2)

    @tf2.function(input_signature=[tf2.TensorSpec([None, 3], tf2.float32)])
    def call(x):
        return dense(x), tf2.ones((5,))[: tf2.shape(x)[0]]

    assert [call(tf2.ones((n, 3)))[1].shape for n in (2, 4)] == [(2,), (4,)]
    assert call(tf2.ones((4, 3)))[0].shape == (4, 2)
    with pytest.raises(ValueError, match="input_signature"):
        call(tf2.ones((2, 4)))


def test_a_strategy_of_one_replica(tf2):
    strategy = tf2.distribute.MirroredStrategy()
    with strategy.scope():
        assert tf2.distribute.get_strategy() is strategy
        model = tf2.keras.Sequential([tf2.keras.layers.Dense(1, input_shape=(2,))])
    assert tf2.distribute.get_strategy() is not strategy and strategy.num_replicas_in_sync == 1
    each = strategy.run(lambda x: tf2.reduce_sum(model(x)) * 0 + 3.0, args=(tf2.ones((1, 2)),))
    assert strategy.reduce(tf2.distribute.ReduceOp.SUM, each, axis=None).numpy() == 3.0
    assert strategy.reduce("MEAN", tf2.constant([1.0, 3.0]), axis=0).numpy() == 2.0


def test_a_generator_of_random_numbers(tf2):
    one, same, other = (tf2.random.Generator.from_seed(n) for n in (1, 1, 2))
    drawn = one.normal([1000], mean=2.0)
    np.testing.assert_array_equal(drawn, same.normal([1000], mean=2.0))
    assert abs(drawn.numpy().mean() - 2) < 0.2 and not np.array_equal(drawn, other.normal([1000]))
    assert set(one.uniform([50], 3, 5, dtype=tf2.int32).numpy()) == {3, 4}
    assert len({float(g.uniform([])) for g in one.split(3)}) == 3


# ---------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda tf, s: tf.reshape(s, (2, 2)), [[b"a", b"b"], [b"c", b"d"]]),
        (lambda tf, s: tf.expand_dims(s, 0)[:, :1], [[b"a"]]),
        (lambda tf, s: tf.stack([s, s])[1, 2:], [b"c", b"d"]),
        (lambda tf, s: tf.concat([s, ["e"]], axis=0)[3:], [b"d", b"e"]),
        (lambda tf, s: tf.boolean_mask(s, s != "a"), [b"b", b"c", b"d"]),
        (lambda tf, s: tf.reverse(s, [0]), [b"d", b"c", b"b", b"a"]),
        (lambda tf, s: tf.transpose(tf.reshape(s, (2, 2))), [[b"a", b"c"], [b"b", b"d"]]),
        (lambda tf, s: tf.unstack(s)[1], b"b"),
        (lambda tf, s: tf.tile(tf.squeeze(s[:1]), []), b"a"),
        (lambda tf, s: tf.strings.split("x y z"), [b"x", b"y", b"z"]),
    ],
)  # fmt: skip
def test_text_is_moved_about(tf2, call, expected):
    found = call(tf2, tf2.constant(["a", "b", "c", "d"])).numpy()
    assert (found.tolist() if hasattr(found, "tolist") else found) == expected


def test_a_dataset_of_records_is_written(tf2, tmp_path):
    path = str(tmp_path / "records")
    tf2.data.experimental.TFRecordWriter(path).write(tf2.data.Dataset.from_tensor_slices([b"one", b"two"]))
    assert [r.numpy() for r in tf2.data.TFRecordDataset(path)] == [b"one", b"two"]
    assert tf2.data.experimental.get_single_element(tf2.data.Dataset.from_tensors(3)).numpy() == 3
    with pytest.raises(tf2.errors.InvalidArgumentError, match="more than one"):
        tf2.data.experimental.get_single_element(tf2.data.Dataset.range(2))


def test_saved_model_of_a_keras_model(tf2, tmp_path):
    model = tf2.keras.Sequential([tf2.keras.layers.Dense(2, input_shape=(3,), name="out")])
    tf2.saved_model.save(model, str(tmp_path / "saved"))
    loaded = tf2.saved_model.load(str(tmp_path / "saved"))
    serve = loaded.signatures["serving_default"]
    x = tf2.constant(RNG.random((4, 3)), tf2.float32)
    for found in (loaded(x), serve(x)["out"], serve(**{model.input_names[0]: x})["out"]):
        np.testing.assert_array_equal(found, model(x))
    assert list(serve.structured_outputs) == ["out"]
    with pytest.raises(TypeError, match="by name"):
        serve(other=x)
    with pytest.raises(NotImplementedError, match="Keras models only"):
        tf2.saved_model.save(tf2.Module(), str(tmp_path / "module"))


def test_nadam_is_that_of_keras_2(tf2):
    optimizer, variable = tf2.keras.optimizers.Nadam(0.1), tf2.Variable(np.linspace(-1, 1, 5).astype("float32"))
    for i in range(6):
        optimizer.apply_gradients([(tf2.constant(np.sin(np.arange(5) + i).astype("float32")), variable)])
    # TensorFlow 2.15, tf.keras.optimizers.legacy.Nadam
    np.testing.assert_allclose(variable.numpy()[:3], [-1.0809042, -0.5586902, -0.00653217], atol=2e-6)


def test_weights_are_not_loaded_into_nothing(tf2, tmp_path):
    class Small(tf2.keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = tf2.keras.layers.Dense(2)

        def call(self, x):
            return self.inner(x)

    first, second, x = Small(), Small(), np.ones((1, 3), "float32")
    first(x)
    first.save_weights(str(tmp_path / "weights"))
    with pytest.raises(ValueError, match="has not created its variables yet"):
        second.load_weights(str(tmp_path / "weights"))
    second(x)
    second.load_weights(str(tmp_path / "weights"))
    np.testing.assert_array_equal(first(x), second(x))
