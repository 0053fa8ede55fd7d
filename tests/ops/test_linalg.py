"""Linear algebra by what defines each decomposition, and gradients against PyTorch.

Samples, references, finite differences and errors of each op are tested from the table.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn import linalg
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import Tolerance

DTYPES = ["float32", "float64", "complex64", "complex128"]
SHAPES = [(4, 4), (5, 3), (3, 5), (2, 3, 3), (2, 1, 4, 2), (1, 1), (3, 1), (1, 3)]
SQUARES = [(4, 4), (2, 3, 3), (1, 1), (2, 3, 2, 2)]
CLOSE = {
    "float32": Tolerance(1e-4, 1e-4),
    "float64": Tolerance(1e-10, 1e-11),
    "complex64": Tolerance(1e-4, 1e-4),
    "complex128": Tolerance(1e-10, 1e-11),
}


def _random(shape, dtype="float64", seed=0):
    """Matrices of condition at most 4."""
    generator = np.random.default_rng([seed, *shape])
    count = min(shape[-2:])

    def orthonormal(extent):
        x = generator.normal(size=(*shape[:-2], extent, extent))
        if np.dtype(dtype).kind == "c":
            x = x + 1j * generator.normal(size=x.shape)
        return np.linalg.qr(x)[0]

    left, right = orthonormal(shape[-2])[..., :count], orthonormal(shape[-1])[..., :count, :]
    return (left * np.linspace(4, 1, count) @ right).astype(dtype)


def _adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def _positive(shape, dtype="float64"):
    x = _random(shape, dtype).astype("complex128" if np.dtype(dtype).kind == "c" else "float64")
    return (x @ _adjoint(x)).astype(dtype)


def _leading(v):
    """The leading component of each column, as the ops define it."""
    size = np.abs(v)
    first = np.argmax(size >= 0.9 * size.max(-2, keepdims=True), axis=-2)
    return np.take_along_axis(v, first[..., None, :], -2)


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_qr(shape, dtype):
    a = _random(shape, dtype)
    q, r = (t.numpy() for t in linalg.qr(a))
    count = min(shape[-2:])
    assert q.shape == (*shape[:-1], count) and r.shape == (*shape[:-2], count, shape[-1])
    assert q.dtype == r.dtype == dtype
    assert_close(q @ r, a, CLOSE[dtype])
    assert_close(_adjoint(q) @ q, np.broadcast_to(np.eye(count), (*shape[:-2], count, count)), CLOSE[dtype])
    assert_close(r, np.triu(r), Tolerance(0, 0))
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    assert (diagonal.real > 0).all()
    assert_close(diagonal.imag, np.zeros(diagonal.shape), CLOSE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_svd(shape, dtype):
    a = _random(shape, dtype)
    u, s, vh = (t.numpy() for t in linalg.svd(a))
    count = min(shape[-2:])
    one = np.broadcast_to(np.eye(count), (*shape[:-2], count, count))
    assert s.dtype == np.abs(a).dtype and u.dtype == vh.dtype == dtype
    assert_close((u * s[..., None, :]) @ vh, a, CLOSE[dtype])
    assert_close(_adjoint(u) @ u, one, CLOSE[dtype])
    assert_close(vh @ _adjoint(vh), one, CLOSE[dtype])
    assert_close(s, np.broadcast_to(np.linspace(4, 1, count), s.shape), CLOSE[dtype])
    assert (_leading(u).real > 0).all()
    assert_close(linalg.svdvals(a).numpy(), s, Tolerance(0, 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARES)
def test_eigh(shape, dtype):
    a = _positive(shape, dtype)
    w, v = (t.numpy() for t in linalg.eigh(a))
    assert w.dtype == np.abs(a).dtype and v.dtype == dtype
    assert (np.diff(w) >= 0).all()
    assert_close(a @ v, v * w[..., None, :], CLOSE[dtype].scaled(10.0))
    assert_close(_adjoint(v) @ v, np.broadcast_to(np.eye(shape[-1]), shape), CLOSE[dtype])
    assert (_leading(v).real > 0).all()
    assert_close(linalg.eigvalsh(a).numpy(), w, Tolerance(0, 0))


def test_signs_do_not_hang_on_rounding():
    """The eigenvectors of [[2, 1], [1, 2]] have components of one modulus, whose rounding must not choose the sign."""
    for scale in (1.0, 1.1, 0.3, 7.7):
        vectors = linalg.eigh(np.array([[2.0, 1.0], [1.0, 2.0]]) * scale)[1].numpy()
        assert_close(vectors * np.sqrt(2), [[1, 1], [-1, 1]], CLOSE["float64"])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("shape", SQUARES)
def test_cholesky(shape, upper, dtype):
    a = _positive(shape, dtype)
    factor = linalg.cholesky(a, upper=upper).numpy()
    low = _adjoint(factor) if upper else factor
    assert_close(low, np.tril(low), Tolerance(0, 0))
    assert_close(low @ _adjoint(low), a, CLOSE[dtype].scaled(10.0))


@pytest.mark.parametrize("name", ["cholesky", "eigh"])
def test_both_triangles_count(name):
    a = _positive((3, 3))
    skew = np.triu(np.ones((3, 3)), 1) * 0.2
    found, expected = getattr(linalg, name)(a + skew - skew.T), getattr(linalg, name)(a)
    for x, y in zip(*((t if isinstance(t, tuple) else (t,)) for t in (found, expected)), strict=True):
        assert_close(x.numpy(), y.numpy(), CLOSE["float64"])


SYSTEMS = [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 1, 2, 2), (3, 2, 4))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize(("left", "right"), SYSTEMS)
def test_solve(left, right, adjoint, dtype):
    a = _random(left, dtype)
    b = _random(right, dtype, 1) if len(right) > 1 else _random((right[0], 1), dtype, 1)[:, 0]
    x = linalg.solve(a, b, adjoint=adjoint).numpy()
    matrix = _adjoint(a) if adjoint else a
    product = np.einsum("...ij,...j->...i", matrix, x) if b.ndim == 1 else matrix @ x
    assert_close(product, np.broadcast_to(b, product.shape), CLOSE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_triangular_solve_is_scipys(lower, adjoint, unit, dtype):
    a, b = _random((4, 4), dtype) + 3 * np.eye(4, dtype=dtype), _random((4, 2), dtype, 1)
    found = linalg.triangular_solve(a, b, lower=lower, adjoint=adjoint, unit_diagonal=unit).numpy()
    expected = scipy.linalg.solve_triangular(a, b, trans="C" if adjoint else "N", lower=lower, unit_diagonal=unit)
    assert_close(found, expected, CLOSE[dtype].scaled(5.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARES)
def test_inv_det_and_slogdet(shape, dtype):
    a = _random(shape, dtype)
    assert_close(linalg.inv(a).numpy() @ a, np.broadcast_to(np.eye(shape[-1]), shape), CLOSE[dtype])
    expected = np.linalg.det(a.astype("complex128"))
    assert_close(linalg.det(a).numpy(), expected, CLOSE[dtype])
    sign, log = (t.numpy() for t in linalg.slogdet(a))
    assert log.dtype == np.abs(a).dtype
    assert_close(sign * np.exp(log), expected, CLOSE[dtype].scaled(5.0))


def test_a_singular_matrix_has_a_determinant():
    a = [[1.0, 2.0], [2.0, 4.0]]
    assert linalg.det(a).item() == 0.0
    assert [t.item() for t in linalg.slogdet(a)] == [0.0, -np.inf]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_pinv(shape, dtype):
    a = _random(shape, dtype)
    p = linalg.pinv(a).numpy()
    assert_close(a @ p @ a, a, CLOSE[dtype])
    assert_close(p @ a @ p, p, CLOSE[dtype])
    assert_close(_adjoint(a @ p), a @ p, CLOSE[dtype])
    assert_close(_adjoint(p @ a), p @ a, CLOSE[dtype])


def test_pinv_leaves_small_singular_values_out():
    a = np.diag([2.0, 1e-3])
    assert_close(linalg.pinv(a, rtol=1e-2).numpy(), np.diag([0.5, 0.0]), CLOSE["float64"])
    assert_close(linalg.pinv(a, rtol=1e-4).numpy(), np.diag([0.5, 1e3]), CLOSE["float64"])


@pytest.mark.parametrize("shape", SQUARES)
@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 5, 10])
def test_matrix_power_is_numpys(shape, n):
    a = _random(shape) / 4
    assert_close(linalg.matrix_power(a, n).numpy(), np.linalg.matrix_power(a, n), Tolerance(1e-8, 1e-11))


@pytest.mark.parametrize("name", ["inv", "cholesky"])
@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0)])
def test_matrices_of_no_elements(name, shape):
    assert getattr(linalg, name)(np.zeros(shape)).shape == shape
    assert linalg.det(np.zeros(shape)).numpy().tolist() == np.ones(shape[:-2]).tolist()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**31))
def test_qr_and_svd_of_random_matrices(rows, columns, seed):
    a = np.random.default_rng(seed).normal(size=(rows, columns))
    q, r = linalg.qr(a)
    u, s, vh = linalg.svd(a)
    assert_close((q @ r).numpy(), a, CLOSE["float64"])
    assert_close(((u * s) @ vh).numpy(), a, CLOSE["float64"])


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: linalg.inv(np.ones((2, 2))), "inv: a matrix is singular"),
        (lambda: linalg.solve(np.ones((2, 2)), np.ones(2)), "solve: a matrix is singular"),
        (lambda: linalg.triangular_solve(np.zeros((2, 2)), np.ones(2)), "triangular_solve: a matrix is singular"),
        (lambda: linalg.cholesky(-np.eye(2)), "not positive definite"),
        (lambda: linalg.svd(np.full((2, 2), np.nan)), "did not converge"),
        (lambda: linalg.matrix_power(np.eye(2), 0.5), "n must be an int"),
    ],
)
def test_matrices_that_cannot_be_treated(call, words):
    with pytest.raises(AttributeValueError, match=words) as caught:
        call()
    assert "test_linalg.py" in str(caught.value)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["inv", "det", "slogdet", "cholesky", "qr", "eigh", "svd", "pinv"])
def test_half_precision_is_refused_with_advice(name, dtype):
    with pytest.raises(DTypeError, match=r"dtype='float32'"):
        getattr(linalg, name)(corenn.ones((2, 2), dtype))


def test_matrix_power_of_rectangles():
    with pytest.raises(ShapeError, match="square"):
        linalg.matrix_power(np.ones((2, 3)), 2)


# ---------------------------------------------------------------- gradients against PyTorch


def _compare_gradients(ours, theirs, arrays):
    """Gradients of two real-valued functions of the same arrays."""
    torch = pytest.importorskip("torch")
    expected_inputs = [torch.tensor(x, requires_grad=True) for x in arrays]
    theirs(torch, *expected_inputs).backward()
    inputs = [corenn.tensor(x) for x in arrays]
    with corenn.GradientTape() as tape:
        tape.watch(inputs)
        value = ours(*inputs)
    for found, expected in zip(tape.gradient(value, inputs), expected_inputs, strict=True):
        assert_close(found.numpy(), expected.grad.numpy(), Tolerance(1e-8, 1e-9))


def _weight(shape, dtype="float64"):
    x = np.random.default_rng(5).normal(size=shape)
    return (x + 1j * np.random.default_rng(6).normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def _ours(t):
    """|sum of t times fixed weights| squared: real, and it sees the phase of every element."""
    total = corenn.sum(t * _weight(t.shape, t.dtype.numpy))
    return corenn.sum(corenn.abs(total) ** 2)


def _theirs(torch, t):
    kind = "complex128" if t.dtype.is_complex else "float64"
    return (t * torch.tensor(_weight(tuple(t.shape), kind))).sum().abs() ** 2


WIDE_DTYPES = ["float64", "complex128"]


@pytest.mark.parametrize("dtype", WIDE_DTYPES)
@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize(("left", "right"), [s for s in SYSTEMS if len(s[0]) == 2 or len(s[1]) > 1])
def test_gradients_of_solve(left, right, adjoint, dtype):
    a = _random(left, dtype)
    b = _random(right, dtype, 1) if len(right) > 1 else _random((right[0], 1), dtype, 1)[:, 0]
    _compare_gradients(
        lambda a, b: _ours(linalg.solve(a, b, adjoint=adjoint)),
        lambda torch, a, b: _theirs(torch, torch.linalg.solve(a.mH if adjoint else a, b)),
        [a, b],
    )  # fmt: skip


@pytest.mark.parametrize("dtype", WIDE_DTYPES)
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_gradients_of_triangular_solve(lower, adjoint, unit, dtype):
    def theirs(torch, a, b):
        triangle, upper = (a.tril(), False) if lower else (a.triu(), True)
        if adjoint:
            triangle, upper = triangle.mH, not upper
        return _theirs(torch, torch.linalg.solve_triangular(triangle, b, upper=upper, unitriangular=unit))

    _compare_gradients(
        lambda a, b: _ours(linalg.triangular_solve(a, b, lower=lower, adjoint=adjoint, unit_diagonal=unit)),
        theirs, [_random((3, 3), dtype) + 3 * np.eye(3), _random((3, 2), dtype, 1)],
    )  # fmt: skip


@pytest.mark.parametrize("dtype", WIDE_DTYPES)
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)])
@pytest.mark.parametrize("name", ["inv", "det", "slogdet"])
def test_gradients_of_inv_and_determinants(name, shape, dtype):
    def both(value, real):
        return value if not isinstance(value, tuple) else value[0] + real(value[1])

    _compare_gradients(
        lambda a: _ours(both(getattr(linalg, name)(a), lambda t: t.cast(dtype))),
        lambda torch, a: _theirs(torch, both(tuple(r) if isinstance(r := getattr(torch.linalg, name)(a), tuple) else r,
                                             lambda t: t)),
        [_random(shape, dtype)],
    )  # fmt: skip


@pytest.mark.parametrize("dtype", WIDE_DTYPES)
@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3), (2, 2, 3)])
def test_gradients_of_pinv(shape, dtype):
    _compare_gradients(
        lambda a: _ours(linalg.pinv(a)), lambda torch, a: _theirs(torch, torch.linalg.pinv(a)),
        [_random(shape, dtype)],
    )  # fmt: skip


@pytest.mark.parametrize("dtype", WIDE_DTYPES)
@pytest.mark.parametrize("upper", [False, True])
def test_gradients_of_cholesky(upper, dtype):
    _compare_gradients(
        lambda a: _ours(linalg.cholesky(a, upper=upper)),
        lambda torch, a: _theirs(torch, torch.linalg.cholesky((a + a.mH) / 2, upper=upper)),
        [_positive((3, 3), dtype)],
    )  # fmt: skip


@pytest.mark.parametrize("dtype", WIDE_DTYPES)
@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (2, 4), (2, 2, 3)])
def test_gradients_of_qr(shape, dtype):
    def theirs(torch, a):
        q, r = torch.linalg.qr(a)
        phase = torch.diagonal(r, dim1=-2, dim2=-1).sgn().detach()  # LAPACK's diagonal is real
        return _theirs(torch, q * phase[..., None, :]) + _theirs(torch, r * phase.conj()[..., :, None])

    def ours(a):
        q, r = linalg.qr(a)
        return _ours(q) + _ours(r)

    _compare_gradients(ours, theirs, [_random(shape, dtype)])


@pytest.mark.parametrize("dtype", WIDE_DTYPES)
@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (2, 4), (2, 2, 3)])
def test_gradients_of_svd(shape, dtype):
    def theirs(torch, a):
        u, s, vh = torch.linalg.svd(a, full_matrices=False)
        weight = torch.tensor(_weight(tuple(u.shape)))
        return ((u * weight).abs() ** 2).sum() + _theirs(torch, (u * s[..., None, :] ** 2) @ vh)

    def ours(a):
        u, s, vh = linalg.svd(a)
        weighted = corenn.sum(corenn.abs(u * corenn.tensor(_weight(u.shape, dtype).real, dtype=dtype)) ** 2)
        return weighted + _ours((u * (s[..., None, :] ** 2).cast(dtype)) @ vh)

    _compare_gradients(ours, theirs, [_random(shape, dtype)])


@pytest.mark.parametrize("dtype", WIDE_DTYPES)
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)])
def test_gradients_of_eigh(shape, dtype):
    def theirs(torch, a):
        w, v = torch.linalg.eigh((a + a.mH) / 2)
        weight = torch.tensor(_weight(tuple(v.shape)))
        return ((v * weight).abs() ** 2).sum() + _theirs(torch, (v * w[..., None, :] ** 2) @ v.mH)

    def ours(a):
        w, v = linalg.eigh(a)
        weighted = corenn.sum(corenn.abs(v * corenn.tensor(_weight(v.shape, dtype).real, dtype=dtype)) ** 2)
        adjoint = corenn.matrix_transpose(v)
        adjoint = corenn.conj(adjoint) if dtype == "complex128" else adjoint
        return weighted + _ours((v * (w[..., None, :] ** 2).cast(dtype)) @ adjoint)

    _compare_gradients(ours, theirs, [_positive(shape, dtype)])


def _gradient_at_equal_values(name, loss, diagonal):
    """The gradient of ``loss(values, vectors)`` at a diagonal matrix; the vectors are columns."""
    a = corenn.tensor(np.diag(diagonal))
    with corenn.GradientTape() as tape:
        tape.watch(a)
        parts = getattr(linalg, name)(a)
        values, vectors = (parts[1], parts[0]) if name == "svd" else parts
        total = loss(values, vectors)
    return tape.gradient(total, a).numpy()


@pytest.mark.parametrize("name", ["eigh", "svd"])
def test_equal_values_have_gradients_themselves(name):
    found = _gradient_at_equal_values(name, lambda values, vectors: corenn.sum(values), [2.0, 2.0, 2.0])
    assert_close(found, np.eye(3), CLOSE["float64"])


@pytest.mark.parametrize(("name", "diagonal", "lone"), [("eigh", [1.0, 1.0, 3.0], 2), ("svd", [3.0, 1.0, 1.0], 0)])
def test_a_vector_of_its_own_value_has_a_gradient_beside_equal_ones(name, diagonal, lone):
    found = _gradient_at_equal_values(name, lambda values, vectors: corenn.sum(vectors[:, lone]), diagonal)
    assert np.isfinite(found).all() and np.abs(found).max() > 0.1


@pytest.mark.parametrize("name", ["eigh", "svd"])
def test_vectors_of_equal_values_have_none(name):
    found = _gradient_at_equal_values(name, lambda values, vectors: corenn.sum(vectors * values), [2.0, 2.0, 2.0])
    assert np.isnan(found).any()


def test_the_gradient_of_a_vector_beside_batches_adds_up():
    a, b = corenn.tensor(_random((2, 3, 3))), corenn.tensor(_random((3, 1))[:, 0])
    with corenn.GradientTape() as tape:
        tape.watch(b)
        total = corenn.sum(linalg.solve(a, b))
    expected = np.linalg.inv(a.numpy()).sum(axis=(0, 1))
    assert_close(tape.gradient(total, b).numpy(), expected, CLOSE["float64"])
