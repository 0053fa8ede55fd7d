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


#: How a session runs a graph: compiled with what is known, with the decision fed, or operation by operation.
MANNERS = ["constant", "fed", "replayed"]


def run(session, manner, fetches, feeds):
    observer = (lambda *_: None) if manner == "replayed" else None
    return session.run(fetches, feeds if manner == "fed" else None, trace=observer)


@pytest.mark.parametrize("manner", MANNERS)
def test_what_a_differentiated_branch_writes_is_written_once(graph, manner):
    v, w = G.variable(1.0, name="v"), G.variable(2.0, name="w")
    p = G.placeholder("bool", ())

    def written():
        with G.control_dependencies([v.assign_add(10.0)]):
            return w * v.read_value()

    y = G.cond(p if manner == "fed" else G.constant(True), written, lambda: w * 1.0)
    by_w, by_v = G.gradients(y, [w, v])
    session = session_of(graph, v, w)
    assert run(session, manner, [y, by_w, by_v], {p: True}) == [22.0, 11.0, 2.0]
    assert session.run([v, w]) == [11.0, 2.0]


@pytest.mark.parametrize("manner", MANNERS)
def test_what_a_differentiated_loop_writes_is_written_once(graph, manner):
    v, w = G.variable(1.0, name="v"), G.variable(2.0, name="w")
    n = G.placeholder("int32", ())
    limit = n if manner == "fed" else 3
    _, z = G.while_loop(lambda i, z: i < limit, lambda i, z: (i + 1, z * w + v.assign_add(1.0)), (0, 0.0))
    (by_w,) = G.gradients(z, w)
    session = session_of(graph, v, w)
    # z: 2, 2 w + 3, 2 w^2 + 3 w + 4
    assert run(session, manner, [z, by_w], {n: 3}) == [18.0, 11.0]
    assert session.run(v) == 4.0


@pytest.mark.parametrize("manner", MANNERS)
def test_a_loop_reads_what_the_iteration_before_wrote(graph, manner):
    v, n = G.variable(1.0, name="v"), G.placeholder("int32", ())
    limit = n if manner == "fed" else 3

    def body(i, total):
        total = total + v  # read before it is written, in every iteration
        with G.control_dependencies([total, v.assign(v * 2.0)]):
            return i + 1, total + 0.0

    _, total = G.while_loop(lambda i, t: i < limit, body, (0, 0.0))
    session = session_of(graph, v)
    assert run(session, manner, total, {n: 3}) == 1.0 + 2.0 + 4.0
    assert session.run(v) == 8.0


@pytest.mark.parametrize("manner", MANNERS)
def test_python_with_effects_in_a_differentiated_branch_is_called_once(graph, manner):
    w, p, calls = G.variable(2.0, name="w"), G.placeholder("bool", ()), []

    def branch():
        told = G.py_function(lambda a: (calls.append(1), a)[1], [w], "float32", shapes=())
        with G.control_dependencies([told]):
            return w * w

    y = G.cond(p if manner == "fed" else G.constant(True), branch, lambda: w * 1.0)
    (gradient,) = G.gradients(y, w)
    session = session_of(graph, w)
    assert run(session, manner, [y, gradient], {p: True}) == [4.0, 4.0]
    assert len(calls) == 1
