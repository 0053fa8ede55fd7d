"""Recurrent networks as series of commands: products by oneDNN, and the cell between them in one loop for each step.

oneDNN has primitives for whole networks (``dnnl.primitives.recurrent``), but float32 training takes their slow way:
for 128 units, 28 steps, 28 features and a batch of 100 on one core with AVX-512, 10.2 ms forward and 35 ms back, where
the series here take 5.1 ms and 8.5 ms (least of many runs).  A network leaves its table for the gradient by its
weights, as a pooling leaves its workspace.

Masks (``lengths``), other dtypes than float32, and gradients by what only the gradient reads stay with NumPy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from corenn.compiler.program import Call, Symbol
from corenn.dtypes import float32
from corenn.spec import Spec
from corenn_onednn.compiling import cells
from corenn_onednn.compiling.forwards import Forwards
from corenn_onednn.compiling.series import Piece, Series, Steps
from corenn_onednn.dnnl import Attributes, Descriptor, Primitive, Sum, UnimplementedError
from corenn_onednn.dnnl.primitives.matmul import matmul
from corenn_onednn.loops.compiling import machine
from corenn_onednn.loops.ir import Kernel
from corenn_onednn.loops.products import Product

_ITEM = 4  # bytes of a float32
_LANES = 16
#: Products of more than this are left to oneDNN: a tile's columns of the weights no longer stay in a core's own cache.
_DEEP = 1024

#: Ops that are not taken apart into steps in any case: what is not served here, one NumPy kernel does.
WHOLE = frozenset(
    {
        "lstm", "lstm_grad", "gru", "gru_grad", "simple_rnn", "simple_rnn_grad", "recurrent_weight_grad",
        "recurrent_input_grad",
    }
)  # fmt: skip


def _operands(call: Call) -> dict[str, Symbol | None]:
    """The operands by name, those that are absent as ``None``."""
    names = call.plan.op.tensors
    return dict(zip(names, (*call.inputs, *[None] * len(names)), strict=False))


def _refuse(call: Call, *absent: str) -> None:
    """UnimplementedError unless all is float32 and the operands of these names are absent."""
    given = _operands(call)
    for name in absent:
        if given[name] is not None:
            raise UnimplementedError(call.name, f"{name} is not served")
    if any(s is not None and s.spec.dtype is not float32 for s in (*call.inputs, *call.outputs)):
        raise UnimplementedError(call.name, "only float32 is served")


def _there(symbol: Symbol | None) -> Symbol:
    assert symbol is not None  # the operand is not optional
    return symbol


def _order(steps: int, reverse: bool) -> list[int]:
    return list(range(steps))[:: -1 if reverse else 1]


def _suits(columns: int, depth: int) -> bool:
    """Whether a product with so many columns of a block is made in the loops of what follows it."""
    return machine().width == _LANES and columns % _LANES == 0 and depth <= _DEEP


class _Product:
    """A product with a matrix that is the same in every step, laid out once as oneDNN likes it."""

    def __init__(
        self, steps: Steps, source: Descriptor, weights: Piece, given: Descriptor, *, bias: Descriptor | None = None,
        added: bool = False,
    ) -> None:  # fmt: skip
        wanted = Descriptor(given.shape, "float32", "any")
        self.primitive: Primitive = matmul(
            source, wanted, Descriptor((source.shape[0], given.shape[1])), bias=bias,
            attributes=Attributes((Sum(),) if added else ()),
        )  # fmt: skip
        self.steps = steps
        self.weights = steps.packed("packed weights", weights, given, self.primitive.descriptors["weights"])

    def run(self, source: Piece, target: Piece, **more: Piece) -> None:
        """Next, this product."""
        self.steps.execute(self.primitive, src=source, weights=self.weights, dst=target, **more)


class _Table:
    """The states each step begins from, a column of ones and the inputs, beside one another: a matrix for each step.

    Products read the arguments of all gates off it, and the gradients by all weights.  There is one matrix more than
    steps, so that the state after the last step has a place too.
    """

    def __init__(self, x: Symbol, h0: Symbol, reverse: bool) -> None:
        self.x, self.h0, self.reverse = x, h0, reverse
        self.batch, self.length, self.features = x.spec.static
        self.units = h0.spec.static[1]
        self.columns = self.units + 1 + self.features
        self.one, self.input = self.units * _ITEM, (self.units + 1) * _ITEM  # where they begin in a row, in bytes
        self.width = -(-self.columns // _LANES) * _LANES
        self.step = self.batch * self.width * _ITEM
        self.bytes = (self.length + 1) * self.step

    def symbol(self) -> Symbol:
        """A value that has room for it."""
        return Symbol(Spec((self.bytes // _ITEM,), float32, self.x.spec.device))

    def begins(self, t: int) -> int:
        """Where the matrix of step ``t`` begins, in bytes; the state it begins from stands first in each row."""
        return (t + self.reverse) * self.step

    def goes(self, t: int) -> int:
        """Where the state after step ``t`` goes."""
        return self.begins(t) + (-self.step if self.reverse else self.step)

    def part(self, columns: int, rows: int | None = None) -> Descriptor:
        """The layout of some columns of one step's matrix, or of more rows than its."""
        return Descriptor((self.batch if rows is None else rows, columns), "float32", (self.width, 1))

    def turned(self, columns: int) -> Descriptor:
        """The layout of the transpose of some columns of all steps."""
        return Descriptor((columns, self.length * self.batch), "float32", (1, self.width))

    def put(
        self, steps: Steps, source: Piece, strides: tuple[int, int], shape: tuple[int, int, int], target: Piece
    ) -> None:  # fmt: skip
        """Fill some columns, (steps, batch, columns); ``strides`` of the source are those of a step and an example."""
        into = self.batch * self.width, self.width
        steps.loop(cells.rows(shape[:2], shape[2], strides, into), source, target)

    def begin(self, steps: Steps, table: Piece) -> None:
        """Fill in what is known beforehand: the first state, the ones and the inputs."""
        first, start = self.length - 1 if self.reverse else 0, table.at(self.begins(0))
        begun = table.at(self.begins(first))
        self.put(steps, Piece(self.h0), (0, self.units), (1, self.batch, self.units), begun)
        strides = (self.features, self.length * self.features)
        shape = (self.length, self.batch, self.features)
        self.put(steps, Piece(self.x), strides, shape, start.at(self.input))
        ones = cells.ones(self.length * self.batch, self.width)
        steps.loop(ones, start.at(self.one))

    def states(self, steps: Steps, table: Piece, outputs: Symbol) -> None:
        """Fill in the other states, which are the outputs of the steps before."""
        if self.length == 1:
            return
        strides = (self.units, self.length * self.units)
        source, first = Piece(outputs, self.units * _ITEM if self.reverse else 0), 0 if self.reverse else 1
        shape = (self.length - 1, self.batch, self.units)
        self.put(steps, source, strides, shape, table.at(self.begins(first)))


