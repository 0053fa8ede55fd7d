"""``batch_norm``, ``layer_norm``, ``instance_norm`` and ``group_norm`` of ``tf.contrib.layers``."""

from __future__ import annotations

from typing import Any

from corenn.errors import UsageError
from corenn.ops.batch_norm import batch_norm_inference, batch_norm_training
from corenn.ops.elementwise import add, identity, multiply, subtract
from corenn.ops.normalization import group_norm as group_op
from corenn.ops.shaping import reshape
from corenn.ops.transcendental import rsqrt
from corenn.tensor import Tensor
from corenn_tensorflow.contrib.framework.arg_scope import add_arg_scope
from corenn_tensorflow.contrib.framework.variables import model_variable
from corenn_tensorflow.contrib.layers.utils import collect_named_outputs, get_variable_collections, smart_cond
from corenn_tensorflow.framework import GraphKeys
from corenn_tensorflow.layers.normalization import move_average
from corenn_tensorflow.mode import default_graph
from corenn_tensorflow.nn.normalization import bessel, moments_of
from corenn_tensorflow.operands import extents, known, tensor
from corenn_tensorflow.scopes import variable_scope
from corenn_tensorflow.train.moving_averages import assign_moving_average


def _size(x: Tensor, axis: int) -> int:
    found = (extents(x) or ())[axis]
    if found is None:
        raise UsageError("contrib.layers", "the extent of the channel axis must be known", {"inputs": extents(x)})
    return found


def _made(
    name: str, shape: tuple[int, ...], initial: str, params: Any, collections: Any, trainable: bool, regularizers: Any
) -> Any:
    initializer = (params or {}).get(name) or initial
    return model_variable(
        name, shape=list(shape), initializer=initializer, trainable=trainable,
        regularizer=(regularizers or {}).get(name), collections=get_variable_collections(collections, name),
    )  # fmt: skip


@add_arg_scope
def batch_norm(
    inputs: Any, decay: float = 0.999, center: bool = True, scale: bool = False, epsilon: float = 0.001,
    activation_fn: Any = None, param_initializers: Any = None, param_regularizers: Any = None,
    updates_collections: Any = GraphKeys.UPDATE_OPS, is_training: Any = True, reuse: Any = None,
    variables_collections: Any = None, outputs_collections: Any = None, trainable: bool = True,
    batch_weights: Any = None, fused: Any = None, data_format: str = "NHWC", zero_debias_moving_mean: bool = False,
    scope: Any = None, renorm: bool = False, renorm_clipping: Any = None, renorm_decay: float = 0.99,
    adjustment: Any = None,
) -> Any:  # fmt: skip
    """Each channel to mean ``beta`` and standard deviation ``gamma`` (1, unless ``scale``).

    In training (a bool or a tensor) by the batch, and the moving averages are updated: by operations in
    ``updates_collections``, or before the result is there if that is ``None``.  ``zero_debias_moving_mean``: the moving
    mean is the average of the batches alone, whatever it began with.
    """
    if batch_weights is not None or renorm or adjustment is not None:
        raise UsageError("contrib.layers.batch_norm", "batch_weights, renorm and adjustment are not offered",
                         hint="leave them out: plain batch normalisation")  # fmt: skip
    with variable_scope(scope, "BatchNorm", [inputs], reuse=reuse) as sc:
        x = tensor(inputs)
        axis = 1 if data_format.startswith("NC") else len(extents(x) or ()) - 1
        shape = (_size(x, axis),)
        beta = gamma = None
        if center:
            beta = _made(
                "beta", shape, "zeros", param_initializers, variables_collections, trainable, param_regularizers
            )
        if scale:
            gamma = _made(
                "gamma", shape, "ones", param_initializers, variables_collections, trainable, param_regularizers
            )
        mean, variance = (
            _made(f"moving_{name}", shape, initial, param_initializers, variables_collections, False, None)
            for name, initial in (("mean", "zeros"), ("variance", "ones"))
        )

        def by_batch() -> list[Tensor]:
            y, average, spread = batch_norm_training(x, gamma, beta, axis=axis, epsilon=epsilon)
            return [
                y,
                average,
                bessel(spread, x, axis) if len(extents(x) or ()) in (2, 4) and fused is not False else spread,
            ]

        def by_averages() -> list[Tensor]:
            average, spread = identity(mean), identity(variance)
            return [batch_norm_inference(x, gamma, beta, average, spread, axis=axis, epsilon=epsilon), average, spread]

        outputs, average, spread = smart_cond(is_training, by_batch, by_averages)
        if known(is_training) is None or known(is_training):
            first = (
                smart_cond(
                    is_training, lambda: assign_moving_average(mean, average, decay, zero_debias=True),
                    lambda: identity(mean),
                )
                if zero_debias_moving_mean
                else move_average(mean, average, decay, is_training)
            )  # fmt: skip
            updates = [first, move_average(variance, spread, decay, is_training)]
            graph = default_graph()
            if updates_collections is None:
                with graph.control_dependencies(updates):
                    outputs = identity(outputs)
            else:
                for update in updates:
                    for name in [updates_collections] if isinstance(updates_collections, str) else updates_collections:
                        graph.add_to_collection(name, update)
        outputs = activation_fn(outputs) if activation_fn is not None else outputs
        return collect_named_outputs(outputs_collections, sc.name, outputs)


