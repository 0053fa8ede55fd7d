"""3x3 convolutions of stride 1, and their gradients, with 16 multiplications in place of 36.

Minimal filtering F(2x2, 3x3): Winograd (1980), as Lavin and Gray (2016, "Fast algorithms for convolutional neural
networks") apply it.  An image is taken in tiles of 4x4 that overlap by two; with the matrices

    B' = 1  0 -1  0      G =  1    0    0      A' = 1  1  1  0
         0  1  1  0          1/2  1/2  1/2          0  1 -1 -1
         0 -1  1  0          1/2 -1/2  1/2
         0  1  0 -1           0    0    1

the 2x2 results of a tile d under a filter g are ``A' [(G g G') * (B' d B)] A``.  Summed over channels, the product in
the middle is one product of matrices for each of its 16 elements, which the library does.  The gradient by the image is
a convolution with the filters turned around; that by the filters is the adjoint, ``G' [(A y A') * (B' d B)] G``.  All
factors are 1 and 1/2, so results are as exact as those of a direct sum, but an infinity makes NaN of the other results
of its tiles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache

from corenn.compiler.program import Call, Symbol
from corenn.dtypes import float32, int64
from corenn.ops.windows import channel_axis
from corenn_onednn.compiling.series import Piece, Series, Steps
from corenn_onednn.dnnl import Attributes, Descriptor, Sum
from corenn_onednn.dnnl.primitives.matmul import matmul
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
    mul,
    neg,
    sub,
)

#: Fewer channels than this on either side, and the tiles cost more than the products save.
_CHANNELS = 32
#: Fewer tiles than this, and the filters cost more: a filter costs about as much as 22 tiles save.
_TILES = 48
#: Multiplications of the direct sum for one of this way: 2.25 where tiles fit, less where they reach over the edges.
_GAIN = 1.5
#: Elements between what belongs to one row and to the next, beyond what they need: at powers of two, rows would share
#: cache sets.
_APART = 16
#: Bytes of transformed tiles that are worked on at a time, where the filters are small beside them: what caches hold.
_AT_A_TIME = 4_000_000
_HALF = const(0.5)

Four = Sequence[Expr]
Places = list[list[tuple[Index, Expr | None]]]


def _images(d: Four) -> list[Expr]:
    return [sub(d[0], d[2]), add(d[1], d[2]), sub(d[2], d[1]), sub(d[1], d[3])]


def _results(m: Four) -> list[Expr]:
    return [add(add(m[0], m[1]), m[2]), sub(sub(m[1], m[2]), m[3])]


def _gradients(y: Four) -> list[Expr]:
    return [y[0], add(y[0], y[1]), sub(y[0], y[1]), neg(y[1])]


def _filters(g: Four) -> list[Expr]:
    ends = mul(add(g[0], g[2]), _HALF)
    middle = mul(g[1], _HALF)
    return [g[0], add(ends, middle), sub(ends, middle), g[2]]


def _filter_gradients(u: Four) -> list[Expr]:
    total, difference = mul(add(u[1], u[2]), _HALF), mul(sub(u[1], u[2]), _HALF)
    return [add(u[0], total), difference, add(total, u[3])]


class _Tiles:
    """The tiles of images of ``shape`` (n, h, w, c) from which ``out`` (h, w) results are made, two by two."""

    def __init__(self, shape: tuple[int, ...], out: tuple[int, ...]) -> None:
        self.rows, self.columns = -(-out[0] // 2), -(-out[1] // 2)
        self.count = shape[0] * self.rows * self.columns

    def indices(self) -> list[Statement]:
        """``n``, ``i`` and ``j``: the image, the row and the column of tile ``r``."""
        return [
            LetIndex("n", "r", self.rows * self.columns, 0),
            LetIndex("i", "r", self.columns, self.rows),
            LetIndex("j", "r", 1, self.columns),
        ]


class _Kernel:
    """A kernel while it is written: what it does for each of ``count``, over lanes of ``channels``."""

    def __init__(self, count: int, channels: int) -> None:
        self.count, self.channels = count, channels
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

    def both_ways(self, values: Sequence[Four], along: Callable[[Four], list[Expr]]) -> list[list[Expr]]:
        """A transform of the columns of a square, then of its rows."""
        columns = [along(list(column)) for column in zip(*values, strict=True)]
        named = [[self.let(f"t{i}{j}", e) for i, e in enumerate(column)] for j, column in enumerate(columns)]
        return [along(list(row)) for row in zip(*named, strict=True)]

    def inside(self, variable: str, offset: int, extent: int, most: int) -> Expr | None:
        """Whether ``2 * variable + offset`` is a place of ``extent``; ``None`` if that is so up to ``most``."""
        low, high = offset < 0, 2 * most + offset >= extent
        place = Position(int64, Index(((variable, 2),), offset))
        conditions = []
        if low:
            conditions.append(compare("ge", place, const(0, int64)))
        if high:
            conditions.append(compare("lt", place, const(extent, int64)))
        if not conditions:
            return None
        name = f"{variable}_{'m' if low else 'p'}{abs(offset)}"
        return self.let(name, conditions[0] if len(conditions) == 1 else _both(*conditions), outside=True)

    def image(self, tiles: _Tiles, size: int, before: tuple[int, ...], extents: tuple[int, ...]) -> Places:
        """The ``size`` x ``size`` places of a tile in images of ``extents``: their indices, and whether they exist."""
        (height, width), c = extents, self.channels
        rows = [self.inside("i", a - before[0], height, tiles.rows - 1) for a in range(size)]
        columns = [self.inside("j", b - before[1], width, tiles.columns - 1) for b in range(size)]
        terms = (("n", height * width * c), ("i", 2 * width * c), ("j", 2 * c), ("c", 1))
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
        """Where row ``r`` of each of the 16 matrices lies: beside one another."""
        terms = (("r", _beside(self.channels)), ("c", 1))
        return [[(Index(terms, (4 * a + b) * self.channels), None) for b in range(4)] for a in range(4)]

    def filters(self, inner: int) -> Places:
        """Where the filters of input channel ``r`` of ``inner`` lie."""
        terms = (("r", self.channels), ("c", 1))
        return [[(Index(terms, (3 * a + b) * inner * self.channels), None) for b in range(3)] for a in range(3)]

    def store(self, buffer: Buffer, places: Places, values: Sequence[Four]) -> None:
        """Write values to where they lie, if anywhere."""
        for row, there in zip(values, places, strict=True):
            self.body += [Store(buffer, place[0], value, place[1]) for place, value in zip(there, row, strict=True)]

    def made(self, indices: Sequence[Statement] = ()) -> Kernel:
        """The whole."""
        lanes = Loop("c", 0, self.channels, tuple(self.body), lanes=True)
        body = Loop("r", "lo", "hi", (*indices, *self.outside, lanes))
        return Kernel(self.buffers, [], self.count, 1, [body], 0.25 * self.channels)


def _both(a: Expr | None, b: Expr | None) -> Expr:
    assert a is not None
    assert b is not None
    return Apply(a.dtype, "and", (a, b))


def _beside(columns: int) -> int:
    """From a row of 16 matrices to the next."""
    return 16 * columns + _APART


@lru_cache(maxsize=256)
def _image_kernel(shape: tuple[int, ...], out: tuple[int, ...], before: tuple[int, ...]) -> Kernel:
    """``B' d B`` of every tile of images of ``shape``, ``before`` which there is padding."""
    return _tile_kernel(shape, _Tiles(shape, out), 4, before, _images)


