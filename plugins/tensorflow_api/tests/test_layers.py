"""``tf.layers``: names, sharing, collections, and values against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(2)
X = RNG.normal(size=(4, 6)).astype(np.float32)
IMAGE = RNG.normal(size=(4, 8, 8, 3)).astype(np.float32)


def names(tf: Any) -> list[str]:
    return [v.name for v in tf.global_variables()]


def test_names_count_up(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 6])
    y = tf1.layers.dense(x, 5, activation=tf1.nn.relu)
    z = tf1.layers.dense(y, 3)
    assert names(tf1) == ["dense/kernel:0", "dense/bias:0", "dense_1/kernel:0", "dense_1/bias:0"]
    assert (y.name, z.name) == ("dense/Relu:0", "dense_1/BiasAdd:0")


@pytest.mark.parametrize(
    ("make", "expected", "shape"),
    [
        (lambda L, x: L.conv2d(x, 5, 3), ["conv2d/kernel:0", "conv2d/bias:0"], [None, 6, 6, 5]),
        (lambda L, x: L.conv2d(x, 5, 3, 2, "same", use_bias=False), ["conv2d/kernel:0"], [None, 4, 4, 5]),
        (
            lambda L, x: L.conv2d_transpose(x, 5, 3, strides=2, padding="same"),
            ["conv2d_transpose/kernel:0", "conv2d_transpose/bias:0"],
            [None, 16, 16, 5],
        ),
        (
            lambda L, x: L.separable_conv2d(x, 5, 3, name="sep"),
            ["sep/depthwise_kernel:0", "sep/pointwise_kernel:0", "sep/bias:0"],
            [None, 6, 6, 5],
        ),
        (lambda L, x: L.max_pooling2d(x, 2, 2), [], [None, 4, 4, 3]),
        (lambda L, x: L.average_pooling2d(x, [3, 3], 1, "same"), [], [None, 8, 8, 3]),
        (lambda L, x: L.flatten(x), [], [None, 192]),
        (lambda L, x: L.dropout(x, 0.5), [], [None, 8, 8, 3]),
        (
            lambda L, x: L.batch_normalization(x),
            [f"batch_normalization/{n}:0" for n in ("gamma", "beta", "moving_mean", "moving_variance")],
            [None, 8, 8, 3],
        ),
    ],
)
def test_layers_of_images(make: Any, expected: list[str], shape: list[Any], tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 8, 8, 3])
    y = make(tf1.layers, x)
    assert names(tf1) == expected and y.get_shape().as_list() == shape
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        assert list(session.run(y, {x: IMAGE}).shape) == [4, *shape[1:]]


def test_dense_is_a_product(tf1: Any) -> None:
    layer = tf1.layers.Dense(5, activation=tf1.nn.tanh)
    x = tf1.placeholder(tf1.float32, [None, 6])
    y, again = layer(x), layer.apply(2.0 * x)
    assert [v.name for v in layer.trainable_variables] == ["dense/kernel:0", "dense/bias:0"]
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        w = session.run(layer.kernel)
        found, twice = session.run([y, again], {x: X})
    np.testing.assert_allclose(found, np.tanh(X @ w), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(twice, np.tanh(2 * X @ w), rtol=1e-4, atol=1e-6)


def test_sharing_by_name(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 6])
    tf1.layers.dense(x, 5, name="one")
    with pytest.raises(ValueError, match="Variable one/kernel already exists"):
        tf1.layers.dense(x, 5, name="one")
    tf1.layers.dense(x, 5, name="one", reuse=True)
    assert names(tf1) == ["one/kernel:0", "one/bias:0"]


def test_a_scope_entered_again_reaches_layers_without_names(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 6])

    def net(reuse: Any) -> Any:
        with tf1.variable_scope("net", reuse=reuse):
            return tf1.layers.dense(tf1.layers.dense(x, 5), 2)

    a, b = net(False), net(True)
    assert names(tf1) == ["net/dense/kernel:0", "net/dense/bias:0", "net/dense_1/kernel:0", "net/dense_1/bias:0"]
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        np.testing.assert_array_equal(*session.run([a, b], {x: X}))


def test_regularizers_and_constraints(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 6])
    for reuse in (False, True):
        tf1.layers.dense(x, 5, name="d", reuse=reuse, kernel_regularizer=tf1.nn.l2_loss, kernel_constraint=tf1.nn.relu)
    tf1.layers.dense(x, 5, activity_regularizer=tf1.nn.l2_loss)
    assert len(tf1.losses.get_regularization_losses()) == 2
    assert tf1.trainable_variables()[0].constraint is tf1.nn.relu


@pytest.mark.parametrize("fed", [False, True])
@pytest.mark.parametrize("rank", [2, 4])
def test_batch_normalization_and_its_updates(fed: bool, rank: int, tf1: Any) -> None:
    value = IMAGE if rank == 4 else X
    x = tf1.placeholder(tf1.float32, [None, *value.shape[1:]])
    training = tf1.placeholder(tf1.bool, []) if fed else True
    y = tf1.layers.batch_normalization(x, training=training, momentum=0.9)
    updates = tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)
    assert len(updates) == 2 and len(tf1.trainable_variables()) == 2
    axes = tuple(range(rank - 1))
    mean, variance = value.mean(axes), value.var(axes)
    count = value.size // value.shape[-1]
    kept = variance * count / (count - 1) if rank == 4 else variance  # the fused kernels keep the unbiased variance
    averages = tf1.global_variables()[2:]
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        found, _ = session.run([y, updates], {x: value, training: True} if fed else {x: value})
        np.testing.assert_allclose(found, (value - mean) / np.sqrt(variance + 1e-3), rtol=1e-3, atol=1e-4)
        held = session.run(averages)
        np.testing.assert_allclose(held[0], 0.1 * mean, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(held[1], 0.9 + 0.1 * kept, rtol=1e-4)
        if fed:
            found, _ = session.run([y, updates], {x: value, training: False})
            np.testing.assert_allclose(found, (value - held[0]) / np.sqrt(held[1] + 1e-3), rtol=1e-3, atol=1e-4)
            np.testing.assert_array_equal(session.run(averages), held)


def test_dropout_only_drops_in_training(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 6])
    training = tf1.placeholder(tf1.bool, [])
    y = tf1.layers.dropout(x, 0.5, training=training)
    with tf1.Session() as session:
        np.testing.assert_array_equal(session.run(y, {x: X, training: False}), X)
        assert (session.run(y, {x: np.ones((50, 6)), training: True}) == 0).any()


def test_a_layer_of_the_users(tf1: Any) -> None:
    class Scale(tf1.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.by = self.add_weight("by", shape=[int(input_shape[-1])], initializer=tf1.ones_initializer())
            self.built = True

        def call(self, inputs: Any) -> Any:
            return inputs * self.by

    layer = Scale(name="mine")
    y = layer(tf1.constant(X))
    assert names(tf1) == ["mine/by:0"] and layer.count_params() == 6
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        np.testing.assert_array_equal(session.run(y), X)


def test_layers_run_eagerly(tf2: Any) -> None:
    layers = tf2.compat.v1.layers if hasattr(tf2, "compat") else tf2.layers
    layer = layers.Dense(3, kernel_initializer="ones")
    np.testing.assert_allclose(layer(X).numpy(), np.repeat(X.sum(1, keepdims=True), 3, 1), rtol=1e-4, atol=1e-5)
    assert len(layer.trainable_variables) == 2


def test_channels_must_be_known(tf1: Any) -> None:
    with pytest.raises(ValueError, match=r"should be defined\. Found `None`"):
        tf1.layers.dense(tf1.placeholder(tf1.float32, [None, None]), 3)
