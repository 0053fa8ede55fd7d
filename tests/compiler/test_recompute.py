"""Cheap values between groups are computed again where that moves fewer bytes, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import dtypes, nn
from corenn.compiler.passes.axes import REDUCTIONS, RESHAPES
from corenn.compiler.passes.fuse import fuse
from corenn.compiler.passes.recompute import recompute
from corenn.compiler.program import Block, Fused, Program, Symbol
from corenn.compiler.tracing import Trace, recording, recording_device, tensor_of
from corenn.spec import Spec

NUMPY = corenn.device("numpy")
ELEMENTWISE = {"add", "multiply", "subtract", "divide", "tanh", "exp", "relu", "greater", "where"}
ROWS, COLUMNS = 100, 64


def joinable(call) -> bool:
    return call.name in ELEMENTWISE | REDUCTIONS | RESHAPES


def real(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def program_of(function, arrays, state=0) -> Program:
    """The program of a function of arrays, the last ``state`` of which are variables."""
    device, trace = recording_device(NUMPY), Trace()
    symbols = [Symbol(Spec(a.shape, dtypes.as_dtype(a.dtype), NUMPY)) for a in arrays]
    with recording(trace, device):
        found = function(*[tensor_of(s, device) for s in symbols])
    results = [t.data for t in (found if isinstance(found, tuple) else (found,))]
    count = len(symbols) - state
    held = [(object(), s) for s in symbols[count:]]
    return Program(NUMPY, symbols[:count], held, Block(trace.instructions, results), results, [])


def run(program, arrays):
    values = dict(zip([*program.inputs, *(s for _, s in program.state)], arrays, strict=True))
    for instruction in program.instructions:
        for call in instruction.body if isinstance(instruction, Fused) else [instruction]:
            made = call.plan.run(*[values.get(i, i.array) for i in call.inputs])
            values.update(zip(call.outputs, made if call.plan.op.results else (made,), strict=True))
    return [values[r] for r in program.results]


def groups(program):
    return [[c.name for c in i.body] if isinstance(i, Fused) else i.name for i in program.instructions]


def between(first, second):
    """``first(x)`` in one group, a matrix product of what is made of it, and ``second`` of both in the next group."""

    def function(x, w):
        kept = first(x)
        product = nn.relu(kept) @ w
        return second(kept, product)

    return function


X, W = real(ROWS, COLUMNS), real(COLUMNS, COLUMNS)


@pytest.mark.parametrize(
    "first, second, again",
    [
        # what is left of x when a row is taken off: x and the row are there anyway
        (lambda x: x - x[0], lambda kept, product: kept * product, ["subtract", "multiply"]),
        # the mean is small, and is put into memory for the next group
        (lambda x: x - corenn.mean(x, axis=0), lambda kept, product: kept + product, ["subtract", "add"]),
        (lambda x: (x - corenn.mean(x, axis=0)) * 2, lambda kept, product: kept + product,
         ["subtract", "multiply", "add"]),
        # a function that takes many instructions is kept
        (lambda x: corenn.tanh(x), lambda kept, product: kept * product, ["multiply"]),
        (lambda x: corenn.exp(x) + 1, lambda kept, product: kept * product, ["multiply"]),
        # and so is what takes more than eight simple ones
        (lambda x: ((((x + 1) * 2 + 3) * 4 + 5) * 6 + 7) * 8, lambda kept, product: kept - product,
         ["add", "multiply"] * 4 + ["subtract"]),
        (lambda x: ((((x + 1) * 2 + 3) * 4 + 5) * 6 + 7) * 8 + 9, lambda kept, product: kept - product, ["subtract"]),
    ],
)  # fmt: skip
def test_what_is_computed_again(first, second, again):
    program = program_of(between(first, second), [X, W])
    found = fuse(program, joinable)
    assert groups(found)[-1] == again
    for a, b in zip(run(found, [X, W]), run(program, [X, W]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_reading_more_than_is_saved_is_not_worth_it():
    def function(x, w):
        positive = x > 0  # a byte each; x, which the last group does not read otherwise, has four
        return corenn.where(positive, corenn.where(positive, x, 0.0) @ w, 0.0)

    found = fuse(program_of(function, [X, W]), joinable)
    assert groups(found) == [["greater", "where"], "matmul", ["where"]]


def test_variables_are_not_read_later_than_they_were():
    program = program_of(between(lambda x: x + 1, lambda kept, product: kept * product), [W, X[:COLUMNS]], state=2)
    assert groups(fuse(program, joinable))[-1] == ["multiply"]


def test_variables_that_are_read_as_late_anyway_are_read_once_more():
    def function(x, w, row):
        kept = x - row
        product = nn.relu(kept) @ w
        return kept * product, corenn.mean(product, axis=0) + row

    program = program_of(function, [X, W, X[0]], state=1)
    assert groups(fuse(program, joinable))[-1] == ["subtract", "multiply", "mean", "add"]


def test_a_mask_is_made_of_what_its_readers_have():
    # Of the result before it, a comparison would do; but the readers read what that was made of.
    def function(x, w, row):
        centred = x - corenn.exp(x)
        positive = nn.relu(centred * row)
        return corenn.where(positive > 0, positive @ w, 0.0) * centred

    found = fuse(program_of(function, [X, W, X[0]]), joinable)
    assert groups(found)[0] == ["exp", "subtract", "multiply", "relu"]
    assert sorted(groups(found)[-1]) == ["greater", "multiply", "multiply", "relu", "where"]
    assert len(found.instructions[0].outputs) == 2


def test_results_are_kept():
    program = program_of(between(lambda x: x + 1, lambda kept, product: (kept, kept * product)), [X, W])
    assert groups(fuse(program, joinable))[-1] == ["multiply"]


def test_small_values_are_left_alone():
    small = [real(5, 4), real(4, 4)]
    program = program_of(between(lambda x: x + 1, lambda kept, product: kept * product), small)
    assert groups(fuse(program, joinable))[-1] == ["multiply"]


def test_a_program_without_groups_is_the_same():
    program = program_of(lambda x, w: corenn.sin(x) @ w, [X, W])
    assert groups(recompute(program)) == groups(program)
