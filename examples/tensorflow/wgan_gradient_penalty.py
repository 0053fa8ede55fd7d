"""A Wasserstein GAN on a ring of points: gradients of gradients, tf.AUTO_REUSE, two optimizers, clipped weights."""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)

width, batch_size, steps, critic_steps, penalty_weight = 48, 128, 250, 4, 1.0


def network(name, x, outputs):
    with tf.variable_scope(name, reuse=tf.AUTO_REUSE):
        for i in range(2):
            x = tf.layers.dense(x, width, tf.nn.relu, kernel_initializer=tf.variance_scaling_initializer(2.0),
                                name="hidden_%d" % i)  # fmt: skip
        return tf.layers.dense(x, outputs, name="out")


real = tf.placeholder(tf.float32, [None, 2])
made = network("generator", tf.random_normal([batch_size, 2]), 2)
of_real, of_made = network("critic", real, 1), network("critic", made, 1)
distance = tf.reduce_mean(of_real) - tf.reduce_mean(of_made)

between = tf.random_uniform([batch_size, 1])
points = between * real + (1 - between) * made
slopes = tf.gradients(network("critic", points, 1), [points])[0]
norms = tf.sqrt(tf.reduce_sum(tf.square(slopes), reduction_indices=[1]))
penalty = tf.reduce_mean((norms - 1.0) ** 2)

critic_variables = [v for v in tf.trainable_variables() if v.name.startswith("critic/")]
generator_variables = [v for v in tf.trainable_variables() if v.name.startswith("generator/")]
critic_train = tf.train.AdamOptimizer(2e-3, beta1=0.5, beta2=0.9).minimize(
    penalty_weight * penalty - distance, var_list=critic_variables
)
generator_train = tf.train.AdamOptimizer(1e-3, beta1=0.5, beta2=0.9).minimize(
    -tf.reduce_mean(of_made), var_list=generator_variables
)
clip = tf.group(*[tf.assign(v, tf.clip_by_value(v, -0.01, 0.01)) for v in critic_variables])


def ring():
    angle = np.random.rand(batch_size) * 2 * np.pi
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def spread(sess):
    """How far radii are from 1."""
    radii = np.concatenate([np.linalg.norm(sess.run(made), axis=1) for _ in range(8)])
    return float(np.abs(radii - 1).mean())


with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    first = spread(sess)
    for _ in range(steps):
        for _ in range(critic_steps):
            sess.run(critic_train, {real: ring()})
        sess.run(generator_train)
    last, last_norms = spread(sess), sess.run(norms, {real: ring()})
    sess.run(clip)
    largest = max(float(abs(v).max()) for v in sess.run(critic_variables))

result = {
    "first_error_of_radius": first, "error_of_radius": last, "mean_slope": float(last_norms.mean()),
    "largest_weight_after_clipping": largest, "variables": [len(critic_variables), len(generator_variables)],
}  # fmt: skip
print("RESULT", json.dumps(result))
