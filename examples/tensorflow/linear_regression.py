"""A straight line through noisy points by stochastic gradient descent, one point at a time."""

import json

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

rng = np.random.RandomState(0)

# Parameters
learning_rate = 0.2
training_epochs = 150
display_step = 50

# Training data: y = 0.25 x + 0.8 and noise
train_X = rng.uniform(0.0, 10.0, 40)
train_Y = 0.25 * train_X + 0.8 + 0.1 * rng.randn(40)
n_samples = train_X.shape[0]

X = tf.placeholder("float")
Y = tf.placeholder("float")

W = tf.Variable(rng.randn(), name="weight")
b = tf.Variable(rng.randn(), name="bias")

pred = tf.add(tf.multiply(X, W), b)
cost = tf.reduce_sum(tf.pow(pred - Y, 2)) / (2 * n_samples)
optimizer = tf.train.GradientDescentOptimizer(learning_rate).minimize(cost)

init = tf.global_variables_initializer()

with tf.Session() as sess:
    sess.run(init)
    for epoch in range(training_epochs):
        for x, y in zip(train_X, train_Y):
            sess.run(optimizer, feed_dict={X: x, Y: y})
        if (epoch + 1) % display_step == 0:
            c = sess.run(cost, feed_dict={X: train_X, Y: train_Y})
            print("Epoch:", "%04d" % (epoch + 1), "cost=", "{:.9f}".format(c), "W=", sess.run(W), "b=", sess.run(b))

    training_cost = sess.run(cost, feed_dict={X: train_X, Y: train_Y})
    weight, bias = sess.run([W, b])
    plt.plot(train_X, train_Y, "ro", label="Original data")
    plt.plot(train_X, weight * train_X + bias, label="Fitted line")
    plt.legend()
    plt.show()

    # what least squares gives
    best = np.polyfit(train_X, train_Y, 1)
    best_cost = sess.run(cost, feed_dict={X: train_X, Y: train_Y, W: best[0], b: best[1]})

print(
    "RESULT "
    + json.dumps(
        {
            "cost": float(training_cost),
            "weight": float(weight),
            "bias": float(bias),
            "least_squares_cost": float(best_cost),
        }
    )
)
