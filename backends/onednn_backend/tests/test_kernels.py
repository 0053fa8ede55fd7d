"""Kernels on oneDNN against NumPy's in float64: sizes the op table's samples do not reach, odd values, odd strides."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from corenn_onednn.dnnl import UnimplementedError
from corenn_onednn.kernels import _serving
from corenn_onednn.kernels._serving import Thresholds

import corenn
from corenn import dtypes
from corenn.ops import dispatch
from corenn.ops.table import TABLE
from corenn.spec import Spec
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import TRAINING, forward

pytestmark = pytest.mark.usefixtures("library")

MATMUL = {"transpose_a": False, "transpose_b": False}
CONV = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1, "layout": "NHWC"}
POOL = {"window": (3, 3), "strides": (2, 2), "padding": ((0, 1), (1, 0)), "layout": "NHWC"}
IMAGES, HALF = (8, 20, 18, 32), (8, 10, 9, 32)

# op, shapes, attributes, and how many terms are added up
CASES = {
    "matmul": ("matmul", ((130, 200), (200, 129)), MATMUL, 200),
    "matmul, a given transposed": ("matmul", ((200, 130), (200, 129)), MATMUL | {"transpose_a": True}, 200),
    "matmul, both given transposed": (
        "matmul", ((200, 130), (129, 200)), {"transpose_a": True, "transpose_b": True}, 200,
    ),
    "matmul, rows of a batch": ("matmul", ((6, 5, 50, 64), (64, 40)), MATMUL, 64),
    "matmul, batches": ("matmul", ((4, 1, 64, 64), (6, 64, 40)), MATMUL, 64),
    "matmul, batch of a transposed": ("matmul", ((8, 64, 50), (64, 90)), MATMUL | {"transpose_a": True}, 64),
    "conv": ("conv", (IMAGES, (3, 3, 32, 24)), CONV, 288),
    "conv, channels first": ("conv", ((8, 32, 20, 18), (3, 3, 32, 24)), CONV | {"layout": "NCHW"}, 288),
    "conv, strided, groups": (
        "conv", (IMAGES, (3, 3, 8, 16)), CONV | {"groups": 4, "strides": (2, 1), "padding": ((0, 1), (2, 0))}, 72,
    ),
    "conv, by the operand": ("conv_input_grad", ((8, 20, 18, 24), (3, 3, 32, 24)), CONV | {"size": (20, 18)}, 216),
    "conv, by the weights": ("conv_weight_grad", (IMAGES, (8, 20, 18, 24)), CONV | {"size": (3, 3)}, 2880),
    "conv, few channels, by the weights": (
        "conv_weight_grad", ((8, 20, 18, 3), (8, 10, 9, 24)), CONV | {"size": (3, 3), "strides": (2, 2)}, 720,
    ),
    "max_pool": ("max_pool", (IMAGES,), POOL, 1),
    "max_pool, channels first": ("max_pool", (IMAGES,), POOL | {"layout": "NCHW"}, 1),
    "max_pool_grad": ("max_pool_grad", (IMAGES, HALF), POOL, 9),
    "avg_pool": ("avg_pool", (IMAGES,), POOL | {"count_padding": False}, 9),
    "avg_pool, padding counts": ("avg_pool", (IMAGES,), POOL | {"count_padding": True}, 9),
    "avg_pool_grad": ("avg_pool_grad", (HALF,), POOL | {"count_padding": False, "size": (20, 18)}, 9),
    "batch_norm_training": ("batch_norm_training", (IMAGES, (32,), (32,)), {"axis": 3, "epsilon": 1e-3}, 2880),
    "batch_norm_training, first": ("batch_norm_training", (IMAGES, (20,), (20,)), {"axis": 1, "epsilon": 1e-3}, 4608),
    "batch_norm_training, rows": ("batch_norm_training", ((700, 64), (64,), None), {"axis": 1, "epsilon": 1e-3}, 700),
    "batch_norm_grad": (
        "batch_norm_grad", (IMAGES, (32,), (32,), IMAGES, (32,), "variance", (32,)), {"axis": 3, "epsilon": 1e-3}, 2880,
    ),
    "batch_norm_inference": (
        "batch_norm_inference", (IMAGES, (32,), (32,), (32,), "variance"), {"axis": 3, "epsilon": 1e-3}, 1,
    ),
    "standardize": ("standardize", ((40, 9, 64), (64,), (64,)), {"axis": (2,), "epsilon": 1e-3, "center": True}, 64),
    "standardize, two axes": ("standardize", ((90, 9, 64), None, None),
                              {"axis": (1, 2), "epsilon": 1e-3, "center": True}, 576),
    "standardize_grad": ("standardize_grad", ((90, 64), (90, 64)), {"axis": (1,), "epsilon": 1e-3, "center": True}, 64),
    "standardize_affine_grad": (
        "standardize_affine_grad", ((90, 64), (90, 64), (64,)), {"axis": (1,), "epsilon": 1e-3, "center": True}, 90,
    ),
    "softmax": ("softmax", ((70, 3, 33),), {"axis": 2}, 33),
    "softmax_grad": ("softmax_grad", ((70, 33), (70, 33)), {"axis": 1}, 33),
    "log_softmax": ("log_softmax", ((70, 300),), {"axis": 1}, 300),
}  # fmt: skip


def _kernel(backend, name, arrays, attrs):
    """What serves the op on a backend for such arrays, and whether it is a kernel on oneDNN."""
    op, canonical = TABLE[name], dict(attrs)
    specs = tuple(None if a is None else Spec(a.shape, dtypes.as_dtype(a.dtype)) for a in arrays)
    results = dispatch.infer(op, specs, canonical)
    found, _ = dispatch.choose_kernel(op, specs, canonical, results, corenn.device(backend))
    return found


def _is_own(function) -> bool:
    return getattr(function, "__module__", "").startswith("corenn_onednn")


def _operands(draw, shapes, channels=32):
    return [
        None if shape is None else np.abs(draw(channels)) + 0.5 if shape == "variance" else draw(*shape)
        for shape in shapes
    ]


def _several(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.fixture(params=CASES)
def case(request, draw, monkeypatch):
    monkeypatch.setattr(Thresholds, "products", 1 << 17)
    name, shapes, attrs, terms = CASES[request.param]
    return name, _operands(draw, shapes), attrs, forward(dtypes.float32).scaled(math.sqrt(terms) * 2)


def _single(arrays):
    return [None if a is None else a.astype(np.float32) for a in arrays]


def test_values_are_those_of_numpy_in_float64(case):
    name, arrays, attrs, tolerance = case
    single = _single(arrays)
    found = _kernel("onednn", name, single, attrs)
    assert _is_own(found)
    expected = _several(_kernel("numpy", name, arrays, attrs)(*arrays))
    results = _several(found(*single))
    assert len(results) == len(expected)
    for result, wanted in zip(results, expected, strict=True):
        assert result.dtype == np.float32
        assert result.flags.c_contiguous
        assert_close(result, wanted, tolerance, name)


def test_operands_may_lie_anyhow_and_are_not_written_to(case):
    name, arrays, attrs, _ = case
    single = _single(arrays)
    function = _kernel("onednn", name, single, attrs)
    expected = _several(function(*single))
    turned = [None if a is None else np.asfortranarray(a) for a in single]
    sparse = [None if a is None else np.repeat(a, 2, axis=-1)[..., ::2] for a in single]
    fixed = [None if a is None else a.copy() for a in single]
    for a in fixed:
        if a is not None:
            a.flags.writeable = False
    for operands in (turned, sparse, fixed):
        for result, wanted in zip(_several(function(*operands)), expected, strict=True):
            assert_close(result, wanted, forward(dtypes.float32).scaled(8), name)
    for before, after in zip(_single(arrays), single, strict=True):
        assert before is None or np.array_equal(before, after)


def test_a_kernel_runs_in_many_threads_at_once(case):
    name, arrays, attrs, _ = case
    single = _single(arrays)
    function = _kernel("onednn", name, single, attrs)
    sets = [[None if a is None else a * np.float32(k) for a in single] for k in (1, 2, 3)]
    expected = [_several(function(*each)) for each in sets]
    wrong = []

    def work(operands, wanted):
        for _ in range(5):
            for result, value in zip(_several(function(*operands)), wanted, strict=True):
                if not np.allclose(result, value, rtol=1e-4, atol=1e-3):
                    wrong.append(result)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(sets, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_kernel_runs_with_the_threads_it_was_made_for(library, case):
    """Scratch memory is for so many threads: a primitive that ran with more would write beyond it."""
    if library.runtime != "OpenMP":
        pytest.skip("threads are set through OpenMP")
    name, arrays, attrs, _ = case
    single, before = _single(arrays), library.threads
    try:
        library.set_threads(1)
        function = _kernel("onednn", name, single, attrs)
        expected = _several(function(*single))
        library.set_threads(7)
        for result, wanted in zip(_several(function(*single)), expected, strict=True):
            np.testing.assert_array_equal(result, wanted)
        library.stream()
        assert library.c.omp_get_max_threads() == 7
    finally:
        library.set_threads(before)


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
@pytest.mark.parametrize("name", ["max_pool", "max_pool_grad", "avg_pool", "softmax", "log_softmax", "conv", "matmul"])
def test_odd_values_give_what_they_give_with_numpy(draw, name, value, monkeypatch):
    monkeypatch.setattr(Thresholds, "products", 0)
    kind, shapes, attrs, _ = CASES[name]
    single = _single(_operands(draw, shapes))
    single[0][..., 3] = value
    single[0][0] = value
    with np.errstate(all="ignore"):
        expected = _several(_kernel("numpy", kind, single, attrs)(*single))
        found = _several(_kernel("onednn", kind, single, attrs)(*single))
    for result, wanted in zip(found, expected, strict=True):
        assert_close(result, wanted, forward(dtypes.float32).scaled(20), name)


@pytest.mark.parametrize("dtype", ["float64", "int32", "complex64"])
def test_other_dtypes_are_left_to_numpy(dtype):
    x = np.ones((300, 300), dtype)
    assert not _is_own(_kernel("onednn", "matmul", [x, x], MATMUL))


@pytest.mark.parametrize(
    "shapes", [((4, 5), (5, 6)), ((300,), (300, 300)), ((1, 3000), (3000, 1000)), ((0, 9), (9, 9))]
)
def test_small_thin_and_empty_products_are_left_to_numpy(shapes):
    arrays = [np.ones(shape, np.float32) for shape in shapes]
    assert not _is_own(_kernel("onednn", "matmul", arrays, MATMUL))


def test_bfloat16_is_computed_as_it_is_where_the_cpu_can(library, draw):
    if not library.bfloat16:
        pytest.skip("this CPU has no bfloat16 instructions")
    half = dtypes.bfloat16.numpy
    for case in ("matmul", "conv", "conv, by the operand", "conv, by the weights"):
        name, shapes, attrs, terms = CASES[case]
        arrays = [a.astype(half) for a in _operands(draw, shapes)]
        found = _kernel("onednn", name, arrays, attrs)
        assert _is_own(found)
        exact = _kernel("numpy", name, [a.astype(np.float64) for a in arrays], attrs)(
            *[a.astype(np.float64) for a in arrays]
        )
        result = found(*arrays)
        assert result.dtype == half
        tolerance = forward(dtypes.bfloat16)
        # One rounding of the result; sums in float32 leave an absolute error where terms cancel.
        scale = float(np.abs(exact).max()) * 1e-6 * math.sqrt(terms)
        assert_close(result.astype(np.float64), exact, type(tolerance)(tolerance.rtol / 2, scale), case)


def test_what_the_library_does_not_implement_is_left_to_numpy():
    def refused(specs, attrs):
        raise UnimplementedError("oneDNN anything", "unimplemented")

    kernel = _serving.kernel(lambda specs, attrs: True, refused)
    assert kernel.when([Spec((2, 2), dtypes.float32)], {}) is False


def test_a_large_batch_keeps_its_digits_in_statistics(draw):
    """Sums of 10^5 elements with a mean far from 0: what a running sum in float32 would lose."""
    x = (draw(100, 32, 32, 4) + 30).astype(np.float32)
    attrs = {"axis": 3, "epsilon": 1e-3}
    y, mean, variance = _kernel("onednn", "batch_norm_training", [x, None, None], attrs)(x, None, None)
    wide = x.astype(np.float64)
    tolerance = forward(dtypes.float32).scaled(math.sqrt(x.size / 4))
    assert_close(mean, wide.mean((0, 1, 2)), tolerance, "mean")
    assert_close(variance, wide.var((0, 1, 2)), tolerance, "variance")
    expected = (wide - wide.mean((0, 1, 2))) / np.sqrt(wide.var((0, 1, 2)) + 1e-3)
    assert_close(y, expected, tolerance, "result")


def test_training_steps_agree_with_numpy():
    """A small convolutional network: weights after some steps on both backends."""
    found = []
    for name in ("numpy", "onednn"):
        rng = np.random.default_rng(3)
        with corenn.device(name):
            x = corenn.tensor(rng.normal(size=(16, 12, 12, 3)).astype(np.float32))
            target = corenn.tensor(rng.normal(size=(16, 10)).astype(np.float32))
            kernel = corenn.Variable(0.2 * rng.normal(size=(3, 3, 3, 8)).astype(np.float32))
            weights = corenn.Variable(0.1 * rng.normal(size=(288, 10)).astype(np.float32))
            for _ in range(10):
                with corenn.GradientTape() as tape:
                    h = corenn.nn.max_pool(corenn.nn.relu(corenn.nn.conv(x, kernel, padding="SAME")), window=2)
                    y = corenn.matmul(corenn.reshape(h, shape=(16, 288)), weights)
                    loss = corenn.mean((y - target) * (y - target))
                for variable, slope in zip((kernel, weights), tape.gradient(loss, [kernel, weights]), strict=True):
                    variable.assign(variable - slope * 0.05)
            found.append((np.asarray(kernel), np.asarray(weights), np.asarray(loss)))
    for ours, theirs in zip(found[1], found[0], strict=True):
        assert_close(ours, theirs, TRAINING, "after ten steps")
