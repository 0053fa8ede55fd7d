"""Recurrent cells and networks: values against NumPy, names of variables, fused and step by step alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

B, T, D, U = 3, 5, 4, 6
RNG = np.random.default_rng(1)
X = RNG.normal(size=(B, T, D)).astype(np.float32)
LENGTHS = [5, 2, 3]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def lstm_step(w: dict[str, Any], x: Any, state: Any) -> Any:
    c, h = state
    i, j, f, o = np.split(np.concatenate([x, h], 1) @ w["kernel"] + w["bias"], 4, 1)
    c = c * sigmoid(f + 1.0) + sigmoid(i) * np.tanh(j)
    h = np.tanh(c) * sigmoid(o)
    return h, (c, h)


def gru_step(w: dict[str, Any], x: Any, h: Any) -> Any:
    gates = sigmoid(np.concatenate([x, h], 1) @ w["gates/kernel"] + w["gates/bias"])
    r, u = np.split(gates, 2, 1)
    c = np.tanh(np.concatenate([x, r * h], 1) @ w["candidate/kernel"] + w["candidate/bias"])
    h = u * h + (1 - u) * c
    return h, h


def basic_step(w: dict[str, Any], x: Any, h: Any) -> Any:
    h = np.tanh(np.concatenate([x, h], 1) @ w["kernel"] + w["bias"])
    return h, h


CELLS: dict[str, tuple[str, Any, list[str]]] = {
    "BasicLSTMCell": ("basic_lstm_cell", lstm_step, ["kernel", "bias"]),
    "LSTMCell": ("lstm_cell", lstm_step, ["kernel", "bias"]),
    "GRUCell": ("gru_cell", gru_step, ["gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias"]),
    "BasicRNNCell": ("basic_rnn_cell", basic_step, ["kernel", "bias"]),
}


def unrolled(step: Any, w: dict[str, Any], state: Any, lengths: Any = None) -> Any:
    outputs = np.zeros((B, T, U))
    for t in range(T):
        out, new = step(w, X[:, t].astype(np.float64), state)
        going = np.ones((B, 1), bool) if lengths is None else (t < np.array(lengths))[:, None]
        outputs[:, t] = np.where(going, out, 0)
        if isinstance(state, tuple):
            state = tuple(np.where(going, a, b) for a, b in zip(new, state, strict=True))
        else:
            state = np.where(going, new, state)
    return outputs, state


@pytest.fixture(params=["at once", "step by step"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Through the fused recurrences where there is one, and never."""
    if request.param == "step by step":
        monkeypatch.setattr("corenn_tensorflow.nn.recurrent.is_known", lambda cell: False)
    return str(request.param)


