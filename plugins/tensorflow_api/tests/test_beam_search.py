"""``tf.contrib.seq2seq``: beam search against all sequences there are, helpers that mix, helpers of functions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(0)
WORDS, START, END = 4, 0, 3
CHAINS = (2 * RNG.normal(size=(2, WORDS, WORDS))).astype(np.float32)  # of each example: logits of the following word


def chain_cell(tf: Any) -> Any:
    """A cell that looks the next word's logits up, in the table of its example, which is its state."""

    class Chain(tf.nn.rnn_cell.RNNCell):  # type: ignore[misc]
        state_size, output_size = WORDS * WORDS, WORDS

        def call(self, inputs: Any, state: Any) -> Any:
            table = tf.reshape(state, [-1, WORDS, WORDS])
            return tf.einsum("bw,bwv->bv", inputs, table), state

    return Chain()


def decoder(tf: Any, width: int, **options: Any) -> Any:
    s2s = tf.contrib.seq2seq
    state = s2s.tile_batch(tf.constant(CHAINS.reshape(2, -1)), width)
    return s2s.BeamSearchDecoder(
        chain_cell(tf), tf.constant(np.eye(WORDS, dtype=np.float32)), tf.fill([2], START), END, state, width, **options
    )


def all_sequences(table: Any, steps: int, penalty: float) -> list[tuple[float, float, list[int]]]:
    """Score, log probability and words (the end repeated) of every sequence, best first."""
    log = table - np.log(np.exp(table).sum(-1, keepdims=True))
    found = []
    for words in itertools.product(range(WORDS), repeat=steps):
        ends = [i for i, w in enumerate(words) if w == END]
        if ends and any(w != END for w in words[ends[0] :]):
            continue
        said = words[: ends[0] + 1] if ends else words
        total = sum(log[a, b] for a, b in itertools.pairwise((START, *said)))
        length = len(said) - (bool(ends) and ends[0] == steps - 1)  # (TensorFlow counts the end from then on)
        found.append((total / ((5 + length) / 6) ** penalty, total, list(words)))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_of_all_sequences(penalty: float, tf1: Any) -> None:
    width, steps = 16, 3
    outputs, state, lengths = tf1.contrib.seq2seq.dynamic_decode(
        decoder(tf1, width, length_penalty_weight=penalty), maximum_iterations=steps
    )
    with tf1.Session() as session:
        words, totals, scores, counts, own = session.run(
            [outputs.predicted_ids, state.log_probs, outputs.beam_search_decoder_output.scores, lengths, state.lengths]
        )
    assert words.shape == (2, steps, width)
    for example in range(2):
        best = all_sequences(CHAINS[example], steps, penalty)[:5]
        assert words[example, :, :5].T.tolist() == [w for *_, w in best]
        np.testing.assert_allclose(totals[example, :5], [t for _, t, _ in best], rtol=1e-5)
        np.testing.assert_allclose(scores[example, -1, :5], [s for s, *_ in best], rtol=1e-5)
    said = np.minimum((words != END).sum(1) + 1, steps)  # the end is counted
    np.testing.assert_array_equal(own[:, :5], said[:, :5])
    assert counts.shape == (2, width) and counts.max() <= steps


def test_a_beam_of_one_is_greedy(tf1: Any) -> None:
    s2s = tf1.contrib.seq2seq
    outputs, _, _ = s2s.dynamic_decode(decoder(tf1, 1), maximum_iterations=6)
    helper = s2s.GreedyEmbeddingHelper(tf1.constant(np.eye(WORDS, dtype=np.float32)), tf1.fill([2], START), END)
    greedy, _, _ = s2s.dynamic_decode(
        s2s.BasicDecoder(chain_cell(tf1), helper, tf1.constant(CHAINS.reshape(2, -1))), maximum_iterations=6
    )
    with tf1.Session() as session:
        words, expected = session.run([outputs.predicted_ids, greedy.sample_id])
    for row, other in zip(words[..., 0], expected, strict=True):
        ended = list(other).index(END) + 1 if END in other else len(other)
        assert row[:ended].tolist() == other[:ended].tolist() and (row[ended:] == END).all()


def test_a_cell_with_attention_and_layers(tf1: Any) -> None:
    """Shapes of an encoder's states, tiled, with a projection."""
    s2s, width = tf1.contrib.seq2seq, 3
    memory, ends = tf1.placeholder(tf1.float32, [None, None, 6]), tf1.placeholder(tf1.int32, [None])
    tiled, tiled_ends = s2s.tile_batch(memory, width), s2s.tile_batch(ends, width)
    mechanism = s2s.LuongAttention(7, tiled, tiled_ends)
    cell = s2s.AttentionWrapper(tf1.nn.rnn_cell.LSTMCell(7), mechanism, attention_layer_size=5)
    batch = tf1.shape(memory)[0]
    first = cell.zero_state(batch * width, tf1.float32)
    table = tf1.get_variable("table", [9, 4])
    chosen = s2s.BeamSearchDecoder(cell, table, tf1.fill([batch], 1), 2, first, width, tf1.layers.Dense(9))
    outputs, state, _ = s2s.dynamic_decode(chosen, maximum_iterations=5, output_time_major=True)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        words, totals, own = session.run(
            [outputs.predicted_ids, state.log_probs, state.cell_state.cell_state.h],
            {memory: RNG.normal(size=(2, 4, 6)), ends: [4, 2]},
        )
    assert words.shape[0] <= 5 and words.shape[1:] == (2, width) and own.shape == (2, width, 7)
    assert (np.diff(totals, axis=1) <= 0).all()


