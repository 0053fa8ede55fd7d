"""Cells of contrib that are used less: convolutional LSTMs, the cell of an architecture search, highways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corenn.errors import UsageError
from corenn.ops.contraction import matmul
from corenn.ops.convolution import conv
from corenn.ops.elementwise import add, multiply, subtract
from corenn.ops.shaping import concatenate, parts
from corenn_tensorflow import initializers
from corenn_tensorflow.layer_base import activation_of, channels
from corenn_tensorflow.nn.activations import bias_add, relu, sigmoid, tanh
from corenn_tensorflow.nn.cell_wrappers import Around
from corenn_tensorflow.nn.cells import LSTMStateTuple, RNNCell
from corenn_tensorflow.scopes import get_variable, get_variable_scope, variable_scope
from corenn_tensorflow.shapes import TensorShape


class ConvLSTMCell(RNNCell):
    """An LSTM whose state is an image, and whose products are convolutions (Shi et al. 2015).

    Inputs ``[batch, *input_shape]``, channels last; ``conv_ndims`` spatial axes; padding keeps their extents.
    """

    def __init__(
        self, conv_ndims: int, input_shape: Sequence[int], output_channels: int, kernel_shape: Sequence[int],
        use_bias: bool = True, skip_connection: bool = False, forget_bias: float = 1.0, initializers: Any = None,
        name: str = "conv_lstm_cell",
    ) -> None:  # fmt: skip
        super().__init__(name=name)
        if conv_ndims != len(input_shape) - 1:
            raise ValueError(f"Invalid input_shape {input_shape} for conv_ndims={conv_ndims}.")
        self._input_shape, self._channels = [int(n) for n in input_shape], int(output_channels)
        self._kernel_shape, self._use_bias = [int(n) for n in kernel_shape], use_bias
        self._skip, self._forget_bias = skip_connection, float(forget_bias)

    @property
    def state_size(self) -> LSTMStateTuple:
        """Both images."""
        shape = TensorShape([*self._input_shape[:-1], self._channels])
        return LSTMStateTuple(shape, shape)

    @property
    def output_size(self) -> TensorShape:
        """The image given: with the input's channels behind its own, where they are skipped through."""
        more = self._input_shape[-1] if self._skip else 0
        return TensorShape([*self._input_shape[:-1], self._channels + more])

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        c, h = state
        given = concatenate(inputs, h, axis=-1)
        shape = [*self._kernel_shape, self._input_shape[-1] + self._channels, 4 * self._channels]
        mixed = conv(given, get_variable("kernel", shape), padding="SAME")
        if self._use_bias:
            mixed = add(mixed, get_variable("biases", [shape[-1]], initializer=initializers.Constant(0.0)))
        i, j, f, o = parts(mixed, sizes=4, axis=-1)
        c = add(multiply(sigmoid(add(f, self._forget_bias)), c), multiply(sigmoid(i), tanh(j)))
        h = multiply(tanh(c), sigmoid(o))
        return concatenate(h, inputs, axis=-1) if self._skip else h, LSTMStateTuple(c, h)


class Conv1DLSTMCell(ConvLSTMCell):
    """``ConvLSTMCell`` over lines."""

    def __init__(self, name: str = "conv_1d_lstm_cell", **kwargs: Any) -> None:
        super().__init__(1, name=name, **kwargs)


class Conv2DLSTMCell(ConvLSTMCell):
    """``ConvLSTMCell`` over images."""

    def __init__(self, name: str = "conv_2d_lstm_cell", **kwargs: Any) -> None:
        super().__init__(2, name=name, **kwargs)


class Conv3DLSTMCell(ConvLSTMCell):
    """``ConvLSTMCell`` over volumes."""

    def __init__(self, name: str = "conv_3d_lstm_cell", **kwargs: Any) -> None:
        super().__init__(3, name=name, **kwargs)


