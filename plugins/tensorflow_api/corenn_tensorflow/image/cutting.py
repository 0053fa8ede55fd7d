"""Flips, turns, cuts and borders."""

from __future__ import annotations

import functools
from typing import Any

import corenn
import corenn_tensorflow as tf
from corenn_tensorflow.framework import convert_to_tensor, static_shape
from corenn_tensorflow.image.common import _plain, _whole
from corenn_tensorflow.writing import writable


def _axis(image: Any, which: str) -> int:
    rank = len(static_shape(image) or [0, 0, 0])
    return {"height": -3, "width": -2}[which] + rank


def flip_left_right(image: Any) -> Any:
    """Mirrored."""
    x = convert_to_tensor(image)
    return tf.reverse(x, [_axis(x, "width")])


def flip_up_down(image: Any) -> Any:
    """Upside down."""
    x = convert_to_tensor(image)
    return tf.reverse(x, [_axis(x, "height")])


def transpose(image: Any, name: str | None = None) -> Any:
    """Height and width exchanged."""
    x = convert_to_tensor(image)
    return tf.transpose(x, [1, 0, 2] if len(static_shape(x) or ()) == 3 else [0, 2, 1, 3])


transpose_image = transpose


def rot90(image: Any, k: int = 1, name: str | None = None) -> Any:
    """Turned by ``k`` right angles against the clock."""
    turns = int(_plain(k)) % 4
    if turns == 0:
        return convert_to_tensor(image)
    if turns == 2:
        return flip_up_down(flip_left_right(image))
    return flip_up_down(transpose(image)) if turns == 1 else flip_left_right(transpose(image))


def crop_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """The part at an offset, of a given size."""
    x = convert_to_tensor(image)
    top, left, height, width = (_plain(v) for v in (offset_height, offset_width, target_height, target_width))
    if len(static_shape(x) or ()) == 4:
        return x[:, top : top + height, left : left + width, :]
    return x[top : top + height, left : left + width, :]


@writable("image.pad_to_bounding_box")
def _padded(x: Any, *, height: Any, top: Any, width: Any, left: Any) -> Any:
    h, w = (int(n) for n in tuple(x.shape)[-3:-1])
    below, right = height - top - h, width - left - w
    if min(top, left, below, right) < 0:
        raise ValueError("offset and target size must leave room for the image")
    widths = [(0, 0)] * (len(x.shape) - 3) + [(top, below), (left, right), (0, 0)]
    return corenn.pad(x, widths=tuple(widths))


def pad_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """Zeros around the image, which comes to lie at an offset."""
    top, left, height, width = (int(_plain(v)) for v in (offset_height, offset_width, target_height, target_width))
    return _whole("PadToBoundingBox", functools.partial(_padded, height=height, top=top, width=width, left=left), image)


@writable("image.central_crop")
def _cropped(x: Any, *, fraction: Any) -> Any:
    h, w = (int(n) for n in tuple(x.shape)[-3:-1])
    top, left = int((h - h * fraction) / 2), int((w - w * fraction) / 2)
    return x[..., top : h - top, left : w - left, :]


def central_crop(image: Any, central_fraction: float) -> Any:
    """The middle part."""
    fraction = float(_plain(central_fraction))
    if not 0.0 < fraction <= 1.0:
        raise ValueError("central_fraction must be within (0, 1]")
    return _whole("CentralCrop", functools.partial(_cropped, fraction=fraction), image)


@writable("image.resize_with_crop_or_pad")
def _fitted(x: Any, *, height: Any, width: Any) -> Any:
    h, w = (int(n) for n in tuple(x.shape)[-3:-1])
    top, left = max(h - height, 0) // 2, max(w - width, 0) // 2
    x = x[..., top : top + min(h, height), left : left + min(w, width), :]
    above, before = max(height - h, 0) // 2, max(width - w, 0) // 2
    widths = [(0, 0)] * (len(x.shape) - 3) + [
        (above, height - min(h, height) - above), (before, width - min(w, width) - before), (0, 0)
    ]  # fmt: skip
    return corenn.pad(x, widths=tuple(widths))


def resize_with_crop_or_pad(image: Any, target_height: Any, target_width: Any) -> Any:
    """Cut or filled up to a size, about the middle."""
    height, width = int(_plain(target_height)), int(_plain(target_width))
    return _whole("ResizeWithCropOrPad", functools.partial(_fitted, height=height, width=width), image)


resize_image_with_crop_or_pad = resize_with_crop_or_pad
