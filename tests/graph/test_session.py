"""``Session.run``: what is fetched, fed, run and kept; callables, defaults, threads, and what errors say."""

from __future__ import annotations

import collections
import gc
import threading
import tracemalloc
from typing import NamedTuple

import numpy as np
import pytest

import corenn
from corenn.errors import CorennError, DTypeError, GraphError, ShapeError, UsageError
from corenn.graph import (
    Graph,
    InteractiveSession,
    NotFiniteError,
    Session,
    constant,
    control_dependencies,
    get_collection,
    get_default_session,
    global_variables,
    global_variables_initializer,
    no_op,
    placeholder,
    placeholder_with_default,
    py_function,
    shape,
    trainable_variables,
    tuple_,
    variable,
)  # fmt: skip


@pytest.fixture(autouse=True)
def graph():
    with Graph().as_default() as made:
        yield made


class Pair(NamedTuple):
    first: object
    second: object


def counting(x, dtype="float32"):
    """``x`` through Python that counts its calls; with the list of calls."""
    calls = []

    def function(value):
        calls.append(value)
        return value

    return py_function(function, [x], dtype), calls


# ---------------------------------------------------------------- fetches


def test_fetches_keep_their_structure():
    a, b, done = constant(1.0, name="a"), constant([1, 2], name="b"), no_op(name="done")
    session = Session()
    assert session.run(a) == 1 and isinstance(session.run(a), np.float32)
    np.testing.assert_array_equal(session.run("b:0"), [1, 2])
    assert session.run(done) is None and session.run("done") is None
    assert session.run([]) == [] and session.run(()) == () and session.run({}) == {}
    assert session.run([a, (a, [done])]) == [1, (1, [None])]
    assert session.run((a,)) == (1,)
    found = session.run(Pair(a, {"x": a}))
    assert type(found) is Pair and found == Pair(1, {"x": 1})
    ordered = session.run(collections.OrderedDict([("z", a), ("y", [a, a])]))
    assert type(ordered) is collections.OrderedDict and list(ordered.items()) == [("z", 1), ("y", [1, 1])]
    assert session.run(collections.defaultdict(list, x=a)) == {"x": 1}
    twice = session.run([b, [b]])
    np.testing.assert_array_equal(twice[0], [1, 2])
    np.testing.assert_array_equal(twice[1][0], [1, 2])


def test_structures_that_change_are_read_again():
    a, b = constant(1.0), constant(2.0)
    session = Session()
    inner = [a]
    wanted = (inner, a)
    assert session.run(wanted) == ([1], 1)
    inner[0] = b
    assert session.run(wanted) == ([2], 1)
    inner.append(a)
    assert session.run(wanted) == ([2, 1], 1)
    flat = [a, a]
    assert session.run(flat) == [1, 1]
    flat[1] = b
    assert session.run(flat) == [1, 2]
    named = {"x": a}
    assert session.run(named) == {"x": 1}
    named["x"] = b
    assert session.run(named) == {"x": 2}


@pytest.mark.parametrize(
    ("fetch", "error", "text"),
    [
        (None, TypeError, "Fetch argument None has invalid type <class 'NoneType'>"),
        (3, TypeError, "Fetch argument 3 has invalid type"),
        ([None], TypeError, "Fetch argument None"),
        ("x:0", ValueError, "The name 'x:0' refers to a Tensor which does not exist. The operation, 'x', does not"),
        ("x", ValueError, "refers to an Operation not in the graph"),
    ],
)  # fmt: skip
def test_fetches_that_are_none(fetch, error, text):
    with pytest.raises(error, match=text):
        Session().run(fetch)


def test_tensors_of_another_graph():
    with Graph().as_default():
        other = constant(1.0)
    with pytest.raises(ValueError, match=r"cannot be interpreted as a Tensor\. .*is not an element of this graph"):
        Session().run(other)
    with pytest.raises(TypeError, match=r"Cannot interpret feed_dict key as Tensor: .*not an element of this graph"):
        Session().run(constant(1.0), {other: 1})


# ---------------------------------------------------------------- feeds


