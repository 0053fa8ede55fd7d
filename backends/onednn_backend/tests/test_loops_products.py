"""Products as loops: every size of tile, operands that lie across, and what is done with the elements."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec

import numpy as np
import pytest
from corenn_onednn.loops.groups import compile_kernel
from corenn_onednn.loops.ir import Buffer, Load, Store, add
from corenn_onednn.loops.products import Product, product_kernel

from corenn.dtypes import float32

pytestmark = pytest.mark.skipif(find_spec("llvmlite") is None, reason="llvmlite is not installed")

# rows, columns, depth: whole tiles, parts of tiles at each edge, fewer rows than a tile has, one element
SHAPES = [(12, 128, 7), (13, 65, 10), (3, 64, 3), (5, 7, 1), (1, 1, 1), (625, 625, 100), (784, 10, 50), (18, 100, 2)]


def computed(a, b, others, across, threads, finish):
    """``finish`` on every element of ``a @ b``; ``others`` beside it, arrays like the product."""
    (rows, depth), columns = a.shape, b.shape[1]
    steps = (1, rows) if across else (depth, 1)
    left = np.ascontiguousarray(a.T if across else a)
    shape = Product(rows, columns, depth, steps, columns)
    given = [Buffer(f"i{n}", float32, "input") for n in range(len(others))]
    out = Buffer("o", float32, "output")
    kernel = compile_kernel(product_kernel(shape, [*given, out], [], finish(given, out), given), threads)
    made = np.full((rows, columns), np.nan, np.float32)
    args = kernel.arguments([x.ctypes.data for x in (left, b, *others, made)])
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(kernel.address)
    for chunk in range(threads):
        run(ctypes.addressof(args), chunk, threads)
    return made


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_product_and_what_is_added(shape, across):
    rows, columns, depth = shape
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(s, np.float32) for s in ((rows, depth), (depth, columns), (rows, columns)))

    def finish(given, out):
        return lambda value, here, row: [Store(out, here, add(value, Load(float32, given[0], here)))]

    wanted = a.astype(float) @ b + c
    found = [computed(a, b, [c], across, threads, finish) for threads in (1, 2, 3)]
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5, atol=1e-5 * depth**0.5)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
