"""The loops of Winograd's filtering: images, filters and gradients to tiles, and products of tiles to results.

Minimal filtering F(m x m, 3x3): Winograd (1980), as Lavin and Gray (2016, "Fast algorithms for convolutional neural
networks") apply it.  An image is taken in tiles of m + 2 by m + 2 that overlap by two.  With the matrices B', G and A'
of a ``Filtering``, the m by m results of a tile d under a filter g are ``A' [(G g G') * (B' d B)] A``.  Summed over
channels, what stands in brackets is a product of matrices for each of its (m + 2)**2 elements.  The gradient by the
filters is the adjoint, ``G' [(A y A') * (B' d B)] G``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from corenn.dtypes import float32, int64
from corenn_onednn.loops.expressions import EXPRESSIONS
from corenn_onednn.loops.ir import (
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
    Statement,
    Store,
    add,
    compare,
    const,
    fma,
    mul,
    neg,
    sub,
)

#: Elements between what belongs to one row and to the next, beyond what they need: at powers of two, rows would share
#: cache sets.
_APART = 16

Line = Sequence[Expr]
Transform = Callable[[Line], list[Expr]]
Matrix = tuple[tuple[float, ...], ...]
Places = list[list[tuple[Index, Expr | None]]]


# ---------------------------------------------------------------- transforms


def _transposed(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


def _pairs(matrix: Matrix) -> dict[int, int]:
    """Rows whose sum and whose difference have no column in common, first to second: those of points p and -p."""
    found: dict[int, int] = {}
    for i, row in enumerate(matrix):
        for j in range(i + 1, len(matrix)):
            if i in found.values() or j in found.values():
                continue
            both = [(a, b) for a, b in zip(row, matrix[j], strict=True) if a or b]
            if len({a == b for a, b in both}) == 2 and all(abs(a) == abs(b) for a, b in both):
                found[i] = j
                break
    return found


def _sum(row: Sequence[float], values: Line) -> Expr:
    """``sum(row * values)``, without what multiplies by 0 or 1."""
    terms = [(c, v) for c, v in zip(row, values, strict=True) if c]
    terms.sort(key=lambda term: abs(term[0]) != 1)  # sums first, then products are added to them
    (factor, value), *rest = terms
    total = value if factor == 1 else neg(value) if factor == -1 else mul(value, const(factor))
    for factor, value in rest:
        if abs(factor) == 1:
            total = add(total, value) if factor == 1 else sub(total, value)
        else:
            total = fma(value, const(factor), total)
    return total


def _transform(matrix: Matrix) -> Transform:
    """Values to ``matrix @ values``; what the rows (or columns) of points p and -p have in common is done once."""
    rows, columns = _pairs(matrix), _pairs(_transposed(matrix))

    def by_rows(values: Line) -> list[Expr]:
        found: dict[int, Expr] = {}
        for i, j in rows.items():
            even = _sum([(a + b) / 2 for a, b in zip(matrix[i], matrix[j], strict=True)], values)
            odd = _sum([(a - b) / 2 for a, b in zip(matrix[i], matrix[j], strict=True)], values)
            found[i], found[j] = add(even, odd), sub(even, odd)
        return [found[i] if i in found else _sum(row, values) for i, row in enumerate(matrix)]

    def by_columns(values: Line) -> list[Expr]:
        joined = list(values)
        for i, j in columns.items():
            joined[i], joined[j] = add(values[i], values[j]), sub(values[i], values[j])
        made = []
        for row in matrix:
            factors = list(row)
            for i, j in columns.items():
                factors[i], factors[j] = (row[i] + row[j]) / 2, (row[i] - row[j]) / 2
            made.append(_sum(factors, joined))
        return made

    return by_rows if len(rows) >= len(columns) else by_columns


class Filtering:
    """F(m x m, 3x3) at the points 0, infinity and pairs p, -p: one for m = 2, two for m = 4 (Toom and Cook's method).

    ``images``, ``filters`` and ``results`` multiply a line by B', G and A', ``gradients`` and ``filter_gradients`` by
    the transposes of the last two.
    """

    def __init__(self, images: Matrix, filters: Matrix, results: Matrix) -> None:
        self.results_of_tile, self.size = len(results), len(images)
        self.images, self.filters, self.results = map(_transform, (images, filters, results))
        self.gradients, self.filter_gradients = _transform(_transposed(results)), _transform(_transposed(filters))


#: All factors are 1 and 1/2: results are more exact than those of a direct sum.
TWO = Filtering(
    ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
    ((1, 1, 1, 0), (0, 1, -1, -1)),
)


def _four(p: float, q: float) -> Filtering:
    """At the points 0, p, -p, q, -q and infinity."""
    pp, qq = p * p, q * q
    n, m = 2 * pp * (pp - qq), 2 * qq * (qq - pp)
    return Filtering(
        (
            (pp * qq, 0, -pp - qq, 0, 1, 0),
            (0, -p * qq, -qq, p, 1, 0),
            (0, p * qq, -qq, -p, 1, 0),
            (0, -q * pp, -pp, q, 1, 0),
            (0, q * pp, -pp, -q, 1, 0),
            (0, pp * qq, 0, -pp - qq, 0, 1),
        ),
        ((1 / (pp * qq), 0, 0), (1 / n, p / n, pp / n), (1 / n, -p / n, pp / n),
         (1 / m, q / m, qq / m), (1 / m, -q / m, qq / m), (0, 0, 1)),
        ((1, 1, 1, 1, 1, 0), (0, p, -p, q, -q, 0), (0, pp, pp, qq, qq, 0), (0, p * pp, -p * pp, q * qq, -q * qq, 1)),
    )  # fmt: skip


#: The usual points, 1 and 2, would make errors four times as large (7e-6 of the largest result instead of 1.8e-6, for
#: 128 channels); with these, B' and A' are exact in binary, and errors are about twice those of direct sums.
FOUR = _four(0.75, 1.5)


class Tiles:
    """The tiles of ``images`` images from each of which ``out`` (h, w) results are made."""

    def __init__(self, way: Filtering, images: int, out: tuple[int, ...]) -> None:
        self.way, step = way, way.results_of_tile
        self.rows, self.columns = -(-out[0] // step), -(-out[1] // step)
        self.count = images * self.rows * self.columns

    def indices(self) -> list[Statement]:
        """``n``, ``i`` and ``j``: the image, the row and the column of tile ``r``."""
        return [
            LetIndex("n", "r", self.rows * self.columns, 0),
            LetIndex("i", "r", self.columns, self.rows),
            LetIndex("j", "r", 1, self.columns),
        ]


class _Kernel:
    """A kernel while it is written: what it does for each of ``count``, over lanes of ``channels``."""

    def __init__(self, way: Filtering, count: int, channels: int) -> None:
        self.way, self.count, self.channels = way, count, channels
        self.buffers: list[Buffer] = []
        self.outside: list[Statement] = []
        self.body: list[Statement] = []

    def buffer(self, role: str) -> Buffer:
        """The next argument."""
        made = Buffer(f"{role[0]}{len(self.buffers)}", float32, role)
        self.buffers.append(made)
        return made

    def let(self, name: str, value: Expr, outside: bool = False) -> Expr:
        """A value, by name from now on; ``outside`` the loop over lanes."""
        (self.outside if outside else self.body).append(Let(name, value))
        return Name(value.dtype, name)

    def both_ways(self, values: Sequence[Line], along: Transform) -> list[list[Expr]]:
        """A transform of the columns of a square, then of its rows."""
        columns = [along(list(column)) for column in zip(*values, strict=True)]
        named = [[self.let(f"t{i}{j}", e) for i, e in enumerate(column)] for j, column in enumerate(columns)]
        return [along(list(row)) for row in zip(*named, strict=True)]

    def inside(self, variable: str, offset: int, extent: int, most: int) -> Expr | None:
        """Whether the place ``offset`` of tile ``variable`` is one of ``extent``; ``None`` if that is so up to
        ``most``."""
        step = self.way.results_of_tile
        low, high = offset < 0, step * most + offset >= extent
        place = Position(int64, Index(((variable, step),), offset))
        conditions = []
        if low:
            conditions.append(compare("ge", place, const(0, int64)))
        if high:
            conditions.append(compare("lt", place, const(extent, int64)))
        if not conditions:
            return None
        name = f"{variable}_{'m' if low else 'p'}{abs(offset)}"
        return self.let(name, conditions[0] if len(conditions) == 1 else _both(*conditions), outside=True)

    def image(self, tiles: Tiles, size: int, before: tuple[int, ...], extents: tuple[int, ...]) -> Places:
        """The ``size`` x ``size`` places of a tile in images of ``extents``: their indices, and whether they exist."""
        (height, width), c, step = extents, self.channels, self.way.results_of_tile
        rows = [self.inside("i", a - before[0], height, tiles.rows - 1) for a in range(size)]
        columns = [self.inside("j", b - before[1], width, tiles.columns - 1) for b in range(size)]
        terms = (("n", height * width * c), ("i", step * width * c), ("j", step * c), ("c", 1))
        found: Places = []
        for a in range(size):
            found.append([])
            for b in range(size):
                condition = rows[a] if columns[b] is None else columns[b]
                if rows[a] is not None and columns[b] is not None:
                    condition = self.let(f"at{a}{b}", _both(rows[a], columns[b]), outside=True)
                found[a].append((Index(terms, ((a - before[0]) * width + b - before[1]) * c), condition))
        return found

    def loads(self, buffer: Buffer, places: Places) -> list[list[Expr]]:
        """What lies there, 0 where nothing does."""
        return [
            [self.let(f"d{a}{b}", Load(float32, buffer, *place)) for b, place in enumerate(row)]
            for a, row in enumerate(places)
        ]

    def matrices(self) -> Places:
        """Where row ``r`` of each of the matrices lies: beside one another."""
        terms, size = (("r", beside(self.way, self.channels)), ("c", 1)), self.way.size
        return [[(Index(terms, (size * a + b) * self.channels), None) for b in range(size)] for a in range(size)]

    def filters(self, rows: int, by_outputs: bool = False) -> Places:
        """Where the filters of input channel ``r`` of ``rows`` lie; ``by_outputs``: of output channel ``r``."""
        terms = (("r", 1), ("c", rows)) if by_outputs else (("r", self.channels), ("c", 1))
        return [[(Index(terms, (3 * a + b) * rows * self.channels), None) for b in range(3)] for a in range(3)]

    def store(self, buffer: Buffer, places: Places, values: Sequence[Line]) -> None:
        """Write values to where they lie, if anywhere."""
        for row, there in zip(values, places, strict=True):
            self.body += [Store(buffer, place[0], value, place[1]) for place, value in zip(there, row, strict=True)]

    def made(self, indices: Sequence[Statement] = ()) -> Kernel:
        """The whole."""
        lanes = Loop("c", 0, self.channels, tuple(self.body), lanes=True)
        body = Loop("r", "lo", "hi", (*indices, *self.outside, lanes))
        return Kernel(self.buffers, [], self.count, 1, [body], self.way.size**2 / 64 * self.channels)


def _both(a: Expr | None, b: Expr | None) -> Expr:
    assert a is not None
    assert b is not None
    return Apply(a.dtype, "and", (a, b))


def beside(way: Filtering, columns: int) -> int:
    """Elements from a row of all matrices to the next."""
    return way.size**2 * columns + _APART


@lru_cache(maxsize=256)
def image_kernel(way: Filtering, shape: tuple[int, ...], out: tuple[int, ...], before: tuple[int, ...]) -> Kernel:
    """``B' d B`` of every tile of images of ``shape`` (n, h, w, c), ``before`` which there is padding."""
    return _tile_kernel(shape, Tiles(way, shape[0], out), way.size, before, way.images)


@lru_cache(maxsize=256)
def gradient_kernel(way: Filtering, shape: tuple[int, ...]) -> Kernel:
    """``A y A'`` of the gradients, of ``shape``, of all results."""
    tiles = Tiles(way, shape[0], shape[1:3])
    return _tile_kernel(shape, tiles, way.results_of_tile, (0, 0), way.gradients)


def _tile_kernel(shape: tuple[int, ...], tiles: Tiles, size: int, before: tuple[int, ...], along: Transform) -> Kernel:
    k = _Kernel(tiles.way, tiles.count, shape[-1])
    source, target = k.buffer("input"), k.buffer("output")
    k.store(target, k.matrices(), k.both_ways(k.loads(source, k.image(tiles, size, before, shape[1:3])), along))
    return k.made(tiles.indices())


@lru_cache(maxsize=256)
def filter_kernel(way: Filtering, inner: int, outer: int, turned: bool, by_outputs: bool = False) -> Kernel:
    """``G g G'`` of every filter; ``turned``: by half a turn.  A row for each input channel, a column for each output
    channel; ``by_outputs``: the other way round.
    """
    rows, columns = (outer, inner) if by_outputs else (inner, outer)
    k = _Kernel(way, rows, columns)
    filters, target = k.buffer("input"), k.buffer("output")
    step = -1 if turned else 1
    places = [row[::step] for row in k.filters(rows, by_outputs)[::step]]
    k.store(target, k.matrices(), k.both_ways(k.loads(filters, places), way.filters))
    return k.made()


@lru_cache(maxsize=256)
def filter_gradient_kernel(way: Filtering, inner: int, outer: int) -> Kernel:
    """``G' u G`` of every filter."""
    k = _Kernel(way, inner, outer)
    source, target = k.buffer("input"), k.buffer("output")
    k.store(target, k.filters(inner), k.both_ways(k.loads(source, k.matrices()), way.filter_gradients))
    return k.made()


#: What follows a convolution: the op, and for its other operand which it is and whether it has a number per channel.
After = tuple[str, int | None, bool]


@lru_cache(maxsize=256)
def result_kernel(way: Filtering, shape: tuple[int, ...], after: tuple[After, ...]) -> Kernel:
    """``A' m A`` of every tile, and what follows, to results of ``shape``."""
    tiles, size = Tiles(way, shape[0], shape[1:3]), way.results_of_tile
    k = _Kernel(way, tiles.count, shape[-1])
    products, target = k.buffer("input"), k.buffer("output")
    others = [k.buffer("input") if which is not None else None for _, which, _ in after]
    made = k.both_ways(k.loads(products, k.matrices()), way.results)
    channel = [
        k.let(f"p{n}", Load(float32, other, Index((("c", 1),)))) if other is not None and after[n][2] else None
        for n, other in enumerate(others)
    ]
    where = k.image(tiles, size, (0, 0), shape[1:3])
    for a in range(size):
        for b in range(size):
            index, condition = where[a][b]
            value = made[a][b]
            for n, (op, which, per_channel) in enumerate(after):
                other = others[n]
                if which is None or other is None:
                    value = EXPRESSIONS[op](value)
                else:
                    beside = channel[n] if per_channel else Load(float32, other, index, condition)
                    assert beside is not None
                    value = EXPRESSIONS[op](value, beside) if which == 1 else EXPRESSIONS[op](beside, value)
                value = k.let(f"y{a}{b}{n}", value)
            k.body.append(Store(target, index, value, condition))
    return k.made(tiles.indices())


__all__ = [
    "FOUR", "TWO", "After", "Filtering", "Tiles", "beside", "filter_gradient_kernel", "filter_kernel",
    "gradient_kernel", "image_kernel", "result_kernel",
]  # fmt: skip
