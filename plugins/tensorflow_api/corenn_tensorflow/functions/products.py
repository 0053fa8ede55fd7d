"""Products of matrices and tensors, norms, factorisations."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import corenn
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import matching, static_shape
from corenn_tensorflow.functions.calling import composite, either, operand, python_value, rank_of
from corenn_tensorflow.sparse import SparseTensor, to_dense
from corenn_tensorflow.writing import writable


def matmul(
    a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, adjoint_a: bool = False,
    adjoint_b: bool = False, a_is_sparse: bool = False, b_is_sparse: bool = False, name: str | None = None,
    output_type: Any = None,
) -> Any:  # fmt: skip
    """The product of two matrices, or of two batches of them."""
    if transpose_a and adjoint_a:
        raise ValueError("Only one of `transpose_a` and `adjoint_a` can be True.")
    if transpose_b and adjoint_b:
        raise ValueError("Only one of `transpose_b` and `adjoint_b` can be True.")
    plain = a.__class__ is Tensor and b.__class__ is Tensor and a.dtype is b.dtype and a.dtype.kind != "c"
    if plain and a.ndim > 1 and b.ndim > 1 and mode.executing_eagerly():  # the common call, without looking for graphs
        return corenn.matmul(a, b, transpose_a=transpose_a or adjoint_a, transpose_b=transpose_b or adjoint_b)
    x, y = (to_dense(v) if isinstance(v, SparseTensor) else v for v in (a, b))
    x, y = matching("MatMul", x, y, names=("a", "b"))
    if x.dtype.kind == "c":
        x, y = (corenn.conj(v) if adjoint else v for v, adjoint in ((x, adjoint_a), (y, adjoint_b)))
    ranks = (rank_of(x), rank_of(y))
    batched = any(r is not None and r > 2 for r in ranks)
    if None not in ranks and min(ranks) < 2:  # type: ignore[type-var]  # both are known
        from corenn.errors import ShapeError
        from corenn_tensorflow.errors import shapes_text

        low = next(r for r in ranks if r is not None and r < 2)
        raise ShapeError("", f"Shape must be rank 2 but is rank {low} for '{name or 'MatMul'}' (op: 'MatMul') with "
                         f"input shapes: {shapes_text([static_shape(x), static_shape(y)])}.")  # fmt: skip
    return mode.one("BatchMatMulV2" if batched else "MatMul", name or ("MatMul"), corenn.matmul, x, y,
                    transpose_a=transpose_a or adjoint_a, transpose_b=transpose_b or adjoint_b)  # fmt: skip


def batch_matmul(x: Any, y: Any, adj_x: bool = False, adj_y: bool = False, name: str | None = None) -> Any:
    """The old name of ``matmul`` for batches."""
    return matmul(x, y, adjoint_a=adj_x, adjoint_b=adj_y, name=name)


def matvec(
    a: Any, b: Any, transpose_a: bool = False, adjoint_a: bool = False, a_is_sparse: bool = False,
    b_is_sparse: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """A matrix (or batch) times a vector (or batch)."""
    x, y = matching("MatVec", a, b)
    with mode.scope(name, "MatVec", x, y):
        return matmul(x, corenn.expand_dims(y, axis=-1), transpose_a, adjoint_a=adjoint_a)[..., 0]


def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Any:
    """The product of two tensors, summed over the axes named."""
    x, y = matching("Tensordot", a, b)
    pairs = python_value(axes)
    if not isinstance(pairs, int):
        first, second = ((p,) if isinstance(p, int) else tuple(p) for p in pairs)
        pairs = (first, second)
    return mode.one("Tensordot", name or "Tensordot", corenn.tensordot, x, y, axes=pairs)


def einsum(equation: str, *inputs: Any, **options: Any) -> Any:
    """Sums of products by the letters of their axes."""
    name = options.pop("name", None)
    operands = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else inputs
    tensors = matching("Einsum", *operands, names=[None] * len(operands))
    return mode.one("Einsum", name or "einsum", corenn.einsum, equation.replace(" ", ""), *tensors)


@writable("norm")
def _norm_of(t: Any, *, ord: Any, matrix: Any, axes: Any, kept: Any) -> Any:
    size = corenn.abs(t)
    if ord in ("euclidean", "fro") or (ord == 2 and not matrix):
        return corenn.sqrt(corenn.sum(size * size, axis=axes, keepdims=kept))
    if matrix and ord in (1, np.inf, "inf"):
        inner, outer = (axes[0], axes[1]) if ord == 1 else (axes[1], axes[0])
        sums = corenn.sum(size, axis=inner, keepdims=True)
        found = corenn.max(sums, axis=outer, keepdims=True)
        return found if kept else corenn.squeeze(found, axis=axes)
    if matrix and ord == 2:
        values = corenn.linalg.svdvals(corenn.moveaxis(t, axes, (-2, -1)))
        found = corenn.max(values, axis=-1)
        return corenn.expand_dims(found, axis=axes) if kept else found
    if ord in (np.inf, "inf"):
        return corenn.max(size, axis=axes, keepdims=kept)
    if ord == 1:
        return corenn.sum(size, axis=axes, keepdims=kept)
    return corenn.power(corenn.sum(corenn.power(size, ord), axis=axes, keepdims=kept), 1.0 / ord)


def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None, name: str | None = None,
    keep_dims: Any = None,
) -> Any:  # fmt: skip
    """The norm of vectors or matrices: 'euclidean', 'fro', 1, 2, inf or any positive number."""
    x, kept = operand(tensor), bool(either(keepdims, keep_dims, "keepdims", "keep_dims"))
    axes = python_value(axis)
    if ord not in ("euclidean", "fro", 1, 2, np.inf, "inf") and not (isinstance(ord, (int, float)) and ord > 0):
        raise ValueError(f"'ord' must be a supported vector norm or a supported matrix norm, got {ord}")
    matrix = isinstance(axes, tuple) and len(axes) == 2
    return composite(
        "Norm", name or "norm", functools.partial(_norm_of, ord=ord, matrix=matrix, axes=axes, kept=kept), x
    )


@writable("cross")
def _cross_of(x: Any, y: Any) -> Any:
    (x0, x1, x2), (y0, y1, y2) = ([t[..., i] for i in range(3)] for t in (x, y))
    return corenn.stack(x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0, axis=-1)


def cross(a: Any, b: Any, name: str | None = None) -> Any:
    """The cross product of vectors of three elements along the last axis."""
    return composite("Cross", name, _cross_of, *matching("Cross", a, b))


@writable("trace")
def _trace_of(x: Any) -> Any:
    return corenn.trace(x)


def trace(x: Any, name: str | None = None) -> Any:
    """The sum of the diagonal of matrices."""
    return composite("Trace", name, _trace_of, operand(x))


@writable("diag")
def _diag_of(x: Any) -> Any:
    flat = corenn.diag_embed(corenn.reshape(x, shape=(-1,)))
    return corenn.reshape(flat, shape=(*x.spec.static, *x.spec.static))


def diag(diagonal: Any, name: str | None = None) -> Any:
    """A tensor with the given diagonal, of twice the rank, and 0 elsewhere."""
    return composite("Diag", name, _diag_of, operand(diagonal))


@writable("diag_part")
def _diag_part_of(x: Any) -> Any:
    half = x.spec.static[: x.ndim // 2]
    count = int(np.prod(half))
    return corenn.reshape(corenn.diagonal(corenn.reshape(x, shape=(count, count))), shape=half)


def diag_part(input: Any, name: str | None = None) -> Any:  # TensorFlow's name
    """The diagonal of a tensor of even rank: the inverse of ``diag``."""
    return composite("DiagPart", name, _diag_part_of, operand(input))


def matrix_diag(diagonal: Any, name: str | None = None, k: Any = 0, **options: Any) -> Any:
    """Matrices with the given diagonals."""
    if options or python_value(k) != 0:
        raise NotImplementedError("matrix_diag: corenn takes the main diagonal only (k=0)")
    return mode.one("MatrixDiag", name, corenn.diag_embed, operand(diagonal))


def matrix_diag_part(input: Any, name: str | None = None, k: int = 0, **options: Any) -> Any:
    """The diagonals of matrices."""
    return mode.one("MatrixDiagPart", name, corenn.diagonal, operand(input), offset=int(k))


@writable("matrix_set_diag")
def _matrix_set_diag_of(x: Any, d: Any) -> Any:
    rows, columns = x.spec.static[-2:]
    here = corenn.equal(corenn.arange(rows)[:, None], corenn.arange(columns)[None, :])
    wide = corenn.diag_embed(d)
    pads = tuple((0, n - m) for n, m in zip((rows, columns), wide.spec.static[-2:], strict=True))
    wide = corenn.pad(wide, widths=(*([(0, 0)] * (x.ndim - 2)), *pads))
    return corenn.where(here, wide, x)


def matrix_set_diag(input: Any, diagonal: Any, name: str | None = None, k: int = 0) -> Any:
    """Matrices with another diagonal."""
    return composite("MatrixSetDiag", name, _matrix_set_diag_of, *matching("MatrixSetDiag", input, diagonal))


@writable("matrix_band_part")
def _matrix_band_part_of(x: Any, lower: Any, upper: Any) -> Any:
    rows, columns = x.spec.static[-2:]
    down = corenn.cast(corenn.arange(rows)[:, None] - corenn.arange(columns)[None, :], dtype=lower.dtype)
    low = corenn.logical_or(corenn.less(lower, 0), corenn.less_equal(down, lower))
    high = corenn.logical_or(corenn.less(upper, 0), corenn.less_equal(-down, upper))
    return corenn.where(corenn.logical_and(low, high), x, corenn.zeros_like(x))


def matrix_band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Any:
    """Matrices with 0 outside a band; a negative number keeps the whole triangle."""
    limits = [corenn.cast(operand(v), dtype="int32") for v in (num_lower, num_upper)]
    return composite("MatrixBandPart", name, _matrix_band_part_of, operand(input), *limits)


def _factor(type_name: str, function: Any, doc: str) -> Any:
    def call(input: Any, name: str | None = None) -> Any:
        return mode.one(type_name, name, function, operand(input))

    call.__doc__ = doc
    return call


cholesky = _factor("Cholesky", corenn.linalg.cholesky, "The lower triangular root of a positive definite matrix.")
matrix_determinant = _factor("MatrixDeterminant", corenn.linalg.det, "The determinant.")


def matrix_inverse(input: Any, adjoint: bool = False, name: str | None = None) -> Any:
    """The inverse (or its adjoint)."""
    found = mode.one("MatrixInverse", name, corenn.linalg.inv, operand(input))
    return corenn.matrix_transpose(found) if adjoint else found


def matrix_solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Any:
    """The solution x of ``matrix @ x = rhs``."""
    return mode.one("MatrixSolve", name, corenn.linalg.solve, *matching("MatrixSolve", matrix, rhs), adjoint=adjoint)


def matrix_triangular_solve(
    matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Any:
    """The solution for a triangular matrix."""
    return mode.one("MatrixTriangularSolve", name, corenn.linalg.triangular_solve,
                    *matching("MatrixTriangularSolve", matrix, rhs), lower=lower, adjoint=adjoint)  # fmt: skip


@writable("matrix_solve_ls")
def _matrix_solve_ls_of(a: Any, b: Any, *, l2_regularizer: float) -> Any:
    rows, columns = a.spec.static[-2:]
    if rows >= columns:
        square = corenn.matmul(a, a, transpose_a=True) + corenn.eye(columns, dtype=a.dtype) * l2_regularizer
        return corenn.linalg.solve(square, corenn.matmul(a, b, transpose_a=True))
    square = corenn.matmul(a, a, transpose_b=True) + corenn.eye(rows, dtype=a.dtype) * l2_regularizer
    return corenn.matmul(a, corenn.linalg.solve(square, b), transpose_a=True)


def matrix_solve_ls(
    matrix: Any, rhs: Any, l2_regularizer: float = 0.0, fast: bool = True, name: str | None = None
) -> Any:
    """The least squares solution, from the normal equations."""
    return composite(
        "MatrixSolveLs",
        name,
        functools.partial(_matrix_solve_ls_of, l2_regularizer=l2_regularizer),
        *matching("MatrixSolveLs", matrix, rhs),
    )


@writable("cholesky_solve")
def _cholesky_solve_of(root: Any, b: Any) -> Any:
    return corenn.linalg.triangular_solve(root, corenn.linalg.triangular_solve(root, b), adjoint=True)


def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Any:
    """The solution of ``(chol @ chol.T) @ x = rhs``."""
    return composite("CholeskySolve", name, _cholesky_solve_of, *matching("CholeskySolve", chol, rhs))


def svd(tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None) -> Any:
    """Singular values and vectors: ``s, u, v`` with ``tensor = u @ diag(s) @ v.T``."""
    if full_matrices:
        raise NotImplementedError("svd: corenn computes the reduced vectors (full_matrices=False)")
    x = operand(tensor)
    if not compute_uv:
        return mode.one("Svd", name, corenn.linalg.svdvals, x)
    with mode.scope(name, "Svd", x):
        u, s, vt = corenn.linalg.svd(x)
        return s, u, corenn.matrix_transpose(vt)


def qr(input: Any, full_matrices: bool = False, name: str | None = None) -> Any:
    """Orthonormal columns times an upper triangle."""
    if full_matrices:
        raise NotImplementedError("qr: corenn computes the reduced factors (full_matrices=False)")
    with mode.scope(name, "Qr", input):
        return tuple(corenn.linalg.qr(operand(input)))


def self_adjoint_eig(tensor: Any, name: str | None = None) -> Any:
    """Eigenvalues, in increasing order, and eigenvectors of symmetric matrices."""
    with mode.scope(name, "SelfAdjointEigV2", tensor):
        return tuple(corenn.linalg.eigh(operand(tensor)))


def self_adjoint_eigvals(tensor: Any, name: str | None = None) -> Any:
    """Eigenvalues of symmetric matrices."""
    with mode.scope(name, "SelfAdjointEigV2", tensor):
        return corenn.linalg.eigvalsh(operand(tensor))


def slogdet(input: Any, name: str | None = None) -> Any:
    """Sign and logarithm of the absolute value of the determinant."""
    with mode.scope(name, "LogMatrixDeterminant", input):
        return tuple(corenn.linalg.slogdet(operand(input)))


def logdet(matrix: Any, name: str | None = None) -> Any:
    """Logarithm of the determinant of positive definite matrices."""
    with mode.scope(name, "logdet", matrix):
        root = corenn.linalg.cholesky(operand(matrix))
        return corenn.sum(corenn.log(corenn.diagonal(root)), axis=-1) * 2


@writable("pinv")
def _pinv_of(x: Any, *, rcond: Any) -> Any:
    return corenn.linalg.pinv(x, rtol=rcond)


def pinv(a: Any, rcond: Any = None, validate_args: bool = False, name: str | None = None) -> Any:
    """The Moore-Penrose inverse."""
    return composite("PseudoInverse", name or "pinv", functools.partial(_pinv_of, rcond=rcond), operand(a))


@writable("expm")
def _expm_of(x: Any) -> Any:
    halvings, terms = 12, 14  # (norm / 4096)**15 / 15! is below the rounding error for norms up to about 1000
    small = x / 2.0**halvings
    one = corenn.eye(x.spec.static[-1], dtype=x.dtype)
    total, term = one + corenn.zeros_like(x), one + corenn.zeros_like(x)
    for i in range(1, terms):
        term = corenn.matmul(term, small) / float(i)
        total = total + term
    for _ in range(halvings):
        total = corenn.matmul(total, total)
    return total


def expm(input: Any, name: str | None = None) -> Any:
    """The exponential of square matrices, by scaling, a Taylor series and squaring."""
    x = operand(input)
    wide = corenn.cast(x, dtype="float64") if x.dtype.is_floating else x
    return corenn.cast(composite("MatrixExponential", name, _expm_of, wide), dtype=x.dtype)


def adjoint(matrix: Any, name: str | None = None) -> Any:
    """The conjugate of the last two axes exchanged."""
    from corenn_tensorflow.functions.arrays import matrix_transpose

    return matrix_transpose(matrix, name=name or "adjoint", conjugate=True)


@writable("matrix_rank")
def _matrix_rank_of(x: Any, *, tol: Any) -> Any:
    values = corenn.linalg.svdvals(x)
    eps = float(np.finfo(x.dtype.numpy).eps) * max(x.spec.static[-2:])
    limit = corenn.max(values, axis=-1, keepdims=True) * eps if tol is None else tol
    return corenn.sum(corenn.cast(corenn.greater(values, limit), dtype="int32"), axis=-1)


def matrix_rank(a: Any, tol: Any = None, validate_args: bool = False, name: str | None = None) -> Any:
    """The number of singular values above ``tol`` (by default: extent times eps times the greatest)."""
    return composite("MatrixRank", name or "matrix_rank", functools.partial(_matrix_rank_of, tol=tol), operand(a))


def normalize(tensor: Any, ord: Any = "euclidean", axis: Any = None, name: str | None = None) -> Any:
    """A tensor over its norm, and the norm."""
    x = operand(tensor)
    with mode.scope(name, "normalize", x):
        size = norm(x, ord, axis, True)
        return x / size, size


__all__ = [
    "adjoint", "batch_matmul", "cholesky", "cholesky_solve", "cross", "diag", "diag_part", "einsum", "expm",
    "logdet", "matmul", "matrix_band_part", "matrix_determinant", "matrix_diag", "matrix_diag_part",
    "matrix_inverse", "matrix_rank", "matrix_set_diag", "matrix_solve", "matrix_solve_ls",
    "matrix_triangular_solve", "matvec", "norm", "normalize", "pinv", "qr", "self_adjoint_eig",
    "self_adjoint_eigvals", "slogdet", "svd", "tensordot", "trace",
]  # fmt: skip
