"""The default executor: a program as one Python function that calls kernels in order.

Written out as Python source, a step costs no look-ups: arrays are local variables, each dropped after its last use.
The source is kept (``Executable.source``), for people and for messages: a kernel's error names the operation whose line
it was.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from corenn import dtypes
from corenn.compiler.joining import JoinedCall
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
from corenn.graph.subgraph import blame

_numbers = itertools.count()


class Executable:
    """``executable(feeds, state, key)``: raw arrays in, ``(results, writes)`` out.

    ``feeds`` and ``state`` are lists of the backend's arrays in the order of the program's; ``key(operation)`` draws
    the next key of a random operation.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        writer = _Writer(program)
        self.source = writer.text()
        self.filename = f"<corenn program {next(_numbers)}>"
        self._instructions = writer.by_line
        namespace = writer.constants
        exec(compile(self.source, self.filename, "exec"), namespace)
        self._run: Callable[..., Any] = namespace["run"]

    def __call__(self, feeds: Sequence[Any], state: Sequence[Any], key: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Run it."""
        try:
            found: tuple[Any, Any] = self._run(feeds, state, key)
        except Exception as error:
            self._blame(error)
            raise
        return found

    def _blame(self, error: Exception) -> None:
        """Note on an error which operation raised it."""
        traceback, line = sys.exc_info()[2], None
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == self.filename:
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        instruction = self._instructions.get(line or 0)
        if instruction is not None and instruction.where is not None:
            blame(error, instruction.where, [i for i in instruction.inputs if i is not None])


def _asks_again(block: Block) -> bool:
    """Whether the same key may be asked for in several places."""
    return any(
        (isinstance(i, Key) and i.place is not None) or any(map(_asks_again, i.blocks())) for i in block.instructions
    )


def _apart(instructions: Sequence[Instruction]) -> Iterator[Instruction]:
    """The instructions, with the calls of groups by themselves: that is what a group means."""
    for instruction in instructions:
        if isinstance(instruction, Fused):
            yield from instruction.body
        else:
            yield instruction


def _drawn(keys: dict[Any, Any], key: Callable[[Any], Any], operation: Any, place: int) -> Any:
    """The key of that number in this run, drawn if need be."""
    found = keys.get((operation, place))
    if found is None:
        found = keys[operation, place] = key(operation)
    return found


class _Writer:
    """Writes the source."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines: list[str] = []
        self.by_line: dict[int, Instruction] = {}
        self.names: dict[Symbol, str] = {}
        self.constants: dict[str, Any] = {}
        self._count = 0
        backend, device = program.device.backend, program.device
        self.constants["to_host"] = backend.to_host
        self.constants["from_host"] = lambda array: backend.from_host(array, device.index)

    def text(self) -> str:
        program = self.program
        self._line(0, "def run(feeds, state, key):")
        for i, symbol in enumerate(program.inputs):
            self.names[symbol] = f"f{i}"
        for i, (_, symbol) in enumerate(program.state):
            self.names[symbol] = f"s{i}"
        if program.inputs:
            self._line(1, f"{', '.join(f'f{i}' for i in range(len(program.inputs)))}, = feeds")
        if program.state:
            self._line(1, f"{', '.join(f's{i}' for i in range(len(program.state)))}, = state")
        if _asks_again(program.block):
            self.constants["drawn"] = _drawn
            self._line(1, "keys = {}")
        self._block(program.block, 1, set(program.block.results))
        results = "".join(f"{self.name(r)}, " for r in program.results)
        writes = "".join(f"{self.name(s)}, " for _, s in program.writes)
        self._line(1, f"return ({results}), ({writes})")
        return "\n".join(self.lines) + "\n"

    def name(self, symbol: Symbol | None) -> str:
        """The variable that holds a symbol."""
        if symbol is None:
            return "None"
        found = self.names.get(symbol)
        if found is None:
            if symbol.constant:
                found = self._constant("c", symbol.array)
            else:
                found = f"v{self._fresh()}"
            self.names[symbol] = found
        return found

    def _fresh(self) -> int:
        self._count += 1
        return self._count

    def _constant(self, letter: str, value: Any) -> str:
        name = f"{letter}{self._fresh()}"
        self.constants[name] = value
        return name

    def _line(self, depth: int, text: str, instruction: Instruction | None = None) -> None:
        self.lines.append("    " * depth + text)
        if instruction is not None:
            self.by_line[len(self.lines)] = instruction

    def _block(self, block: Block, depth: int, alive: set[Symbol]) -> None:
        """The instructions; values made here that nothing later needs are dropped after their last use."""
        last: dict[Symbol, int] = {}
        made: set[Symbol] = set()
        instructions = list(_apart(block.instructions))
        for number, instruction in enumerate(instructions):
            used = {i for i in instruction.inputs if i is not None}
            for inner in instruction.blocks():
                used |= inner.uses()
            for symbol in (*used, *instruction.outputs):
                last[symbol] = number
            made.update(instruction.outputs)
        dropped: dict[int, list[Symbol]] = {}
        for symbol in made - alive:
            dropped.setdefault(last[symbol], []).append(symbol)
        for number, instruction in enumerate(instructions):
            self._instruction(instruction, depth)
            gone = dropped.get(number)
            if gone:
                self._line(depth, f"del {', '.join(sorted(self.name(s) for s in gone))}")
        if not block.instructions:
            self._line(depth, "pass")

    def _instruction(self, instruction: Instruction, depth: int) -> None:
        outputs = ", ".join(self.name(o) for o in instruction.outputs)
        if isinstance(instruction, Call):
            kernel = self._constant("k", instruction.plan.run)
            given = ", ".join(self.name(i) for i in instruction.inputs)
            comma = "," if instruction.plan.op.results is not None and len(instruction.outputs) == 1 else ""
            self._line(depth, f"{outputs}{comma} = {kernel}({given})  # {instruction.name}", instruction)
        elif isinstance(instruction, Joined):
            call = self._constant("j", JoinedCall(instruction))
            given = "".join(f"{self._tuple(c.inputs)}, " for c in instruction.calls)
            self._line(depth, f"{outputs}, = {call}({given})  # {instruction.name}", instruction)
        elif isinstance(instruction, Key):
            operation = self._constant("o", instruction.operation)
            if instruction.place is None:
                self._line(depth, f"{outputs} = key({operation})", instruction)
            else:
                self._line(depth, f"{outputs} = drawn(keys, key, {operation}, {instruction.place})", instruction)
        elif isinstance(instruction, HostCall):
            self._host_call(instruction, outputs, depth)
        elif isinstance(instruction, If):
            predicate = instruction.inputs[0]
            self._line(depth, f"if to_host({self.name(predicate)}):", instruction)
            for place, block in enumerate((instruction.yes, instruction.no)):
                if place:
                    self._line(depth, "else:")
                self._block(block, depth + 1, set(block.results))
                if outputs:
                    self._line(depth + 1, f"{outputs}, = {self._tuple(block.results)}")
        elif isinstance(instruction, While):
            self._while(instruction, outputs, depth)
        else:
            raise TypeError(f"unknown instruction {instruction!r}")

    def _host_call(self, instruction: HostCall, outputs: str, depth: int) -> None:
        function = self._constant("h", instruction.function)
        given = ", ".join(
            self.name(i) if i.spec.dtype is dtypes.string else f"to_host({self.name(i)})"
            for i in instruction.inputs
            if i is not None
        )
        if not instruction.outputs:
            self._line(depth, f"{function}({given})", instruction)
            return
        self._line(depth, f"{outputs}, = {function}({given})", instruction)
        for symbol in instruction.outputs:
            if symbol.spec.dtype is not dtypes.string:
                self._line(depth, f"{self.name(symbol)} = from_host({self.name(symbol)})", instruction)

    def _while(self, instruction: While, outputs: str, depth: int) -> None:
        parameters = "".join(f"{self.name(p)}, " for p in instruction.parameters)
        self._line(depth, f"{parameters}= {self._tuple(instruction.inputs)}", instruction)
        if instruction.most is None:
            self._line(depth, "while True:")
        else:
            self._line(depth, f"for _ in range({instruction.most}):")
        condition = instruction.condition
        self._block(condition, depth + 1, set(condition.results))
        self._line(depth + 1, f"if not to_host({self.name(condition.results[0])}): break", instruction)
        self._block(instruction.body, depth + 1, set(instruction.body.results))
        self._line(depth + 1, f"{parameters}= {self._tuple(instruction.body.results)}")
        self._line(depth, f"{outputs}, = {parameters}")

    def _tuple(self, symbols: Sequence[Symbol | None]) -> str:
        return f"({''.join(f'{self.name(s)}, ' for s in symbols)})"


__all__ = ["Executable"]