class _Forward:
    """What the steps of all networks have in common: the table, and where outputs and states go."""

    def __init__(self, steps: Steps, call: Call, forwards: Forwards) -> None:
        given = _operands(call)
        self.kernel, self.recurrent = _there(given["kernel"]), _there(given["recurrent_kernel"])
        self.bias, self.steps, self.call, self.forwards = given["bias"], steps, call, forwards
        reverse = call.plan.attrs["reverse"]
        self.shape = shape = _Table(_there(given["x"]), _there(given["h0"]), reverse)
        self.kept: list[Symbol] = []
        self.constants: list[Symbol] = []
        outputs = call.outputs[0]
        if outputs in forwards.wanted:
            self.kept = [shape.symbol()]
            self.table = Piece(self.kept[0])
        else:
            self.table = steps.memory("table", shape.bytes)
        shape.begin(steps, self.table)
        self.size = shape.batch * shape.units * _ITEM
        self.spread = shape.length * shape.units
        self.order = _order(shape.length, reverse)

    def before(self, t: int) -> Piece:
        """The state that step ``t`` begins from, and the one and the inputs after it in each row."""
        return self.table.at(self.shape.begins(t))

    def after(self, t: int) -> Piece:
        """Where its own goes."""
        return self.table.at(self.shape.goes(t))

    def output(self, t: int) -> Piece:
        """Where the outputs of step ``t`` begin."""
        return Piece(self.call.outputs[0], t * self.shape.units * _ITEM)

    def project(self, target: Piece) -> None:
        """The input's products and the bias (the first row of several), of all steps."""
        shape, width = self.shape, self.kernel.spec.static[1]
        rows, bias = shape.batch * shape.length, None if self.bias is None else Descriptor((1, width))
        source = shape.part(shape.features, rows)
        made = matmul(source, Descriptor((shape.features, width)), Descriptor((rows, width)), bias=bias)
        more = {} if self.bias is None else {"bias": Piece(self.bias)}
        inputs = self.before(0).at(shape.input)
        self.steps.execute(made, src=inputs, weights=Piece(self.kernel), dst=target, **more)

    def sums(self, target: Piece) -> Callable[[int], None]:
        """``step(t)``: next, ``x W + h U + b`` of step ``t`` at its place in ``target``.

        Few features are multiplied together with the state, which saves writing and reading all their products; many
        are multiplied for all steps at once, which reads their weights once.
        """
        shape, width = self.shape, self.kernel.spec.static[1]
        joined = shape.features <= shape.units
        if joined:
            parts = [(self.recurrent, shape.units), (self._bias_or_zeros(), 1), (self.kernel, shape.features)]
            rows = shape.columns
            weights, row = self.steps.memory("weights", rows * width * _ITEM), 0
            for symbol, count in parts:
                described = Descriptor((count, width))
                self.steps.move(Piece(symbol), described, weights.at(row * width * _ITEM), described)
                row += count
        else:
            self.project(target)
            weights, rows = Piece(self.recurrent), shape.units
        product = _Product(self.steps, shape.part(rows), weights, Descriptor((rows, width)), added=not joined)
        return lambda t: product.run(self.before(t), target.at(t * shape.batch * width * _ITEM))

    def steps_of(self, blocks: int, target: Piece, cell: Callable[..., Kernel]) -> Callable[..., None]:
        """``step(t, *pieces)``: next, step ``t``, whose sums have ``blocks`` of units, in ``target`` for all steps.

        ``cell(product, added)`` is the kernel of the sums and the pieces, or with them of what its product needs.
        """
        taken = self.tiles(blocks, target)
        size = blocks * self.size
        if taken is None:
            sums, alone = self.sums(target), cell()

            def apart(t: int, *pieces: Piece) -> None:
                sums(t)
                self.steps.loop(alone, target.at(t * size), *pieces)

            return apart
        product, panels, added = taken
        together = cell(product, added)
        return lambda t, *pieces: self.steps.loop(together, self.before(t), panels, target.at(t * size), *pieces)

    def tiles(self, blocks: int, target: Piece) -> tuple[Product, Piece, bool] | None:
        """``x W + h U + b`` as a product that the cell follows in the same loops: its shape, the weights laid out for
        it, and whether it is to be added to what stands in ``target``.  ``None`` where oneDNN has to make it."""
        shape, width = self.shape, self.kernel.spec.static[1]
        joined = shape.features <= shape.units
        depth = shape.columns if joined else shape.units
        if not _suits(shape.units, depth):
            return None
        made = Product.of_tiles(shape.batch, shape.units, depth, (shape.width, 1), blocks)
        panels = self.steps.memory("tiles of weights", made.packed * _ITEM)
        parts = [(self.recurrent, range(shape.units))]
        if joined:
            one = range(shape.units, shape.units + 1)
            parts += [(self._bias_or_zeros(), one), (self.kernel, range(one.stop, depth))]
        else:
            self.project(target)
        for symbol, rows in parts:
            self.steps.loop(made.packing((width, 1, shape.units), rows), Piece(symbol), panels)
        return made, panels, not joined

    def _bias_or_zeros(self) -> Symbol:
        if self.bias is None:
            width = self.kernel.spec.static[1]
            self.bias = Symbol(Spec((width,), float32, self.kernel.spec.device), np.zeros(width, np.float32))
            self.constants.append(self.bias)
        return self.bias

    def finished(self, h: Symbol) -> Series:
        """The series, which ends by giving the last state to ``h``."""
        shape = self.shape
        last = self.after(self.order[-1])
        state = Descriptor((shape.batch, shape.units))
        self.steps.move(last, shape.part(shape.units), Piece(h), state)
        call, steps = self.call, self.steps
        for table in self.kept:
            self.forwards.made[call.outputs[0]] = shape, table
        inputs, outputs = (*call.inputs, *self.constants), (*call.outputs, *self.kept)
        return Series(steps.steps, steps.own, inputs, outputs, call.where, [call.name])


