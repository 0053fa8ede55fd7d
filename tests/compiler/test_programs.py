"""Programs: random ones give what running now gives; what they keep alive, how they print, what they refuse."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn.compiler.executor import Executable
from corenn.compiler.lowering import lower
from corenn.compiler.passes import optimize, prune
from corenn.compiler.program import If, UnknownValueError, While
from corenn.graph import Graph, Session, cond, constant, control_dependencies, placeholder, variable, while_loop

NUMPY = corenn.device("numpy")

UNARY = (corenn.tanh, corenn.exp, corenn.negative, corenn.square, corenn.sum, corenn.sin)
BINARY = (corenn.add, corenn.multiply, corenn.subtract, corenn.maximum)


@st.composite
def recipes(draw):
    """Steps of a program over two inputs: (op, operand places); and which values to fetch."""
    steps = []
    for number in range(draw(st.integers(1, 12))):
        place = st.integers(0, number + 1)
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(UNARY)), (draw(place),)))
        elif draw(st.integers(0, 4)):
            steps.append((draw(st.sampled_from(BINARY)), (draw(place), draw(place))))
        else:
            steps.append(("cond", (draw(place), draw(place))))
    return steps, draw(st.lists(st.integers(0, len(steps) + 1), min_size=1, max_size=4))


def follow(steps, a, b):
    """The values of all steps, now or in a graph."""
    values = [a, b]
    for op, places in steps:
        operands = [corenn.tanh(values[p]) for p in places]  # so that nothing grows out of bounds
        if op == "cond":
            x, y = operands
            values.append(cond(corenn.sum(x) > 0, lambda x=x, y=y: corenn.sum(x * y), lambda x=x: corenn.sum(x)))
        else:
            values.append(op(*operands))
    return values


@settings(max_examples=40, deadline=None)
@given(recipes())
def test_programs_replays_and_running_now_agree(recipe):
    steps, wanted = recipe
    a, b = np.array([0.3, -0.7], np.float64), np.array([[0.2], [1.1]], np.float64)
    now = follow(steps, corenn.tensor(a), corenn.tensor(b))
    with Graph().as_default() as graph:
        x, y = placeholder("float64", (None,)), placeholder("float64", (None, 1))
        made = follow(steps, x, y)
        grads = corenn.graph.gradients([made[i] for i in wanted], [x, y])
    session = Session(graph)
    fetches = [[made[i] for i in wanted], [g for g in grads if g is not None]]
    compiled = session.run(fetches, {x: a, y: b})
    replayed = session.run(fetches, {x: a, y: b}, trace=lambda *step: None)
    for found, i in zip(compiled[0], wanted, strict=True):
        np.testing.assert_allclose(found, now[i].numpy(), rtol=1e-12)
    for found, other in zip(compiled[0] + compiled[1], replayed[0] + replayed[1], strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-12, atol=1e-14)
    with corenn.GradientTape() as tape:
        sources = [corenn.tensor(a), corenn.tensor(b)]
        tape.watch(sources)
        values = follow(steps, *sources)
        targets = [values[i] for i in wanted]
    right = tape.gradient(targets, sources)
    for found, expected in zip(
        compiled[1], [r for g, r in zip(grads, right, strict=True) if g is not None], strict=True
    ):
        wanted_value = 0.0 if expected is None else expected.numpy()  # None: by the branch that did not run
        np.testing.assert_allclose(found, wanted_value, rtol=1e-10, atol=1e-13)


def program_of(build, *shapes):
    """The program, not optimised, of what ``build`` does with float32 inputs."""
    with Graph().as_default() as graph:
        inputs = [placeholder("float32", s) for s in shapes]
        made = build(*inputs)
        fetches = list(made) if isinstance(made, (list, tuple)) else [made]
    feeds = {x: corenn.spec.Spec(s, corenn.float32, NUMPY) for x, s in zip(inputs, shapes, strict=True)}
    return lower(graph.get_operations(), fetches, feeds, (), NUMPY, lambda cell: None)[0]


def execute(program, *arrays):
    return Executable(program)(arrays, [], None)[0]


def test_constants_are_folded_and_unused_steps_dropped():
    program = program_of(lambda x: (corenn.exp(x), x + (constant(2.0) * 3.0 + 1.0))[1], (2,))
    assert [i.name for i in program.instructions] == ["exp", "add"]
    assert [i.name for i in prune(program).instructions] == ["add"]
    np.testing.assert_array_equal(execute(prune(program), np.zeros(2, np.float32))[0], [7, 7])


def test_common_subexpressions_are_computed_once():
    program = optimize(program_of(lambda x: (corenn.exp(x) + corenn.exp(x), corenn.exp(x)), (2,)))
    assert [i.name for i in program.instructions] == ["exp", "add"]
    found = execute(program, np.zeros(2, np.float32))
    np.testing.assert_array_equal(found[0], [2, 2])
    np.testing.assert_array_equal(found[1], [1, 1])


def test_programs_print():
    program = program_of(lambda x: cond(corenn.sum(x) > 0.0, lambda: x * 2.0, lambda: corenn.exp(x)), (2,))
    text = str(program)
    for part in (
        "program on numpy",
        "input f0: float32[2]",
        "= sum(",
        "= if(",
        "= exp(",
        "return ",
        "test_programs.py:",
    ):
        assert part in text
    assert Executable(program).source.startswith("def run(feeds, state, key):")


def test_a_program_writes_its_variables_in_order():
    with Graph().as_default() as graph:
        v = variable(1.0, name="v")
        with control_dependencies([v.assign_add(1.0)]):
            doubled = v.assign(v.read_value() * 2.0)
        with control_dependencies([doubled]):
            last = v.read_value()
    session = Session(graph)
    session.run(v.initializer)
    assert session.run([last, v]) in ([4, 4], [4, 1])
    assert session.run(v) == 4
    (program,) = [p.compiled.executable.program for p in session._plans.values() if p.compiled and p.compiled.writes][
        1:
    ]
    assert len(program.writes) == 1 and "write v:0 = " in str(program)


@pytest.mark.parametrize("start", [-2.0, 3.0])
def test_nested_instructions(start):
    def build(x):
        y = while_loop(
            lambda y: corenn.sum(y) < 50.0,
            lambda y: cond(corenn.sum(y) > 10.0, lambda: y * 3.0, lambda: y + 5.0), [x], maximum_iterations=20,
        )[0]  # fmt: skip
        return cond(corenn.sum(x) > 0.0, lambda: y, lambda: (y, -y)[1])

    program = optimize(program_of(build, (2,)))
    kinds = {type(i) for i in program.instructions}
    assert kinds >= {If, While}
    value = np.full(2, start, np.float32)
    expected = value.copy()
    while expected.sum() < 50:
        expected = expected * 3 if expected.sum() > 10 else expected + 5
    np.testing.assert_array_equal(execute(program, value)[0], expected if start > 0 else -expected)


def test_results_that_depend_on_values_are_refused():
    with pytest.raises(UnknownValueError, match="shape of its result depends on values"):
        program_of(lambda x: corenn.unique(x), (3,))


class Watched(np.ndarray):
    """An array that can be watched going away."""


def test_arrays_are_dropped_after_their_last_use():
    alive, seen = [], []

    def watch(x):
        made = np.array(x).view(Watched)
        alive.append(weakref.ref(made))
        seen.append(sum(r() is not None for r in alive))
        return made

    with Graph().as_default():
        x = placeholder("float32", (1000,))
        y = x
        for _ in range(20):
            y = corenn.graph.py_function(watch, [y], "float32", shapes=(1000,))
        session = Session()
        session.run(y, {x: np.zeros(1000)})
    gc.collect()
    assert max(seen) <= 3
    assert all(r() is None for r in alive)


def test_a_chain_of_steps_holds_two_arrays_at_a_time():
    import tracemalloc

    program = optimize(program_of(lambda x: _chain(x, 30), (250_000,)))
    executable, value = Executable(program), np.zeros(250_000, np.float32)
    executable([value], [], None)
    tracemalloc.start()
    try:
        executable([value], [], None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3.5 * value.nbytes


def _chain(x, steps):
    for _ in range(steps):
        x = corenn.tanh(x) + 1.0
    return x


def test_errors_name_the_instruction():
    program = program_of(lambda x: corenn.linalg.cholesky(x) * 2.0, (2, 2))
    with pytest.raises(Exception) as caught:  # the library's own
        execute(program, -np.eye(2, dtype=np.float32))
    assert (
        "in operation 'Cholesky' (type Cholesky) of (float32[2, 2]), made at test_programs.py:"
        in caught.value.__notes__[0]
    )
