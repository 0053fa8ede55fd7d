"""Dtypes, brightness, colours, statistics and patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import corenn
import corenn_tensorflow as tf
from corenn import dtypes
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.image.common import _whole
from corenn_tensorflow.writing import writable


def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: str | None = None) -> Any:
    """Another dtype, floats being 0..1 and integers their whole range."""
    x, wanted = convert_to_tensor(image), dtypes.as_dtype(getattr(dtype, "name", dtype))
    if x.dtype is wanted:
        return tf.identity(x)
    if x.dtype.is_integer and wanted.is_integer:
        a, b = np.iinfo(x.dtype.numpy).max, np.iinfo(wanted.numpy).max
        return tf.cast(x // ((a + 1) // (b + 1)), wanted) if a > b else tf.cast(x, wanted) * ((b + 1) // (a + 1))
    if x.dtype.is_floating and wanted.is_floating:
        return tf.cast(x, wanted)
    if x.dtype.is_integer:
        return tf.cast(x, wanted) * (1.0 / np.iinfo(x.dtype.numpy).max)
    scaled = x * (np.iinfo(wanted.numpy).max + 0.5)
    return tf.saturate_cast(scaled, wanted) if saturate else tf.cast(scaled, wanted)


def _in_floats(image: Any, change: Callable[[Any], Any], name: str) -> Any:
    """A change of float images, for images of any dtype."""
    original = convert_to_tensor(image)
    found = change(convert_image_dtype(original, dtypes.float32))
    return convert_image_dtype(found, original.dtype, saturate=True)


def adjust_brightness(image: Any, delta: Any) -> Any:
    """Every pixel plus ``delta`` (of 0..1)."""
    return _in_floats(image, lambda x: x + delta, "adjust_brightness")


def adjust_contrast(images: Any, contrast_factor: Any) -> Any:
    """Distances from each channel's mean times a factor."""

    def change(x: Any) -> Any:
        mean = tf.reduce_mean(x, axis=[-3, -2], keepdims=True)
        return (x - mean) * contrast_factor + mean

    return _in_floats(images, change, "adjust_contrast")


def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Any:
    """``gain * image ** gamma``."""
    return _in_floats(image, lambda x: gain * x**gamma, "adjust_gamma")


def rgb_to_grayscale(images: Any, name: str | None = None) -> Any:
    """One channel: 0.2989 R + 0.587 G + 0.114 B."""
    original = convert_to_tensor(images)
    x = convert_image_dtype(original, dtypes.float32)
    weights = tf.constant([0.2989, 0.587, 0.114])
    return convert_image_dtype(tf.reduce_sum(x * weights, axis=-1, keepdims=True), original.dtype)


def grayscale_to_rgb(images: Any, name: str | None = None) -> Any:
    """Three equal channels."""
    x = convert_to_tensor(images)
    return tf.concat([x, x, x], axis=-1)


def rgb_to_hsv(images: Any, name: str | None = None) -> Any:
    """Hue, saturation and value, each 0..1."""
    return corenn.image.rgb_to_hsv(convert_to_tensor(images))


def hsv_to_rgb(images: Any, name: str | None = None) -> Any:
    """Back to red, green and blue."""
    return corenn.image.hsv_to_rgb(convert_to_tensor(images))


def adjust_hue(image: Any, delta: Any, name: str | None = None) -> Any:
    """Hues turned by ``delta`` (of -1..1)."""

    def change(x: Any) -> Any:
        hsv = rgb_to_hsv(x)
        hue = tf.floormod(hsv[..., 0] + delta, 1.0)
        return hsv_to_rgb(tf.stack([hue, hsv[..., 1], hsv[..., 2]], axis=-1))

    return _in_floats(image, change, "adjust_hue")


def adjust_saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Any:
    """Saturations times a factor."""

    def change(x: Any) -> Any:
        hsv = rgb_to_hsv(x)
        return hsv_to_rgb(
            tf.stack([hsv[..., 0], tf.clip_by_value(hsv[..., 1] * saturation_factor, 0.0, 1.0), hsv[..., 2]], axis=-1)
        )

    return _in_floats(image, change, "adjust_saturation")


@writable("image.per_image_standardization")
def _standardized(x: Any) -> Any:
    return corenn.image.standardize(corenn.cast(x, dtype=dtypes.float32))


def per_image_standardization(image: Any) -> Any:
    """Mean 0 and variance 1, the deviation being at least ``1 / sqrt(pixels)``."""
    return _whole("PerImageStandardization", _standardized, image)


per_image_whitening = per_image_standardization


def extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any, padding: str, name: str | None = None
) -> Any:  # fmt: skip
    """The windows of images, each as a vector in the channels."""
    return tf.extract_image_patches(images, sizes, strides, rates, padding, name)
