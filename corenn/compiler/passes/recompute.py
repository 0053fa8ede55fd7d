"""Compute a cheap value again where another group needs it, rather than keep it in memory from one group to the next.

A value of many elements that one group makes and others read is written once and read again, each time all of it.  If
it takes a few simple operations on what is in memory anyway, the readers do those themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

from corenn.compiler.passes.axes import RESHAPES, arrange
from corenn.compiler.program import Block, Call, Fused, Instruction, Program, Symbol

#: Ops that take about one instruction for an element.
_SIMPLE = frozenset(
    {
        "abs", "add", "broadcast_to", "cast", "clip", "equal", "gate", "greater", "greater_equal", "less", "less_equal",
        "logical_and", "logical_not", "logical_or", "maximum", "minimum", "multiply", "negative", "not_equal", "relu",
        "square", "squared_difference", "subtract", "where",
    }
) | RESHAPES  # fmt: skip
#: At most so many of them, and only for values of at least so many elements.
_MOST, _LARGE = 8, 4096
#: What is smaller than the value by this factor is put into memory for its readers, if it is not there already.
_SMALL = 16
#: Writing a byte costs about as much as reading two: its line is read first.
_WRITE = 2


def recompute(program: Program) -> Program:
    """The program with values between groups recomputed where that moves fewer bytes.

    Variables are not read later than they were, so that new values can still be written over old ones.
    """
    held = {symbol for _, symbol in program.state}
    instructions = _Pass(program.block, held).instructions
    block = Block(instructions, program.block.results)
    return Program(program.device, program.inputs, program.state, block, program.results, program.writes)


class _Pass:
    """One run over the groups of a block."""

    def __init__(self, block: Block, held: set[Symbol]) -> None:
        self.held, self.results = held, set(block.results)
        self.instructions: list[Instruction] = list(block.instructions)
        self.readers: dict[Symbol, set[int]] = {}
        for place, instruction in enumerate(self.instructions):
            for symbol in instruction.inputs:
                if symbol is not None:
                    self.readers.setdefault(symbol, set()).add(place)
            for inner in instruction.blocks():
                for symbol in inner.uses():
                    self.readers.setdefault(symbol, set()).add(place)
        for place, instruction in enumerate(self.instructions):
            if isinstance(instruction, Fused):
                for symbol in instruction.outputs:
                    self._consider(place, symbol)
        self.instructions = [i for i in self.instructions if not isinstance(i, Fused) or i.outputs]

    def _consider(self, place: int, symbol: Symbol) -> None:
        """Have the readers of a group's output compute it, if that is better."""
        group = self.instructions[place]
        readers = sorted(self.readers.get(symbol, ()))
        assert isinstance(group, Fused)  # the caller looked
        if symbol in self.results or symbol.spec.size < _LARGE or not readers:
            return
        if not all(isinstance(self.instructions[r], Fused) for r in readers):
            return
        read = set.intersection(*({i for i in self.instructions[r].inputs if i is not None} for r in readers))
        for there in (set(group.outputs) - {symbol}, read - {symbol}):
            steps = self._steps(group, symbol, there)
            if steps is not None and self._replaced(place, symbol, readers, steps):
                return

    def _replaced(self, place: int, symbol: Symbol, readers: Sequence[int], steps: Sequence[Call]) -> bool:
        """Whether the readers compute a value by these steps from now on: if that moves less, and loops can."""
        group = self.instructions[place]
        assert isinstance(group, Fused)  # the caller looked
        made = {c.outputs[0] for c in steps}
        leaves = {i for c in steps for i in c.inputs if i is not None and not i.constant} - made
        if any(max(self.readers.get(leaf, ()), default=-1) < readers[-1] for leaf in leaves & self.held):
            return False
        inside = {c.outputs[0] for c in group.body}
        smaller = _other(group, symbol, [x for x in leaves if x in inside and x not in group.outputs])
        if smaller.outputs and arrange(smaller.body, smaller.outputs) is None:
            return False
        count = symbol.spec.nbytes
        moved = sum(leaf.spec.nbytes for r in readers for leaf in leaves - set(self.instructions[r].inputs))
        if moved >= count * (_WRITE + len(readers)):
            return False
        replaced = []
        for r in readers:
            reader = self.instructions[r]
            assert isinstance(reader, Fused)  # all are
            found = _with_steps(reader, steps, symbol)
            if arrange(found.body, found.outputs) is None:
                return False
            replaced.append(found)
        for r, found in zip(readers, replaced, strict=True):
            self.instructions[r] = found
            for leaf in leaves:
                self.readers.setdefault(leaf, set()).add(r)
        self.readers[symbol] = set()
        self.instructions[place] = smaller
        return True

    def _steps(self, group: Fused, symbol: Symbol, there: set[Symbol]) -> list[Call] | None:
        """The simple calls that make a value of ``there`` and what is from outside; ``None`` if there are too many, or
        others."""
        maker = {c.outputs[0]: c for c in group.body}
        found: dict[Symbol, Call] = {}
        waiting = [symbol]
        while waiting:
            current = waiting.pop()
            if current in found or (current not in maker or current in there):
                continue
            call = maker[current]
            if call.name not in _SIMPLE or len(found) == _MOST:
                if current.spec.size * _SMALL > symbol.spec.size:
                    return None
                continue
            found[current] = call
            waiting += [i for i in call.inputs if i is not None]
        return [c for c in group.body if c.outputs[0] in found]


def _with_steps(group: Fused, steps: Sequence[Call], symbol: Symbol) -> Fused:
    """The group with these calls in it, under new symbols, in place of the operand ``symbol``."""
    put: dict[Symbol, Symbol] = {}
    body: list[Call] = []
    for call in (*steps, *group.body):
        inputs = [put.get(i, i) if i is not None else None for i in call.inputs]
        outputs = call.outputs
        if call in steps:
            outputs = tuple(put.setdefault(o, Symbol(o.spec)) for o in outputs)
        body.append(Call(call.plan, inputs, outputs, call.where))
    return Fused(body, group.outputs, group.where)


def _other(group: Fused, gone: Symbol, more: Sequence[Symbol]) -> Fused:
    """The group with other outputs: without one, and the calls that only it needed, and with some more."""
    outputs = [*(o for o in group.outputs if o is not gone), *more]
    needed = set(outputs)
    body: list[Call] = []
    for call in reversed(group.body):
        if not needed.isdisjoint(call.outputs):
            body.append(call)
            needed.update(i for i in call.inputs if i is not None)
    return Fused(body[::-1], outputs, group.where)


__all__ = ["recompute"]
