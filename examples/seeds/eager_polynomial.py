"""TensorFlow Eager (1.10): operations at once, gradients of functions, fitting a noisy polynomial of third order.

Environment: SEED_STEPS (document: 20000), SEED_BATCH (20).
"""

import json
import os

import numpy as np
import matplotlib.pyplot as plt
import tensorflow as tf

tf.enable_eager_execution()

np.random.seed(0)

# simple example
z = tf.constant(np.arange(10))
z_tf = tf.multiply(z, np.array(10))
print(z_tf)

import tensorflow.contrib.eager as tfe


def f_cubed(x):
    return x**3


grad = tfe.gradients_function(f_cubed)
slope = grad(3.0)[0].numpy()
print("d(x^3)/dx at 3: {}".format(slope))

# --- fitting x^3 - 4 x^2 - 2 x + 2 ------------------------------------------------------------------------------------

x = np.arange(0, 5, 0.1)
y = x**3 - 4 * x**2 - 2 * x + 2
y_noise = y + np.random.normal(0, 1.5, size=(len(x),))

plt.close("all")
plt.plot(x, y)
plt.scatter(x, y_noise)


def get_batch(x, y, batch_size=int(os.environ.get("SEED_BATCH", 20))):
    idxs = np.random.randint(0, len(x), (batch_size))
    return x[idxs], y[idxs]


class PolyModel(object):
    def __init__(self):
        self.w = tfe.Variable(tf.random_normal([4]))

    def f(self, x):
        return self.w[0] * x**3 + self.w[1] * x**2 + self.w[2] * x + self.w[3]


def loss(model, x, y):
    err = model.f(x) - y
    return tf.reduce_mean(tf.square(err))


model = PolyModel()
grad = tfe.implicit_gradients(loss)
optimizer = tf.train.AdamOptimizer()
first_loss = loss(model, x, y_noise).numpy()

iters = int(os.environ.get("SEED_STEPS", 20000))
for i in range(iters):
    x_batch, y_batch = get_batch(x, y)
    optimizer.apply_gradients(grad(model, x_batch, y_batch))
    if i % 1000 == 0:
        print("Iteration {}, loss: {}".format(i + 1, loss(model, x_batch, y_batch).numpy()))

plt.plot(x, model.f(x).numpy())
plt.show()

print(
    "RESULT "
    + json.dumps(
        {
            "product": [int(v) for v in z_tf.numpy()],
            "slope": float(slope),
            "first_loss": float(first_loss),
            "loss": float(loss(model, x, y_noise).numpy()),
            "weights": [float(v) for v in model.w.numpy()],
        }
    )
)
