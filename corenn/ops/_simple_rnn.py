"""The plain recurrent network: the whole sequence as one op, its gradient as another, and the cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.errors import AttributeValueError, ShapeError
from corenn.ops._recurrence import (
    DTYPES,
    Array,
    check,
    chosen,
    for_weights,
    order,
    plus,
    project,
    result,
    run_reference,
    step,
    step_of,
    tanh_slope,
    terms,
    time_first,
    valid_steps,
)
from corenn.ops.activations import relu
from corenn.ops.contraction import matmul
from corenn.ops.creation import zeros_like
from corenn.ops.elementwise import cast
from corenn.ops.logic import greater
from corenn.ops.sampling import error, literal, real, sample
from corenn.ops.shaping import stack
from corenn.ops.table import Call, Result, TensorLike, op
from corenn.ops.transcendental import tanh
from corenn.spec import Spec
from corenn.tensor import Tensor

__all__ = ["rnn_cell", "simple_rnn"]

_ACTIVATIONS = {"tanh": tanh, "relu": relu}


def _check(call: Call) -> tuple[int, int, int, int]:
    if call.attrs["activation"] not in _ACTIVATIONS:
        raise call.attribute_error("activation must be 'tanh' or 'relu'", activation="")
    return check(call, 1, (1,))


def _sequence(call: Call, *specs: Spec | None) -> Result:
    batch, steps, _, units = _check(call)
    return result(call, (batch, steps, units), (batch, units))


@op(infer=_sequence, dtypes=DTYPES, results=("outputs", "h"), namespace="nn")
def simple_rnn(
    x: TensorLike, h0: TensorLike, kernel: TensorLike, recurrent_kernel: TensorLike, bias: TensorLike | None = None,
    lengths: TensorLike | None = None, /, *, activation: str = "tanh", reverse: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The recurrent network ``h = activation(x W + h U + b)`` over whole sequences (Elman 1990).

    ``x`` [batch, time, features], ``h0`` [batch, units], ``kernel`` [features, units], ``recurrent_kernel`` [units,
    units], ``bias`` [units].  ``activation``: "tanh" or "relu".  Returns the outputs [batch, time, units] and the last
    state [batch, units].  ``lengths``, ``reverse``, gradients and errors as for ``lstm``.
    """


