"""Gradients replaced by name: guided ReLU, reversed gradients, a straight-through sign, tf.py_func with a gradient."""

import json

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import gen_nn_ops


@tf.RegisterGradient("GuidedRelu")
def guided_relu_grad(op, grad):
    return tf.where(grad > 0.0, gen_nn_ops.relu_grad(grad, op.outputs[0]), tf.zeros(tf.shape(grad)))


@ops.RegisterGradient("HardTanh")
def hard_tanh_grad(op, grad):
    return [grad * tf.cast(tf.abs(op.inputs[0]) <= 1.0, tf.float32)]


class Reversal(object):
    """The identity, whose gradient has the other sign: each call registers its own."""

    calls = 0

    def __call__(self, x, strength):
        name = "Reversal%d" % self.calls
        Reversal.calls += 1

        @tf.RegisterGradient(name)
        def reversed_grad(op, grad):
            return [tf.negative(grad) * strength]

        with tf.get_default_graph().gradient_override_map({"Identity": name}):
            return tf.identity(x)


def cube(x):
    """NumPy computes it, TensorFlow its gradient."""

    def gradient(op, grad):
        return grad * 3 * tf.square(op.inputs[0])

    tf.RegisterGradient("NumPyCube")(gradient)
    with tf.get_default_graph().gradient_override_map({"PyFunc": "NumPyCube"}):
        return tf.py_func(lambda v: np.power(v, 3), [x], [tf.float32])[0]


graph = tf.get_default_graph()
x = tf.constant([0.5, -0.25, 2.0])
direction = tf.constant([1.0, 1.0, -1.0])

with graph.gradient_override_map({"Relu": "GuidedRelu"}):
    guided = tf.nn.relu(x)
plain = tf.nn.relu(x)
with graph.gradient_override_map({"Sign": "HardTanh"}):
    binary = tf.sign(x)
with graph.gradient_override_map({"Round": "Identity"}):
    rounded = tf.round(x)
reversal = Reversal()
turned, weakened = reversal(x, 1.0), reversal(x, 0.5)


def slope(y):
    return tf.gradients(tf.reduce_sum(y * direction), x)[0]


with tf.Session() as sess:
    found = sess.run({
        "plain": slope(plain), "guided": slope(guided), "binary": slope(binary), "rounded": slope(rounded),
        "turned": slope(turned), "weakened": slope(weakened), "cube": slope(cube(x)), "values": rounded,
    })  # fmt: skip
print("RESULT", json.dumps({name: value.tolist() for name, value in found.items()}))
