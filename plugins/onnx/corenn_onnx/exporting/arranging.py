"""Emitters of ops that move elements about: shapes, indices, gathering, sorting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn import dtypes
from corenn_onnx.errors import OnnxExportError
from corenn_onnx.exporting.emitter import TO_FIRST, TO_LAST, CallUse, Emitter
from corenn_onnx.exporting.extents import Extent
from corenn_onnx.exporting.table import emits
from corenn_onnx.values import TO_ONNX


@emits("reshape")
def reshape(e: Emitter, call: CallUse) -> Any:
    """-1 for the only extent that depends on the batch."""
    x, shape = call.operand(0), list(call.result.shape)
    moving = [i for i, n in enumerate(shape) if isinstance(n, Extent)]
    if len(moving) == 1 and 0 not in shape:
        shape[moving[0]] = -1
    return e.add("Reshape", [e.name(x), e.shape(shape)], allowzero=1 if 0 in shape else None)


@emits("broadcast_to")
def broadcast_to(e: Emitter, call: CallUse) -> Any:
    """Expand."""
    return e.add("Expand", [e.name(call.operand(0)), e.shape(call.result.shape)])


@emits("transpose")
def transpose(e: Emitter, call: CallUse) -> Any:
    """Axes in another order."""
    x = call.operand(0)
    axes = call.attrs["axes"]
    if axes is None:
        axes = tuple(range(x.rank))[::-1]
    if not axes:
        return e.add("Identity", [e.name(x)])
    if e.only_first(x) and tuple(axes) == TO_FIRST[x.rank]:  # it is laid out so already
        return e.firsts[x.symbol]
    return e.add("Transpose", [e.name(x)], perm=list(axes))


def _axes(axis: Any, rank: int) -> list[int]:
    axes = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return [int(a) % rank for a in axes]


@emits("expand_dims")
def expand_dims(e: Emitter, call: CallUse) -> Any:
    """Unsqueeze."""
    return e.add("Unsqueeze", [e.name(call.operand(0)), e.ints(*_axes(call.attrs["axis"], call.result.rank))])


@emits("squeeze")
def squeeze(e: Emitter, call: CallUse) -> Any:
    """Without the axes named, or all of extent 1."""
    x, axis = call.operand(0), call.attrs["axis"]
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else _axes(axis, x.rank)
    return e.add("Squeeze", [e.name(x), e.ints(*axes)]) if axes else e.add("Identity", [e.name(x)])


@emits("concatenate")
def concatenate(e: Emitter, call: CallUse) -> Any:
    """Joined; with channels first if the parts are laid out so."""
    axis = call.attrs["axis"] % call.result.rank
    uses = [u for u in call.inputs if u is not None]
    if any(e.only_first(u) for u in uses) and all(u.symbol in e.firsts for u in uses):
        names = [e.firsts[u.symbol] for u in uses]
        place = TO_LAST[call.result.rank][axis]
        e.define_first(call.result, e.add("Concat", names, axis=place))
        return None
    return e.add("Concat", [e.name(u) for u in uses], axis=axis)


@emits("stack")
def stack(e: Emitter, call: CallUse) -> Any:
    """Joined along a new axis."""
    axis = call.attrs["axis"] % call.result.rank
    parts = [e.add("Unsqueeze", [e.name(u), e.ints(axis)]) for u in call.inputs if u is not None]
    return e.add("Concat", parts, axis=axis)


@emits("split")
def split(e: Emitter, call: CallUse) -> Any:
    """Parts of the extents that the results have."""
    axis = call.attrs["axis"] % call.operand(0).rank
    sizes = e.shape([u.shape[axis] for u in call.outputs])
    return tuple(e.add("Split", [e.name(call.operand(0)), sizes], len(call.outputs), axis=axis))


@emits("unstack")
def unstack(e: Emitter, call: CallUse) -> Any:
    """Parts without their axis."""
    axis = call.attrs["axis"] % call.operand(0).rank
    ones = e.ints(*[1] * len(call.outputs))
    parts = e.add("Split", [e.name(call.operand(0)), ones], len(call.outputs), axis=axis)
    return tuple(e.add("Squeeze", [part, e.ints(axis)]) for part in parts)


_LAST = np.iinfo(np.int64).max


@emits("index")
def index(e: Emitter, call: CallUse) -> Any:
    """A basic index: Slice, then without the axes of single positions, then with new ones."""
    x = call.operand(0)
    starts: list[Any] = []
    ends: list[Any] = []
    axes: list[int] = []
    steps: list[int] = []
    dropped, added, axis, place = [], [], 0, 0
    for entry in call.attrs["pattern"]:
        kind = entry[0]
        if kind == "new":
            added.append(place)
            place += 1
            continue
        if kind == "gap":
            continue
        if kind == "int":
            at = entry[1]
            starts.append(at)
            ends.append(Extent(at.slope, at.offset + 1) if isinstance(at, Extent) else at + 1 if at != -1 else _LAST)
            axes.append(axis)
            steps.append(1)
            dropped.append(axis)
        else:
            if kind == "slice":
                _, start, stop, step = entry
                step = 1 if step is None else step
                starts.append((0 if step > 0 else _LAST) if start is None else start)
                ends.append((_LAST if step > 0 else -_LAST) if stop is None else stop)
                axes.append(axis)
                steps.append(step)
            place += 1
        axis += 1
    name = e.name(x)
    if axes:
        name = e.add("Slice", [name, e.shape(starts), e.shape(ends), e.ints(*axes), e.ints(*steps)])
    if dropped:
        name = e.add("Squeeze", [name, e.ints(*dropped)])
    return e.add("Unsqueeze", [name, e.ints(*added)]) if added else name


def _by_pad(call: Any, opset: int) -> bool:
    """Whether ONNX has the mode, and mirrors no further than once."""
    mode, shape = call.plan.attrs["mode"], call.inputs[0].shape
    far = any(max(pair) >= n for pair, n in zip(call.plan.attrs["widths"], shape, strict=True))
    return mode in ("constant", "edge") or (mode == "reflect" and not far)


@emits("pad", when=_by_pad)
def pad(e: Emitter, call: CallUse) -> Any:
    """Constant, edge or reflect."""
    x, widths = call.operand(0), call.fixed("widths")
    if not x.rank:
        return e.add("Identity", [e.name(x)])
    pairs = [tuple(w) for w in widths]
    if len(pairs) != x.rank:
        raise OnnxExportError(call.where, f"widths {widths} for {x.rank} axes")

    def write(name: str, order: list[tuple[int, ...]]) -> str:
        flat = e.ints(*[p[0] for p in order], *[p[1] for p in order])
        mode = call.attrs["mode"]
        value = [e.scalar(call.attrs["value"], x.dtype)] if mode == "constant" else []
        return str(e.add("Pad", [name, flat, *value], mode=mode))

    if e.only_first(x):
        e.define_first(call.result, write(e.firsts[x.symbol], [pairs[0], pairs[-1], *pairs[1:-1]]))
        return None
    return write(e.name(x), pairs)


@emits("tile")
def tile(e: Emitter, call: CallUse) -> Any:
    """Repetitions along each axis; further ones make new axes."""
    x = call.operand(0)
    given = call.attrs["repetitions"]
    counts = list(given) if isinstance(given, tuple) else [given]
    name = e.name(x)
    if len(counts) > x.rank:
        name = e.add("Unsqueeze", [name, e.ints(*range(len(counts) - x.rank))])
    counts = [1] * (x.rank - len(counts)) + counts
    return e.add("Tile", [name, e.shape(counts)])


@emits("repeat")
def repeat(e: Emitter, call: CallUse) -> Any:
    """Each element on a new axis, which is then joined with the one before it."""
    x, count = call.operand(0), call.fixed("repeats")
    axis = call.attrs["axis"]
    name, shape = e.name(x), list(x.shape)
    if axis is None:
        name, axis = e.add("Reshape", [name, e.ints(-1)]), 0
        shape = [0]
    axis = axis % len(shape)
    name = e.add("Unsqueeze", [name, e.ints(axis + 1)])
    name = e.add("Tile", [name, e.ints(*[count if i == axis + 1 else 1 for i in range(len(shape) + 1)])])
    return e.add("Reshape", [name, e.shape(call.result.shape)], allowzero=1 if 0 in call.result.shape else None)


@emits("flip")
def flip(e: Emitter, call: CallUse) -> Any:
    """Slice with a step of -1."""
    x = call.operand(0)
    axes = _axes(call.attrs["axis"], x.rank)
    if not axes:
        return e.add("Identity", [e.name(x)])
    n = len(axes)
    bounds = [e.ints(*[-1] * n), e.ints(*[-_LAST] * n), e.ints(*axes), e.ints(*[-1] * n)]
    return e.add("Slice", [e.name(x), *bounds])


@emits("roll")
def roll(e: Emitter, call: CallUse) -> Any:
    """Two sections in the other order."""
    x, shift, axis = call.operand(0), call.attrs["shift"], call.attrs["axis"]
    name = e.name(x)
    if axis is None:
        name = e.add("Reshape", [name, e.ints(-1)])
        size = math.prod(call.operand(0).symbol.spec.static)
        pairs = [(0, shift, size)]
    else:
        axes = axis if isinstance(axis, tuple) else (axis,)
        shifts = shift if isinstance(shift, tuple) else (shift,) * len(axes)
        pairs = [(a % x.rank, s, x.shape[a]) for a, s in zip(axes, shifts, strict=True)]
    for place, moved, extent in pairs:
        if isinstance(extent, Extent) or (axis is None and any(isinstance(n, Extent) for n in x.shape)):
            raise OnnxExportError(call.where, "roll along the batch", hint="export for a fixed batch")
        cut = -moved % extent if extent else 0
        if cut:
            parts = e.add("Split", [name, e.ints(cut, extent - cut)], 2, axis=place)
            name = e.add("Concat", parts[::-1], axis=place)
    return e.add("Reshape", [name, e.shape(x.shape)]) if axis is None else e.add("Identity", [name])


@emits("tril", "triu")
def triangle(e: Emitter, call: CallUse) -> Any:
    """Trilu; of bools through integers, which runtimes take."""
    x = call.operand(0)
    upper = int(call.name == "triu")
    offset = e.constant(np.array(call.attrs["k"], np.int64))
    if x.dtype is dtypes.bool_:
        wide = e.add("Trilu", [e.cast(e.name(x), dtypes.int32), offset], upper=upper)
        return e.cast(wide, dtypes.bool_)
    return e.add("Trilu", [e.name(x), offset], upper=upper)


# ---------------------------------------------------------------- gathering


def _indices(e: Emitter, call: CallUse, place: int) -> str:
    """Positions as int64 or int32, which ONNX takes."""
    use = call.operand(place)
    name = e.name(use)
    return name if use.dtype in (dtypes.int32, dtypes.int64) else e.cast(name, dtypes.int64)


@emits("gather")
def gather(e: Emitter, call: CallUse) -> Any:
    """Slices."""
    axis = call.attrs["axis"] % call.operand(0).rank
    return e.add("Gather", [e.name(call.operand(0)), _indices(e, call, 1)], axis=axis)


@emits("embedding")
def embedding(e: Emitter, call: CallUse) -> Any:
    """Rows of a table."""
    return e.add("Gather", [e.name(call.operand(0)), _indices(e, call, 1)], axis=0)


@emits("gather_nd")
def gather_nd(e: Emitter, call: CallUse) -> Any:
    """Slices at coordinates, which ONNX takes as int64."""
    return e.add("GatherND", [e.name(call.operand(0)), e.cast(e.name(call.operand(1)), dtypes.int64)])


@emits("take_along_axis")
def take_along_axis(e: Emitter, call: CallUse) -> Any:
    """GatherElements on operands that have been broadcast."""
    x, indices = call.operand(0), call.operand(1)
    axis = call.attrs["axis"] % x.rank
    names = [e.name(x), _indices(e, call, 1)]
    for i, use in enumerate((x, indices)):
        wanted = [n if a != axis else use.shape[a] for a, n in enumerate(call.result.shape)]
        if list(use.shape) != wanted:
            names[i] = e.add("Expand", [names[i], e.shape(wanted)])
    return e.add("GatherElements", names, axis=axis)


@emits("one_hot")
def one_hot(e: Emitter, call: CallUse) -> Any:
    """Numbers outside 0 ... depth - 1 name no place; ONNX would count negative ones from the end."""
    x, depth = call.operand(0), call.fixed("depth")
    axis = call.attrs["axis"] % call.result.rank
    classes = np.arange(depth).reshape([depth if i == axis else 1 for i in range(call.result.rank)])
    column = e.add("Unsqueeze", [e.cast(e.name(x), dtypes.int64), e.ints(axis)])
    here = e.add("Equal", [column, e.constant(classes)])
    dtype = call.result.dtype
    if dtype is dtypes.bool_:
        return here if call.attrs["on_value"] else e.add("Not", [here])
    return e.add("Where", [here, e.scalar(call.attrs["on_value"], dtype), e.scalar(call.attrs["off_value"], dtype)])


# ---------------------------------------------------------------- sorting


def _sorted(e: Emitter, call: CallUse, largest: bool, count: Any) -> tuple[str, str]:
    x = call.operand(0)
    axis = call.attrs["axis"] % x.rank
    values, places = e.add("TopK", [e.name(x), e.shape([count])], 2, axis=axis, largest=int(largest), sorted=1)
    return values, places


@emits("top_k")
def top_k(e: Emitter, call: CallUse) -> Any:
    """TopK."""
    return _sorted(e, call, True, call.attrs["k"])


@emits("sort")
def sort(e: Emitter, call: CallUse) -> Any:
    """All elements in order."""
    x = call.operand(0)
    return _sorted(e, call, bool(call.attrs["descending"]), x.shape[call.attrs["axis"] % x.rank])[0]


@emits("argsort")
def argsort(e: Emitter, call: CallUse) -> Any:
    """The positions of all elements in order."""
    x = call.operand(0)
    return _sorted(e, call, bool(call.attrs["descending"]), x.shape[call.attrs["axis"] % x.rank])[1]


@emits("full")
def full(e: Emitter, call: CallUse) -> Any:
    """A constant too large to be computed while tracing."""
    return e.add("Expand", [e.scalar(call.attrs["value"], call.result.dtype), e.shape(call.result.shape)])


@emits("arange")
def arange(e: Emitter, call: CallUse) -> Any:
    """A range too long to be computed while tracing."""
    kind = dtypes.int64 if call.result.dtype.is_integer else call.result.dtype
    bounds = [e.scalar(call.fixed(name), kind) for name in ("start", "stop", "step")]
    return e.add("Cast", [e.add("Range", bounds)], to=TO_ONNX[call.result.dtype])
