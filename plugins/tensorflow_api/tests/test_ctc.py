"""Connectionist temporal classification: against PyTorch, brute force, and values of TensorFlow 2.21."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(1)
STEPS, BATCH, CLASSES = 9, 5, 6
LOGITS = (2 * RNG.normal(size=(STEPS, BATCH, CLASSES))).astype(np.float32)
ROWS = [[1, 1, 2, 2], [0, 3], [4], [0, 0, 0, 0, 0, 0], [2, 1, 0]]
LENGTHS = np.array([9, 7, 5, 9, 2], np.int32)
DENSE = np.zeros((BATCH, 6), np.int32)
for _i, _row in enumerate(ROWS):
    DENSE[_i, : len(_row)] = _row
SIZES = np.array([len(row) for row in ROWS], np.int32)
INF = np.inf


def sparse(tf: Any, rows: Any = ROWS, most: int = 6) -> Any:
    places = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    values = np.array([v for row in rows for v in row], np.int32)
    return tf.SparseTensor(np.array(places, np.int64), values, np.array([len(rows), most], np.int64))


def rows_of(values: Any, indices: Any, count: int) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(count)]
    for (i, _), v in zip(indices, values, strict=True):
        found[i].append(int(v))
    return found


# (options, losses of TensorFlow 2.21, with the examples that are too long left out)
V1 = [
    ({}, [28.2476, 8.281813, 12.21165, INF, 0]),
    ({"ctc_merge_repeated": False}, [28.022266, 9.204294, 16.544533, 17.095684, 0]),
    ({"preprocess_collapse_repeated": True}, [28.042854, 8.281813, 12.21165, 19.319746, 0]),
    (
        {"ctc_merge_repeated": False, "preprocess_collapse_repeated": True},
        [31.897333, 9.204294, 16.544533, 25.46485, 0],
    ),
]


@pytest.mark.parametrize(("options", "expected"), V1)
@pytest.mark.parametrize("time_major", [True, False])
def test_the_loss_of_sparse_labels(options: Any, expected: Any, time_major: bool, tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, None, CLASSES])
    labels = tf1.sparse_placeholder(tf1.int32)
    loss = tf1.nn.ctc_loss(labels, x, LENGTHS, time_major=time_major, ignore_longer_outputs_than_inputs=True, **options)
    given = LOGITS if time_major else LOGITS.transpose(1, 0, 2)
    places = np.array([(i, j) for i, row in enumerate(ROWS) for j in range(len(row))])
    feed = {x: given, labels: (places, np.concatenate(ROWS).astype(np.int32), (BATCH, 6))}
    with tf1.Session() as session:
        np.testing.assert_allclose(session.run(loss, feed), expected, rtol=1e-5)


@pytest.mark.parametrize("blank", [0, 3, 5])
def test_loss_and_gradient_are_those_of_torch(blank: int, tf2: Any) -> None:
    torch = pytest.importorskip("torch")
    labels = np.array([[1, 1, 2, 4], [4, 2, 0, 0], [2, 2, 2, 0], [0, 0, 0, 0], [1, 4, 1, 4]], np.int32)
    sizes, lengths = np.array([4, 2, 3, 0, 4], np.int32), np.array([9, 6, 7, 5, 4], np.int32)
    if blank != 0:
        labels = np.where(labels == blank, 0, labels)
    given = torch.tensor(LOGITS, requires_grad=True)
    expected = torch.nn.functional.ctc_loss(
        given.log_softmax(-1), torch.tensor(np.where(labels == blank, 1, labels)), torch.tensor(lengths),
        torch.tensor(sizes), blank=blank, reduction="none",
    )  # fmt: skip
    weights = torch.arange(1.0, 6.0)
    (expected * weights).sum().backward()
    x = tf2.Variable(LOGITS)
    with tf2.GradientTape() as tape:
        loss = tf2.nn.ctc_loss(np.where(labels == blank, 1, labels), x, sizes, lengths, blank_index=blank)
        total = tf2.reduce_sum(loss * tf2.constant(weights.numpy()))
    np.testing.assert_allclose(loss.numpy(), expected.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(total, x).numpy(), given.grad.numpy(), atol=1e-5)


def test_a_sparse_loss_of_generation_two_counts_the_blank_from_the_end(tf2: Any) -> None:
    lengths = np.full(BATCH, STEPS, np.int32)
    found = tf2.nn.ctc_loss(sparse(tf2), LOGITS, None, lengths, blank_index=-1)
    np.testing.assert_allclose(found.numpy(), [28.2476, 10.295925, 15.638984, INF, 13.114254], rtol=1e-5)
    again = tf2.nn.ctc_loss(DENSE, LOGITS.transpose(1, 0, 2), SIZES, lengths, logits_time_major=False, blank_index=5)
    np.testing.assert_allclose(again.numpy(), found.numpy(), rtol=1e-5)


def test_impossible_examples_have_no_gradient(tf2: Any) -> None:
    x = tf2.Variable(LOGITS)
    with tf2.GradientTape() as tape:
        loss = tf2.compat.v1.nn.ctc_loss(sparse(tf2), x, LENGTHS, ignore_longer_outputs_than_inputs=True)
    sums = np.abs(tape.gradient(loss, x).numpy()).sum((0, 2))
    np.testing.assert_allclose(sums, [14.261433, 7.821972, 8.366879, 0, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([[2, 1, 0]], r"Not enough time for target transition sequence \(required: 3, available: 2\)"),
        ([[9]], "outside of the 6 classes"),
        ([[1], [1]], "batch_size"),
    ],
)
def test_labels_that_cannot_be(rows: Any, text: str, tf2: Any) -> None:
    with pytest.raises(tf2.errors.InvalidArgumentError, match=text):
        tf2.compat.v1.nn.ctc_loss(sparse(tf2, rows), LOGITS[:, :1], np.array([2]))


def test_arguments_of_the_loss(tf1: Any, tf2: Any) -> None:
    with pytest.raises(ValueError, match="blank_index"):
        tf2.nn.ctc_loss(sparse(tf2), LOGITS, None, LENGTHS)
    with pytest.raises(TypeError, match="SparseTensor"):
        tf2.compat.v1.nn.ctc_loss(DENSE, LOGITS, LENGTHS)


def test_a_model_learns_to_spell(tf1: Any) -> None:
    """Frames name the letters; blanks are in between."""
    labels = [[0, 1, 1], [2, 0]]
    frames = np.zeros((2, 6, 4), np.float32)
    for i, path in enumerate(([0, 3, 1, 3, 1, 3], [2, 2, 3, 0, 0, 3])):
        frames[i, np.arange(6), path] = 1
    w = tf1.Variable(tf1.zeros([4, 4]))
    logits = tf1.transpose(tf1.reshape(tf1.matmul(tf1.reshape(tf1.constant(frames), [-1, 4]), w), [2, 6, 4]), [1, 0, 2])
    lengths = tf1.constant([6, 6])
    truth = sparse(tf1, labels, 3)
    loss = tf1.reduce_mean(tf1.nn.ctc_loss(truth, logits, lengths))
    step = tf1.train.AdamOptimizer(0.3).minimize(loss)
    (decoded,), _ = tf1.nn.ctc_greedy_decoder(logits, lengths)
    error = tf1.reduce_mean(tf1.edit_distance(tf1.cast(decoded, tf1.int32), truth))
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        first = session.run(loss)
        for _ in range(60):
            session.run(step)
        last, mistakes = session.run([loss, error])
    assert last < 0.1 * first and mistakes == 0


# ---- decoders


def test_the_greedy_decoder(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, BATCH, CLASSES])
    (merged,), score = tf1.nn.ctc_greedy_decoder(x, LENGTHS)
    (plain,), _ = tf1.nn.ctc_greedy_decoder(x, LENGTHS, merge_repeated=False)
    with tf1.Session() as session:
        found, other, scores = session.run([merged, plain, score], {x: LOGITS})
    expected = [[4, 0, 1, 4, 3, 0, 4], [1, 2, 4, 1, 4], [3, 2, 1], [4, 1, 2, 0, 3, 3], [2]]
    assert rows_of(found.values, found.indices, BATCH) == expected
    np.testing.assert_array_equal(found.dense_shape, [5, 7])
    np.testing.assert_array_equal(other.dense_shape, [5, 8])
    assert other.values.tolist() == [4, 0, 1, 4, 4, 3, 0, 4, 1, 2, 4, 1, 4, 3, 3, 3, 2, 1, 4, 1, 2, 0, 3, 3, 3, 3, 2]
    np.testing.assert_allclose(scores[:, 0], [-27.424416, -11.100962, -6.173877, -18.774597, -2.263578], rtol=1e-5)


def every_labelling(log_probabilities: Any) -> dict[tuple[int, ...], float]:
    """The probability of each label sequence, by all paths."""
    steps, classes = log_probabilities.shape
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(classes), repeat=steps):
        merged = [c for c, _ in itertools.groupby(path)]
        labels = tuple(c for c in merged if c != classes - 1)
        found[labels] = found.get(labels, 0) + np.exp(log_probabilities[np.arange(steps), path].sum())
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_most_probable_labels(seed: int, tf2: Any) -> None:
    logits = np.random.default_rng(seed).normal(size=(5, 2, 4)).astype(np.float64) * 2
    decoded, scores = tf2.nn.ctc_beam_search_decoder(logits, [5, 4], beam_width=1000, top_paths=4)
    for i, length in enumerate((5, 4)):
        scaled = logits[:length, i] - np.log(np.exp(logits[:length, i]).sum(-1, keepdims=True))
        best = sorted(every_labelling(scaled).items(), key=lambda item: -item[1])[:4]
        for k, (labels, probability) in enumerate(best):
            assert rows_of(decoded[k].values.numpy(), decoded[k].indices.numpy(), 2)[i] == list(labels)
            np.testing.assert_allclose(scores.numpy()[i, k], np.log(probability), rtol=1e-9)


def test_a_narrow_beam_is_that_of_tensorflow(tf1: Any) -> None:
    """(values of TensorFlow 2.21; generation 1 merges what is repeated in the result)"""
    merged, scores = tf1.nn.ctc_beam_search_decoder(tf1.constant(LOGITS), LENGTHS, beam_width=7, top_paths=3)
    plain, _ = tf1.nn.ctc_beam_search_decoder(
        tf1.constant(LOGITS), LENGTHS, beam_width=7, top_paths=3, merge_repeated=False
    )
    with tf1.Session() as session:
        merged, plain, scores = session.run([merged, plain, scores])
    assert merged[0].values.tolist() == [4, 0, 4, 3, 0, 4, 2, 4, 1, 4, 3, 2, 1, 4, 2, 0, 3, 2, 3, 2]
    assert merged[1].values.tolist() == [4, 0, 1, 4, 3, 0, 4, 2, 4, 3, 1, 2, 1, 4, 1, 2, 0, 3, 2, 3, 4, 2]
    assert plain[1].values.tolist() == [4, 0, 1, 4, 3, 0, 4, 2, 4, 4, 3, 1, 2, 1, 4, 1, 2, 0, 3, 2, 3, 4, 2]
    np.testing.assert_allclose(scores[:3], [[-4.017294, -4.56967, -4.719805], [-4.091552, -4.223133, -4.279256],
                                            [-3.79235, -3.861727, -4.078365]], rtol=1e-5)  # fmt: skip


def test_the_edit_distance(tf2: Any) -> None:
    """The example of its documentation, and a missing truth."""
    said = tf2.SparseTensor([[0, 0, 0], [1, 0, 0], [1, 0, 1]], ["a", "b", "c"], [2, 1, 2])
    truth = tf2.SparseTensor([[0, 1, 0], [1, 0, 0], [1, 0, 1], [1, 1, 0]], ["a", "b", "d", "e"], [2, 2, 2])
    np.testing.assert_array_equal(tf2.edit_distance(said, truth).numpy(), [[INF, 1], [0.5, 1]])
    np.testing.assert_array_equal(tf2.edit_distance(said, truth, normalize=False).numpy(), [[1, 1], [1, 1]])
    with pytest.raises(TypeError, match="Truth"):
        tf2.edit_distance(said, [1, 2])


# ---- keras.backend


def probabilities() -> Any:
    found = np.exp(LOGITS.transpose(1, 0, 2))
    return found / found.sum(-1, keepdims=True)


def test_the_cost_of_a_batch(tf2: Any) -> None:
    cost = tf2.keras.backend.ctc_batch_cost(
        DENSE[:3].astype(np.float32), probabilities()[:3], LENGTHS[:3, None], SIZES[:3, None]
    )
    np.testing.assert_allclose(cost.numpy(), [[28.246876], [8.281812], [12.211636]], rtol=1e-5)


def test_a_keras_model_with_the_cost_as_a_layer(tf2: Any) -> None:
    """The form of the image captcha and OCR tutorials: lengths are inputs, the loss is what the model gives."""
    keras = tf2.keras
    inputs = keras.Input((STEPS, CLASSES))
    labels, steps, sizes = keras.Input((4,)), keras.Input((1,)), keras.Input((1,))
    y = keras.layers.Dense(CLASSES, activation="softmax")(inputs)
    cost = keras.layers.Lambda(lambda a: keras.backend.ctc_batch_cost(a[1], a[0], a[2], a[3]), output_shape=(1,))(
        [y, labels, steps, sizes]
    )
    model = keras.Model([inputs, labels, steps, sizes], cost)
    model.compile(keras.optimizers.Adam(0.05), loss=lambda _, cost: cost)
    x = [LOGITS.transpose(1, 0, 2)[:3], DENSE[:3, :4].astype(np.float32), np.full((3, 1), STEPS), SIZES[:3, None]]
    history = model.fit(x, np.zeros((3, 1)), epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]


def test_decoding_with_keras(tf2: Any) -> None:
    """(values of tf.keras in TensorFlow 2.21)"""
    backend = tf2.keras.backend
    (best,), score = backend.ctc_decode(probabilities(), LENGTHS)
    assert best.numpy()[1].tolist() == [1, 2, 4, 1, 4, -1, -1, -1, -1]
    np.testing.assert_allclose(score.numpy()[:, 0], [4.5879993, 4.7211, 3.95857, 5.841324, 1.800034], rtol=1e-5)
    paths, scores = backend.ctc_decode(probabilities(), LENGTHS, greedy=False, beam_width=5, top_paths=2)
    assert paths[0].numpy()[0].tolist() == [4, 0, 4, 3, 0, 4, -1, -1, -1]
    assert paths[1].numpy()[1].tolist() == [2, 4, *[-1] * 7]  # repeated labels are one
    np.testing.assert_allclose(scores.numpy()[0], [-4.017298, -4.569674], rtol=1e-5)


def test_dense_labels_as_a_sparse_matrix(tf2: Any) -> None:
    found = tf2.keras.backend.ctc_label_dense_to_sparse(DENSE, SIZES)
    assert rows_of(found.values.numpy(), found.indices.numpy(), BATCH) == ROWS
    np.testing.assert_array_equal(found.dense_shape.numpy(), [5, 6])
