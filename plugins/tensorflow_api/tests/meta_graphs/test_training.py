"""Graphs written while they are trained: an imported one takes the same next steps."""

from __future__ import annotations

import numpy as np
import pytest

from corenn import tree


def network(tf, given):
    """A convolutional network: dropout, batch normalization, regularization; its loss."""
    image, labels, keep, training = given["img"], given["ids"][:2], given["n"], given["n"] > 0
    net = tf.layers.conv2d(image, 4, 3, activation=tf.nn.relu, kernel_regularizer=tf.contrib.layers.l2_regularizer(0.1))
    net = tf.layers.batch_normalization(tf.layers.max_pooling2d(net, 2, 2), training=training)
    net = tf.nn.dropout(tf.layers.dense(tf.layers.flatten(net), 6, tf.nn.elu), keep, seed=2)
    logits = tf.layers.dropout(tf.layers.dense(net, 3), 0.3, training=training)
    return tf.losses.sparse_softmax_cross_entropy(labels, logits) + tf.losses.get_regularization_loss()


def recurrent(tf, given):
    """Embeddings and a recurrent network over sequences of different lengths."""
    vectors = tf.get_variable("vectors", [4, 3])
    words = tf.nn.embedding_lookup(vectors, given["table"])
    cell = tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.LSTMCell(3), output_keep_prob=given["n"])
    outputs, state = tf.nn.dynamic_rnn(cell, tf.concat([words, words], 1), given["ids"] + 1, dtype=tf.float32)
    return tf.reduce_mean(tf.square(tf.layers.dense(outputs[:, -1], 1))) + tf.nn.l2_loss(state.c)


def sampled(tf, given):
    """Words by the company they keep, with sampled classes."""
    vectors = tf.Variable(tf.random_uniform([4, 3], -1.0, 1.0, seed=1), name="vectors")
    weights, biases = tf.Variable(tf.truncated_normal([4, 3], seed=2)), tf.Variable(tf.zeros([4]))
    near = tf.nn.embedding_lookup(vectors, given["ids"])
    return tf.reduce_mean(tf.nn.nce_loss(weights, biases, tf.expand_dims(given["long"], 1), near, 2, 4))


def branching(tf, given):
    """A branch, a loop and rows by function, all with gradients."""
    w = tf.get_variable("w", [4], initializer=tf.constant_initializer(0.5))
    x = tf.cond(given["n"] > 0, lambda: given["x"] * w, lambda: given["x"])
    x = tf.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, tf.clip_by_norm(a * w, 2.0)), [0, x])[1]
    return tf.reduce_sum(tf.square(tf.map_fn(lambda row: tf.tanh(row) * w, x)))


def linear(tf, given):
    """A dense layer."""
    return tf.reduce_mean(tf.square(tf.layers.dense(given["x"], 4, name="dense") - given["y"]))


def keras_layers(tf, given):
    """Keras's layers as functions of the tensors of a graph."""
    layers = tf.keras.layers
    net = layers.Conv2D(4, 3, activation="relu", kernel_initializer="he_normal")(given["img"])
    net = layers.BatchNormalization()(layers.MaxPooling2D()(net), training=True)
    net = layers.Dropout(0.4)(layers.Flatten()(net), training=given["n"] > 0)
    words = layers.Bidirectional(layers.LSTM(3))(layers.Embedding(4, 3)(given["table"]))
    other = layers.TimeDistributed(layers.Dense(2))(layers.GRU(3, return_sequences=True)(given["seq"]))
    parts = [layers.Dense(1, "tanh")(t) for t in (net, words, other)]
    return tf.add_n([tf.reduce_mean(tf.square(p - 1.0)) for p in parts])


def keras_model(tf, given):
    """A model of Keras, called on a tensor of a graph."""
    inner = [tf.keras.layers.Dense(5, "relu"), tf.keras.layers.BatchNormalization(), tf.keras.layers.Dense(4)]
    return tf.reduce_mean(tf.square(tf.keras.Sequential(inner)(given["x"]) - given["y"]))


LOSSES = [network, recurrent, sampled, branching, keras_layers, keras_model]
OPTIMIZERS = [
    "GradientDescentOptimizer(0.1)", "MomentumOptimizer(0.1, 0.9, use_nesterov=True)", "AdamOptimizer(0.01)",
    "AdagradOptimizer(0.1)", "AdadeltaOptimizer(0.5)", "RMSPropOptimizer(0.01, momentum=0.5, centered=True)",
    "FtrlOptimizer(0.1)", "ProximalAdagradOptimizer(0.1, l1_regularization_strength=0.01)",
    "ProximalGradientDescentOptimizer(0.1, l2_regularization_strength=0.01)", "AdagradDAOptimizer(0.1, step)",
]  # fmt: skip
CONTRIB = ["AdaMaxOptimizer(0.1)", "AdamWOptimizer(0.01, 0.1)", "AddSignOptimizer(0.1)", "NadamOptimizer(0.1)",
           "PowerSignOptimizer(0.1)", "LazyAdamOptimizer(0.1)", "MomentumWOptimizer(0.01, 0.1, 0.9)"]  # fmt: skip
SCHEDULES = [
    "exponential_decay(0.1, step, 2, 0.5, staircase=True)", "piecewise_constant(step, [1, 2], [0.1, 0.05, 0.01])",
    "polynomial_decay(0.1, step, 3)", "natural_exp_decay(0.1, step, 2, 0.5)", "inverse_time_decay(0.1, step, 2, 0.5)",
    "cosine_decay(0.1, step, 5)",
]  # fmt: skip


