"""``variable[key].assign(value)``: a part of a variable set, as the result of indexing one offers in TensorFlow."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import corenn
from corenn.graph import state
from corenn_tensorflow import mode
from corenn_tensorflow.framework import Tensor, convert_to_tensor
from corenn_tensorflow.writing import writable


def indexed(variable: Any, key: Any) -> Any:
    """``variable[key]`` with the methods ``assign``, ``assign_add`` and ``assign_sub`` for that part."""
    found = Tensor.__getitem__(variable, key)
    for method, kind in (("assign", "update"), ("assign_add", "add"), ("assign_sub", "sub")):
        setattr(found, method, functools.partial(_assign, variable, key, kind))
    return found


def _assign(variable: Any, key: Any, kind: str, value: Any, name: str | None = None) -> Any:
    """An operation that changes the part at ``key``, and gives the whole new value."""
    shape = variable.extents
    if shape is None or None in shape:
        raise ValueError(f"{variable.name}[...].assign needs a variable of known shape, not {variable.get_shape()}")
    graph = mode.graph_for(value, variable)
    assert graph is not None  # a graph variable has one
    with graph.as_default(), graph.name_scope(name or "strided_slice_assign"):
        numbers = convert_to_tensor(np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape))
        places = Tensor.__getitem__(numbers, key)
        given = convert_to_tensor(value, variable.dtype)
        function = functools.partial(_with_block, kind=kind)
        (made,) = graph.call(
            function, variable.read_value(), places, given, type_name="StridedSliceAssign",
            results=[(shape, variable.dtype)],
        )  # fmt: skip
        return state.assign(graph, variable, made)


@writable("strided_slice_assign")
def _with_block(now: Any, places: Any, given: Any, *, kind: str) -> Any:
    count = places.spec.size
    flat = corenn.reshape(now, shape=(-1,))
    block = corenn.reshape(corenn.broadcast_to(given, shape=places.spec.static), shape=(count,))
    where = corenn.reshape(places, shape=(count,))
    if kind == "update":
        made = corenn.scatter_set(flat, where, block, axis=0)
    else:
        made = corenn.scatter_add(flat, where, block if kind == "add" else -block, axis=0)
    return corenn.reshape(made, shape=now.spec.static)


__all__ = ["indexed"]
