"""Resizing against PyTorch and by hand; the table's samples, references and errors are tested elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn.autodiff import vjp
from corenn.dtypes import float64
from corenn.errors import AttributeValueError, ShapeError
from corenn.ops.resize import positions, resize, resize_grad, upsample
from corenn.ops.windows import LAYOUTS
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import EXACT, forward

TORCH_MODES = {("nearest", 1): "nearest-exact", ("nearest", 2): "nearest-exact", ("nearest", 3): "nearest-exact"}
TORCH_MODES |= {("bilinear", 1): "linear", ("bilinear", 2): "bilinear", ("bilinear", 3): "trilinear"}
CASES = [
    ((5,), (9,)), ((9,), (4,)), ((5,), (1,)), ((1,), (4,)),
    ((4, 6), (8, 12)), ((4, 6), (3, 11)), ((7, 5), (7, 2)), ((3, 3), (3, 3)),
    ((2, 3, 4), (5, 2, 4)),
]  # fmt: skip


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def _first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize(
    ("method", "align_corners"), [("nearest", False), ("bilinear", False), ("bilinear", True)], ids=str
)
@pytest.mark.parametrize(("extents", "size"), CASES, ids=str)
def test_agrees_with_torch(torch, extents, size, method, align_corners, last):
    layout = LAYOUTS[len(extents)][0 if last else 1]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *extents, 3))
    tx = torch.tensor(_first(x), requires_grad=True)
    options = {"align_corners": align_corners} if method == "bilinear" else {}
    ty = torch.nn.functional.interpolate(tx, size=size, mode=TORCH_MODES[method, len(extents)], **options)
    dy = rng.normal(size=ty.shape)
    ty.backward(torch.tensor(dy))
    back = (lambda a: np.moveaxis(a, 1, -1)) if last else (lambda a: a)
    y, pull = vjp(
        lambda a: resize(a, size=size, method=method, align_corners=align_corners, layout=layout),
        corenn.tensor(x if last else _first(x)),
    )
    (dx,) = pull(corenn.tensor(back(dy).copy()))
    tolerance = forward(float64).scaled(8)
    assert_close(y.numpy(), back(ty.detach().numpy()), tolerance)
    assert_close(dx.numpy(), back(tx.grad.numpy()), tolerance)


def test_nearest_takes_the_pixels_that_torch_takes(torch):
    """But for exact halves, where float32 decides: TensorFlow's arithmetic is ours, PyTorch's differs a little."""
    for n in range(1, 24):
        for m in range(1, 48):
            i = np.arange(m)
            expected = torch.nn.functional.interpolate(torch.arange(float(n))[None, None], size=m, mode="nearest-exact")
            between = (2 * i + 1) * n % (2 * m) == 0
            found = positions(n, m, "nearest", False)[0]
            assert (between | (found == expected.numpy().ravel())).all(), (n, m)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16"])
def test_nearest_keeps_any_dtype(dtype):
    x = np.arange(4).reshape(1, 2, 2, 1).astype(dtype)
    y = resize(x, size=(4, 2))
    assert y.dtype.name == dtype
    assert y.numpy()[0, :, :, 0].tolist() == [[0, 1], [0, 1], [2, 3], [2, 3]]


def test_a_spoilt_pixel_spoils_only_its_neighbours():
    x = np.zeros((1, 1, 8, 1))
    x[0, 0, 2] = np.nan
    assert np.isnan(resize(x, size=(1, 16), method="bilinear").numpy()).sum() <= 4
    assert np.isnan(resize(x, size=(1, 16)).numpy()).sum() == 2


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_upsample_is_nearest_by_whole_factors(layout):
    x = corenn.tensor(np.random.default_rng(0).normal(size=(2, 3, 4, 5)))
    axes = (1, 2) if layout == "NHWC" else (2, 3)
    y, pull = vjp(lambda a: upsample(a, factor=(2, 3), layout=layout), x)
    size = tuple(x.shape[a] * f for a, f in zip(axes, (2, 3), strict=True))
    assert_close(y.numpy(), resize(x, size=size, layout=layout).numpy(), EXACT)
    assert_close(pull(y)[0].numpy(), 6 * x.numpy(), forward(float64))


@pytest.mark.parametrize(
    ("attrs", "exception", "message"),
    [
        ({"factor": 1.5}, AttributeValueError, "upsample: factor must be"),
        ({"factor": 0}, AttributeValueError, "factor must be"),
        ({"factor": 2, "layout": "NCW"}, ShapeError, "upsample: x has 4 axes"),
    ],
)
def test_errors_of_upsample(attrs, exception, message):
    with pytest.raises(exception, match=message):
        upsample(np.zeros((1, 2, 2, 1)), **attrs)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 20)), min_size=1, max_size=3),
    st.sampled_from([("nearest", False), ("bilinear", False), ("bilinear", True)]),
    st.integers(0, 1),
)
def test_gradient_is_adjoint_and_constants_stay(axes, how, last):
    """<resize(x), dy> = <x, resize_grad(dy)>, and the weights of each result add up to 1."""
    extents, size = zip(*axes, strict=True)
    attrs = {"method": how[0], "align_corners": how[1], "layout": LAYOUTS[len(axes)][last]}
    shape = (2, *extents, 3) if attrs["layout"].endswith("C") else (2, 3, *extents)
    rng = np.random.default_rng(0)
    x = corenn.tensor(rng.normal(size=shape))
    y = resize(x, size=size, **attrs)
    dy = corenn.tensor(rng.normal(size=y.shape))
    dx = resize_grad(dy, size=extents, **attrs)
    assert float((y * dy).sum()) == pytest.approx(float((x * dx).sum()), abs=1e-9)
    ones = resize(corenn.ones(shape, dtype="float64"), size=size, **attrs)
    assert_close(ones.numpy(), np.ones(y.shape), forward(float64))
