"""Pooling with TensorFlow's arguments: windows and strides for every axis, ``data_format``, names of both eras."""

from __future__ import annotations

import functools
import math
from typing import Any

from corenn.dtypes import as_dtype
from corenn.errors import UsageError
from corenn.ops.arranging import pad
from corenn.ops.creation import arange
from corenn.ops.gathering import take_along_axis
from corenn.ops.pooling import avg_pool as avg_op
from corenn.ops.pooling import max_pool as max_op
from corenn.ops.reduction import argmax
from corenn.ops.shaping import broadcast_to, reshape, stack
from corenn.ops.windows import same_padding
from corenn.tensor import Tensor
from corenn_tensorflow.mode import by_generation, one, scope
from corenn_tensorflow.nn.convolutions import layout_for, padding_for, per_axis
from corenn_tensorflow.operands import composite, rank, tensor
from corenn_tensorflow.writing import writable

_OPS = {"MAX": (max_op, "MaxPool"), "AVG": (avg_op, "AvgPool")}


def pooled(
    kind: str, rank_: int, x: Any, ksize: Any, strides: Any, padding: Any, data_format: str | None, name: str | None
) -> Tensor:
    """The largest (``"MAX"``) or mean (``"AVG"``) element of each window."""
    function, type_name = _OPS[kind]
    where = f"{kind.lower()}_pool{rank_}d"
    layout = layout_for(where, rank_, data_format)
    return one(
        type_name + ("3D" if rank_ == 3 else ""), name, function, x,
        window=per_axis(where, "ksize", ksize, rank_, layout),
        strides=per_axis(where, "strides", strides, rank_, layout),
        padding=padding_for(where, padding, rank_, layout), layout=layout,
    )  # fmt: skip


def _given(where: str, value: Any, input: Any) -> Any:
    if (value is None) == (input is None):
        raise UsageError(where, "give value or input")
    return value if input is None else input


def _v1(kind: str, rank_: int, layout: str) -> Any:
    where = f"{kind.lower()}_pool"

    def call(
        value: Any = None, ksize: Any = None, strides: Any = None, padding: Any = None, data_format: str = layout,
        name: str | None = None, input: Any = None,
    ) -> Tensor:  # fmt: skip
        return pooled(kind, rank_, _given(where, value, input), ksize, strides, padding, data_format, name)

    call.__doc__ = f"Pooling ({kind.lower()}) over {rank_} spatial axes."
    return call


def _v2(kind: str, rank_: int | None, layout: str | None) -> Any:
    def call(
        input: Any, ksize: Any, strides: Any, padding: Any, data_format: str | None = layout, name: str | None = None
    ) -> Tensor:
        x = tensor(input)
        count = rank_ or (rank(x) or 4) - 2
        return pooled(kind, count, x, ksize, strides, padding, data_format, name)

    call.__name__ = f"{kind.lower()}_pool" + (f"{rank_}d" if rank_ else "")
    call.__doc__ = f"Pooling ({kind.lower()}) over {rank_ or 'the'} spatial axes."
    return call


max_pool = by_generation(_v1("MAX", 2, "NHWC"), _v2("MAX", None, None))
avg_pool = by_generation(_v1("AVG", 2, "NHWC"), _v2("AVG", None, None))
max_pool1d, avg_pool1d = _v2("MAX", 1, "NWC"), _v2("AVG", 1, "NWC")
max_pool2d, avg_pool2d = _v2("MAX", 2, "NHWC"), by_generation(_v1("AVG", 2, "NHWC"), _v2("AVG", 2, "NHWC"))
max_pool3d, avg_pool3d = _v2("MAX", 3, "NDHWC"), _v2("AVG", 3, "NDHWC")
max_pool_v2, avg_pool_v2 = max_pool.v2, avg_pool.v2


def _pool(
    x: Any, window: Any, kind: str, strides: Any, padding: Any, data_format: Any, dilations: Any, name: str | None
) -> Tensor:
    given = tensor(x)
    count = len(window)
    if dilations is not None and any(int(d) != 1 for d in ([dilations] if isinstance(dilations, int) else dilations)):
        raise UsageError("pool", "windows with holes are not offered", {"dilations": dilations},
                         hint="take every n-th row and column first")  # fmt: skip
    with scope(name, "pool", given):
        return pooled(kind, count, given, window, strides, padding, data_format, f"{kind.lower()}_pool")


