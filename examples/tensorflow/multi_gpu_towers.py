"""Data parallel towers: a batch is split, the towers share variables, their gradients are averaged, one step is taken.

Written for several GPUs; with allow_soft_placement it runs on whatever device there is.
"""

import json

import numpy as np
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)
tf.set_random_seed(0)

num_gpus = 2
num_steps = 100
batch_size = 32  # per tower
learning_rate = 0.1

PS_OPS = ["Variable", "VariableV2", "AutoReloadVariable", "VarHandleOp"]


def assign_to_device(device, ps_device="/cpu:0"):
    """Variables on the parameter device, everything else on the tower's."""

    def _assign(op):
        node_def = op if isinstance(op, tf.NodeDef) else op.node_def
        return "/" + ps_device if node_def.op in PS_OPS else device

    return _assign


def network(x, reuse):
    with tf.variable_scope("net", reuse=reuse):
        h = tf.layers.dense(x, 64, activation=tf.nn.relu)
        return tf.layers.dense(h, 10)


def average_gradients(tower_grads):
    """The mean over towers of every variable's gradient."""
    average_grads = []
    for grad_and_vars in zip(*tower_grads):
        grads = [tf.expand_dims(g, 0) for g, _ in grad_and_vars]
        grad = tf.reduce_mean(tf.concat(grads, 0), 0)
        average_grads.append((grad, grad_and_vars[0][1]))
    return average_grads


with tf.device("/cpu:0"):
    X = tf.placeholder(tf.float32, [None, 784])
    Y = tf.placeholder(tf.float32, [None, 10])
    optimizer = tf.train.GradientDescentOptimizer(learning_rate)
    tower_grads, reuse_vars = [], False
    for i in range(num_gpus):
        with tf.device(assign_to_device("/gpu:{}".format(i), ps_device="/cpu:0")):
            _x = X[i * batch_size : (i + 1) * batch_size]
            _y = Y[i * batch_size : (i + 1) * batch_size]
            logits = network(_x, reuse=reuse_vars)
            loss_op = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(logits=logits, labels=_y))
            grads = optimizer.compute_gradients(loss_op)
            reuse_vars = True
            tower_grads.append(grads)
    averaged = average_gradients(tower_grads)
    train_op = optimizer.apply_gradients(averaged)

    # the whole batch at once: its gradient equals the average of the towers'
    all_logits = network(X, reuse=True)
    whole_loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(logits=all_logits, labels=Y))
    whole = optimizer.compute_gradients(whole_loss)
    gap = tf.reduce_max(tf.stack([tf.reduce_max(tf.abs(a - b)) for (a, _), (b, _) in zip(averaged, whole)]))
    accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(all_logits, 1), tf.argmax(Y, 1)), tf.float32))

config = tf.ConfigProto(allow_soft_placement=True, log_device_placement=False)
with tf.Session(config=config) as sess:
    sess.run(tf.global_variables_initializer())
    gaps = []
    for step in range(1, num_steps + 1):
        batch_x, batch_y = mnist.train.next_batch(batch_size * num_gpus)
        if step % 25 == 1:
            gaps.append(sess.run(gap, {X: batch_x, Y: batch_y}))
        _, loss = sess.run([train_op, whole_loss], {X: batch_x, Y: batch_y})
    test_accuracy = sess.run(accuracy, {X: mnist.test.images, Y: mnist.test.labels})

print(
    "RESULT "
    + json.dumps(
        {
            "loss": float(loss),
            "accuracy": float(test_accuracy),
            "towers": num_gpus,
            "variables": len(tf.trainable_variables()),
            "gradient_gap": float(np.max(gaps)),
        }
    )
)
