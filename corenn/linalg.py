"""Linear algebra: decompositions, equations, products and norms."""

from typing import TYPE_CHECKING

from corenn.advice import guide
from corenn.ops.arranging import diagonal, trace
from corenn.ops.contraction import matmul, outer, tensordot, vecdot
from corenn.ops.decompositions import cholesky, eigh, qr, svd
from corenn.ops.equations import det, inv, pinv, slogdet, solve, triangular_solve
from corenn.ops.linalg import eigvalsh, matrix_power, svdvals
from corenn.ops.norms import norm
from corenn.ops.shaping import matrix_transpose

__all__ = [
    "cholesky",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_power",
    "matrix_transpose",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "triangular_solve",
    "vecdot",
]

if not TYPE_CHECKING:  # type checkers know which names there are
    __getattr__, __dir__ = guide(__name__, __all__)
