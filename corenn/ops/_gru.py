"""Gated recurrent units: the whole sequence as one op, its gradient as another, and the cell.

With ``reset_after`` the reset gate scales the recurrent projection (as cuDNN and Keras have it), else the state before
it is projected (as in the paper).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.errors import ShapeError
from corenn.ops._recurrence import (
    DTYPES,
    Array,
    check,
    chosen,
    columns,
    for_projection,
    for_recurrence,
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
from corenn.ops.sampling import error, literal, real, sample
from corenn.ops.shaping import concatenate, stack
from corenn.ops.table import Call, Result, TensorLike, op
from corenn.ops.transcendental import tanh
from corenn.spec import Spec
from corenn.tensor import Tensor

__all__ = ["gru", "gru_cell"]


def gru(
    x: TensorLike, h0: TensorLike, kernel: TensorLike, recurrent_kernel: TensorLike, bias: TensorLike | None = None,
    lengths: TensorLike | None = None, /, *, reset_after: bool = True, reverse: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gated recurrent units over whole sequences (Cho et al. 2014, arXiv:1406.1078).

    ``x`` [batch, time, features], ``h0`` [batch, units], ``kernel`` [features, 3 units], ``recurrent_kernel`` [units,
    3 units].  The blocks are those of the update gate z, reset gate r and candidate n, as in Keras.  Each step::

        z, r = sigmoid(x W + h U + b)
        n = tanh(x W + b + r (h U + b'))      with reset_after, where bias is [2, 3 units], b above b'
        n = tanh(x W + (r h) U + b)           without, where bias is [3 units]
        h = z h + (1 - z) n

    Returns the outputs [batch, time, units] and the last state [batch, units].  ``lengths``, ``reverse``, gradients and
    errors as for ``lstm``.
    """
    outputs, h, _ = gru_sequence(
        x, h0, kernel, recurrent_kernel, bias, lengths, reset_after=reset_after, reverse=reverse
    )
    return outputs, h


def _bias_shape(call: Call) -> tuple[int, ...]:
    return (2, 3) if call.attrs["reset_after"] else (3,)


def _sequence(call: Call, *specs: Spec | None) -> Result:
    batch, steps, _, units = check(call, 3, _bias_shape(call))
    blocks = 4 if call.attrs["reset_after"] else 3
    return result(call, (batch, steps, units), (batch, units), (steps, batch, blocks * units))


