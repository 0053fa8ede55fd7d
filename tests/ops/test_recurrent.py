"""Recurrent networks against PyTorch, its weights reordered: values, gradients, lengths, both directions, cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn.autodiff import GradientTape
from corenn.ops.recurrent import gru, gru_cell, lstm, lstm_cell, rnn_cell, simple_rnn
from corenn.ops.table import TABLE
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import forward

BATCH, STEPS, FEATURES, UNITS = 4, 6, 3, 5
# For each network: blocks in its kernels, the order of PyTorch's blocks among ours, biases of ours, number of states.
NETWORKS = {
    "lstm": (4, (0, 1, 2, 3), 1, 2),  # i f g o in both
    "gru": (3, (1, 0, 2), 2, 1),  # z r n here, r z n there
    "tanh": (1, (0,), 1, 1),
    "relu": (1, (0,), 1, 1),
}


def draw(shape, seed=0, scale=0.5):
    return np.random.default_rng(seed).normal(size=shape) * scale


def close(actual, expected, terms=100):
    actual = actual.numpy() if hasattr(actual, "numpy") and not hasattr(actual, "detach") else actual
    expected = expected.detach().numpy() if hasattr(expected, "detach") else expected
    assert_close(np.asarray(actual), expected, forward(corenn.as_dtype(actual.dtype)).scaled(math.sqrt(terms)))


def operands(kind, dtype="float64", batch=BATCH, steps=STEPS):
    """x, states, kernel, recurrent kernel, bias."""
    blocks, _, biases, states = NETWORKS[kind]
    width = blocks * UNITS
    shapes = [(batch, steps, FEATURES), *[(batch, UNITS)] * states, (FEATURES, width), (UNITS, width)]
    shapes.append((biases, width) if biases > 1 else (width,))
    return [draw(s, i).astype(dtype) for i, s in enumerate(shapes)]


def run(kind, given, lengths=None, **attrs):
    """Outputs and last states."""
    function = {"lstm": lstm, "gru": gru}.get(kind, simple_rnn)
    attrs |= {"activation": kind} if function is simple_rnn else {}
    return function(*given, lengths, **attrs)


def torch_network(kind, given):
    """PyTorch's layer in float64 with the same weights, and a function giving the gradients of those in our order."""
    torch = pytest.importorskip("torch")
    blocks, order, biases, _ = NETWORKS[kind]
    kind_of = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(kind, torch.nn.RNN)
    options = {"nonlinearity": kind} if kind in ("tanh", "relu") else {}
    net = kind_of(FEATURES, UNITS, batch_first=True, **options).double()
    *_, kernel, recurrent, bias = (x.astype(np.float64) for x in given)

    def theirs(w):
        return torch.tensor(np.concatenate([np.split(w, blocks, -1)[k] for k in order], -1).T.copy())

    both = bias if biases > 1 else np.stack([bias, np.zeros_like(bias)])
    with torch.no_grad():
        for name, value in zip(
            ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), (kernel, recurrent, *both), strict=True
        ):
            getattr(net, name).copy_(theirs(value))

    def ours(parameter):
        parts = np.split(parameter.grad.numpy().T, blocks, -1)
        return np.concatenate([parts[order.index(k)] for k in range(blocks)], -1)

    def gradients():
        first, second = ours(net.bias_ih_l0), ours(net.bias_hh_l0)
        return [ours(net.weight_ih_l0), ours(net.weight_hh_l0), np.stack([first, second]) if biases > 1 else first]

    return net, gradients


