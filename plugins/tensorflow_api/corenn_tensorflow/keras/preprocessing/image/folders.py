"""Folders of images as a ``tf.data.Dataset``."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow.keras.preprocessing import folders

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


def image_dataset_from_directory(
    directory: Any, labels: Any = "inferred", label_mode: str | None = "int", class_names: Any = None,
    color_mode: str = "rgb", batch_size: int | None = 32, image_size: Any = (256, 256), shuffle: bool = True,
    seed: int | None = None, validation_split: float | None = None, subset: str | None = None,
    interpolation: str = "bilinear", follow_links: bool = False, **ignored: Any,
) -> Any:  # fmt: skip
    """A ``tf.data.Dataset`` of batches of the images below a folder, and their classes."""
    import corenn_tensorflow as tf

    channels = {"grayscale": 1, "rgb": 3, "rgba": 4}[color_mode]
    paths, marks, names = folders.listed(
        directory, _SUFFIXES, None if label_mode is None else labels, class_names, shuffle, seed, validation_split,
        subset,
    )  # fmt: skip

    def read(path: Any) -> Any:
        image = tf.io.decode_image(tf.io.read_file(path), channels=channels, expand_animations=False)
        image = tf.compat.v2.image.resize(image, image_size, method=interpolation)
        image.set_shape((*image_size, channels))
        return tf.cast(image, "float32")

    return folders.dataset(read, paths, marks, names, label_mode, batch_size, shuffle, seed)
