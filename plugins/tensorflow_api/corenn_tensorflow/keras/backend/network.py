"""Functions of neural networks."""

from __future__ import annotations

from typing import Any

import corenn_tensorflow as tf
from corenn_tensorflow import mode
from corenn_tensorflow.keras import activations, losses, world
from corenn_tensorflow.keras.backend.arrays import int_shape, temporal_padding
from corenn_tensorflow.keras.backend.settings import epsilon
from corenn_tensorflow.keras.backend.values import switch
from corenn_tensorflow.keras.layers.adapting import image_data_format


def relu(x: Any, alpha: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> Any:
    """Rectified linear."""
    return activations.relu(x, alpha, max_value, threshold)


def softmax(x: Any, axis: int = -1) -> Any:
    """Softmax."""
    return tf.nn.softmax(x, axis=axis)


elu, softplus, softsign = activations.elu, activations.softplus, activations.softsign
hard_sigmoid = activations.hard_sigmoid


def sigmoid(x: Any) -> Any:
    """Sigmoid."""
    return tf.nn.sigmoid(x)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return tf.nn.tanh(x)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Elements dropped with probability ``level``, the others scaled."""
    return tf.compat.v1.nn.dropout(x, keep_prob=1.0 - level, noise_shape=noise_shape, seed=seed)


def l2_normalize(x: Any, axis: Any = None) -> Any:
    """Of length 1."""
    return tf.nn.l2_normalize(x, axis)


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy of one-hot labels."""
    return losses.categorical_crossentropy(target, output, from_logits, axis=axis)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy of class numbers."""
    return losses.sparse_categorical_crossentropy(target, output, from_logits, axis)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Cross-entropy of each element."""
    t, p = losses._pair(target, output)
    if from_logits:
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=t, logits=p)
    p = tf.clip_by_value(p, epsilon(), 1.0 - epsilon())
    return -(t * tf.math.log(p + epsilon()) + (1.0 - t) * tf.math.log(1.0 - p + epsilon()))


def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """Whether the target is among the k largest."""
    return tf.nn.in_top_k(predictions=predictions, targets=targets, k=k)


def _padding(padding: str) -> str:
    return padding.upper()


def _format(data_format: Any, rank: int) -> str:
    last = {1: "NWC", 2: "NHWC", 3: "NDHWC"}[rank]
    chosen = data_format or image_data_format()
    return last if chosen == "channels_last" else f"NC{last[1:-1]}"


def conv1d(
    x: Any, kernel: Any, strides: int = 1, padding: str = "valid", data_format: Any = None, dilation_rate: int = 1
) -> Any:
    """Convolution over steps."""
    if padding == "causal":
        x = temporal_padding(x, (dilation_rate * (int_shape(kernel)[0] - 1), 0))
        padding = "valid"
    return tf.nn.convolution(x, kernel, padding=_padding(padding), strides=[strides], dilations=[dilation_rate],
                             data_format=_format(data_format, 1))  # fmt: skip


def conv2d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """Convolution over images."""
    return tf.nn.convolution(x, kernel, padding=_padding(padding), strides=list(strides), dilations=list(dilation_rate),
                             data_format=_format(data_format, 2))  # fmt: skip


def pool2d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: Any = None,
    pool_mode: str = "max",
) -> Any:
    """Pooling over images."""
    return tf.nn.pool(x, list(pool_size), pool_mode.upper(), strides=list(strides), padding=_padding(padding),
                      data_format=_format(data_format, 2))  # fmt: skip


def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: Any = None, interpolation: str = "nearest"
) -> Any:
    """Images enlarged by whole factors."""
    from corenn_tensorflow.keras.layers import UpSampling2D

    return UpSampling2D((height_factor, width_factor), interpolation=interpolation)(x)


def bias_add(x: Any, bias: Any, data_format: Any = None) -> Any:
    """Plus a bias along the channels."""
    return tf.nn.bias_add(x, bias)


def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Any:
    """Normalised by given statistics."""
    return tf.nn.batch_normalization(x, mean, var, beta, gamma, epsilon)


def rnn(
    step_function: Any, inputs: Any, initial_states: Any, go_backwards: bool = False, mask: Any = None,
    constants: Any = None, unroll: bool = False, input_length: Any = None, **ignored: Any,
) -> Any:  # fmt: skip
    """``output, states = step_function(input, states)`` over the steps: last output, outputs, last states."""
    steps = tf.unstack(inputs, axis=1)
    marks = None if mask is None else tf.unstack(mask, axis=1)
    order = range(len(steps) - 1, -1, -1) if go_backwards else range(len(steps))
    states, outputs = list(initial_states), []
    for i in order:
        out, after = step_function(steps[i], states + list(constants or ()))
        if marks is not None:
            keep = tf.expand_dims(marks[i], -1)
            before = outputs[-1] if outputs else tf.zeros_like(out)
            out = switch(tf.logical_and(keep, tf.ones_like(out, dtype="bool")), out, before)
            after = [
                switch(tf.logical_and(keep, tf.ones_like(n, dtype="bool")), n, o)
                for n, o in zip(after, states, strict=False)
            ]
        states = list(after)
        outputs.append(out)
    return outputs[-1], tf.stack(outputs, axis=1), states


def name_scope(name: str) -> Any:
    """A scope of names."""
    return tf.name_scope(name)


def print_tensor(x: Any, message: str = "") -> Any:
    """The tensor; its value is printed when it is computed."""
    return tf.Print(x, [x], message) if mode.generation() == 1 else x


def get_graph() -> Any:
    """The graph of symbolic tensors."""
    return world.symbolic_graph()


def normalize_batch_in_training(x: Any, gamma: Any, beta: Any, reduction_axes: Any, epsilon: float = 1e-3) -> Any:
    """Normalised by the batch: the result, mean and variance."""
    average, variance = tf.nn.moments(x, list(reduction_axes))
    return tf.nn.batch_normalization(x, average, variance, beta, gamma, epsilon), average, variance
