"""Sums of products in index notation: einsum, as transposes, reshapes and batched matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from corenn.dtypes import NUMERIC
from corenn.errors import AttributeValueError, ShapeError
from corenn.ops._einsum import Equation, contraction_path, parse_equation
from corenn.ops.arranging import diagonal
from corenn.ops.contraction import matmul
from corenn.ops.creation import eye
from corenn.ops.elementwise import conjugated, multiply
from corenn.ops.reduction import sum
from corenn.ops.sampling import error, real, sample
from corenn.ops.shaping import broadcast_to, reshape, transpose
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

_REPEATED = 0x1000  # labels of the second axis of a diagonal, beyond those of equations


def einsum(equation: str, *operands: TensorLike) -> Tensor:
    """Sum of products in index notation: ``einsum("ij,jk->ik", a, b)`` is the matrix product.

    One letter per axis of each operand; a letter that is missing after ``->`` is summed over, one that occurs twice in
    an operand takes the diagonal, ``...`` stands for further axes, which broadcast.  Without ``->`` the result has the
    ``...`` axes, then the letters that occur once, in alphabetical order.  Axes of one letter have one extent, or 1.
    Products of many operands are contracted in pairs, the cheapest first.  Dtypes promote.  Raises
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
    terms = [_plain(x, labels, extents) for x, labels in zip(operands, parsed.inputs, strict=True)]
    present = [labels for _, labels in terms]
    for i, (x, labels) in enumerate(terms):
        terms[i] = _summed(x, labels, parsed.output + "".join(s for k, s in enumerate(present) if k != i))
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
    return x if labels == wanted else transpose(x, axes=tuple(labels.index(c) for c in wanted))


def _summed(x: Tensor, labels: str, kept: str) -> tuple[Tensor, str]:
    """``x`` summed over the labels that are not ``kept``, in its own dtype."""
    gone = tuple(i for i, c in enumerate(labels) if c not in kept)
    if not gone:
        return x, labels
    dtype, x = x.dtype, sum(x, axis=gone)
    return (x if x.dtype is dtype else x.cast(dtype)), "".join(c for c in labels if c in kept)


def _plain(x: Tensor, labels: str, extents: dict[str, int]) -> tuple[Tensor, str]:
    """One operand without repeated labels, and without the axes that broadcast: absent is the same."""
    for label in sorted(set(labels)):
        while labels.count(label) > 1:
            x, labels = _diagonal(x, labels, label)
    full = "".join(c for c, n in zip(labels, x.shape, strict=True) if n == extents[c])
    return (x if full == labels else reshape(x, shape=tuple(extents[c] for c in full))), full


def _diagonal(x: Tensor, labels: str, label: str) -> tuple[Tensor, str]:
    """The diagonal of the first two axes called ``label``, as the last axis."""
    first = labels.index(label)
    second = labels.index(label, first + 1)
    rest = tuple(i for i in range(x.ndim) if i not in (first, second))
    return diagonal(transpose(x, axes=(*rest, first, second))), "".join(labels[i] for i in rest) + label


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
    factors += [
        (conjugated(x), labels) for i, (x, labels) in enumerate(zip(operands, parsed.inputs, strict=True)) if i != k
    ]
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
    if found.shape == tuple(sizes):
        return found
    extent = dict(zip(known, found.shape, strict=True))
    return broadcast_to(reshape(found, shape=tuple(extent.get(c, 1) for c in wanted)), shape=tuple(sizes))


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
