"""Ops that move elements without looking at them, of text: tensors of strings, which live on the host.

The positions of the elements are moved in place of the text, so that shapes, axes and values known only at run time are
treated as they are for numbers; the text is taken by the positions that result.  ``moved`` adds that to a graph;
``positions`` and ``taken`` are its two ends, on arrays.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from corenn import dtypes
from corenn.graph.kind_registry import register_function
from corenn.graph.kinds import HostCallKind
from corenn.graph.names import type_of
from corenn.tensor import Tensor

if TYPE_CHECKING:
    from corenn.graph.graph import Graph
    from corenn.ops.table import Op

#: The ops of the table that only move elements.
MOVES = frozenset({
    "broadcast_to", "concatenate", "diagonal", "expand_dims", "flip", "gather", "gather_nd", "index", "index_arrays",
    "index_arrays_update", "pad", "repeat", "reshape", "roll", "split", "squeeze", "stack", "take_along_axis", "tile",
    "transpose", "unstack", "update", "where",
})  # fmt: skip


def is_text(value: Any) -> bool:
    """Whether an operand is text: a tensor, or a Python string."""
    return value.dtype is dtypes.string if isinstance(value, Tensor) else isinstance(value, (str, bytes))


def moved(graph: Graph, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """The results of an op of ``MOVES`` some of whose operands are text."""
    chosen, graph._chosen = graph._chosen, None
    name, type_name = chosen or (None, None)
    wanted = type_name or type_of(op.name)
    fill = attrs.get("value", "")
    options: dict[str, Any] = {"fill": fill if isinstance(fill, (str, bytes)) else ""}
    if op.name == "pad":
        attrs = {**attrs, "value": -1}
    with graph._inside(graph.unique_name(name or wanted, mark=False)):
        texts = [graph.convert(a) for a in args if is_text(a)]
        places = iter(graph.add(
            HostCallKind(positions, True, "TextPositions"), texts, [(t.extents, dtypes.int64) for t in texts],
            name="positions", controls=[],
        ).outputs)  # fmt: skip
        found = graph(op, tuple(next(places) if is_text(a) else a for a in args), attrs)
    results = list(found) if isinstance(found, (list, tuple)) else [found]
    kind = HostCallKind(functools.partial(taken, count=len(results), **options), True, wanted)
    made = graph.add(kind, [*results, *texts], [(r.extents, dtypes.string) for r in results], name=name or wanted)
    return made.outputs if isinstance(found, (list, tuple)) else made.outputs[0]


def positions(*texts: Any) -> list[Any]:
    """Numbers for the elements of arrays, from 0 on through all of them."""
    found, start = [], 0
    for text in texts:
        array = np.asarray(text, object)
        found.append(np.arange(start, start + array.size, dtype=np.int64).reshape(array.shape))
        start += array.size
    return found


def taken(*arrays: Any, count: int, fill: Any) -> list[Any]:
    """The text at positions: ``count`` arrays of those, and then the text; -1 is ``fill``."""
    texts = [np.asarray(a, object).reshape(-1) for a in arrays[count:]]
    pool = np.concatenate([*texts, np.array([fill], object)])
    return [np.asarray(pool[np.asarray(p)], object) for p in arrays[:count]]


register_function("corenn.text.positions", positions)
register_function("corenn.text.taken", taken)

__all__ = ["MOVES", "is_text", "moved", "positions", "taken"]