@op(infer=_sequence, dtypes=DTYPES, results=("outputs", "h", "gates"), name="gru", namespace="_")
def gru_sequence(
    x: TensorLike, h0: TensorLike, kernel: TensorLike, recurrent_kernel: TensorLike, bias: TensorLike | None = None,
    lengths: TensorLike | None = None, /, *, reset_after: bool = True, reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """``corenn.nn.gru``, and what its gradient needs: ``gates``, z, r, n of each step and with ``reset_after`` also
    h U + b' of the candidate [time, batch, 3 or 4 units], which are 0 for steps passed over."""


def _biases(bias: Tensor | None, reset_after: bool) -> tuple[Tensor | None, Tensor | None]:
    """The bias of the input and that of the state."""
    return (bias, None) if bias is None or not reset_after else (step(bias, 0), step(bias, 1))


def _advance(
    projected: Tensor, h: Tensor, recurrent: Tensor, bias: Tensor | None, reset_after: bool
) -> tuple[Any, ...]:
    """The next state, and what is kept of the step."""
    units = h.shape[1]
    if reset_after:
        state = matmul(h, recurrent)
        state = state if bias is None else state + bias
        z, r = (sigmoid(columns(projected, k * units, units) + columns(state, k * units, units)) for k in range(2))
        s = columns(state, 2 * units, units)
        n = tanh(columns(projected, 2 * units, units) + r * s)
        return n + z * (h - n), (z, r, n, s)
    state = matmul(h, columns(recurrent, 0, 2 * units))
    z, r = (sigmoid(columns(projected, k * units, units) + columns(state, k * units, units)) for k in range(2))
    n = tanh(columns(projected, 2 * units, units) + matmul(r * h, columns(recurrent, 2 * units, units)))
    return n + z * (h - n), (z, r, n)


@gru_sequence.decompose
def _(
    x: Tensor, h0: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None, lengths: Tensor | None, *,
    reset_after: bool, reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    steps, h = x.shape[1], h0
    of_input, of_state = _biases(bias, reset_after)
    projected, valid = project(x, kernel, of_input), valid_steps(lengths, steps)
    outputs, gates = [h0] * steps, [h0] * steps
    for t in order(steps, reverse):
        new, kept = _advance(step(projected, t), h, recurrent_kernel, of_state, reset_after)
        outputs[t], gates[t] = chosen(valid, t, new, 0.0), chosen(valid, t, concatenate(*kept, axis=-1), 0.0)
        h = chosen(valid, t, new, h)
    return stack(*outputs, axis=1), h, stack(*gates)


@gru_sequence.vjp
def _(
    arrived: tuple[Tensor | None, ...], x: Tensor, h0: Tensor, kernel: Tensor, recurrent_kernel: Tensor,
    lengths: Tensor | None, out: tuple[Tensor, ...], reset_after: bool, reverse: bool, needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:  # fmt: skip
    outputs, _, gates = out
    g_outputs, g_h, g_gates = arrived
    of_input, of_state, by_h = gru_grad(
        h0, outputs, recurrent_kernel, gates, g_outputs, g_h, g_gates, lengths, reset_after=reset_after,
        reverse=reverse,
    )  # fmt: skip
    if reset_after:
        by_x, *by_weights = for_weights(
            of_input, x, h0, kernel, outputs, lengths, reverse, (needs[0], needs[2:5]), of_state
        )
        return by_x, by_h, *by_weights, None
    by_x, by_kernel, by_bias = for_projection(of_input, x, kernel, (needs[0], needs[2], needs[4]))
    by_recurrent = None
    if needs[3]:
        units = h0.shape[1]
        before = previous(h0, time_first(outputs), valid_steps(lengths, x.shape[1]), reverse)
        reset = columns(gates, units, units) * before
        parts = (columns(of_state, 0, 2 * units), before), (columns(of_state, 2 * units, units), reset)
        by_recurrent = concatenate(*[for_recurrence(*part) for part in parts], axis=-1)
    return by_x, by_h, by_kernel, by_recurrent, by_bias, None


def _grad(call: Call, h0: Spec, outputs: Spec, *rest: Spec | None) -> Result:
    batch, steps, units = outputs.static
    slopes = Spec((steps, batch, 3 * units), outputs.dtype)
    return slopes, slopes, Spec((batch, units), outputs.dtype)


@op(infer=_grad, dtypes=DTYPES, results=("input_slopes", "state_slopes", "h0"), namespace="_")
def gru_grad(
    h0: TensorLike, outputs: TensorLike, recurrent_kernel: TensorLike, gates: TensorLike,
    g_outputs: TensorLike | None = None, g_h: TensorLike | None = None, g_gates: TensorLike | None = None,
    lengths: TensorLike | None = None, /, *, reset_after: bool, reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The gradients of ``gru`` by the projections of the inputs and of the states [time, batch, 3 units], which differ
    with ``reset_after``, and by the first state.

    ``g_...`` are those by its results, as far as anything depends on them; ``outputs`` and ``gates`` are two of those
    results.
    """


def _retreat(
    dh: Tensor, before: Tensor, gates: Tensor, kept: Tensor | None, recurrent: Tensor, reset_after: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """One step back: gradients by the input's projection, the state's, and by the state before but for the latter."""
    units = dh.shape[1]
    z, r, n = (columns(gates, k * units, units) for k in range(3))

    def total(made: Tensor, k: int) -> Tensor:
        return made if kept is None else made + columns(kept, k * units, units)

    by_n = total(dh * (1 - z), 2) * tanh_slope(n)
    by_z = total(dh * (before - n), 0) * sigmoid_slope(z)
    rest = dh * z
    if reset_after:
        by_r = total(by_n * columns(gates, 3 * units, units), 1) * sigmoid_slope(r)
        by_s = total(by_n * r, 3)
        return concatenate(by_z, by_r, by_n, axis=-1), concatenate(by_z, by_r, by_s, axis=-1), rest
    scaled = matmul(by_n, columns(recurrent, 2 * units, units), transpose_b=True)
    by_r = total(scaled * before, 1) * sigmoid_slope(r)
    both = concatenate(by_z, by_r, by_n, axis=-1)
    return both, both, rest + scaled * r


@gru_grad.decompose
def _(
    h0: Tensor, outputs: Tensor, recurrent_kernel: Tensor, gates: Tensor, g_outputs: Tensor | None, g_h: Tensor | None,
    g_gates: Tensor | None, lengths: Tensor | None, *, reset_after: bool, reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    _, steps, units = outputs.shape
    valid, by_output = valid_steps(lengths, steps), None if g_outputs is None else time_first(g_outputs)
    before = previous(h0, time_first(outputs), valid, reverse)
    projecting = recurrent_kernel if reset_after else columns(recurrent_kernel, 0, 2 * units)
    dh = zeros_like(h0) if g_h is None else g_h
    by_input, by_state = [dh] * steps, [dh] * steps
    for t in reversed(order(steps, reverse)):
        dh_t = plus(dh, step_of(by_output, t))
        first, second, rest = _retreat(
            dh_t, step(before, t), step(gates, t), step_of(g_gates, t), recurrent_kernel, reset_after
        )
        by_input[t], by_state[t] = chosen(valid, t, first, 0.0), chosen(valid, t, second, 0.0)
        through = second if reset_after else columns(second, 0, 2 * units)
        dh = chosen(valid, t, rest + matmul(through, projecting, transpose_b=True), dh)
    return stack(*by_input), stack(*by_state), dh


# ---------------------------------------------------------------- one step


def _cell(call: Call, *specs: Spec | None) -> Spec:
    batch, _, _, units = check(call, 3, _bias_shape(call))
    return result(call, (batch, units))[0]


@op(infer=_cell, dtypes=DTYPES, namespace="nn")
def gru_cell(
    x: TensorLike, h: TensorLike, kernel: TensorLike, recurrent_kernel: TensorLike, bias: TensorLike | None = None, /,
    *, reset_after: bool = True,
) -> Tensor:  # fmt: skip
    """One step of ``gru``: ``x`` [batch, features], state ``h`` [batch, units]; returns the next state."""


@gru_cell.decompose
def _(
    x: Tensor, h: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None, *, reset_after: bool
) -> Tensor:
    of_input, of_state = _biases(bias, reset_after)
    projected = matmul(x, kernel)
    projected = projected if of_input is None else projected + of_input
    new: Tensor = _advance(projected, h, recurrent_kernel, of_state, reset_after)[0]
    return new


# ---------------------------------------------------------------- tests


def _reference_cell(kernel: Array, recurrent: Array, bias: Any, reset_after: bool) -> Any:
    if bias is None:
        bias = np.zeros((2, recurrent.shape[1])) if reset_after else np.zeros(recurrent.shape[1])
    of_input, of_state = bias if reset_after else (bias, np.zeros_like(bias))
    (wz, wr, wn), (uz, ur, un) = np.split(kernel, 3, axis=1), np.split(recurrent, 3, axis=1)
    (bz, br, bn), (cz, cr, cn) = np.split(of_input, 3), np.split(of_state, 3)

    def cell(x: Array, h: Array) -> tuple[Array]:
        z, r = logistic(x @ wz + h @ uz + bz + cz), logistic(x @ wr + h @ ur + br + cr)
        n = np.tanh(x @ wn + bn + (r * (h @ un + cn) if reset_after else (r * h) @ un))
        return (z * h + (1 - z) * n,)

    return cell


@gru_sequence.reference
def _(x: Array, h0: Array, kernel: Array, recurrent_kernel: Array, bias: Any = None, lengths: Any = None, *,
      reset_after: bool, reverse: bool) -> tuple[Any, ...]:  # fmt: skip
    cell = _reference_cell(kernel, recurrent_kernel, bias, reset_after)
    outputs, (h,) = run_reference(cell, x, [h0], lengths, reverse)
    return outputs, h, None


@gru_cell.reference
def _(x: Array, h: Array, kernel: Array, recurrent_kernel: Array, bias: Any = None, *, reset_after: bool) -> Array:
    return _reference_cell(kernel, recurrent_kernel, bias, reset_after)(x, h)[0]  # type: ignore[no-any-return]


_weights = (real(shape=(2, 9)), real(shape=(3, 9)))
_operands = (real(shape=(2, 3, 2)), real(shape=(2, 3)), *_weights)
_biases_after, _bias, _lengths = real(shape=(2, 9)), real(shape=(9,)), literal([2, 3], "int32")
gru_sequence.samples(
    sample(*_operands, _biases_after), sample(*_operands, _bias, reset_after=False),
    sample(*_operands, _biases_after, _lengths), sample(*_operands, None, _lengths, reset_after=False, reverse=True),
    sample(*_operands, None, literal([1, 0], "int64"), reverse=True),
    sample(*_operands, _bias, reset_after=False, reverse=True),
    sample(real(shape=(0, 2, 2)), real(shape=(0, 3)), *_weights),
)  # fmt: skip
_arriving, _states = (real(shape=(2, 3, 3)), real(shape=(2, 3))), (real(shape=(2, 3)), real(shape=(2, 3, 3)))
gru_grad.samples(
    sample(*_states, _weights[1], real(0, 1, shape=(3, 2, 12)), *_arriving, real(shape=(3, 2, 12)), reset_after=True,
           reverse=False, grad=False),
    sample(*_states, _weights[1], real(0, 1, shape=(3, 2, 9)), *_arriving, real(shape=(3, 2, 9)), _lengths,
           reset_after=False, reverse=True, grad=False),
    sample(*_states, _weights[1], real(0, 1, shape=(3, 2, 12)), None, _arriving[1], reset_after=True, reverse=True,
           grad=False),
    sample(*_states, _weights[1], real(0, 1, shape=(3, 2, 9)), _arriving[0], None, None, _lengths, reset_after=False,
           reverse=False, grad=False),
)  # fmt: skip
gru_cell.samples(
    sample(real(shape=(2, 2)), real(shape=(2, 3)), *_weights, _biases_after),
    sample(real(shape=(2, 2)), real(shape=(2, 3)), *_weights, _bias, reset_after=False),
    sample(real(shape=(2, 2)), real(shape=(2, 3)), *_weights),
)
gru_sequence.error_samples(
    error(ShapeError, "bias does not fit", *_operands, _bias),
    error(ShapeError, "bias does not fit", *_operands, _biases_after, reset_after=False),
    error(ShapeError, "should be [units, 3 * units]", *_operands[:3], real(shape=(3, 12))),
    error(ShapeError, "h0 does not fit", _operands[0], real(shape=(2, 4)), *_operands[2:]),
)
for _op in (gru_sequence, gru_grad, gru_cell):
    _op.terms(terms)
