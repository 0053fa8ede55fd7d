"""Matrix decompositions, of matrices in the last two axes.

Where mathematics leaves a choice (signs of eigenvectors and of the columns of Q), the op makes it, so that every
backend returns the same.

Gradients: I. Murray, "Differentiation of the Cholesky decomposition" (arXiv:1602.07527); S. Walter & L. Lehmann,
"Algorithmic differentiation of linear algebra functions" (arXiv:1001.1654) for QR; M. Giles, "An extended collection of
matrix derivative results for forward and reverse mode algorithmic differentiation" (Oxford, 2008) for eigh and svd;
the phases of complex vectors follow from them by requiring that the result stays one of its kind.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.dtypes import COMPLEX
from corenn.errors import AttributeValueError
from corenn.ops._linalg import (
    DIVERGED,
    DTYPES,
    NOT_SQUARE,
    REAL_OF,
    REFUSED,
    adjoint_array,
    adjoint_of,
    beside,
    check_matrices,
    conditioned,
    each,
    half_lower,
    hermitian,
    off_diagonal,
    phases_of,
    quotient,
    refusing,
    roundings,
    same_square,
    square_extent,
    times,
    unit_of,
)
from corenn.ops.arranging import diag_embed, diagonal
from corenn.ops.elementwise import add, conj, multiply, square, subtract
from corenn.ops.equations import triangular_solve
from corenn.ops.sampling import error, literal, sample, spd
from corenn.ops.shaping import concatenate, expand_dims
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor


@op(infer=same_square, dtypes=DTYPES, namespace="linalg")
def cholesky(a: TensorLike, /, *, upper: bool = False) -> Tensor:
    """The lower triangular ``l`` with ``l @ adjoint(l) == a`` and a positive diagonal, for positive definite matrices
    [..., n, n]; with ``upper`` its adjoint.

    It is that of ``(a + adjoint(a)) / 2``, so both triangles count.  Raises AttributeValueError when that is not
    positive definite and the backend detects it.
    """


@cholesky.kernel
@refusing(
    "the matrix is not positive definite", "is it a covariance or a Gram matrix?  a small multiple of eye(n) may help"
)
def _cholesky_kernel(xp: Any, a: Any, *, upper: bool, device: Any) -> Any:
    return xp.linalg.cholesky((a + adjoint_array(xp, a)) * 0.5, upper=upper)


@cholesky.vjp
def _(g: Tensor, out: Tensor, upper: bool) -> Tensor:
    low, gl = (adjoint_of(out), adjoint_of(g)) if upper else (out, g)
    inner = triangular_solve(low, half_lower(times(low, gl, adjoint_a=True)), adjoint=True)
    return hermitian(triangular_solve(low, adjoint_of(inner), adjoint=True))


cholesky.samples(spd(3), sample(spd(2, (2,)), upper=True), sample(spd(1)))
cholesky.error_samples(
    NOT_SQUARE, *REFUSED, error(AttributeValueError, "not positive definite", literal([[1.0, 2.0], [2.0, 1.0]]))
)


@cholesky.reference
def _(a: Any, *, upper: bool) -> Any:
    def factor(a: Any) -> Any:
        low = np.zeros_like(a)
        for j in range(len(a)):
            for i in range(j, len(a)):
                rest = a[i, j] - low[i, :j] @ np.conj(low[j, :j])
                low[i, j] = np.sqrt(rest) if i == j else rest / low[j, j]
        return np.conj(low.T) if upper else low

    return each(factor)((a + np.conj(np.swapaxes(a, -1, -2))) / 2)


cholesky.terms(roundings)


def _qr(call: Call, a: Spec) -> tuple[Spec, Spec]:
    check_matrices(call, a)
    rows, columns = a.static[-2:]
    count = min(rows, columns)
    return Spec((*a.shape[:-2], rows, count), a.dtype), Spec((*a.shape[:-2], count, columns), a.dtype)


@op(infer=_qr, dtypes=DTYPES, results=("q", "r"), namespace="linalg")
def qr(a: TensorLike, /) -> tuple[Tensor, Tensor]:
    """Reduced QR decomposition of matrices [..., m, n]: ``q`` [..., m, k] with orthonormal columns, ``r`` [..., k, n]
    upper triangular with a diagonal that is real and not negative, ``q @ r == a``, k = min(m, n).

    The gradient needs the first k columns to be independent.
    """


@qr.kernel
@DIVERGED
def _qr_kernel(xp: Any, a: Any, *, device: Any) -> Any:
    q, r = xp.linalg.qr(a, mode="reduced")
    count = min(a.shape[-2:])
    unit = xp.eye(count, a.shape[-1], dtype=a.dtype, device=device)
    phases = unit_of(xp, xp.sum(r * unit, axis=-1))
    back = xp.conj(phases) if xp.isdtype(a.dtype, "complex floating") else phases
    return q * xp.expand_dims(back, axis=-2), r * xp.expand_dims(phases, axis=-1)


@qr.vjp
def _(g: tuple[Tensor, Tensor], out: tuple[Tensor, Tensor]) -> Tensor:
    (gq, gr), (q, r) = g, out
    count, columns = r.shape[-2:]
    if columns == count:
        return _qr_gradient(gq, gr, q, r)
    # a = [x | y] with x square: q and the left of r are those of x, the right of r is adjoint(q) @ y
    left, right = (slice(None), slice(0, count)), (slice(None), slice(count, None))
    gr_right = gr[(..., *right)]
    through_q = add(gq, times(times(q, r[(..., *right)]), gr_right, adjoint_b=True))
    gx = _qr_gradient(through_q, gr[(..., *left)], q, r[(..., *left)])
    return concatenate(gx, times(q, gr_right), axis=-1)


def _qr_gradient(gq: Tensor, gr: Tensor, q: Tensor, r: Tensor) -> Tensor:
    m = subtract(times(r, gr, adjoint_b=True), times(gq, q, adjoint_a=True))
    half = half_lower(m)
    b = add(gq, times(q, add(half, adjoint_of(half))))
    return adjoint_of(triangular_solve(r, adjoint_of(b), lower=False))


qr.samples(conditioned(3, 3), conditioned(4, 2), conditioned(2, 2, 3), conditioned(1, 3))
qr.error_samples(*REFUSED)


@qr.reference
@each
def _(a: Any) -> Any:
    q = np.zeros((len(a), min(a.shape)), a.dtype)
    for j in range(q.shape[1]):  # Gram-Schmidt, twice is enough
        column = a[:, j]
        for _ in range(2):
            column = column - q[:, :j] @ (np.conj(q[:, :j].T) @ column)
        q[:, j] = column / np.linalg.norm(column)
    return q, np.triu(np.conj(q.T) @ a)


qr.terms(roundings)


def _eigh(call: Call, a: Spec) -> tuple[Spec, Spec]:
    square_extent(call, a)
    return Spec(a.shape[:-1], REAL_OF.get(a.dtype, a.dtype)), a.at(None)


@op(infer=_eigh, dtypes=DTYPES, results=("eigenvalues", "eigenvectors"), namespace="linalg")
def eigh(a: TensorLike, /) -> tuple[Tensor, Tensor]:
    """Eigenvalues [..., n], real and ascending, and eigenvectors [..., n, n], the columns, of Hermitian matrices.

    They are those of ``(a + adjoint(a)) / 2``, so both triangles count.  Of each eigenvector the leading component
    (the first of at least 0.9 of the largest modulus) is real and positive.  Eigenvectors of equal eigenvalues have
    no gradient: NaN comes back where one is asked for.  Complex vectors have one up to their phase.
    """


@eigh.kernel
@DIVERGED
def _eigh_kernel(xp: Any, a: Any, *, device: Any) -> Any:
    values, vectors = xp.linalg.eigh((a + adjoint_array(xp, a)) * 0.5)
    return values, vectors * phases_of(xp, vectors, device)


@eigh.vjp
def _(g: tuple[Tensor, Tensor], out: tuple[Tensor, Tensor]) -> Tensor:
    (gw, gv), (w, v) = g, out
    gaps = beside(subtract(expand_dims(w, axis=-2), expand_dims(w, axis=-1)), v.dtype)
    inner = quotient(off_diagonal(times(v, gv, adjoint_a=True)), gaps)
    inner = add(inner, diag_embed(beside(gw, v.dtype)))
    return hermitian(times(times(v, inner), v, adjoint_b=True))


eigh.samples(spd(3), spd(2, (2,)), spd(1))
eigh.error_samples(NOT_SQUARE, *REFUSED)


def _lead_positive(v: Any) -> Any:
    """Columns with their leading component made real and positive."""
    size = np.abs(v)
    lead = [v[int(np.argmax(size[:, j] >= 0.9 * size[:, j].max())), j] for j in range(v.shape[1])]
    return np.array([np.conj(x) / abs(x) for x in lead])


@eigh.reference
@each
def _(a: Any) -> Any:
    a, vectors = (a + np.conj(a.T)) / 2, np.eye(len(a), dtype=a.dtype)
    for _ in range(60):  # QR iteration without shifts; the samples' eigenvalues are distinct and positive
        q, r = np.linalg.qr(a)
        a, vectors = r @ q, vectors @ q
    values = np.diag(a).real
    order = np.argsort(values)
    vectors = vectors[:, order]
    return values[order], vectors * _lead_positive(vectors)


eigh.terms(roundings)


def _svd(call: Call, a: Spec) -> tuple[Spec, Spec, Spec]:
    check_matrices(call, a)
    batch, (rows, columns) = a.shape[:-2], a.static[-2:]
    count = min(rows, columns)
    values = Spec((*batch, count), REAL_OF.get(a.dtype, a.dtype))
    return Spec((*batch, rows, count), a.dtype), values, Spec((*batch, count, columns), a.dtype)


@op(infer=_svd, dtypes=DTYPES, results=("u", "s", "vh"), namespace="linalg")
def svd(a: TensorLike, /) -> tuple[Tensor, Tensor, Tensor]:
    """Reduced singular value decomposition of matrices [..., m, n]: ``u`` [..., m, k], ``s`` [..., k], real and
    descending, ``vh`` [..., k, n], with ``(u * s[..., None, :]) @ vh == a``, k = min(m, n).

    Of each column of ``u`` the leading component (see ``eigh``) is real and positive.  Vectors of equal singular
    values have no gradient: NaN comes back where one is asked for.  Complex vectors have one up to their phase.
    """


@svd.kernel
@DIVERGED
def _svd_kernel(xp: Any, a: Any, *, device: Any) -> Any:
    u, s, vh = xp.linalg.svd(a, full_matrices=False)
    phases = phases_of(xp, u, device)
    back = xp.conj(phases) if xp.isdtype(a.dtype, "complex floating") else phases
    return u * phases, s, vh * xp.matrix_transpose(back)


@svd.vjp
def _(g: tuple[Tensor, Tensor, Tensor], out: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    (gu, gs, gvh), (u, s, vh) = g, out
    dtype = u.dtype
    row = beside(expand_dims(s, axis=-2), dtype)
    column = beside(expand_dims(s, axis=-1), dtype)
    gaps = subtract(square(row), square(column))
    by_u, by_v = times(u, gu, adjoint_a=True), times(vh, gvh, adjoint_b=True)
    turn_u, turn_v = (quotient(off_diagonal(x), gaps) for x in (by_u, by_v))
    turn_u, turn_v = add(turn_u, adjoint_of(turn_u)), add(turn_v, adjoint_of(turn_v))
    inner = add(multiply(turn_u, row), multiply(turn_v, column))
    middle = beside(gs, dtype)
    if dtype in COMPLEX:
        phase = diagonal(by_u)
        middle = add(middle, quotient(multiply(subtract(phase, conj(phase)), 0.5), beside(s, dtype)))
    ga = times(times(u, add(inner, diag_embed(middle))), vh)
    if u.shape[-2] > s.shape[-1]:
        ga = add(ga, times(quotient(subtract(gu, times(u, by_u)), row), vh))
    if vh.shape[-1] > s.shape[-1]:
        beyond = subtract(gvh, times(times(gvh, vh, adjoint_b=True), vh))
        ga = add(ga, times(u, quotient(beyond, column)))
    return ga


svd.samples(conditioned(3, 3), conditioned(4, 2), conditioned(2, 2, 3))
svd.error_samples(*REFUSED)


@svd.reference
@each
def _(a: Any) -> Any:
    tall = a if a.shape[0] >= a.shape[1] else np.conj(a.T)
    values, right = np.linalg.eigh(np.conj(tall.T) @ tall)
    s, right = np.sqrt(values[::-1]), right[:, ::-1]
    left = tall @ right / s
    u, v = (left, right) if tall is a else (right, left)
    phases = _lead_positive(u)
    return u * phases, s, np.conj((v * phases).T)


svd.terms(roundings)
