"""Arrangement: the elements repeated, turned, padded, or read along diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.errors import AttributeValueError, ShapeError
from corenn.ops.creation import full
from corenn.ops.families import Axis, normal_axes, normal_axis, static_shape
from corenn.ops.reduction import sum
from corenn.ops.sampling import error, integer, real, sample
from corenn.ops.shaping import broadcast_to, concatenate, operand, reshape
from corenn.ops.slicing import along, basic_index, basic_place, basic_update
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor

# ---------------------------------------------------------------- repeating


def _tile(call: Call, x: Spec) -> Spec:
    given = call.attrs["repetitions"]
    given = static_shape(call, given, "repetitions")
    missing = max(0, x.ndim - len(given))
    times = call.attrs["repetitions"] = (*[1] * missing, *given)
    extents = (*[1] * (len(times) - x.ndim), *x.shape)
    return Spec(tuple(None if n is None else n * t for n, t in zip(extents, times, strict=True)), x.dtype)


@op(infer=_tile)
def tile(x: TensorLike, /, *, repetitions: int | tuple[int, ...]) -> Tensor:
    """``x`` laid ``repetitions`` times along each axis, counted from the last; more of them make new axes in front."""


tile.kernel(lambda xp, x, *, repetitions: xp.tile(x, repetitions))


@tile.vjp
def _(g: Tensor, x_spec: Spec, repetitions: tuple[int, ...]) -> Tensor:
    extents = (*[1] * (len(repetitions) - x_spec.ndim), *x_spec.static)
    parted = reshape(g, shape=tuple(n for pair in zip(repetitions, extents, strict=True) for n in pair))
    return reshape(sum(parted, axis=tuple(range(0, 2 * len(extents), 2))), shape=x_spec.static)


tile.samples(
    sample(real(shape=(2, 3)), repetitions=(2, 1)), sample(real(shape=(3,)), repetitions=(2, 2)),
    sample(real(shape=(2, 3)), repetitions=2), sample(real(shape=()), repetitions=(3,)),
    sample(real(shape=(2, 3)), repetitions=(0, 2)),
)  # fmt: skip
tile.error_samples(error(AttributeValueError, "non-negative", real(), repetitions=(-1,)))
tile.reference(lambda x, *, repetitions: np.tile(x, repetitions))


def _repeat(call: Call, x: Spec) -> Spec:
    times, axis = call.attrs["repeats"], call.attrs["axis"]
    if not isinstance(times, int) or times < 0:
        raise call.attribute_error("repeats must be a non-negative int", repeats="")
    shape: Shape = x.shape
    if axis is None:
        shape, axis = (None if None in x.shape else x.size,), 0
    else:
        axis = call.attrs["axis"] = normal_axis(call, axis, x.ndim)
    return Spec(tuple(n * times if i == axis and n is not None else n for i, n in enumerate(shape)), x.dtype)


@op(infer=_repeat)
def repeat(x: TensorLike, /, *, repeats: int, axis: int | None = None) -> Tensor:
    """Each element ``repeats`` times in a row along ``axis``; without an axis, of all elements in C order."""


repeat.kernel(lambda xp, x, *, repeats, axis: xp.repeat(x, repeats, axis=axis))


@repeat.vjp
def _(g: Tensor, x_spec: Spec, repeats: int, axis: int | None) -> Tensor:
    extents = (x_spec.size,) if axis is None else x_spec.static
    place = 0 if axis is None else axis
    parted = reshape(g, shape=(*extents[: place + 1], repeats, *extents[place + 1 :]))
    return reshape(sum(parted, axis=place + 1), shape=x_spec.static)


repeat.samples(
    sample(real(shape=(2, 3)), repeats=2, axis=-1), sample(real(shape=(2, 3)), repeats=3, axis=0),
    sample(real(shape=(2, 3)), repeats=2), sample(real(shape=(2, 3)), repeats=0, axis=1),
)  # fmt: skip
repeat.error_samples(
    error(AttributeValueError, "non-negative int", real(), repeats=-1),
    error(ShapeError, "axis 2 is out of range", real(), repeats=2, axis=2),
)
repeat.reference(lambda x, *, repeats, axis: np.repeat(x, repeats, axis))


def _flip(call: Call, x: Spec) -> Spec:
    call.attrs["axis"] = normal_axes(call, call.attrs["axis"], x.ndim)
    return x.at(None)


@op(infer=_flip)
def flip(x: TensorLike, /, *, axis: Axis = None) -> Tensor:
    """``x`` with the order of elements reversed along ``axis`` (int, ints, or ``None`` for all)."""


flip.kernel(lambda xp, x, *, axis: xp.flip(x, axis=axis))
flip.vjp(lambda g, axis: flip(g, axis=axis))
flip.samples(
    sample(real()), sample(real(), axis=-1), sample(real(shape=(2, 3, 2)), axis=(0, 2)), sample(real(shape=()))
)
flip.error_samples(error(ShapeError, "axis 2 is out of range", real(), axis=2))
flip.reference(lambda x, *, axis: np.flip(x, axis))


def _roll(call: Call, x: Spec) -> Spec:
    shift, axis = call.attrs["shift"], call.attrs["axis"]
    if axis is not None:
        axes = axis if isinstance(axis, tuple) else (axis,)
        axes = call.attrs["axis"] = tuple(normal_axis(call, a, x.ndim) for a in axes)
        shifts = call.attrs["shift"] = shift if isinstance(shift, tuple) else (shift,) * len(axes)
        if len(shifts) != len(axes):
            raise call.attribute_error("shift must be an int, or one int for each axis", shift="", axis="")
    elif not isinstance(shift, int):
        raise call.attribute_error("several shifts need as many axes", shift="")
    return x.at(None)


@op(infer=_roll)
def roll(x: TensorLike, /, *, shift: int | tuple[int, ...], axis: Axis = None) -> Tensor:
    """``x`` moved on by ``shift`` along ``axis`` (int or ints), what leaves at the end coming in at the front.

    Without an axis, all elements in C order are moved.
    """


roll.kernel(lambda xp, x, *, shift, axis: xp.roll(x, shift, axis=axis))


@roll.vjp
def _(g: Tensor, shift: int | tuple[int, ...], axis: tuple[int, ...] | None) -> Tensor:
    return roll(g, shift=-shift if isinstance(shift, int) else tuple(-s for s in shift), axis=axis)


roll.samples(
    sample(real(), shift=5), sample(real(), shift=-1, axis=1), sample(real(), shift=(1, 2), axis=(0, -1)),
    sample(real(), shift=1, axis=(0, 1)), sample(integer(), shift=7, axis=0, grad=False),
)  # fmt: skip
roll.error_samples(
    error(AttributeValueError, "one int for each axis", real(), shift=(1, 2), axis=0),
    error(AttributeValueError, "several shifts", real(), shift=(1, 2)),
    error(ShapeError, "axis 2 is out of range", real(), shift=1, axis=2),
)
roll.reference(lambda x, *, shift, axis: np.roll(x, shift, axis))


def meshgrid(*tensors: TensorLike, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Coordinate grids: 1-D tensors of n0, n1, ... elements each repeated to the shape they span together.

    ``indexing``: "ij" for shape (n0, n1, ...), "xy" for (n1, n0, ...) as images are laid out.
    """
    if indexing not in ("xy", "ij"):
        raise AttributeValueError("meshgrid", f"there is no indexing {indexing!r}", hint="'xy' or 'ij'")
    lines = [reshape(t, shape=(-1,)) for t in tensors]
    places = list(range(len(lines)))
    if indexing == "xy" and len(lines) > 1:
        places[:2] = [1, 0]
    shape = [1] * len(lines)
    for place, line in zip(places, lines, strict=True):
        shape[place] = line.size
    grids = []
    for place, line in zip(places, lines, strict=True):
        beside = tuple(n if i == place else 1 for i, n in enumerate(shape))
        grids.append(broadcast_to(reshape(line, shape=beside), shape=tuple(shape)))
    return tuple(grids)


