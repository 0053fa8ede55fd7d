"""Seeds of graphs and operations: which draws repeat, in which sessions."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn.graph import Graph, Session, placeholder


def draws(graph_seed, op_seed, runs=3, sessions=2):
    """What two operations draw in each run of each session."""
    graph = Graph()
    graph.seed = graph_seed
    with graph.as_default():
        made = [
            corenn.ops.table.TABLE["random_uniform"].public(graph.random_key(op_seed), shape=(4,), dtype="float32")
            for _ in range(2)
        ]
    return np.array([[session.run(made) for _ in range(runs)] for session in (Session(graph) for _ in range(sessions))])


@pytest.mark.parametrize(
    ("graph_seed", "op_seed", "alike"),
    [(None, None, False), (1, None, False), (None, 7, True), (1, 7, True), (0, 0, True)],
)
def test_streams(graph_seed, op_seed, alike):
    found = draws(graph_seed, op_seed)
    again = draws(graph_seed, op_seed)
    seeded = graph_seed is not None or op_seed is not None
    assert np.array_equal(found, again) == seeded
    assert np.array_equal(found[0], found[1]) == seeded  # a new session begins the stream again
    assert not np.array_equal(found[0, 0], found[0, 1])  # a run takes the next numbers
    assert np.array_equal(found[0, 0, 0], found[0, 0, 1]) == alike  # two operations with one seed draw alike


def test_seeds_differ():
    assert not np.array_equal(draws(1, None), draws(2, None))
    assert not np.array_equal(draws(1, 1), draws(1, 2))
    assert not np.array_equal(draws(1, 1), draws(2, 1))


def test_compiled_and_replayed_runs_draw_the_same():
    graph = Graph()
    graph.seed = 3
    with graph.as_default():
        made = corenn.ops.table.TABLE["random_normal"].public(graph.random_key(), shape=(4,), dtype="float32")
    compiled, replayed = Session(graph), Session(graph)
    for _ in range(3):
        np.testing.assert_array_equal(compiled.run(made), replayed.run(made, trace=lambda *step: None))


def test_a_draw_is_used_once_a_run_and_gradients_see_the_same_mask():
    graph = Graph()
    with graph.as_default():
        x = placeholder("float32", (8,))
        mask = corenn.ops.table.TABLE["random_uniform"].public(graph.random_key(), shape=(8,), dtype="float32")
        y = x * mask
        (g,) = corenn.graph.gradients(y, x)
    found = Session(graph).run([mask, y, g, mask * 1.0], {x: np.ones(8)})
    for value in found[1:]:
        np.testing.assert_array_equal(value, found[0])


def test_what_is_not_run_takes_no_numbers():
    graph = Graph()
    graph.seed = 5
    with graph.as_default():
        a = corenn.ops.table.TABLE["random_uniform"].public(graph.random_key(), shape=(2,), dtype="float32")
        b = corenn.ops.table.TABLE["random_uniform"].public(graph.random_key(), shape=(2,), dtype="float32")
    one, other = Session(graph), Session(graph)
    for _ in range(4):
        one.run(b)
    np.testing.assert_array_equal(one.run(a), other.run(a))
