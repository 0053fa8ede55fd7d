"""A network in the style of tf.contrib: layers with arg_scope, regularisers, batch norm, optimize_loss, slim."""

import json

import tensorflow as tf
import tensorflow.contrib.slim as slim
from tensorflow.contrib import layers
from tensorflow.contrib.framework import arg_scope
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)
tf.set_random_seed(0)

images = tf.placeholder(tf.float32, [None, 784])
labels = tf.placeholder(tf.float32, [None, 10])
is_training = tf.placeholder(tf.bool, [])


def network(x):
    x = tf.reshape(x, [-1, 28, 28, 1])
    with arg_scope(
        [layers.conv2d, layers.fully_connected],
        weights_initializer=layers.variance_scaling_initializer(),
        weights_regularizer=layers.l2_regularizer(0.0005),
        activation_fn=tf.nn.relu,
    ):
        net = layers.conv2d(x, 16, [3, 3], scope="conv1")
        net = layers.max_pool2d(net, [2, 2], scope="pool1")
        net = layers.conv2d(
            net,
            32,
            [3, 3],
            normalizer_fn=layers.batch_norm,
            normalizer_params={"is_training": is_training, "decay": 0.9},
            scope="conv2",
        )
        net = layers.max_pool2d(net, [2, 2], scope="pool2")
        net = layers.flatten(net, scope="flatten")
        net = slim.stack(net, slim.fully_connected, [64, 32], scope="fc")
        net = layers.dropout(net, keep_prob=0.8, is_training=is_training, scope="dropout")
        return layers.fully_connected(net, 10, activation_fn=None, scope="logits")


logits = network(images)
tf.losses.softmax_cross_entropy(labels, logits)
regularization = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
total_loss = tf.losses.get_total_loss()  # data loss and regularisation

global_step = tf.train.get_or_create_global_step()
train_op = layers.optimize_loss(total_loss, global_step, learning_rate=0.002, optimizer="Adam", clip_gradients=5.0)
accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), tf.argmax(labels, 1)), tf.float32))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(80):
        batch_x, batch_y = mnist.train.next_batch(50)
        loss = sess.run(train_op, {images: batch_x, labels: batch_y, is_training: True})
        if step % 20 == 0:
            print("step %d, loss %.3f" % (step, loss))
    test_accuracy, penalty = sess.run(
        [accuracy, tf.add_n(regularization)], {images: mnist.test.images, labels: mnist.test.labels, is_training: False}
    )

print(
    "RESULT "
    + json.dumps(
        {
            "loss": float(loss),
            "accuracy": float(test_accuracy),
            "penalty": float(penalty),
            "penalties": len(regularization),
            "model_variables": sorted(v.op.name for v in slim.get_model_variables()),
        }
    )
)
