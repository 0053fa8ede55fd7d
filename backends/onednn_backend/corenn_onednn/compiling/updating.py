"""Weights that are updated where their gradients are made: in registers.

The gradient of a layer's weights is a product of two matrices that nothing but the update of the weights reads.  By
itself it is as large as the weights, is written to memory and read again.  Here the loops that make a tile of it go on
to update that tile of the weights, and of the optimizer's slots (``loops.products``).
"""

from __future__ import annotations

from corenn.compiler.program import Block, Call, Fused, Instruction, Program, Symbol
from corenn_onednn.compiling.native import Native
from corenn_onednn.loops.compiling import machine
from corenn_onednn.loops.groups import LoopKernel, compile_followed
from corenn_onednn.loops.products import Product

#: Elements of gradients that are worth it.
_LARGE = 4096
#: A tile takes 64 columns: gradients of fewer columns than this are made across, with their rows as columns.
_WIDE = 48
#: Depth at most: so many rows of a tile's columns stay in a core's first cache, or nearly.
_DEEP = 256


class Updating(Instruction):
    """A product of matrices and the group that is all that reads it, as one kernel; made by the last pass."""

    __slots__ = ("group", "kernel", "product")

    def __init__(self, product: Native, group: Fused, kernel: LoopKernel) -> None:
        made = set(product.outputs)
        operands = product.operands["src"].symbol, product.operands["weights"].symbol
        inputs = dict.fromkeys([*operands, *(i for i in group.inputs if i not in made)])
        super().__init__(list(inputs), group.outputs, group.where)
        self.product, self.group, self.kernel = product, group, kernel

    def parts(self) -> tuple[Call, ...]:
        """The calls it stands for."""
        return (*self.product.parts(), *self.group.parts())

    @property
    def name(self) -> str:
        """The product and the group."""
        return f"{'+'.join(c.name for c in self.product.calls)}, {self.group.name}"


def with_updates_in_registers(program: Program, threads: int) -> Program:
    """The program with ``Updating`` in place of products and the groups that update variables by them."""
    uses: dict[Symbol, int] = {}
    for symbol in [*(s for i in program.instructions for s in i.inputs), *program.block.results]:
        if symbol is not None:
            uses[symbol] = uses.get(symbol, 0) + 1
    written = {symbol for _, symbol in program.writes}
    products = {i.outputs[0]: i for i in program.instructions if isinstance(i, Native) and _is_plain(i)}
    put: dict[int, Instruction | None] = {}
    for instruction in program.instructions:
        if not isinstance(instruction, Fused) or not written.issuperset(instruction.outputs):
            continue
        found = [products[i] for i in instruction.inputs if i in products and uses[i] == 1]
        made = _joined(found[0], instruction, threads) if len(found) == 1 and machine().width == 16 else None
        if made is not None:
            put[id(found[0])], put[id(instruction)] = None, made
    kept = [made for i in program.instructions if (made := put.get(id(i), i)) is not None]
    block = Block(kept, program.block.results)
    return Program(program.device, program.inputs, program.state, block, program.results, program.writes)


def _is_plain(native: Native) -> bool:
    """Whether it is a product of two matrices and nothing else, of such a size that loops are as quick."""
    if native.primitive.name != "matmul" or native.operands.keys() != {"src", "weights"}:
        return False
    source, weights = native.operands["src"].descriptor, native.operands["weights"].descriptor
    target = native.results["dst"].descriptor
    (rows, columns), depth = target.shape[-2:], source.shape[-1]
    return (
        all(d.dtype == "float32" for d in (source, weights, target))
        and len(target.shape) == 2
        and weights.strides[1] == 1
        and target.strides == (columns, 1)
        and rows * columns >= _LARGE
        and (columns >= _WIDE or source.strides[0] == 1)
        and depth <= _DEEP
    )


def _joined(native: Native, group: Fused, threads: int) -> Updating | None:
    source, weights = native.operands["src"], native.operands["weights"]
    target = native.results["dst"]
    if any(s.spec.static != target.symbol.spec.static for s in group.outputs):
        return None
    (rows, columns), depth = target.descriptor.shape, source.descriptor.shape[1]
    down, across = source.descriptor.strides
    if turned := columns < _WIDE:
        shape = Product.of_rows(columns, rows, depth, (1, weights.descriptor.strides[0]), across)
        operands = weights.symbol, source.symbol
    else:
        shape = Product.of_rows(rows, columns, depth, (down, across), weights.descriptor.strides[0])
        operands = source.symbol, weights.symbol
    kernel = compile_followed(shape, operands, target.symbol, group, threads, turned=turned)
    return None if kernel is None else Updating(native, group, kernel)


__all__ = ["Updating", "with_updates_in_registers"]
