"""``raw_rnn``: a cell whose inputs, states and outputs a function of the program decides, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corenn import tree
from corenn.errors import UsageError
from corenn.graph.graph import Graph
from corenn.ops.creation import full
from corenn.ops.elementwise import add, where
from corenn.ops.logic import logical_not, logical_or
from corenn.ops.reduction import all as all_of
from corenn.ops.shaping import reshape
from corenn.tensor import Tensor
from corenn_tensorflow.functions.flow import while_loop
from corenn_tensorflow.functions.loops import TensorArray
from corenn_tensorflow.mode import default_graph
from corenn_tensorflow.nn.cells import map_sizes
from corenn_tensorflow.operands import dynamic_shape, extents, tensor
from corenn_tensorflow.scopes import get_variable_scope, variable_scope


def raw_rnn(
    cell: Any, loop_fn: Callable[..., Any], parallel_iterations: int | None = None, swap_memory: bool = False,
    scope: Any = None,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """``(emit_ta, final_state, final_loop_state)`` of a cell that is called until all examples are finished.

    ``loop_fn(time, cell_output, cell_state, loop_state)`` returns ``(finished, next_input, next_state, emit_output,
    next_loop_state)``; at time 0 its last three arguments are ``None``, and what it emits says the shape of one
    example's output (``None``: that of the cell).  Finished examples keep their state and emit zeros.
    """
    if not callable(loop_fn):
        raise TypeError("loop_fn must be a callable")
    graph = default_graph()
    with graph.as_default(), variable_scope(scope or "rnn"):
        return _run(graph, cell, loop_fn)


def _tensors(structure: Any) -> Any:
    return tree.tree_map(tensor, structure)


def _run(graph: Graph, cell: Any, loop_fn: Callable[..., Any]) -> tuple[Any, Any, Any]:
    finished, first_input, first_state, emitted, loop_state = loop_fn(tensor(0), None, None, None)
    first_input, first_state = _tensors(first_input), _tensors(first_state)
    batch = dynamic_shape(tree.leaves(first_input)[0])[0]
    kind = tree.leaves(first_state)[0].dtype
    if emitted is None:
        nothing = map_sizes(lambda size: full((batch, *size), 0, kind), cell.output_size)
    else:  # an example's output, without the batch
        nothing = tree.tree_map(lambda e: full((batch, *_known(tensor(e))), 0, tensor(e).dtype), emitted)
    arrays = [TensorArray(z.dtype, size=0, dynamic_size=True, element_shape=extents(z)) for z in tree.leaves(nothing)]
    keeps = loop_state is not None
    made: list[bool] = []

    def body(time: Any, over: Any, given: Any, outputs: Any, state: Any, carried: Any) -> Any:
        with variable_scope(get_variable_scope(), reuse=True if made else None, auxiliary_name_scope=False):
            output, after = cell(given, state)
            following = add(time, 1)
            over_next, next_input, next_state, emit, next_carried = loop_fn(
                following, output, after, carried if keeps else None
            )
        made.append(True)

        def kept(old: Any, new: Any) -> Any:
            return tree.rebuild(
                old, iter([_still(over, a, b) for a, b in zip(tree.leaves(old), tree.leaves(new), strict=True)])
            )

        if next_input is None or next_state is None:
            raise UsageError("raw_rnn", "loop_fn must give the next input and the next state")
        emit = kept(nothing, _tensors(emit))
        written = [array.write(time, leaf) for array, leaf in zip(outputs, tree.leaves(emit), strict=True)]
        following_input = tree.rebuild(given, iter(tree.leaves(_tensors(next_input))))
        carried = carried if next_carried is None else next_carried
        return (
            following, logical_or(over, tensor(over_next)), following_input, written, kept(state, _tensors(next_state)),
            carried,
        )  # fmt: skip

    start = (tensor(0), tensor(finished), first_input, arrays, first_state, loop_state if keeps else tensor(0))
    _, _, _, outputs, state, carried = while_loop(
        lambda time, over, *rest: logical_not(all_of(over)), body, start, name="while"
    )
    for array, zeros in zip(outputs, tree.leaves(nothing), strict=True):
        (rows,) = array.__corenn_parts__()
        rows.set_shape((None, *(extents(zeros) or ())))
    return tree.rebuild(nothing, iter(outputs)), state, carried if keeps else None


def _known(x: Tensor) -> tuple[Any, ...]:
    """The extents, with tensors in place of those that are not known yet."""
    shape = extents(x) or ()
    if None not in shape:
        return shape
    actual = dynamic_shape(x)
    return tuple(actual[i] if n is None else n for i, n in enumerate(shape))


def _still(over: Tensor, old: Any, new: Tensor) -> Tensor:
    """``old`` for the examples that are over, else ``new``; scalars are always new."""
    shape = extents(new)
    if not shape:
        return new
    return where(reshape(over, shape=(-1, *[1] * (len(shape) - 1))), old, new)


__all__ = ["raw_rnn"]
