"""``Program``: an immutable list of instructions in single-assignment form, specialised to shapes.

A program says what one run computes: its ``inputs`` (fed values), the ``state`` it reads (variables), instructions,
and the ``results`` and ``writes`` at the end.  Values are ``Symbol``s, each with a spec and made in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from corenn.errors import GraphError
from corenn.spec import Spec


class UnknownValueError(GraphError):
    """Tracing needed a value that is only known when the program runs."""


class Symbol:
    """One value of a program: its ``spec``, and ``array``, the backend's, if it is a constant."""

    __slots__ = ("array", "spec")

    def __init__(self, spec: Spec, array: Any = None) -> None:
        self.spec, self.array = spec, array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, which kernels ask arrays for."""
        return self.spec.static

    @property
    def constant(self) -> bool:
        """Whether the value is known."""
        return self.array is not None

    def __repr__(self) -> str:
        return f"<{'constant' if self.constant else 'symbol'} {self.spec.at(None)}>"


class Instruction:
    """One step: ``outputs`` from ``inputs``; ``where`` is the operation it was made for, for messages."""

    __slots__ = ("inputs", "outputs", "where")

    def __init__(self, inputs: Sequence[Symbol | None], outputs: Sequence[Symbol], where: Any) -> None:
        self.inputs, self.outputs, self.where = tuple(inputs), tuple(outputs), where

    effects = False

    def blocks(self) -> tuple[Block, ...]:
        """The blocks inside."""
        return ()

    def parts(self) -> tuple[Call, ...]:
        """The calls that it stands for: itself, or those that were put together in it."""
        return ()

    def rebuilt(self, inputs: Sequence[Symbol | None], blocks: Sequence[Block]) -> Instruction:
        """The same instruction on other inputs and with other blocks; the outputs stay."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What it does, in a word."""
        raise NotImplementedError


class Call(Instruction):
    """A table op, served by ``plan`` (see ``corenn.ops.dispatch``)."""

    __slots__ = ("plan",)

    def __init__(self, plan: Any, inputs: Sequence[Symbol | None], outputs: Sequence[Symbol], where: Any) -> None:
        super().__init__(inputs, outputs, where)
        self.plan = plan

    def rebuilt(self, inputs: Sequence[Symbol | None], blocks: Sequence[Block]) -> Instruction:
        """On other inputs."""
        return type(self)(self.plan, inputs, self.outputs, self.where)

    def parts(self) -> tuple[Call, ...]:
        """Itself."""
        return (self,)

    @property
    def name(self) -> str:
        """The op's name."""
        found: str = self.plan.op.name
        return found


class Again(Call):
    """A call that another one has made before: computing it twice is wanted (see ``passes.rematerialize``)."""

    __slots__ = ()


class Fused(Instruction):
    """Calls that belong together: elementwise chains, broadcasts, reductions (see ``passes.fuse``).

    ``body``: the calls, in order; ``inputs``: what they read from outside, each once; ``outputs``: those of their
    results that are used outside.  Symbols inside are the same objects as outside, so running the calls in order is
    the meaning.
    """

    __slots__ = ("body",)

    def __init__(self, body: Sequence[Call], outputs: Sequence[Symbol], where: Any) -> None:
        made = {o for call in body for o in call.outputs}
        read = dict.fromkeys(i for call in body for i in call.inputs if i is not None and i not in made)
        super().__init__(tuple(read), outputs, where)
        self.body = tuple(body)

    def rebuilt(self, inputs: Sequence[Symbol | None], blocks: Sequence[Block]) -> Fused:
        """On other inputs."""
        put = dict(zip(self.inputs, inputs, strict=True))
        body = [Call(c.plan, [put.get(i, i) for i in c.inputs], c.outputs, c.where) for c in self.body]
        return Fused(body, self.outputs, self.where)

    def parts(self) -> tuple[Call, ...]:
        """The calls inside."""
        return self.body

    @property
    def name(self) -> str:
        """The names of the ops inside."""
        return "fused[" + ", ".join(c.name for c in self.body) + "]"


