"""TensorFlow 2: layers of one's own with build, add_weight, add_loss, get_config; nested, saved, loaded by class."""

import json
import os
import tempfile

import numpy as np
import tensorflow as tf
from tensorflow import keras


class Linear(keras.layers.Layer):
    """A dense layer with a penalty on its output."""

    def __init__(self, units=32, rate=1e-3, **kwargs):
        super(Linear, self).__init__(**kwargs)
        self.units = units
        self.rate = rate

    def build(self, input_shape):
        self.w = self.add_weight(
            name="w", shape=(input_shape[-1], self.units), initializer="glorot_uniform", trainable=True
        )
        self.b = self.add_weight(name="b", shape=(self.units,), initializer="zeros", trainable=True)
        super(Linear, self).build(input_shape)

    def call(self, inputs):
        outputs = tf.matmul(inputs, self.w) + self.b
        self.add_loss(self.rate * tf.reduce_mean(tf.square(outputs)))
        return outputs

    def get_config(self):
        config = super(Linear, self).get_config()
        config.update({"units": self.units, "rate": self.rate})
        return config


class Antirectifier(keras.layers.Layer):
    """Positive and negative parts side by side: nothing is lost, as it is by ReLU."""

    def call(self, inputs):
        inputs -= tf.reduce_mean(inputs, axis=-1, keepdims=True)
        return tf.concat([tf.nn.relu(inputs), tf.nn.relu(-inputs)], axis=-1)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[:-1]) + (2 * input_shape[-1],)


class Counter(keras.layers.Layer):
    """A weight that is not trained: how often the layer was called in training."""

    def build(self, input_shape):
        self.calls = self.add_weight(name="calls", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs, training=None):
        if training:
            self.calls.assign_add(1.0)
        return inputs


np.random.seed(0)
tf.random.set_seed(0)
x = np.random.randn(600, 8).astype("float32")
y = (np.abs(x[:, :4]).sum(1) > np.abs(x[:, 4:]).sum(1)).astype("int32")

counter = Counter()
model = keras.Sequential(
    [
        keras.layers.InputLayer(input_shape=(8,)),
        Linear(32),
        Antirectifier(),
        counter,
        Linear(2, rate=0.0),
        keras.layers.Softmax(),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x[:500], y[:500], epochs=20, batch_size=50, verbose=0)
_, accuracy = model.evaluate(x[500:], y[500:], verbose=0)

model(x[:10])
penalties = [float(v) for v in model.losses]

path = os.path.join(tempfile.mkdtemp(), "model.h5")
model.save(path)
custom = {"Linear": Linear, "Antirectifier": Antirectifier, "Counter": Counter}
loaded = keras.models.load_model(path, custom_objects=custom)
same = np.allclose(model.predict(x[:50], verbose=0), loaded.predict(x[:50], verbose=0), atol=1e-6)

print(
    "RESULT "
    + json.dumps(
        {
            "accuracy": float(accuracy),
            "loss": float(history.history["loss"][-1]),
            "penalties": len(penalties),
            "calls_in_training": float(counter.calls.numpy()),
            "trainable_weights": len(model.trainable_weights),
            "non_trainable_weights": len(model.non_trainable_weights),
            "config": Linear(7).get_config()["units"],
            "same_after_loading": bool(same),
        }
    )
)
