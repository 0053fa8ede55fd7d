"""Random programs with gradients, draws, branches and variables mean the same after every pass, in every executor."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn import nn
from corenn.compiler.executor import Executable
from corenn.compiler.lowering import lower
from corenn.compiler.passes import (
    eliminate_common_subexpressions,
    eliminate_dead_state,
    fold,
    join_updates,
    optimize,
    prune,
    rematerialize,
    simplify,
)
from corenn.compiler.passes.axes import REDUCTIONS, RESHAPES
from corenn.compiler.passes.decompose import decompose
from corenn.compiler.passes.fuse import fuse
from corenn.compiler.verify import verify
from corenn.graph.concrete import _Keys
from corenn.ops import updates
from corenn.ops.families import binary, comparison, unary
from corenn.ops.table import TABLE
from corenn.plugin import registry
from corenn.spec import Spec
from corenn.testing import difference, forward

FLOAT = corenn.float64
ELEMENTWISE = {o.name for o in TABLE.values() if o.family in (unary, binary, comparison)} | {"where", "cast", "gate"}


def expressible(call) -> bool:
    return call.name in ELEMENTWISE | REDUCTIONS | RESHAPES


def nothing(call) -> bool:
    return False


#: What may be done to a program before it runs.
PASSES = {
    "as lowered": lambda p: p,
    "prune": prune,
    "simplify": simplify,
    "common subexpressions": eliminate_common_subexpressions,
    "fold": fold,
    "dead state": eliminate_dead_state,
    "decompose": lambda p: decompose(p, nothing),
    "fuse": lambda p: fuse(p, expressible),
    "join updates": join_updates,
    "rematerialize": lambda p: rematerialize(optimize(p), 0),
    "optimize": optimize,
    "everything": lambda p: functools.reduce(
        lambda p, one: verify(one(p)),
        [optimize, lambda p: decompose(p, nothing), optimize, join_updates, lambda p: fuse(p, expressible)], p,
    ),
}  # fmt: skip

# ---------------------------------------------------------------- random programs

ONE = {
    "tanh": corenn.tanh, "sin": corenn.sin, "square": corenn.square, "exp": lambda x: corenn.exp(-corenn.square(x)),
    "relu": lambda x: nn.relu(x + 0.1234), "sigmoid": nn.sigmoid, "by one": lambda x: corenn.negative(-x * 1.0),
    "root": lambda x: corenn.sqrt(corenn.square(x) + 0.5), "power": lambda x: x**2,
    "sum": corenn.sum, "mean of rows": lambda x: corenn.mean(x, axis=-1, keepdims=True) if x.ndim else x,
    "max of columns": lambda x: corenn.max(x, axis=0) if x.ndim else x,
    "transpose": corenn.transpose, "twice transposed": lambda x: corenn.transpose(corenn.transpose(x)),
    "flat": lambda x: corenn.reshape(x, shape=(-1,)), "taller": lambda x: corenn.expand_dims(x, axis=0)[0],
    "column": lambda x: corenn.reshape(corenn.reshape(x, shape=(1, -1)), shape=(-1, 1)),
    "first": lambda x: x[0] if x.ndim else x, "backwards": lambda x: x[..., ::-1] if x.ndim else x,
    "softmax": lambda x: nn.softmax(x) if x.ndim else x, "log softmax": lambda x: nn.log_softmax(x) if x.ndim else x,
    "single and back": lambda x: corenn.cast(corenn.cast(x > 0.0678, dtype="float32"), dtype="float64") * x,
    "where": lambda x: corenn.where(x > 0.0321, x, corenn.sin(x)), "stop": corenn.stop_gradient,
    "draw": lambda x: x + corenn.random.normal(x.shape, dtype="float64"),
    "drop": lambda x: nn.dropout(x, rate=0.5),
    "branch": lambda x: corenn.cond(corenn.sum(x) > 0.0456, lambda: x * 2.0, lambda: corenn.tanh(x)),
    "known branch": lambda x: corenn.cond(corenn.tensor(True), lambda: corenn.sin(x), lambda: x),
    "loop": lambda x: corenn.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, corenn.sin(y) + x), (0, x))[1],
}  # fmt: skip


def product(x, y):
    rows, columns = corenn.reshape(x, shape=(-1, 1)), corenn.reshape(y, shape=(1, -1))
    return corenn.sum(rows @ columns, axis=0) if x.shape != y.shape or x.ndim != 2 else x @ corenn.transpose(y)


TWO = {
    "add": corenn.add, "subtract": corenn.subtract, "multiply": corenn.multiply, "maximum": corenn.maximum,
    "divide": lambda x, y: x / (corenn.square(y) + 0.5), "where": lambda x, y: corenn.where(x > 0.0543, x, y),
    "matmul": product, "difference": corenn.squared_difference,
    "beside": lambda x, y: corenn.concatenate([corenn.reshape(v, shape=(-1,)) for v in (x, y)])[:12],
}  # fmt: skip
WRITES = ("assign", "assign_add", "sgd", "adam")


@st.composite
def recipes(draw):
    """Steps over what was made so far: a name in ONE or TWO and operands; or a write to a variable and a value."""
    steps = []
    for number in range(draw(st.integers(1, 10))):
        place = st.integers(0, number + 3)
        kind = draw(st.integers(0, 9))
        if kind < 5:
            steps.append((draw(st.sampled_from(sorted(ONE))), draw(place), None))
        elif kind < 8:
            steps.append((draw(st.sampled_from(sorted(TWO))), draw(place), draw(place)))
        else:
            steps.append((draw(st.sampled_from(WRITES)), draw(place), draw(st.integers(0, 1))))
    return steps


def fits(x, y):
    try:
        return np.prod(np.broadcast_shapes(x.shape, y.shape), dtype=int) <= 64
    except ValueError:
        return False


def follow(steps, variables, x, y):
    """Values, gradients, and writes."""
    with corenn.GradientTape() as tape:
        tape.watch([x, y])
        values = [x, y, *[v.value() for v in variables]]
        for name, first, second in steps:
            a = corenn.tanh(values[first % len(values)])
            if name in ONE:
                values.append(ONE[name](a))
            elif name in TWO:
                b = corenn.tanh(values[second % len(values)])
                values.append(TWO[name](a, b if fits(a, b) else corenn.sum(b)))
            else:
                variable = variables[second]
                value = corenn.mean(a) + variable * 0.5
                if name == "sgd":
                    value = updates.sgd_update(variable.value(), value, 0.1)
                elif name == "adam":
                    value = updates.adam_update(variable.value(), value, value * 0.1, value * value, 0.1, 3.0)[0]
                getattr(variable, name if name == "assign_add" else "assign")(value)
                values.append(variable * 2.0)
        total = corenn.sum(values[-1])
        for number, value in enumerate(values[4:-1:2], 2):  # the others may be of no use to anybody
            total = total + corenn.sum(value) / number
    found = tape.gradient(total, [x, y, *variables], unconnected_gradients="zero")
    return [total, values[-1], *found]


GIVEN = [np.random.default_rng(n).normal(size=s) for n, s in enumerate([(3, 4), (4,), (3, 1), (2,)])]


def fresh_variables():
    return [corenn.Variable(a, name=f"v{n}") for n, a in enumerate(GIVEN[2:])]


def eager(steps, device):
    with device:
        corenn.random.seed(3)
        variables = fresh_variables()
        found = follow(steps, variables, *[corenn.tensor(a) for a in GIVEN[:2]])
        return [t.numpy() for t in (*found, *variables)]


class Traced:
    """A recipe as a program; ``run(executable)`` gives what ``eager`` gives."""

    def __init__(self, steps, device):
        self.device = device
        with device:
            self.variables = fresh_variables()
            function = corenn.function(lambda x, y: follow(steps, self.variables, x, y))
            made = function.get_concrete_function(*[corenn.tensor(a) for a in GIVEN[:2]])
        feeds = {p: Spec(a.shape, FLOAT) for p, a in zip(made.inputs, GIVEN, strict=False)}
        self.program, _ = lower(made._runs.operations, made._fetches, feeds, {}, device, lambda cell: cell.spec)

    def run(self, executable):
        corenn.random.seed(3)
        program, backend = executable.program, self.device.backend
        feeds = [backend.from_host(a, 0) for a in GIVEN[:2]]
        state = [backend.from_host(cell.numpy(), 0) for cell, _ in program.state]
        results, writes = executable(feeds, state, _Keys(self.device))
        after = {id(v): v.numpy() for v in self.variables}
        after |= {id(cell): backend.to_host(a) for (cell, _), a in zip(program.writes, writes, strict=True)}
        for array, fed in zip(feeds, GIVEN[:2], strict=True):
            np.testing.assert_array_equal(backend.to_host(array), fed)
        return [*map(backend.to_host, results), *(after[id(v)] for v in self.variables)]


def assert_same(found, wanted, what, program):
    for number, (ours, right) in enumerate(zip(found, wanted, strict=True)):
        problem = difference(np.asarray(ours), np.asarray(right), forward(FLOAT))
        assert problem is None, f"{what}, value {number}: {problem}\n{program}"


NUMPY = corenn.device("numpy")


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(recipes())
def test_every_pass_keeps_what_a_program_computes(steps):
    traced, wanted = Traced(steps, NUMPY), eager(steps, NUMPY)
    verify(traced.program, "lowering")
    for name, change in PASSES.items():
        program = verify(change(traced.program), name)
        assert_same(traced.run(Executable(program)), wanted, name, program)


#: Those that are here; where one does not compile programs, the default executor runs them on its arrays.
COMPILING = [name for name in registry.backends() if registry.get("backend", name).unavailable_reason() is None]


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILING)
def test_what_a_backend_compiles_computes_the_same(name):
    device = corenn.device(name)

    @settings(max_examples=15, deadline=None)
    @given(recipes())
    def check(steps):
        traced, wanted = Traced(steps, device), eager(steps, device)
        program = optimize(traced.program)
        compiled = device.backend.compile(program) or Executable(join_updates(program))
        for _ in range(2):  # what it keeps from one run to the next must not show
            assert_same(traced.run(compiled), wanted, name, program)

    check()
