"""3x3 convolutions by Winograd's filtering: what they compute, and which they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from corenn_onednn.compiling import winograd
from corenn_onednn.compiling.executable import NativeExecutable
from corenn_onednn.compiling.series import Series
from corenn_onednn.compiling.tiles import FOUR, TWO

import corenn
from corenn import dtypes
from corenn.device import Device
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import forward


@pytest.fixture(scope="module")
def place(library):
    """A device of the backend, registered or not."""
    from corenn_onednn.backend import OneDnnBackend

    return Device(OneDnnBackend(), 0)


def direct(x, w, padding):
    """The convolution in float64, as its definition has it."""
    x = np.pad(x.astype("float64"), ((0, 0), *padding, (0, 0)))
    height, width = x.shape[1] - 2, x.shape[2] - 2
    return sum(
        np.einsum("nhwc,co->nhwo", x[:, a : a + height, b : b + width], w[a, b].astype("float64"))
        for a in range(3)
        for b in range(3)
    )


def gradients(x, w, g, padding):
    """The gradients of ``sum(direct(x, w) * g)`` by ``x`` and ``w`` in float64."""
    padded = np.pad(x.astype("float64"), ((0, 0), *padding, (0, 0)))
    by_x, by_w = np.zeros_like(padded), np.zeros(w.shape)
    height, width = g.shape[1:3]
    for a in range(3):
        for b in range(3):
            by_x[:, a : a + height, b : b + width] += np.einsum("nhwo,co->nhwc", g.astype("float64"), w[a, b])
            by_w[a, b] = np.einsum("nhwc,nhwo->co", padded[:, a : a + height, b : b + width], g)
    (top, _), (left, _) = padding
    return by_x[:, top : top + x.shape[1], left : left + x.shape[2]], by_w


def commands_of(function, *args):
    """The series that a traced function has become: the ops that each stands for."""
    concrete = function.get_concrete_function(*args)
    executable = concrete._runs.compiled(concrete.inputs, list(args), args[0].device).executable
    assert isinstance(executable, NativeExecutable)
    return [i.ops for i in executable.compiled.instructions if isinstance(i, Series)]


def same(actual, expected):
    """Equal to the tolerance of float32, as parts of the largest result: all are sums over many channels."""
    size = np.abs(expected).max()
    assert_close(actual / size, expected / size, forward(dtypes.float32))


SAME = ((1, 1), (1, 1))
CASES = {
    "even": ((3, 8, 10, 32), 48, SAME),
    "odd": ((3, 9, 7, 40), 33, SAME),
    "no padding": ((4, 9, 10, 32), 32, ((0, 0), (0, 0))),
    "one side": ((4, 8, 7, 35), 64, ((0, 1), (2, 0))),
    "wide": ((4, 12, 8, 32), 32, ((2, 2), (2, 2))),
    "many channels": ((12, 4, 4, 144), 80, SAME),
    "two rows": ((12, 2, 16, 32), 32, SAME),
}


def arrays(shape, outer, padding):
    rng = np.random.default_rng(5)
    n, h, w, inner = shape
    out = (n, h + sum(padding[0]) - 2, w + sum(padding[1]) - 2, outer)
    filters = rng.standard_normal((3, 3, inner, outer)).astype("float32")
    return rng.standard_normal(shape).astype("float32"), filters, rng.standard_normal(out).astype("float32")


@pytest.fixture(params=[TWO, FOUR], ids=["2x2", "4x4"])
def way(request, monkeypatch):
    """One way of filtering, whatever it takes."""
    monkeypatch.setattr(winograd, "_WAYS", (request.param,))
    monkeypatch.setattr(winograd, "_DIRECT", math.inf)
    return request.param


@pytest.mark.parametrize("at_a_time", [10**9, 200_000], ids=["whole", "in parts"])
@pytest.mark.parametrize("case", CASES)
def test_convolution_and_its_gradients(place, way, monkeypatch, case, at_a_time):
    monkeypatch.setattr(winograd, "_AT_A_TIME", at_a_time)
    shape, outer, padding = CASES[case]
    x, w, g = arrays(shape, outer, padding)

    @corenn.function
    def run(x, w, g):
        with corenn.GradientTape() as tape:
            tape.watch([x, w])
            y = corenn.nn.conv(x, w, padding=padding)
            loss = corenn.sum(y * g)
        return y, *tape.gradient(loss, [x, w])

    with place:
        args = [corenn.tensor(a) for a in (x, w, g)]
        made = [t.numpy() for t in run(*args)]
        assert sorted(commands_of(run, *args)) == [("conv",), ("conv_input_grad",), ("conv_weight_grad",)]
    same(made[0], direct(x, w, padding))
    for actual, expected in zip(made[1:], gradients(x, w, g, padding), strict=True):
        same(actual, expected)


@pytest.mark.parametrize("at_a_time", [10**9, 200_000], ids=["whole", "in parts"])
def test_what_follows_is_done_on_the_way(place, way, monkeypatch, at_a_time):
    monkeypatch.setattr(winograd, "_AT_A_TIME", at_a_time)
    x, w, other = arrays((3, 9, 7, 40), 36, SAME)
    rng = np.random.default_rng(1)
    scale, shift = (rng.standard_normal(36).astype("float32") for _ in range(2))

    @corenn.function
    def run(x, w, scale, shift, other):
        return corenn.nn.relu(other - (corenn.nn.conv(x, w, padding="SAME") * scale + shift))

    @corenn.function
    def other_way(x, w, scale, shift, other):
        return corenn.nn.relu((shift + scale * corenn.nn.conv(x, w, padding="SAME")) - other)

    y = direct(x, w, SAME) * scale + shift
    with place:
        args = [corenn.tensor(a) for a in (x, w, scale, shift, other)]
        assert commands_of(other_way, *args) == [("conv", "multiply", "add", "subtract", "relu")]
        same(other_way(*args).numpy(), np.maximum(y - other, 0))
        same(run(*args).numpy(), np.maximum(other - y, 0))


LEFT_ALONE = {
    "few channels": ((4, 12, 12, 16), (3, 3, 16, 64), {}),
    "few results": ((4, 12, 12, 64), (3, 3, 64, 16), {}),
    "few tiles": ((2, 8, 8, 64), (3, 3, 64, 64), {}),
    "mostly edges": ((40, 3, 3, 64), (3, 3, 64, 64), {}),
    "strides": ((4, 24, 24, 64), (3, 3, 64, 64), {"strides": 2}),
    "dilation": ((4, 24, 24, 64), (3, 3, 64, 64), {"dilation": 2}),
    "groups": ((4, 24, 24, 64), (3, 3, 32, 64), {"groups": 2}),
    "5x5": ((4, 24, 24, 64), (5, 5, 64, 64), {}),
    "wide padding": ((4, 24, 24, 64), (3, 3, 64, 64), {"padding": ((3, 3), (1, 1))}),
}


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_others_are_left_to_the_library(place, case):
    shape, filters, options = LEFT_ALONE[case]

    @corenn.function
    def run(x, w):
        return corenn.nn.conv(x, w, **{"padding": "SAME", **options})

    with place:
        assert commands_of(run, corenn.ones(shape), corenn.ones(filters)) == []


CHOSEN = {
    "large images": ((16, 25, 25, 64), 64, FOUR),
    "few large images": ((2, 28, 28, 64), 64, FOUR),
    "as large as two tiles": ((16, 7, 7, 256), 256, FOUR),
    "as large as one tile": ((16, 4, 4, 512), 512, TWO),
    "half of a tile over the edges": ((100, 6, 6, 64), 64, TWO),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_the_way_that_takes_less_is_chosen(place, case):
    shape, outer, way = CHOSEN[case]

    @corenn.function
    def run(x, w):
        return corenn.nn.conv(x, w, padding="SAME")

    with place:
        program = run.get_concrete_function(corenn.ones(shape), corenn.ones((3, 3, shape[-1], outer))).program
        (call,) = program(corenn.ones(shape), corenn.ones((3, 3, shape[-1], outer))).instructions
    assert winograd.filtering(call) is way
