"""Passes keep what a program computes, and do what they are for."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn.compiler.passes import eliminate_common_subexpressions, join_updates, prune
from corenn.compiler.program import If, Joined, Program
from corenn.ops.updates import sgd_update


def lowered(build, *specs) -> Program:
    """The program of a traced function of tensors, before any pass."""
    from corenn.compiler.lowering import lower
    from corenn.device import device
    from corenn.spec import Spec

    made = corenn.function(build).get_concrete_function(*[G.TensorSpec(*s) for s in specs])
    feeds = {p: Spec(s[0], corenn.as_dtype(s[1])) for p, s in zip(made.inputs, specs, strict=True)}
    program, _ = lower(made._runs.operations, made._fetches, feeds, {}, device("numpy"), lambda cell: cell.spec)
    return program


def names(program):
    return [i.name for i in program.instructions]


def test_repeated_calls_are_made_once():
    program = lowered(lambda x: corenn.sin(x) * corenn.sin(x) + corenn.cos(x), ((3,), "float32"))
    assert names(program).count("sin") == 2
    found = eliminate_common_subexpressions(program)
    assert names(found).count("sin") == 1
    assert names(found) == ["sin", "multiply", "cos", "add"]


def test_draws_with_different_keys_stay_apart():
    program = lowered(lambda x: corenn.random.normal((2,)) + corenn.random.normal((2,)) + x, ((), "float32"))
    found = names(prune(eliminate_common_subexpressions(program)))
    assert found.count("key") == 2
    assert found.count("random_normal") == 2


def test_what_a_branch_repeats_is_taken_from_outside():
    def build(x, p):
        y = corenn.exp(x)
        return G.cond(p, lambda: corenn.exp(x) + y, lambda: corenn.exp(x) - y)

    program = eliminate_common_subexpressions(lowered(build, ((3,), "float32"), ((), "bool")))
    (branch,) = (i for i in program.instructions if isinstance(i, If))
    assert [[i.name for i in block.instructions] for block in branch.blocks()] == [["add"], ["subtract"]]


def test_what_nothing_needs_is_dropped():
    def build(x):
        corenn.exp(x)
        return x * 2, G.py_function(lambda a: a, [corenn.cos(x)], "float32", shapes=(3,), stateful=False)[:0]

    program = lowered(build, ((3,), "float32"))
    assert "exp" not in names(prune(program))


def test_the_gradient_of_a_composite_costs_its_forward_pass_once():
    with G.Graph().as_default() as graph:
        x = G.placeholder("float64", (4,))
        (y,) = graph.call(lambda t: corenn.exp(corenn.sin(t)) * 2, x, type_name="Composite")
        (g,) = G.gradients(y, x)
    session = G.Session(graph)
    value = np.linspace(0, 1, 4)
    found = session.run([y, g], {x: value})
    np.testing.assert_allclose(found[1], 2 * np.exp(np.sin(value)) * np.cos(value))
    (plan,) = session._plans.values()
    assert names(plan.compiled.executable.program).count("exp") == 1


OPTIMIZERS = ["sgd", "adam", "rmsprop", "adagrad", "adadelta", "adamax", "nadam", "ftrl", "lion"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_of_small_variables_are_joined_and_compute_the_same(name):
    shapes = [(3,), (4, 2), (1, 1, 5), (), (200, 100)]  # neither a number nor a large one is joined

    def trained(traced):
        variables = [corenn.Variable(np.linspace(-1, 1, int(np.prod(s))).reshape(s).astype("float32")) for s in shapes]
        optimizer = corenn.optimizers.get(name)

        def step(x):
            with corenn.GradientTape() as tape:
                loss = sum(corenn.sum(v * v * x) for v in variables)
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        run = corenn.function(step) if traced else step
        losses = [float(run(corenn.tensor(np.float32(x)))) for x in (0.5, 1.0, 0.25, 1.0)]
        return losses, [np.array(v) for v in variables], run

    expected, traced = trained(False), trained(True)
    for ours, theirs in zip([traced[0], *traced[1]], [expected[0], *expected[1]], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    made = traced[2].get_concrete_function(corenn.tensor(np.float32(1))).program(corenn.tensor(np.float32(1)))
    (joined,) = (i for i in join_updates(made).instructions if isinstance(i, Joined))
    assert [c.outputs[0].shape for c in joined.calls] == shapes[:3]


def test_updates_that_wait_for_one_another_are_not_joined():
    def chained(v, w, g):
        first = sgd_update(v, g, 0.1)
        return sgd_update(w, first, 0.1)

    program = lowered(chained, *[((3,), "float32")] * 3)
    assert names(join_updates(program)) == names(program)
