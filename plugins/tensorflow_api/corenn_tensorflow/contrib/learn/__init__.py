"""``tf.contrib.learn``: estimators fitted to arrays, the vocabulary of texts, small data sets."""

from corenn_tensorflow import missing
from corenn_tensorflow.contrib.learn import datasets, preprocessing
from corenn_tensorflow.contrib.learn.estimators import *  # noqa: F403
from corenn_tensorflow.contrib.learn.estimators import __all__ as _estimators
from corenn_tensorflow.estimator import RunConfig

__getattr__ = missing.guard(__name__)

__all__ = [*_estimators, "RunConfig", "datasets", "preprocessing"]
