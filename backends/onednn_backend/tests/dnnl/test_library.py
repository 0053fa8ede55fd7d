"""Where the library is looked for, what is said where it is not, threads."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from corenn_onednn.dnnl import Descriptor, Library, run
from corenn_onednn.dnnl import library as module
from corenn_onednn.dnnl.primitives.matmul import matmul

from corenn.errors import BackendError


def test_importing_the_binding_loads_nothing():
    code = (
        "import corenn_onednn.dnnl, corenn_onednn.dnnl.primitives.matmul\n"
        "from corenn_onednn.dnnl.library import load\n"
        "print(load.cache_info().currsize, any('libdnnl' in line for line in open('/proc/self/maps')))"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("looks into /proc")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["0", "False"]


def test_the_variable_comes_first_and_a_wrong_one_is_named(monkeypatch, tmp_path):
    here = tmp_path / "libdnnl.so.3"
    monkeypatch.setenv(module.VARIABLE, str(here))
    assert module.unavailable() == f"{module.VARIABLE} names {str(here)!r}, which is no file"
    here.write_text("no library")
    assert module.candidate() == (str(here), None)
    with pytest.raises(BackendError, match="cannot be opened"):
        Library(str(here))


def test_what_pip_installed_is_found_by_the_place_of_packages(monkeypatch, tmp_path):
    monkeypatch.delenv(module.VARIABLE, raising=False)
    packages, place = tmp_path / "lib/python3/site-packages", tmp_path / "lib" / module.file_name()
    packages.mkdir(parents=True)
    place.touch()
    monkeypatch.setattr(sys, "path", [str(packages)])
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(module.site, "getuserbase", lambda: str(tmp_path / "nobody"))
    assert module.candidate() == (str(place), None)
    assert module.unavailable() is None
    place.unlink()
    monkeypatch.setattr(module, "file_name", lambda: "libdnnl-that-no-machine-has.so.3")
    assert module.unavailable() == "oneDNN is not installed (libdnnl-that-no-machine-has.so.3 was not found)"


def test_a_library_without_the_functions_is_refused():
    name = "libm.so.6" if sys.platform.startswith("linux") else None
    if name is None:
        pytest.skip("needs a shared library by name")
    with pytest.raises(BackendError, match="lacks the function 'dnnl_"):
        Library(name)


def test_what_the_library_says_of_itself(library):
    assert library.version >= (3, 0, 0)
    assert library.version_text.startswith("3.")
    assert library.runtime in ("OpenMP", "TBB", "sequential", "threadpool")
    assert library.threads >= 1
    assert library.bfloat16 in (True, False)
    assert library.isa_text


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_threads_in_the_environment_are_a_number(monkeypatch, text):
    monkeypatch.setenv(module.THREADS_VARIABLE, text)
    with pytest.raises(BackendError, match=module.THREADS_VARIABLE):
        module._threads_wanted()


def test_threads_hold_in_every_thread_of_python(library):
    if library.runtime != "OpenMP":
        pytest.skip("threads are set through OpenMP")
    seen, before = [], library.threads

    def look():
        library.stream()
        seen.append(library.c.omp_get_max_threads())

    try:
        for count in (1, 3):
            library.set_threads(count)
            assert library.threads == count
            look()
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
        with library.limited(2):
            look()
        look()
        library.c.omp_set_num_threads(5)  # as another library might
        look()
    finally:
        library.set_threads(before)
        library.stream()
    assert seen == [1, 1, 3, 3, 2, 3, 3]


def test_one_primitive_runs_in_many_threads_at_once(library):
    layout = Descriptor((64, 64))
    primitive = matmul(layout, layout, layout)
    rng = np.random.default_rng(0)
    operands = [rng.integers(-3, 4, (2, 64, 64)).astype(np.float32) for _ in range(4)]
    wrong = []

    def work(a, b):
        out = np.empty((64, 64), np.float32)
        for _ in range(200):
            run(primitive, {"src": a, "weights": b, "dst": out})
            if not np.array_equal(out, a @ b):
                wrong.append(out)

    threads = [threading.Thread(target=work, args=tuple(pair)) for pair in operands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
