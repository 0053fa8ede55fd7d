"""A program for people: its instructions with what each costs, fused groups, memory, and the floor time.

``explain`` gives text for a terminal of ``WIDTH`` columns, ``figures`` the numbers alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from corenn.compiler.cost import Cost, InstructionCost, bytes_of, calls_in, cost_of, flops_of
from corenn.compiler.machine import Machine
from corenn.compiler.memory import lifetimes
from corenn.compiler.program import Block, Call, Fused, Instruction, Joined, Program, Symbol

WIDTH = 120
_MARGIN = 20  # columns of flops and bytes
_SHORT = {"float": "f", "int": "i", "uint": "u", "complex": "c", "bfloat": "bf"}
_UNITS = ("", "k", "M", "G", "T", "P")


def figures(lowered: Program, executable: Any, machine: Machine) -> dict[str, Any]:
    """The numbers of ``explain`` by name; times in seconds, memory in bytes."""
    program: Program = executable.program
    cost, memory = cost_of(program), lifetimes(program)
    compiled = _compiled(executable)
    groups = [i for i in _walk(compiled.block) if _is_group(i)]
    return {
        "device": str(program.device), "lowered": len(list(_walk(lowered.block))),
        "instructions": len(list(_walk(compiled.block))), "inputs": len(program.inputs), "state": len(program.state),
        "writes": len(program.writes), "groups": len(groups), "fused_calls": sum(len(calls_in(g)) for g in groups),
        "flops": cost.flops, "bytes": cost.bytes, "least_bytes": cost.least_bytes, "peak": memory.peak,
        "total": memory.total, "flops_a_second": machine.flops, "bytes_a_second": machine.bytes,
        "floor_s": machine.floor(cost), "bound_s": machine.bound(cost),
    }  # fmt: skip


def explain(
    lowered: Program, executable: Any, machine: Machine, *, instructions: bool = True, source: bool = False
) -> str:
    """What became of ``lowered``: text of sections.

    ``executable`` is what runs it (``corenn.compiler.compiling.Runs``).  If it has ``compiled``, the program after its
    backend's passes, and ``memory``, a plan of buffers, these are shown, and with ``source`` the code it generated, its
    ``source``.  Without ``instructions``, no programs.
    """
    program: Program = executable.program
    found = figures(lowered, executable, machine)
    cost = cost_of(program)
    sections = [[
        f"program on {found['device']}: {found['instructions']} instructions ({found['lowered']} before the passes), "
        f"{found['inputs']} inputs, {found['state']} variables read, {found['writes']} written"
    ]]  # fmt: skip
    if instructions:
        sections += [["BEFORE THE PASSES", *listing(lowered)], ["AFTER THE PASSES", *listing(_compiled(executable))]]
    sections += [_groups(_compiled(executable)), _memory(executable), _work(cost, machine), _time(found)]
    if source:
        sections.append(["GENERATED CODE", *_source(executable)])
    return "\n\n".join("\n".join(section) for section in sections)


def _compiled(executable: Any) -> Program:
    """The program as it runs: after the backend's own passes, if it has any."""
    found: Program = getattr(executable, "compiled", executable.program)
    return found


def _is_group(instruction: Instruction) -> bool:
    """Whether calls were put together in it."""
    return not isinstance(instruction, Call) and bool(instruction.parts())


# ---------------------------------------------------------------- instructions


def listing(program: Program) -> list[str]:
    """A line, or several, for each instruction: its flops, its bytes, and what it is."""
    names = _Names()
    lines = [f"{'flops':>8} {'bytes':>9}"]
    for i, symbol in enumerate(program.inputs):
        lines.append(_entry("", "", f"{names.set(symbol, f'f{i}')} {_spec(symbol)}   input"))
    for i, (cell, symbol) in enumerate(program.state):
        lines.append(_entry("", "", f"{names.set(symbol, f's{i}')} {_spec(symbol)}   variable {cell.name}"))
    lines += _listed(program.block, names, 0)
    for cell, symbol in program.writes:
        lines.append(_entry("", "", f"{cell.name} := {names.of(symbol)}"))
    lines.append(_entry("", "", f"return {', '.join(map(names.of, program.results))}"))
    return lines


