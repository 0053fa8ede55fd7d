"""Control flow, loops over arrays, gradients, Python in graphs, traced functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

V = np.array([1.0, 2.0, 3.0], np.float32)


#: An expression, and its value in a graph and eagerly.  P is 2.0, fed in a graph.
TABLE: list[tuple[str, Any]] = [
    ("tf.cond(P > 1, lambda: P * 2, lambda: P)", 4.0),
    ("tf.cond(P > 5, lambda: (P, P + 1), lambda: (P + 2, P + 3))[1]", 5.0),
    ("tf.case([(P > 5, lambda: P), (P > 1, lambda: P * 3)], default=lambda: -P)", 6.0),
    ("tf.case([(P > 5, lambda: P)], default=lambda: -P)", -2.0),
    ("tf.switch_case(tf.cast(P, tf.int32), [lambda: P, lambda: -P, lambda: P * 7])", 14.0),
    ("tf.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + P), [0, 0.0])[1]", 10.0),
    ("tf.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + P), [0, 0.0], maximum_iterations=2)[1]", 4.0),
    ("tf.while_loop(lambda i, p: i < 3, lambda i, p: (i + 1, (p[0] + 1.0, p[1] * P)), (0, (0.0, 1.0)))[1][1]", 8.0),
    ("tf.while_loop(lambda i, x: i < 2, lambda i, x: (i + 1, tf.concat([x, x], 0)), [0, tf.reshape(P, [1])], "
     "shape_invariants=[tf.TensorShape([]), tf.TensorShape([None])])[1]", [2.0] * 4),
    ("tf.map_fn(lambda x: x * P, V)", [2.0, 4.0, 6.0]),
    ("tf.map_fn(lambda x: (x[0] + x[1], x[0]), (V, V), dtype=(tf.float32, tf.float32))[0]", [2.0, 4.0, 6.0]),
    ("tf.map_fn(lambda x: tf.cast(x, tf.float64), V, dtype=tf.float64)", [1.0, 2.0, 3.0]),
    ("tf.scan(lambda a, x: a + x, V)", [1.0, 3.0, 6.0]),
    ("tf.scan(lambda a, x: a * P + x, V, initializer=P)", [5.0, 12.0, 27.0]),
    ("tf.scan(lambda a, x: a + x, V, reverse=True)", [6.0, 5.0, 3.0]),
    ("tf.foldl(lambda a, x: a * 2 + x, V)", 11.0),
    ("tf.foldr(lambda a, x: a * 2 + x, V)", 17.0),
    ("tf.TensorArray(tf.float32, 2).write(0, P).write(1, P * 2).stack()", [2.0, 4.0]),
    ("tf.TensorArray(tf.float32, 3).unstack(V).read(1)", 2.0),
    ("tf.TensorArray(tf.float32, 2).unstack(tf.stack([V, V])).concat()", [1.0, 2.0, 3.0] * 2),
    ("tf.TensorArray(tf.float32, 3).unstack(V).size()", 3),
    ("tf.while_loop(lambda i, t: i < 3, lambda i, t: (i + 1, t.write(i, P * tf.cast(i, tf.float32))), "
     "[0, tf.TensorArray(tf.float32, 3)])[1].stack()",
     [0.0, 2.0, 4.0]),
    ("tf.while_loop(lambda i, t: i < 3, lambda i, t: (i + 1, t.write(i, V * P)), "
     "[0, tf.TensorArray(tf.float32, 0, dynamic_size=True)])[1].stack()[2]",
     [2.0, 4.0, 6.0]),
    ("tf.py_function(lambda x: x * 3.0, [P], tf.float32)", 6.0),
    ("tf.numpy_function(lambda x: np.float32(x + 1), [P], tf.float32)", 3.0),
    ("tf.tuple([P, P + 1])[1]", 3.0),
    ("tf.identity_n([P, P + 1])[1]", 3.0),
    ("tf.stop_gradient(P)", 2.0),
    ("tf.vectorized_map(lambda x: x + 1, V)", [2.0, 3.0, 4.0]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), TABLE, ids=[e[:60] for e, _ in TABLE])
def test_in_a_graph(tf1: Any, expression: str, expected: Any) -> None:
    p = tf1.placeholder(tf1.float32, [])
    tensor = eval(expression, {"tf": tf1, "np": np, "P": p, "V": tf1.constant(V)})
    np.testing.assert_array_equal(tf1.Session().run(tensor, {p: 2.0}), expected)


@pytest.mark.parametrize(("expression", "expected"), TABLE, ids=[e[:60] for e, _ in TABLE])
def test_eagerly(tf2: Any, expression: str, expected: Any) -> None:
    found = eval(expression, {"tf": tf2, "np": np, "P": tf2.constant(2.0), "V": tf2.constant(V)})
    np.testing.assert_array_equal(found.numpy(), expected)


def test_only_the_chosen_branch_runs(tf1: Any) -> None:
    v, p = tf1.Variable(0), tf1.placeholder(tf1.bool, [])
    with tf1.control_dependencies([tf1.cond(p, lambda: v.assign_add(1), lambda: v.assign_add(10))]):
        after = v.read_value()
    with tf1.Session() as session:
        session.run(v.initializer)
        assert [session.run(after, {p: held}) for held in (True, False, True)] == [1, 11, 12]


def test_one_variable_of_a_loop_comes_back_alone(tf1: Any) -> None:
    assert tf1.Session().run(tf1.while_loop(lambda i: i < 3, lambda i: [i + 1], [0])) == 3


def test_variables_of_a_body_are_made_once(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 4, 3])

    def step(t: Any, h: Any, outputs: Any) -> Any:
        with tf1.variable_scope("cell"):
            w = tf1.get_variable("w", [3, 2], initializer=tf1.ones_initializer())
        h = h + tf1.matmul(x[:, t], w)
        return t + 1, h, outputs.write(t, h)

    start = (0, tf1.zeros([tf1.shape(x)[0], 2]), tf1.TensorArray(tf1.float32, 4))
    _, last, outputs = tf1.while_loop(lambda t, *_: t < 4, step, start)
    stacked = outputs.stack()
    assert [v.name for v in tf1.global_variables()] == ["cell/w:0"] and stacked.shape.as_list() == [4, None, 2]
    (gradient,) = tf1.gradients(tf1.reduce_sum(stacked), tf1.trainable_variables())
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        values, final, slope = session.run([stacked, last, gradient], {x: np.ones((5, 4, 3))})
    np.testing.assert_array_equal(values[:, 0, 0], [3.0, 6.0, 9.0, 12.0])
    np.testing.assert_array_equal(final, values[-1])
    np.testing.assert_array_equal(slope, np.full((3, 2), 5 * (1 + 2 + 3 + 4)))


def test_writing_past_the_end_of_an_array(tf2: Any) -> None:
    with pytest.raises(tf2.errors.OutOfRangeError, match="array is not resizeable and size is: 1"):
        tf2.TensorArray(tf2.float32, 1).write(1, 0.0)


def test_gradients(tf1: Any) -> None:
    x, y = tf1.constant([1.0, 2.0]), tf1.constant(3.0)
    z = x * x * y
    whole = tf1.constant(0)
    with tf1.Session() as session:
        assert [g.tolist() for g in session.run(tf1.gradients(z, [x, y]))] == [[6.0, 12.0], 5.0]
        assert session.run(tf1.gradients(z, x, grad_ys=[[10.0, 1.0]])[0]).tolist() == [60.0, 12.0]
        assert session.run(tf1.hessians(tf1.reduce_sum(z), x)[0]).tolist() == [[6.0, 0.0], [0.0, 6.0]]
        assert session.run(tf1.gradients(whole * 2 + whole, [whole])) == [3] and tf1.gradients(y, x) == [None]
        assert session.run(tf1.gradients(y, x, unconnected_gradients="zero")[0]).tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="Passed 2 grad_ys for 1 ys"):
        tf1.gradients(z, x, grad_ys=[10.0, 1.0])
    with pytest.raises(LookupError, match="No gradient defined for operation 'PyFunc'"):
        tf1.gradients(tf1.py_func(lambda a: a, [x], tf1.float32), x)


def test_gradients_of_ones_own(tf1: Any) -> None:
    @tf1.custom_gradient
    def clipped(v: Any) -> Any:
        return tf1.identity(v), lambda upstream: tf1.clip_by_value(upstream, -0.1, 0.1)

    x = tf1.Variable([1.0, 2.0])
    found = tf1.gradients(tf1.reduce_sum(clipped(x) * [5.0, 0.05]), x)[0]
    with tf1.Session() as session:
        session.run(x.initializer)
        np.testing.assert_allclose(session.run(found), [0.1, 0.05])


def test_tapes(tf2: Any) -> None:
    v, x = tf2.Variable(3.0), tf2.constant(2.0)
    with tf2.GradientTape() as tape:
        tape.watch(x)
        y = v * v * x
    assert [float(g) for g in tape.gradient(y, [v, x])] == [12.0, 9.0]
    with pytest.raises(RuntimeError, match="non-persistent GradientTape can only be used to compute one set"):
        tape.gradient(y, v)
    with pytest.raises(RuntimeError, match=r"tf.gradients is not supported when eager execution is enabled"):
        tf2.gradients(y, x)


def test_python_in_a_graph(tf1: Any) -> None:
    calls: list[Any] = []

    def python(a: Any) -> Any:
        calls.append(a)
        return np.float32(a.sum()), np.int32(a.size)

    x = tf1.placeholder(tf1.float32, [None])
    total, count = tf1.py_func(python, [x], [tf1.float32, tf1.int32])
    with tf1.Session() as session:
        assert session.run([total, count], {x: [1.0, 2.0]}) == [3.0, 2] and len(calls) == 1


def test_printing(tf1: Any, tf2: Any, capsys: pytest.CaptureFixture[str]) -> None:
    tf2.print("x:", tf2.constant([1, 2]), {"a": tf2.constant(1.5)})
    assert capsys.readouterr().err == "x: [1 2] {'a': 1.5}\n"


def test_print_of_generation_1(tf1: Any, capsys: pytest.CaptureFixture[str]) -> None:
    x = tf1.constant([1.0, 2.5, 3.0, 4.0])
    printed = tf1.Print(x, [x, tf1.constant("s")], "here: ", first_n=1)
    assert printed.name == "Print:0" and tf1.gradients(printed, x)[0] is not None
    with tf1.Session() as session:
        for _ in range(2):
            assert session.run(printed).tolist() == [1.0, 2.5, 3.0, 4.0]
    assert capsys.readouterr().err == "here: [1 2.5 3...][s]\n"


def test_traced_functions(tf2: Any) -> None:
    traced: list[Any] = []

    class Model(tf2.Module):
        def __init__(self) -> None:
            super().__init__(name="m")
            self.w: Any = None

        @tf2.function
        def __call__(self, x: Any) -> Any:
            traced.append(x.get_shape().as_list())
            if self.w is None:
                self.w = tf2.Variable(tf2.ones([2]) * 3.0)
            return tf2.reduce_sum(x * self.w)

    model = Model()
    assert [float(model(tf2.constant([1.0, 2.0]))) for _ in range(2)] == [9.0, 9.0] and traced == [[2]]
    assert model.trainable_variables[0].numpy().tolist() == [3.0, 3.0]
    with tf2.GradientTape() as tape:
        loss = model(tf2.constant([1.0, 2.0]))
    assert tape.gradient(loss, model.w).numpy().tolist() == [1.0, 2.0]


def test_functions_that_branch_in_python(tf2: Any) -> None:
    @tf2.function
    def flipped(x: Any) -> Any:
        return -x if tf2.reduce_sum(x) < 0 else x

    assert flipped(tf2.constant([-2.0])).numpy().tolist() == [2.0] and flipped(
        tf2.constant([3.0])
    ).numpy().tolist() == [3.0]


def test_eager_execution_in_generation_1(tf1: Any) -> None:
    tf1.enable_eager_execution()
    assert tf1.executing_eagerly() and (tf1.constant(1) + 1).numpy() == 2
    with tf1.variable_scope("s"):
        assert tf1.get_variable("w", [2]).name == "s/w:0"
    with tf1.Graph().as_default():
        assert not tf1.executing_eagerly()
