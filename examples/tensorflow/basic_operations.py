"""Arithmetic on constants and placeholders, matrix products, reductions, slicing; names of the first releases too."""

import json

import numpy as np
import tensorflow as tf

a = tf.constant(2)
b = tf.constant(3)

with tf.Session() as sess:
    print("a=2, b=3")
    print("Addition with constants: %i" % sess.run(a + b))
    print("Multiplication with constants: %i" % sess.run(a * b))

# values fed at run time
x = tf.placeholder(tf.int16)
y = tf.placeholder(tf.int16)
add = tf.add(x, y)
mul = tf.mul(x, y)
sub = tf.sub(x, y)

matrix1 = tf.constant([[3.0, 3.0]])
matrix2 = tf.constant([[2.0], [2.0]])
product = tf.matmul(matrix1, matrix2)

data = tf.constant(np.arange(24).reshape(2, 3, 4), dtype=tf.float32)
results = {
    "mean_by_column": tf.reduce_mean(data, reduction_indices=[0, 1]),
    "largest": tf.reduce_max(data),
    "row": data[1, -1, ::2],
    "packed": tf.pack([tf.neg(matrix1), matrix1])[:, 0, 0],
    "joined": tf.concat([data[0], data[1]], axis=0)[:, 0],
    "where": tf.where(data[0] > 5.0, data[0], tf.zeros_like(data[0]))[1],
    "one_hot": tf.reduce_sum(tf.one_hot([0, 2, 2], 3), axis=0),
    "integer_division": tf.constant([7, -7]) // 2,
    "floor_mod": tf.floormod(tf.constant([7, -7]), 3),
    "cast": tf.cast(tf.constant([1.9, -1.9]), tf.int32),
    "gathered": tf.gather(tf.constant([10, 20, 30]), [2, 0]),
}

with tf.Session() as sess:
    print("Addition with variables: %i" % sess.run(add, feed_dict={x: 2, y: 3}))
    print("Multiplication with variables: %i" % sess.run(mul, feed_dict={x: 2, y: 3}))
    values = {name: np.asarray(value).tolist() for name, value in sess.run(results).items()}
    values.update(
        sum=int(sess.run(a + b)),
        product=int(sess.run(mul, feed_dict={x: 2, y: 3})),
        difference=int(sess.run(sub, feed_dict={x: 2, y: 3})),
        matmul=float(sess.run(product)[0, 0]),
    )

print("RESULT " + json.dumps(values))
