"""Contractions: matrix products, and what is written with them (tensordot, inner, outer, einsum)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from corenn.dtypes import NUMERIC
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops._einsum import Equation, contraction_path, parse_equation
from corenn.ops.creation import asarray, eye
from corenn.ops.elementwise import _conj, multiply
from corenn.ops.families import normal_axis
from corenn.ops.reduction import sum
from corenn.ops.sampling import error, integer, real, sample
from corenn.ops.shaping import broadcast_to, reshape
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
        word_b = "length" if b.ndim == 1 else "last axis" if axis_b == -1 else "first axis" if b.ndim == 2 else "axis -2"
        word_a = "length" if a.ndim == 1 else "last axis" if axis_a == -1 else "first axis" if a.ndim == 2 else "axis -2"
        hint = None
        if b.ndim >= 2 and b.shape[-3 - axis_b] == inner_a:
            hint = f"transpose b: transpose_b={not transpose_b}"
        elif a.ndim >= 2 and a.shape[-3 - axis_a] == inner_b:
            hint = f"transpose a: transpose_a={not transpose_a}"
        raise call.shape_error(
            "inner dimensions differ", hint, a=f"{word_a} is {inner_a}", b=f"{word_b} is {inner_b}"
        )
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


def _gradient_a(g: Tensor, a_spec: Spec, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    b = _conj(b)
    shape = g.shape
    if b.ndim == 1:
        if a_spec.ndim == 1:
            return multiply(g, b)
        if transpose_a:
            return multiply(reshape(g, shape=(*shape[:-1], 1, shape[-1])), reshape(b, shape=(-1, 1)))
        return multiply(reshape(g, shape=(*shape, 1)), b)
    if a_spec.ndim == 1:
        g = reshape(g, shape=(*shape[:-1], 1, shape[-1]))
    if transpose_a:
        return matmul(b, g, transpose_a=transpose_b, transpose_b=True)
    return matmul(g, b, transpose_b=not transpose_b)


def _gradient_b(g: Tensor, a: Tensor, b_spec: Spec, transpose_a: bool, transpose_b: bool) -> Tensor:
    a = _conj(a)
    shape = g.shape
    if b_spec.ndim == 1:
        if a.ndim == 1:
            return multiply(g, a)
        if a.ndim > 2 and not transpose_a:  # one vector times all rows: no batch of products to add up afterwards
            return matmul(reshape(g, shape=(-1,)), reshape(a, shape=(-1, a.shape[-1])))
        return matmul(reshape(g, shape=(*shape[:-1], 1, shape[-1])), a, transpose_b=transpose_a)
    if a.ndim == 1:
        if transpose_b:
            return multiply(reshape(g, shape=(*shape, 1)), a)
        return multiply(reshape(g, shape=(*shape[:-1], 1, shape[-1])), reshape(a, shape=(-1, 1)))
    if a.ndim > 2 and b_spec.ndim == 2 and not transpose_a:  # one matrix times all rows of the batch
        a, g = reshape(a, shape=(-1, a.shape[-1])), reshape(g, shape=(-1, shape[-1]))
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
        x = _permuted(x, order)
    extents = x.shape
    return reshape(x, shape=(math.prod(extents[: len(first)]), math.prod(extents[len(first) :]))), flip


def _permuted(x: Tensor, order: tuple[int, ...]) -> Tensor:
    from corenn.ops.shaping import transpose

    return transpose(x, axes=order)


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


outer.decompose(lambda a, b: multiply(reshape(a, shape=(-1, 1)), b))
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
    product = sum(multiply(_conj(a), b), axis=axis)
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


# ---------------------------------------------------------------- einsum


def einsum(equation: str, *operands: TensorLike) -> Tensor:
    """Sum of products in index notation: ``einsum("ij,jk->ik", a, b)`` is the matrix product.

    One letter per axis of each operand; a letter that is missing after ``->`` is summed over, one that occurs twice in
    an operand takes the diagonal, ``...`` stands for further axes, which broadcast.  Without ``->`` the result has the
    ``...`` axes, then the letters that occur once, in alphabetical order.  Axes of one letter have one extent, or 1.
    Products of many operands are contracted in pairs, small results first.  Dtypes promote.  Raises
    AttributeValueError for an equation that cannot be read, ShapeError for operands that do not fit it.
    """
    return contract(*operands, equation=equation)


def _einsum(call: Call, *operands: Spec) -> Spec:
    try:
        parsed = parse_equation(call.attrs["equation"], tuple(s.ndim for s in operands))
    except ValueError as problem:
        raise call.attribute_error(str(problem), equation="") from None
    extents: dict[str, int | None] = {}
    owner: dict[str, str] = {}
    for i, (labels, spec) in enumerate(zip(parsed.inputs, operands, strict=True)):
        here: dict[str, int | None] = {}
        for label, extent in zip(labels, spec.shape, strict=True):
            if here.setdefault(label, extent) != extent:
                note = {f"operands[{i}]": f"{label} is {here[label]} and {extent}"}
                raise call.shape_error(f"the index {label} names axes of two extents", equation="", **note)
            known = extents.setdefault(label, extent)
            if known in (1, None):
                extents[label], owner[label] = extent, f"operands[{i}]"
            elif extent not in (known, 1, None):
                notes = {owner.get(label, ""): f"{label} is {known}", f"operands[{i}]": f"{label} is {extent}"}
                raise call.shape_error(f"the index {label} has two extents", equation="", **notes)
            owner.setdefault(label, f"operands[{i}]")
    call.attrs["equation"] = str(parsed)
    return Spec(tuple(extents[label] for label in parsed.output), operands[0].dtype)


@op(infer=_einsum, promote=True, dtypes=NUMERIC, name="einsum", namespace="_")
def contract(*operands: TensorLike, equation: str) -> Tensor:
    """Sum of products of the operands in index notation; see ``corenn.einsum``."""


@contract.decompose
def _(*operands: Tensor, equation: str) -> Tensor:
    parsed = parse_equation(equation, tuple(x.ndim for x in operands))
    extents = _extents(parsed, [x.shape for x in operands])
    terms = [_reduced(x, i, parsed, extents) for i, x in enumerate(operands)]
    for i, j in contraction_path([labels for _, labels in terms], parsed.output, extents):
        second = terms.pop(j)
        elsewhere = parsed.output + "".join(labels for k, (_, labels) in enumerate(terms) if k != i)
        terms[i] = _pair(terms[i], second, elsewhere, extents)
    x, labels = terms[0]
    return _ordered(x, labels, parsed.output)


def _extents(parsed: Equation, shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """The extent of each label; an extent of 1 gives way to another."""
    extents: dict[str, int] = {}
    for labels, shape in zip(parsed.inputs, shapes, strict=True):
        for label, n in zip(labels, shape, strict=True):
            extents[label] = n if extents.get(label, 1) == 1 else extents[label]
    return extents


def _ordered(x: Tensor, labels: str, wanted: str) -> Tensor:
    """``x`` with its axes in the order ``wanted``."""
    return x if labels == wanted else _permuted(x, tuple(labels.index(c) for c in wanted))


def _summed(x: Tensor, labels: str, kept: str) -> tuple[Tensor, str]:
    """``x`` summed over the labels that are not ``kept``, in its own dtype."""
    gone = tuple(i for i, c in enumerate(labels) if c not in kept)
    if not gone:
        return x, labels
    dtype, x = x.dtype, sum(x, axis=gone)
    return (x if x.dtype is dtype else x.cast(dtype)), "".join(c for c in labels if c in kept)


def _reduced(x: Tensor, position: int, parsed: Equation, extents: dict[str, int]) -> tuple[Tensor, str]:
    """One operand without repeated labels, axes that broadcast (absent is the same) and labels only it has."""
    labels = parsed.inputs[position]
    for label in sorted(set(labels)):
        while labels.count(label) > 1:
            x, labels = _diagonal(x, labels, label)
    full = "".join(c for c, n in zip(labels, x.shape, strict=True) if n == extents[c])
    if full != labels:
        x, labels = reshape(x, shape=tuple(extents[c] for c in full)), full
    return _summed(x, labels, parsed.output + "".join(s for i, s in enumerate(parsed.inputs) if i != position))


def _diagonal(x: Tensor, labels: str, label: str) -> tuple[Tensor, str]:
    """The diagonal of the first two axes called ``label``: every (n + 1)-th element of the two flattened."""
    first = labels.index(label)
    second = labels.index(label, first + 1)
    rest = tuple(i for i in range(x.ndim) if i not in (first, second))
    n = x.shape[first]
    x = _permuted(x, (first, second, *rest))
    x = reshape(x, shape=(n * n, *x.shape[2:]))[:: n + 1]
    return x, label + "".join(labels[i] for i in rest)


def _pair(
    left: tuple[Tensor, str], right: tuple[Tensor, str], elsewhere: str, extents: dict[str, int]
) -> tuple[Tensor, str]:
    """The product of two operands, summed over the labels that occur nowhere else; batched matmul where it sums."""
    (x, a), (y, b) = left, right
    contracted = "".join(c for c in a if c in b and c not in elsewhere)
    batch = "".join(c for c in a if c in b and c in elsewhere)
    rows = "".join(c for c in a if c not in b)
    columns = "".join(c for c in b if c not in a)
    if not contracted:
        labels = batch + rows + columns
        x = _ordered(x, a, batch + rows)
        y = _ordered(y, b, batch + columns)
        shape = [extents[c] for c in batch], [1] * len(rows), [extents[c] for c in columns]
        x = reshape(x, shape=(*x.shape, *[1] * len(columns))) if columns else x
        y = reshape(y, shape=(*shape[0], *shape[1], *shape[2])) if rows else y
        return multiply(x, y), labels
    flat_x, transpose_x = _as_batch(x, a, batch, rows, contracted, extents)
    flat_y, transpose_y = _as_batch(y, b, batch, contracted, columns, extents)
    product = matmul(flat_x, flat_y, transpose_a=transpose_x, transpose_b=transpose_y)
    labels = batch + rows + columns
    return reshape(product, shape=tuple(extents[c] for c in labels)), labels


def _as_batch(
    x: Tensor, labels: str, batch: str, rows: str, columns: str, extents: dict[str, int]
) -> tuple[Tensor, bool]:
    """``x`` as matrices [batch, rows, columns], or their transposes where those need no copy."""
    flip = labels == batch + columns + rows
    first, second = (columns, rows) if flip else (rows, columns)
    x = _ordered(x, labels, batch + first + second)
    shape = tuple(math.prod(extents[c] for c in part) for part in ((batch,) if batch else ()) + (first, second))
    return (x if x.shape == shape else reshape(x, shape=shape)), flip


@contract.vjp
def _(g: Tensor, operands: tuple[Tensor, ...], equation: str, needs: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
    parsed = parse_equation(equation, tuple(x.ndim for x in operands))
    extents = _extents(parsed, [x.shape for x in operands])
    return tuple(
        _operand_gradient(g, k, operands, parsed, extents) if needed else None for k, needed in enumerate(needs)
    )


def _operand_gradient(
    g: Tensor, k: int, operands: tuple[Tensor, ...], parsed: Equation, extents: dict[str, int]
) -> Tensor:
    """The product of ``g`` and the other operands over the labels of operand ``k``.

    Labels that it repeats go on a diagonal; along those that only it has, and was summed over, it is constant.
    """
    factors = [(g, parsed.output)]
    factors += [(_conj(x), labels) for i, (x, labels) in enumerate(zip(operands, parsed.inputs, strict=True)) if i != k]
    wanted, sizes = "", []
    for label in parsed.inputs[k]:
        new = label if label not in wanted else chr(_REPEATED + len(wanted))
        if new != label:
            factors.append((eye(extents[label], dtype=g.dtype, device=g.spec.device), label + new))
        wanted += new
        sizes.append(extents[label])
    present = "".join(labels for _, labels in factors)
    known = "".join(c for c in wanted if c in present)
    equation = ",".join(labels for _, labels in factors) + "->" + known
    found = contract(*(x for x, _ in factors), equation=equation)
    if known == wanted:
        return found
    shape = tuple(n if c in known else 1 for c, n in zip(wanted, sizes, strict=True))
    return broadcast_to(reshape(found, shape=shape), shape=tuple(sizes))


_REPEATED = 0x1000  # labels of the second axis of a diagonal, beyond those of equations

contract.samples(
    sample(real(shape=(2, 3)), real(shape=(3, 2)), equation="ij,jk->ik"),
    sample(real(shape=(2, 3)), real(shape=(3, 2)), equation="ij,jk"),
    sample(real(shape=(2, 3)), equation="ji"),
    sample(real(shape=(2, 3)), equation="ij->j"),
    sample(real(shape=(2, 3)), equation="ij->"),
    sample(real(shape=(3, 3)), equation="ii->i"),
    sample(real(shape=(3, 3)), equation="ii"),
    sample(real(shape=(2, 2, 3, 2)), real(shape=(3,)), equation="iiji,j->ij"),
    sample(real(shape=(3,)), real(shape=(2,)), equation="i,j->ji"),
    sample(real(shape=(2, 3)), real(shape=(2, 3)), equation="ij,ij->ij"),
    sample(real(shape=(2, 2, 3)), real(shape=(2, 3, 2)), equation="bij,bjk->bki"),
    sample(real(shape=(2, 1, 2, 2)), real(shape=(3, 2, 2)), equation="...ij,...jk->...ik"),
    sample(real(shape=(2, 2, 3)), real(shape=(3,)), equation="...a,a"),
    sample(real(shape=(2, 3)), real(shape=(3, 2)), real(shape=(2, 2)), equation="ij,jk,kl->il"),
    sample(real(shape=(2, 2)), real(shape=(2, 3)), real(shape=(2,)), equation="ab,ac,a->bc"),
    sample(real(shape=(1, 3)), real(shape=(2, 3)), equation="ij,ij->i", name="extent 1"),
    sample(real(shape=(2, 0)), real(shape=(0, 3)), equation="ij,jk->ik", name="empty"),
    sample(real(shape=()), real(shape=(3,)), equation=",i->i"),
)
contract.error_samples(
    error(ShapeError, "the index j has two extents", real(shape=(2, 3)), real(shape=(4, 2)), equation="ij,jk->ik"),
    error(ShapeError, "axes of two extents", real(shape=(2, 3)), equation="ii->i"),
    error(AttributeValueError, "1 operands but 2", real(shape=(2,)), real(shape=(2,)), equation="i->i"),
    error(AttributeValueError, "2 axes but 1 letters", real(shape=(2, 3)), equation="i->i"),
    error(AttributeValueError, "fewer than the letters", real(shape=(2,)), equation="...ij->i"),
    error(AttributeValueError, "is in no operand", real(shape=(2,)), equation="i->j"),
    error(AttributeValueError, "occurs twice in the result", real(shape=(2,)), equation="i->ii"),
    error(AttributeValueError, "must have '...'", real(shape=(2, 3)), equation="...i->i"),
    error(AttributeValueError, "does not belong", real(shape=(2,)), equation="i->$"),
)
contract.reference(lambda *operands, equation: np.einsum(equation, *operands))


@contract.terms
def _(*operands: Spec, equation: str) -> int:
    parsed = parse_equation(equation, tuple(s.ndim for s in operands))
    extents = _extents(parsed, [s.static for s in operands])
    return math.prod(n for c, n in extents.items() if c not in parsed.output)
