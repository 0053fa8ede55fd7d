"""Histograms of weights and of their gradients, an image, text of the settings; the gradients applied by hand."""

import glob
import json
import os
import tempfile

import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)

learning_rate = 0.05
num_steps = 40
batch_size = 100
logs_path = os.path.join(tempfile.mkdtemp(), "example")

x = tf.placeholder(tf.float32, [None, 784], name="InputData")
y = tf.placeholder(tf.float32, [None, 10], name="LabelData")


def layer(input_tensor, input_dim, output_dim, layer_name, act=tf.nn.relu):
    with tf.name_scope(layer_name):
        with tf.name_scope("weights"):
            weights = tf.Variable(tf.truncated_normal([input_dim, output_dim], stddev=0.1))
        with tf.name_scope("biases"):
            biases = tf.Variable(tf.constant(0.1, shape=[output_dim]))
        with tf.name_scope("Wx_plus_b"):
            preactivate = tf.matmul(input_tensor, weights) + biases
        activations = act(preactivate, name="activation")
        tf.summary.histogram("activations", activations)
        return activations


hidden = layer(x, 784, 64, "layer1")
logits = layer(hidden, 64, 10, "layer2", act=tf.identity)

with tf.name_scope("Loss"):
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(logits=logits, labels=y))

with tf.name_scope("SGD"):
    optimizer = tf.train.GradientDescentOptimizer(learning_rate)
    # Op to calculate every variable gradient, and to update the variables according to it
    grads = tf.gradients(loss, tf.trainable_variables())
    grads = list(zip(grads, tf.trainable_variables()))
    apply_grads = optimizer.apply_gradients(grads_and_vars=grads)

with tf.name_scope("Accuracy"):
    acc = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), tf.argmax(y, 1)), tf.float32))

tf.summary.scalar("loss", loss)
tf.summary.scalar("accuracy", acc)
tf.summary.image("input", tf.reshape(x, [-1, 28, 28, 1]), max_outputs=2)
for var in tf.trainable_variables():
    tf.summary.histogram(var.name.replace(":", "_"), var)
for grad, var in grads:
    tf.summary.histogram(var.name.replace(":", "_") + "/gradient", grad)
merged_summary_op = tf.summary.merge_all()
settings = tf.summary.text("settings", tf.convert_to_tensor("learning rate %g" % learning_rate), collections=[])

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    summary_writer = tf.summary.FileWriter(logs_path, sess.graph)
    summary_writer.add_summary(sess.run(settings))
    for step in range(num_steps):
        batch_xs, batch_ys = mnist.train.next_batch(batch_size)
        _, c, summary = sess.run([apply_grads, loss, merged_summary_op], feed_dict={x: batch_xs, y: batch_ys})
        summary_writer.add_summary(summary, step)
    test_accuracy = acc.eval({x: mnist.test.images, y: mnist.test.labels})
    # a summary made without the graph
    by_hand = tf.Summary(value=[tf.Summary.Value(tag="test_accuracy", simple_value=float(test_accuracy))])
    summary_writer.add_summary(by_hand, num_steps)
    summary_writer.flush()
    summary_writer.close()

tags = set()
for path in glob.glob(logs_path + "/events.out.tfevents.*"):
    for event in tf.train.summary_iterator(path):
        tags.update(value.tag for value in event.summary.value)
print("RESULT " + json.dumps({"loss": float(c), "accuracy": float(test_accuracy), "tags": sorted(tags)}))
