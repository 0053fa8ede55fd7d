"""What is made of the linear algebra ops, which are declared in ``equations.py`` and ``decompositions.py``."""

from __future__ import annotations

from corenn.errors import AttributeValueError, ShapeError
from corenn.ops.contraction import matmul
from corenn.ops.creation import asarray, eye
from corenn.ops.decompositions import eigh, svd
from corenn.ops.equations import inv
from corenn.ops.shaping import broadcast_to
from corenn.ops.table import TensorLike
from corenn.tensor import Tensor


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
