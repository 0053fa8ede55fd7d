"""Programs that should fit into a budget keep less, and give the same bits."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import nn
from corenn.compiler.executor import Executable
from corenn.compiler.memory import Timeline, lifetimes
from corenn.compiler.passes import eliminate_common_subexpressions, prune, rematerialize
from corenn.compiler.program import Again
from corenn.compiler.verify import verify
from corenn.errors import UsageError

DEPTH, ROWS, WIDTH = 6, 256, 32
ARRAY = ROWS * WIDTH * 4


def deep(activation):
    """A step of a deep, narrow network: what waits for the backward pass is most of its memory."""
    rng = np.random.default_rng(0)
    weights = [corenn.Variable(rng.normal(size=(WIDTH, WIDTH)).astype("float32") / WIDTH**0.5) for _ in range(DEPTH)]
    biases = [corenn.Variable(np.full(WIDTH, 0.1, "float32")) for _ in range(DEPTH)]

    def step(x):
        with corenn.GradientTape() as tape:
            h = x
            for w, b in zip(weights, biases, strict=True):
                h = activation(h @ w + b) * 0.5
            loss = corenn.sum(h * h)
        found = tape.gradient(loss, [*weights, *biases])
        for v, g in zip([*weights, *biases], found, strict=True):
            v.assign_sub(g * 1e-3)
        return loss

    return step, [*weights, *biases]


X = np.random.default_rng(1).normal(size=(ROWS, WIDTH)).astype("float32")


def program_of(budget, activation=nn.relu):
    step, _ = deep(activation)
    x = corenn.tensor(X)
    return corenn.function(step, memory_budget=budget).get_concrete_function(x).program(x)


@pytest.mark.parametrize("activation", [nn.relu, corenn.tanh, nn.sigmoid, nn.softplus], ids=lambda a: a.__name__)
def test_the_peak_falls_and_results_stay_bit_for_bit(activation):
    found = []
    for budget in (None, 0):
        step, variables = deep(activation)
        run = corenn.function(step, memory_budget=budget)
        losses = [run(corenn.tensor(X)).numpy() for _ in range(3)]
        found.append([*losses, *(v.numpy() for v in variables)])
    for plain, tight in zip(*found, strict=True):
        np.testing.assert_array_equal(plain, tight)
    plain, tight = program_of(None, activation), program_of(0, activation)
    assert lifetimes(tight).peak <= lifetimes(plain).peak - (DEPTH - 2) * ARRAY
    assert lifetimes(tight).total > lifetimes(plain).total


def test_a_budget_that_is_met_changes_nothing_more():
    plain, least = (lifetimes(program_of(b)).peak for b in (None, 0))
    assert not any(isinstance(i, Again) for i in program_of(plain).instructions)
    middle = program_of((plain + least) // 2)
    assert least < lifetimes(middle).peak <= (plain + least) // 2
    again = [sum(isinstance(i, Again) for i in program_of(b).instructions) for b in (plain, (plain + least) // 2, 0)]
    assert again[0] < again[1] < again[2]


def test_what_is_computed_again_on_purpose_is_not_put_together():
    tight = program_of(0)
    kept = prune(eliminate_common_subexpressions(tight))
    assert lifetimes(kept).peak == lifetimes(tight).peak


def test_results_inputs_and_dear_values_stay():
    def f(x):
        y = corenn.exp(x)  # a result: kept anyway
        z = x @ corenn.transpose(x)  # a product is not computed twice
        big = corenn.concatenate([z] * 4, axis=0)
        return y, corenn.sum(corenn.sin(big)) + corenn.sum(z)

    x = corenn.tensor(X)
    program = corenn.function(f).get_concrete_function(x).program(x)
    found = verify(rematerialize(program, 0))
    assert [i.name for i in found.instructions].count("matmul") == 1
    assert [i.name for i in found.instructions].count("exp") == 1
    for a, b in zip(Executable(found)([X], [], None)[0], Executable(program)([X], [], None)[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_values_that_a_branch_needs_are_made_before_it():
    def f(x, p):
        y = corenn.exp(x) + 1.0
        worst = corenn.sum(corenn.sin(corenn.concatenate([y * 2.0, y * 3.0, x, x], axis=0)))
        return corenn.cond(p, lambda: corenn.sum(y) + worst, lambda: worst)

    operands = corenn.tensor(X), corenn.tensor(True)
    program = corenn.function(f).get_concrete_function(*operands).program(*operands)
    found = verify(rematerialize(program, 0))
    assert any(isinstance(i, Again) for i in found.instructions)
    assert lifetimes(found).peak < lifetimes(program).peak
    for p in (True, False):
        given = [X, np.array(p)]
        ours, right = (Executable(made)(given, [], None)[0][0] for made in (found, program))
        np.testing.assert_array_equal(ours, right)


def test_a_budget_is_a_number_of_bytes():
    with pytest.raises(UsageError, match="memory_budget must not be negative"):
        corenn.function(lambda x: x, memory_budget=-1)


def test_methods_have_the_budget_of_their_function():
    class Holder:
        @corenn.function(memory_budget=7)
        def call(self, x):
            return x

    assert Holder().call.memory_budget == 7


def test_times_are_those_of_the_instructions():
    program = program_of(None)
    timeline = Timeline(program.block)
    assert len(timeline.alive) == len(program.instructions)
    assert timeline.peak == lifetimes(program).peak == max(timeline.alive)
