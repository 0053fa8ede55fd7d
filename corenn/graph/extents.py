"""Extents that are not known yet, followed through a shape rule: which values can they take, and what follows?

A rule of the op table is Python on ints.  It is run on ``Extent``s: ints with a value, which also know how they change
with each unknown, and which note every comparison they take part in.  A run that was refused says in its last
comparisons what it would have needed (an extent equal to another, a kernel no larger than an image); solving for that
gives the next values to try.  A run that succeeded says where it could have gone another way (an extent of 1, which
broadcasts), and these ways are tried, too.  So a result that is the same in every run can be believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, TypeVar

from corenn.errors import CorennError

R = TypeVar("R")

#: Values an unknown starts from, in two searches: rich in divisors, unlike each other and unlike any in a program.
_BASES = ((5040, 720), (55440, -720))
#: Runs of one search until the first success, and after it.
_MOST, _MORE = 120, 24

Slopes = dict[int, Fraction]
#: A comparison: the difference of its sides, how it changes with the unknowns, differences that turn it round, and
#: whether it was an equality that held.
Note = tuple[int, Slopes, tuple[int, ...], bool]


class Extent(int):
    """An int that may be other than it is: ``slopes`` say by how much for each unknown, ``notes`` hears comparisons.

    Floor division and remainder count as their linear parts, products as linear in each factor: enough to solve for
    the numbers that shape rules compare.
    """

    slopes: Slopes
    notes: list[Note]

    def __new__(cls, value: int, slopes: Slopes, notes: list[Note]) -> Extent:
        """An int ``value``."""
        made = super().__new__(cls, value)
        made.slopes, made.notes = slopes, notes
        return made

    #: By identity: a spec with such extents must not be taken for that of a real array.
    __hash__ = object.__hash__

    def _made(self, value: int, *parts: tuple[Any, Fraction | int]) -> Any:
        slopes: Slopes = {}
        for number, factor in parts:
            for unknown, slope in getattr(number, "slopes", {}).items():
                slopes[unknown] = slopes.get(unknown, Fraction(0)) + slope * factor
        slopes = {u: s for u, s in slopes.items() if s}
        return Extent(value, slopes, self.notes) if slopes else value

    def __add__(self, other: Any) -> Any:
        return self._made(int(self) + int(other), (self, 1), (other, 1)) if isinstance(other, int) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._made(int(self) - int(other), (self, 1), (other, -1)) if isinstance(other, int) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return self._made(int(other) - int(self), (self, -1), (other, 1)) if isinstance(other, int) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        a, b = int(self), int(other)
        return self._made(a * b, (self, b), (other, a))

    __rmul__ = __mul__

    def __neg__(self) -> Any:
        return self._made(-int(self), (self, -1))

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def _divided(self, a: Any, b: Any) -> tuple[Any, Any]:
        x, y = int(a), int(b)
        quotient = self._made(x // y, (a, Fraction(1, y)), (b, Fraction(-x, y * y)))
        return quotient, self._made(x % y, (a, 1))

    def __floordiv__(self, other: Any) -> Any:
        return self._divided(self, other)[0] if isinstance(other, int) else NotImplemented

    def __rfloordiv__(self, other: Any) -> Any:
        return self._divided(other, self)[0] if isinstance(other, int) else NotImplemented

    def __mod__(self, other: Any) -> Any:
        return self._divided(self, other)[1] if isinstance(other, int) else NotImplemented

    def __rmod__(self, other: Any) -> Any:
        return self._divided(other, self)[1] if isinstance(other, int) else NotImplemented

    def __divmod__(self, other: Any) -> Any:
        return self._divided(self, other) if isinstance(other, int) else NotImplemented

    # ---- comparisons

    def _noted(self, other: Any, holds: bool, turned: tuple[int, ...], equal: bool = False) -> bool:
        difference = self - other
        if isinstance(difference, Extent):
            self.notes.append((int(difference), difference.slopes, turned, equal))
        return holds

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        holds = int(self) == int(other)
        return self._noted(other, holds, (1,) if holds else (0,), holds)

    def __ne__(self, other: object) -> Any:
        return not self == other if isinstance(other, int) else NotImplemented

    def __lt__(self, other: int) -> bool:
        holds = int(self) < int(other)
        return self._noted(other, holds, (0, 1) if holds else (-1, -2))

    def __le__(self, other: int) -> bool:
        holds = int(self) <= int(other)
        return self._noted(other, holds, (1, 2) if holds else (0, -1))

    def __gt__(self, other: int) -> bool:
        return not self <= other

    def __ge__(self, other: int) -> bool:
        return not self < other

    def __bool__(self) -> bool:
        return bool(self != 0)


def explore(run: Callable[[Sequence[int]], R], count: int, lowest: Sequence[int]) -> Iterator[R | Exception]:
    """``run`` on values for ``count`` unknowns, again and again: its results, and what it raised instead.

    ``lowest``: the least value each unknown can have.  Ends when no comparison suggests values that were not tried.
    """
    if not count:
        yield _attempt(run, ())
        return
    for base, step in _BASES:
        succeeded = False
        for found in _search(run, tuple(base + step * i for i in range(count)), lowest):
            succeeded = succeeded or not isinstance(found, Exception)
            yield found
        if not succeeded:
            return
    # Unknown extents are mostly one and the same batch, which a search that moves one at a time may not come to.
    yield from (_attempt(run, [base] * count) for base, _ in _BASES)


def _attempt(run: Callable[[Sequence[int]], R], values: Sequence[int]) -> R | Exception:
    try:
        return run(values)
    except (CorennError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        return error


def _search(
    run: Callable[[Sequence[int]], R], start: tuple[int, ...], lowest: Sequence[int]
) -> Iterator[R | Exception]:
    """Depth first, from what the last comparison asked for, until a run succeeds; then what that one passed by."""
    waiting, seen, tried = [start], {start}, set[tuple[int, ...]]()
    later: list[tuple[int, ...]] = []
    loose = {start}
    succeeded, left = False, _MOST
    while (waiting or later) and left:
        values = waiting.pop() if waiting else later.pop(0)
        if values in tried:
            continue
        left -= 1
        tried.add(values)
        notes: list[Note] = []
        one = Fraction(1)
        found = _attempt(run, [Extent(v, {i: one}, notes) for i, v in enumerate(values)])
        yield found
        if isinstance(found, Exception):
            if not succeeded:  # equal extents are seldom what is refused
                suggested = _suggestions([n for n in notes if not n[3]], values, start, lowest)
                waiting += reversed([v for v in suggested if v not in seen])  # the last comparison's first
                seen.update(suggested)
            continue
        if values not in loose:
            looser = list(_loosened(values, start, lowest))
            loose.update(looser)
            later += looser
        if not succeeded:
            later += waiting[: -_MORE // 4 : -1]  # other ways to what the last refusal asked for
            later += _suggestions(notes, values, start, lowest)
            succeeded, left, waiting = True, _MORE, []


def _suggestions(
    notes: list[Note], values: tuple[int, ...], start: tuple[int, ...], lowest: Sequence[int]
) -> list[tuple[int, ...]]:
    """Values that would turn a comparison round, those for the last comparison first.

    Unknowns that have their first value still are moved before those that were moved already.
    """
    found: dict[tuple[int, ...], None] = {}
    for difference, slopes, turned, _ in reversed(notes):
        for unknown in sorted(slopes, key=lambda u: (values[u] != start[u], -u)):
            for target in turned:
                moved = values[unknown] + (target - difference) / slopes[unknown]
                if moved.denominator > 1:  # one factor of a product: with 1 for it, the other can be solved for
                    moved = Fraction(1)
                if moved >= lowest[unknown]:
                    found[_with(values, unknown, int(moved))] = None
    return list(found)


def _loosened(values: tuple[int, ...], start: tuple[int, ...], lowest: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Values that succeeded, with one that was moved put back, or moved a little: was it needed, is it the only one?"""
    for unknown, value in enumerate(values):
        if value != start[unknown]:
            yield tuple(start[unknown] if v == value else v for v in values)
            yield from (
                _with(values, unknown, v) for v in (start[unknown], value - 1, value + 1, 1) if v >= lowest[unknown]
            )


def _with(values: tuple[int, ...], unknown: int, value: int) -> tuple[int, ...]:
    return (*values[:unknown], value, *values[unknown + 1 :])


__all__ = ["Extent", "explore"]
