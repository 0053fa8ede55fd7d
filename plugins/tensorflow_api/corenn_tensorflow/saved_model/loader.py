"""``tf.saved_model.loader``."""

from corenn_tensorflow import missing
from corenn_tensorflow.saved_model.simple import load, maybe_saved_model_directory

__getattr__ = missing.guard(__name__)

__all__ = ["load", "maybe_saved_model_directory"]
