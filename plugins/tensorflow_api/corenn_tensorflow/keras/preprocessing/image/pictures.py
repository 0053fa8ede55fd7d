"""Images of PIL, files and arrays."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from corenn.errors import MissingExtraError
from corenn_tensorflow.keras.layers.adapting import image_data_format

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff", ".gif")


def pillow(where: str) -> Any:
    """PIL's ``Image``, or an error that says how to get it."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError(where, "pillow", "datasets") from None
    return Image


def img_to_array(img: Any, data_format: Any = None, dtype: Any = "float32") -> Any:
    """An image of PIL as an array [height, width, channels]."""
    x = np.asarray(img, dtype=dtype)
    if x.ndim == 2:
        x = x[..., None]
    if x.ndim != 3:
        raise ValueError(f"Unsupported image shape: {x.shape}")
    return x.transpose(2, 0, 1) if (data_format or image_data_format()) == "channels_first" else x


def array_to_img(x: Any, data_format: Any = None, scale: bool = True, dtype: Any = "float32") -> Any:
    """An array as an image of PIL, stretched to 0..255 if ``scale``."""
    image = pillow("array_to_img")
    array = np.asarray(x, dtype=dtype)
    if array.ndim != 3:
        raise ValueError(f"Expected image array to have rank 3 (single image). Got array with shape: {array.shape}")
    if (data_format or image_data_format()) == "channels_first":
        array = array.transpose(1, 2, 0)
    if scale:
        array = array - array.min()
        top = array.max()
        array = array / top * 255 if top else array
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    if array.shape[2] not in modes:
        raise ValueError(f"Unsupported channel number: {array.shape[2]}")
    plain = array.astype("uint8")
    return image.fromarray(plain[:, :, 0] if array.shape[2] == 1 else plain, modes[array.shape[2]])


def save_img(
    path: Any, x: Any, data_format: Any = None, file_format: Any = None, scale: bool = True, **options: Any
) -> None:
    """Write an array as an image file."""
    array_to_img(x, data_format, scale).save(path, format=file_format, **options)


def load_img(
    path: Any,
    grayscale: bool = False,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """An image file as an image of PIL."""
    image = pillow("load_img")
    mode = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}["grayscale" if grayscale else color_mode]
    with image.open(path) as opened:
        found = opened.convert(mode)
    if target_size is not None and found.size != (target_size[1], target_size[0]):
        ways = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
        found = found.resize((int(target_size[1]), int(target_size[0])), ways[interpolation])
    return found


def list_pictures(directory: Any, ext: Any = _SUFFIXES) -> list[str]:
    """The image files below a folder."""
    return [
        os.path.join(root, f)
        for root, _, files in os.walk(directory)
        for f in sorted(files)
        if f.lower().endswith(tuple(ext))
    ]
