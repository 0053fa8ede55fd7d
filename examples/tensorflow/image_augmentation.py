"""tf.image in a tf.data pipeline: flips, crops, brightness, contrast, resizing; a classifier with augmented images."""

import json

import numpy as np
import tensorflow as tf

tf.random.set_seed(0)
rng = np.random.RandomState(0)


def make(n):
    """Images of a bright bar (0) or a bright disc (1) somewhere on a noisy background; uint8, 32 x 32 x 3."""
    images, labels = [], rng.randint(0, 2, n)
    grid = np.mgrid[:32, :32]
    for label in labels:
        centre, radius = rng.randint(9, 23, 2), rng.randint(5, 9)
        down, across = np.abs(grid - centre[:, None, None])
        inside = ((down <= 1) & (across <= radius)) if label == 0 else (down**2 + across**2 <= radius**2)
        image = rng.randint(0, 80, (32, 32, 3))
        image[inside] += rng.randint(100, 170, 3)
        images.append(image)
    return np.array(images).astype(np.uint8), labels.astype(np.int32)


AUTOTUNE = tf.data.experimental.AUTOTUNE


def augment(image, label):
    image = tf.image.convert_image_dtype(image, tf.float32)
    image = tf.image.random_flip_left_right(image)
    image = tf.image.random_flip_up_down(image)
    image = tf.image.resize_with_crop_or_pad(image, 36, 36)
    image = tf.image.random_crop(image, size=[32, 32, 3])
    image = tf.image.random_brightness(image, max_delta=0.2)
    image = tf.image.random_contrast(image, 0.8, 1.2)
    return tf.clip_by_value(image, 0.0, 1.0), label


def plain(image, label):
    return tf.image.convert_image_dtype(image, tf.float32), label


(x_train, y_train), (x_test, y_test) = make(400), make(200)
train = tf.data.Dataset.from_tensor_slices((x_train, y_train)).cache().shuffle(400)
train = train.map(augment, num_parallel_calls=AUTOTUNE).batch(32).prefetch(AUTOTUNE)
test = tf.data.Dataset.from_tensor_slices((x_test, y_test)).map(plain).batch(50)

model = tf.keras.Sequential(
    [
        tf.keras.layers.Conv2D(16, 3, activation="relu", input_shape=(32, 32, 3)),
        tf.keras.layers.MaxPooling2D(),
        tf.keras.layers.Conv2D(32, 3, activation="relu"),
        tf.keras.layers.MaxPooling2D(),
        tf.keras.layers.Conv2D(32, 3, activation="relu"),
        tf.keras.layers.GlobalMaxPooling2D(),
        tf.keras.layers.Dense(1),
    ]
)
model.compile(
    optimizer=tf.keras.optimizers.Adam(0.003),
    loss=tf.keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[tf.keras.metrics.BinaryAccuracy(threshold=0.0)],
)
history = model.fit(train, epochs=8, validation_data=test, verbose=2)

# the deterministic transformations
image = tf.constant(x_test[0])
small = tf.image.resize(image, [16, 16])
checks = {
    "flip_twice": bool(np.array_equal(tf.image.flip_left_right(tf.image.flip_left_right(image)), x_test[0])),
    "rot90_four_times": bool(np.array_equal(tf.image.rot90(image, k=4), x_test[0])),
    "central_crop": list(tf.image.central_crop(image, 0.5).shape),
    "resize": [list(small.shape), small.dtype.name],
    "gray": list(tf.image.rgb_to_grayscale(image).shape),
    "standardized_mean": round(abs(float(tf.reduce_mean(tf.image.per_image_standardization(image)))), 4),
    "bounding_box": list(tf.image.crop_to_bounding_box(image, 2, 3, 10, 12).shape),
    "adjusted": float(tf.reduce_max(tf.image.adjust_brightness(tf.constant([[[0.5]]]), 0.25))),
}
print(
    "RESULT "
    + json.dumps(
        {
            "loss": float(history.history["loss"][-1]),
            "val_accuracy": float(history.history["val_binary_accuracy"][-1]),
            "checks": checks,
        }
    )
)
