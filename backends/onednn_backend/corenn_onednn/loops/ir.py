"""The loop language: what a kernel does, as loops over lanes, loads, stores, accumulators and scalar expressions.

It is small enough to read (``printing``) and close enough to a processor that ``lowering`` is a walk over it.  A kernel
handles the part ``[lo, hi)`` of ``count`` that the caller's chunk gets; a ``Loop`` with ``lanes`` runs several
neighbouring values of its variable at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from corenn import dtypes
from corenn.dtypes import DType

#: Dtypes that memory holds and registers do not: computed in float32.
NARROW = {dtypes.float16: dtypes.float32, dtypes.bfloat16: dtypes.float32}


def register_dtype(dtype: DType) -> DType:
    """The dtype an element of ``dtype`` is computed in."""
    return NARROW.get(dtype, dtype)


@dataclass(frozen=True, slots=True)
class Index:
    """``sum(variable * stride) + constant``, in elements."""

    terms: tuple[tuple[str, int], ...] = ()
    constant: int = 0

    def stride(self, variable: str) -> int:
        """How far one step of ``variable`` goes."""
        return sum(s for v, s in self.terms if v == variable)

    def plus(self, constant: int) -> Index:
        """Moved by a constant."""
        return Index(self.terms, self.constant + constant)

    def __str__(self) -> str:
        parts = [v if s == 1 else f"{v} * {s}" for v, s in self.terms if s]
        return " + ".join(parts + [str(self.constant)] * bool(self.constant or not parts))


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory given as an argument: ``role`` is "input", "output" or "scratch" (then at ``offset`` bytes)."""

    name: str
    dtype: DType
    role: str
    offset: int = 0


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Expr:
    """A value of one dtype; over lanes or not is a matter of where it stands."""

    dtype: DType


@dataclass(frozen=True, slots=True)
class Const(Expr):
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Name(Expr):
    """What a ``Let`` or an accumulator holds."""

    name: str


@dataclass(frozen=True, slots=True)
class Load(Expr):
    """An element of a buffer, converted to the dtype of registers; over lanes, 0 unless ``where`` (a bool) holds."""

    buffer: Buffer
    index: Index
    where: Expr | None = None


@dataclass(frozen=True, slots=True)
class Position(Expr):
    """The value of an index, as int64."""

    index: Index


@dataclass(frozen=True, slots=True)
class Apply(Expr):
    """A function of values: an instruction of ``lowering``, or one of ``functions``."""

    op: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class RandomBits(Expr):
    """32 random bits (uint32) of ``corenn.philox``: those of element ``index`` of the draw with this key (uint64s)."""

    seed: Expr
    stream: Expr
    offset: Expr
    index: Index


# ---------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Statement:
    """Something a kernel does."""


@dataclass(frozen=True, slots=True)
class Let(Statement):
    """Name a value."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Store(Statement):
    """Write an element, rounded to the dtype of the buffer; over lanes, only if ``where`` (a bool) holds."""

    buffer: Buffer
    index: Index
    value: Expr
    where: Expr | None = None


@dataclass(frozen=True, slots=True)
class Prefetch(Statement):
    """An element is about to be read, or written: fetch what lies around it into the cache."""

    buffer: Buffer
    index: Index
    writes: bool = False


@dataclass(frozen=True, slots=True)
class Accumulator(Statement):
    """Declare an accumulator, which starts with what changes nothing; ``kind``: sum, prod, max, min, any or all.

    ``lanes``: how many values it keeps apart, one for each step of the loops over lanes that use it, which run from 0;
    0 for one value.
    """

    name: str
    kind: str
    dtype: DType
    lanes: int = 0


@dataclass(frozen=True, slots=True)
class Accumulate(Statement):
    """Take a value into an accumulator."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Total(Expr):
    """What an accumulator has come to: over all lanes, or for each if it keeps them apart."""

    name: str


@dataclass(frozen=True, slots=True)
class AddTo(Statement):
    """Take a value into an element of memory."""

    buffer: Buffer
    index: Index
    kind: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Loop(Statement):
    """``variable`` from ``start`` to ``stop`` (numbers or names of int64); ``lanes``: several at once, in any order."""

    variable: str
    start: int | str
    stop: int | str
    body: tuple[Statement, ...]
    lanes: bool = False


