"""Information, entropy, Kullback-Leibler divergence and cross entropy: the figures of the document, computed.

Needs no data and no settings; runs in TensorFlow 2.
"""

import json

import numpy as np
import tensorflow as tf


def information(p):
    """Bits of surprise of an event with probability p."""
    return -tf.math.log(p) / tf.math.log(2.0)


def entropy(p):
    """Expected information of a distribution, in bits."""
    p = tf.constant(p, dtype=tf.float32)
    return tf.reduce_sum(p * information(p))


def kl_divergence(p, q):
    """Expected log likelihood ratio of p against q, in nats."""
    p, q = tf.constant(p, tf.float32), tf.constant(q, tf.float32)
    return tf.reduce_sum(p * (tf.math.log(p) - tf.math.log(q)))


# the unfair coin {0.99, 0.01}
heads = information(tf.constant(0.99)).numpy()
tails = information(tf.constant(0.01)).numpy()
coin = entropy([0.99, 0.01]).numpy()
fair = entropy([0.5, 0.5]).numpy()
print(
    "heads: {:.4f} bits, tails: {:.2f} bits, on average {:.2f} bits (a fair coin: {:.0f})".format(
        heads, tails, coin, fair
    )
)

# two policies over four actions: one narrow, one open
narrow = entropy([0.9, 0.05, 0.025, 0.025]).numpy()
wide = entropy([0.3, 0.2, 0.25, 0.25]).numpy()
print("entropy of the policies: {:.2f} and {:.2f} bits".format(narrow, wide))

# H(p, q) = H(p) + KL(p || q), and the divergence is not symmetric
p, q = [0.9, 0.05, 0.025, 0.025], [0.3, 0.2, 0.25, 0.25]
entropy_nats = entropy(p) * tf.math.log(2.0)
cross_entropy_nats = -tf.reduce_sum(tf.constant(p) * tf.math.log(tf.constant(q)))
identity_gap = abs((entropy_nats + kl_divergence(p, q) - cross_entropy_nats).numpy())
keras_kl = tf.keras.losses.KLDivergence()(tf.constant([p]), tf.constant([q])).numpy()

# an image of the digit 2, seen by a network whose output for class 2 is 0.75
y_true = np.array([[0, 0, 1, 0, 0, 0, 0, 0, 0, 0]], dtype=np.float32)
y_pred = np.array([[0.01, 0.02, 0.75, 0.05, 0.02, 0.1, 0.001, 0.02, 0.009, 0.02]], dtype=np.float32)
cce = tf.keras.losses.CategoricalCrossentropy()
scce = tf.losses.SparseCategoricalCrossentropy()
one_hot_loss = cce(y_true, y_pred).numpy()
integer_loss = scce(np.array([2]), y_pred).numpy()
print("predicted class {}, cross entropy {:.4f} nats".format(np.argmax(y_pred), one_hot_loss))

print(
    "RESULT "
    + json.dumps(
        {
            "heads_bits": float(heads),
            "tails_bits": float(tails),
            "coin_bits": float(coin),
            "fair_bits": float(fair),
            "narrow_bits": float(narrow),
            "wide_bits": float(wide),
            "kl": float(kl_divergence(p, q).numpy()),
            "kl_reversed": float(kl_divergence(q, p).numpy()),
            "kl_keras": float(keras_kl),
            "identity_gap": float(identity_gap),
            "cross_entropy": float(one_hot_loss),
            "cross_entropy_sparse": float(integer_loss),
        }
    )
)