def compare(kind, dtype, lengths=None, reverse=False, batch=BATCH, steps=STEPS):
    """Outputs, last states and all gradients of a weighted sum of them, against PyTorch in float64."""
    torch = pytest.importorskip("torch")
    given = operands(kind, dtype, batch, steps)
    states = NETWORKS[kind][3]
    tensors = [corenn.tensor(x) for x in given]
    with GradientTape() as tape:
        tape.watch(tensors)
        results = run(kind, tensors, None if lengths is None else corenn.tensor(lengths), reverse=reverse)
        weights = [draw(r.shape, 9 + i).astype(dtype) for i, r in enumerate(results)]
        target = sum(corenn.sum(r * corenn.tensor(w)) for r, w in zip(results, weights, strict=True))
    net, weight_gradients = torch_network(kind, given)
    wide = [torch.tensor(x.astype(np.float64), requires_grad=True) for x in given[: 1 + states]]
    x = wide[0]
    if reverse:  # what is valid of each sequence, turned round; then the outputs are turned back
        turn = [torch.arange(steps) for _ in range(batch)] if lengths is None else None
        turn = turn or [torch.cat([torch.arange(n).flip(0), torch.arange(n, steps)]) for n in lengths]
        turn = [t.flip(0) for t in turn] if lengths is None else turn
        x = torch.stack([s[t] for s, t in zip(x, turn, strict=True)])
    first = tuple(s[None] for s in wide[1:])
    packed = x
    if lengths is not None:
        pack = torch.nn.utils.rnn.pack_padded_sequence
        packed = pack(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    outputs, last = net(packed, first if states > 1 else first[0])
    if lengths is not None:
        unpack = torch.nn.utils.rnn.pad_packed_sequence
        outputs = unpack(outputs, batch_first=True, total_length=steps)[0]
    if reverse:
        outputs = torch.stack([s[t] for s, t in zip(outputs, turn, strict=True)])
    expected = [outputs, *(s[0] for s in (last if states > 1 else (last,)))]
    sum((e * torch.tensor(w)).sum() for e, w in zip(expected, weights, strict=True)).backward()
    for r, e in zip(results, expected, strict=True):
        close(r, e)
    found = tape.gradient(target, tensors)
    for g, e in zip(found, [*(t.grad for t in wide), *weight_gradients()], strict=True):
        close(g, e, terms=100 * steps)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reverse", [False, True])
def test_networks_agree_with_torch(kind, dtype, reverse):
    compare(kind, dtype, reverse=reverse)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [[6, 3, 1, 5], [2, 2, 2, 2]])
def test_lengths_agree_with_packed_sequences(kind, reverse, lengths):
    compare(kind, "float64", lengths=lengths, reverse=reverse)


@pytest.mark.parametrize("kind", NETWORKS)
def test_one_example_and_one_step(kind):
    compare(kind, "float64", batch=1, steps=1)


# ---------------------------------------------------------------- lengths


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("reverse", [False, True])
def test_past_the_length_outputs_are_zero_and_states_stay(kind, reverse):
    given = operands(kind)
    outputs, *states = run(kind, given, np.array([0, 2, 6, 9]), reverse=reverse)
    assert (outputs.numpy()[0] == 0).all()
    assert (outputs.numpy()[1, 2:] == 0).all()
    for state, first in zip(states, given[1:], strict=False):
        assert state.numpy()[0].tolist() == first[0].tolist()
    last = outputs.numpy()[1, 0 if reverse else 1]
    assert states[0].numpy()[1].tolist() == last.tolist()


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(sorted(NETWORKS)),
    st.booleans(),
    st.lists(st.integers(0, 5), min_size=3, max_size=3),
    st.integers(1, 4),
)
def test_padding_changes_nothing(kind, reverse, lengths, extra):
    """Longer sequences of the same lengths, the rest filled with anything, give the same results and gradients."""
    given = operands(kind, batch=3, steps=5)
    longer = [np.concatenate([given[0], draw((3, extra, FEATURES), 7, 100.0)], axis=1), *given[1:]]
    found = []
    for case in (given, longer):
        tensors = [corenn.tensor(x) for x in case]
        with GradientTape() as tape:
            tape.watch(tensors)
            outputs, *states = run(kind, tensors, corenn.tensor(np.array(lengths)), reverse=reverse)
            target = corenn.sum(corenn.square(outputs)) + sum(corenn.sum(s) for s in states)
        slopes = tape.gradient(target, tensors)
        found.append([outputs.numpy()[:, :5], *states, slopes[0].numpy()[:, :5], *slopes[1:]])
    for short, long in zip(*found, strict=True):
        close(long, short if isinstance(short, np.ndarray) else short.numpy())


