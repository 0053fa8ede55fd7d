"""Products of matrices as loops, and what is done with every element of one while it is in a register.

A tile of the product, up to six rows of four vectors, is kept in registers while the depth is run through; then the
work that follows (``Finish``) is done with it, and it need never be stored.  What that work reads and writes is
fetched into the cache on the way.  The left operand may lie across, rows beside one another: its elements are read one
by one.
"""

from __future__ import annotations

import itertools
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

#: Columns of a tile, and the rows it may have, the best first: 24 vectors of sixteen, four of the right operand and one
#: of the left fill the registers.  Five rows and four are nearly as quick; where they leave no rest, less is compiled.
COLUMNS, _LANES = 64, 16
_HEIGHTS = (6, 5, 4)

#: Where an element of the tile lies in a matrix with so many elements from row to row, from an offset on (0 unless
#: given), and so many from column to column (1).
At = Callable[..., Index]
#: What follows: from an element's values (one of each block), where it lies, and the number of its row in the tile, to
#: statements for lanes.
Finish = Callable[[Sequence[Expr], At, int], Sequence[Statement]]


@dataclass(frozen=True)
class Product:
    """``left @ right``: (rows, depth) and (depth, blocks * columns) of float32.

    Elements at the same place of all blocks, four at most, are made together; ``tile`` is how many columns of each a
    tile has.  ``left_steps``: how many elements a row and a column of ``left`` are apart; ``right_steps``: a row of
    ``right``, a block, and a tile, whose columns are beside one another.  ``laid_out``: by tiles, in one piece each.
    """

    rows: int
    columns: int
    depth: int
    left_steps: tuple[int, int]
    right_steps: tuple[int, int, int]
    blocks: int = 1
    laid_out: bool = False

    left: ClassVar = Buffer("left", float32, "input")
    right: ClassVar = Buffer("right", float32, "input")

    @classmethod
    def of_rows(cls, rows: int, columns: int, depth: int, left_steps: tuple[int, int], right_step: int) -> Product:
        """With a right operand whose rows are ``right_step`` elements apart."""
        return cls(rows, columns, depth, left_steps, (right_step, 0, COLUMNS))

    @classmethod
    def of_tiles(
        cls, rows: int, columns: int, depth: int, left_steps: tuple[int, int], blocks: int = 1
    ) -> Product:  # fmt: skip
        """With a right operand laid out by ``packing``."""
        tile = _tile(blocks)
        return cls(rows, columns, depth, left_steps, (blocks * tile, tile, depth * blocks * tile), blocks, True)

    @property
    def tile(self) -> int:
        """Columns of a tile in each block."""
        return _tile(self.blocks)

    @property
    def height(self) -> int:
        """Rows of a tile."""
        return next((n for n in _HEIGHTS if self.rows % n == 0), _HEIGHTS[0])

    @property
    def packed(self) -> int:
        """Elements of the right operand laid out by ``packing``."""
        return -(-self.columns // self.tile) * self.right_steps[2]

    def packing(self, steps: tuple[int, int, int], rows: range | None = None) -> Kernel:
        """Lays out the right operand, or some of its rows, as ``of_tiles`` has it.

        Buffers: where these rows are (rows, columns and blocks are ``steps`` elements apart); the tiles.
        """
        rows = rows or range(self.depth)
        source, target = Buffer("i0", float32, "input"), Buffer("o1", float32, "output")
        row, block, tile = self.right_steps

        def copied(width: int) -> list[Statement]:
            found: list[Statement] = []
            for n in range(self.blocks):
                given = Index((("k", steps[0]), ("j", self.tile * steps[1]), ("c", steps[1])), n * steps[2])
                place = Index((("k", row), ("j", tile), ("c", 1)), rows.start * row + n * block)
                found.append(Store(target, place, Load(float32, source, given)))
            return [Loop("c", 0, width, tuple(found), lanes=True)]

        whole, rest = divmod(self.columns, self.tile)
        places = LetIndex("j", "q", len(rows), 0), LetIndex("k", "q", 1, len(rows))
        body = [*places, *_either("j", whole, rest, copied, self.tile)]
        count = len(rows) * (whole + bool(rest))
        return Kernel([source, target], [], count, 1, [Loop("q", "lo", "hi", tuple(body))], 0.8 * COLUMNS)


def _tile(blocks: int) -> int:
    return _LANES * (COLUMNS // _LANES // blocks)


def _either(place: str, whole: int, rest: int, part: Callable[[int], list[Statement]], size: int) -> list[Statement]:
    """``part(size)`` at the first ``whole`` places and ``part(rest)`` at the next, if there are both."""
    if not rest or not whole:
        return part(rest or size)
    last = f"last_{place}"  # 1 at the last place, 0 before
    full, short = Loop(f"full_{place}", last, 1, tuple(part(size))), Loop(f"short_{place}", 0, last, tuple(part(rest)))
    return [LetIndex(last, place, whole, 0), full, short]


def product_kernel(shape: Product, buffers: Sequence[Buffer], first: Sequence[Statement], finish: Finish) -> Kernel:
    """The kernel of buffers ``left``, ``right`` and then ``buffers``; ``first`` is what is done before all tiles.

    Where the right operand is laid out in tiles, chunks share out all tiles, row by row of them, so that each thread
    has rows of its own; else they share out rows or columns of tiles, whatever there is more of, and each runs down one
    column after the other, whose part of the right operand stays in a core's first cache.
    """
    tiles = _Tiles(shape, finish)
    height, (across, rest) = -(-shape.rows // shape.height), divmod(shape.columns, shape.tile)
    given = [shape.left, shape.right, *buffers]
    cost = shape.depth * COLUMNS * shape.height * 0.02  # nanoseconds of a tile
    wide = across + bool(rest)
    if shape.laid_out:
        places = LetIndex("t", "q", wide, 0), LetIndex("j", "q", 1, wide)
        body = _either("j", across, rest, tiles.column, shape.tile)
        return Kernel(given, [], height * wide, 1, [*first, Loop("q", "lo", "hi", (*places, *body))], cost)
    shares_rows = height >= wide
    rows, columns = (("lo", "hi"), (0, wide)) if shares_rows else ((0, height), ("lo", "hi"))
    body = _either("j", across, rest, lambda width: [Loop("t", *rows, tuple(tiles.column(width)))], shape.tile)
    number, each = (height, wide) if shares_rows else (wide, height)
    return Kernel(given, [], number, 1, [*first, Loop("j", *columns, tuple(body))], cost * each)


class _Tiles:
    """Writes tiles."""

    def __init__(self, shape: Product, finish: Finish) -> None:
        self.shape, self.finish = shape, finish

    def column(self, width: int) -> list[Statement]:
        """The tile of row ``t`` of tiles in a column of them; the last row of tiles may have fewer rows."""
        height = self.shape.height
        whole, rest = divmod(self.shape.rows, height)
        return _either("t", whole, rest, lambda rows: self.tile(width, rows), height)

    def tile(self, width: int, rows: int) -> list[Statement]:
        """Tile ``t``, ``j``: its sums, and what follows; meanwhile what is read there is fetched, a row at a time."""
        shape = self.shape
        names = [[f"sum_{rows}_{row}_{block}" for block in range(shape.blocks)] for row in range(rows)]
        made: list[Statement] = [Accumulator(name, "sum", float32, width) for line in names for name in line]
        edges = [shape.depth * n // rows for n in range(rows + 1)]
        after: list[Statement] = []
        for row, (line, (start, stop)) in enumerate(zip(names, itertools.pairwise(edges), strict=True)):
            lines = self.finish([Total(float32, name) for name in line], self._at(row), row)
            made.append(Loop("c", 0, width, tuple(_fetches(lines)), lanes=True))
            made.append(Loop("k", start, stop, (self._sums(width, names),)))
            after += lines
        return [*made, Loop("c", 0, width, tuple(after), lanes=True)]

    def _sums(self, width: int, names: Sequence[Sequence[str]]) -> Loop:
        """One step along the depth."""
        shape = self.shape
        down, across = shape.left_steps
        row_step, block_step, tile_step = shape.right_steps
        right = [
            Load(float32, shape.right, Index((("k", row_step), ("j", tile_step), ("c", 1)), block * block_step))
            for block in range(shape.blocks)
        ]
        taken = []
        for row, line in enumerate(names):
            left = Load(float32, shape.left, Index((("k", across), ("t", shape.height * down)), row * down))
            taken += [Accumulate(name, mul(left, of)) for name, of in zip(line, right, strict=True)]
        return Loop("c", 0, width, tuple(taken), lanes=True)

    def _at(self, row: int) -> At:
        tile, height = self.shape.tile, self.shape.height
        return lambda width, offset=0, step=1: Index(
            (("t", height * width), ("j", tile * step), ("c", step)), row * width + offset
        )


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

    def following(self, given: Buffer, shape: Product, turned: bool) -> Finish:
        """The same with the elements of a product, or of its transpose, in place of those of ``given``."""
        place = (1, 0, shape.rows) if turned else (shape.columns, 0, 1)
        return lambda values, at, row: _Placed(self, given, values[0], at(*place), row).statements()


def _fetches(lines: Sequence[Statement]) -> list[Statement]:
    """What is read and written in lanes, to be fetched before."""
    found: dict[Statement, None] = {}
    for s in lines:
        if isinstance(s, Store):
            found[Prefetch(s.buffer, s.index, writes=True)] = None
        reads = [e for e in _expressions(s) if isinstance(e, Load) and e.index.stride("c")]
        found.update(dict.fromkeys(Prefetch(e.buffer, e.index) for e in reads))
    return list(found)


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


__all__ = ["COLUMNS", "Elementwise", "Finish", "Product", "product_kernel"]
