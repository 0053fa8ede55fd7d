"""Recurrent cells.  A cell is called with an input [batch, depth] and a state for one step."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from corenn.dtypes import as_dtype
from corenn.errors import UsageError
from corenn.ops.contraction import matmul
from corenn.ops.creation import full
from corenn.ops.elementwise import add, clip, multiply, subtract
from corenn.ops.shaping import concatenate, parts
from corenn.ops.transcendental import tanh as tanh_op
from corenn.tensor import Tensor
from corenn_tensorflow import initializers
from corenn_tensorflow.layer_base import Layer, activation_of, channels
from corenn_tensorflow.mode import graph_for, one, scope
from corenn_tensorflow.nn.activations import bias_add, sigmoid, tanh
from corenn_tensorflow.operands import dynamic_shape, tensor
from corenn_tensorflow.scopes import variable_scope
from corenn_tensorflow.shapes import TensorShape


class LSTMStateTuple(NamedTuple):
    """The state of an LSTM: the cell's memory and its output."""

    c: Any
    h: Any

    @property
    def dtype(self) -> Any:
        """The dtype of both."""
        return self.c.dtype


def map_sizes(function: Any, size: Any) -> Any:
    """A structure like a ``state_size``, with ``function(extents)`` in place of each size."""
    if isinstance(size, TensorShape):
        return function(tuple(size.as_list()))
    if isinstance(size, (list, tuple)):
        found = [map_sizes(function, s) for s in size]
        return type(size)(*found) if hasattr(size, "_fields") else type(size)(found)
    return function((int(size),))


class RNNCell(Layer):
    """Base of cells: subclasses define ``state_size``, ``output_size``, and ``call(inputs, state)`` or ``__call__``."""

    def __call__(self, inputs: Any, state: Any, scope: Any = None, *args: Any, **options: Any) -> Any:
        """The output and the new state of one step."""
        return super().__call__(inputs, state, *args, scope=scope, **options)

    @property
    def state_size(self) -> Any:
        """Size or sizes of the state."""
        raise NotImplementedError("Abstract method")

    @property
    def output_size(self) -> Any:
        """Size of the output."""
        raise NotImplementedError("Abstract method")

    def zero_state(self, batch_size: Any, dtype: Any = "float32") -> Any:
        """The state before the first step: zeros [batch_size, size]."""
        kind = as_dtype(dtype)
        with scope(None, f"{type(self).__name__}ZeroState", batch_size):
            return map_sizes(lambda extents: full((batch_size, *extents), 0, kind), self.state_size)

    def get_initial_state(self, inputs: Any = None, batch_size: Any = None, dtype: Any = None) -> Any:
        """Zeros for inputs like ``inputs``, or for a batch of ``batch_size``."""
        if inputs is not None:
            given = tensor(inputs)
            batch_size, dtype = dynamic_shape(given)[0], dtype or given.dtype
        return self.zero_state(batch_size, dtype or "float32")


class LayerRNNCell(RNNCell):
    """Base of the cells that make their variables in ``build``."""


def is_tanh(function: Any) -> bool:
    """Whether an activation is the hyperbolic tangent, under whichever name."""
    return function is None or function in (tanh, tanh_op) or (
        getattr(function, "__name__", "") == "tanh" and str(getattr(function, "__module__", "")).startswith("corenn")
    )  # fmt: skip


def _linear(inputs: Any, kernel: Any, bias: Any) -> Tensor:
    return bias_add(one("MatMul", None, matmul, concatenate(*inputs, axis=1), kernel), bias)


class _Activated(LayerRNNCell):
    """A cell with an activation."""

    def __init__(self, num_units: Any, activation: Any, reuse: Any, name: str | None, dtype: Any, **base: Any) -> None:
        base.pop("input_size", None)  # as 0.x had it; the input says it
        super().__init__(name=name, dtype=dtype, _reuse=reuse, **base)
        self._num_units = int(num_units)
        chosen = activation_of(activation)
        self._tanh = is_tanh(chosen)
        self._activation: Any = tanh if self._tanh else chosen

    @property
    def output_size(self) -> int:
        """The number of units."""
        return self._num_units


