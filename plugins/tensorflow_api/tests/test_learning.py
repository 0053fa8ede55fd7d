"""Whether the documents' systems learn, and learn what TensorFlow learns, at sizes that take seconds.

The networks are those of the second document (logistic regression, a sigmoid layer, dropout with RMSProp, three
convolutions), the LSTM of the fifth, the sine of the first and the Q learning of the third, on the embedded digits.
From equal weights in float64 and without dropout their losses are those of TensorFlow 2.21 (``compat.v1``), which ran
the builders below (``lstm_unrolled`` for ``lstm``); the accuracies leave room around what it reaches from random
weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

pytestmark = pytest.mark.slow

BATCH = 50


class Digits(NamedTuple):
    """Images in 0..1, float32[N, 8, 8, 1], and their classes, float32[N, 10] with a one each."""

    train_x: Any
    train_y: Any
    test_x: Any
    test_y: Any


class Network(NamedTuple):
    """What a builder makes: the placeholder of images, the logits, the optimizer and the fed rates of dropout."""

    x: Any
    logits: Any
    optimizer: Any
    kept: dict[Any, float] = {}  # noqa: RUF012  (never changed)


class Weights:
    """``weights(3, 4)``: a variable of a shape.  Fixed numbers in float64, or random ones in float32."""

    def __init__(self, tf: Any, deviation: float, dtype: str) -> None:
        self.tf, self.deviation, self.dtype = tf, deviation, dtype
        self.numbers = np.random.RandomState(0) if dtype == "float64" else None

    def __call__(self, *shape: int) -> Any:
        if self.numbers is None:
            return self.tf.Variable(self.tf.random_normal(shape, stddev=self.deviation))
        return self.tf.Variable(self.tf.constant(self.numbers.randn(*shape) * self.deviation))

    def placeholder(self, shape: Any = None) -> Any:
        return self.tf.placeholder(self.dtype, shape)


@pytest.fixture(scope="module")
def digits() -> Digits:
    from corenn_datasets.digits import LEVELS, held_out, images

    pixels, labels = images()
    test = held_out(labels)
    x, y = (pixels[..., None] / LEVELS).astype(np.float32), np.eye(10, dtype=np.float32)[labels]
    return Digits(x[~test], y[~test], x[test], y[test])


# --- the networks -----------------------------------------------------------------------------------------------------


def logistic(tf: Any, weights: Weights) -> Network:
    x = weights.placeholder([None, 8, 8, 1])
    return Network(x, tf.matmul(tf.reshape(x, [-1, 64]), weights(64, 10)), tf.train.GradientDescentOptimizer(0.05))


def sigmoid(tf: Any, weights: Weights) -> Network:
    x = weights.placeholder([None, 8, 8, 1])
    hidden = tf.nn.sigmoid(tf.matmul(tf.reshape(x, [-1, 64]), weights(64, 62)))
    return Network(x, tf.matmul(hidden, weights(62, 10)), tf.train.GradientDescentOptimizer(0.2))


def modern(tf: Any, weights: Weights) -> Network:
    x, kept = weights.placeholder([None, 8, 8, 1]), weights.placeholder()
    hidden = tf.nn.relu(tf.matmul(tf.reshape(x, [-1, 64]), weights(64, 125)))
    hidden = tf.nn.relu(tf.matmul(tf.nn.dropout(hidden, kept), weights(125, 125)))
    return Network(x, tf.matmul(hidden, weights(125, 10)), tf.train.RMSPropOptimizer(0.001, 0.9), {kept: 0.4})


def convolutional(tf: Any, weights: Weights) -> Network:
    x, kept, kept_hidden = weights.placeholder([None, 8, 8, 1]), weights.placeholder(), weights.placeholder()

    def block(of: Any, kernel: Any) -> Any:
        active = tf.nn.relu(tf.nn.conv2d(of, kernel, strides=[1, 1, 1, 1], padding="SAME"))
        return tf.nn.max_pool(active, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")

    first = tf.nn.dropout(block(x, weights(3, 3, 1, 16)), kept)
    second = tf.nn.dropout(block(first, weights(3, 3, 16, 32)), kept)
    third = tf.reshape(block(second, weights(3, 3, 32, 64)), [-1, 64])
    hidden = tf.nn.dropout(tf.nn.relu(tf.matmul(third, weights(64, 125))), kept_hidden)
    optimizer = tf.train.RMSPropOptimizer(0.001, 0.9)
    return Network(x, tf.matmul(hidden, weights(125, 10)), optimizer, {kept: 0.8, kept_hidden: 0.5})


def lstm(tf: Any, weights: Weights) -> Network:
    """The rows of an image are the steps of a sequence."""
    units = 24
    x = weights.placeholder([None, 8, 8, 1])
    kernel = weights(8 + units, 4 * units)
    with tf.variable_scope("rnn", initializer=lambda shape, **_: kernel.initialized_value()):
        cell = tf.nn.rnn_cell.BasicLSTMCell(units)
        outputs, _ = tf.nn.dynamic_rnn(cell, tf.reshape(x, [-1, 8, 8]), dtype=weights.dtype)
    return Network(x, tf.matmul(outputs[:, -1], weights(units, 10)), tf.train.AdamOptimizer(0.005))


def lstm_unrolled(tf: Any, weights: Weights) -> Network:
    """The same by its equations, for a TensorFlow that has no cells any more."""
    units = 24
    x = weights.placeholder([None, 8, 8, 1])
    kernel, bias = weights(8 + units, 4 * units), tf.Variable(tf.zeros([4 * units], weights.dtype))
    c = h = tf.zeros([tf.shape(x)[0], units], weights.dtype)
    for t in range(8):
        i, j, f, o = tf.split(tf.matmul(tf.concat([x[:, t, :, 0], h], 1), kernel) + bias, 4, 1)
        c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
        h = tf.tanh(c) * tf.sigmoid(o)
    return Network(x, tf.matmul(h, weights(units, 10)), tf.train.AdamOptimizer(0.005))


class Trained(NamedTuple):
    losses: list[float]
    accuracy: float


def train(tf: Any, network: Network, digits: Digits, steps: int, dropout: bool) -> Trained:
    """Train on the batches in their order, as the document does; the accuracy is that on the test images."""
    y = tf.placeholder(network.logits.dtype, [None, 10])
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=network.logits))
    step = network.optimizer.minimize(loss)
    hits = tf.equal(tf.argmax(network.logits, 1), tf.argmax(y, 1))
    accuracy = tf.reduce_mean(tf.cast(hits, tf.float32))
    everything = dict.fromkeys(network.kept, 1.0)
    kept = network.kept if dropout else everything
    losses = []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for rows in batches(len(digits.train_x), steps):
            feed = {network.x: digits.train_x[rows], y: digits.train_y[rows], **kept}
            losses.append(float(session.run([step, loss], feed)[1]))
        at_the_end = session.run(accuracy, {network.x: digits.test_x, y: digits.test_y, **everything})
    return Trained(losses, float(at_the_end))


def batches(examples: int, steps: int) -> Iterator[slice]:
    starts = range(0, examples - BATCH + 1, BATCH)
    for step in range(steps):
        start = starts[step % len(starts)]
        yield slice(start, start + BATCH)


class Case(NamedTuple):
    """A network, TensorFlow's losses at steps 1, 10, 50 and 100 from fixed weights, and what it must learn."""

    build: Callable[[Any, Weights], Network]
    losses: tuple[float, float, float, float]
    deviation: float  # of the random weights
    steps: int
    accuracy: float  # at least, on the test images


