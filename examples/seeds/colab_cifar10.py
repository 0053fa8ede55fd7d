"""A CIFAR-10 classifier (TensorFlow 1.x, Keras, Dataset API) whose checkpoints are stored elsewhere while it trains.

Written for Google Colaboratory, where the store is Google Drive.  Elsewhere the store is a folder (SEED_STORE, default
"./drive"), said so at the start; everything else is the same.

Environment: SEED_EPOCHS (200), SEED_STEPS (steps an epoch; default: once through the training set), SEED_IMAGES
(images used of each part), SEED_BATCH (256), SEED_LOG_DIR, SEED_MODEL_DIR, SEED_STORE.
"""

# In a notebook:  !pip install -U -q PyDrive

import json
import shutil
import subprocess

import tensorflow as tf
from tensorflow import keras
import datetime as dt
import os
import numpy as np

try:
    from google.colab import files
    from google.colab import drive

    # these are all the Google Drive and authentication libraries required
    from pydrive.auth import GoogleAuth
    from pydrive.drive import GoogleDrive
    from google.colab import auth
    from oauth2client.client import GoogleCredentials

    ON_COLAB = True
except ImportError:
    ON_COLAB = False

EPOCHS = int(os.environ.get("SEED_EPOCHS", 200))
BATCH_SIZE = int(os.environ.get("SEED_BATCH", 256))
LOG_DIR = os.environ.get("SEED_LOG_DIR", "./log")
MODEL_DIR = os.environ.get("SEED_MODEL_DIR", "./model")
STORE = os.environ.get("SEED_STORE", "./drive")

if not ON_COLAB:
    print("Not on Google Colaboratory: checkpoints are stored in the folder {}".format(STORE))


def open_tensorboard_portal(log_dir):
    """On Colaboratory: TensorBoard on port 6006 of the virtual machine, reached through an ngrok tunnel."""
    get_ipython().system_raw(  # noqa: F821 (a name of the notebook)
        "tensorboard --logdir {} --host 0.0.0.0 --port 6006 &".format(log_dir)
    )
    get_ipython().system_raw("./ngrok http 6006 &")  # noqa: F821
    tunnels = subprocess.check_output(["curl", "-s", "http://localhost:4040/api/tunnels"])
    print(json.loads(tunnels)["tunnels"][0]["public_url"])


