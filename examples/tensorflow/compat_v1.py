"""A graph program in TensorFlow 2: tensorflow.compat.v1 with v2 behaviour disabled."""

import json

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()

rng = np.random.RandomState(0)
data = rng.randn(300, 2).astype(np.float32)
labels = (np.linalg.norm(data, axis=1) > 1.2).astype(np.int32)

x = tf.placeholder(tf.float32, [None, 2])
y = tf.placeholder(tf.int32, [None])

with tf.variable_scope("net", initializer=tf.glorot_uniform_initializer(seed=0)):
    w1 = tf.get_variable("w1", [2, 16])
    b1 = tf.get_variable("b1", [16], initializer=tf.zeros_initializer())
    w2 = tf.get_variable("w2", [16, 2])
    logits = tf.matmul(tf.tanh(tf.matmul(x, w1) + b1), w2)

with tf.variable_scope("net", reuse=True):
    same = tf.get_variable("w1") is w1 or tf.get_variable("w1").name == w1.name

loss = tf.losses.sparse_softmax_cross_entropy(labels=y, logits=logits)
global_step = tf.train.get_or_create_global_step()
train_op = tf.train.AdamOptimizer(0.03).minimize(loss, global_step=global_step)
accuracy, update_accuracy = tf.metrics.accuracy(labels=y, predictions=tf.argmax(logits, 1))

with tf.Session() as sess:
    sess.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
    for _ in range(200):
        sess.run(train_op, {x: data[:200], y: labels[:200]})
    # a streaming metric: each half updates it
    for part in (slice(200, 250), slice(250, 300)):
        sess.run(update_accuracy, {x: data[part], y: labels[part]})
    final_loss, final_accuracy, step = sess.run([loss, accuracy, global_step], {x: data, y: labels})

print(
    "RESULT "
    + json.dumps(
        {
            "eager": tf.executing_eagerly(),
            "loss": float(final_loss),
            "accuracy": float(final_accuracy),
            "steps": int(step),
            "reused": bool(same),
            "variables": [v.name for v in tf.trainable_variables()],
        }
    )
)