@pytest.mark.parametrize("kind", NETWORKS)
def test_full_lengths_of_any_integer_dtype_are_no_lengths(kind):
    given = operands(kind)
    expected = run(kind, given)
    for dtype in ("uint8", "int32", "int64"):
        for r, e in zip(run(kind, given, np.full(BATCH, STEPS, dtype)), expected, strict=True):
            close(r, e.numpy(), terms=1)


# ---------------------------------------------------------------- cells


@pytest.mark.parametrize("kind", [*NETWORKS, "gru, reset before"])
def test_a_sequence_is_its_cell_step_by_step(kind):
    attrs = {"reset_after": False} if kind == "gru, reset before" else {}
    kind = kind.split(",")[0]
    x, *rest = operands(kind)
    count = NETWORKS[kind][3]
    states, weights = rest[:count], rest[count:]
    if attrs:
        weights = [*weights[:2], weights[2][0]]
    outputs, *last = run(kind, [x, *states, *weights], **attrs)
    for t in range(STEPS):
        if kind == "lstm":
            states = lstm_cell(x[:, t], *states, *weights)
        elif kind == "gru":
            states = [gru_cell(x[:, t], states[0], *weights, **attrs)]
        else:
            states = [rnn_cell(x[:, t], states[0], *weights, activation=kind)]
        close(outputs.numpy()[:, t], states[0].numpy())
    for mine, theirs in zip(last, states, strict=True):
        close(mine, theirs.numpy())


# ---------------------------------------------------------------- gradients


def test_gradients_are_found_for_what_is_watched_alone():
    given = [corenn.tensor(x) for x in operands("lstm")]
    with GradientTape(persistent=True) as tape:
        tape.watch(given[3])
        outputs, _, c = lstm(*given)
    assert [g is not None for g in tape.gradient(c, given)] == [False, False, False, True, False, False]
    (entry,) = [e for e in tape.entries if e.plan.op.name == "lstm"]
    assert entry.plan.op is TABLE["lstm"]
    assert outputs.shape == (BATCH, STEPS, UNITS)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_kernels_agree_with_decompositions_on_more_than_samples(kind, reverse, ragged):
    given = [corenn.tensor(x) for x in operands(kind, batch=7, steps=9)]
    lengths = corenn.tensor([9, 0, 1, 5, 8, 2, 9]) if ragged else None
    op = TABLE[kind]
    attrs = {"reverse": reverse} | ({"reset_after": True} if kind == "gru" else {})
    for mine, parts in zip(
        op.public(*given, lengths, **attrs), op.decomposition(*given, lengths, **attrs), strict=True
    ):
        close(mine, parts.numpy())


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_results_that_nothing_depends_on_cost_nothing_and_change_nothing(kind, reverse, ragged):
    """A target that uses one result has the gradients of one that takes the others times 0."""
    given = [corenn.tensor(x) for x in operands(kind)]
    lengths = corenn.tensor([6, 3, 0, 5]) if ragged else None
    for used in range(1 + NETWORKS[kind][3]):
        with GradientTape(persistent=True) as tape:
            tape.watch(given)
            results = run(kind, given, lengths, reverse=reverse)
            parts = [corenn.sum(r * r) for r in results]
            alone, whole = parts[used], sum(p * float(i == used) for i, p in enumerate(parts))
        for mine, theirs in zip(tape.gradient(alone, given), tape.gradient(whole, given), strict=True):
            close(mine, theirs.numpy())


@pytest.mark.parametrize("kind", NETWORKS)
def test_programs_hold_no_zeros_for_unused_results(kind):
    given = [corenn.tensor(x) for x in operands(kind)]

    @corenn.function
    def slopes(*tensors):
        with GradientTape() as tape:
            tape.watch(tensors)
            target = corenn.sum(run(kind, tensors)[1])
        return tape.gradient(target, tensors)

    program = slopes.get_concrete_function(*given).program(*given)
    (call,) = [i for i in program.instructions if i.name.endswith(("lstm_grad", "gru_grad", "simple_rnn_grad"))]
    names = call.plan.op.tensors
    arrived = {n for n, i in zip(names, call.inputs, strict=True) if n.startswith("g_") and i is not None}
    assert arrived == {"g_h"}
    assert "full" not in {i.name for i in program.instructions}
