"""``gradients``: what it takes, what it gives, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn.errors import GradientError, GraphError, ShapeError, UsageError
from corenn.graph import (
    Graph,
    Session,
    constant,
    global_variables_initializer,
    gradients,
    placeholder,
    py_function,
    register_gradient,
    variable,
)  # fmt: skip


@pytest.fixture(autouse=True)
def graph():
    with Graph().as_default() as made:
        yield made


def run(fetches, feeds=None):
    session = Session()
    session.run(global_variables_initializer())
    return session.run(fetches, feeds)


def test_several_ys_are_summed():
    x = constant([1.0, 2.0])
    (g,) = gradients([x * x, 3.0 * x], [x])
    np.testing.assert_array_equal(run(g), [5, 7])
    assert g.name.startswith("gradients/")


def test_grad_ys():
    x = constant([1.0, 2.0])
    (g,) = gradients([x * x, 3.0 * x], x, grad_ys=[[10.0, 1.0], None])
    np.testing.assert_array_equal(run(g), [23, 7])
    with pytest.raises(UsageError, match="2 ys but 1 grad_ys"):
        gradients([x, x], x, grad_ys=[None])
    with pytest.raises(ShapeError, match="a grad_y must have its y's shape"):
        gradients(x, x, grad_ys=[[[1.0]]])


def test_integers():
    """They are constants, unless asked for (TensorFlow's first releases differentiated them)."""
    a, b = constant(5), constant(7)
    first, second = a + 2 * b, a * b + b
    assert gradients(first, [a, b]) == [None, None]
    for ys, expected in ((first, [1, 2]), (second, [7, 6]), ([first, second], [8, 8])):
        found = gradients(ys, [a, b], integers=True)
        assert [g.dtype for g in found] == [a.dtype, b.dtype] and run(found) == expected
    table, place = constant([1.0, 2.0, 3.0]), constant(2)
    by_table, by_place = gradients(table[place] * 4.0, [table, place], integers=True)
    assert run(by_table).tolist() == [0, 0, 4] and by_place is None


def test_registered_gradients(graph):
    seen = []

    def half(operation, gradient):
        seen.append((operation.type, [i.dtype.name for i in operation.inputs]))
        return gradient * 0.5

    register_gradient("half of test", half)
    register_gradient("by hand of test", lambda operation, first, second: [first + 10.0 * second, None])
    register_gradient("too few of test", lambda operation, first, second: first)
    x = constant([0.2, 1.4])
    with graph.gradient_override_map({"Round": "half of test"}):
        rounded, doubled = corenn.round(x), x * 2.0
        with graph.gradient_override_map({"Mul": "half of test"}), graph.gradient_override_map({"Round": "unknown"}):
            unknown = corenn.round(x)
    assert run(gradients(rounded * [3.0, 5.0], x))[0].tolist() == [1.5, 2.5]
    assert run(gradients(doubled, x))[0].tolist() == [2, 2]
    assert run(gradients(corenn.round(x), x))[0].tolist() == [0, 0]
    assert seen == [("Round", ["float32"])]
    with pytest.raises(GradientError, match="No gradient defined for operation 'Round_1'"):
        gradients(unknown, x)

    def pair(values, factor):
        return values * factor, values - factor

    for name, error in (("by hand of test", None), ("too few of test", "Num gradients 1 generated for op .* 2")):
        with graph.gradient_override_map({"PyFunc": name}):
            first, second = py_function(pair, [x, constant(3.0)], ["float32", "float32"])
        if error is None:
            assert run(gradients([corenn.sum(first), corenn.sum(second)], x))[0].tolist() == [11, 11]
            assert run(gradients(corenn.sum(second), x))[0].tolist() == [10, 10]
        else:
            with pytest.raises(GradientError, match=error):
                gradients(first, x)
    with pytest.raises(UsageError, match="already"):
        register_gradient("half of test", half)
    with pytest.raises(UsageError, match="a dict of strings"), graph.gradient_override_map({"Round": half}):
        pass


def test_stop_gradients():
    x = constant(2.0)
    y = x * x
    z = y * x
    assert run(gradients(z, [x, y])) == [12, 2]
    assert run(gradients(z, [x, y], stop_gradients=[y])) == [4, 2]
    assert run(gradients(z, [x], stop_gradients=[y])) == [4]
    assert run(gradients(corenn.stop_gradient(y) * x, [x])) == [4]
    assert gradients(y, [x], stop_gradients=[y]) == [None]
    assert run(gradients(x + 2.0 * x, [x], stop_gradients=[x])) == [3]
    first, second = corenn.split(corenn.stack([x, x * 3]), 2)
    assert run(gradients(first * second, [x], stop_gradients=[second]))[0] == 6


def test_unconnected():
    x, other = constant(2.0), constant([3.0, 4.0])
    assert gradients(x * 2, [other]) == [None]
    zeros = gradients(x * 2, [x, other], unconnected_gradients="zero")
    np.testing.assert_array_equal(run(zeros[1]), [0, 0])
    n = constant(3)
    a = corenn.cast(n, dtype="float32") * x
    assert gradients(a, [n]) == [None]
    b = constant(0) * 2
    assert gradients(b + constant(0), [b]) == [None]


def test_by_intermediate_tensors_variables_and_itself():
    v = variable([1.0, 2.0])
    y = v * v
    z = corenn.sum(y * 3)
    found = run(gradients(z, [v, y, z, v.value()]))
    np.testing.assert_array_equal(found[0], [6, 12])
    np.testing.assert_array_equal(found[1], [3, 3])
    assert found[2] == 1
    np.testing.assert_array_equal(found[3], [6, 12])


def test_a_variable_read_twice():
    v = variable(3.0)
    (g,) = gradients(v * v.read_value(), [v])
    assert run(g) == 6


def test_an_operand_used_twice():
    x = constant(3.0)
    assert run(gradients(x * x * x + corenn.add(x, x), [x])) == [29]


def test_higher_orders():
    x = placeholder("float64", ())
    y, expected = corenn.sin(x) * x**3, []
    for _ in range(4):
        expected.append(y)
        (y,) = gradients(y, x)
    v = 0.7
    third = run(expected[3], {x: v})
    s, c = np.sin(v), np.cos(v)
    np.testing.assert_allclose(run(expected[1], {x: v}), c * v**3 + 3 * s * v**2)
    np.testing.assert_allclose(run(expected[2], {x: v}), -s * v**3 + 6 * c * v**2 + 6 * s * v)
    np.testing.assert_allclose(third, -c * v**3 - 9 * s * v**2 + 18 * c * v + 6 * s)


def test_what_has_no_gradient_is_named():
    x = placeholder("float32", ())
    y = py_function(lambda v: v, [x], "float32", name="opaque")
    with pytest.raises(GradientError, match=r"No gradient defined for operation 'opaque' \(op type: PyFunc\)"):
        gradients(y, x)
    assert gradients(y + 1.0, [y])[0] is not None
    assert gradients(corenn.stop_gradient(y), x) == [None]


def test_arguments_that_are_none():
    with pytest.raises(UsageError, match="neither ys nor xs"):
        gradients(1.0, 2.0)
    with Graph().as_default():
        other = constant(1.0)
    x = constant(1.0)
    with pytest.raises(GraphError, match="belongs to another graph"):
        gradients(x, other)
    with pytest.raises(UsageError, match="is an operation"):
        gradients(x, x.operation)


def test_gradients_have_the_shapes_of_their_xs():
    x = placeholder("float32", (None, 3))
    w = placeholder("float32", (3,))
    gx, gw = gradients(x * w + 1.0, [x, w])
    assert gx.shape == (None, 3) and gw.shape == (3,)
    found = run([gx, gw], {x: np.ones((2, 3)), w: [1, 2, 3]})
    np.testing.assert_array_equal(found[0], [[1, 2, 3]] * 2)
    np.testing.assert_array_equal(found[1], [2, 2, 2])
