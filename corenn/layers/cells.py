"""Recurrent cells: one step of a recurrent network, and the weights that cells and whole layers share.

Weights are laid out as in Keras: kernel [features, gates * units], recurrent kernel [units, gates * units].
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

from corenn import activations, constraints, initializers, regularizers
from corenn.errors import ShapeError, UsageError
from corenn.layers.base import Layer, register
from corenn.layers.core import WithWeights, positive, require_floating
from corenn.ops.contraction import matmul
from corenn.ops.creation import ones, zeros
from corenn.ops.elementwise import add, multiply, subtract
from corenn.ops.shaping import concatenate, split
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable

States = tuple[Tensor, ...]


class GateWeights(WithWeights):
    """Kernel, recurrent kernel and bias of ``gates`` gates, and the step computed with them.

    ``project`` is what a step needs of its input (for a whole sequence at once), ``advance`` the step itself.
    """

    gates: ClassVar[int] = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        *,
        recurrent_initializer: Any = "orthogonal",
        recurrent_regularizer: Any = None,
        recurrent_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activation=activation, **options)
        self.units = positive(self.name, "units", units)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.recurrent_kernel: Variable

    @property
    def state_size(self) -> tuple[int, ...]:
        """Size of each state."""
        return (self.units,)

    @property
    def output_size(self) -> int:
        """Size of the output."""
        return self.units

    def bias_shape(self) -> tuple[int, ...]:
        """Shape of the bias."""
        return (self.gates * self.units,)

    def build(self, x: Spec, *states: Any) -> None:
        """Make the weights for inputs of ``x.shape[-1]`` features."""
        require_floating(self.name, x)
        width = self.gates * self.units
        self.kernel = self.add_kernel((x.extent(-1), width))
        self.recurrent_kernel = self.add_weight(
            "recurrent_kernel", (self.units, width), self.recurrent_initializer,
            regularizer=self.recurrent_regularizer, constraint=self.recurrent_constraint,
        )  # fmt: skip
        self.bias = self.add_bias(self.bias_shape())

    def check_features(self, x: Tensor) -> None:
        """ShapeError unless ``x`` has the features the layer was built for."""
        if x.shape[-1] != self.kernel.shape[0]:
            what = f"the layer was built for {self.kernel.shape[0]} features a step"
            raise ShapeError(self.name, what, {"x": f"{x.spec}   last axis is {x.shape[-1]}"}, hint="make a new layer")

    def project(self, x: Tensor) -> Tensor:
        """``x @ kernel + bias``: [..., features] to [..., gates * units]."""
        self.check_features(x)
        projected = matmul(x, self.kernel)
        return projected if self.bias is None else add(projected, self.input_bias())

    def input_bias(self) -> Tensor:
        """The part of the bias that is added to the projected input."""
        assert self.bias is not None  # the caller looked
        return self.bias

    def advance(self, projected: Tensor, states: States) -> tuple[Tensor, States]:
        """Output and new states of one step from its projected input [batch, gates * units]."""
        raise NotImplementedError(f"{type(self).__name__} does not define advance()")


class SimpleRNNWeights(GateWeights):
    """``h' = activation(x W + h U + b)`` (Elman 1990)."""

    def advance(self, projected: Tensor, states: States) -> tuple[Tensor, States]:
        """One step."""
        h = self.activation(add(projected, matmul(states[0], self.recurrent_kernel)))
        return h, (h,)


def forget_gate_bias(shape: Sequence[int], dtype: Any, *, units: int, initializer: Any) -> Tensor:
    """The bias of an LSTM, which ``initializer`` begins, with 1 for the forget gate."""
    i, _, rest = split(initializer(shape, dtype=dtype), [units, units, -1])
    return concatenate(i, ones((units,), dtype=dtype), rest)


