"""What the functions on images share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import convert_to_tensor, is_symbolic
from corenn_tensorflow.keras import world
from corenn_tensorflow.writing import writable


@writable("image.whole")
def _without_graph(*values: Any, function: Callable[..., Any]) -> Any:
    with world.eagerly(leave_graph=False):
        return function(*values)


def _whole(type_name: str, function: Callable[..., Any], *tensors: Any, name: str | None = None) -> Any:
    """Call a function that looks at shapes: in a graph, one operation."""
    graph = mode.graph_for(tensors)
    if graph is None or not is_symbolic(list(tensors)):
        return function(*[convert_to_tensor(t) for t in tensors])
    return graph.call(functools.partial(_without_graph, function=function), *tensors, type_name=type_name, name=name)[0]


def _plain(value: Any) -> Any:
    """A number or a list of numbers, from whatever holds them now."""
    if isinstance(value, Tensor) and not is_symbolic(value):
        return np.asarray(value._host()).tolist()
    return value.as_list() if hasattr(value, "as_list") else value
