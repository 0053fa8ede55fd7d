"""Metrics and summaries in TensorFlow 2: a Mean metric, a custom training loop, a metric added by a Keras layer.

Environment: SEED_EPOCHS (document: 10), SEED_IMAGES (training images used), SEED_BATCH (32), SEED_LOG_DIR.
"""

import datetime as dt
import json
import os

import tensorflow as tf
from tensorflow import keras

LOG_DIR = os.environ.get("SEED_LOG_DIR", "./log")
BATCH_SIZE = int(os.environ.get("SEED_BATCH", 32))
results = {}

# --- metrics: update_state, result, reset_states ----------------------------------------------------------------------

mean_metric = tf.keras.metrics.Mean()
mean_metric.update_state([1.0, 2.0, 3.0])
mean_metric.update_state([4.0, 5.0])
results["mean"] = float(mean_metric.result().numpy())
print(mean_metric.result())  # 3.0

# --- summaries --------------------------------------------------------------------------------------------------------

summary_writer = tf.summary.create_file_writer("{}/mean".format(LOG_DIR))
with summary_writer.as_default():
    tf.summary.scalar("mean", mean_metric.result(), step=1)

mean_metric.reset_states()
results["mean_after_reset"] = float(mean_metric.result().numpy())
print(mean_metric.result())  # 0.0

# --- a CNN with a custom training loop --------------------------------------------------------------------------------

(x_train, y_train), (x_test, y_test) = tf.keras.datasets.mnist.load_data()
images = int(os.environ.get("SEED_IMAGES", len(x_train)))
x_train, y_train, x_test, y_test = x_train[:images], y_train[:images], x_test[:images], y_test[:images]

x_train, x_test = x_train / 255.0, x_test / 255.0

train_dataset = tf.data.Dataset.from_tensor_slices((x_train.astype("float32"), y_train.astype("int32")))
train_dataset = train_dataset.shuffle(10000).batch(BATCH_SIZE)
test_dataset = tf.data.Dataset.from_tensor_slices((x_test[..., None].astype("float32"), y_test.astype("int32")))
test_dataset = test_dataset.batch(BATCH_SIZE)


def make_model():
    return tf.keras.Sequential(
        [
            keras.layers.Conv2D(32, 5, padding="same", activation="relu", input_shape=(28, 28, 1)),
            keras.layers.MaxPooling2D((2, 2), (2, 2)),
            keras.layers.Conv2D(64, 5, padding="same", activation="relu"),
            keras.layers.MaxPooling2D((2, 2), (2, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(512, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(10),
        ]
    )


model = make_model()
optimizer = tf.keras.optimizers.Adam()
loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def train(ds_train, optimizer, loss_fn, model, num_batches, log_freq=10):
    avg_loss = tf.keras.metrics.Mean()
    avg_acc = tf.keras.metrics.SparseCategoricalAccuracy()
    batch_idx = 0
    for batch_idx, (images, labels) in enumerate(ds_train):
        images = tf.expand_dims(images, -1)
        with tf.GradientTape() as tape:
            logits = model(images)
            loss_value = loss_fn(labels, logits)
        grads = tape.gradient(loss_value, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))
        avg_loss.update_state(loss_value)
        avg_acc.update_state(labels, logits)
        if batch_idx % log_freq == 0:
            print(
                f"Batch {batch_idx}, average loss is {avg_loss.result().numpy()}, "
                f"average accuracy is {avg_acc.result().numpy()}"
            )
            results["loop"] = {"loss": float(avg_loss.result().numpy()), "accuracy": float(avg_acc.result().numpy())}
            tf.summary.scalar("loss", avg_loss.result(), step=optimizer.iterations)
            tf.summary.scalar("acc", avg_acc.result(), step=optimizer.iterations)
            avg_loss.reset_states()
            avg_acc.reset_states()
        if batch_idx > num_batches:
            break


num_epochs = int(os.environ.get("SEED_EPOCHS", 10))
summary_writer = tf.summary.create_file_writer("{}/{}".format(LOG_DIR, dt.datetime.now().strftime("%Y-%m-%d-%H-%M-%S")))
for i in range(num_epochs):
    print(f"Epoch {i + 1} of {num_epochs}")
    with summary_writer.as_default():
        train(train_dataset, optimizer, loss_fn, model, 10000 // BATCH_SIZE)
results["loop"]["iterations"] = int(optimizer.iterations.numpy())

# --- metrics in Keras: the plain list of compile ----------------------------------------------------------------------

model = make_model()
model.compile(
    optimizer=tf.keras.optimizers.Adam(),
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
)


# --- and a layer whose only purpose is to add a metric ----------------------------------------------------------------


class MetricLayer(keras.layers.Layer):
    def __init__(self, layer_to_log):
        super(MetricLayer, self).__init__()
        self.layer_to_log = layer_to_log

    def call(self, input):
        self.add_metric(
            tf.math.reduce_std(self.layer_to_log.variables[0]), name="std_first_layer_kernel", aggregation="mean"
        )
        return input


metric_model = tf.keras.Sequential()
metric_model.add(model)
metric_model.add(MetricLayer(model.layers[0]))

metric_model.compile(
    optimizer=tf.keras.optimizers.Adam(),
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
)

callbacks = [
    tf.keras.callbacks.TensorBoard(
        log_dir="{}/keras_{}".format(LOG_DIR, dt.datetime.now().strftime("%Y-%m-%d-%H-%M-%S"))
    )
]

keras_dataset = train_dataset.map(lambda x, y: (tf.expand_dims(x, -1), y))
history = metric_model.fit(keras_dataset, epochs=num_epochs, validation_data=test_dataset, callbacks=callbacks)

results["keras"] = {
    "accuracy": float(history.history["sparse_categorical_accuracy"][-1]),
    "val_accuracy": float(history.history["val_sparse_categorical_accuracy"][-1]),
    "std_first_layer_kernel": float(history.history["std_first_layer_kernel"][-1]),
}
print("RESULT " + json.dumps(results))
