"""Dropout, whose decisions are drawn from a key and drawn again for the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.dtypes import FLOATING
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.draws import KEY, check_key, host_uniform, key_arg, random_uniform
from corenn.ops.elementwise import multiply, where
from corenn.ops.logic import greater_equal
from corenn.ops.sampling import error, integer, literal, real, sample
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

_key, _other_key = key_arg(7, 3), key_arg(2**64 - 1, 2**63, 5)


def _dropout(call: Call, x: Spec, key: Spec) -> Spec:
    check_key(call, key)
    rate, given = call.attrs["rate"], call.attrs["noise_shape"]
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        shown = f"{rate:g}" if isinstance(rate, int | float) else repr(rate)
        hint = "rate is the share that is dropped: 0.1 keeps nine in ten"
        raise call.attribute_error(f"rate must be a float in the range [0, 1), got {shown}", hint, rate="")
    if given is not None:
        if not isinstance(given, tuple) or len(given) != x.ndim:
            raise call.attribute_error(f"noise_shape must name {x.ndim} extents", noise_shape="", x="")
        shape = tuple(m if n is None else n for m, n in zip(x.shape, given, strict=True))
        if any(n not in (1, m) for m, n in zip(x.shape, shape, strict=True)):
            raise call.shape_error("each extent of noise_shape must be 1 or that of x", noise_shape="")
        call.attrs["noise_shape"] = shape
    return Spec(x.shape, x.dtype)


@op(infer=_dropout, dtypes={"x": FLOATING, "key": KEY}, name="dropout", namespace="_")
def drop(
    x: TensorLike, key: TensorLike, /, *, rate: float, noise_shape: tuple[int | None, ...] | None = None
) -> Tensor:
    """``x`` with elements replaced by 0 with probability ``rate`` and the others divided by ``1 - rate``.

    An element stays where a uniform float32 number is at least ``rate``.  ``noise_shape``: the shape of the decisions,
    1 along axes that share one, ``None`` for the extent of ``x``.  The gradient draws the same decisions again from
    the same key, so no mask is kept.
    """


@drop.decompose
def _(x: Tensor, key: Tensor, *, rate: float, noise_shape: tuple[int, ...] | None) -> Tensor:
    stays = greater_equal(random_uniform(key, shape=x.shape if noise_shape is None else noise_shape), float(rate))
    return where(stays, multiply(x, 1.0 / (1.0 - rate)), 0.0)


drop.vjp(x=lambda g, key, rate, noise_shape: drop(g, key, rate=rate, noise_shape=noise_shape))
drop.samples(
    sample(real(shape=(3, 4)), _key, rate=0.5),
    sample(real(shape=(2, 3, 4)), _other_key, rate=0.25, noise_shape=(None, 1, 4)),
    sample(real(shape=()), _key, rate=0.1),
    sample(real(shape=(2, 0)), _key, rate=0.1),
    sample(real(shape=(3,)), _key, rate=0),
)
drop.error_samples(
    error(AttributeValueError, "range [0, 1), got 1", real(), _key, rate=1.0),
    error(AttributeValueError, "range [0, 1), got -0.5", real(), _key, rate=-0.5),
    error(AttributeValueError, "must name 2 extents", real(), _key, rate=0.5, noise_shape=(3,)),
    error(ShapeError, "must be 1 or that of x", real(), _key, rate=0.5, noise_shape=(2, 4)),
    error(ShapeError, "three numbers", real(), literal([1, 2], "uint64"), rate=0.5),
    error(DTypeError, "takes floating", integer(), _key, rate=0.5),
)


@drop.reference
def _(x: Any, key: Any, *, rate: float, noise_shape: Any) -> Any:
    shape = (
        x.shape
        if noise_shape is None
        else tuple(m if n is None else n for m, n in zip(x.shape, noise_shape, strict=True))
    )
    return np.where(host_uniform(key, shape) >= np.float32(rate), x / (1 - rate), 0)
