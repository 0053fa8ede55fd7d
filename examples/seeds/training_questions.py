"""Five questions about training in TensorFlow 1.x, each answered by a program.

1. Which variables does an optimizer train, and how does it know?    2. Two optimizers with different learning rates on
two sets of variables.    3. When are weights updated?    4. Changing the learning rate of an imported graph.    5.
Finding the weights of an LSTM cell by name and feeding others in their place.

Environment: SEED_STEPS (document: 1000 batches of 100), SEED_BATCH (100), SEED_LOG_DIR (where checkpoints go).
"""

import json
import os

import numpy as np
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

STEPS = int(os.environ.get("SEED_STEPS", 1000))
BATCH = int(os.environ.get("SEED_BATCH", 100))
MODEL_DIR = os.environ.get("SEED_LOG_DIR", "./log") + "/training_questions"

mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)
results = {}

# --- 1. how the model is trained --------------------------------------------------------------------------------------

x = tf.placeholder(tf.float32, [None, 784])
y_ = tf.placeholder(tf.float32, [None, 10])
W = tf.Variable(tf.zeros([784, 10]), name="W")
b = tf.Variable(tf.zeros([10]), name="b")
unused = tf.Variable(tf.ones([3]), name="unused")  # trainable, but the loss does not depend on it
y = tf.nn.softmax(tf.matmul(x, W) + b)

learning_rate = 0.5
cross_entropy = tf.reduce_mean(-tf.reduce_sum(y_ * tf.log(y), reduction_indices=[1]))  # define cross entropy error
loss = tf.reduce_mean(cross_entropy, name="xentropy_mean")  # define loss
optimizer = tf.train.GradientDescentOptimizer(learning_rate)  # define optimizer
global_step = tf.Variable(0, name="global_step", trainable=False)  # counts the steps; not trained
train_op = optimizer.minimize(loss, global_step=global_step)  # train operation in the graph

train_step = tf.train.GradientDescentOptimizer(0.5).minimize(cross_entropy)
correct_prediction = tf.equal(tf.argmax(y, 1), tf.argmax(y_, 1))
accuracy = tf.reduce_mean(tf.cast(correct_prediction, tf.float32))

# every variable made with trainable=True that the loss depends on has a gradient
gradients = optimizer.compute_gradients(loss)
results["which"] = {
    "trainable": [v.op.name for v in tf.trainable_variables()],
    "with_gradient": [v.op.name for g, v in gradients if g is not None],
    "not_trainable": [v.op.name for v in tf.global_variables() if v not in tf.trainable_variables()],
}

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(STEPS):
        batch_xs, batch_ys = mnist.train.next_batch(BATCH)
        sess.run(train_step, feed_dict={x: batch_xs, y_: batch_ys})
    sess.run(train_op, feed_dict={x: batch_xs, y_: batch_ys})
    results["which"]["accuracy"] = float(sess.run(accuracy, feed_dict={x: mnist.test.images, y_: mnist.test.labels}))
    results["which"]["global_step"] = int(sess.run(global_step))
    results["which"]["unused"] = [float(v) for v in sess.run(unused)]

# --- 2. two optimizers, two learning rates, one global step -----------------------------------------------------------


def two_part_model():
    """A network in two parts with a regularisation loss; its loss and the variables of either part."""
    x = tf.placeholder(tf.float32, [None, 784])
    y_ = tf.placeholder(tf.float32, [None, 10])
    with tf.variable_scope("part_1"):
        hidden = tf.layers.dense(
            x,
            32,
            activation=tf.nn.relu,
            name="hidden",
            kernel_initializer=tf.random_normal_initializer(stddev=0.05, seed=1),
        )
    with tf.variable_scope("part_2"):
        logits = tf.layers.dense(
            hidden, 10, name="logits", kernel_initializer=tf.random_normal_initializer(stddev=0.05, seed=2)
        )
    variables_1 = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope="part_1")
    variables_2 = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope="part_2")
    data_loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=logits))
    regularization = 1e-4 * tf.add_n([tf.nn.l2_loss(v) for v in variables_1 + variables_2])
    return x, y_, data_loss + regularization, regularization, variables_1, variables_2


