"""Convolution over one to three spatial axes, and its two gradients: three ops that are each other's derivatives.

``conv`` is linear in the operand and in the weights, so it, ``conv_input_grad`` and ``conv_weight_grad`` are the three
faces of one trilinear form (operand, weights, gradient of the result), and each one's gradients are the other two:
any order of differentiation works.  The forms with names of their own are in ``convolution_forms``.

What is computed is the cross-correlation that deep learning calls convolution: the kernel is not flipped.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from corenn.dtypes import INEXACT
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops import _convolution as parts
from corenn.ops.contraction import matmul
from corenn.ops.creation import zeros
from corenn.ops.elementwise import add, cast, conjugated
from corenn.ops.sampling import error, integer, real, sample
from corenn.ops.shaping import concatenate, reshape, stack, transpose
from corenn.ops.table import TensorLike, op
from corenn.ops.windows import (
    Ints,
    Padding,
    Pairs,
    Phase,
    arrange,
    channel_axis,
    phases,
    spatial,
    spatial_axes,
)
from corenn.spec import Spec
from corenn.tensor import Tensor

# Up to so many elements in one window, one product of all taps side by side beats a thin product for each tap.
_FEW = 64


@op(infer=parts.infer_conv, promote=True, dtypes=INEXACT, namespace="nn")
def conv(
    x: TensorLike,
    w: TensorLike,
    /,
    *,
    strides: Ints = 1,
    padding: Padding = "VALID",
    dilation: Ints = 1,
    groups: int = 1,
    layout: str | None = None,
) -> Tensor:
    """Convolution (cross-correlation) over 1, 2 or 3 spatial axes.

    ``x``: ``[batch, *spatial, channels]``, or as ``layout`` says: "NWC", "NHWC", "NDHWC" (the default for its number
    of axes) or "NCW", "NCHW", "NCDHW".  ``w``: ``[*kernel, channels / groups, out]`` in every layout.  Floating or
    complex, promoted to one dtype; half precision is computed in float32.  Result: ``x`` with the spatial extents
    ``(n + before + after - span) // stride + 1``, ``span = (kernel - 1) * dilation + 1``, and ``out`` channels.

    ``strides``, ``dilation``: an int, or one for each spatial axis.  ``padding``: "VALID" (none), "SAME"
    (``ceil(n / stride)`` results, the odd element of padding at the end), an int, ints, or (before, after) pairs.
    ``groups``: the channels are divided into so many groups, convolved apart; with as many groups as channels this is
    a depthwise convolution.

    Raises ShapeError when the channels do not match, the groups do not divide them or the kernel is larger than the
    padded operand; AttributeValueError for an unknown layout or padding.  Source: Dumoulin & Visin, *A guide to
    convolution arithmetic for deep learning*, arXiv:1603.07285; SAME as in TensorFlow's ``nn.convolution``.
    """


@op(infer=parts.infer_input_grad, promote=True, dtypes=INEXACT, namespace="nn")
def conv_input_grad(
    dy: TensorLike,
    w: TensorLike,
    /,
    *,
    size: Ints,
    strides: Ints = 1,
    padding: Padding = "VALID",
    dilation: Ints = 1,
    groups: int = 1,
    layout: str | None = None,
) -> Tensor:
    """The gradient of ``conv(x, w, ...)`` with respect to ``x``, which is also the transposed convolution of ``dy``.

    ``dy``: the gradient of the result, of its shape.  ``w``: the weights.  ``size``: the spatial extents of ``x``;
    the other attributes are those of the convolution.  Result: the shape of ``x``.  Raises ShapeError when ``dy`` is
    not what the convolution of an operand of ``size`` gives.  Linear in ``dy`` and in ``w``.
    """


@op(infer=parts.infer_weight_grad, promote=True, dtypes=INEXACT, namespace="nn")
def conv_weight_grad(
    x: TensorLike,
    dy: TensorLike,
    /,
    *,
    size: Ints,
    strides: Ints = 1,
    padding: Padding = "VALID",
    dilation: Ints = 1,
    groups: int = 1,
    layout: str | None = None,
) -> Tensor:
    """The gradient of ``conv(x, w, ...)`` with respect to ``w``.

    ``x``: the operand.  ``dy``: the gradient of the result, of its shape.  ``size``: the extents of the kernel; the
    other attributes are those of the convolution.  Result: the shape of ``w``.  Raises ShapeError when ``dy`` is not
    what the convolution gives.  Linear in ``x`` and in ``dy``.
    """


# ---------------------------------------------------------------- decompositions


@conv.decompose
def _(x: Tensor, w: Tensor, *, strides: Any, padding: Pairs, dilation: Any, groups: int, layout: str) -> Tensor:
    # One product for each tap of the kernel, over all windows at once.
    dtype, kernel, inner, outer = x.dtype, w.shape[:-2], w.shape[-2], w.shape[-1]
    taps = parts.taps(parts.widened(parts.channels_last(x, layout)), kernel, strides, padding, dilation)
    extents, count = taps[0].shape[:-1], len(taps)
    weights = reshape(parts.widened(w), shape=(count, inner, outer))
    if inner == 1 and groups > 1:
        result = parts.depthwise(taps, reshape(weights, shape=(count, groups, outer // groups)))
    else:
        if groups == 1 and count > 1 and count * inner <= _FEW:
            taps, weights = [concatenate(taps, axis=-1)], reshape(weights, shape=(1, count * inner, outer))
        result = matmul(parts.rows(taps[0], groups), parts.rows(parts.row(weights, 0), groups))
        for i in range(1, len(taps)):
            result = add(result, matmul(parts.rows(taps[i], groups), parts.rows(parts.row(weights, i), groups)))
        result = transpose(result, axes=(1, 0, 2)) if groups > 1 else result
    return cast(parts.from_channels_last(reshape(result, shape=(*extents, outer)), layout), dtype=dtype)


@conv_input_grad.decompose
def _(
    dy: Tensor, w: Tensor, *, size: Any, strides: Any, padding: Pairs, dilation: Any, groups: int, layout: str
) -> Tensor:
    # For each residue modulo the strides, a convolution of dy with the taps that touch it; then they are interleaved.
    rank, kernel, inner, outer = len(size), w.shape[:-2], w.shape[-2], w.shape[-1] // groups
    swapped = reshape(w, shape=(*kernel, inner, groups, outer))
    swapped = transpose(swapped, axes=(*range(rank), rank + 2, rank + 1, rank))
    swapped = reshape(swapped, shape=(*kernel, outer, groups * inner))
    counts = tuple(-(-n // s) for n, s in zip(size, strides, strict=True))
    along = [phases(k, s, d, p[0]) for k, s, d, p in zip(kernel, strides, dilation, padding, strict=True)]
    pieces = [
        _phase(dy, swapped, phase, counts, groups, layout)
        if all(p.count for p in phase)
        else zeros(arrange(dy.shape[0], counts, groups * inner, layout), dy.dtype, device=dy.spec.device)
        for phase in itertools.product(*along)
    ]
    whole = parts.interleave(pieces, strides, layout)
    return parts.cut(whole, *(slice(0, n) for n in arrange(dy.shape[0], size, groups * inner, layout)))


def _phase(
    dy: Tensor, swapped: Tensor, phase: tuple[Phase, ...], counts: tuple[int, ...], groups: int, layout: str
) -> Tensor:
    """The gradients of the elements of one residue: a convolution of stride 1 over the part of dy that they see."""
    cut: list[slice] = [slice(None)] * dy.ndim
    padding = []
    for axis, p, count in zip(spatial_axes(layout), phase, counts, strict=True):
        end = p.start + count - 1 + (p.count - 1) * p.dilation + 1
        n = dy.shape[axis]
        first, last = min(max(p.start, 0), n), min(max(end, 0), n)
        cut[axis] = slice(first, last)
        before = max(0, min(-p.start, end - p.start))
        padding.append((before, end - p.start - before - (last - first)))
    weights = parts.cut(swapped, *(p.taps for p in phase))
    return conv(
        parts.cut(dy, *cut),
        weights,
        strides=1,
        padding=tuple(padding),
        dilation=tuple(p.dilation for p in phase),
        groups=groups,
        layout=layout,
    )


@conv_weight_grad.decompose
def _(
    x: Tensor, dy: Tensor, *, size: Any, strides: Any, padding: Pairs, dilation: Any, groups: int, layout: str
) -> Tensor:
    dtype, inner, outer = x.dtype, x.shape[channel_axis(layout)] // groups, dy.shape[channel_axis(layout)]
    taps = parts.taps(parts.widened(parts.channels_last(x, layout)), size, strides, padding, dilation)
    rows = parts.rows(parts.widened(parts.channels_last(dy, layout)), groups)
    if groups == 1 and len(taps) * inner <= _FEW:
        result = matmul(parts.rows(concatenate(taps, axis=-1), 1), rows, transpose_a=True)
    else:
        result = stack([matmul(parts.rows(tap, groups), rows, transpose_a=True) for tap in taps])
        result = transpose(result, axes=(0, 2, 1, 3)) if groups > 1 else result
    return cast(reshape(result, shape=(*size, inner, outer)), dtype=dtype)


# ---------------------------------------------------------------- gradients


def _conv_x(
    g: Tensor, x_spec: Spec, w: Tensor, strides: Any, padding: Any, dilation: Any, groups: int, layout: str
) -> Tensor:
    return conv_input_grad(
        g, conjugated(w), size=tuple(x_spec.static[axis] for axis in spatial_axes(layout)),
        strides=strides, padding=padding, dilation=dilation, groups=groups, layout=layout,
    )  # fmt: skip


def _conv_w(
    g: Tensor, x: Tensor, w_spec: Spec, strides: Any, padding: Any, dilation: Any, groups: int, layout: str
) -> Tensor:
    return conv_weight_grad(
        conjugated(x), g, size=w_spec.static[:-2],
        strides=strides, padding=padding, dilation=dilation, groups=groups, layout=layout,
    )  # fmt: skip


def _input_grad_dy(g: Tensor, w: Tensor, strides: Any, padding: Any, dilation: Any, groups: int, layout: str) -> Tensor:
    return conv(g, conjugated(w), strides=strides, padding=padding, dilation=dilation, groups=groups, layout=layout)


def _input_grad_w(
    g: Tensor, dy: Tensor, w_spec: Spec, strides: Any, padding: Any, dilation: Any, groups: int, layout: str
) -> Tensor:
    return _conv_w(conjugated(dy), conjugated(g), w_spec, strides, padding, dilation, groups, layout)


def _weight_grad_x(
    g: Tensor, x_spec: Spec, dy: Tensor, strides: Any, padding: Any, dilation: Any, groups: int, layout: str
) -> Tensor:
    return _conv_x(conjugated(dy), x_spec, conjugated(g), strides, padding, dilation, groups, layout)


def _weight_grad_dy(
    g: Tensor, x: Tensor, strides: Any, padding: Any, dilation: Any, groups: int, layout: str
) -> Tensor:
    return conv(conjugated(x), g, strides=strides, padding=padding, dilation=dilation, groups=groups, layout=layout)


conv.vjp(x=_conv_x, w=_conv_w)
conv_input_grad.vjp(dy=_input_grad_dy, w=_input_grad_w)
conv_weight_grad.vjp(x=_weight_grad_x, dy=_weight_grad_dy)


# ---------------------------------------------------------------- samples and references

_x1, _x2, _x3 = real(shape=(2, 7, 2)), real(shape=(2, 5, 4, 2)), real(shape=(1, 3, 4, 3, 1))
conv.samples(
    sample(_x1, real(shape=(3, 2, 3))),
    sample(_x1, real(shape=(2, 2, 2)), strides=2, padding="SAME", dilation=2),
    sample(_x2, real(shape=(3, 2, 2, 3)), padding="SAME"),
    sample(_x2, real(shape=(2, 3, 2, 2)), strides=(2, 1), padding=((1, 0), (2, 1))),
    sample(_x2, real(shape=(1, 1, 2, 3)), strides=2, name="pointwise"),
    sample(_x2, real(shape=(2, 2, 1, 4)), groups=2, dilation=(2, 1), name="depthwise"),
    sample(real(shape=(1, 4, 3, 4)), real(shape=(2, 2, 2, 6)), groups=2, padding=1),
    sample(real(shape=(2, 2, 4, 3)), real(shape=(3, 2, 2, 3)), padding="SAME", strides=2, layout="NCHW"),
    sample(real(shape=(1, 4, 5)), real(shape=(2, 2, 4)), groups=2, layout="NCW", name="groups"),
    sample(_x3, real(shape=(2, 2, 2, 1, 2)), strides=(1, 2, 1)),
    sample(real(shape=(1, 1, 3, 3, 2)), real(shape=(2, 2, 1, 1, 2)), layout="NCDHW"),
    sample(real(shape=(0, 4, 4, 2)), real(shape=(3, 3, 2, 2)), name="empty"),
)
conv.error_samples(
    error(ShapeError, "x has 3 channels, and w takes 4", real(shape=(1, 5, 5, 3)), real(shape=(3, 3, 4, 2))),
    error(ShapeError, "groups=2 would fit", real(shape=(1, 5, 5, 4)), real(shape=(3, 3, 2, 2))),
    error(ShapeError, "2 in each of 3 groups", real(shape=(1, 5, 5, 4)), real(shape=(3, 3, 2, 6)), groups=3),
    error(ShapeError, "layout='NCHW'", real(shape=(1, 3, 5, 5)), real(shape=(3, 3, 3, 2))),
    error(ShapeError, "must be transposed", real(shape=(1, 5, 5, 3)), real(shape=(8, 3, 2, 2))),
    error(ShapeError, "do not divide into 2 groups", real(shape=(1, 5, 5, 4)), real(shape=(3, 3, 2, 5)), groups=2),
    error(ShapeError, "size would be negative", real(shape=(1, 4, 6, 1)), real(shape=(3, 3, 1, 1)), dilation=2),
    error(ShapeError, "at most 4", real(shape=(1, 4, 6, 1)), real(shape=(5, 5, 1, 1))),
    error(ShapeError, "1 to 3 spatial axes", real(shape=(4, 6)), real(shape=(3, 3))),
    error(ShapeError, "x[None]", real(shape=(4, 6, 1)), real(shape=(3, 3, 1, 1)), layout="NHWC"),
    error(ShapeError, "w needs 4 axes", real(shape=(1, 4, 6, 1)), real(shape=(3, 1, 1))),
    error(ShapeError, "kernel is empty", real(shape=(1, 4, 6, 1)), real(shape=(0, 3, 1, 1))),
    error(AttributeValueError, "or 'NHWC'", real(shape=(1, 4, 4, 1)), real(shape=(2, 2, 1, 1)), layout="NHCW"),
    error(AttributeValueError, "did you mean 'SAME'", real(shape=(1, 4, 1)), real(shape=(2, 1, 1)), padding="SAM"),
    error(AttributeValueError, "(before, after)", real(shape=(1, 4, 1)), real(shape=(2, 1, 1)), padding=(1, 2)),
    error(AttributeValueError, "an int of at least 0", real(shape=(1, 4, 1)), real(shape=(2, 1, 1)), padding=-1),
    error(
        AttributeValueError, "strides=(2, 2)", real(shape=(1, 4, 4, 1)), real(shape=(2, 2, 1, 1)), strides=(1, 2, 2, 1)
    ),
    error(AttributeValueError, "strides must be", real(shape=(1, 4, 1)), real(shape=(2, 1, 1)), strides=0),
    error(AttributeValueError, "dilation must be", real(shape=(1, 4, 1)), real(shape=(2, 1, 1)), dilation=1.5),
    error(AttributeValueError, "groups must be", real(shape=(1, 4, 1)), real(shape=(2, 1, 1)), groups=0),
    error(DTypeError, "takes floating", integer(shape=(1, 4, 1)), integer(shape=(2, 1, 1))),
)
conv.reference(lambda x, w, **attrs: parts.reference_conv(conv.op, x, w, attrs))
conv.terms(lambda x, w, **attrs: math.prod(w.static[:-1]))

conv_input_grad.samples(
    sample(real(shape=(2, 5, 3)), real(shape=(3, 2, 3)), size=7),
    sample(real(shape=(2, 4, 2)), real(shape=(2, 2, 2)), size=7, strides=2, padding="SAME", dilation=2),
    sample(real(shape=(2, 3, 4, 2)), real(shape=(2, 3, 2, 2)), size=(5, 4), strides=(2, 1), padding=((1, 0), (1, 1))),
    sample(real(shape=(1, 2, 2, 3)), real(shape=(1, 1, 2, 3)), size=(4, 3), strides=2, name="pointwise"),
    sample(real(shape=(1, 3, 3, 4)), real(shape=(2, 2, 1, 4)), size=4, groups=2, name="depthwise"),
    sample(real(shape=(1, 6, 2, 3)), real(shape=(3, 2, 2, 6)), size=4, groups=2, strides=2, padding=1, layout="NCHW"),
    sample(real(shape=(1, 2, 1, 2, 2)), real(shape=(2, 2, 1, 1, 2)), size=(3, 3, 4), strides=(1, 3, 2)),
)
conv_input_grad.error_samples(
    error(ShapeError, "convolution of (9,) has 7", real(shape=(1, 4, 2)), real(shape=(3, 2, 2)), size=9),
    error(ShapeError, "dy has 3 channels", real(shape=(1, 4, 3)), real(shape=(3, 2, 2)), size=6),
    error(ShapeError, "size would be negative", real(shape=(1, 4, 2)), real(shape=(3, 2, 2)), size=2),
    error(AttributeValueError, "size must be", real(shape=(1, 4, 2)), real(shape=(3, 2, 2)), size=(6, 6)),
)
conv_input_grad.reference(lambda dy, w, **attrs: parts.reference_input_grad(conv_input_grad.op, dy, w, attrs))
conv_input_grad.terms(lambda dy, w, *, groups, **_: math.prod(w.static) // (w.static[-2] * groups or 1))

conv_weight_grad.samples(
    sample(_x1, real(shape=(2, 5, 3)), size=3),
    sample(_x1, real(shape=(2, 4, 2)), size=2, strides=2, padding="SAME", dilation=2),
    sample(_x2, real(shape=(2, 3, 4, 2)), size=(2, 3), strides=(2, 1), padding=((1, 0), (1, 1))),
    sample(_x2, real(shape=(2, 3, 2, 3)), size=1, strides=2, name="pointwise"),
    sample(_x2, real(shape=(2, 4, 3, 4)), size=2, groups=2, name="depthwise"),
    sample(
        real(shape=(1, 4, 4, 4)),
        real(shape=(1, 6, 2, 2)),
        size=(3, 2),
        groups=2,
        strides=2,
        padding="SAME",
        layout="NCHW",
    ),
    sample(_x3, real(shape=(1, 2, 2, 2, 2)), size=2, strides=(1, 2, 1)),
)
conv_weight_grad.error_samples(
    error(ShapeError, "convolution of x has 5", _x1, real(shape=(2, 4, 3)), size=3),
    error(ShapeError, "the same batch", _x1, real(shape=(1, 5, 3)), size=3),
    error(ShapeError, "do not divide into 2 groups", _x1, real(shape=(2, 5, 3)), size=3, groups=2),
)
conv_weight_grad.reference(lambda x, dy, **attrs: parts.reference_weight_grad(conv_weight_grad.op, x, dy, attrs))
conv_weight_grad.terms(lambda x, dy, *, layout, **_: math.prod((dy.static[0], *spatial(dy.static, layout))))


# ---------------------------------------------------------------- transposed convolution


@op(infer=parts.infer_transpose, promote=True, dtypes=INEXACT, namespace="nn")
def conv_transpose(
    x: TensorLike,
    w: TensorLike,
    /,
    *,
    strides: Ints = 1,
    padding: Padding = "VALID",
    dilation: Ints = 1,
    groups: int = 1,
    layout: str | None = None,
    size: Ints | None = None,
    output_padding: Ints | None = None,
) -> Tensor:
    """Transposed convolution ("deconvolution"): the gradient of ``conv`` with respect to its operand, as a layer.

    ``x``: ``[batch, *spatial, channels]`` (or as ``layout`` says, see ``conv``).  ``w``: ``[*kernel, out / groups,
    channels]``: the weights of the convolution from the result back to ``x``.  Result: ``x`` with ``out`` channels and
    the spatial extents ``size``, or else, with ``span = (kernel - 1) * dilation + 1``, as in TensorFlow and Keras

    - "SAME": ``n * stride``;  "VALID": ``n * stride + max(span - stride, 0)``;
    - explicit padding: ``(n - 1) * stride + span - before - after + output_padding``, as in PyTorch;
    - with ``output_padding``: as explicit padding, of ``2 * (span // 2)`` in all for "SAME" and 0 for "VALID".

    ``size``, ``output_padding``: an int, or one for each spatial axis; at most one of them.  Raises ShapeError when
    channels do not match or no convolution of ``size`` gives ``x``.  Source: Dumoulin & Visin, arXiv:1603.07285.
    """


@conv_transpose.decompose
def _(
    x: Tensor,
    w: Tensor,
    *,
    strides: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    layout: str,
    size: Any,
    output_padding: None,
) -> Tensor:
    return conv_input_grad(
        x, w, size=size, strides=strides, padding=padding, dilation=dilation, groups=groups, layout=layout
    )


conv_transpose.samples(
    sample(real(shape=(1, 3, 2)), real(shape=(3, 2, 2)), strides=2, padding="SAME"),
    sample(real(shape=(1, 2, 3, 2)), real(shape=(3, 2, 1, 2)), strides=(2, 1)),
    sample(real(shape=(1, 2, 2, 2)), real(shape=(3, 3, 1, 2)), strides=2, padding=1, output_padding=1),
    sample(real(shape=(1, 2, 2, 2)), real(shape=(3, 3, 1, 2)), strides=2, padding="SAME", size=(3, 4)),
    sample(real(shape=(1, 2, 2, 2)), real(shape=(2, 2, 1, 2)), strides=2, groups=2, layout="NCHW"),
    sample(real(shape=(1, 2, 1, 2, 1)), real(shape=(2, 1, 2, 2, 1)), dilation=(2, 1, 1)),
)
conv_transpose.error_samples(
    error(ShapeError, "x has 3 channels, and w takes 2", real(shape=(1, 3, 3)), real(shape=(3, 3, 2))),
    error(ShapeError, "by less than the stride", real(shape=(1, 3, 2)), real(shape=(3, 2, 2)), strides=2, size=9),
    error(ShapeError, "no convolution", real(shape=(1, 3, 2)), real(shape=(3, 2, 2)), strides=2, output_padding=2),
    error(AttributeValueError, "give one", real(shape=(1, 3, 2)), real(shape=(3, 2, 2)), size=5, output_padding=1),
)


@conv_transpose.reference
def _(x: Any, w: Any, **attrs: Any) -> Any:
    done, _ = parts.canonical(conv_transpose.op, (x, w), attrs)
    del done["output_padding"]
    return parts.reference_input_grad(conv_input_grad.op, x, w, done)


conv_transpose.terms(lambda x, w, *, groups, **_: math.prod(w.static) // (w.static[-2] * groups or 1))
