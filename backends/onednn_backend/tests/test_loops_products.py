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


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORENN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


# rows, columns, depth: whole tiles, parts of tiles at each edge, fewer rows than a tile has, one element
SHAPES = [
    (12, 128, 7),
    (10, 784, 20),
    (7, 100, 6),
    (13, 65, 10),
    (3, 64, 3),
    (5, 7, 1),
    (1, 1, 1),
    (625, 625, 100),
    (784, 10, 50),
    (18, 100, 2),
]


def computed(a, b, others, across, threads, finish):
    """``finish`` on every element of ``a @ b``; ``others`` beside it, arrays like the product."""
    (rows, depth), columns = a.shape, b.shape[1]
    steps = (1, rows) if across else (depth, 1)
    left = np.ascontiguousarray(a.T if across else a)
    shape = Product.of_rows(rows, columns, depth, steps, columns)
    given = [Buffer(f"i{n}", float32, "input") for n in range(len(others))]
    out = Buffer("o", float32, "output")
    made = np.full((rows, columns), np.nan, np.float32)
    run_of(product_kernel(shape, [*given, out], [], finish(given, out)), threads, left, b, *others, made)
    return made


def run_of(kernel, threads, *arrays):
    """Run a kernel, chunk by chunk."""
    made = compile_kernel(kernel, threads)
    args = made.arguments([x.ctypes.data for x in arrays])
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(made.address)
    for chunk in range(threads):
        run(ctypes.addressof(args), chunk, threads)


# rows, columns of a block, depth, blocks
LAID_OUT = [
    (13, 64, 9, 1),
    (6, 100, 7, 1),
    (20, 40, 12, 1),
    (7, 32, 10, 4),
    (100, 16, 157, 4),
    (5, 48, 3, 3),
    (8, 64, 2, 2),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shape", LAID_OUT)
def test_operands_laid_out_for_tiles(shape, turned):
    rows, columns, depth, blocks = shape
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal(s, np.float32) for s in ((rows, depth), (depth, blocks * columns)))
    given = np.ascontiguousarray(b.T) if turned else b
    steps = (1, depth, columns * depth) if turned else (blocks * columns, 1, columns)
    made = Product.of_tiles(rows, columns, depth, (depth, 1), blocks)
    tiles, found = np.full(made.packed, np.nan, np.float32), np.full((rows, blocks, columns), np.nan, np.float32)
    cut = depth // 3
    for part in (range(cut), range(cut, depth)) if cut else (None,):
        start = (part.start * steps[0] if part else 0) * 4
        kernel = made.packing(steps, part)
        run_of(kernel, 2, _From(given, start), tiles)
    out = Buffer("o", float32, "output")

    def finish(values, at, row):
        return [Store(out, at(blocks * columns, n * columns), v) for n, v in enumerate(values)]

    for threads in (1, 3):
        run_of(product_kernel(made, [out], [], finish), threads, a, tiles, found)
        np.testing.assert_allclose(found.reshape(rows, -1), a.astype(float) @ b, rtol=1e-5, atol=1e-5 * depth**0.5)


class _From:
    """An array from so many bytes on."""

    def __init__(self, array, start):
        self.array, self.start = array, start

    @property
    def ctypes(self):
        return self

    @property
    def data(self):
        return self.array.ctypes.data + self.start


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_product_and_what_is_added(shape, across):
    rows, columns, depth = shape
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(s, np.float32) for s in ((rows, depth), (depth, columns), (rows, columns)))

    def finish(given, out):
        return lambda values, at, row: [Store(out, at(columns), add(values[0], Load(float32, given[0], at(columns))))]

    wanted = a.astype(float) @ b + c
    found = [computed(a, b, [c], across, threads, finish) for threads in (1, 2, 3)]
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5, atol=1e-5 * depth**0.5)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
