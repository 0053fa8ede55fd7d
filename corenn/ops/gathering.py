"""Taking elements by arrays of positions: along one axis, line by line, and finding the positions where things hold.

Positions count from the end when negative.  A position outside its axis is a ShapeError where the backend can tell
without waiting for its device (NumPy can); elsewhere what is read is undefined.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import INTEGER
from corenn.errors import DTypeError, ShapeError
from corenn.ops.families import broadcast_shapes, normal_axis
from corenn.ops.sampling import boolean, error, integer, literal, real, sample
from corenn.ops.shaping import operand, unstack
from corenn.ops.slicing import ALL
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

_low = integer(-2, 2, shape=(4,))


def _flat_index(call: Call, *indices: Spec) -> Spec:
    return Spec(broadcast_shapes(call, [i.shape for i in indices]), dtypes.int64)


@op(infer=_flat_index, dtypes=INTEGER, namespace="_")
def flat_index(*indices: TensorLike, extents: tuple[int, ...]) -> Tensor:
    """Positions along axes of ``extents``, as positions (int64) among all elements in C order; negatives wrapped."""


@flat_index.kernel
def _(xp: Any, *indices: Any, extents: tuple[int, ...]) -> Any:
    flat = None
    for given, extent in zip(indices, extents, strict=True):
        positions = xp.astype(given, xp.int64, copy=False)
        positions = xp.where(positions < 0, positions + extent, positions)
        flat = positions if flat is None else flat * extent + positions
    return flat


flat_index.samples(
    sample(integer(-3, 3, shape=(4,)), extents=(3,)),
    sample(integer(-3, 3, shape=(4,)), integer(0, 5, shape=(2, 1), dtype="uint8"), extents=(3, 5)),
)
flat_index.error_samples(error(ShapeError, "do not broadcast", _low, integer(shape=(3,)), extents=(2, 2)))
flat_index.reference(
    lambda *indices, extents: np.ravel_multi_index(
        np.broadcast_arrays(*[i.astype(np.int64) % n for i, n in zip(indices, extents, strict=True)]), extents
    )
)


def _gather(call: Call, x: Spec, indices: Spec) -> Spec:
    if not x.ndim:
        raise call.shape_error("takes an operand with axes", x="is 0-d")
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    if x.shape[axis] == 0 and 0 not in indices.shape:
        raise call.shape_error("takes elements from an empty axis", x=f"axis {axis} has extent 0")
    return Spec((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


@op(infer=_gather, dtypes={"indices": INTEGER})
def gather(x: TensorLike, indices: TensorLike, /, *, axis: int = 0) -> Tensor:
    """The slices of ``x`` at the positions ``indices`` (integers of any shape) along ``axis``, as ``numpy.take``.

    Shape: that of ``x`` with ``axis`` replaced by the axes of ``indices``.  For positions outside the axis see the
    module.  Gradients flow to ``x``; slices taken twice add up.
    """


@gather.kernel
def _(xp: Any, x: Any, indices: Any, *, axis: int) -> Any:
    positions = xp.astype(xp.reshape(indices, (-1,)), xp.int64, copy=False)
    positions = xp.where(positions < 0, positions + x.shape[axis], positions)
    taken = xp.take(x, positions, axis=axis)
    return xp.reshape(taken, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


@gather.vjp
def _(
    g: Tensor, x_spec: Spec, indices: Tensor, axis: int, needs: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    from corenn.ops.scatter import getitem_add

    pattern = (*[ALL] * axis, ("array",), *[ALL] * (x_spec.ndim - axis - 1))
    return getitem_add(g, indices, shape=x_spec.static, pattern=pattern) if needs[0] else None, None


gather.samples(
    sample(real(), integer(-3, 3, shape=(2, 2))),
    sample(real(shape=(2, 3, 2)), integer(0, 3, shape=(4,)), axis=1),
    sample(real(), integer(0, 4, shape=(), dtype="uint8"), axis=-1),
    sample(real(), integer(0, 3, shape=(0, 2)), name="none"),
    sample(boolean(), integer(0, 3, shape=(2,)), grad=False),
)
gather.error_samples(
    error(ShapeError, "axis 2 is out of range", real(), _low, axis=2),
    error(ShapeError, "empty axis", real(shape=(0,)), _low),
    error(DTypeError, "takes integer", real(), real()),
)
gather.reference(lambda x, indices, *, axis: np.take(x, indices.astype(np.int64), axis))


# ---------------------------------------------------------------- along an axis


def _along(call: Call, x: Spec, indices: Spec) -> Spec:
    if x.ndim != indices.ndim or not x.ndim:
        raise call.shape_error("x and indices must have as many axes, and at least one", x="", indices="")
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    around = [(*s.shape[:axis], 1, *s.shape[axis + 1 :]) for s in (x, indices)]
    shape = broadcast_shapes(call, around)
    return Spec((*shape[:axis], indices.shape[axis], *shape[axis + 1 :]), x.dtype)


@op(infer=_along, dtypes={"indices": INTEGER})
def take_along_axis(x: TensorLike, indices: TensorLike, /, *, axis: int = -1) -> Tensor:
    """For each line of ``x`` along ``axis`` the elements at the positions in the same line of ``indices``.

    As ``numpy.take_along_axis``: as many axes as ``x``, the extents other than of ``axis`` broadcast.  So
    ``take_along_axis(x, argsort(x))`` is ``sort(x)``.
    """


@take_along_axis.kernel
def take_along(xp: Any, x: Any, indices: Any, *, axis: int, device: Any) -> Any:
    """Elements of ``x`` along ``axis`` in array-API terms: lines made rows, positions made positions among all."""
    ndim, extent, count = x.ndim, x.shape[axis], indices.shape[axis]
    around = [max(n, m) if n and m else 0 for n, m in zip(x.shape, indices.shape, strict=True)]
    lines = [n for i, n in enumerate(around) if i != axis]
    last = (*[i for i in range(ndim) if i != axis], axis)
    x = xp.broadcast_to(xp.permute_dims(x, last), (*lines, extent))
    positions = xp.broadcast_to(xp.permute_dims(xp.astype(indices, xp.int64, copy=False), last), (*lines, count))
    positions = xp.where(positions < 0, positions + extent, positions)
    total = 1
    for n in lines:
        total *= n
    starts = xp.arange(total, dtype=xp.int64, device=device) * extent
    flat = xp.reshape(positions, (total, count)) + xp.reshape(starts, (total, 1))
    taken = xp.reshape(xp.take(xp.reshape(x, (-1,)), xp.reshape(flat, (-1,)), axis=0), (*lines, count))
    return xp.permute_dims(taken, tuple(sorted(range(ndim), key=last.__getitem__)))


@take_along_axis.vjp
def _(
    g: Tensor, x_spec: Spec, indices: Tensor, axis: int, needs: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    from corenn.ops.scatter import along_axis_add

    return along_axis_add(g, indices, extent=x_spec.static[axis], axis=axis) if needs[0] else None, None


take_along_axis.samples(
    sample(real(), integer(-4, 4, shape=(3, 2))),
    sample(real(), integer(0, 3, shape=(5, 4)), axis=0),
    sample(real(shape=(2, 1, 3)), integer(0, 2, shape=(1, 2, 3)), axis=0),
    sample(real(shape=(2, 3)), integer(0, 3, shape=(2, 0))),
    sample(integer(), integer(0, 4, shape=(1, 3), dtype="uint8"), grad=False),
)
take_along_axis.error_samples(
    error(ShapeError, "as many axes", real(), _low),
    error(ShapeError, "do not broadcast", real(), integer(0, 3, shape=(2, 2))),
)


@take_along_axis.reference
def _(x: np.ndarray[Any, Any], indices: np.ndarray[Any, Any], *, axis: int) -> np.ndarray[Any, Any]:
    return np.take_along_axis(x, indices.astype(np.int64), axis)


# ---------------------------------------------------------------- where things hold


@op(infer=lambda call, x: Spec((None, x.ndim), dtypes.int64))
def argwhere(x: TensorLike, /) -> Tensor:
    """Coordinates of the elements that are not zero (or hold), in C order: int64 [count, number of axes]."""


@argwhere.kernel
def _(xp: Any, x: Any, *, device: Any) -> Any:
    if not x.ndim:
        count = xp.nonzero(xp.reshape(x, (1,)))[0].shape[0]
        return xp.zeros((count, 0), dtype=xp.int64, device=device)
    return xp.astype(xp.stack(xp.nonzero(x), axis=1), xp.int64, copy=False)


argwhere.samples(
    sample(boolean(), grad=False),
    sample(literal([0.0, 1.0, np.nan, -2.0], "float32"), grad=False),
    sample(boolean(shape=()), grad=False),
    sample(integer(-1, 2, shape=(0, 3)), grad=False),
)
argwhere.reference(np.argwhere)


def nonzero(x: TensorLike) -> tuple[Tensor, ...]:
    """Positions of the elements that are not zero (or hold), in C order: one int64 tensor [count] for each axis."""
    given = operand(x)
    if not given.spec.ndim:
        raise ShapeError("nonzero", "takes an operand with axes", {"x": given.spec}, hint="corenn.atleast_1d(x)")
    return unstack(argwhere(given), axis=1)
