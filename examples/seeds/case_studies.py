"""From a product of two numbers to a convolutional network on MNIST, in the spelling of TensorFlow 0.x.

The programs of the second document: multiplication, linear regression in one and several variables, logistic
regression, a fully connected network, a "modern" one (ReLU, dropout, RMSProp) and a convolutional one.

Environment: SEED_EPOCHS (epochs of every stage), SEED_IMAGES (training and test images used), SEED_TEST_SIZE,
SEED_STAGES (comma-separated names of the MNIST stages to run: logistic, basic, modern, conv).
"""

import json
import os

import tensorflow as tf
import numpy as np
import matplotlib.pyplot as plt


def size(name, default):
    """The document's size, unless the environment asks for another."""
    return int(os.environ.get(name, default))


np.random.seed(0)
stages = os.environ.get("SEED_STAGES", "logistic,basic,modern,conv").split(",")
results = {}

# --- Multiplication ---------------------------------------------------------------------------------------------------

x = tf.placeholder("float")
y = tf.placeholder("float")
xy = tf.mul(x, y)

with tf.Session() as sess:
    results["product"] = float(sess.run(xy, feed_dict={x: 2, y: 3}))
    print("%f x %f = %f" % (2, 3, sess.run(xy, feed_dict={x: 2, y: 3})))

# --- Linear regression ------------------------------------------------------------------------------------------------

trX = np.linspace(-1, 1, 500)
trY = 2 * trX + np.random.randn(*trX.shape) * 0.35 + 2
plt.scatter(trX, trY)

X = tf.placeholder("float")
Y = tf.placeholder("float")
w = tf.Variable(0.0, name="weights")
b = tf.Variable(0.0, name="bias")
y_hat = tf.add(tf.mul(X, w), b)

cost = tf.reduce_mean(tf.square(Y - y_hat))
train_operation = tf.train.GradientDescentOptimizer(0.01).minimize(cost)

numEpochs = size("SEED_EPOCHS", 200)
costs = []
with tf.Session() as sess:
    tf.initialize_all_variables().run()
    for i in range(numEpochs):
        sess.run(train_operation, feed_dict={X: trX, Y: trY})
        costs.append(sess.run(cost, feed_dict={X: trX, Y: trY}))
    print("Final Error is %f" % costs[-1])
    wfinal, bfinal = sess.run(w), sess.run(b)
    print("Predicting y = %.02f x + %.02f" % (wfinal, bfinal))
    print("Actually is y = %.02f x + %.02f" % (2, 2))
results["linear"] = {"error": float(costs[-1]), "w": float(wfinal), "b": float(bfinal)}

plt.plot(costs)
plt.ylabel("Mean Squared Error")
plt.xlabel("Epoch")

# The multivariable case (the document writes X.dot(W) where the array trX is meant).
m = 8
n = 5
NUM_EXAMPLES = 100

W = np.random.rand(n, m)
trX = np.random.rand(100, n)
trY = trX.dot(W) + np.random.randn(NUM_EXAMPLES, m)
print(trX.shape, trY.shape)

x = tf.placeholder("float", shape=[None, n])
y = tf.placeholder("float", shape=[None, m])
w = tf.Variable(tf.zeros([n, m]))
y_hat = tf.matmul(x, w)

cost = tf.reduce_mean(tf.square(y - y_hat))
train_operation = tf.train.GradientDescentOptimizer(0.01).minimize(cost)

numEpochs = size("SEED_EPOCHS", 1000)
costs = []
with tf.Session() as sess:
    tf.initialize_all_variables().run()
    for i in range(numEpochs):
        sess.run(train_operation, feed_dict={x: trX, y: trY})
        costs.append(sess.run(cost, feed_dict={x: trX, y: trY}))
    print("Final Error is %f" % costs[-1])
results["multivariate"] = {"first_error": float(costs[0]), "error": float(costs[-1])}

plt.plot(costs)
plt.ylabel("Mean Squared Error")
plt.xlabel("Epoch")

# --- Logistic regression ----------------------------------------------------------------------------------------------

from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("MNIST/", one_hot=True)
trX, trY = mnist.train.images, mnist.train.labels
teX, teY = mnist.test.images, mnist.test.labels

images = size("SEED_IMAGES", len(trX))
trX, trY, teX, teY = trX[:images], trY[:images], teX[:images], teY[:images]

if "logistic" in stages:
    X = tf.placeholder("float", shape=[None, 784])
    Y = tf.placeholder("float", shape=[None, 10])
    w = tf.Variable(tf.random_normal([784, 10], stddev=0.01))
    pred_logit = tf.matmul(X, w)

    sample_cost = tf.nn.softmax_cross_entropy_with_logits(pred_logit, Y)
    total_cost = tf.reduce_mean(sample_cost)

    train_operation = tf.train.GradientDescentOptimizer(0.05).minimize(total_cost)
    predict_operation = tf.argmax(pred_logit, 1)
    accuracy_operation = tf.reduce_mean(tf.cast(tf.equal(predict_operation, tf.argmax(Y, 1)), tf.float32))

    NUM_EPOCHS = size("SEED_EPOCHS", 30)
    BATCH_SIZE = 200

    accuracies = []
    with tf.Session() as sess:
        tf.initialize_all_variables().run()
        for epoch in range(NUM_EPOCHS):
            for start in range(0, len(trX), BATCH_SIZE):
                end = start + BATCH_SIZE
                sess.run(train_operation, feed_dict={X: trX[start:end], Y: trY[start:end]})
            accuracies.append(sess.run(accuracy_operation, feed_dict={X: teX, Y: teY}))
    plt.plot(accuracies)
    print("Logistic regression: accuracy %.04f" % accuracies[-1])
    results["logistic"] = {"accuracy": float(accuracies[-1])}

