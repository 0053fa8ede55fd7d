"""``tf.saved_model.utils``."""

from corenn_tensorflow import missing
from corenn_tensorflow.saved_model.simple import build_tensor_info, get_tensor_from_tensor_info

__getattr__ = missing.guard(__name__)

__all__ = ["build_tensor_info", "get_tensor_from_tensor_info"]
