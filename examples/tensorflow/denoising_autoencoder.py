"""A denoising autoencoder: noise and dropout on the input, tied weights, the clean image as the target."""

import json

import numpy as np
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)
np.random.seed(0)
tf.set_random_seed(0)


def xavier_init(fan_in, fan_out, constant=1):
    low = -constant * np.sqrt(6.0 / (fan_in + fan_out))
    high = constant * np.sqrt(6.0 / (fan_in + fan_out))
    return tf.random_uniform((fan_in, fan_out), minval=low, maxval=high, dtype=tf.float32)


n_visible, n_hidden = 784, 200
noise_stddev = 0.3

x_clean = tf.placeholder(tf.float32, [None, n_visible], name="clean")
keep_prob = tf.placeholder_with_default(1.0, shape=[], name="keep_prob")
scale = tf.placeholder_with_default(0.0, shape=[], name="noise")

with tf.variable_scope("denoising"):
    W = tf.Variable(xavier_init(n_visible, n_hidden), name="W")
    b_hidden = tf.Variable(tf.zeros([n_hidden]), name="b_hidden")
    b_visible = tf.Variable(tf.zeros([n_visible]), name="b_visible")

x_noisy = tf.nn.dropout(x_clean + scale * tf.random_normal(tf.shape(x_clean)), keep_prob)
hidden = tf.nn.softplus(tf.nn.xw_plus_b(x_noisy, W, b_hidden))
logits = tf.nn.xw_plus_b(hidden, tf.transpose(W), b_visible)
reconstruction = tf.sigmoid(logits)
cost = tf.reduce_mean(tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=x_clean, logits=logits), axis=1))
error = tf.reduce_mean(tf.square(reconstruction - x_clean))
noise_error = tf.reduce_mean(tf.square(x_noisy - x_clean))
train_op = tf.train.AdamOptimizer(0.002).minimize(cost)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(300):
        batch, _ = mnist.train.next_batch(64)
        _, c = sess.run([train_op, cost], {x_clean: batch, keep_prob: 0.8, scale: noise_stddev})
        if step % 100 == 0:
            print("step %d, cost %.3f" % (step, c))
    # how far the corrupted image and the reconstruction from it are from the clean one
    reconstructed, corrupted = sess.run(
        [error, noise_error], {x_clean: mnist.test.images, keep_prob: 0.8, scale: noise_stddev}
    )

print("RESULT " + json.dumps({"cost": float(c), "error": float(reconstructed), "corrupted_error": float(corrupted)}))
