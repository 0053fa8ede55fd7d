"""Restoring some variables under other names: the features of one task begin another; what a checkpoint holds."""

import json
import os
import tempfile

import numpy as np
import tensorflow as tf

rng = np.random.RandomState(0)
inputs = rng.randn(400, 10).astype(np.float32)
mixing = rng.randn(10, 3)
first_task = np.tanh(inputs.dot(mixing))
second_task = np.tanh(inputs[:40].dot(mixing)).sum(axis=1, keepdims=True)  # few examples
path = os.path.join(tempfile.mkdtemp(), "features.ckpt")


def network(x, outputs, scope):
    with tf.variable_scope(scope):
        features = tf.layers.dense(x, 16, activation=tf.tanh, name="features")
    return tf.layers.dense(features, outputs, name="head_of_%d" % outputs)


def train(sess, x, y, data, labels, loss, train_op, steps):
    for _ in range(steps):
        sess.run(train_op, {x: data, y: labels})
    return float(sess.run(loss, {x: data, y: labels}))


x = tf.placeholder(tf.float32, [None, 10])
y = tf.placeholder(tf.float32, [None, 3])
loss = tf.losses.mean_squared_error(y, network(x, 3, "old"))
train_op = tf.train.AdamOptimizer(0.02).minimize(loss)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    first_loss = train(sess, x, y, inputs, first_task, loss, train_op, 300)
    kernel = sess.run(tf.get_default_graph().get_tensor_by_name("old/features/kernel:0"))
    # only the features, without Adam's moments
    tf.train.Saver(tf.trainable_variables("old")).save(sess, path, write_meta_graph=False)

listed = tf.train.list_variables(path) if hasattr(tf.train, "list_variables") else []
reader = tf.train.NewCheckpointReader(path)
shapes = reader.get_variable_to_shape_map()

tf.reset_default_graph()
x = tf.placeholder(tf.float32, [None, 10])
y = tf.placeholder(tf.float32, [None, 1])
loss = tf.losses.mean_squared_error(y, network(x, 1, "new"))
head = tf.trainable_variables("head_of_1")
train_op = tf.train.AdamOptimizer(0.02).minimize(loss, var_list=head)  # the features stay as they are
init = tf.global_variables_initializer()

features = tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope="new/")
saver = tf.train.Saver({v.op.name.replace("new/", "old/"): v for v in features if "Adam" not in v.op.name})
with tf.Session() as sess:
    sess.run(init)
    random_features = train(sess, x, y, inputs[:40], second_task, loss, train_op, 200)
    sess.run(init)
    saver.restore(sess, path)
    restored = sess.run("new/features/kernel:0")
    restored_features = train(sess, x, y, inputs[:40], second_task, loss, train_op, 200)
    kept = sess.run("new/features/kernel:0")

print(
    "RESULT "
    + json.dumps(
        {
            "first_loss": first_loss,
            "in_checkpoint": sorted(shapes),
            "kernel_shape": list(shapes["old/features/kernel"]),
            "listed": len(listed),
            "same_kernel": bool(np.array_equal(kernel, restored) and np.array_equal(kernel, kept)),
            "loss_with_random_features": random_features,
            "loss_with_restored_features": restored_features,
        }
    )
)
