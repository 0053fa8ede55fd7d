"""Systems of linear equations, inverses and determinants, of matrices in the last two axes.

Gradients: M. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
differentiation" (Oxford, 2008), section 2.2; for the pseudo-inverse G. Golub & V. Pereyra, "The differentiation of
pseudo-inverses and nonlinear least squares problems whose variables separate" (SIAM J. Numer. Anal. 10, 1973).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.dtypes import COMPLEX
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops._linalg import (
    DIVERGED,
    DTYPES,
    NOT_SQUARE,
    REAL_OF,
    REFUSED,
    SINGULAR,
    adjoint_array,
    adjoint_of,
    beside,
    check_matrices,
    conditioned,
    each,
    eliminate,
    roundings,
    same_square,
    square_extent,
    times,
)
from corenn.ops.arranging import tril, triu
from corenn.ops.contraction import batch_shape
from corenn.ops.elementwise import add, conjugated, multiply, negative, subtract
from corenn.ops.sampling import error, literal, real, sample
from corenn.ops.shaping import expand_dims, reshape
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

# ---------------------------------------------------------------- systems of equations


def _solved(call: Call, a: Spec, b: Spec) -> Spec:
    n = square_extent(call, a)
    if b.ndim == 0:
        raise call.shape_error("the right-hand side must be a vector or matrices", b="")
    rows = b.shape[-1] if b.ndim == 1 else b.shape[-2]
    if rows != n and None not in (rows, n):
        hint = "one vector per matrix is a column: corenn.expand_dims(b, axis=-1)" if b.shape[-1] == n else None
        what = "the right-hand side must have as many rows as the matrix"
        raise call.shape_error(what, hint, a=f"{n} by {n}", b=f"{rows} rows")
    if b.ndim == 1:
        return Spec((*a.shape[:-2], n), a.dtype)
    return Spec((*batch_shape(call, a.shape[:-2], b.shape[:-2], ("a", "b")), n, b.shape[-1]), a.dtype)


def _solve_arrays(xp: Any, a: Any, b: Any) -> Any:
    """``xp.linalg.solve`` with a vector as a column, which broadcasts beside batches."""
    if b.ndim > 1:
        return xp.linalg.solve(a, b)
    return xp.linalg.solve(a, xp.expand_dims(b, axis=-1))[..., 0]


def _columns(x: Tensor, b: Spec) -> Tensor:
    """``x`` as matrices: a column for a right-hand side ``b`` that is a vector."""
    return expand_dims(x, axis=-1) if b.ndim == 1 else x


def _rows(x: Tensor, b: Spec) -> Tensor:
    return reshape(x, shape=x.shape[:-1]) if b.ndim == 1 else x


@op(infer=_solved, promote=True, dtypes=DTYPES, namespace="linalg")
def solve(a: TensorLike, b: TensorLike, /, *, adjoint: bool = False) -> Tensor:
    """The ``x`` with ``a @ x == b``: ``a`` [..., n, n], ``b`` a vector [n] or matrices [..., n, k]; batches broadcast.

    ``adjoint``: solve with the conjugate transpose of ``a``.  Dtypes promote.  Raises ShapeError for shapes that do
    not fit, AttributeValueError for a singular matrix where the backend detects it.
    """


@solve.kernel
@SINGULAR
def _solve_kernel(xp: Any, a: Any, b: Any, *, adjoint: bool, device: Any) -> Any:
    return _solve_arrays(xp, adjoint_array(xp, a) if adjoint else a, b)


@solve.vjp
def _(
    g: Tensor, a: Tensor, b_spec: Spec, out: Tensor, adjoint: bool, needs: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor]:
    gb, x = solve(a, _columns(g, b_spec), adjoint=not adjoint), _columns(out, b_spec)
    ga = None
    if needs[0]:
        ga = negative(times(x, gb, adjoint_b=True) if adjoint else times(gb, x, adjoint_b=True))
    return ga, _rows(gb, b_spec)


solve.samples(
    sample(conditioned(3, 3), real(shape=(3, 2))),
    sample(conditioned(3, 3), real(shape=(3,))),
    sample(conditioned(2, 3, 3), real(shape=(3,)), adjoint=True),
    sample(conditioned(2, 1, 2, 2), real(shape=(3, 2, 1))),
    sample(conditioned(3, 3), real(shape=(3, 2)), adjoint=True),
    sample(real(shape=(0, 0)), real(shape=(0, 2)), name="empty"),
)
solve.error_samples(
    error(ShapeError, "must be square", real(shape=(3, 4)), real(shape=(3,))),
    error(ShapeError, "as many rows", real(shape=(3, 3)), real(shape=(4, 3))),
    error(ShapeError, "one vector per matrix", conditioned(2, 3, 3), real(shape=(2, 3))),
    error(ShapeError, "batch axes", real(shape=(2, 3, 3)), real(shape=(3, 3, 1))),
    error(ShapeError, "vector or matrices", real(shape=(3, 3)), real(shape=())),
    error(AttributeValueError, "singular", literal([[1.0, 2.0], [2.0, 4.0]]), literal([1.0, 1.0])),
    error(DTypeError, "float16", literal([[1.0]], "float16"), literal([1.0], "float16")),
)


@solve.reference
def _(a: Any, b: Any, *, adjoint: bool) -> Any:
    a = np.conj(np.swapaxes(a, -1, -2)) if adjoint else a
    found = each(lambda a, b: eliminate(a, b)[0])(a, b[:, None] if b.ndim == 1 else b)
    return found[..., 0] if b.ndim == 1 else found


solve.terms(roundings)


@op(infer=_solved, promote=True, dtypes=DTYPES, namespace="linalg")
def triangular_solve(
    a: TensorLike, b: TensorLike, /, *, lower: bool = True, adjoint: bool = False, unit_diagonal: bool = False
) -> Tensor:
    """``solve`` for triangular matrices: only the lower (or upper, ``lower=False``) triangle of ``a`` is read.

    ``adjoint``: solve with the conjugate transpose of that triangle.  ``unit_diagonal``: take the diagonal as ones and
    read only what is off it.  Shapes, dtypes and errors as ``solve``.
    """


@triangular_solve.kernel
@SINGULAR
def _triangular_solve_kernel(
    xp: Any, a: Any, b: Any, *, lower: bool, adjoint: bool, unit_diagonal: bool, device: Any
) -> Any:
    off = 1 if unit_diagonal else 0
    triangle = xp.tril(a, k=-off) if lower else xp.triu(a, k=off)
    if unit_diagonal:
        triangle = triangle + xp.eye(a.shape[-1], dtype=a.dtype, device=device)
    return _solve_arrays(xp, adjoint_array(xp, triangle) if adjoint else triangle, b)


@triangular_solve.vjp
def _(
    g: Tensor,
    a: Tensor,
    b_spec: Spec,
    out: Tensor,
    lower: bool,
    adjoint: bool,
    unit_diagonal: bool,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, Tensor]:
    columns, x = _columns(g, b_spec), _columns(out, b_spec)
    gb = triangular_solve(a, columns, lower=lower, adjoint=not adjoint, unit_diagonal=unit_diagonal)
    ga = None
    if needs[0]:
        off = 1 if unit_diagonal else 0
        full = negative(times(x, gb, adjoint_b=True) if adjoint else times(gb, x, adjoint_b=True))
        ga = tril(full, k=-off) if lower else triu(full, k=off)
    return ga, _rows(gb, b_spec)


triangular_solve.samples(
    sample(conditioned(3, 3), real(shape=(3, 2))),
    sample(conditioned(2, 3, 3), real(shape=(3,)), lower=False),
    sample(conditioned(3, 3), real(shape=(2, 3, 1)), adjoint=True),
    sample(conditioned(3, 3), real(shape=(3, 2)), lower=False, unit_diagonal=True, adjoint=True),
    sample(conditioned(3, 3), real(shape=(3,)), unit_diagonal=True),
)
triangular_solve.error_samples(
    error(ShapeError, "must be square", real(shape=(3, 4)), real(shape=(3,))),
    error(ShapeError, "as many rows", real(shape=(3, 3)), real(shape=(4, 3))),
    error(AttributeValueError, "singular", literal([[0.0, 2.0], [2.0, 4.0]]), literal([1.0, 1.0])),
)


@triangular_solve.reference
def _(a: Any, b: Any, *, lower: bool, adjoint: bool, unit_diagonal: bool) -> Any:
    def substitute(a: Any, b: Any) -> Any:
        forward, x = lower is not adjoint, np.zeros_like(b)
        t = np.conj(a.T) if adjoint else a
        for i in range(len(a)) if forward else reversed(range(len(a))):
            known = slice(0, i) if forward else slice(i + 1, None)
            x[i] = (b[i] - t[i, known] @ x[known]) / (1.0 if unit_diagonal else t[i, i])
        return x

    found = each(substitute)(a, b[:, None] if b.ndim == 1 else b)
    return found[..., 0] if b.ndim == 1 else found


# The triangles of well conditioned matrices may be ill conditioned, so more roundings are allowed for.
triangular_solve.terms(lambda a, b, **attrs: 64 * a.static[-1] ** 2)


@op(infer=same_square, dtypes=DTYPES, namespace="linalg")
def inv(a: TensorLike, /) -> Tensor:
    """Inverses of square matrices [..., n, n].  To solve equations, ``solve`` is faster and more exact.

    Raises AttributeValueError for a singular matrix where the backend detects it.
    """


@inv.kernel
@SINGULAR
def _inv_kernel(xp: Any, a: Any, *, device: Any) -> Any:
    return xp.linalg.inv(a)


inv.vjp(lambda g, out: negative(times(times(out, g, adjoint_a=True), out, adjoint_b=True)))
inv.samples(conditioned(3, 3), conditioned(2, 2, 2), sample(real(shape=(0, 0)), name="empty"))
inv.error_samples(NOT_SQUARE, *REFUSED, error(AttributeValueError, "singular", literal([[1.0, 2.0], [2.0, 4.0]])))
inv.reference(each(lambda a: eliminate(a, np.eye(len(a)))[0]))
inv.terms(roundings)


# ---------------------------------------------------------------- determinants


def _det(call: Call, a: Spec) -> Spec:
    square_extent(call, a)
    return Spec(a.shape[:-2], a.dtype)


@op(infer=_det, dtypes=DTYPES, namespace="linalg")
def det(a: TensorLike, /) -> Tensor:
    """Determinants of square matrices [..., n, n]: shape [...].  The gradient needs matrices that are not singular."""


det.kernel(lambda xp, a: xp.linalg.det(a))
det.vjp(lambda g, a, out: multiply(_scalars(multiply(g, conjugated(out))), adjoint_of(inv(a))))
det.samples(
    conditioned(3, 3), conditioned(2, 2, 2), sample(literal([[1.0, 2.0], [2.0, 4.0]]), grad=False, name="singular")
)
det.error_samples(NOT_SQUARE, *REFUSED)
det.reference(each(lambda a: np.linalg.det(a) if np.linalg.matrix_rank(a) < len(a) else eliminate(a, a[:, :0])[1]))
det.terms(roundings)


def _scalars(x: Tensor) -> Tensor:
    """One number per matrix, as matrices of one element."""
    return expand_dims(x, axis=(-2, -1))


def _slogdet(call: Call, a: Spec) -> tuple[Spec, Spec]:
    shape = _det(call, a).shape
    return Spec(shape, a.dtype), Spec(shape, REAL_OF.get(a.dtype, a.dtype))


@op(infer=_slogdet, dtypes=DTYPES, results=("sign", "logabsdet"), namespace="linalg")
def slogdet(a: TensorLike, /) -> tuple[Tensor, Tensor]:
    """Sign (of modulus 1, or 0) and logarithm of the modulus of determinants of square matrices [..., n, n].

    Both have shape [...]; the logarithm is real, and -inf for a singular matrix.  ``sign * exp(logabsdet)`` is the
    determinant.  The gradient needs matrices that are not singular.
    """


slogdet.kernel(lambda xp, a: tuple(xp.linalg.slogdet(a)))


@slogdet.vjp
def _(g: tuple[Tensor, Tensor], a: Tensor, out: tuple[Tensor, Tensor]) -> Tensor:
    g_sign, g_log = g
    weight = beside(g_log, a.dtype)
    if a.dtype in COMPLEX:  # the sign turns with the imaginary part of tr(inv(a) da)
        turn = multiply(conjugated(g_sign), out[0])
        weight = subtract(weight, multiply(subtract(turn, conjugated(turn)), 0.5))
    return multiply(_scalars(weight), adjoint_of(inv(a)))


slogdet.samples(conditioned(3, 3), conditioned(2, 2, 2))
slogdet.error_samples(NOT_SQUARE, *REFUSED)


@slogdet.reference
@each
def _(a: Any) -> Any:
    determinant = eliminate(a, a[:, :0])[1]
    return determinant / abs(determinant), np.log(abs(determinant))


slogdet.terms(roundings)


# ---------------------------------------------------------------- pseudo-inverse


def _pinv(call: Call, a: Spec) -> Spec:
    check_matrices(call, a)
    rtol = call.attrs["rtol"]
    if rtol is None:
        precise = REAL_OF.get(a.dtype, a.dtype)
        rtol = max(a.static[-2:]) * float(np.finfo(precise.numpy).eps)
    elif isinstance(rtol, bool) or not isinstance(rtol, int | float) or rtol < 0:
        raise call.attribute_error("rtol must be a number that is not negative", rtol="")
    call.attrs["rtol"] = float(rtol)
    return Spec((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)


@op(infer=_pinv, dtypes=DTYPES, namespace="linalg")
def pinv(a: TensorLike, /, *, rtol: float | None = None) -> Tensor:
    """Moore-Penrose pseudo-inverses [..., n, m] of matrices [..., m, n].

    ``rtol``: singular values up to ``rtol`` times the largest count as 0 (default: max(m, n) times the machine
    epsilon).  The gradient is that at constant rank.
    """


@pinv.kernel
@DIVERGED
def _pinv_kernel(xp: Any, a: Any, *, rtol: float, device: Any) -> Any:
    return xp.linalg.pinv(a, rtol=rtol)


@pinv.vjp
def _(g: Tensor, a: Tensor, out: Tensor) -> Tensor:
    left = times(adjoint_of(g), times(out, out, adjoint_b=True))
    right = times(times(out, out, adjoint_a=True), g, adjoint_b=True)
    inside = times(times(out, g, adjoint_a=True), out, adjoint_b=True)
    outside = add(subtract(left, times(a, times(out, left))), subtract(right, times(times(right, out), a)))
    return subtract(outside, inside)


pinv.samples(
    conditioned(3, 3),
    conditioned(4, 2),
    conditioned(2, 2, 3),
    sample(literal([[1.0, 2.0], [2.0, 4.0]]), grad=False),
    sample(literal([[3.0, 0.0], [0.0, 0.1]]), rtol=0.5, grad=False),
)
pinv.error_samples(*REFUSED, error(AttributeValueError, "not negative", real(), rtol=-1.0))


@pinv.reference
def _(a: Any, *, rtol: float | None) -> Any:
    def inverse(a: Any) -> Any:
        values, v = np.linalg.eigh(np.conj(a.T) @ a)
        kept = values > max(rtol or 0.0, 1e-7) ** 2 * values.max()
        return (v[:, kept] / values[kept]) @ np.conj(v[:, kept].T) @ np.conj(a.T)

    return each(inverse)(a)


pinv.terms(roundings)
