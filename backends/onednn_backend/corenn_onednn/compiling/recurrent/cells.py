"""The cells of recurrent networks as loops over a batch: what a step does between its products, forwards and back.

A kernel handles one step.  Gates lie beside one another in a row of each example; ``spread`` is how many elements lie
between the outputs of one example and of the next, which have the other steps between them; ``beside`` is the same for
the states of networks, which have inputs between them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from functools import lru_cache

from corenn.dtypes import float32
from corenn_onednn.loops.ir import (
    Buffer,
    Expr,
    Index,
    Kernel,
    Let,
    LetIndex,
    Load,
    Loop,
    Name,
    Statement,
    Store,
    add,
    apply,
    at_least,
    compare,
    const,
    fma,
    mul,
    sub,
    where,
)
from corenn_onednn.loops.products import At, Product, product_kernel

#: Roughly the nanoseconds that one unit of one example takes.
_COST = 1.0


class _Cell:
    """A kernel while it is written: its buffers, in order.

    ``kernel(step)`` is one loop over the batch, ``step`` writing what is done for one unit; with a product, that
    follows it in the same loops (``loops.products``), and gets what it comes to.
    """

    def __init__(self, batch: int, units: int) -> None:
        self.batch, self.units = batch, units
        self.buffers: list[Buffer] = []

    def buffer(self, role: str, width: int) -> Place:
        """The next argument; ``width``: elements from one example's to the next's."""
        made = Buffer(f"{role[0]}{len(self.buffers)}", float32, role)
        self.buffers.append(made)
        return made, width

    def kernel(self, step: Callable[[_Unit, Sequence[Expr]], None], product: Product | None = None) -> Kernel:
        """The kernel; its first buffers are the product's operands if there is one."""
        if product is not None:
            return product_kernel(product, self.buffers, [], lambda values, at, row: self._unit(step, at, row, values))
        at = lambda width, offset=0: Index((("r", width), ("u", 1)), offset)
        lanes = Loop("u", 0, self.units, tuple(self._unit(step, at, 0, ())), lanes=True)
        return Kernel(self.buffers, [], self.batch, 1, [Loop("r", "lo", "hi", (lanes,))], _COST * self.units)

    def _unit(
        self, step: Callable[[_Unit, Sequence[Expr]], None], at: At, row: int, sums: Sequence[Expr]
    ) -> list[Statement]:  # fmt: skip
        unit = _Unit(self.units, at, row)
        step(unit, sums)
        return unit.body


#: A buffer, and how many elements lie between one example's and the next's.
Place = tuple[Buffer, int]


class _Unit:
    """The statements for one unit of one example; gates are blocks of as many elements as there are units."""

    def __init__(self, units: int, at: At, row: int) -> None:
        self.units, self.at, self.row = units, at, row
        self.body: list[Statement] = []

    def load(self, name: str, place: Place, block: int = 0) -> Expr:
        """An element, by name from now on."""
        return self.let(name, Load(float32, place[0], self.at(place[1], block * self.units)))

    def let(self, name: str, value: Expr) -> Expr:
        """A value, by name from now on."""
        self.body.append(Let(f"{name}_{self.row}", value))
        return Name(float32, f"{name}_{self.row}")

    def store(self, place: Place, value: Expr, block: int = 0) -> None:
        """Write an element."""
        self.body.append(Store(place[0], self.at(place[1], block * self.units), value))

    def total(self, parts: Sequence[Place | None], given: Sequence[Expr] = ()) -> Expr:
        """The sum of the elements that are there and of what is given."""
        values = [*given, *(self.load(f"a{p[0].name}", p) for p in parts if p is not None)]
        return functools.reduce(add, values) if values else const(0.0)


def _slope_of_sigmoid(y: Expr) -> Expr:
    return mul(y, sub(const(1.0), y))


def _slope_of_tanh(y: Expr) -> Expr:
    return sub(const(1.0), mul(y, y))


@lru_cache(maxsize=64)
def lstm(
    batch: int, units: int, spread: int, beside: int, product: Product | None = None, added: bool = True
) -> Kernel:
    """Buffers: gates (their arguments before), the cells before; cells, outputs, state.

    With a product, of a block for each gate, that is (``added``: to what the gates hold) the arguments."""
    cell = _Cell(batch, units)
    gates, before = cell.buffer("output", 4 * units), cell.buffer("input", units)
    cells, outputs, state = (cell.buffer("output", n) for n in (units, spread, beside))

    def step(unit: _Unit, sums: Sequence[Expr]) -> None:
        z = [unit.load(f"z{k}", gates, k) for k in range(4)] if added else list(sums)
        if sums and added:
            z = [add(a, b) for a, b in zip(sums, z, strict=True)]
        i, f, g, o = (unit.let(n, apply("tanh" if n == "g" else "sigmoid", a)) for n, a in zip("ifgo", z, strict=True))
        c = unit.let("c", fma(f, unit.load("b", before), mul(i, g)))
        h = unit.let("h", mul(o, apply("tanh", c)))
        for k, value in enumerate((i, f, g, o)):
            unit.store(gates, value, k)
        for place, value in ((cells, c), (outputs, h), (state, h)):
            unit.store(place, value)

    return cell.kernel(step, product)