@lru_cache(maxsize=256)
def _gradient_kernel(shape: tuple[int, ...]) -> Kernel:
    """``A y A'`` of every two by two gradients of results of ``shape``."""
    return _tile_kernel(shape, _Tiles(shape, shape[1:3]), 2, (0, 0), _gradients)


def _tile_kernel(
    shape: tuple[int, ...], tiles: _Tiles, size: int, before: tuple[int, ...], along: Callable[[Four], list[Expr]]
) -> Kernel:
    k = _Kernel(tiles.count, shape[-1])
    source, target = k.buffer("input"), k.buffer("output")
    k.store(target, k.matrices(), k.both_ways(k.loads(source, k.image(tiles, size, before, shape[1:3])), along))
    return k.made(tiles.indices())


@lru_cache(maxsize=256)
def _filter_kernel(inner: int, outer: int, turned: bool) -> Kernel:
    """``G g G'`` of every filter; ``turned``: around by half a turn."""
    k = _Kernel(inner, outer)
    filters, target = k.buffer("input"), k.buffer("output")
    step = -1 if turned else 1
    places = [row[::step] for row in k.filters(inner)[::step]]
    k.store(target, k.matrices(), k.both_ways(k.loads(filters, places), _filters))
    return k.made()


@lru_cache(maxsize=256)
def _filter_gradient_kernel(inner: int, outer: int) -> Kernel:
    """``G' u G`` of every filter."""
    k = _Kernel(inner, outer)
    source, target = k.buffer("input"), k.buffer("output")
    k.store(target, k.filters(inner), k.both_ways(k.loads(source, k.matrices()), _filter_gradients))
    return k.made()


