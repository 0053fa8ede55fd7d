"""What programs cost: products counted by running the op on ones, bytes and lifetimes by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn import layers, nn
from corenn.compiler.cost import bytes_of, calls_in, cost_of, flops_of
from corenn.compiler.machine import Machine, calibrate, processors
from corenn.compiler.memory import lifetimes
from corenn.compiler.program import Block, Call, Fused, Program
from corenn.compiler.watching import watching
from corenn.device import device
from corenn.testing import checks
from corenn.testing.graphs import first_dtype
from corenn.testing.trial import NotHere, Trial


def traced(function, *specs):
    """The program of a function of float32 tensors of these shapes (or of specs)."""
    known = [s if isinstance(s, G.TensorSpec) else G.TensorSpec(s, "float32") for s in specs]
    arguments = [corenn.zeros(k.shape, dtype=k.dtype) for k in known]
    return corenn.function(function).get_concrete_function(*known).program(*arguments)


def flops(function, *specs):
    return cost_of(traced(function, *specs)).flops


def counted(function, *shapes):
    """Additions and multiplications, where each element of the result is the number of products in it."""
    return 2 * int(np.asarray(function(*[corenn.ones(s) for s in shapes]).numpy(), np.float64).sum())


# ---------------------------------------------------------------- flops


@pytest.mark.parametrize(
    ("a", "b", "attributes"),
    [
        ((5, 7), (7, 3), {}),
        ((7, 5), (7, 3), {"transpose_a": True}),
        ((5, 7), (3, 7), {"transpose_b": True}),
        ((4, 5, 7), (7, 3), {}),
        ((2, 1, 5, 7), (6, 7, 3), {}),
        ((7,), (7, 3), {}),
        ((5, 7), (7,), {}),
        ((7,), (7,), {}),
    ],
)
def test_products_of_matrices(a, b, attributes):
    def product(x, y):
        return corenn.matmul(x, y, **attributes)

    assert flops(product, a, b) == counted(product, a, b)


CONVOLUTIONS = [
    {"strides": strides, "padding": padding, "dilation": dilation}
    for strides, padding, dilation in itertools.product((1, 2, (1, 3)), ("SAME", "VALID", ((0, 2), (3, 1))), (1, 2))
]


@pytest.mark.parametrize("attributes", CONVOLUTIONS, ids=str)
def test_products_of_convolutions_and_their_gradients_without_those_of_padding(attributes):
    x, w = (2, 11, 9, 6), (3, 2, 3, 4)

    def forward(x, w):
        return nn.conv(x, w, groups=2, **attributes)

    wanted = counted(forward, x, w)
    assert flops(forward, x, w) == wanted

    def backward(x, w):
        with corenn.GradientTape() as tape:
            tape.watch(x)
            tape.watch(w)
            y = forward(x, w)
        return tape.gradient(y, [x, w])

    calls = [c for i in traced(backward, x, w).instructions for c in calls_in(i) if "grad" in c.name]
    assert sorted(c.name for c in calls) == ["conv_input_grad", "conv_weight_grad"]
    assert [flops_of(c.plan) for c in calls] == [wanted, wanted]


@pytest.mark.parametrize(("layout", "shape"), [("NCHW", (2, 6, 11, 9)), ("NWC", (2, 11, 6)), ("NCW", (2, 6, 11))])
def test_products_of_convolutions_in_every_layout(layout, shape):
    w = (3,) * (len(shape) - 2) + (6, 4)

    def forward(x, w):
        return nn.conv(x, w, padding="SAME", layout=layout)

    assert flops(forward, shape, w) == counted(forward, shape, w)


@pytest.mark.parametrize(
    ("function", "shape", "wanted"),
    [
        (corenn.exp, (4, 5), 20),
        (lambda x: x + corenn.ones(5), (4, 5), 20),
        (lambda x: corenn.sum(x, axis=0), (4, 5), 20),
        (lambda x: corenn.reshape(x, shape=(5, 4)), (4, 5), 0),
        (lambda x: corenn.transpose(x), (4, 5), 0),
        (lambda x: corenn.concatenate(x, x, axis=0), (4, 5), 0),
        (lambda x: x[1:3], (4, 5), 0),
        (lambda x: nn.max_pool(x, window=2, strides=2), (1, 4, 6, 3), 72),
        (lambda x: corenn.sort(x), (4, 16), 64 * 6),
        (lambda x: corenn.linalg.inv(x), (3, 8, 8), 2 * 3 * 8**3),
    ],
)
def test_other_ops(function, shape, wanted):
    assert flops(function, shape) == wanted


def test_a_composite_op_costs_what_it_is_made_of():
    batch, steps, features, units = 3, 7, 5, 11
    layer = layers.LSTM(units)
    layer(corenn.zeros((batch, steps, features)))
    found = flops(layer, (batch, steps, features))
    products = 2 * batch * steps * 4 * units * (features + units)
    assert products < found < products + batch * steps * units * 40


def test_every_op_of_the_table_can_be_counted():
    counted = 0
    for op in checks.all_ops():
        for sample in op.sample_list:
            dtype = first_dtype(op, sample)
            if dtype is None:
                continue
            try:
                plan = Trial(op, sample, dtype, device("numpy")).plan
            except NotHere:
                continue
            if all(None not in s.shape for s in plan.specs):  # what programs are made of
                found = flops_of(plan)
                assert type(found) is int and found >= 0, op.name
                counted += 1
    assert counted > 900


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "lion"])
def test_updates_cost_a_fixed_number_for_each_element(name):
    def cost(size):
        variable, optimizer = corenn.Variable(np.ones(size, np.float32)), corenn.optimizers.get(name)
        optimizer.build([variable])

        def update(g):
            optimizer.apply_gradients([(g, variable)])
            return variable.value()

        return flops(update, (size,))

    small, large = cost(1000), cost(3000)
    each = (large - small) / 2000
    assert each == int(each) and 2 <= each <= 20
    assert 0 <= small - 1000 * each < 60  # what depends on the number of the step alone


# ---------------------------------------------------------------- bytes


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda x: x + x, 2 * 80),  # read once, however often it is used
        (lambda x: corenn.exp(x), 2 * 80),
        (lambda x: x > 0.5, 80 + 20 + 4),
        (lambda x: corenn.sum(x), 80 + 4),
        (lambda x: corenn.reshape(x, shape=(20,)), 0),
        (lambda x: x[:2], 2 * 40),
    ],
)
def test_bytes_of_an_instruction(function, wanted):
    (instruction,) = traced(function, (4, 5)).instructions
    assert bytes_of(instruction) == wanted


def test_what_must_move_is_inputs_variables_constants_results_and_writes():
    weight, table = corenn.Variable(np.ones((5, 3), np.float32)), corenn.tensor(np.ones((4, 3), np.float32))

    def step(x):
        y = corenn.matmul(x, weight) * table
        weight.assign(weight * 2.0)
        return corenn.sum(y)

    cost = cost_of(traced(step, (4, 5)))
    assert cost.least_bytes == 4 * (20 + 15 + 12 + 1 + 15 + 1)  # x, weight, table, 2.0, the new weight, the sum
    assert cost.flops == 2 * 4 * 5 * 3 + 12 + 15 + 12
    assert cost.bytes == sum(i.bytes for i in cost.items) > cost.least_bytes


def test_a_fused_group_moves_what_is_outside_only():
    program = traced(lambda x: corenn.sum(corenn.exp(x) * x), (4, 5))
    calls = program.instructions
    assert [type(c) for c in calls] == [Call] * 3
    group = Fused(calls, program.results, None)
    fused = Program(program.device, program.inputs, program.state, Block([group], program.results), program.results, [])
    before, after = cost_of(program), cost_of(fused)
    assert after.flops == before.flops == 60
    assert (before.bytes, after.bytes) == ((80 + 80) + (80 + 80 + 80) + (80 + 4), 80 + 4)
    assert before.least_bytes == after.least_bytes
    assert (lifetimes(program).total, lifetimes(fused).total) == (80 + 80 + 4, 4)


def test_branches_and_loops():
    def branching(x):
        return corenn.cond(corenn.sum(x) > 0, lambda: corenn.exp(corenn.exp(x)), lambda: x)

    assert flops(branching, (4, 5)) == 20 + 1 + 40

    def looping(x):
        def go(i, y):
            return corenn.sum(y) < 100

        return corenn.while_loop(go, lambda i, y: (i + 1, corenn.exp(y)), (corenn.tensor(0), x), maximum_iterations=7)

    once = 20 + 1 + 20 + 1
    assert flops(looping, (4, 5)) == 7 * once


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize(
    ("function", "peak", "total"),
    [
        (lambda x: corenn.exp(corenn.exp(corenn.exp(x))), 160, 240),
        (lambda x: corenn.exp(corenn.reshape(corenn.exp(x), shape=(20,))), 160, 160),
        (lambda x: corenn.exp(x) + corenn.log(x), 240, 240),
        (lambda x: (corenn.exp(x), corenn.sum(corenn.log(x))), 164, 164),
    ],
)
def test_lifetimes(function, peak, total):
    found = lifetimes(traced(function, (4, 5)))
    assert (found.peak, found.total) == (peak, total)


# ---------------------------------------------------------------- machines


def test_the_floor_is_the_slower_of_computing_and_moving_and_the_bound_is_no_less():
    cost = cost_of(traced(lambda x, y: corenn.exp(corenn.matmul(x, y)), (64, 64), (64, 64)))
    flops, least = 2 * 64**3 + 64**2, 3 * 4 * 64**2
    assert (cost.flops, cost.least_bytes) == (flops, least)
    assert Machine(1e9, 1e15).floor(cost) == pytest.approx(flops / 1e9)
    assert Machine(1e15, 1e9).floor(cost) == pytest.approx(least / 1e9)
    assert Machine(1e15, 1e9).bound(cost) == pytest.approx((3 + 2) * 4 * 64**2 / 1e9)


def test_a_device_is_measured():
    found = calibrate(device("numpy"), seconds=0.01)
    assert 1e8 < found.flops < 1e15 and 1e7 < found.bytes < 1e14


def test_threads_are_those_asked_for(monkeypatch):
    monkeypatch.setenv("CORENN_THREADS", "3")
    assert processors() == 3
    for other in ("", "0", "many"):
        monkeypatch.setenv("CORENN_THREADS", other)
        assert processors() >= 1


# ---------------------------------------------------------------- looking on


def test_programs_are_seen_while_somebody_looks():
    double = corenn.function(lambda x: x * 2.0)
    with watching() as seen:
        double(corenn.ones(3))
        double(corenn.ones(3))
    double(corenn.ones(4))
    ((lowered, executable),) = seen
    assert [i.name for i in lowered.instructions] == ["multiply"]
    assert executable.program.results[0].shape == (3,)
