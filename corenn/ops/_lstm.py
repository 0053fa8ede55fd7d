"""Long short-term memory: the whole sequence as one op, its gradient as another, and the cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.errors import DTypeError, ShapeError
from corenn.ops._recurrence import (
    DTYPES,
    Array,
    check,
    chosen,
    columns,
    for_weights,
    logistic,
    order,
    plus,
    previous,
    project,
    result,
    run_reference,
    sigmoid_slope,
    step,
    step_of,
    tanh_slope,
    terms,
    time_first,
    valid_steps,
)
from corenn.ops.activations import sigmoid
from corenn.ops.contraction import matmul
from corenn.ops.creation import zeros_like
from corenn.ops.sampling import error, integer, literal, real, sample
from corenn.ops.shaping import concatenate, stack
from corenn.ops.table import Call, Result, TensorLike, op
from corenn.ops.transcendental import tanh
from corenn.spec import Spec
from corenn.tensor import Tensor

__all__ = ["lstm", "lstm_cell"]


def lstm(
    x: TensorLike, h0: TensorLike, c0: TensorLike, kernel: TensorLike, recurrent_kernel: TensorLike,
    bias: TensorLike | None = None, lengths: TensorLike | None = None, /, *, reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Long short-term memory over whole sequences (Hochreiter & Schmidhuber 1997, with the forget gate of Gers 2000).

    ``x`` [batch, time, features]; first states ``h0``, ``c0`` [batch, units]; ``kernel`` [features, 4 units];
    ``recurrent_kernel`` [units, 4 units]; ``bias`` [4 units]; all of one floating dtype.  The four blocks are those of
    the input gate i, forget gate f, candidate g and output gate o, as in Keras.  Each step::

        i, f, o = sigmoid(x W + h U + b)      g = tanh(x W + h U + b)
        c = f c + i g                         h = o tanh(c)

    Returns the outputs (``h`` of each step) [batch, time, units] and the last ``h`` and ``c``.  ``lengths`` (integers
    [batch]): steps from there on are passed over: their outputs are 0 and the states stay.  ``reverse``: from the last
    step to the first; outputs stay at the step they belong to.  All floating operands have gradients.  Raises
    ShapeError or DTypeError for operands that do not fit.
    """
    outputs, h, c, _, _ = lstm_sequence(x, h0, c0, kernel, recurrent_kernel, bias, lengths, reverse=reverse)
    return outputs, h, c


def _sequence(call: Call, *specs: Spec | None) -> Result:
    batch, steps, _, units = check(call, 4, (4,))
    state = (batch, units)
    return result(call, (batch, steps, units), state, state, (steps, *state), (steps, batch, 4 * units))


