"""Hello, world: a constant, a session, and the bytes that come back."""

import json

import tensorflow as tf

hello = tf.constant("Hello, TensorFlow!")

with tf.Session() as sess:
    greeting = sess.run(hello)
    print(greeting)
    print(greeting.decode())

print("RESULT " + json.dumps({"greeting": greeting.decode(), "dtype": hello.dtype.name, "name": hello.name}))
