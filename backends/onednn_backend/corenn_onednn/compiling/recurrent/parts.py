"""What networks and their gradients have in common: operands, products, and the table of states and inputs."""

from __future__ import annotations

from corenn.compiler.program import Call, Symbol
from corenn.dtypes import float32
from corenn.spec import Spec
from corenn_onednn.compiling.recurrent import cells
from corenn_onednn.compiling.series import Piece, Steps
from corenn_onednn.dnnl import Attributes, Descriptor, Primitive, Sum, UnimplementedError
from corenn_onednn.dnnl.primitives.matmul import matmul
from corenn_onednn.loops.compiling import machine

ITEM = 4  # bytes of a float32
_LANES = 16
#: Products of more than this are left to oneDNN: a tile's columns of the weights no longer stay in a core's own cache.
_DEEP = 1024


def operands_of(call: Call) -> dict[str, Symbol | None]:
    """The operands by name, those that are absent as ``None``."""
    names = call.plan.op.tensors
    return dict(zip(names, (*call.inputs, *[None] * len(names)), strict=False))


def refuse(call: Call, *absent: str) -> None:
    """UnimplementedError unless all is float32 and the operands of these names are absent."""
    given = operands_of(call)
    for name in absent:
        if given[name] is not None:
            raise UnimplementedError(call.name, f"{name} is not served")
    if any(s is not None and s.spec.dtype is not float32 for s in (*call.inputs, *call.outputs)):
        raise UnimplementedError(call.name, "only float32 is served")


def there(symbol: Symbol | None) -> Symbol:
    """An operand that is not optional."""
    assert symbol is not None
    return symbol


def order_of(steps: int, reverse: bool) -> list[int]:
    """The steps in the order they are made."""
    return list(range(steps))[:: -1 if reverse else 1]


def suits(columns: int, depth: int) -> bool:
    """Whether a product with so many columns of a block is made in the loops of what follows it."""
    return machine().width == _LANES and columns % _LANES == 0 and depth <= _DEEP


class LibraryProduct:
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


class Table:
    """The states each step begins from, a column of ones and the inputs, beside one another: a matrix for each step.

    Products read the arguments of all gates off it, and the gradients by all weights.  There is one matrix more than
    steps, so that the state after the last step has a place too.
    """

    def __init__(self, x: Symbol, h0: Symbol, reverse: bool) -> None:
        self.x, self.h0, self.reverse = x, h0, reverse
        self.batch, self.length, self.features = x.spec.static
        self.units = h0.spec.static[1]
        self.columns = self.units + 1 + self.features
        self.one, self.input = self.units * ITEM, (self.units + 1) * ITEM  # where they begin in a row, in bytes
        self.width = -(-self.columns // _LANES) * _LANES
        self.step = self.batch * self.width * ITEM
        self.bytes = (self.length + 1) * self.step

    def symbol(self) -> Symbol:
        """A value that has room for it."""
        return Symbol(Spec((self.bytes // ITEM,), float32, self.x.spec.device))

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
        source, first = Piece(outputs, self.units * ITEM if self.reverse else 0), 0 if self.reverse else 1
        shape = (self.length - 1, self.batch, self.units)
        self.put(steps, source, strides, shape, table.at(self.begins(first)))


__all__ = ["ITEM", "LibraryProduct", "Table", "operands_of", "order_of", "refuse", "suits", "there"]
