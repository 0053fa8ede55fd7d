"""The reverse pass: one loop over a list of recorded calls, for tapes and for graphs alike.

Gradients are computed by the rules of the op table, which are written in ops; so while an outer tape or graph is
recording, the gradients are recorded too, and can be differentiated again.  What every rule would otherwise repeat is
done here once: summing over broadcast axes, casting back, adding up the gradients of a value used several times.

Source: reverse accumulation, Griewank & Walther, *Evaluating Derivatives*, 2nd ed., algorithm 3.1 (2008).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from corenn.errors import GradientError
from corenn.ops.creation import zeros
from corenn.ops.elementwise import add, cast
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import broadcast_to, reshape
from corenn.ops.table import Op
from corenn.spec import Spec
from corenn.tensor import Node, Tensor


class Entry:
    """One recorded call: what the rules of its op need, and nothing else.

    ``sources`` and ``targets`` are the identities of operands and results (``None`` where unwatched); ``inputs`` and
    ``out`` hold only the tensors that a rule names; ``specs`` and ``results`` the shapes and dtypes of all.
    """

    __slots__ = ("attrs", "inputs", "op", "out", "results", "sources", "specs", "targets")

    def __init__(
        self,
        op: Op,
        attrs: dict[str, Any],
        specs: Sequence[Spec | None],
        sources: tuple[Node | None, ...],
        inputs: Sequence[Tensor | None],
        out: Any,
        results: tuple[Spec, ...],
        targets: tuple[Node, ...],
    ) -> None:
        self.op, self.attrs, self.specs, self.sources = op, attrs, specs, sources
        self.inputs, self.out, self.results, self.targets = inputs, out, results, targets


def backpropagate(
    entries: list[Entry], gradients: dict[Node, Tensor], sources: Collection[Node], *, consume: bool = False
) -> dict[Node, Tensor]:
    """Push ``gradients`` (by node) back through ``entries``; returns those that arrived at ``sources``.

    Only calls on a path from a source are visited.  ``consume`` empties the list on the way, so that memory kept for
    the pass is released as it proceeds.
    """
    wanted = set(sources)
    reached = set(wanted)
    for entry in entries:
        if not reached.isdisjoint(entry.sources):
            reached.update(entry.targets)
    for position in range(len(entries) - 1, -1, -1):
        entry = entries[position]
        if consume:
            entries.pop()
        arriving = [gradients.get(t) if t in wanted else gradients.pop(t, None) for t in entry.targets]
        if all(g is None for g in arriving) or reached.isdisjoint(entry.sources):
            continue
        needs = tuple(s is not None and s in reached for s in entry.sources)
        for node, spec, gradient in zip(entry.sources, entry.specs, _apply(entry, arriving, needs), strict=True):
            if node is None or node not in reached or gradient is None or spec is None:
                continue
            fitted = fit(gradient, spec)
            before = gradients.get(node)
            gradients[node] = fitted if before is None else add(before, fitted)
    return {node: gradients[node] for node in wanted if node in gradients}


def _apply(entry: Entry, arriving: list[Tensor | None], needs: tuple[bool, ...]) -> Sequence[Tensor | None]:
    """Gradients of the operands of one call (``None`` where not needed or where there is none)."""
    op = entry.op
    g: Any
    if op.results is None:
        g = arriving[0]
    else:
        g = tuple(
            zeros(s.static, s.dtype, device=s.device) if a is None else a
            for a, s in zip(arriving, entry.results, strict=True)
        )
    if op.joint_rule is not None:
        found = op.joint_rule.apply(entry, g, needs)
        return (found,) if isinstance(found, Tensor) or found is None else tuple(found)
    return [
        op.rules[i].apply(entry, g, needs) if needed and i in op.rules else None for i, needed in enumerate(needs)
    ]


def fit(gradient: Tensor, spec: Spec) -> Tensor:
    """``gradient`` summed over the axes along which an operand of ``spec`` was broadcast, in the operand's dtype."""
    if gradient.spec.shape != spec.shape:
        gradient = sum_to(gradient, spec)
    return gradient if gradient.spec.dtype is spec.dtype else cast(gradient, dtype=spec.dtype)


def sum_to(gradient: Tensor, spec: Spec) -> Tensor:
    """Sum ``gradient`` to the shape of ``spec``, which broadcasts to its shape."""
    shape, target = gradient.spec.shape, spec.shape
    lead = len(shape) - len(target)
    if lead < 0:
        return broadcast_to(gradient, shape=target)  # a rule may return a smaller, equal-valued gradient
    axes = tuple(range(lead)) + tuple(
        i + lead for i, n in enumerate(target) if n == 1 and shape[i + lead] != 1
    )
    summed = sum_over(gradient, axis=axes, keepdims=False) if axes else gradient
    return summed if summed.spec.shape == target else reshape(summed, shape=target)


def check_target(spec: Spec) -> None:
    """GradientError unless a value of this spec can be differentiated."""
    if not spec.dtype.is_inexact:
        raise GradientError(
            "gradient", "only floating values have gradients", {"target": spec},
            hint="differentiate a loss, not a count or an index; corenn.cast(..., dtype='float32') cuts the gradient",
        )  # fmt: skip
