"""Whole sequences through a cell at once, by corenn's fused recurrences, where the cell is one they know.

A step of ``BasicLSTMCell``, ``LSTMCell`` (plain), ``GRUCell`` and ``BasicRNNCell`` is a step of ``corenn.nn.lstm``,
``gru`` and ``simple_rnn`` with the kernel's blocks in another order; cells on top of one another are sequences one
after another; dropout of inputs and outputs, which draws anew at every step, is dropout of the whole sequence.
"""

from __future__ import annotations

from typing import Any

from corenn import tree
from corenn.graph.graph import Graph
from corenn.ops.creation import arange
from corenn.ops.elementwise import add, cast, subtract, where
from corenn.ops.gathering import take_along_axis
from corenn.ops.logic import less
from corenn.ops.recurrent import gru, lstm, simple_rnn
from corenn.ops.shaping import broadcast_to, concatenate, parts, reshape
from corenn.tensor import Tensor
from corenn_tensorflow.nn.cell_wrappers import DeviceWrapper, DropoutWrapper, ResidualWrapper
from corenn_tensorflow.nn.cells import BasicLSTMCell, BasicRNNCell, GRUCell, LSTMCell, LSTMStateTuple, MultiRNNCell
from corenn_tensorflow.operands import composite, extents
from corenn_tensorflow.scopes import variable_scope
from corenn_tensorflow.writing import writable


def is_known(cell: Any) -> bool:
    """Whether ``whole`` can run a cell.  Subclasses may have changed the step, so only those that say so count."""
    kind = getattr(type(cell), "same_step_as", None) if "same_step_as" in vars(type(cell)) else type(cell)
    if kind in (BasicLSTMCell, LSTMCell):
        plain = cell._peepholes is None and not cell._use_peepholes and not cell._num_proj and cell._cell_clip is None
        return bool(cell._tanh and plain and cell._state_is_tuple)
    if kind is GRUCell:
        return bool(cell._tanh)
    if kind is BasicRNNCell:
        return bool(cell._tanh) or getattr(cell._activation, "__name__", "") == "relu"
    if kind is MultiRNNCell:
        return bool(cell._state_is_tuple) and all(map(is_known, cell._cells))
    if kind is DropoutWrapper:
        return not cell.drops("state") and is_known(cell._cell)
    if kind is ResidualWrapper:
        return cell._residual_fn is None and is_known(cell._cell)
    return kind is DeviceWrapper and is_known(cell._cell)


def whole(
    graph: Graph, cell: Any, x: Tensor, state: Any, lengths: Tensor | None, reverse: bool, scope: Any = None
) -> tuple[Tensor, Any]:
    """Outputs [batch, time, size] and the final state, of inputs [batch, time, depth] and the first state.

    Past ``lengths`` outputs are 0 and the state stays; with ``reverse`` the steps are taken from the last to the first.
    """
    if isinstance(cell, DropoutWrapper):
        outputs, final = whole(graph, cell._cell, cell.drop("input", x), state, lengths, reverse, scope)
        return cell.drop("output", outputs), final
    if isinstance(cell, ResidualWrapper):
        outputs, final = whole(graph, cell._cell, x, state, lengths, reverse, scope)
        outputs = add(outputs, x)
        return outputs if lengths is None else masked(outputs, lengths), final
    if isinstance(cell, DeviceWrapper):
        with graph.device(cell._device):
            return whole(graph, cell._cell, x, state, lengths, reverse, scope)
    with cell.entered(graph, x, scope):
        if isinstance(cell, MultiRNNCell):
            finals = []
            for i, (inner, own) in enumerate(zip(cell._cells, cell.states_of(state), strict=True)):
                with variable_scope(f"cell_{i}"):
                    x, final = whole(graph, inner, x, own, lengths, reverse)
                finals.append(final)
            return x, cell.joined(finals)
        return _one(cell, x, state, lengths, reverse)


def _one(cell: Any, x: Tensor, state: Any, lengths: Tensor | None, reverse: bool) -> tuple[Tensor, Any]:
    depth, units = (extents(x) or (None,))[-1], cell._num_units
    rows = (depth, units)
    if isinstance(cell, BasicRNNCell):
        w, u = parts(cell.kernel, sizes=rows, axis=0)
        name = "tanh" if cell._tanh else "relu"
        return simple_rnn(x, state, w, u, cell.bias, lengths, activation=name, reverse=reverse)  # type: ignore[return-value]
    if isinstance(cell, GRUCell):
        reset, update = parts(cell.gate_kernel, sizes=2, axis=1)
        kernel = concatenate(update, reset, cell.candidate_kernel, axis=1)
        reset_bias, update_bias = parts(cell.gate_bias, sizes=2, axis=0)
        bias = concatenate(update_bias, reset_bias, cell.candidate_bias, axis=0)
        w, u = parts(kernel, sizes=rows, axis=0)
        return gru(x, state, w, u, bias, lengths, reset_after=False, reverse=reverse)
    i, j, f, o = parts(cell.kernel, sizes=4, axis=1)
    bi, bj, bf, bo = parts(cell.bias, sizes=4, axis=0)
    bias = concatenate(bi, add(bf, cell._forget_bias), bj, bo, axis=0)
    w, u = parts(concatenate(i, f, j, o, axis=1), sizes=rows, axis=0)
    outputs, h, c = lstm(x, state[1], state[0], w, u, bias, lengths, reverse=reverse)
    return outputs, LSTMStateTuple(c, h)


@writable("nn.masked")
def _masked_of(x: Tensor, lengths: Tensor) -> Tensor:
    steps = arange(x.spec.static[1], dtype=lengths.dtype)
    valid = less(reshape(steps, shape=(1, -1)), reshape(lengths, shape=(-1, 1)))
    return where(reshape(valid, shape=(*x.spec.static[:2], *[1] * (x.ndim - 2))), x, 0.0)


def masked(outputs: Any, lengths: Tensor) -> Any:
    """Sequences [batch, time, ...] with 0 past their lengths."""
    return tree.tree_map(lambda x: composite("SequenceMask", None, _masked_of, x, lengths), outputs)


@writable("nn.reversed_in_time")
def _reversed_in_time_of(x: Tensor, *lengths: Tensor) -> Tensor:
    batch, steps = x.spec.static[:2]
    place = reshape(arange(steps, dtype="int64"), shape=(1, -1))
    if lengths:
        ends = reshape(cast(lengths[0], dtype="int64"), shape=(-1, 1))
        place = where(less(place, ends), subtract(subtract(ends, 1), place), place)
    else:
        place = subtract(steps - 1, place)
    wide = reshape(broadcast_to(place, shape=(batch, steps)), shape=(batch, steps, *[1] * (x.ndim - 2)))
    return take_along_axis(x, broadcast_to(wide, shape=x.spec.static), axis=1)


def reversed_in_time(x: Any, lengths: Tensor | None) -> Any:
    """Sequences [batch, time, ...] with the first ``lengths`` steps of each in reverse order (``None``: all steps)."""
    more = () if lengths is None else (lengths,)
    return tree.tree_map(lambda leaf: composite("ReverseSequence", None, _reversed_in_time_of, leaf, *more), x)


__all__ = ["is_known", "masked", "reversed_in_time", "whole"]