CASES = {
    "logistic": Case(logistic, (2.367401441, 2.236361135, 1.793151881, 1.525566202), 0.01, 1000, 0.9),
    "sigmoid": Case(sigmoid, (2.392284077, 2.297910233, 2.023109833, 1.666465508), 0.1, 1500, 0.92),
    "modern": Case(modern, (2.614414682, 2.692920131, 2.181350949, 1.262385664), 0.05, 600, 0.92),
    "convolutional": Case(convolutional, (2.484683487, 2.330089233, 2.209767599, 1.326505089), 0.1, 900, 0.92),
    "lstm": Case(lstm, (2.316997856, 2.226885693, 1.299306912, 0.909178633), 0.1, 800, 0.88),
}


@pytest.mark.parametrize("name", CASES)
def test_losses_are_tensorflows(name: str, tf1: Any, digits: Digits) -> None:
    case = CASES[name]
    found = train(tf1, case.build(tf1, Weights(tf1, 0.15, "float64")), digits, 100, dropout=False).losses
    np.testing.assert_allclose([found[i] for i in (0, 9, 49, 99)], case.losses, rtol=2e-7)


@pytest.mark.parametrize(
    ("beta2", "places"),
    [
        (0.99, [-0.99999994, -1.99999940, -2.99999857]),
        (0.999, [-0.99999964, -1.99999595, -2.99998879]),
        (0.9999, [-0.99999899, -2.00002313, -3.00007248]),
    ],
)
def test_adams_first_steps(beta2: float, places: list[float], tf1: Any) -> None:
    """The weight of a gradient and the correction are of one rounding of ``beta2``, so they cancel as in TensorFlow."""
    w = tf1.Variable(0.0)
    step = tf1.train.AdamOptimizer(1.0, beta2=beta2).minimize(w)
    found = []
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        for _ in places:
            session.run(step)
            found.append(session.run(w))
    np.testing.assert_allclose(found, places, rtol=5e-7)


