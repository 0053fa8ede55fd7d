"""Dense, Dropout and Flatten, as classes and as functions."""

from __future__ import annotations

import math
from typing import Any

from corenn.ops.contraction import matmul
from corenn.ops.elementwise import identity
from corenn.ops.shaping import reshape, transpose
from corenn.tensor import Tensor
from corenn_tensorflow.layer_base import Layer, activation_of, channels, smart_cond
from corenn_tensorflow.mode import one
from corenn_tensorflow.nn.activations import bias_add, dropped
from corenn_tensorflow.operands import dynamic_shape, extents, like, tensor


class Dense(Layer):
    """``activation(inputs @ kernel + bias)`` over the last axis; kernel [in, units]."""

    def __init__(
        self, units: int, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = None,
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        trainable: bool = True, name: str | None = None, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(trainable=trainable, name=name, activity_regularizer=activity_regularizer, **base)
        self.units, self.activation, self.use_bias = int(units), activation_of(activation), use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.kernel: Any = None
        self.bias: Any = None

    def build(self, input_shape: Any) -> None:
        """``kernel`` and ``bias``."""
        last = channels("Dense", input_shape)
        self.kernel = self.add_variable(
            "kernel", (last, self.units), initializer=self.kernel_initializer, regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_variable(
                "bias", (self.units,), initializer=self.bias_initializer, regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )  # fmt: skip
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        """[..., units] of [..., in]."""
        x = tensor(inputs, None, self.kernel)
        if x.dtype is not self.kernel.dtype:
            x = like(x, self.kernel)
        found = one("MatMul", None, matmul, x, self.kernel)
        if self.bias is not None:
            found = bias_add(found, self.bias)
        return found if self.activation is None else self.activation(found)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """``input_shape`` with ``units`` last."""
        from corenn_tensorflow.shapes import TensorShape

        return TensorShape([*TensorShape(input_shape).as_list()[:-1], self.units])


class Dropout(Layer):
    """Elements set to 0 with probability ``rate`` where ``training`` holds, the others divided by ``1 - rate``."""

    def __init__(
        self, rate: Any = 0.5, noise_shape: Any = None, seed: int | None = None, name: str | None = None, **base: Any
    ) -> None:
        super().__init__(name=name, **base)
        self.rate, self.noise_shape, self.seed = rate, noise_shape, seed

    def call(self, inputs: Any, training: Any = False) -> Tensor:
        """The inputs, in training with elements dropped."""
        x = tensor(inputs)
        return smart_cond(
            training, lambda: dropped(x, self.rate, self.noise_shape, self.seed),
            lambda: one("Identity", None, identity, x),
        )  # type: ignore[no-any-return]  # fmt: skip

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the inputs."""
        return input_shape


class Flatten(Layer):
    """[batch, everything else]."""

    def __init__(self, data_format: str = "channels_last", **base: Any) -> None:
        super().__init__(**base)
        self.data_format = data_format

    def call(self, inputs: Any) -> Tensor:
        """The inputs as a matrix."""
        x = tensor(inputs)
        shape = extents(x)
        if self.data_format == "channels_first" and shape is not None and len(shape) > 2:
            x = transpose(x, axes=(0, *range(2, len(shape)), 1))
            shape = extents(x)
        return flat(x)


def flat(x: Tensor, name: str | None = None) -> Tensor:
    """``x`` as a matrix with its first axis kept."""
    shape = extents(x)
    if shape is not None and None not in shape[1:]:
        return one("Reshape", name, reshape, x, shape=(-1, math.prod(n or 0 for n in shape[1:])))
    if shape is not None and shape[0] is not None:
        return one("Reshape", name, reshape, x, shape=(shape[0], -1))
    return one("Reshape", name, reshape, x, shape=(dynamic_shape(x)[0], -1))


def dense(
    inputs: Any, units: int, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = None,
    bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
    activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
    trainable: bool = True, name: str | None = None, reuse: Any = None,
) -> Tensor:  # fmt: skip
    """``activation(inputs @ kernel + bias)`` with variables ``<name>/kernel`` and ``<name>/bias``."""
    layer = Dense(
        units, activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        activity_regularizer, kernel_constraint, bias_constraint, trainable, name, _scope=name, _reuse=reuse,
    )  # fmt: skip
    return layer(inputs)  # type: ignore[no-any-return]


def dropout(
    inputs: Any, rate: Any = 0.5, noise_shape: Any = None, seed: int | None = None, training: Any = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Elements set to 0 with probability ``rate`` where ``training`` holds, the others divided by ``1 - rate``."""
    return Dropout(rate, noise_shape, seed, name)(inputs, training=training)  # type: ignore[no-any-return]


def flatten(inputs: Any, name: str | None = None, data_format: str = "channels_last") -> Tensor:
    """[batch, everything else]."""
    return Flatten(data_format, name=name)(inputs)  # type: ignore[no-any-return]


__all__ = ["Dense", "Dropout", "Flatten", "dense", "dropout", "flat", "flatten"]
