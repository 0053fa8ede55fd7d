"""Sequence to sequence by hand: a dynamic_rnn encoder, a decoder of raw_rnn that feeds back its own words.

The task: write the sequence in reverse.
"""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)

PAD, GO = 0, 1
vocabulary, length, dim, hidden = 10, 5, 16, 64


def batch(n):
    x = np.random.randint(2, vocabulary, (n, length))
    return x, x[:, ::-1]


source = tf.placeholder(tf.int32, [None, length])
target = tf.placeholder(tf.int32, [None, length])
batch_size = tf.shape(source)[0]

embeddings = tf.get_variable("embeddings", [vocabulary, dim])
with tf.variable_scope("encoder"):
    _, encoder_state = tf.nn.dynamic_rnn(
        tf.nn.rnn_cell.LSTMCell(hidden), tf.nn.embedding_lookup(embeddings, source), dtype=tf.float32
    )

decoder_cell = tf.nn.rnn_cell.LSTMCell(hidden)
projection_w = tf.get_variable("projection_w", [hidden, vocabulary])
projection_b = tf.get_variable("projection_b", [vocabulary], initializer=tf.zeros_initializer())


def project(output):
    return tf.matmul(output, projection_w) + projection_b


go = tf.fill([batch_size], GO)

# training: the decoder is given the right words, shifted by one
decoder_inputs = tf.concat([tf.expand_dims(go, 1), target[:, :-1]], axis=1)
with tf.variable_scope("decoder"):
    outputs, _ = tf.nn.dynamic_rnn(
        decoder_cell, tf.nn.embedding_lookup(embeddings, decoder_inputs), initial_state=encoder_state
    )
logits = tf.reshape(project(tf.reshape(outputs, [-1, hidden])), [-1, length, vocabulary])
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=logits))
train_op = tf.train.AdamOptimizer(0.01).minimize(loss)


# inference: it is given its own words
def loop_fn(time, cell_output, cell_state, loop_state):
    emit_output = cell_output  # == None for time == 0
    if cell_output is None:
        next_cell_state = encoder_state
        words = go
    else:
        next_cell_state = cell_state
        words = tf.cast(tf.argmax(project(cell_output), axis=1), tf.int32)
    finished = tf.fill([batch_size], time >= length)
    return finished, tf.nn.embedding_lookup(embeddings, words), next_cell_state, emit_output, None


with tf.variable_scope("decoder", reuse=True):
    with tf.variable_scope("rnn"):
        outputs_ta, final_state, _ = tf.nn.raw_rnn(decoder_cell, loop_fn)
own = tf.transpose(outputs_ta.stack(), [1, 0, 2])
answers = tf.cast(tf.argmax(tf.reshape(project(tf.reshape(own, [-1, hidden])), [-1, length, vocabulary]), 2), tf.int32)
words_right = tf.reduce_mean(tf.cast(tf.equal(answers, target), tf.float32))
all_right = tf.reduce_mean(tf.cast(tf.reduce_all(tf.equal(answers, target), axis=1), tf.float32))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(500):
        x, y = batch(64)
        _, l = sess.run([train_op, loss], {source: x, target: y})
        if step % 100 == 0:
            print("step %d, loss %.3f" % (step, l))
    x, y = batch(200)
    words, sequences, shown = sess.run([words_right, all_right, answers], {source: x, target: y})
    print(x[0], "->", shown[0])

print("RESULT " + json.dumps({"loss": float(l), "words_right": float(words), "sequences_right": float(sequences)}))