class BasicRNNCell(_Activated):
    """``h' = tanh([x, h] @ kernel + bias)``."""

    def __init__(
        self, num_units: Any, activation: Any = None, reuse: Any = None, name: str | None = None, dtype: Any = None,
        **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(num_units, activation, reuse, name, dtype, **base)
        self.kernel: Any = None
        self.bias: Any = None

    @property
    def state_size(self) -> int:
        """The number of units."""
        return self._num_units

    def build(self, input_shape: Any) -> None:
        """``kernel`` [in + units, units], ``bias`` [units]."""
        depth = channels(self.name, input_shape)
        self.kernel = self.add_variable("kernel", (depth + self._num_units, self._num_units))
        self.bias = self.add_variable("bias", (self._num_units,), initializer="zeros")
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        output = self._activation(_linear((inputs, state), self.kernel, self.bias))
        return output, output


class GRUCell(_Activated):
    """A gated recurrent unit (Cho et al. 2014): ``h' = u h + (1 - u) tanh([x, r h] @ kernel + bias)``."""

    def __init__(
        self, num_units: Any, activation: Any = None, reuse: Any = None, kernel_initializer: Any = None,
        bias_initializer: Any = None, name: str | None = None, dtype: Any = None, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(num_units, activation, reuse, name, dtype, **base)
        self._kernel_initializer, self._bias_initializer = kernel_initializer, bias_initializer
        self.gate_kernel: Any = None
        self.gate_bias: Any = None
        self.candidate_kernel: Any = None
        self.candidate_bias: Any = None

    @property
    def state_size(self) -> int:
        """The number of units."""
        return self._num_units

    def build(self, input_shape: Any) -> None:
        """``gates`` (reset, then update; biases of 1) and ``candidate``."""
        rows, units = channels(self.name, input_shape) + self._num_units, self._num_units
        gates = self._bias_initializer if self._bias_initializer is not None else initializers.Constant(1.0)
        other = self._bias_initializer if self._bias_initializer is not None else "zeros"
        self.gate_kernel = self.add_variable("gates/kernel", (rows, 2 * units), initializer=self._kernel_initializer)
        self.gate_bias = self.add_variable("gates/bias", (2 * units,), initializer=gates)
        self.candidate_kernel = self.add_variable(
            "candidate/kernel", (rows, units), initializer=self._kernel_initializer
        )
        self.candidate_bias = self.add_variable("candidate/bias", (units,), initializer=other)
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        gates = sigmoid(_linear((inputs, state), self.gate_kernel, self.gate_bias))
        reset, update = parts(gates, sizes=2, axis=1)
        candidate = self._activation(
            _linear((inputs, multiply(reset, state)), self.candidate_kernel, self.candidate_bias)
        )  # fmt: skip
        output = add(multiply(update, state), multiply(subtract(1.0, update), candidate))
        return output, output


class LSTMCell(_Activated):
    """Long short-term memory (Hochreiter & Schmidhuber 1997), with peepholes, projection and clipping if asked for.

    ``kernel`` [in + units, 4 units] in the order input, candidate, forget, output; ``forget_bias`` is added to the
    forget gate's.
    """

    def __init__(
        self, num_units: Any, use_peepholes: bool = False, cell_clip: float | None = None, initializer: Any = None,
        num_proj: int | None = None, proj_clip: float | None = None, num_unit_shards: Any = None,
        num_proj_shards: Any = None, forget_bias: float = 1.0, state_is_tuple: bool = True, activation: Any = None,
        reuse: Any = None, name: str | None = None, dtype: Any = None, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(num_units, activation, reuse, name, dtype, **base)
        self._use_peepholes, self._cell_clip, self._initializer = use_peepholes, cell_clip, initializer
        self._num_proj, self._proj_clip = num_proj, proj_clip
        self._forget_bias, self._state_is_tuple = float(forget_bias), state_is_tuple
        self.kernel: Any = None
        self.bias: Any = None
        self._peepholes: Any = None
        self._projection: Any = None

    @property
    def output_size(self) -> int:
        """The number of units, or that of the projection."""
        return int(self._num_proj or self._num_units)

    @property
    def state_size(self) -> Any:
        """``LSTMStateTuple`` of both sizes, or their sum."""
        sizes = LSTMStateTuple(self._num_units, self.output_size)
        return sizes if self._state_is_tuple else sum(sizes)

    def build(self, input_shape: Any) -> None:
        """``kernel``, ``bias``; where they are used ``w_f_diag``, ``w_i_diag``, ``w_o_diag``, ``projection/kernel``."""
        rows, units = channels(self.name, input_shape) + self.output_size, self._num_units
        self.kernel = self.add_variable("kernel", (rows, 4 * units), initializer=self._initializer)
        self.bias = self.add_variable("bias", (4 * units,), initializer="zeros")
        if self._use_peepholes:
            self._peepholes = tuple(
                self.add_variable(f"w_{gate}_diag", (units,), initializer=self._initializer) for gate in "fio"
            )
        if self._num_proj:
            self._projection = self.add_variable(
                "projection/kernel", (units, self._num_proj), initializer=self._initializer
            )
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        c, h = state if self._state_is_tuple else parts(state, sizes=(self._num_units, self.output_size), axis=1)
        i, j, f, o = parts(_linear((inputs, h), self.kernel, self.bias), sizes=4, axis=1)
        act = self._activation
        f = add(f, self._forget_bias)
        if self._peepholes is not None:
            f = add(f, multiply(self._peepholes[0], c))
            i = add(i, multiply(self._peepholes[1], c))
        c = add(multiply(sigmoid(f), c), multiply(sigmoid(i), act(j)))
        if self._cell_clip is not None:
            c = clip(c, min=-self._cell_clip, max=self._cell_clip)
        if self._peepholes is not None:
            o = add(o, multiply(self._peepholes[2], c))
        h = multiply(sigmoid(o), act(c))
        if self._projection is not None:
            h = one("MatMul", None, matmul, h, self._projection)
            if self._proj_clip is not None:
                h = clip(h, min=-self._proj_clip, max=self._proj_clip)
        return h, LSTMStateTuple(c, h) if self._state_is_tuple else concatenate(c, h, axis=1)


class BasicLSTMCell(LSTMCell):
    """``LSTMCell`` without peepholes, projection and clipping."""

    def __init__(
        self, num_units: Any, forget_bias: float = 1.0, state_is_tuple: bool = True, activation: Any = None,
        reuse: Any = None, name: str | None = None, dtype: Any = None, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            num_units, forget_bias=forget_bias, state_is_tuple=state_is_tuple, activation=activation, reuse=reuse,
            name=name, dtype=dtype, **base,
        )  # fmt: skip


class MultiRNNCell(RNNCell):
    """Cells on top of one another: the output of each is the input of the next.

    A cell that is listed more than once (``[cell] * 3``, as the programs of TensorFlow 0.x have it) stands for as many
    cells with variables of their own.
    """

    def __init__(self, cells: Any, state_is_tuple: bool = True) -> None:
        super().__init__()
        if not isinstance(cells, (list, tuple)) or not cells:
            raise UsageError("MultiRNNCell", "Must specify at least one cell for MultiRNNCell.", {"cells": cells})
        self._cells = [_apart(cell, cells[:i]) for i, cell in enumerate(cells)]
        self._state_is_tuple = state_is_tuple

    @property
    def state_size(self) -> Any:
        """A tuple of the cells' sizes, or their sum."""
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        """That of the last cell."""
        return self._cells[-1].output_size

    @property
    def trainable_variables(self) -> list[Any]:
        """Those of the cells."""
        return [v for cell in self._cells for v in getattr(cell, "trainable_variables", [])]

    def zero_state(self, batch_size: Any, dtype: Any = "float32") -> Any:
        """The states of the cells before the first step."""
        if not self._state_is_tuple:
            return super().zero_state(batch_size, dtype)
        with scope(None, f"{type(self).__name__}ZeroState", batch_size):
            return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)

    def states_of(self, state: Any) -> list[Any]:
        """The state of each cell, of a state of this one."""
        if self._state_is_tuple:
            return list(state)
        return list(parts(state, sizes=tuple(cell.state_size for cell in self._cells), axis=1))

    def joined(self, states: list[Any]) -> Any:
        """A state of this cell, of those of its cells."""
        return tuple(states) if self._state_is_tuple else concatenate(*states, axis=1)

    def call(self, inputs: Any, state: Any) -> Any:
        """One step of each cell."""
        found = []
        for i, (cell, own) in enumerate(zip(self._cells, self.states_of(state), strict=True)):
            if graph_for() is None:
                inputs, new = cell(inputs, own)
            else:
                with variable_scope(f"cell_{i}"):
                    inputs, new = cell(inputs, own)
            found.append(new)
        return inputs, self.joined(found)


def _apart(cell: Any, before: Any) -> Any:
    """The cell, or another like it if it was listed before."""
    if not any(cell is other for other in before) or getattr(cell, "built", True):
        return cell
    made = copy.copy(cell)
    made._variables, made._losses, made._updates, made._scope = [], [], [], None
    return made


__all__ = [
    "BasicLSTMCell", "BasicRNNCell", "GRUCell", "LSTMCell", "LSTMStateTuple", "LayerRNNCell", "MultiRNNCell", "RNNCell",
    "is_tanh", "map_sizes",
]  # fmt: skip
