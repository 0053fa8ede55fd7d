"""Optimizers of TensorFlow 1: trajectories, names, slots, errors.  The numbers are TensorFlow 2.21's (compat.v1)."""

from __future__ import annotations

import numpy as np
import pytest

# Where [[1, -2], [0.5, 3]] and [0.1, -0.2] are after 20 steps on the batches below.
AFTER_20 = {
    "GradientDescentOptimizer": (
        {"learning_rate": 0.1},
        [0.114623, -0.204996, 0.09945, 0.374477, 0.893387, 0.781146],
    ),
    "MomentumOptimizer": (
        {"learning_rate": 0.1, "momentum": 0.9},
        [0.437048, -0.550753, 0.450939, 0.887296, 0.604513, -0.042638],
    ),
    "MomentumOptimizer nesterov": (
        {"learning_rate": 0.1, "momentum": 0.9, "use_nesterov": True},
        [0.154572, -0.184969, 0.199679, 0.333903, 0.866446, 0.583574],
    ),
    "AdamOptimizer": ({"learning_rate": 0.1}, [-0.247679, -0.612167, -0.027228, 1.222703, 1.217383, 0.804843]),
    "RMSPropOptimizer": ({"learning_rate": 0.1}, [0.053738, -0.52792, 0.036125, 0.990357, 0.962492, 0.736256]),
    "RMSPropOptimizer momentum": (
        {"learning_rate": 0.1, "decay": 0.8, "momentum": 0.5},
        [0.002208, 0.041091, 0.00263, 0.116864, 0.999191, 0.948118],
    ),
    "RMSPropOptimizer centered": (
        {"learning_rate": 0.1, "centered": True, "momentum": 0.3},
        [0.001781, -0.144882, 0.002679, 0.205595, 1.000259, 0.914552],
    ),
    "AdagradOptimizer": ({"learning_rate": 0.1}, [0.406609, -1.493474, 0.154449, 2.308402, 0.618138, 0.213414]),
    "AdadeltaOptimizer": ({"learning_rate": 1.0}, [0.991099, -1.995027, 0.495049, 2.991117, 0.110145, -0.195645]),
    "FtrlOptimizer": (
        {"learning_rate": 0.1, "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02},
        [0.036172, -1.282646, 0.035534, 1.912597, 0.571751, 0.276594],
    ),
    "FtrlOptimizer shrinkage": (
        {"learning_rate": 0.1, "l2_shrinkage_regularization_strength": 0.05},
        [0.019595, -1.245017, 0.029247, 1.851241, 0.549928, 0.275166],
    ),
    "ProximalGradientDescentOptimizer": (
        {"learning_rate": 0.1, "l1_regularization_strength": 0.05, "l2_regularization_strength": 0.02},
        [0.055781, -0.159594, 0.048858, 0.318359, 0.83403, 0.735284],
    ),
    "ProximalAdagradOptimizer": (
        {"learning_rate": 0.1, "l1_regularization_strength": 0.05, "l2_regularization_strength": 0.02},
        [0.357856, -1.473152, 0.099142, 2.282211, 0.571498, 0.200705],
    ),
    "AdagradDAOptimizer": (
        {"learning_rate": 0.1, "l1_regularization_strength": 0.01},
        [-0.051208, 0.009088, 0.010619, -0.014409, 0.415404, 0.426739],
    ),
}
SLOTS = {
    "GradientDescentOptimizer": [],
    "MomentumOptimizer": ["w/Momentum"],
    "AdamOptimizer": ["beta1_power", "beta2_power", "w/Adam", "w/Adam_1"],
    "RMSPropOptimizer": ["w/RMSProp", "w/RMSProp_1"],
    "AdagradOptimizer": ["w/Adagrad"],
    "AdadeltaOptimizer": ["w/Adadelta", "w/Adadelta_1"],
    "FtrlOptimizer": ["w/Ftrl", "w/Ftrl_1"],
}
WEIGHTS, BIAS = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32), np.array([0.1, -0.2], np.float32)


def batches():
    return np.random.RandomState(0).randn(20, 8, 2).astype("f")