@pytest.mark.parametrize("name", CASES)
def test_networks_learn(name: str, tf1: Any, digits: Digits) -> None:
    case = CASES[name]
    tf1.set_random_seed(1)
    found = train(tf1, case.build(tf1, Weights(tf1, case.deviation, "float32")), digits, case.steps, dropout=True)
    assert found.losses[0] > 2.2 and found.accuracy >= case.accuracy


# --- regressions ------------------------------------------------------------------------------------------------------


def descend(tf: Any, x: Any, y: Any, rate: float, steps: int) -> tuple[Any, float]:
    """Weights of a linear map by gradient descent from zeros, and its mean squared error."""
    fed_x, fed_y = tf.placeholder("float", [None, x.shape[1]]), tf.placeholder("float", [None, y.shape[1]])
    w = tf.Variable(tf.zeros([x.shape[1], y.shape[1]]))
    cost = tf.reduce_mean(tf.square(fed_y - tf.matmul(fed_x, w)))
    step = tf.train.GradientDescentOptimizer(rate).minimize(cost)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(steps):
            session.run(step, {fed_x: x, fed_y: y})
        found, error = session.run([w, cost], {fed_x: x, fed_y: y})
    return found, float(error)


def test_a_line_is_found(tf1: Any) -> None:
    """After 200 steps the document has y = 1.52 x + 1.95 and error 0.22: descent has not arrived; later it has."""
    x = np.linspace(-1, 1, 500)
    y = (2 * x + np.random.RandomState(0).randn(500) * 0.35 + 2)[:, None]
    design = np.stack([x, np.ones(500)], 1)
    best = np.linalg.lstsq(design, y, rcond=None)[0]
    # The error in every eigenvector of the Hessian shrinks by its own factor: the answer after any number of steps.
    hessian = 2 * design.T @ design / 500
    for rate, steps in [(0.01, 200), (0.3, 100)]:
        expected = best - np.linalg.matrix_power(np.eye(2) - rate * hessian, steps) @ best
        found, error = descend(tf1, design, y, rate, steps)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        np.testing.assert_allclose(error, np.mean((y - design @ expected) ** 2), rtol=1e-4)
    np.testing.assert_allclose(found, [[2], [2]], atol=0.1)


def test_coefficients_of_several_variables_are_found(tf1: Any) -> None:
    numbers = np.random.RandomState(1)
    true, x = numbers.rand(5, 8), numbers.rand(100, 5)
    y = x @ true + 0.01 * numbers.randn(100, 8)
    found, _ = descend(tf1, x, y, 1.0, 1500)
    np.testing.assert_allclose(found, np.linalg.lstsq(x, y, rcond=None)[0], atol=1e-3)
    np.testing.assert_allclose(found, true, atol=0.03)