@simple_rnn.decompose
def _(
    x: Tensor, h0: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None, lengths: Tensor | None, *,
    activation: str, reverse: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    steps, h = x.shape[1], h0
    projected, valid = project(x, kernel, bias), valid_steps(lengths, steps)
    outputs = [h0] * steps
    for t in order(steps, reverse):
        new = _ACTIVATIONS[activation](step(projected, t) + matmul(h, recurrent_kernel))
        outputs[t], h = chosen(valid, t, new, 0.0), chosen(valid, t, new, h)
    return stack(*outputs, axis=1), h


@simple_rnn.vjp
def _(
    arrived: tuple[Tensor | None, Tensor | None], x: Tensor, h0: Tensor, kernel: Tensor, recurrent_kernel: Tensor,
    lengths: Tensor | None, out: tuple[Tensor, Tensor], activation: str, reverse: bool, needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:  # fmt: skip
    slopes, by_h = simple_rnn_grad(recurrent_kernel, out[0], *arrived, lengths, activation=activation, reverse=reverse)
    by_x, *by_weights = for_weights(slopes, x, h0, kernel, out[0], lengths, reverse, (needs[0], needs[2:5]))
    return by_x, by_h, *by_weights, None


def _grad(call: Call, recurrent: Spec, outputs: Spec, *rest: Spec | None) -> Result:
    batch, steps, units = outputs.static
    return Spec((steps, batch, units), outputs.dtype), Spec((batch, units), outputs.dtype)


@op(infer=_grad, dtypes=DTYPES, results=("slopes", "h0"), namespace="_")
def simple_rnn_grad(
    recurrent_kernel: TensorLike, outputs: TensorLike, g_outputs: TensorLike | None = None,
    g_h: TensorLike | None = None, lengths: TensorLike | None = None, /, *, activation: str, reverse: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The gradients of ``simple_rnn`` by the arguments of its activation (``slopes`` [time, batch, units]) and the
    first state.  ``g_...`` are those by its results, as far as anything depends on them, ``outputs`` what it
    returned."""


@simple_rnn_grad.decompose
def _(
    recurrent_kernel: Tensor, outputs: Tensor, g_outputs: Tensor | None, g_h: Tensor | None, lengths: Tensor | None, *,
    activation: str, reverse: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    steps = outputs.shape[1]
    valid, states = valid_steps(lengths, steps), time_first(outputs)
    by_output = None if g_outputs is None else time_first(g_outputs)
    bend = tanh_slope(states) if activation == "tanh" else cast(greater(states, 0), dtype=states.dtype)
    dh = zeros_like(step(states, 0)) if g_h is None else g_h
    slopes = [dh] * steps
    for t in reversed(order(steps, reverse)):
        slopes[t] = chosen(valid, t, plus(dh, step_of(by_output, t)) * step(bend, t), 0.0)
        dh = chosen(valid, t, matmul(slopes[t], recurrent_kernel, transpose_b=True), dh)
    return stack(*slopes), dh


# ---------------------------------------------------------------- one step


def _cell(call: Call, *specs: Spec | None) -> Spec:
    batch, _, _, units = _check(call)
    return result(call, (batch, units))[0]


@op(infer=_cell, dtypes=DTYPES, namespace="nn")
def rnn_cell(
    x: TensorLike, h: TensorLike, kernel: TensorLike, recurrent_kernel: TensorLike, bias: TensorLike | None = None, /,
    *, activation: str = "tanh",
) -> Tensor:  # fmt: skip
    """One step of ``simple_rnn``: ``x`` [batch, features], state ``h`` [batch, units]; returns the next state."""


@rnn_cell.decompose
def _(
    x: Tensor, h: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None, *, activation: str
) -> Tensor:
    z = matmul(x, kernel) + matmul(h, recurrent_kernel)
    return _ACTIVATIONS[activation](z if bias is None else z + bias)


# ---------------------------------------------------------------- tests


def _reference_cell(kernel: Array, recurrent: Array, bias: Any, activation: str) -> Any:
    def cell(x: Array, h: Array) -> tuple[Array]:
        z = x @ kernel + h @ recurrent + (0.0 if bias is None else bias)
        return (np.tanh(z) if activation == "tanh" else np.maximum(z, 0),)

    return cell


@simple_rnn.reference
def _(x: Array, h0: Array, kernel: Array, recurrent_kernel: Array, bias: Any = None, lengths: Any = None, *,
      activation: str, reverse: bool) -> tuple[Array, Array]:  # fmt: skip
    cell = _reference_cell(kernel, recurrent_kernel, bias, activation)
    outputs, (h,) = run_reference(cell, x, [h0], lengths, reverse)
    return outputs, h


@rnn_cell.reference
def _(x: Array, h: Array, kernel: Array, recurrent_kernel: Array, bias: Any = None, *, activation: str) -> Array:
    return _reference_cell(kernel, recurrent_kernel, bias, activation)(x, h)[0]  # type: ignore[no-any-return]


_weights = (real(shape=(2, 3)), real(shape=(3, 3)))
_operands = (real(shape=(2, 3, 2)), real(shape=(2, 3)), *_weights)
_bias, _lengths = real(shape=(3,)), literal([2, 3], "int32")
_smooth = (*[real(0.1, 1, shape=a.shape) for a in _operands], real(0.1, 1, shape=(3,)))  # no unit near the kink of relu
simple_rnn.samples(
    sample(*_operands, _bias), sample(*_operands, _bias, _lengths), sample(*_operands, reverse=True),
    sample(*_operands, _bias, literal([1, 0], "int64"), reverse=True),
    sample(*_smooth, activation="relu"), sample(*_smooth, _lengths, activation="relu", reverse=True),
    sample(real(shape=(0, 2, 2)), real(shape=(0, 3)), *_weights),
)  # fmt: skip
_arriving, _kept = (real(shape=(2, 3, 3)), real(shape=(2, 3))), (real(shape=(3, 3)), real(-1, 1, shape=(2, 3, 3)))
simple_rnn_grad.samples(
    sample(*_kept, *_arriving, activation="tanh", reverse=True, grad=False),
    sample(*_kept, *_arriving, _lengths, activation="relu", reverse=False, grad=False),
    sample(*_kept, _arriving[0], activation="tanh", reverse=False, grad=False),
    sample(*_kept, None, _arriving[1], _lengths, activation="tanh", reverse=True, grad=False),
)
rnn_cell.samples(
    sample(real(shape=(2, 2)), real(shape=(2, 3)), *_weights, _bias),
    sample(*[real(0.1, 1, shape=s) for s in ((2, 2), (2, 3), (2, 3), (3, 3))], activation="relu"),
)
simple_rnn.error_samples(
    error(AttributeValueError, "'tanh' or 'relu'", *_operands, activation="sigmoid"),
    error(ShapeError, "should be [units, units]", *_operands[:3], real(shape=(3, 6))),
    error(ShapeError, "x must have shape", real(shape=(2, 2)), *_operands[1:]),
)
rnn_cell.error_samples(
    error(ShapeError, "x must have shape [batch, features]", *_operands),
)
for _op in (simple_rnn, simple_rnn_grad, rnn_cell):
    _op.terms(terms)
