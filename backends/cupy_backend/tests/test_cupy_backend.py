"""Registration and probe anywhere; the conformance kit where there is a GPU."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys

import pytest
from corenn_cupy import plugin

from corenn.backend import get_backend
from corenn.errors import BackendError
from corenn.plugin import registry

REASON = plugin.unavailable()


class Driver:
    """A stand-in for libcuda."""

    def __init__(self, init: int, devices: int) -> None:
        self.init, self.devices = init, devices

    def cuInit(self, flags: int) -> int:
        return self.init

    def cuDeviceGetCount(self, pointer) -> int:
        pointer._obj.value = self.devices
        return 0


def test_is_registered_under_both_names():
    assert registry.get("backend", "cuda") is registry.get("backend", "cupy")


def test_importing_the_plugin_imports_no_cupy():
    code = "import sys, corenn_cupy.plugin as p; p.unavailable(); print('cupy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_reason_without_cupy(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert plugin.unavailable() == "cupy is not installed"


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (None, "there is no NVIDIA driver"),
        (Driver(100, 0), "answers with error 100"),
        (Driver(0, 0), "sees no device"),
        (Driver(0, 2), None),
    ],
)
def test_reason_of_the_driver(monkeypatch, driver, reason):
    def load(name):
        if driver is None:
            raise OSError(name)
        return driver

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(ctypes, "CDLL", load)
    found = plugin.unavailable()
    assert found is None if reason is None else reason in found


@pytest.mark.skipif(REASON is None, reason="a GPU is here")
def test_asking_for_it_says_why_not_and_how_to_install():
    with pytest.raises(BackendError) as caught:
        get_backend("cuda")
    assert REASON in str(caught.value)
    assert "pip install 'corenn[cuda13]'" in str(caught.value)


@pytest.mark.cuda
@pytest.mark.skipif(REASON is not None, reason=f"no CUDA device: {REASON}")
def test_conformance():
    from corenn.testing import run_conformance

    report = run_conformance("cuda").as_dict()
    assert report["failed"] == 0, report["failures"]
