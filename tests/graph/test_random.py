"""Seeds of graphs and operations: which draws repeat, in which sessions."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn.graph import Graph, Session, cond, placeholder, scan, while_loop
from corenn.graph.graph import building


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


def masked(x):
    """Dropout by hand."""
    key = building().random_key()
    draws = corenn.ops.table.TABLE["random_uniform"].public(key, shape=(16,), dtype="float32")
    return corenn.where(draws < 0.5, x * 2.0, 0.0)


def in_a_branch(x, p):
    return cond(p, lambda: masked(x), lambda: x)


def in_an_inner_branch(x, p):
    return cond(p, lambda: cond(p, lambda: masked(x) * 1.0, lambda: x), lambda: masked(x))


def in_a_loop(x, p):
    return while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, masked(y) + 0.5 * y), (0, x))[1]


def in_a_loop_of_unknown_length(x, p):
    n = corenn.sum(corenn.cast(x > 0, dtype="int32")) // 8 + 1
    return while_loop(lambda i, y: i < n, lambda i, y: (i + 1, masked(y) + 0.5 * y), (0, x))[1]


def in_a_branch_in_a_loop(x, p):
    return while_loop(
        lambda i, y: i < 4, lambda i, y: (i + 1, cond(i % 2 == 0, lambda: masked(y) + y, lambda: y)), (0, x)
    )[1]


def in_a_scan(x, p):
    return scan(lambda y, _: masked(y) + 0.5 * y, corenn.zeros((3,)), x)[-1]


@pytest.mark.parametrize("make", [
    in_a_branch, in_an_inner_branch, in_a_loop, in_a_loop_of_unknown_length, in_a_branch_in_a_loop, in_a_scan,
])  # fmt: skip
@pytest.mark.parametrize("seed", [None, 5])
def test_gradients_of_control_flow_see_the_numbers_that_were_drawn(make, seed):
    """All the functions are products of x and what is drawn, so for ones the gradient is the result."""
    graph = Graph()
    graph.seed = seed
    with graph.as_default():
        x, p = placeholder("float32", (16,)), placeholder("bool", ())
        y = make(x, p)
        (g,) = corenn.graph.gradients(y, x)
        (second,) = corenn.graph.gradients(corenn.sum(g * g), x)  # zero, or none: g does not depend on x
    feeds = {x: np.ones(16), p: True}
    compiled, replayed = Session(graph), Session(graph)
    seen = []
    for chosen in (True, False, True, True):
        feeds[p] = chosen
        value, gradient = compiled.run([y, g], feeds)
        np.testing.assert_allclose(gradient, value, rtol=1e-6)
        again = replayed.run([y, g], feeds, trace=lambda *step: None)
        np.testing.assert_allclose(again[1], again[0], rtol=1e-6)
        if seed is not None:  # and both take the same numbers, also after a branch that draws none
            np.testing.assert_array_equal(again[0], value)
        seen.append(value)
    assert not np.array_equal(seen[0], seen[2]) and not np.array_equal(seen[2], seen[3])
    assert second is None or not np.any(compiled.run(second, feeds))


@pytest.mark.parametrize("seed", [None, 5])
def test_branches_draw_streams_of_their_own(seed):
    graph = Graph()
    graph.seed = seed
    with graph.as_default():
        p = placeholder("bool", ())
        made = [in_a_branch(corenn.ones((16,)), p) for _ in range(3)] + [masked(corenn.ones((16,)))]
    found = Session(graph).run(made, {p: True})
    assert len({a.tobytes() for a in found}) == 4


def test_branches_of_traced_functions_on_tapes():
    @corenn.function
    def f(x, p):
        return in_a_branch(x, p) * 3.0

    x = corenn.ones((16,))
    for _ in range(3):
        with corenn.GradientTape() as tape:
            tape.watch(x)
            y = f(x, True)
        np.testing.assert_array_equal(tape.gradient(y, x).numpy(), y.numpy())
