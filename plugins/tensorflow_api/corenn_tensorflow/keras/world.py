"""Where a call of Keras runs: at once, or in which graph; and the learning phase.

Generation 2, and every model that is being trained, runs eagerly.  Symbolic tensors (``Input``) always belong to a
graph: in generation 1 to the default one, so that they are ordinary graph tensors which sessions run; in generation 2
to a graph of Keras's own, which only says how models are put together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from corenn import tree
from corenn.graph.concrete import FunctionGraph
from corenn.graph.graph import Graph, building
from corenn.graph.kinds import DefaultPlaceholderKind
from corenn.graph.subgraph import SubGraph
from corenn.graph.tensors import GraphTensor
from corenn.layers.phase import _phase
from corenn.ops.dispatch import _interpreter
from corenn_tensorflow import mode
from corenn_tensorflow.framework import TFGraph


class KerasGraph(TFGraph):
    """The graph of symbolic tensors in generation 2: it describes models and is never run by a session."""


class _World:
    """What Keras keeps for the process."""

    graph: KerasGraph | None = None
    phase: int | None = None
    inferring: bool = False


_world = _World()
_graph_phase: ContextVar[Any] = ContextVar("corenn_keras_graph_phase", default=None)


def clear() -> None:
    """Forget the graph of symbolic tensors and the learning phase: ``K.clear_session``."""
    _world.graph = _world.phase = None


def graph_mode() -> bool:
    """Whether ops written here build the program's own graph (generation 1), not counting what Keras runs itself."""
    here = building()
    return not mode._state.eager if here is None else not runs_inline(here) and not isinstance(here, KerasGraph)


def runs_inline(graph: Graph) -> bool:
    """Whether this is (inside) the graph of a traced function, in which calls mean what they mean eagerly."""
    return isinstance(home_of(graph), FunctionGraph)


def symbolic_graph() -> Graph:
    """The graph that ``Input`` makes its placeholders in."""
    here = building()
    if here is not None and not runs_inline(here):
        return here
    if not mode._state.eager:
        return mode.default_graph()
    if _world.graph is None:
        _world.graph = KerasGraph()
    return _world.graph


def home_of(graph: Graph) -> Graph:
    """The outermost graph around a branch, loop or function."""
    while isinstance(graph, SubGraph):
        graph = graph.outer
    return graph


@contextlib.contextmanager
def eagerly(*, leave_graph: bool = True) -> Iterator[None]:
    """Ops in the block run at once, also in generation 1; the generation's signatures and defaults stay.

    ``leave_graph=False`` keeps the present interpreter: one that traces or only infers.
    """
    before = mode._state.eager
    mode._state.eager = True
    token = _interpreter.set(None) if leave_graph else None
    try:
        yield
    finally:
        mode._state.eager = before
        if token is not None:
            _interpreter.reset(token)


def graph_tensors(*structures: Any) -> list[GraphTensor]:
    """The graph tensors among the leaves, in order."""
    return [leaf for s in structures for leaf in tree.leaves(s) if isinstance(leaf, GraphTensor)]


# ---------------------------------------------------------------- the learning phase


def set_learning_phase(value: Any) -> None:
    """Fix it: 0 (test) or 1 (train)."""
    if int(value) not in (0, 1):
        raise ValueError(f"Expected learning phase to be 0 or 1; got {value!r}")
    _world.phase = int(value)


def learning_phase() -> Any:
    """0 or 1; in a graph of generation 1 that has not been told, a tensor that can be fed and is 0 otherwise."""
    if _world.phase is not None:
        return _world.phase
    inside = _graph_phase.get()
    if inside is not None:
        return inside
    if graph_mode():
        return phase_placeholder(mode.default_graph())
    return int(bool(_phase.get()))


def phase_placeholder(graph: Graph) -> GraphTensor:
    """The tensor of a graph that says whether its layers train."""
    home = home_of(graph)
    found = home.variable_scopes.get("keras_learning_phase")
    if found is None:
        with home.control_dependencies(None), home.name_scope(None):
            off = home.constant(False, name="keras_learning_phase/input")
            found = home.add(
                DefaultPlaceholderKind(), [off], [((), off.dtype)], name="keras_learning_phase", controls=[]
            ).outputs[0]
        home.variable_scopes["keras_learning_phase"] = found
    return found  # type: ignore[no-any-return]


@contextlib.contextmanager
def graph_phase(value: Any) -> Iterator[None]:
    """Layers called on graph tensors in the block train as ``value`` says; ``None`` changes nothing."""
    if value is None:
        yield
        return
    token = _graph_phase.set(value)
    try:
        yield
    finally:
        _graph_phase.reset(token)


__all__ = [
    "KerasGraph", "clear", "eagerly", "graph_mode", "graph_phase", "graph_tensors", "home_of", "learning_phase",
    "phase_placeholder", "runs_inline", "set_learning_phase", "symbolic_graph",
]  # fmt: skip
