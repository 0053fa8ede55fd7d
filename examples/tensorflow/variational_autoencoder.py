"""A variational autoencoder: the reparameterisation trick, reconstruction loss and KL divergence."""

import json

import numpy as np
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)
tf.set_random_seed(1)

learning_rate = 0.002
num_steps = 400
batch_size = 64
image_dim, hidden_dim, latent_dim = 784, 200, 8


def glorot_init(shape):
    return tf.random_normal(shape=shape, stddev=1.0 / tf.sqrt(shape[0] / 2.0))


weights = {
    "encoder_h1": tf.Variable(glorot_init([image_dim, hidden_dim])),
    "z_mean": tf.Variable(glorot_init([hidden_dim, latent_dim])),
    "z_std": tf.Variable(glorot_init([hidden_dim, latent_dim])),
    "decoder_h1": tf.Variable(glorot_init([latent_dim, hidden_dim])),
    "decoder_out": tf.Variable(glorot_init([hidden_dim, image_dim])),
}
biases = {
    "encoder_b1": tf.Variable(tf.zeros([hidden_dim])),
    "z_mean": tf.Variable(tf.zeros([latent_dim])),
    "z_std": tf.Variable(tf.zeros([latent_dim])),
    "decoder_b1": tf.Variable(tf.zeros([hidden_dim])),
    "decoder_out": tf.Variable(tf.zeros([image_dim])),
}

input_image = tf.placeholder(tf.float32, shape=[None, image_dim])
encoder = tf.nn.tanh(tf.matmul(input_image, weights["encoder_h1"]) + biases["encoder_b1"])
z_mean = tf.matmul(encoder, weights["z_mean"]) + biases["z_mean"]
z_log_var = tf.matmul(encoder, weights["z_std"]) + biases["z_std"]

# Sampler: normal (gaussian) random distribution
eps = tf.random_normal(tf.shape(z_log_var), dtype=tf.float32, mean=0.0, stddev=1.0, name="epsilon")
z = z_mean + tf.exp(z_log_var / 2) * eps


def decode(z):
    hidden = tf.nn.tanh(tf.matmul(z, weights["decoder_h1"]) + biases["decoder_b1"])
    return tf.nn.sigmoid(tf.matmul(hidden, weights["decoder_out"]) + biases["decoder_out"])


decoder = decode(z)


def vae_loss(x_reconstructed, x_true):
    encode_decode_loss = x_true * tf.log(1e-10 + x_reconstructed) + (1 - x_true) * tf.log(1e-10 + 1 - x_reconstructed)
    encode_decode_loss = -tf.reduce_sum(encode_decode_loss, 1)
    kl_div_loss = 1 + z_log_var - tf.square(z_mean) - tf.exp(z_log_var)
    kl_div_loss = -0.5 * tf.reduce_sum(kl_div_loss, 1)
    return tf.reduce_mean(encode_decode_loss + kl_div_loss), tf.reduce_mean(kl_div_loss)


loss_op, kl_op = vae_loss(decoder, input_image)
train_op = tf.train.RMSPropOptimizer(learning_rate=learning_rate).minimize(loss_op)

# the generator takes noise in place of a code
noise_input = tf.placeholder(tf.float32, shape=[None, latent_dim])
generated = decode(noise_input)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    first = sess.run(loss_op, feed_dict={input_image: mnist.test.images})
    for i in range(1, num_steps + 1):
        batch_x, _ = mnist.train.next_batch(batch_size)
        _, l = sess.run([train_op, loss_op], feed_dict={input_image: batch_x})
        if i % 100 == 0 or i == 1:
            print("Step %i, Loss: %f" % (i, l))
    last, kl = sess.run([loss_op, kl_op], feed_dict={input_image: mnist.test.images})
    images = sess.run(generated, feed_dict={noise_input: np.random.RandomState(0).randn(16, latent_dim)})

print(
    "RESULT "
    + json.dumps(
        {
            "first_loss": float(first),
            "loss": float(last),
            "kl": float(kl),
            "generated_mean": float(images.mean()),
            "data_mean": float(mnist.test.images.mean()),
        }
    )
)
