"""``tf.optimizers`` of TensorFlow 2: the optimizers of Keras."""

from corenn_tensorflow import missing
from corenn_tensorflow.keras import optimizers as _keras
from corenn_tensorflow.keras.optimizers import *  # noqa: F403
from corenn_tensorflow.keras.optimizers import schedules

__all__ = ["schedules", *(name for name in _keras.__all__ if name != "schedules")]

__getattr__ = missing.guard(__name__)
