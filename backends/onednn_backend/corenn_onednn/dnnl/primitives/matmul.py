"""Matrix products."""

from __future__ import annotations

from corenn_onednn.dnnl.attributes import Attributes
from corenn_onednn.dnnl.descriptors import Descriptor
from corenn_onednn.dnnl.primitive import Primitive, make


def matmul(
    src: Descriptor,
    weights: Descriptor,
    dst: Descriptor,
    *,
    bias: Descriptor | None = None,
    attributes: Attributes | None = None,
    implementation: str | None = None,
) -> Primitive:
    """``dst[..., m, n] = post_ops(src[..., m, k] @ weights[..., k, n] + bias)``.

    All have the same number of axes, up to twelve; those before the last two broadcast.  A transposed operand is one
    with the strides of its transpose.  ``bias`` has the rank of ``dst`` and broadcasts to it: (1, n) for a vector.
    Arguments: src, weights, bias, dst, and post_op_<i>.  ``implementation``: a part of the name of the only one that
    will do, such as "brg" or "gemm"; products of a transposed ``src``, gradients of weights, are faster by the latter.
    """
    operands = {"src": src, "weights": weights, "bias": bias, "dst": dst}
    return make("matmul", "matmul", (), operands, attributes=attributes, implementation=implementation)
