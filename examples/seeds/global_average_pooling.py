"""Global average pooling against fully connected classifiers on top of one convolutional head, cats against dogs.

Environment: SEED_EPOCHS (document: 7), SEED_STEPS (training steps an epoch; default: once through the training part),
SEED_VALIDATION_STEPS, SEED_BATCH (64), SEED_IMAGE_SIZE (100), SEED_LOG_DIR.
"""

import datetime as dt
import json
import os

import tensorflow as tf
from tensorflow.keras import layers
import tensorflow_datasets as tfds

EPOCHS = int(os.environ.get("SEED_EPOCHS", 7))
TRAIN_BATCH_SIZE = int(os.environ.get("SEED_BATCH", 64))
IMAGE_SIZE = int(os.environ.get("SEED_IMAGE_SIZE", 100))
LOG_DIR = os.environ.get("SEED_LOG_DIR", "./log")

split = (80, 10, 10)
splits = tfds.Split.TRAIN.subsplit(weighted=split)
(cat_train, cat_valid, cat_test), info = tfds.load(
    "cats_vs_dogs", split=list(splits), with_info=True, as_supervised=True
)

import matplotlib.pylab as plt

for image, label in cat_train.take(2):
    plt.figure()
    plt.imshow(image)
plt.show()

examples = info.splits["train"].num_examples
STEPS = int(os.environ.get("SEED_STEPS", max(1, examples * split[0] // 100 // TRAIN_BATCH_SIZE)))
VALIDATION_BATCH_SIZE = min(1000, max(1, examples * split[1] // 100))
VALIDATION_STEPS = int(os.environ.get("SEED_VALIDATION_STEPS", 2))


def pre_process_image(image, label):
    image = tf.cast(image, tf.float32)
    image = image / 255.0
    image = tf.image.resize(image, (IMAGE_SIZE, IMAGE_SIZE))
    return image, label


cat_train = cat_train.map(pre_process_image).shuffle(1000).repeat().batch(TRAIN_BATCH_SIZE)
cat_valid = cat_valid.map(pre_process_image).repeat().batch(VALIDATION_BATCH_SIZE)


def make_head():
    """The front end all the models share in form: convolutions, batch normalisation, ReLU, max pooling."""
    head = tf.keras.Sequential()
    head.add(layers.Conv2D(32, (3, 3), input_shape=(IMAGE_SIZE, IMAGE_SIZE, 3)))
    head.add(layers.BatchNormalization())
    head.add(layers.Activation("relu"))
    head.add(layers.MaxPooling2D(pool_size=(2, 2)))
    head.add(layers.Conv2D(32, (3, 3)))
    head.add(layers.BatchNormalization())
    head.add(layers.Activation("relu"))
    head.add(layers.MaxPooling2D(pool_size=(2, 2)))
    head.add(layers.Conv2D(64, (3, 3)))
    head.add(layers.BatchNormalization())
    head.add(layers.Activation("relu"))
    head.add(layers.MaxPooling2D(pool_size=(2, 2)))
    return head


def fit(model, name):
    model.compile(optimizer=tf.keras.optimizers.Adam(), loss="binary_crossentropy", metrics=["accuracy"])
    run = "{}/{}_{}".format(LOG_DIR, name, dt.datetime.now().strftime("%Y-%m-%d-%H-%M-%S"))
    callbacks = [tf.keras.callbacks.TensorBoard(log_dir=run, update_freq="batch")]
    history = model.fit(
        cat_train,
        steps_per_epoch=STEPS,
        epochs=EPOCHS,
        validation_data=cat_valid,
        validation_steps=VALIDATION_STEPS,
        callbacks=callbacks,
    )
    return {
        "parameters": int(model.count_params()),
        "accuracy": float(history.history["accuracy"][-1]),
        "val_accuracy": float(history.history["val_accuracy"][-1]),
    }


# --- the standard fully connected classifier, without and with dropout ------------------------------------------------

standard_classifier = tf.keras.Sequential()
standard_classifier.add(layers.Flatten())
standard_classifier.add(layers.Dense(100))
standard_classifier.add(layers.BatchNormalization())
standard_classifier.add(layers.Activation("relu"))
standard_classifier.add(layers.Dense(100))
standard_classifier.add(layers.BatchNormalization())
standard_classifier.add(layers.Activation("relu"))
standard_classifier.add(layers.Dense(1))
standard_classifier.add(layers.Activation("sigmoid"))

standard_model = tf.keras.Sequential([make_head(), standard_classifier])
results = {"fully_connected": fit(standard_model, "standard_classifier")}

dropout_classifier = tf.keras.Sequential(
    [
        layers.Flatten(),
        layers.Dense(100),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Dropout(0.5),
        layers.Dense(100),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Dropout(0.5),
        layers.Dense(1, activation="sigmoid"),
    ]
)
results["fully_connected_dropout"] = fit(tf.keras.Sequential([make_head(), dropout_classifier]), "dropout_classifier")

# --- global average pooling -------------------------------------------------------------------------------------------

average_pool = tf.keras.Sequential()
average_pool.add(layers.GlobalAveragePooling2D())
average_pool.add(layers.Dense(1, activation="sigmoid"))

gap_model = tf.keras.Sequential([make_head(), average_pool])
results["global_average_pooling"] = fit(gap_model, "average_pool")

print("RESULT " + json.dumps(results))
