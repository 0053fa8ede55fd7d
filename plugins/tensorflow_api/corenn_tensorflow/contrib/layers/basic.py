"""``tf.contrib.layers``: functions that make a layer's variables (``weights``, ``biases``) and apply it."""

from __future__ import annotations

from typing import Any

from corenn.ops.contraction import matmul
from corenn.ops.convolution import conv, conv_transpose
from corenn.ops.convolution_forms import depthwise_conv
from corenn.ops.elementwise import subtract
from corenn.ops.reduction import max as max_of
from corenn.ops.reduction import sum as sum_of
from corenn.ops.scatter import one_hot
from corenn.ops.shaping import reshape
from corenn.ops.transcendental import sqrt
from corenn.tensor import Tensor
from corenn_tensorflow.contrib.framework.arg_scope import add_arg_scope
from corenn_tensorflow.contrib.framework.variables import model_variable
from corenn_tensorflow.contrib.layers.initializers import xavier_initializer
from corenn_tensorflow.contrib.layers.utils import collect_named_outputs, get_variable_collections, smart_cond
from corenn_tensorflow.layers import pooling as pools
from corenn_tensorflow.layers.core import flat
from corenn_tensorflow.layers.pooling import Pooling
from corenn_tensorflow.mode import one
from corenn_tensorflow.nn import activations
from corenn_tensorflow.operands import dynamic_shape, extents, ints, known, tensor
from corenn_tensorflow.scopes import variable_scope

_LAYOUTS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}
_XAVIER = xavier_initializer()


def _initial(given: Any) -> Any:
    return _XAVIER if given is _XAVIER or given is None else given


def finished(
    outputs: Any, activation_fn: Any, normalizer_fn: Any, normalizer_params: Any, collections: Any, alias: str
) -> Any:
    """The outputs normalised, activated and collected."""
    if normalizer_fn is not None:
        outputs = normalizer_fn(outputs, **(normalizer_params or {}))
    if activation_fn is not None:
        outputs = activation_fn(outputs)
    return collect_named_outputs(collections, alias, outputs)


def bias_of(
    size: int, initializer: Any, regularizer: Any, trainable: bool, collections: Any, name: str = "biases"
) -> Any:
    """The variable ``biases``, or ``None`` without an initializer."""
    if initializer is None:
        return None
    return model_variable(
        name, shape=[size], initializer=initializer, regularizer=regularizer, trainable=trainable,
        collections=get_variable_collections(collections, name),
    )  # fmt: skip


def _channels(x: Tensor, first: bool = False) -> int:
    found = (extents(x) or (None,))[1 if first else -1]
    if found is None:
        raise ValueError("The number of channels of the inputs must be known.")
    return found


@add_arg_scope
def fully_connected(
    inputs: Any, num_outputs: int, activation_fn: Any = activations.relu, normalizer_fn: Any = None,
    normalizer_params: Any = None, weights_initializer: Any = _XAVIER, weights_regularizer: Any = None,
    biases_initializer: Any = "zeros", biases_regularizer: Any = None, reuse: Any = None,
    variables_collections: Any = None, outputs_collections: Any = None, trainable: bool = True, scope: Any = None,
) -> Any:  # fmt: skip
    """``activation_fn(inputs @ weights + biases)`` over the last axis (ReLU unless told otherwise)."""
    with variable_scope(scope, "fully_connected", [inputs], reuse=reuse) as sc:
        x = tensor(inputs)
        weights = model_variable(
            "weights", shape=[_channels(x), int(num_outputs)], initializer=_initial(weights_initializer),
            regularizer=weights_regularizer, trainable=trainable,
            collections=get_variable_collections(variables_collections, "weights"),
        )  # fmt: skip
        outputs = one("MatMul", None, matmul, x, weights)
        if normalizer_fn is None:
            biases = bias_of(int(num_outputs), biases_initializer, biases_regularizer, trainable, variables_collections)
            outputs = outputs if biases is None else activations.bias_add(outputs, biases)
        return finished(outputs, activation_fn, normalizer_fn, normalizer_params, outputs_collections, sc.name)


