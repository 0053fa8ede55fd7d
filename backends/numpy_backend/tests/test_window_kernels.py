"""Convolution and pooling kernels in tiles of every size: where a tile ends must not show in the result."""

from __future__ import annotations

import math

import numpy as np
import pytest
from corenn_numpy.kernels import convolution, pooling
from hypothesis import given, settings
from hypothesis import strategies as st

from corenn.dtypes import float64
from corenn.ops.windows import windows_along
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import EXACT, forward

# images, extents, kernel, strides, dilation, groups, channels in and out in each group
CONVOLUTIONS = [
    (5, (6, 7), (3, 3), (1, 1), (1, 1), 1, 8, 4),
    (5, (6, 7), (3, 3), (2, 1), (1, 1), 1, 8, 4),
    (5, (6, 7), (3, 2), (1, 2), (2, 1), 1, 2, 3),
    (4, (6, 7), (3, 3), (1, 1), (1, 1), 1, 2, 9),
    (4, (6, 7), (3, 3), (2, 2), (1, 1), 1, 2, 9),
    (4, (5, 5), (1, 1), (1, 1), (1, 1), 1, 6, 3),
    (4, (5, 5), (2, 2), (2, 1), (1, 1), 3, 2, 2),
    (4, (5, 5), (2, 2), (2, 2), (1, 1), 3, 2, 5),
    (4, (6, 6), (3, 3), (1, 1), (1, 1), 5, 1, 1),
    (4, (6, 6), (3, 3), (2, 2), (1, 1), 5, 1, 2),
    (3, (11,), (4,), (3,), (2,), 1, 5, 4),
    (2, (4, 5, 6), (2, 3, 2), (1, 2, 1), (1, 1, 2), 1, 5, 3),
]
POOLS = [
    (5, (6, 8), (2, 2), (2, 2), (0, 0)),
    (5, (7, 7), (3, 3), (2, 2), (1, 1)),
    (5, (7, 7), (2, 3), (3, 1), (0, 2)),
    (3, (4, 5, 6), (2, 2, 2), (2, 2, 2), (0, 1, 0)),
]
LAYOUTS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


def _shape(images, extents, channels, last):
    return (images, *extents, channels) if last else (images, channels, *extents)


def _every_result(x, w, dy, size, attrs):
    return (
        convolution.conv(x, w, **attrs),
        convolution.conv_input_grad(dy, w, size=size, **attrs),
        convolution.conv_weight_grad(x, dy, size=w.shape[:-2], **attrs),
    )


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=range(len(CONVOLUTIONS)))
def test_tiles_do_not_show_in_convolutions(monkeypatch, case, last):
    images, extents, kernel, strides, dilation, groups, inner, outer = case
    rng = np.random.default_rng(0)
    x = rng.normal(size=_shape(images, extents, inner * groups, last))
    w = rng.normal(size=(*kernel, inner, outer * groups))
    padding = ((1, 1), *[(0, 1)] * (len(kernel) - 1))
    attrs = {
        "strides": strides, "padding": padding, "dilation": dilation, "groups": groups,
        "layout": LAYOUTS[len(kernel)][0 if last else 1],
    }  # fmt: skip
    dy = rng.normal(size=convolution.conv(x, w, **attrs).shape)
    expected = _every_result(x, w, dy, extents, attrs)
    tolerance = forward(float64).scaled(math.sqrt(dy.size))
    for tile in (1, 300, 2000, 20000):
        monkeypatch.setattr(convolution, "TILE", tile)
        monkeypatch.setattr(convolution, "SMALL_TILE", tile)
        for found, wanted in zip(_every_result(x, w, dy, extents, attrs), expected, strict=True):
            assert_close(found, wanted, tolerance, f"tile of {tile} bytes")


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("case", POOLS, ids=range(len(POOLS)))
def test_tiles_do_not_show_in_pools(monkeypatch, case, last):
    images, extents, window, strides, padding = case
    rng = np.random.default_rng(0)
    shape = _shape(images, extents, 3, last)
    x, h = rng.integers(0, 5, shape) * 1.0, rng.normal(size=shape)
    attrs = {
        "window": window, "strides": strides, "padding": [(p, p) for p in padding],
        "layout": LAYOUTS[len(window)][0 if last else 1],
    }  # fmt: skip
    dy = rng.normal(size=pooling.max_pool(x, **attrs).shape)

    def results():
        return (
            pooling.max_pool(x, **attrs),
            pooling.max_pool_grad(x, dy, **attrs),
            pooling.max_pool_gather(x, h, **attrs),
            pooling.avg_pool(x, **attrs, count_padding=False),
            pooling.avg_pool_grad(dy, size=extents, **attrs, count_padding=False),
        )

    expected = results()
    for tile in (1, 1500, 1 << 30):
        monkeypatch.setattr(pooling, "TILE", tile)
        for found, wanted in zip(results(), expected, strict=True):
            assert_close(found, wanted, EXACT, f"tile of {tile} bytes")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 500), st.integers(1, 3000))
def test_tiles_cover_every_result_once_in_order(extents, each, tile):
    numbers = np.arange(math.prod(extents)).reshape(extents)
    reached = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "TILE", tile)
        for place, first, count in convolution.tiles(extents, each):
            assert numbers[place].ravel().tolist() == list(range(first, first + count))
            assert first == reached
            assert count * each <= tile or count == 1
            reached += count
    assert reached == numbers.size


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3))
def test_clipped_places_are_those_inside(extent, window, stride, before, after):
    if extent + before + after < window:
        extent = window
    results = windows_along(extent, window, stride, (before, after))
    for j in range(window):
        reads, places = convolution.clipped(extent, results, stride, j - before)
        inside = [(o, o * stride + j - before) for o in range(results) if 0 <= o * stride + j - before < extent]
        found = list(zip(range(results)[reads], range(extent)[places], strict=True))
        assert found == inside


@pytest.mark.parametrize("name", ["conv", "conv_input_grad", "conv_weight_grad"])
def test_operands_may_be_views(name):
    """Strided, reversed and broadcast operands, as other kernels hand them on."""
    rng = np.random.default_rng(0)
    x = np.broadcast_to(rng.normal(size=(1, 6, 14, 8))[:, ::-1, ::2, ::2], (3, 6, 7, 4))
    w = rng.normal(size=(5, 4, 3, 3)).transpose(3, 2, 1, 0)
    attrs = {"strides": (1, 2), "padding": ((1, 1), (0, 0)), "dilation": (1, 1), "groups": 1, "layout": "NHWC"}
    dy = np.asfortranarray(rng.normal(size=(3, 6, 3, 5)))
    operands, more = {
        "conv": ((x, w), {}),
        "conv_input_grad": ((dy, w), {"size": (6, 7)}),
        "conv_weight_grad": ((x, dy), {"size": (3, 3)}),
    }[name]
    function = getattr(convolution, name)
    expected = function(*[np.ascontiguousarray(a) for a in operands], **attrs, **more)
    assert_close(function(*operands, **attrs, **more), expected, forward(float64).scaled(8))