# ---------------------------------------------------------------- padding

Widths = int | tuple[int, ...] | tuple[tuple[int, int], ...]
_MODES = ("constant", "edge", "reflect", "symmetric")


def _widths(call: Call, ndim: int) -> tuple[tuple[int, int], ...]:
    given = call.attrs["widths"]
    if isinstance(given, int):
        given = (given, given)
    if len(given) == 2 and all(isinstance(n, int) for n in given):
        given = (given,) * ndim
    if len(given) == 1 and ndim != 1:
        given = given * ndim
    pairs = tuple((pair, pair) if isinstance(pair, int) else pair for pair in given)
    if len(pairs) != ndim or any(len(p) != 2 for p in pairs):
        what = "widths must be an int, (before, after), or one (before, after) for each axis"
        raise call.shape_error(what, x=f"has {ndim} axes", widths="")
    if any(not isinstance(n, int) or n < 0 for p in pairs for n in p):
        raise call.attribute_error("widths must be non-negative ints", "a slice x[1:-1] crops", widths="")
    return pairs


def _pad(call: Call, x: Spec) -> Spec:
    mode = call.attrs["mode"]
    if mode not in _MODES:
        raise call.attribute_error(f"there is no mode {mode!r}", f"one of {', '.join(_MODES)}", mode="")
    widths = call.attrs["widths"] = _widths(call, x.ndim)
    for i, (n, (before, after)) in enumerate(zip(x.shape, widths, strict=True)):
        if mode != "constant" and n == 0 and before + after:
            raise call.shape_error(f"axis {i} is empty: there is nothing to {mode}", x=f"axis {i} has extent 0")
    return Spec(tuple(None if n is None else n + b + a for n, (b, a) in zip(x.shape, widths, strict=True)), x.dtype)