@lru_cache(maxsize=64)
def lstm_back(
    batch: int, units: int, spread: int, by_output: bool, by_h: bool, by_c: bool, product: Product | None = None
) -> Kernel:
    """Buffers: gates, cells, the cells before, and where they have arrived the gradients by the output, the state and
    the cells; slopes, the gradient by the cells before.  A product is a gradient by the state."""
    cell = _Cell(batch, units)
    gates, cells, before = (cell.buffer("input", n) for n in (4 * units, units, units))
    arriving = [cell.buffer("input", n) if there else None
                for n, there in ((spread, by_output), (units, by_h), (units, by_c))]  # fmt: skip
    slopes, onward = cell.buffer("output", 4 * units), cell.buffer("output", units)

    def step(unit: _Unit, sums: Sequence[Expr]) -> None:
        i, f, g, o = (unit.load(n, gates, k) for k, n in enumerate("ifgo"))
        b = unit.load("b", before)
        s = unit.let("s", apply("tanh", unit.load("c", cells)))
        dh = unit.let("dh", unit.total(arriving[:2], sums))
        dc = unit.let("dc", fma(mul(dh, o), _slope_of_tanh(s), unit.total(arriving[2:])))
        by = (
            mul(mul(dc, g), _slope_of_sigmoid(i)), mul(mul(dc, b), _slope_of_sigmoid(f)),
            mul(mul(dc, i), _slope_of_tanh(g)), mul(mul(dh, s), _slope_of_sigmoid(o)),
        )  # fmt: skip
        for k, value in enumerate(by):
            unit.store(slopes, value, k)
        unit.store(onward, mul(dc, f))

    return cell.kernel(step, product)


@lru_cache(maxsize=64)
def simple(
    batch: int, units: int, spread: int, beside: int, activation: str, product: Product | None = None,
    added: bool = True,
) -> Kernel:  # fmt: skip
    """Buffers: the activation's argument; outputs, state.  With a product, that is (``added``: to it) the argument."""
    cell = _Cell(batch, units)
    given = cell.buffer("input", units)
    outputs, state = cell.buffer("output", spread), cell.buffer("output", beside)

    def step(unit: _Unit, sums: Sequence[Expr]) -> None:
        z = unit.let("z", unit.total([given] if added else [], sums))
        h = unit.let("h", apply("tanh", z) if activation == "tanh" else at_least(z, const(0.0)))
        unit.store(outputs, h)
        unit.store(state, h)

    return cell.kernel(step, product)


@lru_cache(maxsize=64)
def simple_back(
    batch: int, units: int, spread: int, activation: str, by_output: bool, by_h: bool, product: Product | None = None
) -> Kernel:
    """Buffers: outputs, and where they have arrived the gradients by the output and the state; slopes.  A product is a
    gradient by the state."""
    cell = _Cell(batch, units)
    outputs = cell.buffer("input", spread)
    arriving = [cell.buffer("input", n) if there else None for n, there in ((spread, by_output), (units, by_h))]
    slopes = cell.buffer("output", units)

    def step(unit: _Unit, sums: Sequence[Expr]) -> None:
        h, dh, zero = unit.load("h", outputs), unit.let("dh", unit.total(arriving, sums)), const(0.0)
        bend = mul(dh, _slope_of_tanh(h)) if activation == "tanh" else where(compare("gt", h, zero), dh, mul(dh, zero))
        unit.store(slopes, bend)

    return cell.kernel(step, product)


@lru_cache(maxsize=64)
def stored(product: Product, added: bool) -> Kernel:
    """Buffers: what the product comes to, or is added to."""
    cell = _Cell(product.rows, product.columns)
    place = cell.buffer("output", product.columns)
    before = [place] if added else []
    return cell.kernel(lambda unit, sums: unit.store(place, unit.total(before, sums)), product)


