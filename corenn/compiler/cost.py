"""What a program costs on any machine: operations and bytes (memory: see ``corenn.compiler.memory``).

Counted from specs alone.  A *flop* is an addition, multiplication, comparison or evaluation of an elementary function
on one element; a multiply-add is two.  Convolutions are counted by the direct method, products with padding left out.
Random bits, integers of indices and moved elements are no flops.  An op without a rule here costs what its
decomposition costs, else one flop for each element of its largest operand or result.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from corenn.compiler.memory import VIEWS
from corenn.compiler.program import (
    Block,
    Call,
    If,
    Instruction,
    Program,
    Symbol,
    UnknownValueError,
    While,
)
from corenn.compiler.tracing import Trace, recording, recording_device, tensor_of
from corenn.spec import Spec

# ---------------------------------------------------------------- flops of an op

Specs = Sequence[Spec | None]
Rule = Callable[[Specs, Specs, dict[str, Any]], int]


def _matmul(inputs: Specs, outputs: Specs, attrs: dict[str, Any]) -> int:
    a, (out,) = _given(inputs)[0], _given(outputs)
    inner = a.static[-1] if a.ndim == 1 or not attrs["transpose_a"] else a.static[-2]
    return int(2 * inner * out.size)


def _einsum(inputs: Specs, outputs: Specs, attrs: dict[str, Any]) -> int:
    """Contracted pair by pair at best: at least each operand and the result are gone through once for each product."""
    sizes = [s.size for s in (*_given(inputs), *_given(outputs))]
    return 2 * max(sizes) * max(1, len(_given(inputs)) - 1)


def _taps(extent: int, windows: int, span: int, stride: int, dilation: int, before: int) -> int:
    """How many products there are along one axis, those with padding left out."""
    return sum(0 <= o * stride - before + t * dilation < extent for o in range(windows) for t in range(span))


def _convolution(x: Spec, windows: Spec, kernel: Sequence[int], per_filter: int, attrs: dict[str, Any]) -> int:
    """``x``: what the windows slide over; ``windows``: one position for each; both with batch and channels."""
    channels: int = attrs["layout"].index("C")
    extents, results = ([n for i, n in enumerate(s.static) if i not in (0, channels)] for s in (x, windows))
    each = (extents, results, kernel, attrs["strides"], attrs["dilation"], attrs["padding"])
    products: int = math.prod(_taps(n, m, k, s, d, p[0]) for n, m, k, s, d, p in zip(*each, strict=True))
    return 2 * windows.static[0] * windows.static[channels] * per_filter * products


def _conv(inputs: Specs, outputs: Specs, attrs: dict[str, Any]) -> int:
    x, w, (out,) = *_given(inputs), _given(outputs)
    return _convolution(x, out, w.static[:-2], w.static[-2], attrs)


def _conv_input_grad(inputs: Specs, outputs: Specs, attrs: dict[str, Any]) -> int:
    dy, w, (dx,) = *_given(inputs), _given(outputs)
    return _convolution(dx, dy, w.static[:-2], w.static[-2], attrs)


def _conv_weight_grad(inputs: Specs, outputs: Specs, attrs: dict[str, Any]) -> int:
    x, dy, (dw,) = *_given(inputs), _given(outputs)
    return _convolution(x, dy, dw.static[:-2], dw.static[-2], attrs)


def _window(inputs: Specs, outputs: Specs, attrs: dict[str, Any]) -> int:
    """Pooling: a comparison or addition for each element of each window."""
    smallest = min(s.size for s in (*_given(inputs), *_given(outputs)))
    return smallest * int(math.prod(attrs["window"]))


def _cubic(factor: float) -> Rule:
    """A decomposition of matrices m x n: ``factor * m * n * min(m, n)`` (Golub & Van Loan, *Matrix Computations*)."""

    def count(inputs: Specs, outputs: Specs, attrs: dict[str, Any]) -> int:
        a = _given(inputs)[0]
        return int(factor * a.size * min(a.static[-2:]))

    return count


def _logarithmic(inputs: Specs, outputs: Specs, attrs: dict[str, Any]) -> int:
    """Sorting: n log2 n comparisons."""
    size = max(s.size for s in _given(inputs))
    return int(size * math.log2(max(2, size)))


RULES: dict[str, Rule] = {
    "matmul": _matmul, "einsum": _einsum,
    "conv": _conv, "conv_input_grad": _conv_input_grad, "conv_weight_grad": _conv_weight_grad,
    **dict.fromkeys(("max_pool", "avg_pool", "max_pool_grad", "avg_pool_grad", "max_pool_gather"), _window),
    "cholesky": _cubic(1 / 3), "solve": _cubic(2 / 3), "inv": _cubic(2), "det": _cubic(2 / 3), "slogdet": _cubic(2 / 3),
    "triangular_solve": _cubic(1), "qr": _cubic(2), "eigh": _cubic(9), "svd": _cubic(20), "pinv": _cubic(20),
    **dict.fromkeys(("sort", "argsort", "top_k", "unique", "unique_all", "median"), _logarithmic),
}  # fmt: skip

#: Ops that only move or make elements, or compute with integers that say where.
_MOVES = VIEWS | {
    "transfer", "full", "arange", "eye", "index", "place", "update", "concatenate", "stack", "unstack", "split", "tile",
    "repeat", "flip", "roll", "pad", "tril", "triu", "diagonal", "diag_embed", "random_words", "random_permutation",
    "random_integers", "flat_index", "gather", "take_along_axis", "argwhere", "embedding", "index_arrays", "gather_nd",
    "index_arrays_update", "scatter_set", "set_rows", "one_hot",
}  # fmt: skip

#: Ops that read only the part of their first operand that they return.
_PARTIAL = frozenset(
    {"index", "gather", "take_along_axis", "embedding", "index_arrays", "gather_nd", "split", "unstack"}
)

#: Flops by plan, since decompositions take a while to look at; it must not keep plans without bound.
_known: dict[Any, int] = {}
_MOST_KNOWN = 4096


def flops_of(plan: Any) -> int:
    """Flops of one call of a plan (``corenn.ops.dispatch.Plan``)."""
    op = plan.op
    rule = RULES.get(op.name)
    if rule is not None:
        return rule(plan.inputs, plan.specs, plan.attrs)
    if op.name in _MOVES:
        return 0
    if plan not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[plan] = _composite(plan)
    return _known[plan]


def _composite(plan: Any) -> int:
    """By the decomposition, if there is one that does not depend on values."""
    if plan.op.decomposition is not None:
        with contextlib.suppress(UnknownValueError):
            return sum(flops_of(c.plan) for c in _decomposition(plan) if isinstance(c, Call))
    return max(s.size for s in (*_given(plan.inputs), *_given(plan.specs)))


def _decomposition(plan: Any) -> list[Instruction]:
    """The calls that a composite op is made of, for the plan's specs."""
    device, trace = recording_device(plan.device), Trace()
    with recording(trace, device):
        operands = [None if s is None else tensor_of(Symbol(s.at(plan.device)), device) for s in plan.inputs]
        plan.op.decomposition(*operands, **plan.attrs)
    return trace.instructions


