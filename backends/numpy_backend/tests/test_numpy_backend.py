"""What the NumPy backend promises beyond the contract."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from corenn_numpy.backend import NumpyBackend

import corenn
from corenn import dtypes
from corenn.ops.table import TABLE
from corenn.plugin import registry

NUMPY = corenn.device("numpy")


def test_it_is_registered_as_a_plugin_like_any_other():
    record = registry.get("backend", "numpy")
    assert record.load() is NumpyBackend
    assert record.unavailable_reason() is None
    assert "numpy" in {info.name for info in registry.plugins()}


def test_listing_it_imports_none_of_it():
    code = (
        "import sys; from corenn.plugin import registry; registry.backends(); "
        "print('corenn_numpy.backend' in sys.modules, 'corenn_numpy.kernels' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]


def test_it_offers_every_dtype():
    assert NUMPY.backend.offered == dtypes.ALL


def test_without_ml_dtypes_it_offers_all_but_bfloat16(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    assert NumpyBackend().dtypes() == dtypes.ALL - {dtypes.bfloat16}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_summed_in_single(dtype):
    """Ten thousand ones: a running sum in float16 would stop at 2048, one in bfloat16 at 256."""
    total = corenn.sum(corenn.ones((10_000,), dtype=dtype, device="numpy"))
    assert total.dtype == dtype
    assert float(total) == float(np.asarray(10_000, total.dtype.numpy))


def test_its_kernels_are_for_ops_of_the_table():
    kernels = NUMPY.backend.kernels()
    assert set(kernels) <= set(TABLE)


def test_the_device_says_what_it_is():
    assert NUMPY.backend.describe_device(0) == f"NumPy {np.__version__} on the CPU"
    assert NUMPY.name == "numpy"
