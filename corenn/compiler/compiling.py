"""From what a run needs to something that runs: lowered, optimised, compiled by the backend or else by the executor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from corenn.compiler.executor import Executable
from corenn.compiler.lowering import lower
from corenn.compiler.passes import join_updates, optimize, rematerialize
from corenn.compiler.program import Instruction, Key, Program
from corenn.compiler.verify import verified
from corenn.compiler.watching import saw
from corenn.device import Device
from corenn.graph.operations import Operation
from corenn.graph.tensors import GraphTensor
from corenn.spec import Spec


class Runs(Protocol):
    """What runs a program: the core's ``Executable``, or what a backend's ``compile`` gives.

    Called with the backend's arrays for the program's inputs and state, and a function that draws the next key of a
    random operation; returns the arrays of the results and of the writes.  ``state`` is a list that the caller gives
    up: an array in it that nothing but the variable refers to may be overwritten by what is written to that variable.
    """

    program: Program

    def __call__(self, feeds: Sequence[Any], state: list[Any], key: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Run it."""


class Compiled:
    """A program that can run: ``cells`` are the variables it reads, in order; ``writes`` those it writes, with specs.

    ``written`` are these without specs; ``draws``: whether it asks for keys of random draws; ``asked``: it holds only
    as long as no further variable is initialised.
    """

    __slots__ = ("asked", "cells", "draws", "executable", "specs", "writes", "written")

    def __init__(self, executable: Runs, asked: bool) -> None:
        program = executable.program
        self.executable, self.asked = executable, asked
        self.cells = [cell for cell, _ in program.state]
        self.writes = [(cell, symbol.spec) for cell, symbol in program.writes]
        self.written = [cell for cell, _ in program.writes]
        self.draws = any(_draws(i) for i in program.instructions)
        self.specs = [symbol.spec for symbol in program.results]


def _draws(instruction: Instruction) -> bool:
    return isinstance(instruction, Key) or any(_draws(i) for b in instruction.blocks() for i in b.instructions)


def compile_run(
    operations: Sequence[Operation], fetches: Sequence[GraphTensor], feeds: Mapping[GraphTensor, Spec], device: Device,
    specs: Callable[[Any], Spec | None], *, cells: Collection[Any] = (),
    values: Mapping[GraphTensor, np.ndarray[Any, Any]] | None = None, writes: bool = True,
    memory_budget: int | None = None,
) -> Compiled:  # fmt: skip
    """Compile ``operations`` for ``fetches``: see ``lower``.  Without ``writes``, variables stay as they are.

    ``memory_budget``: bytes that intermediate results should fit into, see ``passes.rematerialize``.  Raises
    UnknownValueError when shapes or decisions depend on values: then operations must run one by one.
    """
    lowered, asked = lower(operations, fetches, feeds, cells, device, specs, values)
    program = optimize(lowered if writes else lowered.without_writes())
    if memory_budget is not None:
        program = rematerialize(program, memory_budget)
    made: Runs | None = device.backend.compile(program)
    executable = Executable(verified(join_updates(program), "join_updates")) if made is None else made
    saw(lowered, executable)
    return Compiled(executable, asked)


__all__ = ["Compiled", "Runs", "compile_run"]
