"""Recurrent networks compiled to commands: losses and variables over several steps are NumPy's, whatever the layer.

What is not served is left whole.
"""

from __future__ import annotations

import numpy as np
import pytest
from corenn_onednn.backend import OneDnnBackend
from corenn_onednn.compiling.compiler import compile_program
from corenn_onednn.compiling.recurrent import WHOLE
from corenn_onednn.compiling.series import Series

import corenn
from corenn import layers as L
from corenn.compiler.program import Call, Symbol
from corenn.device import Device
from corenn.layers import Input
from corenn.ops.table import TABLE
from corenn.optimizers import SGD
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import TRAINING
from corenn.training import Model, Sequential

pytestmark = pytest.mark.usefixtures("library")
BATCH, STEPS, FEATURES = 8, 6, 3  # a rest beside whole tiles, in the batch and in the features
#: With a rest beside whole vectors oneDNN makes the products, else loops; of them a tile has 64 columns.
UNITS = [20, 16, 80]
RNG = np.random.default_rng(3)
X = RNG.normal(size=(BATCH, STEPS, FEATURES)).astype(np.float32)
STATE = RNG.normal(size=(BATCH, max(UNITS))).astype(np.float32)


def whole(layer, units=0):
    """A model of one layer and the sum of what it returns, for a loss that depends on every result."""
    x, first = Input((STEPS, FEATURES)), Input((units or 1,))
    given = {"initial_state": [first] * (2 if isinstance(layer, L.LSTM) else 1)} if units else {}
    found = layer(x, **given)
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    parts = [L.Dense(2)(f if len(f.shape) == 2 else L.Flatten()(f)) for f in found]
    total = parts[0] if len(parts) == 1 else L.Add()(parts)
    return Model([x, first] if units else x, total)


def stacked(kind, n):
    return Sequential([Input((STEPS, FEATURES)), kind(n, return_sequences=True), kind(n + 1), L.Dense(2)])


CASES = {
    "last output": lambda kind, n: whole(kind(n)),
    "sequences": lambda kind, n: whole(kind(n, return_sequences=True)),
    "backwards": lambda kind, n: whole(kind(n, return_sequences=True, go_backwards=True)),
    "states": lambda kind, n: whole(kind(n, return_sequences=True, return_state=True), n),
    "states backwards": lambda kind, n: whole(kind(n, return_state=True, go_backwards=True), n),
    "without bias": lambda kind, n: whole(kind(n, use_bias=False)),
    "more features than units": lambda kind, n: whole(kind(2, return_sequences=True)),
    "stacked": stacked,
    "both ways": lambda kind, n: whole(L.Bidirectional(kind(n, return_sequences=True))),
}


def trained(build, device, *, inputs=X, states=0, steps=3):
    """Losses and variables of a few steps of training."""
    with device:
        corenn.random.seed(1)
        model = build()
        given = [corenn.tensor(inputs), *([corenn.tensor(STATE[:, :states])] if states else [])]
        target = corenn.tensor(np.ones((BATCH, 2), inputs.dtype))
        model(given if states else given[0])
        variables, optimizer = model.trainable_weights, SGD(0.1)
        optimizer.build(variables)

        @corenn.function
        def step(y, *x):
            with corenn.GradientTape() as tape:
                loss = corenn.mean(corenn.square(model(list(x) if states else x[0]) - y))
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        losses = [step(target, *given).numpy() for _ in range(steps)]
        return losses, [v.numpy() for v in variables]


@pytest.fixture
def compiled(monkeypatch):
    """A device of the backend, and a list of the programs compiled for it."""
    made = []

    def compile_and_keep(self, program):
        made.append(compile_program(program))
        return made[-1]

    monkeypatch.setattr(OneDnnBackend, "compile", compile_and_keep)
    return Device(OneDnnBackend(), 0), made


def kinds(executables):
    """Names of the ops that became series, and of those left whole."""
    instructions = [i for e in executables for i in e.compiled.instructions]
    series = {op for i in instructions if isinstance(i, Series) for op in i.ops}
    return series, {i.name for i in instructions if isinstance(i, Call)}


def agree(found, expected):
    for mine, theirs in zip([*found[0], *found[1]], [*expected[0], *expected[1]], strict=True):
        assert_close(mine, theirs, TRAINING)


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", [L.LSTM, L.GRU, L.SimpleRNN])
def test_training_is_that_of_numpy(compiled, kind, case, units):
    device, made = compiled
    states = units * case.startswith("states")
    expected = trained(lambda: CASES[case](kind, units), corenn.device("numpy"), states=states)
    agree(trained(lambda: CASES[case](kind, units), device, states=states), expected)
    stem = {L.LSTM: "lstm", L.GRU: "gru", L.SimpleRNN: "simple_rnn"}[kind]
    series, left = kinds(made)
    assert {stem, f"{stem}_grad"} <= series
    assert not left & WHOLE
    if case == "stacked":
        assert "recurrent_input_grad" in series


def test_variables_do_move():
    """So that the comparison above means something."""
    first = trained(lambda: CASES["sequences"](L.LSTM, 20), corenn.device("numpy"), steps=1)[1]
    last = trained(lambda: CASES["sequences"](L.LSTM, 20), corenn.device("numpy"))[1]
    assert all(np.abs(a - b).max() > 10 * TRAINING.atol for a, b in zip(first, last, strict=True))


