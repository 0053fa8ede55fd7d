"""Normalisations, softmax, elementwise functions, reductions and their gradients, against NumPy in float64.

Gradients are judged by central differences of the float64 function along a random direction.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from corenn_onednn.dnnl import Descriptor, run
from corenn_onednn.dnnl.arrays import descriptor_of, packed, unpacked
from corenn_onednn.dnnl.primitives import elementwise, normalization, softmax

from corenn.dtypes import as_dtype
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import GRADIENT, forward

pytestmark = pytest.mark.usefixtures("library")
FLOAT = forward(as_dtype("float32"))
EPSILON = 0.1


def _projection(function, place, direction):
    """The slope of a scalar function in one direction: central differences in float64."""
    step = 1e-5
    return (function(place + step * direction) - function(place - step * direction)) / (2 * step)


def _check_gradient(draw, function, place, gradient):
    for _ in range(3):
        direction = draw(*place.shape)
        tolerance = GRADIENT[as_dtype("float32")]
        assert_close(np.sum(gradient * direction), _projection(function, place, direction), tolerance, "slope")


def _normalized(x, axes, scale, shift):
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + EPSILON)
    return y * scale + shift


@pytest.mark.parametrize("affine", [(True, True), (False, True), (True, False), (False, False)], ids=str)
@pytest.mark.parametrize("last", [True, False], ids=["channels last", "channels first"])
def test_batch_normalization_and_its_gradient(draw, last, affine):
    x, dy = draw(6, 16, 4, 5) + 1, draw(6, 16, 4, 5)
    scale, shift = (draw(1, 16, 1, 1) if a else d for a, d in zip(affine, (1.0, 0.0), strict=True))
    axes, flags = (0, 2, 3), dict(zip(("scale", "shift"), affine, strict=True))
    layout = Descriptor.ordered(x.shape, "float32", (0, 2, 3, 1) if last else (0, 1, 2, 3))
    primitive = normalization.batch_forward(layout, layout, EPSILON, **flags)
    out, mean, variance = np.zeros(layout.bytes, np.uint8), np.zeros(16, np.float32), np.zeros(16, np.float32)
    operands = {n: np.float32(v).ravel() for n, v, a in zip(flags, (scale, shift), affine, strict=True) if a}
    data = packed(x.astype(np.float32), layout)
    run(primitive, {"src": data, "dst": out, "mean": mean, "variance": variance, **operands})
    assert_close(unpacked(out, layout), _normalized(x, axes, scale, shift), FLOAT.scaled(4), "result")
    assert_close(mean, x.mean(axes), FLOAT.scaled(4), "mean")
    assert_close(variance, x.var(axes), FLOAT.scaled(4), "variance")

    back = normalization.batch_backward(layout, layout, layout, EPSILON, forward=primitive, **flags)
    by_scale, by_shift, out = np.zeros(16, np.float32), np.zeros(16, np.float32), np.zeros(layout.bytes, np.uint8)
    run(back, {
        "src": data, "mean": mean, "variance": variance, "diff_dst": packed(dy.astype(np.float32), layout),
        "diff_src": out, **{n: v for n, v in operands.items() if n == "scale"},
        **({"diff_scale": by_scale} if affine[0] else {}), **({"diff_shift": by_shift} if affine[1] else {}),
    })  # fmt: skip
    _check_gradient(draw, lambda x: np.sum(_normalized(x, axes, scale, shift) * dy), x, unpacked(out, layout))
    if affine[0]:
        assert_close(by_scale, (_normalized(x, axes, 1, 0) * dy).sum(axes), FLOAT.scaled(10), "by scale")
    if affine[1]:
        assert_close(by_shift, dy.sum(axes), FLOAT.scaled(10), "by shift")


def test_batch_normalization_with_relu_keeps_what_its_gradient_needs(draw):
    x, dy, scale, shift = draw(6, 8, 5, 4), draw(6, 8, 5, 4), draw(1, 8, 1, 1), draw(1, 8, 1, 1)
    layout, axes = Descriptor.ordered(x.shape, "float32", (0, 2, 3, 1)), (0, 2, 3)
    primitive = normalization.batch_forward(layout, layout, EPSILON, relu=True)
    assert primitive.workspace is not None
    shared = {
        "src": packed(x.astype(np.float32), layout),
        "mean": np.zeros(8, np.float32),
        "variance": np.zeros(8, np.float32),
        "scale": np.float32(scale).ravel(),
        "workspace": np.zeros(primitive.workspace.bytes, np.uint8),
    }
    out = np.zeros(layout.bytes, np.uint8)
    run(primitive, shared | {"dst": out, "shift": np.float32(shift).ravel()})
    y = _normalized(x, axes, scale, shift)
    assert_close(unpacked(out, layout), np.maximum(y, 0), FLOAT.scaled(4), "result")
    back = normalization.batch_backward(layout, layout, layout, EPSILON, forward=primitive, relu=True)
    by_scale, by_shift = np.zeros(8, np.float32), np.zeros(8, np.float32)
    slopes = {"diff_dst": packed(dy.astype(np.float32), layout), "diff_scale": by_scale, "diff_shift": by_shift}
    run(back, shared | slopes | {"diff_src": out})
    _check_gradient(draw, lambda x: np.sum(np.maximum(_normalized(x, axes, scale, shift), 0) * dy), x,
                    unpacked(out, layout))  # fmt: skip
    assert_close(by_shift, (dy * (y > 0)).sum(axes), FLOAT.scaled(10), "by shift")


def test_batch_normalization_with_relu_and_with_given_statistics(draw):
    x, mean, variance = draw(5, 8, 3, 3), draw(8), np.abs(draw(8)) + 0.5
    scale, shift = draw(8), draw(8)
    layout = Descriptor(x.shape)
    primitive = normalization.batch_forward(layout, layout, EPSILON, training=False, relu=True)
    out = np.empty(x.shape, np.float32)
    vectors = {"mean": mean, "variance": variance, "scale": scale, "shift": shift}
    run(primitive, {"src": x.astype(np.float32), "dst": out, **{n: np.float32(v) for n, v in vectors.items()}})
    wide = {n: v.reshape(-1, 1, 1) for n, v in vectors.items()}
    y = (x - wide["mean"]) / np.sqrt(wide["variance"] + EPSILON) * wide["scale"] + wide["shift"]
    assert_close(out, np.maximum(y, 0), FLOAT, "result")


@pytest.mark.parametrize("shape", [(33, 20), (4, 7, 64)])
def test_layer_normalization_and_its_gradient(draw, shape):
    x, dy, width = draw(*shape) + 1, draw(*shape), shape[-1]
    scale, shift = draw(width), draw(width)
    layout = Descriptor(shape)
    primitive = normalization.layer_forward(layout, layout, EPSILON)
    out, mean, variance = (np.empty(s, np.float32) for s in (shape, shape[:-1], shape[:-1]))
    data, gamma = x.astype(np.float32), scale.astype(np.float32)
    run(primitive, {
        "src": data, "dst": out, "mean": mean, "variance": variance, "scale": gamma, "shift": shift.astype(np.float32),
    })  # fmt: skip
    assert_close(out, _normalized(x, -1, scale, shift), FLOAT.scaled(4), "result")
    back = normalization.layer_backward(layout, layout, layout, EPSILON, forward=primitive)
    by_x, by_scale, by_shift = (np.empty(s, np.float32) for s in (shape, width, width))
    run(back, {
        "src": data, "mean": mean, "variance": variance, "diff_dst": dy.astype(np.float32), "diff_src": by_x,
        "scale": gamma, "shift": shift.astype(np.float32), "diff_scale": by_scale, "diff_shift": by_shift,
    })  # fmt: skip
    _check_gradient(draw, lambda x: np.sum(_normalized(x, -1, scale, shift) * dy), x, by_x)
    rows = tuple(range(len(shape) - 1))
    assert_close(by_scale, (_normalized(x, -1, 1, 0) * dy).sum(rows), FLOAT.scaled(10), "by scale")
    assert_close(by_shift, dy.sum(rows), FLOAT.scaled(10), "by shift")


@pytest.mark.parametrize("logarithm", [False, True], ids=["softmax", "logarithm"])
@pytest.mark.parametrize(("shape", "axis"), [((9, 10), 1), ((9, 10), 0), ((3, 17, 5), 1), ((2, 3, 4, 33), 3)])
def test_softmax_and_its_gradient(draw, shape, axis, logarithm):
    x, dy = 3 * draw(*shape), draw(*shape)
    powers = np.exp(x - x.max(axis, keepdims=True))
    y = powers / powers.sum(axis, keepdims=True)
    dx = dy - y * dy.sum(axis, keepdims=True) if logarithm else (dy - (dy * y).sum(axis, keepdims=True)) * y
    expected = np.log(y) if logarithm else y
    layout, out = Descriptor(shape), np.empty(shape, np.float32)
    primitive = softmax.forward(layout, layout, axis, logarithm=logarithm)
    run(primitive, {"src": x.astype(np.float32), "dst": out})
    assert_close(out, expected, FLOAT.scaled(4), "result")
    back, by_x = (
        softmax.backward(layout, layout, layout, axis, forward=primitive, logarithm=logarithm),
        np.empty_like(out),
    )
    run(back, {"dst": expected.astype(np.float32), "diff_dst": dy.astype(np.float32), "diff_src": by_x})
    assert_close(by_x, dx, FLOAT.scaled(4), "gradient")


# name, parameters, the function, its slope by the operand and the result
FUNCTIONS = {
    "relu": ((0.0, 0.0), lambda x: np.maximum(x, 0), lambda x, y: x > 0),
    "tanh": ((0.0, 0.0), np.tanh, lambda x, y: 1 - y * y),
    "tanh_of_result": ((0.0, 0.0), np.tanh, lambda x, y: 1 - y * y),
    "elu": (
        (1.5, 0.0),
        lambda x: np.where(x > 0, x, 1.5 * np.expm1(x)),
        lambda x, y: np.where(x > 0, 1, 1.5 * np.exp(x)),
    ),
    "square": ((0.0, 0.0), np.square, lambda x, y: 2 * x),
    "abs": ((0.0, 0.0), np.abs, lambda x, y: np.sign(x)),
    "linear": ((2.0, -1.0), lambda x: 2 * x - 1, lambda x, y: 2.0),
    "soft_relu": ((1.0, 0.0), lambda x: np.log1p(np.exp(x)), lambda x, y: _sigmoid(x)),
    "sigmoid": ((0.0, 0.0), lambda x: _sigmoid(x), lambda x, y: y * (1 - y)),
    "exp": ((0.0, 0.0), np.exp, lambda x, y: y),
    "swish": (
        (1.0, 0.0),
        lambda x: x * _sigmoid(x),
        lambda x, y: _sigmoid(x) + y * (1 - _sigmoid(x)),
    ),
    "clip": ((-0.5, 0.5), lambda x: np.clip(x, -0.5, 0.5), lambda x, y: abs(x) < 0.5),
    "gelu": ((0.0, 0.0), lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))), None),
}  # fmt: skip


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _erf(x):
    return np.vectorize(math.erf)(x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_one_operand_and_their_gradients(draw, name):
    (alpha, beta), function, slope = FUNCTIONS[name]
    x, dy = draw(13, 17), draw(13, 17)
    y, layout = function(x), Descriptor((13, 17))
    primitive = elementwise.eltwise_forward(name, layout, layout, alpha=alpha, beta=beta)
    out = np.empty(x.shape, np.float32)
    run(primitive, {"src": x.astype(np.float32), "dst": out})
    assert_close(out, y, FLOAT, name)
    if slope is None:
        return
    back = elementwise.eltwise_backward(name, layout, layout, layout, forward=primitive, alpha=alpha, beta=beta)
    known = {"dst": y.astype(np.float32)} if name.endswith("_of_result") else {"src": x.astype(np.float32)}
    run(back, {"diff_dst": dy.astype(np.float32), "diff_src": out, **known})
    assert_close(out, dy * slope(x, y), FLOAT, f"gradient of {name}")


BINARIES = {
    "add": np.add, "multiply": np.multiply, "maximum": np.maximum, "minimum": np.minimum, "divide": np.divide,
    "subtract": np.subtract, "greater_equal": np.greater_equal, "greater": np.greater, "less_equal": np.less_equal,
    "less": np.less, "equal": np.equal, "not_equal": np.not_equal,
}  # fmt: skip


@pytest.mark.parametrize("shape", [(6, 8), (1, 8), (6, 1)], ids=str)
@pytest.mark.parametrize("name", BINARIES)
def test_functions_of_two_operands(draw, name, shape):
    x, y = np.round(draw(6, 8) * 2), np.round(draw(*shape) * 2)
    y[y == 0] = 1
    out = np.empty(x.shape, np.float32)
    primitive = elementwise.binary(name, Descriptor(x.shape), Descriptor(shape), Descriptor(x.shape))
    run(primitive, {"src": x.astype(np.float32), "src_1": y.astype(np.float32), "dst": out})
    assert_close(out, BINARIES[name](x, y) * 1.0, FLOAT, name)


REDUCTIONS = {"max": np.max, "min": np.min, "sum": np.sum, "mean": np.mean, "multiply": np.prod}


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(draw, name, axes):
    x = draw(4, 9, 6)
    expected = REDUCTIONS[name](x, axis=axes, keepdims=True)
    out = np.empty(expected.shape, np.float32)
    run(
        elementwise.reduction(name, Descriptor(x.shape), Descriptor(out.shape)),
        {"src": x.astype(np.float32), "dst": out},
    )
    assert_close(out, expected, FLOAT.scaled(math.sqrt(x.size)), name)


def test_sum_of_many_and_changes_of_layout_and_dtype(draw):
    parts = [draw(5, 6).astype(np.float32) for _ in range(3)]
    out, layout = np.empty((5, 6), np.float32), Descriptor((5, 6))
    primitive = elementwise.add_up([layout] * 3, layout, scales=(1.0, -2.0, 0.5))
    run(primitive, {"dst": out, **{f"src_many_{i}": part for i, part in enumerate(parts)}})
    assert_close(out, parts[0] - 2.0 * parts[1] + 0.5 * parts[2], FLOAT, "sum")

    turned = np.empty((6, 5), np.float32)
    run(elementwise.reorder(layout, descriptor_of(turned.T)), {"src": out, "dst": turned})
    np.testing.assert_array_equal(turned.T, out)

    half = as_dtype("bfloat16").numpy
    np.testing.assert_array_equal(unpacked(packed(out, Descriptor((5, 6), "bfloat16")), Descriptor((5, 6), "bfloat16")),
                                  out.astype(half))  # fmt: skip


def test_descriptors_follow_numpy_through_views():
    x = np.zeros((4, 6, 5), np.float32)
    assert descriptor_of(x).permuted((2, 0, 1)) == descriptor_of(x.transpose(2, 0, 1))
    assert descriptor_of(x).reshaped((24, 5)) == descriptor_of(x.reshape(24, 5))
    part = descriptor_of(x).part((2, 6, 5), (0, 0, 0))
    assert part.shape == (2, 6, 5)
    assert part.strides == (30, 5, 1)
    assert Descriptor((3, 3)) != Descriptor((3, 3), "bfloat16")
    assert {Descriptor((3, 3)): 1}[Descriptor((3, 3), "float32", (3, 1))] == 1
    with pytest.raises(ValueError, match="'any'"):
        Descriptor((2,), "float32", "blocked")
