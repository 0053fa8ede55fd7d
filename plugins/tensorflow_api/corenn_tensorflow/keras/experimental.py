"""``keras.experimental``: what has become a part of Keras since."""

from corenn_tensorflow.keras.schedules import CosineDecay, CosineDecayRestarts
from corenn_tensorflow.missing import guard

__all__ = ["CosineDecay", "CosineDecayRestarts"]

__getattr__ = guard(__name__)
