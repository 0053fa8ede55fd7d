"""Images [height, width, channels] and batches of them: cutting, moving, colours, resizing, and changes by chance.

All is written in ops, so it runs on every backend with one result, in graphs and traces, and gradients pass where there
are any.  Formulas and conventions are those of ``tf.image`` where that has the function.
"""

from typing import TYPE_CHECKING

from corenn.advice import guide
from corenn.image.arranging import (
    center_crop,
    central_crop,
    crop,
    flip_left_right,
    flip_up_down,
    grayscale_to_rgb,
    pad,
    resize_with_crop_or_pad,
    rotate90,
)
from corenn.image.chance import (
    random_brightness,
    random_contrast,
    random_crop,
    random_flip_left_right,
    random_flip_up_down,
    random_hue,
    random_rotate,
    random_saturation,
    random_translate,
    random_zoom,
)
from corenn.image.colours import (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    convert_dtype,
    rgb_to_grayscale,
    standardize,
)
from corenn.image.moving import (
    rotate,
    translate,
    zoom,
)
from corenn.ops.colours import hsv_to_rgb, rgb_to_hsv
from corenn.ops.resize import resize, upsample
from corenn.ops.warping import crop_at, transform

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "center_crop",
    "central_crop",
    "convert_dtype",
    "crop",
    "crop_at",
    "flip_left_right",
    "flip_up_down",
    "grayscale_to_rgb",
    "hsv_to_rgb",
    "pad",
    "random_brightness",
    "random_contrast",
    "random_crop",
    "random_flip_left_right",
    "random_flip_up_down",
    "random_hue",
    "random_rotate",
    "random_saturation",
    "random_translate",
    "random_zoom",
    "resize",
    "resize_with_crop_or_pad",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "rotate",
    "rotate90",
    "standardize",
    "transform",
    "translate",
    "upsample",
    "zoom",
]

if not TYPE_CHECKING:  # type checkers know which names there are
    __getattr__, __dir__ = guide(__name__, __all__)
