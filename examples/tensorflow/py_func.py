"""Python functions in the graph: py_func with several outputs, a gradient of one's own, tf.Print, tf.Assert."""

import json

import numpy as np
import tensorflow as tf

calls = []


def top_two(values):
    """The two largest values and where they are; also counts its calls on the Python side."""
    calls.append(values.shape)
    order = np.argsort(-values)[:2]
    return values[order], order.astype(np.int64)


x = tf.placeholder(tf.float32, [None])
largest, where = tf.py_func(top_two, [x], [tf.float32, tf.int64], stateful=True)
largest.set_shape([2])  # py_func does not know shapes


# an operation with a gradient of our own: quantised in the forward pass, straight through in the backward pass
@tf.RegisterGradient("StraightThroughForExample")
def _straight_through(op, grad):
    return grad * 0.5


graph = tf.get_default_graph()
w = tf.Variable([0.2, 0.7, 1.4])
with graph.gradient_override_map({"Round": "StraightThroughForExample"}):
    rounded = tf.round(w)
total = tf.reduce_sum(rounded * [1.0, 2.0, 3.0])
gradient = tf.gradients(total, w)[0]


# the same with custom_gradient
@tf.custom_gradient
def clip_gradient(v):
    def grad(dy):
        return tf.clip_by_value(dy, -0.1, 0.1)

    return tf.identity(v), grad


clipped = tf.gradients(tf.reduce_sum(clip_gradient(w) * [5.0, -5.0, 0.05]), w)[0]

stopped = tf.gradients(tf.reduce_sum(tf.stop_gradient(w) * w), w)[0]
printed = tf.Print(largest, [largest, where], message="largest and where: ")
check = tf.Assert(tf.reduce_all(largest >= 0), [largest])
with tf.control_dependencies([check]):
    checked = tf.identity(largest)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    values, places = sess.run([printed, where], {x: [3.0, 9.0, 1.0, 7.0]})
    try:
        sess.run(checked, {x: [-3.0, -9.0, -1.0]})
        refused = False
    except tf.errors.InvalidArgumentError:
        refused = True
    results = {
        "values": values.tolist(),
        "places": places.tolist(),
        "python_called": len(calls) >= 2,
        "assertion_refused": refused,
        "rounded": float(sess.run(total)),
        "straight_through": np.round(sess.run(gradient), 5).tolist(),
        "clipped": np.round(sess.run(clipped), 5).tolist(),
        "stopped": np.round(sess.run(stopped), 5).tolist(),
    }
print("RESULT " + json.dumps(results))