def test_any_tensor_can_be_fed():
    x = placeholder("float32", ())
    y = x * 2
    z = y + 1
    session = Session()
    assert session.run(z, {x: 3}) == 7
    assert session.run(z, {y: 10}) == 11  # x is not needed
    assert session.run([y, z], {y: 10}) == [10, 11]
    assert session.run(z, {z: 5}) == 5
    assert session.run(z, {z.name: 5}) == 5
    c = constant(2.0)
    assert session.run(c + 1, {c: 9}) == 10
    many = corenn.unstack(constant([1.0, 2.0]))
    assert session.run([many[0] + 0, many[1] + 0], {many[0]: 7}) == [7, 2]
    assert session.run([z, y], {(x, c): (1, 2)}) == [3, 2]


def test_values_are_converted_and_checked():
    x = placeholder("float32", (None, 2), name="x")
    n = placeholder("int32", (), name="n")
    session = Session()
    assert session.run(x * 1, {x: [[1, 2]]}).dtype == np.float32
    assert session.run(n, {n: np.int64(3)}) == 3 and session.run(n, {n: 4.0}) == 4
    for feed, error, text in [
        (
            {x: [1, 2, 3]},
            ValueError,
            r"Cannot feed value of shape \(3,\) for Tensor 'x:0', which has shape '\(\?, 2\)'",
        ),
        ({x: [[1, 2, 3]]}, ShapeError, "Cannot feed value"),
        ({x: [[1, 2], [3]]}, ShapeError, "no array"),
        ({x: [["a", "b"]]}, DTypeError, "cannot feed"),
        ({n: 1.5}, DTypeError, "lose fractions"),
        ({x: constant([[1.0, 2.0]])}, TypeError, "The value of a feed cannot be a tf.Tensor object"),
        ({3: 1}, TypeError, "Cannot interpret feed_dict key as Tensor"),
        ({"nothing:0": 1}, TypeError, "Cannot interpret feed_dict key as Tensor"),
        ({no_op(): 1}, TypeError, "is an operation"),
    ]:
        with pytest.raises(error, match=text):
            session.run([x, n], feed)


def test_unfed_placeholders_are_named():
    x = placeholder("float32", (None, 784), name="x")
    s = placeholder("int32", None, name="s")
    session = Session()
    text = r"You must feed a value for placeholder tensor 'x' with dtype float and shape \[\?,784\]"
    with pytest.raises(GraphError, match=text):
        session.run(x * 2)
    with pytest.raises(GraphError, match="placeholder tensor 's' with dtype int32"):
        session.run(s)
    assert session.run(constant(1.0)) == 1  # what is not needed need not be fed


def test_placeholders_of_unknown_extents_and_rank():
    x = placeholder("float32", (None, 3))
    u = placeholder("float32", None)
    total, square, double = corenn.sum(x, axis=0), x @ x.T, u * 2
    assert total.shape == (3,) and square.shape == (None, None) and double.shape is None
    session = Session()
    for n in (1, 4, 0, 4):
        value = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
        np.testing.assert_array_equal(session.run(total, {x: value}), value.sum(0))
        np.testing.assert_allclose(session.run(square, {x: value}), value @ value.T)
        np.testing.assert_array_equal(session.run(double, {u: value}), value * 2)
    assert session.run(double, {u: 3}) == 6


def test_placeholders_with_defaults():
    x = placeholder_with_default(3.0, (), name="x")
    y = placeholder_with_default(np.ones((2, 2), np.float32), (None, 2))
    session = Session()
    assert session.run(x * 2) == 6 and session.run(x * 2, {x: 5}) == 10
    assert y.shape == (None, 2)
    assert session.run(corenn.sum(y)) == 4 and session.run(corenn.sum(y), {y: np.ones((3, 2))}) == 6
    with pytest.raises(ShapeError):
        session.run(y, {y: np.ones((3, 3))})


@pytest.mark.parametrize("shape", [[3], [], [None, 2], [2, 1]])
def test_defaults_that_do_not_fit_are_refused(shape):
    with pytest.raises(ShapeError, match="the default has another shape"):
        placeholder_with_default([1.0, 2.0], shape)