# import the CIFAR-10 data then load into TensorFlow datasets
(x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
images = int(os.environ.get("SEED_IMAGES", len(x_train)))
x_train, y_train, x_test, y_test = x_train[:images], y_train[:images], x_test[:images], y_test[:images]
STEPS = int(os.environ.get("SEED_STEPS", len(x_train) // BATCH_SIZE + 1))

# the training set with data augmentation
train_dataset = tf.data.Dataset.from_tensor_slices((x_train, y_train)).batch(BATCH_SIZE).shuffle(10000)
train_dataset = train_dataset.map(
    lambda x, y: (tf.div(tf.cast(x, tf.float32), 255.0), tf.reshape(tf.one_hot(y, 10), (-1, 10)))
)
train_dataset = train_dataset.map(lambda x, y: (tf.image.central_crop(x, 0.75), y))
train_dataset = train_dataset.map(lambda x, y: (tf.image.random_flip_left_right(x), y))
train_dataset = train_dataset.repeat()

# the validation set
valid_dataset = tf.data.Dataset.from_tensor_slices((x_test, y_test)).batch(5000).shuffle(10000)
valid_dataset = valid_dataset.map(
    lambda x, y: (tf.div(tf.cast(x, tf.float32), 255.0), tf.reshape(tf.one_hot(y, 10), (-1, 10)))
)
valid_dataset = valid_dataset.map(lambda x, y: (tf.image.central_crop(x, 0.75), y))
valid_dataset = valid_dataset.repeat()


# now the model creation function
def create_model():
    model = keras.models.Sequential(
        [
            keras.layers.Conv2D(
                96,
                3,
                padding="same",
                activation=tf.nn.relu,
                kernel_initializer=keras.initializers.VarianceScaling(distribution="truncated_normal"),
                kernel_regularizer=keras.regularizers.l2(l=0.001),
                input_shape=(24, 24, 3),
            ),
            keras.layers.Conv2D(
                96,
                3,
                2,
                padding="same",
                activation=tf.nn.relu,
                kernel_initializer=keras.initializers.VarianceScaling(distribution="truncated_normal"),
                kernel_regularizer=keras.regularizers.l2(l=0.001),
            ),
            keras.layers.Dropout(0.2),
            keras.layers.Conv2D(
                192,
                3,
                padding="same",
                activation=tf.nn.relu,
                kernel_initializer=keras.initializers.VarianceScaling(distribution="truncated_normal"),
                kernel_regularizer=keras.regularizers.l2(l=0.001),
            ),
            keras.layers.Conv2D(
                192, 3, 2, padding="same", activation=tf.nn.relu, kernel_regularizer=keras.regularizers.l2(l=0.001)
            ),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(
                256,
                activation=tf.nn.relu,
                kernel_initializer=keras.initializers.VarianceScaling(),
                kernel_regularizer=keras.regularizers.l2(l=0.001),
            ),
            keras.layers.Dense(10),
            keras.layers.Softmax(),
        ]
    )
    model.compile(optimizer=tf.train.AdamOptimizer(), loss="categorical_crossentropy", metrics=["accuracy"])
    return model


# finally create the model
model = create_model()


class FolderFile(object):
    """One file of a FolderDrive, with the three calls of PyDrive that the callback makes."""

    def __init__(self, folder, title):
        self.path = os.path.join(folder, title)
        self.content = None

    def SetContentFile(self, path):
        self.content = path

    def Upload(self):
        shutil.copyfile(self.content, self.path)


class FolderDrive(object):
    """Stands where GoogleDrive stands when the program does not run on Colaboratory."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder

    def CreateFile(self, metadata):
        return FolderFile(self.folder, metadata["title"])


class GoogleDriveStore(keras.callbacks.Callback):
    def on_train_begin(self, logs={}):
        self.first = True
        self.init_date = dt.datetime.now()
        self.model_folder = MODEL_DIR
        if ON_COLAB:
            # authenticate and create the drive
            auth.authenticate_user()
            gauth = GoogleAuth()
            gauth.credentials = GoogleCredentials.get_application_default()
            self.drive = GoogleDrive(gauth)
        else:
            self.drive = FolderDrive(STORE)
        self.stored = []

    def on_epoch_begin(self, batch, logs={}):
        if not self.first:
            # get the latest
            model_files = os.listdir(self.model_folder)
            max_date = self.init_date
            for f in model_files:
                if os.path.isfile(self.model_folder + "/" + f):
                    if f.split(".")[-1] == "hdf5":
                        creation_date = dt.datetime.fromtimestamp(os.path.getmtime((self.model_folder + "/" + f)))
                        if creation_date > max_date:
                            file_name = f
                            latest_file_path = self.model_folder + "/" + f
                            max_date = creation_date
            uploaded = self.drive.CreateFile({"title": file_name})
            uploaded.SetContentFile(latest_file_path)
            uploaded.Upload()
            self.stored.append(file_name)
        else:
            self.first = False

    def on_train_end(self, logs={}):
        self.on_epoch_begin(None)  # the checkpoint of the last epoch as well


os.makedirs(MODEL_DIR, exist_ok=True)
store = GoogleDriveStore()
callbacks = [
    # Write TensorBoard logs to the log directory
    keras.callbacks.TensorBoard(log_dir="{}/{}".format(LOG_DIR, dt.datetime.now().strftime("%Y-%m-%d-%H-%M-%S"))),
    # store the model itself, one file an epoch
    keras.callbacks.ModelCheckpoint(MODEL_DIR + "/weights.{epoch:02d}-{val_loss:.2f}.hdf5"),
    store,
]
history = model.fit(
    train_dataset,
    epochs=EPOCHS,
    steps_per_epoch=STEPS,
    validation_data=valid_dataset,
    validation_steps=1,
    callbacks=callbacks,
)
print("stored: {}".format(store.stored))

# --- loading a trained model back from the store ----------------------------------------------------------------------

probabilities = model.predict(valid_dataset, steps=1)
if ON_COLAB:
    drive.mount("/content/gdrive")
    STORE = "./gdrive/My Drive"
    files.download("{}/{}".format(MODEL_DIR, store.stored[-1]))

model = create_model()
model.load_weights("{}/{}".format(STORE, store.stored[-1]))
reloaded = model.predict(valid_dataset, steps=1)
print(reloaded)

accuracy_name = "acc" if "acc" in history.history else "accuracy"
print(
    "RESULT "
    + json.dumps(
        {
            "loss": float(history.history["loss"][-1]),
            "accuracy": float(history.history[accuracy_name][-1]),
            "val_accuracy": float(history.history["val_" + accuracy_name][-1]),
            "stored": len(store.stored),
            "rows_sum_to": float(np.mean(np.sum(probabilities, axis=1))),
            "reloaded_rows_sum_to": float(np.mean(np.sum(reloaded, axis=1))),
        }
    )
)
