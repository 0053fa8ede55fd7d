"""TensorFlow 1.x eager: tfe.Variable, gradients_function, implicit gradients, GradientTape, datasets in loops."""

import json

import numpy as np
import tensorflow as tf
import tensorflow.contrib.eager as tfe

tf.enable_eager_execution()
results = {"eager": tf.executing_eagerly()}

a = tf.constant(2)
b = tf.constant(3)
print("a = %i, a + b = %i" % (a, a + b))
c = np.array([[3.0, 3.0]]).dot([[2.0], [2.0]])
results["mixed"] = float(tf.matmul([[3.0, 3.0]], [[2.0], [2.0]]).numpy()[0, 0] + tf.add(c, 1.0).numpy()[0, 0])

# gradients of functions of their arguments, of second order too
square = lambda x: tf.multiply(x, x)
grad = tfe.gradients_function(square)
gradgrad = tfe.gradients_function(lambda x: grad(x)[0])
results["square"] = [float(square(3.0)), float(grad(3.0)[0]), float(gradgrad(3.0)[0])]
value, slopes = tfe.value_and_gradients_function(lambda x, y: x * x * y)(3.0, 2.0)
results["two_arguments"] = [float(value)] + [float(s) for s in slopes]

# gradients with respect to the variables a function reads
np.random.seed(0)
train_X = np.random.rand(50).astype(np.float32) * 10
train_Y = 0.3 * train_X + 1.2 + 0.1 * np.random.randn(50).astype(np.float32)
W = tfe.Variable(0.0)
bias = tfe.Variable(0.0)


def linear_regression(inputs):
    return inputs * W + bias


def mean_square_fn(model_fn, inputs, labels):
    return tf.reduce_sum(tf.pow(model_fn(inputs) - labels, 2)) / (2 * len(inputs))


optimizer = tf.train.GradientDescentOptimizer(learning_rate=0.04)
grad = tfe.implicit_gradients(mean_square_fn)
first = float(mean_square_fn(linear_regression, train_X, train_Y))
for step in range(400):
    optimizer.apply_gradients(grad(linear_regression, train_X, train_Y))
results["linear"] = {
    "first_cost": first,
    "cost": float(mean_square_fn(linear_regression, train_X, train_Y)),
    "W": float(W.numpy()),
    "b": float(bias.numpy()),
}

# a dataset is an iterable
dataset = tf.data.Dataset.from_tensor_slices((train_X, train_Y)).shuffle(50).batch(10)
results["batches"] = [int(x.shape[0]) for x, y in tfe.Iterator(dataset)]

# a network of layers, and the tape
inputs = np.random.randn(200, 2).astype(np.float32)
labels = (inputs[:, 0] * inputs[:, 1] > 0).astype(np.int32)
layer_1 = tf.layers.Dense(16, activation=tf.nn.tanh)
layer_2 = tf.layers.Dense(2)
optimizer = tf.train.AdamOptimizer(0.02)
global_step = tf.train.get_or_create_global_step()
for step in range(150):
    with tf.GradientTape() as tape:
        logits = layer_2(layer_1(inputs))
        loss = tf.losses.sparse_softmax_cross_entropy(labels=labels, logits=logits)
    variables = layer_1.variables + layer_2.variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables), global_step=global_step)
accuracy = np.mean(tf.argmax(logits, 1).numpy() == labels)
results["xor"] = {"loss": float(loss), "accuracy": float(accuracy), "steps": int(global_step.numpy())}


# a custom gradient, and a Python function in the middle
@tf.custom_gradient
def log1pexp(x):
    e = tf.exp(x)

    def grad(dy):
        return dy * (1 - 1 / (1 + e))

    return tf.log(1 + e), grad


results["log1pexp_slope_at_100"] = float(tfe.gradients_function(log1pexp)(100.0)[0])

print("RESULT " + json.dumps(results))
