"""What loops read and write: elements beside one another, and elements apart."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec

import numpy as np
import pytest
from corenn_onednn.loops import compiling
from corenn_onednn.loops.ir import Buffer, Index, Kernel, Load, Loop, Position, Store, compare, const
from corenn_onednn.loops.printing import text_of

from corenn import dtypes

pytestmark = pytest.mark.skipif(find_spec("llvmlite") is None, reason="llvmlite is not installed")
ACROSS = Index((("r", 1), ("c", 7)))  # column r of rows of seven
BESIDE = Index((("r", 37), ("c", 1)))


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORENN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def moved(x, source_at, target_at, shape, *, first=0):
    """``x`` read and written at these places by a loop over 37 lanes, for each of seven; not those before ``first``."""
    dtype = dtypes.as_dtype(x.dtype)
    source, target = Buffer("x", dtype, "input"), Buffer("y", dtype, "output")
    where = compare("ge", Position(dtypes.int64, Index((("c", 1),))), const(first, dtypes.int64)) if first else None
    reads = where if source_at is ACROSS else None  # what is not read is 0
    store = Store(target, target_at, Load(dtype, source, source_at, reads), None if reads else where)
    body = [Loop("r", "lo", "hi", (Loop("c", 0, 37, (store,), lanes=True),))]
    kernel = Kernel([source, target], [], 7, 1, body)
    text = text_of(kernel)
    address = compiling.address_of(kernel, text, compiling.key_of(text))
    y = np.zeros(shape, x.dtype)
    args = (ctypes.c_uint64 * 2)(x.ctypes.data, y.ctypes.data)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(address)(ctypes.addressof(args), 0, 1)
    return y


@pytest.mark.parametrize("width", [None, 8])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_lanes_may_read_and_write_elements_apart(dtype, width, monkeypatch):
    if width is not None:
        monkeypatch.setattr(compiling.machine(), "width", width)
        monkeypatch.setattr(compiling.machine(), "name", "eight lanes")
    x = np.arange(37 * 7).reshape(37, 7).astype(dtype)
    wanted = x.T.copy()
    np.testing.assert_array_equal(moved(x, ACROSS, BESIDE, (7, 37)), wanted)
    np.testing.assert_array_equal(moved(wanted, BESIDE, ACROSS, (37, 7)), x)
    wanted[:, :20] = 0
    np.testing.assert_array_equal(moved(x, ACROSS, BESIDE, (7, 37), first=20), wanted)
    np.testing.assert_array_equal(moved(x.T.copy(), BESIDE, ACROSS, (37, 7), first=20), wanted.T)
