"""The introduction notebook: operations, sessions, placeholders, variables, gradients, gradient descent, a linear fit.

Every cell of the document in its order; what a cell displayed is printed.  Environment: SEED_STEPS (steps of the last
fit, document: 5000), SEED_DESCENT_STEPS (steps of the small descents, document: 100).
"""

import json
import os

import matplotlib.pyplot as plt

import tensorflow as tf

STEPS = int(os.environ.get("SEED_STEPS", 5000))
DESCENT_STEPS = int(os.environ.get("SEED_DESCENT_STEPS", 100))
results = {}

# --- the default graph and its operations -----------------------------------------------------------------------------

g = tf.get_default_graph()
print(g)
print(g.get_operations())

tf.constant(3.14)
print(g.get_operations())

const_operation = g.get_operations()[0]
print(len(const_operation.inputs), len(const_operation.outputs))

const_tensor = const_operation.outputs[0]
print(const_tensor)

another_const_tensor = tf.constant(1.414)
print(another_const_tensor)
print(g.get_operations())

sum_tensor = tf.add(const_tensor, another_const_tensor)
print(sum_tensor)
print(g.get_operations())

add_op = g.get_operations()[2]
print(len(add_op.inputs), len(add_op.outputs))
results["operations"] = [op.name for op in g.get_operations()]

# --- sessions ---------------------------------------------------------------------------------------------------------

# This piece is only necessary so as not to use up an ungodly amount of GPU memory:
config = tf.ConfigProto()
config.gpu_options.allow_growth = True
# This is the actual code creating the session. You can omit the config arg
# if you have no configuration to do.
sess = tf.Session(config=config)

print(sess.graph == g)

print(sess.run(sum_tensor), sess.run(const_tensor), sess.run(another_const_tensor))
print(sess.run([sum_tensor, const_tensor, another_const_tensor]))
fetched = sess.run(
    {"a": const_tensor, "b": another_const_tensor, "[a,b,a+b]": [const_tensor, another_const_tensor, sum_tensor]}
)
print(fetched)
results["sum"] = float(fetched["[a,b,a+b]"][2])

sess.close()

# --- placeholders -----------------------------------------------------------------------------------------------------

a = tf.placeholder(tf.float32)
print(a)
b = tf.placeholder(tf.float32)
flexible_sum_tensor = tf.add(a, b)
print(g.get_operations())

sess = tf.Session(config=config)
print(sess.run(flexible_sum_tensor, feed_dict={a: 1.0, b: 2.0}))
print(sess.run(flexible_sum_tensor, feed_dict={a: [1.0], b: [2.0]}))
print(sess.run(flexible_sum_tensor, feed_dict={a: [[1.0, 2.0], [3.0, 4.0]], b: [[5.0, 6.0], [7.0, 8.0]]}))
sess.close()

distance_from_origin = tf.sqrt((a * a) + (b * b))
print(g.get_operations())
print(distance_from_origin)

sess = tf.Session(config=config)
print(sess.run(distance_from_origin, feed_dict={a: 3.0, b: 4.0}))
sess.close()

with tf.Session(config=config) as sess:
    results["distance"] = float(sess.run(distance_from_origin, feed_dict={a: 9.0, b: 12.0}))
    print(sess.run(distance_from_origin, feed_dict={a: 9.0, b: 12.0}))
    # without feeding a and b there is an error
    try:
        sess.run(distance_from_origin)
    except tf.errors.InvalidArgumentError as error:
        print("not fed: {}".format(type(error).__name__))
        results["not_fed"] = type(error).__name__

tf.reset_default_graph()
print(len(g.get_operations()))  # g still refers to the old graph
g = tf.get_default_graph()
print(g.get_operations())

# --- variables --------------------------------------------------------------------------------------------------------

x = tf.Variable(42)

# summarize the operations now in the graph:
print([(op, "{} inputs and {} output".format(len(op.inputs), len(op.outputs))) for op in g.get_operations()])
results["variable_operations"] = [op.name for op in g.get_operations()]

sess = tf.Session(config=config)
sess2 = tf.Session(config=config)

