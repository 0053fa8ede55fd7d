"""The adding problem with a GRU: the sum of the two marked numbers of a sequence; the cell called by hand as well."""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)
length, hidden = 12, 32


def batch(n):
    values = np.random.rand(n, length)
    marks = np.zeros((n, length))
    for row in range(n):
        marks[row, np.random.choice(length, 2, replace=False)] = 1
    return np.stack([values, marks], axis=2), (values * marks).sum(1, keepdims=True)


x = tf.placeholder(tf.float32, [None, length, 2])
y = tf.placeholder(tf.float32, [None, 1])

cell = tf.contrib.rnn.GRUCell(hidden)
with tf.variable_scope("adder"):
    _, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    prediction = tf.layers.dense(state, 1)
# the same cell, step by step in Python: the same weights, hence the same state
with tf.variable_scope("adder/rnn", reuse=True):
    by_hand = cell.zero_state(tf.shape(x)[0], tf.float32)
    for t in range(length):
        _, by_hand = cell(x[:, t, :], by_hand)
difference = tf.reduce_max(tf.abs(by_hand - state))

loss = tf.losses.mean_squared_error(y, prediction)
train_op = tf.train.AdamOptimizer(0.01).minimize(loss)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(500):
        bx, by = batch(64)
        _, l = sess.run([train_op, loss], {x: bx, y: by})
        if step % 100 == 0:
            print("step %d, loss %.4f" % (step, l))
    bx, by = batch(500)
    test_loss, gap = sess.run([loss, difference], {x: bx, y: by})

print(
    "RESULT "
    + json.dumps({"loss": float(test_loss), "loss_of_the_mean": float(by.var()), "dynamic_minus_by_hand": float(gap)})
)
