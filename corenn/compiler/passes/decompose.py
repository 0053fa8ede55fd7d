"""Replace calls of composite ops by the calls they are made of, so that other passes can look inside and join them.

An op of the table that has a decomposition is traced once more (see ``tracing``), with the symbols of the call as its
operands; what that records takes the place of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from corenn.compiler.program import Block, Call, Instruction, Program, Symbol, UnknownValueError
from corenn.compiler.tracing import Trace, recording, recording_device, tensor_of
from corenn.device import Device

Decomposition = Callable[..., Any]


def decompose(
    program: Program, keep: Callable[[Call], bool], instead: Mapping[str, Decomposition] | None = None
) -> Program:  # fmt: skip
    """The program with every call that ``keep`` does not want, and that can be, replaced by its decomposition.

    ``instead``: decompositions by the name of the op, which go before those of the table: of tensors and, by name,
    attributes.  What they record is asked for and replaced in turn.  Calls whose decomposition depends on values stay.
    """
    pass_ = _Pass(program.device, keep, instead or {})
    block = pass_.block(program.block)
    results = [pass_.found(r) for r in program.results]
    writes = [(cell, pass_.found(s)) for cell, s in program.writes]
    return Program(program.device, program.inputs, program.state, block, results, writes)


class _Pass:
    """One run of the pass; ``same`` has what stands for each result of a call that is gone."""

    def __init__(self, device: Device, keep: Callable[[Call], bool], instead: Mapping[str, Decomposition]) -> None:
        self.target, self.device = device, recording_device(device)
        self.keep, self.instead = keep, instead
        self.same: dict[Symbol, Symbol] = {}

    def found(self, symbol: Symbol) -> Symbol:
        while symbol in self.same:
            symbol = self.same[symbol]
        return symbol

    def block(self, block: Block) -> Block:
        kept: list[Instruction] = []
        for instruction in block.instructions:
            kept += self._instruction(instruction)
        return Block(kept, [self.found(r) for r in block.results])

    def _instruction(self, instruction: Instruction) -> list[Instruction]:
        inputs = [None if i is None else self.found(i) for i in instruction.inputs]
        inner = [self.block(b) for b in instruction.blocks()]
        if inner or any(a is not b for a, b in zip(inputs, instruction.inputs, strict=True)):
            instruction = instruction.rebuilt(inputs, inner)
        if not isinstance(instruction, Call) or self.keep(instruction):
            return [instruction]
        made = self._parts(instruction)
        if made is None:
            return [instruction]
        calls, results = made
        found: list[Instruction] = []
        for call in calls:
            found += self._instruction(call)
        for old, new in zip(instruction.outputs, results, strict=True):
            self.same[old] = self.found(new)
        return found

    def _parts(self, call: Call) -> tuple[list[Instruction], list[Symbol]] | None:
        """What a call is made of, and its results; ``None`` if that is not known."""
        op = call.plan.op
        decomposition = self.instead.get(op.name, op.decomposition)
        if decomposition is None:
            return None
        trace = Trace(call.where)
        with recording(trace, self.device):
            operands = [None if i is None else tensor_of(i, self.device) for i in call.inputs]
            try:
                made = decomposition(*operands, **call.plan.attrs)
            except UnknownValueError:
                return None
        results = [made] if op.results is None else list(made)
        return trace.instructions, [r.data for r in results]


__all__ = ["Decomposition", "decompose"]
