"""Lloyd's k-means in graph operations: distances by broadcasting, centroids by segment sums, one run a step."""

import json

import numpy as np
import tensorflow as tf

rng = np.random.RandomState(3)
centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0], [6.0, 6.0]])
points_np = np.concatenate([c + rng.randn(100, 2) for c in centres]).astype(np.float32)
rng.shuffle(points_np)
k = 4

points = tf.constant(points_np)
centroids = tf.Variable(tf.constant(points_np[[0, 1, 2, 3]]), name="centroids")

# squared distance of every point to every centroid: (points, 1, 2) - (1, k, 2)
distances = tf.reduce_sum(tf.squared_difference(tf.expand_dims(points, 1), tf.expand_dims(centroids, 0)), axis=2)
assignments = tf.argmin(distances, axis=1)
inertia = tf.reduce_sum(tf.reduce_min(distances, axis=1))

sums = tf.unsorted_segment_sum(points, assignments, k)
counts = tf.unsorted_segment_sum(tf.ones([tf.shape(points)[0]]), assignments, k)
means = sums / tf.expand_dims(tf.maximum(counts, 1.0), 1)
# an empty cluster keeps its centroid
update = tf.assign(centroids, tf.where(tf.equal(counts, 0.0), centroids, means))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    first = previous = sess.run(inertia)
    for step in range(50):
        sess.run(update)
        current = sess.run(inertia)
        print("step %d: inertia %.3f" % (step, current))
        if previous - current < 1e-3:
            break
        previous = current
    final_centroids, sizes = sess.run([centroids, counts])

print(
    "RESULT "
    + json.dumps(
        {
            "first_inertia": float(first),
            "inertia": float(current),
            "steps": step + 1,
            "sizes": sorted(int(v) for v in sizes),
            "centroids": [[round(float(v), 3) for v in row] for row in sorted(final_centroids.tolist())],
        }
    )
)
