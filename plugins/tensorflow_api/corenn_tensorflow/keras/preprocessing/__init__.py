"""``keras.preprocessing``."""

from corenn_tensorflow.keras.preprocessing import image, sequence, text
from corenn_tensorflow.keras.preprocessing.folders import text_dataset_from_directory
from corenn_tensorflow.keras.preprocessing.image import image_dataset_from_directory
from corenn_tensorflow.keras.preprocessing.sequence import timeseries_dataset_from_array
from corenn_tensorflow.missing import guard

__all__ = [
    "image", "image_dataset_from_directory", "sequence", "text", "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]  # fmt: skip
__getattr__ = guard(__name__)
