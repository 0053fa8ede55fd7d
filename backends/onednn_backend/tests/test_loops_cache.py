"""Machine code on disk: where it is, that it is used again, and what happens to files that are not whole."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from corenn_onednn.loops import cache, compiling
from corenn_onednn.loops.ir import Buffer, Index, Kernel, Store, const
from corenn_onednn.loops.printing import text_of

from corenn import dtypes

pytestmark = pytest.mark.skipif(find_spec("llvmlite") is None, reason="llvmlite is not installed")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CORENN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiling, "_addresses", {})
    monkeypatch.setattr(cache, "_warned", set())
    return tmp_path / "kernels"


def kernel(value: float) -> Kernel:
    target = Buffer("y", dtypes.float32, "output")
    return Kernel([target], [], 1, 1, [Store(target, Index(), const(value))])


def build(value: float) -> str:
    """Compile or load a kernel; its key."""
    made = kernel(value)
    text = text_of(made)
    key = compiling.key_of(text)
    compiling.address_of(made, text, key)
    return key


def test_a_kernel_is_compiled_once(folder, monkeypatch):
    compiled = []
    original = compiling.Machine.compiled
    monkeypatch.setattr(compiling.Machine, "compiled", lambda self, text: compiled.append(1) or original(self, text))
    key = build(1.25)
    assert [p.name for p in folder.iterdir()] == [f"{key}.o"]
    build(1.25)
    assert len(compiled) == 1


def test_another_process_loads_what_is_there(folder):
    key = build(2.25)
    data = cache.load(key)
    assert data is not None and data[:4] == {"linux": b"\x7fELF"}.get(sys.platform, data[:4])


@pytest.mark.parametrize("damage", [lambda c: c[:-3], lambda c: b"", lambda c: c[:80] + b"x" + c[81:]])
def test_a_damaged_file_is_made_again(folder, monkeypatch, damage):
    key = build(3.25)
    path = folder / f"{key}.o"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with pytest.warns(cache.DamagedCacheWarning, match="compiled again"):
        assert cache.load(key) is None
    assert cache.load(key) is None  # with no second warning
    cache.store(key, whole[65:])
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CORENN_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(cache, "_warned", set())
    with pytest.warns(cache.UnwritableCacheWarning, match="CORENN_CACHE_DIR"):
        cache.store("a" * 64, b"data")
    assert cache.load("a" * 64) is None


def test_nothing_is_kept_where_the_variable_is_empty(monkeypatch):
    monkeypatch.setenv("CORENN_CACHE_DIR", "")
    cache.store("b" * 64, b"data")
    assert cache.cache_dir() is None and cache.load("b" * 64) is None


@pytest.mark.parametrize(
    "platform, environ, folder",
    [
        ("linux", {"CORENN_CACHE_DIR": "/a"}, Path("/a/kernels")),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, Path("/xdg/corenn/kernels")),
        ("linux", {"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache/corenn/kernels"),
        ("darwin", {}, Path.home() / "Library/Caches/corenn/kernels"),
        ("win32", {"LOCALAPPDATA": os.sep + "local"}, Path(os.sep + "local") / "corenn/kernels"),
    ],
)
def test_where_kernels_are_kept(monkeypatch, platform, environ, folder):
    monkeypatch.setattr(sys, "platform", platform)
    assert cache.cache_dir(environ) == folder


def test_keys_differ_by_what_is_computed(folder):
    assert build(4.25) != build(4.5)
