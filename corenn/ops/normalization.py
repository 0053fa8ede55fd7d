"""Normalisation: values shifted and scaled to mean 0 and variance 1 over some of their axes, then by trained numbers.

Variances are biased (divided by the number of elements).  ``gamma`` (scale) and ``beta`` (offset) may be left out.
Layer, RMS, group and instance normalisation find their statistics in each example, and again on the way back; batch
normalisation has one mean and variance for each channel, which it returns and keeps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.dtypes import FLOATING
from corenn.errors import AttributeValueError, ShapeError
from corenn.ops._standardize import check_scale, moments, standardize, standardized
from corenn.ops.batch_norm import batch_norm_inference, batch_norm_training, local_response_norm
from corenn.ops.families import Axis, normal_axes, normal_axis
from corenn.ops.reduction import require_elements
from corenn.ops.sampling import error, real, sample
from corenn.ops.shaping import reshape
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

__all__ = [
    "batch_norm_inference", "batch_norm_training", "group_norm", "instance_norm", "layer_norm", "local_response_norm",
    "moments", "rms_norm",
]  # fmt: skip

Array = np.ndarray[Any, Any]


def _beside(x: Tensor | None, shape: tuple[int, ...]) -> Tensor | None:
    return x if x is None or x.shape == shape else reshape(x, shape=shape)


def _layer_norm(call: Call, x: Spec, gamma: Spec | None = None, beta: Spec | None = None) -> Spec:
    axes = call.attrs["axis"] = normal_axes(call, call.attrs["axis"], x.ndim)
    require_elements(call, x, axes)
    check_scale(call, tuple(x.shape[a] for a in axes), ("gamma", "beta")[: len(call.specs) - 1], call.specs[1:])
    return x.at(None)


@op(infer=_layer_norm, dtypes=FLOATING, promote=True, namespace="nn")
def layer_norm(
    x: TensorLike, gamma: TensorLike | None = None, beta: TensorLike | None = None, /, *,
    axis: Axis = -1, epsilon: float = 1e-3,
) -> Tensor:  # fmt: skip
    """Each example to mean 0 and variance 1 over ``axis``, times ``gamma`` plus ``beta`` (Ba, Kiros & Hinton 2016).

    ``axis``: int or ints; ``gamma`` and ``beta`` have the extents of those axes, in order.  ``epsilon`` is added to the
    variance.  Raises ShapeError when they do not fit, or there are no elements to normalise.
    """


@layer_norm.decompose
def _(x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, axis: tuple[int, ...], epsilon: float) -> Tensor:
    if axis != tuple(range(x.ndim - len(axis), x.ndim)):
        shape = tuple(n if a in axis else 1 for a, n in enumerate(x.shape))
        gamma, beta = _beside(gamma, shape), _beside(beta, shape)
    return standardize(x, gamma, beta, axis=axis, epsilon=epsilon)


layer_norm.samples(
    sample(real(), real(shape=(4,)), real(shape=(4,)), epsilon=0.1), sample(real(), epsilon=0.1),
    sample(real(shape=(2, 3, 2)), real(shape=(3, 2)), real(shape=(3, 2)), axis=(-2, -1), epsilon=0.1),
    sample(real(shape=(2, 3, 2)), real(shape=(3,)), None, axis=1, epsilon=0.1),
    sample(real(shape=(0, 3)), real(shape=(3,)), real(shape=(3,))),
)  # fmt: skip
layer_norm.error_samples(
    error(ShapeError, "gamma does not fit", real(), real(shape=(3,))),
    error(ShapeError, "beta does not fit", real(), None, real(shape=(4, 1))),
    error(ShapeError, "no elements", real(shape=(3, 0))),
    error(ShapeError, "axis 2 is out of range", real(), axis=2),
)


@layer_norm.reference
def _(x: Array, gamma: Any = None, beta: Any = None, *, axis: Any, epsilon: float) -> Array:
    axes = [a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)]
    shape = [n if a in axes else 1 for a, n in enumerate(x.shape)]
    y = standardized(x, tuple(axes), epsilon, True)
    y = y if gamma is None else y * gamma.reshape(shape)
    return y if beta is None else y + beta.reshape(shape)


def _rms_norm(call: Call, x: Spec, gamma: Spec | None = None) -> Spec:
    return _layer_norm(call, x, gamma)


@op(infer=_rms_norm, dtypes=FLOATING, promote=True, namespace="nn")
def rms_norm(x: TensorLike, gamma: TensorLike | None = None, /, *, axis: Axis = -1, epsilon: float = 1e-6) -> Tensor:
    """``x / sqrt(mean(x**2) + epsilon) * gamma``, the mean over ``axis`` (Zhang & Sennrich 2019).

    ``axis`` and ``gamma`` as for ``layer_norm``.
    """


@rms_norm.decompose
def _(x: Tensor, gamma: Tensor | None, *, axis: tuple[int, ...], epsilon: float) -> Tensor:
    gamma = _beside(gamma, tuple(n if a in axis else 1 for a, n in enumerate(x.shape)))
    return standardize(x, gamma, axis=axis, epsilon=epsilon, center=False)


rms_norm.samples(
    sample(real(), real(shape=(4,)), epsilon=0.1), sample(real(), axis=0, epsilon=0.1),
    sample(real(shape=(2, 3, 2)), real(shape=(3, 2)), axis=(1, 2), epsilon=0.1),
)  # fmt: skip
rms_norm.error_samples(error(ShapeError, "gamma does not fit", real(), real(shape=(3,))))


@rms_norm.reference
def _(x: Array, gamma: Any = None, *, axis: Any, epsilon: float) -> Array:
    axes = [a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)]
    shape = [n if a in axes else 1 for a, n in enumerate(x.shape)]
    return standardized(x, tuple(axes), epsilon, False) * (1.0 if gamma is None else gamma.reshape(shape))


def _channels(call: Call, x: Spec, gamma: Spec | None = None, beta: Spec | None = None) -> Spec:
    if x.ndim < 2:
        raise call.shape_error("takes a batch axis and a channel axis", x=f"has {x.ndim} axes")
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    if axis == 0:
        raise call.shape_error("axis 0 is the batch; the channels are on another axis", axis="")
    check_scale(call, (x.shape[axis],), ("gamma", "beta"), (gamma, beta))
    return x.at(None)


def _group_norm(call: Call, x: Spec, gamma: Spec | None, beta: Spec | None) -> Spec:
    result = _channels(call, x, gamma, beta)
    groups, channels = call.attrs["groups"], x.static[call.attrs["axis"]]
    if not isinstance(groups, int) or groups < 1:
        raise call.attribute_error("groups must be a positive int", groups="")
    if channels % groups:
        raise call.shape_error(
            "the channels do not divide into so many groups", x=f"has {channels} channels", groups=""
        )
    require_elements(call, x, tuple(range(1, x.ndim)))
    return result


@op(infer=_group_norm, dtypes=FLOATING, promote=True, namespace="nn")
def group_norm(
    x: TensorLike, gamma: TensorLike | None = None, beta: TensorLike | None = None, /, *,
    groups: int, axis: int = -1, epsilon: float = 1e-3,
) -> Tensor:  # fmt: skip
    """Each example and group of channels to mean 0 and variance 1 over all positions, then scaled (Wu & He 2018).

    ``x``: [batch, ..., channels], channels on ``axis``, divided into ``groups`` of neighbours; ``gamma`` and ``beta``:
    [channels].  Raises ShapeError when the channels do not divide.
    """


@group_norm.decompose
def _(x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, groups: int, axis: int, epsilon: float) -> Tensor:
    parted = (groups, x.shape[axis] // groups)
    shape = (*x.shape[:axis], *parted, *x.shape[axis + 1 :])
    scale = (*parted, *[1] * (x.ndim - axis - 1))
    axes = tuple(a for a in range(1, len(shape)) if a != axis)
    whole = reshape(x, shape=shape)
    return reshape(
        standardize(whole, _beside(gamma, scale), _beside(beta, scale), axis=axes, epsilon=epsilon), shape=x.shape
    )


group_norm.samples(
    sample(real(shape=(2, 3, 4)), real(shape=(4,)), real(shape=(4,)), groups=2, epsilon=0.1),
    sample(real(shape=(2, 4, 3)), real(shape=(4,)), real(shape=(4,)), groups=2, axis=1, epsilon=0.1),
    sample(real(shape=(2, 4)), groups=1, epsilon=0.1),
    sample(real(shape=(0, 4)), groups=2),
)
group_norm.error_samples(
    error(ShapeError, "do not divide", real(shape=(2, 4)), groups=3),
    error(AttributeValueError, "positive int", real(shape=(2, 4)), groups=0),
    error(ShapeError, "axis 0 is the batch", real(shape=(2, 4)), groups=2, axis=0),
    error(ShapeError, "takes a batch axis", real(shape=(4,)), groups=2),
    error(ShapeError, "gamma does not fit", real(shape=(2, 4)), real(shape=(2,)), groups=2),
)


@group_norm.reference
def _(x: Array, gamma: Any = None, beta: Any = None, *, groups: int, axis: int, epsilon: float) -> Array:
    last = np.moveaxis(x, axis, -1)
    flat = last.reshape(x.shape[0], -1, groups, last.shape[-1] // groups) if x.size else last
    y = standardized(flat, (1, 3), epsilon, True).reshape(last.shape) if x.size else last
    return np.moveaxis(y * (1.0 if gamma is None else gamma) + (0.0 if beta is None else beta), -1, axis)


def _instance_norm(call: Call, x: Spec, gamma: Spec | None, beta: Spec | None) -> Spec:
    result = _channels(call, x, gamma, beta)
    if x.ndim < 3:
        raise call.shape_error("there are no positions to normalise over", "layer_norm takes vectors", x="")
    require_elements(call, x, tuple(a for a in range(1, x.ndim) if a != call.attrs["axis"]))
    return result


@op(infer=_instance_norm, dtypes=FLOATING, promote=True, namespace="nn")
def instance_norm(
    x: TensorLike, gamma: TensorLike | None = None, beta: TensorLike | None = None, /, *,
    axis: int = -1, epsilon: float = 1e-3,
) -> Tensor:  # fmt: skip
    """Each channel of each example to mean 0 and variance 1 over all positions, then scaled (Ulyanov et al. 2016).

    ``x``: [batch, ..., channels] with at least one axis of positions; ``gamma`` and ``beta``: [channels].
    """


@instance_norm.decompose
def _(x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, axis: int, epsilon: float) -> Tensor:
    scale = (-1, *[1] * (x.ndim - axis - 1))
    gamma, beta = (None if t is None else reshape(t, shape=scale) for t in (gamma, beta))
    axes = tuple(a for a in range(1, x.ndim) if a != axis)
    return standardize(x, gamma, beta, axis=axes, epsilon=epsilon)


instance_norm.samples(
    sample(real(shape=(2, 3, 2)), real(shape=(2,)), real(shape=(2,)), epsilon=0.1),
    sample(real(shape=(2, 2, 3, 2)), real(shape=(2,)), None, axis=1, epsilon=0.1),
)
instance_norm.error_samples(
    error(ShapeError, "no positions", real(shape=(2, 3))),
    error(ShapeError, "beta does not fit", real(shape=(2, 3, 4)), None, real(shape=(3,))),
)


@instance_norm.reference
def _(x: Array, gamma: Any = None, beta: Any = None, *, axis: int, epsilon: float) -> Array:
    y = standardized(x, tuple(a for a in range(1, x.ndim) if a != axis % x.ndim), epsilon, True)
    y = np.moveaxis(y, axis, -1) * (1.0 if gamma is None else gamma) + (0.0 if beta is None else beta)
    return np.moveaxis(y, -1, axis)
