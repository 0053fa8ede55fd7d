"""``keras.layers``."""

from corenn_tensorflow.keras.engine.base_layer import InputSpec, Layer
from corenn_tensorflow.keras.engine.symbolic import Input, InputLayer
from corenn_tensorflow.keras.layers import functions, recurrent, standard
from corenn_tensorflow.keras.layers.functions import *  # noqa: F403
from corenn_tensorflow.keras.layers.recurrent import *  # noqa: F403
from corenn_tensorflow.keras.layers.standard import *  # noqa: F403
from corenn_tensorflow.missing import guard

__all__ = ["Input", "InputLayer", "InputSpec", "Layer", *functions.__all__, *recurrent.__all__, *standard.__all__]


def serialize(layer: object) -> object:
    """``{"class_name": ..., "config": ...}``."""
    from corenn_tensorflow.keras._lookup import serialized

    return serialized(layer)


def deserialize(config: object, custom_objects: object = None) -> object:
    """The layer that ``serialize`` wrote."""
    from corenn_tensorflow.keras.engine.saving import layer_from

    return layer_from(config, custom_objects)


__getattr__ = guard(__name__)
