"""Recurrent networks: the series of ``lstm``, ``gru`` and ``simple_rnn``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from corenn.compiler.program import Call, Symbol
from corenn.dtypes import float32
from corenn.spec import Spec
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


class _Forward:
    """What the steps of all networks have in common: the table, and where outputs and states go."""

    def __init__(self, steps: Steps, call: Call, forwards: Forwards) -> None:
        given = operands_of(call)
        self.kernel, self.recurrent = there(given["kernel"]), there(given["recurrent_kernel"])
        self.bias, self.steps, self.call, self.forwards = given["bias"], steps, call, forwards
        reverse = call.plan.attrs["reverse"]
        self.shape = shape = Table(there(given["x"]), there(given["h0"]), reverse)
        self.kept: list[Symbol] = []
        self.constants: list[Symbol] = []
        outputs = call.outputs[0]
        if outputs in forwards.wanted:
            self.kept = [shape.symbol()]
            self.table = Piece(self.kept[0])
        else:
            self.table = steps.memory("table", shape.bytes)
        shape.begin(steps, self.table)
        self.size = shape.batch * shape.units * ITEM
        self.spread = shape.length * shape.units
        self.order = order_of(shape.length, reverse)

    def before(self, t: int) -> Piece:
        """The state that step ``t`` begins from, and the one and the inputs after it in each row."""
        return self.table.at(self.shape.begins(t))

    def after(self, t: int) -> Piece:
        """Where its own goes."""
        return self.table.at(self.shape.goes(t))

    def output(self, t: int) -> Piece:
        """Where the outputs of step ``t`` begin."""
        return Piece(self.call.outputs[0], t * self.shape.units * ITEM)

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
            weights, row = self.steps.memory("weights", rows * width * ITEM), 0
            for symbol, count in parts:
                described = Descriptor((count, width))
                self.steps.move(Piece(symbol), described, weights.at(row * width * ITEM), described)
                row += count
        else:
            self.project(target)
            weights, rows = Piece(self.recurrent), shape.units
        product = LibraryProduct(self.steps, shape.part(rows), weights, Descriptor((rows, width)), added=not joined)
        return lambda t: product.run(self.before(t), target.at(t * shape.batch * width * ITEM))

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
        product, weights, added = taken
        together = cell(product, added)
        return lambda t, *pieces: self.steps.loop(together, self.before(t), weights, target.at(t * size), *pieces)

    def tiles(self, blocks: int, target: Piece) -> tuple[Product, Piece, bool] | None:
        """``x W + h U + b`` as a product that the cell follows in the same loops: its shape, the weights laid out for
        it, and whether it is to be added to what stands in ``target``.  ``None`` where oneDNN has to make it."""
        shape = self.shape
        joined = shape.features <= shape.units
        depth = shape.columns if joined else shape.units
        if not suits(shape.units, depth):
            return None
        parts = [(self.recurrent, range(shape.units))]
        if joined:
            one = range(shape.units, shape.units + 1)
            parts += [(self._bias_or_zeros(), one), (self.kernel, range(one.stop, depth))]
        else:
            self.project(target)
        return *self.laid_out(blocks, depth, parts), not joined

    def laid_out(self, blocks: int, depth: int, parts: Sequence[tuple[Symbol, range]]) -> tuple[Product, Piece]:
        """The product of ``depth`` columns of the table with weights, of which the parts are some rows each; the
        weights laid out for it."""
        shape = self.shape
        made = Product.of_tiles(shape.batch, shape.units, depth, (shape.width, 1), blocks)
        tiles = self.steps.memory("tiles of weights", made.packed * ITEM)
        for symbol, rows in parts:
            self.steps.loop(made.packing((blocks * shape.units, 1, shape.units), rows), Piece(symbol), tiles)
        return made, tiles

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
    refuse(call, "lengths")
    steps = Steps()
    run = _Forward(steps, call, forwards)
    _, h, c, kept, gates = call.outputs
    shape = run.shape
    step = run.steps_of(
        4, Piece(gates), functools.partial(cells.lstm, shape.batch, shape.units, run.spread, shape.width)
    )
    cell = Piece(there(operands_of(call)["c0"]))
    for t in run.order:
        new = Piece(kept, t * run.size)
        step(t, cell, new, run.output(t), run.after(t))
        cell = new
    state = Descriptor((shape.batch, shape.units))
    steps.move(cell, state, Piece(c), state)
    return run.finished(h)


def simple_rnn(call: Call, forwards: Forwards) -> Series:
    """``simple_rnn`` without lengths."""
    refuse(call, "lengths")
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
    refuse(call, "lengths")
    if not call.plan.attrs["reset_after"]:
        raise UnimplementedError(call.name, "a reset gate before the product is not served")
    steps = Steps()
    run = _Forward(steps, call, forwards)
    _, h, gates = call.outputs
    shape, width = run.shape, 3 * run.shape.units
    projection = steps.memory("projection", 3 * shape.length * run.size)
    run.project(projection)
    bias = None if run.bias is None else Piece(run.bias, width * ITEM)
    cell = functools.partial(cells.gru, shape.batch, shape.units, run.spread, shape.width)
    if suits(shape.units, shape.units):
        made, tiles = run.laid_out(3, shape.units, [(run.recurrent, range(shape.units))])
        together = cell(made, bias is not None)

        def step(t: int, *pieces: Piece) -> None:
            rows = [] if bias is None else [bias]
            steps.loop(together, run.before(t), tiles, pieces[0], *rows, *pieces[1:])
    else:
        row = None if run.bias is None else Descriptor((1, width))
        product = LibraryProduct(
            steps, shape.part(shape.units), Piece(run.recurrent), Descriptor((shape.units, width)), bias=row
        )
        apart, own = cell(), steps.memory("sums", 3 * run.size)

        def step(t: int, *pieces: Piece) -> None:
            product.run(run.before(t), own, **({} if bias is None else {"bias": bias}))
            steps.loop(apart, pieces[0], own, *pieces[1:])

    for t in run.order:
        state, kept = run.before(t), Piece(gates, 4 * t * run.size)
        step(t, projection.at(3 * t * run.size), state, kept, run.output(t), run.after(t))
    return run.finished(h)


__all__ = ["gru", "lstm", "simple_rnn"]
