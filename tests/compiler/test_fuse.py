"""Groups: which calls are joined, that groups never wait for one another, and that programs mean what they meant."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import dtypes, nn
from corenn.compiler.passes.axes import REDUCTIONS, RESHAPES, SCALAR, arrange, level
from corenn.compiler.passes.fuse import fuse
from corenn.compiler.program import Block, Fused, Program, Symbol
from corenn.compiler.tracing import Trace, recording, recording_device, tensor_of
from corenn.spec import Spec

NUMPY = corenn.device("numpy")
ELEMENTWISE = {"add", "multiply", "subtract", "divide", "tanh", "exp", "negative", "relu", "square", "maximum", "where"}


def joinable(call) -> bool:
    return call.name in ELEMENTWISE | REDUCTIONS | RESHAPES


def real(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def program_of(function, *arrays) -> Program:
    device, trace = recording_device(NUMPY), Trace()
    symbols = [Symbol(Spec(a.shape, dtypes.as_dtype(a.dtype), NUMPY)) for a in arrays]
    with recording(trace, device):
        found = function(*[tensor_of(s, device) for s in symbols])
    results = [t.data for t in (found if isinstance(found, tuple) else (found,))]
    return Program(NUMPY, symbols, [], Block(trace.instructions, results), results, [])


def run(program, arrays):
    """The results, the calls of groups in order; every value is made before it is read."""
    values = dict(zip(program.inputs, arrays, strict=True))
    for instruction in program.instructions:
        for call in instruction.body if isinstance(instruction, Fused) else [instruction]:
            made = call.plan.run(*[values.get(i, i.array) for i in call.inputs])
            values.update(zip(call.outputs, made if call.plan.op.results else (made,), strict=True))
    return [values[r] for r in program.results]


def groups(program):
    """The names of the calls in each group, and of what is in none."""
    return [[c.name for c in i.body] if isinstance(i, Fused) else i.name for i in program.instructions]


# function, shapes of its operands, groups
JOINED = [
    (lambda x: corenn.tanh(x) * 2 + 1, [(3, 4)], [["tanh", "multiply", "add"]]),
    (lambda x: corenn.tanh(corenn.sin(x)) * corenn.exp(x), [(3,)], ["sin", ["tanh", "exp", "multiply"]]),
    (lambda x, b: nn.relu(x + b), [(3, 4), (4,)], [["add", "relu"]]),
    (lambda x: corenn.exp(x) / corenn.sum(corenn.exp(x), axis=1, keepdims=True), [(3, 4)],
     [["exp", "exp", "sum", "divide"]]),
    (lambda x: x - corenn.mean(x, axis=0), [(3, 4)], [["mean", "subtract"]]),
    # a sum along the rows and a sum along the columns of what came of it, in one nest
    (lambda x: corenn.sum(corenn.tanh(x - corenn.max(x, axis=1, keepdims=True)), axis=0), [(3, 4)],
     [["max", "subtract", "tanh", "sum"]]),
    # the matrix product needs one group and is needed by the next
    (lambda x, w: nn.relu(corenn.tanh(x) @ w), [(3, 4), (4, 4)], [["tanh"], "matmul", ["relu"]]),
    # joining the ends would make them wait for the matrix product between
    (lambda x, w: (lambda t: t + t @ w)(corenn.tanh(x)), [(4, 4), (4, 4)], [["tanh"], "matmul", ["add"]]),
    # two readers of one value
    (lambda x: (corenn.tanh(x), corenn.exp(x)), [(3, 4)], [["tanh", "exp"]]),
    (lambda x, y: (corenn.tanh(x), corenn.exp(y)), [(3, 4), (3, 4)], [["tanh"], ["exp"]]),
    # a number that two groups need is found first
    (lambda x, y, s: (lambda r: (x * r, y * r))(corenn.exp(s)), [(3, 4), (5,), ()],
     [["exp"], ["multiply"], ["multiply"]]),
    # changes of shape alone are no work
    (lambda x: corenn.reshape(x, shape=(4, 3)), [(3, 4)], ["reshape"]),
    (lambda x: corenn.reshape(corenn.tanh(x), shape=(2, 6)) * 2, [(3, 4)], [["tanh"], "reshape", ["multiply"]]),
    (lambda x: corenn.reshape(corenn.tanh(x), shape=(3, 2, 2)) * 2, [(3, 4)], [["tanh", "reshape", "multiply"]]),
    # a reduction over an axis in the middle
    (lambda x: corenn.sum(corenn.tanh(x), axis=1) * 2, [(3, 4, 5)], [["tanh", "sum", "multiply"]]),
    # reductions over every other axis have no schedule
    (lambda x: corenn.sum(x, axis=(0, 2)), [(3, 4, 5, 6)], ["sum"]),
]  # fmt: skip


@pytest.mark.parametrize("function, shapes, wanted", JOINED)
def test_what_is_joined(function, shapes, wanted):
    arrays = [real(*s) for s in shapes]
    program = program_of(function, *arrays)
    found = fuse(program, joinable)
    assert groups(found) == wanted
    for a, b in zip(run(found, arrays), run(program, arrays), strict=True):
        np.testing.assert_array_equal(a, b)


def test_inputs_and_outputs_of_a_group():
    program = program_of(lambda x, b: (lambda t: (t * 2, t @ t))(corenn.tanh(x) + b), real(4, 4), real(4))
    group = next(i for i in fuse(program, joinable).instructions if isinstance(i, Fused))
    tanh, add, multiply = group.body
    assert [i for i in group.inputs if not i.constant] == [tanh.inputs[0], add.inputs[1]]
    assert group.outputs == (add.outputs[0], multiply.outputs[0])


def test_a_view_of_what_is_stored_stays_outside():
    program = program_of(lambda x: (lambda t: (t, corenn.reshape(t, shape=(12,))))(corenn.tanh(x)), real(3, 4))
    assert groups(fuse(program, joinable)) == [["tanh"], "reshape"]
    both = program_of(
        lambda x: (lambda t: (t, corenn.reshape(t, shape=(3, 2, 2)), corenn.reshape(t, shape=(3, 2, 2)) * 2))(
            corenn.tanh(x)
        ),
        real(3, 4),
    )
    found = fuse(both, joinable)
    assert [g for g in groups(found) if g == "reshape"] == ["reshape"]
    for a, b in zip(run(found, [real(3, 4)]), run(both, [real(3, 4)]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_effects_keep_their_order():
    with corenn.graph.Graph().as_default() as graph:
        x = corenn.graph.placeholder("float32", (3,))
        seen = []
        first = corenn.graph.py_function(lambda a: seen.append(1) or a, [corenn.tanh(x)], "float32", shapes=(3,))
        second = corenn.graph.py_function(lambda a: seen.append(2) or a, [x], "float32", shapes=(3,))
        y = corenn.tanh(first) + second
    session = corenn.graph.Session(graph)
    session.run(y, {x: real(3)})
    (plan,) = session._plans.values()
    found = fuse(plan.compiled.executable.program, joinable)
    hosts = [i for i in found.instructions if i.name == "host"]
    assert hosts == [i for i in plan.compiled.executable.program.instructions if i.name == "host"]


def test_large_programs_are_joined_in_time():
    def deep(x):
        for _ in range(400):
            x = corenn.tanh(x) * 2
        return x

    found = fuse(program_of(deep, real(3, 4)), joinable)
    assert sum(len(g) for g in groups(found)) == 800
    assert len(groups(found)) == 5  # groups are bounded


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_mean_the_same(seed):
    rng = np.random.default_rng(seed)
    arrays = [real(2, 3, 4), real(3, 4), real(4), real(2, 1, 4)]

    def function(*values):
        values = list(values)
        for _ in range(rng.integers(3, 25)):
            x, y = (values[i] for i in rng.integers(0, len(values), 2))
            kind = rng.integers(0, 6)
            if kind == 0:
                values.append(corenn.tanh(x))
            elif kind == 1:
                values.append(corenn.sin(x))  # not to be joined
            elif kind == 2:
                axis = tuple(a for a in range(x.ndim) if rng.integers(0, 2))
                values.append(corenn.sum(x, axis=axis, keepdims=bool(rng.integers(0, 2))))
            elif kind == 3:
                values.append(corenn.reshape(x, shape=(-1,) if rng.integers(0, 2) else (*x.shape, 1)[:5]))
            else:
                try:
                    values.append(x * y)
                except corenn.errors.ShapeError:
                    continue
        return tuple(values[4:][-3:]) or (values[0] * 2,)

    program = program_of(function, *arrays)
    found = fuse(program, joinable)
    for instruction in found.instructions:
        if isinstance(instruction, Fused):
            assert arrange(instruction.body, instruction.outputs) is not None
        else:
            assert not joinable(instruction) or instruction.name in RESHAPES | REDUCTIONS
    for a, b in zip(run(found, arrays), run(program, arrays), strict=True):
        np.testing.assert_array_equal(a, b)


def test_levels():
    assert [level(f, 3, 1) for f in ((), (0,), (1, 2), (1,), (0, 1, 2), (0, 2), (0, 1))] == [
        (SCALAR, True), ("row", True), ("column", True), ("column", False), ("full", True), ("line", True),
        ("full", False),
    ]  # fmt: skip
    assert level((0, 1), 2, 0) == level((0, 1), 2, 2) == ("full", True)


def test_an_axis_is_not_run_through_twice_at_once():
    # x beside its own transpose would need x's one axis in both places
    program = program_of(lambda x: (lambda t: corenn.expand_dims(t, axis=1) * t)(corenn.tanh(x)), real(5))
    assert groups(fuse(program, joinable)) == [["tanh"], "expand_dims", ["multiply"]]