class Joined(Instruction):
    """Calls of one pointwise op on variables of different shapes, made as one on all of them laid end to end.

    ``plan`` serves the call on the joined vectors; ``calls`` are those it stands for.  Inputs and outputs are theirs,
    one call's after the other's.
    """

    __slots__ = ("calls", "plan")

    def __init__(self, plan: Any, calls: Sequence[Call]) -> None:
        inputs, outputs = [i for c in calls for i in c.inputs], [o for c in calls for o in c.outputs]
        super().__init__(inputs, outputs, calls[0].where)
        self.plan, self.calls = plan, tuple(calls)

    def rebuilt(self, inputs: Sequence[Symbol | None], blocks: Sequence[Block]) -> Joined:
        """On other inputs."""
        given = iter(inputs)
        return Joined(
            self.plan, [Call(c.plan, [next(given) for _ in c.inputs], c.outputs, c.where) for c in self.calls]
        )

    def parts(self) -> tuple[Call, ...]:
        """The calls it stands for."""
        return self.calls

    @property
    def name(self) -> str:
        """The op's name and how many calls there were."""
        return f"{self.plan.op.name} x {len(self.calls)}"


class HostCall(Instruction):
    """Python on host arrays; it may have effects."""

    __slots__ = ("function", "pure")

    def __init__(
        self, function: Callable[..., list[Any]], inputs: Sequence[Symbol], outputs: Sequence[Symbol], where: Any,
        pure: bool,
    ) -> None:  # fmt: skip
        super().__init__(inputs, outputs, where)
        self.function, self.pure = function, pure

    def rebuilt(self, inputs: Sequence[Symbol | None], blocks: Sequence[Block]) -> Instruction:
        """On other inputs."""
        return HostCall(self.function, [i for i in inputs if i is not None], self.outputs, self.where, self.pure)

    @property
    def effects(self) -> bool:  # type: ignore[override]  # a class attribute elsewhere
        """Whether it must run."""
        return not self.pure

    @property
    def name(self) -> str:
        """A word."""
        return "host"


class Key(Instruction):
    """The next key of a random operation; with ``place``, its key of that number in this run, drawn by who comes first.

    Branches and the branches of their gradients ask for the same keys, whichever are taken.
    """

    __slots__ = ("operation", "place")

    effects = True

    def __init__(self, operation: Any, output: Symbol, where: Any, place: int | None = None) -> None:
        super().__init__((), (output,), where)
        self.operation, self.place = operation, place

    def rebuilt(self, inputs: Sequence[Symbol | None], blocks: Sequence[Block]) -> Instruction:
        """Itself: it has no inputs."""
        return self

    @property
    def name(self) -> str:
        """A word."""
        return "key"


class If(Instruction):
    """One of two blocks; their results become the outputs."""

    __slots__ = ("no", "yes")

    def __init__(self, predicate: Symbol, yes: Block, no: Block, outputs: Sequence[Symbol], where: Any) -> None:
        super().__init__((predicate,), outputs, where)
        self.yes, self.no = yes, no

    def rebuilt(self, inputs: Sequence[Symbol | None], blocks: Sequence[Block]) -> Instruction:
        """On another predicate, with other branches."""
        (predicate,), (yes, no) = inputs, blocks
        assert predicate is not None  # it is the one input
        return If(predicate, yes, no, self.outputs, self.where)

    def blocks(self) -> tuple[Block, ...]:
        """Both branches."""
        return self.yes, self.no

    @property
    def effects(self) -> bool:  # type: ignore[override]
        """Whether a branch has effects."""
        return any(i.effects for b in self.blocks() for i in b.instructions)

    @property
    def name(self) -> str:
        """A word."""
        return "if"