fused_batch_norm = batch_norm


@add_arg_scope
def layer_norm(
    inputs: Any, center: bool = True, scale: bool = True, activation_fn: Any = None, reuse: Any = None,
    variables_collections: Any = None, outputs_collections: Any = None, trainable: bool = True,
    begin_norm_axis: int = 1, begin_params_axis: int = -1, scope: Any = None,
) -> Any:  # fmt: skip
    """Each example to mean 0 and variance 1 over its axes from ``begin_norm_axis`` on (Ba, Kiros & Hinton 2016)."""
    with variable_scope(scope, "LayerNorm", [inputs], reuse=reuse) as sc:
        x = tensor(inputs)
        rank = len(extents(x) or ())
        shape = tuple(_size(x, a) for a in range(begin_params_axis % rank, rank))
        beta = _made("beta", shape, "zeros", None, variables_collections, trainable, None) if center else None
        gamma = _made("gamma", shape, "ones", None, variables_collections, trainable, None) if scale else None
        mean, variance = moments_of(x, list(range(begin_norm_axis % rank, rank)), True, None)
        # The variance is bounded below by what half precision needs, as TensorFlow's function has it.
        y = multiply(subtract(x, mean), rsqrt(add(variance, 1e-12 if x.dtype.itemsize > 2 else 1e-3)))
        y = y if gamma is None else multiply(y, gamma)
        y = y if beta is None else add(y, beta)
        y = activation_fn(y) if activation_fn is not None else y
        return collect_named_outputs(outputs_collections, sc.name, y)


def _weights(
    count: int, center: bool, scale: bool, param_initializers: Any, variables_collections: Any, trainable: bool
) -> tuple[Any, Any]:
    """``beta`` and ``gamma`` [count] in the present scope; ``None`` for one that is not wanted."""

    def made(name: str, start: str) -> Any:
        return _made(name, (count,), start, param_initializers, variables_collections, trainable, None)

    return made("beta", "zeros") if center else None, made("gamma", "ones") if scale else None


@add_arg_scope
def instance_norm(
    inputs: Any, center: bool = True, scale: bool = True, epsilon: float = 1e-6, activation_fn: Any = None,
    param_initializers: Any = None, reuse: Any = None, variables_collections: Any = None,
    outputs_collections: Any = None, trainable: bool = True, data_format: str = "NHWC", scope: Any = None,
) -> Any:  # fmt: skip
    """Each channel of each example to mean 0 and variance 1 (Ulyanov, Vedaldi & Lempitsky 2016)."""
    with variable_scope(scope, "InstanceNorm", [inputs], reuse=reuse) as sc:
        x = tensor(inputs)
        rank = len(extents(x) or ())
        axis = 1 if data_format.startswith("NC") else rank - 1
        count = _size(x, axis)
        wide = tuple(count if a == axis else 1 for a in range(rank))
        beta, gamma = _weights(count, center, scale, param_initializers, variables_collections, trainable)
        mean, variance = moments_of(x, [a for a in range(1, rank) if a != axis], True, None)
        y = multiply(subtract(x, mean), rsqrt(add(variance, epsilon)))
        y = y if gamma is None else multiply(y, reshape(gamma, shape=wide))
        y = y if beta is None else add(y, reshape(beta, shape=wide))
        y = activation_fn(y) if activation_fn is not None else y
        return collect_named_outputs(outputs_collections, sc.name, y)


@add_arg_scope
def group_norm(
    inputs: Any, groups: int = 32, channels_axis: int = -1, reduction_axes: Any = (-3, -2), center: bool = True,
    scale: bool = True, epsilon: float = 1e-6, activation_fn: Any = None, param_initializers: Any = None,
    reuse: Any = None, variables_collections: Any = None, outputs_collections: Any = None, trainable: bool = True,
    scope: Any = None, mean_close_to_zero: bool = False,
) -> Any:  # fmt: skip
    """Groups of channels of each example to mean 0 and variance 1 (Wu & He 2018)."""
    with variable_scope(scope, "GroupNorm", [inputs], reuse=reuse) as sc:
        x = tensor(inputs)
        count = _size(x, channels_axis)
        beta, gamma = _weights(count, center, scale, param_initializers, variables_collections, trainable)
        y = group_op(x, gamma, beta, groups=int(groups), axis=int(channels_axis), epsilon=float(epsilon))
        y = activation_fn(y) if activation_fn is not None else y
        return collect_named_outputs(outputs_collections, sc.name, y)


__all__ = ["batch_norm", "fused_batch_norm", "group_norm", "instance_norm", "layer_norm"]
