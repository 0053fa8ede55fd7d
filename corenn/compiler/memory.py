"""Which arrays of a program are alive when, counted from specs alone: what runs need beside inputs, variables, results.

An array is alive from the instruction that makes it to the last one that reads it, or to the end if the block gives it;
a view keeps alive what it is a view of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from corenn.compiler.program import Block, Call, Instruction, Program, Symbol

#: Ops whose result is their operand's memory seen otherwise.
VIEWS = frozenset({"reshape", "expand_dims", "squeeze", "identity", "stop_gradient", "transpose", "broadcast_to"})


@dataclass(frozen=True)
class Lifetimes:
    """Bytes of the arrays that instructions make: all of them (``total``), and the most alive at once (``peak``)."""

    peak: int
    total: int


def lifetimes(program: Program) -> Lifetimes:
    """Peak and sum of the arrays that a program makes, those in its results included."""
    found = Timeline(program.block)
    return Lifetimes(found.peak, found.total)


class Timeline:
    """The arrays of one block.

    ``owner``: for a view, what it is a view of (a value without an entry is its own); ``made``: by which instruction an
    array is made, if by one of the block; ``last``: by which it is read for the last time, the number of instructions
    if the block gives it; ``alive``: bytes while each instruction runs, what its own blocks make included.
    """

    def __init__(self, block: Block) -> None:
        self.owner: dict[Symbol, Symbol] = {}
        self.made: dict[Symbol, int] = {}
        self.last: dict[Symbol, int] = {}
        self.alive: list[int] = []
        self.total = 0
        self._times(block)
        self._bytes(block)

    @property
    def peak(self) -> int:
        """The most bytes that are alive at once."""
        return max(self.alive, default=0)

    def of(self, symbol: Symbol) -> Symbol:
        """The value whose memory a value is."""
        return self.owner.get(symbol, symbol)

    def _times(self, block: Block) -> None:
        for number, instruction in enumerate(block.instructions):
            source = viewed(instruction)
            if source is not None:
                self.owner[instruction.outputs[0]] = self.of(source)
            for symbol in instruction.outputs:
                if symbol not in self.owner:
                    self.made[symbol] = number
            for symbol in (*reads(instruction), *instruction.outputs):
                self.last[self.of(symbol)] = number
        for symbol in block.results:
            self.last[self.of(symbol)] = len(block.instructions)

    def _bytes(self, block: Block) -> None:
        ending: dict[int, int] = {}
        held = 0
        for number, instruction in enumerate(block.instructions):
            inner = [Timeline(b) for b in instruction.blocks()]
            own = 0
            for symbol in instruction.outputs:
                if symbol not in self.owner:
                    own += symbol.spec.nbytes
                    end = self.last[symbol]
                    ending[end] = ending.get(end, 0) + symbol.spec.nbytes
            self.alive.append(held + max([own, *(t.peak for t in inner)]))
            self.total += own + sum(t.total for t in inner)
            held += own - ending.pop(number, 0)


def viewed(instruction: Instruction) -> Symbol | None:
    """The operand whose memory an instruction's result is, if it is a view."""
    return instruction.inputs[0] if isinstance(instruction, Call) and instruction.name in VIEWS else None


def reads(instruction: Instruction) -> Iterable[Symbol]:
    """Every value that an instruction reads, inside its blocks as well."""
    found = {i for i in instruction.inputs if i is not None}
    for block in instruction.blocks():
        found |= block.uses()
    return found


__all__ = ["VIEWS", "Lifetimes", "Timeline", "lifetimes", "reads", "viewed"]