try:
    sess.run(x)
except tf.errors.FailedPreconditionError as error:
    print("not initialized: {}".format(type(error).__name__))
    results["not_initialized"] = [type(error).__name__]

sess.run(g.get_operations()[2])  # the assign op
print(sess.run(x))

try:
    sess2.run(x)  # in the second session x is still not initialized
except tf.errors.FailedPreconditionError as error:
    print("not initialized: {}".format(type(error).__name__))
    results["not_initialized"].append(type(error).__name__)

print(sess2.run(x.initializer), sess2.run(x))
results["variable_in_sessions"] = [int(sess.run(x)), int(sess2.run(x))]

sess.close()
sess2.close()

tf.reset_default_graph()
g = tf.get_default_graph()

# --- gradients --------------------------------------------------------------------------------------------------------

a = tf.constant(5, name="a")
b = tf.constant(7, name="b")
eqn = a + 2 * b
print(g.get_operations())

grad = tf.gradients(eqn, b)
print(g.get_operations())
print(grad)

sess = tf.Session(config=config)
print(sess.run(grad))
results["gradient"] = [float(v) for v in sess.run(grad)]

gradient_wrt_both = tf.gradients(eqn, [a, b])
print(sess.run(gradient_wrt_both))
results["gradient_wrt_both"] = [float(v) for v in sess.run(gradient_wrt_both)]

eqn2 = a * b + b
gradient_of_eqn2 = tf.gradients(eqn2, [a, b])
print(sess.run(gradient_of_eqn2))
results["gradient_of_eqn2"] = [float(v) for v in sess.run(gradient_of_eqn2)]

gradient_with_two_ys = tf.gradients([eqn, eqn2], [a, b])
print(sess.run(gradient_with_two_ys))
results["gradient_with_two_ys"] = [float(v) for v in sess.run(gradient_with_two_ys)]

sess.close()

tf.reset_default_graph()
g = tf.get_default_graph()

# --- gradient descent, the derivative by hand -------------------------------------------------------------------------

x = tf.Variable(5.0)
loss = x * x
print(g.get_operations())

dloss_dx = 2.0 * x

step_size = 0.1
new_x_value = x - dloss_dx * step_size
assign_new_x = tf.assign(x, new_x_value)

with tf.Session(config=config) as sess:
    # Initialize x:
    sess.run(x.initializer)
    # We will fetch the following tensors each iteration
    to_fetch = {"x": x, "loss": loss, "derivative": assign_new_x}
    for i in range(DESCENT_STEPS):
        fetched = sess.run(to_fetch)
        # every tenth step, print our progress
        if i % 10 == 0 or i + 1 == 100:
            print("Iter {}: {}".format(i, fetched))
    results["by_hand"] = float(sess.run(x))

# --- with tf.gradients ------------------------------------------------------------------------------------------------

tf.reset_default_graph()
g = tf.get_default_graph()

x = tf.Variable(5.0)
loss = x * x

# tf.gradients is called "gradients" and not "derivative" for a reason: it
# returns a _list_ of partial derivatives, even if you only pass in one x.
# Pull out first element (in our case, the list only has one element).
dloss_dx = tf.gradients(loss, x)[0]

new_x_value = x - dloss_dx * step_size
assign_new_x = tf.assign(x, new_x_value)

with tf.Session(config=config) as sess:
    # Initialize x:
    sess.run(x.initializer)
    # We will fetch the following tensors each iteration
    to_fetch = {"x": x, "loss": loss, "derivative": assign_new_x}
    for i in range(DESCENT_STEPS):
        fetched = sess.run(to_fetch)
        # every tenth step, print our progress
        if i % 10 == 0 or i + 1 == 100:
            print("Iter {}: {}".format(i, fetched))
    results["tf_gradients"] = float(sess.run(x))

# --- with an optimizer ------------------------------------------------------------------------------------------------

tf.reset_default_graph()
g = tf.get_default_graph()

x = tf.Variable(5.0)
loss = x * x

