"""``tf.contrib.learn``: the vocabulary of texts, small data sets, and names that moved to ``tf.estimator``."""

from corenn_tensorflow import missing
from corenn_tensorflow.contrib.learn import datasets, preprocessing
from corenn_tensorflow.estimator import ModeKeys, RunConfig

__getattr__ = missing.guard(__name__)

__all__ = ["ModeKeys", "RunConfig", "datasets", "preprocessing"]
