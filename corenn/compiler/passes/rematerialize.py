"""Fit a program into less memory: cheap values are computed again later instead of being kept until then.

In a training step most of what is alive at the worst moment waits for the backward pass (Chen et al. 2016, "Training
deep nets with sublinear memory cost").  Where such a value is elementwise in values that are there anyway when it is
next needed, dropping it costs one pass over memory and saves its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from corenn.compiler.memory import VIEWS, Timeline, reads
from corenn.compiler.program import Again, Block, Call, Instruction, Program, Symbol
from corenn.compiler.verify import verified
from corenn.ops.families import binary, comparison, unary

#: Ops that are computed again, with those of the elementwise families and changes of shape.
_CHEAP = VIEWS | {"where", "cast", "gate", "full", "relu", "sigmoid"}
#: At most so many calls are made again for one value, and values of fewer bytes are not worth it.
_MOST, _LEAST = 6, 1024


def rematerialize(program: Program, budget: int) -> Program:
    """The program with values computed again until what it makes is at most ``budget`` bytes at any time, or as near
    as computing cheap values again gets; results stay as they are, bit for bit.

    Values are counted as ``corenn.compiler.memory`` does: without what is fed and without variables.
    """
    while True:
        timeline = Timeline(program.block)
        if timeline.peak <= budget:
            return program
        smaller = next((b for b in _smaller(program, timeline) if _better(Timeline(b), timeline)), None)
        if smaller is None:
            return program
        made = Program(program.device, program.inputs, program.state, smaller, program.results, program.writes)
        program = verified(made, "rematerialize")


def _better(after: Timeline, before: Timeline) -> bool:
    """Whether the worst moment is less bad, or there are fewer of them."""
    return (after.peak, after.alive.count(after.peak)) < (before.peak, before.alive.count(before.peak))


def _smaller(program: Program, timeline: Timeline) -> Iterator[Block]:
    """Blocks in which one value that waits at the worst moment is made again after it, the largest value first."""
    block = program.block
    worst = timeline.alive.index(timeline.peak)
    read_there = {timeline.of(s) for s in reads(block.instructions[worst])}
    waiting = [
        s
        for s, made in timeline.made.items()
        if made < worst < timeline.last[s] < len(block.instructions)
        and s.spec.nbytes >= _LEAST and s not in read_there and _is_cheap(block.instructions[made])
    ]  # fmt: skip
    for symbol in sorted(waiting, key=lambda s: -s.spec.nbytes):
        found = _again(program, timeline, symbol, worst)
        if found is not None:
            yield found


def _is_cheap(instruction: Instruction) -> bool:
    if not isinstance(instruction, Call):
        return False
    return instruction.name in _CHEAP or instruction.plan.op.family in (unary, binary, comparison)


class _TooDearError(Exception):
    """A value would take too many calls to make again, or others."""


def _again(program: Program, timeline: Timeline, symbol: Symbol, worst: int) -> Block | None:
    """The block with ``symbol``, and views of it, made anew before their first use after an instruction."""
    instructions = program.instructions
    makers = {o: i for i in instructions for o in i.outputs}
    needed = [{s for s in reads(i) if timeline.of(s) is symbol} for i in instructions[worst + 1 :]]
    first = worst + 1 + next(place for place, found in enumerate(needed) if found)
    inputs = set(program.inputs)
    put: dict[Symbol, Symbol] = {}
    calls: list[Call] = []

    def there(s: Symbol) -> bool:
        """Whether a value is in memory then anyway; a variable must not be read later than it was."""
        return s.constant or s in inputs or timeline.last.get(timeline.of(s), -1) >= first

    def made(s: Symbol) -> Symbol:
        if s in put:
            return put[s]
        if timeline.of(s) is not symbol and there(s):
            return s
        maker = makers.get(s)
        if maker is None or not _is_cheap(maker) or len(calls) >= _MOST:
            raise _TooDearError
        assert isinstance(maker, Call)  # only calls are cheap
        operands = [None if i is None else made(i) for i in maker.inputs]
        put[s] = Symbol(s.spec)
        calls.append(Again(maker.plan, operands, [put[s]], maker.where))
        return put[s]

    try:
        for s in sorted(set().union(*needed), key=lambda s: instructions.index(makers[s])):
            made(s)
    except _TooDearError:
        return None
    after = [_reading(i, put) for i in instructions[first:]]
    return Block([*instructions[:first], *calls, *after], program.block.results)


def _reading(instruction: Instruction, put: dict[Symbol, Symbol]) -> Instruction:
    """The instruction with other symbols in place of some that it reads, inside its blocks as well."""
    if put.keys().isdisjoint(reads(instruction)):
        return instruction
    inner = [
        Block([_reading(i, put) for i in b.instructions], [put.get(r, r) for r in b.results])
        for b in instruction.blocks()
    ]
    return instruction.rebuilt([None if i is None else put.get(i, i) for i in instruction.inputs], inner)


__all__ = ["rematerialize"]
