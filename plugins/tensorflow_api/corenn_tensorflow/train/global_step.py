"""The global step: an int64 variable ``global_step`` that optimizers count their updates in."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.graph import state
from corenn.graph.graph import Graph
from corenn.graph.scopes import get_variable_scope
from corenn.graph.tensors import GraphTensor
from corenn_tensorflow import mode
from corenn_tensorflow.train.optimizer import eager_variable, graph_variable_class

COLLECTION = "global_step"

_eager: list[Any] = []


def _in_eager(graph: Graph | None) -> bool:
    return graph is None and mode.executing_eagerly()


def create_global_step(graph: Graph | None = None) -> Any:
    """A new global step in ``graph`` (the default one); ValueError where there is one already."""
    if _in_eager(graph):
        if _eager:
            raise ValueError('"global_step" already exists.')
        _eager.append(eager_variable(np.zeros((), np.int64), "global_step"))
        return _eager[0]
    home = graph if graph is not None else mode.default_graph()
    if get_global_step(home) is not None:
        raise ValueError('"global_step" already exists.')
    with home.as_default(), home.name_scope(None):
        scope = get_variable_scope().name
        return state.variable(
            home, np.zeros((), np.int64), full_name=f"{scope}/global_step" if scope else "global_step", trainable=False,
            collections=[state.GLOBAL, COLLECTION], cls=graph_variable_class(),
        )  # fmt: skip


def get_global_step(graph: Graph | None = None) -> Any:
    """The global step of a graph: the one in the collection, or a tensor of that name; ``None`` without one."""
    if _in_eager(graph):
        return _eager[0] if _eager else None
    home = graph if graph is not None else mode.default_graph()
    listed = home.get_collection(COLLECTION)
    if len(listed) > 1:
        from corenn_tensorflow import logging

        logging.error("Multiple tensors in global_step collection.")
        return None
    if listed:
        found = listed[0]
    else:
        try:
            found = home.get_tensor_by_name("global_step:0")
        except KeyError:
            return None
    assert_global_step(found)
    return found


def get_or_create_global_step(graph: Graph | None = None) -> Any:
    """The global step, made if there is none."""
    found = get_global_step(graph)
    return create_global_step(graph) if found is None else found


def assert_global_step(global_step_tensor: Any) -> None:
    """TypeError unless it is a scalar variable of integers."""
    if not (isinstance(global_step_tensor, GraphTensor) or hasattr(global_step_tensor, "assign")):
        raise TypeError(f'Existing "global_step" must be a Variable or Tensor: {global_step_tensor}.')
    dtype = global_step_tensor.dtype
    if dtype.name.removesuffix("_ref") not in ("int32", "int64"):
        raise TypeError(f'Existing "global_step" does not have integer type: {dtype}')
    extents = getattr(global_step_tensor, "extents", ())
    if extents:
        raise TypeError(f'Existing "global_step" is not scalar: {extents}')


def global_step(sess: Any, global_step_tensor: Any) -> int:
    """The value of the step in a session."""
    if not isinstance(global_step_tensor, GraphTensor):
        return int(np.asarray(global_step_tensor))
    return int(sess.run(global_step_tensor))


def reset() -> None:
    """Forget the step of eager execution: a new program begins."""
    _eager.clear()


__all__ = ["assert_global_step", "create_global_step", "get_global_step", "get_or_create_global_step", "global_step"]
