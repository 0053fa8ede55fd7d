"""The backend as users meet it: registration, what it says of itself, which kernels serve what."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from corenn_onednn import plugin
from corenn_onednn.dnnl import library as module

import corenn
from corenn.backend import get_backend
from corenn.backend.registry import best_available
from corenn.errors import BackendError
from corenn.ops.table import TABLE
from corenn.plugin import registry


def test_it_is_registered_and_preferred_to_numpy():
    record = registry.backends()["onednn"]
    assert record.priority > registry.backends()["numpy"].priority
    assert record.priority < registry.backends()["cuda"].priority
    (own,) = plugin.corenn_backends()
    assert own.factory == record.factory == "corenn_onednn.backend:OneDnnBackend"


@pytest.mark.usefixtures("library")
def test_auto_means_it_where_there_is_no_gpu():
    if registry.backends()["cuda"].unavailable_reason() is None:
        pytest.skip("there is a GPU")
    assert best_available() == "onednn"
    assert corenn.device("auto").backend.name == "onednn"


def test_without_the_library_the_reason_and_the_fix_are_named_and_numpy_serves(monkeypatch, tmp_path):
    record = registry.backends()["onednn"]
    monkeypatch.setenv(module.VARIABLE, str(tmp_path / "nowhere.so"))
    reason = record.unavailable_reason()
    assert reason is not None
    assert reason.endswith("nowhere.so', which is no file")
    assert best_available() in ("numpy", "cuda")
    assert "pip install 'corenn[fast]'" in record.install_hint
    from corenn.backend import registry as loaded

    monkeypatch.setattr(loaded, "_loaded", {})
    with pytest.raises(BackendError, match="is not available here") as refused:
        get_backend("onednn")
    assert refused.value.hint == record.install_hint


def test_importing_corenn_and_listing_backends_load_no_library():
    if not sys.platform.startswith("linux"):
        pytest.skip("looks into /proc")
    code = (
        "import sys, corenn\nfrom corenn.plugin import registry\n"
        "registry.backends()['onednn'].unavailable_reason()\n"
        "print('corenn_onednn.backend' in sys.modules, any('libdnnl' in line for line in open('/proc/self/maps')))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if module.candidate()[0] == module.file_name():
        pytest.skip("the library is the system's, which only opening it can tell")
    assert found.stdout.split() == ["False", "False"]


@pytest.mark.usefixtures("library")
def test_the_device_says_what_it_is(library):
    device = corenn.device("onednn")
    text = device.backend.describe_device(0)
    assert text.startswith(f"oneDNN {library.version_text} (")
    assert f"{library.threads} thread" in text
    assert np.__version__ in text


@pytest.mark.usefixtures("library")
def test_its_kernels_are_asked_before_those_of_numpy():
    backend, numpy = get_backend("onednn"), get_backend("numpy")
    from corenn_onednn.kernels import KERNELS

    merged = backend.kernels()
    assert set(merged) <= set(TABLE)
    assert set(KERNELS) <= set(merged)
    for name, own in KERNELS.items():
        rest = numpy.kernels_for(name)
        assert tuple(merged[name]) == (own, *rest)


@pytest.mark.parametrize("setting", ["1", "3"])
def test_threads_are_set_by_the_environment(setting):
    if module.unavailable() is not None:
        pytest.skip(module.unavailable())
    code = "from corenn_onednn.dnnl import load; print(load().threads)"
    environment = {**os.environ, module.THREADS_VARIABLE: setting}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == setting
