"""Words beginning with their likeliest letter are not always the likeliest words: greedy decoding and beam search.

A language of letters in a row is learnt from samples, by a GRU; then it is asked for its likeliest word.
"""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)

GO, END, A, B, C = range(5)
letters, hidden, length, width = 5, 24, 4, 6
# "a" comes first more often than "b", but what follows it is open; after "b" everything is certain
words = {(A, A, C): 0.2, (A, B, C): 0.2, (A, C, B): 0.2, (B, C, A): 0.4}


def batch(n):
    drawn = np.random.choice(len(words), n, p=list(words.values()))
    chosen = np.array(list(words))[drawn]
    return np.concatenate([chosen, np.full((n, 1), END)], axis=1)


targets = tf.placeholder(tf.int32, [None, length])
batch_size = tf.shape(targets)[0]
table = tf.get_variable("table", [letters, 8])
cell = tf.nn.rnn_cell.GRUCell(hidden)
projection = tf.layers.Dense(letters, name="projection")

inputs = tf.concat([tf.fill([batch_size, 1], GO), targets[:, :-1]], axis=1)
helper = tf.contrib.seq2seq.TrainingHelper(tf.nn.embedding_lookup(table, inputs), tf.fill([batch_size], length))
decoder = tf.contrib.seq2seq.BasicDecoder(cell, helper, cell.zero_state(batch_size, tf.float32), projection)
outputs, _, _ = tf.contrib.seq2seq.dynamic_decode(decoder)
loss = tf.contrib.seq2seq.sequence_loss(outputs.rnn_output, targets, tf.ones([batch_size, length]))
train = tf.train.AdamOptimizer(0.02).minimize(loss)

with tf.variable_scope(tf.get_variable_scope(), reuse=True):
    start = tf.fill([1], GO)
    greedy, _, _ = tf.contrib.seq2seq.dynamic_decode(
        tf.contrib.seq2seq.BasicDecoder(
            cell,
            tf.contrib.seq2seq.GreedyEmbeddingHelper(table, start, END),
            cell.zero_state(1, tf.float32),
            projection,
        ),
        maximum_iterations=length,
    )
    first = tf.contrib.seq2seq.tile_batch(cell.zero_state(1, tf.float32), multiplier=width)
    searched, state, lengths = tf.contrib.seq2seq.dynamic_decode(
        tf.contrib.seq2seq.BeamSearchDecoder(cell, table, start, END, first, width, projection),
        maximum_iterations=length,
    )

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(200):
        _, l = sess.run([train, loss], {targets: batch(64)})
        if step % 50 == 0:
            print("step %d, loss %.3f" % (step, l))
    one, many, scores = sess.run([greedy.sample_id, searched.predicted_ids, state.log_probs])

print("greedy:", one[0], "best:", many[0, :, 0], "with probability %.2f" % np.exp(scores[0, 0]))
print(
    "RESULT "
    + json.dumps(
        {
            "loss": float(l),
            "greedy": one[0].tolist(),
            "best": many[0, :, 0].tolist(),
            "probabilities": np.exp(scores[0]).tolist(),
        }
    )
)
