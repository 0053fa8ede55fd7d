"""TensorFlow 2: a Sequential model, compile, fit, evaluate, predict."""

import json

import numpy as np
import tensorflow as tf

(x_train, y_train), (x_test, y_test) = tf.keras.datasets.mnist.load_data()
x_train, y_train, x_test, y_test = x_train[:6000], y_train[:6000], x_test[:1000], y_test[:1000]
x_train, x_test = x_train / 255.0, x_test / 255.0

tf.random.set_seed(0)
model = tf.keras.models.Sequential(
    [
        tf.keras.layers.Flatten(input_shape=(28, 28)),
        tf.keras.layers.Dense(128, activation="relu"),
        tf.keras.layers.Dropout(0.2),
        tf.keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.summary()

history = model.fit(x_train, y_train, epochs=5, batch_size=32, validation_split=0.1, verbose=2)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)

probability_model = tf.keras.Sequential([model, tf.keras.layers.Lambda(lambda p: p / tf.reduce_sum(p, 1, True))])
predictions = probability_model.predict(x_test[:5])
print(np.argmax(predictions, axis=1), y_test[:5])

print(
    "RESULT "
    + json.dumps(
        {
            "accuracy": float(accuracy),
            "loss": float(loss),
            "first_val_accuracy": float(history.history["val_accuracy"][0]),
            "parameters": int(model.count_params()),
            "rows_sum_to": float(predictions.sum(axis=1).mean()),
        }
    )
)