def lstm(call: Call, forwards: Forwards) -> Series:
    """``lstm`` without lengths."""
    _refuse(call, "lengths")
    steps = Steps()
    run = _Forward(steps, call, forwards)
    _, h, c, kept, gates = call.outputs
    shape = run.shape
    step = run.steps_of(
        4, Piece(gates), functools.partial(cells.lstm, shape.batch, shape.units, run.spread, shape.width)
    )
    cell = Piece(_there(_operands(call)["c0"]))
    for t in run.order:
        new = Piece(kept, t * run.size)
        step(t, cell, new, run.output(t), run.after(t))
        cell = new
    state = Descriptor((shape.batch, shape.units))
    steps.move(cell, state, Piece(c), state)
    return run.finished(h)


def simple_rnn(call: Call, forwards: Forwards) -> Series:
    """``simple_rnn`` without lengths."""
    _refuse(call, "lengths")
    steps = Steps()
    run = _Forward(steps, call, forwards)
    shape = run.shape
    target = steps.memory("sums", shape.length * run.size)
    activation = call.plan.attrs["activation"]
    cell = functools.partial(cells.simple, shape.batch, shape.units, run.spread, shape.width, activation)
    step = run.steps_of(1, target, cell)
    for t in run.order:
        step(t, run.output(t), run.after(t))
    return run.finished(call.outputs[1])


