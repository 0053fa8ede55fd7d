"""Comparison, logic, bits, and tests for NaN and infinity: elementwise with broadcasting, without gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from corenn.dtypes import BOOL, INEXACT, INTEGER, REAL
from corenn.errors import DTypeError
from corenn.ops.families import binary, comparison, predicate, unary
from corenn.ops.sampling import NO_BROADCAST, NO_PROMOTION, boolean, error, integer, literal, real, sample
from corenn.ops.table import TensorLike, op
from corenn.tensor import Tensor

LOGICAL = INTEGER | BOOL
_meaning: Callable[..., Any]


# ---------------------------------------------------------------- comparison


@op(family=comparison)
def equal(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x == y`` as bools, broadcast and promoted; NaN equals nothing."""


@op(family=comparison)
def not_equal(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x != y`` as bools, broadcast and promoted."""


@op(family=comparison, dtypes=REAL)
def less(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x < y`` as bools, broadcast and promoted; False beside NaN."""


@op(family=comparison, dtypes=REAL)
def less_equal(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x <= y`` as bools, broadcast and promoted; False beside NaN."""


@op(family=comparison, dtypes=REAL)
def greater(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x > y`` as bools, broadcast and promoted; False beside NaN."""


@op(family=comparison, dtypes=REAL)
def greater_equal(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x >= y`` as bools, broadcast and promoted; False beside NaN."""


for _compare, _meaning in (
    (equal, np.equal),
    (not_equal, np.not_equal),
    (less, np.less),
    (less_equal, np.less_equal),
    (greater, np.greater),
    (greater_equal, np.greater_equal),
):
    _compare.kernel(_compare.__name__)
    _compare.samples(
        sample(literal([[1, 2, 3], [3, 2, 1]]), literal([1, 2, 3]), grad=False),
        sample(real(shape=(3, 1)), real(shape=(2, 1, 4)), grad=False),
    )
    _compare.error_samples(NO_BROADCAST, NO_PROMOTION)
    _compare.reference(_meaning)


# ---------------------------------------------------------------- logic and bits


@op(family=binary, dtypes=BOOL)
def logical_and(x: TensorLike, y: TensorLike, /) -> Tensor:
    """Whether both hold, elementwise, of bools."""


@op(family=binary, dtypes=BOOL)
def logical_or(x: TensorLike, y: TensorLike, /) -> Tensor:
    """Whether at least one holds, elementwise, of bools."""


@op(family=binary, dtypes=BOOL)
def logical_xor(x: TensorLike, y: TensorLike, /) -> Tensor:
    """Whether just one holds, elementwise, of bools."""


@op(family=unary, dtypes=BOOL)
def logical_not(x: TensorLike, /) -> Tensor:
    """Whether it does not hold, elementwise, of bools."""


@op(family=binary, dtypes=LOGICAL)
def bitwise_and(x: TensorLike, y: TensorLike, /) -> Tensor:
    """Bitwise and, of integers or bools."""


@op(family=binary, dtypes=LOGICAL)
def bitwise_or(x: TensorLike, y: TensorLike, /) -> Tensor:
    """Bitwise or, of integers or bools."""


@op(family=binary, dtypes=LOGICAL)
def bitwise_xor(x: TensorLike, y: TensorLike, /) -> Tensor:
    """Bitwise exclusive or, of integers or bools."""


@op(family=unary, dtypes=LOGICAL)
def bitwise_invert(x: TensorLike, /) -> Tensor:
    """Bitwise not, of integers or bools."""


@op(family=binary, dtypes=INTEGER)
def bitwise_left_shift(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x`` shifted left by ``y`` bits, 0 <= y < width."""


@op(family=binary, dtypes=INTEGER)
def bitwise_right_shift(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x`` shifted right by ``y`` bits, 0 <= y < width; signed integers keep their sign."""


_bools = (boolean(), boolean(shape=(4,)))
for _logic, _meaning in ((logical_and, np.logical_and), (logical_or, np.logical_or), (logical_xor, np.logical_xor)):
    _logic.kernel(_logic.__name__)
    _logic.samples(sample(*_bools, grad=False))
    _logic.error_samples(error(DTypeError, "takes bool elements", integer(), integer()))
    _logic.reference(_meaning)
logical_not.kernel("logical_not")
logical_not.samples(sample(boolean(), grad=False))
logical_not.reference(np.logical_not)
for _bits, _meaning in ((bitwise_and, np.bitwise_and), (bitwise_or, np.bitwise_or), (bitwise_xor, np.bitwise_xor)):
    _bits.kernel(_bits.__name__)
    _bits.samples(sample(*_bools, grad=False), sample(integer(), integer(), grad=False))
    _bits.error_samples(error(DTypeError, "takes integer or bool elements", real(), real()))
    _bits.reference(_meaning)
bitwise_invert.kernel("bitwise_invert")
bitwise_invert.samples(sample(boolean(), grad=False), sample(integer(), grad=False))
bitwise_invert.reference(np.invert)
for _shift, _meaning in ((bitwise_left_shift, np.left_shift), (bitwise_right_shift, np.right_shift)):
    _shift.kernel(_shift.__name__)
    _shift.samples(sample(integer(0, 99), integer(0, 5), grad=False))
    _shift.error_samples(error(DTypeError, "takes integer elements", real(), real()))
    _shift.reference(_meaning)


# ---------------------------------------------------------------- what floating numbers are


@op(family=predicate, dtypes=INEXACT)
def isnan(x: TensorLike, /) -> Tensor:
    """True where ``x`` is NaN."""


@op(family=predicate, dtypes=INEXACT)
def isfinite(x: TensorLike, /) -> Tensor:
    """True where ``x`` is neither infinite nor NaN."""


@op(family=predicate, dtypes=INEXACT)
def isinf(x: TensorLike, /) -> Tensor:
    """True where ``x`` is infinite."""


for _test, _meaning in ((isnan, np.isnan), (isfinite, np.isfinite), (isinf, np.isinf)):
    _test.kernel(_test.__name__)
    _test.samples(sample(literal([0.0, np.nan, np.inf, -np.inf, 1.0]), grad=False))
    _test.reference(_meaning)
