"""``tf.distributions``: the distributions of ``tf.contrib.distributions`` that were public."""

from corenn_tensorflow import missing
from corenn_tensorflow.contrib import distributions as _all
from corenn_tensorflow.contrib.distributions import *  # noqa: F403

__getattr__ = missing.guard(__name__)

__all__ = list(_all.__all__)
