"""When and where the values of a group are computed: levels, times and homes, which ``scheduling`` turns into kernels.

The work of a group is a sequence of *phases*: columns (what has no outer axes), then everything, then columns again,
and so on.  A reduction over the rows ends a phase: each part of the rows leaves its share, and the next columns phase
adds the shares up.  Within a phase a reduction along a row ends a *pass* over the row.  Values are computed where they
are asked for; one that is asked for at several times is kept in memory if computing it again costs more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from corenn import dtypes
from corenn.compiler.passes.axes import COLUMN, FULL, LINE, REDUCTIONS, RESHAPES, ROW, SCALAR, arrange, level
from corenn.compiler.program import Call, Symbol
from corenn.dtypes import DType
from corenn_onednn.loops import functions
from corenn_onednn.loops.expressions import EXPRESSIONS, number_in
from corenn_onednn.loops.ir import Apply, Const, Index, Name, register_dtype, walk

#: stage, phase (columns, everything), pass
Time = tuple[int, int, int]
COLUMNS, EVERYTHING = 0, 1

#: Values that cost more simple operations than this are kept rather than computed again.
_CHEAP = 10
#: Elements of one part of a reduction over rows, and most parts of one.  They depend on extents alone, so that sums do
#: not depend on the number of threads.
_PART = 16384
_MOST_PARTS = 16
#: Several parts come in multiples of this, so that two or four threads have as many each.
_EVEN = 4


@dataclass
class Dims:
    """The loops of one half of the axes: neighbouring factors that every value has both or neither of are one loop."""

    groups: list[tuple[int, ...]] = field(default_factory=list)
    extents: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Steps in all."""
        return math.prod(self.extents)


