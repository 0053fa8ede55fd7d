"""Mathematics of ``tf``: values against NumPy, in a graph of generation 1 and eagerly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

A = np.array([[0.5, 1.5, 2.25], [3.0, 0.25, 4.5]], np.float32)
B = np.array([[2.0, 0.5, 1.0], [1.5, 3.0, 0.75]], np.float32)
M = np.arange(12, dtype=np.float32).reshape(3, 4) / 7
I2 = np.array([[-7, 7], [5, -3]], np.int32)
S = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]], np.float32)

#: An expression of tf and tensors, and what NumPy makes of the arrays.
TABLE: list[tuple[str, Any]] = [
    ("A + B", A + B), ("A - 1", A - 1), ("2.0 * A", 2 * A), ("A / B", A / B), ("A // B", A // B), ("A % B", A % B),
    ("A ** 2", A**2), ("-A", -A), ("abs(-A)", A), ("I2 / 2", I2 / 2), ("I2 // 2", I2 // 2), ("I2 % 2", I2 % 2),
    ("tf.math.divide(I2, 2)", I2 / 2),
    ("tf.compat.v1.div(I2, 2)", I2 // 2),
    ("tf.truncatediv(I2, 2)", np.fix(I2 / 2).astype(np.int32)),
    ("tf.truncatemod(I2, 2)", np.fmod(I2, 2)), ("tf.math.floormod(I2, -2)", np.mod(I2, -2)), ("A > B", A > B),
    ("tf.add(A, B)", A + B),
    ("tf.multiply(A, 2.0)", A * 2),
    ("tf.pow(A, B)", A**B),
    ("tf.maximum(A, 1.0)", np.maximum(A, 1)),
    ("tf.equal(I2, 7)", I2 == 7), ("tf.logical_and(A > 1, B > 1)", (A > 1) & (B > 1)), ("tf.exp(A)", np.exp(A)),
    ("tf.math.log(A)", np.log(A)), ("tf.math.rsqrt(A)", 1 / np.sqrt(A)), ("tf.sigmoid(A)", 1 / (1 + np.exp(-A))),
    ("tf.round([0.5, 1.5, 2.5, -0.5])", np.array([0, 2, 2, -0], np.float32)), ("tf.sign(A - 1)", np.sign(A - 1)),
    ("tf.cast(A * 2.7, tf.int32)", (A * 2.7).astype(np.int32)), ("tf.cast(I2, tf.bool)", I2 != 0),
    ("tf.saturate_cast(A * 100, tf.uint8)", np.clip(A * 100, 0, 255).astype(np.uint8)),
    ("tf.clip_by_value(A, 0.5, 1.5)", np.clip(A, 0.5, 1.5)), ("tf.complex(A, B)", (A + 1j * B).astype(np.complex64)),
    ("tf.abs(tf.complex(A, B))", np.hypot(A, B)), ("tf.add_n([A, B, A])", 2 * A + B),
    ("tf.math.divide_no_nan(A, A - A)", np.zeros_like(A)), ("tf.math.xlogy(A - A, B - B)", np.zeros_like(A)),
    ("tf.math.squared_difference(A, B)", (A - B) ** 2),
    ("tf.math.lgamma(A)", np.vectorize(math.lgamma)(A).astype(np.float32)),
    ("tf.math.erf(A)", np.vectorize(math.erf)(A).astype(np.float32)), ("tf.math.softplus(A)", np.log1p(np.exp(A))),
    ("tf.math.polyval([2.0, 3.0, 1.0], A)", 2 * A**2 + 3 * A + 1),
    ("tf.math.bessel_i0(A)", np.i0(A).astype(np.float32)),
    ("tf.reduce_sum(A)", A.sum()),
    ("tf.reduce_sum(A, 0)", A.sum(0)),
    ("tf.reduce_sum(A, axis=1, keepdims=True)", A.sum(1, keepdims=True)),
    ("tf.reduce_sum(A, [0, 1])", A.sum()), ("tf.reduce_sum(A, axis=[])", A), ("tf.reduce_mean(I2)", np.int32(0)),
    ("tf.reduce_mean(A, -1)", A.mean(-1)), ("tf.reduce_max(A, 1)", A.max(1)), ("tf.reduce_prod(A)", A.prod()),
    ("tf.reduce_any(A > 4, 1)", (A > 4).any(1)), ("tf.reduce_logsumexp(A, 1)", np.log(np.exp(A).sum(1))),
    ("tf.math.reduce_std(A, 0)", A.std(0)),
    ("tf.math.reduce_variance(A)", A.var()),
    ("tf.math.count_nonzero(I2)", np.int64(4)),
    ("tf.argmax(A, 1)", A.argmax(1)),
    ("tf.argmax(A)", A.argmax(0)),
    ("tf.argmin(A, 1, output_type=tf.int32)", A.argmin(1).astype(np.int32)),
    ("tf.cumsum(A, 1)", A.cumsum(1)), ("tf.cumsum(A, 0, exclusive=True)", np.array([[0] * 3, A[0]], np.float32)),
    ("tf.math.cumprod(A, 1, reverse=True)", A[:, ::-1].cumprod(1)[:, ::-1]), ("tf.matmul(A, M)", A @ M),
    ("tf.matmul(A, B, transpose_b=True)", A @ B.T), ("tf.tensordot(A, B, [[0, 1], [0, 1]])", (A * B).sum()),
    ("tf.einsum('ij,jk->ik', A, M)", A @ M),
    ("tf.norm(A)", np.linalg.norm(A)),
    ("tf.norm(A, ord=1, axis=1)", np.abs(A).sum(1)),
    ("tf.linalg.inv(S)", np.linalg.inv(S)),
    ("tf.linalg.det(S)", np.linalg.det(S)),
    ("tf.linalg.cholesky(S)", np.linalg.cholesky(S)),
    ("tf.linalg.solve(S, M)", np.linalg.solve(S, M)),
    ("tf.linalg.diag(A)[1]", np.diag(A[1])),
    ("tf.linalg.trace(S)", np.trace(S)),
    ("tf.linalg.band_part(M, 0, -1)", np.triu(M)), ("tf.linalg.band_part(S, 1, 0)", np.tril(np.triu(S, -1))),
    ("tf.linalg.expm(S * 0.0)", np.eye(3, dtype=np.float32)), ("tf.linalg.logdet(S)", np.log(np.linalg.det(S))),
    ("tf.linalg.svd(M, compute_uv=False)", np.linalg.svd(M, compute_uv=False)),
    ("tf.linalg.eigvalsh(S)", np.linalg.eigvalsh(S)),
    ("tf.clip_by_norm(A, 1.0)", A / np.linalg.norm(A)),
    ("tf.linalg.global_norm([A, B])", np.sqrt((A**2).sum() + (B**2).sum())),
    ("tf.clip_by_global_norm([A, B], 1.0)[0][0]", A / np.sqrt((A**2).sum() + (B**2).sum())),
    ("tf.math.segment_sum(M, [0, 0, 2])", np.stack([M[0] + M[1], 0 * M[0], M[2]])),
    ("tf.math.unsorted_segment_mean(M, [1, -1, 1], 3)", np.stack([0 * M[0], (M[0] + M[2]) / 2, 0 * M[0]])),
    ("tf.bitwise.bitwise_and(I2, 3)", I2 & 3),
    ("tf.math.l2_normalize(A, 1)", A / np.linalg.norm(A, axis=1, keepdims=True)),
    ("tf.math.top_k(A, 2)[1]", np.array([[2, 1], [2, 0]], np.int32)),
    ("tf.math.bincount([1, 1, 3])", np.array([0, 2, 0, 1], np.int32)),
    ("tf.math.confusion_matrix([0, 1, 1], [0, 1, 0])", np.array([[1, 0], [1, 1]], np.int32)),
    ("tf.math.softmax(A)", np.exp(A) / np.exp(A).sum(1, keepdims=True)),
    ("tf.math.invert_permutation([2, 0, 1])", np.array([1, 2, 0], np.int32)),
]  # fmt: skip


def _tensors(tf: Any) -> dict[str, Any]:
    return {
        "tf": tf,
        **{name: tf.constant(value) for name, value in {"A": A, "B": B, "M": M, "I2": I2, "S": S}.items()},
    }


def _check(found: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    if expected.dtype.kind in "fc":
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("expression", "expected"), TABLE, ids=[e for e, _ in TABLE])
def test_in_a_graph(tf1: Any, expression: str, expected: Any) -> None:
    tensor = eval(expression, _tensors(tf1))
    assert tf1.TensorShape(np.shape(expected)).is_compatible_with(tensor.get_shape())
    _check(np.asarray(tf1.Session().run(tensor)), expected)


@pytest.mark.parametrize(("expression", "expected"), TABLE, ids=[e for e, _ in TABLE])
def test_eagerly(tf2: Any, expression: str, expected: Any) -> None:
    _check(np.asarray(eval(expression, _tensors(tf2)).numpy()), expected)


#: Names and arguments that later versions dropped.
OLD: list[tuple[str, Any]] = [
    ("tf.mul(A, B)", A * B), ("tf.sub(A, B)", A - B), ("tf.neg(A)", -A), ("tf.pack([A, B])", np.stack([A, B])),
    ("tf.unpack(M)[1]", M[1]), ("tf.concat(0, [A, B])", np.concatenate([A, B])), ("tf.split(1, 2, M)[1]", M[:, 2:]),
    ("tf.select(A > 1, A, B)", np.where(A > 1, A, B)),
    ("tf.batch_matmul(A, M)", A @ M),
    ("tf.complex_abs(tf.complex(A, B))", np.hypot(A, B)),
    ("tf.inv(A)", 1 / A), ("tf.reduce_sum(A, reduction_indices=1, keep_dims=True)", A.sum(1, keepdims=True)),
    ("tf.argmax(A, dimension=1)", A.argmax(1)),
    ("tf.expand_dims(A, dim=0)", A[None]),
    ("tf.squeeze(A[None], squeeze_dims=[0])", A),
    ("tf.to_int32(A)", A.astype(np.int32)), ("tf.lin_space(0.0, 1.0, 3)", np.array([0, 0.5, 1], np.float32)),
    ("tf.reverse(A, [False, True])", A[:, ::-1]), ("tf.diag([1.0, 2.0])", np.diag([1.0, 2.0]).astype(np.float32)),
    ("tf.matrix_inverse(S)", np.linalg.inv(S)), ("tf.where([True, False], A, B)", np.stack([A[0], B[1]])),
    ("tf.listdiff([1, 2, 3], [2])[0]", np.array([1, 3], np.int32)), ("tf.accumulate_n([A, B])", A + B),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), OLD, ids=[e for e, _ in OLD])
def test_old_names_and_arguments(tf1: Any, expression: str, expected: Any) -> None:
    _check(np.asarray(tf1.Session().run(eval(expression, _tensors(tf1)))), expected)


def test_both_spellings_of_an_argument(tf1: Any) -> None:
    with pytest.raises(ValueError, match="Cannot specify both 'axis' and 'reduction_indices'"):
        tf1.reduce_sum(A, axis=0, reduction_indices=1)
