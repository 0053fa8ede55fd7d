"""Basic indexing: which part of an array an index of ints, slices, ``None`` and ``...`` names, and its two reverses.

An index is a *pattern*: a hashable tuple with one entry for each part of the index,

    ("int", i)   ("slice", start, stop, step)   ("all",)   ("new",)   ("rest",)

for ``i``, ``start:stop:step``, ``:``, ``None`` and ``...``.  Advanced indices add ``("array",)`` (an array of
positions), ``("mask", k)`` (an array of k axes of bools), ``("fresh",)`` (an array of positions along a new axis of
extent 1, which is what a single bool means) and ``("gap",)`` (a ``...`` that stands for no axis, which still parts
the arrays on its two sides); their arrays are operands of the op.  The *canonical* pattern has exactly one entry for
each axis of the operand, positions counted from the front and slices that end inside the axis.
"""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import numpy as np

from corenn.errors import DTypeError, ShapeError
from corenn.ops.families import static_shape
from corenn.ops.sampling import error, integer, real, sample
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor

Pattern: TypeAlias = tuple[tuple[Any, ...], ...]
ALL = ("all",)
ADVANCED = frozenset({"array", "mask", "fresh"})
_WITHOUT_AXIS = frozenset({"new", "rest", "fresh", "gap"})