def gru(call: Call, forwards: Forwards) -> Series:
    """``gru`` without lengths, the reset gate after the product."""
    _refuse(call, "lengths")
    if not call.plan.attrs["reset_after"]:
        raise UnimplementedError(call.name, "a reset gate before the product is not served")
    steps = Steps()
    run = _Forward(steps, call, forwards)
    _, h, gates = call.outputs
    shape, width = run.shape, 3 * run.shape.units
    projection, sums = steps.memory("projection", 3 * shape.length * run.size), steps.memory("sums", 3 * run.size)
    run.project(projection)
    row = None if run.bias is None else Descriptor((1, width))
    given = Descriptor((shape.units, width))
    product = _Product(steps, shape.part(shape.units), Piece(run.recurrent), given, bias=row)
    more = {} if run.bias is None else {"bias": Piece(run.bias, width * _ITEM)}
    kernel = cells.gru(shape.batch, shape.units, run.spread, shape.width)
    for t in run.order:
        product.run(run.before(t), sums, **more)
        steps.loop(
            kernel, projection.at(3 * t * run.size), sums, run.before(t), Piece(gates, 4 * t * run.size),
            run.output(t), run.after(t),
        )  # fmt: skip
    return run.finished(h)


# ---------------------------------------------------------------- gradients


def _finished(
    call: Call, steps: Steps, handed: Sequence[Symbol] = (), over: Mapping[Symbol, Symbol] | None = None
) -> Series:  # fmt: skip
    return Series(steps.steps, steps.own, (*call.inputs, *handed), call.outputs, call.where, [call.name], over)


def _back(steps: Steps, batch: int, recurrent: Symbol, added: bool = False) -> _Product:
    """The product with the transposed recurrent kernel."""
    units, width = recurrent.spec.static
    given = Descriptor((width, units), "float32", (1, width))
    return _Product(steps, Descriptor((batch, width)), Piece(recurrent), given, added=added)


