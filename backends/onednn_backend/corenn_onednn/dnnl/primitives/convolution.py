"""Convolutions and their gradients.

Shapes: src (n, c, *in), weights (o, c, *kernel), or (groups, o / groups, c / groups, *kernel), dst (n, o, *out), bias
(o,).  ``padding`` is (before, after) for each spatial axis; ``dilation`` counts from 1, as everywhere else in corenn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.attributes import Attributes
from corenn_onednn.dnnl.descriptors import Descriptor, dims
from corenn_onednn.dnnl.primitive import Primitive, make

Pairs = Sequence[tuple[int, int]]


def _windows(strides: Sequence[int], dilation: Sequence[int] | None, padding: Pairs) -> tuple[Any, ...]:
    gaps = [0] * len(strides) if dilation is None else [d - 1 for d in dilation]  # oneDNN counts from 0
    return dims(strides), dims(gaps), dims([p[0] for p in padding]), dims([p[1] for p in padding])


def forward(
    src: Descriptor,
    weights: Descriptor,
    dst: Descriptor,
    *,
    strides: Sequence[int],
    padding: Pairs,
    dilation: Sequence[int] | None = None,
    bias: Descriptor | None = None,
    training: bool = True,
    attributes: Attributes | None = None,
) -> Primitive:
    """``dst = post_ops(conv(src, weights) + bias)``.  Arguments: src, weights, bias, dst, post_op_<i>.

    ``training`` says that gradients will be wanted, which may decide a layout ("any").
    """
    kind = constants.FORWARD_TRAINING if training else constants.FORWARD_INFERENCE
    return make(
        "convolution forward",
        "convolution_forward",
        (kind, constants.CONVOLUTION_DIRECT),
        {"src": src, "weights": weights, "bias": bias, "dst": dst},
        _windows(strides, dilation, padding),
        attributes=attributes,
    )


def _hint(
    src: Descriptor, weights: Descriptor, dst: Descriptor, strides: Sequence[int], padding: Pairs,
    dilation: Sequence[int] | None, bias: Descriptor | None,
) -> Primitive:  # fmt: skip
    return forward(src, weights, dst, strides=strides, padding=padding, dilation=dilation, bias=bias)


def backward_data(
    diff_src: Descriptor,
    weights: Descriptor,
    diff_dst: Descriptor,
    *,
    strides: Sequence[int],
    padding: Pairs,
    dilation: Sequence[int] | None = None,
    forward: Primitive | None = None,
    attributes: Attributes | None = None,
) -> Primitive:
    """The gradient by ``src``.  Arguments: diff_dst, weights, diff_src.

    ``forward`` is the primitive whose gradient it is; without one, it is made.
    """
    hint = forward or _hint(diff_src, weights, diff_dst, strides, padding, dilation, None)
    return make(
        "convolution backward data",
        "convolution_backward_data",
        (constants.CONVOLUTION_DIRECT,),
        {"diff_src": diff_src, "weights": weights, "diff_dst": diff_dst},
        (*_windows(strides, dilation, padding), hint.plan),
        attributes=attributes,
    )


def backward_weights(
    src: Descriptor,
    diff_weights: Descriptor,
    diff_dst: Descriptor,
    *,
    strides: Sequence[int],
    padding: Pairs,
    dilation: Sequence[int] | None = None,
    diff_bias: Descriptor | None = None,
    forward: Primitive | None = None,
    attributes: Attributes | None = None,
) -> Primitive:
    """The gradient by ``weights``, and by ``bias`` where ``diff_bias`` is given.

    Arguments: src, diff_dst, diff_weights, diff_bias.  ``forward`` as in ``backward_data``.
    """
    hint = forward or _hint(src, diff_weights, diff_dst, strides, padding, dilation, diff_bias)
    return make(
        "convolution backward weights",
        "convolution_backward_weights",
        (constants.CONVOLUTION_DIRECT,),
        {"src": src, "diff_weights": diff_weights, "diff_bias": diff_bias, "diff_dst": diff_dst},
        (*_windows(strides, dilation, padding), hint.plan),
        attributes=attributes,
    )
