"""``keras.preprocessing.image``: reading images, and random changes of them, in NumPy."""

from corenn_tensorflow.keras.preprocessing import transforms
from corenn_tensorflow.keras.preprocessing.image.folders import image_dataset_from_directory
from corenn_tensorflow.keras.preprocessing.image.generator import ImageDataGenerator
from corenn_tensorflow.keras.preprocessing.image.iterators import (
    DataFrameIterator,
    DirectoryIterator,
    Iterator,
    NumpyArrayIterator,
)
from corenn_tensorflow.keras.preprocessing.image.pictures import (
    array_to_img,
    img_to_array,
    list_pictures,
    load_img,
    save_img,
)
from corenn_tensorflow.keras.preprocessing.transforms import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    flip_axis,
    random_brightness,
    random_channel_shift,
    random_rotation,
    random_shear,
    random_shift,
    random_zoom,
)
from corenn_tensorflow.missing import guard

__all__ = [
    "DataFrameIterator", "DirectoryIterator", "ImageDataGenerator", "Iterator", "NumpyArrayIterator",
    "apply_affine_transform", "apply_brightness_shift", "apply_channel_shift", "array_to_img", "flip_axis",
    "image_dataset_from_directory", "img_to_array", "list_pictures", "load_img", "random_brightness",
    "random_channel_shift", "random_rotation", "random_shear", "random_shift", "random_zoom", "save_img",
    "transforms",
]  # fmt: skip
__getattr__ = guard(__name__)
