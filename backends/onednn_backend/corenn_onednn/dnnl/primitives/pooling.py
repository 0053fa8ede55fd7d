"""Pooling and its gradient.

``kind`` is "max", "average" (of the elements inside) or "average_with_padding" (padding counts as zeros).  Shapes: src
(n, c, *in), dst (n, c, *out).  ``padding`` is (before, after) for each spatial axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.attributes import Attributes
from corenn_onednn.dnnl.descriptors import Descriptor, dims
from corenn_onednn.dnnl.primitive import Primitive, make

Pairs = Sequence[tuple[int, int]]


def _windows(window: Sequence[int], strides: Sequence[int], padding: Pairs) -> tuple[Any, ...]:
    gaps = dims([0] * len(window))  # no dilation: corenn's poolings have none
    return dims(strides), dims(window), gaps, dims([p[0] for p in padding]), dims([p[1] for p in padding])


def forward(
    kind: str,
    src: Descriptor,
    dst: Descriptor,
    *,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Pairs,
    training: bool = True,
    attributes: Attributes | None = None,
) -> Primitive:
    """``dst = pool(src)``.  Arguments: src, dst, and with ``training`` the workspace of a maximum (where it was)."""
    step = constants.FORWARD_TRAINING if training else constants.FORWARD_INFERENCE
    return make(
        f"{kind} pooling forward",
        "pooling_forward",
        (step, constants.POOLING[kind]),
        {"src": src, "dst": dst},
        _windows(window, strides, padding),
        attributes=attributes,
    )


def backward(
    kind: str,
    diff_src: Descriptor,
    diff_dst: Descriptor,
    *,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Pairs,
    forward: Primitive,
    attributes: Attributes | None = None,
) -> Primitive:
    """The gradient of the primitive ``forward``.  Arguments: diff_dst, diff_src, and its workspace if it has one."""
    return make(
        f"{kind} pooling backward",
        "pooling_backward",
        (constants.POOLING[kind],),
        {"diff_src": diff_src, "diff_dst": diff_dst},
        (*_windows(window, strides, padding), forward.plan),
        attributes=attributes,
    )
