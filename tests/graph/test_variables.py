"""Variables of graphs: initial values, assignments, and a state for each session."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn.errors import DTypeError, GraphError, ShapeError
from corenn.graph import (
    Graph,
    Session,
    UninitializedError,
    constant,
    control_dependencies,
    get_collection,
    global_variables,
    global_variables_initializer,
    group,
    local_variables_initializer,
    placeholder,
    trainable_variables,
    variable,
    variables_initializer,
)  # fmt: skip


@pytest.fixture(autouse=True)
def graph():
    with Graph().as_default() as made:
        yield made


def started() -> Session:
    session = Session()
    session.run([global_variables_initializer(), local_variables_initializer()])
    return session


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [
        (1.5, "float32", 1.5),
        (3, "int32", 3),
        (True, "bool", True),
        ([1.0, 2.0], "float32", [1, 2]),
        (np.arange(3), "int64", [0, 1, 2]),
        (lambda: constant(2.0) * 3, "float32", 6),
        (lambda: np.ones(2), "float64", [1, 1]),
        (lambda: 4, "int32", 4),
    ],
)
def test_initial_values(given, dtype, expected):
    v = variable(given)
    assert v.dtype == dtype
    np.testing.assert_array_equal(started().run(v), expected)


def test_initial_values_of_tensors_and_other_variables():
    x = constant([1.0, 2.0])
    v = variable(x * 2, name="v")
    w = variable(v.initialized_value() + 1, name="w")
    found = started().run([v, w])
    np.testing.assert_array_equal(found, [[2, 4], [3, 5]])


def test_initialized_value_is_the_present_one_once_there_is_one():
    v = variable(1.0)
    read = v.initialized_value()
    session = Session()
    assert session.run(read) == 1
    session.run(v.initializer)
    session.run(v.assign(5.0))
    assert session.run(read) == 5
    assert Session().run(read) == 1


def test_names_and_collections():
    v = variable(1.0)
    w = variable(1.0, name="w", trainable=False)
    c = variable(1.0, name="c", collections=["local_variables"], trainable=False)
    assert (v.name, w.name, v.operation.type) == ("Variable:0", "w:0", "VariableV2")
    assert v.initializer.name == "Variable/Assign" and v.value().name == "Variable/read:0"
    assert v.initial_value.operation.name == "Variable/initial_value"
    assert global_variables() == [v, w] and trainable_variables() == [v]
    assert get_collection("local_variables") == [c]
    assert repr(v) == "<variable 'Variable:0' float32[]>"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda v: v.assign([5.0, 6.0]), [5, 6]),
        (lambda v: v.assign_add([1.0, 1.0]), [2, 3]),
        (lambda v: v.assign_sub([1.0, 1.0]), [0, 1]),
        (lambda v: v.assign_add(1.0), [2, 3]),
        (lambda v: v.assign(v * 10), [10, 20]),
    ],
)
def test_assignments(change, expected):
    v = variable([1.0, 2.0])
    assigned = change(v)
    session = started()
    np.testing.assert_array_equal(session.run(assigned), expected)
    np.testing.assert_array_equal(session.run(v), expected)
    session.run(v.initializer)
    session.run(assigned.operation)
    np.testing.assert_array_equal(session.run(v), expected)


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        (lambda v: v.assign([1.0]), ShapeError, r"Shapes \(2,\) and \(1,\) are not compatible"),
        (lambda v: v.assign([[1.0, 2.0]]), ShapeError, "are not compatible"),
        (lambda v: v.assign(constant([1, 2])), DTypeError, "another dtype"),
        (lambda v: v.assign_add(np.zeros(0, np.float32)), ShapeError, "not"),
    ],
)
def test_assignments_that_do_not_fit(wrong, error, text):
    with pytest.raises(error, match=text):
        wrong(variable([1.0, 2.0]))


def test_an_assignment_is_checked_when_shapes_are_only_known_then():
    v = variable([1.0, 2.0])
    x = placeholder("float32", (None,))
    session, change = started(), v.assign(x)
    np.testing.assert_array_equal(session.run(change, {x: [3, 4]}), [3, 4])
    with pytest.raises(ShapeError, match="another shape"):
        session.run(change, {x: [3, 4, 5]})
    np.testing.assert_array_equal(session.run(v), [3, 4])
    grow = v.assign_add(placeholder("float32", None, name="y"))
    with pytest.raises(ShapeError, match="another shape"):
        session.run(grow, {"y:0": np.ones((2, 2))})


def test_variables_of_unknown_shape_may_change_it():
    x = placeholder("float32", None)
    v = variable(x, validate_shape=False)
    assert v.shape is None
    session = Session()
    session.run(v.initializer, {x: [1, 2]})
    doubled = v * 2
    np.testing.assert_array_equal(session.run(doubled), [2, 4])
    session.run(v.assign(x, validate_shape=False), {x: [[1, 2, 3]]})
    np.testing.assert_array_equal(session.run(doubled), [[2, 4, 6]])
    with pytest.raises(ShapeError, match="initial_value must have a shape specified"):
        variable(x)


def test_reading_before_initialisation_names_the_variable():
    v = variable(1.0, name="weights")
    session = Session()
    uses = [v, v + 1, v.assign_add(1.0), corenn.graph.gradients(v * v, v)[0]]
    for use in uses:
        with pytest.raises(UninitializedError, match="Attempting to use uninitialized value weights") as caught:
            session.run(use)
        assert caught.value.variable is v
    assert session.run(v.is_initialized()) == np.False_
    session.run(v.assign(3.0))  # no initializer needed
    assert session.run(uses[1]) == 4 and session.run(v.is_initialized()) == np.True_
    with pytest.raises(UninitializedError):
        Session().run(uses[1])


def test_a_plan_of_another_session_state_is_not_kept():
    """Whether a variable has a value is part of what a program was made for."""
    v = variable(1.0)
    known = v.is_initialized()
    session = Session()
    assert not session.run(known) and not session.run(known)
    session.run(v.initializer)
    assert session.run(known) and session.run(known)


def test_sessions_share_nothing():
    v = variable(0.0)
    add = v.assign_add(1.0)
    a, b = started(), started()
    for _ in range(3):
        a.run(add)
    assert a.run(v) == 3 and b.run(v) == 0
    v.load(7.0, b)
    assert b.run(v) == 7 and a.run(v) == 3


def test_fetched_arrays_are_copies():
    v = variable([1.0, 2.0])
    session = started()
    first = session.run(v)
    first[:] = 9
    np.testing.assert_array_equal(session.run(v), [1, 2])
    same = session.run([v, v.value(), corenn.identity(v)])
    for array in same:
        array[:] = 9
    np.testing.assert_array_equal(session.run(v), [1, 2])
    held = session.run(v)
    session.run(v.assign_add(1.0))
    np.testing.assert_array_equal(held, [1, 2])
    fed = np.array([3.0, 4.0], np.float32)
    session.run(v.assign(placeholder("float32", (2,), name="x")), {"x:0": fed})
    fed[:] = 0
    np.testing.assert_array_equal(session.run(v), [3, 4])
    v.load(fed, session)
    fed[:] = 8
    np.testing.assert_array_equal(session.run(v), [0, 0])


def test_order_of_reads_and_writes():
    v = variable(1.0)
    with control_dependencies([v.assign(5.0)]):
        after = v.read_value()
        used = v * 2
    before = v.value()
    session = started()
    assert session.run([after, used]) == [5, 10]
    session = started()
    assert session.run([before, after]) == [1, 5]
    with control_dependencies([before]):
        later = v.assign(7.0)
    with control_dependencies([later]):
        last = v.read_value()
    assert started().run([before, later, last]) == [1, 7, 7]


def test_groups_and_initialisers():
    v, w = variable(1.0, name="v"), variable(2.0, name="w")
    both = group(v.assign(3.0), [w.assign(4.0)])
    session = Session()
    assert session.run(both) is None
    assert session.run([v, w]) == [3, 4]
    session.run(variables_initializer([v]))
    assert session.run([v, w]) == [1, 4]
    assert global_variables_initializer().name == "init_1"


# ---------------------------------------------------------------- feeding variables


@pytest.mark.parametrize("initialised", [False, True])
@pytest.mark.parametrize("trace", [False, lambda *step: None], ids=["compiled", "replayed"])
def test_a_fed_variable_is_what_every_reader_sees(initialised, trace):
    v = variable([1.0, 2.0], name="v")
    y = v * 10
    with control_dependencies([constant(0.0)]):
        z = v + 1
    session = started() if initialised else Session()
    found = session.run([v, y, z, v.value()], {v: [3, 4]}, trace=trace)
    np.testing.assert_array_equal(found[0], [3, 4])
    np.testing.assert_array_equal(found[1], [30, 40])
    np.testing.assert_array_equal(found[2], [4, 5])
    np.testing.assert_array_equal(found[3], [3, 4])
    if initialised:
        np.testing.assert_array_equal(session.run(v), [1, 2])  # feeding does not assign
    else:
        with pytest.raises(UninitializedError):
            session.run(v)


@pytest.mark.parametrize("trace", [False, lambda *step: None], ids=["compiled", "replayed"])
def test_a_fed_variable_can_be_written(trace):
    v = variable(1.0)
    add = v.assign_add(1.0)
    session = started()
    assert session.run(add, {v: 10.0}, trace=trace) == 11
    assert session.run(v) == 11


def test_runs_with_fed_variables_are_compiled():
    v = variable([1.0, 2.0])
    y = v * 10
    session = started()
    session.run(y, {v: [3, 4]})
    (plan,) = session._plans.values() if len(session._plans) == 1 else list(session._plans.values())[-1:]
    assert plan.compiled is not None


def test_gradients_by_a_fed_variable():
    v = variable([1.0, 2.0])
    (g,) = corenn.graph.gradients(corenn.sum(v * v), [v])
    np.testing.assert_array_equal(started().run(g, {v: [3, 4]}), [6, 8])


def test_closed_sessions_forget():
    v = variable(1.0)
    session = started()
    session.close()
    with pytest.raises(GraphError, match=r"Attempted to use a closed Session\."):
        session.run(v)
