"""Compute a thing once: the same op on the same values gives the same result.

Ops have no effects and random draws take their key as an operand, so every ``Call`` qualifies.  Gradients of branches,
loops and composite functions run their forward computation again on a tape: this pass is what makes that free.
"""

from __future__ import annotations

from typing import Any

from corenn.compiler.program import Again, Block, Call, Instruction, Program, Symbol

Known = dict[tuple[Any, ...], tuple[Symbol, ...]]


def eliminate_common_subexpressions(program: Program) -> Program:
    """The program with repeated calls replaced by the results of the first."""
    same: dict[Symbol, Symbol] = {}
    block = _once(program.block, {}, same)
    results = [same.get(r, r) for r in program.results]
    writes = [(cell, same.get(s, s)) for cell, s in program.writes]
    return Program(program.device, program.inputs, program.state, block, results, writes)


def _once(block: Block, known: Known, same: dict[Symbol, Symbol]) -> Block:
    """``known`` has what is computed before the block; ``same`` collects which symbol stands for which."""
    kept: list[Instruction] = []
    for instruction in block.instructions:
        inputs = [None if i is None else same.get(i, i) for i in instruction.inputs]
        if isinstance(instruction, Call) and not isinstance(instruction, Again):
            # Plans are made once for each op, specs and attributes.
            key = (id(instruction.plan), *map(id, inputs))
            found = known.get(key)
            if found is not None:
                same.update(zip(instruction.outputs, found, strict=True))
                continue
            known[key] = instruction.outputs
        inner = [_once(b, dict(known), same) for b in instruction.blocks()]
        changed = inner or any(a is not b for a, b in zip(inputs, instruction.inputs, strict=True))
        kept.append(instruction.rebuilt(inputs, inner) if changed else instruction)
    return Block(kept, [same.get(r, r) for r in block.results])


__all__ = ["eliminate_common_subexpressions"]
