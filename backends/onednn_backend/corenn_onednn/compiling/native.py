"""``Native``: the instruction of a program that is one oneDNN primitive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corenn.compiler.program import Block, Call, Instruction, Symbol
from corenn_onednn.dnnl import Descriptor, Primitive


@dataclass(frozen=True, slots=True)
class Place:
    """A value as a primitive sees it: the symbol, and how its elements lie."""

    symbol: Symbol
    descriptor: Descriptor


class Native(Instruction):
    """A primitive, with what it reads and writes by argument name.

    Where a place's descriptor is not the one the primitive chose, the value is reordered on the way.  ``calls`` are
    those that it stands for, in order.
    """

    __slots__ = ("calls", "operands", "primitive", "results")

    def __init__(
        self, primitive: Primitive, operands: Mapping[str, Place], results: Mapping[str, Place], where: Any,
        calls: Sequence[Call],
    ) -> None:  # fmt: skip
        super().__init__([p.symbol for p in operands.values()], [p.symbol for p in results.values()], where)
        self.primitive, self.operands, self.results = primitive, dict(operands), dict(results)
        self.calls = tuple(calls)

    def rebuilt(self, inputs: Sequence[Symbol | None], blocks: Sequence[Block]) -> Native:
        """On other inputs."""
        given = iter(inputs)
        operands = {}
        for name, place in self.operands.items():
            symbol = next(given)
            assert symbol is not None  # every operand is there
            operands[name] = Place(symbol, place.descriptor)
        return Native(self.primitive, operands, self.results, self.where, self.calls)

    def parts(self) -> tuple[Call, ...]:
        """The calls it stands for."""
        return self.calls

    @property
    def name(self) -> str:
        """The ops it stands for, and how it is done."""
        return f"{'+'.join(c.name for c in self.calls)} by {self.primitive.implementation}"


__all__ = ["Native", "Place"]
