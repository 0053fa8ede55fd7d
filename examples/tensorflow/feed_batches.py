"""Input without queues: a Python generator of batches feeds placeholders; tf.app.flags set the sizes; tf.app.run.

Try: -- --steps=500 --batch_size=16
"""

import json

import numpy as np
import tensorflow as tf

flags = tf.app.flags
FLAGS = flags.FLAGS
flags.DEFINE_integer("steps", 300, "Training steps.")
flags.DEFINE_integer("batch_size", 32, "Examples a step.")
flags.DEFINE_float("learning_rate", 0.1, "Step size of gradient descent.")
flags.DEFINE_string("activation", "tanh", "Name of a function of tf.nn.")
flags.DEFINE_boolean("verbose", True, "Print losses.")


def spirals(n, rng):
    """Two interleaved spirals, the classic that no line separates."""
    label = rng.randint(0, 2, n)
    t = rng.rand(n) * 2.5
    angle = 2.2 * t + np.pi * label
    points = np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1) + 0.05 * rng.randn(n, 2)
    return points.astype(np.float32), label.astype(np.int32)


def batches(x, y, size, rng):
    while True:
        order = rng.permutation(len(y))
        for start in range(0, len(y) - size + 1, size):
            rows = order[start : start + size]
            yield x[rows], y[rows]


def main(_):
    rng = np.random.RandomState(0)
    tf.set_random_seed(0)
    train_x, train_y = spirals(600, rng)
    test_x, test_y = spirals(300, rng)

    x = tf.placeholder(tf.float32, [None, 2], name="x")
    y = tf.placeholder(tf.int32, [None], name="y")
    activation = getattr(tf.nn, FLAGS.activation)
    h = tf.layers.dense(x, 32, activation=activation)
    h = tf.layers.dense(h, 32, activation=activation)
    logits = tf.layers.dense(h, 2)
    loss = tf.losses.sparse_softmax_cross_entropy(labels=y, logits=logits)
    accuracy = tf.reduce_mean(tf.to_float(tf.nn.in_top_k(logits, y, 1)))
    train_op = tf.train.MomentumOptimizer(FLAGS.learning_rate, 0.9, use_nesterov=True).minimize(loss)

    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        feed = batches(train_x, train_y, FLAGS.batch_size, rng)
        for step in range(FLAGS.steps):
            batch_x, batch_y = next(feed)
            _, l = sess.run([train_op, loss], {x: batch_x, y: batch_y})
            if FLAGS.verbose and step % 100 == 0:
                tf.logging.info("step %d, loss %.3f", step, l)
        test_accuracy = sess.run(accuracy, {x: test_x, y: test_y})
    print(
        "RESULT "
        + json.dumps(
            {"steps": FLAGS.steps, "batch_size": FLAGS.batch_size, "loss": float(l), "accuracy": float(test_accuracy)}
        )
    )


if __name__ == "__main__":
    tf.app.run()
