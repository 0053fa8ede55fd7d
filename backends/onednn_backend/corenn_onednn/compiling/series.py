"""``Series``: the instruction that is many primitives and loops, on parts of values and on memory of its own.

A recurrent network is one: its steps are the same few commands again and again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from corenn.compiler.program import Block, Instruction, Symbol
from corenn_onednn.dnnl import Descriptor, Primitive
from corenn_onednn.dnnl.primitives.elementwise import reorder
from corenn_onednn.loops.ir import Kernel


@dataclass(frozen=True, slots=True)
class Piece:
    """Memory of a value, or of the series' own by its name, from ``offset`` bytes on."""

    of: Symbol | str
    offset: int = 0

    def at(self, count: int) -> Piece:
        """``count`` bytes further on."""
        return Piece(self.of, self.offset + count)


@dataclass(frozen=True, slots=True)
class Execution:
    """A primitive on pieces, by argument name; memory for what it wants beside them is found for it."""

    primitive: Primitive
    pieces: Mapping[str, Piece]


@dataclass(frozen=True, slots=True)
class Looping:
    """A kernel on pieces, in the order of its buffers.

    ``prepares``: it reads the first and writes the second, memory of the series that nothing else writes, so that it
    may be run once for a first that does not change.
    """

    kernel: Kernel
    pieces: tuple[Piece, ...]
    prepares: bool = False


@dataclass
class Steps:
    """A series while it is put together.  ``own``: bytes of the memory it has for itself, by name."""

    steps: list[Execution | Looping] = field(default_factory=list)
    own: dict[str, int] = field(default_factory=dict)

    def memory(self, name: str, count: int) -> Piece:
        """New memory of ``count`` bytes."""
        self.own[name] = count
        return Piece(name)

    def execute(self, primitive: Primitive, **pieces: Piece) -> None:
        """Next, run a primitive."""
        self.steps.append(Execution(primitive, pieces))

    def loop(self, kernel: Kernel, *pieces: Piece) -> None:
        """Next, run a kernel."""
        self.steps.append(Looping(kernel, pieces))

    def prepare(self, kernel: Kernel, source: Piece, target: Piece) -> None:
        """Next, run a kernel that prepares a source (see ``Looping``)."""
        self.steps.append(Looping(kernel, (source, target), prepares=True))

    def move(self, source: Piece, described: Descriptor, target: Piece, wanted: Descriptor) -> None:
        """Next, copy elements from one layout to another."""
        self.execute(reorder(described, wanted), src=source, dst=target)

    def packed(self, name: str, source: Piece, described: Descriptor, wanted: Descriptor) -> Piece:
        """The elements in the wanted layout: where they are, or moved to memory of that name."""
        if described == wanted:
            return source
        target = self.memory(name, wanted.bytes)
        self.move(source, described, target, wanted)
        return target


class Series(Instruction):
    """Primitives and loops, one after the other, in place of the calls of ``ops``.

    ``over``: results that may be written over an operand, where nothing needs that afterwards.
    """

    __slots__ = ("ops", "over", "own", "steps")

    def __init__(
        self, steps: Sequence[Execution | Looping], own: Mapping[str, int], inputs: Sequence[Symbol | None],
        outputs: Sequence[Symbol], where: Any, ops: Sequence[str], over: Mapping[Symbol, Symbol] | None = None,
    ) -> None:  # fmt: skip
        super().__init__([i for i in inputs if i is not None], outputs, where)
        self.steps, self.own, self.ops, self.over = tuple(steps), dict(own), tuple(ops), dict(over or {})

    def rebuilt(self, inputs: Sequence[Symbol | None], blocks: Sequence[Block]) -> Series:
        """On other inputs."""
        put: dict[Symbol | str | None, Symbol | None] = {}
        put.update(zip(self.inputs, inputs, strict=True))

        def turned(piece: Piece) -> Piece:
            new = put.get(piece.of)
            return piece if new is None else Piece(new, piece.offset)

        steps: list[Execution | Looping] = [
            Looping(s.kernel, tuple(turned(p) for p in s.pieces), s.prepares)
            if isinstance(s, Looping)
            else Execution(s.primitive, {n: turned(p) for n, p in s.pieces.items()})
            for s in self.steps
        ]
        over = {o: put.get(i) or i for o, i in self.over.items()}
        return Series(steps, self.own, inputs, self.outputs, self.where, self.ops, over)

    @property
    def name(self) -> str:
        """The ops it stands for, and how many commands that takes."""
        return f"{'+'.join(self.ops)} in {len(self.steps)} commands"


__all__ = ["Execution", "Looping", "Piece", "Series", "Steps"]
