"""``keras.preprocessing``."""

from corenn_tensorflow.keras.preprocessing import image, sequence, text
from corenn_tensorflow.keras.preprocessing.image import image_dataset_from_directory
from corenn_tensorflow.missing import guard

__all__ = ["image", "image_dataset_from_directory", "sequence", "text"]
__getattr__ = guard(__name__)
