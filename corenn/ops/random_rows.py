"""Numbers for each example of a batch: a draw whose length is that of an operand, also where a graph learns it late."""

from __future__ import annotations

from typing import Any

from corenn.dtypes import float32
from corenn.errors import AttributeValueError, ShapeError
from corenn.ops.draws import KEY, check_key, host_uniform, key_arg, random_uniform
from corenn.ops.sampling import boolean, error, literal, real, sample
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

_key = key_arg(7, 3)


def _rows(call: Call, x: Spec, key: Spec) -> Spec:
    check_key(call, key)
    width = call.attrs["width"]
    if not x.ndim:
        raise call.shape_error("takes an operand with axes", x="is 0-d")
    if not isinstance(width, int) or isinstance(width, bool) or width < 1:
        raise call.attribute_error("width counts the numbers of a row, at least 1", width="")
    return Spec((x.shape[0], width), float32)


@op(infer=_rows, dtypes={"key": KEY}, namespace="_")
def random_rows(x: TensorLike, key: TensorLike, /, *, width: int = 1) -> Tensor:
    """Uniform float32 numbers in [0, 1), ``width`` for each example of ``x``: ``[x.shape[0], width]``."""


@random_rows.decompose
def _(x: Tensor, key: Tensor, *, width: int) -> Tensor:
    return random_uniform(key, shape=(x.spec.static[0], width), dtype=float32)


random_rows.samples(
    sample(real(shape=(3, 2)), _key, grad=False),
    sample(boolean(shape=(5,)), key_arg(2**64 - 1, 2**63, 5), width=3, grad=False),
    sample(real(shape=(0, 2)), _key, grad=False),
)
random_rows.error_samples(
    error(ShapeError, "with axes", real(shape=()), _key),
    error(ShapeError, "three numbers", real(), literal([1, 2], "uint64")),
    error(AttributeValueError, "at least 1", real(), _key, width=0),
)


@random_rows.reference
def _(x: Any, key: Any, *, width: int) -> Any:
    return host_uniform(key, (x.shape[0], width))
