"""Elementwise functions of one and two operands, sums of many, reductions, and changes of layout or dtype."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.attributes import Attributes
from corenn_onednn.dnnl.descriptors import Descriptor
from corenn_onednn.dnnl.library import load
from corenn_onednn.dnnl.primitive import Primitive, make


def eltwise_forward(
    name: str,
    src: Descriptor,
    dst: Descriptor,
    *,
    alpha: float = 0.0,
    beta: float = 0.0,
    training: bool = True,
    attributes: Attributes | None = None,
) -> Primitive:
    """``dst = function(src)``, see ``constants.ELTWISE``.  Arguments: src, dst (may be one memory)."""
    kind = constants.FORWARD_TRAINING if training else constants.FORWARD_INFERENCE
    return make(
        f"{name} forward",
        "eltwise_forward",
        (kind, constants.ELTWISE[name]),
        {"src": src, "dst": dst},
        (alpha, beta),
        attributes=attributes,
    )


def eltwise_backward(
    name: str,
    diff_src: Descriptor,
    diff_dst: Descriptor,
    data: Descriptor,
    *,
    forward: Primitive,
    alpha: float = 0.0,
    beta: float = 0.0,
    attributes: Attributes | None = None,
) -> Primitive:
    """The gradient of the primitive ``forward``.

    ``data`` is its operand, argument ``src``; for names that end in "_of_result", its result, argument ``dst``.
    Arguments: that, diff_dst, diff_src.
    """
    return make(
        f"{name} backward",
        "eltwise_backward",
        (constants.ELTWISE[name],),
        {"diff_src": diff_src, "diff_dst": diff_dst, "data": data},
        (alpha, beta, forward.plan),
        arguments=["dst" if name.endswith("_of_result") else "src", "diff_dst", "diff_src"],
        attributes=attributes,
    )


def binary(
    name: str, src: Descriptor, src_1: Descriptor, dst: Descriptor, *, attributes: Attributes | None = None
) -> Primitive:
    """``dst = function(src, src_1)``; ``src_1`` broadcasts to ``src``.  Arguments: src, src_1, dst."""
    operands = {"src": src, "src_1": src_1, "dst": dst}
    return make(f"{name} of two", "binary", (constants.BINARY[name],), operands, attributes=attributes)


def reduction(
    name: str,
    src: Descriptor,
    dst: Descriptor,
    *,
    p: float = 0.0,
    epsilon: float = 0.0,
    attributes: Attributes | None = None,
) -> Primitive:
    """Reduce the axes that have extent 1 in ``dst`` (of the rank of ``src``).  Arguments: src, dst."""
    operands = {"src": src, "dst": dst}
    before = (constants.REDUCTION[name],)
    return make(f"{name} reduction", "reduction", before, operands, (p, epsilon), attributes=attributes)


def add_up(
    sources: Sequence[Descriptor], dst: Descriptor, *, scales: Sequence[float] | None = None,
    attributes: Attributes | None = None,
) -> Primitive:  # fmt: skip
    """``dst = sum of scales[i] * sources[i]``, of one shape.  Arguments: src_many_<i>, dst."""
    count = len(sources)
    factors = (ctypes.c_float * count)(*(scales or [1.0] * count))
    handles = (ctypes.c_void_p * count)(*(each.handle for each in sources))
    return make(
        "sum of many",
        "sum",
        (),
        {"dst": dst},
        (count, factors, handles),
        arguments=["dst", *(f"src_many_{i}" for i in range(count))],
        attributes=attributes,
    )


def reorder(src: Descriptor, dst: Descriptor, *, attributes: Attributes | None = None) -> Primitive:
    """Copy into another layout or dtype.  Arguments: src, dst."""
    engine = load().engine
    # The one function whose engines stand beside the descriptors.
    return make(
        "reorder",
        "reorder",
        (src.handle, engine, dst.handle, engine),
        {},
        arguments=["src", "dst"],
        attributes=attributes,
        engine=False,
        told={"src": src, "dst": dst},
    )