def randomised(tf: Any, session: Any) -> dict[str, Any]:
    """Give every variable random values; by name."""
    values = {}
    for v in tf.global_variables():
        values[v.op.name] = RNG.normal(size=v.get_shape().as_list()) * 0.5
        v.load(values[v.op.name], session)
    return values


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
def test_cells_over_sequences(name: str, lengths: Any, static: bool, way: str, tf1: Any) -> None:
    scope, step, names = CELLS[name]
    cell = getattr(tf1.nn.rnn_cell, name)(U)
    x = tf1.placeholder(tf1.float32, [None, None if not static else T, D])
    if static:
        outputs, state = tf1.nn.static_rnn(cell, tf1.unstack(x, T, 1), dtype=tf1.float32, sequence_length=lengths)
        outputs = tf1.stack(outputs, axis=1)
    else:
        outputs, state = tf1.nn.dynamic_rnn(cell, x, sequence_length=lengths, dtype=tf1.float32)
    assert [v.name for v in tf1.trainable_variables()] == [f"rnn/{scope}/{n}:0" for n in names]
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        w = {k.removeprefix(f"rnn/{scope}/"): v for k, v in randomised(tf1, session).items()}
        found, final = session.run([outputs, state], {x: X})
    zero = np.zeros((B, U))
    expected, last = unrolled(step, w, (zero, zero) if "LSTM" in name else zero, lengths)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    if "LSTM" in name:
        assert type(final).__name__ == "LSTMStateTuple"
        np.testing.assert_allclose(final.c, last[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        final.h if "LSTM" in name else final, last[-1] if "LSTM" in name else last, rtol=1e-4, atol=1e-5
    )


MAKERS: dict[str, Callable[[Any], Any]] = {
    "lstm": lambda c: c.BasicLSTMCell(U),
    "gru": lambda c: c.GRUCell(U),
    "stack": lambda c: c.MultiRNNCell([c.BasicLSTMCell(U), c.ResidualWrapper(c.GRUCell(U))]),
    "device": lambda c: c.DeviceWrapper(c.BasicRNNCell(U), "/gpu:0"),
    "dropout": lambda c: c.DropoutWrapper(c.GRUCell(U), output_keep_prob=1.0),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("both_ways", [False, True])
def test_fused_networks_and_gradients_are_those_of_the_steps(
    name: str, both_ways: bool, tf1: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = tf1.placeholder(tf1.float32, [None, None, D])
    ends = tf1.placeholder(tf1.int32, [None])

    def build() -> Any:
        made = [MAKERS[name](tf1.nn.rnn_cell) for _ in range(2 if both_ways else 1)]
        with tf1.variable_scope("net", reuse=tf1.AUTO_REUSE):
            if both_ways:
                outputs, _ = tf1.nn.bidirectional_dynamic_rnn(*made, x, sequence_length=ends, dtype=tf1.float32)
                outputs = tf1.concat(outputs, 2)
            else:
                outputs, _ = tf1.nn.dynamic_rnn(made[0], x, sequence_length=ends, dtype=tf1.float32)
        return outputs, tf1.gradients(tf1.reduce_sum(tf1.square(outputs)), tf1.trainable_variables())

    fused = build()
    count = len(tf1.trainable_variables())
    monkeypatch.setattr("corenn_tensorflow.nn.recurrent.is_known", lambda cell: False)
    stepwise = build()
    assert len(tf1.trainable_variables()) == count  # shared
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        a, b = session.run([fused, stepwise], {x: X, ends: LENGTHS})
    np.testing.assert_allclose(a[0], b[0], rtol=1e-4, atol=1e-6)
    for g, h in zip(a[1], b[1], strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-3, atol=1e-5)


def test_bidirectional_names_and_the_backward_order(tf1: Any) -> None:
    cell = tf1.nn.rnn_cell
    x = tf1.placeholder(tf1.float32, [None, T, D])
    _, states = tf1.nn.bidirectional_dynamic_rnn(cell.GRUCell(U), cell.GRUCell(U), x, dtype=tf1.float32)
    assert tf1.trainable_variables()[0].name == "bidirectional_rnn/fw/gru_cell/gates/kernel:0"
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        values = randomised(tf1, session)
        for key in list(values):  # the same weights both ways
            if "/bw/" in key:
                twin = values[key.replace("/bw/", "/fw/")]
                next(v for v in tf1.global_variables() if v.op.name == key).load(twin, session)
        forward = session.run(states[0], {x: X[:, ::-1]})
        backward = session.run(states[1], {x: X})
    np.testing.assert_allclose(forward, backward, rtol=1e-5, atol=1e-6)


def test_static_bidirectional_puts_outputs_side_by_side(tf1: Any) -> None:
    cell = tf1.nn.rnn_cell
    x = tf1.placeholder(tf1.float32, [None, T, D])
    outputs, *_ = tf1.nn.static_bidirectional_rnn(
        cell.BasicLSTMCell(U), cell.BasicLSTMCell(2), tf1.unstack(x, T, 1), dtype=tf1.float32
    )
    assert [o.get_shape().as_list() for o in outputs] == [[None, U + 2]] * T


def test_time_major(tf1: Any) -> None:
    cell = tf1.nn.rnn_cell.GRUCell(U)
    x = tf1.placeholder(tf1.float32, [None, None, D])
    by_batch, _ = tf1.nn.dynamic_rnn(cell, x, dtype=tf1.float32)
    by_time, _ = tf1.nn.dynamic_rnn(cell, tf1.transpose(x, [1, 0, 2]), dtype=tf1.float32, time_major=True)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        a, b = session.run([by_batch, by_time], {x: X})
    np.testing.assert_allclose(a, b.transpose(1, 0, 2), rtol=1e-5, atol=1e-6)


def test_a_stack_of_one_cell_listed_often_has_variables_for_each(tf1: Any) -> None:
    cell = tf1.nn.rnn_cell.BasicLSTMCell(U)
    stack = tf1.nn.rnn_cell.MultiRNNCell([cell] * 2)
    x = tf1.placeholder(tf1.float32, [None, T, D])
    _, state = tf1.nn.dynamic_rnn(stack, x, initial_state=stack.zero_state(B, tf1.float32))
    names = [v.name for v in tf1.trainable_variables()]
    assert names[0] == "rnn/multi_rnn_cell/cell_0/basic_lstm_cell/kernel:0"
    assert names[2] == "rnn/multi_rnn_cell/cell_1/basic_lstm_cell/kernel:0" and len(state) == 2


def test_states_that_are_no_tuples(tf1: Any) -> None:
    cell = tf1.nn.rnn_cell.BasicLSTMCell(U, state_is_tuple=False)
    assert cell.state_size == 2 * U
    x = tf1.placeholder(tf1.float32, [B, T, D])
    outputs, state = tf1.nn.dynamic_rnn(cell, x, dtype=tf1.float32)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        found, last = session.run([outputs, state], {x: X})
    np.testing.assert_allclose(found[:, -1], last[:, U:], rtol=1e-6)


def test_peepholes_projection_and_clipping(tf1: Any) -> None:
    cell = tf1.nn.rnn_cell.LSTMCell(U, use_peepholes=True, num_proj=2, cell_clip=0.3, proj_clip=0.2)
    x, c, h = (tf1.placeholder(tf1.float32, [None, n]) for n in (D, U, 2))
    out, (new_c, new_h) = cell(x, (c, h))
    names = ["kernel", "bias", "w_f_diag", "w_i_diag", "w_o_diag", "projection/kernel"]
    assert [v.name for v in tf1.trainable_variables()] == [f"lstm_cell/{n}:0" for n in names]
    feed = {x: X[:, 0], c: RNG.normal(size=(B, U)), h: RNG.normal(size=(B, 2))}
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        w = {k.removeprefix("lstm_cell/"): v for k, v in randomised(tf1, session).items()}
        found, memory, same = session.run([out, new_c, new_h], feed)
    i, j, f, o = np.split(np.concatenate([feed[x], feed[h]], 1) @ w["kernel"] + w["bias"], 4, 1)
    expected = sigmoid(f + 1 + w["w_f_diag"] * feed[c]) * feed[c] + sigmoid(i + w["w_i_diag"] * feed[c]) * np.tanh(j)
    expected = np.clip(expected, -0.3, 0.3)
    shown = np.clip((sigmoid(o + w["w_o_diag"] * expected) * np.tanh(expected)) @ w["projection/kernel"], -0.2, 0.2)
    np.testing.assert_allclose(memory, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found, shown, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found, same)


def test_dropout_wrapper_takes_tensors_and_keeps_masks_where_asked(tf1: Any) -> None:
    cells = tf1.nn.rnn_cell
    keep = tf1.placeholder_with_default(1.0, [])
    plain = cells.DropoutWrapper(cells.GRUCell(U), output_keep_prob=keep)
    fixed = cells.DropoutWrapper(
        cells.BasicRNNCell(40), output_keep_prob=0.5, variational_recurrent=True, dtype=tf1.float32
    )
    x = tf1.placeholder(tf1.float32, [None, T, D])
    a, _ = tf1.nn.dynamic_rnn(plain, x, dtype=tf1.float32)
    b, _ = tf1.nn.dynamic_rnn(fixed, x, dtype=tf1.float32)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        assert (session.run(a, {x: X}) != 0).all()
        assert (session.run(a, {x: X, keep: 0.5}) == 0).any()
        zeros = session.run(b, {x: X}) == 0
    assert zeros.any() and (zeros == zeros[:1, :1]).all()


def test_cells_of_users(tf1: Any) -> None:
    class ByCall(tf1.nn.rnn_cell.RNNCell):
        """As since TensorFlow 1.2: ``call`` and ``get_variable``."""

        @property
        def state_size(self) -> int:
            return U

        @property
        def output_size(self) -> int:
            return U

        def call(self, inputs: Any, state: Any) -> Any:
            w = tf1.get_variable("w", [inputs.get_shape()[1], U])
            new = tf1.tanh(tf1.matmul(inputs, w) + state)
            return new, new

    class Old(ByCall):
        """As before that: ``__call__`` with a scope, and no ``__init__`` of the base."""

        def __init__(self) -> None:
            pass

        def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
            with tf1.variable_scope(scope or type(self).__name__):
                return self.call(inputs, state)

    x = tf1.placeholder(tf1.float32, [None, T, D])
    a, _ = tf1.nn.dynamic_rnn(ByCall(), x, sequence_length=LENGTHS, dtype=tf1.float32)
    b, _ = tf1.nn.static_rnn(Old(), tf1.unstack(x, T, 1), dtype=tf1.float32, scope="other")
    assert [v.name for v in tf1.trainable_variables()] == ["rnn/by_call/w:0", "other/Old/w:0"]
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        w = session.run(tf1.trainable_variables())
        found, listed = session.run([a, b], {x: X})
    state = np.zeros((B, U))
    for t in range(T):
        state = np.tanh(X[:, t] @ w[1] + state)
        np.testing.assert_allclose(listed[t], state, rtol=1e-4, atol=1e-6)
    assert (found[1, 2:] == 0).all() and (found[1, :2] != 0).all()


def test_raw_rnn_does_what_dynamic_rnn_does(tf1: Any) -> None:
    cell = tf1.nn.rnn_cell.LSTMCell(U)
    x = tf1.placeholder(tf1.float32, [None, T, D])
    ends = tf1.constant(LENGTHS)
    with tf1.variable_scope("net"):
        outputs, state = tf1.nn.dynamic_rnn(cell, x, sequence_length=ends, dtype=tf1.float32)
    steps = tf1.TensorArray(tf1.float32, size=T).unstack(tf1.transpose(x, [1, 0, 2]))

    def loop_fn(time: Any, cell_output: Any, cell_state: Any, loop_state: Any) -> Any:
        following = cell.zero_state(tf1.shape(x)[0], tf1.float32) if cell_output is None else cell_state
        finished = time >= ends
        given = tf1.cond(tf1.reduce_all(finished), lambda: tf1.zeros([tf1.shape(x)[0], D]), lambda: steps.read(time))
        given.set_shape([None, D])
        return finished, given, following, cell_output, None

    with tf1.variable_scope("net", reuse=True):
        emitted, final, _ = tf1.nn.raw_rnn(cell, loop_fn)
    rows = emitted.stack()
    assert rows.get_shape().as_list()[2] == U
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        a, b, c, d = session.run([outputs, rows, state, final], {x: X})
    np.testing.assert_allclose(a, b.transpose(1, 0, 2), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(c.h, d.h, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "options", "what"),
    [
        ([None, T, D], {}, "If there is no initial_state, you must give a dtype."),
        (None, {"dtype": "float32"}, "must be sequences"),
        ([None, T, D], {"dtype": "float32", "sequence_length": [[1]]}, "must be a vector of length batch_size"),
    ],
)
def test_what_dynamic_rnn_refuses(shape: Any, options: Any, what: str, tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, shape)
    with pytest.raises(ValueError, match=what):
        tf1.nn.dynamic_rnn(tf1.nn.rnn_cell.GRUCell(U), x, **options)
