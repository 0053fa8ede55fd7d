"""Sampled softmax for training, full softmax for evaluation: the next word of a chain with many states."""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)

vocabulary, dim, num_sampled, batch = 400, 32, 40, 128
successor = np.random.permutation(vocabulary)


def next_batch():
    """Pairs of a chain that takes the successor nine times in ten, else any word."""
    x = np.random.randint(0, vocabulary, batch)
    y = np.where(np.random.rand(batch) < 0.9, successor[x], np.random.randint(0, vocabulary, batch))
    return x, y.reshape(-1, 1)


inputs = tf.placeholder(tf.int32, [None])
labels = tf.placeholder(tf.int64, [None, 1])

embeddings = tf.get_variable("embeddings", [vocabulary, dim], initializer=tf.random_uniform_initializer(-1.0, 1.0))
softmax_w = tf.get_variable("softmax_w", [vocabulary, dim], initializer=tf.truncated_normal_initializer(stddev=0.1))
softmax_b = tf.get_variable("softmax_b", [vocabulary], initializer=tf.zeros_initializer())

embedded = tf.nn.embedding_lookup(embeddings, inputs)
loss = tf.reduce_mean(
    tf.nn.sampled_softmax_loss(
        weights=softmax_w,
        biases=softmax_b,
        labels=labels,
        inputs=embedded,
        num_sampled=num_sampled,
        num_classes=vocabulary,
    )
)

logits = tf.matmul(embedded, softmax_w, transpose_b=True) + softmax_b
full_loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.squeeze(labels, 1), logits=logits))
top = tf.reduce_mean(tf.cast(tf.nn.in_top_k(logits, tf.cast(tf.squeeze(labels, 1), tf.int32), 1), tf.float32))
train_op = tf.train.AdamOptimizer(0.02).minimize(loss)

everything = {inputs: np.arange(vocabulary), labels: successor.reshape(-1, 1)}
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    first = sess.run(full_loss, everything)
    for step in range(400):
        x, y = next_batch()
        sess.run(train_op, {inputs: x, labels: y})
        if step % 100 == 0:
            print("step %d, loss of the full softmax %.3f" % (step, sess.run(full_loss, everything)))
    last, accuracy = sess.run([full_loss, top], everything)

print("RESULT " + json.dumps({"first_loss": float(first), "loss": float(last), "successors_found": float(accuracy)}))