class _Names:
    """Short names of symbols, given as they are met."""

    def __init__(self) -> None:
        self._names: dict[Symbol, str] = {}

    def set(self, symbol: Symbol, name: str) -> str:
        return self._names.setdefault(symbol, name)

    def of(self, symbol: Symbol | None) -> str:
        if symbol is None:
            return "none"
        if symbol.constant and symbol not in self._names:
            if symbol.spec.size != 1 or symbol.spec.device is None:
                return f"const {_spec(symbol)}"
            return f"{symbol.spec.device.backend.to_host(symbol.array).reshape(()):.6g}"
        return self._names.setdefault(symbol, f"v{len(self._names)}")


def _listed(block: Block, names: _Names, depth: int) -> Iterator[str]:
    for instruction in block.instructions:
        flops = _flops(instruction)
        yield _entry(_count(flops) if flops else "", _bytes(bytes_of(instruction)), _text(instruction, names), depth)
        if _is_group(instruction):
            for call in calls_in(instruction):
                flops = _flops(call)
                yield _entry(_count(flops) if flops else "", "", _text(call, names), depth + 1)
        for inner in instruction.blocks():
            yield from _listed(inner, names, depth + 1)
            yield _entry("", "", f"-> {', '.join(map(names.of, inner.results))}", depth + 1)


def _text(instruction: Instruction, names: _Names) -> str:
    if isinstance(instruction, Joined):  # its operands are those of the calls, which are listed below it
        return f"joined, as one vector: {instruction.name}"
    made = ", ".join(f"{names.of(o)} {_spec(o)}" for o in instruction.outputs)
    given = ", ".join(map(names.of, instruction.inputs))
    name = "fused" if isinstance(instruction, Fused) else instruction.name
    changed = [f"{k}={_value(v)}" for k, v in _attributes(instruction).items()]
    text = f"{name}({given}{'; ' if changed else ''}{', '.join(changed)})"
    return f"{made} = {text}" if made else text


def _attributes(instruction: Instruction) -> dict[str, Any]:
    """Attributes of a call that are not what they are by default."""
    if not isinstance(instruction, Call):
        return {}
    defaults = instruction.plan.op.attributes
    return {k: v for k, v in instruction.plan.attrs.items() if k not in defaults or not _same(v, defaults[k])}


def _same(value: Any, default: Any) -> bool:
    """Whether an attribute is as it is by default, which may be one number for all axes."""
    return bool(value == default or (isinstance(value, tuple) and value and all(v == default for v in value)))


def _value(value: Any) -> str:
    return str(value).replace("corenn.", "").replace(" ", "")


def _spec(symbol: Symbol) -> str:
    """``f32[50,10]`` for float32 of that shape."""
    name = symbol.spec.dtype.name
    letters = name.rstrip("0123456789")
    return f"{_SHORT.get(letters, letters)}{name[len(letters) :]}[{','.join(map(str, symbol.spec.shape))}]"


def _entry(flops: str, moved: str, text: str, depth: int = 0) -> str:
    """One instruction, wrapped behind the columns of figures."""
    room = WIDTH - _MARGIN - 2 * depth
    first, *rest = textwrap.wrap(text, room, subsequent_indent="        ") or [""]
    pad = "  " * depth
    lines = [f"{flops:>8} {moved:>9}  {pad}{first}", *(f"{'':{_MARGIN}}{pad}{line}" for line in rest)]
    return "\n".join(line.rstrip() for line in lines)


# ---------------------------------------------------------------- sections


def _groups(program: Program) -> list[str]:
    groups = [i for i in _walk(program.block) if _is_group(i)]
    if not groups:
        return ["FUSED GROUPS", "  none"]
    lines = ["FUSED GROUPS", f"{'flops':>8} {'bytes':>9} {'unfused':>9}  calls"]
    for group in sorted(groups, key=lambda g: -sum(map(bytes_of, calls_in(g)))):
        body = calls_in(group)
        apart = sum(map(bytes_of, body))
        figures = f"{_count(_flops(group)):>8} {_bytes(bytes_of(group)):>9} {_bytes(apart):>9}"
        ops = ", ".join(f"{n} x {c}" if n > 1 else c for c, n in _tally(c.name for c in body).items())
        shapes = " ".join(dict.fromkeys(_spec(o) for o in group.outputs))
        wrapped = textwrap.wrap(f"{len(body):>3}: {ops} -> {shapes}", WIDTH - 30, subsequent_indent=" " * 5)
        lines.append(f"{figures}  {wrapped[0]}")
        lines += [" " * 30 + line for line in wrapped[1:]]
    return lines


