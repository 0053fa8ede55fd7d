"""Gradients of recurrent networks: by states and gates, step by step; by weights and inputs, in one product."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from corenn.compiler.program import Call, Symbol
from corenn_onednn.compiling.forwards import Forwards
from corenn_onednn.compiling.recurrent import cells
from corenn_onednn.compiling.recurrent.parts import (
    ITEM,
    LibraryProduct,
    Table,
    operands_of,
    order_of,
    refuse,
    suits,
    there,
)
from corenn_onednn.compiling.series import Piece, Series, Steps
from corenn_onednn.dnnl import Descriptor, UnimplementedError
from corenn_onednn.dnnl.primitives.matmul import matmul
from corenn_onednn.loops.ir import Kernel
from corenn_onednn.loops.products import Product


def _finished(
    call: Call, steps: Steps, handed: Sequence[Symbol] = (), over: Mapping[Symbol, Symbol] | None = None
) -> Series:  # fmt: skip
    return Series(steps.steps, steps.own, (*call.inputs, *handed), call.outputs, call.where, [call.name], over)


class _Backward:
    """Gradients by states, products of the next step's slopes, and the cells of the steps these came out of.

    ``added``: to what the cell of the next step has put into ``dh``.
    """

    def __init__(
        self, call: Call, steps: Steps, batch: int, forwards: Forwards, dh: Symbol, added: bool = False
    ) -> None:  # fmt: skip
        given = operands_of(call)
        recurrent = there(given["recurrent_kernel"])
        units, width = recurrent.spec.static
        self.steps, self.dh, self.added, self.asked = steps, dh, added, dh in forwards.read
        self.by_h = given["g_h"]
        self.slopes: Piece | None = None
        self.product: Product | None = None
        if suits(units, width):
            self.product = Product.of_tiles(batch, units, width, (width, 1))
            self.tiles = steps.memory("tiles of weights", self.product.packed * ITEM)
            steps.loop(self.product.packing((1, width, 0)), Piece(recurrent), self.tiles)
        else:
            given_as = Descriptor((width, units), "float32", (1, width))
            self.apart = LibraryProduct(steps, Descriptor((batch, width)), Piece(recurrent), given_as, added=added)

    def step(self, cell: Callable[..., Kernel], before: list[Piece], others: list[Piece], slopes: Piece) -> None:
        """Next, a step.

        ``cell(by_h, product)``: its kernel, to which the gradient by the state is given, or a part of it, or nothing,
        and which makes the rest of it by the product if there is one.  Pieces: those before that gradient, those after
        it; ``slopes``: those of them that the next gradient is made of.
        """
        if self.product is None or self.slopes is None:
            if self.slopes is not None:
                self.apart.run(self.slopes, Piece(self.dh))
                self.by_h = self.dh
            given = [] if self.by_h is None else [Piece(self.by_h)]
            self.steps.loop(cell(bool(given), None), *before, *given, *others)
        else:
            given = [Piece(self.dh)] if self.added else []
            self.steps.loop(cell(self.added, self.product), self.slopes, self.tiles, *before, *given, *others)
        self.slopes = slopes

    def end(self) -> None:
        """Next, the gradient by the first state, if it is asked for."""
        if not self.asked or self.slopes is None:
            return
        if self.product is None:
            self.apart.run(self.slopes, Piece(self.dh))
        else:
            self.steps.loop(cells.stored(self.product, self.added), self.slopes, self.tiles, Piece(self.dh))


def lstm_grad(call: Call, forwards: Forwards) -> Series:
    """``lstm_grad`` without lengths, of gradients by the outputs and last states."""
    refuse(call, "lengths", "g_cells", "g_gates")
    given, steps = operands_of(call), Steps()
    slopes, dh, dc = call.outputs
    kept, gates, c0 = (there(given[n]) for n in ("cells", "gates", "c0"))
    length, batch, units = kept.spec.static
    size, order = batch * units * ITEM, order_of(length, call.plan.attrs["reverse"])
    back = _Backward(call, steps, batch, forwards, dh)
    arrived, by_c = given["g_outputs"], given["g_c"]
    for place in reversed(range(length)):
        t, carried = order[place], by_c is not None
        before = [Piece(gates, 4 * t * size), Piece(kept, t * size)]
        before += [Piece(kept, order[place - 1] * size) if place else Piece(c0)]
        before += [] if arrived is None else [Piece(arrived, t * units * ITEM)]
        here = Piece(slopes, 4 * t * size)
        others = [*([] if by_c is None else [Piece(by_c)]), here, Piece(dc)]

        def cell(by_h: bool, product: Product | None, by_c: bool = carried) -> Kernel:
            return cells.lstm_back(batch, units, length * units, arrived is not None, by_h, by_c, product)

        back.step(cell, before, others, here)
        by_c = dc
    back.end()
    return _finished(call, steps, over={slopes: gates})


def simple_rnn_grad(call: Call, forwards: Forwards) -> Series:
    """``simple_rnn_grad`` without lengths."""
    refuse(call, "lengths")
    given, steps = operands_of(call), Steps()
    slopes, dh = call.outputs
    length, batch, units = slopes.spec.static
    outputs, arrived = there(given["outputs"]), given["g_outputs"]
    back = _Backward(call, steps, batch, forwards, dh)
    activation = call.plan.attrs["activation"]

    def cell(by_h: bool, product: Product | None) -> Kernel:
        return cells.simple_back(batch, units, length * units, activation, arrived is not None, by_h, product)

    for t in reversed(order_of(length, call.plan.attrs["reverse"])):
        before = [Piece(outputs, t * units * ITEM)]
        before += [] if arrived is None else [Piece(arrived, t * units * ITEM)]
        here = Piece(slopes, t * batch * units * ITEM)
        back.step(cell, before, [here], here)
    back.end()
    return _finished(call, steps)


def gru_grad(call: Call, forwards: Forwards) -> Series:
    """``gru_grad`` without lengths, the reset gate after the product, of gradients by the outputs and last state."""
    refuse(call, "lengths", "g_gates")
    if not call.plan.attrs["reset_after"]:
        raise UnimplementedError(call.name, "a reset gate before the product is not served")
    given, steps = operands_of(call), Steps()
    by_input, by_state, dh = call.outputs
    h0, outputs, gates = (there(given[n]) for n in ("h0", "outputs", "gates"))
    batch, length, units = outputs.spec.static
    size, arrived, order = batch * units * ITEM, given["g_outputs"], order_of(length, call.plan.attrs["reverse"])
    back = _Backward(call, steps, batch, forwards, dh, added=True)
    for place in reversed(range(length)):
        t, first = order[place], not place
        before = [Piece(gates, 4 * t * size)]
        before += [Piece(h0) if first else Piece(outputs, order[place - 1] * units * ITEM)]
        before += [] if arrived is None else [Piece(arrived, t * units * ITEM)]
        through = Piece(by_state, 3 * t * size)

        def cell(by_h: bool, product: Product | None, first: bool = first) -> Kernel:
            return cells.gru_back(batch, units, length * units, first, arrived is not None, by_h, product)

        back.step(cell, before, [Piece(by_input, 3 * t * size), through, Piece(dh)], through)
    back.end()
    return _finished(call, steps)


def weight_grad(call: Call, forwards: Forwards) -> Series:
    """``recurrent_weight_grad`` without lengths: one product of the slopes with the table, so that they are read once.

    The table is that of the network itself where it is in the program, else it is made of the outputs.
    """
    refuse(call, "lengths")
    given, steps = operands_of(call), Steps()
    slopes, x, h0, outputs = (there(given[n]) for n in ("slopes", "x", "h0", "outputs"))
    width = slopes.spec.static[2]
    shape, kept = forwards.made.get(outputs, (None, None))
    if shape is None or shape.x is not x or shape.h0 is not h0:
        shape, kept = Table(x, h0, call.plan.attrs["reverse"]), None
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
        found = steps.memory(f"found {first}", count * width * ITEM)
        slopes_of_all = Descriptor((shape.length * shape.batch, width))
        made = matmul(shape.turned(count), slopes_of_all, Descriptor((count, width)))
        steps.execute(made, src=start.at(first), weights=Piece(what), dst=found)
        row = 0
        for target, many in parts:
            part = Descriptor((many, width))
            steps.move(found.at(row * width * ITEM), part, target, part)
            row += many

    of_input = [(Piece(by_bias), 1), (Piece(by_kernel), shape.features)]
    if of_state is None:
        product(slopes, 0, [(Piece(by_recurrent), shape.units), *of_input])
    else:
        product(of_state, 0, [(Piece(by_recurrent), shape.units), (Piece(by_bias, width * ITEM), 1)])
        product(slopes, shape.one, of_input)
    return _finished(call, steps, [] if kept is None else [kept])


def input_grad(call: Call, forwards: Forwards) -> Series:
    """``recurrent_input_grad``."""
    refuse(call)
    steps = Steps()
    slopes, kernel = (there(s) for s in call.inputs)
    length, batch, width = slopes.spec.static
    features, rows = kernel.spec.static[0], batch * length
    found = steps.memory("found", rows * features * ITEM)
    turned = Descriptor((width, features), "float32", (1, width))
    made = matmul(Descriptor((rows, width)), turned, Descriptor((rows, features)))
    steps.execute(made, src=Piece(slopes), weights=Piece(kernel), dst=found)
    by_time = Descriptor((length, batch, features), "float32", (features, length * features, 1))
    steps.move(found, Descriptor((length, batch, features)), Piece(call.outputs[0]), by_time)
    return _finished(call, steps)


__all__ = ["gru_grad", "input_grad", "lstm_grad", "simple_rnn_grad", "weight_grad"]
