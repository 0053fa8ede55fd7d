"""How an index with arrays reads an operand: which part, which axes become rows, and where the arrays' axes go.

Every index with arrays is the same four steps: take a basic part; bring the indexed axes to the front as one (the
operand is then *rows*); take rows at flat positions; move the axes the arrays made to their place.  Done backwards,
with adding or setting rows in place of taking them, it is the scatter.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from corenn.errors import ShapeError
from corenn.ops.families import broadcast_shapes
from corenn.ops.gathering import argwhere
from corenn.ops.shaping import broadcast_to, reshape, transpose
from corenn.ops.slicing import ADVANCED, ALL, BadIndex, Pattern, basic_index, canonical, indexed_shape, span
from corenn.ops.table import Call
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor


class Layout(NamedTuple):
    """The steps for one canonical pattern and one shape of operand."""

    basic: Pattern  #: the part, before arrays are applied
    part: tuple[int, ...]  #: its shape
    partial: bool  #: whether it is less than the operand, or has new axes
    merged: tuple[int, ...]  #: its shape with the axes under each mask made one
    order: tuple[int, ...]  #: axes of that, the indexed ones first
    extents: tuple[int, ...]  #: extents of the indexed ones
    kept: tuple[int, ...]  #: extents of the others
    rows: tuple[int, ...]  #: (number of rows, *kept)
    at: int  #: how many of the kept axes stand before those of the arrays in the result


def _place(pattern: Pattern) -> int:
    """How many axes of the result come before those of the arrays: none when something stands between the arrays."""
    arrays = [i for i, entry in enumerate(pattern) if entry[0] in ADVANCED or entry[0] == "int"]
    if arrays[-1] - arrays[0] + 1 != len(arrays):
        return 0
    return sum(entry[0] not in ("gap",) for entry in pattern[: arrays[0]])


@functools.lru_cache(4096)
def layout_of(pattern: Pattern, shape: tuple[int, ...]) -> Layout:
    """The layout of a pattern with arrays on an operand of ``shape``."""
    entries = canonical(pattern, shape)
    basic: list[tuple[object, ...]] = []
    groups: list[tuple[bool, int]] = []  # for each axis of the part, or run of them: indexed?, how many
    for entry in entries:
        if entry[0] in ADVANCED:
            basic += [("new",)] if entry[0] == "fresh" else [ALL] * span(entry)
            groups.append((True, max(1, span(entry)) if entry[0] != "mask" else span(entry)))
        elif entry[0] != "gap":
            basic.append(entry)
            groups += [] if entry[0] == "int" else [(False, 1)]
    part: tuple[int, ...] = indexed_shape(tuple(basic), shape)  # type: ignore[assignment]  # the extents are known
    merged: list[int] = []
    axis = 0
    for _, count in groups:
        merged.append(math.prod(part[axis : axis + count]))
        axis += count
    indexed = [i for i, (is_indexed, _) in enumerate(groups) if is_indexed]
    others = [i for i, (is_indexed, _) in enumerate(groups) if not is_indexed]
    extents, kept = tuple(merged[i] for i in indexed), tuple(merged[i] for i in others)
    partial = any(entry != ALL for entry in basic)
    return Layout(
        tuple(basic), part, partial, tuple(merged), (*indexed, *others), extents, kept,
        (math.prod(extents), *kept), _place(entries),
    )  # fmt: skip


def advanced_shape(call: Call, shape: Shape, indices: Sequence[Spec], operand: str) -> Shape:
    """Canonicalise the call's pattern with arrays, and infer the shape of what it names of an operand of ``shape``."""
    try:
        pattern = call.attrs["pattern"] = canonical(call.attrs["pattern"], shape)
    except BadIndex as problem:
        raise problem.error(call, operand) from None
    kinds = [entry for entry in pattern if entry[0] in ADVANCED]
    if len(kinds) != len(indices) or not kinds:
        raise call.attribute_error(f"the pattern names {len(kinds)} arrays, {len(indices)} are given", pattern="")
    arrays: list[Shape] = []
    kept: list[int | None] = []
    empty: str | None = None
    axis = 0
    given = iter(enumerate(indices))
    for entry in pattern:
        if entry[0] in ADVANCED:
            number, spec = next(given)
            if shape[axis : axis + span(entry)] == (0,):
                empty = f"indices[{number}]"
            arrays.append(_array_shape(call, entry, spec, shape[axis : axis + span(entry)], f"indices[{number}]"))
        elif entry[0] not in ("int", "gap"):
            extent = 1 if entry[0] == "new" else indexed_shape((entry,), (shape[axis],))[0]
            kept.append(extent)
        axis += span(entry)
    try:
        taken = broadcast_shapes(call, arrays)
    except ShapeError:
        notes = {f"indices[{i}]": "" for i in range(len(indices))}
        raise call.shape_error(
            "the index arrays do not broadcast", "their extents must be equal or 1", **notes
        ) from None
    if empty and 0 not in taken and None not in taken:
        raise call.shape_error("takes elements from an empty axis", None, **{empty: ""})
    at = _place(pattern)
    return (*kept[:at], *taken, *kept[at:])


