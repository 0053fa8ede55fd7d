"""Join calls that one nest of loops can run into ``Fused`` instructions, as large as makes sense.

Instructions are taken in order.  A call joins the groups that make its operands, and those that read the same values
from outside, where that makes no circle among groups and loops still run through all of it (``axes.arrange``).  What a
backend has loops for it says with ``expressible``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from corenn.compiler.passes.axes import RESHAPES, Arrangement, arrange
from corenn.compiler.passes.recompute import recompute
from corenn.compiler.program import Block, Call, Fused, Instruction, Program, Symbol

#: Groups of more calls than this are not made: compiling one should not take longer than it saves.
_MOST_CALLS = 160

Expressible = Callable[[Call], bool]


def fuse(program: Program, expressible: Expressible) -> Program:
    """The program with every call that ``expressible`` takes inside a ``Fused``; changes of shape stay by themselves.

    Values keep their symbols, so what the program computes, and for whom, stays readable; those that several groups
    compute for themselves (see ``recompute``) are under a symbol of their own in each.
    """
    block = _fused(program.block, expressible)
    joined = Program(program.device, program.inputs, program.state, block, program.results, program.writes)
    return recompute(joined)


def _fused(block: Block, expressible: Expressible) -> Block:
    instructions: list[Instruction] = []
    for instruction in block.instructions:
        inner = [_fused(b, expressible) for b in instruction.blocks()]
        instructions.append(instruction.rebuilt(instruction.inputs, inner) if inner else instruction)
    return Block(_Groups(Block(instructions, block.results), expressible).joined(), block.results)


class _Group:
    """Places of instructions that run as one; ``parents``: groups it needs, ``before``: a bit for every group it needs,
    directly or not."""

    __slots__ = ("arrangement", "before", "number", "parents", "places", "size")

    def __init__(self, number: int, place: int, size: int) -> None:
        self.number, self.places, self.size = number, [place], size
        self.parents: set[int] = set()
        self.before = 0
        self.arrangement: Arrangement | None = None


class _Groups:
    """The groups of one block while they are made."""

    def __init__(self, block: Block, expressible: Expressible) -> None:
        self.block = block
        self.instructions = block.instructions
        self.open = [isinstance(i, Call) and expressible(i) for i in block.instructions]
        self.maker: dict[Symbol, int] = {}
        self.users: dict[Symbol, list[int]] = {}
        for place, instruction in enumerate(block.instructions):
            self.maker.update(dict.fromkeys(instruction.outputs, place))
            for symbol in _read(instruction):
                self.users.setdefault(symbol, []).append(place)
        self.results = set(block.results)
        self.groups: dict[int, _Group] = {}
        self.group_of: list[int] = []
        self.children: dict[int, set[int]] = {}
        self.readers: dict[Symbol, list[int]] = {}  # groups that read a value from outside

    def joined(self) -> list[Instruction]:
        """The instructions of the block, with groups in their places."""
        effect: int | None = None
        for place, instruction in enumerate(self.instructions):
            size = max((s.spec.size for s in instruction.outputs if None not in s.spec.shape), default=0)
            if self.open[place]:
                size = max([size, *(s.spec.size for s in instruction.inputs if s is not None)])
            group = _Group(place, place, size)
            self.groups[place], self.children[place] = group, set()
            self.group_of.append(place)
            for symbol in _read(instruction):
                if symbol in self.maker:
                    self._depend(group, self.group_of[self.maker[symbol]])
            if instruction.effects:
                if effect is not None:
                    self._depend(group, self.group_of[effect])
                effect = place
            if self.open[place]:
                self._join(place, instruction)
        return self._ordered()

    # ---- joining

    def _depend(self, group: _Group, parent: int) -> None:
        if parent != group.number:
            group.parents.add(parent)
            self.children[parent].add(group.number)
            group.before |= self.groups[parent].before | 1 << parent

    def _join(self, place: int, call: Instruction) -> None:
        """Join the call with the groups it should be with."""
        made = [self.maker[s] for s in call.inputs if s is not None and s in self.maker]
        near = dict.fromkeys(self.group_of[p] for p in made if self.open[p])
        for symbol in call.inputs:
            if symbol is None or symbol.spec.size == 1:
                continue
            if symbol not in self.maker or not self.open[self.maker[symbol]]:
                mine = self.groups[self.group_of[place]]
                if symbol.spec.size == mine.size:
                    near |= dict.fromkeys(
                        self.group_of[p] for p in self.readers.get(symbol, ()) if self.group_of[p] != place
                    )
                self.readers.setdefault(symbol, []).append(place)
        for number in sorted(near, key=lambda n: -self.groups[n].size):
            own = self.group_of[place]
            if number in self.groups and number != own:
                found = self._fitted(self.groups[number], self.groups[own])
                if found is not None:
                    self._merge(self.groups[number], self.groups[own])
                    self.groups[number].arrangement = found

    def _fitted(self, a: _Group, b: _Group) -> Arrangement | None:
        """How loops run through both groups, where that works and is worth it."""
        if len(a.places) + len(b.places) > _MOST_CALLS:
            return None
        if self._around(a, b) or self._around(b, a):
            return None
        places = sorted(a.places + b.places)
        outputs = self._outputs(places)
        small, large = sorted((a, b), key=lambda g: g.size)
        if small.size < large.size and not small.before >> large.number & 1:
            # Numbers that others need as well are found once, by themselves, before the large groups that need them.
            own = {o for p in small.places for o in self.instructions[p].outputs}
            if own & set(outputs):
                return None
        if len(b.places) == 1 and a.arrangement is not None:
            found = a.arrangement.extended(self._call(b.places[0]), outputs)
            if found is not None:
                return found
        return arrange([self._call(p) for p in places], outputs)

    def _around(self, a: _Group, b: _Group) -> bool:
        """Whether b needs a through another group."""
        return any(self.groups[p].before >> a.number & 1 for p in b.parents if p != a.number)

    def _merge(self, a: _Group, b: _Group) -> None:
        """b's calls become a's."""
        a.places = sorted(a.places + b.places)
        a.size = max(a.size, b.size)
        for p in b.places:
            self.group_of[p] = a.number
        for parent in b.parents:
            self.children[parent].discard(b.number)
            if parent != a.number:
                a.parents.add(parent)
                self.children[parent].add(a.number)
        a.parents.discard(b.number)
        for child in self.children.pop(b.number):
            if child == a.number:
                continue
            parents = self.groups[child].parents
            parents.discard(b.number)
            parents.add(a.number)
            self.children[a.number].add(child)
        self.children[a.number].discard(b.number)
        del self.groups[b.number]
        a.before = 0
        for parent in a.parents:
            a.before |= self.groups[parent].before | 1 << parent
        self._spread(a)

    def _spread(self, group: _Group) -> None:
        """Tell the groups after one what they now need."""
        waiting = [group]
        while waiting:
            done = waiting.pop()
            needed = done.before | 1 << done.number
            for number in self.children[done.number]:
                child = self.groups[number]
                if needed & ~child.before:
                    child.before |= needed
                    waiting.append(child)

    def _call(self, place: int) -> Call:
        found = self.instructions[place]
        assert isinstance(found, Call)  # only those are open
        return found

    def _outputs(self, places: Sequence[int]) -> list[Symbol]:
        """What is made there and used elsewhere."""
        inside = set(places)
        return [
            symbol
            for p in places for symbol in self.instructions[p].outputs
            if symbol in self.results or any(u not in inside for u in self.users.get(symbol, ()))
        ]  # fmt: skip

    # ---- the new order

    def _ordered(self) -> list[Instruction]:
        """Groups as instructions, each after those it needs, otherwise where its last call was."""
        waiting = {n: len(g.parents) for n, g in self.groups.items()}
        ready = sorted((n for n, count in waiting.items() if not count), key=lambda n: -self.groups[n].places[-1])
        found: list[Instruction] = []
        while ready:
            number = ready.pop()
            found += self._instructions(self.groups[number])
            fresh = False
            for child in self.children[number]:
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
                    fresh = True
            if fresh:
                ready.sort(key=lambda n: -self.groups[n].places[-1])
        assert len(found) >= len(self.groups)  # no group waits for itself
        return found

    def _instructions(self, group: _Group) -> list[Instruction]:
        if not self.open[group.places[0]]:
            return [self.instructions[group.places[0]]]
        calls = [self._call(p) for p in group.places]
        if all(c.name in RESHAPES for c in calls):
            return list(calls)
        found = _with_views(calls, self._outputs(group.places))
        if all(arrange(f.body, f.outputs) for f in found if isinstance(f, Fused)):
            return found
        return [Fused([c], c.outputs, c.where) if arrange([c], c.outputs) else c for c in calls]


def _read(instruction: Instruction) -> list[Symbol]:
    """What an instruction reads, inside its blocks as well."""
    found = dict.fromkeys(i for i in instruction.inputs if i is not None)
    for block in instruction.blocks():
        found |= dict.fromkeys(block.uses())
    return list(found)


def _with_views(calls: Sequence[Call], outputs: Sequence[Symbol]) -> list[Instruction]:
    """The group, and beside it the changes of shape of values that are in memory anyway, which cost nothing there.

    Where the group itself reads the reshaped value it does so under another symbol.
    """
    made = {c.outputs[0] for c in calls}
    stored = set(outputs)
    before: list[Instruction] = []
    after: list[Instruction] = []
    views: set[Symbol] = set()
    for call in calls:
        source, out = call.inputs[0] if call.inputs else None, call.outputs[0]
        if call.name not in RESHAPES or out not in stored or source is None:
            continue
        if source not in made:
            before.append(call)
        elif source in stored:
            after.append(call)
        else:
            continue
        views.add(out)
    if not views:
        return [Fused(calls, outputs, calls[-1].where)]
    again: dict[Symbol, Symbol] = {}
    body: list[Call] = []
    read = {i for c in calls for i in c.inputs}
    for call in calls:
        inputs = [again.get(i, i) if i is not None else None for i in call.inputs]
        out = call.outputs[0]
        if out in views:
            if out in read:
                again[out] = Symbol(out.spec)
                body.append(Call(call.plan, inputs, [again[out]], call.where))
        elif any(a is not b for a, b in zip(inputs, call.inputs, strict=True)):
            body.append(Call(call.plan, inputs, call.outputs, call.where))
        else:
            body.append(call)
    kept = [o for o in outputs if o not in views]
    if not kept:
        return [*before, *after]
    return [*before, Fused(body, kept, calls[-1].where), *after]


__all__ = ["fuse"]