def test_a_default_of_unknown_extents_fits_what_it_may_be():
    x = placeholder("float32", (None,))
    assert placeholder_with_default(x, [3]).shape == (3,)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: constant(1), np.int32(1)),
        (lambda: constant(1.0), np.float32(1)),
        (lambda: constant([1.0, 2.0], "float64"), np.array([1.0, 2.0])),
        (lambda: constant(0.5, shape=(2, 2)), np.full((2, 2), 0.5, np.float32)),
        (lambda: constant([1, 2, 3, 4], shape=(2, 2)), np.array([[1, 2], [3, 4]], np.int32)),
        (lambda: constant(corenn.tensor([1.0])), np.array([1], np.float32)),
        (lambda: constant(np.arange(3)), np.arange(3)),
        (lambda: constant(True), np.True_),
    ],
)
def test_constants(made, expected):
    found = Session().run(made())
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


def test_constants_are_their_own():
    values = np.zeros(2, np.float32)
    c = constant(values)
    values[:] = 1
    found = Session().run(c)
    found[:] = 5
    np.testing.assert_array_equal(Session().run(c), [0, 0])
    with pytest.raises(ShapeError, match="do not fill"):
        constant([1.0, 2.0, 3.0], shape=(2, 2))


def test_shapes_at_run_time():
    x = placeholder("float32", (None, 3))
    n = shape(x)
    flat = corenn.reshape(x, shape=(n[0] * 3,))
    assert n.dtype == "int32" and flat.ndim == 1
    session = Session()
    for rows in (2, 5):
        value = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
        np.testing.assert_array_equal(session.run(n, {x: value}), [rows, 3])
        np.testing.assert_array_equal(session.run(flat, {x: value}), value.reshape(-1))


# ---------------------------------------------------------------- what runs


def test_each_operation_runs_once_and_only_what_is_needed():
    x = placeholder("float32", ())
    a, a_calls = counting(x)
    b, b_calls = counting(x)
    c = a + 1
    session = Session()
    session.run([c, a, a * 2, c], {x: 1})
    assert len(a_calls) == 1 and not b_calls
    session.run([c + 1], {a: 3})  # fed, so not run
    assert len(a_calls) == 1
    with control_dependencies([b]):
        late = x * 2
    assert session.run(late, {x: 1}) == 2
    assert len(b_calls) == 1 and len(a_calls) == 1


def test_control_dependencies_run_before():
    order = []

    def note(name):
        return py_function(lambda: order.append(name) or np.float32(0), [], "float32", shapes=())

    first = note("first")
    with control_dependencies([first]):
        second = note("second")
    with control_dependencies([second]):
        third = note("third")
    Session().run(third)
    assert order == ["first", "second", "third"]
    order.clear()
    joined = tuple_([first, third])
    Session().run(joined[0])
    assert order == ["first", "second", "third"]


def test_pure_functions_may_be_left_out_and_others_not():
    calls = []
    x = placeholder("float32", ())
    kept = py_function(lambda v: calls.append("kept") or v, [x], "float32", shapes=())
    pure = py_function(lambda v: calls.append("pure") or v, [x], "float32", shapes=(), stateful=False)
    with control_dependencies([kept, pure]):
        y = x + 1
    assert Session().run(y, {x: 1}) == 2
    assert calls == ["kept"]


