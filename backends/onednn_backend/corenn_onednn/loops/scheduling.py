"""From a group of calls to kernels: what ``planning`` decided, written in the loop language, phase by phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corenn import dtypes
from corenn.compiler.passes.axes import COLUMN, FULL, LINE, RESHAPES, ROW, SCALAR
from corenn.compiler.program import Call, Symbol
from corenn.dtypes import DType
from corenn_onednn.loops.accumulators import COMBINE, identity
from corenn_onednn.loops.expressions import EXPRESSIONS, cast, number_in
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
    RandomBits,
    Statement,
    Store,
    Total,
    add,
    apply,
    convert,
    div,
    mul,
    register_dtype,
)
from corenn_onednn.loops.planning import COLUMNS, EVERYTHING, Plan, Time, accumulator_of, is_reduction

_ALIGN = 64
#: Sums of so many columns are kept in registers while rows are run through.
_REGISTERS = 256
#: ... unless they come of more simple operations on all of them than this: compiling takes its time as well.
_WRITTEN_OUT = 4096


@dataclass
class Scheduled:
    """A kernel, and the symbols its buffers are, in order (scratch buffers are none)."""

    kernel: Kernel
    symbols: list[Symbol]
    rows: bool


class Group:
    """The kernels of a group, in order, and the scratch memory they share."""

    def __init__(self, body: Sequence[Call], outputs: Sequence[Symbol], threads: int) -> None:
        self.plan = Plan(body, outputs)
        self.threads = threads
        self.scratch = 0
        self.spaces: dict[tuple[str, Symbol], int] = {}
        self.read_at: dict[Symbol, list[tuple[Time, tuple[int, ...]]]] = {}
        self.kernels: list[Scheduled] = []
        for phase in self._phases():
            self.kernels.append(_Phase(self, *phase).schedule())

    def _phases(self) -> list[tuple[int, int]]:
        """The phases in which something is stored or reduced."""
        plan = self.plan
        needed = {t[:2] for t in plan.kept.values()}
        needed |= {plan.taken(c)[:2] for c in plan.body if is_reduction(c, plan)}
        return sorted(needed)

    def space(self, use: str, symbol: Symbol, dtype: DType, elements: int) -> int:
        """The place in the scratch memory of what is kept of a value."""
        found = self.spaces.get((use, symbol))
        if found is None:
            found = self.spaces[use, symbol] = self.scratch
            self.scratch += -(-elements * dtype.itemsize // _ALIGN) * _ALIGN
        return found

    def may_alias(self, source: Symbol, target: Symbol) -> bool:
        """Whether an output may be written where an input lies that nothing needs afterwards: both are run through
        alike, and no element of the input is read after that of the output is written."""
        plan = self.plan
        stored = plan.kept.get(target)
        if stored is None or source.spec.dtype.itemsize != target.spec.dtype.itemsize:
            return False
        factors, at = plan.arrangement.made[target], plan.level[target]
        if at == LINE or factors != plan.whole(at):
            return False  # written more than once
        if at in (SCALAR, COLUMN) and stored[1] != COLUMNS:
            return False
        return all(t <= stored and f == factors for t, f in self.read_at.get(source, ()))


class _Phase:
    """One kernel while it is written."""

    def __init__(self, group: Group, stage: int, phase: int) -> None:
        self.group, self.plan = group, group.plan
        self.stage, self.phase = stage, phase
        plan = self.plan
        self.calls = {c.outputs[0]: c for c in plan.body}
        self.place = {c.outputs[0]: n for n, c in enumerate(plan.body)}
        self.reductions = [c for c in plan.body if is_reduction(c, plan) and plan.taken(c)[:2] == (stage, phase)]
        self.crossing = [c for c in self.reductions if plan.time[c.outputs[0]][:2] != (stage, phase)]
        self.stores = [s for s, t in plan.kept.items() if t[:2] == (stage, phase)]
        self.parted = bool(self.crossing)
        self.rowwise = phase == EVERYTHING and not plan.flat
        self.buffers: dict[tuple[str, Symbol], Buffer] = {}
        self.symbols: list[Symbol] = []
        self.first: list[Statement] = []  # before all loops
        self.row: list[Statement] = []  # for each row, or where there are none
        self.lanes: list[Statement] = []
        self.memos: dict[str, dict[object, Expr]] = {"first": {}, "row": {}, "lanes": {}}
        self.keys: dict[Symbol, list[Expr]] = {}
        self.names = 0
        self.now: Time = (stage, phase, 0)
        self.moved = 0.0

    # ---- the kernel

    def schedule(self) -> Scheduled:
        plan = self.plan
        passes = [plan.taken(c)[2] for c in self.reductions] + [plan.kept[s][2] for s in self.stores]
        before: list[Statement] = []  # at the start of a part
        after: list[Statement] = []  # at its end
        bounds = self._bounds()
        for number in range(max(passes, default=0) + 1):
            self._pass(number, bounds, before, after)
        body = self._rows(before, after)
        kernel = Kernel(list(self.buffers.values()), [], *self._share(), body=[*self.first, *body])
        if isinstance(kernel.count, str):
            kernel.extents = [kernel.count]
            kernel.sizes = (self._units(),)
        kernel.buffers.sort(key=lambda b: b.role == "scratch")
        kernel.cost = self._cost()
        return Scheduled(kernel, self.symbols, self.rowwise)

    def _units(self) -> int:
        return self.plan.outer.size if self.rowwise else self.plan.inner.size

    def _share(self) -> tuple[int | str, int]:
        """What chunks share out, and the grain."""
        plan = self.plan
        if self.parted:
            return plan.parts, 1
        if self.rowwise:
            return "rows", 1
        if self.phase == EVERYTHING:
            return "n", 64
        single = len(plan.inner.groups) == 1 and not self.reductions and not self._has_scalars()
        return (plan.inner.extents[0], 64) if single and not plan.flat else (1, 1)

    def _has_scalars(self) -> bool:
        return any(self.plan.level[s] == SCALAR for s in self.stores)

    def _bounds(self) -> tuple[int | str, int | str]:
        """From where to where the innermost loop runs."""
        plan = self.plan
        if self.phase == EVERYTHING and plan.flat:
            return ("first", "last") if self.parted else ("lo", "hi")
        if self.phase == COLUMNS and self._share()[0] != 1:
            return "lo", "hi"
        return 0, plan.inner.extents[-1] if plan.inner.extents else 1

    def _rows(self, before: list[Statement], after: list[Statement]) -> list[Statement]:
        """The statements of all passes, in the loops over rows and parts."""
        plan = self.plan
        body = self.row
        if self.rowwise:
            places = []
            divisor = 1
            for j in reversed(range(len(plan.outer.groups))):
                modulus = plan.outer.extents[j] if j else 0
                places.append(LetIndex(f"o{j}", "r", divisor, modulus))
                divisor *= plan.outer.extents[j]
            if len(places) == 1:
                places = []
            bounds = ("first", "last") if self.parted else ("lo", "hi")
            body = [Loop("r", *bounds, (*places, *body))]
        if not self.parted:
            return [*before, *body, *after]
        total = plan.outer.size if self.rowwise else plan.inner.size
        part = LetPart("part", plan.part_size, total, "first", "last")
        return [Loop("part", "lo", "hi", (part, *before, *body, *after))]

    def _pass(
        self, number: int, bounds: tuple[int | str, int | str], before: list[Statement], after: list[Statement]
    ) -> None:  # fmt: skip
        plan = self.plan
        self.now = (self.stage, self.phase, number)
        self.lanes, self.memos["lanes"] = [], {}
        ends: list[Statement] = []
        totals: list[tuple[Symbol, Expr]] = []
        for call in self.reductions:
            if plan.taken(call) == self.now:
                self._reduce(call, before, after, ends, totals)
        stored = [s for s in self.stores if plan.kept[s] == self.now]
        late = [s for s in stored if plan.level[s] in (SCALAR, ROW)]
        # A result may lie over an operand: all is read and named before anything is written.
        lines = [s for s in stored if plan.level[s] == LINE]
        self.lanes += [self._store(s) for s in stored if s not in late and s not in lines]
        if self.lanes:
            self.row.append(self._nest(bounds))
        if lines:
            self.lanes, self.memos["lanes"] = [], {}
            self.lanes += [self._store(s) for s in lines]
            self.row.append(self._line(tuple(self.lanes)))
        for symbol, total in totals:
            self.memos["row" if self.rowwise else "first"][symbol] = self._named(self.row, total)
        self.row += [self._store(s) for s in late]
        self.row += ends

    def _nest(self, bounds: tuple[int | str, int | str]) -> Statement:
        plan = self.plan
        loop: Statement = Loop(self.plan.lane_variable, *bounds, tuple(self.lanes), lanes=True)
        for j in reversed(range(len(plan.inner.groups) - 1)):
            loop = Loop(f"c{j}", 0, plan.inner.extents[j], (loop,))
        return loop

    def _line(self, body: tuple[Statement, ...]) -> Statement:
        """Loops over a line of a row."""
        plan = self.plan
        *outer, last = plan.line_groups
        loop: Statement = Loop(self.plan.lane_variable, 0, plan.inner.extents[last], body, lanes=True)
        for j in reversed(outer):
            loop = Loop(f"c{j}", 0, plan.inner.extents[j], (loop,))
        return loop

    def _line_of(self, call: Call) -> tuple[Buffer, Index]:
        """Where a reduction of the rows to lines adds up: each chunk has a line of its own."""
        out = call.outputs[0]
        _, dtype = accumulator_of(call)
        line = self._scratch("line", out, dtype, self.group.threads * self.plan.line_size)
        inner = self.plan.inner_index(self.plan.arrangement.made[out])
        return line, Index((("chunk", self.plan.line_size), *inner.terms))

    # ---- reductions

    def _reduce(
        self, call: Call, before: list[Statement], after: list[Statement], ends: list[Statement],
        totals: list[tuple[Symbol, Expr]],
    ) -> None:  # fmt: skip
        plan, out = self.plan, call.outputs[0]
        kind, dtype = accumulator_of(call)
        above, below = plan.source_level(call), plan.level[out]
        value = self._operand(call, 0)
        if call.name in ("any", "all"):
            value = convert(value, dtypes.bool_)
        elif call.name == "count_nonzero":
            value = convert(convert(value, dtypes.bool_), dtypes.int64)
        else:
            value = convert(value, dtype)
        if call in self.crossing and below == COLUMN:
            inner = self.plan.inner_index(plan.arrangement.made[out])
            elements = plan.parts * plan.inner.size
            share = self._scratch("share", out, dtype, elements)
            index = Index((("part", plan.inner.size), *inner.terms), inner.constant)
            if self._in_registers():
                name = f"a{self.place[out]}"
                before.append(Accumulator(name, kind, dtype, plan.inner.size))
                self.lanes.append(Accumulate(name, value))
                store = Store(share, index, Total(dtype, name))
                after.append(Loop(self.plan.lane_variable, 0, plan.inner.size, (store,), lanes=True))
                return
            start = Store(share, index, identity(kind, dtype))
            lanes = Loop(self.plan.lane_variable, 0, plan.inner.extents[-1], (start,), lanes=True)
            nest: Statement = lanes
            for j in reversed(range(len(plan.inner.groups) - 1)):
                nest = Loop(f"c{j}", 0, plan.inner.extents[j], (nest,))
            before.append(nest)
            self.lanes.append(AddTo(share, index, kind, value))
            return
        if below == LINE:
            line = self._line_of(call)
            self.row.append(self._line((Store(*line, identity(kind, dtype)),)))
            self.lanes.append(AddTo(*line, kind, value))
            return
        name = f"a{self.place[out]}"
        declare = Accumulator(name, kind, dtype)
        if call in self.crossing:
            before.append(declare)
            share = self._scratch("share", out, dtype, plan.parts)
            after.append(Store(share, Index((("part", 1),)), Total(dtype, name)))
            target = self.lanes if above == FULL else ends
            target.append(Accumulate(name, value))
            return
        self.row.append(declare)
        self.lanes.append(Accumulate(name, value))
        totals.append((out, self._finished(call, Total(dtype, name))))

    def _in_registers(self) -> bool:
        """Whether sums of columns stay in registers from row to row."""
        plan = self.plan
        count = sum(plan.level[c.outputs[0]] == COLUMN for c in self.crossing)
        single = len(plan.inner.groups) == 1 and count == len(self.reductions)
        work = sum(plan.weight.get(c.inputs[0], 0) + 2 for c in self.crossing if c.inputs[0] is not None)
        work += sum(plan.weight[s] for s in self.stores)  # the loop over a row is written out
        return single and plan.inner.size * count <= _REGISTERS and work * plan.inner.size <= _WRITTEN_OUT

    def _finished(self, call: Call, total: Expr) -> Expr:
        """A reduction's result from what its accumulator came to."""
        if call.name == "mean":
            source, out = call.inputs[0], call.outputs[0]
            assert source is not None  # it has one operand
            return div(total, Const(total.dtype, source.spec.size // out.spec.size))
        return total

    def _combined(self, call: Call) -> Expr:
        """A reduction's result from the shares of all parts, taken together in pairs."""
        plan, out = self.plan, call.outputs[0]
        kind, dtype = accumulator_of(call)
        column = plan.level[out] == COLUMN
        elements = plan.inner.size if column else 1
        share = self._scratch("share", out, dtype, plan.parts * elements)
        index = self.plan.inner_index(plan.arrangement.made[out]) if column else Index()
        self.moved += plan.parts * dtype.itemsize
        values: list[Expr] = [Load(dtype, share, index.plus(p * elements)) for p in range(plan.parts)]
        while len(values) > 1:
            odd = values[-1:] if len(values) % 2 else []
            values = [apply(COMBINE[kind], a, b) for a, b in zip(values[::2], values[1::2], strict=False)] + odd
        return self._finished(call, values[0])

    # ---- memory

    def _buffer(self, role: str, symbol: Symbol, use: str = "") -> Buffer:
        found = self.buffers.get((use, symbol))
        if found is None:
            found = Buffer(f"{role[0]}{len(self.symbols)}", symbol.spec.dtype, role)
            self.buffers[use, symbol] = found
            self.symbols.append(symbol)
        return found

    def _scratch(self, use: str, symbol: Symbol, dtype: DType, elements: int) -> Buffer:
        found = self.buffers.get((use, symbol))
        if found is None:
            offset = self.group.space(use, symbol, dtype, elements)
            count = sum(b.role == "scratch" for b in self.buffers.values())
            found = self.buffers[use, symbol] = Buffer(f"t{count}", dtype, "scratch", offset)
        return found

    def _home(self, symbol: Symbol) -> tuple[Buffer, Index]:
        """Where a kept value lies."""
        plan = self.plan
        factors = plan.arrangement.made[symbol]
        if symbol in plan.outputs:
            return self._buffer("output", symbol), self.plan.index(factors)
        dtype = register_dtype(symbol.spec.dtype)
        times = plan.asked.get(symbol, set()) | {plan.kept[symbol]}
        if plan.level[symbol] == FULL and len({t[:2] for t in times}) == 1 and not plan.flat:
            row = self._scratch("row", symbol, dtype, self.group.threads * plan.inner.size)
            inner = self.plan.inner_index(tuple(range(plan.split, plan.count)))
            return row, Index((("chunk", plan.inner.size), *inner.terms))
        whole = plan.whole(plan.level[symbol])
        return self._scratch("kept", symbol, dtype, plan.steps(whole)), plan.index(whole)

    def _store(self, symbol: Symbol) -> Store:
        value = self._value(symbol, fresh=True)
        self.moved += symbol.spec.dtype.itemsize
        return Store(*self._home(symbol), value)

    # ---- values

    def _scope(self, factors: tuple[int, ...]) -> str:
        """Where a value with these factors stands: before all loops, in a row, or in lanes."""
        plan = self.plan
        if not factors:
            return "first"
        if factors[-1] < plan.split:
            return "row"
        return "lanes"

    def _statements(self, scope: str) -> list[Statement]:
        if (
            scope == "first" and self.phase == COLUMNS
        ):  # numbers that come of the columns stand after the loop over them
            return self.row
        return {"first": self.first, "row": self.row, "lanes": self.lanes}[scope]

    def _named(self, where: list[Statement], value: Expr) -> Expr:
        if isinstance(value, Const | Name):
            return value
        self.names += 1
        name = f"v{self.names - 1}"
        where.append(Let(name, value))
        return Name(value.dtype, name)

    def _operand(self, call: Call, place: int) -> Expr:
        symbol = call.inputs[place]
        assert symbol is not None  # ``expressible`` has looked
        if symbol in self.calls:
            return self._value(symbol)
        number = number_in(symbol)
        if number is not None:
            return Const(register_dtype(symbol.spec.dtype), number)
        factors = self.plan.arrangement.read[self.place[call.outputs[0]], place]
        return self._read(symbol, factors)

    def _read(self, symbol: Symbol, factors: tuple[int, ...]) -> Expr:
        self.group.read_at.setdefault(symbol, []).append((self.now, factors))
        scope = self._scope(factors)
        memo = self.memos[scope]
        found = memo.get((symbol, factors))
        if found is None:
            load = Load(register_dtype(symbol.spec.dtype), self._buffer("input", symbol), self.plan.index(factors))
            found = memo[symbol, factors] = self._named(self._statements(scope), load)
            if scope == "lanes":
                self.moved += symbol.spec.dtype.itemsize
        return found

    def _value(self, symbol: Symbol, fresh: bool = False) -> Expr:
        """The value of what the group makes, here and now; ``fresh``: it is about to be stored."""
        plan = self.plan
        factors = plan.arrangement.made[symbol]
        scope = self._scope(factors)
        memo = self.memos[scope]
        found = memo.get(symbol)
        if found is not None:
            return found
        stored = plan.kept.get(symbol)
        if stored is not None and not fresh and stored < self.now and (
            stored[:2] != self.now[:2] or plan.level[symbol] in (FULL, COLUMN)
        ):  # fmt: skip
            buffer, index = self._home(symbol)
            value: Expr = Load(register_dtype(symbol.spec.dtype), buffer, index)
        else:
            value = self._computed(self.calls[symbol], factors)
        found = memo[symbol] = self._named(self._statements(scope), value)
        return found

    def _computed(self, call: Call, factors: tuple[int, ...]) -> Expr:
        name, out, plan = call.name, call.outputs[0], self.plan
        if is_reduction(call, plan):
            if plan.level[out] == LINE:
                return self._finished(call, Load(accumulator_of(call)[1], *self._line_of(call)))
            return self._combined(call)  # those of this phase are in the memos
        dtype = register_dtype(out.spec.dtype)
        if name in RESHAPES or name in ("sum", "prod", "max", "min", "mean", "any", "all"):
            return convert(self._operand(call, 0), dtype)
        if name == "count_nonzero":
            return convert(convert(self._operand(call, 0), dtypes.bool_), dtype)
        if name == "full":
            return Const(dtype, call.plan.attrs["value"])
        if name == "arange":
            return self._counted(call, factors)
        if name == "random_uniform":
            return self._drawn(call, factors)
        args = [self._operand(call, n) for n in range(len(call.inputs))]
        made = EXPRESSIONS[name](*args, **call.plan.attrs)
        return made if made.dtype is dtype else cast(made, out.spec.dtype)

    def _counted(self, call: Call, factors: tuple[int, ...]) -> Expr:
        start, step = call.plan.attrs["start"], call.plan.attrs["step"]
        place: Expr = Position(dtypes.int64, self.plan.index(factors))
        if step != 1:
            place = mul(place, Const(dtypes.int64, int(step)))
        if start:
            place = add(place, Const(dtypes.int64, int(start)))
        return cast(place, call.outputs[0].spec.dtype)

    def _drawn(self, call: Call, factors: tuple[int, ...]) -> Expr:
        """Uniform numbers: 24 random bits over 2**24."""
        key = call.inputs[0]
        assert key is not None  # a draw has a key
        words = self.keys.get(key)
        if words is None:
            self.group.read_at.setdefault(key, []).append((self.now, (-1,)))
            buffer = self._buffer("input", key)
            words = [self._named(self.first, Load(dtypes.uint64, buffer, Index((), n))) for n in range(3)]
            self.keys[key] = words
        seed, stream, offset = words
        drawn = RandomBits(dtypes.uint32, seed, stream, offset, self.plan.index(factors))
        kept = apply("shr", drawn, Const(dtypes.uint32, 8))
        signed = Apply(dtypes.int32, "bits", (kept,))  # below 2**24: the signed conversion is the fast one
        return mul(convert(signed, dtypes.float32), Const(dtypes.float32, 2.0**-24))

    # ---- cost

    def _cost(self) -> float:
        """Roughly the nanoseconds that one of what chunks share out takes."""
        plan = self.plan
        seen = {s for s in self.memos["lanes"] if isinstance(s, Symbol)}
        work = sum(_weight(plan, s) for s in seen) * 0.01 + self.moved * 0.007 + 0.01
        each = plan.inner.size if self.rowwise else 1
        rows = plan.part_size if self.parted else 1
        scalar = 1.0 + 8.0 * (len(self.reductions) - len(self.crossing)) if self.rowwise else 0.0
        return (work * each + scalar) * rows


def _weight(plan: Plan, symbol: Symbol) -> float:
    return plan.weight[symbol] - sum(
        plan.weight[s] for s in plan.maker[symbol].inputs if s is not None and s in plan.maker
    )