class While(Instruction):
    """``parameters`` start as ``inputs`` and are replaced by the body's results while the condition holds."""

    __slots__ = ("body", "condition", "most", "parameters")

    def __init__(
        self, inputs: Sequence[Symbol], parameters: Sequence[Symbol], condition: Block, body: Block, most: int | None,
        outputs: Sequence[Symbol], where: Any,
    ) -> None:  # fmt: skip
        super().__init__(inputs, outputs, where)
        self.parameters, self.condition, self.body, self.most = tuple(parameters), condition, body, most

    def rebuilt(self, inputs: Sequence[Symbol | None], blocks: Sequence[Block]) -> Instruction:
        """From another start, with other blocks."""
        condition, body = blocks
        start = [i for i in inputs if i is not None]
        return While(start, self.parameters, condition, body, self.most, self.outputs, self.where)

    def blocks(self) -> tuple[Block, ...]:
        """Condition and body."""
        return self.condition, self.body

    @property
    def effects(self) -> bool:  # type: ignore[override]
        """Whether the body has effects."""
        return any(i.effects for b in self.blocks() for i in b.instructions)

    @property
    def name(self) -> str:
        """A word."""
        return "while"


class Block:
    """Instructions in order, and the values they are for."""

    __slots__ = ("instructions", "results")

    def __init__(self, instructions: Sequence[Instruction], results: Sequence[Symbol]) -> None:
        self.instructions, self.results = tuple(instructions), tuple(results)

    def uses(self) -> set[Symbol]:
        """Every symbol that is read inside, in nested blocks too."""
        found = set(self.results)
        for instruction in self.instructions:
            found.update(i for i in instruction.inputs if i is not None)
            for block in instruction.blocks():
                found |= block.uses()
        return found


class Program:
    """A whole run: see the module."""

    __slots__ = ("block", "device", "inputs", "results", "state", "writes")

    def __init__(
        self, device: Any, inputs: Sequence[Symbol], state: Sequence[tuple[Any, Symbol]], block: Block,
        results: Sequence[Symbol], writes: Sequence[tuple[Any, Symbol]],
    ) -> None:  # fmt: skip
        self.device, self.inputs, self.state, self.block = device, tuple(inputs), tuple(state), block
        self.results, self.writes = tuple(results), tuple(writes)

    def without_writes(self) -> Program:
        """The program that leaves variables as they are."""
        block = Block(self.block.instructions, self.results)
        return Program(self.device, self.inputs, self.state, block, self.results, ())

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """The instructions of the outermost block."""
        return self.block.instructions

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _lines(program: Program) -> Iterator[str]:
    names: dict[Symbol, str] = {}

    def name(symbol: Symbol | None) -> str:
        if symbol is None:
            return "none"
        if symbol.constant and symbol not in names:
            size = symbol.spec.size
            return f"{program.device.backend.to_host(symbol.array)}" if size == 1 else f"const {symbol.spec.at(None)}"
        return names.setdefault(symbol, f"v{len(names)}")

    def show(block: Block, indent: str) -> Iterator[str]:
        for instruction in block.instructions:
            made = ", ".join(f"{name(o)}: {o.spec.at(None)}" for o in instruction.outputs)
            attrs = getattr(getattr(instruction, "plan", None), "attrs", {})
            given = [name(i) for i in instruction.inputs] + [f"{k}={v}" for k, v in attrs.items()]
            place = f"   # {instruction.where.where}" if getattr(instruction.where, "where", None) else ""
            yield f"{indent}{made} = {instruction.name}({', '.join(given)}){place}"
            for inner in instruction.blocks():
                yield from show(inner, indent + "    ")
                yield f"{indent}    -> {', '.join(map(name, inner.results))}"

    yield f"program on {program.device}"
    for i, symbol in enumerate(program.inputs):
        names[symbol] = f"f{i}"
        yield f"  input {names[symbol]}: {symbol.spec.at(None)}"
    for i, (cell, symbol) in enumerate(program.state):
        names[symbol] = f"s{i}"
        yield f"  state {names[symbol]}: {symbol.spec.at(None)}   # {cell.name}"
    yield from show(program.block, "  ")
    for cell, symbol in program.writes:
        yield f"  write {cell.name} = {name(symbol)}"
    yield f"  return {', '.join(map(name, program.results))}"


__all__ = [
    "Again", "Block", "Call", "Fused", "HostCall", "If", "Instruction", "Joined", "Key", "Program", "Symbol",
    "UnknownValueError", "While",
]  # fmt: skip
