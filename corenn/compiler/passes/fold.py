"""Compute once what is known: calls of constants alone that were too large to be looked at while tracing.

Only where the results are not larger than the operands they come from: a program must not carry an array that it could
make at once of a few numbers.
"""

from __future__ import annotations

from corenn.compiler.program import Block, Call, Instruction, Program, Symbol


def fold(program: Program) -> Program:
    """The program with calls of constants replaced by their results, which are computed now."""
    same: dict[Symbol, Symbol] = {}
    block = _folded(program.block, same)
    results = [same.get(r, r) for r in program.results]
    writes = [(cell, same.get(s, s)) for cell, s in program.writes]
    return Program(program.device, program.inputs, program.state, block, results, writes)


def _folded(block: Block, same: dict[Symbol, Symbol]) -> Block:
    """``same`` collects the constants that values have become."""
    kept: list[Instruction] = []
    for instruction in block.instructions:
        inputs = [None if i is None else same.get(i, i) for i in instruction.inputs]
        inner = [_folded(b, same) for b in instruction.blocks()]
        if inner or any(a is not b for a, b in zip(inputs, instruction.inputs, strict=True)):
            instruction = instruction.rebuilt(inputs, inner)
        found = _value(instruction) if isinstance(instruction, Call) else None
        if found is None:
            kept.append(instruction)
        else:
            same.update(zip(instruction.outputs, found, strict=True))
    return Block(kept, [same.get(r, r) for r in block.results])


def _value(call: Call) -> list[Symbol] | None:
    """The results of a call, if they are to be computed now."""
    operands = [i for i in call.inputs if i is not None]
    if not all(i.constant for i in operands):
        return None
    held = {id(i.array): i.spec.nbytes for i in operands}
    if sum(o.spec.nbytes for o in call.outputs) > sum(held.values()):
        return None
    try:
        made = call.plan.run(*[None if i is None else i.array for i in call.inputs])
    except Exception:  # whatever is wrong with it is wrong when the program runs, and is said there
        return None
    many = (made,) if call.plan.op.results is None else made
    return [Symbol(o.spec, array) for o, array in zip(call.outputs, many, strict=True)]


__all__ = ["fold"]
