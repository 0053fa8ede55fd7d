"""Kernels to LLVM: a walk over the loop language that writes LLVM's textual form.

Lanes are explicit vectors, so nothing depends on an optimiser finding them: a loop over lanes has a main part of whole
vectors (several at a time where it accumulates, so that additions do not wait for one another) and a masked rest.
Accumulators and the order of their additions depend on extents alone, never on threads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from corenn import dtypes
from corenn.dtypes import DType
from corenn_onednn.loops import draws, functions, instructions, memory
from corenn_onednn.loops.accumulators import COMBINE, horizontal, start_of, turns_of, users_of
from corenn_onednn.loops.instructions import constant, memory_type, register_type, suffix
from corenn_onednn.loops.ir import (
    Accumulate,
    Accumulator,
    AddTo,
    Apply,
    Buffer,
    Const,
    Expr,
    Index,
    Kernel,
    Let,
    LetIndex,
    LetPart,
    Load,
    Loop,
    Name,
    Position,
    Prefetch,
    RandomBits,
    Statement,
    Store,
    Total,
    walk,
)

#: Functions of float32 that AVX-512 has instructions for: there lanes are sixteen.
_OF_SIXTEEN = ("rsqrt", "scaled")
#: Whole vectors of a loop of known extents are written out up to this many.
_STRAIGHT = 2


@dataclass
class _Lanes:
    """Where in a loop over lanes the writer is: the variable, its value at the first lane, the mask, the turn of how
    many, and which vector of the loop it is, where that is known."""

    variable: str
    first: str
    mask: str | None
    slot: int
    turns: int
    number: int


class Writer:
    """Writes one function.  ``width`` is the number of lanes."""

    def __init__(self, kernel: Kernel, name: str, width: int) -> None:
        self.kernel, self.name, self.width = kernel, name, width
        self.lines: list[str] = []
        self.entry: list[str] = []
        self.declared: dict[str, str] = {}
        self.draws = False
        self._count = itertools.count()
        self._names: dict[str, tuple[str, DType, bool]] = {}
        self._ints: dict[str, str] = {}
        self._pointers: dict[str, str] = {}
        self._memo: list[dict[int, tuple[Expr, str, bool]]] = [{}]
        self._lanes: _Lanes | None = None
        self._block = "entry"
        self._slots: dict[str, tuple[Accumulator, list[str], str | None]] = {}
        self._drawn: dict[int, str] = {}  # random bits of all the vectors that are taken at a time

    # ---- the pieces of text

    def put(self, text: str) -> str:
        """Write an instruction that has a result; returns its name."""
        name = f"%v{next(self._count)}"
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """Write an instruction without a result."""
        self.lines.append(f"  {text}")

    def call(self, function: str, result: str, args: Sequence[tuple[str, str]], flags: str = "") -> str:
        """Call a declared function."""
        self.declared[function] = f"declare {result} @{function}({', '.join(t for t, _ in args)})"
        return self.put(f"call {flags}{result} @{function}({', '.join(f'{t} {v}' for t, v in args)})")

    def intrinsic(self, name: str, dtype: DType, width: int, values: list[str], flags: str = "") -> str:
        """Call an intrinsic whose operands and result have one type."""
        type_ = register_type(dtype, width)
        return self.call(f"llvm.{name}.{suffix(dtype, width)}", type_, [(type_, v) for v in values], flags)

    def library(self, name: str, value: str, width: int) -> str:
        """A function of the C library, for each lane."""
        if width == 1:
            return self.call(name, "double", [("double", value)])
        type_ = f"<{width} x double>"
        result = "poison"
        for lane in range(width):
            one = self.call(name, "double", [("double", self.put(f"extractelement {type_} {value}, i64 {lane}"))])
            result = self.put(f"insertelement {type_} {result}, double {one}, i64 {lane}")
        return result

    def label(self, stem: str) -> str:
        """A new name for a block."""
        return f"{stem}{next(self._count)}"

    def start(self, block: str) -> None:
        """Begin a block."""
        self.lines.append(f"{block}:")
        self._block = block

    # ---- the function

    def text(self) -> str:
        """The function."""
        buffers = self.kernel.buffers
        outside = [b for b in buffers if b.role != "scratch"]
        slot = 0
        for buffer in outside:
            self._pointers[buffer.name] = self._argument("ptr", slot)
            slot += 1
        scratch = [b for b in buffers if b.role == "scratch"]
        if scratch:
            base = self._argument("ptr", slot)
            slot += 1
            for buffer in scratch:
                self._pointers[buffer.name] = self.put(f"getelementptr i8, ptr {base}, i64 {buffer.offset}")
        for extent in self.kernel.extents:
            self._ints[extent] = self._argument("i64", slot)
            slot += 1
        self._bounds()
        self._statements(self.kernel.body)
        self.do("ret void")
        attributes = 'nounwind "prefer-vector-width"="512"'
        head = f"define void @{self.name}(ptr %args, i64 %chunk, i64 %chunks) {attributes} {{\nentry:"
        return "\n".join([head, *self.entry, *self.lines, "}"]) + "\n"

    def _argument(self, type_: str, slot: int) -> str:
        place = self.put(f"getelementptr ptr, ptr %args, i64 {slot}")
        return self.put(f"load {type_}, ptr {place}")

    def _bounds(self) -> None:
        """``lo`` and ``hi``: the chunk's share, in whole grains."""
        count, grain = self._int(self.kernel.count), self.kernel.grain
        units = self.put(f"udiv i64 {self.put(f'add i64 {count}, {grain - 1}')}, {grain}") if grain > 1 else count
        after = self.put("add i64 %chunk, 1")
        for name, chunk in (("lo", "%chunk"), ("hi", after)):
            share = self.put(f"udiv i64 {self.put(f'mul i64 {units}, {chunk}')}, %chunks")
            bound = self.put(f"mul i64 {share}, {grain}") if grain > 1 else share
            self._ints[name] = self.call("llvm.umin.i64", "i64", [("i64", bound), ("i64", count)])
        self._ints["chunk"] = "%chunk"

    def _int(self, value: int | str) -> str:
        return str(value) if isinstance(value, int) else self._ints[value]

    # ---- statements

    def _statements(self, body: Sequence[Statement]) -> None:
        for statement in body:
            if isinstance(statement, Let):
                self._names[statement.name] = self._value(statement.value)
            elif isinstance(statement, Store):
                self._store(statement.buffer, statement.index, statement.value, statement.where)
            elif isinstance(statement, AddTo):
                old = Load(statement.value.dtype, statement.buffer, statement.index)
                new = Apply(old.dtype, COMBINE[statement.kind], (old, statement.value))
                self._store(statement.buffer, statement.index, new)
            elif isinstance(statement, Prefetch):
                memory.prefetch(self, self._address(statement.buffer, statement.index), statement.writes)
            elif isinstance(statement, Accumulator):
                self._declare(statement)
            elif isinstance(statement, Accumulate):
                self._accumulate(statement)
            elif isinstance(statement, LetIndex):
                value = self._ints[statement.value]
                if statement.divisor != 1:
                    value = self.put(f"udiv i64 {value}, {statement.divisor}")
                if statement.modulus:
                    value = self.put(f"urem i64 {value}, {statement.modulus}")
                self._ints[statement.name] = value
            elif isinstance(statement, LetPart):
                first = self.put(f"mul i64 {self._ints[statement.part]}, {statement.size}")
                last = self.put(f"add i64 {first}, {statement.size}")
                self._ints[statement.first] = first
                self._ints[statement.last] = self.call(
                    "llvm.umin.i64", "i64", [("i64", last), ("i64", str(statement.count))]
                )
            elif isinstance(statement, Loop):
                self._loop(statement)
            else:
                raise TypeError(f"unknown statement {statement!r}")

    def _loop(self, loop: Loop) -> None:
        if loop.lanes:
            self._lanes_loop(loop)
            return
        with self._repeat(self._int(loop.start), self._int(loop.stop), 1) as variable:
            self._ints[loop.variable] = variable
            self._statements(loop.body)

    @contextmanager
    def _repeat(self, start: str, stop: str, step: int) -> Iterator[str]:
        """The blocks of a loop; gives the variable."""
        before, head, body, latch, after = self._block, *(self.label(s) for s in ("head", "body", "next", "end"))
        variable, following = f"%i{next(self._count)}", f"%n{next(self._count)}"
        self.do(f"br label %{head}")
        self.start(head)
        self.lines.append(f"  {variable} = phi i64 [ {start}, %{before} ], [ {following}, %{latch} ]")
        self.do(f"br i1 {self.put(f'icmp slt i64 {variable}, {stop}')}, label %{body}, label %{after}")
        self.start(body)
        self._memo.append({})
        yield variable
        self._memo.pop()
        self.do(f"br label %{latch}")
        self.start(latch)
        self.lines.append(f"  {following} = add nuw nsw i64 {variable}, {step}")
        self.do(f"br label %{head}")
        self.start(after)

    def _lanes_loop(self, loop: Loop) -> None:
        steps = sorted({turns_of(loop.body, self.width), 1}, reverse=True)
        if isinstance(loop.start, int) and isinstance(loop.stop, int):
            self._known_lanes(loop, loop.start, loop.stop, steps)
        else:
            self._unknown_lanes(loop, self._int(loop.start), self._int(loop.stop), steps)

    def _known_lanes(self, loop: Loop, first: int, stop: int, steps: list[int]) -> None:
        """A loop over lanes of known bounds; ``steps``: how many vectors to take at a time, the most first."""
        width, start = self.width, first
        whole, rest = divmod(stop - first, width)
        apart = self._keeps_apart(loop.body)
        for step in steps:
            times = whole // step
            if times > _STRAIGHT and not apart:
                end = first + times * step * width
                with self._repeat(str(first), str(end), step * width) as variable:
                    self._vectors(loop, variable, step)
                first = end
            else:
                for _ in range(times):
                    self._vectors(loop, str(first), step, (first - start) // width)
                    first += step * width
            whole -= times * step
        if rest:
            mask = ", ".join(f"i1 {'true' if lane < rest else 'false'}" for lane in range(width))
            self._vector(loop, str(first), f"<{mask}>", 0, 1, (first - start) // width)

    def _keeps_apart(self, body: Sequence[Statement]) -> bool:
        """Whether a loop over lanes uses accumulators that have a value for each lane."""
        names = {s.name for s in body if isinstance(s, Accumulate)}
        values = [s.value for s in body if isinstance(s, (Let, Store))]
        names |= {e.name for v in values for e in walk(v) if isinstance(e, Total)}
        return any(self._slots[name][0].lanes for name in names)

    def _unknown_lanes(self, loop: Loop, first: str, stop: str, steps: list[int]) -> None:
        """A loop over lanes whose bounds are found when it runs."""
        width = self.width
        for step in steps:
            count = self.put(f"sub i64 {stop}, {first}")
            rest = self.put(f"urem i64 {count}, {step * width}")
            last = self.put(f"sub i64 {stop}, {rest}")
            with self._repeat(first, last, step * width) as variable:
                self._vectors(loop, variable, step)
            first = last
        left = self.put(f"sub i64 {stop}, {first}")
        some, after = self.label("rest"), self.label("end")
        self.do(f"br i1 {self.put(f'icmp sgt i64 {left}, 0')}, label %{some}, label %{after}")
        self.start(some)
        type_ = f"<{width} x i64>"
        filled = self._splat(left, "i64", width)
        mask = self.put(f"icmp ult {type_} {memory.multiples(1, width)}, {filled}")
        self._vector(loop, first, mask, 0, 1)
        self.do(f"br label %{after}")
        self.start(after)

    def _vectors(self, loop: Loop, first: str, turns: int, number: int = 0) -> None:
        for turn in range(turns):
            here = self.put(f"add nuw nsw i64 {first}, {turn * self.width}") if turn else first
            self._vector(loop, here, None, turn, turns, number + turn)
        self._drawn.clear()

    def _vector(self, loop: Loop, first: str, mask: str | None, slot: int, turns: int, number: int = 0) -> None:
        """The body, once, for the lanes from ``first`` on."""
        self._ints[loop.variable] = first
        self._lanes = _Lanes(loop.variable, first, mask, slot, turns, number)
        self._memo.append({})
        outside = dict(self._names)
        self._statements(loop.body)
        self._names = outside
        self._memo.pop()
        self._lanes = None

    # ---- accumulators

    def _declare(self, statement: Accumulator) -> None:
        dtype = dtypes.int32 if statement.kind in ("any", "all") else statement.dtype
        vectors, scalar = users_of(self.kernel.body, statement.name, self.width)
        if statement.lanes:
            vectors, scalar = -(-statement.lanes // self.width), False
        start = start_of(statement.kind, dtype)
        slots = []
        for width, count in ((self.width, vectors), (1, int(scalar))):
            type_ = register_type(dtype, width)
            for _ in range(count):
                place = f"%a{next(self._count)}"
                self.entry.append(f"  {place} = alloca {type_}")
                self.do(f"store {type_} {constant(start, dtype, width)}, ptr {place}")
                slots.append(place)
        self._slots[statement.name] = (statement, slots[:vectors], slots[-1] if scalar else None)

    def _accumulate(self, statement: Accumulate) -> None:
        accumulator, vectors, scalar = self._slots[statement.name]
        kind, dtype, lanes = accumulator.kind, accumulator.dtype, self._lanes
        width = self.width if lanes else 1
        value = self._full(statement.value, width)
        if kind in ("any", "all"):
            truth = register_type(dtypes.bool_, width)
            dtype = dtypes.int32
            value = self.put(f"zext {truth} {value} to {register_type(dtype, width)}")
        place = scalar if lanes is None else vectors[lanes.number if accumulator.lanes else lanes.slot]
        assert place is not None  # ``users_of`` has counted this statement
        type_ = register_type(dtype, width)
        old = self.put(f"load {type_}, ptr {place}")
        new = instructions.operation(self, COMBINE[kind], dtype, [(old, dtype), (value, dtype)], width)
        if lanes and lanes.mask:
            new = self.put(f"select <{width} x i1> {lanes.mask}, {type_} {new}, {type_} {old}")
        self.do(f"store {type_} {new}, ptr {place}")

    def _total(self, total: Total) -> str:
        accumulator, vectors, scalar = self._slots[total.name]
        kind = accumulator.kind
        dtype = dtypes.int32 if kind in ("any", "all") else accumulator.dtype
        op = COMBINE[kind]
        type_ = register_type(dtype, self.width)
        if accumulator.lanes:
            assert self._lanes is not None  # totals of lanes are asked for in lanes
            found = self.put(f"load {type_}, ptr {vectors[self._lanes.number]}")
            return self.put(f"icmp ne {type_} {found}, zeroinitializer") if kind in ("any", "all") else found
        values = [self.put(f"load {type_}, ptr {place}") for place in vectors]
        while len(values) > 1:
            pairs = [[(a, dtype), (b, dtype)] for a, b in zip(values[::2], values[1::2], strict=False)]
            odd = values[-1:] if len(values) % 2 else []
            values = [instructions.operation(self, op, dtype, pair, self.width) for pair in pairs] + odd
        result = horizontal(self, kind, dtype, values[0]) if values else None
        if scalar is not None:
            alone = self.put(f"load {register_type(dtype, 1)}, ptr {scalar}")
            if result is not None:
                alone = instructions.operation(self, op, dtype, [(result, dtype), (alone, dtype)], 1)
            result = alone
        assert result is not None  # an accumulator nothing is taken into is not declared
        if kind in ("any", "all"):
            return self.put(f"icmp ne i32 {result}, 0")
        return result

    # ---- memory

    def _address(self, buffer: Buffer, index: Index) -> str:
        return self.put(f"getelementptr {memory_type(buffer.dtype)}, ptr {self._pointers[buffer.name]}, "
                        f"i64 {self._place(index)}")  # fmt: skip

    def _place(self, index: Index) -> str:
        """An index as an int64, at the first lane."""
        total: str | None = None
        for variable, stride in index.terms:
            part = self._ints[variable] if stride == 1 else self.put(f"mul nsw i64 {self._ints[variable]}, {stride}")
            total = part if total is None else self.put(f"add nsw i64 {total}, {part}")
        if total is None:
            return str(index.constant)
        return self.put(f"add nsw i64 {total}, {index.constant}") if index.constant else total

    def _lane_stride(self, index: Index) -> int:
        return index.stride(self._lanes.variable) if self._lanes else 0

    def _load(self, load: Load) -> tuple[str, bool]:
        dtype, stride = load.buffer.dtype, self._lane_stride(load.index)
        width = self.width if stride else 1
        address = self._address(load.buffer, load.index)
        raw = memory.load(self, dtype, address, stride, width, self._mask(width, load.where))
        return instructions.from_memory(self, raw, dtype, width), width > 1

    def _mask(self, width: int, condition: Expr | None) -> str | None:
        """Which lanes of ``width`` take part: all (``None``), or those of the loop's rest, if a condition holds."""
        rest = self._lanes.mask if self._lanes and width > 1 else None
        if condition is None:
            return rest
        if width == 1:
            raise ValueError("conditions of loads and stores are for lanes")
        mask = self._full(condition, width)
        return self.put(f"and <{width} x i1> {mask}, {rest}") if rest else mask

    def _store(self, buffer: Buffer, index: Index, expression: Expr, condition: Expr | None = None) -> None:
        stride = self._lane_stride(index)
        width = self.width if stride else 1
        value = instructions.to_memory(self, self._full(expression, width), buffer.dtype, width)
        mask = self._mask(width, condition)
        memory.store(self, buffer.dtype, value, self._address(buffer, index), stride, width, mask)

    # ---- values

    def _splat(self, value: str, type_: str, width: int) -> str:
        one = self.put(f"insertelement <{width} x {type_}> poison, {type_} {value}, i64 0")
        return self.put(f"shufflevector <{width} x {type_}> {one}, <{width} x {type_}> poison, "
                        f"<{width} x i32> zeroinitializer")  # fmt: skip

    def _full(self, expression: Expr, width: int) -> str:
        """The value of an expression in ``width`` lanes, or as one."""
        if isinstance(expression, Const):
            return constant(expression.value, expression.dtype, width)
        value, dtype, lanes = self._value(expression)
        if width > 1 and not lanes:
            return self._splat(value, register_type(dtype, 1), width)
        if width == 1 and lanes:
            raise ValueError("a value that differs between lanes is used as one")
        return value

    def _value(self, expression: Expr) -> tuple[str, DType, bool]:
        """The value, its dtype, and whether it differs between lanes."""
        for known in self._memo:
            found = known.get(id(expression))
            if found is not None:
                return found[1], expression.dtype, found[2]
        value, lanes = self._new_value(expression)
        self._memo[-1][id(expression)] = (expression, value, lanes)  # which keeps the id taken
        return value, expression.dtype, lanes

    def _drawn_wide(self, bits: RandomBits, key: list[str], slot: int) -> str:
        """The random bits of one of the vectors taken at a time; those of all are drawn for the first."""
        type_ = f"{{{', '.join(['<16 x i32>'] * 4)}}}"
        if id(bits) not in self._drawn:
            element = self.put(f"add i64 {self._place(bits.index)}, {key[2]}")
            self._drawn[id(bits)] = self.put(f"call {type_} @philox_wide(i64 {key[0]}, i64 {key[1]}, i64 {element})")
        return self.put(f"extractvalue {type_} {self._drawn[id(bits)]}, {slot}")

    def _new_value(self, e: Expr) -> tuple[str, bool]:
        if isinstance(e, Const):
            return constant(e.value, e.dtype, 1), False
        if isinstance(e, Name):
            value, _, lanes = self._names[e.name]
            return value, lanes
        if isinstance(e, Load):
            return self._load(e)
        if isinstance(e, Total):
            return self._total(e), bool(self._slots[e.name][0].lanes)
        if isinstance(e, Position):
            place = self._place(e.index)
            if not self._lane_stride(e.index):
                return self.put(f"add i64 {place}, 0"), False
            return self.put(f"add <{self.width} x i64> {self._splat(place, 'i64', self.width)}, "
                            f"{memory.multiples(1, self.width)}"), True  # fmt: skip
        if isinstance(e, RandomBits):
            key = [self._full(part, 1) for part in (e.seed, e.stream, e.offset)]
            lanes = bool(self._lane_stride(e.index))
            self.draws = True
            if lanes and self._lanes and self._lanes.turns * self.width == draws.WIDE:
                return self._drawn_wide(e, key, self._lanes.slot), True
            element = self.put(f"add i64 {self._place(e.index)}, {key[2]}")
            name, type_ = ("philox_lanes", f"<{self.width} x i32>") if lanes else ("philox_one", "i32")
            return self.put(f"call {type_} @{name}(i64 {key[0]}, i64 {key[1]}, i64 {element})"), lanes
        assert isinstance(e, Apply)
        lanes = any([self._value(a)[2] for a in e.args if not isinstance(a, Const)])
        width = self.width if lanes else 1
        made = functions.expansion(e.op, e.args[0].dtype)
        if made is not None and not (width == 16 and e.op in _OF_SIXTEEN and e.dtype is dtypes.float32):
            return self._value(made(*e.args))[0], lanes
        args = [(self._full(a, width), a.dtype) for a in e.args]
        return instructions.operation(self, e.op, e.dtype, args, width), lanes


def module(kernel: Kernel, name: str, width: int) -> str:
    """The LLVM module with the kernel as function ``name``."""
    writer = Writer(kernel, name, width)
    body = writer.text()
    helpers = draws.helpers(width) if writer.draws else ""
    return "\n".join([*writer.declared.values(), helpers, body])
