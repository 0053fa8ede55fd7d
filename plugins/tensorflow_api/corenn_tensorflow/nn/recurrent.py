"""Cells over sequences: ``dynamic_rnn``, ``static_rnn`` and both ways (``bidirectional_dynamic_rnn``, ...)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corenn import tree
from corenn.errors import UsageError
from corenn.graph.control import _scan
from corenn.graph.graph import Graph
from corenn.ops.creation import full, zeros
from corenn.ops.elementwise import add, cast, where
from corenn.ops.logic import less
from corenn.ops.shaping import concatenate, reshape, stack, transpose, unstack
from corenn.tensor import Tensor
from corenn_tensorflow.mode import default_graph, graph_for
from corenn_tensorflow.nn.sequences import is_known, reversed_in_time, whole
from corenn_tensorflow.operands import dynamic_shape, extents, tensor
from corenn_tensorflow.scopes import get_variable_scope, variable_scope


def _graph(where_: str, inputs: Any) -> Graph:
    graph = graph_for(inputs)
    if graph is None:
        raise UsageError(
            where_, "builds a graph, and eager execution is on",
            hint="tf.keras.layers.RNN(cell) in TensorFlow 2; a Python loop that calls the cell",
        )  # fmt: skip
    return graph


def _lengths(sequence_length: Any, beside: Any) -> Tensor | None:
    if sequence_length is None:
        return None
    found = tensor(sequence_length, None, beside)
    shape = extents(found)
    if shape is not None and len(shape) != 1:
        raise UsageError(
            "dynamic_rnn", "sequence_length must be a vector of length batch_size, but saw shape: "
            f"({', '.join('?' if n is None else str(n) for n in shape)})",
        )  # fmt: skip
    return cast(found, dtype="int32")


def _first_state(cell: Any, initial_state: Any, batch: Any, dtype: Any, inputs: Tensor) -> Any:
    if initial_state is not None:
        return tree.tree_map(lambda s: tensor(s, None, inputs), initial_state)
    if dtype is None:
        raise UsageError("dynamic_rnn", "If there is no initial_state, you must give a dtype.", hint="dtype=tf.float32")
    return cell.zero_state(batch, dtype)


def _swapped(x: Any) -> Any:
    """[batch, time, ...] as [time, batch, ...], or back."""

    def swap(leaf: Tensor) -> Tensor:
        shape = extents(leaf)
        return transpose(leaf, axes=(1, 0, *range(2, len(shape or (0, 0)))))

    return tree.tree_map(swap, x)


def _check_inputs(inputs: Any) -> Any:
    given = tree.tree_map(tensor, inputs)
    for leaf in tree.leaves(given):
        shape = extents(leaf)
        if shape is None or len(shape) < 2:
            raise UsageError(
                "dynamic_rnn", "the inputs must be sequences [batch, time, ...]", {"inputs": leaf},
                hint="give the placeholder a shape, such as [None, None, depth]",
            )  # fmt: skip
    return given


def run_sequence(
    graph: Graph, cell: Any, inputs: Any, lengths: Tensor | None, state: Any, reverse: bool = False
) -> tuple[Any, Any]:
    """Outputs [batch, time, ...] and the final state, of inputs [batch, time, ...]; in the caller's variable scope."""
    if isinstance(inputs, Tensor) and len(extents(inputs) or ()) == 3 and is_known(cell):
        return whole(graph, cell, inputs, state, lengths, reverse)
    ordered = reversed_in_time(inputs, lengths) if reverse else inputs
    outputs, final = _stepwise(cell, _swapped(ordered), lengths, state)
    outputs = _swapped(outputs)
    return reversed_in_time(outputs, lengths) if reverse else outputs, final


def _chosen(going: Tensor, new: Any, old: Any) -> Any:
    """``new`` where a sequence is not over, else ``old``; scalars are always new."""

    def choose(a: Tensor, b: Any) -> Tensor:
        shape = extents(a)
        if shape is None or not shape:
            return a
        return where(reshape(going, shape=(-1, *[1] * (len(shape) - 1))), a, b)

    return tree.tree_map(choose, new, old)