def train_two_parts(mode):
    """The regularisation loss after some steps, with one optimizer or with two that count the steps in some way."""
    tf.reset_default_graph()
    x, y_, loss, regularization, variables_1, variables_2 = two_part_model()
    global_step = tf.train.get_or_create_global_step()
    learning_rate = tf.train.exponential_decay(0.1, global_step, decay_steps=20, decay_rate=0.5)
    all_variables = variables_1 + variables_2

    optimizer = tf.train.MomentumOptimizer(learning_rate, 0.9)
    grads_and_vars = optimizer.compute_gradients(loss, all_variables)
    if mode == "one":
        train_op = optimizer.apply_gradients(grads_and_vars, global_step)
    else:
        optimizer_new = tf.train.MomentumOptimizer(learning_rate, 0.9)
        split = len(variables_1)
        grads_updates = optimizer.apply_gradients(grads_and_vars[:split], global_step)
        # Given to both, the counter advances twice a step, and every schedule that reads it runs twice as fast.
        second_step = global_step if mode == "two, both counting" else None
        grads_updates_new = optimizer_new.apply_gradients(grads_and_vars[split:], second_step)
        train_op = tf.group(grads_updates, grads_updates_new)

    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for i in range(40):
            rows = np.arange(i * 20, (i + 1) * 20) % len(mnist.train.images)
            sess.run(train_op, feed_dict={x: mnist.train.images[rows], y_: mnist.train.labels[rows]})
        return {
            "regularization": float(sess.run(regularization)),
            "global_step": int(sess.run(global_step)),
            "learning_rate": float(sess.run(learning_rate)),
        }


results["two_optimizers"] = {mode: train_two_parts(mode) for mode in ["one", "two", "two, both counting"]}
print(results["two_optimizers"])

# --- 3. when weights are updated --------------------------------------------------------------------------------------

tf.reset_default_graph()
x = tf.placeholder(tf.float32, [None, 784])
y_ = tf.placeholder(tf.float32, [None, 10])
W = tf.Variable(tf.zeros([784, 10]))
b = tf.Variable(tf.zeros([10]))
y = tf.matmul(x, W) + b
cross_entropy = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y_, logits=y))
train_step = tf.train.GradientDescentOptimizer(0.5).minimize(cross_entropy)

with tf.Session() as sess:
    tf.global_variables_initializer().run()
    updates = 0
    before = sess.run(b)
    for _ in range(20):
        batch_xs, batch_ys = mnist.train.next_batch(100)
        sess.run(train_step, feed_dict={x: batch_xs, y_: batch_ys})
        after = sess.run(b)
        updates += int(not np.array_equal(before, after))  # every run of train_step updates the weights
        before = after
    sess.run(cross_entropy, feed_dict={x: batch_xs, y_: batch_ys})  # ... and a run of the loss alone does not
    unchanged = np.array_equal(before, sess.run(b))
results["when"] = {"runs": 20, "updates": updates, "unchanged_by_the_loss": bool(unchanged)}

# --- 4. the learning rate of an imported graph ------------------------------------------------------------------------

tf.reset_default_graph()
os.makedirs(MODEL_DIR, exist_ok=True)
model_name = MODEL_DIR + "/model_name"

x = tf.placeholder(tf.float32, [None, 784], name="x")
y_ = tf.placeholder(tf.float32, [None, 10], name="labels")
logits = tf.layers.dense(x, 10, name="logits")
your_loss_tensor = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=logits), name="loss")
learning_rate = tf.placeholder(tf.float32, shape=(), name="learning_rate")
train_op = tf.train.AdamOptimizer(learning_rate=learning_rate).minimize(your_loss_tensor, name="train_op")

feed = {x: mnist.train.images[:100], y_: mnist.train.labels[:100]}
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for i in range(20):
        session.run(train_op, feed_dict={x: feed[x], y_: feed[y_], learning_rate: 0.01})
    saved_loss = session.run(your_loss_tensor, feed_dict=feed)
    tf.train.Saver().save(session, model_name)