@lru_cache(maxsize=64)
def gru(
    batch: int, units: int, spread: int, beside: int, product: Product | None = None, biased: bool = True
) -> Kernel:
    """Buffers: the input's projection, the state's, the state before; gates (z, r, n, the state's part of n), outputs,
    state.  The reset gate scales the state's projection.

    With a product, of a block for each gate, that is the state's projection but for the bias, which is given in its
    place if it is ``biased``."""
    cell = _Cell(batch, units)
    of_input = cell.buffer("input", 3 * units)
    of_state = cell.buffer("input", 0 if product else 3 * units) if biased else None
    before = cell.buffer("input", beside)
    gates, outputs, state = (cell.buffer("output", n) for n in (4 * units, spread, beside))

    def step(unit: _Unit, sums: Sequence[Expr]) -> None:
        x = [unit.load(f"x{k}", of_input, k) for k in range(3)]
        s = list(sums) if of_state is None else [unit.load(f"s{k}", of_state, k) for k in range(3)]
        if sums and of_state is not None:
            s = [add(a, b) for a, b in zip(sums, s, strict=True)]
        b = unit.load("b", before)
        z, r = (unit.let(n, apply("sigmoid", add(x[k], s[k]))) for k, n in enumerate("zr"))
        own = unit.let("own", s[2])
        n = unit.let("n", apply("tanh", fma(r, own, x[2])))
        h = unit.let("h", fma(z, sub(b, n), n))
        for k, value in enumerate((z, r, n, own)):
            unit.store(gates, value, k)
        unit.store(outputs, h)
        unit.store(state, h)

    return cell.kernel(step, product)


@lru_cache(maxsize=64)
def gru_back(
    batch: int, units: int, spread: int, first: bool, by_output: bool, by_h: bool, product: Product | None = None
) -> Kernel:
    """Buffers: gates, the state before (that of the ``first`` step, else an output), and where they have arrived the
    gradients by the output and the state; slopes by the input's projection and by the state's, the gradient by the
    state before but for that through the latter.  A product is a further gradient by the state."""
    cell = _Cell(batch, units)
    gates, before = cell.buffer("input", 4 * units), cell.buffer("input", units if first else spread)
    arriving = [cell.buffer("input", n) if there else None for n, there in ((spread, by_output), (units, by_h))]
    by_input, by_state, onward = (cell.buffer("output", n) for n in (3 * units, 3 * units, units))

    def step(unit: _Unit, sums: Sequence[Expr]) -> None:
        z, r, n, s = (unit.load(name, gates, k) for k, name in enumerate("zrns"))
        b, dh = unit.load("b", before), unit.let("dh", unit.total(arriving, sums))
        by_n = unit.let("by_n", mul(mul(dh, sub(const(1.0), z)), _slope_of_tanh(n)))
        by_z = unit.let("by_z", mul(mul(dh, sub(b, n)), _slope_of_sigmoid(z)))
        by_r = unit.let("by_r", mul(mul(by_n, s), _slope_of_sigmoid(r)))
        for k, value in enumerate((by_z, by_r, by_n)):
            unit.store(by_input, value, k)
        for k, value in enumerate((by_z, by_r, mul(by_n, r))):
            unit.store(by_state, value, k)
        unit.store(onward, mul(dh, z))

    return cell.kernel(step, product)


@lru_cache(maxsize=64)
def rows(many: tuple[int, int], columns: int, source_steps: tuple[int, int], target_steps: tuple[int, int]) -> Kernel:
    """Buffers: ``many`` times many rows of ``columns`` elements, and where they are put: so many elements from one to
    the next."""
    given, out = Buffer("i0", float32, "input"), Buffer("o1", float32, "output")
    places = LetIndex("a", "r", many[1], 0), LetIndex("b", "r", 1, many[1])
    source, target = (Index((("a", s[0]), ("b", s[1]), ("c", 1))) for s in (source_steps, target_steps))
    lanes = Loop("c", 0, columns, (Store(out, target, Load(float32, given, source)),), lanes=True)
    body = Loop("r", "lo", "hi", (*places, lanes))
    return Kernel([given, out], [], many[0] * many[1], 1, [body], 0.8 * columns)


@lru_cache(maxsize=64)
def ones(count: int, width: int) -> Kernel:
    """Buffers: a matrix of ``count`` rows, ``width`` elements apart, that gets a 1 at the start of each."""
    out = Buffer("o0", float32, "output")
    return Kernel([out], [], count, 1, [Loop("r", "lo", "hi", (Store(out, Index((("r", width),)), const(1.0)),))], 1.0)


__all__ = ["gru", "gru_back", "lstm", "lstm_back", "ones", "rows", "simple", "simple_back", "stored"]
