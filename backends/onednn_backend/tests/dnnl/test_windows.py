"""Convolutions and poolings, forward and their gradients, in given and chosen layouts, against loops in float64."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from corenn_onednn.dnnl import Attributes, Binary, Descriptor, Eltwise, Sum, run
from corenn_onednn.dnnl.arrays import descriptor_of, packed, unpacked
from corenn_onednn.dnnl.primitives import convolution, pooling

from corenn.dtypes import as_dtype
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import forward

pytestmark = pytest.mark.usefixtures("library")
FLOAT = forward(as_dtype("float32"))

# images, channels in and out, extents, kernel, strides, padding, dilation, groups
CONVOLUTIONS = {
    "3x3 same": (2, 16, 16, (8, 9), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "few channels": (2, 3, 5, (8, 9), (3, 2), (2, 1), ((1, 0), (0, 1)), (1, 1), 1),
    "1x1": (3, 7, 32, (5, 4), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "strided 1x1": (3, 32, 16, (5, 5), (1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1), 1),
    "dilated": (2, 8, 8, (11, 10), (3, 3), (1, 1), ((2, 2), (0, 0)), (2, 3), 1),
    "groups": (2, 12, 8, (6, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 4),
    "depthwise": (2, 16, 16, (6, 6), (3, 3), (2, 2), ((0, 1), (0, 1)), (1, 1), 16),
    "one axis": (2, 6, 5, (13,), (4,), (2,), ((1, 2),), (1,), 1),
    "three axes": (1, 4, 6, (4, 5, 6), (2, 3, 2), (1, 2, 1), ((0, 1), (1, 1), (0, 0)), (1, 1, 1), 1),
}


def _taps(shape, kernel, strides, padding, dilation):
    """For each tap, its index and the slices of the padded operand that it reads."""
    out = [
        (n + sum(p) - (k - 1) * d - 1) // s + 1
        for n, k, s, p, d in zip(shape, kernel, strides, padding, dilation, strict=True)
    ]
    for tap in itertools.product(*map(range, kernel)):
        starts = [t * d for t, d in zip(tap, dilation, strict=True)]
        yield tap, tuple(slice(a, a + (o - 1) * s + 1, s) for a, o, s in zip(starts, out, strides, strict=True)), out


def _padded(x, padding, value=0.0):
    return np.pad(x, ((0, 0), (0, 0), *padding), constant_values=value)


def _conv(x, w, strides, padding, dilation, groups):
    """x [n, c, ...], w [groups, o, c, ...]: the definition, tap by tap."""
    wide, total = _padded(x, padding), 0.0
    wide = wide.reshape(wide.shape[0], groups, -1, *wide.shape[2:])
    for tap, places, _ in _taps(x.shape[2:], w.shape[3:], strides, padding, dilation):
        total = total + np.einsum("ngc...,goc->ngo...", wide[:, :, :, *places], w[:, :, :, *tap])
    return total.reshape(total.shape[0], -1, *total.shape[3:])


def _conv_gradients(x, w, dy, strides, padding, dilation, groups):
    wide = _padded(x, padding)
    wide = wide.reshape(wide.shape[0], groups, -1, *wide.shape[2:])
    dx, dw = np.zeros_like(wide), np.zeros_like(w)
    slopes = dy.reshape(dy.shape[0], groups, -1, *dy.shape[2:])
    for tap, places, _ in _taps(x.shape[2:], w.shape[3:], strides, padding, dilation):
        dx[:, :, :, *places] += np.einsum("ngo...,goc->ngc...", slopes, w[:, :, :, *tap])
        dw[:, :, :, *tap] = np.einsum("ngop,ngcp->goc", *(
            v.reshape(*v.shape[:3], -1) for v in (slopes, wide[:, :, :, *places])
        ))  # fmt: skip
    inside = tuple(slice(p[0], p[0] + n) for p, n in zip(padding, x.shape[2:], strict=True))
    return dx.reshape(dx.shape[0], -1, *dx.shape[3:])[:, :, *inside], dw


def _layouts(layout, *shapes):
    """Descriptors for images and weights of these shapes."""
    if layout == "any":
        return [Descriptor(shape, "float32", "any") for shape in shapes]
    if layout == "channels first":
        return [Descriptor(shape) for shape in shapes]
    rank = len(shapes[0]) - 2
    images = (0, *range(2, rank + 2), 1)
    grouped = len(shapes[1]) == rank + 3
    # weights [*kernel, in, out], the groups outside of out
    weights = (*range(3, rank + 3), 2, 0, 1) if grouped else (*range(2, rank + 2), 1, 0)
    return [Descriptor.ordered(s, "float32", weights if i == 1 else images) for i, s in enumerate(shapes)]


@pytest.fixture(params=CONVOLUTIONS)
def case(request, draw):
    images, inner, outer, extents, kernel, strides, padding, dilation, groups = CONVOLUTIONS[request.param]
    x, w = draw(images, inner, *extents), draw(groups, outer // groups, inner // groups, *kernel)
    attrs = {"strides": strides, "padding": padding, "dilation": dilation}
    return x, w, attrs, groups


def _single(w, groups):
    return w[0] if groups == 1 else w


@pytest.mark.parametrize("layout", ["channels first", "channels last", "any"])
def test_convolution_with_bias_and_relu(draw, case, layout):
    x, w, attrs, groups = case
    bias = draw(w.shape[0] * w.shape[1])
    expected = _conv(x, w, **attrs, groups=groups)
    expected = np.maximum(expected + bias.reshape(-1, *[1] * (x.ndim - 2)), 0)
    kernel = _single(w, groups)
    src, weights, dst = _layouts(layout, x.shape, kernel.shape, expected.shape)
    primitive = convolution.forward(
        src, weights, dst, bias=Descriptor(bias.shape), attributes=Attributes((Eltwise("relu"),)), **attrs
    )
    chosen = primitive.descriptors
    out = np.zeros(chosen["dst"].bytes, np.uint8)
    operands = {"src": x, "weights": kernel, "bias": bias}
    run(primitive, {n: packed(v.astype(np.float32), chosen[n]) for n, v in operands.items()} | {"dst": out})
    tolerance = FLOAT.scaled(math.sqrt(math.prod(w.shape[2:])))
    assert_close(unpacked(out, chosen["dst"]), expected, tolerance, layout)


@pytest.mark.parametrize("layout", ["channels last", "any"])
def test_convolution_adds_to_a_residual_and_by_channel(draw, layout):
    """The epilogue of a residual block: bias, sum with what is there, ReLU, a factor for each channel."""
    x, w, before, factor = draw(2, 16, 7, 6), draw(1, 16, 16, 3, 3), draw(2, 16, 7, 6), draw(1, 16, 1, 1)
    attrs = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
    src, weights, dst = _layouts(layout, x.shape, w[0].shape, before.shape)
    post_ops = (Sum(), Eltwise("relu"), Binary("multiply", Descriptor(factor.shape)))
    primitive = convolution.forward(src, weights, dst, attributes=Attributes(post_ops), **attrs)
    chosen = primitive.descriptors
    operands = {"src": x, "weights": w[0], "dst": before, "post_op_2": factor}
    buffers = {n: packed(v.astype(np.float32), chosen[n]) for n, v in operands.items()}
    run(primitive, buffers)
    expected = np.maximum(_conv(x, w, **attrs, groups=1) + before, 0) * factor
    assert_close(unpacked(buffers["dst"], chosen["dst"]), expected, FLOAT.scaled(12), layout)


@pytest.mark.parametrize("layout", ["channels first", "channels last", "any"])
def test_gradients_of_convolution(draw, case, layout):
    x, w, attrs, groups = case
    dy = draw(*_conv(x, w, **attrs, groups=groups).shape)
    by_x, by_w = _conv_gradients(x, w, dy, **attrs, groups=groups)
    kernel = _single(w, groups)
    src, weights, dst = _layouts(layout, x.shape, kernel.shape, dy.shape)
    primitive = convolution.backward_data(src, weights, dst, **attrs)
    chosen = primitive.descriptors
    out = np.zeros(chosen["diff_src"].bytes, np.uint8)
    run(primitive, {
        "weights": packed(kernel.astype(np.float32), chosen["weights"]),
        "diff_dst": packed(dy.astype(np.float32), chosen["diff_dst"]), "diff_src": out,
    })  # fmt: skip
    terms = math.prod(w.shape[3:]) * w.shape[1]
    assert_close(unpacked(out, chosen["diff_src"]), by_x, FLOAT.scaled(math.sqrt(terms)), "by the operand")

    outputs = dy.shape[1]
    primitive = convolution.backward_weights(src, weights, dst, diff_bias=Descriptor((outputs,)), **attrs)
    chosen = primitive.descriptors
    out, by_bias = np.zeros(chosen["diff_weights"].bytes, np.uint8), np.empty(outputs, np.float32)
    operands = {n: packed(v.astype(np.float32), chosen[n]) for n, v in (("src", x), ("diff_dst", dy))}
    run(primitive, operands | {"diff_weights": out, "diff_bias": by_bias})
    tolerance = FLOAT.scaled(math.sqrt(dy.size / outputs))
    assert_close(unpacked(out, chosen["diff_weights"]), _single(by_w, groups), tolerance, "by the weights")
    assert_close(by_bias, dy.sum(axis=(0, *range(2, dy.ndim))), tolerance, "by the bias")


# images, channels, extents, window, strides, padding
POOLS = {
    "2x2": (2, 16, (8, 6), (2, 2), (2, 2), ((0, 0), (0, 0))),
    "3x3 overlapping, padded": (2, 5, (9, 8), (3, 3), (2, 2), ((1, 1), (1, 0))),
    "one axis": (3, 4, (11,), (3,), (2,), ((0, 0),)),
    "three axes": (1, 6, (4, 6, 5), (2, 2, 3), (2, 2, 1), ((0, 0), (0, 0), (1, 1))),
}


def _pool(kind, x, dy, window, strides, padding):
    """The result, and the gradient for ``dy`` (ones if None); a maximum gives it to its first largest element."""
    wide = _padded(x, padding, -np.inf if kind == "max" else 0.0)
    inside = tuple(slice(p[0], p[0] + n) for p, n in zip(padding, x.shape[2:], strict=True))
    taps = [
        (places, wide[:, :, *places])
        for _, places, _ in _taps(x.shape[2:], window, strides, padding, [1] * len(window))
    ]
    stack = np.stack([values for _, values in taps])
    ones = np.zeros_like(wide)
    ones[:, :, *inside] = 1
    if kind == "max":
        y, best = stack.max(0), stack.argmax(0)
        shares = [(best == i) * 1.0 for i in range(len(taps))]
    else:
        count = sum(ones[:, :, *places] for places, _ in taps) if kind == "average" else float(math.prod(window))
        y = stack.sum(0) / count
        shares = [1 / count] * len(taps)
    dx = np.zeros_like(wide)
    for (places, _), share in zip(taps, shares, strict=True):
        dx[:, :, *places] += share * (np.ones_like(y) if dy is None else dy)
    return y, dx[:, :, *inside]


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("kind", ["max", "average", "average_with_padding"])
@pytest.mark.parametrize("name", POOLS)
def test_pooling_and_its_gradient(draw, name, kind, last):
    images, channels, extents, window, strides, padding = POOLS[name]
    x = np.round(draw(images, channels, *extents) * 4)  # with ties
    attrs = {"window": window, "strides": strides, "padding": padding}
    y, _ = _pool(kind, x, None, **attrs)
    dy = draw(*y.shape)
    _, dx = _pool(kind, x, dy, **attrs)
    order = (0, *range(2, x.ndim), 1) if last else tuple(range(x.ndim))
    src, dst = (Descriptor.ordered(v.shape, "float32", order) for v in (x, y))
    primitive = pooling.forward(kind, src, dst, **attrs)
    assert (primitive.workspace is not None) == (kind == "max")
    out = np.zeros(dst.bytes, np.uint8)
    buffers = {"src": packed(x.astype(np.float32), src), "dst": out}
    kept = {} if primitive.workspace is None else {"workspace": np.zeros(primitive.workspace.bytes, np.uint8)}
    run(primitive, buffers | kept)
    assert_close(unpacked(out, dst), y, FLOAT, kind)
    back = pooling.backward(kind, src, dst, forward=primitive, **attrs)
    out = np.zeros(src.bytes, np.uint8)
    run(back, {"diff_dst": packed(dy.astype(np.float32), dst), "diff_src": out} | kept)
    assert_close(unpacked(out, src), dx, FLOAT.scaled(math.sqrt(math.prod(window))), f"gradient of {kind}")


def test_a_forward_primitive_for_inference_keeps_no_workspace():
    src, dst = Descriptor((1, 2, 4, 4)), Descriptor((1, 2, 2, 2))
    attrs = {"window": (2, 2), "strides": (2, 2), "padding": ((0, 0), (0, 0))}
    assert pooling.forward("max", src, dst, training=False, **attrs).workspace is None


def test_descriptor_of_an_array_is_that_of_its_strides():
    x = np.zeros((2, 3, 4, 5), np.float32).transpose(0, 3, 1, 2)
    assert descriptor_of(x) == Descriptor.ordered((2, 5, 3, 4), "float32", (0, 2, 3, 1))
