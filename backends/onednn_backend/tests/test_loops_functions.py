"""The functions of float32 against float64, over all magnitudes, signs and special values."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec

import numpy as np
import pytest
from corenn_onednn.loops import compiling
from corenn_onednn.loops.functions import FLOAT32
from corenn_onednn.loops.ir import Buffer, Index, Kernel, Load, Loop, Store, apply
from corenn_onednn.loops.printing import text_of

from corenn import dtypes

pytestmark = pytest.mark.skipif(find_spec("llvmlite") is None, reason="llvmlite is not installed")
special = pytest.importorskip("scipy.special")


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORENN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def computed(name, x):
    """A function of the loop language on an array of float32 or float64."""
    dtype = dtypes.as_dtype(x.dtype)
    source, target = Buffer("x", dtype, "input"), Buffer("y", dtype, "output")
    here = Index((("i", 1),))
    body = [Loop("i", "lo", "hi", (Store(target, here, apply(name, Load(dtype, source, here))),), lanes=True)]
    kernel = Kernel([source, target], ["n"], "n", 16, body)
    text = text_of(kernel)
    address = compiling.address_of(kernel, text, compiling.key_of(text))
    y = np.empty_like(x)
    args = (ctypes.c_uint64 * 3)(x.ctypes.data, y.ctypes.data, x.size)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(address)(ctypes.addressof(args), 0, 1)
    return y


# name: meaning in float64, the largest error in units in the last place, where it is measured
FUNCTIONS = {
    "exp": (np.exp, 1.0, None),
    "exp2": (np.exp2, 1.1, None),
    "expm1": (np.expm1, 1.4, None),
    "log": (np.log, 0.9, None),
    "log2": (np.log2, 1.1, None),
    "log10": (np.log10, 1.6, None),
    "log1p": (np.log1p, 0.9, None),
    "rsqrt": (lambda a: 1 / np.sqrt(a), 1.1, None),
    "tanh": (np.tanh, 1.4, None),
    "sigmoid": (special.expit, 1.6, None),
    "erf": (special.erf, 1.2, None),
    "erfc": (special.erfc, 1.7, (-np.inf, 9.3)),
    "upper_tail": (lambda a: special.erfc(a / np.sqrt(2)) / 2, 1.7, (0.0, 13.0)),
}


def test_every_function_is_measured():
    assert FUNCTIONS.keys() == FLOAT32.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_are_as_documented(name):
    meaning, bound, domain = FUNCTIONS[name]
    x = np.arange(0, 2**32, 4093, dtype=np.uint64).astype(np.uint32).view(np.float32)  # every part of the number line
    near = np.linspace(-20, 20, 400001, dtype=np.float32)
    x = np.concatenate([x, near, np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0], np.float32)])
    if domain is not None:
        x = x[(x >= domain[0]) & (x <= domain[1])]
    with np.errstate(all="ignore"):
        wanted = meaning(x.astype(np.float64))
        rounded = wanted.astype(np.float32)
        found = computed(name, x)
        error = np.abs(found - wanted) / np.spacing(np.abs(rounded))
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(found[~finite], rounded[~finite])
    worst = np.argmax(np.where(finite, error, 0))
    assert error[worst] <= bound, (x[worst], found[worst], wanted[worst])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64_is_that_of_the_c_library(name):
    meaning = FUNCTIONS[name][0]
    x = np.linspace(0.1, 8, 1003)
    np.testing.assert_allclose(computed(name, x), meaning(x), rtol=2e-14)


def test_signs_of_zeros_and_tiny_numbers():
    tiny = np.array([0.0, -0.0, 1e-40, -1e-40, 1e-30, -1e-30], np.float32)
    for name in ("expm1", "log1p", "tanh"):
        found = computed(name, tiny)
        np.testing.assert_array_equal(found, tiny)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(tiny))
