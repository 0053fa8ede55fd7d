"""A bidirectional RNN, dynamic and static: is the maximum of a sequence before or after its minimum?"""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)
timesteps, hidden = 10, 24


def make(n):
    x = np.random.rand(n, timesteps, 1).astype(np.float32)
    return x, (x[:, :, 0].argmax(1) < x[:, :, 0].argmin(1)).astype(np.int64)


X = tf.placeholder(tf.float32, [None, timesteps, 1])
Y = tf.placeholder(tf.int64, [None])


def static_model(x):
    with tf.variable_scope("static"):
        fw = tf.nn.rnn_cell.BasicLSTMCell(hidden, forget_bias=1.0)
        bw = tf.nn.rnn_cell.BasicLSTMCell(hidden, forget_bias=1.0)
        outputs, _, _ = tf.nn.static_bidirectional_rnn(fw, bw, tf.unstack(x, timesteps, 1), dtype=tf.float32)
        return tf.layers.dense(outputs[-1], 2)


def dynamic_model(x):
    with tf.variable_scope("dynamic"):
        fw = tf.nn.rnn_cell.GRUCell(hidden)
        bw = tf.nn.rnn_cell.GRUCell(hidden)
        outputs, states = tf.nn.bidirectional_dynamic_rnn(fw, bw, x, dtype=tf.float32)
        # the mean over time of both directions
        return tf.layers.dense(tf.reduce_mean(tf.concat(outputs, 2), axis=1), 2)


results = {}
test_x, test_y = make(500)
for name, model in [("static", static_model), ("dynamic", dynamic_model)]:
    logits = model(X)
    loss = tf.losses.sparse_softmax_cross_entropy(labels=Y, logits=logits)
    variables = tf.trainable_variables(scope=name)
    train_op = tf.train.AdamOptimizer(0.01).minimize(loss, var_list=variables)
    accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), Y), tf.float32))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in range(300):
            batch_x, batch_y = make(64)
            _, l = sess.run([train_op, loss], {X: batch_x, Y: batch_y})
            if step % 100 == 0:
                print("%s, step %d, loss %.3f" % (name, step, l))
        results[name] = {"accuracy": float(sess.run(accuracy, {X: test_x, Y: test_y})), "variables": len(variables)}

print("RESULT " + json.dumps(results))