def test_a_network_learns_the_sine(tf1: Any) -> None:
    """The first document's network with batch normalisation and a schedule; the samples are drawn in the graph."""
    tf1.set_random_seed(1)
    x = tf1.random_uniform(minval=0.0, maxval=10.0, shape=(1024, 1))
    grid = tf1.reshape(tf1.linspace(0.0, 10.0, 500), (500, 1))

    def network(x: Any, training: bool) -> Any:
        with tf1.variable_scope("net", reuse=tf1.AUTO_REUSE):
            for layer in range(2):
                x = tf1.layers.dense(x, 64, use_bias=False, name=f"hidden_{layer}")
                x = tf1.layers.batch_normalization(x, momentum=0.9, training=training, name=f"norm_{layer}")
                x = tf1.nn.relu(x)
            return tf1.layers.dense(x, 1, name="out")

    count = tf1.Variable(0, trainable=False)
    rate = tf1.train.piecewise_constant(count, [300, 600], [0.03, 0.003, 0.0003])
    loss = tf1.reduce_mean(tf1.square(tf1.sin(x) - network(x, True)))
    with tf1.control_dependencies(tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)):
        step = tf1.train.AdamOptimizer(rate).minimize(loss, global_step=count)
    error = tf1.reduce_mean(tf1.square(tf1.sin(grid) - network(grid, False)))
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        before = session.run(error)
        for _ in range(900):
            session.run(step)
        after = session.run(error)
    assert before > 0.3 and after < 1e-3  # 0.0003 from each of five seeds


def test_a_polynomial_is_fitted_as_by_adams_formula(tf2: Any) -> None:
    """The third document's model: 500 steps on batches of 20, against the recursion in float64."""
    numbers = np.random.RandomState(0)
    x = np.arange(0, 5, 0.1)
    y = x**3 - 4 * x**2 - 2 * x + 2
    start = np.array([-1.4, 1.3, 0.1, -2.2])
    w = tf2.Variable(start.astype(np.float32))
    optimizer = tf2.compat.v1.train.AdamOptimizer(0.1)
    expected, m, v = start.copy(), np.zeros(4), np.zeros(4)
    for t in range(1, 501):
        rows = numbers.randint(0, len(x), 20)
        powers = np.stack([x[rows] ** n for n in (3, 2, 1, 0)], 1)
        with tf2.GradientTape() as tape:
            value = w[0] * x[rows] ** 3 + w[1] * x[rows] ** 2 + w[2] * x[rows] + w[3]
            loss = tf2.reduce_mean(tf2.square(value - y[rows]))
        optimizer.apply_gradients([(tape.gradient(loss, w), w)])
        g = 2 * powers.T @ (powers @ expected - y[rows]) / 20
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        expected -= 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8)
    np.testing.assert_allclose(w.numpy(), expected, rtol=1e-3, atol=1e-3)
    assert float(loss) < 10 < 0.01 * np.mean((np.stack([x**n for n in (3, 2, 1, 0)], 1) @ start - y) ** 2)


# --- Q learning -------------------------------------------------------------------------------------------------------


def test_q_learning_finds_the_values_of_a_corridor(tf1: Any) -> None:
    """The third document's replay, with a known answer: five places, left and right, 1 at the right end.

    The answer is the fixed point of Bellman's equation, iterated in NumPy.  Batches are all ten transitions.
    """
    places, discount = 5, 0.9
    here, action = np.divmod(np.arange(2 * places), 2)
    there = np.clip(here + 2 * action - 1, 0, places - 1)
    ends = (here == places - 1) & (action == 1)
    reward = ends.astype(np.float64)
    exact = np.zeros(2 * places)
    for _ in range(200):
        exact = reward + discount * np.where(ends, 0, exact.reshape(places, 2).max(1)[there])

    tf1.set_random_seed(1)
    states, targets = tf1.placeholder(tf1.float32, [None, places]), tf1.placeholder(tf1.float32, [None, 2])
    hidden = tf1.layers.dense(tf1.layers.dense(states, 50, activation=tf1.nn.relu), 50, activation=tf1.nn.relu)
    logits = tf1.layers.dense(hidden, 2)
    step = tf1.train.AdamOptimizer(0.01).minimize(tf1.losses.mean_squared_error(targets, logits))
    rows = np.eye(places, dtype=np.float32)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        for _ in range(1000):
            q, q_next = session.run(logits, {states: rows[here]}), session.run(logits, {states: rows[there]})
            q[np.arange(2 * places), action] = reward + discount * np.where(ends, 0, q_next.max(1))
            session.run(step, {states: rows[here], targets: q})
        found = session.run(logits, {states: rows})
    np.testing.assert_allclose(found.ravel(), exact, atol=0.03)
