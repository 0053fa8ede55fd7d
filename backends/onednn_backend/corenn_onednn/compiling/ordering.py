"""The order of a program's instructions, as far as it is free."""

from __future__ import annotations

from corenn.compiler.program import Block, Fused, HostCall, Instruction, Key, Program, Symbol


def with_python_first(program: Program) -> Program:
    """Keys and calls of Python without operands come first, in their order, so that what is native is in one piece.

    Those after a call with effects that has operands stay where they are: it may change what they give.
    """
    first: list[Instruction] = []
    rest: list[Instruction] = []
    free = True
    for instruction in program.instructions:
        python = isinstance(instruction, (Key, HostCall))
        (first if python and free and not instruction.inputs else rest).append(instruction)
        free = free and not (python and instruction.inputs and instruction.effects)
    return _reordered(program, [*first, *rest])


def with_updates_early(program: Program) -> Program:
    """Variables are updated as soon as their gradients are known and nothing reads the old values any more.

    The gradient of a large matrix is then still in a cache, and its memory is free for the next one.
    """
    instructions = program.instructions
    written = {symbol for _, symbol in program.writes}
    cells = {symbol: cell for cell, symbol in program.writes}
    old = {cell: symbol for cell, symbol in program.state}
    maker: dict[Symbol, int] = {}
    readers: dict[Symbol, list[int]] = {}
    for place, instruction in enumerate(instructions):
        maker.update(dict.fromkeys(instruction.outputs, place))
        for symbol in instruction.inputs:
            if symbol is not None:
                readers.setdefault(symbol, []).append(place)
    results = set(program.results)
    after: dict[int, list[Instruction]] = {}
    moved: set[int] = set()
    for place, instruction in enumerate(instructions):
        outputs = instruction.outputs
        if not isinstance(instruction, Fused) or any(o not in written or o in results or o in readers for o in outputs):
            continue
        needed = [maker.get(i, -1) for i in instruction.inputs if i is not None]
        for output in outputs:
            source = old.get(cells[output])
            needed += [p for p in readers.get(source, ()) if p != place] if source is not None else []
        earliest = max(needed, default=-1)
        if 0 <= earliest < place - 1:
            after.setdefault(earliest, []).append(instruction)
            moved.add(place)
    found: list[Instruction] = []
    for place, instruction in enumerate(instructions):
        if place not in moved:
            found.append(instruction)
        found += after.get(place, ())
    return _reordered(program, found)


def _reordered(program: Program, instructions: list[Instruction]) -> Program:
    block = Block(instructions, program.block.results)
    return Program(program.device, program.inputs, program.state, block, program.results, program.writes)


__all__ = ["with_python_first", "with_updates_early"]
