"""Algebra: calls that change nothing are left out, and chains of shapes, axes and dtypes become one call.

Only what leaves every bit of every result as it is (a square apart, which may be better by one rounding than a
power): ``x * 1`` goes, ``x + 0`` stays (it turns -0 into 0), and products of constants are not merged, for that rounds
differently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from corenn.compiler.program import Block, Call, Instruction, Program, Symbol
from corenn.dtypes import DType
from corenn.ops.dispatch import make_plan

#: What a rule gives: the value that a call's result is anyway, a simpler call, or ``None`` if it has nothing to say.
Found = Symbol | Call | None
Rule = Callable[[Call, Callable[[Symbol], Call | None]], Found]


def simplify(program: Program) -> Program:
    """The program without calls that change nothing, and with chains of reshapes, transposes and casts merged."""
    same: dict[Symbol, Symbol] = {}
    block = _simpler(program.block, {}, same)
    results = [same.get(r, r) for r in program.results]
    writes = [(cell, same.get(s, s)) for cell, s in program.writes]
    return Program(program.device, program.inputs, program.state, block, results, writes)


def _simpler(block: Block, made: dict[Symbol, Call], same: dict[Symbol, Symbol]) -> Block:
    """``made``: the calls so far, by what they make; ``same`` collects which symbol stands for which."""
    kept: list[Instruction] = []
    for instruction in block.instructions:
        inputs = [None if i is None else same.get(i, i) for i in instruction.inputs]
        inner = [_simpler(b, dict(made), same) for b in instruction.blocks()]
        if inner or any(a is not b for a, b in zip(inputs, instruction.inputs, strict=True)):
            instruction = instruction.rebuilt(inputs, inner)
        if isinstance(instruction, Call):
            found = _simplified(instruction, made)
            if isinstance(found, Symbol):
                same[instruction.outputs[0]] = found
                continue
            instruction = found
            made.update(dict.fromkeys(instruction.outputs, instruction))
        kept.append(instruction)
    return Block(kept, [same.get(r, r) for r in block.results])


def _simplified(call: Call, made: dict[Symbol, Call]) -> Symbol | Call:
    """The call after every rule that applies, or the value that it gives anyway."""
    for _ in range(8):  # each rule shortens a chain
        rule = _RULES.get(call.plan.op.name)
        found = None if rule is None else rule(call, made.get)
        if found is None:
            return call
        if isinstance(found, Symbol):
            return found
        call = found
    return call


# ---------------------------------------------------------------- rules


def _unchanged(call: Call, made: Callable[[Symbol], Call | None]) -> Found:
    return call.inputs[0]


def _reshape(call: Call, made: Callable[[Symbol], Call | None]) -> Found:
    """A reshape to the same shape changes nothing; of two in a row the last one counts."""
    source = _operand(call)
    if source.spec.shape == call.outputs[0].spec.shape:
        return source
    before = made(source)
    if before is not None and before.plan.op.name in ("reshape", "expand_dims", "squeeze"):
        return _remade(call, _operand(before), "reshape", {"shape": call.outputs[0].spec.static})
    return None


def _transpose(call: Call, made: Callable[[Symbol], Call | None]) -> Found:
    """Axes in order change nothing; two permutations are one."""
    source, axes = _operand(call), _axes(call)
    if axes == tuple(range(len(axes))):
        return source
    before = made(source)
    if before is not None and before.plan.op.name == "transpose":
        first = _axes(before)
        return _remade(call, _operand(before), "transpose", {"axes": tuple(first[a] for a in axes)})
    return None


def _axes(call: Call) -> tuple[int, ...]:
    axes = call.plan.attrs.get("axes")
    rank = call.outputs[0].spec.ndim
    return tuple(reversed(range(rank))) if axes is None else tuple(a % rank for a in axes)


def _cast(call: Call, made: Callable[[Symbol], Call | None]) -> Found:
    """A cast to the same dtype changes nothing; one that comes after a widening cast starts from before it."""
    source, target = _operand(call), call.outputs[0].spec.dtype
    if source.spec.dtype is target:
        return source
    before = made(source)
    if before is not None and before.plan.op.name == "cast":
        start = _operand(before)
        if _keeps(start.spec.dtype, source.spec.dtype):
            return _remade(call, start, "cast", call.plan.attrs)
    return None


def _keeps(narrow: DType, wide: DType) -> bool:
    """Whether every value of one dtype is one of the other."""
    return bool(np.can_cast(narrow.numpy, wide.numpy, "safe")) and narrow.name != "bfloat16" != wide.name


def _by_one(*places: int) -> Rule:
    """A product by, a quotient by, a power of 1."""

    def rule(call: Call, made: Callable[[Symbol], Call | None]) -> Found:
        out = call.outputs[0].spec
        for place in places:
            other, kept = call.inputs[place], call.inputs[1 - place]
            if kept is None or kept.spec.shape != out.shape or kept.spec.dtype is not out.dtype:
                continue
            if _is_number(call, other, 1):
                return kept
        return None

    return rule


def _power(call: Call, made: Callable[[Symbol], Call | None]) -> Found:
    """``x ** 1`` is x, ``x ** 2`` a square, which is rounded once."""
    base, exponent = call.inputs
    out = call.outputs[0].spec
    if base is None or base.spec.shape != out.shape or base.spec.dtype is not out.dtype:
        return None
    if _is_number(call, exponent, 1):
        return base
    if _is_number(call, exponent, 2):
        return _remade(call, base, "square", {})
    return None


def _negative(call: Call, made: Callable[[Symbol], Call | None]) -> Found:
    """Twice negative is as before."""
    before = made(_operand(call))
    return _operand(before) if before is not None and before.plan.op.name == "negative" else None


def _is_number(call: Call, symbol: Symbol | None, number: int) -> bool:
    if symbol is None or not symbol.constant or symbol.spec.size != 1:
        return False
    return bool(np.all(call.plan.device.backend.to_host(symbol.array) == number))


def _operand(call: Call) -> Symbol:
    source = call.inputs[0]
    assert source is not None  # ops of one operand have it
    return source


def _remade(call: Call, source: Symbol, name: str, attrs: Any) -> Call | None:
    """A call with the same result, of another op or of another operand."""
    from corenn.ops.table import TABLE

    plan = make_plan(TABLE[name], (source.spec,), dict(attrs), call.plan.device)
    if plan.specs[0] is not call.outputs[0].spec:
        return None
    return Call(plan, (source,), call.outputs, call.where)


_RULES: dict[str, Rule] = {
    "identity": _unchanged, "stop_gradient": _unchanged, "reshape": _reshape, "expand_dims": _reshape,
    "squeeze": _reshape, "transpose": _transpose, "cast": _cast, "multiply": _by_one(0, 1), "divide": _by_one(1),
    "power": _power, "negative": _negative,
}  # fmt: skip

__all__ = ["simplify"]
