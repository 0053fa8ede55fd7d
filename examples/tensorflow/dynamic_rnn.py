"""dynamic_rnn with sequence_length: does a sequence of varying length rise by steps, or is it noise?"""

import json
import random

import numpy as np
import tensorflow as tf


class ToySequenceData(object):
    """Class 0: linear sequences [i, i+1, ...]; class 1: random ones.  Zero padded to max_seq_len."""

    def __init__(self, n_samples=1000, max_seq_len=20, min_seq_len=3, max_value=1000):
        self.data, self.labels, self.seqlen = [], [], []
        for i in range(n_samples):
            length = random.randint(min_seq_len, max_seq_len)
            self.seqlen.append(length)
            if random.random() < 0.5:
                rand_start = random.randint(0, max_value - length)
                s = [[float(i) / max_value] for i in range(rand_start, rand_start + length)]
                self.labels.append([1.0, 0.0])
            else:
                s = [[float(random.randint(0, max_value)) / max_value] for i in range(length)]
                self.labels.append([0.0, 1.0])
            s += [[0.0] for i in range(max_seq_len - length)]
            self.data.append(s)
        self.batch_id = 0

    def next(self, batch_size):
        if self.batch_id == len(self.data):
            self.batch_id = 0
        end = min(self.batch_id + batch_size, len(self.data))
        batch = (self.data[self.batch_id : end], self.labels[self.batch_id : end], self.seqlen[self.batch_id : end])
        self.batch_id = end
        return batch


random.seed(0)
tf.set_random_seed(0)
learning_rate = 0.01
training_steps = 400
batch_size = 64
seq_max_len = 20
n_hidden = 32
n_classes = 2

trainset = ToySequenceData(n_samples=1000, max_seq_len=seq_max_len)
testset = ToySequenceData(n_samples=500, max_seq_len=seq_max_len)

x = tf.placeholder("float", [None, seq_max_len, 1])
y = tf.placeholder("float", [None, n_classes])
seqlen = tf.placeholder(tf.int32, [None])

lstm_cell = tf.contrib.rnn.BasicLSTMCell(n_hidden)
outputs, states = tf.nn.dynamic_rnn(lstm_cell, x, dtype=tf.float32, sequence_length=seqlen)

# the output at the last step of each sequence, by its index in the flattened outputs
index = tf.range(0, tf.shape(outputs)[0]) * seq_max_len + (seqlen - 1)
last = tf.gather(tf.reshape(outputs, [-1, n_hidden]), index)
pred = tf.layers.dense(last, n_classes)

cost = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits=pred, labels=y))
optimizer = tf.train.AdamOptimizer(learning_rate=learning_rate).minimize(cost)
correct_pred = tf.equal(tf.argmax(pred, 1), tf.argmax(y, 1))
accuracy = tf.reduce_mean(tf.cast(correct_pred, tf.float32))
beyond = tf.reduce_max(
    tf.abs(outputs * tf.expand_dims(1.0 - tf.sequence_mask(seqlen, seq_max_len, dtype=tf.float32), 2))
)
same_state = tf.reduce_max(tf.abs(last - states.h))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(1, training_steps + 1):
        batch_x, batch_y, batch_seqlen = trainset.next(batch_size)
        feed = {x: batch_x, y: batch_y, seqlen: batch_seqlen}
        sess.run(optimizer, feed_dict=feed)
        if step % 100 == 0 or step == 1:
            acc, loss = sess.run([accuracy, cost], feed_dict=feed)
            print(
                "Step "
                + str(step)
                + ", Minibatch Loss= "
                + "{:.6f}".format(loss)
                + ", Training Accuracy= "
                + "{:.5f}".format(acc)
            )
    feed = {x: testset.data, y: testset.labels, seqlen: testset.seqlen}
    test_accuracy, outside, gap = sess.run([accuracy, beyond, same_state], feed_dict=feed)

print(
    "RESULT "
    + json.dumps(
        {
            "accuracy": float(test_accuracy),
            "largest_output_beyond_the_end": float(outside),
            "last_output_minus_state": float(gap),
        }
    )
)