def _pool_v1(
    input: Any, window_shape: Any, pooling_type: str, padding: Any, dilation_rate: Any = None, strides: Any = None,
    name: str | None = None, data_format: str | None = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """Pooling of type ``"MAX"`` or ``"AVG"`` over as many spatial axes as ``window_shape`` has entries."""
    rate = dilation_rate if dilation_rate is not None else dilations
    return _pool(input, window_shape, pooling_type, strides, padding, data_format, rate, name)


def _pool_v2(
    input: Any, window_shape: Any, pooling_type: str, strides: Any = None, padding: Any = "VALID",
    data_format: str | None = None, dilations: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Pooling of type ``"MAX"`` or ``"AVG"`` over as many spatial axes as ``window_shape`` has entries."""
    return _pool(input, window_shape, pooling_type, strides, padding, data_format, dilations, name)


pool = by_generation(_pool_v1, _pool_v2)


@writable("nn.argmax_pool")
def _argmax_pool_of(
    x: Tensor, *, rule: Any, window: Any, steps: Any, kind: Any, with_batch: bool
) -> tuple[Tensor, Tensor]:
    batch, height, width, depth = x.spec.static
    pairs = [
        same_padding(n, k, s) if rule == "SAME" else (0, 0)
        for n, k, s in zip((height, width), window, steps, strict=True)
    ]
    count = [
        (n + sum(p) - k) // s + 1 for n, p, k, s in zip((height, width), pairs, window, steps, strict=True)
    ]  # fmt: skip
    around = pad(x, widths=((0, 0), *pairs, (0, 0)), value=-math.inf)
    columns = arange(width + sum(pairs[1]), dtype=kind) - pairs[1][0]
    rows = arange(height + sum(pairs[0]), dtype=kind) - pairs[0][0]
    flat = (reshape(rows, shape=(-1, 1, 1)) * width + reshape(columns, shape=(1, -1, 1))) * depth
    flat = reshape(flat + arange(depth, dtype=kind), shape=(1, *around.spec.static[1:]))
    if with_batch:
        flat = flat + reshape(arange(batch, dtype=kind), shape=(-1, 1, 1, 1)) * (height * width * depth)
    values, places = [], []
    for i in range(window[0]):
        for j in range(window[1]):
            key = (
                slice(None), slice(i, i + (count[0] - 1) * steps[0] + 1, steps[0]),
                slice(j, j + (count[1] - 1) * steps[1] + 1, steps[1]),
            )  # fmt: skip
            values.append(around[key])
            places.append(broadcast_to(flat[key], shape=(batch, *count, depth)))
    columns_of = stack(*values, axis=-1)
    best = reshape(argmax(columns_of, axis=-1), shape=(batch, *count, depth, 1))
    largest = take_along_axis(columns_of, best, axis=-1)[..., 0]
    return largest, take_along_axis(stack(*places, axis=-1), best, axis=-1)[..., 0]


def _argmax_pool(
    x: Any, ksize: Any, strides: Any, padding: Any, dtype: Any, with_batch: bool, name: str | None
) -> tuple[Tensor, Tensor]:
    window = per_axis("max_pool_with_argmax", "ksize", ksize, 2, "NHWC")
    steps = per_axis("max_pool_with_argmax", "strides", strides, 2, "NHWC")
    rule, kind = padding_for("max_pool_with_argmax", padding, 2, "NHWC"), as_dtype(dtype or "int64")
    largest, places = composite(
        "MaxPoolWithArgmax",
        name,
        functools.partial(_argmax_pool_of, rule=rule, window=window, steps=steps, kind=kind, with_batch=with_batch),
        tensor(x),
    )
    return largest, places


def _with_argmax_v1(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: str = "NHWC", Targmax: Any = None,
    name: str | None = None, output_dtype: Any = None, include_batch_in_index: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The largest element of each window, and its place ``(row * width + column) * channels + channel``."""
    return _argmax_pool(input, ksize, strides, padding, output_dtype or Targmax, include_batch_in_index, name)


def _with_argmax_v2(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: str = "NHWC", output_dtype: Any = None,
    include_batch_in_index: bool = False, name: str | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The largest element of each window, and its place ``(row * width + column) * channels + channel``."""
    return _argmax_pool(input, ksize, strides, padding, output_dtype, include_batch_in_index, name)


max_pool_with_argmax = by_generation(_with_argmax_v1, _with_argmax_v2)

__all__ = [
    "avg_pool", "avg_pool1d", "avg_pool2d", "avg_pool3d", "avg_pool_v2", "max_pool", "max_pool1d", "max_pool2d",
    "max_pool3d", "max_pool_v2", "max_pool_with_argmax", "pool",
]  # fmt: skip
