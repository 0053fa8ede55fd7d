"""Recurrent networks: RNN, LSTM, GRU, in one or both directions.

With the usual activations they are corenn's own ops; with others, peepholes or clipping they are written out step by
step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import corenn
from corenn import nn
from corenn.tensor import Tensor
from corenn_onnx.ops._common import extents
from corenn_onnx.table import onnx_op

Host = np.ndarray[Any, Any]
Activation = Callable[[Tensor], Tensor]

#: Activations by lower-case name: the function of (x, alpha, beta), and the defaults of alpha and beta.
_ACTIVATIONS: dict[str, tuple[Callable[..., Tensor], float, float]] = {
    "relu": (lambda x, alpha, beta: nn.relu(x), 0, 0),
    "tanh": (lambda x, alpha, beta: corenn.tanh(x), 0, 0),
    "sigmoid": (lambda x, alpha, beta: nn.sigmoid(x), 0, 0),
    "affine": (lambda x, alpha, beta: x * alpha + beta, 1, 0),
    "leakyrelu": (lambda x, alpha, beta: corenn.where(corenn.less(x, 0), x * alpha, x), 0.01, 0),
    "thresholdedrelu": (lambda x, alpha, beta: corenn.where(corenn.less(x, alpha), corenn.zeros_like(x), x), 1, 0),
    "scaledtanh": (lambda x, alpha, beta: corenn.tanh(x * beta) * alpha, 1, 1),
    "hardsigmoid": (lambda x, alpha, beta: corenn.clip(x * alpha + beta, min=0.0, max=1.0), 0.2, 0.5),
    "elu": (
        lambda x, alpha, beta: corenn.where(corenn.less(x, 0), corenn.expm1(corenn.minimum(x, 0)) * alpha, x),
        1,
        0,
    ),
    "softsign": (lambda x, alpha, beta: nn.softsign(x), 0, 0),
    "softplus": (lambda x, alpha, beta: nn.softplus(x), 0, 0),
}


class _Direction:
    """One direction's parameters, and its activations."""

    def __init__(self, setting: _Setting, number: int) -> None:
        self.reverse = setting.direction == "reverse" or number == 1
        self.number = number
        self.w = corenn.transpose(setting.w[number])
        self.r = corenn.transpose(setting.r[number])
        self.b = None if setting.b is None else setting.b[number]
        count = len(setting.activations) // setting.directions
        self.activations = setting.activations[number * count : (number + 1) * count]


class _Setting:
    """What the three ops have in common: layouts, directions, initial states, lengths, activations."""

    def __init__(
        self, node: Any, x: Tensor, w: Tensor, r: Tensor, b: Tensor | None, lengths: Tensor | None,
        states: tuple[Tensor | None, ...], direction: str, layout: int, activations: Any, default: tuple[str, ...],
        alpha: Any, beta: Any, clip: float | None,
    ) -> None:  # fmt: skip
        self.node, self.w, self.r, self.b, self.lengths, self.clip = node, w, r, b, lengths, clip
        self.direction, self.layout = direction, layout
        self.x = x if layout else corenn.transpose(x, axes=(1, 0, 2))  # [batch, time, features]
        self.directions = 2 if direction == "bidirectional" else 1
        self.units = r.shape[-1]
        batch, self.time, _ = extents(self.x, node)
        names = [str(a).lower() for a in (activations or default * self.directions)]
        self.usual = names == [d.lower() for d in default] * self.directions and not alpha and not beta and not clip
        self.activations = self._chosen(names, list(alpha or ()), list(beta or ()))
        zeros = corenn.zeros((self.directions, batch, self.units), dtype=x.dtype)
        self.states = [zeros if s is None else corenn.transpose(s, axes=(1, 0, 2)) if layout else s for s in states]

    def _chosen(self, names: list[str], alpha: list[float], beta: list[float]) -> list[Activation]:
        found: list[Activation] = []
        for name in names:
            if name not in _ACTIVATIONS:
                raise self.node.unsupported(f"the activation {name!r}")
            compute, a, b = _ACTIVATIONS[name]
            takes_a, takes_b = name in _WITH_ALPHA, name in _WITH_BETA
            a = alpha.pop(0) if takes_a and alpha else a
            b = beta.pop(0) if takes_b and beta else b
            found.append(functools.partial(compute, alpha=a, beta=b))
        return found

    def limited(self, x: Tensor) -> Tensor:
        """The argument of an activation, clipped if the node says so."""
        return corenn.clip(x, min=-self.clip, max=self.clip) if self.clip else x

    def steps(self, direction: _Direction, states: list[Tensor], step: Callable[..., list[Tensor]]) -> Any:
        """Run ``step(x, *states) -> states`` over time; outputs [batch, time, units] and the last states."""
        outputs: list[Any] = [None] * self.time
        order = range(self.time - 1, -1, -1) if direction.reverse else range(self.time)
        for t in order:
            after = step(self.x[:, t], *states)
            shown = after[0]
            if self.lengths is not None:  # past the end of an example its states stay and its output is 0
                alive = corenn.expand_dims(corenn.less(t, self.lengths), axis=-1)
                after = [corenn.where(alive, new, old) for new, old in zip(after, states, strict=True)]
                shown = corenn.where(alive, shown, corenn.zeros_like(shown))
            states, outputs[t] = after, shown
        return corenn.stack(*outputs, axis=1), states

    def results(self, run: Callable[[_Direction, list[Tensor]], Any]) -> tuple[Tensor, ...]:
        """What the op returns, of ``run(direction, states) -> outputs, states`` for each direction."""
        found = [run(_Direction(self, i), [s[i] for s in self.states]) for i in range(self.directions)]
        outputs = corenn.stack(*[o for o, _ in found], axis=2)  # [batch, time, directions, units]
        if not self.layout:
            outputs = corenn.transpose(outputs, axes=(1, 2, 0, 3))
        axis = 1 if self.layout else 0
        ends = [corenn.stack(*[states[i] for _, states in found], axis=axis) for i in range(len(self.states))]
        return (outputs, *ends)