def trained(tf, meta, loss, train):
    """Train, save; the next steps of the imported graph are those of the first, whose session begins again, too."""
    prefix, feeds = meta.prefix, meta.feeds
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(3):
            session.run(train, feeds)
        tf.train.Saver().save(session, prefix)
    names = [v.name for v in tf.global_variables()]

    def on(saver):
        graph = tf.get_default_graph()
        with tf.Session() as session:
            saver.restore(session, prefix)
            steps = [session.run([loss.name, graph.get_operation_by_name(train.name)], feeds)[0] for _ in range(3)]
            return steps, session.run(names)

    expected = on(tf.train.Saver())
    tf.reset_default_graph()
    found = on(tf.train.import_meta_graph(prefix + ".meta"))
    assert len(set(map(float, expected[0]))) > 1, "nothing was trained"
    for a, b in zip(tree.leaves(expected), tree.leaves(found), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [v.name for v in tf.global_variables()] == names


@pytest.mark.parametrize("loss", LOSSES, ids=[f.__name__ for f in LOSSES])
def test_an_imported_graph_trains_on(tf1, meta, loss):
    tf1.set_random_seed(5)
    value = loss(tf1, meta.placeholders())
    updates = tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)
    assert (loss is not network) or updates
    with tf1.control_dependencies(updates):
        train = tf1.train.AdamOptimizer(0.01).minimize(value, tf1.train.get_or_create_global_step(), name="train")
    trained(tf1, meta, value, train)


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, *CONTRIB])
def test_optimizers(tf1, meta, optimizer):
    value = linear(tf1, meta.placeholders())
    step = tf1.train.get_or_create_global_step()
    home = "contrib.opt" if optimizer in CONTRIB else "train"
    made = eval(f"tf.{home}.{optimizer}", {"tf": tf1, "step": step})
    trained(tf1, meta, value, made.minimize(value, step, name="train"))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_clipping_and_averages(tf1, meta, schedule):
    value, step = linear(tf1, meta.placeholders()), tf1.train.get_or_create_global_step()
    rate = eval(f"tf.train.{schedule}", {"tf": tf1, "step": step})
    optimizer = tf1.train.AdamOptimizer(rate)
    gradients, variables = zip(*optimizer.compute_gradients(value), strict=True)
    clipped, _ = tf1.clip_by_global_norm(gradients, 0.5)
    applied = optimizer.apply_gradients(zip(clipped, variables, strict=True), step)
    averages = tf1.train.ExponentialMovingAverage(0.9, step)
    with tf1.control_dependencies([applied]):
        train = tf1.group(averages.apply(tf1.trainable_variables()), name="train")
    trained(tf1, meta, value, train)


def test_summaries(tf1, meta):
    given = meta.placeholders()
    for kind, value in {"scalar": "n", "histogram": "x", "image": "img", "text": "s"}.items():
        getattr(tf1.summary, kind)(kind, given[value])
    tf1.summary.audio("sound", given["seq"], 8000)
    tf1.summary.tensor_summary("tensor", given["x"])
    meta.check([tf1.summary.merge_all().name])


def test_scatters_of_variables(tf1, meta):
    meta.placeholders()
    v = tf1.get_variable("rows", initializer=np.arange(12, dtype=np.float32).reshape(4, 3) + 1)
    made = [getattr(tf1, f"scatter_{kind}")(v, [1, 1], np.full((2, 3), 2.0)) for kind in
            ("update", "add", "sub", "mul", "div", "min", "max")]  # fmt: skip
    made += [tf1.scatter_nd_add(v, [[0, 1]], [5.0]), tf1.scatter_nd_update(v, [[0, 1]], [5.0])]
    counter = tf1.get_variable("counter", initializer=0)
    made.append(counter.count_up_to(3))
    meta.check([m.name for m in made])


def test_the_learning_rate_of_an_imported_graph(tf1, meta):
    """https://stackoverflow.com/q/36686413 in short: a placeholder for the rate is found again by its name."""
    given = meta.placeholders()
    rate = tf1.placeholder(tf1.float32, (), name="rate")
    loss = tf1.identity(linear(tf1, given), name="loss")
    tf1.train.AdamOptimizer(rate).minimize(loss, name="train")
    prefix, feeds = meta.prefix, {"x:0": meta.feeds["x:0"], "y:0": meta.feeds["y:0"]}
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run("train", {**feeds, rate: 0.1})
        before = session.run(loss, feeds)
        tf1.train.Saver().save(session, prefix)
    tf1.reset_default_graph()
    with tf1.Session() as session:
        tf1.train.import_meta_graph(prefix + ".meta").restore(session, prefix)
        assert session.run("loss:0", feeds) == before
        session.run("train", {**feeds, "rate:0": 0.0})
        assert session.run("loss:0", feeds) == before
        session.run("train", {**feeds, "rate:0": 0.01})
        assert session.run("loss:0", feeds) < before


def test_an_imported_graph_is_extended(tf1, meta):
    """Fine tuning: a layer of the imported graph gets a new one on top, which alone is trained."""
    network(tf1, meta.placeholders())
    prefix = meta.prefix
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, prefix)
    tf1.reset_default_graph()
    saver = tf1.train.import_meta_graph(prefix + ".meta")
    features = tf1.stop_gradient(tf1.get_default_graph().get_tensor_by_name("dense/BiasAdd:0"))
    top = tf1.layers.dense(features, 2, name="top")
    loss = tf1.reduce_mean(tf1.square(top - 1.0))
    mine = tf1.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES, "top")
    train = tf1.train.GradientDescentOptimizer(0.05).minimize(loss, var_list=mine)
    feeds = meta.feeds
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        saver.restore(session, prefix)
        losses = [session.run([loss, train], feeds)[0] for _ in range(5)]
    assert losses[-1] < losses[0]
