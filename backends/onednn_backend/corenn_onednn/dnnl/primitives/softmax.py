"""Softmax and its logarithm over one axis, and their gradients."""

from __future__ import annotations

from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.attributes import Attributes
from corenn_onednn.dnnl.descriptors import Descriptor
from corenn_onednn.dnnl.primitive import Primitive, make


def _algorithm(logarithm: bool) -> int:
    return constants.LOG_SOFTMAX if logarithm else constants.SOFTMAX


def forward(
    src: Descriptor,
    dst: Descriptor,
    axis: int,
    *,
    logarithm: bool = False,
    training: bool = True,
    attributes: Attributes | None = None,
) -> Primitive:
    """``dst = softmax(src)`` along ``axis`` (not negative), or its logarithm.  Arguments: src, dst."""
    kind = constants.FORWARD_TRAINING if training else constants.FORWARD_INFERENCE
    before = (kind, _algorithm(logarithm))
    operands = {"src": src, "dst": dst}
    return make("softmax forward", "softmax_forward", before, operands, (axis,), attributes=attributes)


def backward(
    diff_src: Descriptor,
    diff_dst: Descriptor,
    dst: Descriptor,
    axis: int,
    *,
    forward: Primitive,
    logarithm: bool = False,
    attributes: Attributes | None = None,
) -> Primitive:
    """The gradient by ``src`` of the primitive ``forward``, from its result.  Arguments: dst, diff_dst, diff_src."""
    return make(
        "softmax backward",
        "softmax_backward",
        (_algorithm(logarithm),),
        {"diff_src": diff_src, "diff_dst": diff_dst, "dst": dst},
        (axis, forward.plan),
        attributes=attributes,
    )
