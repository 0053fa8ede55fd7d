"""Matrix products by oneDNN: float32, and bfloat16 where the CPU has it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from corenn.backend import Kernel
from corenn.spec import Spec
from corenn_onednn.dnnl import Descriptor, Primitive, UnimplementedError
from corenn_onednn.dnnl.primitives.matmul import matmul as product
from corenn_onednn.kernels._chain import Chain, Given, Result, Stage
from corenn_onednn.kernels._serving import Thresholds, kernel, name_of, present, serves

Array = np.ndarray[Any, Any]


def when(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    """Matrices, or batches of them, that are large enough; not vectors, whose product is bound by memory."""
    a, b = present(specs)
    if not serves(*specs) or min(len(a), len(b)) < 2:
        return False
    rows, _, columns = _extents(a, b, attrs)
    return min(rows, columns) > 1 and _work(specs, attrs) >= Thresholds.products


def _work(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> int:
    a, b = present(specs)
    return math.prod(np.broadcast_shapes(a[:-2], b[:-2])) * math.prod(_extents(a, b, attrs))


def _threaded(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    return _work(specs, attrs) >= Thresholds.threaded


def _extents(a: tuple[int, ...], b: tuple[int, ...], attrs: Mapping[str, Any]) -> tuple[int, int, int]:
    rows, inner = a[-2:][::-1] if attrs["transpose_a"] else a[-2:]
    return rows, inner, b[-2] if attrs["transpose_b"] else b[-1]


def prepare(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> Callable[[Array, Array], Array]:
    """The product for operands of these specs; one primitive for each way they are found to lie."""
    a, b = present(specs)
    dtype, (rows, _, columns) = name_of(specs), _extents(a, b, attrs)
    shape = (*np.broadcast_shapes(a[:-2], b[:-2]), rows, columns)
    # A batch of matrices times one matrix is one product of a tall matrix.
    folded = len(a) > 2 and len(b) == 2 and not attrs["transpose_a"]
    if folded:
        a = (math.prod(a[:-1]), a[-1])
    rank = max(len(a), len(b))
    flips = attrs["transpose_a"], attrs["transpose_b"]
    found: dict[tuple[tuple[int, ...], ...], Chain] = {}

    def run(x: Array, y: Array) -> Array:
        x, y = _for_library(x.reshape(a)), _for_library(y)
        key = (x.strides, y.strides)
        chain = found.get(key)
        if chain is None:
            left, right = (_operand(v, flip, rank) for v, flip in zip((x, y), flips, strict=True))
            whole = (math.prod(shape[:-1]), columns) if folded else shape
            out = Descriptor(whole, dtype)
            stage = Stage(
                _primitive(left, right, out, flips == (True, False)), {"src": "a", "weights": "b", "dst": "product"}
            )
            given = [Given("a", left), Given("b", right)]
            chain = found[key] = Chain([stage], given, [Result("product", out, shape)], dense=False)
        return chain.only(x, y)

    return run


def _primitive(left: Descriptor, right: Descriptor, out: Descriptor, gradient: bool) -> Primitive:
    """The product; the form of a gradient by weights, ``a.T @ b``, by the library's packed product where it has one.

    Its default is the slower of its two there, by 5 to 40 % at all sizes measured.
    """
    if gradient and len(out.shape) == 2:
        with suppress(UnimplementedError):
            return product(left, right, out, implementation="gemm")
    return product(left, right, out)


def _for_library(x: Array) -> Array:
    """``x``, copied unless its last two axes lie as a matrix or its transpose does, and the rest is dense."""
    row, column = x.strides[-2:]
    unit, (m, n) = x.itemsize, x.shape[-2:]
    if (column == unit and row == unit * n) or (row == unit and column == unit * m):
        dense = m * n * unit
        for extent, stride in zip(reversed(x.shape[:-2]), reversed(x.strides[:-2]), strict=True):
            if stride != dense:
                break
            dense *= extent
        else:
            return x
    return np.ascontiguousarray(x)


def _operand(x: Array, transposed: bool, rank: int) -> Descriptor:
    strides = [stride // x.itemsize for stride in x.strides]
    shape = list(x.shape)
    if transposed:
        shape[-2:], strides[-2:] = shape[-2:][::-1], strides[-2:][::-1]
    ahead = rank - len(shape)
    whole = shape[0] * strides[0] if shape else 1
    return Descriptor([1] * ahead + shape, x.dtype.name, [whole] * ahead + strides)


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {"matmul": kernel(when, prepare, _threaded)}