@pytest.mark.parametrize("case", AFTER_20)
def test_trajectory_in_a_graph(tf1, case):
    name, options, expected = case.partition(" ")[0], *AFTER_20[case]
    w, b = tf1.Variable(WEIGHTS, name="w"), tf1.Variable(BIAS, name="b")
    step = tf1.train.get_or_create_global_step()
    if name == "AdagradDAOptimizer":
        options = {**options, "global_step": step}
    x = tf1.placeholder(tf1.float32, [None, 2])
    loss = tf1.reduce_mean(tf1.square(tf1.matmul(x, w) + b - 1.0))
    update = getattr(tf1.train, name)(**options).minimize(loss, global_step=step)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        for batch in batches():
            assert session.run(update, {x: batch}) is None
        found = np.concatenate([session.run(w).ravel(), session.run(b)])
        assert session.run(step) == 20
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("case", [c for c in AFTER_20 if "DA" not in c])
def test_trajectory_at_once(tf2, case):
    name, (options, expected) = case.partition(" ")[0], AFTER_20[case]
    w, b = tf2.Variable(WEIGHTS, name="w"), tf2.Variable(BIAS, name="b")
    optimizer = getattr(tf2.train, name)(**options)
    for batch in batches():
        optimizer.minimize(lambda x=batch: tf2.reduce_mean(tf2.square(tf2.matmul(tf2.constant(x), w) + b - 1.0)))
    np.testing.assert_allclose(np.concatenate([w.numpy().ravel(), b.numpy()]), expected, atol=2e-5)


@pytest.mark.parametrize("name", SLOTS)
def test_slots_are_called_as_in_tensorflow(tf1, name):
    w = tf1.Variable([1.0, 2.0], name="w")
    optimizer = getattr(tf1.train, name)(**AFTER_20[name][0])
    optimizer.minimize(tf1.reduce_sum(tf1.square(w)))
    assert sorted(v.op.name for v in tf1.global_variables() if v is not w) == SLOTS[name]
    assert [v.op.name for v in optimizer.variables()] == SLOTS[name]
    assert [v.op.name for v in tf1.trainable_variables()] == ["w"]


def test_names_of_operations(tf1):
    with tf1.variable_scope("net"):
        w = tf1.get_variable("w", [2])
    loss = tf1.reduce_sum(w)
    first = tf1.train.AdamOptimizer().minimize(loss)
    step = tf1.train.create_global_step()
    second = tf1.train.AdamOptimizer().minimize(loss, global_step=step)
    names = {o.name: o.type for o in tf1.get_default_graph().get_operations()}
    assert (first.name, first.type, second.name, second.type) == ("Adam", "NoOp", "Adam_1", "AssignAdd")
    assert names["Adam/update_net/w/ApplyAdam"] == "ApplyAdam" and names["Adam_1/update"] == "NoOp"
    assert tf1.get_collection("train_op") == [first, second]


@pytest.mark.parametrize("kind", ["float", "tensor", "placeholder", "callable", "variable"])
def test_learning_rate(tf1, kind):
    w = tf1.Variable([1.0])
    given = {
        "float": lambda: 0.25,
        "tensor": lambda: tf1.constant(0.25),
        "placeholder": lambda: tf1.placeholder(tf1.float32, []),
        "callable": lambda: lambda: 0.25,
        "variable": lambda: tf1.Variable(0.25, trainable=False),
    }[kind]()
    update = tf1.train.GradientDescentOptimizer(given).minimize(2.0 * tf1.reduce_sum(w))
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run(update, {given: 0.25} if kind == "placeholder" else None)
        np.testing.assert_allclose(session.run(w), [0.5])


def test_hyperparameters_may_be_tensors(tf1):
    w = tf1.Variable([1.0])
    momentum = tf1.placeholder(tf1.float32, [])
    update = tf1.train.MomentumOptimizer(0.1, momentum).minimize(tf1.reduce_sum(w))
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        for value in (0.5, 0.0, 1.0):
            session.run(update, {momentum: value})
        # velocities 1, 1, 2
        np.testing.assert_allclose(session.run(w), [0.6], rtol=1e-6)


def test_gradients_can_be_changed_before_they_are_applied(tf1):
    w = tf1.Variable([3.0, 4.0])
    optimizer = tf1.train.GradientDescentOptimizer(1.0)
    pairs = optimizer.compute_gradients(tf1.reduce_sum(w * [30.0, 40.0]))
    update = optimizer.apply_gradients([(tf1.clip_by_norm(g, 5.0), v) for g, v in pairs])
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run(update)
        np.testing.assert_allclose(session.run(w), [0.0, 0.0], atol=1e-6)