class UGRNNCell(RNNCell):
    """A recurrent unit with one gate, between the old state and the new (Collins, Sohl-Dickstein & Sussillo 2016)."""

    def __init__(
        self, num_units: int, initializer: Any = None, forget_bias: float = 1.0, activation: Any = tanh,
        reuse: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(_reuse=reuse)
        self._num_units, self._initializer = int(num_units), initializer
        self._forget_bias, self._activation = float(forget_bias), activation_of(activation)

    @property
    def state_size(self) -> int:
        """The number of units."""
        return self._num_units

    @property
    def output_size(self) -> int:
        """The number of units."""
        return self._num_units

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        given = concatenate(inputs, state, axis=1)
        shape = [channels(self.name, given.get_shape()), 2 * self._num_units]
        kernel = get_variable("kernel", shape, initializer=self._initializer)
        mixed = bias_add(matmul(given, kernel), get_variable("bias", shape[1:], initializer=initializers.Zeros()))
        gate, candidate = parts(mixed, sizes=2, axis=1)
        assert self._activation is not None  # tanh unless given
        gate = sigmoid(add(gate, self._forget_bias))
        new = add(multiply(gate, state), multiply(subtract(1.0, gate), self._activation(candidate)))
        return new, new


class NASCell(RNNCell):
    """The cell that a search of architectures found (Zoph & Le 2017)."""

    def __init__(
        self, num_units: int, num_proj: int | None = None, use_bias: bool = False, reuse: Any = None, **base: Any
    ) -> None:
        super().__init__(_reuse=reuse, **base)
        self._num_units, self._num_proj, self._use_bias = int(num_units), num_proj, use_bias

    @property
    def state_size(self) -> LSTMStateTuple:
        """Both sizes."""
        return LSTMStateTuple(self._num_units, self.output_size)

    @property
    def output_size(self) -> int:
        """The number of units, or the size of the projection."""
        return int(self._num_proj or self._num_units)

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        c, m = state
        wide = 8 * self._num_units
        recurrent = matmul(m, get_variable("recurrent_kernel", [self.output_size, wide]))
        given = matmul(inputs, get_variable("kernel", [channels(self.name, inputs.get_shape()), wide]))
        if self._use_bias:
            recurrent = bias_add(recurrent, get_variable("bias", [wide], initializer=initializers.Zeros()))
        pairs = list(zip(parts(given, sizes=8, axis=1), parts(recurrent, sizes=8, axis=1), strict=True))
        kinds = (sigmoid, relu, sigmoid, relu, tanh, sigmoid, tanh, sigmoid)
        a = [f(multiply(x, y) if i == 3 else add(x, y)) for i, (f, (x, y)) in enumerate(zip(kinds, pairs, strict=True))]
        left = tanh(add(tanh(multiply(a[0], a[1])), c))
        new = multiply(left, tanh(add(a[2], a[3])))
        right = tanh(add(tanh(multiply(a[4], a[5])), sigmoid(add(a[6], a[7]))))
        m = tanh(multiply(new, right))
        if self._num_proj is not None:
            m = matmul(m, get_variable("projection_kernel", [self._num_units, self._num_proj]))
        return m, LSTMStateTuple(new, m)


class HighwayWrapper(Around):
    """The input carried past the cell, as much of it as a gate says (Srivastava, Greff & Schmidhuber 2015)."""

    def __init__(self, cell: Any, couple_carry_transform_gates: bool = True, carry_bias_init: float = 1.0) -> None:
        super().__init__(cell)
        self._coupled, self._bias = couple_carry_transform_gates, float(carry_bias_init)

    def __call__(self, inputs: Any, state: Any, scope: Any = None, *args: Any, **options: Any) -> Any:
        """One step; the gates' variables stand in the scope around it."""
        output, new = self._cell(inputs, state, scope=scope) if scope is not None else self._cell(inputs, state)
        if [*inputs.get_shape().as_list()[1:]] != [*output.get_shape().as_list()[1:]]:
            raise UsageError("HighwayWrapper", "input and output of the cell must have one shape",
                             {"input": inputs.get_shape(), "output": output.get_shape()})  # fmt: skip
        with variable_scope(get_variable_scope()):
            carry = self._gate("carry", inputs, self._bias)
            transform = subtract(1.0, carry) if self._coupled else self._gate("transform", inputs, -self._bias)
        return add(multiply(inputs, carry), multiply(output, transform)), new

    def _gate(self, name: str, inputs: Any, bias: float) -> Any:
        size = channels(name, inputs.get_shape())
        mixed = matmul(inputs, get_variable(f"{name}_w", [size, size]))
        return sigmoid(add(mixed, get_variable(f"{name}_b", [size], initializer=initializers.Constant(bias))))


__all__ = [
    "Conv1DLSTMCell", "Conv2DLSTMCell", "Conv3DLSTMCell", "ConvLSTMCell", "HighwayWrapper", "NASCell", "UGRNNCell",
]  # fmt: skip
