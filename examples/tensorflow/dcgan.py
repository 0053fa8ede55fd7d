"""A deep convolutional GAN: conv2d_transpose, batch normalisation with UPDATE_OPS, variables collected by scope."""

import json

import numpy as np
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)
np.random.seed(0)
tf.set_random_seed(0)

num_steps = 30
batch_size = 32
noise_dim = 50
lr_generator = 0.002
lr_discriminator = 0.002

noise_input = tf.placeholder(tf.float32, shape=[None, noise_dim])
real_image_input = tf.placeholder(tf.float32, shape=[None, 28, 28, 1])
is_training = tf.placeholder(tf.bool)


def leakyrelu(x, alpha=0.2):
    return 0.5 * (1 + alpha) * x + 0.5 * (1 - alpha) * abs(x)


def generator(x, reuse=False):
    with tf.variable_scope("Generator", reuse=reuse):
        x = tf.layers.dense(x, units=7 * 7 * 32)
        x = tf.layers.batch_normalization(x, training=is_training)
        x = tf.nn.relu(x)
        x = tf.reshape(x, shape=[-1, 7, 7, 32])
        x = tf.layers.conv2d_transpose(x, 16, 5, strides=2, padding="same")
        x = tf.layers.batch_normalization(x, training=is_training)
        x = tf.nn.relu(x)
        x = tf.layers.conv2d_transpose(x, 1, 5, strides=2, padding="same")
        return tf.nn.tanh(x)


def discriminator(x, reuse=False):
    with tf.variable_scope("Discriminator", reuse=reuse):
        x = tf.layers.conv2d(x, 16, 5, strides=2, padding="same")
        x = tf.layers.batch_normalization(x, training=is_training)
        x = leakyrelu(x)
        x = tf.layers.conv2d(x, 32, 5, strides=2, padding="same")
        x = tf.layers.batch_normalization(x, training=is_training)
        x = leakyrelu(x)
        x = tf.layers.flatten(x)
        x = tf.layers.dense(x, 64)
        x = tf.layers.batch_normalization(x, training=is_training)
        x = leakyrelu(x)
        return tf.layers.dense(x, 2)


gen_sample = generator(noise_input)
disc_real = discriminator(real_image_input)
disc_fake = discriminator(gen_sample, reuse=True)

disc_loss_real = tf.reduce_mean(
    tf.nn.sparse_softmax_cross_entropy_with_logits(logits=disc_real, labels=tf.ones([batch_size], dtype=tf.int32))
)
disc_loss_fake = tf.reduce_mean(
    tf.nn.sparse_softmax_cross_entropy_with_logits(logits=disc_fake, labels=tf.zeros([batch_size], dtype=tf.int32))
)
disc_loss = disc_loss_real + disc_loss_fake
gen_loss = tf.reduce_mean(
    tf.nn.sparse_softmax_cross_entropy_with_logits(logits=disc_fake, labels=tf.ones([batch_size], dtype=tf.int32))
)

optimizer_gen = tf.train.AdamOptimizer(learning_rate=lr_generator, beta1=0.5, beta2=0.999)
optimizer_disc = tf.train.AdamOptimizer(learning_rate=lr_discriminator, beta1=0.5, beta2=0.999)

gen_vars = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope="Generator")
disc_vars = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope="Discriminator")

# batch normalisation's moving averages are updated by ops of this collection
gen_update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS, scope="Generator")
with tf.control_dependencies(gen_update_ops):
    train_gen = optimizer_gen.minimize(gen_loss, var_list=gen_vars)
disc_update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS, scope="Discriminator")
with tf.control_dependencies(disc_update_ops):
    train_disc = optimizer_disc.minimize(disc_loss, var_list=disc_vars)

moving = [v for v in tf.global_variables() if "moving_mean" in v.name]

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(1, num_steps + 1):
        batch_x, _ = mnist.train.next_batch(batch_size)
        batch_x = np.reshape(batch_x, newshape=[-1, 28, 28, 1]) * 2.0 - 1.0  # to the range of tanh
        z = np.random.uniform(-1.0, 1.0, size=[batch_size, noise_dim])
        _, dl = sess.run(
            [train_disc, disc_loss], feed_dict={real_image_input: batch_x, noise_input: z, is_training: True}
        )
        z = np.random.uniform(-1.0, 1.0, size=[batch_size, noise_dim])
        _, gl = sess.run([train_gen, gen_loss], feed_dict={noise_input: z, is_training: True})
        if i % 10 == 0 or i == 1:
            print("Step %i: Generator Loss: %f, Discriminator Loss: %f" % (i, gl, dl))
    images = sess.run(gen_sample, feed_dict={noise_input: z, is_training: False})
    moved = [float(np.abs(sess.run(v)).sum()) > 0 for v in moving]

print(
    "RESULT "
    + json.dumps(
        {
            "generator_loss": float(gl),
            "discriminator_loss": float(dl),
            "image_shape": list(images.shape),
            "moving_means": len(moving),
            "moving_means_updated": sum(moved),
            "generator_variables": len(gen_vars),
            "discriminator_variables": len(disc_vars),
        }
    )
)
