"""Variables of a session's graph read and written inside branches and loops."""

from __future__ import annotations

import pytest

from corenn import graph as G


@pytest.fixture
def graph():
    with G.Graph().as_default() as made:
        yield made


def session_of(graph, *variables):
    session = G.Session(graph)
    for variable in variables:
        session.run(variable.initializer)
    return session


def test_a_branch_that_does_not_run_writes_nothing(graph):
    v, p = G.variable(1.0, name="v"), G.placeholder("bool", ())

    def written():
        with G.control_dependencies([v.assign_add(10.0)]):
            return v.read_value() * 2, v + 0.0

    result = G.cond(p, written, lambda: (v * 1.0, v * 5.0))
    session = session_of(graph, v)
    assert session.run([result, v], {p: False}) == [(1.0, 5.0), 1.0]
    assert session.run(result, {p: True}) == (22.0, 11.0)
    assert session.run(v) == 11.0


@pytest.mark.parametrize("fed", [False, True], ids=["known length", "fed length"])
def test_a_loop_writes_in_every_iteration(graph, fed):
    v, n = G.variable(1.0, name="v"), G.placeholder("int32", ())
    limit = n if fed else 3
    _, total = G.while_loop(lambda i, t: i < limit, lambda i, t: (i + 1, t + v.assign_add(1.0)), (0, 0.0))
    session = session_of(graph, v)
    assert session.run(total, {n: 3} if fed else None) == 2.0 + 3.0 + 4.0
    assert session.run(v) == 4.0


def test_gradients_reach_a_variable_that_a_branch_uses(graph):
    v, p = G.variable(3.0, name="v"), G.placeholder("bool", ())
    y = G.cond(p, lambda: v * v, lambda: v * 4.0)
    (gradient,) = G.gradients(y, v)
    session = session_of(graph, v)
    assert [session.run(gradient, {p: p_}) for p_ in (True, False)] == [6.0, 4.0]
