"""The verifier lets whole programs pass and says what is wrong with others, and where."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import dtypes
from corenn.compiler.passes import optimize
from corenn.compiler.program import Block, Call, Fused, HostCall, If, Joined, Key, Program, Symbol, While
from corenn.compiler.verify import verified, verify
from corenn.errors import GraphError
from corenn.ops.dispatch import make_plan
from corenn.ops.table import TABLE
from corenn.spec import Spec

NUMPY = corenn.device("numpy")
F2, F4, TRUTH = (Spec(s, d, NUMPY) for s, d in (((2,), dtypes.float32), ((4,), dtypes.float32), ((), dtypes.bool_)))


class Here:
    """Where an instruction comes from."""

    where = "model.py:7"


def call(name, *inputs, out=None):
    plan = make_plan(TABLE[name], tuple(i.spec for i in inputs), {}, NUMPY)
    return Call(plan, inputs, (Symbol(plan.specs[0]) if out is None else out,), Here())


def program(instructions, results, inputs=(), state=(), writes=(), kept=None):
    block = Block(instructions, [*results, *(s for _, s in writes)] if kept is None else kept)
    return Program(NUMPY, inputs, state, block, results, writes)


class Cell:
    """A variable."""

    def __init__(self, name):
        self.name = name


def values(*specs):
    return [Symbol(s) for s in specs]


def before_it_is_made():
    (x,) = values(F2)
    late = call("exp", x)
    return program([call("tanh", late.outputs[0]), late], late.outputs, [x])


def never_made():
    x, y = values(F2, F2)
    return program([call("add", x, y)], [x], [x])


def made_twice():
    (x,) = values(F2)
    first = call("exp", x)
    return program([first, call("tanh", x, out=first.outputs[0])], first.outputs, [x])


def makes_a_constant():
    (x,) = values(F2)
    return program([call("exp", x, out=Symbol(F2, np.zeros(2, np.float32)))], [x], [x])


def misshapen_constant():
    (x,) = values(F2)
    return program([call("add", x, Symbol(F2, np.zeros(3, np.float32)))], [x], [x])


def other_operands():
    x, y = values(F2, F4)
    made = call("exp", x)
    return program([Call(made.plan, [y], made.outputs, Here())], made.outputs, [x, y])


def other_results():
    (x,) = values(F2)
    out = Symbol(F4)
    return program([call("exp", x, out=out)], [out], [x])


def not_kept():
    (x,) = values(F2)
    made = call("exp", x)
    return program([made], made.outputs, [x], kept=[])


def write_not_kept():
    (x,) = values(F2)
    made = call("exp", x)
    return program([made], [], [x], writes=[(Cell("w"), made.outputs[0])], kept=[])


def read_twice():
    w, x, y = Cell("w"), *values(F2, F2)
    return program([], [x, y], state=[(w, x), (w, y)])


def written_twice():
    w, x = Cell("w"), Symbol(F2)
    return program([], [], [x], writes=[(w, x), (w, x)])


def written_in_another_dtype():
    w, x, y = Cell("w"), Symbol(F2), Symbol(F2.of(dtypes.float64))
    return program([], [], [y], [(w, x)], [(w, y)])


def out_of_a_branch():
    p, x = values(TRUTH, F2)
    inside = call("exp", x)
    out = Symbol(F2)
    choice = If(p, Block([inside], inside.outputs), Block([], [x]), [out], Here())
    return program([choice, call("add", out, inside.outputs[0])], [out], [p, x])


def branches_disagree():
    p, x, y = values(TRUTH, F2, F4)
    return program([If(p, Block([], [x]), Block([], [y]), [out := Symbol(F2)], Here())], [out], [p, x, y])


def decides_by_two():
    x, y = values(Spec((2,), dtypes.bool_, NUMPY), F2)
    return program([If(x, Block([], [y]), Block([], [y]), [out := Symbol(F2)], Here())], [out], [x, y])


def loop_changes_shape():
    p, x, y = values(TRUTH, F2, F4)
    inside, out = values(F2, F2)
    return program([While([x], [inside], Block([], [p]), Block([], [y]), None, [out], Here())], [out], [p, x, y])


def group_gives_what_it_does_not_make():
    x, y = values(F2, F2)
    return program([Fused([call("exp", x)], [y], Here())], [y], [x])


def group_out_of_order():
    (x,) = values(F2)
    first = call("exp", x)
    second = call("tanh", first.outputs[0])
    group = Fused([first, second], second.outputs, Here())
    group.body = (second, first)
    return program([group], second.outputs, [x])


def group_reads_more_than_it_says():
    x, y = values(F2, F2)
    group = Fused([made := call("add", x, y)], made.outputs, Here())
    group.inputs = (x,)
    return program([group], made.outputs, [x, y])


def out_of_a_group():
    (x,) = values(F2)
    first = call("exp", x)
    second = call("tanh", first.outputs[0])
    return program([Fused([first, second], second.outputs, Here())], first.outputs, [x])


def joined_of_two_ops():
    (x,) = values(F2)
    first, second = call("exp", x), call("tanh", x)
    plan = make_plan(TABLE["exp"], (F4,), {}, NUMPY)
    return program([Joined(plan, [first, second])], first.outputs, [x])


def joined_of_another_length():
    (x,) = values(F2)
    first, second = call("exp", x), call("exp", x)
    return program([Joined(first.plan, [first, second])], first.outputs, [x])


def key_of_two():
    out = Symbol(Spec((2,), dtypes.uint64, NUMPY))
    return program([Key(None, out, Here())], [out])


def python_without_an_operand():
    out = Symbol(F2)
    return program([HostCall(lambda x: [x], [None], [out], Here(), True)], [out])


def on_another_device():
    x = Symbol(F2.at(None))
    return program([], [x], [x])


#: Programs, and what is said of them.
BROKEN = [
    (before_it_is_made, "tanh: a value is used before it is made"),
    (never_made, "add: a value is used before it is made"),
    (made_twice, "tanh: a value is made twice"),
    (makes_a_constant, "exp: makes a constant"),
    (misshapen_constant, "add: a constant has another shape than it says"),
    (other_operands, "exp: its operands are not what was promised"),
    (other_results, "exp: its results are not what was promised"),
    (not_kept, "returns a value that its block does not keep"),
    (write_not_kept, "writes a value that its block does not keep"),
    (read_twice, "a variable is read twice"),
    (written_twice, "a variable is written twice"),
    (written_in_another_dtype, "writes elements of another dtype"),
    (out_of_a_branch, "add: a value is used outside the block that makes it"),
    (branches_disagree, "if: the results of a branch are not what was promised"),
    (decides_by_two, "if: decides by something other than one value"),
    (loop_changes_shape, "while: the results of the body are not what was promised"),
    (group_gives_what_it_does_not_make, "fused[exp]: a group does not make what it gives"),
    (group_out_of_order, "tanh: a value is used before it is made"),
    (group_reads_more_than_it_says, "add: a value is used outside the block"),
    (out_of_a_group, "program: a value is used outside the block that makes it"),
    (joined_of_two_ops, "calls of different ops or attributes are joined"),
    (joined_of_another_length, "the plan of joined calls is for another length"),
    (key_of_two, "key: its results are not what was promised"),
    (python_without_an_operand, "host: Python is called with an operand left out"),
    (on_another_device, "a value is on another device"),
]


@pytest.mark.parametrize(("build", "message"), BROKEN, ids=[b.__name__ for b, _ in BROKEN])
def test_what_is_wrong_is_said(build, message):
    with pytest.raises(GraphError) as caught:
        verify(build())
    assert message in str(caught.value)


def test_the_instruction_and_the_users_line_are_named():
    with pytest.raises(GraphError, match=r"program after joining: tanh: .*\n(.*\n)*  at model\.py:7"):
        verify(made_twice(), "joining")


def test_it_looks_only_when_asked(monkeypatch):
    broken = made_twice()
    monkeypatch.setenv("CORENN_VERIFY", "")
    assert verified(broken) is broken
    monkeypatch.setenv("CORENN_VERIFY", "1")
    with pytest.raises(GraphError, match="made twice"):
        optimize(broken)


def test_whole_programs_pass():
    v = corenn.Variable([1.0, 2.0])

    @corenn.function
    def step(x, p):
        y = corenn.cond(p, lambda: corenn.exp(x) + v, lambda: x * corenn.random.normal((2,)))
        z = corenn.while_loop(lambda a: corenn.sum(a) < 10.0, lambda a: a * 2.0 + 1.0, [y])[0]
        v.assign(z)
        return corenn.nn.softmax(z)

    operands = corenn.tensor([1.0, 2.0]), corenn.tensor(True)
    step(*operands)
    made = step.get_concrete_function(*operands).program(*operands)
    assert {i.name for i in made.instructions} >= {"if", "while"}
    assert verify(made) is made