def _convolution(
    default: str, inputs: Any, num_outputs: int, kernel_size: Any, stride: Any, padding: str, data_format: str | None,
    rate: Any, activation_fn: Any, normalizer_fn: Any, normalizer_params: Any, weights_initializer: Any,
    weights_regularizer: Any, biases_initializer: Any, biases_regularizer: Any, reuse: Any, variables_collections: Any,
    outputs_collections: Any, trainable: bool, scope: Any, rank: int | None, transposed: bool,
) -> Any:  # fmt: skip
    with variable_scope(scope, default, [inputs], reuse=reuse) as sc:
        x = tensor(inputs)
        count = rank or len(extents(x) or (0, 0, 0, 0)) - 2
        first = (data_format or "NHWC").startswith("NC")
        layout = _LAYOUTS[count][first]
        size = ints(kernel_size)
        size = size * count if len(size) == 1 else size
        depth, filters = _channels(x, first), int(num_outputs)
        weights = model_variable(
            "weights", shape=[*size, filters, depth] if transposed else [*size, depth, filters],
            initializer=_initial(weights_initializer), regularizer=weights_regularizer, trainable=trainable,
            collections=get_variable_collections(variables_collections, "weights"),
        )  # fmt: skip
        steps, holes = (v[0] if len(v) == 1 else v for v in (ints(stride), ints(rate)))
        function = conv_transpose if transposed else conv
        outputs = one(
            f"Conv{count}D", None, function, x, weights, strides=steps, dilation=holes, padding=padding.upper(),
            layout=layout,
        )  # fmt: skip
        if normalizer_fn is None:
            biases = bias_of(filters, biases_initializer, biases_regularizer, trainable, variables_collections)
            if biases is not None:
                outputs = activations.bias_add(outputs, biases, data_format=layout if first else None)
        return finished(outputs, activation_fn, normalizer_fn, normalizer_params, outputs_collections, sc.name)


def _conv_function(name: str, default: str, rank: int | None, transposed: bool) -> Any:
    def call(
        inputs: Any, num_outputs: int, kernel_size: Any, stride: Any = 1, padding: str = "SAME",
        data_format: str | None = None, rate: Any = 1, activation_fn: Any = activations.relu,
        normalizer_fn: Any = None, normalizer_params: Any = None, weights_initializer: Any = _XAVIER,
        weights_regularizer: Any = None, biases_initializer: Any = "zeros", biases_regularizer: Any = None,
        reuse: Any = None, variables_collections: Any = None, outputs_collections: Any = None, trainable: bool = True,
        scope: Any = None,
    ) -> Any:  # fmt: skip
        return _convolution(
            default, inputs, num_outputs, kernel_size, stride, padding, data_format, rate, activation_fn, normalizer_fn,
            normalizer_params, weights_initializer, weights_regularizer, biases_initializer, biases_regularizer, reuse,
            variables_collections, outputs_collections, trainable, scope, rank, transposed,
        )  # fmt: skip

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"A {'transposed ' if transposed else ''}convolution, with biases and ReLU unless told otherwise."
    return add_arg_scope(call)


def _transpose_function(name: str, default: str, rank: int) -> Any:
    def call(
        inputs: Any, num_outputs: int, kernel_size: Any, stride: Any = 1, padding: str = "SAME",
        data_format: str | None = None, activation_fn: Any = activations.relu, normalizer_fn: Any = None,
        normalizer_params: Any = None, weights_initializer: Any = _XAVIER, weights_regularizer: Any = None,
        biases_initializer: Any = "zeros", biases_regularizer: Any = None, reuse: Any = None,
        variables_collections: Any = None, outputs_collections: Any = None, trainable: bool = True, scope: Any = None,
    ) -> Any:  # fmt: skip
        return _convolution(
            default, inputs, num_outputs, kernel_size, stride, padding, data_format, 1, activation_fn, normalizer_fn,
            normalizer_params, weights_initializer, weights_regularizer, biases_initializer, biases_regularizer, reuse,
            variables_collections, outputs_collections, trainable, scope, rank, True,
        )  # fmt: skip

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "A transposed convolution, with biases and ReLU unless told otherwise."
    return add_arg_scope(call)


convolution = _conv_function("convolution", "Conv", None, False)
convolution1d, convolution2d = (
    _conv_function("convolution1d", "Conv", 1, False),
    _conv_function("convolution2d", "Conv", 2, False),
)
convolution3d = _conv_function("convolution3d", "Conv", 3, False)
conv1d, conv2d, conv3d = convolution1d, convolution2d, convolution3d
convolution2d_transpose = _transpose_function("convolution2d_transpose", "Conv2d_transpose", 2)
convolution3d_transpose = _transpose_function("convolution3d_transpose", "Conv3d_transpose", 3)
conv2d_transpose, conv3d_transpose = convolution2d_transpose, convolution3d_transpose


