"""Approximating sin(x) with a small network: plain, sampled in the graph, batch normalised, scheduled.

The program of the first document, in the spelling of TensorFlow 1.  SEED_STEPS and SEED_BATCH shorten a run; without
them every stage has the document's sizes (5000, 5000, 2000 and 1000 steps).
"""

# some imports that we need for our example
import json
import os

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import init_ops
from tensorflow.contrib.layers.python.layers import initializers
from tensorflow.python.training.moving_averages import assign_moving_average
from tensorflow.contrib.layers.python.layers import utils
import matplotlib.pyplot as plt


def size(name, default):
    """The document's size, unless the environment asks for another."""
    return int(os.environ.get(name, default))


np.random.seed(0)
results = {}


def neural_net(x, name, num_neurons, activation_fn=tf.nn.relu, reuse=None, dtype=tf.float32):
    def fc_layer(_x, out_size, activation):
        shape = _x.get_shape().as_list()  # Shape of the input vector to the neural network
        w = tf.get_variable(
            name="weights", shape=[shape[-1], out_size], dtype=dtype, initializer=initializers.xavier_initializer()
        )  # weight matrix
        b = tf.get_variable(
            name="bias", shape=[1, out_size], dtype=dtype, initializer=tf.zeros_initializer()
        )  # bias vector
        return activation(tf.matmul(_x, w) + b)  # in this case: relu(Wx+b)

    with tf.variable_scope(name, reuse=reuse):  # we pass along the output of each layer as the input of the next
        for i in range(len(num_neurons)):
            with tf.variable_scope("layer_{0}".format(i)):
                x = fc_layer(x, num_neurons[i], activation_fn if i < len(num_neurons) - 1 else tf.identity)
    return x


def fun(x):
    return tf.sin(x)


# --- 1. labelled samples fed through a placeholder --------------------------------------------------------------------

batch_size = size("SEED_BATCH", 256)  # in each optimization step we use the mean gradient of this many samples
train_steps = size("SEED_STEPS", 5000)  # and perform this many optimization steps
x_min, x_max = 0.0, 10.0  # we draw samples from within the interval [x_min, x_max]

tf.reset_default_graph()  # remove all nodes and reset the computation graph to empty

x_input = tf.placeholder(tf.float32, shape=(None, 1))  # must be specified ('fed') during runtime
y_samples = fun(x_input)  # (operation to) create labels y (during runtime)
y_apx = neural_net(x_input, "neural_net", [64, 64, 1])  # ... and the prediction y' of the neural net (during runtime)
loss = tf.reduce_mean((y_samples - y_apx) ** 2)  # squared l_2 distance between vectors y and y'
optimizer = tf.train.AdamOptimizer()
train_op = optimizer.minimize(loss)  # create optimization operator

with tf.Session() as sess:
    # the initializer needs to be run in order to obtain values for each non-constant initialized variable
    sess.run(tf.global_variables_initializer())

    # perform training
    for step in range(train_steps):
        samples = np.random.uniform(low=x_min, high=x_max, size=(batch_size, 1))  # samples from numpy module
        _, l = sess.run(
            [train_op, loss],  # simultaneously run each operation in the list at once
            feed_dict={x_input: samples},
        )  # feed the unknown variable x_input at runtime
        if (step + 1) % 100 == 0:
            print("step: {0}, loss {1}".format(step, l))

    # create equidistant test grid X in [x_min, x_max] with labels {f(x): x in X}
    samples = np.linspace(x_min, x_max, 500)
    samples = np.reshape(samples, (500, 1))
    y_exact, y_test = sess.run([y_samples, y_apx], feed_dict={x_input: samples})

plt.plot(samples, y_exact)
plt.plot(samples, y_test)
plt.show()
results["fed"] = {"loss": float(l), "grid_mse": float(np.mean((y_exact - y_test) ** 2))}

# --- 2. samples drawn inside the graph --------------------------------------------------------------------------------

batch_size = size("SEED_BATCH", 256)
train_steps = size("SEED_STEPS", 5000)
x_min, x_max = 0.0, 10.0

tf.reset_default_graph()

x_input = tf.random_uniform(minval=x_min, maxval=x_max, shape=(batch_size, 1))
y_samples = fun(x_input)
y_apx = neural_net(x_input, "neural_net", [64, 64, 1])
loss = tf.reduce_mean((y_samples - y_apx) ** 2)
optimizer = tf.train.AdamOptimizer()
train_op = optimizer.minimize(loss)

x_eval = tf.linspace(x_min, x_max, 500)
x_eval = tf.reshape(x_eval, (500, 1))
y_fun = fun(x_eval)
y_eval = neural_net(x_eval, "neural_net", [64, 64, 1], reuse=tf.AUTO_REUSE)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(train_steps):
        _, l = sess.run([train_op, loss])
        if (step + 1) % 100 == 0:
            print("step: {0}, loss {1}".format(step, l))
    x_test, y_exact, y_test = sess.run([x_eval, y_fun, y_eval])

plt.plot(x_test, y_exact)
plt.plot(x_test, y_test)
plt.show()
results["sampled"] = {"loss": float(l), "grid_mse": float(np.mean((y_exact - y_test) ** 2))}


# --- 3. batch normalisation in an elementary fashion ------------------------------------------------------------------


