"""Optimizers in a session's graph: the update as operations, slots and the step counter as variables of the graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from corenn import dtypes
from corenn.errors import GraphError, UsageError
from corenn.graph.building import py_function
from corenn.graph.gradients import gradients
from corenn.graph.graph import Graph
from corenn.graph.operations import Operation
from corenn.graph.state import GLOBAL, TRAINABLE, GraphVariable, assign, group, variable
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import full_like
from corenn.ops.elementwise import add, cast
from corenn.tensor import Tensor

if TYPE_CHECKING:
    from corenn.optimizers.base import Optimizer

Pair = tuple[Any, GraphVariable]


class GraphState:
    """What an optimizer keeps in one graph: the number of updates, and the slots of each variable."""

    def __init__(self, graph: Graph, optimizer: Optimizer) -> None:
        self.graph = graph  # kept, so that its identity stays its own
        with graph.control_dependencies(None):
            self.iterations = variable(
                graph, 0, name=f"{optimizer.name}/iterations", trainable=False, dtype="int64", collections=[GLOBAL]
            )
        self.slots: dict[int, tuple[GraphVariable, ...]] = {}
        #: The number of the update that is being made, while it is built.
        self.step: GraphTensor | None = None


def compute_gradients(loss: GraphTensor, variables: Sequence[GraphVariable] | None) -> list[Pair]:
    """``(gradient, variable)`` for each variable, by default all trainable ones of the loss's graph."""
    chosen = list(variables) if variables is not None else loss.graph.get_collection(TRAINABLE)
    if not chosen:
        raise UsageError("minimize", "No variables to optimize.", hint="has the graph trainable variables?")
    for v in chosen:
        if not isinstance(v, GraphVariable):
            raise UsageError("minimize", f"{type(v).__name__} is no variable of the loss's graph")
    return list(zip(gradients(loss, chosen), chosen, strict=True))


def apply_gradients(optimizer: Optimizer, pairs: Sequence[Pair], global_step: Any, name: str | None) -> Operation:
    """The operation that makes one update."""
    present = [(g, v) for g, v in pairs if g is not None]
    if not present:
        names = [v.operation.name for _, v in pairs]
        raise UsageError(
            "apply_gradients", "No gradients provided for any variable, check your graph for ops that do not support "
            f"gradients, between variables {names} and loss None.",
        )  # fmt: skip
    if not optimizer.traceable or optimizer.use_ema or optimizer.loss_scale_factor is not None:
        raise GraphError(
            optimizer.name, "gradient accumulation, moving averages and loss scaling are not part of a session's graph",
            hint="leave gradient_accumulation_steps, use_ema and loss_scale_factor alone here",
        )  # fmt: skip
    graph = present[0][1].graph
    state = optimizer.graph_states.get(id(graph))
    if state is None:
        state = optimizer.graph_states[id(graph)] = GraphState(graph, optimizer)
    with graph.as_default(), graph.name_scope(name or optimizer.name):
        clipped = optimizer.clipped([graph.convert(g, v.dtype) for g, v in present])
        with _step_of(optimizer, state):
            updates = [_update(optimizer, state, g, v) for g, (_, v) in zip(clipped, present, strict=True)]
        with graph.control_dependencies(updates):
            counted: list[Any] = [state.iterations.assign_add(1)]
            if global_step is not None:
                counted.append(global_step.assign_add(1))
        return group(graph, *updates, *counted, name="update")


@contextmanager
def _step_of(optimizer: Optimizer, state: GraphState) -> Iterator[None]:
    state.step = add(state.iterations, 1)  # type: ignore[assignment]  # of a graph tensor
    optimizer.graph_state = state
    try:
        yield
    finally:
        optimizer.graph_state = None


def number(optimizer: Optimizer, state: GraphState, value: Any, of: GraphVariable, done: int) -> Tensor:
    """A number that depends on the updates ``done`` when it is asked for: 0 before this update counts, 1 after."""
    dtype = of.dtype if of.dtype.itemsize >= 4 else dtypes.float32

    def at(iterations: Any) -> Any:
        before, optimizer.iterations = optimizer.iterations, int(iterations) + done
        try:
            return np.asarray(value(), dtype.numpy)
        finally:
            optimizer.iterations = before

    return py_function(at, [state.iterations], dtype, shapes=(), stateful=False)  # type: ignore[no-any-return]


def _update(optimizer: Optimizer, state: GraphState, gradient: Any, of: GraphVariable) -> Operation:
    graph = state.graph
    slots = state.slots.get(id(of))
    if slots is None:
        slots = state.slots[id(of)] = tuple(_slot(optimizer, graph, of, slot) for slot in optimizer.slot_names)
    target: Any = of  # a variable of a graph serves where an eager one does
    factor, decays = optimizer.settings_of(target)
    rate = optimizer.rate_for(target, factor)
    decay = optimizer.weight_decay or 0.0 if decays else 0.0
    results = optimizer.update(target, gradient, slots, rate, decay)  # type: ignore[arg-type]
    written = [assign(graph, cell, value) for cell, value in zip((of, *slots), results, strict=True)]
    if of.constraint is not None:
        with graph.control_dependencies(written):
            written.append(assign(graph, of, of.constraint(of.read_value())))
    return group(graph, *written, name=f"update_{of.operation.name}".replace("/", "_"))


def _slot(optimizer: Optimizer, graph: Graph, of: GraphVariable, slot: str) -> GraphVariable:
    start = optimizer.slot_start(slot)
    with graph.name_scope(None):
        return variable(
            graph, lambda: full_like(of.initial_value, start), name=f"{of.operation.name}/{optimizer.name}/{slot}",
            trainable=False, collections=[GLOBAL],
        )  # fmt: skip


def step_number(state: GraphState) -> Tensor:
    """The number of the update being made."""
    assert state.step is not None  # asked for while an update is built
    return cast(state.step, dtype=dtypes.int64)


__all__ = ["GraphState", "apply_gradients", "compute_gradients", "number", "step_number"]