@dataclass(frozen=True, slots=True)
class LetIndex(Statement):
    """``name = (value // divisor) % modulus`` of int64 (``modulus`` 0: no remainder)."""

    name: str
    value: str
    divisor: int
    modulus: int


@dataclass(frozen=True, slots=True)
class LetPart(Statement):
    """The bounds ``first`` and ``last`` of part ``part`` when ``count`` is cut into parts of ``size``."""

    part: str
    size: int
    count: int
    first: str
    last: str


@dataclass
class Kernel:
    """A function ``(args, chunk, chunks)``: ``buffers`` and then ``extents`` are what ``args`` points to, in order.

    The chunk handles ``lo`` to ``hi`` of ``count`` (a number or the name of an extent), bounds that are multiples of
    ``grain``.  ``cost`` is roughly the time of one of ``count`` in nanoseconds.
    """

    buffers: list[Buffer]
    extents: list[str]
    count: int | str
    grain: int
    body: list[Statement] = field(default_factory=list)
    cost: float = 1.0
    sizes: tuple[int, ...] = ()

    @property
    def number(self) -> int:
        """``count`` as a number, that of this use of the kernel."""
        return self.count if isinstance(self.count, int) else self.sizes[self.extents.index(self.count)]


def walk(expression: Expr) -> Sequence[Expr]:
    """The expression and all inside it, innermost first."""
    found: list[Expr] = []
    seen: set[int] = set()

    def visit(e: Expr) -> None:
        if id(e) in seen:
            return
        seen.add(id(e))
        if isinstance(e, Apply):
            for argument in e.args:
                visit(argument)
        found.append(e)

    visit(expression)
    return found


# ---------------------------------------------------------------- writing expressions


def const(value: float, dtype: DType = dtypes.float32) -> Const:
    """A number of a dtype."""
    return Const(dtype, value)


def apply(op: str, *args: Expr, dtype: DType | None = None) -> Apply:
    """A function of values; its dtype is that of the first unless given."""
    return Apply(dtype or args[0].dtype, op, args)


def add(a: Expr, b: Expr) -> Expr:
    """``a + b``."""
    return apply("add", a, b)


def sub(a: Expr, b: Expr) -> Expr:
    """``a - b``."""
    return apply("sub", a, b)


def mul(a: Expr, b: Expr) -> Expr:
    """``a * b``."""
    return apply("mul", a, b)


def div(a: Expr, b: Expr) -> Expr:
    """``a / b``, floating."""
    return apply("div", a, b)


def fma(a: Expr, b: Expr, c: Expr) -> Expr:
    """``a * b + c``, rounded once."""
    return apply("fma", a, b, c)


def neg(a: Expr) -> Expr:
    """``-a``."""
    return apply("neg", a)


def compare(op: str, a: Expr, b: Expr) -> Expr:
    """``a op b`` as a bool: lt, le, gt, ge, eq, ne (the last True beside NaN, the others False)."""
    return apply(op, a, b, dtype=dtypes.bool_)


def where(condition: Expr, a: Expr, b: Expr) -> Expr:
    """``a`` where the condition holds, else ``b``."""
    return apply("where", condition, a, b, dtype=a.dtype)


def convert(a: Expr, dtype: DType) -> Expr:
    """``a`` as another dtype, as ``corenn.cast`` has it."""
    return a if a.dtype is dtype else apply("convert", a, dtype=dtype)


def bits(a: Expr, dtype: DType) -> Expr:
    """The same bits as another dtype of the same size."""
    return apply("bits", a, dtype=dtype)


def at_least(a: Expr, low: Expr) -> Expr:
    """``low`` where ``a`` is below it, else ``a`` (NaN too)."""
    return where(compare("lt", a, low), low, a)


def at_most(a: Expr, high: Expr) -> Expr:
    """``high`` where ``a`` is above it, else ``a`` (NaN too)."""
    return where(compare("gt", a, high), high, a)
