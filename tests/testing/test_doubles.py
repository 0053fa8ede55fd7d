"""Registering the doubles, and what the strict one refuses."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import corenn
from corenn.backend import get_backend
from corenn.errors import MissingExtraError
from corenn.ops.dispatch import kernel_sources
from corenn.ops.table import TABLE
from corenn.plugin import registry
from corenn.spec import Spec
from corenn.testing import StrictBackend, register_doubles


@pytest.fixture(autouse=True)
def doubles():
    register_doubles()


def test_both_are_registered_once_and_never_chosen_by_default():
    register_doubles()
    found = registry.backends()
    assert {"strict", "simulated", "numpy"} <= set(found)
    assert found["strict"].unavailable_reason() is None
    assert max(found["strict"].priority, found["simulated"].priority) < found["numpy"].priority


def test_names_lead_to_devices():
    assert corenn.device("strict").backend is get_backend("strict")
    assert corenn.device("simulated:1").index == 1
    assert corenn.tensor([1.0], device="simulated:1").device.name == "simulated:1"


def test_numpy_isms_do_not_pass_the_strict_backend():
    xp = get_backend("strict").xp
    for call in (lambda: xp.zeros(3) + np.ones(3), lambda: xp.zeros(3).sum(), lambda: xp.einsum("i->", xp.zeros(3))):
        with pytest.raises((TypeError, AttributeError)):
            call()


def test_the_strict_backend_uses_no_kernels_of_a_backend():
    place = corenn.device("strict")
    spec = Spec((2, 3), corenn.float32, place)
    results = (spec,)
    sources = [s for _, s in kernel_sources(TABLE["squared_difference"], (spec, spec), {}, results, place)]
    assert sources == ["decomposition"]


def test_a_missing_library_is_one_line_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "array_api_strict", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'corenn\[testing\]'"):
        StrictBackend()
