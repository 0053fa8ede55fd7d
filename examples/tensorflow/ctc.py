"""Reading a row of strokes letter by letter: an LSTM trained with connectionist temporal classification.

Each letter takes two to four frames and a frame of nothing; which frames belong to which letter is not labelled.
"""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)

letters, features, hidden, batch_size = 5, 8, 32, 16
shapes = np.random.randn(letters, features)


def example():
    word = np.random.randint(0, letters, np.random.randint(2, 5))
    rows = []
    for c in word:
        rows += [shapes[c]] * np.random.randint(2, 5) + [np.zeros(features)]
    return np.array(rows) + 0.2 * np.random.randn(len(rows), features), word


def batch(n):
    pairs = [example() for _ in range(n)]
    lengths = np.array([len(x) for x, _ in pairs])
    x = np.zeros((n, lengths.max(), features), np.float32)
    for i, (frames, _) in enumerate(pairs):
        x[i, : len(frames)] = frames
    indices = [(i, j) for i, (_, word) in enumerate(pairs) for j in range(len(word))]
    values = np.concatenate([word for _, word in pairs])
    return x, lengths, (indices, values, (n, max(len(w) for _, w in pairs)))


inputs = tf.placeholder(tf.float32, [None, None, features])
seq_len = tf.placeholder(tf.int32, [None])
targets = tf.sparse_placeholder(tf.int32)

outputs, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.LSTMCell(hidden), inputs, seq_len, dtype=tf.float32)
logits = tf.layers.dense(outputs, letters + 1)  # the last class is the blank
logits = tf.transpose(logits, (1, 0, 2))

cost = tf.reduce_mean(tf.nn.ctc_loss(targets, logits, seq_len))
train = tf.train.AdamOptimizer(0.01).minimize(cost)

greedy, _ = tf.nn.ctc_greedy_decoder(logits, seq_len)
beams, log_prob = tf.nn.ctc_beam_search_decoder(logits, seq_len, beam_width=10, merge_repeated=False)
label_error = tf.reduce_mean(tf.edit_distance(tf.cast(greedy[0], tf.int32), targets))
beam_error = tf.reduce_mean(tf.edit_distance(tf.cast(beams[0], tf.int32), targets))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    first = None
    for step in range(150):
        x, lengths, words = batch(batch_size)
        c, _ = sess.run([cost, train], {inputs: x, seq_len: lengths, targets: words})
        first = c if first is None else first
        if step % 50 == 0:
            print("step %d, cost %.3f" % (step, c))
    x, lengths, words = batch(100)
    feed = {inputs: x, seq_len: lengths, targets: words}
    c, error, error_of_beams, found = sess.run([cost, label_error, beam_error, greedy[0]], feed)
    print("said:", words[1][:8], "read:", found.values[:8])

print(
    "RESULT "
    + json.dumps(
        {
            "first_cost": float(first),
            "cost": float(c),
            "label_error": float(error),
            "beam_error": float(error_of_beams),
        }
    )
)
