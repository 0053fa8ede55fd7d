"""Optimizers in a session's graph make the updates they make eagerly."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn import optimizers as O
from corenn.errors import GraphError, UsageError

START = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32) / 2
OPTIMIZERS = [
    O.SGD(0.01, momentum=0.9, nesterov=True),
    O.SGD(0.1, weight_decay=0.1, clipnorm=0.5),
    O.Adam(corenn.schedules.ExponentialDecay(0.1, 10, 0.5)),
    O.Adam(0.1, amsgrad=True, global_clipnorm=0.3),
    O.AdamW(0.1, exclude_from_weight_decay=["bias"]),
    O.Nadam(0.1),
    O.Adamax(0.1),
    O.RMSprop(0.05, centered=True, momentum=0.5),
    O.Adagrad(0.5),
    O.Adadelta(1.0),
    O.Ftrl(0.5, l1_regularization_strength=0.01),
    O.Lion(0.05, lr_multipliers={"bias": 0.1}),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.name)
def test_the_updates_are_those_made_eagerly(optimizer):
    eager = type(optimizer).from_config(optimizer.get_config())
    w, b = corenn.Variable(START, name="w"), corenn.Variable(START[0], name="bias")
    with G.Graph().as_default() as graph:
        gw, gb = G.variable(START, name="w"), G.variable(START[0], name="bias")
        count = G.variable(0, name="count", trainable=False)
        train = optimizer.minimize(corenn.sum((gw + gb) ** 4), global_step=count)
        init = G.global_variables_initializer()
    session = G.Session(graph)
    session.run(init)
    for _ in range(12):
        assert session.run(train) is None
        eager.minimize(lambda: corenn.sum((w + b) ** 4))
    values = session.run([gw, gb, count])
    np.testing.assert_array_equal(values[0], w.numpy())
    np.testing.assert_array_equal(values[1], b.numpy())
    assert values[2] == 12
    assert optimizer.iterations == 0  # the count is the session's


def test_two_optimizers_for_two_sets_of_variables():
    with G.Graph().as_default() as graph:
        a, b = G.variable(1.0, name="a"), G.variable(1.0, name="b")
        loss = a * a + b * b
        pairs = O.SGD(0.1).compute_gradients(loss, [a, b])
        slow = O.SGD(0.01)
        both = G.group(O.SGD(0.1).apply_gradients(pairs[:1]), slow.apply_gradients(pairs[1:]))
        init = G.global_variables_initializer()
    with G.Session(graph) as session:
        session.run(init)
        session.run(both)
        assert session.run([a, b]) == pytest.approx([0.8, 0.98])


def test_sessions_keep_their_own_slots():
    with G.Graph().as_default() as graph:
        a = G.variable(1.0, name="a")
        train = O.SGD(0.1, momentum=0.9).minimize(a * a)
        init = G.global_variables_initializer()
    first, second = G.Session(graph), G.Session(graph)
    for session in (first, second):
        session.run(init)
    for _ in range(3):
        first.run(train)
    second.run(train)
    assert second.run(a) == pytest.approx(0.8)
    assert first.run(a) < 0.5


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: O.SGD().minimize(G.constant(1.0)), UsageError, "No variables to optimize"),
        (lambda: O.SGD().minimize(G.constant(1.0), [G.variable(1.0)]), UsageError, "No gradients provided"),
        (lambda: O.SGD().minimize(G.constant(1.0), [corenn.Variable(1.0)]), UsageError, "no variable of the loss's"),
        (
            lambda: (lambda v: O.SGD(gradient_accumulation_steps=2).minimize(v * v))(G.variable(1.0)),
            GraphError,
            "gradient accumulation",
        ),
        (
            lambda: (lambda v: O.SGD(loss_scale_factor="dynamic").minimize(v * v))(G.variable(1.0)),
            GraphError,
            "loss scaling",
        ),
    ],
)
def test_mistakes(build, error, message):
    with G.Graph().as_default(), pytest.raises(error, match=message):
        build()
