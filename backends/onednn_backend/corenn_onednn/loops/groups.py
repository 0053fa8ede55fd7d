"""From a ``Fused`` instruction to machine code: what the rest of the backend calls."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from corenn.compiler.program import Fused, Symbol
from corenn_onednn.loops.compiling import address_of, key_of
from corenn_onednn.loops.ir import Kernel
from corenn_onednn.loops.printing import text_of
from corenn_onednn.loops.products import Elementwise, Product, product_kernel
from corenn_onednn.loops.scheduling import Group, Scheduled

#: Work below this many nanoseconds is not worth a team of threads.
_WORTH_A_TEAM = 4000.0


@dataclass(frozen=True)
class LoopKernel:
    """One kernel of a group; they run in order.

    ``symbols``: what its pointers are, in the order of the arguments; then comes the group's scratch memory if
    ``scratch`` (its bytes, for the group, aligned to 64) is not 0, then ``extents``.  ``chunks``: how many pieces it is
    run in.  ``address``: ``void f(void **args, int64 chunk, int64 chunks)``.
    """

    text: str
    key: str
    address: int
    symbols: tuple[Symbol, ...]
    scratch: int
    extents: tuple[int, ...]
    chunks: int
    may_alias: Callable[[Symbol, Symbol], bool]
    uses_scratch: bool

    def arguments(self, addresses: Sequence[int], scratch: int = 0) -> Any:
        """The argument array for these addresses of ``symbols``; keep it as long as the kernel may run.

        Its first words are the addresses: write others there when an array moves.
        """
        words = [*addresses, *([scratch] if self.uses_scratch else []), *self.extents]
        return (ctypes.c_uint64 * max(1, len(words)))(*words)


def compile_group(fused: Fused, threads: int = 1) -> list[LoopKernel]:
    """The kernels that compute the outputs of a group from its inputs, to be run in order."""
    group = Group(fused.body, fused.outputs, threads)
    return [_compiled(s, group) for s in group.kernels]


def compile_followed(
    shape: Product, operands: Sequence[Symbol], product: Symbol, fused: Fused, threads: int = 1, *, turned: bool = False
) -> LoopKernel | None:
    """A kernel for ``product``, of two operands, and for the group of what is done with each of its elements; ``None``
    if the group does more than that.  ``turned``: ``shape`` makes its transpose."""
    group = Group(fused.body, fused.outputs, threads)
    if len(group.kernels) != 1:
        return None
    (scheduled,) = group.kernels
    work = Elementwise.of(scheduled.kernel)
    if work is None or scheduled.symbols.count(product) != 1:
        return None
    place = scheduled.symbols.index(product)
    given = scheduled.kernel.buffers[place]
    buffers = [b for b in scheduled.kernel.buffers if b is not given]
    kernel = product_kernel(shape, buffers, work.first, work.following(given, shape, turned))
    made = compile_kernel(kernel, threads)
    symbols = (*operands, *(s for s in scheduled.symbols if s is not product))

    def may_alias(source: Symbol, target: Symbol) -> bool:
        return source not in operands and group.may_alias(source, target)

    return replace(made, symbols=symbols, may_alias=may_alias)


def compile_kernel(kernel: Kernel, threads: int = 1) -> LoopKernel:
    """A kernel that was written by hand, without extents or scratch memory; its buffers are given in their order."""
    text = text_of(kernel)
    key = key_of(text)
    chunks = chunks_of(kernel, threads)
    return LoopKernel(text, key, address_of(kernel, text, key), (), 0, (), chunks, lambda source, target: False, False)


def _compiled(scheduled: Scheduled, group: Group) -> LoopKernel:
    kernel = scheduled.kernel
    text = text_of(kernel)
    key = key_of(text)
    scratch = any(b.role == "scratch" for b in kernel.buffers)
    chunks = chunks_of(kernel, group.threads)
    address = address_of(kernel, text, key)
    return LoopKernel(
        text, key, address, tuple(scheduled.symbols), group.scratch, kernel.sizes, chunks, group.may_alias, scratch
    )


def chunks_of(kernel: Kernel, threads: int) -> int:
    """In how many pieces a kernel runs best."""
    units = -(-kernel.number // kernel.grain)
    if threads == 1 or kernel.number * kernel.cost < _WORTH_A_TEAM:
        return 1
    return min(threads, units)
