"""``tf.linalg``."""

from corenn_tensorflow import missing
from corenn_tensorflow.functions import products
from corenn_tensorflow.functions.arrays import matrix_transpose
from corenn_tensorflow.functions.creating import eye
from corenn_tensorflow.functions.differentiating import global_norm
from corenn_tensorflow.functions.products import (
    cholesky,
    cholesky_solve,
    cross,
    einsum,
    expm,
    logdet,
    matmul,
    matvec,
    norm,
    pinv,
    qr,
    slogdet,
    svd,
    tensordot,
    trace,
)
from corenn_tensorflow.functions.special import l2_normalize

adjoint = products.adjoint
band_part = products.matrix_band_part
det = products.matrix_determinant
diag, diag_part, set_diag = products.matrix_diag, products.matrix_diag_part, products.matrix_set_diag
eigh, eigvalsh = products.self_adjoint_eig, products.self_adjoint_eigvals
inv, lstsq, solve = products.matrix_inverse, products.matrix_solve_ls, products.matrix_solve
tensor_diag, tensor_diag_part = products.diag, products.diag_part
triangular_solve = products.matrix_triangular_solve
matrix_rank, normalize = products.matrix_rank, products.normalize
transpose = matrix_transpose

__all__ = [
    "adjoint", "band_part", "cholesky", "cholesky_solve", "cross", "det", "diag", "diag_part", "eigh", "eigvalsh",
    "einsum", "expm", "eye", "global_norm", "inv", "l2_normalize", "logdet", "lstsq", "matmul", "matrix_rank",
    "matrix_transpose", "matvec", "norm", "normalize", "pinv", "qr", "set_diag", "slogdet", "solve", "svd",
    "tensor_diag", "tensor_diag_part", "tensordot", "trace", "transpose", "triangular_solve",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
