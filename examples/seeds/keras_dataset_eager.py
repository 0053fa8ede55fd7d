"""The way of TensorFlow 2.0 in TensorFlow 1.11: Keras, the Dataset API and eager execution, on CIFAR-10.

Environment: SEED_EPOCHS (200), SEED_STEPS (steps an epoch; default: once through the training set), SEED_IMAGES,
SEED_BATCH (32), SEED_LOG_DIR.
"""

import json
import os

import tensorflow as tf
from tensorflow import keras
import datetime as dt

tf.enable_eager_execution()

EPOCHS = int(os.environ.get("SEED_EPOCHS", 200))
BATCH_SIZE = int(os.environ.get("SEED_BATCH", 32))
LOG_DIR = os.environ.get("SEED_LOG_DIR", "./log")

(x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
images = int(os.environ.get("SEED_IMAGES", len(x_train)))
x_train, y_train, x_test, y_test = x_train[:images], y_train[:images], x_test[:images], y_test[:images]
STEPS = int(os.environ.get("SEED_STEPS", max(1, len(x_train) // BATCH_SIZE)))

# the training set: batches, shuffled; scaled images and one-hot labels; random flips; without end
train_dataset = tf.data.Dataset.from_tensor_slices((x_train, y_train)).batch(BATCH_SIZE).shuffle(10000)
train_dataset = train_dataset.map(
    lambda x, y: (tf.div(tf.cast(x, tf.float32), 255.0), tf.reshape(tf.one_hot(y, 10), (-1, 10)))
)
train_dataset = train_dataset.map(lambda x, y: (tf.image.random_flip_left_right(x), y))
train_dataset = train_dataset.repeat()

# the validation set: a larger batch and no random distortion
valid_dataset = tf.data.Dataset.from_tensor_slices((x_test, y_test)).batch(1000).shuffle(10000)
valid_dataset = valid_dataset.map(
    lambda x, y: (tf.div(tf.cast(x, tf.float32), 255.0), tf.reshape(tf.one_hot(y, 10), (-1, 10)))
)
valid_dataset = valid_dataset.repeat()


class CIFAR10Model(keras.Model):
    def __init__(self):
        super(CIFAR10Model, self).__init__(name="cifar_cnn")
        self.conv1 = keras.layers.Conv2D(
            64,
            5,
            padding="same",
            activation=tf.nn.relu,
            kernel_initializer=tf.initializers.variance_scaling,
            kernel_regularizer=keras.regularizers.l2(l=0.001),
        )
        self.max_pool2d = keras.layers.MaxPooling2D((3, 3), (2, 2), padding="same")
        self.max_norm = keras.layers.BatchNormalization()
        self.conv2 = keras.layers.Conv2D(
            64,
            5,
            padding="same",
            activation=tf.nn.relu,
            kernel_initializer=tf.initializers.variance_scaling,
            kernel_regularizer=keras.regularizers.l2(l=0.001),
        )
        self.flatten = keras.layers.Flatten()
        self.fc1 = keras.layers.Dense(
            750,
            activation=tf.nn.relu,
            kernel_initializer=tf.initializers.variance_scaling,
            kernel_regularizer=keras.regularizers.l2(l=0.001),
        )
        self.dropout = keras.layers.Dropout(0.5)
        self.fc2 = keras.layers.Dense(10)
        self.softmax = keras.layers.Softmax()

    def call(self, x):
        x = self.max_pool2d(self.conv1(x))
        x = self.max_norm(x)
        x = self.max_pool2d(self.conv2(x))
        x = self.max_norm(x)
        x = self.flatten(x)
        x = self.dropout(self.fc1(x))
        x = self.fc2(x)
        return self.softmax(x)


model = CIFAR10Model()
model.compile(optimizer=tf.train.AdamOptimizer(), loss="categorical_crossentropy", metrics=["accuracy"])

callbacks = [
    # Write TensorBoard logs to the log directory
    keras.callbacks.TensorBoard(log_dir="{}/{}".format(LOG_DIR, dt.datetime.now().strftime("%Y-%m-%d-%H-%M-%S")))
]
history = model.fit(
    train_dataset,
    epochs=EPOCHS,
    steps_per_epoch=STEPS,
    validation_data=valid_dataset,
    validation_steps=3,
    callbacks=callbacks,
)

accuracy_name = "acc" if "acc" in history.history else "accuracy"
print(
    "RESULT "
    + json.dumps(
        {
            "loss": float(history.history["loss"][-1]),
            "accuracy": float(history.history[accuracy_name][-1]),
            "val_accuracy": float(history.history["val_" + accuracy_name][-1]),
            "variables": len(model.variables),
        }
    )
)
