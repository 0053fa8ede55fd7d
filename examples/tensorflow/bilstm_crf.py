"""A tagger: a bidirectional LSTM under a conditional random field, over sentences of different lengths."""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)

vocabulary, num_tags, dim, hidden, longest = 20, 4, 12, 16, 6

words = tf.placeholder(tf.int32, [None, None], name="words")
lengths = tf.placeholder(tf.int32, [None], name="lengths")
tags = tf.placeholder(tf.int32, [None, None], name="tags")
keep_prob = tf.placeholder_with_default(1.0, [], name="keep_prob")

with tf.variable_scope("words"):
    vectors = tf.Variable(np.random.randn(vocabulary, dim), dtype=tf.float32, trainable=False, name="vectors")
    embedded = tf.nn.dropout(tf.nn.embedding_lookup(vectors, words), keep_prob)
with tf.variable_scope("bi-lstm"):
    (forward, backward), _ = tf.nn.bidirectional_dynamic_rnn(
        tf.contrib.rnn.LSTMCell(hidden), tf.contrib.rnn.LSTMCell(hidden), embedded, sequence_length=lengths,
        dtype=tf.float32,
    )  # fmt: skip
    outputs = tf.concat([forward, backward], axis=-1)
with tf.variable_scope("scores"):
    w = tf.get_variable("w", [2 * hidden, num_tags])
    b = tf.get_variable("b", [num_tags], initializer=tf.zeros_initializer())
    scores = tf.reshape(tf.matmul(tf.reshape(outputs, [-1, 2 * hidden]), w) + b, [-1, tf.shape(outputs)[1], num_tags])

likelihood, transitions = tf.contrib.crf.crf_log_likelihood(scores, tags, lengths)
loss = tf.reduce_mean(-likelihood)
decoded, _ = tf.contrib.crf.crf_decode(scores, transitions, lengths)

optimizer = tf.train.AdamOptimizer(0.02)
gradients, variables = zip(*optimizer.compute_gradients(loss))
clipped, _ = tf.clip_by_global_norm(gradients, 5.0)
train_op = optimizer.apply_gradients(zip(clipped, variables))


def batch(n):
    """An even word has tag 1, a word after an even one tag 2, any other tag 3."""
    x = np.random.randint(1, vocabulary, (n, longest))
    before = np.concatenate([np.ones((n, 1), int), x[:, :-1]], axis=1)
    y = np.where(x % 2 == 0, 1, np.where(before % 2 == 0, 2, 3))
    return {words: x, lengths: np.random.randint(3, longest + 1, n), tags: y}


with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    first_loss = float(sess.run(loss, batch(64)))
    for _ in range(80):
        feed = batch(16)
        feed[keep_prob] = 0.9
        sess.run(train_op, feed)
    feed = batch(64)
    last_loss, found, score_values, moves = sess.run([loss, decoded, scores, transitions], feed)

right = total = agreeing = 0
for row, score, length, wanted in zip(found, score_values, feed[lengths], feed[tags]):
    path, _ = tf.contrib.crf.viterbi_decode(score[:length], moves)
    agreeing += path == list(row[:length])
    right += int((row[:length] == wanted[:length]).sum())
    total += int(length)

result = {
    "first_loss": first_loss, "loss": float(last_loss), "accuracy": right / total, "agreeing": agreeing,
    "variables": [v.op.name for v in tf.trainable_variables()],
}  # fmt: skip
print("RESULT", json.dumps(result))
