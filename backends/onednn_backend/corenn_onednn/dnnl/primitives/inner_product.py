"""Inner products, the fully connected layer, and their gradients.

Shapes: src (n, c) or (n, c, *spatial), weights (o, c) or (o, c, *spatial), dst (n, o), bias (o,).  What matmul
computes too; here the gradient by the bias comes with that by the weights, and the library may choose other kernels.
"""

from __future__ import annotations

from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.attributes import Attributes
from corenn_onednn.dnnl.descriptors import Descriptor
from corenn_onednn.dnnl.primitive import Primitive, make


def forward(
    src: Descriptor,
    weights: Descriptor,
    dst: Descriptor,
    *,
    bias: Descriptor | None = None,
    training: bool = True,
    attributes: Attributes | None = None,
) -> Primitive:
    """``dst = post_ops(src @ weights.T + bias)``.  Arguments: src, weights, bias, dst, post_op_<i>."""
    kind = constants.FORWARD_TRAINING if training else constants.FORWARD_INFERENCE
    operands = {"src": src, "weights": weights, "bias": bias, "dst": dst}
    return make("inner product forward", "inner_product_forward", (kind,), operands, attributes=attributes)


def backward_data(
    diff_src: Descriptor,
    weights: Descriptor,
    diff_dst: Descriptor,
    *,
    forward: Primitive | None = None,
    attributes: Attributes | None = None,
) -> Primitive:
    """The gradient by ``src``.  Arguments: diff_dst, weights, diff_src.

    ``forward`` is the primitive whose gradient it is; without one, it is made.
    """
    hint = forward or _forward(diff_src, weights, diff_dst, None)
    return make(
        "inner product backward data",
        "inner_product_backward_data",
        (),
        {"diff_src": diff_src, "weights": weights, "diff_dst": diff_dst},
        (hint.plan,),
        attributes=attributes,
    )


def backward_weights(
    src: Descriptor,
    diff_weights: Descriptor,
    diff_dst: Descriptor,
    *,
    diff_bias: Descriptor | None = None,
    forward: Primitive | None = None,
    attributes: Attributes | None = None,
) -> Primitive:
    """The gradient by ``weights``, and by ``bias`` where ``diff_bias`` is given.

    Arguments: src, diff_dst, diff_weights, diff_bias.  ``forward`` as in ``backward_data``.
    """
    hint = forward or _forward(src, diff_weights, diff_dst, diff_bias)
    return make(
        "inner product backward weights",
        "inner_product_backward_weights",
        (),
        {"src": src, "diff_weights": diff_weights, "diff_bias": diff_bias, "diff_dst": diff_dst},
        (hint.plan,),
        attributes=attributes,
    )


def _forward(src: Descriptor, weights: Descriptor, dst: Descriptor, bias: Descriptor | None) -> Primitive:
    return forward(src, weights, dst, bias=bias)