class _Backward:
    """Gradients by states, products of the next step's slopes, and the cells of the steps these came out of."""

    def __init__(self, call: Call, steps: Steps, batch: int, forwards: Forwards, dh: Symbol) -> None:
        given = _operands(call)
        recurrent = _there(given["recurrent_kernel"])
        units, width = recurrent.spec.static
        self.steps, self.dh, self.asked = steps, dh, dh in forwards.read
        self.by_h = given["g_h"]
        self.slopes: Piece | None = None
        self.product: Product | None = None
        if _suits(units, width):
            self.product = Product.of_tiles(batch, units, width, (width, 1))
            self.tiles = steps.memory("tiles of weights", self.product.packed * _ITEM)
            steps.loop(self.product.packing((1, width, 0)), Piece(recurrent), self.tiles)
        else:
            self.apart = _back(steps, batch, recurrent)

    def step(self, cell: Callable[..., Kernel], before: list[Piece], others: list[Piece], slopes: Piece) -> None:
        """Next, a step.

        ``cell(by_h, product)``: its kernel, and whether the gradient by the state is given to it; else it makes that
        if there is a product.  Pieces: those before the gradient, those after it, of which the first are slopes.
        """
        if self.product is None or self.slopes is None:
            if self.slopes is not None:
                self.apart.run(self.slopes, Piece(self.dh))
                self.by_h = self.dh
            given = [] if self.by_h is None else [Piece(self.by_h)]
            self.steps.loop(cell(bool(given), None), *before, *given, *others)
        else:
            self.steps.loop(cell(False, self.product), self.slopes, self.tiles, *before, *others)
        self.slopes = slopes

    def end(self) -> None:
        """Next, the gradient by the first state, if it is asked for."""
        if not self.asked or self.slopes is None:
            return
        if self.product is None:
            self.apart.run(self.slopes, Piece(self.dh))
        else:
            self.steps.loop(cells.stored(self.product), self.slopes, self.tiles, Piece(self.dh))


def lstm_grad(call: Call, forwards: Forwards) -> Series:
    """``lstm_grad`` without lengths, of gradients by the outputs and last states."""
    _refuse(call, "lengths", "g_cells", "g_gates")
    given, steps = _operands(call), Steps()
    slopes, dh, dc = call.outputs
    kept, gates, c0 = (_there(given[n]) for n in ("cells", "gates", "c0"))
    length, batch, units = kept.spec.static
    size, order = batch * units * _ITEM, _order(length, call.plan.attrs["reverse"])
    back = _Backward(call, steps, batch, forwards, dh)
    arrived, by_c = given["g_outputs"], given["g_c"]
    for place in reversed(range(length)):
        t, there = order[place], by_c is not None
        before = [Piece(gates, 4 * t * size), Piece(kept, t * size)]
        before += [Piece(kept, order[place - 1] * size) if place else Piece(c0)]
        before += [] if arrived is None else [Piece(arrived, t * units * _ITEM)]
        here = Piece(slopes, 4 * t * size)
        others = [*([] if by_c is None else [Piece(by_c)]), here, Piece(dc)]

        def cell(by_h: bool, product: Product | None, by_c: bool = there) -> Kernel:
            return cells.lstm_back(batch, units, length * units, arrived is not None, by_h, by_c, product)

        back.step(cell, before, others, here)
        by_c = dc
    back.end()
    return _finished(call, steps, over={slopes: gates})


def simple_rnn_grad(call: Call, forwards: Forwards) -> Series:
    """``simple_rnn_grad`` without lengths."""
    _refuse(call, "lengths")
    given, steps = _operands(call), Steps()
    slopes, dh = call.outputs
    length, batch, units = slopes.spec.static
    outputs, arrived = _there(given["outputs"]), given["g_outputs"]
    back = _Backward(call, steps, batch, forwards, dh)
    activation = call.plan.attrs["activation"]

    def cell(by_h: bool, product: Product | None) -> Kernel:
        return cells.simple_back(batch, units, length * units, activation, arrived is not None, by_h, product)

    for t in reversed(_order(length, call.plan.attrs["reverse"])):
        before = [Piece(outputs, t * units * _ITEM)]
        before += [] if arrived is None else [Piece(arrived, t * units * _ITEM)]
        here = Piece(slopes, t * batch * units * _ITEM)
        back.step(cell, before, [here], here)
    back.end()
    return _finished(call, steps)


def gru_grad(call: Call, forwards: Forwards) -> Series:
    """``gru_grad`` without lengths, the reset gate after the product, of gradients by the outputs and last state."""
    _refuse(call, "lengths", "g_gates")
    if not call.plan.attrs["reset_after"]:
        raise UnimplementedError(call.name, "a reset gate before the product is not served")
    given, steps = _operands(call), Steps()
    by_input, by_state, dh = call.outputs
    h0, outputs, gates = (_there(given[n]) for n in ("h0", "outputs", "gates"))
    batch, length, units = outputs.spec.static
    order = _order(length, call.plan.attrs["reverse"])
    size, arrived, by_h = batch * units * _ITEM, given["g_outputs"], given["g_h"]
    product = _back(steps, batch, _there(given["recurrent_kernel"]), added=True)
    for place in reversed(range(length)):
        t = order[place]
        before = Piece(outputs, order[place - 1] * units * _ITEM) if place else Piece(h0)
        kernel = cells.gru_back(batch, units, length * units, not place, arrived is not None, by_h is not None)
        more = [] if arrived is None else [Piece(arrived, t * units * _ITEM)]
        more += [] if by_h is None else [Piece(by_h)]
        through = Piece(by_state, 3 * t * size)
        steps.loop(
            kernel, Piece(gates, 4 * t * size), before, *more, Piece(by_input, 3 * t * size), through,
            Piece(dh),
        )  # fmt: skip
        if place or dh in forwards.read:
            product.run(through, Piece(dh))
        by_h = dh
    return _finished(call, steps)


