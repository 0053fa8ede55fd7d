"""Schedules and moving averages.  The rates are TensorFlow 2.21's (compat.v1)."""

from __future__ import annotations

import numpy as np
import pytest

STEPS = (0, 10, 15, 33)
RATES = {
    "exponential_decay": (dict(decay_steps=10, decay_rate=0.5), [0.1, 0.05, 0.03535534, 0.01015315]),
    "exponential_decay staircase": (dict(decay_steps=10, decay_rate=0.5, staircase=True), [0.1, 0.05, 0.05, 0.0125]),
    "polynomial_decay": (dict(decay_steps=20, end_learning_rate=0.01, power=2.0), [0.1, 0.0325, 0.015625, 0.01]),
    "polynomial_decay cycle": (dict(decay_steps=20, end_learning_rate=0.01, cycle=True), [0.1, 0.055, 0.0325, 0.02575]),
    "natural_exp_decay": (dict(decay_steps=10, decay_rate=0.5), [0.1, 0.06065307, 0.04723666, 0.01920499]),
    "inverse_time_decay": (dict(decay_steps=10, decay_rate=0.5), [0.1, 0.06666667, 0.05714286, 0.03773585]),
    "cosine_decay": (dict(decay_steps=30), [0.1, 0.075, 0.05, 0.0]),
    "cosine_decay_restarts": (
        dict(first_decay_steps=10, alpha=0.1, m_mul=0.8),
        [0.1, 0.082, 0.07145585, 0.06680426],
    ),
    "linear_cosine_decay": (dict(decay_steps=30), [0.1001, 0.0501, 0.0251, 0.0001]),
}


@pytest.mark.parametrize("case", RATES)
def test_rates_in_a_graph(tf1, case):
    options, expected = RATES[case]
    step = tf1.placeholder(tf1.int64, [])
    rate = getattr(tf1.train, case.partition(" ")[0])(0.1, step, **options)
    with tf1.Session() as session:
        found = [session.run(rate, {step: n}) for n in STEPS]
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("case", RATES)
def test_rates_at_once_are_functions(tf2, case):
    options, expected = RATES[case]
    step = tf2.Variable(0)
    rate = getattr(tf2.train, case.partition(" ")[0])(0.1, step, **options)
    found = []
    for n in STEPS:
        step.assign(n)
        found.append(float(rate()))
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_piecewise_constant(tf1, dtype):
    step = tf1.placeholder(dtype, [])
    rate = tf1.train.piecewise_constant(step, [10, 20], [1.0, 0.5, 0.25])
    with tf1.Session() as session:
        found = [session.run(rate, {step: n}) for n in (0, 10, 11, 20, 21)]
    assert found == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_errors(tf1):
    with pytest.raises(ValueError, match="global_step is required for exponential_decay"):
        tf1.train.exponential_decay(0.1, None, 10, 0.5)
    with pytest.raises(ValueError, match="must have the same dtype as x"):
        tf1.train.piecewise_constant(tf1.constant(1), [0.5], [1.0, 2.0])
    with pytest.raises(ValueError, match="1 less than the length of values"):
        tf1.train.piecewise_constant(tf1.constant(1), [1], [1.0])


def test_noise_has_the_stated_spread(tf1):
    tf1.set_random_seed(0)
    rate = tf1.train.noisy_linear_cosine_decay(1.0, tf1.constant(0), 10, initial_variance=4.0, beta=0.0)
    with tf1.Session() as session:
        values = [session.run(rate) for _ in range(400)]
    assert np.std(values) == pytest.approx(2.0, rel=0.15)
    assert np.mean(values) == pytest.approx(1.0, abs=0.3)


def test_exponential_moving_average(tf1):
    w = tf1.Variable([1.0], name="w")
    ema = tf1.train.ExponentialMovingAverage(0.9)
    with tf1.control_dependencies([w.assign_add([1.0])]):
        update = ema.apply([w])
    average = ema.average(w)
    assert average.op.name == ema.average_name(w) == "w/ExponentialMovingAverage"
    assert not any(v is average for v in tf1.trainable_variables())
    assert ema.variables_to_restore() == {"w/ExponentialMovingAverage": w}
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        expected = 1.0
        for value in (2.0, 3.0, 4.0):
            session.run(update)
            expected = 0.9 * expected + 0.1 * value
        np.testing.assert_allclose(session.run(average), [expected], rtol=1e-6)
    with pytest.raises(ValueError, match="Moving average already computed"):
        ema.apply([w])


def test_decay_begins_small_with_num_updates(tf1):
    w, n = tf1.Variable(0.0), tf1.Variable(0, trainable=False)
    ema = tf1.train.ExponentialMovingAverage(0.99, num_updates=n)
    update = ema.apply([w])
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        w.load(10.0, session)
        session.run(update)
        assert session.run(ema.average(w)) == pytest.approx(9.0)  # the decay is 1/10


def test_zero_debias(tf1):
    """Half of zero is corrected: the first average is the first value."""
    from corenn_tensorflow.train.moving_averages import assign_moving_average

    v, x = tf1.Variable(100.0, name="v"), tf1.placeholder(tf1.float32, [])
    update = assign_moving_average(v, x, 0.5)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        assert session.run(update, {x: 4.0}) == pytest.approx(4.0)
        assert session.run(update, {x: 1.0}) == pytest.approx((4.0 * 0.25 + 1.0 * 0.5) / 0.75)
    assert {"v/biased", "v/local_step"} <= {u.op.name for u in tf1.global_variables()}


def test_moving_average_at_once(tf2):
    w = tf2.Variable([1.0])
    ema = tf2.train.ExponentialMovingAverage(0.5)
    ema.apply([w])
    w.assign([3.0])
    ema.apply([w])
    np.testing.assert_allclose(ema.average(w).numpy(), [2.0])
