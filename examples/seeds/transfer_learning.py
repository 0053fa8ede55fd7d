"""Transfer learning in TensorFlow 2: a small network from scratch against ResNet50 with a new head, cats against dogs.

Environment: SEED_EPOCHS (document: 7), SEED_STEPS (training steps an epoch; default: once through the training part),
SEED_VALIDATION_STEPS, SEED_BATCH (64), SEED_IMAGE_SIZE (100), SEED_WEIGHTS ("imagenet"; "none" starts ResNet50 from
random weights), SEED_LOG_DIR.
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
WEIGHTS = os.environ.get("SEED_WEIGHTS", "imagenet")

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


def fit(model, name):
    """Train for the document's epochs with TensorBoard's callback; the last accuracies."""
    model.compile(optimizer=tf.keras.optimizers.Adam(), loss="binary_crossentropy", metrics=["accuracy"])
    model.summary()
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
    print("{}: {}".format(name, {key: values[-1] for key, values in history.history.items()}))
    return {
        "accuracy": float(history.history["accuracy"][-1]),
        "val_accuracy": float(history.history["val_accuracy"][-1]),
    }


# --- a smaller CNN, trained from scratch: 3 convolutional layers, global average pooling, one output ------------------

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

average_pool = tf.keras.Sequential()
average_pool.add(layers.GlobalAveragePooling2D())
average_pool.add(layers.Dense(1, activation="sigmoid"))

standard_model = tf.keras.Sequential([head, average_pool])
results = {"small": fit(standard_model, "small_cnn")}

# --- ResNet50 with its own layers frozen ------------------------------------------------------------------------------

IMG_SHAPE = (IMAGE_SIZE, IMAGE_SIZE, 3)
res_net = tf.keras.applications.ResNet50(
    weights=None if WEIGHTS == "none" else WEIGHTS, include_top=False, input_shape=IMG_SHAPE
)
res_net.trainable = False

global_average_layer = layers.GlobalAveragePooling2D()
output_layer = layers.Dense(1, activation="sigmoid")

tl_model = tf.keras.Sequential([res_net, global_average_layer, output_layer])
results["resnet50"] = fit(tl_model, "transfer_learning")

# 23 million parameters in all, of which only the 2,048 + 1 of the output layer are trained
results["resnet50"]["trainable"] = int(sum(tf.size(v).numpy() for v in tl_model.trainable_variables))
results["resnet50"]["parameters"] = int(tl_model.count_params())

print("RESULT " + json.dumps(results))
