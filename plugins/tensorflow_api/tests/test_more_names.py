"""Sparse tensors put together and cut, totals of losses, sound, and namespaces that gather names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

A = np.array([[0, 1, 0], [2, 0, 3]], np.float32)
B = np.array([[4, 0], [0, 5]], np.float32)

FORMS = [
    (lambda s, a, b: s.concat(1, [a, b]), np.concatenate([A, B], 1)),
    (lambda s, a, b: s.concat(0, [a, a]), np.concatenate([A, A])),
    (lambda s, a, b: s.reshape(a, [3, -1]), A.reshape(3, 2)),
    (lambda s, a, b: s.expand_dims(a, 1), A[:, None]),
    (lambda s, a, b: s.slice(a, [0, 1], [2, 5]), A[:, 1:]),
    (lambda s, a, b: s.eye(2, 3), np.eye(2, 3)),
    (lambda s, a, b: s.map_values(lambda v: v * v, a), A**2),
]


@pytest.mark.parametrize(("call", "expected"), FORMS)
def test_forms_of_sparse_tensors(call: Any, expected: Any, tf2: Any) -> None:
    a, b = tf2.sparse.from_dense(A), tf2.sparse.from_dense(B)
    found = call(tf2.sparse, a, b)
    np.testing.assert_array_equal(tf2.sparse.to_dense(found).numpy(), expected)
    indices = found.indices.numpy()
    assert indices[np.lexsort(indices.T[::-1])].tolist() == indices.tolist()


def test_empty_rows_and_indicators(tf2: Any, tf1: Any) -> None:
    words = tf1.SparseTensor([[0, 0], [2, 1]], ["a", "b"], [4, 2])
    filled, empty = tf1.sparse.fill_empty_rows(words, "-")
    numbers = tf1.sparse_to_indicator(tf1.SparseTensor([[0, 0], [0, 1], [1, 0]], [2, 0, 3], [2, 2]), 4)
    with tf1.Session() as session:
        found, which, marks = session.run([filled, empty, numbers])
    assert found.values.tolist() == [b"a", b"-", b"b", b"-"] and which.tolist() == [False, True, False, True]
    assert found.indices.tolist() == [[0, 0], [1, 0], [2, 1], [3, 0]]
    assert marks.tolist() == [[True, False, True, False], [False, False, False, True]]


def test_gradients_reach_the_values(tf2: Any) -> None:
    values = tf2.Variable([1.0, 2.0])
    with tf2.GradientTape() as tape:
        sparse = tf2.SparseTensor([[0, 1], [1, 0]], values, [2, 2])
        whole = tf2.sparse.concat(0, [sparse, sparse])
        total = tf2.reduce_sum(whole.values * tf2.constant([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(tape.gradient(total, values).numpy(), [4, 6])


def test_totals(tf2: Any) -> None:
    average = tf2.nn.compute_average_loss
    assert average([1.0, 3.0]).numpy() == 2 and average([1.0, 3.0], global_batch_size=8).numpy() == 0.5
    assert average([1.0, 3.0], sample_weight=[0.0, 1.0]).numpy() == 1.5
    assert tf2.nn.scale_regularization_loss([1.0, 2.0]).numpy() == 3
    labels, sizes = tf2.nn.collapse_repeated([[1, 1, 2, 2, 1], [1, 1, 2, 2, 1]], [4, 5])
    assert labels.numpy().tolist() == [[1, 2, 0], [1, 2, 1]] and sizes.numpy().tolist() == [2, 3]


def test_sound(tf2: Any) -> None:
    samples = np.sin(np.arange(100) / 5).astype(np.float32)[:, None] / 2
    file = tf2.audio.encode_wav(samples, 8000)
    found, rate = tf2.audio.decode_wav(file)
    assert rate.numpy() == 8000 and found.shape == (100, 1)
    np.testing.assert_allclose(found.numpy(), samples, atol=1e-4)
    longer, _ = tf2.audio.decode_wav(file, desired_channels=1, desired_samples=120)
    assert longer.shape == (120, 1) and (longer.numpy()[100:] == 0).all()
    with pytest.raises(tf2.errors.InvalidArgumentError, match="WAV"):
        tf2.audio.decode_wav(b"RIFFno")


@pytest.mark.parametrize("name", ["queue.FIFOQueue", "nn.seq2seq.basic_rnn_seq2seq", "spectral.rfft", "fft"])
def test_gathered_names(name: str, tf1: Any) -> None:
    found: Any = tf1
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)


def test_what_names_replacements_is_true() -> None:
    """No name that the facade has is said to be replaced by another."""
    from importlib import resources

    import corenn_tensorflow
    from corenn_tensorflow.coverage import has

    text = resources.files(corenn_tensorflow).joinpath("data/instead.txt").read_text(encoding="utf-8")
    named = [line.split()[0] for line in text.splitlines() if line.startswith("tf.")]
    assert [name for name in named if not name.endswith("*") and has(name.removeprefix("tf."))] == []
