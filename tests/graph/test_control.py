"""Control flow: values, effects, gradients; compiled where it can be, and the same operation by operation."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn.errors import GraphError, ShapeError
from corenn.graph import (
    Graph,
    Session,
    case,
    cond,
    constant,
    control_dependencies,
    fold,
    global_variables_initializer,
    gradients,
    map_fn,
    placeholder,
    py_function,
    scan,
    variable,
    while_loop,
)  # fmt: skip


@pytest.fixture(autouse=True)
def graph():
    with Graph().as_default() as made:
        yield made


def both(session, fetches, feeds):
    """The values, compiled if they can be and operation by operation, which must be equal."""
    compiled = session.run(fetches, feeds)
    replayed = session.run(fetches, feeds, trace=lambda *step: None)
    for a, b in zip(*[c if isinstance(c, list) else [c] for c in (compiled, replayed)], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    return compiled


def is_compiled(session) -> bool:
    plan = list(session._plans.values())[-1]
    return plan.compiled is not None or bool(plan.variants)


# ---------------------------------------------------------------- cond, case


def test_cond():
    p, x = placeholder("bool", ()), placeholder("float32", (2,))
    y = cond(p, lambda: x * 2, lambda: x - 1)
    session = Session()
    np.testing.assert_array_equal(both(session, y, {p: True, x: [1, 2]}), [2, 4])
    np.testing.assert_array_equal(both(session, y, {p: False, x: [1, 2]}), [0, 1])


def test_cond_on_a_computed_value_is_compiled():
    x = placeholder("float32", (2,))
    y = cond(corenn.sum(x) > 0, lambda: (x * 2, {"a": x}), lambda: (x - 1, {"a": -x}))
    session = Session()
    found = session.run(y, {x: [1, 2]})
    np.testing.assert_array_equal(found[0], [2, 4])
    np.testing.assert_array_equal(found[1]["a"], [1, 2])
    assert is_compiled(session)
    assert "if(" in str(list(session._plans.values())[-1].compiled.executable.program)
    np.testing.assert_array_equal(session.run(y, {x: [-1, -2]})[0], [-2, -3])


def test_fetched_branch_results_are_copies():
    x, v = placeholder("float32", (2,)), variable([1.0, 2.0])
    y = cond(corenn.sum(x) > 0, lambda: v.value(), lambda: constant([5.0, 6.0]))
    session = Session()
    session.run(v.initializer)
    for sign in (1, -1, 1, -1):
        found = session.run(y, {x: [sign, sign]})
        np.testing.assert_array_equal(found, [1, 2] if sign > 0 else [5, 6])
        found[:] = 9


def test_only_one_branch_runs():
    calls = []
    x = placeholder("float32", ())

    def branch(name):
        return lambda: py_function(lambda v: calls.append(name) or v, [x], "float32", shapes=())

    y = cond(x > 0, branch("yes"), branch("no"))
    session = Session()
    assert session.run(y, {x: 1}) == 1 and calls == ["yes"]
    assert session.run(y, {x: -1}) == -1 and calls == ["yes", "no"]


def test_branches_write_variables():
    v, x = variable(1.0), placeholder("float32", ())
    y = cond(x > 0, lambda: v.assign_add(x), lambda: v.assign(0.0))
    with control_dependencies([y]):
        after = v.read_value()
    session = Session()
    session.run(global_variables_initializer())
    assert session.run([y, after], {x: 2}) == [3, 3]
    assert is_compiled(session)
    assert session.run(v) == 3
    assert session.run([y, after], {x: -2}) == [0, 0]
    assert session.run(v) == 0


def test_branches_may_give_operations_or_nothing():
    v, x = variable(0.0), placeholder("float32", ())
    done = cond(x > 0, lambda: v.assign_add(1.0).operation, lambda: corenn.graph.no_op())
    session = Session()
    session.run(global_variables_initializer())
    session.run(done, {x: 1})
    session.run(done, {x: -1})
    assert session.run(v) == 1


def test_nested_cond_and_case():
    x = placeholder("float32", ())
    y = case([(x < 0, lambda: x * -1), (x < 10, lambda: x * 2)], default=lambda: x * 100)
    session = Session()
    assert [both(session, y, {x: v}) for v in (-3, 4, 20)] == [3, 8, 2000]
    z = cond(x > 0, lambda: cond(x > 5, lambda: x * 1, lambda: x * 2), lambda: x * 3)
    assert [both(session, z, {x: v}) for v in (6, 2, -1)] == [6, 4, -3]


@pytest.mark.parametrize(
    ("yes", "no", "text"),
    [
        (lambda: constant(1.0), lambda: (constant(1.0), constant(2.0)), "true_fn returns 1 tensors, false_fn 2"),
        (lambda: constant(1.0), lambda: constant(1), "different dtypes"),
    ],
)
def test_branches_must_agree(yes, no, text):
    with pytest.raises(GraphError, match=text):
        cond(placeholder("bool", ()), yes, no)


def test_branches_of_different_shapes():
    p = placeholder("bool", ())
    y = cond(p, lambda: constant([1.0]), lambda: constant([1.0, 2.0]))
    assert y.shape == (None,)
    session = Session()
    assert len(session.run(y, {p: True})) == 1 and len(session.run(y, {p: False})) == 2
    x = placeholder("float32", ())
    z = cond(x > 0, lambda: constant([1.0]), lambda: constant([1.0, 2.0])) * 2
    assert [len(session.run(z, {x: v})) for v in (1, -1)] == [1, 2]


# ---------------------------------------------------------------- while_loop


def test_while_loop_of_a_known_number_of_steps():
    x = placeholder("float32", ())
    i, y = while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, y * x), (constant(0), constant(1.0)))
    session = Session()
    assert both(session, [i, y], {x: 2}) == [5, 32]
    assert is_compiled(session)


def test_while_loop_decided_by_values():
    x = placeholder("float32", ())
    n, y = while_loop(lambda n, y: y < 100.0, lambda n, y: [n + 1, y * x], [0, 1.0])
    session = Session()
    assert both(session, [n, y], {x: 2}) == [7, 128]
    assert both(session, [n, y], {x: 10}) == [2, 100]
    assert is_compiled(session)
    assert "while(" in str(list(session._plans.values())[-1].compiled.executable.program)
    limited = while_loop(lambda y: y < 100.0, lambda y: y * x, [constant(1.0)], maximum_iterations=3)
    assert both(session, limited, {x: 2}) == [8]


def test_while_loop_with_a_fed_bound():
    n, x = placeholder("int32", ()), placeholder("float32", (2,))
    _, y = while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y + x), (0, corenn.zeros_like(x)))
    session = Session()
    for steps in (0, 1, 7):
        np.testing.assert_array_equal(both(session, y, {n: steps, x: [1, 2]}), [steps, 2 * steps])


def test_while_loop_that_grows():
    x = placeholder("float32", (None,))
    y = while_loop(
        lambda t: corenn.graph.shape(t)[0] < 5,
        lambda t: corenn.concatenate([t, t[:1]]),
        [x],
        shape_invariants=[(None,)],
    )[0]
    np.testing.assert_array_equal(both(Session(), y, {x: [7, 8]}), [7, 8, 7, 7, 7])
    with pytest.raises(GraphError, match="changes its dtype"):
        while_loop(lambda i: i < 3, lambda i: i * 1.0, [constant(0)])


def test_while_loop_of_structures():
    start = {"a": constant(0.0), "b": (constant(1.0), constant(2))}
    end = while_loop(lambda s: s["a"] < 3.0, lambda s: {"a": s["a"] + 1, "b": (s["b"][0] * 2, s["b"][1] + 1)}, [start])[
        0
    ]
    assert Session().run(end) == {"a": 3, "b": (8, 5)}


def test_bodies_that_write_variables():
    v, x = variable(0.0), placeholder("float32", ())
    i = while_loop(lambda i: i < x, lambda i: i + corenn.sign(v.assign_add(1.0)), [constant(0.0)])
    session = Session()
    session.run(global_variables_initializer())
    assert session.run(i, {x: 4})[0] == 4
    assert session.run(v) == 4


# ---------------------------------------------------------------- scan, map_fn, fold


def test_scan_map_and_fold():
    x = placeholder("float32", (None, 2))
    w = variable(2.0)
    total = scan(lambda a, r: a + r * w, x, corenn.zeros((2,)) + 0 * w)
    running = scan(lambda a, r: a + r, x)
    backward = scan(lambda a, r: a + r, x, reverse=True)
    squares = map_fn(lambda r: corenn.sum(r * r), x)
    last = fold(lambda a, r: a * 2 + r, x)
    first = fold(lambda a, r: a * 2 + r, x, constant([1.0, 1.0]), reverse=True)
    assert squares.shape == (None,) and total.shape == (None, 2)
    session = Session()
    session.run(global_variables_initializer())
    for rows in (1, 2, 5):
        v = np.random.default_rng(rows).normal(size=(rows, 2)).astype(np.float32)
        found = both(session, [total, squares, last, first, running, backward], {x: v}) if rows > 1 else session.run(
            [total, squares], {x: v}
        )  # fmt: skip
        np.testing.assert_allclose(found[0], np.cumsum(2 * v, 0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[1], (v * v).sum(1), rtol=1e-5)
        if rows > 1:
            np.testing.assert_allclose(found[4], np.cumsum(v, 0), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(found[5], np.cumsum(v[::-1], 0)[::-1], rtol=1e-5, atol=1e-6)
            a, b = v[0], np.ones(2, np.float32)
            for row in v[1:]:
                a = a * 2 + row
            for row in v[::-1]:
                b = b * 2 + row
            np.testing.assert_allclose(found[2], a, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(found[3], b, rtol=1e-5, atol=1e-6)


def test_structures_of_elements():
    x, y = placeholder("float32", (3, 2)), placeholder("float32", (3,))
    both_ = map_fn(lambda pair: {"s": pair[0] * pair[1], "t": pair[1]}, (x, y))
    found = Session().run(both_, {x: np.ones((3, 2)), y: [1, 2, 3]})
    np.testing.assert_array_equal(found["s"], [[1, 1], [2, 2], [3, 3]])
    np.testing.assert_array_equal(found["t"], [1, 2, 3])
    z = map_fn(lambda pair: pair[0] + pair[1], (x, placeholder("float32", (None,), name="z")))
    with pytest.raises(ShapeError, match="rows"):
        Session().run(z, {x: np.ones((3, 2)), "z:0": [1, 2]})


# ---------------------------------------------------------------- gradients through all of it


def check_gradient(y, x, feeds, session=None, rtol=1e-5):
    """The gradient of ``sum(y)`` by central differences in float64, compiled and not."""
    session = session or Session()
    total = corenn.sum(y)
    (g,) = gradients(total, x)
    assert g is not None
    found = both(session, g, feeds)
    base = np.array(feeds[x], np.float64)
    numeric = np.zeros_like(base)
    for place in np.ndindex(base.shape):
        moved = []
        for step in (1e-5, -1e-5):
            value = base.copy()
            value[place] += step
            moved.append(session.run(total, {**feeds, x: value}))
        numeric[place] = (moved[0] - moved[1]) / 2e-5
    np.testing.assert_allclose(found, numeric, rtol=rtol, atol=1e-7)


POINT = np.array([0.5, -0.3, 0.8])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: cond(corenn.sum(x) > 0, lambda: x * x, lambda: corenn.sin(x)),
        lambda x: cond(corenn.sum(x) < 0, lambda: x * x, lambda: corenn.sin(x) * corenn.sum(x)),
        lambda x: cond(corenn.sum(x) > 0, lambda: corenn.exp(x), lambda: corenn.zeros_like(x)),
        lambda x: while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x + y), (0, x))[1],
        lambda x: while_loop(lambda y: corenn.sum(y * y) < 50.0, lambda y: y * 1.7 + x, [x])[0],
        lambda x: scan(lambda a, r: a * r + r, x),
        lambda x: scan(lambda a, r: a * r + corenn.sum(x), x, constant(1.0, "float64")),
        lambda x: map_fn(lambda r: corenn.sin(r) * corenn.sum(x * x), x),
        lambda x: fold(lambda a, r: a * r + 1.0, x, constant(2.0, "float64"), reverse=True),
        lambda x: map_fn(lambda r: cond(r > 0, lambda: r * r, lambda: r * 3), x),
        lambda x: cond(
            corenn.sum(x) > 0, lambda: map_fn(lambda r: r * r, x), lambda: scan(lambda a, r: a * r, x)
        ),
        lambda x: corenn.gather(x, constant([0, 2, 0])) * x,
        lambda x: x[corenn.graph.shape(x)[0] - 2 :] ** 2,
        lambda x: x[: corenn.argmax(x)] * 3,
        lambda x: corenn.reshape(x, shape=(corenn.graph.shape(x)[0], 1)) * x,
    ],
    ids=["cond", "cond, no", "cond, one side", "while", "while by value", "scan", "scan captures", "map", "fold",
         "cond in map", "scan in cond", "gather", "slice", "slice by value", "deferred shape"],
)  # fmt: skip
def test_gradients(function):
    x = placeholder("float64", (None,))
    check_gradient(function(x), x, {x: POINT})


@pytest.mark.parametrize(
    "function",
    [
        lambda x: cond(corenn.sum(x) > 0, lambda: x * x * x, lambda: corenn.sin(x)),
        lambda x: while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x + y), (0, x))[1],
        lambda x: scan(lambda a, r: a * r + r, x),
        lambda x: map_fn(lambda r: corenn.sin(r) * corenn.sum(x * x), x),
    ],
    ids=["cond", "while", "scan", "map"],
)
def test_second_order_gradients(function):
    x = placeholder("float64", (None,))
    (g,) = gradients(corenn.sum(function(x)), x)
    check_gradient(g * g, x, {x: POINT}, rtol=1e-4)


def test_gradients_by_captured_variables():
    w, x = variable(np.array([1.5, -0.5]), name="w"), placeholder("float64", (None, 2))
    y = corenn.sum(map_fn(lambda r: corenn.tanh(corenn.sum(r * w)), x))
    (g,) = gradients(y, [w])
    session = Session()
    session.run(global_variables_initializer())
    v = np.random.default_rng(0).normal(size=(4, 2))
    expected = ((1 - np.tanh(v @ [1.5, -0.5]) ** 2)[:, None] * v).sum(0)
    np.testing.assert_allclose(both(session, g, {x: v}), expected)


@pytest.mark.parametrize("how", [lambda f: f, corenn.function], ids=["now", "traced"])
@pytest.mark.parametrize("over", [scan, fold])
def test_an_accumulated_value_keeps_its_dtype(over, how):
    wider = how(lambda x: over(lambda total, row: corenn.cast(total + row, dtype="float64"), x, corenn.tensor(0.0)))
    with pytest.raises(GraphError, match="changes its dtype"):
        wider(corenn.tensor([1.0, 2.0]))