def neural_net_bn(x, name, num_neurons, is_training, activation_fn=tf.nn.relu, reuse=None, decay=0.9, dtype=tf.float32):
    # we define the batch-normalization layer in an elementary fashion
    def batch_normalization(_x):
        shape = _x.get_shape().as_list()
        beta = tf.get_variable(name="beta", shape=[shape[-1]], dtype=dtype, initializer=init_ops.zeros_initializer())
        gamma = tf.get_variable(name="gamma", shape=[shape[-1]], dtype=dtype, initializer=init_ops.ones_initializer())
        mv_mean = tf.get_variable(
            "mv_mean", [shape[-1]], dtype=dtype, initializer=init_ops.zeros_initializer(), trainable=False
        )
        mv_var = tf.get_variable(
            "mv_var", [shape[-1]], dtype=dtype, initializer=init_ops.zeros_initializer(), trainable=False
        )
        mean, variance = tf.nn.moments(_x, [0], name="moments")
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, assign_moving_average(mv_mean, mean, decay, zero_debias=True))
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, assign_moving_average(mv_var, variance, decay, zero_debias=True))
        mean, variance = utils.smart_cond(is_training, lambda: (mean, variance), lambda: (mv_mean, mv_var))
        return tf.nn.batch_normalization(_x, mean, variance, beta, gamma, 1e-6)

    def fc_layer(_x, out_size, activation):
        shape = _x.get_shape().as_list()
        w = tf.get_variable(
            name="weights", shape=[shape[-1], out_size], dtype=dtype, initializer=initializers.xavier_initializer()
        )
        return activation(batch_normalization(tf.matmul(_x, w)))

    with tf.variable_scope(name, reuse=reuse):
        x = batch_normalization(x)
        for i in range(len(num_neurons)):
            with tf.variable_scope("layer_{0}".format(i)):
                x = fc_layer(x, num_neurons[i], activation_fn if i < len(num_neurons) - 1 else tf.identity)
    return x


batch_size = size("SEED_BATCH", 8192)
train_steps = size("SEED_STEPS", 2000)
x_min, x_max = 0.0, 10.0

tf.reset_default_graph()

x_input = tf.random_uniform(minval=x_min, maxval=x_max, shape=(batch_size, 1))
y_samples = fun(x_input)
y_apx = neural_net_bn(x_input, "neural_net", [64, 64, 1], is_training=True)
loss = tf.reduce_mean((y_samples - y_apx) ** 2)
optimizer = tf.train.AdamOptimizer()
# keep track of alpha and beta
with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
    train_op = optimizer.minimize(loss)

x_eval = tf.linspace(x_min, x_max, 500)
x_eval = tf.reshape(x_eval, (500, 1))
y_fun = fun(x_eval)
y_eval = neural_net_bn(x_eval, "neural_net", [64, 64, 1], reuse=tf.AUTO_REUSE, is_training=False)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(train_steps):
        _, l = sess.run([train_op, loss])
        if (step + 1) % 100 == 0:
            print("step: {0}, loss {1}".format(step, l))
    x_test, y_exact, y_test = sess.run([x_eval, y_fun, y_eval])

plt.plot(x_test, y_exact)
plt.plot(x_test, y_test)
plt.show()
results["batch_norm"] = {"loss": float(l), "grid_mse": float(np.mean((y_exact - y_test) ** 2))}

# --- 4. an explicit schedule for the learning rate --------------------------------------------------------------------

batch_size = size("SEED_BATCH", 8192)
train_steps = size("SEED_STEPS", 1000)
x_min, x_max = 0.0, 10.0
# declaration of the training schedule
lr_boundaries = [200, 500]
lr_values = [0.1, 0.01, 0.001]

tf.reset_default_graph()

x_input = tf.random_uniform(minval=x_min, maxval=x_max, shape=(batch_size, 1))
y_samples = fun(x_input)
y_apx = neural_net_bn(x_input, "neural_net", [64, 64, 1], is_training=True)
loss = tf.reduce_mean((y_samples - y_apx) ** 2)
global_step = tf.Variable(0, trainable=False)
learning_rate = tf.train.piecewise_constant(global_step, lr_boundaries, lr_values)
optimizer = tf.train.AdamOptimizer(learning_rate)
with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
    train_op = optimizer.minimize(loss, global_step=global_step)

x_eval = tf.linspace(x_min, x_max, 500)
x_eval = tf.reshape(x_eval, (500, 1))
y_fun = fun(x_eval)
y_eval = neural_net_bn(x_eval, "neural_net", [64, 64, 1], reuse=tf.AUTO_REUSE, is_training=False)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(train_steps):
        _, l = sess.run([train_op, loss])
        if (step + 1) % 100 == 0:
            print("step: {0}, loss {1}".format(step, l))
    x_test, y_exact, y_test = sess.run([x_eval, y_fun, y_eval])
    final_step, final_rate = sess.run([global_step, learning_rate])

plt.plot(x_test, y_exact)
plt.plot(x_test, y_test)
plt.show()
results["schedule"] = {
    "loss": float(l),
    "grid_mse": float(np.mean((y_exact - y_test) ** 2)),
    "global_step": int(final_step),
    "learning_rate": float(final_rate),
}

print("RESULT " + json.dumps(results))
