"""Contractions: matrix products, tensordot, inner and outer products; einsum is in ``einstein.py``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn.dtypes import NUMERIC
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.creation import asarray
from corenn.ops.elementwise import conjugated, multiply
from corenn.ops.families import normal_axis
from corenn.ops.reduction import sum
from corenn.ops.sampling import error, integer, real, sample
from corenn.ops.shaping import reshape, transpose
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor

# ---------------------------------------------------------------- matmul


def batch_shape(call: Call, first: Shape, second: Shape, names: tuple[str, str]) -> Shape:
    """The shape that the leading (batch) axes of two operands broadcast to; ShapeError when they do not."""
    ndim = max(len(first), len(second))
    result: list[int | None] = []
    for m, n in zip((1,) * (ndim - len(first)) + first, (1,) * (ndim - len(second)) + second, strict=True):
        if m is not None and n is not None and m != n and 1 not in (m, n):
            notes = {names[0]: f"batch axes {first}", names[1]: f"batch axes {second}"}
            raise call.shape_error("the batch axes do not broadcast", "extents must be equal or 1", **notes)
        result.append(n if m == 1 else m if n == 1 or n is None else n)
    return tuple(result)


def _axis_word(spec: Spec, axis: int) -> str:
    if spec.ndim == 1:
        return "length"
    return "last axis" if axis == -1 else "first axis" if spec.ndim == 2 else "axis -2"


def _matmul(call: Call, a: Spec, b: Spec) -> Spec:
    for name, spec in (("a", a), ("b", b)):
        if spec.ndim == 0:
            raise call.shape_error("takes vectors and matrices, not a 0-d operand", "a * b scales", **{name: ""})
        if spec.ndim == 1 and call.attrs[f"transpose_{name}"]:
            raise call.shape_error(f"transpose_{name} needs a matrix", **{name: "has one axis"})
    transpose_a, transpose_b = call.attrs["transpose_a"], call.attrs["transpose_b"]
    axis_a = -2 if transpose_a else -1
    axis_b = -1 if transpose_b or b.ndim == 1 else -2
    inner_a, inner_b = a.shape[axis_a], b.shape[axis_b]
    if inner_a != inner_b and inner_a is not None and inner_b is not None:
        hint = None
        if b.ndim >= 2 and b.shape[-3 - axis_b] == inner_a:
            hint = f"transpose b: transpose_b={not transpose_b}"
        elif a.ndim >= 2 and a.shape[-3 - axis_a] == inner_b:
            hint = f"transpose a: transpose_a={not transpose_a}"
        notes = {"a": f"{_axis_word(a, axis_a)} is {inner_a}", "b": f"{_axis_word(b, axis_b)} is {inner_b}"}
        raise call.shape_error("inner dimensions differ", hint, **notes)
    batch = batch_shape(call, a.shape[:-2], b.shape[:-2], ("a", "b"))
    rows = () if a.ndim == 1 else (a.shape[-3 - axis_a],)
    columns = () if b.ndim == 1 else (b.shape[-3 - axis_b],)
    return Spec((*batch, *rows, *columns), a.dtype)


@op(infer=_matmul, promote=True, dtypes=NUMERIC)
def matmul(a: TensorLike, b: TensorLike, /, *, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """Matrix product ``a @ b`` of ``[..., n, k]`` and ``[..., k, m]``; leading axes are batches and broadcast.

    ``transpose_a``, ``transpose_b``: the operand is given with its last two axes exchanged, which costs nothing.  A
    1-d operand is a vector: a row on the left, a column on the right, and its axis is gone from the result.  Dtypes
    promote; integers keep their dtype and wrap.  Raises ShapeError when the inner extents differ or the batch axes do
    not broadcast.
    """


@matmul.kernel
def _(xp: Any, a: Any, b: Any, *, transpose_a: bool, transpose_b: bool) -> Any:
    return xp.matmul(xp.matrix_transpose(a) if transpose_a else a, xp.matrix_transpose(b) if transpose_b else b)


def _flat_rows(x: Tensor) -> Tensor:
    """All rows of a batch as one matrix."""
    return reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))


def _gradient_a(g: Tensor, a_spec: Spec, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    b = conjugated(b)
    shape = g.shape
    if b.ndim == 1:
        if a_spec.ndim == 1:
            return multiply(g, b)
        if transpose_a:
            return multiply(reshape(g, shape=(*shape[:-1], 1, shape[-1])), reshape(b, shape=(b.shape[0], 1)))
        return multiply(reshape(g, shape=(*shape, 1)), b)
    if a_spec.ndim == 1:
        g = reshape(g, shape=(*shape[:-1], 1, shape[-1]))
    if transpose_a:
        return matmul(b, g, transpose_a=transpose_b, transpose_b=True)
    return matmul(g, b, transpose_b=not transpose_b)


def _gradient_b(g: Tensor, a: Tensor, b_spec: Spec, transpose_a: bool, transpose_b: bool) -> Tensor:
    a = conjugated(a)
    shape = g.shape
    if b_spec.ndim == 1:
        if a.ndim == 1:
            return multiply(g, a)
        if a.ndim > 2 and not transpose_a:  # one vector times all rows: no batch of products to add up afterwards
            return matmul(reshape(g, shape=(g.size,)), _flat_rows(a))
        return matmul(reshape(g, shape=(*shape[:-1], 1, shape[-1])), a, transpose_b=transpose_a)
    if a.ndim == 1:
        if transpose_b:
            return multiply(reshape(g, shape=(*shape, 1)), a)
        return multiply(reshape(g, shape=(*shape[:-1], 1, shape[-1])), reshape(a, shape=(a.shape[0], 1)))
    if a.ndim > 2 and b_spec.ndim == 2 and not transpose_a:  # one matrix times all rows of the batch
        a, g = _flat_rows(a), _flat_rows(g)
    if transpose_b:
        return matmul(g, a, transpose_a=True, transpose_b=transpose_a)
    return matmul(a, g, transpose_a=not transpose_a)


matmul.vjp(a=_gradient_a, b=_gradient_b)
matmul.samples(
    sample(real(shape=(2, 3)), real(shape=(3, 4))),
    sample(real(shape=(3, 2)), real(shape=(3, 4)), transpose_a=True),
    sample(real(shape=(2, 3)), real(shape=(4, 3)), transpose_b=True),
    sample(real(shape=(3, 2)), real(shape=(4, 3)), transpose_a=True, transpose_b=True),
    sample(real(shape=(2, 2, 3)), real(shape=(3, 2)), name="shared matrix"),
    sample(real(shape=(2, 1, 2, 3)), real(shape=(3, 2, 3)), transpose_b=True, name="broadcast batches"),
    sample(real(shape=(2, 3, 2)), real(shape=(2, 3)), transpose_a=True, transpose_b=True, name="batch, transposed"),
    sample(real(shape=(3,)), real(shape=(3,))),
    sample(real(shape=(3,)), real(shape=(2, 3, 2))),
    sample(real(shape=(3,)), real(shape=(2, 3)), transpose_b=True),
    sample(real(shape=(2, 2, 3)), real(shape=(3,))),
    sample(real(shape=(2, 3, 2)), real(shape=(3,)), transpose_a=True),
    sample(real(shape=(2, 0)), real(shape=(0, 3)), name="empty"),
    sample(real(shape=(2, 3, 0)), real(shape=(0, 3)), name="empty batch"),
    sample(integer(shape=(2, 3)), integer(shape=(3, 2)), grad=False),
)
matmul.error_samples(
    error(ShapeError, "inner dimensions differ", real(shape=(32, 784)), real(shape=(100, 10))),
    error(ShapeError, "last axis is 784", real(shape=(32, 784)), real(shape=(100, 10))),
    error(ShapeError, "transpose b: transpose_b=True", real(shape=(2, 3)), real(shape=(4, 3))),
    error(ShapeError, "batch axes do not broadcast", real(shape=(2, 3, 3)), real(shape=(4, 3, 3))),
    error(ShapeError, "not a 0-d operand", real(shape=()), real(shape=(3, 3))),
    error(ShapeError, "transpose_a needs a matrix", real(shape=(3,)), real(shape=(3, 3)), transpose_a=True),
    error(DTypeError, "do not promote", real(shape=(2, 2)), integer(shape=(2, 2))),
)


@matmul.reference
def _(a: Any, b: Any, *, transpose_a: bool, transpose_b: bool) -> Any:
    rows = a[None, :] if a.ndim == 1 else np.swapaxes(a, -1, -2) if transpose_a else a
    columns = b[:, None] if b.ndim == 1 else np.swapaxes(b, -1, -2) if transpose_b else b
    product = (rows[..., :, :, None] * columns[..., None, :, :]).sum(-2)
    gone = tuple(axis for axis, x in ((-2, a), (-1, b)) if x.ndim == 1)
    return product.squeeze(gone)


@matmul.terms
def _(a: Spec, b: Spec, *, transpose_a: bool, transpose_b: bool) -> int:
    return a.static[-2 if transpose_a else -1]


# ---------------------------------------------------------------- tensordot and its like


def _tensordot(call: Call, a: Spec, b: Spec) -> Spec:
    axes = call.attrs["axes"]
    if isinstance(axes, int) and not isinstance(axes, bool):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise call.attribute_error(f"axes must be between 0 and {min(a.ndim, b.ndim)}", axes="")
        axes = (tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes)))
    elif not isinstance(axes, tuple) or len(axes) != 2:
        raise call.attribute_error("axes must be an int, or the axes of a and the axes of b", axes="")
    pairs = tuple((n,) if isinstance(n, int) else n for n in axes)
    first = tuple(normal_axis(call, n, a.ndim, "axes") for n in pairs[0])
    second = tuple(normal_axis(call, n, b.ndim, "axes") for n in pairs[1])
    if len(first) != len(second) or len(set(first)) != len(first) or len(set(second)) != len(second):
        raise call.attribute_error("axes must name as many axes of a as of b, each once", axes="")
    for m, n in zip(first, second, strict=True):
        if a.shape[m] != b.shape[n] and None not in (a.shape[m], b.shape[n]):
            notes = {"a": f"axis {m} is {a.shape[m]}", "b": f"axis {n} is {b.shape[n]}"}
            raise call.shape_error("paired axes differ in extent", **notes)
    call.attrs["axes"] = (first, second)
    kept_a = tuple(n for i, n in enumerate(a.shape) if i not in first)
    kept_b = tuple(n for i, n in enumerate(b.shape) if i not in second)
    return Spec(kept_a + kept_b, a.dtype)


@op(infer=_tensordot, promote=True, dtypes=NUMERIC)
def tensordot(a: TensorLike, b: TensorLike, /, *, axes: Any = 2) -> Tensor:
    """Sum of products over pairs of axes: the other axes of ``a``, then those of ``b``, remain.

    ``axes``: an int n pairs the last n axes of ``a`` with the first n of ``b``; a pair of ints or of tuples names the
    axes of ``a`` and those of ``b``.  Dtypes promote.  Raises ShapeError when paired extents differ.
    """


@tensordot.decompose
def _(a: Tensor, b: Tensor, *, axes: tuple[tuple[int, ...], tuple[int, ...]]) -> Tensor:
    first, second = axes
    rest_a = tuple(i for i in range(a.ndim) if i not in first)
    rest_b = tuple(i for i in range(b.ndim) if i not in second)
    flat_a, transpose_a = _as_matrix(a, rest_a, first)
    flat_b, transpose_b = _as_matrix(b, second, rest_b)
    shape = tuple(a.shape[i] for i in rest_a) + tuple(b.shape[i] for i in rest_b)
    return reshape(matmul(flat_a, flat_b, transpose_a=transpose_a, transpose_b=transpose_b), shape=shape)


def _as_matrix(x: Tensor, rows: tuple[int, ...], columns: tuple[int, ...]) -> tuple[Tensor, bool]:
    """``x`` with axes grouped to a matrix [rows, columns], or its transpose where that needs no copy."""
    flip = columns + rows == tuple(range(x.ndim))
    first, second = (columns, rows) if flip else (rows, columns)
    order = first + second
    if order != tuple(range(x.ndim)):
        x = transpose(x, axes=order)
    extents = x.shape
    return reshape(x, shape=(math.prod(extents[: len(first)]), math.prod(extents[len(first) :]))), flip


tensordot.samples(
    sample(real(shape=(2, 3, 2)), real(shape=(3, 2, 2))),
    sample(real(shape=(2, 3)), real(shape=(3, 4)), axes=1),
    sample(real(shape=(2,)), real(shape=(3,)), axes=0),
    sample(real(shape=(3, 2, 4)), real(shape=(2, 4, 3)), axes=((0, 1), (2, 0))),
    sample(real(shape=(2, 3)), real(shape=(4, 3)), axes=(-1, 1)),
    sample(real(shape=(2, 0)), real(shape=(0, 3)), axes=1, name="empty"),
)
tensordot.error_samples(
    error(ShapeError, "paired axes differ", real(shape=(2, 3)), real(shape=(2, 3)), axes=1),
    error(ShapeError, "out of range", real(shape=(2, 3)), real(shape=(2, 3)), axes=(2, 0)),
    error(AttributeValueError, "must be between 0 and 2", real(shape=(2, 3)), real(shape=(2, 3)), axes=3),
    error(AttributeValueError, "as many axes", real(shape=(2, 3)), real(shape=(2, 3)), axes=((0, 1), (0,))),
    error(AttributeValueError, "an int, or the axes", real(shape=(2, 3)), real(shape=(2, 3)), axes=(0, 1, 0)),
)
tensordot.reference(lambda a, b, *, axes: np.tensordot(a, b, axes))


@tensordot.terms
def _(a: Spec, b: Spec, *, axes: tuple[tuple[int, ...], tuple[int, ...]]) -> int:
    return math.prod(a.static[i] for i in axes[0])


def _inner(call: Call, a: Spec, b: Spec) -> Spec:
    if not a.ndim or not b.ndim:
        raise call.shape_error("takes operands of at least one axis", "a * b multiplies by a number")
    if a.shape[-1] != b.shape[-1] and None not in (a.shape[-1], b.shape[-1]):
        notes = {"a": f"last axis is {a.shape[-1]}", "b": f"last axis is {b.shape[-1]}"}
        raise call.shape_error("the last axes differ in extent", **notes)
    return Spec(a.shape[:-1] + b.shape[:-1], a.dtype)


@op(infer=_inner, promote=True, dtypes=NUMERIC)
def inner(a: TensorLike, b: TensorLike, /) -> Tensor:
    """Sum of products over the last axes: of vectors the scalar product, else ``tensordot(a, b, axes=(-1, -1))``.

    Nothing is conjugated.  Dtypes promote; raises ShapeError when the last extents differ.
    """


inner.decompose(lambda a, b: tensordot(a, b, axes=(-1, -1)))
inner.samples(
    sample(real(shape=(3,)), real(shape=(3,))),
    sample(real(shape=(2, 3)), real(shape=(4, 3))),
    sample(real(shape=(2, 3)), real(shape=(3,))),
)
inner.error_samples(
    error(ShapeError, "last axes differ", real(shape=(3,)), real(shape=(4,))),
    error(ShapeError, "at least one axis", real(shape=()), real(shape=(4,))),
)
inner.reference(lambda a, b: (a.reshape(*a.shape[:-1], *[1] * (b.ndim - 1), -1) * b).sum(-1))
inner.terms(lambda a, b: a.static[-1])


def _outer(call: Call, a: Spec, b: Spec) -> Spec:
    if a.ndim != 1 or b.ndim != 1:
        raise call.shape_error("takes two vectors", "flatten them: x.flatten(); or tensordot(a, b, axes=0)")
    return Spec(a.shape + b.shape, a.dtype)


@op(infer=_outer, promote=True, dtypes=NUMERIC)
def outer(a: TensorLike, b: TensorLike, /) -> Tensor:
    """All products of an element of the vector ``a`` [n] and one of ``b`` [m]: a matrix [n, m].  Dtypes promote."""


outer.decompose(lambda a, b: multiply(reshape(a, shape=(a.shape[0], 1)), b))
outer.samples(sample(real(shape=(3,)), real(shape=(2,))), sample(real(shape=(0,)), real(shape=(2,)), name="empty"))
outer.error_samples(error(ShapeError, "two vectors", real(shape=(2, 2)), real(shape=(3,))))
outer.reference(lambda a, b: a[:, None] * b[None, :])


def _vecdot(call: Call, a: Spec, b: Spec) -> Spec:
    if not a.ndim or not b.ndim:
        raise call.shape_error("takes operands of at least one axis", "a * b multiplies by a number")
    axis = call.attrs["axis"]
    if not isinstance(axis, int) or not -min(a.ndim, b.ndim) <= axis <= -1:
        raise call.attribute_error(f"axis must be between {-min(a.ndim, b.ndim)} and -1, counted from the end", axis="")
    if a.shape[axis] != b.shape[axis] and None not in (a.shape[axis], b.shape[axis]):
        notes = {"a": f"axis {axis} is {a.shape[axis]}", "b": f"axis {axis} is {b.shape[axis]}"}
        raise call.shape_error("the vectors differ in length", **notes)

    def rest(spec: Spec) -> Shape:
        return tuple(n for i, n in enumerate(spec.shape) if i != spec.ndim + axis)

    return Spec(batch_shape(call, rest(a), rest(b), ("a", "b")), a.dtype)


@op(infer=_vecdot, promote=True, dtypes=NUMERIC)
def vecdot(a: TensorLike, b: TensorLike, /, *, axis: int = -1) -> Tensor:
    """Scalar products of the vectors along ``axis`` (negative), ``sum(conj(a) * b)``; the other axes broadcast.

    Dtypes promote; raises ShapeError when the vectors differ in length.
    """


@vecdot.decompose
def _(a: Tensor, b: Tensor, *, axis: int) -> Tensor:
    product = sum(multiply(conjugated(a), b), axis=axis)
    return product if product.dtype is a.dtype else product.cast(a.dtype)  # sums of narrow integers are wider


vecdot.samples(
    sample(real(shape=(2, 3)), real(shape=(2, 3))),
    sample(real(shape=(3,)), real(shape=(2, 2, 3))),
    sample(real(shape=(3, 2)), real(shape=(3, 1)), axis=-2),
    sample(integer(shape=(2, 3), dtype="int8"), integer(shape=(3,), dtype="int8"), grad=False),
)
vecdot.error_samples(
    error(ShapeError, "differ in length", real(shape=(3,)), real(shape=(4,))),
    error(ShapeError, "at least one axis", real(shape=()), real(shape=(4,))),
    error(ShapeError, "batch axes do not broadcast", real(shape=(2, 3)), real(shape=(4, 3))),
    error(AttributeValueError, "counted from the end", real(shape=(3,)), real(shape=(3,)), axis=0),
)
vecdot.reference(lambda a, b, *, axis: (np.moveaxis(np.conj(a), axis, -1) * np.moveaxis(b, axis, -1)).sum(-1))
vecdot.terms(lambda a, b, *, axis: a.static[axis])


def dot(a: TensorLike, b: TensorLike) -> Tensor:
    """NumPy's ``dot``: the scalar product of vectors, the matrix product of matrices, else the last axis of ``a``
    with the second last of ``b``, as in ``tensordot``.  0-d operands multiply.  Raises ShapeError when extents differ.
    """
    x, y = asarray(a), asarray(b)
    if not x.ndim or not y.ndim:
        return multiply(x, y)
    return tensordot(x, y, axes=(-1, -2)) if y.ndim > 2 else matmul(x, y)
