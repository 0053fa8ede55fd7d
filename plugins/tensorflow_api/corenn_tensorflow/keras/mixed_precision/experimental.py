"""``keras.mixed_precision.experimental``: the names of TensorFlow 2.0 to 2.3."""

from corenn_tensorflow.keras.mixed_precision import Policy, global_policy, set_policy
from corenn_tensorflow.missing import guard

__all__ = ["Policy", "global_policy", "set_policy"]
__getattr__ = guard(__name__)
