"""``corenn.linalg``: linear algebra on matrices in the last two axes; all axes before them are batches.

All take float32, float64, complex64 and complex128: decompositions in half precision have too few digits, so cast
first.  The ops are declared in ``equations.py`` and ``decompositions.py``.
"""

from __future__ import annotations

from corenn.errors import AttributeValueError, ShapeError
from corenn.ops.arranging import diagonal, trace
from corenn.ops.contraction import matmul, outer, tensordot, vecdot
from corenn.ops.creation import asarray, eye
from corenn.ops.decompositions import cholesky, eigh, qr, svd
from corenn.ops.equations import det, inv, pinv, slogdet, solve, triangular_solve
from corenn.ops.shaping import broadcast_to, matrix_transpose
from corenn.ops.table import TensorLike
from corenn.tensor import Tensor

__all__ = [
    "cholesky", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_power", "matrix_transpose", "outer",
    "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot", "trace", "triangular_solve", "vecdot",
]  # fmt: skip


def eigvalsh(a: TensorLike) -> Tensor:
    """The eigenvalues of ``eigh`` alone: [..., n], real and ascending."""
    return eigh(a)[0]


def svdvals(a: TensorLike) -> Tensor:
    """The singular values of ``svd`` alone: [..., min(m, n)], real and descending."""
    return svd(a)[1]


def matrix_power(a: TensorLike, n: int) -> Tensor:
    """``a`` times itself, ``n`` factors, by repeated squaring; the identity for 0, powers of the inverse below.

    ``a``: square matrices [..., n, n].  Raises ShapeError for others, AttributeValueError for a power that is no int.
    """
    base = asarray(a)
    if base.ndim < 2 or base.shape[-1] != base.shape[-2]:
        raise ShapeError("matrix_power", "the matrices must be square", {"a": base.spec})
    if isinstance(n, bool) or not isinstance(n, int):
        raise AttributeValueError("matrix_power", "n must be an int", {"n": repr(n)})
    if n == 0:
        return broadcast_to(eye(base.shape[-1], dtype=base.dtype, device=base.spec.device), shape=base.shape)
    if n < 0:
        base, n = inv(base), -n
    result: Tensor | None = None
    while True:
        if n & 1:
            result = base if result is None else matmul(result, base)
        n >>= 1
        if not n:
            return result  # type: ignore[return-value]  # the highest bit is set
        base = matmul(base, base)