class Plan:
    """Levels, times and homes of the values of a group; ``None`` of them are instructions yet."""

    def __init__(self, body: Sequence[Call], outputs: Sequence[Symbol]) -> None:
        arrangement = arrange(body, outputs)
        if arrangement is None:
            names = ", ".join(c.name for c in body)
            raise ValueError(f"these calls do not run in one nest of loops: {names}")
        self.body, self.outputs = list(body), list(outputs)
        self.arrangement = arrangement
        self.count = len(arrangement.extents)
        self.maker = {c.outputs[0]: c for c in body}
        self.split = self._best_split()
        #: The first factor of the lines, if there are any.
        kept = [arrangement.made[s] for s in (*outputs, *(c.outputs[0] for c in body if c.name in REDUCTIONS))]
        lines = [f for f in kept if level(f, self.count, self.split)[0] == LINE]
        self.line = min((f[self.split] for f in lines), default=self.count)
        self.outer = self._dims(range(self.split))
        self.inner = self._dims(range(self.split, self.count))
        self.flat = not self.outer.groups
        self.level = {s: level(f, self.count, self.split)[0] for s, f in arrangement.made.items()}
        if self.count == 0:
            self.level = dict.fromkeys(self.level, SCALAR)
        self.time: dict[Symbol, Time] = {}
        self.weight: dict[Symbol, float] = {}
        self.reduced: set[Symbol] = set()
        for call in body:
            self._settle(call)
        self.kept: dict[Symbol, Time] = {}
        self.asked: dict[Symbol, set[Time]] = {}
        for call in reversed(body):
            self._ask(call)
        rows = self.inner.size if self.flat else self.outer.size
        each = 1 if self.flat else self.inner.size
        parts = max(1, min(_MOST_PARTS, rows * each // _PART, rows))
        if parts > 1:
            parts = min(-(-parts // _EVEN) * _EVEN, rows)
        size = -(-rows // parts)
        self.part_size = -(-size // 64) * 64 if self.flat else size
        self.parts = -(-rows // self.part_size)

    # ---- axes

    def _values(self) -> list[tuple[int, ...]]:
        return [*self.arrangement.made.values(), *self.arrangement.read.values()]

    def _together(self, a: int, b: int) -> bool:
        return all((a in v) == (b in v) for v in self._values())

    def _dims(self, factors: Sequence[int]) -> Dims:
        dims = Dims()
        for f in factors:
            extent = self.arrangement.extents[f]
            if dims.groups and self._together(dims.groups[-1][-1], f):
                dims.groups[-1] += (f,)
                dims.extents[-1] *= extent
            else:
                dims.groups.append((f,))
                dims.extents.append(extent)
        return dims

    def _best_split(self) -> int:
        """Where all inner axes are one loop, as long as can be; else the innermost axis alone."""
        splits = [k for k in self.arrangement.splits if k < self.count] or [0]
        for k in splits:
            if all(self._together(k, f) for f in range(k + 1, self.count)):
                return k
        return splits[-1]

    @property
    def line_groups(self) -> list[int]:
        """The loops over a line, by their places among the inner ones."""
        return [j for j, group in enumerate(self.inner.groups) if group[0] >= self.line]

    @property
    def line_size(self) -> int:
        """Elements of a line."""
        return math.prod(self.inner.extents[j] for j in self.line_groups)

    @property
    def lane_variable(self) -> str:
        """The variable of the innermost loop."""
        return "i" if self.flat else "c"

    def whole(self, at: str) -> tuple[int, ...]:
        """All factors of a level."""
        return {
            SCALAR: (), COLUMN: tuple(range(self.split, self.count)), ROW: tuple(range(self.split)),
            LINE: (*range(self.split), *range(self.line, self.count)), FULL: tuple(range(self.count)),
        }[at]  # fmt: skip

    def steps(self, factors: Sequence[int]) -> int:
        """How many elements a value with these factors has."""
        return math.prod(self.arrangement.extents[f] for f in factors)

    def inner_index(self, factors: tuple[int, ...]) -> Index:
        """The index of what a value with these factors is within one step of the outer loops."""
        return self.index(tuple(f for f in factors if f >= self.split))

    def index(self, factors: tuple[int, ...]) -> Index:
        """The index of a value with these factors, in the variables of the loops."""
        strides: dict[int, int] = {}
        step = 1
        for f in reversed(factors):
            strides[f] = step
            step *= self.arrangement.extents[f]
        terms: list[tuple[str, int]] = []
        if self.split and all(f in strides for f in range(self.split)):
            terms.append(("r", strides[self.split - 1]))
        else:
            several = len(self.outer.groups) > 1
            terms += [
                (f"o{j}" if several else "r", strides[g[-1]])
                for j, g in enumerate(self.outer.groups) if g[-1] in strides
            ]  # fmt: skip
        last = len(self.inner.groups) - 1
        terms += [
            (self.lane_variable if j == last else f"c{j}", strides[g[-1]])
            for j, g in enumerate(self.inner.groups) if g[-1] in strides
        ]  # fmt: skip
        return Index(tuple(terms))

    # ---- times

    def own_time(self, symbol: Symbol, at: str) -> Time:
        """When a value can first be used by something of level ``at``."""
        found = self.time.get(symbol)
        if found is None:
            return (0, COLUMNS, 0) if at in (SCALAR, COLUMN) else (0, EVERYTHING, 0)
        stage, phase, turn = found
        if at not in (SCALAR, COLUMN) and phase == COLUMNS:
            return stage, EVERYTHING, 0
        return stage, phase, turn

    def _settle(self, call: Call) -> None:
        """Time, weight and whether it comes of a reduction, for a call's result."""
        out = call.outputs[0]
        at = self.level[out]
        made = [s for s in call.inputs if s is not None and s in self.maker]
        if any(s in self.reduced for s in made):
            self.reduced.add(out)
        self.weight[out] = _cost(call) + sum(self.weight[s] for s in made)
        if is_reduction(call, self):
            (source,) = call.inputs
            assert source is not None  # it has one operand
            stage, phase, turn = self.taken(call)
            above = self.source_level(call)
            crosses = phase == EVERYTHING and not (above == FULL and at in (ROW, LINE))
            self.time[out] = (stage + 1, COLUMNS, 0) if crosses else (stage, phase, turn + 1)
            self.reduced.add(out)
            self.weight[out] = 1
        else:
            first: Time = (0, COLUMNS if at in (SCALAR, COLUMN) else EVERYTHING, 0)
            self.time[out] = max([first, *(self.own_time(s, at) for s in made)])

    def source_level(self, call: Call) -> str:
        """The level of a reduction's operand."""
        (source,) = call.inputs
        if source in self.level:
            return self.level[source]
        place = self.body.index(call)
        return level(self.arrangement.read[place, 0], self.count, self.split)[0]

    def taken(self, call: Call) -> Time:
        """When a reduction takes its operand in."""
        (source,) = call.inputs
        assert source is not None  # it has one operand
        return self.own_time(source, self.source_level(call))

    # ---- what is kept

    def _ask(self, call: Call) -> None:
        out = call.outputs[0]
        asked = self.asked.get(out, set())
        if out in self.outputs or (asked and self._worth_keeping(out, asked)):
            self.kept[out] = self._storing_time(out, asked)
        if is_reduction(call, self):
            times = {self.taken(call)}
        else:
            times = {self.kept[out]} if out in self.kept else asked
        for s in call.inputs:
            if s is not None and s in self.maker:
                self.asked.setdefault(s, set()).update(times)

    def _storing_time(self, symbol: Symbol, asked: set[Time]) -> Time:
        if self.level[symbol] in (SCALAR, COLUMN) or not asked or is_reduction(self.maker[symbol], self):
            return self.time[symbol]
        return min(asked)

    def _worth_keeping(self, symbol: Symbol, asked: set[Time]) -> bool:
        at, reduced = self.level[symbol], symbol in self.reduced
        kernels = {t[:2] for t in asked} | {self.time[symbol][:2]}
        if is_reduction(self.maker[symbol], self):
            return len(kernels) > 1
        if at == SCALAR:
            return reduced and len(kernels) > 1
        if at == COLUMN:
            return len(kernels) > 1 and (reduced or self.weight[symbol] > 1)
        if at == ROW:
            return len({t[:2] for t in asked}) > 1 and (reduced or self.weight[symbol] > _CHEAP)
        if at == LINE and self.arrangement.made[symbol][self.split] != self.line:
            return False
        return len(asked) > 1 and self.weight[symbol] > _CHEAP


def is_reduction(call: Call, plan: Plan) -> bool:
    """Whether a call adds anything up: a reduction over axes of extent 1 alone does not."""
    if call.name not in REDUCTIONS:
        return False
    made = plan.arrangement.made
    (source,) = call.inputs
    before = made[source] if source in made else plan.arrangement.read[plan.body.index(call), 0]
    return before != made[call.outputs[0]]


def _cost(call: Call) -> float:
    """Simple operations for one element of a call's result."""
    name = call.name
    if name in RESHAPES or name in ("full", "broadcast_to", "identity", "stop_gradient"):
        return 0
    if name == "random_uniform":
        return 80
    if name == "arange" or name in REDUCTIONS:
        return 1
    operands = tuple((s.spec.dtype, number_in(s)) for s in call.inputs if s is not None)
    key = (name, operands, tuple(map(str, call.plan.attrs.items())))
    found = _costs.get(key)
    if found is None:
        args = [operand(s) for s in call.inputs if s is not None]
        tree = EXPRESSIONS[name](*args, **call.plan.attrs)
        found = _costs[key] = sum(functions.COSTS.get(e.op, 1) for e in walk(tree) if isinstance(e, Apply))
    return found


_costs: dict[tuple[object, ...], float] = {}


def operand(symbol: Symbol) -> Const | Name:
    """A stand-in for an operand of a call, or its number."""
    dtype = register_dtype(symbol.spec.dtype)
    number = number_in(symbol)
    return Name(dtype, "x") if number is None else Const(dtype, number)


def accumulator_of(call: Call) -> tuple[str, DType]:
    """How a reduction takes values in: the kind of accumulator, and the dtype of one."""
    kind = {"mean": "sum", "count_nonzero": "sum"}.get(call.name, call.name)
    if kind in ("any", "all"):
        return kind, dtypes.bool_
    return kind, register_dtype(call.outputs[0].spec.dtype)