def _memory(executable: Any) -> list[str]:
    plan = getattr(executable, "memory", None)
    if plan is not None:
        return ["MEMORY", *(f"  {line}" for line in str(plan).splitlines())]
    found = lifetimes(executable.program)
    share = f" ({found.peak / found.total:.0%})" if found.total else ""
    return ["MEMORY", f"  intermediate arrays: {_bytes(found.peak)} alive at the peak{share}, "
            f"{_bytes(found.total)} in all; buffers are not planned"]  # fmt: skip


def _work(cost: Cost, machine: Machine) -> list[str]:
    lines = ["WORK", f"  {'calls':>6} {'flops':>9} {'bytes':>9} {'bound':>9}  share"]
    by_name: dict[str, list[InstructionCost]] = {}
    for item in cost.items:
        name = "fused groups" if isinstance(item.instruction, Fused) else item.instruction.name
        by_name.setdefault(name, []).append(item)
    whole = machine.bound(cost) or 1.0

    def least(items: Sequence[InstructionCost]) -> float:
        return sum(max(i.flops / machine.flops, i.bytes / machine.bytes) for i in items)

    for name, items in sorted(by_name.items(), key=lambda entry: -least(entry[1])):
        columns = _count(sum(i.flops for i in items)), _bytes(sum(i.bytes for i in items)), _seconds(least(items))
        share = f"{least(items) / whole:6.1%}"
        lines.append(f"  {len(items):>6} " + " ".join(f"{c:>9}" for c in columns) + f" {share}  {name}")
    return lines


def _time(found: dict[str, Any]) -> list[str]:
    return [
        "TIME",
        f"  work     {_count(found['flops'])} flops; {_bytes(found['least_bytes'])} must move, "
        f"{_bytes(found['bytes'])} instruction by instruction",
        f"  machine  {found['flops_a_second'] / 1e9:.0f} GFLOP/s, {found['bytes_a_second'] / 1e9:.1f} GB/s",
        f"  floor    {_seconds(found['floor_s'])}: all flops at that speed, or what must move, whichever takes longer",
        f"  bound    {_seconds(found['bound_s'])}: the same, instruction by instruction, nothing left in a cache",
    ]


def _source(executable: Any) -> list[str]:
    text = getattr(executable, "source", None)
    return str(text).splitlines() if text else ["  what runs it has no source to show"]


# ---------------------------------------------------------------- counting and writing


def _walk(block: Block) -> Iterator[Instruction]:
    for instruction in block.instructions:
        yield instruction
        for inner in instruction.blocks():
            yield from _walk(inner)


def _flops(instruction: Instruction) -> int:
    return sum(flops_of(c.plan) for c in calls_in(instruction))


def _tally(names: Iterator[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found


def _count(number: float) -> str:
    """Three figures and a power of a thousand."""
    power = 0
    while number >= 999.5 and power < len(_UNITS) - 1:
        number, power = number / 1000, power + 1
    digits = 0 if number >= 99.95 or power == 0 else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f}{' ' if _UNITS[power] else ''}{_UNITS[power]}"


def _bytes(number: float) -> str:
    text = _count(number)
    return f"{text}B" if " " in text else f"{text} B"


def _seconds(number: float) -> str:
    """Three figures and a unit."""
    for factor, unit in ((1e6, "us"), (1e3, "ms"), (1.0, "s")):
        if number * factor < 999.5 or unit == "s":
            break
    value = number * factor
    return "0 us" if not value else "< 0.1 us" if value < 0.1 else f"{value:.3g} {unit}"


__all__ = ["WIDTH", "explain", "figures", "listing"]
