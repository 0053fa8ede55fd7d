"""The reverse pass: one loop over a list of recorded calls, for tapes and for graphs alike.

Gradients are computed by the rules of the op table, which are written in ops; so while an outer tape or graph is
recording, the gradients are recorded too, and can be differentiated again.  What every rule would otherwise repeat is
done here once: summing over broadcast axes, casting back, adding up the gradients of a value used several times.

Source: reverse accumulation, Griewank & Walther, *Evaluating Derivatives*, 2nd ed., algorithm 3.1 (2008).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, NoReturn

from corenn.errors import GradientError
from corenn.ops.creation import zeros
from corenn.ops.elementwise import add, cast
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import broadcast_to, reshape
from corenn.spec import Spec
from corenn.tensor import Node, Tensor


class Entry:
    """One recorded call: what the rules of its op need, and nothing else.

    ``plan`` has the op, its attributes and the specs of operands and results; ``sources`` and ``targets`` are the
    identities of operands (``None`` where unwatched) and results; ``inputs`` and ``out`` hold only the tensors that a
    rule names.
    """

    __slots__ = ("inputs", "out", "plan", "sources", "targets")

    def __init__(
        self,
        plan: Any,
        sources: Sequence[Node | None],
        inputs: Sequence[Tensor | None],
        out: Any,
        targets: Sequence[Node],
    ) -> None:
        self.plan = plan
        self.sources = sources
        self.inputs = inputs
        self.out = out
        self.targets = targets


def backpropagate(
    entries: list[Entry],
    gradients: dict[Node | None, Tensor],
    wanted: Set[Node],
    consume: bool = False,
    reached: Set[Node | None] | None = None,
) -> None:
    """Push ``gradients`` (by node) back through ``entries``: those that arrive at ``wanted`` stay in the dictionary.

    Only calls on a path from a wanted node are visited; a caller who knows which nodes lie on such paths says so by
    ``reached``.  ``consume`` empties the list on the way, so that memory kept for the pass is released as it proceeds.
    """
    if reached is None:
        reached = _reached_from(wanted, entries)
    position = len(entries)
    while position:
        position -= 1
        entry = entries.pop() if consume else entries[position]
        nodes, plan = entry.sources, entry.plan
        op = plan.op
        if op.results is None:
            target = entry.targets[0]
            g: Any = gradients.get(target) if target in wanted else gradients.pop(target, None)
        else:
            partial = op.joint_rule is not None and op.joint_rule.partial
            g = _arriving(entry, gradients, wanted, partial)
        if g is None or reached.isdisjoint(nodes):
            continue
        specs = plan.inputs
        if op.joint_rule is None:
            for i, rule in op.rules.items():
                node = nodes[i]
                if node in reached:
                    part = rule.apply(entry, g, None)
                    if part is not None:
                        if part.spec is not specs[i]:
                            part = fit(part, specs[i])
                        before = gradients.get(node)
                        gradients[node] = part if before is None else add(before, part)
            continue
        found = op.joint_rule.apply(entry, g, tuple([node in reached for node in nodes]))
        parts = (found,) if isinstance(found, Tensor) or found is None else found
        for node, spec, part in zip(nodes, specs, parts, strict=True):
            if part is not None and node in reached:
                if part.spec is not spec:
                    part = fit(part, spec)
                before = gradients.get(node)
                gradients[node] = part if before is None else add(before, part)


def _reached_from(wanted: Set[Node], entries: list[Entry]) -> set[Node | None]:
    """The nodes that depend on ``wanted``."""
    reached: set[Node | None] = set(wanted)
    for entry in entries:
        if not reached.isdisjoint(entry.sources):
            reached.update(entry.targets)
    return reached


def _arriving(
    entry: Entry, gradients: dict[Node | None, Tensor], wanted: Set[Node], partial: bool
) -> tuple[Tensor | None, ...] | None:
    """Gradients of an op with several results; ``None`` if nothing depends on any of them.

    For those that nothing depends on there are zeros, or ``None`` if ``partial``.
    """
    found = [gradients.get(t) if t in wanted else gradients.pop(t, None) for t in entry.targets]
    if all(g is None for g in found):
        return None
    if partial:
        return tuple(found)
    return tuple(
        zeros(s.static, s.dtype, device=s.device) if g is None else g
        for g, s in zip(found, entry.plan.specs, strict=True)
    )


def fit(gradient: Tensor, spec: Spec) -> Tensor:
    """``gradient`` summed over the axes along which an operand of ``spec`` was broadcast, in the operand's dtype."""
    if gradient.spec.shape != spec.shape:
        gradient = sum_to(gradient, spec)
    return gradient if gradient.spec.dtype is spec.dtype else cast(gradient, dtype=spec.dtype)


def sum_to(gradient: Tensor, spec: Spec) -> Tensor:
    """Sum ``gradient`` to the shape of ``spec``, which broadcasts to its shape."""
    shape, target = gradient.spec.static, spec.static
    lead = len(shape) - len(target)
    if lead < 0:
        return broadcast_to(gradient, shape=target)  # a rule may return a smaller, equal-valued gradient
    axes = tuple(range(lead)) + tuple(i + lead for i, n in enumerate(target) if n == 1 and shape[i + lead] != 1)
    summed = sum_over(gradient, axis=axes, keepdims=False) if axes else gradient
    return summed if summed.spec.shape == target else reshape(summed, shape=target)


def refuse_target(spec: Spec) -> NoReturn:
    """Raise the GradientError of a target that is not floating."""
    raise GradientError(
        "gradient",
        "only floating values have gradients",
        {"target": spec},
        hint="differentiate a loss, not a count or an index; corenn.cast(..., dtype='float32') cuts the gradient",
    )
