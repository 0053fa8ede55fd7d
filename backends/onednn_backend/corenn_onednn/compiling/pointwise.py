"""1x1 convolutions and their gradients as what they are: products of two matrices.

The rows are the places of the images, the columns their channels.  The library's own primitive for the gradient by the
filters takes up to twice the time of the product, and wants the result laid out anew.  Forward and by the images its
primitives are as quick, but want the filters laid out anew, which costs as much as the product where places are few.
Where strides leave places out, those that count are gathered first, or spread at the end.
"""

from __future__ import annotations

import contextlib
import math
from functools import lru_cache

from corenn.compiler.cost import flops_of
from corenn.compiler.program import Call, Instruction, Symbol
from corenn.dtypes import float32, int64
from corenn.ops.windows import channel_axis
from corenn_onednn.compiling.native import Native, Place
from corenn_onednn.compiling.series import Piece, Series, Steps
from corenn_onednn.dnnl import Descriptor, Primitive, UnimplementedError
from corenn_onednn.dnnl.primitives.matmul import matmul
from corenn_onednn.loops.ir import (
    Buffer,
    Expr,
    Index,
    Kernel,
    Let,
    LetIndex,
    Load,
    Loop,
    Name,
    Position,
    Statement,
    Store,
    apply,
    compare,
    const,
)

#: Products of so many operations, of a transposed operand, are quicker by the library's own blocked product.
_BLOCKED = 50_000_000
#: Products of so many rows at most take less time than convolutions that want their filters laid out anew.
_FEW = 512


def product_of_transposed(source: Descriptor, weights: Descriptor, target: Descriptor, flops: float) -> Primitive:
    """``target = source @ weights`` where ``source`` lies transposed, without anything after it."""
    if flops >= _BLOCKED:
        with contextlib.suppress(UnimplementedError):
            return matmul(source, weights, target, implementation="gemm")
    return matmul(source, weights, target)


def is_pointwise(call: Call) -> bool:
    """Whether a call is a 1x1 convolution, or a gradient of one, of images whose channels lie together."""
    if call.plan.op.name not in ("conv", "conv_input_grad", "conv_weight_grad"):
        return False
    attrs, (first, second) = call.plan.attrs, call.inputs
    assert first is not None  # both operands of a convolution are there
    assert second is not None
    size = attrs["size"] if call.plan.op.name == "conv_weight_grad" else second.spec.static[:-2]
    return (
        call.outputs[0].spec.dtype is float32
        and set(size) == {1}
        and attrs["groups"] == 1
        and channel_axis(attrs["layout"]) == first.spec.ndim - 1
        and not any(p for pair in attrs["padding"] for p in pair)
    )


def is_short(call: Call) -> bool:
    """Whether a convolution, or its gradient by the images, is better done as a product."""
    if not is_pointwise(call):
        return False
    name, (first, _) = call.plan.op.name, call.inputs
    assert first is not None
    every_place = set(call.plan.attrs["strides"]) == {1}
    return (name == "conv_input_grad" or (name == "conv" and every_place)) and math.prod(first.spec.static[:-1]) <= _FEW


def rows(shape: tuple[int, ...]) -> Descriptor:
    """Images of ``shape``, whose channels lie together, as a matrix with a row for each place."""
    return Descriptor((math.prod(shape[:-1]), shape[-1]))


def filters(w: Symbol, transposed: bool) -> Descriptor:
    """1x1 filters as a matrix from input to output channels, or the other way round."""
    inner, outer = w.spec.static[-2:]
    return Descriptor((outer, inner), "float32", (1, outer)) if transposed else Descriptor((inner, outer))


def input_gradient(call: Call) -> Instruction:
    """The instruction for a gradient by the images that ``is_short``."""
    g, w = call.inputs
    assert g is not None
    assert w is not None
    (result,), strides = call.outputs, tuple(call.plan.attrs["strides"])
    source, weights = rows(g.spec.static), filters(w, transposed=True)
    target = rows((*g.spec.static[:-1], w.spec.static[-2]))
    made = matmul(source, weights, target)
    if set(strides) == {1}:
        operands = {"src": Place(g, source), "weights": Place(w, weights)}
        return Native(made, operands, {"dst": Place(result, target)}, call.where, [call])
    steps = Steps()
    taken = steps.memory("places", target.bytes)
    steps.execute(made, src=Piece(g), weights=Piece(w), dst=taken)
    steps.loop(spreading(result.spec.static, g.spec.static[1:-1], strides), taken, Piece(result))
    return Series(steps.steps, steps.own, call.inputs, call.outputs, call.where, [call.name])