#: What follows a convolution: the op, and for its other operand which it is and whether it has a number per channel.
After = tuple[str, int | None, bool]


@lru_cache(maxsize=256)
def _result_kernel(shape: tuple[int, ...], after: tuple[After, ...]) -> Kernel:
    """``A' m A`` of every tile, and what follows, to results of ``shape``."""
    tiles = _Tiles(shape, shape[1:3])
    k = _Kernel(tiles.count, shape[-1])
    products, target = k.buffer("input"), k.buffer("output")
    others = [k.buffer("input") if which is not None else None for _, which, _ in after]
    made = k.both_ways(k.loads(products, k.matrices()), _results)
    channel = [
        k.let(f"p{n}", Load(float32, other, Index((("c", 1),)))) if other is not None and after[n][2] else None
        for n, other in enumerate(others)
    ]
    where = k.image(tiles, 2, (0, 0), shape[1:3])
    for a in range(2):
        for b in range(2):
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


# ---------------------------------------------------------------- instructions


def fits(call: Call) -> bool:
    """Whether a convolution, or a gradient of one, is of this kind and large enough to gain."""
    attrs = call.plan.attrs
    if any(s is None or s.spec.dtype is not float32 or s.spec.ndim != 4 for s in (*call.inputs, *call.outputs)):
        return False
    if attrs["groups"] != 1 or set(attrs["strides"]) != {1} or set(attrs["dilation"]) != {1}:
        return False
    if channel_axis(attrs["layout"]) != 3 or any(not 0 <= p <= 2 for pair in attrs["padding"] for p in pair):
        return False
    first, second = (s.spec.static for s in call.inputs if s is not None)
    gradient = call.name == "conv_weight_grad"
    if tuple(attrs["size"] if gradient else second[:2]) != (3, 3):
        return False
    made = second if gradient else call.outputs[0].spec.static
    tiles = _Tiles(first, made[1:3]).count
    gain = 9 * math.prod(made[:3]) / (16 * max(1, tiles))
    return min(first[-1], made[-1]) >= _CHANNELS and tiles >= _TILES and gain >= _GAIN


def _products(steps: Steps, name: str, rows: int, columns: int) -> tuple[Piece, Descriptor]:
    made = Descriptor((16, rows, columns), "float32", (columns, _beside(columns), 1))
    count = max(rows * _beside(columns) * 4, steps.own.get(name, 0))
    return steps.memory(name, count), made


def _transposed(d: Descriptor) -> Descriptor:
    (n, a, b), (s, t, u) = d.shape, d.strides
    return Descriptor((n, b, a), "float32", (s, u, t))


