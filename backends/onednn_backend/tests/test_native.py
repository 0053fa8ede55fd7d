"""Lists of commands: order, threads, copies, failures; the functions they call are made here, or by Python."""

from __future__ import annotations

import ctypes
import threading
from importlib.util import find_spec

import numpy as np
import pytest
from corenn_onednn.native import CommandError, CommandList, commands, openmp
from corenn_onednn.native.openmp import openmp as find_openmp

from corenn.errors import AttributeValueError, BackendError

pytestmark = pytest.mark.skipif(find_spec("llvmlite") is None, reason="llvmlite is not installed")

LOOP = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
PRIMITIVE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

needs_openmp = pytest.mark.skipif(find_openmp() is None, reason="no OpenMP runtime")


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORENN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def address(function) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value


def test_commands_run_in_order_each_time():
    seen = []
    loop = LOOP(lambda args, chunk, chunks: seen.append((args, chunk, chunks)))
    made = CommandList()
    assert [made.loop(address(loop), 16, 2), made.loop(address(loop), 32)] == [0, 1]
    for _ in range(2):
        made.run()
    assert seen == [(16, 0, 2), (16, 1, 2), (32, 0, 1)] * 2


def test_an_empty_list_does_nothing():
    CommandList().run()


def test_copies_can_be_aimed_elsewhere():
    a, b, c = (np.full(5, n, np.float32) for n in (1, 2, 3))
    made = CommandList()
    number = made.copy(b.ctypes.data, a.ctypes.data, 12)
    made.run()
    np.testing.assert_array_equal(b, [1, 1, 1, 2, 2])
    made.move(number, c.ctypes.data, b.ctypes.data)
    made.run()
    np.testing.assert_array_equal(c, [1, 1, 1, 3, 3])


def test_a_failing_primitive_is_named():
    seen = []

    def execute(primitive, stream, count, args):
        seen.append((primitive, stream, count, args))
        return 0 if primitive == 1 else 7

    function = PRIMITIVE(execute)
    made = CommandList(execute=address(function))
    for primitive in (1, 1, 2, 1):
        made.primitive(primitive, 50, 3, 60)
    with pytest.raises(CommandError, match="command 2 failed with status 7") as caught:
        made.run()
    assert (caught.value.number, caught.value.status) == (2, 7)
    assert seen == [(1, 50, 3, 60)] * 2 + [(2, 50, 3, 60)]


@needs_openmp
@pytest.mark.parametrize("threads", [2, 3])
def test_chunks_are_dealt_out_to_threads(threads):
    lock, seen = threading.Lock(), []

    def run(args, chunk, chunks):
        with lock:
            seen.append((chunk, chunks, threading.get_native_id()))

    loop = LOOP(run)
    made = CommandList(threads)
    made.loop(address(loop), 0, 8)
    made.loop(address(loop), 0, 1)
    made.run()
    assert sorted(s[:2] for s in seen) == sorted([(n, 8) for n in range(8)] + [(0, 1)])
    assert len({s[2] for s in seen}) == threads
    assert seen[-1][2] == threading.get_native_id()


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: CommandList(0), AttributeValueError, "at least one thread"),
        (lambda: CommandList().primitive(1, 2, 3, 4), BackendError, "address of dnnl_primitive_execute"),
    ],
)
def test_what_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_list_that_has_run_is_fixed():
    made = CommandList()
    made.run()
    with pytest.raises(RuntimeError, match="no more commands"):
        made.copy(0, 0, 0)


def test_threads_without_a_runtime(monkeypatch):
    monkeypatch.setattr(commands, "openmp", lambda linked_with: None)
    with pytest.raises(BackendError, match="no OpenMP runtime") as caught:
        CommandList(2)
    assert "libgomp" in str(caught.value)
    CommandList(1).run()


@needs_openmp
def test_a_library_that_is_not_there_leaves_the_systems():
    assert openmp("/nowhere/libdnnl.so.3").parallel == openmp().parallel
