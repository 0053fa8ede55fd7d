"""Shapes and layout: the same elements, seen or arranged differently.

Nothing here adds elements up: reductions are built on this module.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn.errors import AttributeValueError, ShapeError
from corenn.ops.creation import asarray
from corenn.ops.families import Axis, broadcast_shapes, normal_axes, normal_axis, static_shape
from corenn.ops.sampling import error, integer, real, sample
from corenn.ops.slicing import ALL, Pattern, basic_index
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor


def _reshape(call: Call, x: Spec) -> Spec:
    given = call.attrs["shape"]
    given = (given,) if isinstance(given, int) else given
    if given.count(-1) > 1:
        raise call.shape_error("at most one extent can be -1", shape="")
    if None in x.shape:  # known when it runs: -1 stays, and the number of elements is the kernel's to check
        static_shape(call, tuple(0 if n == -1 else n for n in given))
        call.attrs["shape"] = given
        return Spec(tuple(None if n == -1 else n for n in given), x.dtype)
    if -1 in given:
        known = -math.prod(given)
        if known == 0 or x.size % known:
            raise call.shape_error(f"{x.size} elements do not divide into {known}", x=f"has {x.size} elements", shape="")
        given = tuple(x.size // known if n == -1 else n for n in given)
    shape = call.attrs["shape"] = static_shape(call, given)
    if math.prod(shape) != x.size:
        note = f"has {math.prod(shape)}"
        raise call.shape_error("the number of elements would change", x=f"has {x.size} elements", shape=note)
    return Spec(shape, x.dtype)


@op(infer=_reshape)
def reshape(x: TensorLike, /, *, shape: int | tuple[int, ...]) -> Tensor:
    """The elements of ``x`` in C order in another ``shape``; one extent may be -1, to be computed."""


reshape.kernel(lambda xp, x, *, shape: xp.reshape(x, shape))
reshape.vjp(lambda g, x_spec: reshape(g, shape=x_spec.static))
reshape.samples(
    sample(real(shape=(3, 4)), shape=(2, 6)), sample(real(shape=(3, 4)), shape=-1),
    sample(real(shape=(2, 3, 4)), shape=(4, -1)), sample(real(shape=()), shape=(1, 1)),
)  # fmt: skip
reshape.error_samples(
    error(ShapeError, "number of elements would change", real(shape=(3, 4)), shape=(5, 2)),
    error(ShapeError, "do not divide", real(shape=(3, 4)), shape=(5, -1)),
    error(ShapeError, "at most one", real(shape=(3, 4)), shape=(-1, -1)),
)
reshape.reference(lambda x, *, shape: np.reshape(x, shape))


def _broadcast_to(call: Call, x: Spec) -> Spec:
    shape = call.attrs["shape"] = static_shape(call, call.attrs["shape"])
    if broadcast_shapes(call, (x.shape, shape)) != shape:
        raise call.shape_error("the operand does not broadcast to the shape", shape="")
    return Spec(shape, x.dtype)


@op(infer=_broadcast_to)
def broadcast_to(x: TensorLike, /, *, shape: tuple[int, ...]) -> Tensor:
    """``x`` repeated to ``shape`` as broadcasting would, without copying where the backend can."""


broadcast_to.kernel(lambda xp, x, *, shape: xp.broadcast_to(x, shape))
broadcast_to.vjp(lambda g: g)  # the reverse pass sums over broadcast axes
broadcast_to.samples(sample(real(shape=(3, 1)), shape=(2, 3, 4)), sample(real(shape=()), shape=(2, 2)))
broadcast_to.error_samples(error(ShapeError, "does not broadcast", real(shape=(3, 4)), shape=(4,)))
broadcast_to.reference(lambda x, *, shape: np.broadcast_to(x, shape))


# ---------------------------------------------------------------- the order of the axes


def _transpose(call: Call, x: Spec) -> Spec:
    axes = call.attrs["axes"]
    if axes is None:
        axes = tuple(reversed(range(x.ndim)))
    elif len(axes) != x.ndim:
        raise call.shape_error(f"axes must name each of {x.ndim} axes once", x=f"has {x.ndim} axes", axes="")
    else:
        axes = tuple(normal_axis(call, a, x.ndim, "axes") for a in axes)
        if len(set(axes)) != len(axes):
            raise call.shape_error("axes names an axis twice", axes="")
    call.attrs["axes"] = axes
    return Spec(tuple(x.shape[a] for a in axes), x.dtype)


@op(infer=_transpose)
def transpose(x: TensorLike, /, *, axes: tuple[int, ...] | None = None) -> Tensor:
    """``x`` with its axes in the order ``axes`` (a permutation; default: reversed), without copying where it can."""


transpose.kernel(lambda xp, x, *, axes: xp.permute_dims(x, axes))
transpose.vjp(lambda g, axes: transpose(g, axes=tuple(sorted(range(len(axes)), key=axes.__getitem__))))
transpose.samples(
    sample(real()), sample(real(shape=(2, 3, 4)), axes=(1, -1, 0)), sample(real(shape=())), sample(real(shape=(0, 2)))
)
transpose.error_samples(
    error(ShapeError, "each of 2 axes once", real(), axes=(0,)),
    error(ShapeError, "names an axis twice", real(), axes=(0, 0)),
    error(ShapeError, "axes 2 is out of range", real(), axes=(0, 2)),
)
transpose.reference(lambda x, *, axes: np.transpose(x, axes))


def _operand(x: Any) -> Any:
    """``x`` as something with a spec: tensors, and values still to be computed, as they are."""
    return x if isinstance(x, Tensor) or hasattr(x, "__corenn_op__") else asarray(x)


def _axis_of(where: str, axis: int, ndim: int, x: Any) -> int:
    """``axis`` counted from the front; ShapeError when there is none."""
    if not -ndim <= axis < ndim:
        raise ShapeError(where, f"axis {axis} is out of range for an operand of {ndim} axes", {"x": x.spec})
    return axis % ndim


def matrix_transpose(x: TensorLike) -> Tensor:
    """``x`` with its last two axes exchanged; ShapeError for fewer than two."""
    return swapaxes(x, -2, -1)


def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """``x`` with two axes exchanged; ShapeError where it has no such axes."""
    x = _operand(x)
    order = list(range(x.spec.ndim))
    a, b = (_axis_of("swapaxes", axis, len(order), x) for axis in (axis1, axis2))
    order[a], order[b] = b, a
    return transpose(x, axes=tuple(order))


def moveaxis(x: TensorLike, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Tensor:
    """``x`` with the axes ``source`` (int or ints) moved to the places ``destination``, the others in their order."""
    x = _operand(x)
    ndim = x.spec.ndim
    given = [v if isinstance(v, (tuple, list)) else (v,) for v in (source, destination)]
    sources, places = ([_axis_of("moveaxis", a, ndim, x) for a in axes] for axes in given)
    if len(sources) != len(places) or len(set(sources)) != len(sources) or len(set(places)) != len(places):
        shown = {"source": source, "destination": destination}
        raise ShapeError("moveaxis", "source and destination must name as many axes, each once", shown)
    order = [a for a in range(ndim) if a not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return transpose(x, axes=tuple(order))


# ---------------------------------------------------------------- axes of extent 1


def _expand_dims(call: Call, x: Spec) -> Spec:
    axis = call.attrs["axis"]
    ndim = x.ndim + (len(axis) if isinstance(axis, tuple) else 1)
    if axis is None:
        raise call.attribute_error("axis must be an int or ints", axis="")
    axes = call.attrs["axis"] = normal_axes(call, axis, ndim)
    rest = iter(x.shape)
    return Spec(tuple(1 if i in axes else next(rest) for i in range(ndim)), x.dtype)


@op(infer=_expand_dims)
def expand_dims(x: TensorLike, /, *, axis: int | tuple[int, ...]) -> Tensor:
    """``x`` with new axes of extent 1 at ``axis`` (int or ints, places in the result)."""


@expand_dims.kernel
def _(xp: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    rest = iter(x.shape)
    return xp.reshape(x, tuple(1 if i in axis else next(rest) for i in range(len(x.shape) + len(axis))))


expand_dims.vjp(lambda g, axis: squeeze(g, axis=axis))
expand_dims.samples(
    sample(real(), axis=1), sample(real(), axis=(0, -1)), sample(real(shape=()), axis=0), sample(real(), axis=())
)
expand_dims.error_samples(
    error(ShapeError, "axis 4 is out of range", real(), axis=4),
    error(ShapeError, "names an axis twice", real(), axis=(0, -4)),
)
expand_dims.reference(lambda x, *, axis: np.expand_dims(x, axis))


def _squeeze(call: Call, x: Spec) -> Spec:
    axis = call.attrs["axis"]
    if axis is None:
        axes = tuple(i for i, n in enumerate(x.shape) if n == 1)
    else:
        axes = normal_axes(call, axis, x.ndim)
    for i in axes:
        if x.shape[i] not in (1, None):
            raise call.shape_error("only axes of extent 1 can be removed", x=f"axis {i} has extent {x.shape[i]}", axis="")
    call.attrs["axis"] = axes
    return Spec(tuple(n for i, n in enumerate(x.shape) if i not in axes), x.dtype)


@op(infer=_squeeze)
def squeeze(x: TensorLike, /, *, axis: Axis = None) -> Tensor:
    """``x`` without the axes ``axis`` (int or ints), which must have extent 1; by default without all such axes."""


squeeze.kernel(lambda xp, x, *, axis: xp.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axis)))
squeeze.vjp(lambda g, axis: expand_dims(g, axis=axis))
squeeze.samples(
    sample(real(shape=(1, 3, 1))), sample(real(shape=(1, 3, 1)), axis=-1), sample(real(shape=(1, 1)), axis=(0, 1)),
    sample(real()),
)  # fmt: skip
squeeze.error_samples(error(ShapeError, "only axes of extent 1", real(), axis=0))
squeeze.reference(lambda x, *, axis: np.squeeze(x, axis))


def ravel(x: TensorLike) -> Tensor:
    """All elements of ``x`` along one axis, in C order."""
    return reshape(x, shape=(-1,))


def atleast_1d(x: TensorLike) -> Tensor:
    """``x``, or with one axis of extent 1 if it is 0-d."""
    x = _operand(x)
    return x if x.spec.ndim else expand_dims(x, axis=0)  # type: ignore[no-any-return]


def atleast_2d(x: TensorLike) -> Tensor:
    """``x``, or with axes of extent 1 put in front until it has two."""
    x = _operand(x)
    return x if x.spec.ndim >= 2 else expand_dims(x, axis=tuple(range(2 - x.spec.ndim)))  # type: ignore[no-any-return]


# ---------------------------------------------------------------- joining and parting


def _concatenate(call: Call, *tensors: Spec) -> Spec:
    if not tensors:
        raise call.shape_error("takes at least one tensor")
    first = tensors[0]
    if not first.ndim:
        raise call.shape_error("0-d tensors cannot be joined", "corenn.stack makes a new axis")
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], first.ndim)
    extents: list[int | None] = list(first.shape)
    for i, spec in enumerate(tensors[1:], 1):
        notes = {"tensors[0]": f"joined along axis {axis}", f"tensors[{i}]": ""}
        if spec.ndim != first.ndim:
            raise call.shape_error("all tensors must have as many axes", None, **notes)
        for a, n in enumerate(spec.shape):
            if a != axis:
                if n is not None and extents[a] is not None and n != extents[a]:
                    raise call.shape_error(f"the extents of axis {a} differ", None, **notes)
                extents[a] = extents[a] if n is None else n
    joined = [spec.shape[axis] for spec in tensors]
    extents[axis] = None if None in joined else sum(n for n in joined if n is not None)
    return Spec(tuple(extents), first.dtype)


@op(infer=_concatenate, promote=True)
def concatenate(*tensors: TensorLike, axis: int = 0) -> Tensor:
    """Tensors joined along ``axis``, equal in all other extents; dtypes promote.

    Takes ``concatenate(a, b)`` and ``concatenate([a, b])``.
    """


concatenate.kernel(lambda xp, *tensors, axis: xp.concat(tensors, axis=axis))


@concatenate.vjp
def _(g: Tensor, tensors_spec: tuple[Spec, ...], axis: int, needs: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
    parts = split(g, [spec.static[axis] for spec in tensors_spec], axis, wanted=needs)
    return parts


concatenate.samples(
    sample(real(), real(shape=(2, 4))),
    sample(real(), real(shape=(3, 1)), real(shape=(3, 0)), axis=-1),
    sample(real(shape=(2,))),
)
concatenate.error_samples(
    error(ShapeError, "extents of axis 1 differ", real(), real(shape=(3, 5))),
    error(ShapeError, "as many axes", real(), real(shape=(4,))),
    error(ShapeError, "0-d tensors", real(shape=()), real(shape=())),
    error(ShapeError, "at least one"),
)
concatenate.reference(lambda *tensors, axis: np.concatenate(tensors, axis))
concat = concatenate


def _stack(call: Call, *tensors: Spec) -> Spec:
    if not tensors:
        raise call.shape_error("takes at least one tensor")
    first = tensors[0]
    for i, spec in enumerate(tensors[1:], 1):
        if spec.shape != first.shape:
            notes = {"tensors[0]": "the first", f"tensors[{i}]": "another shape"}
            raise call.shape_error("all tensors must have one shape", "corenn.concatenate joins unequal extents", **notes)
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], first.ndim + 1)
    return Spec((*first.shape[:axis], len(tensors), *first.shape[axis:]), first.dtype)


@op(infer=_stack, promote=True)
def stack(*tensors: TensorLike, axis: int = 0) -> Tensor:
    """Tensors of one shape along a new ``axis``; dtypes promote.  Takes ``stack(a, b)`` and ``stack([a, b])``."""


stack.kernel(lambda xp, *tensors, axis: xp.stack(tensors, axis=axis))
stack.vjp(lambda g, axis: unstack(g, axis))
stack.samples(sample(real(), real()), sample(real(), real(), real(), axis=-1))
stack.error_samples(error(ShapeError, "one shape", real(shape=(3,)), real(shape=(4,))))
stack.reference(lambda *tensors, axis: np.stack(tensors, axis))


def along(axis: int, entry: tuple[Any, ...]) -> Pattern:
    """The index pattern that takes ``entry`` of one axis, and the other axes whole."""
    return (*[ALL] * axis, entry)


def unstack(x: TensorLike, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of ``x`` along ``axis``, which they lack: ``x[0], x[1], ...`` for axis 0."""
    x = _operand(x)
    axis = _axis_of("unstack", axis, x.spec.ndim, x)
    return tuple(basic_index(x, pattern=along(axis, ("int", i))) for i in range(_extent("unstack", x, axis)))