_WITH_ALPHA = frozenset({"affine", "leakyrelu", "thresholdedrelu", "scaledtanh", "hardsigmoid", "elu"})
_WITH_BETA = frozenset({"affine", "scaledtanh", "hardsigmoid"})


def _gates(v: Tensor, order: tuple[int, ...], axis: int = -1) -> Tensor:
    """Gates in another order, along an axis."""
    parts = corenn.split(v, len(order), axis=axis)
    return corenn.concatenate(*[parts[i] for i in order], axis=axis)


def _whole_bias(b: Tensor | None) -> Tensor | None:
    if b is None:
        return None
    inputs, states = corenn.split(b, 2, axis=0)
    return inputs + states


@onnx_op("RNN")
def rnn(
    x: Tensor, w: Tensor, r: Tensor, b: Tensor | None = None, lengths: Tensor | None = None, h0: Tensor | None = None,
    *, node: Any, activation_alpha: Any = None, activation_beta: Any = None, activations: Any = None,
    clip: float | None = None, direction: str = "forward", hidden_size: int | None = None, layout: int = 0,
    output_sequence: int = 0,
) -> Any:  # fmt: skip
    """``h = f(x W + h R + b)``."""
    setting = _Setting(node, x, w, r, b, lengths, (h0,), direction, layout, activations, ("Tanh",), activation_alpha,
                       activation_beta, clip)  # fmt: skip

    def run(way: _Direction, states: list[Tensor]) -> Any:
        bias = _whole_bias(way.b)
        if setting.usual:
            outputs, h = nn.simple_rnn(setting.x, states[0], way.w, way.r, bias, lengths, reverse=way.reverse)
            return _past_end(outputs, setting), [h]

        def step(now: Tensor, h: Tensor) -> list[Tensor]:
            sums = corenn.matmul(now, way.w) + corenn.matmul(h, way.r)
            return [way.activations[0](setting.limited(sums if bias is None else sums + bias))]

        return setting.steps(way, states, step)

    return setting.results(run)


def _past_end(outputs: Tensor, setting: _Setting) -> Tensor:
    """Zeros past the end of each example."""
    if setting.lengths is None:
        return outputs
    alive = corenn.less(np.arange(setting.time, dtype=np.int32), corenn.expand_dims(setting.lengths, axis=-1))
    return corenn.where(corenn.expand_dims(alive, axis=-1), outputs, corenn.zeros_like(outputs))


