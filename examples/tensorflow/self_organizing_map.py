"""A self-organising map of colours: slices at places that a run finds, neighbourhoods, one assignment a step."""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)

rows, columns, dim, rounds = 5, 6, 3, 30
colours = np.array([[r, g, b] for r in (0, 0.5, 1) for g in (0, 1) for b in (0, 1)], np.float32)

places = tf.constant(np.array([[i, j] for i in range(rows) for j in range(columns)]))
weights = tf.Variable(tf.random_uniform([rows * columns, dim]), name="weights")
x = tf.placeholder("float", [dim])
progress = tf.placeholder("float", [])

squared = tf.reduce_sum(tf.pow(weights - tf.expand_dims(x, 0), 2), 1)
best = tf.argmin(squared, 0)
begin = tf.pad(tf.reshape(best, [1]), np.array([[0, 1]]))
best_place = tf.reshape(tf.slice(places, begin, tf.constant(np.array([1, 2]))), [2])

rate = 0.4 * (1.0 - progress)
sigma = max(rows, columns) / 2.0 * (1.0 - progress)
away = tf.cast(tf.reduce_sum(tf.pow(places - best_place, 2), 1), tf.float32)
pull = rate * tf.exp(-tf.div(away, tf.pow(sigma, 2)))
train_op = tf.assign(weights, weights + tf.expand_dims(pull, 1) * (tf.expand_dims(x, 0) - weights))

mark = weights[best].assign([9.0, 9.0, 9.0])  # a row that only the run knows

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    first = np.mean([np.sqrt(sess.run(squared, {x: c}).min()) for c in colours])
    for i in range(rounds):
        for colour in np.random.permutation(colours):
            sess.run(train_op, {x: colour, progress: i / float(rounds)})
    last = np.mean([np.sqrt(sess.run(squared, {x: c}).min()) for c in colours])
    grid = sess.run(weights).reshape(rows, columns, dim)
    where = [int(sess.run(best, {x: c})) for c in colours]
    chosen = sess.run(best, {x: colours[0]})
    marked = sess.run(mark, {x: colours[0]})

# neighbours on the map are closer to one another than any two units
steps = np.concatenate([np.diff(grid, axis=0).reshape(-1, dim), np.diff(grid, axis=1).reshape(-1, dim)])
flat = grid.reshape(-1, dim)
any_two = np.linalg.norm(flat[:, None] - flat[None], axis=-1).mean()
result = {
    "first_error": float(first), "error": float(last), "different_units": len(set(where)),
    "neighbours_over_any_two": float(np.linalg.norm(steps, axis=1).mean() / any_two),
    "marked": np.nonzero((marked == 9).all(axis=1))[0].tolist() == [int(chosen)],
}  # fmt: skip
print("RESULT", json.dumps(result))
