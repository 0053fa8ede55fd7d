"""Shapes and layout: the same elements, seen or arranged differently.

Nothing here adds elements up: reductions are built on this module.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn.errors import ShapeError
from corenn.ops.creation import asarray
from corenn.ops.families import Axis, broadcast_shapes, normal_axes, normal_axis, static_shape
from corenn.ops.sampling import error, real, sample
from corenn.ops.slicing import along as along  # used beside these
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
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
            what = f"{x.size} elements do not divide into {known}"
            raise call.shape_error(what, x=f"has {x.size} elements", shape="")
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


def operand(x: Any) -> Tensor:
    """``x`` as something with a spec: tensors, and values still to be computed, as they are."""
    if isinstance(x, Tensor) or hasattr(x, "__corenn_op__"):
        return x  # type: ignore[no-any-return]
    return asarray(x)


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
    given = operand(x)
    order = list(range(given.spec.ndim))
    a, b = (_axis_of("swapaxes", axis, len(order), given) for axis in (axis1, axis2))
    order[a], order[b] = b, a
    return transpose(given, axes=tuple(order))


def moveaxis(x: TensorLike, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Tensor:
    """``x`` with the axes ``source`` (int or ints) moved to the places ``destination``, the others in their order."""
    given = operand(x)
    ndim = given.spec.ndim
    both = [v if isinstance(v, (tuple, list)) else (v,) for v in (source, destination)]
    sources, places = ([_axis_of("moveaxis", a, ndim, given) for a in axes] for axes in both)
    if len(sources) != len(places) or len(set(sources)) != len(sources) or len(set(places)) != len(places):
        shown = {"source": source, "destination": destination}
        raise ShapeError("moveaxis", "source and destination must name as many axes, each once", shown)
    order = [a for a in range(ndim) if a not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return transpose(given, axes=tuple(order))


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


@expand_dims.vjp
def _(g: Tensor, axis: tuple[int, ...]) -> Tensor:
    return squeeze(g, axis=axis)


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
            note = f"axis {i} has extent {x.shape[i]}"
            raise call.shape_error("only axes of extent 1 can be removed", x=note, axis="")
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
    given = operand(x)
    return given if given.spec.ndim else expand_dims(given, axis=0)


def atleast_2d(x: TensorLike) -> Tensor:
    """``x``, or with axes of extent 1 put in front until it has two."""
    given = operand(x)
    missing = 2 - given.spec.ndim
    return expand_dims(given, axis=tuple(range(missing))) if missing > 0 else given


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
def _(g: Tensor, tensors_spec: tuple[Spec, ...], axis: int) -> tuple[Tensor, ...]:
    return parts(g, sizes=tuple(spec.static[axis] for spec in tensors_spec), axis=axis)


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
            hint = "corenn.concatenate joins unequal extents"
            raise call.shape_error("all tensors must have one shape", hint, **notes)
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], first.ndim + 1)
    return Spec((*first.shape[:axis], len(tensors), *first.shape[axis:]), first.dtype)


@op(infer=_stack, promote=True)
def stack(*tensors: TensorLike, axis: int = 0) -> Tensor:
    """Tensors of one shape along a new ``axis``; dtypes promote.  Takes ``stack(a, b)`` and ``stack([a, b])``."""


stack.kernel(lambda xp, *tensors, axis: xp.stack(tensors, axis=axis))


@stack.vjp
def _(g: Tensor, axis: int) -> tuple[Tensor, ...]:
    return slices(g, axis=axis)


stack.samples(sample(real(), real()), sample(real(), real(), real(), axis=-1))
stack.error_samples(error(ShapeError, "one shape", real(shape=(3,)), real(shape=(4,))))
stack.reference(lambda *tensors, axis: np.stack(tensors, axis))


# The two ops below have as many results as parts; their gradients are joins, so they cost what one pass costs.


def _slices(call: Call, x: Spec) -> tuple[Spec, ...]:
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    extent = x.shape[axis]
    if extent is None:
        raise call.shape_error(f"the extent of axis {axis} is not known before it runs", x="")
    return (Spec((*x.shape[:axis], *x.shape[axis + 1 :]), x.dtype),) * extent


@op(infer=_slices, results=("parts",), name="unstack", namespace="_")
def slices(x: TensorLike, /, *, axis: int) -> tuple[Tensor, ...]:
    """The parts of ``x`` along ``axis``, which they lack."""


@slices.kernel
def _(xp: Any, x: Any, *, axis: int) -> Any:
    before = (slice(None),) * axis
    return tuple([x[(*before, i, Ellipsis)] for i in range(x.shape[axis])])


@slices.vjp
def _(g: tuple[Tensor, ...], axis: int) -> Tensor:
    return stack(*g, axis=axis)


slices.samples(sample(real(), axis=0), sample(real(shape=(2, 1, 3)), axis=-1), sample(real(shape=(1,)), axis=0))
slices.error_samples(error(ShapeError, "axis 2 is out of range", real(), axis=2))
slices.reference(lambda x, *, axis: tuple(np.moveaxis(x, axis, 0)))


def _parts(call: Call, x: Spec) -> tuple[Spec, ...]:
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    sizes = call.attrs["sizes"] = _sizes(call, x.shape[axis], axis)
    return tuple(Spec((*x.shape[:axis], n, *x.shape[axis + 1 :]), x.dtype) for n in sizes)


def _sizes(call: Call, extent: int | None, axis: int) -> tuple[int, ...]:
    """The sizes of the parts: ``sizes`` may be their number, and one of them may be -1."""
    given = call.attrs["sizes"]
    if extent is None:
        raise call.shape_error(f"the extent of axis {axis} is not known before it runs", x="")
    note = f"axis {axis} has extent {extent}"
    if isinstance(given, int):
        if given < 1 or extent % given:
            raise call.shape_error(f"axis {axis} does not divide into {given} equal parts", x=note)
        return (extent // given,) * given
    sizes = list(given)
    if not all(isinstance(n, int) for n in sizes):
        raise call.attribute_error("sizes must be an int or ints", sizes="")
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = extent - sum(sizes) - 1
    if any(n < 0 for n in sizes) or sum(sizes) != extent:
        raise call.shape_error(f"the sizes do not add up to the extent of axis {axis}", x=note, sizes="")
    return tuple(sizes)


@op(infer=_parts, results=("parts",), name="split", namespace="_")
def parts(x: TensorLike, /, *, sizes: int | tuple[int, ...], axis: int = 0) -> tuple[Tensor, ...]:
    """``x`` parted along ``axis``, into so many equal parts or into parts of the given sizes."""


@parts.kernel
def _(xp: Any, x: Any, *, sizes: tuple[int, ...], axis: int) -> Any:
    before = (slice(None),) * axis
    found = []
    start = 0
    for size in sizes:
        found.append(x[(*before, slice(start, start + size), Ellipsis)])
        start += size
    return tuple(found)


@parts.vjp
def _(g: tuple[Tensor, ...], axis: int) -> Tensor:
    return concatenate(*g, axis=axis)


parts.samples(
    sample(real(shape=(2, 6)), sizes=3, axis=-1), sample(real(shape=(4, 2)), sizes=(1, 3)),
    sample(real(shape=(4,)), sizes=(2, -1, 0)), sample(real(shape=(0, 2)), sizes=2),
)  # fmt: skip
parts.error_samples(
    error(ShapeError, "does not divide into 5", real(), sizes=5),
    error(ShapeError, "do not add up", real(), sizes=(1, 1)),
    error(ShapeError, "do not add up", real(), sizes=(4, -1)),
    error(ShapeError, "axis 2 is out of range", real(), sizes=1, axis=2),
)


@parts.reference
def _(x: np.ndarray[Any, Any], *, sizes: Any, axis: int) -> tuple[np.ndarray[Any, Any], ...]:
    if isinstance(sizes, int):
        return tuple(np.split(x, sizes, axis))
    known = [x.shape[axis] - sum(sizes) - 1 if n < 0 else n for n in sizes]
    return tuple(np.split(x, np.cumsum(known)[:-1], axis))


def unstack(x: TensorLike, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of ``x`` along ``axis``, which they lack: ``x[0], x[1], ...`` for axis 0.

    The gradient is one ``stack``, where that of as many ``x[i]`` would be a sum of arrays of the size of ``x``.
    """
    return slices(x, axis=axis)


def split(x: TensorLike, sections_or_sizes: int | list[int] | tuple[int, ...], axis: int = 0) -> tuple[Tensor, ...]:
    """``x`` parted along ``axis``: into so many equal parts (int), or into parts of the given sizes.

    One size may be -1, to be computed.  Raises ShapeError when the extent does not divide, or the sizes do not add up
    to it.
    """
    sizes = sections_or_sizes if isinstance(sections_or_sizes, int) else tuple(sections_or_sizes)
    return parts(x, sizes=sizes, axis=axis)
