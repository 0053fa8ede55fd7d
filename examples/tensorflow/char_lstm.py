"""A character model of several LSTM layers: MultiRNNCell, DropoutWrapper, clipped gradients, sampling from it."""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)

text = " ".join(["one two three four five six seven eight nine ten"] * 60) + " "
chars = sorted(set(text))
char_to_id = {c: i for i, c in enumerate(chars)}
data = np.array([char_to_id[c] for c in text], dtype=np.int32)

batch_size, num_steps, hidden, num_layers = 10, 25, 48, 2
vocab = len(chars)

inputs = tf.placeholder(tf.int32, [None, None], name="inputs")
targets = tf.placeholder(tf.int32, [None, None], name="targets")
keep_prob = tf.placeholder_with_default(1.0, [])


def build_cell():
    cell = tf.nn.rnn_cell.BasicLSTMCell(hidden, state_is_tuple=True)
    return tf.nn.rnn_cell.DropoutWrapper(cell, output_keep_prob=keep_prob)


cell = tf.nn.rnn_cell.MultiRNNCell([build_cell() for _ in range(num_layers)], state_is_tuple=True)
batch = tf.shape(inputs)[0]
initial_state = cell.zero_state(batch, tf.float32)

outputs, final_state = tf.nn.dynamic_rnn(cell, tf.one_hot(inputs, vocab), initial_state=initial_state)
flat = tf.reshape(outputs, [-1, hidden])
with tf.variable_scope("softmax"):
    w = tf.get_variable("w", [hidden, vocab])
    b = tf.get_variable("b", [vocab], initializer=tf.constant_initializer(0.0))
logits = tf.matmul(flat, w) + b
probabilities = tf.nn.softmax(logits)
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.reshape(targets, [-1]), logits=logits))

tvars = tf.trainable_variables()
grads, norm = tf.clip_by_global_norm(tf.gradients(loss, tvars), 5.0)
train_op = tf.train.AdamOptimizer(0.01).apply_gradients(zip(grads, tvars))

# rows of consecutive text, so that the state of one batch begins the next
rows = data[: len(data) // batch_size * batch_size].reshape(batch_size, -1)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for epoch in range(12):
        state = sess.run(initial_state, {inputs: np.zeros((batch_size, 1))})
        for start in range(0, rows.shape[1] - num_steps - 1, num_steps):
            feed = {
                inputs: rows[:, start : start + num_steps],
                targets: rows[:, start + 1 : start + num_steps + 1],
                keep_prob: 0.9,
            }
            for i, (c, h) in enumerate(initial_state):
                feed[c] = state[i].c
                feed[h] = state[i].h
            l, state, _ = sess.run([loss, final_state, train_op], feed)
        if epoch % 4 == 3:
            print("epoch %d, loss %.3f" % (epoch + 1, l))

    # one character at a time, the state fed back
    produced = "one "
    state = sess.run(initial_state, {inputs: np.zeros((1, 1))})
    for c in produced[:-1]:
        state = sess.run(final_state, {inputs: [[char_to_id[c]]], initial_state: state})
    for _ in range(40):
        p, state = sess.run([probabilities, final_state], {inputs: [[char_to_id[produced[-1]]]], initial_state: state})
        produced += chars[int(np.argmax(p[0]))]
print(produced)

print(
    "RESULT "
    + json.dumps(
        {
            "loss": float(l),
            "uniform_loss": float(np.log(vocab)),
            "sample": produced,
            "words_known": sum(word in text.split() for word in produced.split()[:-1]),
            "words": len(produced.split()) - 1,
        }
    )
)
