"""From a program to a command list: passes, buffers, and a command for every instruction."""

from __future__ import annotations

import ctypes
import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.compiler.cost import flops_of
from corenn.compiler.passes import eliminate_common_subexpressions, prune
from corenn.compiler.passes.axes import RESHAPES
from corenn.compiler.passes.decompose import decompose
from corenn.compiler.passes.fuse import fuse
from corenn.compiler.program import Call, Fused, HostCall, Instruction, Key, Program, Symbol
from corenn_onednn.compiling.buffers import LINE, MemoryPlan, Part, Storage, View, aligned
from corenn_onednn.compiling.choosing import choose, is_native
from corenn_onednn.compiling.executable import NativeExecutable, Step
from corenn_onednn.compiling.native import Native, Place
from corenn_onednn.compiling.ordering import with_python_first, with_updates_early
from corenn_onednn.compiling.series import Looping, Piece, Series
from corenn_onednn.compiling.updating import Updating, with_updates_in_registers
from corenn_onednn.dnnl import Arguments, Memory, Primitive, load
from corenn_onednn.dnnl.primitives.elementwise import reorder
from corenn_onednn.kernels.openblas import serial
from corenn_onednn.loops import LoopKernel, compile_group, compile_kernel, expressible
from corenn_onednn.loops.decompositions import DECOMPOSITIONS, is_thin
from corenn_onednn.native import CommandList

_log = logging.getLogger("corenn")
Array = np.ndarray[Any, Any]
#: Ops whose NumPy kernels are products by OpenBLAS.  Those of fewer operations than ``_SHORT`` do not wait for the
#: threads of OpenMP, which still spin after the commands before them (see ``kernels.openblas``).
_PRODUCTS = {"matmul", "einsum", "conv", "conv_input_grad", "conv_weight_grad"}
_SHORT = 100_000_000
#: What is prepared of variables may take this many bytes more than they do: tiles of filters take four times theirs.
_ALLOWED = 16_000_000
#: Ops whose result is the operand's memory under another shape.
_SAME_MEMORY = RESHAPES | {"identity", "stop_gradient"}


def compile_program(program: Program) -> NativeExecutable | None:
    """An executable for a program, or ``None`` for one that has branches, loops or text in it."""
    if not program.instructions:
        return None
    if any(i.blocks() for i in program.instructions):
        _log.info("a program with branches or loops runs kernel by kernel")
        return None
    if any(s.spec.dtype is dtypes.string for i in program.instructions for s in (*i.inputs, *i.outputs) if s):
        _log.info("a program with text in it runs kernel by kernel")
        return None
    apart = decompose(program, _is_whole, DECOMPOSITIONS)
    chosen = prune(choose(prune(eliminate_common_subexpressions(apart))))
    fused = fuse(chosen, lambda call: expressible(call) and not _is_empty(call))
    ordered = with_updates_early(with_python_first(fused))
    return _Compilation(program, with_updates_in_registers(ordered, load().threads)).executable()


def _is_whole(call: Call) -> bool:
    """Whether a call is not to be taken apart."""
    if call.plan.op.name == "matmul" and not is_thin(call):
        return True
    return is_native(call) or expressible(call) or _is_empty(call)


def _is_empty(call: Call) -> bool:
    """Whether there is nothing to compute with: NumPy's kernels know what comes of that."""
    return any(s is not None and 0 in s.spec.shape for s in (*call.inputs, *call.outputs))


