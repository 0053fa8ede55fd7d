"""Is a program whole?  What every pass may rely on and must leave so.

- every symbol is made once, before it is used, where its user can see it;
- what a call is given, and what it makes, is what its plan was made for;
- blocks give what the instruction around them promises; groups are closed: they read their inputs and nothing else;
- a variable is read in at most one place and written in at most one, and what a program gives survives its block.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from corenn import dtypes
from corenn.compiler.program import (
    Block,
    Call,
    Fused,
    HostCall,
    If,
    Instruction,
    Joined,
    Key,
    Program,
    Symbol,
    While,
)
from corenn.errors import GraphError
from corenn.spec import Spec

#: With this in the environment every program is verified after its passes.
SWITCH = "CORENN_VERIFY"


def verify(program: Program, after: str = "") -> Program:
    """The program itself; GraphError, naming the instruction and the user's line, if something is wrong with it.

    ``after`` is what has just been done to it, for the message.
    """
    _Verifier(program, f"program after {after}" if after else "program").check()
    return program


def verified(program: Program, after: str = "") -> Program:
    """``verify`` if the environment has ``CORENN_VERIFY``; the program itself otherwise."""
    return verify(program, after) if os.environ.get(SWITCH) else program


class _Verifier:
    """``made``: every symbol that was made so far, and by what; ``seen`` is handed along: what is visible here."""

    def __init__(self, program: Program, title: str) -> None:
        self.program, self.title = program, title
        self.made: dict[Symbol, str] = {}
        self.here: Instruction | None = None

    def check(self) -> None:
        program = self.program
        for number, symbol in enumerate(program.inputs):
            self._make(symbol, f"input {number}")
        for cell, symbol in program.state:
            self._make(symbol, f"variable {_named(cell)}")
        self._once("read", [cell for cell, _ in program.state])
        self._once("written", [cell for cell, _ in program.writes])
        seen = set(self.made)
        self._block(program.block, seen)
        self.here = None
        kept = set(program.block.results)
        for symbol in program.results:
            if symbol not in kept:
                self._fail("returns a value that its block does not keep", {"value": symbol})
        held = {id(cell): symbol for cell, symbol in program.state}
        for cell, symbol in program.writes:
            before = held.get(id(cell))
            if symbol not in kept:
                self._fail("writes a value that its block does not keep", {_named(cell): symbol})
            if before is not None and before.spec.dtype is not symbol.spec.dtype:
                self._fail("writes elements of another dtype to a variable", {"read": before, "written": symbol})

    # ---- symbols

    def _make(self, symbol: Symbol, by: str) -> None:
        if symbol.constant:
            self._fail("makes a constant", {"value": symbol, "by": by})
        if symbol in self.made:
            self._fail("a value is made twice", {"value": symbol, "first by": self.made[symbol], "again by": by})
        self._spec(symbol)
        self.made[symbol] = by

    def _use(self, symbol: Symbol, seen: set[Symbol], what: str) -> None:
        if symbol.constant:
            self._spec(symbol)
            if tuple(symbol.array.shape) != symbol.spec.shape:
                self._fail("a constant has another shape than it says", {what: symbol, "is": symbol.array.shape})
        elif symbol not in self.made:
            self._fail("a value is used before it is made", {what: symbol})
        elif symbol not in seen:
            self._fail("a value is used outside the block that makes it", {what: symbol, "made by": self.made[symbol]})

    def _spec(self, symbol: Symbol) -> None:
        if None in symbol.spec.shape:
            self._fail("the shape of a value is not known", {"value": symbol})
        if symbol.spec.device is not self.program.device:
            self._fail("a value is on another device", {"value": symbol.spec, "program": self.program.device})

    def _once(self, what: str, cells: Sequence[Any]) -> None:
        if len({id(c) for c in cells}) != len(cells):
            self._fail(f"a variable is {what} twice", {"variables": ", ".join(map(_named, cells))})

    # ---- instructions

    def _block(self, block: Block, seen: set[Symbol]) -> None:
        """Check a block; what it makes is added to ``seen``."""
        around = self.here
        for instruction in block.instructions:
            self.here = instruction
            for number, symbol in enumerate(instruction.inputs):
                if symbol is not None:
                    self._use(symbol, seen, f"operand {number}")
            self._inside(instruction, seen)
            if not isinstance(instruction, Fused):  # whose body has made them
                for symbol in instruction.outputs:
                    self._make(symbol, instruction.name)
            seen.update(instruction.outputs)
        self.here = around
        for number, symbol in enumerate(block.results):
            self._use(symbol, seen, f"result {number} of the block")

    def _inside(self, instruction: Instruction, seen: set[Symbol]) -> None:
        if isinstance(instruction, Call):
            self._call(instruction)
        elif isinstance(instruction, Fused):
            self._fused(instruction)
        elif isinstance(instruction, Joined):
            self._joined(instruction)
        elif isinstance(instruction, Key):
            self._agree("its results", [s.spec for s in instruction.outputs], [Spec((3,), dtypes.uint64)])
        elif isinstance(instruction, HostCall):
            if None in instruction.inputs:
                self._fail("Python is called with an operand left out")
        elif isinstance(instruction, While):
            self._while(instruction, seen)
        else:
            promised = [o.spec for o in instruction.outputs]
            for block in instruction.blocks():
                self._block(block, set(seen))
                if isinstance(instruction, If):
                    self._agree("the results of a branch", [r.spec for r in block.results], promised)
            if isinstance(instruction, If):
                self._truth(instruction.inputs)

    def _call(self, call: Call) -> None:
        plan = call.plan
        if plan.device is not self.program.device:
            self._fail("its plan is for another device", {"plan": plan.device, "program": self.program.device})
        self._agree("its operands", [None if i is None else i.spec for i in call.inputs], plan.inputs)
        made, promised = [o.spec for o in call.outputs], list(plan.specs)
        if not any(None in s.shape for s in promised):
            self._agree("its results", made, promised)

    def _fused(self, group: Fused) -> None:
        """Closed: the body reads the inputs, all of them, and makes the outputs; the rest stays inside."""
        seen = {i for i in group.inputs if i is not None}
        if len(seen) != len(group.inputs):
            self._fail("a group lists an input twice or leaves one out")
        read = {i for c in group.body for i in c.inputs if i is not None}
        if not seen <= read:
            self._fail("a group has an input that it does not read", {"input": next(iter(seen - read))})
        self._block(Block(group.body, ()), seen)
        inside = {o for c in group.body for o in c.outputs}
        if len(set(group.outputs)) != len(group.outputs):
            self._fail("a group lists an output twice")
        for symbol in group.outputs:
            if symbol not in inside:
                self._fail("a group does not make what it gives", {"output": symbol})

    def _joined(self, group: Joined) -> None:
        """Calls of the plan's op, none of which waits for another, whose elements are together those of the plan's."""
        if not group.calls:
            self._fail("nothing is joined")
        made = {o for c in group.calls for o in c.outputs}
        own = group.calls[0].outputs[0].spec.shape
        for call in group.calls:
            if call.plan.op is not group.plan.op or call.plan.attrs != group.plan.attrs:
                self._fail("calls of different ops or attributes are joined", {"call": call.name})
            if not made.isdisjoint(call.inputs):
                self._fail("a joined call reads what another one makes", {"call": call.name})
            self._call(call)
        total = sum(c.outputs[0].spec.size for c in group.calls)
        for spec in group.plan.specs:
            if spec.shape != (total,):
                self._fail("the plan of joined calls is for another length", {"plan": spec, "calls": total})
        for number, symbol in enumerate(group.calls[0].inputs):
            shared = symbol is None or symbol.spec.shape != own
            if shared and any(c.inputs[number] is not symbol for c in group.calls):
                self._fail("joined calls do not share an operand that is one number", {"operand": number})

    def _while(self, loop: While, seen: set[Symbol]) -> None:
        for symbol in loop.parameters:
            self._make(symbol, f"a parameter of {loop.name}")
        promised = [p.spec for p in loop.parameters]
        for what, block in (("condition", loop.condition), ("body", loop.body)):
            self._block(block, seen | set(loop.parameters))
            if what == "condition":
                self._truth(block.results)
            else:
                self._agree("the results of the body", [r.spec for r in block.results], promised)
        self._agree("its start", [None if i is None else i.spec for i in loop.inputs], promised)
        self._agree("its results", [o.spec for o in loop.outputs], promised)

    # ---- helpers

    def _truth(self, symbols: Iterable[Symbol | None]) -> None:
        found = list(symbols)
        if len(found) != 1 or found[0] is None or found[0].spec.size != 1:
            self._fail("decides by something other than one value", {"values": found})

    def _agree(self, what: str, given: Sequence[Spec | None], wanted: Sequence[Spec | None]) -> None:
        if [_plain(s) for s in given] != [_plain(s) for s in wanted]:
            self._fail(f"{what} are not what was promised", {"promised": _listed(wanted), "are": _listed(given)})

    def _fail(self, what: str, operands: dict[str, object] | None = None) -> NoReturn:
        """Raise, for the instruction at hand."""
        here = self.here
        site = getattr(here.where, "where", None) if here is not None else None
        name = f"{self.title}: {here.name}" if here is not None else self.title
        raise GraphError(name, what, operands, site=site, hint="this is a mistake in a pass or a backend: report it")


def _plain(spec: Spec | None) -> Spec | None:
    return None if spec is None else spec.at(None)


def _listed(specs: Sequence[Spec | None]) -> str:
    return ", ".join("none" if s is None else str(s.at(None)) for s in specs) or "nothing"


def _named(cell: Any) -> str:
    return str(getattr(cell, "name", cell))


__all__ = ["SWITCH", "verified", "verify"]
