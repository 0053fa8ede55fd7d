"""Images as published weights expect them."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.errors import DTypeError, ShapeError
from corenn.ops.arranging import flip
from corenn.tensor import Tensor
from corenn_models.heads import choice

#: Means of ImageNet's blue, green and red, of 0 to 255.
_CAFFE = (103.939, 116.779, 123.68)
#: Means and standard deviations of its red, green and blue, of 0 to 1.
_MEANS, _DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def preprocess(images: Any, mode: str) -> Any:
    """Images of 0 to 255 (RGB, [..., height, width, 3]) as networks were trained on them; arrays or tensors.

    ``mode``: "caffe" (BGR less the means of ImageNet; Keras's ResNet and VGG16), "tf" (-1 to 1; Keras's MobileNetV2) or
    "torch" (0 to 1, less the means, by the standard deviations; all of torchvision).  The result is float32, or as
    precise as the images were.  Raises ShapeError for another number of channels, DTypeError for bools.
    """
    choice("preprocess", "mode", mode, ("caffe", "tf", "torch"))
    given = images if isinstance(images, Tensor) else np.asarray(images)
    if given.ndim < 3 or given.shape[-1] != 3:
        raise ShapeError("preprocess", "takes images [..., height, width, 3]", {"images": f"shape {given.shape}"})
    kind = str(given.dtype)
    if kind == "bool":
        raise DTypeError("preprocess", "takes images of 0 to 255, not bools", {"images": kind})
    floating = kind if kind in ("float16", "bfloat16", "float64") else "float32"
    x: Any = given.cast(floating) if isinstance(given, Tensor) else given.astype(floating)
    if mode == "tf":
        return x / 127.5 - 1.0

    def constant(values: tuple[float, ...]) -> Any:
        return np.array(values, x.dtype.numpy if isinstance(x, Tensor) else x.dtype)

    if mode == "torch":
        return (x / 255.0 - constant(_MEANS)) / constant(_DEVIATIONS)
    turned = flip(x, axis=-1) if isinstance(x, Tensor) else np.flip(x, -1)
    return turned - constant(_CAFFE)


__all__ = ["preprocess"]