@onnx_op("LSTM")
def lstm(
    x: Tensor, w: Tensor, r: Tensor, b: Tensor | None = None, lengths: Tensor | None = None, h0: Tensor | None = None,
    c0: Tensor | None = None, p: Tensor | None = None, *, node: Any, activation_alpha: Any = None,
    activation_beta: Any = None, activations: Any = None, clip: float | None = None, direction: str = "forward",
    hidden_size: int | None = None, input_forget: int = 0, layout: int = 0, output_sequence: int = 0,
) -> Any:  # fmt: skip
    """Long short-term memory; ONNX's gates are in the order i, o, f, c, corenn's i, f, c, o."""
    setting = _Setting(node, x, w, r, b, lengths, (h0, c0), direction, layout, activations,
                       ("Sigmoid", "Tanh", "Tanh"), activation_alpha, activation_beta, clip)  # fmt: skip

    def run(way: _Direction, states: list[Tensor]) -> Any:
        bias = _whole_bias(way.b)
        if setting.usual and p is None and not input_forget:
            order = (0, 2, 3, 1)
            kernel, recurrent = _gates(way.w, order), _gates(way.r, order)
            placed = None if bias is None else _gates(bias, order)
            outputs, h, c, *_ = nn.lstm(
                setting.x, states[0], states[1], kernel, recurrent, placed, lengths, reverse=way.reverse
            )
            return _past_end(outputs, setting), [h, c]
        peep = [None] * 3 if p is None else list(corenn.split(p[way.number], 3, axis=0))
        f, g, out = way.activations

        def gate(sums: Tensor, weights: Any, c: Tensor) -> Tensor:
            return f(setting.limited(sums if weights is None else sums + weights * c))

        def step(now: Tensor, h: Tensor, c: Tensor) -> list[Tensor]:
            sums = corenn.matmul(now, way.w) + corenn.matmul(h, way.r)
            parts = corenn.split(sums if bias is None else sums + bias, 4, axis=-1)
            taken = gate(parts[0], peep[0], c)
            kept = 1 - taken if input_forget else gate(parts[2], peep[2], c)
            cell = kept * c + taken * g(setting.limited(parts[3]))
            return [gate(parts[1], peep[1], cell) * out(cell), cell]

        return setting.steps(way, states, step)

    return setting.results(run)


@onnx_op("GRU")
def gru(
    x: Tensor, w: Tensor, r: Tensor, b: Tensor | None = None, lengths: Tensor | None = None, h0: Tensor | None = None,
    *, node: Any, activation_alpha: Any = None, activation_beta: Any = None, activations: Any = None,
    clip: float | None = None, direction: str = "forward", hidden_size: int | None = None, layout: int = 0,
    linear_before_reset: int = 0, output_sequence: int = 0,
) -> Any:  # fmt: skip
    """The gated recurrent unit; gates in the order z, r, h, as in corenn."""
    setting = _Setting(node, x, w, r, b, lengths, (h0,), direction, layout, activations, ("Sigmoid", "Tanh"),
                       activation_alpha, activation_beta, clip)  # fmt: skip
    units = setting.units

    def run(way: _Direction, states: list[Tensor]) -> Any:
        of_inputs, of_states = (None, None) if way.b is None else corenn.split(way.b, 2, axis=0)
        if setting.usual:
            if of_inputs is None or of_states is None:
                bias = None
            elif linear_before_reset:
                bias = corenn.stack(of_inputs, of_states, axis=0)
            else:
                bias = of_inputs + of_states
            outputs, h, *_ = nn.gru(
                setting.x, states[0], way.w, way.r, bias, lengths, reset_after=bool(linear_before_reset),
                reverse=way.reverse,
            )  # fmt: skip
            return _past_end(outputs, setting), [h]
        f, g = way.activations

        def step(now: Tensor, h: Tensor) -> list[Tensor]:
            a = corenn.matmul(now, way.w)
            a = a if of_inputs is None else a + of_inputs
            s = corenn.matmul(h, way.r[:, : 2 * units])
            s = s if of_states is None else s + of_states[: 2 * units]
            z, reset = corenn.split(f(setting.limited(a[:, : 2 * units] + s)), 2, axis=-1)
            kernel = way.r[:, 2 * units :]
            offset = 0.0 if of_states is None else of_states[2 * units :]
            inner = reset * (corenn.matmul(h, kernel) + offset) if linear_before_reset else (
                corenn.matmul(reset * h, kernel) + offset)  # fmt: skip
            candidate = g(setting.limited(a[:, 2 * units :] + inner))
            return [(1 - z) * candidate + z * h]

        return setting.steps(way, states, step)

    return setting.results(run)