# Create the optimizer
optimizer = tf.train.GradientDescentOptimizer(learning_rate=0.1)
# Add optimize nodes to the graph
minimize_loss = optimizer.minimize(loss)

with tf.Session(config=config) as sess:
    # Initialize x:
    sess.run(x.initializer)
    # We will fetch the following tensors each iteration
    to_fetch = {"x": x, "loss": loss, "train_op": minimize_loss}
    for i in range(DESCENT_STEPS):
        fetched = sess.run(to_fetch)
        # every tenth step, print our progress
        if i % 10 == 0 or i + 1 == 100:
            print("Iter {}: {}".format(i, fetched))
    results["optimizer"] = float(sess.run(x))

adam_optimizer = tf.train.AdamOptimizer(learning_rate=0.1)
minimize_loss = adam_optimizer.minimize(loss)
print(g.get_operations())

initialize_all = tf.global_variables_initializer()
results["variables_with_adam"] = [v.op.name for v in tf.global_variables()]

with tf.Session(config=config) as sess:
    # Initialize ALL variables
    sess.run(initialize_all)
    # We will fetch the following tensors each iteration
    to_fetch = {"x": x, "loss": loss, "train_op": minimize_loss}
    for i in range(DESCENT_STEPS):
        fetched = sess.run(to_fetch)
        # every tenth step, print our progress
        if i % 10 == 0 or i + 1 == 100:
            print("Iter {}: {}".format(i, fetched))
    results["adam"] = float(sess.run(x))

# --- temperatures and hospital visits ---------------------------------------------------------------------------------

import numpy as np

np.random.seed(0)
temps = np.random.normal(55, 20, 1000)
random_noise = np.random.normal(0, 100, 1000)
hosp_visits = 1000 - 5 * temps + random_noise
plt.plot(temps[:200], hosp_visits[:200], "o")

normalized_temps = (temps - np.mean(temps)) / np.std(temps)

train_X, train_y = normalized_temps[:800], hosp_visits[:800]
valid_X, valid_y = normalized_temps[800:900], hosp_visits[800:900]
test_X, test_y = normalized_temps[900:], hosp_visits[900:]


def batch_generator(X, y, batch_size):
    total_batches = len(X) // batch_size
    current_batch = 0
    while True:
        start = batch_size * current_batch
        end = start + batch_size
        yield (X[start:end], y[start:end])
        current_batch = (current_batch + 1) % total_batches


training_generator = batch_generator(train_X, train_y, batch_size=100)
# Later, call next(training_generator) to get a new batch of the form (X, y)

tf.reset_default_graph()
g = tf.get_default_graph()

X = tf.placeholder(tf.float32)
y = tf.placeholder(tf.float32)
m = tf.Variable(0.0)
b = tf.Variable(0.0)
predicted_y = X * m + b

avg_loss = tf.reduce_mean(tf.squared_difference(predicted_y, y))

train_one_step = tf.train.GradientDescentOptimizer(learning_rate=0.0005).minimize(avg_loss)

init_all_vars = tf.global_variables_initializer()

with tf.Session(config=config) as sess:
    sess.run(init_all_vars)
    for i in range(STEPS):
        X_batch, y_batch = next(training_generator)
        feed_dict = {X: X_batch, y: y_batch}
        _, loss, m_pred, b_pred = sess.run([train_one_step, avg_loss, m, b], feed_dict=feed_dict)
        if i % 500 == 0:
            validation_feed_dict = {X: valid_X, y: valid_y}
            valid_loss = sess.run(avg_loss, feed_dict=validation_feed_dict)
            print(
                "Iter {}: training loss = {}, validation loss = {}, m={}, b={}".format(
                    i, loss, valid_loss, m_pred, b_pred
                )
            )
    test_feed_dict = {X: test_X, y: test_y}
    m_pred, b_pred, loss = sess.run([m, b, avg_loss], test_feed_dict)
    print("m: {}, b: {}, test loss: {}".format(m_pred, b_pred, loss))

results["fit"] = {"m": float(m_pred), "b": float(b_pred), "test_loss": float(loss)}
print("RESULT " + json.dumps(results))