def _extent(where: str, x: Any, axis: int) -> int:
    extent = x.spec.shape[axis]
    if extent is None:
        raise ShapeError(where, f"the extent of axis {axis} is not known before it runs", {"x": x.spec})
    return int(extent)


def split(
    x: TensorLike, sections_or_sizes: int | list[int] | tuple[int, ...], axis: int = 0, *, wanted: Any = None
) -> tuple[Any, ...]:
    """``x`` parted along ``axis``: into so many equal parts (int), or into parts of the given sizes.

    One size may be -1, to be computed.  ``wanted`` (bools) leaves out parts, which are then ``None``.  Raises
    ShapeError when the extent does not divide, or the sizes do not add up to it.
    """
    x = _operand(x)
    axis = _axis_of("split", axis, x.spec.ndim, x)
    sizes = _sizes(x, sections_or_sizes, axis)
    parts: list[Tensor | None] = []
    start = 0
    for i, size in enumerate(sizes):
        section = along(axis, ("slice", start, start + size, 1))
        parts.append(basic_index(x, pattern=section) if wanted is None or wanted[i] else None)
        start += size
    return tuple(parts)


def _sizes(x: Any, given: int | list[int] | tuple[int, ...], axis: int) -> list[int]:
    extent = _extent("split", x, axis)
    shown = {"x": f"{x.spec}   axis {axis} has extent {extent}", "sections_or_sizes": given}
    if isinstance(given, int):
        if given < 1 or extent % given:
            raise ShapeError("split", f"axis {axis} does not divide into {given} equal parts", shown)
        return [extent // given] * given
    sizes = [int(n) for n in given]
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = extent - sum(sizes) - 1
    if any(n < 0 for n in sizes) or sum(sizes) != extent:
        raise ShapeError("split", f"the sizes do not add up to the extent of axis {axis}", shown)
    return sizes


# ---------------------------------------------------------------- repeating, turning


def _tile(call: Call, x: Spec) -> Spec:
    given = call.attrs["repetitions"]
    given = static_shape(call, given, "repetitions")
    missing = max(0, x.ndim - len(given))
    times = call.attrs["repetitions"] = (*[1] * missing, *given)
    extents = (*[1] * (len(times) - x.ndim), *x.shape)
    return Spec(tuple(None if n is None else n * t for n, t in zip(extents, times, strict=True)), x.dtype)


@op(infer=_tile)
def tile(x: TensorLike, /, *, repetitions: int | tuple[int, ...]) -> Tensor:
    """``x`` as a tile laid ``repetitions`` times along each axis, counted from the last; more make new axes in front."""


tile.kernel(lambda xp, x, *, repetitions: xp.tile(x, repetitions))


@tile.vjp
def _(g: Tensor, x_spec: Spec, repetitions: tuple[int, ...]) -> Tensor:
    from corenn.ops.reduction import sum

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
    from corenn.ops.reduction import sum

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
