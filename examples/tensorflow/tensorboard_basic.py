"""Name scopes, scalar summaries merged, an event file with the graph; the events are read back."""

import glob
import json
import os
import tempfile

import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)

learning_rate = 0.1
training_epochs = 4
batch_size = 100
logs_path = os.path.join(tempfile.mkdtemp(), "example")

x = tf.placeholder(tf.float32, [None, 784], name="InputData")
y = tf.placeholder(tf.float32, [None, 10], name="LabelData")
W = tf.Variable(tf.zeros([784, 10]), name="Weights")
b = tf.Variable(tf.zeros([10]), name="Bias")

with tf.name_scope("Model"):
    pred = tf.nn.softmax(tf.matmul(x, W) + b)
with tf.name_scope("Loss"):
    cost = tf.reduce_mean(-tf.reduce_sum(y * tf.log(pred + 1e-10), reduction_indices=1))
with tf.name_scope("SGD"):
    optimizer = tf.train.GradientDescentOptimizer(learning_rate).minimize(cost)
with tf.name_scope("Accuracy"):
    acc = tf.equal(tf.argmax(pred, 1), tf.argmax(y, 1))
    acc = tf.reduce_mean(tf.cast(acc, tf.float32))

init = tf.global_variables_initializer()
tf.summary.scalar("loss", cost)
tf.summary.scalar("accuracy", acc)
merged_summary_op = tf.summary.merge_all()

with tf.Session() as sess:
    sess.run(init)
    summary_writer = tf.summary.FileWriter(logs_path, graph=tf.get_default_graph())
    total_batch = min(50, int(mnist.train.num_examples / batch_size))
    for epoch in range(training_epochs):
        avg_cost = 0.0
        for i in range(total_batch):
            batch_xs, batch_ys = mnist.train.next_batch(batch_size)
            _, c, summary = sess.run([optimizer, cost, merged_summary_op], feed_dict={x: batch_xs, y: batch_ys})
            summary_writer.add_summary(summary, epoch * total_batch + i)
            avg_cost += c / total_batch
        print("Epoch:", "%04d" % (epoch + 1), "cost=", "{:.9f}".format(avg_cost))
    test_accuracy = acc.eval({x: mnist.test.images, y: mnist.test.labels})
    summary_writer.close()

print("Run the command line:\n--> tensorboard --logdir=" + logs_path)

# what the file holds
tags, steps, graphs = set(), set(), 0
for path in glob.glob(logs_path + "/events.out.tfevents.*"):
    for event in tf.train.summary_iterator(path):
        graphs += int(event.HasField("graph_def"))
        for value in event.summary.value:
            tags.add(value.tag)
            steps.add(event.step)

print(
    "RESULT "
    + json.dumps(
        {
            "accuracy": float(test_accuracy),
            "tags": sorted(tags),
            "steps": len(steps),
            "graphs": graphs,
            "loss_name": cost.op.name,
        }
    )
)