class _Compilation:
    """One program on its way."""

    def __init__(self, program: Program, fused: Program) -> None:
        self.program, self.fused = program, fused
        self.library = load()
        self.library.stream()
        self.threads = self.library.threads
        self.team = self.threads  # of the primitives that are emitted
        self.storages: dict[Symbol, Storage] = {}
        self.parts: list[Storage] = []
        self.steps: list[Step] = []
        self.commands: CommandList | None = None
        self.texts: list[str] = []
        self.now = 0
        self.kept: list[Any] = []
        for number, symbol in enumerate(fused.inputs):
            self.storages[symbol] = Storage("feed", symbol.spec.nbytes, number)
        for number, (_, symbol) in enumerate(fused.state):
            self.storages[symbol] = Storage("state", symbol.spec.nbytes, number)
        self.last = self._last_uses()
        changed = {id(cell) for cell, _ in fused.writes}
        #: Variables that the program only reads, and how many bytes what is prepared of them may take.
        self.steady = {symbol for cell, symbol in fused.state if id(cell) not in changed}
        self.room = _ALLOWED + sum(symbol.spec.nbytes for symbol in self.steady) if self.steady else 0
        self.preparation: CommandList | None = None
        self.last_of_python = max((n for n, i in enumerate(fused.instructions) if _is_pythons(i)), default=-1)
        self.overwritten = [False] * len(fused.state)
        #: The arrays of inputs and variables as the program sees them, filled in when it runs.
        self.fed: list[Array] = [np.empty(0)] * len(fused.inputs)
        self.state: list[Array] = [np.empty(0)] * len(fused.state)
        self.views: list[tuple[View, Storage]] = []
        self.constants: dict[Storage, Array] = {}

    # ---- values and where they lie

    def _last_uses(self) -> dict[Storage | Symbol, int]:
        """The last step at which each value, or another name of the same memory, is read."""
        root: dict[Symbol, Symbol] = {}
        last: dict[Any, int] = {}
        for number, instruction in enumerate(self.fused.instructions):
            for symbol in instruction.inputs:
                if symbol is not None:
                    last[root.get(symbol, symbol)] = number
            if _is_same_memory(instruction):
                source = instruction.inputs[0]
                assert source is not None  # views have an operand
                root[instruction.outputs[0]] = root.get(source, source)
        for symbol in self.fused.results:
            last[root.get(symbol, symbol)] = len(self.fused.instructions)
        for cell_symbol in self.fused.writes:
            symbol = cell_symbol[1]
            last[root.get(symbol, symbol)] = len(self.fused.instructions)
        self.root = root
        return last

    def storage(self, symbol: Symbol) -> Storage:
        """Where a value lies; a part of the block if it has no place yet."""
        found = self.storages.get(symbol)
        if found is None:
            if symbol.constant:
                array = np.ascontiguousarray(symbol.array)
                found = Storage("constant", array.nbytes)
                self.constants[found] = array
                found.place(array.ctypes.data)
            else:
                found = self.part(symbol.spec.nbytes)
            self.storages[symbol] = found
        return found

    def part(self, count: int) -> Storage:
        """A new part of the block."""
        made = Storage("block", count)
        self.parts.append(made)
        return made

    def temporary(self, count: int) -> Storage:
        """A part of the block for this step alone."""
        made = self.part(count)
        made.needed(self.now)
        return made

    def used(self, symbol: Symbol) -> Storage:
        """The storage of a symbol that this step reads or writes."""
        found = self.storage(symbol)
        found.needed(self.now)
        return found

    def lasting(self, symbol: Symbol, count: int) -> Storage | None:
        """A part of the block that stays, for what is prepared of a value that does not change; ``None`` if it does, or
        if there is no more room for such parts."""
        if self.root.get(symbol, symbol) not in self.steady or count > self.room:
            return None
        self.room -= count
        made = self.part(count)
        made.needed(0)
        made.needed(len(self.fused.instructions))
        return made

    # ---- commands

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Commands that are given here are not run with the others, but when variables have other arrays."""
        commands, team = self.commands, self.team
        self.preparation = self.preparation or self._list()
        self.commands, self.team = self.preparation, 0
        try:
            yield
        finally:
            self.commands, self.team = commands, team

    def _list(self) -> CommandList:
        return CommandList(self.threads, execute=self.library.execute_address, linked_with=self.library.path)

    def native(self) -> CommandList:
        """The list that commands go to; Python's steps begin a new one."""
        if self.commands is None:
            made = self.commands = self._list()
            self.steps.append(lambda key: made.run())
        return self.commands

    def python(self, step: Step) -> None:
        """A step that Python does."""
        self.commands = None
        self.steps.append(step)

    def primitive(self, primitive: Primitive, storages: Mapping[str, Storage | Part]) -> None:
        """A command for a primitive whose arguments lie there; scratch memory is found for it if none is given."""
        memories = {}
        for name, descriptor in primitive.descriptors.items():
            given = storages.get(name)
            where = self.temporary(descriptor.bytes) if given is None and name == "scratchpad" else storages[name]
            memories[name] = Memory(descriptor, 0)
            where.follow(memories[name].set)
        arguments = Arguments(primitive, memories)
        self.kept += [primitive, arguments]
        if primitive.threads != self.team or self.commands is None:
            self.team = primitive.threads
            self.native().team(self.team)
        self.native().primitive(primitive.handle, self.library.stream(), arguments.count, arguments.address)

    def loop(self, kernel: LoopKernel, symbols: int, places: Sequence[Storage | Part]) -> None:
        """A command for a kernel whose ``symbols``, and then its scratch memory if it has any, lie there."""
        arguments = kernel.arguments([0] * symbols)
        for number, place in enumerate(places):
            place.follow(functools.partial(arguments.__setitem__, number))
        self.kept += [arguments, kernel]
        self.native().loop(kernel.address, ctypes.addressof(arguments), kernel.chunks)

    def emit_native(self, instruction: Native) -> None:
        """The primitive, with reorders before and after where it likes other layouts."""
        wanted = instruction.primitive.descriptors
        storages: dict[str, Storage] = {}
        for name, place in instruction.operands.items():
            storages[name] = self.used(place.symbol)
            if place.descriptor != wanted[name]:
                kept = self.lasting(place.symbol, wanted[name].bytes)
                moved = kept or self.temporary(wanted[name].bytes)
                with self.preparing() if kept else nullcontext():
                    self.primitive(reorder(place.descriptor, wanted[name]), {"src": storages[name], "dst": moved})
                storages[name] = moved
        turned: list[tuple[Place, Storage, str]] = []
        for name, place in instruction.results.items():
            storages[name] = self.used(place.symbol)
            storages[name].bytes = max(storages[name].bytes, place.descriptor.bytes)
            if place.descriptor != wanted[name]:
                turned.append((place, storages[name], name))
                storages[name] = self.temporary(wanted[name].bytes)
        for name in wanted:
            if name not in storages and name != "scratchpad":
                storages[name] = self.temporary(wanted[name].bytes)  # a result that nothing reads
        self.primitive(instruction.primitive, storages)
        for place, target, name in turned:
            self.primitive(reorder(wanted[name], place.descriptor), {"src": storages[name], "dst": target})

    def emit_fused(self, instruction: Fused) -> None:
        """The loops of a group.  A result may be written over an operand that nothing needs later."""
        self.emit_kernels(instruction, compile_group(instruction, self.threads))

    def emit_kernels(self, instruction: Instruction, kernels: list[LoopKernel]) -> None:
        """Kernels that compute an instruction's results.  Those may be written over an operand that nothing needs."""
        self._share(instruction, kernels)
        for symbol in (*instruction.inputs, *instruction.outputs):
            if symbol is not None:
                self.used(symbol)
        scratch = self.temporary(kernels[0].scratch) if kernels and kernels[0].scratch else None
        for kernel in kernels:
            places: list[Storage | Part] = [self.used(s) for s in kernel.symbols]
            if kernel.uses_scratch and scratch is not None:
                places.append(scratch)
            self.loop(kernel, len(kernel.symbols), places)
            self.texts.append(kernel.text)

    def emit_series(self, instruction: Series) -> None:
        """Its primitives and loops, one after the other."""
        written = {symbol for _, symbol in self.fused.writes}
        for output, source in instruction.over.items():
            base = self.root.get(source, source)
            storage = self.storages.get(base)
            if storage is not None and storage.kind == "block" and self._dies(base) and output not in written:
                self.storages[output] = storage
        places: dict[Symbol | str, Storage] = {s: self.used(s) for s in instruction.outputs}
        places |= {s: self.used(s) for s in instruction.inputs if s is not None}
        kept = self._prepared(instruction)
        places |= {name: kept.get(name) or self.temporary(count) for name, count in instruction.own.items()}
        wanted = [s.primitive.scratchpad_bytes for s in instruction.steps if not isinstance(s, Looping)]
        scratch = self.temporary(max(wanted)) if any(wanted) else None
        kernels: dict[int, LoopKernel] = {}

        def part(piece: Piece) -> Part:
            return Part(places[piece.of], piece.offset)

        for step in instruction.steps:
            if not isinstance(step, Looping):
                given = {name: part(piece) for name, piece in step.pieces.items()}
                if scratch is not None and step.primitive.scratchpad_bytes:
                    given["scratchpad"] = Part(scratch, 0)
                self.primitive(step.primitive, given)
                continue
            kernel = kernels.get(id(step.kernel))
            if kernel is None:
                kernel = kernels[id(step.kernel)] = compile_kernel(step.kernel, self.threads)
                self.texts.append(kernel.text)
            with self.preparing() if step.prepares and step.pieces[1].of in kept else nullcontext():
                self.loop(kernel, len(step.pieces), [part(piece) for piece in step.pieces])

    def _prepared(self, instruction: Series) -> dict[Symbol | str, Storage]:
        """Where what a series prepares of variables stays, by the name of its memory."""
        found: dict[Symbol | str, Storage] = {}
        for step in instruction.steps:
            if isinstance(step, Looping) and step.prepares:
                source, target = step.pieces
                assert isinstance(source.of, Symbol)  # what is prepared are operands
                assert isinstance(target.of, str)  # into memory of the series
                made = self.lasting(source.of, instruction.own[target.of])
                if made is not None:
                    found[target.of] = made
        return found

    def _share(self, instruction: Instruction, kernels: list[LoopKernel]) -> None:
        """Give results the memory of operands that die here, and new values of variables the variables' own."""
        if not kernels:
            return
        may_alias = kernels[0].may_alias  # the same for all of a group
        taken: set[Symbol] = set()
        written = {symbol: cell for cell, symbol in self.fused.writes}
        state_of = {id(cell): symbol for cell, symbol in self.fused.state}
        mine = [i for i in instruction.inputs if i is not None]
        for output in instruction.outputs:
            target = state_of.get(id(written.get(output)))
            if target is not None and not (self._dies(target) and self.now > self.last_of_python):
                target = None  # a run that Python stops must leave the variables as they were
            for source in mine:
                base = self.root.get(source, source)
                storage = self.storages.get(base)
                fits = storage is not None and storage.bytes >= output.spec.nbytes and base not in taken
                if not fits or storage is None:
                    continue
                names = [i for i in mine if self.storages.get(self.root.get(i, i)) is storage]
                if not all(may_alias(name, output) for name in names):
                    continue
                if target is not None:
                    if base is not target:
                        continue
                    self.overwritten[storage.number] = True
                elif storage.kind != "block" or not self._dies(base) or output in written:
                    continue
                self.storages[output] = storage
                taken.add(base)
                break

    def _dies(self, symbol: Symbol) -> bool:
        """Whether nothing reads the memory after this step."""
        return self.last.get(symbol, -1) <= self.now

    def emit_call(self, instruction: Call) -> None:
        """A call that Python makes, of the NumPy kernel that eager calls would use."""
        run, single = instruction.plan.run, instruction.plan.op.results is None
        if instruction.name in _PRODUCTS and flops_of(instruction.plan) < _SHORT:
            run = serial()(run)
        given = [None if i is None else self.view(i) for i in instruction.inputs]
        made = [self.view(o) for o in instruction.outputs]

        def step(key: Any) -> None:
            found = run(*[None if view is None else view() for view in given])
            for view, array in zip(made, (found,) if single else found, strict=True):
                view()[...] = array

        self.python(step)

    def emit_host(self, instruction: HostCall) -> None:
        """Python on host arrays."""
        function = instruction.function
        given = [self.view(i) for i in instruction.inputs if i is not None]
        made = [self.view(o) for o in instruction.outputs]

        def step(key: Any) -> None:
            found = function(*[view() for view in given])
            for view, array in zip(made, found or (), strict=True):
                view()[...] = array

        if given or len(made) > 1:
            self.python(step)
        elif made:
            (view,) = made

            def one(key: Any) -> None:
                (view()[...],) = function()

            self.python(one)
        else:

            def effect(key: Any) -> None:
                function()

            self.python(effect)

    def emit_key(self, instruction: Key) -> None:
        """The next key of a random operation."""
        operation, (output,) = instruction.operation, instruction.outputs
        view = self.view(output)

        def step(key: Callable[[Any], Any]) -> None:
            view()[...] = key(operation)

        self.python(step)

    def view(self, symbol: Symbol) -> Callable[[], Array]:
        """How a step finds the array of a value, once the program runs."""
        storage = self.used(symbol)
        shape, dtype = symbol.spec.static, symbol.spec.dtype.numpy
        if storage.kind == "feed":
            fed = self.fed
            return lambda: fed[storage.number].reshape(shape)
        if storage.kind == "state":
            state = self.state
            return lambda: state[storage.number].reshape(shape)
        if storage.kind == "constant":
            array = self.constants[storage].reshape(shape)
            return lambda: array
        part = View(shape, dtype)
        self.views.append((part, storage))
        return part

    # ---- the whole

    def executable(self) -> NativeExecutable:
        """Everything together."""
        for instruction in self.fused.instructions:
            self.emit(instruction)
            self.now += 1
        results = [self._copied(symbol) for symbol in self.fused.results]
        writes = [self._written(cell, symbol) for cell, symbol in self.fused.writes]
        plan = MemoryPlan(self.parts)
        self.block = np.empty(plan.peak + 2 * LINE, np.uint8)
        start = aligned(self.block)
        self.block = self.block[start - self.block.ctypes.data :]
        plan.place(self.parts, start)
        for part, storage in self.views:
            part.lie(self.block[storage.address - start :])
        feeds = [self.storages[s] for s in self.fused.inputs]
        state = [self.storages[s] for _, s in self.fused.state]
        made = NativeExecutable(
            self.program, self.fused, feeds, state, self.fed, self.state, self.overwritten, self.steps, results, writes,
            plan, self.texts, None if self.preparation is None else self.preparation.run,
            (self.kept, self.block, self.constants),
        )  # fmt: skip
        return made

    def emit(self, instruction: Instruction) -> None:
        """The commands of one instruction."""
        if isinstance(instruction, Native):
            self.emit_native(instruction)
        elif isinstance(instruction, Updating):
            self.emit_kernels(instruction, [instruction.kernel])
        elif isinstance(instruction, Fused):
            self.emit_fused(instruction)
        elif isinstance(instruction, Series):
            self.emit_series(instruction)
        elif _is_same_memory(instruction):
            source = instruction.inputs[0]
            assert source is not None
            self.storages[instruction.outputs[0]] = self.used(source)
        elif isinstance(instruction, Call):
            self.emit_call(instruction)
        elif isinstance(instruction, HostCall):
            self.emit_host(instruction)
        elif isinstance(instruction, Key):
            self.emit_key(instruction)
        else:
            raise TypeError(f"unknown instruction {instruction!r}")

    def _copied(self, symbol: Symbol) -> Callable[[], Array]:
        view = self.view(symbol)
        return lambda: view().copy()

    def _written(self, cell: Any, symbol: Symbol) -> Callable[[], Array] | int:
        """The new array of a variable: its own, by its number, if that was overwritten, else a new one."""
        storage = self.used(symbol)
        mine = next((i for i, (c, _) in enumerate(self.fused.state) if c is cell), None)
        if storage.kind == "state" and storage.number == mine and self.overwritten[storage.number]:
            return storage.number
        return self._copied(symbol)


def _is_pythons(instruction: Instruction) -> bool:
    """Whether Python does it, so that it may raise an error."""
    return isinstance(instruction, (Call, HostCall, Key)) and not _is_same_memory(instruction)


def _is_same_memory(instruction: Instruction) -> bool:
    return (
        isinstance(instruction, Call)
        and instruction.plan.op.name in _SAME_MEMORY
        and instruction.outputs[0].spec.dtype is instruction.plan.inputs[0].dtype
    )


__all__ = ["compile_program"]
