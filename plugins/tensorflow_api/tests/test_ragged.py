"""``tf.ragged``, ``RaggedTensor`` and the functions of strings that give them: the examples of TensorFlow's guide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

DIGITS = [[3, 1, 4, 1], [], [5, 9, 2], [6], []]
NESTED = [[[1, 2], [3]], [[]], [], [[4, 5, 6]]]


def test_the_parts(tf2: Any) -> None:
    x = tf2.ragged.constant(DIGITS)
    assert x.shape.as_list() == [5, None] and x.ragged_rank == 1 and x.dtype == tf2.int32 and len(x) == 5
    assert x.values.numpy().tolist() == [3, 1, 4, 1, 5, 9, 2, 6]
    assert x.row_splits.numpy().tolist() == [0, 4, 4, 7, 8, 8]
    assert x.row_lengths().numpy().tolist() == [4, 0, 3, 1, 0]
    assert x.value_rowids().numpy().tolist() == [0, 0, 0, 0, 2, 2, 2, 3]
    assert x.row_starts().numpy().tolist() == [0, 4, 4, 7, 8] and x.row_limits().numpy().tolist() == [4, 4, 7, 8, 8]
    assert int(x.nrows()) == 5 and x.bounding_shape().numpy().tolist() == [5, 4] and x.to_list() == DIGITS
    assert repr(x) == f"<tf.RaggedTensor {DIGITS}>"


MAKERS = [
    lambda r: r.from_row_splits([3, 1, 4, 1, 5, 9, 2, 6], [0, 4, 4, 7, 8, 8]),
    lambda r: r.from_row_lengths([3, 1, 4, 1, 5, 9, 2, 6], [4, 0, 3, 1, 0]),
    lambda r: r.from_value_rowids([3, 1, 4, 1, 5, 9, 2, 6], [0, 0, 0, 0, 2, 2, 2, 3], nrows=5),
    lambda r: r.from_row_starts([3, 1, 4, 1, 5, 9, 2, 6], [0, 4, 4, 7, 8]),
    lambda r: r.from_row_limits([3, 1, 4, 1, 5, 9, 2, 6], [4, 4, 7, 8, 8]),
    lambda r: r.from_tensor([[3, 1, 4, 1], [0, 0, 0, 0], [5, 9, 2, 0], [6, 0, 0, 0], [0, 0, 0, 0]], padding=0),
    lambda r: r.from_tensor([[3, 1, 4, 1], [7, 7, 7, 7], [5, 9, 2, 7], [6, 7, 7, 7], [7] * 4], lengths=[4, 0, 3, 1, 0]),
]


@pytest.mark.parametrize("make", MAKERS)
def test_ways_of_making_one(make: Any, tf2: Any) -> None:
    assert make(tf2.RaggedTensor).to_list() == DIGITS


def test_dense_and_sparse(tf2: Any) -> None:
    x = tf2.ragged.constant(DIGITS)
    dense = np.zeros((5, 4), np.int32)
    for i, row in enumerate(DIGITS):
        dense[i, : len(row)] = row
    np.testing.assert_array_equal(x.to_tensor().numpy(), dense)
    np.testing.assert_array_equal(x.to_tensor(-1, shape=[None, 2]).numpy()[:3], [[3, 1], [-1, -1], [5, 9]])
    np.testing.assert_array_equal(x.to_tensor(shape=[None, 6]).numpy(), np.pad(dense, ((0, 0), (0, 2))))
    np.testing.assert_array_equal(tf2.sparse.to_dense(x.to_sparse()).numpy(), dense)
    assert tf2.RaggedTensor.from_sparse(x.to_sparse()).to_list() == DIGITS
    words = tf2.ragged.constant([["So", "long"], ["thanks", "for", "all", "the", "fish"]])
    assert words.to_tensor("?").numpy()[0].tolist() == [b"So", b"long", b"?", b"?", b"?"]
    assert x.numpy()[2].tolist() == [5, 9, 2]


def test_two_ragged_axes(tf2: Any) -> None:
    x = tf2.ragged.constant(NESTED)
    assert x.ragged_rank == 2 and x.shape.as_list() == [4, None, None] and x.to_list() == NESTED
    assert [s.numpy().tolist() for s in x.nested_row_lengths()] == [[2, 1, 0, 1], [2, 1, 0, 3]]
    assert x.to_tensor().numpy().tolist()[0] == [[1, 2, 0], [3, 0, 0]] and x.to_tensor().shape == (4, 2, 3)
    assert x.flat_values.numpy().tolist() == [1, 2, 3, 4, 5, 6]
    assert x[0].to_list() == [[1, 2], [3]] and x[3, 0].numpy().tolist() == [4, 5, 6]
    assert tf2.ragged.constant([[[1, 2]], [[3, 4], [5, 6]]], ragged_rank=1).shape.as_list() == [2, None, 2]


INDICES = [
    (np.s_[1:4], [[], [5, 9, 2], [6]]),
    (np.s_[:, :2], [[3, 1], [], [5, 9], [6], []]),
    (np.s_[:, -2:], [[4, 1], [], [9, 2], [6], []]),
    (np.s_[::2, ::2], [[3, 4], [5, 2], []]),
    (np.s_[2], [5, 9, 2]),
    (np.s_[-2, 0], 6),
]


@pytest.mark.parametrize(("key", "expected"), INDICES)
def test_indices(key: Any, expected: Any, tf2: Any) -> None:
    found = tf2.ragged.constant(DIGITS)[key]
    assert (found.to_list() if isinstance(found, tf2.RaggedTensor) else found.numpy().tolist()) == expected


CALLS = [
    (lambda tf, x: x + 2, [[5, 3, 6, 3], [], [7, 11, 4], [8], []]),
    (lambda tf, x: 10 - x, [[7, 9, 6, 9], [], [5, 1, 8], [4], []]),
    (lambda tf, x: x * x, [[9, 1, 16, 1], [], [25, 81, 4], [36], []]),
    (lambda tf, x: tf.constant([[1], [2], [3], [4], [5]]) * x, [[3, 1, 4, 1], [], [15, 27, 6], [24], []]),
    (lambda tf, x: x > 3, [[False, False, True, False], [], [True, True, False], [True], []]),
    (lambda tf, x: tf.add(x, 3), [[6, 4, 7, 4], [], [8, 12, 5], [9], []]),
    (lambda tf, x: tf.square(x), [[9, 1, 16, 1], [], [25, 81, 4], [36], []]),
    (lambda tf, x: tf.concat([x, [[8]] * 5], axis=1), [[3, 1, 4, 1, 8], [8], [5, 9, 2, 8], [6, 8], [8]]),
    (lambda tf, x: tf.concat([x, tf.ragged.constant([[1]])], axis=0), [*DIGITS, [1]]),
    (lambda tf, x: tf.ragged.map_flat_values(lambda v: v * 2 + 1, x), [[7, 3, 9, 3], [], [11, 19, 5], [13], []]),
    (lambda tf, x: tf.gather(x, [2, 0]), [[5, 9, 2], [3, 1, 4, 1]]),
    (lambda tf, x: tf.ragged.boolean_mask(x, x > 2), [[3, 4], [], [5, 9], [6], []]),
    (lambda tf, x: tf.ragged.range([3, 0, 2]), [[0, 1, 2], [], [0, 1]]),
    (lambda tf, x: tf.ragged.stack([[1, 2], [3]]), [[1, 2], [3]]),
    (lambda tf, x: tf.reduce_sum(x, axis=1), [9, 0, 16, 6, 0]),
    (lambda tf, x: tf.reduce_max(x, axis=0), [6, 9, 4, 1]),
    (lambda tf, x: tf.reduce_sum(x), 31),
    (lambda tf, x: tf.size(x), 8),
]  # fmt: skip


@pytest.mark.parametrize(("call", "expected"), CALLS)
def test_functions(call: Any, expected: Any, tf2: Any) -> None:
    found = call(tf2, tf2.ragged.constant(DIGITS))
    assert (found.to_list() if isinstance(found, tf2.RaggedTensor) else found.numpy().tolist()) == expected


def test_means_and_gradients(tf2: Any) -> None:
    values = tf2.Variable([1.0, 2.0, 4.0])
    with tf2.GradientTape() as tape:
        x = tf2.RaggedTensor.from_row_lengths(values, [2, 0, 1])
        mean = tf2.reduce_mean(x, axis=1)
        total = tf2.reduce_sum(tf2.square(x).to_tensor()) + mean[0]
    np.testing.assert_array_equal(mean.numpy(), [1.5, np.nan, 4])
    np.testing.assert_allclose(tape.gradient(total, values).numpy(), [2.5, 4.5, 8])


def test_splitting_strings(tf2: Any) -> None:
    found = tf2.strings.split(["what makes you", "think", ""])
    assert found.to_list() == [[b"what", b"makes", b"you"], [b"think"], []]
    assert tf2.strings.split("a,b,,c", ",").numpy().tolist() == [b"a", b"b", b"", b"c"]
    assert tf2.strings.length(found).to_list() == [[4, 5, 3], [5], []]
    assert tf2.strings.upper(found).to_tensor().numpy()[1].tolist() == [b"THINK", b"", b""]
    assert tf2.strings.ngrams(found, 2).to_list() == [[b"what makes", b"makes you"], [], []]
    assert tf2.strings.split([["a b", "c"], ["d", ""]]).to_list() == [[[b"a", b"b"], [b"c"]], [[b"d"], []]]


def test_splitting_strings_in_a_data_set(tf2: Any) -> None:
    data = tf2.data.Dataset.from_tensor_slices(["a b c", "d"]).batch(2).map(lambda t: tf2.strings.split(t).to_tensor())
    assert next(iter(data)).numpy().tolist() == [[b"a", b"b", b"c"], [b"d", b"", b""]]


def test_splitting_strings_of_generation_one(tf1: Any) -> None:
    with tf1.Session() as session:
        sparse, ragged = session.run([
            tf1.strings.split(["a b", "c"]), tf1.strings.split(["a b", "c"], result_type="RaggedTensor").to_tensor()
        ])  # fmt: skip
    assert sparse.values.tolist() == [b"a", b"b", b"c"] and ragged.tolist() == [[b"a", b"b"], [b"c", b""]]


def test_characters_and_code_points(tf2: Any) -> None:
    assert tf2.strings.unicode_split("Aé", "UTF-8").numpy().tolist() == [b"A", "é".encode()]
    points = tf2.strings.unicode_decode(["hé", ""], "UTF-8")
    assert points.to_list() == [[104, 233], []]
    assert tf2.strings.unicode_encode(points, "UTF-8").numpy().tolist() == ["hé".encode(), b""]
    assert tf2.strings.unicode_transcode("é", "UTF-8", "UTF-16-BE").numpy() == "é".encode("utf-16-be")
    buckets = tf2.strings.to_hash_bucket_fast(["a", "b", "a"], 5).numpy()
    assert buckets[0] == buckets[2] and ((buckets >= 0) & (buckets < 5)).all()
    joined = tf2.strings.unsorted_segment_join(["a", "b", "c"], [1, 0, 1], 2, ":")
    assert joined.numpy().tolist() == [b"b", b"a:c"]


ERRORS = [
    (lambda tf: tf.RaggedTensor.from_row_splits([1, 2], [0, 1]), ValueError, "row_splits"),
    (lambda tf: tf.ragged.constant([[1], 2]), ValueError, "same depth"),
    (lambda tf: tf.ragged.constant([[1]]) + tf.ragged.constant([[1, 2]]), ValueError, "different rows"),
    (lambda tf: tf.ragged.constant([[1], []])[:, 0], ValueError, "every row"),
    (lambda tf: tf.ragged.constant([[1]])[3], IndexError, "out of range"),
    (lambda tf: tf.convert_to_tensor(tf.ragged.constant([[1], []])), TypeError, "to_tensor"),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS)
def test_errors(call: Any, kind: Any, text: str, tf2: Any) -> None:
    with pytest.raises(kind, match=text):
        call(tf2)
