"""Shapes, slices, joins, gathers and text of ``tf``: values against NumPy, in a graph and eagerly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

A = np.arange(6, dtype=np.float32).reshape(2, 3)
B = A * 10
M = np.arange(12, dtype=np.float32).reshape(3, 4)
V = np.array([0.5, 1.5, 2.5, 3.5, 4.5], np.float32)
T = np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2)
i32 = np.int32


def _ints(*values: Any) -> Any:
    return np.array(values, i32)


#: An expression of tf and tensors (P is fed where its first extent is unknown, and equals A), and the value.
TABLE: list[tuple[str, Any]] = [
    ("tf.shape(P)", _ints(2, 3)),
    ("tf.shape(P, out_type=tf.int64)", np.array([2, 3])),
    ("tf.size(P)", i32(6)),
    ("tf.rank(P)", i32(2)),
    ("tf.reshape(P, [3, -1])", A.reshape(3, 2)), ("tf.reshape(P, [-1, tf.shape(P)[0]])", A.reshape(3, 2)),
    ("tf.reshape(P, tf.stack([tf.shape(P)[0], 3, 1]))", A[..., None]), ("tf.expand_dims(P, -1)", A[..., None]),
    ("tf.squeeze(A[None])", A),
    ("tf.squeeze(A[None], [0])", A),
    ("tf.transpose(P)", A.T),
    ("tf.transpose(T, [0, 3, 1, 2])", T.transpose(0, 3, 1, 2)),
    ("tf.concat([P, A], 0)", np.concatenate([A, A])), ("tf.concat([A, B], axis=-1)", np.concatenate([A, B], -1)),
    ("tf.stack([P, A], axis=1)", np.stack([A, A], 1)),
    ("tf.stack([1, 2])", _ints(1, 2)),
    ("tf.unstack(P, axis=1)[2]", A[:, 2]),
    ("tf.split(M, 2, 1)[1]", M[:, 2:]),
    ("tf.split(M, [1, 3], axis=1)[1]", M[:, 1:]),
    ("tf.split(P, 3, 1)[0]", A[:, :1]),
    ("tf.tile(P, [1, tf.shape(P)[0]])", np.tile(A, [1, 2])),
    ("tf.pad(P, [[1, 1], [0, 2]])", np.pad(A, [[1, 1], [0, 2]])),
    ("tf.pad(A, [[1, 1], [1, 1]], 'REFLECT')", np.pad(A, 1, "reflect")),
    ("tf.pad(A, [[1, 1], [1, 1]], mode='SYMMETRIC')", np.pad(A, 1, "symmetric")),
    ("tf.pad(A, [[0, 1], [0, 0]], constant_values=5.0)", np.pad(A, [[0, 1], [0, 0]], constant_values=5)),
    ("tf.reverse(A, [1])", A[:, ::-1]),
    ("tf.roll(M, [1, 2], [0, 1])", np.roll(M, [1, 2], [0, 1])),
    ("tf.where(A > 3)", np.argwhere(A > 3)),
    ("tf.where(A > 3, A, B)", np.where(A > 3, A, B)),
    ("tf.boolean_mask(P, P > 2)", A[A > 2]),
    ("tf.boolean_mask(M, [True, False, True])", M[[0, 2]]),
    ("tf.slice(M, [0, 1], [2, -1])", M[:2, 1:]), ("tf.slice(P, [0, 1], [tf.shape(P)[0], 2])", A[:, 1:]),
    ("tf.strided_slice(M, [0, 3], [3, 0], [2, -1])", M[::2, 3:0:-1]),
    ("M[1:, ::2]", M[1:, ::2]),
    ("M[..., -1]", M[..., -1]),
    ("P[:, tf.newaxis, 0]", A[:, None, 0]),
    ("M[tf.shape(P)[0]]", M[2]), ("M[: tf.shape(P)[0]]", M[:2]), ("P[0]", A[0]), ("tf.gather(M, [2, 0])", M[[2, 0]]),
    ("tf.gather(M, [[0, 1], [1, 0]], axis=1)", M[:, [[0, 1], [1, 0]]]),
    ("tf.gather(M, [[0], [1], [3]], batch_dims=1, axis=1)", M[[0, 1, 2], [0, 1, 3]][:, None]),
    ("tf.gather_nd(M, [[0, 1], [2, 3]])", np.array([1, 11], np.float32)),
    ("tf.scatter_nd([[1], [3], [1]], [9.0, 8.0, 1.0], [5])", np.array([0, 10, 0, 8, 0], np.float32)),
    ("tf.tensor_scatter_nd_update(V, [[1]], [9.0])", np.array([0.5, 9, 2.5, 3.5, 4.5], np.float32)),
    ("tf.one_hot([0, 2, -1], 3)", np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]], np.float32)),
    ("tf.one_hot([1], 2, True, False)", np.array([[False, True]])),
    ("tf.one_hot([[0, 1]], 2, 5.0, -1.0, axis=1)", np.array([[[5, -1], [-1, 5]]], np.float32)),
    ("tf.zeros([tf.shape(P)[0], 2])", np.zeros((2, 2), np.float32)),
    ("tf.ones_like(P)", np.ones_like(A)),
    ("tf.fill([2], 7)", _ints(7, 7)),
    ("tf.fill(tf.shape(P), 0.5)", np.full((2, 3), 0.5, np.float32)),
    ("tf.constant(3, shape=[2, 2])", np.full((2, 2), 3, i32)),
    ("tf.range(5)", np.arange(5, dtype=i32)),
    ("tf.range(1, 10, 3)", np.arange(1, 10, 3, dtype=i32)),
    ("tf.range(tf.shape(P)[1], 0, -1)", _ints(3, 2, 1)),
    ("tf.range(0.0, 1.0, 0.25)", np.arange(0, 1, 0.25, dtype=np.float32)),
    ("tf.linspace(0.0, 1.0, 5)", np.linspace(0, 1, 5, dtype=np.float32)),
    ("tf.eye(tf.shape(P)[0], 3)", np.eye(2, 3, dtype=np.float32)),
    ("tf.meshgrid([1, 2, 3], [4, 5])[1]", np.meshgrid([1, 2, 3], [4, 5])[1].astype(i32)),
    ("tf.sequence_mask([1, 3])", np.array([[1, 0, 0], [1, 1, 1]], bool)),
    ("tf.repeat(M, [1, 0, 2], axis=0)", np.repeat(M, [1, 0, 2], 0)),
    ("tf.broadcast_to(V, [2, 5])", np.broadcast_to(V, (2, 5))),
    ("tf.reverse_sequence(M, [1, 4, 2], seq_axis=1)", np.stack([M[0], M[1, ::-1], M[2, [1, 0, 2, 3]]])),
    ("tf.unique([3, 1, 3, 2])[0]", _ints(3, 1, 2)),
    ("tf.unique([3, 1, 3, 2])[1]", _ints(0, 1, 0, 2)),
    ("tf.sort([3.0, 1.0, 2.0], direction='DESCENDING')", np.array([3, 2, 1], np.float32)),
    ("tf.argsort([3.0, 1.0, 2.0])", _ints(1, 2, 0)),
    ("tf.searchsorted([1.0, 3.0, 5.0], [0.0, 3.0, 6.0], side='right')", _ints(0, 2, 3)),
    ("tf.dynamic_partition(V, [0, 1, 0, 1, 1], 2)[1]", V[[1, 3, 4]]),
    ("tf.dynamic_stitch([[0, 2], [1, 2]], [[1.0, 2.0], [3.0, 4.0]])", np.array([1, 3, 4], np.float32)),
    ("tf.compat.v1.space_to_depth(T, 2)[0, 0, 0]", np.array([0, 1, 2, 3, 8, 9, 10, 11], np.float32)),
    ("tf.compat.v1.depth_to_space(tf.compat.v1.space_to_depth(T, 2), 2)", T),
    ("tf.unravel_index([5, 2], [2, 3])", np.array([[1, 0], [2, 2]], i32)),
    ("tf.bitcast([1.0], tf.int32)", _ints(0x3F800000)),
    ("tf.sparse.to_dense(tf.SparseTensor([[0, 1], [1, 2]], [5.0, 6.0], [2, 3]))",
     np.array([[0, 5, 0], [0, 0, 6]], np.float32)),
    ("tf.sparse.sparse_dense_matmul(tf.SparseTensor([[0, 1]], [5.0], [1, 3]), M)", 5 * M[1:2]),
    ("tf.sets.intersection([[1, 2, 3]], [[2, 3, 4]]).values", _ints(2, 3)),
    ("tf.as_string([1, 20])", np.array([b"1", b"20"], object)),
    ("tf.as_string([1.5], precision=2)", np.array([b"1.50"], object)),
    ("tf.strings.join(['a', tf.constant(['b', 'c'])], separator='-')", np.array([b"a-b", b"a-c"], object)),
    ("tf.strings.length(['ab', 'cde'])", _ints(2, 3)),
    ("tf.compat.v1.string_split(['a b', 'c d e']).values", np.array([b"a", b"b", b"c", b"d", b"e"], object)),
    ("tf.strings.to_number(['1.5', '2'])", np.array([1.5, 2], np.float32)),
    ("tf.strings.substr('hello', 1, 3)", np.array(b"ell", object)),
    ("tf.strings.regex_replace('hello', 'l+', 'L')", np.array(b"heLo", object)),
    ("tf.equal(tf.constant(['a', 'b']), 'a')", np.array([True, False])), ("tf.constant('hi')", np.array(b"hi", object)),
]  # fmt: skip


def _tensors(tf: Any) -> dict[str, Any]:
    return {"tf": tf, **{name: tf.constant(value) for name, value in {"A": A, "B": B, "M": M, "V": V, "T": T}.items()}}


def _check(found: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    found = np.array(found, object) if expected.dtype == object else np.asarray(found)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("expression", "expected"), TABLE, ids=[e for e, _ in TABLE])
def test_in_a_graph(tf1: Any, expression: str, expected: Any) -> None:
    names = _tensors(tf1)
    names["P"] = tf1.placeholder(tf1.float32, [None, 3])
    tensor = eval(expression, names)
    assert tf1.TensorShape(np.shape(expected)).is_compatible_with(tensor.get_shape())
    _check(tf1.Session().run(tensor, {names["P"]: A}), expected)


@pytest.mark.parametrize(("expression", "expected"), TABLE, ids=[e for e, _ in TABLE])
def test_eagerly(tf2: Any, expression: str, expected: Any) -> None:
    names = _tensors(tf2)
    names["P"] = names["A"]
    _check(eval(expression, names).numpy(), expected)


@pytest.mark.parametrize(
    ("expression", "shape"),
    [
        ("P[:, 1:]", "(?, 2)"),
        ("P[1:3]", "(?, 3)"),
        ("tf.matmul(P, M)", "(?, 4)"),
        ("tf.reshape(P, [-1, 3, 1])", "(?, 3, 1)"),
        ("tf.reshape(A, [tf.shape(A)[0], -1, 1])", "(2, 3, 1)"),
        ("tf.zeros([tf.shape(P)[0], 4])", "(?, 4)"),
        ("tf.reduce_sum(P, 1)", "(?,)"),
        ("tf.concat([P, A], 0)", "(?, 3)"),
        ("tf.boolean_mask(P, P[:, 0] > 0)", "(?, 3)"),
        ("M[tf.shape(P)[0]:]", "(?, 4)"),
        ("tf.placeholder(tf.float32) * 2.0", "<unknown>"),
        ("tf.ensure_shape(tf.placeholder(tf.float32), [None, 2])", "(?, 2)"),
    ],
)  # fmt: skip
def test_what_is_known_of_shapes(tf1: Any, expression: str, shape: str) -> None:
    names = _tensors(tf1)
    names["P"] = tf1.placeholder(tf1.float32, [None, 3])
    assert str(eval(expression, names).get_shape()) == shape


def test_errors(tf1: Any) -> None:
    with pytest.raises(ValueError, match="Cannot infer argument `num` from shape"):
        tf1.unstack(tf1.placeholder(tf1.float32, [None, 3]))
    with pytest.raises(RuntimeError, match="not compatible with eager execution"):
        from corenn_tensorflow import mode

        mode.start(2)
        tf1.placeholder(tf1.float32)


@pytest.mark.parametrize(
    ("make", "stated", "shape"),
    [
        (lambda tf, s, u: tf.reduce_join(s, 0), [3], [3]),
        (lambda tf, s, u: tf.reduce_join(s, [0, 1]), [], []),
        (lambda tf, s, u: tf.reduce_join(s, -1, keep_dims=True), [2, 1], [2, 1]),
        (lambda tf, s, u: tf.reduce_join(s), [], []),
        (lambda tf, s, u: tf.reduce_join(u, 0), None, [2]),
        (lambda tf, s, u: tf.string_join([s[:, :1], s, "x"]), [2, 3], [2, 3]),
        (lambda tf, s, u: tf.string_join([u, s]), None, [3, 2, 3]),
        (lambda tf, s, u: tf.substr("hello", [[0], [1]], [[2], [3]]), [2, 1], [2, 1]),
        (lambda tf, s, u: tf.bitcast(tf.constant([1.0, 2.0]), tf.uint8), [2, 4], [2, 4]),
        (lambda tf, s, u: tf.bitcast(tf.zeros([5, 4], tf.uint8), tf.float32), [5], [5]),
        (lambda tf, s, u: tf.bitcast(tf.zeros([5, 4]), tf.int32), [5, 4], [5, 4]),
    ],
)
def test_shapes_of_what_the_host_computes(make: Any, stated: Any, shape: list[int], tf1: Any) -> None:
    s, u = tf1.constant([["a", "b", "c"], ["d", "e", "f"]]), tf1.placeholder(tf1.string)
    made = make(tf1, s, u)
    assert made.shape.dims is None if stated is None else made.shape.as_list() == stated
    fed = np.full((3, 2, 3) if shape == [3, 2, 3] else (3, 2), "u", object)
    with tf1.Session() as session:
        assert list(np.shape(session.run(made, {u: fed}))) == shape
