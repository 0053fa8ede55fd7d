"""The gradient of a 1x1 convolution by its weights, as what it is: a product of two matrices.

The rows of both are the places of the images.  The library's own primitive for it takes up to twice the time of the
product, and wants the result laid out anew; where strides leave places out, those that count are gathered first.
"""

from __future__ import annotations

import contextlib
import math
from functools import lru_cache

from corenn.compiler.cost import flops_of
from corenn.compiler.program import Call, Instruction
from corenn.dtypes import float32
from corenn.ops.windows import channel_axis
from corenn_onednn.compiling.native import Native, Place
from corenn_onednn.compiling.series import Piece, Series, Steps
from corenn_onednn.dnnl import Descriptor, Primitive, UnimplementedError
from corenn_onednn.dnnl.primitives.matmul import matmul
from corenn_onednn.loops.ir import Buffer, Index, Kernel, LetIndex, Load, Loop, Store

#: Products of so many operations, of a transposed operand, are quicker by the library's own blocked product.
_BLOCKED = 50_000_000


def product_of_transposed(source: Descriptor, weights: Descriptor, target: Descriptor, flops: float) -> Primitive:
    """``target = source @ weights`` where ``source`` lies transposed, without anything after it."""
    if flops >= _BLOCKED:
        with contextlib.suppress(UnimplementedError):
            return matmul(source, weights, target, implementation="gemm")
    return matmul(source, weights, target)


def is_pointwise(call: Call) -> bool:
    """Whether a call is such a gradient, of images whose channels lie together."""
    if call.plan.op.name != "conv_weight_grad" or call.outputs[0].spec.dtype is not float32:
        return False
    attrs, g = call.plan.attrs, call.inputs[1]
    return (
        set(attrs["size"]) == {1}
        and attrs["groups"] == 1
        and g is not None
        and channel_axis(attrs["layout"]) == g.spec.ndim - 1
        and not any(p for pair in attrs["padding"] for p in pair)
    )


def weight_gradient(call: Call) -> Instruction:
    """The instruction for a call that ``is_pointwise``."""
    x, g = call.inputs
    assert x is not None
    assert g is not None
    inner, outer = x.spec.static[-1], g.spec.static[-1]
    places = math.prod(g.spec.static[:-1])
    source = Descriptor((inner, places), "float32", (1, inner))
    weights, target = Descriptor((places, outer)), Descriptor((inner, outer))
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


__all__ = ["gathering", "is_pointwise", "product_of_transposed", "weight_gradient"]
