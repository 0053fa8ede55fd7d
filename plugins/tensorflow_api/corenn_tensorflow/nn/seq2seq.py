"""``tf.nn.seq2seq``: where TensorFlow 0.x had what became ``tf.contrib.legacy_seq2seq``."""

from corenn_tensorflow import missing
from corenn_tensorflow.contrib.legacy_seq2seq import *  # noqa: F403
from corenn_tensorflow.contrib.legacy_seq2seq import __all__ as __all__

__getattr__ = missing.guard(__name__)
