"""Recurrent networks: one loop over time, in place in buffers that outlive a step, around one large matrix product.

Gates are computed where the projected inputs were, so keeping them for the gradient costs nothing.  A sigmoid is half a
hyperbolic tangent of half the argument, and the halving is done in the weights: a step then takes one ``tanh`` of all
its gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from corenn.backend import Kernel

Array = np.ndarray[Any, Any]


def _time_first(x: Array) -> Array:
    """[batch, T, n] as a contiguous [T, batch, n], or back."""
    return np.ascontiguousarray(x.swapaxes(0, 1))


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _passed_over(lengths: Array | None, steps: int) -> list[Array | None]:
    """For each step the examples it passes over; ``None`` where it passes over none."""
    if lengths is None:
        return [None] * steps
    over = np.arange(steps)[:, None] >= lengths
    return [np.flatnonzero(o) if some else None for o, some in zip(over, over.any(1).tolist(), strict=True)]


def _project(x: Array, kernel: Array, bias: Array | None, out: Array) -> None:
    """``out = x @ kernel + bias`` for all steps in one product; ``out`` is a matrix, time first."""
    np.matmul(_time_first(x).reshape(-1, x.shape[2]), kernel, out=out)
    if bias is not None:
        out += bias


def _halves(dtype: Any, units: int, blocks: int, whole: int) -> Array:
    """1/2 for the columns of every block but one, which is 1."""
    scale = np.full(blocks * units, 0.5, dtype)
    scale[whole * units : (whole + 1) * units] = 1.0
    return scale


def _from_tanh(y: Array) -> None:
    """Turn ``tanh(x / 2)`` into ``sigmoid(x)``, in place."""
    y *= 0.5
    y += 0.5


def _started(gradient: Array | None, like: Array) -> Array:
    """A copy of a gradient that is added to on the way; zeros where there is none."""
    return np.zeros(like.shape, like.dtype) if gradient is None else np.array(gradient, order="C")


def _before(h0: Array, outputs: Array, lengths: Array | None, reverse: bool) -> Array:
    """The state each step began from, time first."""
    batch, steps, units = outputs.shape
    before = np.empty((steps, batch, units), outputs.dtype)
    first, rest, made = (-1, slice(0, -1), slice(1, None)) if reverse else (0, slice(1, None), slice(0, -1))
    before[first] = h0
    before[rest] = outputs.swapaxes(0, 1)[made]
    if reverse and lengths is not None:  # sequences begin where they end; what is passed over has the first state
        later = np.arange(1, steps)[:, None] >= lengths
        before[rest][later] = np.broadcast_to(h0, before[rest].shape)[later]
    return before


def recurrent_weight_grad(
    slopes: Array, x: Array, h0: Array, outputs: Array, state_slopes: Array | None, lengths: Array | None, *,
    reverse: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """See the op."""
    flat = slopes.reshape(-1, slopes.shape[2])
    of_state = flat if state_slopes is None else state_slopes.reshape(flat.shape)
    by_kernel, by_bias = _time_first(x).reshape(-1, x.shape[2]).T @ flat, flat.sum(0)
    if state_slopes is not None:
        by_bias = np.stack([by_bias, of_state.sum(0)])
    before = _before(h0, outputs, lengths, reverse).reshape(-1, h0.shape[1])
    return by_kernel, before.T @ of_state, by_bias


# ---------------------------------------------------------------- long short-term memory


def lstm(
    x: Array, h0: Array, c0: Array, kernel: Array, recurrent_kernel: Array, bias: Array | None, lengths: Array | None,
    *, reverse: bool,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    batch, steps = x.shape[:2]
    units = h0.shape[1]
    scale = _halves(x.dtype, units, 4, 2)
    recurrent = recurrent_kernel * scale
    gates = np.empty((steps, batch, 4 * units), x.dtype)
    _project(x, kernel * scale, None if bias is None else bias * scale, gates.reshape(steps * batch, 4 * units))
    over = _passed_over(lengths, steps)
    outputs = np.empty((batch, steps, units), x.dtype)
    cells = np.empty((steps, batch, units), x.dtype)
    h, c = np.array(h0, order="C"), c0
    carried, z, s = np.empty_like(h), np.empty((batch, 4 * units), x.dtype), np.empty_like(h)
    for t in _order(steps, reverse):
        a, cell, rest = gates[t], cells[t], over[t]
        np.matmul(h, recurrent, out=z)
        a += z
        np.tanh(a, out=a)
        _from_tanh(a[:, : 2 * units])
        _from_tanh(a[:, 3 * units :])
        np.multiply(a[:, units : 2 * units], c, out=cell)
        np.multiply(a[:, :units], a[:, 2 * units : 3 * units], out=s)
        cell += s
        np.tanh(cell, out=s)
        if rest is not None:
            carried[...] = h
        np.multiply(a[:, 3 * units :], s, out=h)
        outputs[:, t] = h
        if rest is not None:
            h[rest], cell[rest] = carried[rest], c[rest]
            outputs[rest, t] = a[rest] = 0
        c = cell
    return outputs, h, np.array(c), cells, gates


def lstm_grad(
    c0: Array, recurrent_kernel: Array, cells: Array, gates: Array, g_outputs: Array | None, g_h: Array | None,
    g_c: Array | None, g_cells: Array | None, g_gates: Array | None, lengths: Array | None, *, reverse: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """See the op."""
    steps, units = cells.shape[0], c0.shape[1]
    over = _passed_over(lengths, steps)
    squashed = np.tanh(cells)
    slopes = np.empty(gates.shape, gates.dtype)
    dh, dc = _started(g_h, c0), _started(g_c, c0)
    s, w = np.empty_like(dh), np.empty(gates.shape[1:], gates.dtype)
    sigmoids, candidate, output = w[:, : 2 * units], w[:, 2 * units : 3 * units], w[:, 3 * units :]
    back = np.ascontiguousarray(recurrent_kernel.T)
    order = list(_order(steps, reverse))
    for place in range(steps - 1, -1, -1):
        t = order[place]
        before = cells[order[place - 1]] if place else c0
        a, d, tc, rest = gates[t], slopes[t], squashed[t], over[t]
        i, f, g, o = (a[:, k * units : (k + 1) * units] for k in range(4))
        if g_cells is not None:
            dc += g_cells[t]
        stayed = None if rest is None else (dh[rest], dc[rest])
        if g_outputs is not None:
            dh += g_outputs[:, t]
        np.multiply(tc, tc, out=s)
        np.subtract(1, s, out=s)
        s *= o
        s *= dh
        dc += s
        np.multiply(dc, g, out=d[:, :units])
        np.multiply(dc, before, out=d[:, units : 2 * units])
        np.multiply(dc, i, out=d[:, 2 * units : 3 * units])
        np.multiply(dh, tc, out=d[:, 3 * units :])
        if g_gates is not None:
            d += g_gates[t]
        np.multiply(a, a, out=w)
        np.subtract(a[:, : 2 * units], sigmoids, out=sigmoids)
        np.subtract(1, candidate, out=candidate)
        np.subtract(o, output, out=output)
        d *= w
        dc *= f
        if rest is not None:
            d[rest] = 0
        np.matmul(d, back, out=dh)
        if stayed is not None:
            dh[rest], dc[rest] = stayed
    return slopes, dh, dc


# ---------------------------------------------------------------- gated recurrent units


def gru(
    x: Array, h0: Array, kernel: Array, recurrent_kernel: Array, bias: Array | None, lengths: Array | None, *,
    reset_after: bool, reverse: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """See the op."""
    batch, steps = x.shape[:2]
    units = h0.shape[1]
    scale = _halves(x.dtype, units, 3, 2)
    of_input, of_state = (bias, None) if bias is None or not reset_after else (bias[0], bias[1])
    width = (4 if reset_after else 3) * units
    gates = np.empty((steps, batch, width), x.dtype)
    _project(
        x, kernel * scale, None if of_input is None else of_input * scale,
        gates.reshape(steps * batch, width)[:, : 3 * units],
    )  # fmt: skip
    recurrent, shift = recurrent_kernel * scale, None if of_state is None else of_state * scale
    over = _passed_over(lengths, steps)
    outputs = np.empty((batch, steps, units), x.dtype)
    h, s = np.array(h0, order="C"), np.empty((batch, units), x.dtype)
    z = np.empty((batch, (3 if reset_after else 2) * units), x.dtype)
    both, last = np.ascontiguousarray(recurrent[:, : z.shape[1]]), np.ascontiguousarray(recurrent[:, 2 * units :])
    for t in _order(steps, reverse):
        a, rest = gates[t], over[t]
        update, reset, candidate = (a[:, k * units : (k + 1) * units] for k in range(3))
        sigmoids = a[:, : 2 * units]
        np.matmul(h, both, out=z)
        if shift is not None:
            z += shift
        sigmoids += z[:, : 2 * units]
        np.tanh(sigmoids, out=sigmoids)
        _from_tanh(sigmoids)
        if reset_after:
            a[:, 3 * units :] = z[:, 2 * units :]
            np.multiply(reset, z[:, 2 * units :], out=s)
            candidate += s
        else:
            np.multiply(reset, h, out=s)
            candidate += s @ last
        np.tanh(candidate, out=candidate)
        kept = None if rest is None else h[rest]
        h -= candidate
        h *= update
        h += candidate
        outputs[:, t] = h
        if rest is not None:
            h[rest] = kept
            outputs[rest, t] = a[rest] = 0
    return outputs, h, gates


def gru_grad(
    h0: Array, outputs: Array, recurrent_kernel: Array, gates: Array, g_outputs: Array | None, g_h: Array | None,
    g_gates: Array | None, lengths: Array | None, *, reset_after: bool, reverse: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """See the op."""
    batch, steps, units = outputs.shape
    before = _before(h0, outputs, lengths, reverse)
    over = _passed_over(lengths, steps)
    by_input = np.empty((steps, batch, 3 * units), gates.dtype)
    by_state = np.empty_like(by_input) if reset_after else by_input
    dh, s, w = _started(g_h, h0), np.empty(h0.shape, h0.dtype), np.empty((batch, 2 * units), gates.dtype)
    back = np.ascontiguousarray(recurrent_kernel.T)
    for t in reversed(_order(steps, reverse)):
        a, d, rest, h = gates[t], by_input[t], over[t], before[t]
        update, reset, candidate = (a[:, k * units : (k + 1) * units] for k in range(3))
        sigmoids = d[:, : 2 * units]
        by_update, by_reset, by_candidate = (d[:, k * units : (k + 1) * units] for k in range(3))
        stayed = None if rest is None else dh[rest]
        if g_outputs is not None:
            dh += g_outputs[:, t]
        np.subtract(h, candidate, out=by_update)
        by_update *= dh
        np.subtract(1, update, out=by_candidate)
        by_candidate *= dh
        dh *= update
        if g_gates is not None:
            by_candidate += g_gates[t, :, 2 * units : 3 * units]
        np.multiply(candidate, candidate, out=s)
        np.subtract(1, s, out=s)
        by_candidate *= s
        if reset_after:
            np.multiply(by_candidate, a[:, 3 * units :], out=by_reset)
        else:
            np.matmul(by_candidate, back[2 * units :], out=s)
            np.multiply(s, h, out=by_reset)
            s *= reset
            dh += s
        if g_gates is not None:
            sigmoids += g_gates[t, :, : 2 * units]
        np.subtract(1, a[:, : 2 * units], out=w)
        w *= a[:, : 2 * units]
        sigmoids *= w
        if reset_after:
            by_state[t, :, : 2 * units] = sigmoids
            np.multiply(by_candidate, reset, out=by_state[t, :, 2 * units :])
            if g_gates is not None:
                by_state[t, :, 2 * units :] += g_gates[t, :, 3 * units :]
        if rest is not None:
            d[rest] = by_state[t, rest] = 0
        dh += by_state[t] @ back if reset_after else sigmoids @ back[: 2 * units]
        if rest is not None:
            dh[rest] = stayed
    return by_input, by_state, dh


# ---------------------------------------------------------------- the plain network


def simple_rnn(
    x: Array, h0: Array, kernel: Array, recurrent_kernel: Array, bias: Array | None, lengths: Array | None, *,
    activation: str, reverse: bool,
) -> tuple[Array, Array]:  # fmt: skip
    """See the op."""
    batch, steps = x.shape[:2]
    projected = np.empty((steps, *h0.shape), x.dtype)
    _project(x, kernel, bias, projected.reshape(steps * batch, h0.shape[1]))
    over = _passed_over(lengths, steps)
    outputs = np.empty((batch, steps, h0.shape[1]), x.dtype)
    h, z = np.array(h0, order="C"), np.empty(h0.shape, x.dtype)
    for t in _order(steps, reverse):
        rest = over[t]
        np.matmul(h, recurrent_kernel, out=z)
        z += projected[t]
        kept = None if rest is None else h[rest]
        if activation == "tanh":
            np.tanh(z, out=h)
        else:
            np.maximum(z, 0, out=h)
        outputs[:, t] = h
        if rest is not None:
            h[rest] = kept
            outputs[rest, t] = 0
    return outputs, h


def simple_rnn_grad(
    recurrent_kernel: Array, outputs: Array, g_outputs: Array | None, g_h: Array | None, lengths: Array | None, *,
    activation: str, reverse: bool,
) -> tuple[Array, Array]:  # fmt: skip
    """See the op."""
    steps = outputs.shape[1]
    slopes = _time_first(outputs)
    if activation == "tanh":
        slopes = slopes * slopes  # a fresh array: what is time first may be the outputs themselves
        np.subtract(1, slopes, out=slopes)
    else:
        slopes = (slopes > 0).astype(outputs.dtype)
    over = _passed_over(lengths, steps)
    dh = _started(g_h, slopes[0])
    back = np.ascontiguousarray(recurrent_kernel.T)
    for t in reversed(_order(steps, reverse)):
        d, rest = slopes[t], over[t]
        stayed = None if rest is None else dh[rest]
        if g_outputs is not None:
            dh += g_outputs[:, t]
        d *= dh
        if rest is not None:
            d[rest] = 0
        np.matmul(d, back, out=dh)
        if rest is not None:
            dh[rest] = stayed
    return slopes, dh


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    kernel.__name__: Kernel(kernel)
    for kernel in (lstm, lstm_grad, gru, gru_grad, simple_rnn, simple_rnn_grad, recurrent_weight_grad)
}
