"""Measures of images: similarity, variation, edges."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import corenn
import corenn_tensorflow as tf
from corenn import dtypes
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.image.common import _whole
from corenn_tensorflow.image.values import convert_image_dtype
from corenn_tensorflow.writing import writable


def _greatest(max_val: Any, dtype: Any) -> float:
    """The greatest value of images of a dtype, after their conversion to floats."""
    return float(max_val) / (np.iinfo(dtype.numpy).max if dtype.is_integer else 1)


def psnr(a: Any, b: Any, max_val: float, name: str | None = None) -> Any:
    """Peak signal-to-noise ratio in dB, one for each image."""
    x, y = (convert_image_dtype(v, dtypes.float32) for v in (a, b))
    top = _greatest(max_val, convert_to_tensor(a).dtype)
    error = tf.reduce_mean(tf.square(x - y), axis=[-3, -2, -1])
    return (20 * np.log(top) - 10 * tf.math.log(error)) / np.log(10)


def total_variation(images: Any, name: str | None = None) -> Any:
    """The sum of the differences of neighbouring pixels, for each image."""
    x = convert_to_tensor(images)
    down, across = tf.abs(x[..., 1:, :, :] - x[..., :-1, :, :]), tf.abs(x[..., :, 1:, :] - x[..., :, :-1, :])
    return tf.reduce_sum(down, axis=[-3, -2, -1]) + tf.reduce_sum(across, axis=[-3, -2, -1])


@writable("image.ssim")
def _similarity(a: Any, b: Any, *, window: Any, c1: Any, c2: Any) -> Any:
    shape = [int(n) for n in tuple(a.shape)]
    flat = [corenn.reshape(corenn.transpose(corenn.reshape(v, shape=(-1, *shape[-3:])), axes=(0, 3, 1, 2)),
                           shape=(-1, shape[-3], shape[-2], 1)) for v in (a, b)]  # fmt: skip
    kernel = corenn.tensor(window[:, :, None, None])

    def blur(v: Any) -> Any:
        return corenn.nn.conv2d(v, kernel, padding="valid")

    p, q = flat
    mp, mq = blur(p), blur(q)
    light = (mp * mq * 2.0 + c1) / (mp * mp + mq * mq + c1)
    spread = blur(p * p + q * q) - (mp * mp + mq * mq)
    both = blur(p * q) - mp * mq
    value = corenn.mean(light * (both * 2.0 + c2) / (spread + c2), axis=(1, 2, 3))
    return corenn.reshape(corenn.mean(corenn.reshape(value, shape=(-1, shape[-1])), axis=-1), shape=tuple(shape[:-3]))


def ssim(
    img1: Any,
    img2: Any,
    max_val: float,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Any:
    """Structural similarity (Wang et al. 2004), one for each image [..., height, width, channels]."""
    x, y = (convert_image_dtype(v, dtypes.float32) for v in (img1, img2))
    top = _greatest(max_val, convert_to_tensor(img1).dtype)
    at = np.arange(filter_size) - (filter_size - 1) / 2
    line = np.exp(-(at**2) / (2 * filter_sigma**2))
    window = np.outer(line, line)
    window = (window / window.sum()).astype(np.float32)
    c1, c2 = (k1 * top) ** 2, (k2 * top) ** 2
    return _whole("SSIM", functools.partial(_similarity, window=window, c1=c1, c2=c2), x, y)


@writable("image.sobel_edges")
def _edges(x: Any) -> Any:
    padded = corenn.pad(x, widths=((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    h, w = (int(n) for n in tuple(x.shape)[1:3])

    def part(i: int, j: int) -> Any:
        return padded[:, i : i + h, j : j + w, :]

    down = part(2, 0) + 2.0 * part(2, 1) + part(2, 2) - part(0, 0) - 2.0 * part(0, 1) - part(0, 2)
    across = part(0, 2) + 2.0 * part(1, 2) + part(2, 2) - part(0, 0) - 2.0 * part(1, 0) - part(2, 0)
    return corenn.stack(down, across, axis=-1)


def sobel_edges(image: Any) -> Any:
    """[b, h, w, d, 2]: derivatives along height and width."""
    return _whole("SobelEdges", _edges, image)
