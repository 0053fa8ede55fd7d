"""Constants that were too large to be looked at while tracing, and state that changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn.compiler.executor import Executable
from corenn.compiler.lowering import lower
from corenn.compiler.passes import eliminate_dead_state, fold, optimize, prune
from corenn.compiler.program import While
from corenn.compiler.verify import verify
from corenn.graph import Graph, cond, placeholder, while_loop
from corenn.spec import Spec

NUMPY = corenn.device("numpy")
LARGE = np.random.default_rng(0).normal(size=(300, 300)).astype("float32")


def program_of(build, *shapes):
    """The program, not optimised, of what ``build`` does with float32 inputs."""
    with Graph().as_default() as graph:
        inputs = [placeholder("float32", s) for s in shapes]
        made = build(*inputs)
    feeds = {x: Spec(s, corenn.float32, NUMPY) for x, s in zip(inputs, shapes, strict=True)}
    return lower(graph.get_operations(), [made], feeds, (), NUMPY, lambda cell: None)[0]


def names(program):
    return [i.name for i in program.instructions]


#: What is done with a large constant c and a fed number x, and the calls that are left.
FOLDED = [
    ("a chain", lambda c, x: corenn.sum(corenn.tanh(c * 2.0)) + x, ["add"]),
    ("smaller", lambda c, x: corenn.cast(c, dtype="float16") + corenn.cast(x, dtype="float16"), ["cast", "add"]),
    ("product", lambda c, x: c @ corenn.transpose(c) + x, ["add"]),
    ("larger", lambda c, x: corenn.cast(c, dtype="float64") + corenn.cast(x, dtype="float64"),
     ["cast", "cast", "add"]),
    ("repeated", lambda c, x: corenn.concatenate([c, c], axis=0) + x, ["concatenate", "add"]),
    ("of nothing", lambda c, x: corenn.ones((300, 300)) + x, ["full", "add"]),
    ("in a branch", lambda c, x: cond(x > 0.0, lambda: corenn.sum(c * 2.0) + x, lambda: x), ["greater", "if"]),
]  # fmt: skip


@pytest.mark.parametrize(("build", "left"), [f[1:] for f in FOLDED], ids=[f[0] for f in FOLDED])
def test_what_is_known_is_computed_once(build, left):
    program = program_of(lambda x: build(corenn.tensor(LARGE), x), ())
    found = verify(prune(fold(program)))
    assert names(found) == left
    x = np.array(0.5, "float32")
    ours, right = (Executable(p)([x], [], None)[0][0] for p in (found, program))
    np.testing.assert_array_equal(ours, right)


def test_what_raises_does_so_when_it_runs():
    rows = corenn.tensor([*range(298), 7000])
    program = program_of(lambda x: corenn.gather(corenn.tensor(LARGE), rows, axis=0) + x, ())
    found = fold(program)
    assert names(found) == ["gather", "add"]
    with pytest.raises(Exception, match="7000"):
        Executable(found)([np.array(0.5, "float32")], [], None)


def writes_of(step, *values):
    """How many variables an optimised program reads, and those that it writes."""
    operands = [corenn.tensor(v) for v in values]
    program = verify(corenn.function(step).get_concrete_function(*operands).program(*operands))
    return len(program.state), [cell.name for cell, _ in program.writes]


def test_a_variable_that_is_written_back_is_neither_read_nor_written():
    v, w = corenn.Variable([1.0, 2.0], name="v"), corenn.Variable(3.0, name="w")

    def step(x):
        v.assign(corenn.identity(v.value()) * 1.0)
        w.assign_add(x)
        return x

    assert writes_of(step, 1.0) == (1, ["w"])
    run = corenn.function(step)
    run(corenn.tensor(2.0))
    assert (v.tolist(), float(w)) == ([1.0, 2.0], 5.0)


def test_variables_that_change_places_are_written():
    v, w = corenn.Variable([1.0, 2.0], name="v"), corenn.Variable([3.0, 4.0], name="w")

    def swap():
        a, b = v.value(), w.value()
        v.assign(b)
        w.assign(a)

    assert writes_of(swap) == (2, ["v", "w"])
    corenn.function(swap)()
    assert (v.tolist(), w.tolist()) == ([3.0, 4.0], [1.0, 2.0])


def test_what_branches_and_loops_leave_alone_is_what_it_was():
    def build(x):
        y = corenn.sin(x)
        a, b = cond(corenn.sum(x) > 0.0, lambda: (y * 2.0, y), lambda: (y * 3.0, y))
        _, c, d = while_loop(lambda t, u, v: corenn.sum(t) < 10.0, lambda t, u, v: (t + 1.0, u, v + u), (a, b, a))
        return c * d

    program = program_of(build, (3,))
    found = verify(eliminate_dead_state(program))
    (made,) = [i for i in found.instructions if i.name == "sin"]
    assert found.instructions[-1].inputs[0] is made.outputs[0]
    assert any(isinstance(i, While) for i in found.instructions)
    for sign in (1, -1):
        x = np.array([0.1, 0.2, 0.3], "float32") * sign
        ours, right = (Executable(p)([x], [], None)[0][0] for p in (optimize(program), program))
        np.testing.assert_array_equal(ours, right)
