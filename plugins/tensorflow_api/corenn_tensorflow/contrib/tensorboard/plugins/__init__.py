"""``tf.contrib.tensorboard.plugins``."""

from corenn_tensorflow import missing
from corenn_tensorflow.contrib.tensorboard.plugins import projector as projector

__getattr__ = missing.guard(__name__)
