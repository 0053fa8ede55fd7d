"""``keras.layers.experimental``: the preprocessing layers, where TensorFlow 2.2 to 2.5 had them."""

from corenn_tensorflow.keras.layers.experimental import preprocessing
from corenn_tensorflow.missing import guard

__all__ = ["preprocessing"]
__getattr__ = guard(__name__)