@pytest.mark.parametrize("kind", [L.LSTM, L.GRU, L.SimpleRNN])
def test_lengths_leave_the_ops_whole(compiled, kind):
    device, made = compiled
    lengths = np.array([6, 2, 0, 3, 1, 4, 6, 5], np.int32)

    def run(where):
        with where:
            corenn.random.seed(1)
            layer, dense = kind(UNITS[0]), L.Dense(2)
            x, ends = corenn.tensor(X), corenn.tensor(lengths)
            dense(layer(x, lengths=ends))
            variables = [*layer.trainable_weights, *dense.trainable_weights]

            @corenn.function
            def slopes(x, ends):
                with corenn.GradientTape() as tape:
                    loss = corenn.sum(corenn.square(dense(layer(x, lengths=ends))))
                return [loss, *tape.gradient(loss, variables)]

            return [t.numpy() for t in slopes(x, ends)]

    for mine, theirs in zip(run(device), run(corenn.device("numpy")), strict=True):
        assert_close(mine, theirs, TRAINING)
    series, left = kinds(made)
    assert not series
    stem = {L.LSTM: "lstm", L.GRU: "gru", L.SimpleRNN: "simple_rnn"}[kind]
    assert {stem, f"{stem}_grad"} <= left


def test_wide_floats_leave_the_ops_whole(compiled):
    device, made = compiled
    build = lambda: Sequential([L.LSTM(UNITS[0], dtype="float64"), L.Dense(2, dtype="float64")])
    agree(trained(build, device, inputs=X.astype("float64")),
          trained(build, corenn.device("numpy"), inputs=X.astype("float64")))  # fmt: skip
    series, left = kinds(made)
    assert not series
    assert {"lstm", "lstm_grad", "recurrent_weight_grad"} <= left


def test_a_reset_gate_before_the_product_is_left_whole(compiled):
    device, made = compiled
    build = lambda: Sequential([L.GRU(UNITS[0], reset_after=False), L.Dense(2)])
    agree(trained(build, device), trained(build, corenn.device("numpy")))
    series, left = kinds(made)
    assert not series
    assert {"gru", "gru_grad"} <= left


@pytest.mark.parametrize("units", UNITS)
def test_a_rectifier(compiled, units):
    device, made = compiled
    build = lambda: Sequential([L.SimpleRNN(units, "relu"), L.Dense(2)])
    agree(trained(build, device), trained(build, corenn.device("numpy")))
    assert {"simple_rnn", "simple_rnn_grad"} <= kinds(made)[0]


@pytest.mark.parametrize("kind", [L.LSTM, L.GRU, L.SimpleRNN])
def test_gradients_of_gradients(compiled, kind):
    """The penalty on a gradient: its own gradient reaches what the first one kept."""
    device, made = compiled

    def run(where):
        with where:
            corenn.random.seed(1)
            layer, x = kind(4), corenn.tensor(X[:, :3])
            layer(x)
            variables = layer.trainable_weights

            @corenn.function
            def slopes(x):
                with corenn.GradientTape() as outer:
                    with corenn.GradientTape() as inner:
                        inner.watch(x)
                        total = corenn.sum(corenn.square(layer(x)))
                    penalty = corenn.sum(corenn.square(inner.gradient(total, x)))
                return outer.gradient(penalty, variables)

            return [t.numpy() for t in slopes(x)]

    for mine, theirs in zip(run(device), run(corenn.device("numpy")), strict=True):
        assert_close(mine, theirs, TRAINING)
    assert made


def test_weights_alone_have_a_gradient_of_their_own(compiled):
    """Where the network itself is not in the program, the table is made of its outputs."""
    device, made = compiled
    op = TABLE["recurrent_weight_grad"].public
    draw = np.random.default_rng(5).normal
    slopes, h0 = draw(size=(STEPS, BATCH, 8)).astype("float32"), draw(size=(BATCH, 2)).astype("float32")
    outputs = draw(size=(BATCH, STEPS, 2)).astype("float32")
    for reverse in (False, True):
        for more in ((), (slopes[:, ::-1].copy(),)):
            found = []
            for where in (device, corenn.device("numpy")):
                with where:
                    run = corenn.function(lambda *given, reverse=reverse: op(*given, reverse=reverse))
                    found.append([t.numpy() for t in run(*[corenn.tensor(a) for a in (slopes, X, h0, outputs, *more)])])
            for mine, theirs in zip(*found, strict=True):
                assert_close(mine, theirs, TRAINING)
    assert kinds(made)[0] == {"recurrent_weight_grad"}


def test_a_series_can_be_put_on_other_values(compiled):
    device, made = compiled
    trained(lambda: CASES["last output"](L.LSTM, 20), device, steps=1)
    series = [i for e in made for i in e.compiled.instructions if isinstance(i, Series)]
    for each in series:
        others = [Symbol(s.spec, s.array) for s in each.inputs]
        rebuilt = each.rebuilt(others, ())
        assert rebuilt.outputs == each.outputs
        pieces = [p for s in rebuilt.steps for p in (s.pieces.values() if isinstance(s.pieces, dict) else s.pieces)]
        assert not {p.of for p in pieces} & set(each.inputs)
        assert set(rebuilt.over.values()) <= set(others)
