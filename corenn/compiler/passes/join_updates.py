"""Join the updates of many small variables: one kernel call on all of them laid end to end.

Where every element is computed on its own, as in an optimizer's update, calls with the same numbers and attributes can
be made as one.  For small variables the overhead of a call is most of its cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corenn.compiler.program import Block, Call, Instruction, Joined, Program, Symbol
from corenn.ops.dispatch import make_plan

#: Variables of more elements than this are updated on their own: copying them costs more than a call.
_SMALL = 4096
#: Two calls cost no more than laying their operands end to end.
_FEWEST = 3


def join_updates(program: Program) -> Program:
    """The program with pointwise updates of small variables joined where several are alike."""
    instructions = list(program.instructions)
    groups: dict[Any, list[int]] = {}
    for place, instruction in enumerate(instructions):
        if isinstance(instruction, Call) and instruction.plan.op.pointwise and _is_small(instruction):
            groups.setdefault(_likeness(instruction), []).append(place)
    joined: dict[int, Joined] = {}
    gone: set[int] = set()
    for places in groups.values():
        calls = [instructions[p] for p in places]
        if len(calls) < _FEWEST or _is_used(instructions, places):
            continue
        joined[places[-1]] = _joined([c for c in calls if isinstance(c, Call)])
        gone.update(places)
    if not joined:
        return program
    kept: list[Instruction] = []
    for place, instruction in enumerate(instructions):
        if place in joined:
            kept.append(joined[place])
        elif place not in gone:
            kept.append(instruction)
    block = Block(kept, program.block.results)
    return Program(program.device, program.inputs, program.state, block, program.results, program.writes)


def _is_small(call: Call) -> bool:
    spec = call.outputs[0].spec
    return 0 < spec.size <= _SMALL and all(o.spec is spec for o in call.outputs)


def _likeness(call: Call) -> Any:
    """What calls must have in common: the op, its attributes, the dtype, and the operands that are one number."""
    plan, own = call.plan, call.outputs[0].spec
    numbers = tuple((i, s) for i, s in enumerate(call.inputs) if s is not None and s.spec.shape != own.shape)
    same_shape = tuple(i for i, s in enumerate(call.inputs) if s is not None and s.spec.shape == own.shape)
    if own.shape == ():
        return call  # which operand is which kind cannot be told: on its own
    return plan.op, tuple(sorted(plan.attrs.items(), key=lambda a: a[0])), own.dtype, numbers, same_shape


def _is_used(instructions: Sequence[Instruction], places: Sequence[int]) -> bool:
    """Whether something between the first and the last of the calls needs a result of one of them."""
    made: set[Symbol] = set()
    for place in range(places[0], places[-1] + 1):
        instruction = instructions[place]
        used = {i for i in instruction.inputs if i is not None}
        for block in instruction.blocks():
            used |= block.uses()
        if not made.isdisjoint(used):
            return True
        if place in places:
            made.update(instruction.outputs)
    return False


def _joined(calls: Sequence[Call]) -> Joined:
    first = calls[0]
    own = first.outputs[0].spec
    total = sum(c.outputs[0].spec.size for c in calls)
    specs = [
        None if s is None else p if s.spec.shape != own.shape else p.shaped((total,))
        for s, p in zip(first.inputs, first.plan.inputs, strict=True)
    ]
    return Joined(make_plan(first.plan.op, tuple(specs), first.plan.attrs, first.plan.device), calls)


__all__ = ["join_updates"]
