"""TensorFlow 2: the functional API with two inputs, a shared layer, two outputs, losses by name; saved and loaded."""

import json
import os
import tempfile

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

np.random.seed(0)
tf.random.set_seed(0)

# which of two digits is larger, and by how much?
(x_train, y_train), _ = keras.datasets.mnist.load_data()
x = (x_train[:2000] / 255.0).astype("float32").reshape(-1, 784)
labels = y_train[:2000].astype("int32")
left, right = np.random.randint(0, len(x), (2, 3000))
difference = (labels[left] - labels[right]).astype("float32") / 9.0
larger = (difference > 0).astype("float32")

input_left = keras.Input(shape=(784,), name="left")
input_right = keras.Input(shape=(784,), name="right")
shared = keras.Sequential([layers.Dense(64, activation="relu"), layers.Dense(32, activation="relu")], name="shared")
joined = layers.concatenate([shared(input_left), shared(input_right)])
joined = layers.Dense(32, activation="relu")(joined)
joined = layers.BatchNormalization()(joined)
out_larger = layers.Dense(1, activation="sigmoid", name="larger")(joined)
out_difference = layers.Dense(1, name="difference")(joined)
model = keras.Model(inputs=[input_left, input_right], outputs=[out_larger, out_difference], name="compare")
model.summary()

model.compile(
    optimizer=keras.optimizers.Adam(0.002),
    loss={"larger": keras.losses.BinaryCrossentropy(), "difference": keras.losses.MeanSquaredError()},
    loss_weights={"larger": 1.0, "difference": 2.0},
    metrics={"larger": ["accuracy"], "difference": ["mae"]},
)
inputs = {"left": x[left], "right": x[right]}
targets = {"larger": larger, "difference": difference}
train = slice(0, 2500)
test = slice(2500, None)
model.fit(
    {k: v[train] for k, v in inputs.items()},
    {k: v[train] for k, v in targets.items()},
    epochs=8,
    batch_size=50,
    verbose=0,
)
scores = model.evaluate(
    {k: v[test] for k, v in inputs.items()}, {k: v[test] for k, v in targets.items()}, verbose=0, return_dict=True
)
print(scores)

path = os.path.join(tempfile.mkdtemp(), "compare.h5")
model.save(path)
loaded = keras.models.load_model(path)
before = model.predict([x[:20], x[20:40]], verbose=0)
after = loaded.predict([x[:20], x[20:40]], verbose=0)
gap = max(float(np.abs(a - b).max()) for a, b in zip(before, after))

print(
    "RESULT "
    + json.dumps(
        {
            "larger_accuracy": float(scores["larger_accuracy"]),
            "difference_mae": float(scores["difference_mae"]),
            "loss": float(scores["loss"]),
            "layers": [layer.name for layer in model.layers],
            "largest_difference_after_loading": gap,
        }
    )
)