@add_arg_scope
def separable_convolution2d(
    inputs: Any, num_outputs: int | None, kernel_size: Any, depth_multiplier: int = 1, stride: Any = 1,
    padding: str = "SAME", data_format: str = "NHWC", rate: Any = 1, activation_fn: Any = activations.relu,
    normalizer_fn: Any = None, normalizer_params: Any = None, weights_initializer: Any = _XAVIER,
    pointwise_initializer: Any = None, weights_regularizer: Any = None, biases_initializer: Any = "zeros",
    biases_regularizer: Any = None, reuse: Any = None, variables_collections: Any = None,
    outputs_collections: Any = None, trainable: bool = True, scope: Any = None,
) -> Any:  # fmt: skip
    """Each channel convolved by itself, then (unless ``num_outputs`` is ``None``) a convolution that mixes them."""
    with variable_scope(scope, "SeparableConv2d", [inputs], reuse=reuse) as sc:
        x = tensor(inputs)
        first = data_format.startswith("NC")
        layout = _LAYOUTS[2][first]
        depth, size = _channels(x, first), ints(kernel_size)
        size = size * 2 if len(size) == 1 else size
        made = model_variable(
            "depthwise_weights", shape=[*size, depth, int(depth_multiplier)], initializer=_initial(weights_initializer),
            regularizer=weights_regularizer, trainable=trainable,
        )  # fmt: skip
        steps, holes = (v[0] if len(v) == 1 else v for v in (ints(stride), ints(rate)))
        outputs = depthwise_conv(x, made, strides=steps, padding=padding.upper(), dilation=holes, layout=layout)
        filters = depth * int(depth_multiplier)
        if num_outputs is not None:
            mixing = model_variable(
                "pointwise_weights", shape=[1, 1, filters, int(num_outputs)],
                initializer=_initial(pointwise_initializer or weights_initializer),
                regularizer=weights_regularizer, trainable=trainable,
            )  # fmt: skip
            outputs, filters = one("Conv2D", None, conv, outputs, mixing, layout=layout), int(num_outputs)
        if normalizer_fn is None:
            biases = bias_of(filters, biases_initializer, biases_regularizer, trainable, variables_collections)
            if biases is not None:
                outputs = activations.bias_add(outputs, biases, data_format=layout if first else None)
        return finished(outputs, activation_fn, normalizer_fn, normalizer_params, outputs_collections, sc.name)


separable_conv2d = separable_convolution2d