@op(infer=_sequence, dtypes=DTYPES, results=("outputs", "h", "c", "cells", "gates"), name="lstm", namespace="_")
def lstm_sequence(
    x: TensorLike, h0: TensorLike, c0: TensorLike, kernel: TensorLike, recurrent_kernel: TensorLike,
    bias: TensorLike | None = None, lengths: TensorLike | None = None, /, *, reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """``corenn.nn.lstm``, and what its gradient needs: ``cells``, c after each step [time, batch, units], and
    ``gates``, i, f, g, o of each step [time, batch, 4 units], which are 0 for steps passed over."""


def _gates(z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    units = z.shape[-1] // 4
    i, f, g, o = (columns(z, k * units, units) for k in range(4))
    return sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)


@lstm_sequence.decompose
def _(
    x: Tensor, h0: Tensor, c0: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None,
    lengths: Tensor | None, *, reverse: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    steps = x.shape[1]
    projected, valid = project(x, kernel, bias), valid_steps(lengths, steps)
    h, c = h0, c0
    outputs, cells, gates = ([h0] * steps for _ in range(3))
    for t in order(steps, reverse):
        i, f, g, o = _gates(step(projected, t) + matmul(h, recurrent_kernel))
        c_new = f * c + i * g
        h_new = o * tanh(c_new)
        outputs[t], gates[t] = chosen(valid, t, h_new, 0.0), chosen(valid, t, concatenate(i, f, g, o, axis=-1), 0.0)
        h, c = chosen(valid, t, h_new, h), chosen(valid, t, c_new, c)
        cells[t] = c
    return stack(*outputs, axis=1), h, c, stack(*cells), stack(*gates)


@lstm_sequence.vjp
def _(
    arrived: tuple[Tensor | None, ...], x: Tensor, h0: Tensor, c0: Tensor, kernel: Tensor,
    recurrent_kernel: Tensor, lengths: Tensor | None, out: tuple[Tensor, ...], reverse: bool, needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:  # fmt: skip
    outputs, _, _, cells, gates = out
    g_outputs, g_h, g_c, g_cells, g_gates = arrived
    slopes, by_h, by_c = lstm_grad(
        c0, recurrent_kernel, cells, gates, g_outputs, g_h, g_c, g_cells, g_gates, lengths, reverse=reverse
    )
    by_x, *by_weights = for_weights(slopes, x, h0, kernel, outputs, lengths, reverse, (needs[0], needs[3:6]))
    return by_x, by_h, by_c, *by_weights, None


def _grad(call: Call, *specs: Spec | None) -> Result:
    state, gates = specs[0], specs[3]
    assert gates is not None and state is not None  # neither is optional
    return tuple(Spec(s.shape, s.dtype) for s in (gates, state, state))


@op(infer=_grad, dtypes=DTYPES, results=("slopes", "h0", "c0"), namespace="_")
def lstm_grad(
    c0: TensorLike, recurrent_kernel: TensorLike, cells: TensorLike, gates: TensorLike,
    g_outputs: TensorLike | None = None, g_h: TensorLike | None = None, g_c: TensorLike | None = None,
    g_cells: TensorLike | None = None, g_gates: TensorLike | None = None, lengths: TensorLike | None = None, /, *,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The gradients of ``lstm`` by the arguments of its gates (``slopes`` [time, batch, 4 units]) and the first states.

    ``g_...`` are the gradients by its results, as far as anything depends on them; ``cells`` and ``gates`` are two of
    those results.
    """


@lstm_grad.decompose
def _(
    c0: Tensor, recurrent_kernel: Tensor, cells: Tensor, gates: Tensor, g_outputs: Tensor | None, g_h: Tensor | None,
    g_c: Tensor | None, g_cells: Tensor | None, g_gates: Tensor | None, lengths: Tensor | None, *, reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    steps, units = cells.shape[0], c0.shape[1]
    valid, by_output = valid_steps(lengths, steps), None if g_outputs is None else time_first(g_outputs)
    before = previous(c0, cells, None, reverse)  # cells hold what was carried past a step
    squashed = tanh(cells)
    dh, dc = zeros_like(c0) if g_h is None else g_h, zeros_like(c0) if g_c is None else g_c
    slopes = [c0] * steps
    for t in reversed(order(steps, reverse)):
        i, f, g, o = (columns(step(gates, t), k * units, units) for k in range(4))
        s = step(squashed, t)
        dh_t, dc = plus(dh, step_of(by_output, t)), plus(dc, step_of(g_cells, t))
        dc_t = dc + dh_t * o * tanh_slope(s)
        by_gates = concatenate(dc_t * g, dc_t * step(before, t), dc_t * i, dh_t * s, axis=-1)
        bend = concatenate(sigmoid_slope(i), sigmoid_slope(f), tanh_slope(g), sigmoid_slope(o), axis=-1)
        slopes[t] = chosen(valid, t, plus(by_gates, step_of(g_gates, t)) * bend, 0.0)
        dc = chosen(valid, t, dc_t * f, dc)
        dh = chosen(valid, t, matmul(slopes[t], recurrent_kernel, transpose_b=True), dh)
    return stack(*slopes), dh, dc


# ---------------------------------------------------------------- one step


def _cell(call: Call, *specs: Spec | None) -> Result:
    batch, _, _, units = check(call, 4, (4,))
    return result(call, (batch, units), (batch, units))


@op(infer=_cell, dtypes=DTYPES, results=("h", "c"), namespace="nn")
def lstm_cell(
    x: TensorLike, h: TensorLike, c: TensorLike, kernel: TensorLike, recurrent_kernel: TensorLike,
    bias: TensorLike | None = None, /,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One step of ``lstm``: ``x`` [batch, features], states ``h`` and ``c`` [batch, units]; returns the next states."""


@lstm_cell.decompose
def _(
    x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    z = matmul(x, kernel) + matmul(h, recurrent_kernel)
    i, f, g, o = _gates(z if bias is None else z + bias)
    c = f * c + i * g
    return o * tanh(c), c


# ---------------------------------------------------------------- tests


def _reference_cell(kernel: Array, recurrent: Array, bias: Any) -> Any:
    def cell(x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        z = x @ kernel + h @ recurrent + (0.0 if bias is None else bias)
        i, f, g, o = np.split(z, 4, axis=-1)
        c = logistic(f) * c + logistic(i) * np.tanh(g)
        return logistic(o) * np.tanh(c), c

    return cell


@lstm_sequence.reference
def _(x: Array, h0: Array, c0: Array, kernel: Array, recurrent_kernel: Array, bias: Any = None, lengths: Any = None, *,
      reverse: bool) -> tuple[Any, ...]:  # fmt: skip
    cell = _reference_cell(kernel, recurrent_kernel, bias)
    outputs, (h, c) = run_reference(cell, x, [h0, c0], lengths, reverse)
    return outputs, h, c, None, None


@lstm_cell.reference
def _(x: Array, h: Array, c: Array, kernel: Array, recurrent_kernel: Array, bias: Any = None) -> tuple[Array, Array]:
    return _reference_cell(kernel, recurrent_kernel, bias)(x, h, c)  # type: ignore[no-any-return]


_weights = (real(shape=(2, 12)), real(shape=(3, 12)))
_operands = (real(shape=(2, 3, 2)), real(shape=(2, 3)), real(shape=(2, 3)), *_weights)
_bias, _lengths = real(shape=(12,)), literal([2, 3], "int32")
lstm_sequence.samples(
    sample(*_operands, _bias), sample(*_operands, None, reverse=True), sample(*_operands, _bias, _lengths),
    sample(*_operands, _bias, literal([1, 0], "int64"), reverse=True),
    sample(real(shape=(0, 2, 2)), real(shape=(0, 3)), real(shape=(0, 3)), *_weights, _bias),
)  # fmt: skip
_arriving = (
    real(shape=(2, 3, 3)),
    real(shape=(2, 3)),
    real(shape=(2, 3)),
    real(shape=(3, 2, 3)),
    real(shape=(3, 2, 12)),
)
_kept = (real(shape=(2, 3)), real(shape=(3, 12)), real(shape=(3, 2, 3)), real(0, 1, shape=(3, 2, 12)))
lstm_grad.samples(
    sample(*_kept, *_arriving, reverse=False, grad=False),
    sample(*_kept, *_arriving, _lengths, reverse=True, grad=False),
    sample(*_kept, None, _arriving[1], reverse=False, grad=False),
    sample(*_kept, _arriving[0], None, None, None, None, _lengths, reverse=True, grad=False),
)
lstm_cell.samples(
    sample(real(shape=(2, 2)), real(shape=(2, 3)), real(shape=(2, 3)), *_weights, _bias),
    sample(real(shape=(2, 2)), real(shape=(2, 3)), real(shape=(2, 3)), *_weights),
)
lstm_sequence.error_samples(
    error(ShapeError, "x must have shape [batch, time, features]", real(shape=(2, 2)), *_operands[1:]),
    error(ShapeError, "should be [units, 4 * units]", *_operands[:4], real(shape=(3, 9))),
    error(ShapeError, "kernel does not fit", *_operands[:3], real(shape=(3, 12)), _operands[4]),
    error(ShapeError, "h0 does not fit", _operands[0], real(shape=(1, 3)), *_operands[2:]),
    error(ShapeError, "bias does not fit", *_operands, real(shape=(3,))),
    error(ShapeError, "lengths does not fit", *_operands, None, integer(0, 3, shape=(3,))),
    error(ShapeError, "there are no steps", real(shape=(2, 0, 2)), *_operands[1:]),
    error(DTypeError, "takes integer", *_operands, None, real(shape=(2,))),
    error(DTypeError, "the dtype of x", *_operands, literal(np.zeros(12), "float64")),
)
for _op in (lstm_sequence, lstm_grad, lstm_cell):
    _op.terms(terms)
