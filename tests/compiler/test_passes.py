"""Passes keep what a program computes, and do what they are for."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn.compiler.executor import Executable
from corenn.compiler.passes import eliminate_common_subexpressions, join_updates, prune, simplify
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


#: What is written, and the calls that are left of it.
SIMPLER = [
    ("identity", lambda x: corenn.identity(corenn.stop_gradient(x)) + 1, ["add"]),
    ("reshape to the same", lambda x: corenn.reshape(x, shape=(2, 3)) * 2, ["multiply"]),
    ("reshapes", lambda x: corenn.reshape(corenn.reshape(x, shape=(3, 2)), shape=(6,)) * 2, ["reshape", "multiply"]),
    ("there and back", lambda x: corenn.squeeze(corenn.expand_dims(x, axis=0), axis=0) * 2, ["multiply"]),
    ("transposes", lambda x: corenn.transpose(corenn.transpose(x)) * 2, ["multiply"]),
    ("one permutation", lambda x: corenn.transpose(corenn.transpose(x[None], axes=(1, 2, 0)), axes=(1, 0, 2)),
     ["expand_dims", "transpose"]),
    ("cast to the same", lambda x: corenn.cast(x, dtype="float32") * 2, ["multiply"]),
    ("wide and back", lambda x: corenn.cast(corenn.cast(x, dtype="float64"), dtype="float32") * 2, ["multiply"]),
    ("narrow and back", lambda x: corenn.cast(corenn.cast(x, dtype="float16"), dtype="float32"), ["cast", "cast"]),
    ("by one", lambda x: 1 * x * 1 / 1 + 1, ["add"]),
    ("a sum with zero stays", lambda x: x + 0.0, ["add"]),
    ("square", lambda x: x**2, ["square"]),
    ("first power", lambda x: x**1 - 1, ["subtract"]),
    ("negative", lambda x: corenn.negative(corenn.negative(x)) * 2, ["multiply"]),
    ("broadcasting by ones stays", lambda x: x * np.ones((2, 2, 3), "float32"), ["multiply"]),
]  # fmt: skip


@pytest.mark.parametrize(("build", "left"), [c[1:] for c in SIMPLER], ids=[c[0] for c in SIMPLER])
def test_calls_that_change_nothing_are_left_out(build, left):
    program = prune(simplify(lowered(build, ((2, 3), "float32"))))
    assert [n if n != "index" else "expand_dims" for n in names(program)] == left
    x = np.array([[-0.0, 1.5, np.inf], [np.nan, -2.25, 1e-3]], "float32")
    (found,), _ = Executable(program)([x], [], None)
    np.testing.assert_array_equal(found, np.array(build(corenn.tensor(x))))
    assert np.array_equal(np.signbit(found), np.signbit(np.array(build(corenn.tensor(x)))))


def test_a_result_can_be_what_was_fed():
    program = prune(simplify(lowered(lambda x: corenn.identity(x), ((3,), "float32"))))
    assert names(program) == []
    (found,), _ = Executable(program)([np.arange(3, dtype="float32")], [], None)
    np.testing.assert_array_equal(found, [0, 1, 2])
