"""``tf.manip``."""

from corenn_tensorflow import missing
from corenn_tensorflow.functions.arrays import reshape, reverse, roll, tile
from corenn_tensorflow.functions.gathering import gather_nd, scatter_nd
from corenn_tensorflow.functions.windows import batch_to_space_nd, space_to_batch_nd

__all__ = [
    "batch_to_space_nd", "gather_nd", "reshape", "reverse", "roll", "scatter_nd", "space_to_batch_nd", "tile",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