def _given(specs: Specs) -> list[Spec]:
    return [s for s in specs if s is not None]


# ---------------------------------------------------------------- a program


@dataclass(frozen=True)
class InstructionCost:
    """Flops of one instruction, and the bytes it reads and writes; all of them if it is ``repeated``."""

    instruction: Instruction
    flops: int
    bytes: int
    repeated: int = 1


@dataclass(frozen=True)
class Cost:
    """What a program costs: ``flops``; ``bytes`` moved by its instructions, each by itself; ``least_bytes`` that must
    move whatever is fused; and the ``items`` that the first two are the sums of.

    Of a conditional the costlier branch counts; a loop counts as often as it may run, or once if that is unknown.
    """

    flops: int
    bytes: int
    least_bytes: int
    items: tuple[InstructionCost, ...]


def cost_of(program: Program) -> Cost:
    """Count a program."""
    items = tuple(_costs(program.block, 1))
    outside = dict.fromkeys([*program.inputs, *(s for _, s in program.state), *_constants(program.block)])
    written = dict.fromkeys([*program.results, *(s for _, s in program.writes)])
    least = sum(s.spec.nbytes for s in {**outside, **written})
    return Cost(sum(i.flops for i in items), sum(i.bytes for i in items), least, items)


def _costs(block: Block, times: int) -> Iterator[InstructionCost]:
    for instruction in block.instructions:
        if isinstance(instruction, If):
            branches = [list(_costs(b, times)) for b in instruction.blocks()]
            yield from max(branches, key=lambda items: (sum(i.flops for i in items), sum(i.bytes for i in items)))
        elif isinstance(instruction, While):
            for inner in instruction.blocks():
                yield from _costs(inner, times * (instruction.most or 1))
        else:
            flops = sum(flops_of(c.plan) for c in calls_in(instruction))
            yield InstructionCost(instruction, times * flops, times * bytes_of(instruction), times)


def calls_in(instruction: Instruction) -> tuple[Call, ...]:
    """The calls that an instruction stands for."""
    return instruction.parts()


def bytes_of(instruction: Instruction) -> int:
    """The bytes that an instruction must read and write when nothing is in a cache; none for a view."""
    made = sum(s.spec.nbytes for s in instruction.outputs)
    if isinstance(instruction, Call) and instruction.name in VIEWS:
        return 0
    read = [s for s in dict.fromkeys(instruction.inputs) if s is not None]
    if isinstance(instruction, Call) and instruction.name in _PARTIAL:
        return 2 * made + sum(s.spec.nbytes for s in read[1:])
    return made + sum(s.spec.nbytes for s in read)


def _constants(block: Block) -> Iterator[Symbol]:
    for symbol in block.uses():
        if symbol.constant:
            yield symbol


__all__ = ["Cost", "InstructionCost", "bytes_of", "calls_in", "cost_of", "flops_of"]