class LSTMWeights(GateWeights):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000); gates i, f, c, o; states h and c.

    ``i, f, o = recurrent_activation(...)``, ``g = activation(...)``, ``c' = f c + i g``, ``h' = o activation(c')``.
    ``unit_forget_bias``: the forget gate's bias starts at 1.
    """

    gates = 4

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        *,
        unit_forget_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    @property
    def state_size(self) -> tuple[int, ...]:
        """Size of h and of c."""
        return (self.units, self.units)

    def add_bias(self, shape: tuple[int, ...]) -> Variable | None:
        """The bias, 1 for the forget gate with ``unit_forget_bias``."""
        if not (self.use_bias and self.unit_forget_bias):
            return super().add_bias(shape)
        initial = functools.partial(forget_gate_bias, units=self.units, initializer=self.bias_initializer)
        return self.add_weight(
            "bias", shape, initial, regularizer=self.bias_regularizer, constraint=self.bias_constraint
        )

    def advance(self, projected: Tensor, states: States) -> tuple[Tensor, States]:
        """One step."""
        h, c = states
        i, f, g, o = split(add(projected, matmul(h, self.recurrent_kernel)), 4, axis=-1)
        gate = self.recurrent_activation
        c = add(multiply(gate(f), c), multiply(gate(i), self.activation(g)))
        h = multiply(gate(o), self.activation(c))
        return h, (h, c)


class GRUWeights(GateWeights):
    """Gated recurrent unit (Cho et al. 2014); gates z, r, h.

    ``z, r = recurrent_activation(...)``; ``h' = z h + (1 - z) activation(x W + candidate + b)``.  The candidate is
    ``r (h U + b')`` with ``reset_after`` (the bias is then [2, 3 * units]), else ``(r h) U``.
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        *,
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    def bias_shape(self) -> tuple[int, ...]:
        """One bias for the input and, with ``reset_after``, one for the state."""
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def input_bias(self) -> Tensor:
        """The input's bias."""
        assert self.bias is not None  # the caller looked
        return self.bias[0] if self.reset_after else self.bias

    def advance(self, projected: Tensor, states: States) -> tuple[Tensor, States]:
        """One step."""
        (h,) = states
        units, gate = self.units, self.recurrent_activation
        x_z, x_r, x_h = split(projected, 3, axis=-1)
        if self.reset_after:
            inner = matmul(h, self.recurrent_kernel)
            if self.bias is not None:
                inner = add(inner, self.bias[1])
            h_z, h_r, h_h = split(inner, 3, axis=-1)
            z, r = gate(add(x_z, h_z)), gate(add(x_r, h_r))
            candidate = multiply(r, h_h)
        else:
            h_z, h_r = split(matmul(h, self.recurrent_kernel[:, : 2 * units]), 2, axis=-1)
            z, r = gate(add(x_z, h_z)), gate(add(x_r, h_r))
            candidate = matmul(multiply(r, h), self.recurrent_kernel[:, 2 * units :])
        new = self.activation(add(x_h, candidate))
        h = add(multiply(z, h), multiply(subtract(1.0, z), new))
        return h, (h,)


class GateCell(GateWeights):
    """A cell of gates: ``output, states = cell(x, states)`` for x [batch, features], each state [batch, size].

    A cell of your own is any ``Layer`` with such a call and the attributes ``state_size`` (an int, or a tuple of ints
    for several states) and ``output_size``.
    """

    def call(self, x: Tensor, states: Any) -> tuple[Tensor, States]:
        """One step; ``states`` is a tuple of tensors."""
        return self.advance(self.project(x), tuple_of(states))


@register()
class SimpleRNNCell(SimpleRNNWeights, GateCell):
    """One step of ``SimpleRNN``."""


@register()
class LSTMCell(LSTMWeights, GateCell):
    """One step of ``LSTM``; states h and c."""


@register()
class GRUCell(GRUWeights, GateCell):
    """One step of ``GRU``."""


@register()
class StackedRNNCells(Layer):
    """Cells one above the other as one cell; its states are theirs in order."""

    casts_inputs = False

    def __init__(self, cells: Sequence[Any], **base: Any) -> None:
        super().__init__(**base)
        self.cells = list(cells)
        if not self.cells:
            raise UsageError(self.name, "there are no cells")
        for cell in self.cells:
            check_cell(self.name, cell)
        self.set_policy(self.cells[0].dtype_policy)

    @property
    def state_size(self) -> tuple[int, ...]:
        """Sizes of all states."""
        return tuple(n for cell in self.cells for n in sizes(cell))

    @property
    def output_size(self) -> int:
        """Size of the last cell's output."""
        return int(self.cells[-1].output_size)

    def call(self, x: Tensor, states: Any) -> tuple[Tensor, States]:
        """One step of each, from the first."""
        left, new = list(tuple_of(states)), list[Tensor]()
        for cell in self.cells:
            count = len(sizes(cell))
            own, left = left[:count], left[count:]
            x, after = cell(x, tuple(own))
            new += tuple_of(after)
        return x, tuple(new)


def tuple_of(states: Any) -> States:
    """One state or several as a tuple."""
    return tuple(states) if isinstance(states, (list, tuple)) else (states,)


def sizes(cell: Any) -> tuple[int, ...]:
    """The sizes of a cell's states."""
    found = cell.state_size
    return tuple(found) if isinstance(found, (list, tuple)) else (found,)


def check_cell(where: str, cell: Any) -> None:
    """UsageError unless ``cell`` is a layer with ``state_size`` and ``output_size``."""
    if not isinstance(cell, Layer) or not hasattr(cell, "state_size") or not hasattr(cell, "output_size"):
        hint = "LSTMCell(units), or a Layer with state_size, output_size and call(x, states)"
        raise UsageError(where, f"{cell!r} is not a cell", hint=hint)


def initial_states(cell: Any, batch: int, like: Tensor) -> States:
    """Zeros for every state, of the dtype and on the device of ``like``."""
    return tuple(zeros((batch, n), dtype=like.dtype, device=like.device) for n in sizes(cell))


__all__ = [
    "GRUCell", "GRUWeights", "GateCell", "GateWeights", "LSTMCell", "LSTMWeights", "SimpleRNNCell", "SimpleRNNWeights",
    "StackedRNNCells", "States", "check_cell", "initial_states", "sizes", "tuple_of",
]  # fmt: skip