@op(infer=_pad)
def pad(x: TensorLike, /, *, widths: Widths, mode: str = "constant", value: float = 0) -> Tensor:
    """``x`` with ``widths`` elements put before and after it along each axis.

    ``widths``: an int, (before, after), or one (before, after) for each axis.  ``mode``: "constant" (``value``),
    "edge" (the outermost element), "reflect" (mirrored without the outermost element) or "symmetric" (mirrored with
    it), as in ``numpy.pad``.  ShapeError where an empty axis should be mirrored.
    """


@pad.decompose
def _(x: Tensor, *, widths: tuple[tuple[int, int], ...], mode: str, value: float) -> Tensor:
    if mode == "constant":
        shape = tuple(n + before + after for n, (before, after) in zip(x.shape, widths, strict=True))
        inside = tuple(("slice", before, before + n, 1) for n, (before, _) in zip(x.shape, widths, strict=True))
        if value == 0:
            return basic_place(x, shape=shape, pattern=inside)
        return basic_update(full(shape, value, x.dtype, x.spec.device), x, pattern=inside)
    for axis, (before, after) in enumerate(widths):
        if before or after:
            x = _extend(x, axis, np.pad(np.arange(x.shape[axis]), (before, after), mode).tolist())  # type: ignore[call-overload]
    return x


def _extend(x: Tensor, axis: int, positions: list[int]) -> Tensor:
    """``x`` at ``positions`` of ``axis``: runs of rising, falling or equal positions become slices, joined."""
    parts = []
    start = 0
    while start < len(positions):
        first = positions[start]
        step = positions[start + 1] - first if start + 1 < len(positions) else 1
        stop = start + 1
        while stop < len(positions) and positions[stop] - positions[stop - 1] == step:
            stop += 1
        if step:
            end = positions[stop - 1] + step
            parts.append(basic_index(x, pattern=along(axis, ("slice", first, end if end >= 0 else None, step))))
        else:
            one = basic_index(x, pattern=along(axis, ("slice", first, first + 1, 1)))
            parts.append(broadcast_to(one, shape=(*x.shape[:axis], stop - start, *x.shape[axis + 1 :])))
        start = stop
    return concatenate(*parts, axis=axis)


pad.samples(
    sample(real(shape=(2, 3)), widths=1),
    sample(real(shape=(2, 3)), widths=((0, 1), (2, 0)), value=1.5),
    sample(real(shape=(3,)), widths=(2, 1), mode="edge"),
    sample(real(shape=(2, 3)), widths=((1, 0), (2, 2)), mode="reflect"),
    sample(real(shape=(2, 3)), widths=((3, 1), (0, 2)), mode="symmetric"),
    sample(real(shape=(2,)), widths=((5, 4),), mode="reflect"),
    sample(real(shape=(0, 2)), widths=1),
    sample(real(shape=()), widths=()),
)
pad.error_samples(
    error(AttributeValueError, "no mode 'wrap'", real(), widths=1, mode="wrap"),
    error(AttributeValueError, "non-negative", real(), widths=-1),
    error(ShapeError, "for each axis", real(), widths=((1, 1), (1, 1), (1, 1))),
    error(ShapeError, "axis 0 is empty", real(shape=(0,)), widths=1, mode="edge"),
)


@pad.reference
def _(x: np.ndarray[Any, Any], *, widths: Any, mode: str, value: float) -> np.ndarray[Any, Any]:
    if mode == "constant":
        return np.pad(x, widths, constant_values=value) if x.ndim else x
    return np.pad(x, widths, mode)  # type: ignore[call-overload, no-any-return]


# ---------------------------------------------------------------- triangles and diagonals


def _matrices(call: Call, x: Spec) -> Spec:
    if x.ndim < 2:
        raise call.shape_error("takes matrices in the last two axes", x=f"has {x.ndim} axes")
    return x.at(None)


@op(infer=_matrices)
def tril(x: TensorLike, /, *, k: int = 0) -> Tensor:
    """The lower triangles of the matrices in the last two axes, up to the ``k``-th diagonal; zeros above it."""


@op(infer=_matrices)
def triu(x: TensorLike, /, *, k: int = 0) -> Tensor:
    """The upper triangles of the matrices in the last two axes, from the ``k``-th diagonal on; zeros below it."""