@pytest.mark.parametrize("stated", [None, ()])
def test_python_functions(stated):
    x = placeholder("float32", ())
    one = py_function(lambda v: v * 2, [x], "float32", shapes=stated)
    pair = py_function(lambda v: (v, 3), [x], ["float32", "int64"], shapes=None if stated is None else [(), ()])
    none = py_function(lambda v: None, [x], [])
    session = Session()
    assert session.run([one + 1, *pair], {x: 2}) == [5, 2, 3]
    assert session.run(none, {x: 2}) is None
    wrong = py_function(lambda v: (v, v), [x], "float32", shapes=stated)
    with pytest.raises(GraphError, match="returned 2 values, not 1"):
        session.run(wrong, {x: 1})
    with pytest.raises(ZeroDivisionError) as caught:
        session.run(py_function(lambda v: 1 // 0, [x], "float32", shapes=stated, name="division"), {x: 1})
    assert "in operation 'division'" in caught.value.__notes__[0]


@pytest.mark.parametrize("shapes", [[()], [(), (), ()], []])
def test_as_many_shapes_of_python_functions_as_dtypes(shapes):
    with pytest.raises(UsageError, match=f"2 dtypes but {len(shapes)} shapes"):
        py_function(lambda: (1, 2), [], ["float32", "float32"], shapes=shapes)


@pytest.mark.parametrize(
    ("stated", "fits"), [((), False), ((3,), False), ((2, 1), False), ((2,), True), ((None,), True)]
)
def test_what_python_returns_is_held_to_the_shapes_stated(stated, fits):
    y = py_function(lambda: np.array([1.0, 2.0]), [], "float32", shapes=stated) + 1
    if fits:
        assert Session().run(y).tolist() == [2, 3]
    else:
        with pytest.raises(ShapeError, match="result 0 of the Python function"):
            Session().run(y)


@pytest.mark.parametrize("collected", [get_collection, trainable_variables, global_variables])
def test_scopes_that_are_no_regular_expressions(collected):
    arguments = ["things", "("] if collected is get_collection else ["("]
    with pytest.raises(UsageError, match="no regular expression"):
        collected(*arguments)


def test_composite_operations(graph):
    x = placeholder("float32", (None, 4))
    normal, total = graph.call(
        lambda t: (t / t.shape[0], corenn.sum(t, axis=1)), x, type_name="Averaged", name="averaged"
    )
    assert normal.operation.type == "Averaged" and normal.shape == (None, 4) and total.shape == (None,)
    (g,) = corenn.graph.gradients(normal, x)
    session = Session()
    value = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(session.run(normal, {x: value}), value / 2)
    np.testing.assert_array_equal(session.run(g, {x: value}), value / 2)


# ---------------------------------------------------------------- errors, traces


def test_errors_name_the_operation_and_the_line():
    x, y = placeholder("float32", (None,)), placeholder("float32", (None,))
    total = corenn.add(x, y)  # the line
    for trace in (False, lambda *step: None):
        with pytest.raises(ShapeError) as caught:
            Session().run(total, {x: [1, 2], y: [1, 2, 3]}, trace=trace)
        notes = "\n".join(caught.value.__notes__)
        assert f"in operation {total.operation.name!r} (type Add" in notes
        assert "float32[2], float32[3]" in notes and f"made at {total.operation.where}" in notes


def test_an_error_inside_a_kernel_names_the_operation():
    x = placeholder("float32", (None, None))
    y = corenn.linalg.cholesky(x)
    session = Session()
    session.run(y, {x: np.eye(2)})
    with pytest.raises(Exception) as caught:  # the library's own
        session.run(y, {x: -np.eye(2)})
    assert any("Cholesky" in note for note in caught.value.__notes__)


def test_trace_prints_every_step(capsys):
    x = placeholder("float32", (), name="x")
    y = corenn.multiply(x, 2.0)
    assert Session().run(y, {x: 3}, trace=True) == 6
    printed = capsys.readouterr().out
    assert "Mul = Mul(x:0, Mul/y:0)" in printed and "test_session.py:" in printed and "Mul:0: " in printed
    seen = []
    Session().run(y, {x: 3}, trace=lambda operation, inputs, results: seen.append(operation.name))
    assert seen == ["Mul/y", "Mul"]


def test_check_numerics_names_the_first_operation():
    x = placeholder("float32", (2,))
    fine = x + 1.0
    bad = corenn.log(fine)
    after = bad * 2.0
    session = Session(check_numerics=True)
    assert np.isfinite(session.run(after, {x: [1, 2]})).all()
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError) as caught:
        session.run(after, {x: [-3, 2]})
    assert caught.value.operation is bad.operation
    assert "1 of 2 elements that are not finite" in str(caught.value) and "test_session.py" in str(caught.value)


def test_a_run_that_fails_changes_no_variable():
    v, w = variable(1.0), variable(1.0)
    with control_dependencies([v.assign(5.0), w.assign(5.0)]):
        failing = py_function(lambda: 1 // 0, [], "float32", shapes=())
    for trace in (False, lambda *step: None):
        session = Session()
        session.run(global_variables_initializer())
        with pytest.raises(ZeroDivisionError):
            session.run(failing, trace=trace)
        assert session.run([v, w]) == [1, 1]


# ---------------------------------------------------------------- defaults, callables, the end


def test_default_sessions():
    x = constant(2.0)
    assert get_default_session() is None
    with pytest.raises(ValueError, match=r"Cannot evaluate tensor using `eval\(\)`: No default session"):
        x.eval()
    with pytest.raises(ValueError, match=r"Cannot execute operation using `run\(\)`: No default session"):
        no_op().run()
    with Session() as session:
        assert get_default_session() is session and x.eval() == 2
        no_op().run()
    with pytest.raises(GraphError, match="closed Session"):
        session.run(x)
    with Session().as_default() as kept:
        assert x.eval() == 2 and (x + 1).eval({x: 5}) == 6
    assert kept.run(x) == 2 and get_default_session() is None
    assert x.eval(session=kept) == 2
    with Graph().as_default(), Session(), pytest.raises(ValueError, match="it runs another graph"):
        x.eval()


def test_a_session_makes_its_graph_the_default_one():
    other = Graph()
    with Session(other):
        assert corenn.graph.get_default_graph() is other


def test_interactive_sessions():
    session = InteractiveSession()
    assert constant(3.0).eval() == 3 and get_default_session() is session
    session.close()
    assert get_default_session() is None


def test_callables():
    x, y = placeholder("float32", ()), placeholder("float32", ())
    call = Session().make_callable([x + y, x], [x, y])
    assert call(1, 2) == [3, 1] and call(3, 4) == [7, 3]
    with pytest.raises(ValueError, match="argument"):
        call(1)
    assert Session().make_callable(constant(1.0))() == 1


def test_other_backends():
    x = placeholder("float32", (2,))
    assert Session(backend="numpy").device.name.startswith("numpy")
    np.testing.assert_array_equal(Session(backend="numpy").run(x * 2, {x: [1, 2]}), [2, 4])
    with pytest.raises(CorennError):
        Session(backend="nonesuch")


# ---------------------------------------------------------------- threads and memory


def test_runs_from_many_threads():
    v = variable(np.zeros(3, np.float32))
    x = placeholder("float32", (None,))
    add, other = v.assign_add(corenn.sum(x) * np.ones(3, np.float32)), corenn.sum(x) * 2
    session = Session()
    session.run(v.initializer)
    errors = []

    def work(number):
        try:
            for i in range(50):
                session.run(add, {x: np.ones(1 + i % 3)})
                assert session.run(other, {x: np.full(number + 1, 2.0)}) == 4 * (number + 1)
                row = session.run(v)
                assert (row == row[0]).all()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    total = 8 * sum(1 + i % 3 for i in range(50))
    np.testing.assert_array_equal(session.run(v), np.full(3, total))


def _growth(runs: int) -> float:
    """Bytes that a session holds more after ``runs`` runs of varying feeds than after the first few."""
    x = placeholder("float32", (None, 3))
    v = variable(np.zeros(3, np.float32))
    with control_dependencies([v.assign_add(corenn.sum(x, axis=0))]):
        out = corenn.tanh(v.read_value()) * 2.0
    session = Session()
    session.run(v.initializer)
    feeds = [np.random.default_rng(n).normal(size=(1 + n % 7, 3)) for n in range(31)]

    def run(count):
        for n in range(count):
            session.run([out, v], {x: feeds[n % 31]})
        gc.collect()

    run(200)
    tracemalloc.start()
    try:
        run(20)
        before = tracemalloc.get_traced_memory()[0]
        run(runs)
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def test_runs_do_not_grow():
    assert _growth(2_000) < 20_000


@pytest.mark.slow
def test_a_hundred_thousand_runs_do_not_grow():
    assert _growth(100_000) < 20_000


def test_shapes_that_never_repeat_do_not_fill_the_memory():
    x = placeholder("float32", (None,))
    y = corenn.sum(x)
    session = Session()
    for n in range(600):
        assert session.run(y, {x: np.ones(n)}) == n
    assert len(session._plans) <= 256


def test_fetches_of_new_tensors_do_not_fill_the_memory():
    x = constant(1.0)
    session = Session()
    for n in range(300):
        assert session.run([x + float(n)]) == [n + 1]
    assert len(session._fetches) <= 256 and len(session._plans) <= 256
