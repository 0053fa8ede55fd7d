"""The simulated device refuses what a real one would do behind your back, and what it cannot do at all."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import corenn
from corenn.device import device_of
from corenn.errors import BackendError
from corenn.testing.simulated import NAMESPACE as xp
from corenn.testing.simulated import DeviceAccessError, DeviceArray, SimulatedDevice


@pytest.fixture
def backend():
    return SimulatedDevice()


@pytest.fixture
def x(backend):
    return backend.from_host(np.arange(6, dtype=np.float32).reshape(2, 3), 0)


@pytest.mark.parametrize(
    "access",
    [np.asarray, np.array, float, int, complex, bool, list, tuple, operator.index, np.sin, np.sum, np.stack, min],
    ids=lambda f: f.__name__,
)
def test_hidden_copies_are_refused(x, access):
    with pytest.raises((DeviceAccessError, TypeError)):
        access(x)


def test_branching_on_a_value_is_refused(x):
    with pytest.raises(DeviceAccessError, match="behind your back"):
        assert x[0, 0] < 3


def test_there_is_no_len(x):
    with pytest.raises(TypeError, match=r"use array\.shape"):
        len(x)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x + np.ones((2, 3), np.float32),
        lambda x: np.ones((2, 3), np.float32) * x,
        lambda x: x + np.float32(2),
        lambda x: xp.add(x, np.ones(3, np.float32)),
        lambda x: xp.stack([x, np.ones((2, 3), np.float32)]),
        lambda x: x[np.array([0, 1])],
        lambda x: x.__setitem__((0, ...), np.ones(3, np.float32)),
    ],
)
def test_host_arrays_beside_device_arrays_are_refused(x, mix):
    with pytest.raises((DeviceAccessError, TypeError)):
        mix(x)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x, y: x + y,
        lambda x, y: xp.add(x, y),
        lambda x, y: xp.concat([x, y]),
        lambda x, y: xp.where(x > 0, x, y),
        lambda x, y: x[y > 0],
        lambda x, y: xp.asarray(x, device=y.device),
    ],
)
def test_arrays_of_two_devices_are_refused(backend, x, mix):
    with pytest.raises(DeviceAccessError, match="simulated memory"):
        mix(x, backend.from_host(np.ones((2, 3), np.float32), 1))


def test_results_stay_on_the_device_of_their_operands(backend):
    y = backend.from_host(np.array([[4.0, 1.0], [1.0, 3.0]]), 1)
    results = [
        y + 1, 2 - y, -y, y @ y, y[0, :], y.T, y > 2, abs(y), xp.sum(y), xp.zeros_like(y), xp.linalg.qr(y).Q,
        xp.unique_all(y).values, xp.ones((2,), device=y.device), *xp.unstack(y),
    ]  # fmt: skip
    assert all(isinstance(r, DeviceArray) and r.device == y.device for r in results)
    assert xp.ones((2,)).device.index == 0
    assert y.to_device(backend.device_handle(0)).device.index == 0


def test_python_numbers_keep_the_dtype(x):
    assert (x * 2.5).dtype == np.float32
    assert (xp.astype(x, xp.uint64) * 0xD2E7470EE14C6C93).dtype == np.uint64


def test_transfers_are_counted_and_nothing_else_transfers():
    place = device_of(SimulatedDevice(), 1)
    counts = place.backend.transfers
    with place:
        a = corenn.tensor(np.ones((3, 3), np.float32))
        b = corenn.tensor(np.ones((3, 3), np.float32))
        before = counts.to_device
        assert (before, counts.to_host) == (2, 0)
        with corenn.GradientTape() as tape:
            tape.watch(a)
            loss = corenn.sum(corenn.square(a @ b))
        gradient = tape.gradient(loss, a)
        assert counts.to_host == 0
        np.testing.assert_array_equal(gradient.numpy(), np.full((3, 3), 18.0))
        assert counts.to_host == 1
    place.synchronize()
    assert counts.synchronizations == 1


def test_a_result_on_the_wrong_device_is_noticed_by_the_core():
    backend = SimulatedDevice()
    here, there = device_of(backend, 0), device_of(backend, 1)
    x, y = (corenn.tensor([1.0, 2.0], device=d) for d in (here, there))
    with pytest.raises(BackendError) as caught:
        x + y
    assert "simulated:0" in str(caught.value)
    assert "simulated:1" in str(caught.value)
    np.testing.assert_array_equal((x + y.to(here)).numpy(), [2.0, 4.0])


def test_to_host_takes_device_arrays_only(backend):
    with pytest.raises(DeviceAccessError, match="not in device memory"):
        backend.to_host(np.ones(2))
