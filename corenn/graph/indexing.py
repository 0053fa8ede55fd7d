"""``x[key]`` in a graph, where the bounds of slices, or the rank of ``x``, are only known when the graph runs."""

from __future__ import annotations

from typing import Any

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
    known = [_inferred(x, kind.pattern)]
    return graph.add(kind, [x, *bounds], known).outputs[0]


def _inferred(x: GraphTensor, pattern: tuple[Any, ...]) -> Known:
    """What is known of the result: an axis is not, where it is sliced by bounds that only a run knows.

    Such slices are looked at twice, as the whole axis and as nothing of it; where an element is chosen, the choice
    does not matter.
    """
    whole, nothing = (
        tuple(part if _is_bounded(item) else 0 if isinstance(item, Bound) else item for item in pattern)
        for part in (slice(None), slice(0, 0))
    )
    return _common([_known_with(x, key)[0] for key in (whole, nothing)]), x.dtype


def _is_bounded(item: Any) -> bool:
    return isinstance(item, slice) and any(isinstance(b, Bound) for b in (item.start, item.stop, item.step))


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
