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


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _passed_over(lengths: Array | None, steps: int) -> list[Array | None]:
    """For each step the examples it passes over; ``None`` where it passes over none."""
    if lengths is None:
        return [None] * steps
    over = np.arange(steps)[:, None] >= lengths
    return [np.flatnonzero(o) if some else None for o, some in zip(over, over.any(1).tolist(), strict=True)]


def _project(x: Array, kernel: Array, bias: Array | None, scale: Array | None = None) -> Array:
    """``x @ kernel + bias`` for all steps, time first, the columns times ``scale``."""
    projected = _rows(_time_first(x)) @ (kernel if scale is None else kernel * scale)
    if bias is not None:
        projected += bias if scale is None else bias * scale
    return projected.reshape(x.shape[1], x.shape[0], kernel.shape[1])


def _previous(first: Array, outputs: Array, over: list[Array | None], reverse: bool) -> Array:
    """The state each step began from, time first."""
    steps = outputs.shape[1]
    before = np.empty((steps, *first.shape), first.dtype)
    if not reverse:
        before[0] = first
        before[1:] = outputs[:, :-1].swapaxes(0, 1)
        return before
    before[-1] = first
    before[:-1] = outputs[:, 1:].swapaxes(0, 1)
    for t in range(steps - 1):
        rest = over[t + 1]
        if rest is not None:
            before[t, rest] = first[rest]
    return before


def _for_projection(slope: Array, x: Array, kernel: Array) -> tuple[Array, Array, Array]:
    """Gradients by x, kernel and bias, of the gradient by the projection (time first)."""
    flat = _rows(slope)
    by_x = (flat @ kernel.T).reshape(x.shape[1], x.shape[0], x.shape[2])
    return _time_first(by_x), _rows(_time_first(x)).T @ flat, _column_sums(flat)


def _column_sums(x: Array) -> Array:
    return np.ones(x.shape[0], x.dtype) @ x


def _halves(dtype: Any, units: int, blocks: int, whole: int) -> Array:
    """1/2 for the columns of every block but one, which is 1."""
    scale = np.full(blocks * units, 0.5, dtype)
    scale[whole * units : (whole + 1) * units] = 1.0
    return scale


def _from_tanh(y: Array) -> None:
    """Turn ``tanh(x / 2)`` into ``sigmoid(x)``, in place."""
    y *= 0.5
    y += 0.5


# ---------------------------------------------------------------- long short-term memory


def lstm(
    x: Array, h0: Array, c0: Array, kernel: Array, recurrent_kernel: Array, bias: Array | None, lengths: Array | None, *,
    reverse: bool,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    batch, steps = x.shape[:2]
    units = h0.shape[1]
    scale = _halves(x.dtype, units, 4, 2)
    gates, recurrent = _project(x, kernel, bias, scale), recurrent_kernel * scale
    over = _passed_over(lengths, steps)
    outputs = np.empty((batch, steps, units), x.dtype)
    cells = np.empty((steps, batch, units), x.dtype)
    h, c = np.array(h0), c0
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
    g_outputs: Array, g_h: Array, g_c: Array, g_cells: Array, g_gates: Array, x: Array, h0: Array, c0: Array,
    kernel: Array, recurrent_kernel: Array, outputs: Array, cells: Array, gates: Array, lengths: Array | None, *,
    reverse: bool,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    steps, units = x.shape[1], h0.shape[1]
    over = _passed_over(lengths, steps)
    squashed = np.tanh(cells)
    slopes = np.empty_like(gates)
    dh, dc = np.array(g_h), np.array(g_c)
    s, w = np.empty_like(dh), np.empty_like(gates[0])
    candidate = w[:, 2 * units : 3 * units]
    back = np.ascontiguousarray(recurrent_kernel.T)
    order = list(_order(steps, reverse))
    for place in range(steps - 1, -1, -1):
        t = order[place]
        before = cells[order[place - 1]] if place else c0
        a, d, tc, rest = gates[t], slopes[t], squashed[t], over[t]
        i, f, g, o = (a[:, k * units : (k + 1) * units] for k in range(4))
        dc += g_cells[t]
        stayed = None if rest is None else (dh[rest], dc[rest])
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
        d += g_gates[t]
        np.multiply(a, a, out=w)
        np.subtract(1, candidate, out=candidate)
        np.subtract(i, w[:, :units], out=w[:, :units])
        np.subtract(f, w[:, units : 2 * units], out=w[:, units : 2 * units])
        np.subtract(o, w[:, 3 * units :], out=w[:, 3 * units :])
        d *= w
        dc *= f
        if rest is not None:
            d[rest] = 0
        np.matmul(d, back, out=dh)
        if stayed is not None:
            dh[rest], dc[rest] = stayed
    by_x, by_kernel, by_bias = _for_projection(slopes, x, kernel)
    states = _previous(h0, outputs, over, reverse)
    return by_x, dh, dc, by_kernel, _rows(states).T @ _rows(slopes), by_bias


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    "lstm": Kernel(lstm),
    "lstm_grad": Kernel(lstm_grad),
}