# --- Neural networks: what they share ---------------------------------------------------------------------------------

import tqdm  # Using this for dynamic updates instead of unwieldy print statements
import time  # Timing how long it takes an epoch to run


def init_weights(shape):
    return tf.Variable(tf.random_normal(shape, stddev=0.01))


def update_d(prev, new):
    combined = prev.copy()
    combined.update(new)
    return combined


def train_model(
    sess,
    train_X,
    train_Y,
    test_X,
    test_Y,
    train_operation,
    accuracy_operation,
    num_epochs,
    batch_size,
    test_size,
    train_feed=dict(),
    test_feed=dict(),
    howOften=100,
):
    accuracies = []
    test_size = min(test_size, len(test_X))  # smaller test sets than MNIST's 10,000 images are allowed
    startingTime = time.time()
    with tqdm.tqdm(total=num_epochs * len(train_X)) as ranger:
        for epoch in range(num_epochs):
            for start in range(0, len(train_X), batch_size):
                end = start + batch_size
                sess.run(
                    train_operation, feed_dict=update_d(train_feed, {X: train_X[start:end], Y: train_Y[start:end]})
                )
                ranger.update(batch_size)
                if (start // batch_size) % howOften == 0:
                    testSet = np.random.choice(len(test_X), test_size, replace=False)
                    tX, tY = test_X[testSet], test_Y[testSet]
                    accuracies.append(sess.run(accuracy_operation, feed_dict=update_d(test_feed, {X: tX, Y: tY})))
                    ranger.set_description("Test Accuracy: " + str(accuracies[-1]))
            testSet = np.random.choice(len(test_X), test_size, replace=False)
            tX, tY = test_X[testSet], test_Y[testSet]
            accuracies.append(sess.run(accuracy_operation, feed_dict=update_d(test_feed, {X: tX, Y: tY})))
            ranger.set_description("Test Accuracy: " + str(accuracies[-1]))
    timeTaken = time.time() - startingTime
    print("Finished training for %d epochs" % num_epochs)
    print("Took %.02f seconds (%.02f s per epoch)" % (timeTaken, timeTaken / num_epochs))
    accuracies.append(sess.run(accuracy_operation, feed_dict=update_d(test_feed, {X: test_X, Y: test_Y})))
    print("Final accuracy was %.04f" % accuracies[-1])
    plt.plot(accuracies)
    return float(accuracies[-1])


# --- Basic fully connected network ------------------------------------------------------------------------------------

if "basic" in stages:
    NUM_HIDDEN = 620
    X = tf.placeholder("float", shape=[None, 784])
    Y = tf.placeholder("float", shape=[None, 10])

    def init_weights(shape):  # We define this out of convenience
        return tf.Variable(tf.random_normal(shape, stddev=0.01))

    W_h = init_weights([784, NUM_HIDDEN])  # Weights entering the hidden layer
    W_o = init_weights([NUM_HIDDEN, 10])  # Weights entering the output layer

    entering_hidden = tf.matmul(X, W_h)
    exiting_hidden = tf.nn.sigmoid(entering_hidden)
    model = tf.matmul(exiting_hidden, W_o)

    sample_cost = tf.nn.softmax_cross_entropy_with_logits(model, Y)
    total_cost = tf.reduce_mean(sample_cost)

    train_operation = tf.train.GradientDescentOptimizer(0.2).minimize(total_cost)
    predict_operation = tf.argmax(model, 1)
    accuracy_operation = tf.reduce_mean(tf.cast(tf.equal(predict_operation, tf.argmax(Y, 1)), tf.float32))

    NUM_EPOCHS = size("SEED_EPOCHS", 50)
    BATCH_SIZE = 50
    TEST_SIZE = size("SEED_TEST_SIZE", 10000)
    with tf.Session() as sess:
        tf.initialize_all_variables().run()
        results["basic"] = {
            "accuracy": train_model(
                sess, trX, trY, teX, teY, train_operation, accuracy_operation, NUM_EPOCHS, BATCH_SIZE, TEST_SIZE
            )
        }
    plt.ylim(0.9, 1)

# --- Modern neural network --------------------------------------------------------------------------------------------


def model_gen(X, w_h, w_h2, w_o, drop_rate_input, drop_rate_hidden):
    out_X = tf.nn.dropout(X, drop_rate_input)

    in_H = tf.matmul(X, w_h)
    out_H = tf.nn.dropout(tf.nn.relu(in_H), drop_rate_hidden)

    in_H2 = tf.matmul(out_H, w_h2)
    out_H2 = tf.nn.relu(in_H2)

    model = tf.matmul(out_H2, w_o)
    return model


if "modern" in stages:
    X = tf.placeholder("float", [None, 784])
    Y = tf.placeholder("float", [None, 10])

    w_h = init_weights([784, 625])
    w_h2 = init_weights([625, 625])
    w_o = init_weights([625, 10])

    drop_rate_input = tf.placeholder("float")
    drop_rate_hidden = tf.placeholder("float")
    model = model_gen(X, w_h, w_h2, w_o, drop_rate_input, drop_rate_hidden)

    sample_cost = tf.nn.softmax_cross_entropy_with_logits(model, Y)
    total_cost = tf.reduce_mean(sample_cost)

    train_operation = tf.train.RMSPropOptimizer(0.001, 0.9).minimize(total_cost)
    predict_operation = tf.argmax(model, 1)
    accuracy_operation = tf.reduce_mean(tf.cast(tf.equal(predict_operation, tf.argmax(Y, 1)), tf.float32))

    NUM_EPOCHS = size("SEED_EPOCHS", 50)
    BATCH_SIZE = 100
    TEST_SIZE = size("SEED_TEST_SIZE", 10000)
    with tf.Session() as sess:
        tf.initialize_all_variables().run()
        results["modern"] = {
            "accuracy": train_model(
                sess,
                trX,
                trY,
                teX,
                teY,
                train_operation,
                accuracy_operation,
                NUM_EPOCHS,
                BATCH_SIZE,
                TEST_SIZE,
                {drop_rate_input: 0.7, drop_rate_hidden: 0.4},
                {drop_rate_hidden: 1, drop_rate_input: 1},
            )
        }
    plt.ylim(0.9, 1)

# --- Convolutional neural network -------------------------------------------------------------------------------------


def model_gen(X, w, w2, w3, w4, w_o, keep_rate_conv, keep_rate_hidden):
    l1a = tf.nn.relu(tf.nn.conv2d(X, w, strides=[1, 1, 1, 1], padding="SAME"))  # Shape = (?, 28, 28, 32)
    l1 = tf.nn.max_pool(l1a, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    l1o = tf.nn.dropout(l1, keep_rate_conv)

    l2a = tf.nn.relu(tf.nn.conv2d(l1o, w2, strides=[1, 1, 1, 1], padding="SAME"))  # Shape = (?, 14, 14, 64)
    l2 = tf.nn.max_pool(l2a, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    l2o = tf.nn.dropout(l2, keep_rate_conv)

    l3a = tf.nn.relu(tf.nn.conv2d(l2o, w3, strides=[1, 1, 1, 1], padding="SAME"))  # Shape = (?, 7, 7, 128)
    l3 = tf.nn.max_pool(l3a, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    l3o = tf.nn.dropout(l3, keep_rate_conv)

    l3_final = tf.reshape(l3, [-1, w4.get_shape().as_list()[0]])

    l4 = tf.nn.relu(tf.matmul(l3_final, w4))
    l4o = tf.nn.dropout(l4, keep_rate_hidden)

    model = tf.matmul(l4o, w_o)
    return model


if "conv" in stages:
    X = tf.placeholder("float", [None, 28, 28, 1])
    Y = tf.placeholder("float", [None, 10])

    w = init_weights([3, 3, 1, 32])
    w2 = init_weights([3, 3, 32, 64])
    w3 = init_weights([3, 3, 64, 128])
    w4 = init_weights([128 * 4 * 4, 625])
    w_o = init_weights([625, 10])

    keep_rate_conv = tf.placeholder("float")
    keep_rate_hidden = tf.placeholder("float")
    model = model_gen(X, w, w2, w3, w4, w_o, keep_rate_conv, keep_rate_hidden)

    sample_cost = tf.nn.softmax_cross_entropy_with_logits(model, Y)
    total_cost = tf.reduce_mean(sample_cost)

    train_operation = tf.train.RMSPropOptimizer(0.001, 0.9).minimize(total_cost)
    predict_operation = tf.argmax(model, 1)
    accuracy_operation = tf.reduce_mean(tf.cast(tf.equal(predict_operation, tf.argmax(Y, 1)), tf.float32))

    trX2 = trX.reshape(-1, 28, 28, 1)
    teX2 = teX.reshape(-1, 28, 28, 1)

    NUM_EPOCHS = size("SEED_EPOCHS", 10)
    BATCH_SIZE = 50
    TEST_SIZE = size("SEED_TEST_SIZE", 500)
    with tf.Session() as sess:
        tf.initialize_all_variables().run()
        results["conv"] = {
            "accuracy": train_model(
                sess,
                trX2,
                trY,
                teX2,
                teY,
                train_operation,
                accuracy_operation,
                NUM_EPOCHS,
                BATCH_SIZE,
                TEST_SIZE,
                {keep_rate_conv: 0.8, keep_rate_hidden: 0.5},
                {keep_rate_hidden: 1, keep_rate_conv: 1},
                20,
            )
        }
    plt.ylim(0.9, 1)

print("RESULT " + json.dumps(results))
