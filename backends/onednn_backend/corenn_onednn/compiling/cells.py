"""The cells of recurrent networks as loops over a batch: what a step does between its products, forwards and back.

A kernel handles one step.  Gates lie beside one another in a row of each example; ``spread`` is how many elements lie
between the outputs of one example and of the next, which have the other steps between them; ``beside`` is the same for
the states of networks, which have inputs between them.
"""

from __future__ import annotations

from functools import lru_cache

from corenn.dtypes import float32
from corenn_onednn.loops.ir import (
    Buffer,
    Expr,
    Index,
    Kernel,
    Let,
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

#: Roughly the nanoseconds that one unit of one example takes.
_COST = 1.0


class _Cell:
    """A kernel while it is written: its buffers in order, and the statements for one unit."""

    def __init__(self, batch: int, units: int) -> None:
        self.batch, self.units = batch, units
        self.buffers: list[Buffer] = []
        self.body: list[Statement] = []

    def buffer(self, role: str, width: int) -> tuple[Buffer, int]:
        """The next argument; ``width``: elements from one example's to the next's."""
        made = Buffer(f"{role[0]}{len(self.buffers)}", float32, role)
        self.buffers.append(made)
        return made, width

    def index(self, width: int, block: int) -> Index:
        return Index((("r", width), ("u", 1)), block * self.units)

    def load(self, name: str, place: tuple[Buffer, int], block: int = 0) -> Expr:
        """An element, by name from now on."""
        return self.let(name, Load(float32, place[0], self.index(place[1], block)))

    def let(self, name: str, value: Expr) -> Expr:
        """A value, by name from now on."""
        self.body.append(Let(name, value))
        return Name(float32, name)

    def store(self, place: tuple[Buffer, int], value: Expr, block: int = 0) -> None:
        self.body.append(Store(place[0], self.index(place[1], block), value))

    def kernel(self) -> Kernel:
        lanes = Loop("u", 0, self.units, tuple(self.body), lanes=True)
        return Kernel(self.buffers, [], self.batch, 1, [Loop("r", "lo", "hi", (lanes,))], _COST * self.units)


def _slope_of_sigmoid(y: Expr) -> Expr:
    return mul(y, sub(const(1.0), y))


def _slope_of_tanh(y: Expr) -> Expr:
    return sub(const(1.0), mul(y, y))


@lru_cache(maxsize=64)
def lstm(batch: int, units: int, spread: int, beside: int) -> Kernel:
    """Buffers: gates (their arguments before), the cells before; cells, outputs, state."""
    cell = _Cell(batch, units)
    gates, before = cell.buffer("output", 4 * units), cell.buffer("input", units)
    cells, outputs, state = (cell.buffer("output", n) for n in (units, spread, beside))
    z = [cell.load(f"z{k}", gates, k) for k in range(4)]
    i, f, g, o = (cell.let(n, apply("tanh" if n == "g" else "sigmoid", a)) for n, a in zip("ifgo", z, strict=True))
    c = cell.let("c", fma(f, cell.load("b", before), mul(i, g)))
    h = cell.let("h", mul(o, apply("tanh", c)))
    for k, value in enumerate((i, f, g, o)):
        cell.store(gates, value, k)
    for place, value in ((cells, c), (outputs, h), (state, h)):
        cell.store(place, value)
    return cell.kernel()


@lru_cache(maxsize=64)
def lstm_back(batch: int, units: int, spread: int, by_output: bool, by_h: bool, by_c: bool) -> Kernel:
    """Buffers: gates, cells, the cells before, and where they have arrived the gradients by the output, the state and
    the cells; slopes, the gradient by the cells before."""
    cell = _Cell(batch, units)
    gates, cells, before = (cell.buffer("input", n) for n in (4 * units, units, units))
    arriving = [cell.buffer("input", n) if there else None
                for n, there in ((spread, by_output), (units, by_h), (units, by_c))]  # fmt: skip
    slopes, onward = cell.buffer("output", 4 * units), cell.buffer("output", units)
    i, f, g, o = (cell.load(n, gates, k) for k, n in enumerate("ifgo"))
    b = cell.load("b", before)
    s = cell.let("s", apply("tanh", cell.load("c", cells)))
    dh = cell.let("dh", _total(cell, arriving[:2]))
    dc = cell.let("dc", fma(mul(dh, o), _slope_of_tanh(s), _total(cell, arriving[2:])))
    by = (
        mul(mul(dc, g), _slope_of_sigmoid(i)), mul(mul(dc, b), _slope_of_sigmoid(f)),
        mul(mul(dc, i), _slope_of_tanh(g)), mul(mul(dh, s), _slope_of_sigmoid(o)),
    )  # fmt: skip
    for k, value in enumerate(by):
        cell.store(slopes, value, k)
    cell.store(onward, mul(dc, f))
    return cell.kernel()


def _total(cell: _Cell, parts: list[tuple[Buffer, int] | None]) -> Expr:
    """The sum of what is there."""
    total: Expr | None = None
    for place in parts:
        if place is not None:
            value = cell.load(f"a{place[0].name}", place)
            total = value if total is None else add(total, value)
    return const(0.0) if total is None else total


@lru_cache(maxsize=64)
def simple(batch: int, units: int, spread: int, beside: int, activation: str) -> Kernel:
    """Buffers: the activation's argument; outputs, state."""
    cell = _Cell(batch, units)
    given = cell.buffer("input", units)
    outputs, state = cell.buffer("output", spread), cell.buffer("output", beside)
    z = cell.load("z", given)
    h = cell.let("h", apply("tanh", z) if activation == "tanh" else at_least(z, const(0.0)))
    cell.store(outputs, h)
    cell.store(state, h)
    return cell.kernel()


@lru_cache(maxsize=64)
def simple_back(batch: int, units: int, spread: int, activation: str, by_output: bool, by_h: bool) -> Kernel:
    """Buffers: outputs, and where they have arrived the gradients by the output and the state; slopes."""
    cell = _Cell(batch, units)
    outputs = cell.buffer("input", spread)
    arriving = [cell.buffer("input", n) if there else None for n, there in ((spread, by_output), (units, by_h))]
    slopes = cell.buffer("output", units)
    h, dh = cell.load("h", outputs), cell.let("dh", _total(cell, arriving))
    zero = const(0.0)
    bend = mul(dh, _slope_of_tanh(h)) if activation == "tanh" else where(compare("gt", h, zero), dh, mul(dh, zero))
    cell.store(slopes, bend)
    return cell.kernel()


@lru_cache(maxsize=64)
def gru(batch: int, units: int, spread: int, beside: int) -> Kernel:
    """Buffers: the input's projection, the state's, the state before; gates (z, r, n, the state's part of n), outputs,
    state.  The reset gate scales the state's projection."""
    cell = _Cell(batch, units)
    of_input, of_state, before = (cell.buffer("input", n) for n in (3 * units, 3 * units, beside))
    gates, outputs, state = (cell.buffer("output", n) for n in (4 * units, spread, beside))
    x = [cell.load(f"x{k}", of_input, k) for k in range(3)]
    s = [cell.load(f"s{k}", of_state, k) for k in range(3)]
    b = cell.load("b", before)
    z, r = (cell.let(n, apply("sigmoid", add(x[k], s[k]))) for k, n in enumerate("zr"))
    n = cell.let("n", apply("tanh", fma(r, s[2], x[2])))
    h = cell.let("h", fma(z, sub(b, n), n))
    for k, value in enumerate((z, r, n, s[2])):
        cell.store(gates, value, k)
    cell.store(outputs, h)
    cell.store(state, h)
    return cell.kernel()


@lru_cache(maxsize=64)
def gru_back(batch: int, units: int, spread: int, first: bool, by_output: bool, by_h: bool) -> Kernel:
    """Buffers: gates, the state before (that of the ``first`` step, else an output), and where they have arrived the
    gradients by the output and the state; slopes by the input's projection and by the state's, the gradient by the
    state before but for that through the latter."""
    cell = _Cell(batch, units)
    gates, before = cell.buffer("input", 4 * units), cell.buffer("input", units if first else spread)
    arriving = [cell.buffer("input", n) if there else None for n, there in ((spread, by_output), (units, by_h))]
    by_input, by_state, onward = (cell.buffer("output", n) for n in (3 * units, 3 * units, units))
    z, r, n, s = (cell.load(name, gates, k) for k, name in enumerate("zrns"))
    b, dh = cell.load("b", before), cell.let("dh", _total(cell, arriving))
    by_n = cell.let("by_n", mul(mul(dh, sub(const(1.0), z)), _slope_of_tanh(n)))
    by_z = cell.let("by_z", mul(mul(dh, sub(b, n)), _slope_of_sigmoid(z)))
    by_r = cell.let("by_r", mul(mul(by_n, s), _slope_of_sigmoid(r)))
    for k, value in enumerate((by_z, by_r, by_n)):
        cell.store(by_input, value, k)
    for k, value in enumerate((by_z, by_r, mul(by_n, r))):
        cell.store(by_state, value, k)
    cell.store(onward, mul(dh, z))
    return cell.kernel()


@lru_cache(maxsize=64)
def ones(count: int, width: int) -> Kernel:
    """Buffers: a matrix of ``count`` rows, ``width`` elements apart, that gets a 1 at the start of each."""
    out = Buffer("o0", float32, "output")
    return Kernel([out], [], count, 1, [Loop("r", "lo", "hi", (Store(out, Index((("r", width),)), const(1.0)),))], 1.0)


__all__ = ["gru", "gru_back", "lstm", "lstm_back", "ones", "simple", "simple_back"]