def weight_gradient(call: Call) -> Instruction:
    """The instruction for the gradient by its filters of a convolution that ``is_pointwise``."""
    x, g = call.inputs
    assert x is not None
    assert g is not None
    inner, outer = x.spec.static[-1], g.spec.static[-1]
    places = math.prod(g.spec.static[:-1])
    source = Descriptor((inner, places), "float32", (1, inner))
    weights, target = rows(g.spec.static), Descriptor((inner, outer))
    made = product_of_transposed(source, weights, target, flops_of(call.plan))
    if x.spec.static[:-1] == g.spec.static[:-1]:
        operands = {"src": Place(x, source), "weights": Place(g, weights)}
        return Native(made, operands, {"dst": Place(call.outputs[0], target)}, call.where, [call])
    steps = Steps()
    taken = steps.memory("places", places * inner * 4)
    steps.loop(gathering(x.spec.static, g.spec.static[1:-1], tuple(call.plan.attrs["strides"])), Piece(x), taken)
    steps.execute(made, src=taken, weights=Piece(g), dst=Piece(call.outputs[0]))
    return Series(steps.steps, steps.own, call.inputs, call.outputs, call.where, [call.name])


@lru_cache(maxsize=64)
def gathering(shape: tuple[int, ...], windows: tuple[int, ...], strides: tuple[int, ...]) -> Kernel:
    """Buffers: images of ``shape`` (n, *spatial, c), and the places of them that ``strides`` lead to, one after the
    other: ``windows`` of them along each axis.
    """
    images, out = Buffer("i0", float32, "input"), Buffer("o0", float32, "output")
    dense = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    steps = (dense[0], *(d * s for d, s in zip(dense[1:-1], strides, strict=True)))
    names = [f"o{j}" for j in range(len(steps))]
    extents = (shape[0], *windows)
    places = [
        LetIndex(name, "r", math.prod(extents[j + 1 :]), extents[j] if j else 0) for j, name in enumerate(names)
    ]  # fmt: skip
    source = Index((*zip(names, steps, strict=True), ("c", 1)))
    store = Store(out, Index((("r", shape[-1]), ("c", 1))), Load(float32, images, source))
    body = Loop("r", "lo", "hi", (*places, Loop("c", 0, shape[-1], (store,), lanes=True)))
    return Kernel([images, out], [], math.prod(extents), 1, [body], 0.02 * shape[-1])


@lru_cache(maxsize=64)
def spreading(shape: tuple[int, ...], windows: tuple[int, ...], strides: tuple[int, ...]) -> Kernel:
    """Buffers: what lies at the places that ``strides`` lead to, one after the other, ``windows`` of them along each
    axis, and images of ``shape`` (n, *spatial, c) with 0 at all other places.
    """
    values, images = Buffer("i0", float32, "input"), Buffer("o0", float32, "output")
    extents, channels = shape[:-1], shape[-1]
    places: list[Statement] = []
    terms: list[tuple[str, int]] = []
    there: Expr | None = None
    for axis, stride in enumerate((1, *strides)):
        place, taken, beside = f"q{axis}", f"o{axis}", f"m{axis}"
        places.append(LetIndex(place, "r", math.prod(extents[axis + 1 :]), extents[axis] if axis else 0))
        places.append(LetIndex(taken, place, stride, 0))
        terms.append((taken, math.prod(windows[axis:]) * channels))
        if stride > 1:
            places.append(LetIndex(beside, place, 1, stride))
            here = compare("eq", Position(int64, Index(((beside, 1),))), const(0, int64))
            there = here if there is None else apply("and", there, here)
    assert there is not None  # where every place counts there is nothing to spread
    places.append(Let("there", there))
    source = Load(float32, values, Index((*terms, ("c", 1))), Name(there.dtype, "there"))
    store = Store(images, Index((("r", channels), ("c", 1))), source)
    body = Loop("r", "lo", "hi", (*places, Loop("c", 0, channels, (store,), lanes=True)))
    return Kernel([values, images], [], math.prod(extents), 1, [body], 0.02 * channels)


__all__ = [
    "filters", "gathering", "input_gradient", "is_pointwise", "is_short", "product_of_transposed", "rows", "spreading",
    "weight_gradient",
]  # fmt: skip
