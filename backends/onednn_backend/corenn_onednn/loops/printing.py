"""Kernels as text that reads like C: what ``corenn explain --source`` shows, and what names the machine code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from corenn_onednn.loops.ir import (
    Accumulate,
    Accumulator,
    AddTo,
    Apply,
    Buffer,
    Const,
    Expr,
    Kernel,
    Let,
    LetIndex,
    LetPart,
    Load,
    Loop,
    Name,
    Position,
    Prefetch,
    RandomBits,
    Statement,
    Store,
    Total,
)

_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip
_INTO = {"sum": "+=", "prod": "*=", "max": "max=", "min": "min=", "any": "|=", "all": "&="}


def text_of(kernel: Kernel) -> str:
    """The kernel as text; two kernels with one text are one machine code."""
    lines = [f"kernel({', '.join([*map(_parameter, kernel.buffers), *(f'int64 {e}' for e in kernel.extents)])})"]
    shared = f"lo, hi = share of {kernel.count}"
    lines.append("{   // " + shared + (f" in multiples of {kernel.grain}" if kernel.grain > 1 else ""))
    lines += _block(kernel.body, "  ")
    return "\n".join([*lines, "}"])


def _parameter(buffer: Buffer) -> str:
    place = f" at {buffer.offset}" if buffer.role == "scratch" else ""
    return f"{buffer.role} {buffer.dtype}* {buffer.name}{place}"


def _block(body: Sequence[Statement], indent: str) -> Iterator[str]:
    for s in body:
        if isinstance(s, Let):
            yield f"{indent}{s.value.dtype} {s.name} = {show(s.value)};"
        elif isinstance(s, Store):
            condition = "" if s.where is None else f"if ({show(s.where)}) "
            yield f"{indent}{condition}{s.buffer.name}[{s.index}] = {show(s.value)};"
        elif isinstance(s, AddTo):
            yield f"{indent}{s.buffer.name}[{s.index}] {_INTO[s.kind]} {show(s.value)};"
        elif isinstance(s, Prefetch):
            yield f"{indent}prefetch {s.buffer.name}[{s.index}]{' to write' if s.writes else ''};"
        elif isinstance(s, Accumulator):
            yield f"{indent}{s.kind}<{s.dtype}> {s.name}{f'[{s.lanes}]' if s.lanes else ''};"
        elif isinstance(s, Accumulate):
            yield f"{indent}{s.name} <- {show(s.value)};"
        elif isinstance(s, LetIndex):
            rest = f" % {s.modulus}" if s.modulus else ""
            yield f"{indent}int64 {s.name} = {s.value} / {s.divisor}{rest};"
        elif isinstance(s, LetPart):
            yield f"{indent}int64 {s.first} = {s.part} * {s.size}, {s.last} = min({s.first} + {s.size}, {s.count});"
        elif isinstance(s, Loop):
            lanes = "   // lanes" if s.lanes else ""
            yield f"{indent}for (int64 {s.variable} = {s.start}; {s.variable} < {s.stop}; {s.variable}++) {{{lanes}"
            yield from _block(s.body, indent + "  ")
            yield f"{indent}}}"


def show(e: Expr) -> str:
    """An expression."""
    if isinstance(e, Const):
        return f"{e.value!r}" if e.dtype.name == "float32" else f"{e.dtype}({e.value!r})"
    if isinstance(e, Name):
        return e.name
    if isinstance(e, Load):
        element = f"{e.buffer.name}[{e.index}]"
        return element if e.where is None else f"({show(e.where)} ? {element} : 0)"
    if isinstance(e, Position):
        return f"({e.index})"
    if isinstance(e, Total):
        return f"total({e.name})"
    if isinstance(e, RandomBits):
        return f"philox({show(e.seed)}, {show(e.stream)}, {show(e.offset)} + {e.index})"
    assert isinstance(e, Apply)
    args = [show(a) for a in e.args]
    if e.op in _INFIX:
        return f"({args[0]} {_INFIX[e.op]} {args[1]})"
    if e.op == "where":
        return f"({args[0]} ? {args[1]} : {args[2]})"
    if e.op == "neg":
        return f"-{args[0]}"
    if e.op in ("convert", "bits"):
        return f"{e.dtype}{'_bits' if e.op == 'bits' else ''}({args[0]})"
    return f"{e.op}({', '.join(args)})"