tf.reset_default_graph()
with tf.Session() as sess:
    saver = tf.train.import_meta_graph(model_name + ".meta")
    saver.restore(sess, model_name)
    graph = tf.get_default_graph()
    train_op = graph.get_operation_by_name("train_op")
    learning_rate = graph.get_tensor_by_name("learning_rate:0")
    data = {"x:0": mnist.train.images[:100], "labels:0": mnist.train.labels[:100]}
    restored_loss = sess.run("loss:0", feed_dict=data)
    sess.run(train_op, feed_dict={**data, learning_rate: 0.0})
    loss_after_zero_rate = sess.run("loss:0", feed_dict=data)
    for whatever_you_want in [0.01] * 10 + [0.001] * 10:
        sess.run(train_op, feed_dict={**data, learning_rate: whatever_you_want})
    resumed_loss = sess.run("loss:0", feed_dict=data)
results["imported"] = {
    "saved_loss": float(saved_loss),
    "restored_loss": float(restored_loss),
    "loss_after_a_step_with_rate_0": float(loss_after_zero_rate),
    "resumed_loss": float(resumed_loss),
}

# --- 5. the weights of a recurrent cell -------------------------------------------------------------------------------

tf.reset_default_graph()
np.random.seed(0)
# as for ordinary variables: weights and bias are fed in place of the values they hold
input = tf.placeholder(tf.float32, shape=[None, 5])
weights = tf.Variable(tf.random_normal(shape=[5, 4], stddev=0.1))
bias = tf.Variable(tf.constant(0.1, shape=[4]))
output = tf.matmul(input, weights) + bias
target = tf.placeholder(tf.float32, [None, 4])
loss = tf.reduce_mean(tf.square(output - target))
train_op = tf.train.GradientDescentOptimizer(0.1).minimize(loss, var_list=[weights, bias])

sequences = tf.placeholder(tf.float32, shape=[None, 3, 5])
cell = tf.nn.rnn_cell.BasicLSTMCell(4)
lstm_output, _ = tf.nn.dynamic_rnn(cell, sequences, dtype=tf.float32)

variables = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)
names = [v.name for v in variables]
print(names)
kernel = [v for v in variables if v.name.endswith("basic_lstm_cell/kernel:0")][0]
kernel_bias = [v for v in variables if v.name.endswith("basic_lstm_cell/bias:0")][0]

states = np.random.rand(6, 5).astype(np.float32)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    target_weights, target_bias = np.ones([5, 4], np.float32), np.zeros([4], np.float32)
    # Here we explicitly set weights to be the slowly updated target weights
    targets = sess.run(output, feed_dict={input: states, weights: target_weights, bias: target_bias})
    # Targets for the learning procedure are computed using this output.
    first = sess.run(loss, feed_dict={input: states, target: targets})
    for i in range(50):
        # Now we run the learning procedure, using the most up to date weights, as well as the computed targets
        sess.run(train_op, feed_dict={input: states, target: targets})
    last = sess.run(loss, feed_dict={input: states, target: targets})

    episode = np.random.rand(2, 3, 5).astype(np.float32)
    own = sess.run(lstm_output, feed_dict={sequences: episode})
    zero_weights = {
        kernel: np.zeros(kernel.get_shape().as_list(), np.float32),
        kernel_bias: np.zeros(kernel_bias.get_shape().as_list(), np.float32),
    }
    fed = sess.run(lstm_output, feed_dict={sequences: episode, **zero_weights})
    again = sess.run(lstm_output, feed_dict={sequences: episode})
results["lstm"] = {
    "names": names,
    "target_error_first": float(first),
    "target_error_last": float(last),
    "output_with_own_weights": float(np.abs(own).mean()),
    "output_with_zero_weights_fed": float(np.abs(fed).mean()),
    "own_weights_kept": bool(np.array_equal(own, again)),
}

print("RESULT " + json.dumps(results))
