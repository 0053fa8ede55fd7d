"""``tf.image``.

Images are [height, width, channels] or batches of them.  Functions are written in ops; those that read and write image
files run on the host, with pillow.
"""

from corenn_tensorflow.image.boxes import draw_bounding_boxes, non_max_suppression
from corenn_tensorflow.image.chance import (
    random_brightness,
    random_contrast,
    random_crop,
    random_flip_left_right,
    random_flip_up_down,
    random_hue,
    random_saturation,
)
from corenn_tensorflow.image.cutting import (
    central_crop,
    crop_to_bounding_box,
    flip_left_right,
    flip_up_down,
    pad_to_bounding_box,
    resize_image_with_crop_or_pad,
    resize_with_crop_or_pad,
    rot90,
    transpose,
    transpose_image,
)
from corenn_tensorflow.image.files import (
    decode_bmp,
    decode_gif,
    decode_image,
    decode_jpeg,
    decode_png,
    encode_jpeg,
    encode_png,
    is_jpeg,
)
from corenn_tensorflow.image.measures import psnr, sobel_edges, ssim, total_variation
from corenn_tensorflow.image.sizes import (
    ResizeMethod,
    crop_and_resize,
    resize,
    resize_area,
    resize_bicubic,
    resize_bilinear,
    resize_image_with_pad,
    resize_images,
    resize_nearest_neighbor,
    resize_with_pad,
)
from corenn_tensorflow.image.values import (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    convert_image_dtype,
    extract_patches,
    grayscale_to_rgb,
    hsv_to_rgb,
    per_image_standardization,
    per_image_whitening,
    rgb_to_grayscale,
    rgb_to_hsv,
)
from corenn_tensorflow.missing import guard

__all__ = [
    "ResizeMethod", "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation",
    "central_crop", "convert_image_dtype", "crop_and_resize", "crop_to_bounding_box", "decode_bmp", "decode_gif",
    "decode_image", "decode_jpeg", "decode_png", "draw_bounding_boxes", "encode_jpeg", "encode_png",
    "extract_patches", "flip_left_right", "flip_up_down", "grayscale_to_rgb", "hsv_to_rgb", "is_jpeg",
    "non_max_suppression", "pad_to_bounding_box", "per_image_standardization", "per_image_whitening", "psnr",
    "random_brightness", "random_contrast", "random_crop", "random_flip_left_right", "random_flip_up_down",
    "random_hue", "random_saturation", "resize", "resize_area", "resize_bicubic", "resize_bilinear",
    "resize_image_with_crop_or_pad", "resize_image_with_pad", "resize_images", "resize_nearest_neighbor",
    "resize_with_crop_or_pad", "resize_with_pad", "rgb_to_grayscale", "rgb_to_hsv", "rot90", "sobel_edges", "ssim",
    "total_variation", "transpose", "transpose_image",
]  # fmt: skip
__getattr__ = guard(__name__)
