"""Changes at random."""

from __future__ import annotations

import functools
from typing import Any

import corenn
import corenn_tensorflow as tf
from corenn import dtypes
from corenn_tensorflow.framework import convert_to_tensor, static_shape
from corenn_tensorflow.image.common import _plain, _whole
from corenn_tensorflow.image.cutting import flip_left_right, flip_up_down
from corenn_tensorflow.image.values import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from corenn_tensorflow.writing import writable


def _uniform(low: float, high: float, seed: Any) -> Any:
    return tf.random.uniform([], float(low), float(high), seed=seed)


def _either(changed: Any, image: Any, seed: Any) -> Any:
    original = convert_to_tensor(image)
    batched = len(static_shape(original) or ()) == 4
    drawn = tf.random.uniform([tf.shape(original)[0], 1, 1, 1] if batched else [], seed=seed)  # each image its own
    chosen = tf.less(drawn, 0.5)
    return tf.where(tf.logical_and(chosen, tf.ones_like(original, dtype="bool")), changed, original)


def random_flip_left_right(image: Any, seed: Any = None) -> Any:
    """Mirrored, one time in two."""
    return _either(flip_left_right(image), image, seed)


def random_flip_up_down(image: Any, seed: Any = None) -> Any:
    """Upside down, one time in two."""
    return _either(flip_up_down(image), image, seed)


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Any:
    """Brightness changed by up to ``max_delta``."""
    if max_delta < 0:
        raise ValueError("max_delta must be non-negative.")
    return adjust_brightness(image, _uniform(-max_delta, max_delta, seed))


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """Contrast changed by a factor between two."""
    if upper <= lower or lower < 0:
        raise ValueError("upper must be > lower." if upper <= lower else "lower must be non-negative.")
    return adjust_contrast(image, _uniform(lower, upper, seed))


def random_hue(image: Any, max_delta: float, seed: Any = None) -> Any:
    """Hue turned by up to ``max_delta``."""
    if not 0 <= max_delta <= 0.5:
        raise ValueError("max_delta must be within [0, 0.5]")
    return adjust_hue(image, _uniform(-max_delta, max_delta, seed))


def random_saturation(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """Saturation changed by a factor between two."""
    if upper <= lower or lower < 0:
        raise ValueError("upper must be > lower." if upper <= lower else "lower must be non-negative.")
    return adjust_saturation(image, _uniform(lower, upper, seed))


@writable("image.random_crop")
def _cropped_at(x: Any, drawn: Any, *, wanted: Any) -> Any:
    out = x
    for axis, count in enumerate(wanted):
        extent = int(tuple(x.shape)[axis])
        if count > extent:
            raise ValueError(f"Need value.shape >= size, got {tuple(x.shape)} and {wanted}")
        if count == extent:
            continue
        start = corenn.cast(corenn.floor(drawn[axis] * float(extent - count + 1)), dtype=dtypes.int32)
        rows = corenn.arange(count, dtype=dtypes.int32, device=x.device) + start
        out = corenn.gather(out, rows, axis=axis)
    return out


def random_crop(value: Any, size: Any, seed: Any = None, name: str | None = None) -> Any:
    """A part of a given size at a random place."""
    wanted = [int(n) for n in _plain(size)]
    places = tf.random.uniform([len(wanted)], seed=seed)
    return _whole("RandomCrop", functools.partial(_cropped_at, wanted=wanted), value, places, name=name)
