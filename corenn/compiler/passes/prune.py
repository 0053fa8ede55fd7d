"""Drop instructions whose results nothing needs."""

from __future__ import annotations

from corenn.compiler.program import Block, Instruction, Program, Symbol


def prune(program: Program) -> Program:
    """The program without instructions that have no effects and no users, and without state that is not read."""
    block = _pruned(program.block)
    used = block.uses()
    state = [(cell, symbol) for cell, symbol in program.state if symbol in used]
    return Program(program.device, program.inputs, state, block, program.results, program.writes)


def _pruned(block: Block) -> Block:
    needed: set[Symbol] = set(block.results)
    kept: list[Instruction] = []
    for instruction in reversed(block.instructions):
        if not instruction.effects and needed.isdisjoint(instruction.outputs):
            continue
        inner = [_pruned(b) for b in instruction.blocks()]
        if inner:
            instruction = instruction.rebuilt(instruction.inputs, inner)
        kept.append(instruction)
        needed.update(i for i in instruction.inputs if i is not None)
        for nested in inner:
            needed |= nested.uses()
    return Block(kept[::-1], block.results)


__all__ = ["prune"]