def _pool_function(name: str, default: str, layer: type[Pooling], stride_default: Any) -> Any:
    def call(
        inputs: Any, kernel_size: Any, stride: Any = stride_default, padding: str = "VALID", data_format: Any = None,
        outputs_collections: Any = None, scope: Any = None,
    ) -> Any:  # fmt: skip
        form = "channels_first" if (data_format or "NHWC").startswith("NC") else "channels_last"
        steps, size = ints(stride), ints(kernel_size)
        made = layer(
            size[0] if len(size) == 1 else size, steps[0] if len(steps) == 1 else steps, padding, form, scope or default
        )
        outputs = made(inputs)
        return collect_named_outputs(outputs_collections, scope or default, outputs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = layer.__doc__
    return add_arg_scope(call)


max_pool2d = _pool_function("max_pool2d", "MaxPool2D", pools.MaxPooling2D, 2)
avg_pool2d = _pool_function("avg_pool2d", "AvgPool2D", pools.AveragePooling2D, 2)
max_pool3d = _pool_function("max_pool3d", "MaxPool3D", pools.MaxPooling3D, 2)
avg_pool3d = _pool_function("avg_pool3d", "AvgPool3D", pools.AveragePooling3D, 2)


@add_arg_scope
def dropout(
    inputs: Any, keep_prob: Any = 0.5, noise_shape: Any = None, is_training: Any = True,
    outputs_collections: Any = None, scope: Any = None, seed: int | None = None,
) -> Any:  # fmt: skip
    """In training, elements set to 0 except with probability ``keep_prob``."""
    with variable_scope(scope, "Dropout", [inputs]) as sc:
        x = tensor(inputs)
        number = known(keep_prob)
        rate = 1.0 - number if number is not None else subtract(1.0, tensor(keep_prob))
        outputs = smart_cond(is_training, lambda: activations.dropped(x, rate, noise_shape, seed), lambda: x)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


@add_arg_scope
def flatten(inputs: Any, outputs_collections: Any = None, scope: Any = None) -> Any:
    """[batch, everything else]."""
    with variable_scope(scope, "Flatten", [inputs]) as sc:
        return collect_named_outputs(outputs_collections, sc.name, flat(tensor(inputs)))


@add_arg_scope
def one_hot_encoding(
    labels: Any, num_classes: int, on_value: float = 1.0, off_value: float = 0.0, outputs_collections: Any = None,
    scope: Any = None,
) -> Any:  # fmt: skip
    """Vectors with ``on_value`` at the class."""
    with variable_scope(scope, "OneHotEncoding", [labels]) as sc:
        outputs = one("OneHot", None, one_hot, labels, depth=int(num_classes), on_value=on_value, off_value=off_value)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


@add_arg_scope
def unit_norm(inputs: Any, dim: int, epsilon: float = 1e-7, scope: Any = None) -> Any:
    """Vectors of length 1 along ``dim``."""
    with variable_scope(scope, "UnitNorm", [inputs]):
        x = tensor(inputs)
        return x / sqrt(sum_of(x * x, axis=dim, keepdims=True) + epsilon)


@add_arg_scope
def maxout(inputs: Any, num_units: int, axis: int = -1, scope: Any = None) -> Any:
    """The largest of every ``channels / num_units`` neighbours, of which ``num_units`` are left along ``axis``.

    As in TensorFlow 1, the neighbours are those of the last axis, whichever ``axis`` becomes shorter.
    """
    with variable_scope(scope, "MaxOut", [inputs]):
        x = tensor(inputs)
        shape = list(extents(x) or ())
        if not shape or shape[axis] is None:
            raise ValueError("maxout needs a known number of channels")
        if shape[axis] % num_units:
            raise ValueError(f"number of features({shape[axis]}) is not a multiple of num_units({num_units})")
        actual = dynamic_shape(x)
        wanted = [actual[i] if n is None else n for i, n in enumerate(shape)]
        wanted[axis] = num_units
        return max_of(reshape(x, shape=(*wanted, shape[axis] // num_units)), axis=-1)


@add_arg_scope
def bias_add(
    inputs: Any, activation_fn: Any = None, initializer: Any = "zeros", regularizer: Any = None, reuse: Any = None,
    variables_collections: Any = None, outputs_collections: Any = None, trainable: bool = True,
    data_format: str = "NHWC", scope: Any = None,
) -> Any:  # fmt: skip
    """The inputs plus ``biases``."""
    with variable_scope(scope, "BiasAdd", [inputs], reuse=reuse) as sc:
        x = tensor(inputs)
        size = _channels(x, data_format.startswith("NC"))
        biases = bias_of(size, initializer, regularizer, trainable, variables_collections)
        outputs = activations.bias_add(x, biases, data_format)
        return finished(outputs, activation_fn, None, None, outputs_collections, sc.name)


def stack(inputs: Any, layer: Any, stack_args: Any, **kwargs: Any) -> Any:
    """``layer`` applied once for each of ``stack_args``, each to the result of the one before."""
    scope = kwargs.pop("scope", None)
    name = getattr(layer, "__name__", "stack")
    with variable_scope(scope, "Stack", [inputs]):
        outputs = inputs
        for i, args in enumerate(stack_args):
            given = args if isinstance(args, (list, tuple)) else [args]
            outputs = layer(outputs, *given, scope=f"{scope or name}_{i + 1}", **kwargs)
        return outputs


def repeat(inputs: Any, repetitions: int, layer: Any, *args: Any, **kwargs: Any) -> Any:
    """``layer`` applied ``repetitions`` times, each to the result of the one before."""
    scope = kwargs.pop("scope", None)
    name = getattr(layer, "__name__", "repeat")
    with variable_scope(scope, "Repeat", [inputs]):
        outputs = tensor(inputs)
        for i in range(int(repetitions)):
            outputs = layer(outputs, *args, scope=f"{scope or name}_{i + 1}", **kwargs)
        return outputs


def linear(inputs: Any, num_outputs: int, *args: Any, **kwargs: Any) -> Any:
    """``fully_connected`` without an activation."""
    return fully_connected(inputs, num_outputs, None, *args, **kwargs)


def relu(inputs: Any, num_outputs: int, *args: Any, **kwargs: Any) -> Any:
    """``fully_connected`` with ReLU."""
    return fully_connected(inputs, num_outputs, activations.relu, *args, **kwargs)


def relu6(inputs: Any, num_outputs: int, *args: Any, **kwargs: Any) -> Any:
    """``fully_connected`` with ReLU that ends at 6."""
    return fully_connected(inputs, num_outputs, activations.relu6, *args, **kwargs)


def elu(inputs: Any, num_outputs: int, *args: Any, **kwargs: Any) -> Any:
    """``fully_connected`` with ELU."""
    return fully_connected(inputs, num_outputs, activations.elu, *args, **kwargs)


def softmax(logits: Any, scope: Any = None) -> Any:
    """Probabilities along the last axis."""
    with variable_scope(scope, "softmax", [logits]):
        return activations.softmax(logits)


legacy_fully_connected, legacy_linear, legacy_relu = fully_connected, linear, relu

__all__ = [
    "avg_pool2d", "avg_pool3d", "bias_add", "conv1d", "conv2d", "conv2d_transpose", "conv3d", "conv3d_transpose",
    "convolution", "convolution1d", "convolution2d", "convolution2d_transpose", "convolution3d",
    "convolution3d_transpose", "dropout", "elu", "flatten", "fully_connected", "legacy_fully_connected",
    "legacy_linear", "legacy_relu", "linear", "max_pool2d", "max_pool3d", "maxout", "one_hot_encoding", "relu", "relu6",
    "repeat", "separable_conv2d", "separable_convolution2d", "softmax", "stack", "unit_norm",
]  # fmt: skip