def test_gather_tree(tf2: Any) -> None:
    """(the example of its documentation)"""
    words = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9], [-1, -1, -1]], np.int32)[:, None]
    parents = np.array([[0, 0, 0], [0, 1, 1], [2, 1, 2], [-1, -1, -1]], np.int32)[:, None]
    found = tf2.contrib.seq2seq.gather_tree(words, parents, [3], 10).numpy()
    np.testing.assert_array_equal(found[:, 0], [[2, 2, 2], [6, 5, 6], [7, 8, 9], [10, 10, 10]])


def test_coverage_is_refused_by_name(tf1: Any) -> None:
    with pytest.raises(Exception, match="coverage_penalty_weight"):
        decoder(tf1, 2, coverage_penalty_weight=0.1)


@pytest.mark.parametrize(("probability", "as_given"), [(0.0, True), (1.0, False)])
def test_scheduled_sampling_at_its_ends(probability: float, as_given: bool, tf1: Any) -> None:
    s2s = tf1.contrib.seq2seq
    table = tf1.constant(np.eye(WORDS, dtype=np.float32))
    given = np.array([[0, 1, 2], [2, 1, 0]])
    embedded = tf1.nn.embedding_lookup(table, given)

    def outputs(helper: Any) -> Any:
        cell, start = chain_cell(tf1), tf1.constant(CHAINS.reshape(2, -1))
        return s2s.dynamic_decode(s2s.BasicDecoder(cell, helper, start))[0]

    mixed = outputs(s2s.ScheduledEmbeddingTrainingHelper(embedded, [3, 3], table, probability))
    own = outputs(s2s.ScheduledOutputTrainingHelper(
        embedded, [3, 3], probability, next_inputs_fn=lambda o: tf1.one_hot(tf1.argmax(o, 1), WORDS)))  # fmt: skip
    plain = outputs(s2s.TrainingHelper(embedded, [3, 3]))
    with tf1.Session() as session:
        a, b, c = session.run([mixed, own, plain])
    assert np.array_equal(a.rnn_output, c.rnn_output) == as_given
    assert np.array_equal(b.rnn_output, c.rnn_output) == as_given
    assert (a.sample_id == -1).all() == as_given
    if not as_given:  # what it read is what it drew
        rows = CHAINS[np.arange(2)[:, None], a.sample_id[:, :-1]]
        np.testing.assert_allclose(a.rnn_output[:, 1:], rows, rtol=1e-6)


def test_helpers_of_functions(tf1: Any) -> None:
    s2s = tf1.contrib.seq2seq

    def decode(helper: Any) -> Any:
        cell, start = chain_cell(tf1), tf1.constant(CHAINS.reshape(2, -1))
        return s2s.dynamic_decode(s2s.BasicDecoder(cell, helper, start), maximum_iterations=3)[0]

    first = tf1.one_hot([START, START], WORDS)
    custom = decode(s2s.CustomHelper(
        lambda: (tf1.fill([2], False), first),
        lambda time, outputs, state: tf1.cast(tf1.argmax(outputs, 1), tf1.int32),
        lambda time, outputs, state, sample_ids: (tf1.fill([2], False), tf1.one_hot(sample_ids, WORDS), state),
    ))  # fmt: skip
    inferred = decode(s2s.InferenceHelper(
        lambda o: tf1.one_hot(tf1.argmax(o, 1), WORDS), [WORDS], tf1.float32, first, lambda s: tf1.fill([2], False)
    ))  # fmt: skip
    with tf1.Session() as session:
        a, b = session.run([custom, inferred])
    np.testing.assert_array_equal(a.rnn_output, b.rnn_output)
    np.testing.assert_array_equal(a.sample_id, b.sample_id.argmax(-1))


def test_normalised_attention_is_plain_attention_of_its_own_vector(tf1: Any) -> None:
    s2s = tf1.contrib.seq2seq
    memory = RNG.normal(size=(2, 4, 3)).astype(np.float32)
    mechanism = s2s.BahdanauAttention(5, tf1.constant(memory), normalize=True)
    weights = mechanism(tf1.constant(RNG.normal(size=(2, 6)).astype(np.float32)))
    variables = {v.op.name.rpartition("/")[2]: v for v in tf1.global_variables()}
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        before = session.run(weights)
        session.run(variables["attention_v"].assign(3 * variables["attention_v"]))  # only its direction counts
        np.testing.assert_allclose(session.run(weights), before, rtol=1e-5)
        assert session.run(variables["attention_g"]) == pytest.approx(5**-0.5)
        session.run(variables["attention_g"].assign(0.0))
        np.testing.assert_allclose(session.run(weights), 0.25)