def _array_shape(call: Call, entry: tuple[object, ...], spec: Spec, axes: Shape, name: str) -> Shape:
    if (spec.dtype.kind == "b") != (entry[0] == "mask"):
        raise call.dtype_error("masks are bools, and arrays of positions integers", **{name: f"as {entry[0]!r}"})
    if entry[0] == "mask":
        if spec.ndim != len(axes) or any(
            n != m for n, m in zip(spec.shape, axes, strict=True) if n is not None and m is not None
        ):
            shown = ", ".join("?" if n is None else str(n) for n in axes)
            raise call.shape_error(
                "a mask has another shape than the axes it selects from", None, **{name: f"[{shown}]"}
            )
        return (None,)
    return spec.shape


# ---------------------------------------------------------------- the steps, in ops and in NumPy


def positions_of(indices: tuple[Tensor, ...], pattern: Pattern) -> list[Tensor]:
    """The index arrays of a pattern as arrays of positions: a mask becomes the places, in C order, where it holds."""
    kinds = [entry[0] for entry in pattern if entry[0] in ("array", "mask", "fresh")]
    return [
        reshape(argwhere(reshape(i, shape=(-1,))), shape=(-1,)) if kind == "mask" else i
        for kind, i in zip(kinds, indices, strict=True)
    ]


def rows_of(x: Tensor, layout: Layout) -> Tensor:
    """The operand as rows: the indexed axes brought to the front and made one; the others follow."""
    part = basic_index(x, pattern=layout.basic) if layout.partial else x
    part = reshape(part, shape=layout.merged) if part.shape != layout.merged else part
    part = transpose(part, axes=layout.order) if layout.order != tuple(range(part.ndim)) else part
    return reshape(part, shape=layout.rows) if part.shape != layout.rows else part


def from_front(taken: Tensor, count: int, layout: Layout) -> Tensor:
    """The first ``count`` axes, which the index arrays make, moved to their place in the result."""
    if not layout.at or not count:
        return taken
    at, ndim = layout.at, taken.ndim
    return transpose(taken, axes=(*range(count, count + at), *range(count), *range(count + at, ndim)))


def to_front(x: Tensor, taken: tuple[int, ...], layout: Layout) -> Tensor:
    """``x``, broadcast to the result of an index, as lines: the arrays' axes (``taken``) in front, made one."""
    kept, at, count = layout.kept, layout.at, len(taken)
    region = (*kept[:at], *taken, *kept[at:])
    x = broadcast_to(x, shape=region) if x.shape != region else x
    if at and count:
        x = transpose(x, axes=(*range(at, at + count), *range(at), *range(at + count, x.ndim)))
    return reshape(x, shape=(math.prod(taken), *kept))


def part_of(rows: Tensor, layout: Layout) -> Tensor:
    """Rows back as the basic part of the operand that they were made from."""
    back = reshape(rows, shape=tuple(layout.merged[a] for a in layout.order))
    back = transpose(back, axes=tuple(sorted(range(back.ndim), key=layout.order.__getitem__)))
    return reshape(back, shape=layout.part) if back.shape != layout.part else back


def key_of(pattern: Pattern, indices: Any) -> tuple[Any, ...]:
    """What to put between a NumPy array's brackets for a pattern and its arrays."""
    given = iter(indices)
    parts: list[Any] = []
    for entry in pattern:
        kind = entry[0]
        if kind in ("array", "mask"):
            parts.append(next(given))
        elif kind == "fresh":
            parts.append(next(given).size == 1)
        elif kind == "int":
            parts.append(entry[1])
        elif kind == "slice":
            parts.append(slice(*entry[1:]))
        else:
            parts.append({"new": None, "all": slice(None), "rest": Ellipsis, "gap": Ellipsis}[kind])
    return tuple(parts)
