"""``tf.contrib``: layers, slim, argument scopes, cells, sequence to sequence, distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 6)).astype(np.float32)


def test_names_and_defaults_of_layers(tf1: Any) -> None:
    layers = tf1.contrib.layers
    x = tf1.placeholder(tf1.float32, [None, 6])
    y = layers.fully_connected(x, 5)
    layers.linear(layers.batch_norm(y), 2, scope="out")
    image = layers.conv2d(tf1.placeholder(tf1.float32, [None, 8, 8, 3]), 4, [3, 3])
    assert y.op.type == "Relu" and image.get_shape().as_list() == [None, 8, 8, 4]
    assert [v.op.name for v in tf1.global_variables()] == [
        "fully_connected/weights", "fully_connected/biases", "BatchNorm/beta", "BatchNorm/moving_mean",
        "BatchNorm/moving_variance", "out/weights", "out/biases", "Conv/weights", "Conv/biases",
    ]  # fmt: skip
    assert tf1.contrib.framework.get_model_variables() == tf1.global_variables()


def test_arg_scopes_nest_and_can_be_kept(tf1: Any) -> None:
    slim = tf1.contrib.slim
    x = tf1.placeholder(tf1.float32, [None, 6])
    with slim.arg_scope([slim.fully_connected], activation_fn=tf1.nn.tanh, biases_initializer=None):
        a = slim.fully_connected(x, 3)
        with slim.arg_scope([slim.fully_connected], activation_fn=None) as kept:
            b = slim.fully_connected(x, 3)
        c = slim.fully_connected(x, 3, activation_fn=tf1.nn.relu)
    with slim.arg_scope(kept):
        d = slim.fully_connected(x, 3)
    assert [t.op.type for t in (a, b, c, d)] == ["Tanh", "MatMul", "Relu", "MatMul"]
    with pytest.raises(ValueError, match="not decorated with @add_arg_scope"), slim.arg_scope([math.sqrt], x=1):
        pass


def test_repeat_and_stack_name_their_layers(tf1: Any) -> None:
    slim = tf1.contrib.slim
    net = slim.repeat(tf1.placeholder(tf1.float32, [None, 8, 8, 3]), 2, slim.conv2d, 4, [3, 3], scope="conv1")
    slim.stack(slim.flatten(net), slim.fully_connected, [5, 2], scope="fc")
    names = [v.op.name for v in slim.get_variables_by_name("weights")]
    assert names == ["conv1/conv1_1/weights", "conv1/conv1_2/weights", "fc/fc_1/weights", "fc/fc_2/weights"]


@pytest.mark.parametrize("at_once", [False, True])
def test_batch_norm_keeps_averages(at_once: bool, tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 6])
    training = tf1.placeholder(tf1.bool, [])
    options = {"updates_collections": None} if at_once else {}
    y = tf1.contrib.layers.batch_norm(x, decay=0.5, is_training=training, **options)
    updates = tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)
    assert len(updates) == (0 if at_once else 2)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run([y, updates], {x: X, training: True})
        mean, variance = session.run(tf1.global_variables()[1:])
        found = session.run(y, {x: X, training: False})
    np.testing.assert_allclose(mean, X.mean(0) / 2, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance, 0.5 + 0.5 * X.var(0, ddof=1), rtol=1e-4)
    np.testing.assert_allclose(found, (X - mean) / np.sqrt(variance + 1e-3), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "stddev"),
    [
        ({"factor": 1.0, "mode": "FAN_AVG", "uniform": True}, math.sqrt(1 / 150)),
        ({}, math.sqrt(1.3 * 2 / 100) * 0.8796),
        ({"mode": "FAN_OUT"}, math.sqrt(1.3 * 2 / 200) * 0.8796),
    ],
)
def test_variance_scaling(options: Any, stddev: float, tf1: Any) -> None:
    initializer = tf1.contrib.layers.variance_scaling_initializer(**options)
    w = tf1.get_variable("w", [100, 200], initializer=initializer)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        assert session.run(w).std() == pytest.approx(stddev, rel=0.03)


def test_regularizers(tf1: Any) -> None:
    layers = tf1.contrib.layers
    w = tf1.constant([3.0, -4.0])
    with tf1.Session() as session:
        both = session.run([layers.l1_regularizer(0.5)(w), layers.l2_regularizer(0.5)(w)])
        total = session.run(layers.apply_regularization(layers.l2_regularizer(1.0), [w, w]))
    assert both == [3.5, 6.25] and total == 25.0
    with pytest.raises(ValueError, match="scale cannot be an integer"):
        layers.l2_regularizer(1)


def test_optimize_loss_descends_and_counts(tf1: Any) -> None:
    layers = tf1.contrib.layers
    w = tf1.get_variable("w", [3], initializer=tf1.ones_initializer())
    step = tf1.train.get_or_create_global_step()
    train = layers.optimize_loss(tf1.nn.l2_loss(w), step, 0.1, "SGD")
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        for _ in range(3):
            session.run(train)
        np.testing.assert_allclose(session.run(w), np.full(3, 0.9**3), rtol=1e-5)
        assert session.run(step) == 3
    with pytest.raises(ValueError, match="Optimizer name should be one of"):
        layers.optimize_loss(tf1.nn.l2_loss(w), step, 0.1, "Sgd")


def test_slim_learning(tf1: Any, tmp_path: Any) -> None:
    slim = tf1.contrib.slim
    w = tf1.get_variable("w", [3], initializer=tf1.ones_initializer())
    tf1.losses.add_loss(tf1.nn.l2_loss(w))
    total = tf1.losses.get_total_loss()
    train = slim.learning.create_train_op(total, tf1.train.GradientDescentOptimizer(0.5))
    loss = slim.learning.train(train, str(tmp_path / "logs"), number_of_steps=4)
    assert loss == pytest.approx(1.5 * 0.25**3)
    assert tf1.train.latest_checkpoint(str(tmp_path / "logs")).endswith("model.ckpt-4")


def test_sequence_losses(tf1: Any) -> None:
    logits = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    targets, weights = np.array([[0, 1, 2], [3, 3, 0]]), np.float32([[1, 1, 0], [1, 1, 1]])
    log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    losses = -np.take_along_axis(log, targets[..., None], -1)[..., 0] * weights
    a = tf1.contrib.seq2seq.sequence_loss(tf1.constant(logits), tf1.constant(targets), tf1.constant(weights))
    listed = [[tf1.constant(v[:, t]) for t in range(3)] for v in (logits, targets, weights)]
    b = tf1.contrib.legacy_seq2seq.sequence_loss(*listed)
    with tf1.Session() as session:
        np.testing.assert_allclose(session.run(a), losses.sum() / weights.sum(), rtol=1e-5)
        np.testing.assert_allclose(session.run(b), (losses.sum(1) / weights.sum(1)).mean(), rtol=1e-5)


def test_decoders(tf1: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s2s = tf1.contrib.seq2seq
    table = tf1.get_variable("table", [10, 6])
    words, ends = tf1.placeholder(tf1.int32, [None, 5]), tf1.placeholder(tf1.int32, [None])
    cell, layer = tf1.contrib.rnn.BasicLSTMCell(7), tf1.layers.Dense(10)
    start = cell.zero_state(tf1.shape(words)[0], tf1.float32)

    def decode(helper: Any, **options: Any) -> Any:
        return s2s.dynamic_decode(s2s.BasicDecoder(cell, helper, start, layer), impute_finished=True, **options)

    embedded = tf1.nn.embedding_lookup(table, words)
    at_once = decode(s2s.TrainingHelper(embedded, ends))
    monkeypatch.setattr("corenn_tensorflow.contrib.seq2seq.decoders.is_known", lambda cell: False)
    stepwise = decode(s2s.TrainingHelper(embedded, ends))
    own, _, lengths = decode(s2s.GreedyEmbeddingHelper(table, tf1.fill([3], 1), 2), maximum_iterations=4)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        feed = {words: RNG.integers(0, 10, (3, 5)), ends: [5, 2, 3]}
        (a, state_a, ends_a), (b, state_b, ends_b) = session.run([at_once, stepwise], feed)
        said, counts = session.run([own.sample_id, lengths], feed)
    np.testing.assert_allclose(a.rnn_output, b.rnn_output, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(state_a.h, state_b.h, rtol=1e-4, atol=1e-6)
    assert ends_a.tolist() == ends_b.tolist() == [5, 2, 3]
    assert (a.rnn_output[1, 2:] == 0).all() and said.shape[1] == counts.max() <= 4


@pytest.mark.parametrize(
    "make",
    [
        lambda r: r.LSTMBlockCell(5),
        lambda r: r.GRUBlockCell(5),
        lambda r: r.LayerNormBasicLSTMCell(5),
        lambda r: r.AttentionCellWrapper(r.GRUCell(5), 3),
        lambda r: r.OutputProjectionWrapper(r.BasicLSTMCell(8), 5),
        lambda r: r.InputProjectionWrapper(r.GRUCell(5), 3),
    ],
)
def test_cells_of_contrib(make: Any, tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 4, 3])
    outputs, _ = tf1.nn.dynamic_rnn(make(tf1.contrib.rnn), x, dtype=tf1.float32)
    gradients = tf1.gradients(tf1.reduce_sum(outputs), tf1.trainable_variables())
    assert None not in gradients and outputs.get_shape().as_list() == [None, 4, 5]
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        assert session.run(outputs, {x: np.ones((2, 4, 3))}).shape == (2, 4, 5)


def test_distributions(tf1: Any) -> None:
    d = tf1.contrib.distributions
    normal, other = d.Normal(0.0, [1.0, 2.0]), d.Normal(1.0, 1.0)
    coin, three = d.Bernoulli(probs=[0.25]), d.Categorical(logits=np.log(np.float32([[0.2, 0.3, 0.5]])))
    fetches = [
        normal.log_prob(0.5), d.kl_divergence(normal, other), coin.entropy(), three.log_prob([2]), three.entropy(),
        normal.sample(20000), three.sample(20000),
    ]  # fmt: skip
    with tf1.Session() as session:
        log_prob, divergence, h_coin, log_three, h_three, drawn, chosen = session.run(fetches)
    s = np.array([1.0, 2.0])
    np.testing.assert_allclose(log_prob, -0.125 / s**2 - np.log(s) - 0.5 * np.log(2 * np.pi), rtol=1e-5)
    np.testing.assert_allclose(divergence, -np.log(s) + (s**2 + 1) / 2 - 0.5, rtol=1e-5)
    np.testing.assert_allclose(h_coin, [-0.25 * np.log(0.25) - 0.75 * np.log(0.75)], rtol=1e-5)
    np.testing.assert_allclose(log_three, [np.log(0.5)], rtol=1e-5)
    np.testing.assert_allclose(h_three, [-sum(p * np.log(p) for p in (0.2, 0.3, 0.5))], rtol=1e-5)
    np.testing.assert_allclose(drawn.std(0), s, rtol=0.03)
    np.testing.assert_allclose(np.bincount(chosen[:, 0]) / 20000, [0.2, 0.3, 0.5], atol=0.02)


@pytest.mark.parametrize("kind", ["LuongAttention", "BahdanauAttention"])
def test_attention(kind: str, tf1: Any) -> None:
    s2s = tf1.contrib.seq2seq
    memory, ends = tf1.placeholder(tf1.float32, [None, 4, 6]), tf1.placeholder(tf1.int32, [None])
    x = tf1.placeholder(tf1.float32, [None, 5, 3])
    mechanism = getattr(s2s, kind)(7, memory, ends)
    cell = s2s.AttentionWrapper(tf1.nn.rnn_cell.GRUCell(7), mechanism, attention_layer_size=8)
    outputs, state = tf1.nn.dynamic_rnn(cell, x, dtype=tf1.float32)
    gradients = tf1.gradients(tf1.reduce_sum(outputs), tf1.trainable_variables())
    helper = s2s.TrainingHelper(x, [5, 5])
    start = cell.zero_state(2, tf1.float32)
    decoded, _, _ = s2s.dynamic_decode(s2s.BasicDecoder(cell, helper, start))
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        feed = {memory: np.ones((2, 4, 6)), ends: [4, 2], x: RNG.normal(size=(2, 5, 3))}
        found, weights, again = session.run([outputs, state.alignments, decoded.rnn_output], feed)
    assert found.shape == (2, 5, 8) and None not in gradients
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    assert (weights[1, 2:] == 0).all() and (weights[1, :2] > 0).all()
    np.testing.assert_allclose(found, again, rtol=1e-4, atol=1e-6)
