"""The pass that drops instructions whose results nothing needs."""

from __future__ import annotations

from corenn.compiler.program import Block, If, Instruction, Program, Symbol, While


def prune(program: Program) -> Program:
    """The program without instructions that have no effects and no users."""
    block = _pruned(program.block, set())
    used = block.uses()
    state = [(cell, symbol) for cell, symbol in program.state if symbol in used]
    return Program(program.device, program.inputs, state, block, program.results, program.writes)


def _pruned(block: Block, needed: set[Symbol]) -> Block:
    needed = needed | set(block.results)
    kept: list[Instruction] = []
    for instruction in reversed(block.instructions):
        if not instruction.effects and not any(o in needed for o in instruction.outputs):
            continue
        if isinstance(instruction, If):
            instruction = If(
                instruction.inputs[0], _pruned(instruction.yes, set()), _pruned(instruction.no, set()),  # type: ignore[arg-type]
                instruction.outputs, instruction.where,
            )  # fmt: skip
        elif isinstance(instruction, While):
            instruction = While(
                instruction.inputs, instruction.parameters, _pruned(instruction.condition, set()),  # type: ignore[arg-type]
                _pruned(instruction.body, set()), instruction.most, instruction.outputs, instruction.where,
            )  # fmt: skip
        kept.append(instruction)
        needed.update(i for i in instruction.inputs if i is not None)
        for inner in instruction.blocks():
            needed |= inner.uses()
    return Block(kept[::-1], block.results)


__all__ = ["prune"]
