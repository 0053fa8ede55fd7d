"""Embedding: rows of a table by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.dtypes import FLOATING, INTEGER
from corenn.errors import DTypeError, ShapeError
from corenn.ops.gathering import gather
from corenn.ops.sampling import error, integer, literal, real, sample
from corenn.ops.slicing import ALL
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

__all__ = ["embedding"]


def _embedding(call: Call, table: Spec, ids: Spec) -> Spec:
    if table.ndim != 2:
        raise call.shape_error("the table must be a matrix [rows, width]", table=f"has {table.ndim} axes")
    if table.shape[0] == 0 and 0 not in ids.shape:
        raise call.shape_error("takes rows from an empty table", table="axis 0 has extent 0")
    return Spec((*ids.shape, table.shape[1]), table.dtype)


@op(infer=_embedding, dtypes={"table": FLOATING, "ids": INTEGER}, namespace="nn")
def embedding(table: TensorLike, ids: TensorLike, /) -> Tensor:
    """Rows of ``table`` [rows, width] at ``ids`` (integers of any shape): [*ids.shape, width].

    The gradient of a row adds up over its uses.  An id outside 0 ... rows - 1 (also a negative one) is a ShapeError
    where the backend can tell without waiting for its device (NumPy can); elsewhere what is read is undefined.
    """


@embedding.decompose
def _(table: Tensor, ids: Tensor) -> Tensor:
    return gather(table, ids, axis=0)


@embedding.vjp
def _(g: Tensor, table_spec: Spec, ids: Tensor, needs: tuple[bool, bool]) -> tuple[Tensor | None, Tensor | None]:
    from corenn.ops.scatter import getitem_add

    return getitem_add(g, ids, shape=table_spec.static, pattern=(("array",), ALL)) if needs[0] else None, None


embedding.samples(
    sample(real(shape=(4, 3)), integer(0, 4, shape=(2, 3))),
    sample(real(shape=(4, 3)), literal([2, 2, 2, 0], "int64"), name="repeated"),
    sample(real(shape=(4, 3)), literal(3, "uint8")),
    sample(real(shape=(4, 2)), integer(0, 4, shape=(0,))),
)
embedding.error_samples(
    error(ShapeError, "must be a matrix", real(shape=(4,)), integer(0, 3, shape=(2,))),
    error(ShapeError, "empty table", real(shape=(0, 3)), integer(0, 3, shape=(2,))),
    error(DTypeError, "takes integer", real(shape=(4, 3)), real(shape=(2,))),
)


@embedding.reference
def _(table: np.ndarray[Any, Any], ids: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.stack([table[i] for i in ids.ravel()]).reshape(*ids.shape, -1) if ids.size else table[ids]
