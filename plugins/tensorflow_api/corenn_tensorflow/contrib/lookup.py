"""``tf.contrib.lookup``: the tables of ``tf.lookup``."""

from corenn_tensorflow import missing
from corenn_tensorflow.lookup import *  # noqa: F403

__getattr__ = missing.guard(__name__)
