"""Variables of graphs and eager ones, sharing by name, initial values, assignments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def test_a_variable_and_its_operations(tf1: Any) -> None:
    w = tf1.Variable(np.ones((3, 2), np.float32), name="w")
    assert repr(w) == "<tf.Variable 'w:0' shape=(3, 2) dtype=float32_ref>" and isinstance(w, tf1.Variable)
    names = [o.name for o in tf1.get_default_graph().get_operations()]
    assert names == ["w/initial_value", "w", "w/Assign", "w/read"]
    assert tf1.Variable(1).dtype is tf1.int32 and tf1.Variable(1.0).name == "Variable_1:0"
    assert tf1.trainable_variables()[0] is w and tf1.global_variables("w") == [w]
    with pytest.raises(ValueError, match="initial_value must have a shape specified"):
        tf1.Variable(tf1.placeholder(tf1.float32))


def test_assignments(tf1: Any) -> None:
    v = tf1.Variable([1.0, 2.0, 3.0])
    depends = tf1.Variable(v.initialized_value() * 2.0)
    with tf1.Session() as session:
        assert session.run(tf1.report_uninitialized_variables()).tolist() == [b"Variable", b"Variable_1"]
        session.run(tf1.global_variables_initializer())
        assert session.run(tf1.report_uninitialized_variables()).size == 0
        assert session.run(depends).tolist() == [2.0, 4.0, 6.0]
        assert session.run(v.assign([4.0, 5.0, 6.0])).tolist() == [4.0, 5.0, 6.0]
        assert session.run(tf1.assign_sub(v, [1.0, 1.0, 1.0])).tolist() == [3.0, 4.0, 5.0]
        v.load([0.0, 0.0, 0.0], session)
        assert v.eval().tolist() == [0.0, 0.0, 0.0] and session.run(tf1.is_variable_initialized(v))
        with tf1.control_dependencies([tf1.assign_add(v, [1.0, 2.0, 3.0])]):
            after = tf1.identity(v)
        assert session.run(after).tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="not compatible"):
        v.assign([1.0])


#: A function of ``tf``, its indices and updates, and what becomes of [1, 2, 3, 4].
SCATTERS = [
    ("scatter_update", [0, 2], [9.0, 8.0], [9, 2, 8, 4]),
    ("scatter_add", [0, 0], [1.0, 1.0], [3, 2, 3, 4]),
    ("scatter_sub", [1, 1], [1.0, 2.0], [1, -1, 3, 4]),
    ("scatter_mul", [3, 3], [2.0, 5.0], [1, 2, 3, 40]),
    ("scatter_div", [3, 3], [2.0, 2.0], [1, 2, 3, 1]),
    ("scatter_min", [0, 1, 1], [5.0, 1.0, 0.5], [1, 0.5, 3, 4]),
    ("scatter_max", [0, 1], [5.0, 1.0], [5, 2, 3, 4]),
    ("scatter_nd_update", [[1]], [7.0], [1, 7, 3, 4]),
    ("scatter_nd_add", [[1], [1]], [7.0, 1.0], [1, 10, 3, 4]),
    ("scatter_nd_sub", [[0]], [3.0], [-2, 2, 3, 4]),
]


@pytest.mark.parametrize(("name", "indices", "updates", "expected"), SCATTERS, ids=[s[0] for s in SCATTERS])
def test_scatters(tf1: Any, name: str, indices: Any, updates: Any, expected: list[float]) -> None:
    v = tf1.Variable([1.0, 2.0, 3.0, 4.0])
    operation = getattr(tf1, name)(v, indices, updates)
    with tf1.Session() as session:
        session.run(v.initializer)
        assert session.run(operation).tolist() == expected and session.run(v).tolist() == expected


@pytest.mark.parametrize(("name", "indices", "updates", "expected"), SCATTERS, ids=[s[0] for s in SCATTERS])
def test_scatters_run_eagerly(tf2: Any, name: str, indices: Any, updates: Any, expected: list[float]) -> None:
    v = tf2.Variable([1.0, 2.0, 3.0, 4.0])
    getattr(tf2.compat.v1, name)(v, indices, updates)
    assert v.numpy().tolist() == expected


def test_sharing_by_name(tf1: Any) -> None:
    with tf1.variable_scope("a") as scope:
        w = tf1.get_variable("w", [2, 3])
    assert w.name == "a/w:0" and w.initializer.name == "a/w/Assign"
    with tf1.variable_scope("a", reuse=True):
        assert tf1.get_variable("w", [2, 3]) is w
        with pytest.raises(ValueError, match=r"shape \(9, 3\) and found shape \(2, 3\)"):
            tf1.get_variable("w", [9, 3])
        with pytest.raises(ValueError, match=r"Variable a/u does not exist, or was not created with tf\.get_variable"):
            tf1.get_variable("u", [1])
    with pytest.raises(ValueError, match="Variable a/w already exists, disallowed"), tf1.variable_scope("a"):
        tf1.get_variable("w", [2, 3])
    with tf1.variable_scope(scope, reuse=tf1.AUTO_REUSE):
        assert tf1.get_variable("w", [2, 3]) is w and tf1.get_variable("new", [1]).name == "a/new:0"
    with tf1.variable_scope(None, default_name="a"):
        assert tf1.get_variable("w", [1]).name == "a_1/w:0"


def test_initializers_of_scopes(tf1: Any) -> None:
    with tf1.variable_scope("s", initializer=tf1.constant_initializer(0.5), dtype=tf1.float64):
        v = tf1.get_variable("v", [2])
    own = tf1.get_variable("own", [2], initializer=lambda shape, dtype, partition_info: tf1.ones(shape, dtype) * 3.0)
    value = tf1.get_variable("value", initializer=np.array([1, 2], np.int64))
    counted = tf1.get_variable("counted", [2], tf1.int32)
    regular = tf1.get_variable("r", [2], initializer=tf1.ones_initializer, regularizer=lambda w: tf1.reduce_sum(w))
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        found = session.run([v, own, value, counted, regular])
        (loss,) = session.run(tf1.get_collection(tf1.GraphKeys.REGULARIZATION_LOSSES))
    assert [f.tolist() for f in found] == [[0.5, 0.5], [3.0, 3.0], [1, 2], [0, 0], [1.0, 1.0]] and loss == 2.0
    assert found[0].dtype == np.float64 and found[2].dtype == np.int64
    with pytest.raises(ValueError, match="do not specify shape"):
        tf1.get_variable("both", [2], initializer=np.zeros(2))


def test_custom_getters_and_templates(tf1: Any) -> None:
    def getter(inner: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        kwargs["trainable"] = False
        return inner(name, *args, **kwargs)

    with tf1.variable_scope("g", custom_getter=getter):
        tf1.get_variable("v", [1])
    shared = tf1.make_template("t", lambda x: x * tf1.get_variable("w", [], initializer=tf1.ones_initializer()))
    shared(tf1.constant(1.0)), shared(tf1.constant(2.0))
    assert tf1.trainable_variables("g") == [] and [v.name for v in tf1.trainable_variables()] == ["t/w:0"]


#: name, arguments, shape, and limits: (mean, standard deviation, largest absolute value)
DRAWN = [
    ("random_normal_initializer", {"stddev": 2.0}, (200, 100), (0, 2.0, None)),
    ("truncated_normal_initializer", {"stddev": 2.0}, (200, 100), (0, 2.0 * 0.8796, 4.0)),
    ("random_uniform_initializer", {"minval": -1.0, "maxval": 1.0}, (200, 100), (0, 1 / 3**0.5, 1.0)),
    ("glorot_uniform_initializer", {}, (200, 100), (0, (2 / 300) ** 0.5, (6 / 300) ** 0.5)),
    ("glorot_normal_initializer", {}, (200, 100), (0, (2 / 300) ** 0.5, None)),
    ("variance_scaling_initializer", {"scale": 2.0}, (3, 3, 20, 100), (0, (2 / 180) ** 0.5, None)),
    ("uniform_unit_scaling_initializer", {"factor": 1.0}, (200, 100), (0, (1 / 200) ** 0.5, (3 / 200) ** 0.5)),
]


@pytest.mark.parametrize(("name", "options", "shape", "expected"), DRAWN, ids=[d[0] for d in DRAWN])
def test_drawn_initial_values(tf1: Any, name: str, options: Any, shape: Any, expected: Any) -> None:
    tf1.set_random_seed(3)
    values = tf1.Session().run(getattr(tf1, name)(**options)(shape))
    mean, deviation, most = expected
    assert values.shape == shape and values.dtype == np.float32
    assert abs(values.mean() - mean) < 5 * deviation / values.size**0.5
    assert values.std() == pytest.approx(deviation, rel=0.03)
    assert most is None or (np.abs(values).max() <= most * 1.0001 and np.abs(values).max() > 0.9 * most)


def test_orthogonal_and_constants(tf1: Any) -> None:
    with tf1.Session() as session:
        q = session.run(tf1.orthogonal_initializer(gain=2.0)([6, 3]))
        np.testing.assert_allclose(q.T @ q, 4 * np.eye(3), atol=1e-5)
        assert session.run(tf1.constant_initializer([1.0, 2.0])([4])).tolist() == [1.0, 2.0, 2.0, 2.0]
        assert session.run(tf1.initializers.identity()([2, 2])).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_seeds(tf1: Any) -> None:
    def draw(graph_seed: int | None, seed: int | None) -> list[Any]:
        with tf1.Graph().as_default():
            if graph_seed is not None:
                tf1.set_random_seed(graph_seed)
            x = tf1.random_normal([3], seed=seed)
            with tf1.Session() as session:
                return [session.run(x).tolist() for _ in range(2)]

    first = draw(7, None)
    assert first[0] != first[1] and draw(7, None) == first and draw(8, None) != first
    assert draw(None, 5) == draw(None, 5) and draw(None, None) != draw(None, None)


def test_eager_variables(tf2: Any) -> None:
    v = tf2.Variable([1.0, 2.0], name="v")
    assert v.name == "v:0" and v.trainable and isinstance(v, tf2.Variable) and not isinstance(v + 1, tf2.Variable)
    assert v.assign_add([1.0, 1.0]).numpy().tolist() == [2.0, 3.0]
    assert v.assign(np.array([5.0, 6.0])).read_value().numpy().tolist() == [5.0, 6.0]
    assert repr(v).startswith("<tf.Variable 'v:0' shape=(2,) dtype=float32, numpy=array([5., 6.]")
    with pytest.raises(ValueError, match="Cannot assign value to variable 'v:0': Shape mismatch"):
        v.assign([1.0])
    with pytest.raises(RuntimeError, match="Variable \\+= value not supported"):
        v += 1.0
    with tf2.name_scope("scope"):
        assert tf2.Variable(1.0, name="w").name == "scope/w:0"
