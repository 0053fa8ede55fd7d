"""Holding back the threads of NumPy's OpenBLAS."""

from __future__ import annotations

import numpy as np
import pytest
from corenn_onednn.kernels import openblas


def test_threads_are_one_within_and_as_before_afterwards():
    found = openblas.controls()
    if found is None:
        pytest.skip("NumPy has no OpenBLAS of its own here")
    setter, getter = found
    before = getter()
    try:
        for count in (1, 2):
            setter(count)
            with openblas.serial():
                assert getter() == 1
                assert np.array_equal(np.ones((70, 80)) @ np.ones((80, 90)), np.full((70, 90), 80.0))
            assert getter() == count
            with pytest.raises(ZeroDivisionError), openblas.serial():
                _ = 1 / 0
            assert getter() == count
    finally:
        setter(before)


def test_without_openblas_nothing_happens(monkeypatch):
    monkeypatch.setattr(openblas, "_libraries", list)
    openblas.controls.cache_clear()
    try:
        assert openblas.controls() is None
        with openblas.serial():
            pass
    finally:
        openblas.controls.cache_clear()