def _stepwise(cell: Any, inputs: Any, lengths: Tensor | None, state: Any) -> tuple[Any, Any]:
    """Outputs and final state of any cell, of inputs with time first; traced once and run step by step."""
    step = _shared(lambda row, own: cell(row, own))

    def body(carried: Any, row: Any) -> tuple[Any, Any]:
        time, own = carried
        output, new = step(row, own)
        _same_structure(own, new)
        new = tree.rebuild(own, iter(tree.leaves(new)))
        if lengths is not None:
            going = less(time, lengths)
            new = _chosen(going, new, own)
            output = _chosen(going, output, tree.tree_map(lambda o: 0, output))
        return (add(time, 1), new), output

    start = (zeros((), dtype="int32"), state)
    (_, final), outputs = _scan(body, inputs, start, False, "while")
    return outputs, tree.rebuild(state, iter(tree.leaves(final)))


def _same_structure(before: Any, after: Any) -> None:
    if len(tree.leaves(before)) != len(tree.leaves(after)):
        raise UsageError("dynamic_rnn", "the cell returns a state of another structure than it is given",
                         {"given": before, "returned": after})  # fmt: skip


def _shared(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call``, which may be traced several times: variables that the first time makes are used by the others."""
    made: list[bool] = []

    def run(*args: Any) -> Any:
        scope = get_variable_scope()
        with variable_scope(scope, reuse=True if made else None, auxiliary_name_scope=False):
            found = call(*args)
        made.append(True)
        return found

    return run


# ---------------------------------------------------------------- over tensors


def dynamic_rnn(
    cell: Any, inputs: Any, sequence_length: Any = None, initial_state: Any = None, dtype: Any = None,
    parallel_iterations: int | None = None, swap_memory: bool = False, time_major: bool = False, scope: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Outputs [batch, time, ...] and final state of ``cell`` over ``inputs`` [batch, time, ...].

    ``time_major``: time comes first in both.  Past ``sequence_length`` [batch] outputs are 0 and the state stays.
    Variables are made in the scope ``"rnn"``.
    """
    graph = _graph("dynamic_rnn", inputs)
    with graph.as_default(), variable_scope(scope or "rnn"):
        given = _check_inputs(inputs)
        given = _swapped(given) if time_major else given
        lengths = _lengths(sequence_length, given)
        first = tree.leaves(given)[0]
        state = _first_state(cell, initial_state, dynamic_shape(first)[0], dtype, first)
        outputs, final = run_sequence(graph, cell, given, lengths, state)
        return (_swapped(outputs) if time_major else outputs), final


def bidirectional_dynamic_rnn(
    cell_fw: Any, cell_bw: Any, inputs: Any, sequence_length: Any = None, initial_state_fw: Any = None,
    initial_state_bw: Any = None, dtype: Any = None, parallel_iterations: int | None = None, swap_memory: bool = False,
    time_major: bool = False, scope: Any = None,
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:  # fmt: skip
    """Two cells over the inputs, one from each end: ``(outputs_fw, outputs_bw), (state_fw, state_bw)``."""
    graph = _graph("bidirectional_dynamic_rnn", inputs)
    found = []
    with graph.as_default(), variable_scope(scope or "bidirectional_rnn"):
        given = _check_inputs(inputs)
        given = _swapped(given) if time_major else given
        lengths = _lengths(sequence_length, given)
        first = tree.leaves(given)[0]
        batch = dynamic_shape(first)[0]
        for name, cell, initial in (("fw", cell_fw, initial_state_fw), ("bw", cell_bw, initial_state_bw)):
            with variable_scope(name):
                state = _first_state(cell, initial, batch, dtype, first)
                outputs, final = run_sequence(graph, cell, given, lengths, state, reverse=name == "bw")
                found.append((_swapped(outputs) if time_major else outputs, final))
    (outputs_fw, state_fw), (outputs_bw, state_bw) = found
    return (outputs_fw, outputs_bw), (state_fw, state_bw)


# ---------------------------------------------------------------- over lists


def _listed(where_: str, inputs: Any) -> list[Any]:
    if not isinstance(inputs, (list, tuple)) or hasattr(inputs, "_fields"):
        raise TypeError("inputs must be a sequence: a list of tensors [batch, depth], one for each step "
                        "(tf.unstack(x, axis=1))")  # fmt: skip
    if not inputs:
        raise UsageError(where_, "inputs must not be empty")
    return list(inputs)


def static_rnn(
    cell: Any, inputs: Any, initial_state: Any = None, dtype: Any = None, sequence_length: Any = None, scope: Any = None
) -> tuple[list[Any], Any]:
    """Outputs (a list) and final state of ``cell`` over a list of inputs [batch, depth], one for each step."""
    steps = _listed("static_rnn", inputs)
    graph = _graph("static_rnn", steps)
    with graph.as_default(), variable_scope(scope or "rnn"):
        return _static(graph, cell, steps, initial_state, dtype, sequence_length, False)


def _static(
    graph: Graph, cell: Any, steps: list[Any], initial_state: Any, dtype: Any, sequence_length: Any, reverse: bool
) -> tuple[list[Any], Any]:
    steps = [tree.tree_map(tensor, s) for s in steps]
    first = tree.leaves(steps[0])[0]
    lengths = _lengths(sequence_length, first)
    state = _first_state(cell, initial_state, dynamic_shape(first)[0], dtype, first)
    together = all(isinstance(s, Tensor) and len(extents(s) or ()) == 2 for s in steps) and is_known(cell)
    if together or reverse:
        joined = tree.tree_map(lambda *leaves: stack(*leaves, axis=1), *steps)
        outputs, final = run_sequence(graph, cell, joined, lengths, state, reverse)
        columns = [unstack(leaf, axis=1) for leaf in tree.leaves(outputs)]
        return [tree.rebuild(outputs, iter(row)) for row in zip(*columns, strict=True)], final
    call, found = _shared(lambda row, own: cell(row, own)), []
    for time, row in enumerate(steps):
        output, new = call(row, state)
        if lengths is not None:
            going = less(full((), time, "int32"), lengths)
            new = _chosen(going, new, state)
            output = _chosen(going, output, tree.tree_map(lambda o: 0, output))
        state = new
        found.append(output)
    return found, state


def static_bidirectional_rnn(
    cell_fw: Any, cell_bw: Any, inputs: Any, initial_state_fw: Any = None, initial_state_bw: Any = None,
    dtype: Any = None, sequence_length: Any = None, scope: Any = None,
) -> tuple[list[Any], Any, Any]:  # fmt: skip
    """Two cells over a list of inputs, one from each end: outputs side by side (a list), ``state_fw``, ``state_bw``."""
    steps = _listed("static_bidirectional_rnn", inputs)
    graph = _graph("static_bidirectional_rnn", steps)
    found = []
    with graph.as_default(), variable_scope(scope or "bidirectional_rnn"):
        for name, cell, initial in (("fw", cell_fw, initial_state_fw), ("bw", cell_bw, initial_state_bw)):
            with variable_scope(name):
                found.append(_static(graph, cell, steps, initial, dtype, sequence_length, name == "bw"))
        (forward, state_fw), (backward, state_bw) = found
        outputs = [
            tree.tree_map(lambda a, b: concatenate(a, b, axis=1), f, b) for f, b in zip(forward, backward, strict=True)
        ]
    return outputs, state_fw, state_bw


def static_state_saving_rnn(
    cell: Any, inputs: Any, state_saver: Any, state_name: Any, sequence_length: Any = None, scope: Any = None
) -> tuple[list[Any], Any]:
    """``static_rnn`` from a state that ``state_saver.state(name)`` gives to one that ``save_state`` keeps."""
    names = tree.leaves(state_name)
    sizes = cell.state_size
    state = tree.rebuild(sizes, iter([state_saver.state(n) for n in names]))
    outputs, final = static_rnn(cell, inputs, state, sequence_length=sequence_length, scope=scope)
    saved = [state_saver.save_state(n, leaf) for n, leaf in zip(names, tree.leaves(final), strict=True)]
    with default_graph().as_default(), default_graph().control_dependencies(saved):
        from corenn.ops.elementwise import identity

        outputs[-1] = tree.tree_map(identity, outputs[-1])
    return outputs, final


rnn, state_saving_rnn, bidirectional_rnn = static_rnn, static_state_saving_rnn, static_bidirectional_rnn

__all__ = [
    "bidirectional_dynamic_rnn", "bidirectional_rnn", "dynamic_rnn", "rnn", "state_saving_rnn",
    "static_bidirectional_rnn", "static_rnn", "static_state_saving_rnn",
]  # fmt: skip
