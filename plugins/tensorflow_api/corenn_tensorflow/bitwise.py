"""``tf.bitwise``."""

from corenn_tensorflow import missing
from corenn_tensorflow.functions.arithmetic import (
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    invert,
    left_shift,
    right_shift,
)

__all__ = ["bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift"]

__getattr__ = missing.guard(__name__)