class BadIndex(Exception):
    """An index that does not fit a shape: ``what`` is wrong, ``note`` about the operand, ``hint``."""

    def __init__(self, what: str, note: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what, self.note, self.hint = what, note, hint

    def error(self, call: Call, operand: str = "x") -> ShapeError:
        """The same as a ShapeError about a call."""
        return call.shape_error(self.what, self.hint, **({operand: self.note} if self.note else {}))


def along(axis: int, entry: tuple[Any, ...]) -> Pattern:
    """The index pattern that takes ``entry`` of one axis, and the other axes whole."""
    return (*[ALL] * axis, entry)


def span(entry: tuple[Any, ...]) -> int:
    """How many axes of the operand an entry takes."""
    return entry[1] if entry[0] == "mask" else int(entry[0] not in _WITHOUT_AXIS)


def _position(i: int, extent: int | None, axis: int) -> int:
    if extent is None:
        return i
    if not -extent <= i < extent:
        allowed = f"positions are {-extent} to {extent - 1}" if extent else "the axis is empty"
        raise BadIndex(f"index {i} is out of range for axis {axis}", f"axis {axis} has extent {extent}", allowed)
    return i % extent


def _section(entry: tuple[Any, ...], extent: int | None) -> tuple[Any, ...]:
    _, start, stop, step = entry
    if step == 0:
        raise BadIndex("the step of a slice is 0")
    if extent is None:
        return ALL if (start, stop, step) in ((None, None, None), (0, None, 1)) else entry
    start, stop, step = slice(start, stop, step).indices(extent)
    count = len(range(start, stop, step))
    if count == extent and (step == 1 or count == 0):
        return ALL
    if count <= 1:
        return ("slice", start, start + 1, 1) if count else ("slice", 0, 0, 1)
    last = start + (count - 1) * step
    return ("slice", start, last + 1 if step > 0 else (last - 1 if last else None), step)


@functools.lru_cache(4096)
def canonical(pattern: Pattern, shape: Shape) -> Pattern:
    """The canonical form of ``pattern`` for an operand of ``shape``; BadIndex when it does not fit."""
    spent = sum(map(span, pattern))
    rests = pattern.count(("rest",))
    missing = len(shape) - spent
    if rests > 1:
        raise BadIndex("an index takes only one '...'")
    if missing < 0:
        raise BadIndex(f"too many indices: {spent} for {len(shape)} axes", f"has {len(shape)} axes")
    arrays = any(entry[0] in ADVANCED for entry in pattern)
    entries: list[tuple[Any, ...]] = []
    axis = 0
    for entry in pattern if rests else (*pattern, ("rest",)):
        kind = entry[0]
        if kind == "rest":
            entries += [ALL] * missing or ([("gap",)] if rests and arrays else [])
            axis += missing
            continue
        if kind == "int":
            entry = ("int", _position(entry[1], shape[axis], axis))
        elif kind == "slice":
            entry = _section(entry, shape[axis])
        entries.append(entry)
        axis += span(entry)
    return tuple(entries)


def _extent(entry: tuple[Any, ...], extent: int | None) -> int | None:
    if entry[0] == "all":
        return extent
    _, start, stop, step = entry
    if extent is None:
        return None
    return len(range(*slice(start, stop, step).indices(extent)))


def indexed_shape(pattern: Pattern, shape: Shape) -> Shape:
    """The shape of the part of an operand of ``shape`` that a canonical basic ``pattern`` names."""
    result: list[int | None] = []
    axis = 0
    for entry in pattern:
        if entry[0] == "new":
            result.append(1)
            continue
        if entry[0] != "int":
            result.append(_extent(entry, shape[axis]))
        axis += 1
    return tuple(result)


@functools.lru_cache(4096)
def resolve(pattern: Pattern, shape: Shape) -> tuple[tuple[Any, ...], Shape]:
    """What to put between an array's brackets for a basic ``pattern``, and the shape that comes out."""
    entries = canonical(pattern, shape)
    parts: list[Any] = []
    for entry in entries:
        if entry[0] == "int":
            parts.append(entry[1])
        elif entry[0] == "new":
            parts.append(None)
        else:
            parts.append(slice(None) if entry[0] == "all" else slice(*entry[1:]))
    return (*parts, Ellipsis), indexed_shape(entries, shape)  # with '...', NumPy gives 0-d arrays and not scalars


def assign(xp: Any, out: Any, value: Any, pattern: Pattern) -> None:
    """Set what a basic ``pattern`` names of ``out``, an array that is nobody else's, to ``value``, broadcast to it."""
    brackets, shape = resolve(pattern, tuple(out.shape))
    if None in brackets:  # the array API has no new axes where elements are set
        kept = [part is not None for part in brackets if not isinstance(part, int) and part is not Ellipsis]
        axes = zip(value.shape, kept[len(shape) - value.ndim :], strict=True)
        value = xp.reshape(value, tuple(n for n, keep in axes if keep))
        brackets = tuple(part for part in brackets if part is not None)
    out[brackets] = value


def basic_shape(call: Call, shape: Shape, operand: str) -> Shape:
    """Canonicalise the call's basic pattern, and infer the shape of what it names of an operand of ``shape``."""
    pattern = call.attrs["pattern"]
    if any(entry[0] in ADVANCED for entry in pattern):
        raise call.attribute_error("takes ints, slices, None and '...'; arrays are for corenn.index", pattern="")
    try:
        call.attrs["pattern"] = canonical(pattern, shape)
    except BadIndex as problem:
        raise problem.error(call, operand) from None
    return indexed_shape(call.attrs["pattern"], shape)


def check_region(call: Call, value: Spec, region: Shape, name: str = "value") -> None:
    """ShapeError unless ``value`` broadcasts to the indexed ``region``."""
    lead = len(region) - value.ndim
    if lead < 0 or any(
        n not in (1, None) and m is not None and n != m for n, m in zip(value.shape, region[lead:], strict=True)
    ):
        shown = ", ".join("?" if n is None else str(n) for n in region)
        raise call.shape_error(
            f"{name} does not broadcast to the indexed part", None, **{name: f"the part is [{shown}]"}
        )


def _basic_index(call: Call, x: Spec) -> Spec:
    return Spec(basic_shape(call, x.shape, "x"), x.dtype)


@op(infer=_basic_index, name="index", namespace="_")
def basic_index(x: TensorLike, /, *, pattern: Pattern) -> Tensor:
    """The part of ``x`` named by a basic index pattern (see the module), as NumPy does; a view where it can be.

    ShapeError for a position outside its axis and for more entries than axes; slices stop at the ends of an axis.
    """


@basic_index.kernel
def _(xp: Any, x: Any, *, pattern: Pattern) -> Any:
    return x[resolve(pattern, tuple(x.shape))[0]]


@basic_index.vjp
def _(g: Tensor, x_spec: Spec, pattern: Pattern) -> Tensor:
    return basic_place(g, shape=x_spec.static, pattern=pattern)


_patterns: tuple[tuple[tuple[int, ...], Pattern], ...] = (
    ((3, 4), (("int", 1),)),
    ((3, 4), (("rest",), ("int", -1))),
    ((3, 4), (("slice", 2, None, -1), ("slice", None, None, 2))),
    ((2, 3, 2), (("new",), ("int", 0), ("rest",), ("new",), ("slice", -2, -1, None))),
    ((3,), (("int", 2),)),
    ((), (("new",),)),
    ((3, 4), (("slice", 2, 1, 1),)),
    ((4,), (("slice", 9, None, -2),)),
)


def _key(pattern: Pattern) -> tuple[Any, ...]:
    plain = {"new": None, "rest": Ellipsis, "all": slice(None)}
    return tuple(e[1] if e[0] == "int" else slice(*e[1:]) if e[0] == "slice" else plain[e[0]] for e in pattern)


basic_index.samples(*(sample(real(shape=shape), pattern=pattern) for shape, pattern in _patterns))
basic_index.error_samples(
    error(ShapeError, "index 3 is out of range for axis 0", real(shape=(3, 4)), pattern=(("int", 3),)),
    error(ShapeError, "too many indices", real(shape=(3,)), pattern=(("int", 0), ("int", 0))),
    error(ShapeError, "only one '...'", real(shape=(3,)), pattern=(("rest",), ("rest",))),
    error(ShapeError, "step of a slice is 0", real(shape=(3,)), pattern=(("slice", None, None, 0),)),
)
basic_index.reference(lambda x, *, pattern: x[_key(pattern)])


def _basic_place(call: Call, x: Spec) -> Spec:
    shape = call.attrs["shape"] = static_shape(call, call.attrs["shape"])
    check_region(call, x, basic_shape(call, shape, "shape"), "x")
    return Spec(shape, x.dtype)


@op(infer=_basic_place, name="place", namespace="_")
def basic_place(x: TensorLike, /, *, shape: tuple[int, ...], pattern: Pattern) -> Tensor:
    """Zeros of ``shape`` with ``x``, broadcast, at the part a basic index pattern names: the gradient of ``index``."""


@basic_place.kernel
def _(xp: Any, x: Any, *, shape: tuple[int, ...], pattern: Pattern, device: Any) -> Any:
    out = xp.zeros(shape, dtype=x.dtype, device=device)
    assign(xp, out, x, pattern)
    return out


basic_place.vjp(lambda g, pattern: basic_index(g, pattern=pattern))


@basic_place.reference
def _(x: np.ndarray[Any, Any], *, shape: tuple[int, ...], pattern: Pattern) -> np.ndarray[Any, Any]:
    out = np.zeros(shape, x.dtype)
    out[_key(pattern)] = x
    return out


basic_place.samples(
    *(
        sample(real(shape=np.zeros(shape)[_key(pattern)].shape), shape=shape, pattern=pattern)
        for shape, pattern in _patterns
    ),
    sample(real(shape=(2, 1)), shape=(2, 3), pattern=(("all",), ("slice", 0, 2, 1))),
    sample(real(shape=(1, 3)), shape=(2, 3), pattern=(("all",), ("new",))),
)
basic_place.error_samples(
    error(ShapeError, "does not broadcast", real(shape=(3,)), shape=(4,), pattern=(("slice", 0, 2, 1),)),
    error(ShapeError, "out of range", real(shape=()), shape=(4,), pattern=(("int", 4),)),
)


def _basic_update(call: Call, x: Spec, value: Spec) -> Spec:
    check_same_dtype(call, x, value)
    check_region(call, value, basic_shape(call, x.shape, "x"))
    return x.at(None)


def check_same_dtype(call: Call, x: Spec, value: Spec, name: str = "value") -> None:
    """DTypeError unless what is put into ``x`` has its dtype."""
    if value.dtype is not x.dtype:
        raise call.dtype_error(
            f"{name} must have the dtype of x", f"corenn.cast({name}, dtype={x.dtype.name!r})", **{name: ""}
        )


@op(infer=_basic_update, name="update", namespace="_")
def basic_update(x: TensorLike, value: TensorLike, /, *, pattern: Pattern) -> Tensor:
    """``x`` with the part a basic index pattern names replaced by ``value``, broadcast to it."""


@basic_update.kernel
def _(xp: Any, x: Any, value: Any, *, pattern: Pattern) -> Any:
    out = xp.asarray(x, copy=True)
    assign(xp, out, value, pattern)
    return out


@basic_update.vjp
def _(g: Tensor, value_spec: Spec, pattern: Pattern, needs: tuple[bool, bool]) -> tuple[Tensor | None, Tensor | None]:
    from corenn.ops.creation import zeros

    spec = value_spec
    gx = basic_update(g, zeros((), spec.dtype, device=g.spec.device), pattern=pattern) if needs[0] else None
    return gx, basic_index(g, pattern=pattern) if needs[1] else None


@basic_update.reference
def _(x: np.ndarray[Any, Any], value: np.ndarray[Any, Any], *, pattern: Pattern) -> np.ndarray[Any, Any]:
    out = x.copy()
    out[_key(pattern)] = value
    return out


basic_update.samples(
    sample(real(), real(shape=(4,)), pattern=(("int", -1),)),
    sample(real(), real(shape=()), pattern=(("slice", None, None, 2), ("slice", 1, 3, None))),
    sample(real(shape=(3,)), real(shape=()), pattern=(("int", 0),)),
    sample(integer(), integer(shape=(3,)), pattern=(("rest",), ("int", 2)), grad=False),
)
basic_update.error_samples(
    error(ShapeError, "does not broadcast", real(), real(shape=(3,)), pattern=(("int", 0),)),
    error(DTypeError, "must have the dtype of x", real(), integer(shape=(4,)), pattern=(("int", 0),)),
)
