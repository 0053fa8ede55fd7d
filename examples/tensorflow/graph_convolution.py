"""A graph convolutional network: sparse placeholders, sparse dropout, products of sparse and dense matrices."""

import json

import numpy as np
import tensorflow as tf

flags = tf.app.flags
flags.DEFINE_float("learning_rate", 0.02, "Rate of Adam.")
flags.DEFINE_integer("epochs", 120, "Passes over the graph.")
flags.DEFINE_integer("hidden", 16, "Units of the first layer.")
flags.DEFINE_float("dropout", 0.3, "Share of the inputs left out.")
flags.DEFINE_float("weight_decay", 5e-4, "Weight of the penalty on the first layer.")
FLAGS = flags.FLAGS

nodes, classes, words, labelled = 90, 3, 30, 15


def to_sparse(matrix):
    rows, columns = np.nonzero(matrix)
    return np.stack([rows, columns], axis=1), matrix[rows, columns].astype(np.float32), matrix.shape


def make_graph(rng):
    """Nodes are linked, and use the same words, mostly within a class."""
    y = np.arange(nodes) % classes
    upper = np.triu(rng.rand(nodes, nodes) < np.where(y[:, None] == y[None], 0.15, 0.01), 1)
    linked = (upper | upper.T) + np.eye(nodes)
    scale = linked.sum(axis=1) ** -0.5
    used = rng.rand(nodes, words) < np.where(np.arange(words) % classes == y[:, None], 0.2, 0.08)
    return y, linked * scale[:, None] * scale[None], used * 1.0


def sparse_dropout(x, keep_prob, count):
    kept = tf.cast(tf.floor(keep_prob + tf.random_uniform(count)), tf.bool)
    return tf.sparse_retain(x, kept) * (1.0 / keep_prob)


def convolve(x, adjacency, units, name, sparse):
    with tf.variable_scope(name):
        weights = tf.get_variable("weights", [words if sparse else FLAGS.hidden, units])
        product = tf.sparse_tensor_dense_matmul(x, weights) if sparse else tf.matmul(x, weights)
        return tf.sparse_tensor_dense_matmul(adjacency, product), weights


def masked_mean(values, mask):
    mask = tf.cast(mask, tf.float32)
    return tf.reduce_mean(values * (mask / tf.reduce_mean(mask)))


def main(_):
    rng = np.random.RandomState(0)
    tf.set_random_seed(0)
    y, adjacency_matrix, used = make_graph(rng)
    features = to_sparse(used)
    adjacency = tf.sparse_placeholder(tf.float32)
    x = tf.sparse_placeholder(tf.float32, shape=tf.constant(features[2], dtype=tf.int64))
    labels = tf.placeholder(tf.float32, [None, classes])
    mask = tf.placeholder(tf.int32)
    dropout = tf.placeholder_with_default(0.0, shape=())
    count = tf.placeholder(tf.int32)

    hidden, weights = convolve(sparse_dropout(x, 1 - dropout, count), adjacency, FLAGS.hidden, "one", True)
    logits, _ = convolve(tf.nn.dropout(tf.nn.relu(hidden), 1 - dropout), adjacency, classes, "two", False)
    entropy = tf.nn.softmax_cross_entropy_with_logits(logits=logits, labels=labels)
    loss = masked_mean(entropy, mask) + FLAGS.weight_decay * tf.nn.l2_loss(weights)
    right = tf.cast(tf.equal(tf.argmax(logits, 1), tf.argmax(labels, 1)), tf.float32)
    accuracy = masked_mean(right, mask)
    train_op = tf.train.AdamOptimizer(FLAGS.learning_rate).minimize(loss)

    seen = np.arange(nodes) < labelled
    feed = {
        adjacency: to_sparse(adjacency_matrix), x: features, labels: np.eye(classes)[y], mask: seen,
        count: features[1].shape,
    }  # fmt: skip
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        first_loss = sess.run(loss, feed)
        for _ in range(FLAGS.epochs):
            training_feed = dict(feed)
            training_feed.update({dropout: FLAGS.dropout})
            sess.run(train_op, training_feed)
        last_loss, train_accuracy = sess.run([loss, accuracy], feed)
        feed[mask] = ~seen
        test_accuracy = sess.run(accuracy, feed)
    result = {"first_loss": first_loss, "loss": last_loss, "train_accuracy": train_accuracy, "accuracy": test_accuracy}
    print("RESULT", json.dumps({name: float(value) for name, value in result.items()}))


if __name__ == "__main__":
    tf.app.run()
