"""Shapes and layout: the same elements, seen or arranged differently."""

from __future__ import annotations

import math

import numpy as np

from corenn.errors import ShapeError
from corenn.ops.families import broadcast_shapes, normal_axis, static_shape
from corenn.ops.sampling import error, real, sample
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor


def _reshape(call: Call, x: Spec) -> Spec:
    given = call.attrs["shape"]
    given = (given,) if isinstance(given, int) else given
    if given.count(-1) > 1:
        raise call.shape_error("at most one extent can be -1", shape="")
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


@stack.vjp
def _(g: Tensor, tensors_spec: tuple[Spec, ...], axis: int) -> tuple[Tensor, ...]:
    return tuple(g[(*[slice(None)] * axis, i)] for i in range(len(tensors_spec)))


stack.samples(sample(real(), real()), sample(real(), real(), real(), axis=-1))
stack.error_samples(error(ShapeError, "one shape", real(shape=(3,)), real(shape=(4,))))
stack.reference(lambda *tensors, axis: np.stack(tensors, axis))
