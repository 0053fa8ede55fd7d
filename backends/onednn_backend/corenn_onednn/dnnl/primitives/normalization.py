"""Batch and layer normalisation and their gradients.

``y = (x - mean) / sqrt(variance + epsilon) * scale + shift``, with the variance of the population.  Statistics, scale
and shift are float32, whatever the dtype of ``x``.
"""

from __future__ import annotations

from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.attributes import Attributes
from corenn_onednn.dnnl.descriptors import Descriptor
from corenn_onednn.dnnl.primitive import Primitive, make


def _flags(statistics: bool, scale: bool, shift: bool, relu: bool = False) -> int:
    chosen = (
        (statistics, constants.USE_GLOBAL_STATISTICS),
        (scale, constants.USE_SCALE),
        (shift, constants.USE_SHIFT),
        (relu, constants.FUSE_RELU),
    )
    return sum(flag for wanted, flag in chosen if wanted)


def _parameters(scale: bool, shift: bool) -> list[str]:
    return [name for name, wanted in (("scale", scale), ("shift", shift)) if wanted]


def batch_forward(
    src: Descriptor,
    dst: Descriptor,
    epsilon: float,
    *,
    training: bool = True,
    scale: bool = True,
    shift: bool = True,
    relu: bool = False,
    given_statistics: bool | None = None,
    attributes: Attributes | None = None,
) -> Primitive:
    """Normalise (n, c, *spatial) over everything but c.

    Arguments: src, dst, mean, variance (results unless ``given_statistics``, whose default is ``not training``), scale,
    shift: (c,) each; with ``relu`` and ``training`` a workspace.  ``relu``: negative results become 0.
    """
    given = not training if given_statistics is None else given_statistics
    kind = constants.FORWARD_TRAINING if training else constants.FORWARD_INFERENCE
    statistics = ["mean", "variance"] if training or given else []
    return make(
        "batch normalisation forward",
        "batch_normalization_forward",
        (kind,),
        {"src": src, "dst": dst},
        (epsilon, _flags(given, scale, shift, relu)),
        arguments=["src", "dst", *statistics, *_parameters(scale, shift)],
        attributes=attributes,
    )


def batch_backward(
    diff_src: Descriptor,
    diff_dst: Descriptor,
    src: Descriptor,
    epsilon: float,
    *,
    forward: Primitive,
    scale: bool = True,
    shift: bool = True,
    relu: bool = False,
    given_statistics: bool = False,
    attributes: Attributes | None = None,
) -> Primitive:
    """The gradient of the primitive ``forward``, by src, scale and shift.

    Arguments: src, mean, variance, diff_dst, diff_src, scale, diff_scale, diff_shift, and the workspace of a ReLU.
    """
    affine = scale or shift
    given = ["scale"] if scale else []
    return make(
        "batch normalisation backward",
        "batch_normalization_backward",
        (constants.BACKWARD if affine else constants.BACKWARD_DATA,),
        {"diff_src": diff_src, "diff_dst": diff_dst, "src": src},
        (epsilon, _flags(given_statistics, scale, shift, relu), forward.plan),
        arguments=[
            "diff_src", "diff_dst", "src", "mean", "variance", *given,
            *(f"diff_{name}" for name in _parameters(scale, shift)),
        ],
        attributes=attributes,
    )  # fmt: skip


def layer_forward(
    src: Descriptor,
    dst: Descriptor,
    epsilon: float,
    *,
    training: bool = True,
    scale: bool = True,
    shift: bool = True,
    statistics: Descriptor | None = None,
    attributes: Attributes | None = None,
) -> Primitive:
    """Normalise over the last axis of (..., c).

    Arguments: src, dst, scale and shift (c,); with ``training`` the results mean and variance, described by
    ``statistics`` (default: row-major, the shape without its last axis).
    """
    statistics = statistics or Descriptor(src.shape[:-1])
    kind = constants.FORWARD_TRAINING if training else constants.FORWARD_INFERENCE
    return make(
        "layer normalisation forward",
        "layer_normalization_forward",
        (kind,),
        {"src": src, "dst": dst, "statistics": statistics},
        (epsilon, _flags(False, scale, shift)),
        arguments=["src", "dst", *(["mean", "variance"] if training else []), *_parameters(scale, shift)],
        attributes=attributes,
    )


def layer_backward(
    diff_src: Descriptor,
    diff_dst: Descriptor,
    src: Descriptor,
    epsilon: float,
    *,
    forward: Primitive,
    scale: bool = True,
    shift: bool = True,
    statistics: Descriptor | None = None,
    attributes: Attributes | None = None,
) -> Primitive:
    """The gradient of the primitive ``forward``, by src, scale and shift.

    Arguments: src, mean, variance, diff_dst, diff_src, scale, shift (asked for, though nothing depends on it),
    diff_scale, diff_shift.
    """
    statistics = statistics or Descriptor(src.shape[:-1])
    return make(
        "layer normalisation backward",
        "layer_normalization_backward",
        (constants.BACKWARD if scale or shift else constants.BACKWARD_DATA,),
        {"diff_src": diff_src, "diff_dst": diff_dst, "src": src, "statistics": statistics},
        (epsilon, _flags(False, scale, shift), forward.plan),
        arguments=[
            "diff_src", "diff_dst", "src", "mean", "variance", *_parameters(scale, shift),
            *(f"diff_{name}" for name in _parameters(scale, shift)),
        ],
        attributes=attributes,
    )  # fmt: skip
