"""Products of matrices as loops, and what is done with every element of one while it is in a register.

A tile of the product, six rows of four vectors, is kept in registers while the depth is run through; then the work that
follows (``Finish``) is done with it, and it need never be stored.  What that work reads is fetched into the cache on
the way.  The left operand may lie across, rows beside one another: its elements are read one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from corenn.dtypes import float32
from corenn_onednn.loops.ir import (
    Accumulate,
    Accumulator,
    Apply,
    Buffer,
    Expr,
    Index,
    Kernel,
    Let,
    LetIndex,
    Load,
    Loop,
    Name,
    Position,
    Prefetch,
    RandomBits,
    Statement,
    Store,
    Total,
    mul,
    walk,
)

#: Rows and columns of a tile: 24 vectors of sixteen, four of the right operand and one of the left fill the registers.
ROWS, COLUMNS = 6, 64

#: What follows: from an element's value and where it lies in the (rows, columns) matrix, and the number of its row in
#: the tile, to statements for lanes.
Finish = Callable[[Expr, Index, int], Sequence[Statement]]


@dataclass(frozen=True)
class Product:
    """``left @ right``: (rows, depth) and (depth, columns) of float32.

    ``left_steps``: how many elements a row and a column of ``left`` are apart; ``right_step``: a row of ``right``,
    whose columns are beside one another.
    """

    rows: int
    columns: int
    depth: int
    left_steps: tuple[int, int]
    right_step: int

    left: ClassVar = Buffer("left", float32, "input")
    right: ClassVar = Buffer("right", float32, "input")


def product_kernel(
    shape: Product, buffers: Sequence[Buffer], first: Sequence[Statement], finish: Finish, reads: Sequence[Buffer]
) -> Kernel:
    """The kernel of buffers ``left``, ``right`` and then ``buffers``; chunks share out the tiles of rows.

    ``first``: what is done before; ``reads``: buffers of (rows, columns) elements that ``finish`` reads.
    """
    tiles = _Tiles(shape, finish, reads)
    whole, rest = divmod(shape.rows, ROWS)
    body: list[Statement] = []
    for variable, start, stop, width in _cuts(shape.columns):
        body += [Loop(variable, start, stop, (Loop("t", "lo", "hi", tuple(tiles.row(variable, width, whole, rest))),))]
    count = whole + bool(rest)
    cost = shape.depth * shape.columns * ROWS * 0.02  # nanoseconds of a row of tiles
    return Kernel([shape.left, shape.right, *buffers], [], count, 1, [*first, *body], cost)


def _cuts(columns: int) -> Iterator[tuple[str, int, int, int]]:
    """Loops over tiles of columns: the variable, from where to where it runs, and the columns of a tile."""
    whole, rest = divmod(columns, COLUMNS)
    if whole:
        yield "j", 0, whole, COLUMNS
    if rest:
        yield "j1", whole, whole + 1, rest


class _Tiles:
    """Writes tiles."""

    def __init__(self, shape: Product, finish: Finish, reads: Sequence[Buffer]) -> None:
        self.shape, self.finish, self.reads = shape, finish, reads

    def row(self, variable: str, width: int, whole: int, rest: int) -> list[Statement]:
        """The tile of row ``t`` of tiles; the last one has ``rest`` rows, if any."""
        if not rest:
            return self.tile(variable, width, ROWS)
        if not whole:
            return self.tile(variable, width, rest)
        last = LetIndex("last", "t", whole, 0)  # 1 in the last row of tiles, 0 before
        full, short = self.tile(variable, width, ROWS), self.tile(variable, width, rest)
        return [last, Loop("full", "last", 1, tuple(full)), Loop("short", 0, "last", tuple(short))]

    def tile(self, variable: str, width: int, rows: int) -> list[Statement]:
        """One tile: its sums, and what follows; meanwhile what is read there is fetched, a row at a time."""
        shape = self.shape
        names = [f"{variable}_{rows}_{row}" for row in range(rows)]
        made: list[Statement] = [Accumulator(name, "sum", float32, width) for name in names]
        edges = [shape.depth * n // rows for n in range(rows + 1)]
        for row in range(rows):
            if self.reads:
                here = self._at(variable, row)
                fetches = tuple(Prefetch(buffer, here) for buffer in self.reads)
                made.append(Loop("c", 0, width, fetches, lanes=True))
            made.append(Loop("k", edges[row], edges[row + 1], (self._sums(variable, width, names),)))
        lines: list[Statement] = []
        for row, name in enumerate(names):
            lines += self.finish(Total(float32, name), self._at(variable, row), row)
        return [*made, Loop("c", 0, width, tuple(lines), lanes=True)]

    def _sums(self, variable: str, width: int, names: Sequence[str]) -> Loop:
        """One step along the depth."""
        shape = self.shape
        down, across = shape.left_steps
        right = Load(float32, shape.right, Index((("k", shape.right_step), (variable, COLUMNS), ("c", 1))))
        taken = []
        for row, name in enumerate(names):
            left = Load(float32, shape.left, Index((("k", across), ("t", ROWS * down)), row * down))
            taken.append(Accumulate(name, mul(left, right)))
        return Loop("c", 0, width, tuple(taken), lanes=True)

    def _at(self, variable: str, row: int) -> Index:
        columns = self.shape.columns
        return Index((("t", ROWS * columns), (variable, COLUMNS), ("c", 1)), row * columns)


# ---------------------------------------------------------------- what follows, from a kernel over all elements


@dataclass(frozen=True)
class Elementwise:
    """A kernel that does the same with every element: what it does first, and with each ``i`` of the lanes."""

    first: tuple[Statement, ...]
    lanes: tuple[Statement, ...]

    @classmethod
    def of(cls, kernel: Kernel) -> Elementwise | None:
        """The kernel taken apart; ``None`` if it is of another kind."""
        if not kernel.body:
            return None
        *first, loop = kernel.body
        if not isinstance(loop, Loop) or (loop.variable, loop.start, loop.stop, loop.lanes) != ("i", "lo", "hi", True):
            return None
        indices = [index for s in loop.body for index in _indices(s)]
        same = all(isinstance(s, (Let, Store)) for s in loop.body) and all(isinstance(s, Let) for s in first)
        plain = all(index.terms in ((), (("i", 1),)) and not (index.terms and index.constant) for index in indices)
        return cls(tuple(first), loop.body) if same and plain else None

    def reads(self) -> set[Buffer]:
        """The buffers it reads all elements of."""
        expressions = [e for s in self.lanes for e in _expressions(s)]
        return {e.buffer for e in expressions if isinstance(e, Load) and e.index.terms}

    def following(self, given: Buffer) -> Finish:
        """The same with the elements of a product in place of those of ``given``."""
        return lambda value, here, row: _Placed(self, given, value, here, row).statements()


def _expressions(statement: Statement) -> Iterator[Expr]:
    for part in (getattr(statement, "value", None), getattr(statement, "where", None)):
        if isinstance(part, Expr):
            yield from walk(part)


def _indices(statement: Statement) -> Iterator[Index]:
    if isinstance(statement, Store):
        yield statement.index
    for e in _expressions(statement):
        if isinstance(e, (Load, Position, RandomBits)):
            yield e.index


class _Placed:
    """The statements of an ``Elementwise`` for the elements of one row of a tile."""

    def __init__(self, source: Elementwise, given: Buffer, value: Expr, here: Index, row: int) -> None:
        self.source, self.given, self.value, self.here = source, given, value, here
        self.names = {s.name: f"{s.name}_{row}" for s in source.lanes if isinstance(s, Let)}
        self.made: dict[int, Expr] = {}

    def statements(self) -> list[Statement]:
        """All of them, in order."""
        found: list[Statement] = []
        for s in self.source.lanes:
            if isinstance(s, Let):
                found.append(Let(self.names[s.name], self.expression(s.value)))
            elif isinstance(s, Store):
                where = None if s.where is None else self.expression(s.where)
                found.append(Store(s.buffer, self.index(s.index), self.expression(s.value), where))
        return found

    def index(self, index: Index) -> Index:
        return self.here if index.terms else index

    def expression(self, e: Expr) -> Expr:
        """With what is the same staying the same object: it is computed once."""
        found = self.made.get(id(e))
        if found is None:
            found = self.made[id(e)] = self._expression(e)
        return found

    def _expression(self, e: Expr) -> Expr:
        if isinstance(e, Name):
            return Name(e.dtype, self.names.get(e.name, e.name))
        if isinstance(e, Load):
            if e.buffer == self.given:
                return self.value
            where = None if e.where is None else self.expression(e.where)
            return Load(e.dtype, e.buffer, self.index(e.index), where)
        if isinstance(e, Position):
            return Position(e.dtype, self.index(e.index))
        if isinstance(e, Apply):
            return Apply(e.dtype, e.op, tuple(self.expression(a) for a in e.args))
        if isinstance(e, RandomBits):
            parts = [self.expression(p) for p in (e.seed, e.stream, e.offset)]
            return RandomBits(e.dtype, *parts, self.index(e.index))
        return e


__all__ = ["COLUMNS", "ROWS", "Elementwise", "Finish", "Product", "product_kernel"]
