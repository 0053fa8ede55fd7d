"""Which axes of the values in a group of calls are one and the same, so that one nest of loops runs through them all.

Every axis of every value is made of *factors*.  An elementwise call makes the axes of its operands one with those of
its result; a reshape cuts axes into factors until both sides agree; a reduction leaves factors away.  What is left is
an order of factors, outermost first, in which every value runs through some of them, contiguously; the others it is
repeated along.

Any two axes of one extent may be run through together; whether the order of the calls then still works is a matter of
levels: with the factors parted in two at a *split*, a value is FULL (it has all), a ROW (a number for each step of the
outer ones), a COLUMN (a number for each step of the inner ones), a LINE (it has all the outer ones and the last inner
ones: a row in which the first of the inner ones are summed up) or a SCALAR.  Reductions may go from FULL to any of the
others, and from ROW or COLUMN to SCALAR.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from corenn.compiler.program import Call, Symbol

#: Ops by what they do to axes; all others are elementwise.
REDUCTIONS = frozenset({"sum", "mean", "max", "min", "prod", "any", "all", "count_nonzero"})
RESHAPES = frozenset({"reshape", "expand_dims", "squeeze"})
#: Ops that make values of nothing, or of operands that are not run through (a key).
SOURCES = frozenset({"full", "arange", "random_uniform"})

FULL, ROW, COLUMN, LINE, SCALAR = "full", "row", "column", "line", "scalar"

#: Groups with more factors than this are not made: nests of so many loops are not worth it.
_MOST_FACTORS = 8

Dims = list[list[int]]  # for each axis its factors, none where the extent is 1


@dataclass(frozen=True, slots=True)
class Arrangement:
    """``extents`` of the factors, outermost first; which of them each value made inside has (``made``), and each
    operand from outside (``read``, by place of call and operand); and the splits at which all levels work."""

    extents: tuple[int, ...]
    made: dict[Symbol, tuple[int, ...]]
    read: dict[tuple[int, int], tuple[int, ...]]
    splits: tuple[int, ...]
    axes: dict[Symbol, tuple[tuple[int, ...], ...]]  # what each axis of the values made inside is made of

    def extended(self, call: Call, out_of: Collection[Symbol]) -> Arrangement | None:
        """The arrangement with one elementwise call more, if that is plain to see: its operands from inside run through
        the axes of the largest of them alike.  ``read`` is left as it was.  ``None`` says nothing."""
        if call.name in SOURCES or call.name in RESHAPES or call.name in REDUCTIONS or len(call.outputs) != 1:
            return None
        out = call.outputs[0]
        whole = next((x for x in call.inputs if x in self.axes and x is not None and x.shape == out.shape), None)
        if whole is None:
            return None
        dims = self.axes[whole]
        for x in call.inputs:
            if x is None or x not in self.axes or x is whole:
                continue
            lead = len(dims) - len(x.shape)
            if any(n != 1 and self.axes[x][a] != dims[lead + a] for a, n in enumerate(x.shape)):
                return None
        factors, count = self.made[whole], len(self.extents)
        splits = self.splits
        if out in out_of:
            splits = tuple(k for k in splits if level(factors, count, k)[1])
        if not splits:
            return None
        return Arrangement(self.extents, self.made | {out: factors}, self.read, splits, self.axes | {out: dims})


def level(factors: Sequence[int], count: int, split: int) -> tuple[str, bool]:
    """The level at which a value with these of ``count`` factors is computed, and whether it is just of that level.

    A value that has only some of the factors of a level is computed at that level again and again.
    """
    if not factors:
        return SCALAR, True
    if factors[0] >= split:
        kind, of = COLUMN, count - split
    elif factors[-1] < split:
        kind, of = ROW, split
    else:
        kind, of = FULL, count
        left = [f for f in range(count) if f not in factors]
        if left and left[0] == split and left == list(range(split, split + len(left))):
            return LINE, True
    if split in (0, count):
        kind = FULL
    return kind, len(factors) == of


def arrange(calls: Sequence[Call], outputs: Collection[Symbol]) -> Arrangement | None:
    """How the calls run in one nest of loops; ``None`` if they do not."""
    axes = _Axes()
    for number, call in enumerate(calls):
        if not axes.take(number, call):
            return None
    return axes.arrangement(calls, outputs)


class _Axes:
    """Factors while they are found: each has an extent, and may have turned out to be others."""

    def __init__(self) -> None:
        self.extents: list[int] = []
        self.became: dict[int, list[int]] = {}
        self.dims: dict[Symbol, Dims] = {}
        self.outside: dict[Symbol, Dims] = {}
        self.reads: dict[tuple[int, int], Dims] = {}
        self.reduced: list[tuple[Symbol | tuple[int, int], Symbol]] = []

    # ---- factors

    def fresh(self, extent: int) -> list[int]:
        if extent == 1:
            return []
        self.extents.append(extent)
        return [len(self.extents) - 1]

    def leaves(self, factors: Iterable[int]) -> list[int]:
        """The factors, each replaced by what it has become."""
        if not self.became:
            return list(factors)
        found: list[int] = []
        for f in factors:
            became = self.became.get(f)
            if became is None:
                found.append(f)
            else:
                found += self.leaves(became)
        return found

    def unite(self, a: Iterable[int], b: Iterable[int]) -> bool:
        """Make two lists of factors one, cutting where extents differ; False where they cannot be."""
        left, right = self.leaves(a), self.leaves(b)
        left.reverse()
        right.reverse()
        while left and right:
            x, y = left.pop(), right.pop()
            if x == y:
                continue
            m, n = self.extents[x], self.extents[y]
            if m == n:
                self.became[x] = [y]
                left, right = (self._again(side) for side in (left, right))
                continue
            if m < n:  # cut the longer one
                x, y, m, n, left, right = y, x, n, m, right, left
            if m % n:
                return False
            self.became[x] = [*self.fresh(n), *self.fresh(m // n)]
            first, rest = self.became[x]
            self.became[first] = [y]
            left.append(rest)
            left, right = (self._again(side) for side in (left, right))
        return not left and not right

    def _again(self, side: list[int]) -> list[int]:
        return [f for g in side for f in reversed(self.leaves([g]))]

    # ---- calls

    def take(self, number: int, call: Call) -> bool:
        """Make the axes of a call's operands and results one; False where that cannot be."""
        name = call.name
        if len(call.outputs) != 1:
            return False
        out = call.outputs[0]
        if name in SOURCES:
            self.dims[out] = [self.fresh(n) for n in out.shape]
            return True
        if name in RESHAPES:
            return self._reshape(number, call, out)
        if name in REDUCTIONS:
            return self._reduce(number, call, out)
        return self._elementwise(number, call, out)

    def _operand(self, number: int, place: int, symbol: Symbol) -> Dims:
        """The axes of an operand that is run through whole: those it has, or those it had before, or new ones."""
        known = self.dims.get(symbol)
        if known is not None:
            return known
        found = self.outside.get(symbol)
        if found is None:
            found = self.outside[symbol] = [self.fresh(n) for n in symbol.shape]
        self.reads[number, place] = found
        return found

    def _reshape(self, number: int, call: Call, out: Symbol) -> bool:
        (x,) = call.inputs
        assert x is not None  # it has one operand
        dims = [self.fresh(n) for n in out.shape]
        self.dims[out] = dims
        flat = [f for axis in dims for f in axis]
        return self.unite([f for axis in self._operand(number, 0, x) for f in axis], flat)

    def _reduce(self, number: int, call: Call, out: Symbol) -> bool:
        (x,) = call.inputs
        assert x is not None  # it has one operand
        axes, keep = call.plan.attrs["axis"], call.plan.attrs["keepdims"]
        dims = self._operand(number, 0, x)
        self.dims[out] = [[] if a in axes else d for a, d in enumerate(dims) if keep or a not in axes]
        self.reduced.append((x if x in self.dims else (number, 0), out))
        return True

    def _elementwise(self, number: int, call: Call, out: Symbol) -> bool:
        rank = len(out.shape)
        dims: list[list[int] | None] = [None if n != 1 else [] for n in out.shape]
        later: list[tuple[int, Symbol]] = []
        for place, x in enumerate(call.inputs):
            if x is None or x.spec.size == 1 or x not in self.dims:
                if x is not None:
                    later.append((place, x))
                continue
            if not self._join(dims, self.dims[x], out.shape, x.shape):
                return False
        for _, x in later:  # values from outside that were read before: the same axes, if that works
            known = self.outside.get(x)
            if known is not None:
                self._try_join(dims, known, out.shape, x.shape)
        found = [d if d is not None else self.fresh(n) for d, n in zip(dims, out.shape, strict=True)]
        for place, x in later:
            lead = rank - len(x.shape)
            read = [found[lead + a] if n != 1 else [] for a, n in enumerate(x.shape)]
            if x not in self.dims:
                self.reads[number, place] = read
                self.outside.setdefault(x, read)
        self.dims[out] = found
        return True

    def _join(
        self, dims: list[list[int] | None], other: Dims, shape: tuple[int, ...], own: tuple[int, ...]
    ) -> bool:  # fmt: skip
        """Make ``dims`` of a result of ``shape`` and those of an operand one, aligned from the last axis."""
        lead = len(shape) - len(own)
        for a, n in enumerate(own):
            if n != shape[lead + a] or n == 1:
                continue
            mine = dims[lead + a]
            if mine is None:
                dims[lead + a] = other[a]
            elif not self.unite(mine, other[a]):
                return False
        flat = self.leaves(f for d in dims if d for f in d)
        return len(set(flat)) == len(flat)

    def _try_join(
        self, dims: list[list[int] | None], other: Dims, shape: tuple[int, ...], own: tuple[int, ...]
    ) -> bool:  # fmt: skip
        saved = list(self.extents), dict(self.became), list(dims)
        if self._join(dims, other, shape, own) and (len(self.became) == len(saved[1]) or self._distinct()):
            return True
        self.extents, self.became = saved[0], saved[1]
        dims[:] = saved[2]
        return False

    def _distinct(self) -> bool:
        for found in (*self.dims.values(), *self.outside.values(), *self.reads.values()):
            flat = self.leaves(f for d in found for f in d)
            if len(set(flat)) != len(flat):
                return False
        return True

    # ---- the whole

    def arrangement(self, calls: Sequence[Call], outputs: Collection[Symbol]) -> Arrangement | None:
        """The order of the factors and the splits; ``None`` if there is none."""
        order = self._order()
        if order is None:
            return None
        if not self._covered(order):
            if not self._united_by_shape():
                return None
            order = self._order()
            if order is None or not self._covered(order):
                return None
        if len(order) > _MOST_FACTORS:
            return None
        place = {f: i for i, f in enumerate(order)}
        made = {s: self._places(d, place) for s, d in self.dims.items()}
        read = {k: self._places(d, place) for k, d in self.reads.items()}
        count = len(order)
        needed = [(read[x] if isinstance(x, tuple) else made[x], made[y]) for x, y in self.reduced]
        stored = [made[s] for s in outputs]
        # A reduction's result may be used before and after others, and is kept for that: it must be of one level.
        kept = stored + [y for x, y in needed if x != y]
        splits = tuple(k for k in range(count + 1) if _works(needed, kept, count, k))
        if not splits:
            return None
        axes = {s: tuple(self._places([d], place) for d in dims) for s, dims in self.dims.items()}
        return Arrangement(tuple(self.extents[f] for f in order), made, read, splits, axes)

    def _places(self, dims: Dims, place: dict[int, int]) -> tuple[int, ...]:
        return tuple(place[f] for f in self.leaves(f for d in dims for f in d))

    def _every(self) -> list[list[int]]:
        return [self.leaves(f for d in dims for f in d) for dims in (*self.dims.values(), *self.reads.values())]

    def _order(self) -> list[int] | None:
        """The factors so that every value has its own in this order; ``None`` for values that disagree."""
        after: dict[int, set[int]] = {}
        for flat in self._every():
            if len(set(flat)) != len(flat):
                return None
            for f in flat:
                after.setdefault(f, set())
            for a, b in itertools.pairwise(flat):
                after[a].add(b)
        waiting = {f: 0 for f in after}
        for following in after.values():
            for f in following:
                waiting[f] += 1
        ready = [f for f, n in waiting.items() if not n]
        order: list[int] = []
        while ready:
            f = ready.pop(0)
            order.append(f)
            for g in sorted(after[f]):
                waiting[g] -= 1
                if not waiting[g]:
                    ready.append(g)
        return order if len(order) == len(after) else None

    def _covered(self, order: list[int]) -> bool:
        return any(len(flat) == len(order) for flat in self._every())

    def _united_by_shape(self) -> bool:
        """Run through the largest values together, where they have one shape."""
        every = [*self.dims.items(), *self.outside.items()]
        most = max(s.spec.size for s, _ in every)
        large = [(s, d) for s, d in every if s.spec.size == most]
        first, dims = large[0]
        for symbol, other in large[1:]:
            if symbol.shape != first.shape:
                continue
            if not all(self.unite(a, b) for a, b in zip(dims, other, strict=True)) or not self._distinct():
                return False
        return True


def _works(
    needed: list[tuple[tuple[int, ...], tuple[int, ...]]], kept: list[tuple[int, ...]], count: int, split: int
) -> bool:
    """Whether all reductions and outputs are of the levels that loops have, with the factors parted at ``split``."""
    levels = [level(factors, count, split) for factors in kept]
    if any(not whole for _, whole in levels):
        return False
    if len({factors for factors, (at, _) in zip(kept, levels, strict=True) if at == LINE}) > 1:
        return False
    for x, y in needed:
        if x == y:
            continue
        (above, whole), (below, _) = level(x, count, split), level(y, count, split)
        if not whole or (above, below) not in _STEPS:
            return False
    return True


_STEPS = {(FULL, ROW), (FULL, COLUMN), (FULL, LINE), (FULL, SCALAR), (ROW, SCALAR), (COLUMN, SCALAR)}


def size(extents: Iterable[int]) -> int:
    """How many steps a nest of loops takes."""
    return math.prod(extents)


__all__ = [
    "COLUMN",
    "FULL",
    "LINE",
    "REDUCTIONS",
    "RESHAPES",
    "ROW",
    "SCALAR",
    "SOURCES",
    "Arrangement",
    "arrange",
    "level",
]
