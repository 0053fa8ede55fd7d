"""``keras.wrappers``."""

from corenn_tensorflow.keras.wrappers import scikit_learn
from corenn_tensorflow.missing import guard

__all__ = ["scikit_learn"]
__getattr__ = guard(__name__)
