"""State that changes nothing: a variable that is written back as it was read is not written.

Branches give back what they leave alone, and loops carry what their bodies do not change; seen from outside, that is
the value from before.
"""

from __future__ import annotations

from corenn.compiler.program import Block, If, Instruction, Program, Symbol, While


def eliminate_dead_state(program: Program) -> Program:
    """The program without writes of what a variable holds anyway (``prune`` then drops reads nobody needs)."""
    same: dict[Symbol, Symbol] = {}
    block = _passed(program.block, same)
    held = {id(cell): symbol for cell, symbol in program.state}
    results = [same.get(r, r) for r in program.results]
    writes = [(cell, same.get(s, s)) for cell, s in program.writes]
    writes = [(cell, s) for cell, s in writes if held.get(id(cell)) is not s]
    block = Block(block.instructions, [*results, *(s for _, s in writes)])
    return Program(program.device, program.inputs, program.state, block, results, writes)


def _passed(block: Block, same: dict[Symbol, Symbol]) -> Block:
    """``same`` collects which value from before a branch or a loop stands for one after it."""
    kept: list[Instruction] = []
    for instruction in block.instructions:
        inputs = [None if i is None else same.get(i, i) for i in instruction.inputs]
        inner = [_passed(b, same) for b in instruction.blocks()]
        if inner or any(a is not b for a, b in zip(inputs, instruction.inputs, strict=True)):
            instruction = instruction.rebuilt(inputs, inner)
        if isinstance(instruction, If):
            _unchanged_by_branches(instruction, same)
        elif isinstance(instruction, While):
            _unchanged_by_loop(instruction, same)
        kept.append(instruction)
    return Block(kept, [same.get(r, r) for r in block.results])


def _unchanged_by_branches(choice: If, same: dict[Symbol, Symbol]) -> None:
    """What both branches give alike comes from outside of both."""
    ends = zip(choice.outputs, choice.yes.results, choice.no.results, strict=True)
    same.update((output, yes) for output, yes, no in ends if yes is no)


def _unchanged_by_loop(loop: While, same: dict[Symbol, Symbol]) -> None:
    """What the body hands on as it got it is at the end what it was at the start."""
    carried = zip(loop.outputs, loop.inputs, loop.parameters, loop.body.results, strict=True)
    same.update((out, start) for out, start, parameter, after in carried if after is parameter and start is not None)


__all__ = ["eliminate_dead_state"]
