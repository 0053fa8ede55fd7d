"""``tf.saved_model.builder``."""

from corenn_tensorflow import missing
from corenn_tensorflow.saved_model.simple import SavedModelBuilder

__getattr__ = missing.guard(__name__)

__all__ = ["SavedModelBuilder"]
