"""Sliding windows: layouts, strides, padding and extents, which convolution and pooling share.

Along one axis of extent ``n`` the window takes ``k`` elements, ``dilation`` apart, so it spans
``span = (k - 1) * dilation + 1``; its result ``o`` reads the padded positions ``o * stride + j * dilation``.  With
``VALID`` nothing is padded; with ``SAME`` the result has ``ceil(n / stride)`` elements and the padding is divided
evenly, the odd element going to the end (TensorFlow, *nn/convolution* notes on padding; torch and ONNX call the same
"SAME_UPPER").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from corenn.errors import AttributeValueError, ShapeError, nearest
from corenn.ops.table import Call, Op
from corenn.spec import Shape, Spec

Ints = int | tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
Padding = str | int | tuple[int, ...] | Pairs

#: Layouts by number of spatial axes: channels last, channels first.
LAYOUTS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}
_EVERY_LAYOUT = [layout for pair in LAYOUTS.values() for layout in pair]


def channel_axis(layout: str) -> int:
    """The channel axis of a layout."""
    return layout.index("C")


def spatial_axes(layout: str) -> tuple[int, ...]:
    """The spatial axes of a layout, in order."""
    return tuple(i for i, letter in enumerate(layout) if letter not in "NC")


def spatial(shape: Shape, layout: str) -> Shape:
    """The spatial extents of a shape."""
    return tuple(shape[a] for a in spatial_axes(layout))


def arrange(batch: int | None, extents: Shape, channels: int | None, layout: str) -> Shape:
    """A shape in ``layout`` from its parts."""
    return (batch, *extents, channels) if layout[-1] == "C" else (batch, channels, *extents)


def set_layout(call: Call, ndim: int, name: str) -> str:
    """Put the attribute ``layout`` into canonical form, for the operand ``name`` of ``ndim`` axes; return it."""
    given = call.attrs["layout"]
    if given is None:
        if ndim - 2 not in LAYOUTS:
            raise call.shape_error(
                f"{name} needs a batch axis, 1 to 3 spatial axes and a channel axis, and has {ndim} axes",
                "an image batch is [batch, height, width, channels]",
                **{name: ""},
            )
        layout = LAYOUTS[ndim - 2][0]
    else:
        layout = given.upper() if isinstance(given, str) else ""
        if layout not in _EVERY_LAYOUT:
            known = nearest(layout, _EVERY_LAYOUT) if layout else f"known: {', '.join(_EVERY_LAYOUT)}"
            raise call.attribute_error("there is no such layout", known, layout="")
        if len(layout) != ndim:
            hint = "a batch axis can be added: x[None]" if ndim == len(layout) - 1 else None
            if ndim - 2 in LAYOUTS:
                fitting = " or ".join(repr(option) for option in LAYOUTS[ndim - 2])
                hint = f"{ndim} axes take {fitting}" + (f"; {hint}" if hint else "")
            raise call.shape_error(f"{name} has {ndim} axes, layout {layout!r} has {len(layout)}", hint, **{name: ""})
    call.attrs["layout"] = layout
    return layout


def _is_int(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def set_ints(call: Call, name: str, rank: int, least: int = 1) -> tuple[int, ...]:
    """Put an attribute (one int, or one for each of ``rank`` spatial axes) into the form of a tuple; return it."""
    given = call.attrs[name]
    values = given if isinstance(given, tuple) else (given,) * rank
    if len(values) != rank or not all(_is_int(v, least) for v in values):
        hint = f"for example {name}={2 if rank == 1 else (2,) * rank}"
        if len(values) == rank + 2:
            hint = f"batch and channels have no {name}; {hint}"
        elif len(values) == rank + 1:
            hint = f"is the batch axis missing?  x[None]; or {hint}"
        what = f"{name} must be an int of at least {least}, or {rank} such ints, one for each spatial axis"
        raise call.attribute_error(what, hint, **{name: ""})
    call.attrs[name] = values
    return values


def sizes_for(where: str, record: Op, x: Spec, layout: str | None, value: Any, name: str) -> tuple[Any, Any]:
    """For a plain function ``where``: the spatial axes of ``x``, and ``value`` (its parameter ``name``) for each.

    ``record`` is an op with attributes ``layout`` and ``size``, whose checks and errors serve here.
    """
    given = tuple(value) if isinstance(value, list | tuple) else value
    call = Call(record, (x,), {"layout": layout, "size": given})
    try:
        axes = spatial_axes(set_layout(call, x.ndim, "x"))
        return axes, set_ints(call, "size", len(axes))
    except (AttributeValueError, ShapeError) as problem:
        problem.where = where
        problem.what = problem.what.replace("size", name)
        problem.hint = problem.hint and problem.hint.replace("size", name)
        problem.operands = {name if key == "size" else key: shown for key, shown in problem.operands.items()}
        raise


def same_padding(extent: int, span: int, stride: int) -> tuple[int, int]:
    """Padding before and after with which ``SAME`` gives ``ceil(extent / stride)`` results."""
    total = max(0, (-(-extent // stride) - 1) * stride + span - extent)
    return total // 2, total - total // 2


def set_padding(call: Call, extents: Shape, spans: Sequence[int], strides: Sequence[int]) -> Pairs | None:
    """Put the attribute ``padding`` into the form of (before, after) pairs, one for each spatial axis; return them.

    ``SAME`` over an extent that is not known yet stays as it is, and ``None`` is returned.
    """
    given, rank = call.attrs["padding"], len(spans)
    if isinstance(given, str):
        word = given.upper()
        if word not in ("SAME", "VALID"):
            hint = f"{nearest(word, ('SAME', 'VALID'))} (ints and (before, after) pairs are taken too)"
            raise call.attribute_error("there is no such padding", hint, padding="")
        if word == "SAME" and None in extents:
            call.attrs["padding"] = word
            return None
        sizes = zip(extents, spans, strides, strict=True)
        pairs: Pairs = tuple((0, 0) if word == "VALID" or n is None else same_padding(n, k, s) for n, k, s in sizes)
    else:
        values = given if isinstance(given, tuple) else (given,) * rank
        pairs = tuple(v if isinstance(v, tuple) else (v, v) for v in values)
        if len(pairs) != rank or not all(len(p) == 2 and _is_int(p[0], 0) and _is_int(p[1], 0) for p in pairs):
            raise call.attribute_error(
                f"padding must be 'SAME', 'VALID', an int of at least 0, or {rank} ints or (before, after) pairs, one "
                "for each spatial axis",
                f"for example padding={((1, 1),) * rank}",
                padding="",
            )
    call.attrs["padding"] = pairs
    return pairs


def slide(call: Call, name: str, extents: Shape, spans: Sequence[int], strides: Sequence[int]) -> Shape:
    """How many windows there are along each spatial axis of the operand ``name``; makes ``padding`` canonical.

    ShapeError where a window does not fit.
    """
    given = call.attrs["padding"]
    pairs = set_padding(call, extents, spans, strides)
    same = isinstance(given, str) and given.upper() == "SAME"
    results: list[int | None] = []
    for i, (n, span, stride) in enumerate(zip(extents, spans, strides, strict=True)):
        if n is None:
            results.append(None)
        elif pairs is None or same:
            results.append(-(-n // stride))
        else:
            padded = n + pairs[i][0] + pairs[i][1]
            if padded < span:
                letter = "DHW"[i - len(spans)]
                raise call.shape_error(
                    f"Computed output size would be negative: the window spans {span} along {letter}, where {name} "
                    f"has {n}" + (f" and {padded - n} of padding" if padded != n else ""),
                    f"use padding='SAME', or a window (with its dilation) of at most {padded}",
                    **{name: f"{letter} is {n}"},
                )
            results.append((padded - span) // stride + 1)
    return tuple(results)


def windows_along(extent: int, span: int, stride: int, padding: tuple[int, int]) -> int:
    """How many windows there are along one axis."""
    return (extent + padding[0] + padding[1] - span) // stride + 1


def held(extents: Sequence[int], window: Any, strides: Any, padding: Pairs, layout: str) -> np.ndarray[Any, Any]:
    """How many elements of an operand of spatial ``extents`` each window holds; broadcasts over batch and channels."""
    count = np.ones(())
    for n, k, s, p in zip(extents, window, strides, padding, strict=True):
        first = np.arange(windows_along(n, k, s, p)) * s - p[0]
        count = np.multiply.outer(count, np.minimum(first + k, n) - np.maximum(first, 0))
    return count.reshape([1 if n is None else n for n in arrange(1, count.shape, 1, layout)])


@dataclass(frozen=True, slots=True)
class Phase:
    """The elements ``first, first + stride, ...`` of one axis of a convolution's operand, as its gradient sees them.

    Their gradients are a convolution of stride 1 over the gradient of the result: element ``q`` adds up
    ``g[start + q + j * dilation] * w[taps][j]``, where positions outside ``g`` count as 0.  No ``taps``: no result
    reads these elements.
    """

    first: int
    taps: slice
    count: int  # of taps
    start: int
    dilation: int


def phases(kernel: int, stride: int, dilation: int, before: int) -> list[Phase]:
    """The gradient of a strided convolution with respect to its operand, along one axis, by residue modulo the stride.

    Result ``o`` reads element ``i = o * stride + j * dilation - before`` with tap ``j``.  So with ``i = q * stride +
    first`` only the taps with ``j * dilation = first + before`` modulo the stride count; they are ``step`` apart, and
    each next one reads the result ``dilation / gcd`` earlier.  Nothing is multiplied by the zeros that spreading the
    gradient out by the stride would put in.
    """
    common = math.gcd(stride, dilation)
    step = stride // common
    found = []
    for first in range(stride):
        taps = [j for j in range(kernel) if (j * dilation - first - before) % stride == 0]
        if taps:
            start = (first + before - taps[-1] * dilation) // stride
            found.append(Phase(first, slice(taps[-1], None, -step), len(taps), start, dilation // common))
        else:
            found.append(Phase(first, slice(0, 0), 0, 0, 1))
    return found