tril.kernel(lambda xp, x, *, k: xp.tril(x, k=k))
triu.kernel(lambda xp, x, *, k: xp.triu(x, k=k))
tril.vjp(lambda g, k: tril(g, k=k))
triu.vjp(lambda g, k: triu(g, k=k))
tril.reference(lambda x, *, k: np.tril(x, k))
triu.reference(lambda x, *, k: np.triu(x, k))
for _triangle in (tril, triu):
    _triangle.samples(sample(real()), sample(real(shape=(2, 3, 3)), k=-1), sample(real(shape=(4, 2)), k=1))
    _triangle.error_samples(error(ShapeError, "takes matrices", real(shape=(3,))))


def _span(rows: int, columns: int, offset: int) -> tuple[int, int]:
    """Where the diagonal starts among the elements of a matrix in C order, and how many it has."""
    count = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    return (offset if offset >= 0 else -offset * columns) if count else 0, count


def _diagonal(call: Call, x: Spec) -> Spec:
    shape = _matrices(call, x).shape
    rows, columns = shape[-2:]
    count = None if rows is None or columns is None else _span(rows, columns, call.attrs["offset"])[1]
    return Spec((*shape[:-2], count), x.dtype)


@op(infer=_diagonal)
def diagonal(x: TensorLike, /, *, offset: int = 0) -> Tensor:
    """The diagonals of the matrices in the last two axes (as the array API has it): shape [..., n].

    ``offset``: which one, above the main diagonal if positive.  ShapeError for fewer than two axes.
    """


@diagonal.decompose
def _(x: Tensor, *, offset: int) -> Tensor:
    rows, columns = x.shape[-2:]
    start, count = _span(rows, columns, offset)
    flat = reshape(x, shape=(*x.shape[:-2], rows * columns))
    return basic_index(flat, pattern=(("rest",), _every(start, count, columns + 1)))


def _every(start: int, count: int, step: int) -> tuple[Any, ...]:
    return ("slice", start, start + (count - 1) * step + 1 if count else start, step)


diagonal.samples(
    sample(real()), sample(real(shape=(2, 3, 4)), offset=1), sample(real(shape=(4, 3)), offset=-2),
    sample(real(shape=(2, 2)), offset=5), sample(real(shape=(0, 3))),
)  # fmt: skip
diagonal.error_samples(error(ShapeError, "takes matrices", real(shape=(3,))))
diagonal.reference(lambda x, *, offset: np.diagonal(x, offset, -2, -1))


def _diag_embed(call: Call, x: Spec) -> Spec:
    if not x.ndim:
        raise call.shape_error("takes vectors in the last axis", x="is 0-d")
    extent = x.shape[-1]
    side = None if extent is None else extent + abs(call.attrs["offset"])
    return Spec((*x.shape[:-1], side, side), x.dtype)


@op(infer=_diag_embed)
def diag_embed(x: TensorLike, /, *, offset: int = 0) -> Tensor:
    """Square matrices, zero but for the vectors in the last axis of ``x`` on their ``offset``-th diagonal."""


@diag_embed.decompose
def _(x: Tensor, *, offset: int) -> Tensor:
    side = x.shape[-1] + abs(offset)
    start, count = _span(side, side, offset)
    lead = x.shape[:-1]
    flat = basic_place(x, shape=(*lead, side * side), pattern=(("rest",), _every(start, count, side + 1)))
    return reshape(flat, shape=(*lead, side, side))


diag_embed.samples(
    sample(real(shape=(3,))), sample(real(shape=(2, 2)), offset=1), sample(real(shape=(2,)), offset=-2),
    sample(real(shape=(0,))),
)  # fmt: skip
diag_embed.error_samples(error(ShapeError, "takes vectors", real(shape=())))


@diag_embed.reference
def _(x: np.ndarray[Any, Any], *, offset: int) -> np.ndarray[Any, Any]:
    lead = x.shape[:-1]
    matrices = [np.diag(v, offset) for v in x.reshape(-1, x.shape[-1])] if x.size else [np.zeros((0, 0))]
    return np.stack(matrices).reshape(*lead, *matrices[0].shape)


def diag(x: TensorLike, k: int = 0) -> Tensor:
    """The matrix with a 1-D ``x`` on its ``k``-th diagonal, or the ``k``-th diagonal of a matrix; else ShapeError."""
    given = operand(x)
    if given.spec.ndim not in (1, 2):
        hint = "corenn.diagonal and corenn.diag_embed take more axes"
        raise ShapeError("diag", "takes a vector or a matrix", {"x": given.spec}, hint=hint)
    return diag_embed(given, offset=k) if given.spec.ndim == 1 else diagonal(given, offset=k)


def trace(x: TensorLike, offset: int = 0) -> Tensor:
    """The sum of the ``offset``-th diagonals of the matrices in the last two axes; narrow integers widen."""
    return sum(diagonal(x, offset=offset), axis=-1)
