"""3x3 convolutions of stride 1, and their gradients, with fewer multiplications: by Winograd's filtering (``tiles``).

Two by two results of a tile take 16 multiplications in place of 36, four by four 36 in place of 144.  Products of
matrices, which the library does, are in the middle.  The gradient by the images is a convolution with the filters
turned around.  An infinity makes NaN of the other results of its tiles.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from corenn.compiler.cost import flops_of
from corenn.compiler.program import Call, Symbol
from corenn.dtypes import float32
from corenn.ops.windows import channel_axis
from corenn_onednn.compiling.series import Piece, Series, Steps
from corenn_onednn.compiling.tiles import (
    FOUR,
    TWO,
    After,
    Filtering,
    Tiles,
    beside,
    filter_gradient_kernel,
    filter_kernel,
    gradient_kernel,
    image_kernel,
    result_kernel,
)
from corenn_onednn.dnnl import Attributes, Descriptor, Sum
from corenn_onednn.dnnl.primitives.matmul import matmul

_WAYS = (TWO, FOUR)
#: Fewer channels than this on either side, and vectors are not full.
_CHANNELS = 32
#: What an element of a transformed filter, and of a transformed image or result, takes, as multiplications of the
#: product: measured.
_FILTER, _TILE = 35, 26
#: What a multiplication of a direct convolution takes, as multiplications of the product.
_DIRECT = 1.2
#: Filters of so many numbers of channels, inner times outer, are laid out for the gradient by the images as its product
#: reads them; in larger ones channels lie so far apart that reading them across takes longer (5 ms instead of 1 ms, for
#: 512 times 512) than the product does with its operand transposed (3.5 ms instead of 2.6 ms).
_GATHERED = 100_000
#: Bytes of transformed tiles that are worked on at a time, where the filters are small beside them: what caches hold.
_AT_A_TIME = 4_000_000


def filtering(call: Call) -> Filtering | None:
    """How a convolution, or a gradient of one, of this kind is done in the shortest time; ``None``: directly."""
    attrs = call.plan.attrs
    if any(s is None or s.spec.dtype is not float32 or s.spec.ndim != 4 for s in (*call.inputs, *call.outputs)):
        return None
    if attrs["groups"] != 1 or set(attrs["strides"]) != {1} or set(attrs["dilation"]) != {1}:
        return None
    if channel_axis(attrs["layout"]) != 3 or any(not 0 <= p <= 2 for pair in attrs["padding"] for p in pair):
        return None
    first, second = (s.spec.static for s in call.inputs if s is not None)
    gradient = call.name == "conv_weight_grad"
    if tuple(attrs["size"] if gradient else second[:2]) != (3, 3):
        return None
    made = second if gradient else call.outputs[0].spec.static
    inner, outer = first[-1], made[-1]
    if min(inner, outer) < _CHANNELS:
        return None

    def time(way: Filtering) -> float:
        tiles = Tiles(way, made[0], made[1:3]).count
        return way.size**2 * (inner * outer * (tiles + _FILTER) + _TILE * tiles * (inner + outer))

    best = min(_WAYS, key=time)
    return best if time(best) < _DIRECT * flops_of(call.plan) / 2 else None


def _products(steps: Steps, way: Filtering, name: str, rows: int, columns: int) -> tuple[Piece, Descriptor]:
    apart = beside(way, columns)
    made = Descriptor((way.size**2, rows, columns), "float32", (columns, apart, 1))
    return steps.memory(name, max(rows * apart * 4, steps.own.get(name, 0))), made


def _transposed(d: Descriptor) -> Descriptor:
    (n, a, b), (s, t, u) = d.shape, d.strides
    return Descriptor((n, b, a), "float32", (s, u, t))


def _parts(way: Filtering, shape: tuple[int, ...], out: tuple[int, ...]) -> list[tuple[int, int]]:
    """First image and number of images of each part of the batch that is worked on at a time."""
    batch, inner, outer = shape[0], shape[-1], out[-1]
    element = 4 * way.size**2
    each = element * Tiles(way, 1, out[1:3]).count * (inner + outer)
    many = max(1, _AT_A_TIME // each)
    if -(-batch // many) * element * inner * outer > batch * each:
        many = batch  # reading the filters that often would cost more
    return [(first, min(many, batch - first)) for first in range(0, batch, many)]


def _from(symbol: Symbol, image: int) -> Piece:
    return Piece(symbol, image * symbol.spec.nbytes // symbol.spec.static[0])


def _tiled(
    steps: Steps, way: Filtering, x: Symbol, first: int, out: tuple[int, ...], before: tuple[int, ...]
) -> tuple[Piece, Descriptor]:
    """Next, the tiles of images from ``first`` on, from which results of shape ``out`` are made."""
    part = (out[0], *x.spec.static[1:])
    images, laid = _products(steps, way, "images", Tiles(way, out[0], out[1:3]).count, part[-1])
    steps.loop(image_kernel(way, part, out[1:3], before), _from(x, first), images)
    return images, laid


def convolution(way: Filtering, call: Call, absorbed: Sequence[Call]) -> Series:
    """The instruction for a convolution (or its gradient by the images), and for the calls ``absorbed`` after it."""
    x, w = call.inputs
    assert x is not None
    assert w is not None
    backward = call.name == "conv_input_grad"
    result, out = absorbed[-1].outputs[0], call.outputs[0].spec.static
    inner, outer = w.spec.static[2:]
    before = tuple(2 - p[0] if backward else p[0] for p in call.plan.attrs["padding"])
    shape = x.spec.static
    steps = Steps()
    by_outputs = backward and inner * outer <= _GATHERED
    filters, laid = _products(steps, way, "filters", *((outer, inner) if by_outputs else (inner, outer)))
    steps.prepare(filter_kernel(way, inner, outer, backward, by_outputs), Piece(w), filters)
    if backward and not by_outputs:
        laid = _transposed(laid)
    after, others = _following(absorbed)
    spread = [s.spec.static == out for s in others]
    for first, count in _parts(way, shape, out):
        images, source = _tiled(steps, way, x, first, (count, *out[1:]), before)
        products, target = _products(steps, way, "products", source.shape[1], out[-1])
        steps.execute(matmul(source, laid, target), src=images, weights=filters, dst=products)
        further = [_from(o, first) if whole else Piece(o) for o, whole in zip(others, spread, strict=True)]
        steps.loop(result_kernel(way, (count, *out[1:]), after), products, _from(result, first), *further)
    inputs = list(dict.fromkeys([x, w, *others]))
    return Series(steps.steps, steps.own, inputs, [result], call.where, [c.name for c in absorbed])


def _following(absorbed: Sequence[Call]) -> tuple[tuple[After, ...], list[Symbol]]:
    after: list[After] = []
    others: list[Symbol] = []
    for before, call in itertools.pairwise(absorbed):
        other = [(n, s) for n, s in enumerate(call.inputs) if s is not before.outputs[0] and s is not None]
        if not other:
            after.append((call.name, None, False))
            continue
        ((which, symbol),) = other
        after.append((call.name, which, symbol.spec.static != call.outputs[0].spec.static))
        others.append(symbol)
    return tuple(after), others


def weight_gradient(way: Filtering, call: Call) -> Series:
    """The instruction for the gradient of a convolution by its filters."""
    x, g = call.inputs
    assert x is not None
    assert g is not None
    shape, out = x.spec.static, g.spec.static
    before = tuple(p[0] for p in call.plan.attrs["padding"])
    steps = Steps()
    products, target = _products(steps, way, "products", shape[-1], out[-1])
    for first, count in _parts(way, shape, out):
        images, source = _tiled(steps, way, x, first, (count, *out[1:]), before)
        gradients, laid = _products(steps, way, "gradients", source.shape[1], out[-1])
        steps.loop(gradient_kernel(way, (count, *out[1:])), _from(g, first), gradients)
        attributes = Attributes((Sum(),)) if first else None
        made = matmul(_transposed(source), laid, target, attributes=attributes)
        steps.execute(made, src=images, weights=gradients, dst=products)
    steps.loop(filter_gradient_kernel(way, shape[-1], out[-1]), products, Piece(call.outputs[0]))
    return Series(steps.steps, steps.own, call.inputs, call.outputs, call.where, [call.name])


__all__ = ["convolution", "filtering", "weight_gradient"]
