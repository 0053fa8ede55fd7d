"""``tf.contrib.tensorboard``: what TensorBoard's projector is told."""

from corenn_tensorflow import missing
from corenn_tensorflow.contrib.tensorboard import plugins as plugins

__getattr__ = missing.guard(__name__)
