"""What operators and methods of tensors call: the module that ``corenn.tensor`` reads names from, and nothing else."""

from __future__ import annotations

from corenn.ops.binding import operand_beside as scalar_beside
from corenn.ops.contraction import matmul
from corenn.ops.elementwise import (
    abs,
    add,
    cast,
    divide,
    floor_divide,
    multiply,
    negative,
    power,
    remainder,
    subtract,
    to_device,
)
from corenn.ops.indexing import index
from corenn.ops.logic import (
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    not_equal,
)
from corenn.ops.reduction import all, any, argmax, max, mean, min, sum
from corenn.ops.shaping import matrix_transpose, reshape, transpose

__all__ = [
    "abs",
    "add",
    "all",
    "any",
    "argmax",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "cast",
    "divide",
    "equal",
    "floor_divide",
    "greater",
    "greater_equal",
    "index",
    "less",
    "less_equal",
    "matmul",
    "matrix_transpose",
    "max",
    "mean",
    "min",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "remainder",
    "reshape",
    "scalar_beside",
    "subtract",
    "sum",
    "to_device",
    "transpose",
]
