"""``x[key]`` in a graph, where the bounds of slices, or the rank of ``x``, are only known when the graph runs."""

from __future__ import annotations

from typing import Any

from corenn.errors import ShapeError
from corenn.graph.deferred import complete, static_value
from corenn.graph.graph import building
from corenn.graph.kinds import Bound, SliceKind
from corenn.graph.operations import Known
from corenn.graph.partial import infer_call
from corenn.graph.tensors import GraphTensor, NoValueError
from corenn.ops.indexing import index
from corenn.tensor import Tensor


def index_in_graph(x: GraphTensor, key: Any) -> Tensor:
    """``x[key]`` as an operation of the graph being built (or of that of ``x``)."""
    graph = building() or x.graph
    x = graph.convert(x)
    items = key if isinstance(key, tuple) else (key,)
    bounds: list[GraphTensor] = []

    def placed(item: Any) -> Any:
        if isinstance(item, slice):
            return slice(*[placed(b) for b in (item.start, item.stop, item.step)])
        if not isinstance(item, GraphTensor):
            return item
        known = static_value(graph.convert(item))
        if complete(known) and not isinstance(known, tuple):
            return known
        bounds.append(graph.convert(item))
        return Bound(len(bounds) - 1)

    ranked = x.extents is not None
    if not any(_late(item, ranked) for item in items):
        return index(x, tuple(placed(i) if isinstance(i, slice) else i for i in items) if isinstance(key, tuple) else
                     placed(key) if isinstance(key, slice) else key)  # fmt: skip
    kind = SliceKind(tuple(placed(item) for item in items))
    known: list[Known]
    trials = _tried(x, kind, len(bounds))
    shapes = {t[0] for t in trials}
    known = [(shapes.pop() if len(shapes) == 1 else _common([t[0] for t in trials]), x.dtype)]
    return graph.add(kind, [x, *bounds], known).outputs[0]


def _tried(x: GraphTensor, kind: SliceKind, bounds: int) -> list[Known]:
    """What comes out for several choices of the bounds; those that lie outside an axis say nothing.

    In all but one choice no two are alike: with equal bounds every slice would seem to be empty.
    """
    choices = [[0] * bounds, *([n + step * i for i in range(bounds)] for n, step in ((0, 1), (1, 2), (5, -2)))]
    found, refusal = [], None
    for numbers in choices if bounds else choices[:1]:
        try:
            found.append(_known_with(x, kind.key(numbers)))
        except ShapeError as error:
            refusal = refusal or error
    if not found and refusal is not None:
        raise refusal
    return found


def _late(item: Any, ranked: bool) -> bool:
    """Whether an item of a key keeps it from being looked at while the graph is built."""
    if isinstance(item, slice):
        return not ranked or any(
            isinstance(b, GraphTensor) and not complete(static_value(b)) for b in (item.start, item.stop, item.step)
        )
    if isinstance(item, GraphTensor):
        return not ranked
    return not ranked


def _known_with(x: GraphTensor, key: Any) -> Known:
    try:
        return infer_call(lambda t: t[key], [(x.extents, x.dtype)])[0]
    except NoValueError:
        return None, x.dtype


def _common(shapes: list[Any]) -> Any:
    if any(s is None for s in shapes) or len({len(s) for s in shapes}) > 1:
        return None
    return tuple(c[0] if len(set(c)) == 1 else None for c in zip(*shapes, strict=True))


__all__ = ["index_in_graph"]
