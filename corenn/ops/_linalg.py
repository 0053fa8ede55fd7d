"""What the linear algebra ops share: inference, adjoints, phases, samples and plain references."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import DType
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.arranging import diag_embed, diagonal, tril
from corenn.ops.contraction import matmul
from corenn.ops.elementwise import add, cast, conjugated, divide, multiply, subtract, where
from corenn.ops.logic import equal
from corenn.ops.sampling import Arg, error, literal, real
from corenn.ops.shaping import matrix_transpose
from corenn.ops.table import Call
from corenn.spec import Spec
from corenn.tensor import Tensor

DTYPES = frozenset({dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128})
REAL_OF = {dtypes.complex64: dtypes.float32, dtypes.complex128: dtypes.float64}


def square_extent(call: Call, a: Spec, name: str = "a") -> int | None:
    """The extent of square matrices; ShapeError for others."""
    check_matrices(call, a, name)
    if a.shape[-1] != a.shape[-2] and None not in a.shape[-2:]:
        note = {name: f"the last two axes are {a.shape[-2]} and {a.shape[-1]}"}
        raise call.shape_error("the matrices must be square", **note)
    return a.shape[-1]


def check_matrices(call: Call, a: Spec, name: str = "a") -> None:
    """ShapeError unless the operand has at least two axes."""
    if a.ndim < 2:
        raise call.shape_error("takes matrices in the last two axes", **{name: f"has {a.ndim} axes"})


def same_square(call: Call, a: Spec) -> Spec:
    """The result of an op from square matrices to matrices like them."""
    square_extent(call, a)
    return a.at(None)


def refusing(what: str, hint: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a kernel report matrices it cannot treat as a corenn error (array libraries raise NumPy's LinAlgError)."""

    def wrap(kernel: Callable[..., Any]) -> Callable[..., Any]:
        name = kernel.__name__.strip("_").removesuffix("_kernel")

        def guarded(xp: Any, *arrays: Any, device: Any, **attrs: Any) -> Any:
            try:
                return kernel(xp, *arrays, device=device, **attrs)
            except np.linalg.LinAlgError as problem:
                shown = {"a": f"{arrays[0].dtype}{list(arrays[0].shape)}"}
                raise AttributeValueError(name, what, shown, hint=hint) from problem

        return guarded

    return wrap


SINGULAR = refusing(
    "a matrix is singular", "corenn.linalg.pinv(a) serves singular matrices; or add a multiple of the identity"
)
DIVERGED = refusing("the decomposition did not converge", "look for NaN or infinity: corenn.isfinite(a)")


def adjoint_array(xp: Any, a: Any) -> Any:
    """Conjugate transpose of raw matrices."""
    a = xp.matrix_transpose(a)
    return xp.conj(a) if xp.isdtype(a.dtype, "complex floating") else a


def phases_of(xp: Any, v: Any, device: Any) -> Any:
    """Factors of modulus 1, [..., 1, k], that make the leading component of each column real and positive.

    It is the first of at least 0.9 of the largest modulus, so that two components of equal modulus, common in small
    examples, are not told apart by their rounding.
    """
    if 0 in v.shape:
        return xp.ones((*v.shape[:-2], 1, v.shape[-1]), dtype=v.dtype, device=device)
    size = xp.abs(v)
    large = size >= 0.9 * xp.max(size, axis=-2, keepdims=True)
    first = xp.argmax(xp.astype(large, xp.int8), axis=-2, keepdims=True)
    row = xp.reshape(xp.arange(v.shape[-2], dtype=first.dtype, device=device), (-1, 1))
    leading = xp.sum(xp.where(row == first, v, xp.zeros_like(v)), axis=-2, keepdims=True)
    return unit_of(xp, leading)


def unit_of(xp: Any, x: Any) -> Any:
    """``conj(x) / |x|``, and 1 for 0."""
    one = xp.ones_like(x)
    if not xp.isdtype(x.dtype, "complex floating"):
        return xp.where(x < 0, -one, one)
    return xp.where(x == 0, one, xp.conj(xp.sign(x)))


def adjoint_of(x: Tensor) -> Tensor:
    """The adjoint of matrices."""
    return conjugated(matrix_transpose(x))


