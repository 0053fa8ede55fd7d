"""Summaries inside traced functions: one operation with an effect, which writes when the function runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from corenn import dtypes
from corenn.errors import GraphError
from corenn.graph.building import py_function
from corenn.graph.concrete import FunctionGraph
from corenn.graph.graph import building
from corenn.summary._current import current_writer
from corenn.summary._values import SummaryWarning, check_step
from corenn.tensor import Tensor


def record(write: Callable[[Any, Any], object], data: object, step: object) -> None:
    """Call ``write(data, step)`` in every run of the function that is being traced, where this stands in it.

    Raises GraphError while the graph of a session is built, whose summaries are operations that it runs.
    """
    graph: Any = building()
    here = graph
    while getattr(graph, "outer", None) is not None:
        graph = graph.outer
    if not isinstance(graph, FunctionGraph):
        hint = "corenn.summary.scalar_summary(...), and writer.add_summary(session.run(...))"
        raise GraphError("summary", "a session's graph is being built, which has no values to write", hint=hint)
    if isinstance(step, int) and not hasattr(step, "now"):
        text = (
            f"the step is {step} in every run of the function that is being traced: give it a variable, a function "
            "(step=lambda: ...), or optimizer.iterations"
        )
        warnings.warn(text, SummaryWarning, stacklevel=5)
    now = getattr(step, "now", step)
    if callable(now):
        # An operand, not a part of the writing: its place among the calls of Python is then kept by every backend.
        step = here.host_value(lambda: _step(now), dtypes.int64)
    places = [isinstance(value, Tensor) for value in (data, step)]
    given = [value for value, is_tensor in zip((data, step), places, strict=True) if is_tensor]

    def call(*arrays: Any) -> list[Any]:
        found = iter(arrays)
        write(*[next(found) if is_tensor else v for v, is_tensor in zip((data, step), places, strict=True)])
        return []

    py_function(call, given, [])


def _step(ask: Callable[[], object]) -> int:
    """The step of a run, where somebody listens."""
    return check_step("summary", ask()) if current_writer() is not None else 0


__all__ = ["record"]
