"""Convolutions against PyTorch, formulas and their own linearity; the table is tested elsewhere."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn.autodiff import vjp
from corenn.device import device
from corenn.dtypes import float32, float64
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.convolution import conv, conv_input_grad, conv_transpose, conv_weight_grad
from corenn.ops.convolution_forms import conv1d, conv2d, conv3d, depthwise_conv, separable_conv, separable_conv2d
from corenn.ops.dispatch import infer
from corenn.ops.windows import LAYOUTS, phases, same_padding
from corenn.spec import Spec
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import EXACT, forward

# extents, kernel, strides, padding, dilation, groups, channels in, channels out
CASES = [
    ((9,), (3,), (1,), (0,), (1,), 1, 3, 4),
    ((9,), (4,), (3,), (2,), (2,), 1, 2, 5),
    ((10,), (3,), (2,), (1,), (4,), 2, 4, 6),
    ((6, 7), (3, 3), (1, 1), (1, 1), (1, 1), 1, 3, 4),
    ((6, 7), (3, 2), (2, 3), (1, 0), (1, 2), 1, 3, 4),
    ((8, 7), (2, 3), (3, 2), (2, 1), (2, 3), 1, 5, 2),
    ((6, 6), (1, 1), (1, 1), (0, 0), (1, 1), 1, 6, 4),
    ((7, 6), (1, 1), (2, 3), (0, 0), (1, 1), 1, 6, 4),
    ((7, 6), (1, 1), (2, 2), (1, 1), (1, 1), 3, 6, 3),
    ((6, 7), (3, 3), (2, 2), (1, 1), (1, 1), 2, 4, 6),
    ((6, 7), (3, 3), (1, 1), (1, 1), (1, 1), 4, 4, 4),
    ((6, 7), (3, 3), (2, 1), (1, 1), (1, 2), 4, 4, 12),
    ((6, 7), (3, 3), (1, 1), (2, 2), (2, 2), 3, 6, 6),
    ((5, 5), (5, 5), (1, 1), (0, 0), (1, 1), 1, 2, 3),
    ((5, 5), (2, 2), (4, 4), (0, 0), (1, 1), 1, 2, 3),
    ((7, 9), (3, 3), (1, 1), (1, 1), (1, 1), 1, 1, 9),
    ((7, 9), (3, 3), (2, 2), (1, 1), (1, 1), 1, 9, 2),
    ((4, 5, 6), (2, 3, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1), 1, 2, 3),
    ((4, 5, 6), (2, 2, 3), (2, 1, 3), (1, 1, 0), (1, 2, 1), 2, 4, 4),
]
IDS = [f"{len(c[0])}d-{i}" for i, c in enumerate(CASES)]


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def _values(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def _first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def _last(x):
    return np.moveaxis(x, 1, -1)


def _torch_weights(w):
    rank = w.ndim - 2
    return np.ascontiguousarray(np.transpose(w, (rank + 1, rank, *range(rank))))


def _from_torch_weights(w):
    return np.transpose(w, (*range(2, w.ndim), 1, 0))


def _in_layout(x, layout):
    return x if layout.endswith("C") else _first(x)


def _close(actual, expected, terms, dtype=float64, what=""):
    assert_close(np.asarray(actual), np.asarray(expected), forward(dtype).scaled(math.sqrt(terms)), what)


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize(
    ("extents", "kernel", "strides", "padding", "dilation", "groups", "inner", "outer"), CASES, ids=IDS
)
def test_agrees_with_torch(torch, extents, kernel, strides, padding, dilation, groups, inner, outer, last):
    rank = len(extents)
    layout = LAYOUTS[rank][0 if last else 1]
    x, w = _values((2, *extents, inner)), _values((*kernel, inner // groups, outer), seed=1)
    tx, tw = (torch.tensor(a, requires_grad=True) for a in (_first(x), _torch_weights(w)))
    function = getattr(torch.nn.functional, f"conv{rank}d")
    ty = function(tx, tw, stride=strides, padding=padding, dilation=dilation, groups=groups)
    dy = _values(ty.shape, seed=2)
    ty.backward(torch.tensor(dy))
    attrs = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout}
    y, pull = vjp(lambda a, b: conv(a, b, **attrs), corenn.tensor(_in_layout(x, layout)), corenn.tensor(w))
    dx, dw = pull(corenn.tensor(dy if not last else np.ascontiguousarray(_last(dy))))
    terms = math.prod(kernel) * inner // groups
    _close(y, _in_layout(_last(ty.detach().numpy()), layout), terms, what="result")
    _close(dx, _in_layout(_last(tx.grad.numpy()), layout), terms * outer, what="gradient of x")
    _close(dw, _from_torch_weights(tw.grad.numpy()), math.prod(dy.shape), what="gradient of w")


def test_complex_gradients_agree_with_torch(torch):
    x, w, dy = (_values(s) + 1j * _values(s, seed=9) for s in ((2, 6, 5, 2), (3, 2, 2, 3), (2, 2, 4, 3)))
    tx, tw = (torch.tensor(a, requires_grad=True) for a in (_first(x), _torch_weights(w)))
    torch.nn.functional.conv2d(tx, tw, stride=(2, 1)).backward(torch.tensor(_first(dy)))
    _, pull = vjp(lambda a, b: conv(a, b, strides=(2, 1)), corenn.tensor(x), corenn.tensor(w))
    dx, dw = pull(corenn.tensor(dy))
    _close(dx, _last(tx.grad.numpy()), 100, dx.dtype)
    _close(dw, _from_torch_weights(tw.grad.numpy()), 100, dw.dtype)


# ---------------------------------------------------------------- padding and extents


@pytest.mark.parametrize("n", [1, 4, 5, 7])
@pytest.mark.parametrize(
    ("k", "s", "d"), [(1, 1, 1), (2, 1, 1), (3, 1, 1), (3, 2, 1), (2, 3, 1), (5, 2, 1), (3, 2, 3), (4, 5, 2)]
)
def test_same_padding_follows_the_formula(n, k, s, d):
    """TensorFlow's: ceil(n / stride) results; the total halved, the odd element after."""
    results, span = math.ceil(n / s), (k - 1) * d + 1
    total = max(0, (results - 1) * s + span - n)
    x, w = _values((1, n, 2)), _values((k, 2, 3))
    padded = np.pad(x, ((0, 0), (total // 2, total - total // 2), (0, 0)))
    expected = np.stack([np.einsum("kc,kco->o", padded[0, i * s : i * s + span : d], w) for i in range(results)])[None]
    _close(conv(x, w, strides=s, padding="SAME", dilation=d), expected, k * 2)
    assert same_padding(n, span, s) == (total // 2, total - total // 2)


@pytest.mark.parametrize(
    ("padding", "explicit"),
    [
        ("valid", ((0, 0), (0, 0))),
        ("same", ((1, 1), (0, 1))),
        (1, ((1, 1), (1, 1))),
        ((2, 0), ((2, 2), (0, 0))),
        ([[2, 0], [1, 3]], ((2, 0), (1, 3))),
    ],
)
def test_paddings_mean_pairs(padding, explicit):
    x, w = _values((1, 5, 4, 2)), _values((3, 2, 2, 1))
    expected = conv(np.pad(x, ((0, 0), *explicit, (0, 0))), w)
    _close(conv(x, w, padding=padding), expected, 12)


@pytest.mark.parametrize(
    ("shape", "attrs", "result"),
    [
        ((None, 8, 8, 3), {"padding": "SAME", "strides": 2}, (None, 4, 4, 5)),
        ((None, None, 8, 3), {"padding": "SAME", "strides": 3}, (None, None, 3, 5)),
        ((2, None, 8, 3), {}, (2, None, 6, 5)),
        ((2, 8, 8, None), {}, (2, 6, 6, 5)),
    ],
)
def test_unknown_extents_stay_unknown(shape, attrs, result):
    defaults = {"strides": 1, "padding": "VALID", "dilation": 1, "groups": 1, "layout": None}
    specs = Spec(shape, float32), Spec((3, 3, 3, 5), float32)
    assert infer(conv.op, specs, {**defaults, **attrs})[0].shape == result


@pytest.mark.parametrize("padding", ["SAME", "VALID", 0])
def test_no_images(padding):
    x, w = np.zeros((0, 6, 6, 2), "float32"), np.ones((3, 3, 2, 4), "float32")
    y, pull = vjp(lambda a, b: conv(a, b, padding=padding), corenn.tensor(x), corenn.tensor(w))
    dx, dw = pull(y)
    assert y.shape == ((0, 6, 6, 4) if padding == "SAME" else (0, 4, 4, 4))
    assert dx.shape == x.shape
    assert_close(dw.numpy(), np.zeros_like(w), EXACT)


def test_no_pixels_with_same_padding():
    assert conv(np.zeros((2, 0, 3, 1)), np.ones((3, 3, 1, 2)), padding="SAME").shape == (2, 0, 3, 2)


def test_no_channels_give_zeros():
    assert_close(conv(np.zeros((1, 4, 4, 0)), np.ones((3, 3, 0, 2))).numpy(), np.zeros((1, 2, 2, 2)), EXACT)


def test_results_that_no_operand_reaches_have_zero_gradient():
    """Stride 3 over 8 elements with a kernel of 2 leaves elements 2 and 5 unread."""
    dx = conv_input_grad(np.ones((1, 3, 1)), np.ones((2, 1, 1)), size=8, strides=3)
    assert dx.numpy().ravel().tolist() == [1, 1, 0, 1, 1, 0, 1, 1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_adds_up_in_float32(dtype):
    """In float16 itself the sum of ones would stop at 2048, in bfloat16 at 256."""
    x, w = (corenn.ones(shape, dtype=dtype) for shape in ((1, 64, 64, 1), (64, 64, 1, 1)))
    assert conv(x, w).item() == 4096
    assert conv(x, w).dtype.name == dtype


# ---------------------------------------------------------------- properties

along = st.tuples(
    st.integers(1, 7), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(0, 3)
)


@st.composite
def problems(draw):
    rank = draw(st.integers(1, 3))
    axes = []
    for _ in range(rank):
        n, k, s, d, before, after = draw(along)
        axes.append((max(n, (k - 1) * d + 1 - before - after), k, s, d, (before, after)))
    groups = draw(st.integers(1, 3))
    inner, outer = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    extents, kernel, strides, dilation, padding = zip(*axes, strict=True)
    attrs = {
        "strides": strides, "padding": padding, "dilation": dilation, "groups": groups,
        "layout": LAYOUTS[rank][draw(st.integers(0, 1))],
    }  # fmt: skip
    shape = (draw(st.integers(1, 3)), *extents, inner * groups)
    return _in_layout(np.empty(shape), attrs["layout"]).shape, (*kernel, inner, outer * groups), attrs


def _problem(problem):
    x_shape, w_shape, attrs = problem
    x, w = corenn.tensor(_values(x_shape)), corenn.tensor(_values(w_shape, seed=1))
    y = conv(x, w, **attrs)
    dy = corenn.tensor(_values(y.shape, seed=2))
    axes = range(1, x.ndim - 1) if attrs["layout"].endswith("C") else range(2, x.ndim)
    size = tuple(x_shape[a] for a in axes)
    return x, w, y, dy, size, attrs


@settings(max_examples=150, deadline=None)
@given(problems())
def test_the_three_are_faces_of_one_trilinear_form(problem):
    """<conv(x, w), dy> = <x, input_grad(dy, w)> = <w, weight_grad(x, dy)>."""
    x, w, y, dy, size, attrs = _problem(problem)
    dx = conv_input_grad(dy, w, size=size, **attrs)
    dw = conv_weight_grad(x, dy, size=w.shape[:-2], **attrs)
    form = float((y * dy).sum())
    assert dx.shape == x.shape
    assert dw.shape == w.shape
    scale = float((abs(y) * abs(dy)).sum()) + 1
    assert float((x * dx).sum()) == pytest.approx(form, abs=1e-11 * scale)
    assert float((w * dw).sum()) == pytest.approx(form, abs=1e-11 * scale)


@settings(max_examples=100, deadline=None)
@given(problems())
def test_kernels_agree_with_decompositions(problem):
    x, w, y, dy, size, attrs = _problem(problem)
    for op, operands, more in (
        (conv, (x, w), {}),
        (conv_input_grad, (dy, w), {"size": size}),
        (conv_weight_grad, (x, dy), {"size": w.shape[:-2]}),
    ):
        kernel = op(*operands, **attrs, **more)
        parts = op.op.decomposition(*operands, **attrs, **more)
        _close(kernel, parts, y.size + w.size, what=op.op.name)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.integers(0, 4))
def test_phases_hold_every_tap_once(k, s, d, before):
    found = [j for p in phases(k, s, d, before) for j in range(k)[p.taps]]
    assert sorted(found) == list(range(k))
    for p in phases(k, s, d, before):
        for place, j in enumerate(range(k)[p.taps]):
            assert (p.start + place * p.dilation) * s + j * d - before == p.first


# ---------------------------------------------------------------- transposed, depthwise, separable


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize(
    ("extents", "kernel", "strides", "padding", "output_padding", "dilation", "groups"),
    [
        ((5,), (3,), (2,), (1,), (1,), (1,), 1),
        ((4,), (2,), (3,), (0,), (2,), (1,), 2),
        ((3, 4), (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1),
        ((3, 4), (2, 3), (3, 1), (0, 1), (2, 0), (1, 2), 2),
        ((3, 4), (3, 3), (1, 2), (1, 0), (0, 1), (2, 1), 4),
        ((2, 3, 2), (2, 3, 1), (2, 1, 3), (0, 1, 0), (1, 0, 2), (1, 1, 1), 1),
    ],
)
def test_conv_transpose_agrees_with_torch(
    torch, extents, kernel, strides, padding, output_padding, dilation, groups, last
):
    rank = len(extents)
    layout = LAYOUTS[rank][0 if last else 1]
    x, w = _values((2, *extents, 4)), _values((*kernel, 2, 4), seed=1)
    function = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    expected = function(
        torch.tensor(_first(x)), torch.tensor(_torch_weights(w)), stride=strides, padding=padding,
        output_padding=output_padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    y = conv_transpose(
        _in_layout(x, layout), w, strides=strides, padding=padding, output_padding=output_padding, dilation=dilation,
        groups=groups, layout=layout,
    )  # fmt: skip
    _close(y, _in_layout(_last(expected.numpy()), layout), 4 * math.prod(kernel))


@pytest.mark.parametrize(
    ("n", "k", "s", "d", "padding", "extra", "size"),
    [
        # Keras: n * s; n * s + max(span - s, 0); (n - 1) * s + span - 2 * (span // 2 or 0) + output_padding
        (4, 3, 2, 1, "SAME", None, 8),
        (4, 5, 1, 1, "SAME", None, 4),
        (4, 3, 2, 1, "VALID", None, 9),
        (4, 2, 3, 1, "VALID", None, 12),
        (4, 3, 2, 2, "VALID", None, 11),
        (4, 3, 2, 1, "SAME", 0, 7),
        (4, 3, 2, 1, "SAME", 1, 8),
        (4, 4, 2, 1, "SAME", 1, 7),
        (4, 3, 2, 1, "VALID", 1, 10),
        (4, 3, 2, 1, 1, 1, 8),
    ],
)
def test_conv_transpose_sizes_are_those_of_keras(n, k, s, d, padding, extra, size):
    y = conv_transpose(
        np.ones((1, n, 2)), np.ones((k, 3, 2)), strides=s, dilation=d, padding=padding, output_padding=extra
    )
    assert y.shape == (1, size, 3)


@pytest.mark.parametrize("size", [7, 8])
def test_conv_transpose_of_a_size_undoes_the_shape(size):
    x, w = _values((1, size, size, 2)), _values((3, 3, 2, 4))
    y = conv(x, w, strides=2, padding="SAME")
    back = conv_transpose(y, w, strides=2, padding="SAME", size=size)
    _close(back, conv_input_grad(y, w, size=size, strides=2, padding="SAME"), 1)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("strides", [1, 2])
def test_depthwise_keeps_the_kernels_of_a_channel_side_by_side(layout, strides):
    x, w = _values((2, 5, 6, 3)), _values((2, 3, 3, 2), seed=1)
    y = depthwise_conv(_in_layout(x, layout), w, strides=strides, padding="SAME", layout=layout)
    result = y.numpy() if layout == "NHWC" else _last(y.numpy())
    for c, m in itertools.product(range(3), range(2)):
        single = conv2d(x[..., c : c + 1], w[:, :, c : c + 1, m : m + 1], strides=strides, padding="SAME")
        _close(result[..., 2 * c + m], single.numpy()[..., 0], 6)


def test_separable_is_depthwise_then_pointwise():
    x, d, p = _values((2, 6, 6, 2)), _values((3, 3, 2, 2)), _values((1, 1, 4, 5))
    expected = conv(depthwise_conv(x, d, strides=2), p)
    for function in (separable_conv, separable_conv2d):
        _close(function(x, d, p, strides=2), expected, 1)


@pytest.mark.parametrize(("function", "rank"), [(conv1d, 1), (conv2d, 2), (conv3d, 3)])
def test_names_by_rank(function, rank):
    x, w = _values((1, *[4] * rank, 2)), _values((*[2] * rank, 2, 3))
    for layout in LAYOUTS[rank]:
        given = _in_layout(x, layout)
        _close(function(given, w, layout=layout, strides=2), conv(given, w, layout=layout, strides=2), 1)
    with pytest.raises(AttributeValueError, match=f"{function.__name__}: layout must be"):
        function(x, w, layout=LAYOUTS[1 + rank % 3][0])
    with pytest.raises(ShapeError, match="layout"):
        function(x[0], w)


@pytest.mark.parametrize(
    ("call", "exception", "message"),
    [
        (
            lambda: depthwise_conv(np.ones((1, 4, 4, 3)), np.ones((2, 2, 4, 1))),
            ShapeError,
            r"\[\*kernel, channels, mul",
        ),
        (lambda: depthwise_conv(np.ones((1, 4, 4, 3)), np.ones((2, 2))), ShapeError, "does not fit"),
        (lambda: conv2d(np.ones((1, 4, 4, 3), "int32"), np.ones((2, 2, 3, 1), "int32")), DTypeError, "float32"),
        (lambda: conv2d(np.ones((1, 4, 4, 3)), np.ones((2, 2, 3, 1)), padding="CAUSAL"), AttributeValueError, "pairs"),
    ],
)
def test_errors_of_functions(call, exception, message):
    with pytest.raises(exception, match=message):
        call()


def test_dtypes_promote():
    assert conv(np.ones((1, 4, 1), "float32"), np.ones((2, 1, 1), "float64")).dtype.name == "float64"


def test_numpy_has_kernels_for_the_three():
    backend = device("numpy").backend
    assert all(backend.kernels_for(op.op.name) for op in (conv, conv_input_grad, conv_weight_grad))
