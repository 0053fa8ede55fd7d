"""Which generation of TensorFlow a program speaks, and whether ops build a graph or run at once.

Generation 1 begins with a default graph; generation 2, and generation 1 after ``enable_eager_execution()``, run
eagerly.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from corenn.errors import GraphError
from corenn.graph.graph import Graph, building
from corenn.graph.operations import Operation
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn.variable import Variable


class _State:
    """The process's mode."""

    generation = 2
    eager = True
    graph: Graph | None = None


_state = _State()
_forced: ContextVar[int | None] = ContextVar("corenn_tensorflow_generation", default=None)
_called_back: ContextVar[bool] = ContextVar("corenn_tensorflow_called_back", default=False)


def start(generation: int) -> None:
    """Begin a program of generation 1 (a default graph) or 2 (eager)."""
    _state.generation, _state.eager, _state.graph = generation, generation == 2, None


def generation() -> int:
    """The generation whose signatures and defaults hold here: 1 or 2."""
    forced = _forced.get()
    return _state.generation if forced is None else forced


@contextlib.contextmanager
def speaking(number: int) -> Iterator[None]:
    """Calls in the block follow generation ``number``: what ``tf.compat.v1`` does."""
    token = _forced.set(number)
    try:
        yield
    finally:
        _forced.reset(token)


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Calls in the block run at once, also in a program that builds graphs: what a graph calls back when it runs."""
    token = _called_back.set(True)
    try:
        yield
    finally:
        _called_back.reset(token)


def set_eager(eager: bool) -> None:
    """``enable_eager_execution``, ``disable_eager_execution``: at the beginning of a program only."""
    if eager and not _state.eager and _state.graph is not None and _state.graph.get_operations():
        raise ValueError("tf.enable_eager_execution must be called at program startup.")
    _state.eager = eager
    if not eager:
        _state.generation = 1


def executing_eagerly() -> bool:
    """Whether ops run at once, here."""
    return building() is None and (_state.eager or _called_back.get())


def default_graph() -> Graph:
    """The graph that ops are added to here, in graph mode: of the innermost ``with``, else the program's own."""
    here = building()
    if here is not None:
        return here
    if _state.graph is None:
        reset_default_graph()
    assert _state.graph is not None  # made just now
    return _state.graph


def reset_default_graph() -> None:
    """A new, empty default graph."""
    from corenn_tensorflow.framework import TFGraph

    if building() is not None:
        raise GraphError("reset_default_graph", "cannot be called inside `with graph.as_default():`")
    _state.graph = TFGraph()


def graph_for(*structures: Any) -> Graph | None:
    """The graph a call with these arguments adds to; ``None`` where it runs at once."""
    here = building()
    if here is not None:
        return here
    valued = False  # an operation that runs, or is compiled, computes with tensors that have values
    waiting = [*structures]
    while waiting:
        leaf = waiting.pop()
        if isinstance(leaf, Tensor):
            if isinstance(leaf, GraphTensor):
                return leaf.graph
            valued = valued or not isinstance(leaf, Variable)
        elif isinstance(leaf, (list, tuple)):
            waiting.extend(leaf)  # not +=, which asks a TensorShape first
        elif isinstance(leaf, dict):
            waiting.extend(leaf.values())
        elif isinstance(leaf, Operation):
            return leaf.graph
    return None if valued or executing_eagerly() else default_graph()


def one(type_name: str, name: str | None, function: Callable[..., Any], *args: Any, **attrs: Any) -> Any:
    """Call a function that makes one op: in a graph, the operation gets this type, and ``name`` if there is one."""
    graph = graph_for(args, attrs)
    if graph is None:
        return function(*args, **attrs)
    with graph.as_default():
        graph.calling(name, type_name)
        try:
            return function(*args, **attrs)
        finally:
            graph.calling()


@contextlib.contextmanager
def scope(name: str | None, default: str, *values: Any) -> Iterator[Graph | None]:
    """A block in which a call with arguments ``values`` makes several ops: in a graph, under the name of the call.

    Yields the graph, which is the default in the block, or ``None`` where ops run at once.
    """
    graph = graph_for(values)
    if graph is None:
        yield None
        return
    with graph.as_default(), graph.name_scope(name or default):
        yield graph


def by_generation(first: Callable[..., Any], second: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is ``first`` in generation 1 and ``second`` in generation 2; ``tf.compat.v1`` takes ``.v1``."""

    def call(*args: Any, **options: Any) -> Any:
        return (first if generation() == 1 else second)(*args, **options)

    call.__name__, call.__qualname__, call.__doc__ = second.__name__, second.__qualname__, second.__doc__
    call.v1, call.v2 = first, second  # type: ignore[attr-defined]  # functions carry attributes
    return call


__all__ = [
    "by_generation", "default_graph", "eagerly", "executing_eagerly", "generation", "graph_for", "one",
    "reset_default_graph", "scope", "set_eager", "speaking", "start",
]  # fmt: skip
