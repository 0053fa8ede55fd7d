"""Composite ops are replaced by what they are made of, as deep as asked for, and mean the same."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import dtypes, nn
from corenn.compiler.executor import Executable
from corenn.compiler.passes.decompose import decompose
from corenn.compiler.program import Block, If, Program, Symbol
from corenn.compiler.tracing import Trace, recording, recording_device, tensor_of
from corenn.spec import Spec

NUMPY = corenn.device("numpy")
X = np.array([[0.5, -1.0, 2.0], [0.0, 3.0, 1.0]], np.float32)


def program_of(function, *arrays) -> Program:
    device, trace = recording_device(NUMPY), Trace()
    symbols = [Symbol(Spec(a.shape, dtypes.as_dtype(a.dtype), NUMPY)) for a in arrays]
    with recording(trace, device):
        found = function(*[tensor_of(s, device) for s in symbols])
    results = [t.data for t in (found if isinstance(found, tuple) else (found,))]
    return Program(NUMPY, symbols, [], Block(trace.instructions, results), results, [])


def names(program):
    return [i.name for i in program.instructions]


def run(program, *arrays):
    return Executable(program)(list(arrays), [], None)[0]


def nothing(call) -> bool:
    return False


@pytest.mark.parametrize(
    "function, made_of",
    [
        (lambda x: nn.softmax(x), ["max", "subtract", "exp", "sum", "divide"]),
        (lambda x: nn.softmax(x) + 1, ["max", "subtract", "exp", "sum", "divide", "add"]),
        (lambda x: corenn.tanh(x), ["tanh"]),
        (lambda x: nn.batch_norm_training(x)[1], None),
        (lambda x: nn.layer_norm(x), None),
        (lambda x: nn.softmax_cross_entropy(nn.softmax(x), x), None),
    ],
)
def test_what_is_made_of_others_is_replaced(function, made_of):
    program = program_of(function, X)
    found = decompose(program, nothing)
    if made_of is not None:
        assert names(found) == made_of
    assert not any(i.plan.op.decomposition and not i.plan.op.kernel_function for i in found.instructions)
    for a, b in zip(run(found, X), run(program, X), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_what_is_kept_stays():
    program = program_of(lambda x: nn.log_softmax(nn.softmax(x)), X)
    found = decompose(program, lambda call: call.name == "softmax")
    assert "softmax" in names(found) and "log_softmax" not in names(found)
    assert names(decompose(program, lambda call: True)) == names(program)


def test_other_decompositions_go_first():
    program = program_of(lambda x: nn.softmax(x), X)
    found = decompose(program, lambda call: call.name == "exp", {"softmax": lambda x, axis: corenn.exp(x) * axis})
    assert names(found) == ["exp", "multiply"]
    np.testing.assert_allclose(run(found, X)[0], np.exp(X))


def test_a_result_may_be_an_operand():
    program = program_of(lambda x: nn.softmax(x) + 1, X)
    found = decompose(program, nothing, {"softmax": lambda x, axis: x})
    assert names(found) == ["add"]
    np.testing.assert_array_equal(run(found, X)[0], X + 1)


def test_blocks_are_looked_into():
    with corenn.graph.Graph().as_default() as graph:
        x, p = corenn.graph.placeholder("float32", (2, 3)), corenn.graph.placeholder("bool", ())
        y = corenn.graph.cond(p, lambda: nn.softmax(x), lambda: x)
    session = corenn.graph.Session(graph)
    session.run(y, {x: X, p: True})
    (plan,) = session._plans.values()
    program = plan.compiled.executable.program
    found = decompose(program, nothing)
    (branch,) = (i for i in found.instructions if isinstance(i, If))
    assert "softmax" not in [i.name for b in branch.blocks() for i in b.instructions]
    np.testing.assert_allclose(run(found, X, np.array(True))[0], nn.softmax(X).numpy(), rtol=1e-6)
