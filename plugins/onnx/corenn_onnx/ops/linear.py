"""Products of matrices."""

from __future__ import annotations

import corenn
from corenn import dtypes
from corenn.tensor import Tensor
from corenn_onnx.table import onnx_op


@onnx_op("MatMul")
def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The product of matrices, as ``numpy.matmul``."""
    return corenn.matmul(a, b)


@onnx_op("Gemm")
def gemm(
    a: Tensor, b: Tensor, c: Tensor | None = None, *, alpha: float = 1.0, beta: float = 1.0, transA: int = 0,
    transB: int = 0, broadcast: int = 0,
) -> Tensor:  # fmt: skip
    """``alpha * a @ b + beta * c``, the operands transposed if asked for."""
    y = corenn.matmul(corenn.transpose(a) if transA else a, corenn.transpose(b) if transB else b)
    if alpha != 1:
        y = corenn.multiply(y, alpha).cast(a.dtype)
    if c is None:
        return y
    return corenn.add(y, c if beta == 1 else corenn.multiply(c, beta).cast(a.dtype))


@onnx_op("Einsum")
def einsum(*operands: Tensor, equation: str) -> Tensor:
    """Sums of products in index notation."""
    return corenn.einsum(equation, *operands)


@onnx_op("Det")
def det(x: Tensor) -> Tensor:
    """Determinants of square matrices."""
    return corenn.linalg.det(x)


@onnx_op("MatMulInteger")
def matmul_integer(a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None) -> Tensor:
    """The product of integer matrices around their zero points, in int32."""
    return corenn.matmul(centred(a, a_zero, -2), centred(b, b_zero, -1)).cast(dtypes.int32)


def centred(x: Tensor, zero: Tensor | None, axis: int) -> Tensor:
    """Integers less their zero point, of the whole or (a vector) of each row (axis -2) or column (-1): int32."""
    whole = x.cast(dtypes.int32)
    if zero is None:
        return whole
    zero = zero.cast(dtypes.int32)
    if len(zero.shape) == 1 and axis == -2 and zero.shape[0] != 1:
        zero = corenn.expand_dims(zero, axis=-1)
    return corenn.subtract(whole, zero)
