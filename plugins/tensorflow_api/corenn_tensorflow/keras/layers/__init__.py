"""``keras.layers``."""

from corenn_tensorflow.keras.engine.base_layer import InputSpec, Layer
from corenn_tensorflow.keras.engine.symbolic import Input, InputLayer
from corenn_tensorflow.keras.layers import (
    augmenting,
    functions,
    further,
    lookups,
    recurrent,
    spatial,
    standard,
    vectorizing,
)
from corenn_tensorflow.keras.layers.augmenting import *  # noqa: F403
from corenn_tensorflow.keras.layers.functions import *  # noqa: F403
from corenn_tensorflow.keras.layers.further import *  # noqa: F403
from corenn_tensorflow.keras.layers.lookups import *  # noqa: F403
from corenn_tensorflow.keras.layers.recurrent import *  # noqa: F403
from corenn_tensorflow.keras.layers.spatial import *  # noqa: F403
from corenn_tensorflow.keras.layers.standard import *  # noqa: F403
from corenn_tensorflow.keras.layers.vectorizing import *  # noqa: F403
from corenn_tensorflow.missing import guard

__all__ = [
    "Input", "InputLayer", "InputSpec", "Layer", *augmenting.__all__, *functions.__all__, *further.__all__,
    *lookups.__all__, *recurrent.__all__, *spatial.__all__, *standard.__all__, *vectorizing.__all__,
]  # fmt: skip


def serialize(layer: object) -> object:
    """``{"class_name": ..., "config": ...}``."""
    from corenn_tensorflow.keras._lookup import serialized

    return serialized(layer)


def deserialize(config: object, custom_objects: object = None) -> object:
    """The layer that ``serialize`` wrote."""
    from corenn_tensorflow.keras.engine.architecture import layer_from

    return layer_from(config, custom_objects)


from corenn_tensorflow.keras.layers import experimental  # noqa: E402  # which needs the names above
from corenn_tensorflow.keras.layers.features import DenseFeatures  # noqa: E402

__all__ += ["DenseFeatures", "experimental"]
__getattr__ = guard(__name__)