def test_only_listed_variables_are_trained(tf1):
    a, b = tf1.Variable(1.0, name="a"), tf1.Variable(1.0, name="b")
    update = tf1.train.GradientDescentOptimizer(0.5).minimize(a * b, var_list=[b])
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run(update)
        assert session.run([a, b]) == [1.0, 0.5]


def test_constraints_hold_after_updates(tf1):
    w = tf1.get_variable("w", initializer=[0.3], constraint=lambda v: tf1.maximum(v, 0.25))
    update = tf1.train.GradientDescentOptimizer(1.0).minimize(tf1.reduce_sum(w))
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run(update)
        np.testing.assert_allclose(session.run(w), [0.25])


def test_own_optimizer(tf1):
    """A subclass written against TensorFlow's hooks."""

    class Halving(tf1.train.Optimizer):
        def __init__(self):
            super().__init__(False, "Halving")

        def _create_slots(self, var_list):
            for v in var_list:
                self._zeros_slot(v, "count", self._name)

        def _apply_dense(self, grad, var):
            return tf1.group(var.assign(var * 0.5), self.get_slot(var, "count").assign_add(tf1.ones_like(grad)))

        _resource_apply_dense = _apply_dense

    w = tf1.Variable([8.0], name="w")
    optimizer = Halving()
    update = optimizer.minimize(tf1.reduce_sum(w))
    assert optimizer.get_slot_names() == ["count"] and optimizer.get_slot(w, "count").op.name == "w/Halving"
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run(update)
        assert session.run([w, optimizer.get_slot(w, "count")]) == [[4.0], [1.0]]


def _no_variables(tf):
    tf.train.GradientDescentOptimizer(0.1).minimize(tf.constant(1.0))


def _no_gradients(tf):
    tf.Variable(1.0)
    tf.train.GradientDescentOptimizer(0.1).minimize(tf.constant(1.0))


def _nothing_to_apply(tf):
    tf.train.GradientDescentOptimizer(0.1).apply_gradients([])


def _gradients_of_none(tf):
    tf.train.GradientDescentOptimizer(0.1).apply_gradients([(None, tf.Variable(1.0))])


def _not_a_variable(tf):
    x = tf.constant(1.0)
    tf.train.GradientDescentOptimizer(0.1).apply_gradients([(x, x)])


def _replicas(tf):
    tf.train.SyncReplicasOptimizer(tf.train.GradientDescentOptimizer(0.1), replicas_to_aggregate=4)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (_no_variables, ValueError, "No variables to optimize"),
        (_no_gradients, ValueError, "No gradients provided for any variable, check your graph"),
        (_nothing_to_apply, ValueError, "No variables provided"),
        (_gradients_of_none, ValueError, "No gradients provided for any variable: "),
        (_not_a_variable, NotImplementedError, "Trying to update a Tensor"),
        (_replicas, ValueError, "corenn runs in one"),
    ],
)
def test_errors(tf1, call, error, text):
    with pytest.raises(error, match=text):
        call(tf1)


def test_a_tensor_is_no_loss_where_ops_run_at_once(tf2):
    v = tf2.Variable(1.0)
    with pytest.raises(RuntimeError, match="should be a function when eager execution is enabled"):
        tf2.train.GradientDescentOptimizer(0.1).minimize(v * 2.0)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("AdamWOptimizer", {"weight_decay": 0.1, "learning_rate": 0.5}, 0.4),
        ("MomentumWOptimizer", {"weight_decay": 0.1, "learning_rate": 0.5, "momentum": 0.9}, 0.4),
        ("AdaMaxOptimizer", {"learning_rate": 0.5}, 0.5),
        ("AddSignOptimizer", {"learning_rate": 0.25}, 0.5),
        ("NadamOptimizer", {"learning_rate": 0.5}, 1 - 0.5 * 1.9),
    ],
)
def test_first_step_of_contrib_optimizers(tf1, name, options, expected):
    """The gradient is 1: the formulas leave little."""
    from corenn_tensorflow.contrib import opt

    w = tf1.Variable(1.0)
    update = getattr(opt, name)(**options).minimize(w * 1.0)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run(update)
        assert session.run(w) == pytest.approx(expected, abs=1e-4)