def _parts(shape: tuple[int, ...], out: tuple[int, ...]) -> list[tuple[int, int]]:
    """First image and number of images of each part of the batch that is worked on at a time."""
    batch, inner, outer = shape[0], shape[-1], out[-1]
    each = 64 * _Tiles((1, *shape[1:]), out[1:3]).count * (inner + outer)
    many = max(1, _AT_A_TIME // each)
    if -(-batch // many) * 64 * inner * outer > batch * each:
        many = batch  # reading the filters that often would cost more
    return [(first, min(many, batch - first)) for first in range(0, batch, many)]


def _from(symbol: Symbol, image: int) -> Piece:
    return Piece(symbol, image * symbol.spec.nbytes // symbol.spec.static[0])


def _tiled(
    steps: Steps, x: Symbol, first: int, out: tuple[int, ...], before: tuple[int, ...]
) -> tuple[Piece, Descriptor]:
    """Next, the tiles of images from ``first`` on, from which results of shape ``out`` are made."""
    part = (out[0], *x.spec.static[1:])
    images, laid = _products(steps, "images", _Tiles(part, out[1:3]).count, part[-1])
    steps.loop(_image_kernel(part, out[1:3], before), _from(x, first), images)
    return images, laid


def convolution(call: Call, absorbed: Sequence[Call]) -> Series:
    """The instruction for a convolution (or its gradient by the image), and for the calls ``absorbed`` after it."""
    x, w = call.inputs
    assert x is not None
    assert w is not None
    backward = call.name == "conv_input_grad"
    result, out = absorbed[-1].outputs[0], call.outputs[0].spec.static
    inner, outer = w.spec.static[2:]
    before = tuple(2 - p[0] if backward else p[0] for p in call.plan.attrs["padding"])
    shape = x.spec.static
    steps = Steps()
    filters, laid = _products(steps, "filters", inner, outer)
    steps.loop(_filter_kernel(inner, outer, backward), Piece(w), filters)
    after, others = _following(absorbed)
    spread = [s.spec.static == out for s in others]
    for first, count in _parts(shape, out):
        images, source = _tiled(steps, x, first, (count, *out[1:]), before)
        products, target = _products(steps, "products", source.shape[1], out[-1])
        steps.execute(
            matmul(source, _transposed(laid) if backward else laid, target), src=images, weights=filters, dst=products
        )
        beside = [_from(o, first) if whole else Piece(o) for o, whole in zip(others, spread, strict=True)]
        steps.loop(_result_kernel((count, *out[1:]), after), products, _from(result, first), *beside)
    inputs = list(dict.fromkeys([x, w, *others]))
    return Series(steps.steps, steps.own, inputs, [result], call.where, [c.name for c in absorbed])


def _following(absorbed: Sequence[Call]) -> tuple[tuple[After, ...], list[Symbol]]:
    after: list[After] = []
    others: list[Symbol] = []
    for before, call in itertools.pairwise(absorbed):
        other = [(n, s) for n, s in enumerate(call.inputs) if s is not before.outputs[0] and s is not None]
        if not other:
            after.append((call.name, None, False))
            continue
        ((which, symbol),) = other
        after.append((call.name, which, symbol.spec.static != call.outputs[0].spec.static))
        others.append(symbol)
    return tuple(after), others


def weight_gradient(call: Call) -> Series:
    """The instruction for the gradient of a convolution by its filters."""
    x, g = call.inputs
    assert x is not None
    assert g is not None
    shape, out = x.spec.static, g.spec.static
    before = tuple(p[0] for p in call.plan.attrs["padding"])
    steps = Steps()
    products, target = _products(steps, "products", shape[-1], out[-1])
    for first, count in _parts(shape, out):
        images, source = _tiled(steps, x, first, (count, *out[1:]), before)
        gradients, laid = _products(steps, "gradients", source.shape[1], out[-1])
        steps.loop(_gradient_kernel((count, *out[1:])), _from(g, first), gradients)
        attributes = Attributes((Sum(),)) if first else None
        made = matmul(_transposed(source), laid, target, attributes=attributes)
        steps.execute(made, src=images, weights=gradients, dst=products)
    steps.loop(_filter_gradient_kernel(shape[-1], out[-1]), products, Piece(call.outputs[0]))
    return Series(steps.steps, steps.own, call.inputs, call.outputs, call.where, [call.name])


__all__ = ["convolution", "fits", "weight_gradient"]
