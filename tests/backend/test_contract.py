"""Backends by name and as objects: what the core asks of them, and what it says when they fall short."""

from __future__ import annotations

import numpy as np
import pytest
from corenn_numpy.backend import NumpyBackend

import corenn
from corenn import dtypes
from corenn.backend import Backend, Kernel, best_available, get_backend, use_backend
from corenn.device import current_device, device_of
from corenn.errors import BackendError, DTypeError, KernelMissing, UnofferedDTypeError
from corenn.ops.families import unary
from corenn.ops.table import TABLE, op
from corenn.plugin import BackendRecord, hookimpl, registry
from corenn.testing import register_doubles

register_doubles()


def numpy_like(name: str, **fields: object) -> Backend:
    """A NumPy backend under another name, with some fields or methods replaced."""
    return type("Like", (NumpyBackend,), {"name": name, **fields})()


# ---------------------------------------------------------------- finding


def test_a_backend_is_loaded_once():
    assert get_backend("numpy") is get_backend("numpy")
    assert corenn.device("numpy").backend is get_backend("numpy")


def test_auto_is_the_best_available():
    assert get_backend("auto") is get_backend(best_available())
    assert best_available() not in ("strict", "simulated")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("nunpy", "did you mean 'numpy'"),
        ("numpy:1", "numpy has no device 1"),
        ("simulated:2", "it has simulated:0 to simulated:1"),
        ("numpy:x", "write 'backend' or 'backend:index'"),
    ],
)
def test_a_device_that_does_not_exist(name, part):
    with pytest.raises(BackendError) as caught:
        corenn.device(name)
    assert part in str(caught.value)


def test_a_backend_that_cannot_run_here_says_why():
    class Plugin:
        @hookimpl
        def corenn_backends(self):
            record = BackendRecord("absent", "no:Where", probe=lambda: "no such card", install_hint="buy one")
            return [record]

    registry.register(Plugin(), "absent-plugin")
    try:
        with pytest.raises(BackendError) as caught:
            get_backend("absent")
    finally:
        registry.unregister("absent-plugin")
    assert "'absent' is not available here: no such card" in str(caught.value)
    assert "hint: buy one" in str(caught.value)


@pytest.mark.parametrize(
    ("backend", "part"),
    [
        (object(), "is not a corenn.backend.Backend"),
        (numpy_like("bad", xp=None), "does not set 'xp'"),
        (numpy_like("bad", kernels=lambda self: {"addd": Kernel(np.add)}), "ops that do not exist: addd"),
    ],
    ids=["not-a-backend", "no-namespace", "unknown-op"],
)
def test_an_object_that_is_no_backend_is_refused(backend, part):
    with pytest.raises(BackendError) as caught:
        use_backend(backend)
    assert part in str(caught.value)


def test_a_backend_object_can_be_used_by_name():
    mine = use_backend(numpy_like("mine-in-process"))
    assert get_backend("mine-in-process") is mine
    with corenn.device("mine-in-process"):
        assert current_device().backend is mine
        assert corenn.ones((2,)).device.name == "mine-in-process"
    assert current_device().backend is not mine


# ---------------------------------------------------------------- using


def test_devices_do_not_mix_and_the_error_says_how_to_move():
    x, y = corenn.tensor([1.0], device="simulated:0"), corenn.tensor([1.0], device="strict")
    with pytest.raises(BackendError) as caught:
        x * y
    text = str(caught.value)
    assert "on simulated:0" in text
    assert "on strict" in text
    assert "x.to('simulated:0')" in text


def test_gradients_flow_through_a_move():
    x = corenn.tensor([1.0, 2.0], device="simulated:0")
    with corenn.GradientTape() as tape:
        tape.watch(x)
        loss = corenn.sum(corenn.square(x.to("simulated:1")))
    gradient = tape.gradient(loss, x)
    assert gradient.device is x.device
    assert gradient.tolist() == [2.0, 4.0]


def test_kernels_are_asked_in_order_and_may_decline():
    asked = []

    def kernel(tag, ndim):
        def when(specs, attrs):
            asked.append(tag)
            return specs[0].ndim == ndim

        return Kernel(lambda x: x * 0 + tag, when=when)

    place = device_of(numpy_like("ordered", kernels=lambda self: {"negative": [kernel(1, 1), kernel(2, 2)]}))
    results = [corenn.negative(corenn.ones(s, device=place)).numpy().max() for s in ((3,), (3, 3), (3, 3, 3))]
    assert results == [1.0, 2.0, -1.0]
    assert asked == [1, 1, 2, 1, 2]


def test_a_decision_is_kept_for_equal_specs():
    asked = []
    kernel = Kernel(np.negative, when=lambda specs, attrs: bool(asked.append(1)) or True)
    place = device_of(numpy_like("asked-once", kernels=lambda self: {"negative": kernel}))
    for _ in range(3):
        corenn.negative(corenn.ones((2,), device=place))
    assert len(asked) == 1


def test_a_dtype_that_is_not_offered_is_named_with_those_that_are():
    place = device_of(numpy_like("narrow", dtypes=lambda self: frozenset({dtypes.float32, dtypes.int32, dtypes.bool_})))
    with pytest.raises(UnofferedDTypeError, match="the narrow backend has no float64"):
        corenn.tensor(np.zeros(2), device=place)
    with pytest.raises(DTypeError) as caught:
        corenn.ones((2,), device=place).cast("float64")
    assert "it offers bool, float32, int32" in str(caught.value)


def test_an_op_that_nothing_serves_says_so():
    try:

        @op(family=unary, name="nothing_serves")
        def nothing(x: object, /) -> object:
            """An op without a kernel or a decomposition."""

        with pytest.raises(KernelMissing, match="the numpy backend has no kernel for it"):
            nothing(corenn.ones((2,), device="numpy"))
    finally:
        TABLE.pop("nothing_serves", None)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_stored_dtype_is_widened_once_and_rounded_once(dtype):
    seen = []

    def mean(x, *, axis, keepdims):
        seen.append(x.dtype)
        return np.mean(x, axis=axis, keepdims=keepdims)

    place = device_of(numpy_like("widening", kernels=lambda self: {"mean": Kernel(mean)}))
    result = corenn.mean(corenn.full((3,), 0.1, dtype=dtype, device=place))
    assert result.dtype == dtype
    assert seen == [np.float32]


def test_a_draw_in_half_precision_is_not_a_rounded_draw_in_single():
    """What a dtype means for a draw is the op's to say: float16 numbers are multiples of 2**-11, from 11 bits."""
    key = corenn.tensor(np.array([1, 2, 0], np.uint64), device="numpy")
    drawn = TABLE["random_uniform"].public(key, shape=(1000,), dtype="float16").numpy()
    scaled = drawn.astype(np.float64) * 2**11
    np.testing.assert_array_equal(scaled, np.floor(scaled))
    assert scaled.max() < 2**11


def test_results_of_rank_zero_are_arrays():
    with corenn.device("numpy"):
        assert isinstance(corenn.sum(corenn.ones((3,))).data, np.ndarray)
