"""Saving with tf.train.Saver, restoring in a second session, importing the graph in a third."""

import json
import os
import tempfile

import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("MNIST_data/", one_hot=True)
model_dir = tempfile.mkdtemp()
model_path = os.path.join(model_dir, "model.ckpt")

x = tf.placeholder("float", [None, 784], name="x")
y = tf.placeholder("float", [None, 10], name="y")
W1 = tf.Variable(tf.truncated_normal([784, 64], stddev=0.05), name="W1")
b1 = tf.Variable(tf.zeros([64]), name="b1")
W2 = tf.Variable(tf.truncated_normal([64, 10], stddev=0.05), name="W2")
b2 = tf.Variable(tf.zeros([10]), name="b2")
pred = tf.matmul(tf.nn.relu(tf.matmul(x, W1) + b1), W2) + b2
cost = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(logits=pred, labels=y))
optimizer = tf.train.AdamOptimizer(0.002).minimize(cost)
accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(pred, 1), tf.argmax(y, 1)), tf.float32), name="accuracy")
init = tf.global_variables_initializer()

# keeps the three latest checkpoints
saver = tf.train.Saver(max_to_keep=3)
test = {x: mnist.test.images, y: mnist.test.labels}


def train(sess, epochs, start):
    for epoch in range(start, start + epochs):
        for _ in range(20):
            batch_x, batch_y = mnist.train.next_batch(50)
            sess.run(optimizer, feed_dict={x: batch_x, y: batch_y})
        save_path = saver.save(sess, model_path, global_step=epoch)
        print("Model saved in file: %s" % save_path)
    return accuracy.eval(test)


print("Starting 1st session...")
with tf.Session() as sess:
    sess.run(init)
    first_accuracy = train(sess, 4, 0)

print("Starting 2nd session...")
with tf.Session() as sess:
    sess.run(init)
    load_path = tf.train.latest_checkpoint(model_dir)
    saver.restore(sess, load_path)
    print("Model restored from file: %s" % load_path)
    restored_accuracy = accuracy.eval(test)
    second_accuracy = train(sess, 3, 4)

state = tf.train.get_checkpoint_state(model_dir)
kept = [os.path.basename(path) for path in state.all_model_checkpoint_paths]

# a third program would not have the graph: it imports it
tf.reset_default_graph()
with tf.Session() as sess:
    imported = tf.train.import_meta_graph(state.model_checkpoint_path + ".meta")
    imported.restore(sess, state.model_checkpoint_path)
    imported_accuracy = sess.run("accuracy:0", {"x:0": mnist.test.images, "y:0": mnist.test.labels})

print(
    "RESULT "
    + json.dumps(
        {
            "accuracy_saved": float(first_accuracy),
            "accuracy_restored": float(restored_accuracy),
            "accuracy_after_more": float(second_accuracy),
            "accuracy_imported": float(imported_accuracy),
            "kept": kept,
        }
    )
)
