"""TensorFlow 2: EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, LearningRateScheduler, CSVLogger, one of our own."""

import csv
import json
import os
import tempfile

import numpy as np
import tensorflow as tf
from tensorflow import keras

np.random.seed(0)
tf.random.set_seed(0)
folder = tempfile.mkdtemp()
x = np.random.randn(400, 10).astype("float32")
y = (x[:, :1] - x[:, 1:2] + 0.5 * np.random.randn(400, 1)).astype("float32")


def build(rate=0.01):
    model = keras.Sequential(
        [
            keras.layers.Dense(64, activation="relu", input_shape=(10,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse", metrics=["mae"])
    return model


class BatchLosses(keras.callbacks.Callback):
    """Every batch's loss, and the calls in their order."""

    def on_train_begin(self, logs=None):
        self.losses, self.calls = [], ["on_train_begin"]

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 0:
            self.calls.append("on_epoch_begin")

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.calls.append("on_epoch_end")
            self.logs = sorted(logs)

    def on_train_end(self, logs=None):
        self.calls.append("on_train_end")


recorder = BatchLosses()
best_path = os.path.join(folder, "best.h5")
epochs_seen = []
callbacks = [
    recorder,
    keras.callbacks.EarlyStopping(monitor="val_loss", patience=4, restore_best_weights=True),
    keras.callbacks.ModelCheckpoint(best_path, monitor="val_loss", save_best_only=True),
    keras.callbacks.CSVLogger(os.path.join(folder, "log.csv")),
    keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs_seen.append(epoch)),
]
model = build()
history = model.fit(
    x[:200], y[:200], epochs=60, batch_size=20, validation_data=(x[200:300], y[200:300]), verbose=0, callbacks=callbacks
)
restored_loss = model.evaluate(x[200:300], y[200:300], verbose=0)[0]
best_loss = keras.models.load_model(best_path).evaluate(x[200:300], y[200:300], verbose=0)[0]
rows = list(csv.DictReader(open(os.path.join(folder, "log.csv"))))

# learning rates: a schedule by epoch, and one that waits for a plateau
scheduled = build()
scheduled.fit(
    x[:100],
    y[:100],
    epochs=4,
    verbose=0,
    callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 * 0.5**epoch)],
)
plateau = build(0.02)
rates = plateau.fit(
    x[:100],
    y[:100],
    epochs=25,
    verbose=0,
    validation_data=(x[200:], y[200:]),
    callbacks=[keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=2, min_lr=1e-4)],
).history["lr"]

print(
    "RESULT "
    + json.dumps(
        {
            "epochs_run": len(history.history["loss"]),
            "epochs_seen": len(epochs_seen),
            "best_val_loss": float(min(history.history["val_loss"])),
            "restored_val_loss": float(restored_loss),
            "checkpoint_val_loss": float(best_loss),
            "batches": len(recorder.losses),
            "calls": recorder.calls,
            "logs": recorder.logs,
            "csv_rows": len(rows),
            "csv_columns": sorted(rows[0]),
            "scheduled_rate": float(keras.backend.get_value(scheduled.optimizer.lr)),
            "rates_on_plateau": [float(rates[0]), float(rates[-1])],
        }
    )
)