def times(a: Tensor, b: Tensor, *, adjoint_a: bool = False, adjoint_b: bool = False) -> Tensor:
    """A matrix product with adjoints folded in."""
    a, b = (conjugated(a) if adjoint_a else a), (conjugated(b) if adjoint_b else b)
    return matmul(a, b, transpose_a=adjoint_a, transpose_b=adjoint_b)


def hermitian(x: Tensor) -> Tensor:
    """``(x + adjoint(x)) / 2``."""
    return multiply(add(x, adjoint_of(x)), 0.5)


def half_lower(x: Tensor) -> Tensor:
    """The lower triangle with its diagonal halved."""
    return subtract(tril(x), diag_embed(multiply(diagonal(x), 0.5)))


def quotient(x: Tensor, y: Tensor) -> Tensor:
    """``x / y``; where ``y`` is 0, 0 for an ``x`` that is 0 (nothing asks for what does not exist) and else NaN."""
    none = equal(y, 0)
    return where(none, where(equal(x, 0), x, math.nan), divide(x, where(none, 1.0, y)))


def off_diagonal(x: Tensor) -> Tensor:
    """Matrices with zeros on their diagonals."""
    return subtract(x, diag_embed(diagonal(x)))


def beside(real_part: Tensor, dtype: DType) -> Tensor:
    """A real tensor in the dtype of the complex ones it meets."""
    return real_part if real_part.dtype is dtype else cast(real_part, dtype=dtype)


def conditioned(*shape: int) -> Arg:
    """Matrices of distinct singular values between 1 and 3, so that everything is well conditioned."""

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
        rows, columns, count = shape[-2], shape[-1], min(shape[-2:])
        left = np.linalg.qr(generator.normal(size=(*shape[:-2], rows, rows)))[0][..., :count]
        right = np.linalg.qr(generator.normal(size=(*shape[:-2], columns, columns)))[0][..., :count, :]
        return left * np.linspace(3, 1, count) @ right

    return Arg(shape, draw)


NOT_SQUARE = error(ShapeError, "must be square", real(shape=(3, 4)))
NO_MATRIX = error(ShapeError, "takes matrices", real(shape=(3,)))
HALF_PRECISION = error(DTypeError, "float16", literal([[1.0]], "float16"))
INTEGERS = error(DTypeError, "not int32", literal([[1]], "int32"))
REFUSED = (NO_MATRIX, HALF_PRECISION, INTEGERS)


def roundings(a: Spec, *others: Spec, **attrs: Any) -> int:
    """LAPACK's error bounds grow with the extent; the samples' conditions are below 4."""
    return 16 * max(a.static[-2:]) ** 2


def eliminate(a: Any, b: Any) -> tuple[Any, Any]:
    """Gauss-Jordan with partial pivoting on one matrix: ``inv(a) @ b`` and the determinant."""
    work, n, determinant = np.concatenate([a, b], 1), len(a), 1.0
    for k in range(n):
        pivot = k + int(np.argmax(np.abs(work[k:, k])))
        if pivot != k:
            work[[k, pivot]] = work[[pivot, k]]
            determinant = -determinant
        determinant = determinant * work[k, k]
        work[k] = work[k] / work[k, k]
        for i in range(n):
            if i != k:
                work[i] = work[i] - work[i, k] * work[k]
    return work[:, n:], determinant


def each(function: Callable[..., Any]) -> Callable[..., Any]:
    """A reference for single matrices, over batches that broadcast."""

    @functools.wraps(function)
    def run(*arrays: Any, **attrs: Any) -> Any:
        batch = np.broadcast_shapes(*(x.shape[:-2] for x in arrays))
        flat = [np.broadcast_to(x, batch + x.shape[-2:]).reshape(math.prod(batch), *x.shape[-2:]) for x in arrays]
        found = [function(*matrices, **attrs) for matrices in zip(*flat, strict=True)]
        if isinstance(found[0], tuple):
            return tuple(np.reshape([f[i] for f in found], batch + np.shape(found[0][i])) for i in range(len(found[0])))
        return np.reshape(found, batch + np.shape(found[0]))

    return run
