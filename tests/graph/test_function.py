"""corenn.function: when it traces, what it captures, and that it computes what Python would."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn import layers
from corenn.errors import GraphError, ShapeError, UsageError
from corenn.graph import py_function
from corenn.graph.function import RetraceWarning, TensorSpec


def counted(python):
    """A traced function, and the list its traces append to."""
    traces = []

    def call(*args, **kwargs):
        traces.append(1)
        return python(*args, **kwargs)

    return corenn.function(call), traces


def test_one_trace_for_each_signature():
    f, traces = counted(lambda x, n=2: {"y": x * n, "none": None})
    a = corenn.tensor([1.0, 2.0])
    calls = [(a,), (a,), (a, 3), (a, 3), (np.ones(2, np.float32),), (corenn.ones((3,)),), (corenn.tensor([1, 2]),)]
    found = [f(*args) for args in calls]
    assert len(traces) == 4
    assert found[2]["y"].tolist() == [3.0, 6.0]
    assert found[0]["none"] is None


def test_an_input_signature_is_one_trace_for_all_extents():
    f, traces = counted(lambda x: corenn.sum(x, axis=0))
    f.input_signature = [((None, 3), corenn.float32)]
    g = corenn.function(lambda x: corenn.sum(x, axis=0) * 2, input_signature=[TensorSpec((None, 3))])
    for rows in (1, 2, 5):
        assert f(np.ones((rows, 3))).tolist() == [rows] * 3
        assert g(np.ones((rows, 3))).tolist() == [2 * rows] * 3
    assert len(traces) == 1
    with pytest.raises(ShapeError, match="input_signature"):
        g(np.ones((2, 4), np.float32))
    with pytest.raises(UsageError, match="takes 1 tensors"):
        g(np.ones((2, 3), np.float32), np.ones((2, 3), np.float32))


def test_an_input_signature_needs_no_arguments_and_casts_them():
    f = corenn.function(lambda x: x / 2, input_signature=[TensorSpec((None,), "float32")])
    concrete = f.get_concrete_function()
    for _ in range(2):  # the second time it is known
        found = f(corenn.tensor(np.array([1, 2, 3])))
        assert found.dtype is corenn.float32
        np.testing.assert_array_equal(np.array(found), [0.5, 1.0, 1.5])
    assert list(f.traces.values()) == [concrete]


def test_variables_are_read_and_written_in_order():
    v = corenn.Variable([1.0, 2.0])

    @corenn.function
    def f(delta):
        before = v.value()
        v.assign_add(delta)
        between = v * 2
        v.assign(v * 10.0)
        return before, between, v.value()

    for _ in range(2):
        start = v.numpy()
        before, between, after = f(corenn.tensor([1.0, 1.0]))
        np.testing.assert_allclose(before.numpy(), start)
        np.testing.assert_allclose(between.numpy(), (start + 1) * 2)
        np.testing.assert_allclose(after.numpy(), (start + 1) * 10)
        np.testing.assert_allclose(v.numpy(), after.numpy())


def test_a_failed_call_changes_nothing():
    v = corenn.Variable(1.0)

    @corenn.function
    def f(i):
        v.assign_add(1.0)
        return corenn.gather(corenn.tensor([1.0, 2.0]), i)

    f(corenn.tensor(1))
    with pytest.raises(Exception, match=r"(?s).*") as caught:
        f(corenn.tensor(7))
    assert v.numpy() == 2.0
    assert any("test_function.py" in note for note in caught.value.__notes__)


def test_random_draws_are_those_made_eagerly():
    f = corenn.function(lambda x: corenn.random.normal((3,)) + x)
    corenn.random.seed(5)
    traced = [f(corenn.tensor(0.0)).numpy() for _ in range(3)]
    corenn.random.seed(5)
    eager = [corenn.random.normal((3,)).numpy() for _ in range(3)]
    np.testing.assert_array_equal(traced, eager)
    seeded = corenn.function(lambda x: corenn.random.uniform((2,), seed=3) + x)
    np.testing.assert_array_equal(seeded(0 * corenn.ones(())).numpy(), seeded(0 * corenn.ones(())).numpy())


def test_gradients_pass_through_inputs_variables_and_captures():
    v, c = corenn.Variable([2.0, 3.0]), corenn.tensor([1.0, 5.0])
    f = corenn.function(lambda x: (corenn.sum(x * x * v), c * v))
    x = corenn.tensor([3.0, 4.0])
    with corenn.GradientTape() as tape:
        tape.watch(x)
        total, scaled = f(x)
        loss = total * 2 + corenn.sum(scaled)
    dx, dv = tape.gradient(loss, [x, v])
    np.testing.assert_allclose(dx.numpy(), 4 * x.numpy() * v.numpy())
    np.testing.assert_allclose(dv.numpy(), 2 * x.numpy() ** 2 + c.numpy())


@pytest.mark.parametrize("fed", [False, True], ids=["compiled", "replayed"])
@pytest.mark.parametrize("python", [
    lambda v, x: (v.assign_add(1.0), v * x * x)[1],
    lambda v, x: (v.assign(v * x), v * x)[1],
    lambda v, x: (y := v * x, v.assign_sub(y), v * y)[2],
], ids=["add", "assign", "subtract"])  # fmt: skip
def test_gradients_see_what_the_function_wrote(python, fed):
    v = corenn.Variable(2.0)

    def body(x):
        # The number of iterations makes this run operation by operation where it is a value.
        count = corenn.cast(x, dtype="int32") if fed else 1
        corenn.while_loop(lambda i: i < count, lambda i: (i + 1,), (0,))
        return python(v, x)

    def outcome(function):
        v.assign(2.0)
        x = corenn.tensor(3.0)
        with corenn.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return [float(t) for t in (y, *tape.gradient(y, [x, v]), v)]

    assert outcome(corenn.function(body)) == outcome(lambda x: python(v, x))


def test_python_with_effects_is_called_once_though_a_tape_watches():
    calls, v = [], corenn.Variable(2.0)

    @corenn.function
    def f(x):
        told = py_function(lambda a: (calls.append(1), a + 1)[1], [corenn.stop_gradient(x)], "float32", shapes=())
        return v * x * told

    x = corenn.tensor(3.0)
    with corenn.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert [float(t) for t in (y, *tape.gradient(y, [x, v]))] == [24.0, 8.0, 12.0]
    assert len(calls) == 1


def test_the_gradient_of_a_dropout_uses_the_mask_that_was_drawn():
    f = corenn.function(lambda x: corenn.nn.dropout(x, rate=0.5))
    x = corenn.ones((200,))
    for _ in range(3):
        with corenn.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        np.testing.assert_array_equal(tape.gradient(y, x).numpy() != 0, y.numpy() != 0)


def test_a_tape_inside_and_an_update():
    v = corenn.Variable([1.0, 1.0])
    optimizer = corenn.optimizers.Adam(0.1)

    def step(x, y):
        with corenn.GradientTape() as tape:
            loss = corenn.mean((x * v - y) ** 2)
        optimizer.apply_gradients([(tape.gradient(loss, v), v)])
        return loss

    x, y = corenn.tensor([1.0, 2.0]), corenn.tensor([3.0, 5.0])
    step(x, y)  # makes the slots
    traced = corenn.function(step)
    state, start = optimizer.get_state(), v.numpy()
    eager = [float(step(x, y)) for _ in range(4)]
    optimizer.set_state(state)
    v.assign(start)
    assert [float(traced(x, y)) for _ in range(4)] == eager
    assert optimizer.iterations == 5


def test_nested_functions_become_part_of_the_outer_one():
    inner = corenn.function(lambda x: x * 2)
    outer = corenn.function(lambda x: inner(x) + inner(x + 1))
    assert outer(corenn.tensor(3.0)).item() == 14.0
    assert inner.traces == {}
    names = [o.type for o in outer.get_concrete_function(TensorSpec(())).graph.get_operations()]
    assert names.count("Mul") == 2


def test_a_method_is_traced_for_each_instance():
    class Scale:
        def __init__(self, by):
            self.by = by

        @corenn.function
        def __call__(self, x):
            return x * self.by

    a, b = Scale(2.0), Scale(3.0)
    assert (a(corenn.tensor(1.0)).item(), b(corenn.tensor(1.0)).item()) == (2.0, 3.0)


def test_layers_are_built_while_tracing_and_trained_by_what_is_traced():
    dense = layers.Dense(3)
    f = corenn.function(lambda x: dense(x))
    x = np.ones((2, 4), np.float32)
    first = f(x).numpy()
    np.testing.assert_allclose(first, x @ dense.kernel.numpy() + dense.bias.numpy(), rtol=1e-6)
    dense.kernel.assign(dense.kernel * 0.0)
    np.testing.assert_array_equal(f(x).numpy(), np.zeros((2, 3)))


@pytest.mark.parametrize("kind", ["Adam", "RMSprop", "Ftrl", "SGD"])
def test_slots_of_an_optimizer_that_first_steps_while_tracing(kind):
    def trained(wrap):
        w = corenn.Variable([1.0, -2.0], name="w")
        optimizer = getattr(corenn.optimizers, kind)(0.1)

        @wrap
        def step(x):
            with corenn.GradientTape() as tape:
                loss = corenn.sum((w * x - 1.0) ** 2)
            optimizer.apply_gradients([(tape.gradient(loss, w), w)])
            return loss

        losses = [float(step(corenn.tensor([1.0, k]))) for k in (1.0, 2.0, 3.0)]
        return losses, w.numpy(), optimizer.get_state()["slots"]

    for found, expected in zip(trained(corenn.function), trained(lambda f: f), strict=True):
        corenn.tree.tree_map(np.testing.assert_array_equal, found, expected)


def test_metrics_that_begin_while_tracing():
    mean, accuracy = corenn.metrics.Mean(), corenn.metrics.SparseCategoricalAccuracy()

    @corenn.function
    def step(values, labels):
        accuracy.update_state(labels, values)
        return mean(values)

    values, labels = np.float32([[1, 2], [4, 3]]), np.int64([1, 1])
    assert [float(step(values * k, labels)) for k in (1, 2, 3)] == [2.5, 3.75, 5.0]
    assert float(mean.result()) == 5.0 and float(accuracy.result()) == 0.5
    mean.reset_state()
    assert float(step(values, labels)) == 2.5


def test_variables_made_while_tracing():
    made = []

    @corenn.function
    def f(x):
        if not made:
            made.append(corenn.Variable(corenn.full((2,), 3.0) * 2.0, name="v"))
            made.append(corenn.Variable(corenn.random.normal((2,), seed=1), name="r"))
        made[0].assign_add(x)
        return made[0] * 1.0

    x = corenn.tensor([1.0, 2.0])
    assert f(x).tolist() == [7, 8] and f(x).tolist() == [8, 10] and made[0].numpy().tolist() == [8, 10]
    np.testing.assert_array_equal(made[1].numpy(), corenn.random.normal((2,), seed=1).numpy())
    with pytest.raises(GraphError, match="its initial value depends on the arguments"):
        corenn.function(lambda x: corenn.Variable(x + 1.0))(x)
    with corenn.graph.Graph().as_default(), pytest.raises(GraphError, match=r"corenn\.graph\.variable"):
        corenn.Variable(corenn.graph.constant(1.0) + 1.0)


def test_loops_whose_length_is_a_value():
    @corenn.function
    def power(x, n):
        return corenn.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, a * x), (0, corenn.tensor(1.0)))[1]

    assert [power(corenn.tensor(2.0), corenn.tensor(n)).item() for n in (0, 3, 5)] == [1.0, 8.0, 32.0]
    with corenn.GradientTape() as tape:
        x = corenn.tensor(2.0)
        tape.watch(x)
        y = power(x, corenn.tensor(3))
    assert tape.gradient(y, x).item() == 12.0


@pytest.mark.parametrize(
    ("python", "message"),
    [
        (lambda x: x if corenn.sum(x) > 0 else -x, "corenn.cond"),
        (lambda x: float(corenn.sum(x)), "no value until"),
        (lambda x: x.numpy(), "py_function"),
        (lambda x: [row for row in corenn.sum(x)], "first extent"),
    ],
)
def test_what_needs_values_says_so(python, message):
    with pytest.raises(GraphError, match=message):
        corenn.function(python)(corenn.tensor([1.0, 2.0]))


def test_tracing_again_and_again_is_said_once():
    f = corenn.function(lambda x, n: x * n)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(20):
            f(corenn.tensor(1.0), n)
    assert [w.category for w in caught] == [RetraceWarning]


operators = st.sampled_from([corenn.add, corenn.subtract, corenn.multiply, corenn.maximum, corenn.minimum])
unary = st.sampled_from([corenn.tanh, corenn.exp, corenn.square, corenn.nn.relu, corenn.negative, corenn.nn.sigmoid])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(operators, unary, st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_random_programs_compute_and_differentiate_as_eagerly(steps):
    def python(x, y):
        values = [x, y]
        for binary, outer, i, j in steps:
            values.append(corenn.tanh(outer(binary(values[i % len(values)], values[j % len(values)]))))
        return corenn.sum(values[-1] * values[-2])

    rng = np.random.default_rng(len(steps))
    x, y = (corenn.tensor(rng.normal(size=shape), dtype="float64") for shape in ((3, 4), (4,)))
    traced = corenn.function(python)
    results = []
    for function in (python, traced):
        with corenn.GradientTape() as tape:
            tape.watch([x, y])
            value = function(x, y)
        results.append([value, *tape.gradient(value, [x, y], unconnected_gradients="zero")])
    for eager, compiled in zip(*results, strict=True):
        np.testing.assert_allclose(compiled.numpy(), eager.numpy(), rtol=1e-12, atol=1e-12)


def test_a_trace_called_while_another_is_made_becomes_part_of_it():
    double = corenn.function(lambda x: x * 2)
    trace = double.get_concrete_function(corenn.ones((3,)))
    outer = corenn.function(lambda x: trace(x) + 1)
    assert outer(corenn.tensor([1.0, 2.0, 3.0])).numpy().tolist() == [3.0, 5.0, 7.0]
    with pytest.raises(UsageError, match="takes 1 tensors, not 2"):
        corenn.function(lambda x: trace(x, x))(corenn.ones((3,)))
