"""Exponential moving averages of the weights: kept while training, evaluated and restored in their place."""

import json
import os
import tempfile

import numpy as np
import tensorflow as tf

rng = np.random.RandomState(0)
true_w = np.array([[1.0], [-2.0], [0.5]])


def batch(n):
    x = rng.randn(n, 3)
    return x, x.dot(true_w) + rng.randn(n, 1)


x = tf.placeholder(tf.float32, [None, 3])
y = tf.placeholder(tf.float32, [None, 1])
w = tf.get_variable("w", [3, 1], initializer=tf.zeros_initializer())
loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - y))

global_step = tf.train.get_or_create_global_step()
apply_gradient = tf.train.GradientDescentOptimizer(0.1).minimize(loss, global_step=global_step)

ema = tf.train.ExponentialMovingAverage(decay=0.98, num_updates=global_step)
with tf.control_dependencies([apply_gradient]):
    train_op = ema.apply(tf.trainable_variables())
average = ema.average(w)

saver = tf.train.Saver()
path = os.path.join(tempfile.mkdtemp(), "model")
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for _ in range(500):
        bx, by = batch(8)
        sess.run(train_op, {x: bx, y: by})
    raw, averaged = sess.run([w, average])
    saver.save(sess, path)

    # the same average by hand, for one more step
    bx, by = batch(8)
    before = sess.run(average)
    sess.run(train_op, {x: bx, y: by})
    new_w, new_average, n = sess.run([w, average, global_step])
    decay = min(0.98, (1.0 + n) / (10.0 + n))  # smaller in the first steps
    by_hand = before * decay + new_w * (1 - decay)
    gap = np.abs(by_hand - new_average).max()

# evaluation: the variables are given their averages
tf.reset_default_graph()
w = tf.get_variable("w", [3, 1])
ema = tf.train.ExponentialMovingAverage(decay=0.98)
saver = tf.train.Saver(ema.variables_to_restore())
with tf.Session() as sess:
    saver.restore(sess, path)
    restored = sess.run(w)

print(
    "RESULT "
    + json.dumps(
        {
            "error_of_weights": float(np.linalg.norm(raw - true_w)),
            "error_of_averages": float(np.linalg.norm(averaged - true_w)),
            "name_of_average": average.op.name,
            "gap_by_hand": float(gap),
            "restored_the_average": bool(np.allclose(restored, averaged)),
        }
    )
)
