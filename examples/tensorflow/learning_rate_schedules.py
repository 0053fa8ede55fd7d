"""The schedules of tf.train as functions of the global step, and training with one of them."""

import json

import numpy as np
import tensorflow as tf

global_step = tf.Variable(0, trainable=False, name="global_step")
advance = tf.assign_add(global_step, 1)
base = 0.1
schedules = {
    "exponential": tf.train.exponential_decay(base, global_step, 10, 0.5),
    "staircase": tf.train.exponential_decay(base, global_step, 10, 0.5, staircase=True),
    "piecewise": tf.train.piecewise_constant(global_step, [10, 20], [base, base / 2, base / 4]),
    "polynomial": tf.train.polynomial_decay(base, global_step, 20, 0.01, power=2.0),
    "cyclic": tf.train.polynomial_decay(base, global_step, 20, 0.01, power=1.0, cycle=True),
    "natural_exp": tf.train.natural_exp_decay(base, global_step, 10, 0.5),
    "inverse_time": tf.train.inverse_time_decay(base, global_step, 10, 0.5),
    "cosine": tf.train.cosine_decay(base, global_step, 30),
    "cosine_restarts": tf.train.cosine_decay_restarts(base, global_step, 10),
    "linear_cosine": tf.train.linear_cosine_decay(base, global_step, 30),
}

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    values = {name: [] for name in schedules}
    for step in range(31):
        now = sess.run(schedules)
        for name in schedules:
            values[name].append(float(now[name]))
        sess.run(advance)

# training with a decayed rate; the optimizer advances the step
tf.reset_default_graph()
x = tf.Variable([4.0, -3.0])
loss = tf.reduce_sum(tf.square(x) * [1.0, 10.0])
step = tf.train.create_global_step()
rate = tf.train.exponential_decay(0.09, step, decay_steps=20, decay_rate=0.9)
train_op = tf.train.MomentumOptimizer(rate, 0.5).minimize(loss, global_step=step)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for _ in range(100):
        sess.run(train_op)
    final, steps, final_rate = sess.run([loss, step, rate])

print(
    "RESULT "
    + json.dumps(
        {
            "at_15": {name: round(v[15], 6) for name, v in values.items()},
            "at_30": {name: round(v[30], 6) for name, v in values.items()},
            "loss": float(final),
            "steps": int(steps),
            "rate": float(final_rate),
        }
    )
)