def weight_grad(call: Call, forwards: Forwards) -> Series:
    """``recurrent_weight_grad`` without lengths: one product of the slopes with the table, so that they are read once.

    The table is that of the network itself where it is in the program, else it is made of the outputs.
    """
    _refuse(call, "lengths")
    given, steps = _operands(call), Steps()
    slopes, x, h0, outputs = (_there(given[n]) for n in ("slopes", "x", "h0", "outputs"))
    width = slopes.spec.static[2]
    shape, kept = forwards.made.get(outputs, (None, None))
    if shape is None or shape.x is not x or shape.h0 is not h0:
        shape, kept = _Table(x, h0, call.plan.attrs["reverse"]), None
    if kept is None:
        table = steps.memory("table", shape.bytes)
        shape.begin(steps, table)
        shape.states(steps, table, outputs)
    else:
        table = Piece(kept)
    by_kernel, by_recurrent, by_bias = call.outputs
    start, of_state = table.at(shape.begins(0)), given["state_slopes"]

    def product(what: Symbol, first: int, parts: Sequence[tuple[Piece, int]]) -> None:
        """Columns of the table from ``first`` bytes on times slopes: the rows of ``parts``, of so many each."""
        count = sum(n for _, n in parts)
        found = steps.memory(f"found {first}", count * width * _ITEM)
        slopes_of_all = Descriptor((shape.length * shape.batch, width))
        made = matmul(shape.turned(count), slopes_of_all, Descriptor((count, width)))
        steps.execute(made, src=start.at(first), weights=Piece(what), dst=found)
        row = 0
        for target, many in parts:
            part = Descriptor((many, width))
            steps.move(found.at(row * width * _ITEM), part, target, part)
            row += many

    of_input = [(Piece(by_bias), 1), (Piece(by_kernel), shape.features)]
    if of_state is None:
        product(slopes, 0, [(Piece(by_recurrent), shape.units), *of_input])
    else:
        product(of_state, 0, [(Piece(by_recurrent), shape.units), (Piece(by_bias, width * _ITEM), 1)])
        product(slopes, shape.one, of_input)
    return _finished(call, steps, [] if kept is None else [kept])


def input_grad(call: Call, forwards: Forwards) -> Series:
    """``recurrent_input_grad``."""
    _refuse(call)
    steps = Steps()
    slopes, kernel = (_there(s) for s in call.inputs)
    length, batch, width = slopes.spec.static
    features, rows = kernel.spec.static[0], batch * length
    found = steps.memory("found", rows * features * _ITEM)
    turned = Descriptor((width, features), "float32", (1, width))
    made = matmul(Descriptor((rows, width)), turned, Descriptor((rows, features)))
    steps.execute(made, src=Piece(slopes), weights=Piece(kernel), dst=found)
    by_time = Descriptor((length, batch, features), "float32", (features, length * features, 1))
    steps.move(found, Descriptor((length, batch, features)), Piece(call.outputs[0]), by_time)
    return _finished(call, steps)


#: Op name to what makes the series of a call; UnimplementedError for a call that is not served.
SERIES: dict[str, Callable[[Call, Forwards], Series]] = {
    "lstm": lstm, "lstm_grad": lstm_grad, "gru": gru, "gru_grad": gru_grad, "simple_rnn": simple_rnn,
    "simple_rnn_grad": simple_rnn_grad, "recurrent_weight_grad": weight_grad, "recurrent_input_grad": input_grad,
}  # fmt: skip

__all__ = ["SERIES", "WHOLE"]
