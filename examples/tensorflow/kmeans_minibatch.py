"""Mini-batch k-means on images: every centroid moves to the mean of what it has seen, with scatter updates.

No tf.contrib.factorization; the class found most often in a cluster labels it.
"""

import json

import numpy as np
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("MNIST_data/", one_hot=False)

k = 25
batch_size = 100
num_steps = 80

np.random.seed(0)
X = tf.placeholder(tf.float32, shape=[None, 784])
start, _ = mnist.train.next_batch(k)
centroids = tf.Variable(start, name="centroids")
counts = tf.Variable(tf.ones([k]), trainable=False, name="counts")

# |x - c|^2 = |x|^2 - 2 x.c + |c|^2
distances = (
    tf.reduce_sum(tf.square(X), 1, keepdims=True)
    - 2.0 * tf.matmul(X, centroids, transpose_b=True)
    + tf.reduce_sum(tf.square(centroids), 1)
)
cluster_idx = tf.argmin(distances, axis=1)
avg_distance = tf.reduce_mean(tf.reduce_min(distances, axis=1))

new_counts = tf.unsorted_segment_sum(tf.ones_like(cluster_idx, dtype=tf.float32), cluster_idx, k)
count_op = tf.assign_add(counts, new_counts)
with tf.control_dependencies([count_op]):
    # every point pulls its centroid by 1 / count
    rate = 1.0 / tf.gather(count_op, cluster_idx)
    pull = tf.expand_dims(rate, 1) * (X - tf.gather(centroids, cluster_idx))
    train_op = tf.scatter_add(centroids, cluster_idx, pull)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    first = sess.run(avg_distance, feed_dict={X: mnist.test.images})
    for i in range(num_steps):
        batch_x, _ = mnist.train.next_batch(batch_size)
        _, d = sess.run([train_op, avg_distance], feed_dict={X: batch_x})
        if i % 20 == 0:
            print("Step %i, Avg Distance: %f" % (i, d))

    # label the clusters by the training classes that fall into them
    idx = sess.run(cluster_idx, feed_dict={X: mnist.train.images})
    votes = np.zeros((k, 10))
    for cluster, label in zip(idx, mnist.train.labels):
        votes[cluster, label] += 1
    labels_map = tf.convert_to_tensor(np.argmax(votes, axis=1))
    cluster_label = tf.nn.embedding_lookup(labels_map, cluster_idx)
    Y = tf.placeholder(tf.int64, shape=[None])
    accuracy_op = tf.reduce_mean(tf.cast(tf.equal(cluster_label, Y), tf.float32))
    last, accuracy = sess.run([avg_distance, accuracy_op], feed_dict={X: mnist.test.images, Y: mnist.test.labels})

print("RESULT " + json.dumps({"first_distance": float(first), "distance": float(last), "accuracy": float(accuracy)}))
